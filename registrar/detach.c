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
	PAUSE_MS = 50,
	BITE_MS = 500 /* of waiting for an answer, between two looks at whether it still runs */
};

#define RUNNER_ASSIGNED RUNNER_VARIABLE "="

extern char **environ;

/* ---- the record --------------------------------------------------------------------------- */

/* What belongs to this shell, or to the run that this one is started in. */
static bool
is_passing(const char *variable)
{
	static const char *const names[] = {
	    "_=", "OLDPWD=", "SHLVL=", "DEVMESH_ID=", "DEVMESH_CONFIG="};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (dm_starts_with(variable, names[i]))
			return true;
	}
	return dm_starts_with(variable, RUNNER_ASSIGNED);
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
		if (strchr(environ[i], '=') != NULL && !is_passing(environ[i]))
			add_text(&c->env, &n, dm_strdup(environ[i]));
	}
	/* empty: it outlives the run that it may be started in (runner.h) */
	add_text(&c->env, &n, dm_strdup(RUNNER_ASSIGNED));
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

/* Everything but the name, which is claimed only when this is known to be possible. */
static struct command *
make_command(const struct detach_request *request, struct dm_err *err)
{
	dm_auto(command) c = command_new("");
	size_t words = 0;

	while (request->run->argv[words] != NULL)
		words++;
	if (words > COMMAND_WORDS_MAX) {
		(void)dm_fail(
		    err, DM_USAGE, "the command has more than %d words", COMMAND_WORDS_MAX);
		(void)dm_hint(err, "put it into a script");
		return NULL;
	}
	c->argv = command_list(request->run->argv);
	c->dir = realpath(".", NULL);
	if (c->dir == NULL) {
		(void)dm_fail_errno(err, errno, "looking at the working directory");
		return NULL;
	}
	take_environment(c, request->config_file);
	take_options(c, request->run);
	c->on_request = request->on_request;
	c->idle_stop_s = request->idle_stop_s;
	return DM_STEAL(&c);
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

/* Fails if devmeshd says that it does not run, and is not about to. */
static bool
check_running(struct session *s, const char *id, struct dm_err *err)
{
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	DM_AUTO_FREE char *dir = commands_dir(s);
	struct ask_status status;
	dm_auto(ctl) ctl = ask_open(s, &status, err);
	const cJSON *supervised;
	const char *problem, *state;
	char path[128];

	if (ctl == NULL)
		return false;
	if (!command_exists(dir, id))
		return dm_fail(err, DM_NOT_FOUND, "starting %s: it was taken down meanwhile", id);
	/* one that has just been claimed may not be known yet */
	if (!dm_snprintf(path, sizeof(path), "/api/v1/services/%s", id) ||
	    !ask_get(ctl, path, &reply, err))
		return err->code == DM_NOT_FOUND;
	supervised = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(reply.body, "service"), "supervised");
	problem = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(supervised, "problem"));
	state = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(supervised, "state"));
	if (problem == NULL && state != NULL && strcmp(state, "stopped") == 0)
		problem = "it was stopped meanwhile";
	return problem == NULL || dm_fail(err, DM_FAILED, "starting %s: %s", id, problem);
}

bool
detach_wait(
    struct session *s, const char *id, int64_t wait_ms, struct claim **claim, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + wait_ms;
	struct dm_err why;

	*claim = NULL;
	for (;;) {
		int64_t left = deadline - dm_now_ms();

		claim_free(*claim);
		*claim = NULL;
		/* after a restart of the machine it is only now claimed anew */
		if (!session_claim(s, id, NULL, claim, err))
			dm_pause_ms(left < PAUSE_MS ? left : PAUSE_MS);
		else if (wait_for_service(*claim, left < BITE_MS ? left : BITE_MS, NULL, err))
			return true;
		if (!check_running(s, id, &why)) {
			*err = why;
			break;
		}
		if (err->code != DM_TIMEOUT && err->code != DM_NOT_FOUND)
			break;
		if (dm_now_ms() >= deadline) {
			(void)dm_fail(err, DM_TIMEOUT,
			    "starting %s: it runs, and does not answer after %lld s", id,
			    (long long)wait_ms / 1000);
			break;
		}
	}
	claim_free(*claim);
	*claim = NULL;
	return dm_hint(err, "devmesh logs %s", id);
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

/* What was claimed and written down for nothing. */
static void
undo(struct session *s, const struct claim *claim, bool claimed, bool had_record)
{
	DM_AUTO_FREE char *dir = commands_dir(s);
	struct unregister_result result;
	struct dm_err err;

	if (!had_record)
		command_forget(dir, claim->id.s);
	if (claimed && !unregister_service(s, claim, &result, &err))
		dm_warn("%s", err.msg);
}

/* Writes the record, in place of one that there may be, and has devmeshd start it. */
static bool
hand_over(struct session *s, struct command *c, const struct claim *claim, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = commands_dir(s);
	struct dm_err none;
	dm_auto(command) before = command_load(dir, claim->id.s, &none);

	c->id = claim->id;
	c->app = claim->app;
	/* so that a devmeshd that is started anew finds what runs, whatever happens next */
	if (before != NULL) {
		c->runner = before->runner;
		c->wanted = before->wanted;
	}
	return command_save(dir, c, err) && detach_tell(s, claim->id.s, "restart", err);
}

bool
detach_run(struct session *s, const struct detach_request *request, struct claim **claim,
    struct dm_err *err)
{
	struct register_request registration = {
	    .name = request->run->name, .force = request->run->force};
	struct register_result result;
	COMPANION_AUTO struct companion daemon = {.pid = 0};
	dm_auto(command) c = make_command(request, err);
	dm_auto(claim) mine = NULL;
	DM_AUTO_FREE char *dir = NULL;
	bool claimed, had_record;

	*claim = NULL;
	if (c == NULL || !session_need_state_dir(s, err) ||
	    !companion_start(s, request->config_file, &daemon, err) ||
	    !register_service(s, &registration, &result, err))
		return false;
	mine = DM_STEAL(&result.claim);
	claimed = result.claimed;
	register_result_release(&result);
	dir = commands_dir(s);
	had_record = command_exists(dir, mine->id.s);
	if (!check_other_run(s, mine, request->run->force, err) || !hand_over(s, c, mine, err)) {
		undo(s, mine, claimed, had_record);
		return false;
	}
	return detach_wait(s, mine->id.s, request->run->wait_ms, claim, err);
}
