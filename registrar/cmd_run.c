/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cmd.h"
#include "detach.h"
#include "out.h"
#include "runner.h"

enum {
	WAIT_MS = 60000,
	IDLE_MAX_S = 30 * 86400
};

static bool
get_mode(const struct cmd_ctx *ctx, struct runner_options *options, struct dm_err *err)
{
	const char *port = cmd_value(ctx, "port");
	bool socket = cmd_value(ctx, "socket") != NULL, bridge = cmd_value(ctx, "bridge") != NULL;
	uint64_t number;

	if (socket && (port != NULL || bridge))
		return dm_fail(err, DM_USAGE,
		    "--socket makes the server listen on the Unix socket itself, --port and "
		    "--bridge on a port: choose one");
	options->mode = socket ? TOOL_SOCKET : port != NULL || bridge ? TOOL_PORT : TOOL_AUTO;
	if (port == NULL)
		return true;
	if (!dm_parse_uint(port, 1, UINT16_MAX, &number)) {
		(void)dm_fail(err, DM_USAGE, "--port: \"%.40s\" is not a TCP port", port);
		return dm_hint(err, "a number from 1 to 65535");
	}
	options->port = (uint16_t)number;
	return true;
}

static bool
get_options(const struct cmd_ctx *ctx, struct runner_options *options, struct dm_err *err)
{
	const char *name = cmd_value(ctx, "name");

	*options = (struct runner_options){.argv = ctx->line->command,
	    .name = cmd_name_flags(ctx),
	    .force = cmd_value(ctx, "force") != NULL,
	    .supervised = cmd_value(ctx, "supervised") != NULL,
	    .json = ctx->line->json};
	/* the command runs there, too, so it has become the current directory */
	options->name.dir = NULL;
	if (name != NULL && options->name.app != NULL)
		return dm_fail(err, DM_USAGE, "--name and --app are the same: give one of them");
	if (name != NULL)
		options->name.app = name;
	return get_mode(ctx, options, err) &&
	       cmd_seconds(ctx, "wait", WAIT_MS, &options->wait_ms, err);
}

/* What is for devmeshd, without -d, or what is not. */
static bool
check_detach(const struct cmd_ctx *ctx, struct dm_err *err)
{
	static const char *const names[] = {"on-request", "idle-stop"};

	for (size_t i = 0; i < 2; i++) {
		if (cmd_value(ctx, names[i]) != NULL && cmd_value(ctx, "detach") == NULL)
			return dm_fail(
			    err, DM_USAGE, "--%s is for what devmeshd runs: --detach", names[i]);
	}
	return true;
}

static bool
run_detached(struct cmd_ctx *ctx, struct session *session, const struct runner_options *options,
    struct dm_err *err)
{
	struct detach_request request = {.run = options,
	    .config_file = session_config_file(ctx->line->config),
	    .on_request = cmd_value(ctx, "on-request") != NULL ? 1 : COMMAND_AS_CONFIGURED,
	    .idle_stop_s = COMMAND_AS_CONFIGURED};
	const char *idle = cmd_value(ctx, "idle-stop");
	dm_auto(claim) claim = NULL;
	uint64_t seconds;

	if (idle != NULL && !dm_parse_uint(idle, 0, IDLE_MAX_S, &seconds))
		return dm_fail(err, DM_USAGE, "--idle-stop: \"%.40s\" is no number from 0 to %d",
		    idle, IDLE_MAX_S);
	if (idle != NULL)
		request.idle_stop_s = (int64_t)seconds;
	if (!detach_run(session, &request, &claim, err))
		return false;
	out_url(claim, options->json);
	return true;
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *dir = cmd_value(ctx, "directory"), *off = getenv("DEVMESH");
	dm_auto(session) session = NULL;
	struct runner_options options;

	if (ctx->line->command[0] == NULL) {
		(void)dm_fail(err, DM_USAGE, "devmesh run: no command is given");
		return dm_hint(err, "devmesh run -- npm run dev");
	}
	if (!check_detach(ctx, err) || !get_options(ctx, &options, err))
		return false;
	if (dir != NULL && chdir(dir) != 0) {
		(void)dm_fail_errno(err, errno, "going to the directory %s", dir);
		if (errno == ENOENT || errno == ENOTDIR)
			err->code = DM_NOT_FOUND;
		return false;
	}
	if (off != NULL && strcmp(off, "0") == 0)
		return runner_exec(options.argv, err);
	session = session_open(ctx->line->config, err);
	if (session != NULL && cmd_value(ctx, "detach") != NULL)
		return run_detached(ctx, session, &options, err);
	return session != NULL && runner_run(session, &options, &ctx->exit_status, err);
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"app", 0, "NAME", false, "name of the app, before DEVMESH_APP and .id"},
    {"name", 0, "NAME", false, "the same as --app"},
    {"id", 0, "ID", false, "the whole name; a conflict is an error then"},
    {"socket", 0, NULL, false, "have the server listen on the Unix socket itself"},
    {"bridge", 0, NULL, false, "have it listen on a port, and lead the socket there"},
    {"port", 0, "N", false, "the port that it will listen on, if that is certain"},
    {"wait", 0, "SECONDS", true, "say what is wrong if it does not listen by then (default 60)"},
    {"detach", 'd', NULL, false, "have devmeshd run it, in the background, and look after it"},
    {"on-request", 0, NULL, false,
	"with -d: whoever opens its URL starts it, when it does not run"},
    {"idle-stop", 0, "SECONDS", false,
	"with -d: end it after so long without a request (0: never)"},
    {"supervised", 0, NULL, false, "as devmeshd runs it: only keep its output, and the name"},
    {"force", 0, NULL, false, "take the name over from another worktree or run of yours"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_run;
const struct cmd cmd_run = {
    .name = "run",
    .args = "[--] COMMAND [ARGUMENT ...]",
    .summary = "run a dev server and lead this worktree's URL to it",
    .help =
	"Claims the name, starts the command with PORT, DEVMESH_URL and others in its "
	"environment,\n"
	"finds out where it listens, and prints the URL once it answers there through Caddy. When\n"
	"it ends, however it ends, everything is taken back. Exits with the command's exit code.\n"
	"With -d it goes on in the background: started again when it fails, by start and stop "
	"with\n"
	"its ID, or when the machine has been restarted ([run] restore), and gone with down.\n"
	"With DEVMESH=0 in the environment the command is run as it is, and nothing else is done.",
    .opts = opts,
    .takes_command = true,
    .without_session = true,
    .run = run,
};
