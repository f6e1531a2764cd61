/* SPDX-License-Identifier: MIT */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "base/str.h"
#include "cmd.h"
#include "identity.h"
#include "mend.h"
#include "out.h"
#include "register.h"
#include "wait.h"

enum {
	WAIT_MS = 60000
};

static bool
get_request(const struct cmd_ctx *ctx, struct register_request *request, struct dm_err *err)
{
	const char *port = cmd_value(ctx, "port");
	uint64_t number = 0;

	request->name = cmd_name_flags(ctx);
	request->socket = cmd_value(ctx, "socket");
	request->force = cmd_value(ctx, "force") != NULL;
	request->dry_run = cmd_value(ctx, "dry-run") != NULL;
	if (port != NULL && request->socket != NULL)
		return dm_fail(
		    err, DM_USAGE, "both --port and --socket are given: a service has one");
	if (port != NULL && !dm_parse_uint(port, 1, UINT16_MAX, &number)) {
		(void)dm_fail(err, DM_USAGE, "--port: \"%.40s\" is not a TCP port", port);
		return dm_hint(err, "a number from 1 to 65535");
	}
	request->port = (uint16_t)number;
	return true;
}

/* Other claims that this one should be seen beside: of the same worktree, or the same port. */
static void
mention_others(struct session *s, const struct claim *claim)
{
	struct registry_claims claims;
	struct dm_err ignored;

	if (!registry_scan(s->registry, &claims, &ignored))
		return;
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *other = claims.list[i];
		bool same = strcmp(other->worktree, claim->worktree) == 0;

		if (other->is_alias || strcmp(other->id.s, claim->id.s) == 0)
			continue;
		if (same)
			dm_note("this worktree also holds %s; if that is over: devmesh down %s",
			    other->id.s, other->id.s);
		else if (claim->port != 0 && other->port == claim->port)
			dm_warn("port %u is also registered as %s, by the worktree %s",
			    (unsigned)claim->port, other->id.s, other->worktree);
	}
	registry_claims_free(&claims);
}

/* Whether something listens, and if not, what to start. */
static void
mention_listener(const struct claim *claim)
{
	struct dm_sock_info info;

	if (claim->port != 0) {
		if (!dm_tcp_listening(claim->port))
			dm_note(
			    "start the server of this worktree on port %u", (unsigned)claim->port);
		return;
	}
	dm_sock_probe(claim->socket, &info);
	if (info.state == DM_SOCK_LISTENING)
		dm_warn("pid %ld already listens on %s: the URL leads there until it ends",
		    (long)info.pid, claim->socket);
	else
		dm_note("start the server of this worktree on %s", claim->socket);
}

static void
note_reload(void)
{
	dm_note("Caddy's configuration was changed; its reload may have closed WebSockets");
}

/* What a person is told beside the URL. */
static void
comment(
    struct session *s, const struct register_result *result, const struct register_request *request)
{
	const struct claim *claim = result->claim;

	if (result->alias_url != NULL)
		dm_debug("also at %s", result->alias_url);
	if (result->removed_socket)
		dm_note("removed the stale socket %s", claim->socket);
	if (request->port == 0 && claim->port != 0)
		dm_note("it stays with port %u; devmesh down takes it back", (unsigned)claim->port);
	if (result->wrote_route)
		note_reload();
	if (result->claimed || result->wrote_route)
		mention_listener(claim);
	/* that takes a look at every record: 12 ms for a thousand, too much for a script */
	if (request->port != 0 || (result->claimed && isatty(STDERR_FILENO)))
		mention_others(s, claim);
}

static void
print_plan(const struct register_result *result)
{
	DM_AUTO_FREE char *dial = claim_dial(result->claim);
	const struct claim *claim = result->claim;
	DM_AUTO_FREE char *worktree = dm_printable(claim->worktree);

	(void)printf("would %s the name %s for %s\n", result->claimed ? "claim" : "keep",
	    claim->id.s, worktree);
	if (result->wrote_route)
		(void)printf("would %s %s\n",
		    claim->registration == CLAIM_MESH ? "remove Caddy's own route for"
						      : "write a route to Caddy:",
		    claim->id.s);
	else
		(void)puts("would leave Caddy's configuration as it is");
	if (result->removed_socket)
		(void)printf("would remove the stale socket %s\n", claim->socket);
	(void)printf("%s would lead to %s\n", claim->url, dial);
}

static void
print_json(const struct register_result *result, bool dry_run)
{
	cJSON *o = out_object();

	(void)cJSON_AddBoolToObject(o, "dry_run", dry_run);
	(void)cJSON_AddBoolToObject(o, "claimed", result->claimed);
	(void)cJSON_AddBoolToObject(o, "wrote_route", result->wrote_route);
	(void)cJSON_AddBoolToObject(o, "removed_socket", result->removed_socket);
	out_add_claim(o, result->claim);
	out_add_text(o, "alias_url", result->alias_url);
	out_json(o);
}

struct restoring {
	bool json, dry_run;
	cJSON *changes;
	unsigned count;
};

static void
say_restored(void *user, const struct mend *mend)
{
	struct restoring *r = user;
	cJSON *o;

	r->count++;
	if (!r->json) {
		(void)printf("%s %s %s%s: %s\n", mend->kind, mend->name,
		    r->dry_run ? "would be " : "", mend->what, mend->reason);
		return;
	}
	o = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(o, "what", mend->what);
	(void)cJSON_AddStringToObject(o, "kind", mend->kind);
	(void)cJSON_AddStringToObject(o, "name", mend->name);
	(void)cJSON_AddStringToObject(o, "reason", mend->reason);
	(void)cJSON_AddItemToArray(r->changes, o);
}

/* --all: what Caddy has lost, of every worktree. */
static bool
restore(struct cmd_ctx *ctx, struct dm_err *err)
{
	static const char *const others[] = {
	    "directory", "app", "id", "socket", "port", "wait", "force"};
	struct restoring r = {
	    .json = ctx->line->json, .dry_run = cmd_value(ctx, "dry-run") != NULL};
	const struct mend_options options = {.dry_run = r.dry_run, .say = say_restored, .user = &r};
	cJSON *o;
	bool ok;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (cmd_value(ctx, others[i]) != NULL)
			return dm_fail(err, DM_USAGE,
			    "--all is for all worktrees: --%s does not go with it", others[i]);
	}
	o = out_object();
	(void)cJSON_AddBoolToObject(o, "dry_run", r.dry_run);
	r.changes = cJSON_AddArrayToObject(o, "changes");
	ok = mend_caddy(ctx->session, &options, err);
	if (ok && r.json) {
		out_json(o);
		return true;
	}
	cJSON_Delete(o);
	if (ok && r.count == 0)
		dm_note("Caddy has lost nothing");
	else if (r.count > 0 && !r.dry_run)
		note_reload();
	return ok;
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct register_request request = {.port = 0};
	struct register_result result;
	int64_t wait_ms;
	bool ok = true;

	if (cmd_value(ctx, "all") != NULL)
		return restore(ctx, err);
	if (!get_request(ctx, &request, err) || !cmd_seconds(ctx, "wait", WAIT_MS, &wait_ms, err) ||
	    !register_service(ctx->session, &request, &result, err))
		return false;
	if (!request.dry_run) {
		comment(ctx->session, &result, &request);
		if (cmd_value(ctx, "wait") != NULL) {
			ok = wait_for_service(result.claim, wait_ms, NULL, err);
			if (ok) /* now that it is known who serves it */
				(void)identity_publish(ctx->session->registry, result.claim);
		}
	}
	if (ok && ctx->line->json)
		print_json(&result, request.dry_run);
	else if (ok && request.dry_run)
		print_plan(&result);
	else if (ok)
		(void)puts(result.claim->url);
	register_result_release(&result);
	return ok;
}

static const struct cmd_opt opts[] = {
    CMD_OPT_DIRECTORY,
    {"app", 0, "NAME", false, "name of the app, before DEVMESH_APP and .id"},
    {"id", 0, "ID", false, "the whole name; a conflict is an error then"},
    {"socket", 0, "PATH", false, "lead the URL to this Unix socket"},
    {"port", 0, "N", false, "lead the URL to this TCP port of this machine"},
    {"wait", 0, "SECONDS", true, "return when something answers at the URL (default 60)"},
    {"force", 0, NULL, false, "take the name over from another worktree of yours"},
    {"all", 0, NULL, false, "put back what Caddy has lost, of all your services, at once"},
    {"dry-run", 0, NULL, false, "only say what would be done"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_up;
const struct cmd cmd_up = {
    .name = "up",
    .args = "",
    .summary = "register this worktree and print its URL",
    .help =
	"Claims the name <app>-<branch>, sees to it that Caddy leads its URL to the socket\n"
	"<sockets.dir>/<app>-<branch>.sock, and prints the URL. Doing it again changes nothing.\n"
	"\n"
	"With --all it registers nothing new: the routes of all your services that Caddy has "
	"lost,\n"
	"by a restart or a new configuration, are put back in one write.",
    .opts = opts,
    .run = run,
};
