/* SPDX-License-Identifier: MIT */
/* daemon: devmeshd by hand. Where it is a service of the system, that does the work. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/str.h"
#include "cmd.h"
#include "companion.h"
#include "ctl/ctl.h"
#include "out.h"
#include "runner.h"
#include "service_unit.h"

enum {
	LOG_MAX = 65536 /* of it shown as JSON */
};

static void
answer_json(const struct session *s, const struct companion *c, const char *state)
{
	SERVICE_UNIT_AUTO struct service_unit unit = {.path = NULL};
	DM_AUTO_FREE char *socket = ctl_path(s->state_dir), *log = companion_log(s);
	cJSON *o = out_object();

	service_unit_find(&unit);
	out_add_text(o, "state", state != NULL ? state : companion_state_name(c->state));
	(void)cJSON_AddItemToObject(
	    o, "pid", c->pid == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)c->pid));
	out_add_text(o, "version", c->version);
	(void)cJSON_AddBoolToObject(o, "was_running", c->was_running);
	out_add_text(o, "managed_by", unit.path != NULL ? service_manager_name() : NULL);
	out_add_text(o, "unit", unit.path);
	out_add_text(o, "socket", socket);
	/* what the journal has is in no file */
	out_add_text(o, "log", unit.path != NULL ? unit.log : log);
	(void)cJSON_AddItemToObject(
	    o, "daemon", c->status == NULL ? cJSON_CreateNull() : cJSON_Duplicate(c->status, true));
	out_json(o);
}

static bool
run_start(struct cmd_ctx *ctx, struct dm_err *err)
{
	COMPANION_AUTO struct companion c = {.pid = 0};

	if (!companion_start(ctx->session, session_config_file(ctx->line->config), &c, err))
		return false;
	if (ctx->line->json)
		answer_json(ctx->session, &c, NULL);
	else
		(void)printf("devmeshd %s (pid %ld)\n", c.was_running ? "runs already" : "runs",
		    (long)c.pid);
	return true;
}

static bool
run_stop(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct companion c = {.state = COMPANION_STOPPED};

	if (!companion_stop(ctx->session, &c.pid, err))
		return false;
	c.was_running = c.pid != 0;
	if (ctx->line->json)
		answer_json(ctx->session, &c, NULL);
	else if (c.was_running)
		(void)printf("devmeshd has ended (pid %ld)\n", (long)c.pid);
	else
		(void)puts("devmeshd does not run");
	return true;
}

static bool
run_restart(struct cmd_ctx *ctx, struct dm_err *err)
{
	COMPANION_AUTO struct companion c = {.pid = 0};

	if (!companion_restart(ctx->session, session_config_file(ctx->line->config), &c, err))
		return false;
	if (ctx->line->json)
		answer_json(ctx->session, &c, NULL);
	else
		(void)printf("devmeshd runs (pid %ld)\n", (long)c.pid);
	return true;
}

static bool
run_status(struct cmd_ctx *ctx, struct dm_err *err)
{
	COMPANION_AUTO struct companion c = {.pid = 0};
	SERVICE_UNIT_AUTO struct service_unit unit = {.path = NULL};

	if (!session_need_state_dir(ctx->session, err))
		return false;
	companion_look(ctx->session, &c);
	service_unit_find(&unit);
	if (c.state < COMPANION_STARTING)
		ctx->exit_status = (int)DM_UNREACHABLE;
	if (ctx->line->json) {
		answer_json(ctx->session, &c, NULL);
		return true;
	}
	if (c.state == COMPANION_STOPPED)
		(void)puts("devmeshd does not run");
	else if (c.state == COMPANION_BUSY)
		(void)printf("devmeshd runs (pid %ld), and does not answer\n", (long)c.pid);
	else
		(void)printf("devmeshd %s %s (pid %ld)\n", c.version,
		    c.state == COMPANION_READY ? "runs" : "looks around for the first time",
		    (long)c.pid);
	if (unit.path != NULL)
		(void)printf("%s is to run it: %s\n", service_manager_name(), unit.path);
	if (c.state == COMPANION_STOPPED && unit.path != NULL) {
		DM_AUTO_FREE char *line = service_unit_line(&unit, SERVICE_START);

		dm_note("to start it: %s", line);
	} else if (c.state == COMPANION_STOPPED) {
		dm_note("to start it: devmesh daemon start");
	}
	return true;
}

/* Its lines as JSON: the last ones. */
static bool
logs_as_json(const char *path, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(LOG_MAX);
	cJSON *o, *lines;

	if (!dm_read_tail(path, 0, &text, err))
		return false;
	o = out_object();
	out_add_text(o, "log", path);
	lines = cJSON_AddArrayToObject(o, "lines");
	for (char *line = text.data; *line != '\0';) {
		size_t n = strcspn(line, "\n");
		DM_AUTO_FREE char *raw = dm_strndup(line, n), *shown = dm_printable(raw);

		(void)cJSON_AddItemToArray(lines, cJSON_CreateString(shown));
		line += n + (line[n] == '\n' ? 1 : 0);
	}
	out_json(o);
	return true;
}

static bool
run_logs(struct cmd_ctx *ctx, struct dm_err *err)
{
	enum service_verb verb = cmd_value(ctx, "follow") != NULL ? SERVICE_FOLLOW : SERVICE_LOGS;
	SERVICE_UNIT_AUTO struct service_unit unit = {.path = NULL};
	struct service_command command;

	if (!session_need_state_dir(ctx->session, err))
		return false;
	service_unit_find(&unit);
	if (unit.path == NULL)
		unit.log = companion_log(ctx->session);
	if (unit.log != NULL && access(unit.log, R_OK) != 0) {
		(void)dm_fail(
		    err, DM_NOT_FOUND, "there is no log %s: devmeshd has not run yet", unit.log);
		return dm_hint(err, "devmesh daemon start");
	}
	if (ctx->line->json && (verb == SERVICE_FOLLOW || unit.log == NULL))
		return dm_fail(err, DM_USAGE, "%s as JSON",
		    verb == SERVICE_FOLLOW ? "a log cannot be followed"
					   : "the journal is not shown");
	if (ctx->line->json)
		return logs_as_json(unit.log, err);
	service_unit_command(&unit, verb, &command);
	return runner_exec(command.argv, err);
}

static const struct cmd_opt opts[] = {
    {"follow", 'f', NULL, false, "logs: go on showing what is added"},
    {NULL, 0, NULL, false, NULL},
};

static bool
run_daemon(struct cmd_ctx *ctx, struct dm_err *err)
{
	static const struct cmd_word words[] = {{"start", run_start}, {"stop", run_stop},
	    {"restart", run_restart}, {"status", run_status}, {"logs", run_logs}};
	const struct cmd_word *word = cmd_find_word(ctx, words, sizeof(words) / sizeof(words[0]),
	    "devmesh daemon start | stop | restart | status | logs [-f]", err);

	if (word == NULL)
		return false;
	if (word->run != run_logs && cmd_value(ctx, "follow") != NULL)
		return dm_fail(err, DM_USAGE, "--follow is for devmesh daemon logs");
	return word->run(ctx, err);
}

extern const struct cmd cmd_daemon;

const struct cmd cmd_daemon = {
    .name = "daemon",
    .args = "start|stop|restart|status|logs",
    .max_args = 1,
    .summary = "start, stop or look at devmeshd, the companion daemon",
    .help =
	"start returns when devmeshd is ready, and shows what it said when it does not come up;\n"
	"starting it twice is harmless. Where it is a service of the system (devmesh service),\n"
	"that starts it, and nothing else does. status is 5 when it does not run. No other verb\n"
	"needs it.",
    .opts = opts,
    .run = run_daemon,
};
