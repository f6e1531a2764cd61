/* SPDX-License-Identifier: MIT */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/paths.h"
#include "base/str.h"
#include "cmd.h"
#include "commands.h"
#include "out.h"
#include "register.h"
#include "share.h"

/* Takes one claim down and says so; the JSON goes into `list`. */
static bool
down_one(struct cmd_ctx *ctx, const struct claim *claim, cJSON *list, struct dm_err *err)
{
	struct unregister_result result;
	DM_AUTO_FREE char *commands = NULL;
	cJSON *o;

	/* first, or devmeshd would take its end for a failure */
	if (claim->uid == geteuid() && session_need_state_dir(ctx->session, err)) {
		commands = commands_dir(ctx->session);
		command_forget(commands, claim->id.s);
	}
	if (!unregister_service(ctx->session, claim, &result, err))
		return false;
	if (claim->uid == geteuid())
		share_forget(claim);
	if (result.still_listening != 0)
		dm_warn("pid %ld still listens on %s: its URL may go on answering until it ends",
		    (long)result.still_listening, claim->socket);
	if (!ctx->line->json) {
		dm_note("%s is down%s%s%s", claim->id.s,
		    result.ended_run != 0 ? "; its devmesh run has ended" : "",
		    result.removed_route ? "; its route is removed" : "",
		    result.removed_socket ? "; its stale socket is removed" : "");
		return true;
	}
	o = cJSON_CreateObject();
	out_add_claim(o, claim);
	(void)cJSON_AddBoolToObject(o, "removed_route", result.removed_route);
	(void)cJSON_AddBoolToObject(o, "removed_socket", result.removed_socket);
	(void)cJSON_AddNumberToObject(o, "still_listening", (double)result.still_listening);
	(void)cJSON_AddNumberToObject(o, "ended_run", (double)result.ended_run);
	(void)cJSON_AddItemToArray(list, o);
	return true;
}

/* What devmeshd was to run, and whose claim is gone: a restart of the machine takes the claims. */
static bool
forget_command(struct cmd_ctx *ctx, struct dm_err *err)
{
	const char *id = cmd_arg(ctx, 0);
	DM_AUTO_FREE char *dir = NULL;
	struct dm_err none;

	if (err->code != DM_NOT_FOUND || id == NULL || !slug_valid(id) ||
	    !session_need_state_dir(ctx->session, &none))
		return false;
	dir = commands_dir(ctx->session);
	if (!command_exists(dir, id))
		return false;
	command_forget(dir, id);
	dm_note("%s is not registered; how it is started is forgotten", id);
	return true;
}

/* The same for all of them, or for those of a worktree. */
struct forgetting {
	const char *dir, *worktree;
};

static void
forget_one(void *user, const char *id)
{
	const struct forgetting *f = user;
	struct dm_err ignored;
	dm_auto(command) c = command_load(f->dir, id, &ignored);

	if (f->worktree == NULL || (c != NULL && dm_path_inside(f->worktree, c->dir)))
		command_forget(f->dir, id);
}

static void
forget_commands(struct cmd_ctx *ctx, const char *worktree)
{
	DM_AUTO_FREE char *dir = NULL;
	struct dm_err err;

	if (!session_need_state_dir(ctx->session, &err))
		return;
	dir = commands_dir(ctx->session);
	commands_each(dir, forget_one, &(struct forgetting){dir, worktree});
}

/*
 * All claims of this user, or those of one worktree (NULL: of all); the first failure is reported,
 * the others are still tried.
 */
static bool
down_all(struct cmd_ctx *ctx, const char *worktree, cJSON *list, struct dm_err *err)
{
	DM_AUTO_FREE char *path = worktree == NULL ? NULL : dm_resolve(worktree, err);
	struct registry_claims claims;
	unsigned found = 0;
	bool ok = true;

	if ((worktree != NULL && path == NULL) || !session_need_registry(ctx->session, err) ||
	    !registry_scan(ctx->session->registry, &claims, err))
		return false;
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = claims.list[i];
		struct dm_err own;

		if (claim->is_alias || (path != NULL && strcmp(claim->worktree, path) != 0))
			continue;
		found++;
		if (!down_one(ctx, claim, list, &own) && ok) {
			*err = own;
			ok = false;
		}
	}
	registry_claims_free(&claims);
	forget_commands(ctx, path);
	if (path != NULL && found == 0)
		dm_note("nothing is registered for %s", path);
	return ok;
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;
	cJSON *o = out_object(), *list = cJSON_AddArrayToObject(o, "down");
	const char *worktree = cmd_value(ctx, "worktree");
	bool all = cmd_value(ctx, "all") != NULL, ok;

	if ((all || worktree != NULL) &&
	    (cmd_arg(ctx, 0) != NULL || cmd_value(ctx, "directory") != NULL))
		ok = dm_fail(err, DM_USAGE, "--all and --worktree go with neither an ID nor -C");
	else if (all && worktree != NULL)
		ok = dm_fail(err, DM_USAGE, "both --all and --worktree are given");
	else if (all || worktree != NULL)
		ok = down_all(ctx, worktree, list, err);
	else
		ok = cmd_claim(ctx, &claim, err) ? down_one(ctx, claim, list, err)
						 : forget_command(ctx, err);
	if (ok && ctx->line->json)
		out_json(o);
	else
		cJSON_Delete(o);
	return ok;
}

static const struct cmd_opt opts[] = {
    {"directory", 'C', "DIR", false, "act for the worktree DIR, which may be gone already"},
    {"worktree", 0, "DIR", false, "take down all services of the worktree DIR, if any"},
    {"all", 0, NULL, false, "take down all services of this user"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_down;
const struct cmd cmd_down = {
    .name = "down",
    .args = "[ID]",
    .max_args = 1,
    .summary = "remove the route, the claim and a leftover socket",
    .help = "A devmesh run that serves it is ended. Any other server that still listens is left\n"
	    "alone, with a warning.",
    .opts = opts,
    .run = run,
};
