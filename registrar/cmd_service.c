/* SPDX-License-Identifier: MIT */
/* service: devmeshd as a service of the system, for the user or for the machine. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd.h"
#include "companion.h"
#include "out.h"
#include "service_unit.h"
#include "setup_daemon.h"

/* `state` is what was observed: "planned", "unchanged", "written", "ready", "removed" */
static void
answer_json(const struct setup *u, const char *state, pid_t pid)
{
	cJSON *o = out_object();

	out_add_text(o, "state", state);
	out_add_text(o, "scope", u->facts.user_scope ? "user" : "system");
	out_add_text(o, "manager", service_manager_name());
	(void)cJSON_AddBoolToObject(o, "manager_runs", u->managed);
	(void)cJSON_AddItemToObject(
	    o, "pid", pid == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)pid));
	setup_add_json(o, u);
	out_json(o);
}

static struct setup *
open_setup(struct cmd_ctx *ctx, bool remove, struct dm_err *err)
{
	const struct setup_options want = {.user = cmd_value(ctx, "system") == NULL,
	    .dry_run = cmd_value(ctx, "dry-run") != NULL,
	    .remove = remove};
	dm_auto(setup) u =
	    setup_open_daemon(ctx->session, &want, session_config_file(ctx->line->config), err);

	if (u == NULL || !setup_look(u, err))
		return NULL;
	setup_plan_commands(u);
	return DM_STEAL(&u);
}

static bool
answer_dry_run(const struct cmd_ctx *ctx, const struct setup *u)
{
	if (ctx->line->json) {
		answer_json(u, "planned", 0);
		return true;
	}
	setup_show(stdout, u);
	for (size_t i = 0; i < u->problem_count; i++)
		dm_warn("it would fail: %s", u->problems[i].msg);
	dm_note("this was a dry run: nothing was changed");
	return true;
}

/* Caddy is not its business, but without it nothing is reached. */
static void
warn_of_caddy(struct session *s)
{
	struct dm_err err;

	session_drop_view(s);
	if (!session_need_view(s, &err)) {
		dm_warn("devmeshd runs, and Caddy is unreachable: %s", err.msg);
		if (err.hint[0] != '\0')
			dm_note("  try: %s", err.hint);
	}
}

static bool
run_install(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(setup) u = open_setup(ctx, false, err);
	const char *state = "ready";
	pid_t pid = 0;

	if (u == NULL)
		return false;
	if (u->want.dry_run)
		return answer_dry_run(ctx, u);
	if (u->problem_count > 0) {
		*err = u->problems[0];
		return false;
	}
	if (!setup_changes(u) && (u->daemon_runs || !u->managed)) {
		state = "unchanged";
	} else {
		if (!ctx->line->quiet && !ctx->line->json)
			setup_show(stderr, u);
		if ((u->managed && !setup_end_by_hand(u, err)) || !setup_write(u, err) ||
		    !setup_run_commands(u, true, err) || !setup_run_commands(u, false, err))
			return false;
		if (!u->managed)
			state = "written";
	}
	if (u->managed && !setup_verify_daemon(u, &pid, err))
		return false;
	if (ctx->line->json)
		answer_json(u, state, pid);
	else if (pid != 0)
		(void)printf(
		    "%s: %s runs devmeshd (pid %ld)\n", state, service_manager_name(), (long)pid);
	else
		(void)printf("%s: %s\n", state, u->steps[0].path);
	if (!u->managed)
		dm_warn("%s does not run here%s: nothing was started", service_manager_name(),
		    u->facts.user_scope ? " for this user" : "");
	else if (u->person == geteuid())
		warn_of_caddy(ctx->session);
	return true;
}

static bool
run_uninstall(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(setup) u = open_setup(ctx, true, err);
	bool same;

	if (u == NULL)
		return false;
	if (u->want.dry_run)
		return answer_dry_run(ctx, u);
	same = !setup_changes(u);
	if (!same) {
		if (!ctx->line->quiet && !ctx->line->json)
			setup_show(stderr, u);
		if (!setup_run_commands(u, true, err) || !setup_write(u, err) ||
		    !setup_run_commands(u, false, err))
			return false;
	}
	if (ctx->line->json) {
		answer_json(u, same ? "unchanged" : "removed", 0);
		return true;
	}
	for (size_t i = 0; i < u->step_count; i++) {
		if (u->steps[i].action == SETUP_KEEP)
			dm_note("kept: %s: %s", u->steps[i].path, u->steps[i].why_kept);
	}
	(void)puts(same ? "unchanged: there is no unit that devmesh wrote" : "removed");
	return true;
}

static bool
run_status(struct cmd_ctx *ctx, struct dm_err *err)
{
	SERVICE_UNIT_AUTO struct service_unit unit = {.path = NULL};
	COMPANION_AUTO struct companion c = {.pid = 0};
	const char *state = "absent";
	pid_t pid = 0;
	cJSON *o;

	if (!session_need_state_dir(ctx->session, err))
		return false;
	service_unit_find(&unit);
	companion_look(ctx->session, &c);
	if (unit.path != NULL) {
		pid = service_manager_runs(unit.system) ? service_unit_pid(&unit) : 0;
		state = pid == 0		     ? "stopped"
			: pid != c.pid		     ? "not-answering"
			: c.state == COMPANION_READY ? "ready"
						     : "starting";
		ctx->exit_status = strcmp(state, "ready") == 0 ? 0 : (int)DM_UNREACHABLE;
	} else {
		ctx->exit_status = (int)DM_NOT_FOUND;
	}
	if (ctx->line->json) {
		o = out_object();
		out_add_text(o, "state", state);
		out_add_text(o, "manager", service_manager_name());
		out_add_text(o, "unit", unit.path);
		out_add_text(o, "scope",
		    unit.path == NULL ? NULL
		    : unit.system     ? "system"
				      : "user");
		(void)cJSON_AddItemToObject(
		    o, "pid", pid == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)pid));
		out_add_text(o, "version", c.version);
		out_json(o);
		return true;
	}
	if (unit.path == NULL) {
		(void)puts("devmeshd is no service here");
		dm_note("to make it one: devmesh service install");
		return true;
	}
	(void)printf("%s: %s\n", state, unit.path);
	if (pid != 0)
		(void)printf("%s runs it as pid %ld\n", service_manager_name(), (long)pid);
	if (c.pid != 0 && c.pid != pid)
		dm_warn("another devmeshd runs, started by hand (pid %ld)", (long)c.pid);
	return true;
}

static const struct cmd_opt opts[] = {
    {"system", 0, NULL, false, "for the machine, as root; devmeshd runs as who called sudo"},
    {"dry-run", 0, NULL, false, "show everything, change nothing"},
    {NULL, 0, NULL, false, NULL},
};

static bool
run_service(struct cmd_ctx *ctx, struct dm_err *err)
{
	static const struct cmd_word words[] = {
	    {"install", run_install}, {"uninstall", run_uninstall}, {"status", run_status}};
	const struct cmd_word *word = cmd_find_word(ctx, words, sizeof(words) / sizeof(words[0]),
	    "devmesh service install | uninstall | status [--system] [--dry-run]", err);

	return word != NULL && word->run(ctx, err);
}

extern const struct cmd cmd_service;

const struct cmd cmd_service = {
    .name = "service",
    .args = "install|uninstall|status",
    .max_args = 1,
    .summary = "have the system run devmeshd: a unit of systemd or launchd",
    .help =
	"install writes the unit, with absolute paths, ends a devmeshd that was started by hand,\n"
	"starts the service, and waits until it answers. Done again it says \"unchanged\".\n"
	"uninstall removes only what devmesh has written. From then on, or until then, nothing\n"
	"but the service manager starts devmeshd. status is 3 when there is no unit, and 5 when\n"
	"it does not run.",
    .opts = opts,
    .run = run_service,
};
