/* SPDX-License-Identifier: MIT */
/*
 * assert: a proof of which checkout answers. It follows the URL as a request goes: Caddy's answer
 * bears the id of the service; its socket or port leads to a process, this to a working
 * directory, and this to a worktree. Nothing on the way is taken from a record's word.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "answerer.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "caddy/http.h"
#include "cmd.h"
#include "out.h"
#include "repo/checkout.h"
#include "wait.h"

enum {
	WAIT_MS = 60000, /* of --wait without a number */
	REQUEST_MS = 10000,
	PAUSE_MS = 50,
	DIRTY_MS = 5000,
};

/* Strings and claims are owned. */
struct question {
	struct claim *claim; /* the service; NULL: a port that no service has */
	struct claim *front; /* the record whose URL is asked: the claim, or its alias */
	uint16_t port;	     /* a port of this machine is asked directly; 0: through Caddy */
	char *url;
	char *expected; /* worktree */
};

static void
question_release(struct question *q)
{
	claim_free(q->claim);
	claim_free(q->front);
	free(q->url);
	free(q->expected);
}

/* What a URL says; the host in lower case, without a final dot. */
struct address {
	char host[HOST_MAX + 1];
	uint16_t port; /* as given, else the scheme's */
};

static bool
parse_url(const char *url, struct address *out, struct dm_err *err)
{
	bool https = strncasecmp(url, "https://", 8) == 0;
	const char *host = strstr(url, "://") + 3, *rest;
	size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
	DM_AUTO_FREE char *digits = NULL;
	uint64_t port = https ? 443 : 80;

	if ((!https && strncasecmp(url, "http://", 7) != 0) || n == 0 || n > strlen(host) ||
	    n >= sizeof(out->host) || memchr(host, '@', strcspn(host, "/?#")) != NULL)
		return dm_fail(
		    err, DM_USAGE, "\"%.200s\" is not an http or https URL of a service", url);
	rest = host + n;
	digits = dm_strndup(rest + (*rest == ':' ? 1 : 0), strcspn(rest, "/?#") - (*rest == ':'));
	if (*rest == ':' && digits[0] != '\0' && !dm_parse_uint(digits, 1, UINT16_MAX, &port))
		return dm_fail(err, DM_USAGE, "\"%.200s\" has no valid port", url);
	for (size_t i = 0; i < n; i++)
		out->host[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] + 32) : host[i];
	out->host[n] = '\0';
	if (n > 1 && out->host[n - 1] == '.')
		out->host[n - 1] = '\0';
	out->port = (uint16_t)port;
	return true;
}

static bool
is_this_machine(const char *host)
{
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (dm_starts_with(host, "127.") && strspn(host, "0123456789.") == strlen(host));
}

/* The record, claim or alias, that has the host; NULL if there is none. The caller owns it. */
static bool
find_by_host(struct session *s, const char *host, struct claim **out, struct dm_err *err)
{
	DM_AUTO_FREE char *label = dm_strndup(host, strcspn(host, "."));

	*out = NULL;
	if (slug_valid(label) && !registry_find(s->registry, label, out, err))
		return false;
	if (*out != NULL && (*out)->host != NULL && strcmp((*out)->host, host) == 0)
		return true;
	claim_free(*out);
	*out = NULL;
	(void)dm_fail(err, DM_NOT_FOUND, "no service has the host name %s", host);
	return dm_hint(err, "devmesh list shows those that exist; devmesh up registers a worktree");
}

/*
 * The worktree that a person means without saying so: that of the directory, if it is one; else
 * NULL. The caller owns it.
 */
static bool
worktree_here(const struct cmd_ctx *ctx, char **out, struct dm_err *err)
{
	const char *dir = cmd_value(ctx, "directory");
	struct name_flags flags = {.dir = dir};
	dm_auto(repo) repo = repo_open(dir != NULL ? dir : ".", err);
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	*out = NULL;
	if (repo == NULL)
		return false;
	/* a plain directory counts if it was asked for, or has a service */
	if (repo->is_git || dir != NULL ||
	    session_claim(ctx->session, NULL, &flags, &claim, &ignored))
		*out = dm_strdup(repo->worktree);
	return true;
}

/* Which claim, if any, has the port: rather one of the expected worktree. */
static bool
find_by_port(struct session *s, struct question *q, struct dm_err *err)
{
	struct registry_claims claims;

	if (!registry_scan(s->registry, &claims, err))
		return false;
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *c = claims.list[i];

		if (c->is_alias || (c->port != q->port && c->run.port != q->port) ||
		    (q->expected != NULL && strcmp(c->worktree, q->expected) != 0))
			continue;
		claim_free(q->claim);
		q->claim = claim_dup(c);
	}
	registry_claims_free(&claims);
	if (q->expected == NULL && q->claim != NULL)
		q->expected = dm_strdup(q->claim->worktree);
	if (q->expected != NULL)
		return true;
	(void)dm_fail(err, DM_NOT_FOUND,
	    "no service has port %u, and this directory is no worktree: nothing says which one "
	    "should answer",
	    (unsigned)q->port);
	return dm_hint(err, "run it in the worktree, or give it: -C DIR");
}

/* The URL belongs to another worktree than the one that should answer. */
static bool
fail_other(const struct question *q, struct dm_err *err)
{
	(void)dm_fail(err, DM_CONFLICT, "%s belongs to %s, of the worktree %s%s%s, not to %s",
	    q->url, q->claim->id.s, q->claim->worktree, q->claim->branch != NULL ? ", branch " : "",
	    q->claim->branch != NULL ? q->claim->branch : "", q->expected);
	return dm_hint(err, "the URL of a worktree: devmesh url -C '%s'", q->expected);
}

static bool
ask_about_url(const struct cmd_ctx *ctx, const char *url, struct question *q, struct dm_err *err)
{
	struct session *s = ctx->session;
	struct address address = {.port = 0};

	if (!parse_url(url, &address, err) || !session_need_registry(s, err) ||
	    !worktree_here(ctx, &q->expected, err))
		return false;
	if (is_this_machine(address.host)) {
		q->port = address.port;
		q->url = dm_strdup(url);
		return find_by_port(s, q, err);
	}
	if (!find_by_host(s, address.host, &q->front, err) || q->front == NULL)
		return false;
	if (!q->front->is_alias)
		q->claim = claim_dup(q->front);
	else if (!registry_find(s->registry, q->front->alias_of.s, &q->claim, err))
		return false;
	if (q->claim == NULL)
		return dm_fail(err, DM_NOT_FOUND, "%s leads to %s, which is no more",
		    q->front->host, q->front->alias_of.s);
	q->url = dm_strdup(q->front->url != NULL ? q->front->url : url);
	/* in a submodule, say: its worktree is the claim's */
	if (q->expected == NULL || checkout_contains(q->claim->worktree, q->expected)) {
		free(q->expected);
		q->expected = dm_strdup(q->claim->worktree);
	}
	return strcmp(q->claim->worktree, q->expected) == 0 || fail_other(q, err);
}

static bool
get_question(struct cmd_ctx *ctx, struct question *q, struct dm_err *err)
{
	const char *arg = cmd_arg(ctx, 0);

	if (arg != NULL && strstr(arg, "://") != NULL)
		return ask_about_url(ctx, arg, q, err);
	if (!cmd_claim(ctx, &q->claim, err))
		return false;
	if (q->claim->url == NULL)
		return dm_fail(
		    err, DM_FAILED, "the record of %s has no URL; run devmesh up", q->claim->id.s);
	q->front = claim_dup(q->claim);
	q->url = dm_strdup(q->claim->url);
	q->expected = dm_strdup(q->claim->worktree);
	return true;
}

static void
look(const struct question *q, struct answerer *out)
{
	if (q->port != 0)
		answerer_of_port(q->port, q->claim, q->expected, out);
	else
		answerer_find(q->claim, q->expected, NULL, NULL, out);
}

static bool
fail_nobody(const struct question *q, const struct answerer *answerer, struct dm_err *err)
{
	DM_AUTO_FREE char *where = q->port != 0	      ? dm_asprintf("port %u", (unsigned)q->port)
				   : answerer->bridge ? dm_strdup("what devmesh run leads to")
						      : claim_dial(q->claim);

	(void)dm_fail(
	    err, DM_UNREACHABLE, "nothing answers at %s: nothing listens on %s", q->url, where);
	return dm_hint(err, "start the server in %s; --wait=30 waits for it", q->expected);
}

/* What the process at the end of the way is, in words. */
static bool
judge(const struct question *q, const struct answerer *answerer, struct dm_err *err)
{
	long pid = (long)answerer->pid;

	switch (answerer->kind) {
	case ANSWERER_OWN:
		return true;
	case ANSWERER_NONE:
		return fail_nobody(q, answerer, err);
	case ANSWERER_FOREIGN:
		(void)dm_fail(err, DM_CONFLICT,
		    "another checkout answers at %s: pid %ld runs in %s, not in %s", q->url, pid,
		    answerer->worktree, q->expected);
		return dm_hint(err, "end that process, then start the server in %s", q->expected);
	case ANSWERER_UNKNOWN:
		break;
	}
	if (pid == 0)
		(void)dm_fail(err, DM_CONFLICT,
		    "it cannot be proven that %s answers at %s: the process that listens is not "
		    "to be seen (of another user, or in a container)",
		    q->expected, q->url);
	else
		(void)dm_fail(err, DM_CONFLICT,
		    "it cannot be proven that %s answers at %s: the working directory of pid %ld "
		    "says nothing (%s)",
		    q->expected, q->url, pid,
		    answerer->cwd != NULL ? answerer->cwd : "removed, or not to be seen");
	return dm_hint(
	    err, "start the server in %s, as the same user; or by devmesh run", q->expected);
}

/* Whether a request for the URL comes to this service: only Caddy can say. */
static bool
ask_caddy(const struct question *q, struct http *http, struct dm_err *err)
{
	switch (wait_ask(http, q->front, REQUEST_MS, err)) {
	case WAIT_SERVICE:
		return true;
	case WAIT_NOBODY:
		(void)dm_wrap(err, "nothing answers at %s", q->url);
		err->code = DM_UNREACHABLE;
		return dm_hint(err, "devmesh status shows the states; devmesh up registers anew");
	case WAIT_OTHER:
		(void)dm_wrap(err, "%s should lead to %s", q->url, q->expected);
		err->code = DM_CONFLICT;
		return dm_hint(err, "devmesh up registers it anew");
	case WAIT_UNMARKED:
		break;
	}
	(void)dm_fail(err, DM_CONFLICT,
	    "it cannot be proven that %s answers at %s: Caddy's answer bears no X-Devmesh-Id",
	    q->expected, q->url);
	return dm_hint(err, "devmesh up registers it anew; a mesh route of your own has to set "
			    "that header (examples/caddy/Caddyfile)");
}

/* One try. The process is looked for before and after the request: it must have been the one. */
static bool
prove(const struct question *q, struct http *http, struct answerer *out, struct dm_err *err)
{
	ANSWERER_AUTO struct answerer before = {.kind = ANSWERER_NONE};

	look(q, &before);
	if (before.kind == ANSWERER_NONE)
		return fail_nobody(q, &before, err);
	if (q->port == 0 && !ask_caddy(q, http, err))
		return false;
	look(q, out);
	if (!judge(q, out, err))
		return false;
	if (out->pid != before.pid)
		return dm_fail(err, DM_CONFLICT,
		    "the server at %s was just replaced: pid %ld by pid %ld", q->url,
		    (long)before.pid, (long)out->pid);
	return true;
}

static bool
prove_within(const struct question *q, int64_t wait_ms, struct answerer *out, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + wait_ms;
	dm_auto(http) http = q->port != 0 ? NULL : http_new(err);

	if (http == NULL && q->port == 0)
		return false;
	while (!prove(q, http, out, err)) {
		if (dm_now_ms() + PAUSE_MS > deadline)
			return false;
		answerer_release(out);
		dm_pause_ms(PAUSE_MS);
	}
	return true;
}

static void
print_proof(const struct cmd_ctx *ctx, const struct question *q, const struct answerer *answerer)
{
	DM_AUTO_FREE char *commit = checkout_commit(q->expected);
	DM_AUTO_FREE char *worktree = dm_printable(q->expected);
	struct dm_err ignored;
	dm_auto(repo) repo = repo_open(q->expected, &ignored);
	DM_AUTO_FREE char *branch =
	    repo == NULL || repo->branch == NULL ? NULL : dm_printable(repo->branch);
	enum checkout_changes changes;
	cJSON *o;

	if (!ctx->line->json) {
		(void)printf("%s branch %s commit %.12s pid %ld %s\n", worktree,
		    branch == NULL ? "-" : branch, commit == NULL ? "-" : commit,
		    (long)answerer->pid, q->url);
		return;
	}
	changes = checkout_changes(q->expected, DIRTY_MS);
	o = out_object();
	out_add_text(o, "id", q->claim == NULL ? NULL : q->claim->id.s);
	out_add_text(o, "url", q->url);
	out_add_text(o, "expected", q->expected);
	out_add_text(o, "actual", answerer->worktree);
	out_add_text(o, "cwd", answerer->cwd);
	(void)cJSON_AddNumberToObject(o, "pid", (double)answerer->pid);
	out_add_text(o, "branch", branch);
	out_add_text(o, "commit", commit);
	(void)cJSON_AddItemToObject(o, "dirty",
	    changes == CHECKOUT_UNKNOWN ? cJSON_CreateNull()
					: cJSON_CreateBool(changes == CHECKOUT_DIRTY));
	out_json(o);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	ANSWERER_AUTO struct answerer answerer = {.kind = ANSWERER_NONE};
	struct question q = {.claim = NULL};
	int64_t wait_ms = 0;
	bool ok =
	    cmd_value(ctx, "wait") == NULL || cmd_seconds(ctx, "wait", WAIT_MS, &wait_ms, err);

	ok = ok && get_question(ctx, &q, err) && prove_within(&q, wait_ms, &answerer, err);
	if (ok)
		print_proof(ctx, &q, &answerer);
	question_release(&q);
	return ok;
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"wait", 0, "SECONDS", true, "try again for this long (default 60)"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_assert;
const struct cmd cmd_assert = {
    .name = "assert",
    .args = "[URL|ID]",
    .max_args = 1,
    .summary = "succeed only if the worktree's own server answers",
    .help = "Follows the URL through Caddy to the process that answers, and its working directory\n"
	    "to a worktree. Without an argument, and for an ID, that must be the service's own\n"
	    "worktree; for a URL (also http://localhost:PORT) the one of the current directory.\n"
	    "Exits with 4 if another checkout answers, or it cannot be proven, 5 if nothing does.",
    .opts = opts,
    .run = run,
};
