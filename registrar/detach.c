/* SPDX-License-Identifier: MIT */
#include "detach.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "companion.h"
#include "register.h"
#include "wait.h"

enum {
	TELL_MS = 30000,
	BITE_MS = 500 /* of waiting for an answer, between two looks at whether it still runs */
};

extern char **environ;

/* ---- the record --------------------------------------------------------------------------- */

/* What belongs to this shell, or to the run that this one is started in. */
static bool
is_passing(const char *variable)
{
	static const char *const names[] = {
	    RUNNER_VARIABLE "=", "_=", "OLDPWD=", "SHLVL=", "DEVMESH_ID=", "DEVMESH_CONFIG="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (dm_starts_with(variable, names[i]))
			return true;
	}
	return false;
}

static void
add_text(char ***list, size_t *count, char *text)
{
	*list = dm_reallocarray(*list, *count + 2, sizeof(**list));
	(*list)[(*count)++] = text;
	(*list)[*count] = NULL;
}

static void
take_environment(struct command *c, const char *config_file)
{
	DM_AUTO_FREE char *config = config_file == NULL ? NULL : realpath(config_file, NULL);
	size_t n = 0;

	for (size_t i = 0; environ[i] != NULL && n < COMMAND_ENV_MAX - 2; i++) {
		if (!is_passing(environ[i]))
			add_text(&c->env, &n, dm_strdup(environ[i]));
	}
	/* empty: it outlives the run that it may be started in (runner.h) */
	add_text(&c->env, &n, dm_strdup(RUNNER_VARIABLE "="));
	if (config != NULL)
		add_text(&c->env, &n, dm_asprintf("DEVMESH_CONFIG=%s", config));
}

static void
take_options(struct command *c, const struct runner_options *run)
{
	size_t n = 0;

	add_text(&c->options, &n, dm_asprintf("--wait=%lld", (long long)(run->wait_ms / 1000)));
	if (run->mode == TOOL_SOCKET)
		add_text(&c->options, &n, dm_strdup("--socket"));
	if (run->mode == TOOL_PORT)
		add_text(&c->options, &n, dm_strdup("--bridge"));
	if (run->port != 0)
		add_text(&c->options, &n, dm_asprintf("--port=%u", (unsigned)run->port));
}

static bool
keep_command(struct session *s, const struct detach_request *request, const struct claim *claim,
    struct dm_err *err)
{
	dm_auto(command) c = command_new(claim->id.s);
	DM_AUTO_FREE char *dir = commands_dir(s);

	c->app = claim->app;
	c->argv = command_list(request->run->argv);
	c->dir = realpath(".", NULL);
	if (c->dir == NULL)
		return dm_fail_errno(err, errno, "looking at the working directory");
	take_environment(c, request->config_file);
	take_options(c, request->run);
	c->on_request = request->on_request;
	c->idle_stop_s = request->idle_stop_s;
	return command_save(dir, c, err);
}

/* ---- asking devmeshd ---------------------------------------------------------------------- */

bool
detach_tell(struct session *s, const char *id, const char *verb, struct dm_err *err)
{
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	struct ask_status status;
	dm_auto(ctl) ctl = ask_open(s, &status, err);
	char path[128];

	if (ctl == NULL || !dm_snprintf(path, sizeof(path), "/api/v1/services/%s/%s", id, verb) ||
	    !ctl_ask(ctl, "POST", path, NULL, TELL_MS, &reply, err))
		return false;
	return reply.status < 400 || ctl_refused(&reply, "asking devmeshd", err);
}

/* Why it does not run, if that is so; the caller owns the text. */
static char *
problem_of(struct session *s, const char *id)
{
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	struct dm_err ignored;
	struct ask_status status;
	dm_auto(ctl) ctl = ask_open(s, &status, &ignored);
	const cJSON *supervised;
	char path[128];

	if (ctl == NULL || !dm_snprintf(path, sizeof(path), "/api/v1/services/%s", id) ||
	    !ask_get(ctl, path, &reply, &ignored))
		return NULL;
	supervised = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(reply.body, "service"), "supervised");
	return dm_strdup(
	    cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(supervised, "problem")));
}

bool
detach_wait(struct session *s, const struct claim *claim, int64_t wait_ms, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + wait_ms;

	for (;;) {
		int64_t left = deadline - dm_now_ms();
		DM_AUTO_FREE char *problem = NULL;

		if (wait_for_service(claim, left < BITE_MS ? left : BITE_MS, NULL, err))
			return true;
		problem = problem_of(s, claim->id.s);
		if (problem != NULL) {
			(void)dm_fail(err, DM_FAILED, "starting %s: %s", claim->id.s, problem);
			return dm_hint(err, "devmesh logs %s", claim->id.s);
		}
		if (err->code != DM_TIMEOUT || dm_now_ms() >= deadline)
			return dm_hint(err, "devmesh logs %s", claim->id.s);
	}
}

/* A run in a terminal keeps the name. */
static bool
check_other_run(struct session *s, const struct claim *claim, bool force, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = commands_dir(s);
	struct dm_err none;
	dm_auto(command) c = command_load(dir, claim->id.s, &none);
	const struct dm_proc_id *runner = &claim->run.runner;

	if (runner->pid == 0 || !dm_proc_alive(runner) ||
	    (c != NULL && c->runner.pid == runner->pid && c->runner.start == runner->start))
		return true;
	if (force)
		return runner_stop(claim, err);
	(void)dm_fail(err, DM_CONFLICT, "devmesh run (pid %ld) serves %s already",
	    (long)runner->pid, claim->id.s);
	return dm_hint(err, "end that one, or take over with --force");
}

bool
detach_run(struct session *s, const struct detach_request *request, struct claim **claim,
    struct dm_err *err)
{
	struct register_request registration = {
	    .name = request->run->name, .force = request->run->force};
	struct register_result result;
	COMPANION_AUTO struct companion daemon = {.pid = 0};
	bool ok;

	*claim = NULL;
	if (!session_need_state_dir(s, err) ||
	    !companion_start(s, request->config_file, &daemon, err) ||
	    !register_service(s, &registration, &result, err))
		return false;
	*claim = DM_STEAL(&result.claim);
	register_result_release(&result);
	ok = check_other_run(s, *claim, request->run->force, err) &&
	     keep_command(s, request, *claim, err) &&
	     detach_tell(s, (*claim)->id.s, "restart", err) &&
	     detach_wait(s, *claim, request->run->wait_ms, err);
	if (!ok) {
		claim_free(*claim);
		*claim = NULL;
	}
	return ok;
}
