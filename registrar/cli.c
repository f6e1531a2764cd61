/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "cmd.h"
#include "out.h"
#include "version.h"

static int
report(const struct dm_err *err, bool json)
{
	if (json) {
		cJSON *o = out_object();

		out_add_error(o, err);
		out_json(o);
	} else {
		(void)fflush(stdout);
		dm_print_error(err);
	}
	return (int)err->code;
}

static void
print_version(bool json)
{
	cJSON *o;

	if (!json) {
		(void)puts("devmesh " DEVMESH_VERSION);
		return;
	}
	o = out_object();
	(void)cJSON_AddStringToObject(o, "version", DEVMESH_VERSION);
	out_json(o);
}

/* Whether --json is among the arguments: also a command line that cannot be parsed answers so. */
static bool
wants_json(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			return true;
	}
	return false;
}

static bool
run_verb(const struct cmd_line *line, int *status, struct dm_err *err)
{
	dm_auto(session) session = NULL;
	struct cmd_ctx ctx = {.line = line};

	if (!line->cmd->without_session && (session = session_open(line->config, err)) == NULL)
		return false;
	ctx.session = session;
	if (!line->cmd->run(&ctx, err))
		return false;
	*status = ctx.exit_status;
	return true;
}

/* What was written must have arrived: a full disk or a closed pipe is no success. */
static bool
flush_answer(struct dm_err *err)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return true;
	return dm_fail_errno(err, errno == 0 ? EIO : errno, "writing the answer to stdout");
}

int
cli_run(int argc, char **argv)
{
	struct cmd_line line;
	struct dm_err err = {.code = DM_OK};
	int status = 0;

	if (!cmd_parse(argc, argv, &line, &err))
		return report(&err, wants_json(argc, argv));
	dm_log_level(line.verbose ? DM_LOG_DEBUG : line.quiet ? DM_LOG_QUIET : DM_LOG_NOTE);
	if (line.version) {
		print_version(line.json);
	} else if (line.help) {
		cmd_print_help(line.cmd);
	} else if (line.cmd == NULL) {
		(void)dm_fail(&err, DM_USAGE, "no verb was given");
		(void)dm_hint(
		    &err, "devmesh help; or begin with devmesh start, then devmesh run -- COMMAND");
		return report(&err, line.json);
	} else if (!run_verb(&line, &status, &err)) {
		return report(&err, line.json);
	}
	return flush_answer(&err) ? status : report(&err, false);
}
