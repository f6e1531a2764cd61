/* SPDX-License-Identifier: MIT */
/*
 * hook: what the tools that `init` sets up call. Whatever goes wrong here must not stop them: it
 * is said on stderr, and the exit status stays 0. Only a command line that is wrong is an error.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/sock.h"
#include "base/spawn.h"
#include "base/str.h"
#include "cmd.h"
#include "hook_input.h"
#include "out.h"
#include "register.h"
#include "share.h"
#include "wait.h"

enum {
	STDIN_MS = 2000,
	END_MS = 5000, /* for a server whose worktree was just removed */
	WT_MS = 5000
};

struct hook {
	struct cmd_ctx *ctx;
	struct session *s;
	struct hook_input input;
	int64_t wait_ms;     /* --wait; -1: not given */
	const char *event;   /* as the tool calls it; NULL: unknown */
	const char *action;  /* "none", "up", "down", "context": what was done. Static */
	struct claim *claim; /* that was registered or is spoken of; NULL: none */
	unsigned taken_back;
	char *context; /* claude: what the session is told; NULL: nothing */
};

static bool
is_one_of(const char *word, const char *const list[])
{
	for (size_t i = 0; word != NULL && list[i] != NULL; i++) {
		if (strcmp(word, list[i]) == 0)
			return true;
	}
	return false;
}

/* ---- what hooks do ----------------------------------------------------------------------- */

static bool
register_here(struct hook *h, const char *dir, struct dm_err *err)
{
	struct register_request request = {.name = {.dir = dir}};
	struct register_result result;

	if (!register_service(h->s, &request, &result, err))
		return false;
	h->action = "up";
	h->claim = DM_STEAL(&result.claim);
	register_result_release(&result);
	dm_debug("%s is registered: %s", h->claim->id.s, h->claim->url);
	return h->wait_ms < 0 || wait_for_service(h->claim, h->wait_ms, NULL, err);
}

/* Whether the worktree has a claim, whatever its branch was. */
static bool
is_registered(struct hook *h, const char *dir)
{
	dm_auto(repo) repo = NULL;
	struct registry_claims claims;
	struct dm_err ignored;
	bool found = false;

	if ((repo = repo_open(dir, &ignored)) == NULL || !session_need_registry(h->s, &ignored) ||
	    !registry_scan(h->s->registry, &claims, &ignored))
		return false;
	for (size_t i = 0; i < claims.count; i++)
		found = found || (!claims.list[i]->is_alias &&
				     strcmp(claims.list[i]->worktree, repo->worktree) == 0);
	registry_claims_free(&claims);
	return found;
}

static bool
is_listening(const struct claim *claim)
{
	struct dm_sock_info info;

	if (claim->socket == NULL)
		return dm_tcp_listening(claim->port);
	dm_sock_probe(claim->socket, &info);
	return info.state == DM_SOCK_LISTENING;
}

enum living {
	LIVING_TOO,  /* also what still listens */
	LIVING_NOT,  /* what listens is left to a later hook */
	LIVING_AWAIT /* what listens is about to end: wait for it */
};

/* Takes back all services of the worktree, which may be gone. */
static bool
take_back(struct hook *h, const char *dir, enum living living, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_resolve(dir, err);
	int64_t deadline = dm_now_ms() + END_MS;
	struct registry_claims claims;
	bool ok = true;

	if (path == NULL || !session_need_registry(h->s, err) ||
	    !registry_scan(h->s->registry, &claims, err))
		return false;
	h->action = "down";
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = claims.list[i];
		dm_auto(claim) now = NULL;
		struct unregister_result result;

		if (claim->is_alias || strcmp(claim->worktree, path) != 0)
			continue;
		while (living == LIVING_AWAIT && is_listening(claim) && dm_now_ms() < deadline)
			dm_pause_ms(50);
		if (living == LIVING_NOT && is_listening(claim)) {
			dm_debug("%s still listens: it is left to post-remove", claim->id.s);
			continue;
		}
		/* a run that has ended meanwhile has changed the record, or taken it back itself */
		if (!registry_find(h->s->registry, claim->id.s, &now, err) ||
		    (now != NULL && strcmp(now->worktree, path) == 0 &&
			!unregister_service(h->s, now, &result, err))) {
			ok = false;
			continue;
		}
		share_forget(claim);
		h->taken_back++;
		dm_debug("%s is down", claim->id.s);
	}
	registry_claims_free(&claims);
	return ok;
}

/* ---- the tools --------------------------------------------------------------------------- */

/* Leaves the URL where wt list finds it. Without wt, or with an old one, that is all the same. */
static void
tell_worktrunk(const struct hook *h, const char *dir)
{
	DM_AUTO_FREE char *pair = dm_asprintf("url=%s", h->claim->url);
	const char *const argv[] = {"wt", "-C", dir, "config", "state", "vars", "set", pair, NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(4096);
	DM_AUTO_STR struct dm_str errout = dm_str_make(4096);
	struct dm_err why;
	int status;

	if (!dm_run(argv, "GIT_", WT_MS, &out, &errout, &status, &why))
		dm_debug("%s", why.msg);
	else if (status != 0)
		dm_debug("wt did not take the URL: %s", errout.data);
}

static bool
hook_worktrunk(struct hook *h, struct dm_err *err)
{
	static const char *const starts[] = {"pre-start", "post-start", "post-create", NULL};
	const char *dir = h->input.worktree != NULL ? h->input.worktree : ".";
	bool ok;

	if (is_one_of(h->event, starts)) {
		ok = register_here(h, dir, err);
		if (h->claim != NULL)
			tell_worktrunk(h, dir);
		return ok;
	}
	if (is_one_of(h->event, (const char *const[]){"post-switch", NULL}))
		return !is_registered(h, dir) || register_here(h, dir, err);
	/* where a worktree is removed, the working directory is another one */
	if (h->input.worktree == NULL)
		return true;
	if (is_one_of(h->event, (const char *const[]){"pre-remove", NULL}))
		return take_back(h, dir, LIVING_NOT, err);
	if (is_one_of(h->event, (const char *const[]){"post-remove", NULL}))
		return take_back(h, dir, LIVING_AWAIT, err);
	return true;
}

/* githooks(5), post-checkout: the previous HEAD, the new one, and 1 if a branch was checked out. */
static bool
hook_git(struct hook *h, struct dm_err *err)
{
	const char *previous = cmd_arg(h->ctx, 1), *flag = cmd_arg(h->ctx, 3);
	bool made;

	h->event = "post-checkout";
	if (flag == NULL)
		return dm_fail(err, DM_USAGE,
		    "git gives its hook post-checkout three arguments: previous, new, flag");
	if (strcmp(flag, "1") != 0)
		return true;
	/* no HEAD before: the worktree is new */
	made = previous[0] != '\0' && previous[strspn(previous, "0")] == '\0';
	return (!made && !is_registered(h, ".")) || register_here(h, ".", err);
}

/* The lines that a session is told; where no verb of the name exists, none of it is said. */
static void
add_advice(struct dm_str *out)
{
	if (cmd_find("run") != NULL)
		(void)dm_str_addf(out,
		    "Start its server with: devmesh run -- COMMAND (as in: devmesh run -- npm run "
		    "dev). ");
	(void)dm_str_addf(out, "Wait until it answers: devmesh wait. ");
	if (cmd_find("assert") != NULL)
		(void)dm_str_addf(out, "Before you test, check that this checkout answers, and no "
				       "other: devmesh assert. ");
	(void)dm_str_addf(out, "Never test against localhost:PORT: another worktree may answer "
			       "there. All about it: devmesh skill.");
}

static bool
say_context(struct hook *h, const char *dir, struct dm_err *err)
{
	struct name_flags flags = {.dir = dir};
	DM_AUTO_STR struct dm_str out = dm_str_make(8192);
	DM_AUTO_FREE char *branch = NULL;
	dm_auto(repo) repo = NULL;
	struct name name;
	struct slug id;
	bool held;

	if (!session_name(h->s, &flags, &repo, &name, err) || !session_need_registry(h->s, err))
		return false;
	if (!session_claim(h->s, NULL, &flags, &h->claim, err) && !repo->is_git)
		return true;
	branch = dm_printable(repo->branch != NULL ? repo->branch : "no branch");
	if (h->claim != NULL && h->claim->url != NULL) {
		(void)dm_str_addf(&out,
		    "This checkout (%s) is served at %s (devmesh id %s). Its server %s. ", branch,
		    h->claim->url, h->claim->id.s,
		    is_listening(h->claim) ? "is running" : "is not running");
	} else {
		if (!registry_resolve(
			h->s->registry, &name, repo->worktree, false, &id, &held, err))
			return false;
		(void)dm_str_addf(&out,
		    "This checkout (%s) has no URL yet. devmesh up registers it, as %s, and "
		    "prints its URL. ",
		    branch, id.s);
	}
	add_advice(&out);
	h->action = "context";
	h->context = dm_str_take(&out);
	return true;
}

static bool
hook_claude(struct hook *h, struct dm_err *err)
{
	if (is_one_of(h->event, (const char *const[]){"WorktreeRemove", NULL}))
		return h->input.worktree == NULL ||
		       take_back(h, h->input.worktree, LIVING_TOO, err);
	if (h->event != NULL && strcmp(h->event, "SessionStart") != 0)
		return true;
	return say_context(h, h->input.cwd != NULL ? h->input.cwd : ".", err);
}

/* Tools that call a set-up and a clean-up, in the worktree, and give its path in a variable. */
static bool
hook_workspace(struct hook *h, const char *variable, struct dm_err *err)
{
	static const char *const ends[] = {"archive", "cleanup", NULL};
	const char *dir = getenv(variable);

	h->event = cmd_arg(h->ctx, 1);
	if (h->event == NULL)
		h->event = "setup";
	if (dir == NULL || dir[0] != '/')
		dir = ".";
	if (is_one_of(h->event, ends))
		return take_back(h, dir, LIVING_TOO, err);
	if (strcmp(h->event, "setup") != 0)
		return true;
	return register_here(h, dir, err);
}

static bool
hook_conductor(struct hook *h, struct dm_err *err)
{
	return hook_workspace(h, "CONDUCTOR_WORKSPACE_PATH", err);
}

static bool
hook_codex(struct hook *h, struct dm_err *err)
{
	return hook_workspace(h, "CODEX_WORKTREE_PATH", err);
}

static bool
hook_cursor(struct hook *h, struct dm_err *err)
{
	return hook_workspace(h, "", err);
}

static const struct {
	const char *name;
	bool reads; /* JSON on stdin */
	bool (*act)(struct hook *h, struct dm_err *err);
} tools[] = {
    {"worktrunk", true, hook_worktrunk},
    {"git", false, hook_git},
    {"claude", true, hook_claude},
    {"conductor", false, hook_conductor},
    {"codex", false, hook_codex},
    {"cursor", false, hook_cursor},
};

/* ---- the verb ---------------------------------------------------------------------------- */

/* The form in which Claude Code wants to be told (its hooks reference, SessionStart). */
static void
print_context(const struct hook *h)
{
	cJSON *o = cJSON_CreateObject(), *in = cJSON_AddObjectToObject(o, "hookSpecificOutput");

	(void)cJSON_AddStringToObject(in, "hookEventName", "SessionStart");
	(void)cJSON_AddStringToObject(in, "additionalContext", h->context);
	out_json(o);
}

static void
print_json(const struct hook *h, const char *tool, const struct dm_err *err)
{
	cJSON *o = out_object();

	out_add_text(o, "tool", tool);
	out_add_text(o, "event", h->event);
	out_add_text(o, "action", h->action);
	out_add_text(o, "id", h->claim != NULL ? h->claim->id.s : NULL);
	out_add_text(o, "url", h->claim != NULL ? h->claim->url : NULL);
	(void)cJSON_AddNumberToObject(o, "taken_back", h->taken_back);
	out_add_text(o, "context", h->context);
	out_add_text(o, "problem", err->code != DM_OK ? err->msg : NULL);
	out_json(o);
}

/* Everything that may fail without the tool's having to know. */
static bool
act(struct hook *h, size_t tool, struct dm_err *err)
{
	const char *off = getenv("DEVMESH");

	if (off != NULL && strcmp(off, "0") == 0)
		return true;
	if (tools[tool].reads && !hook_input_read(STDIN_FILENO, STDIN_MS, &h->input, err))
		return false;
	h->event = h->input.event != NULL ? h->input.event : cmd_arg(h->ctx, 1);
	if ((h->s = session_open(h->ctx->line->config, err)) == NULL)
		return false;
	return tools[tool].act(h, err);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct hook h = {.ctx = ctx, .action = "none"};
	const char *name = cmd_arg(ctx, 0);
	struct dm_err problem = {.code = DM_OK};
	size_t tool = 0, count = sizeof(tools) / sizeof(tools[0]);

	while (name != NULL && tool < count && strcmp(tools[tool].name, name) != 0)
		tool++;
	if (name == NULL || tool == count) {
		(void)dm_fail(
		    err, DM_USAGE, "hook: %s", name == NULL ? "no tool is named" : "no such tool");
		return dm_hint(err, "worktrunk, git, claude, conductor, codex or cursor; "
				    "devmesh init writes the call");
	}
	if (!cmd_seconds(ctx, "wait", -1, &h.wait_ms, err))
		return false;
	if (!act(&h, tool, &problem))
		dm_note("hook %s: %s", name, problem.msg);
	if (ctx->line->json)
		print_json(&h, name, &problem);
	else if (h.context != NULL)
		print_context(&h);
	dm_debug("hook %s: %s, %s", name, h.event != NULL ? h.event : "no event", h.action);
	hook_input_release(&h.input);
	claim_free(h.claim);
	free(h.context);
	session_free(h.s);
	return true;
}

static const struct cmd_opt opts[] = {
    {"wait", 0, "SECONDS", false, "wait until the service answers, at most this long"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_hook;
const struct cmd cmd_hook = {
    .name = "hook",
    .args = "TOOL [ARG...]",
    .max_args = 4,
    .summary = "what worktrunk, git, claude and others call; devmesh init sets it up",
    .help = "Reads what the tool says on standard input, where it says something. Whatever goes\n"
	    "wrong is said on standard error, and the exit status is 0: a hook never stops its\n"
	    "tool. DEVMESH=0 makes it do nothing.",
    .opts = opts,
    .without_session = true,
    .run = run,
};
