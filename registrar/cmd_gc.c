/* SPDX-License-Identifier: MIT */
/* gc: clean-up by evidence. Nothing alive is touched, and nothing of others. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/paths.h"
#include "cmd.h"
#include "mend.h"
#include "out.h"

struct gc {
	bool json, dry_run;
	cJSON *removed;
	unsigned count;
};

static void
say(void *user, const struct mend *mend)
{
	struct gc *gc = user;
	cJSON *o;

	gc->count++;
	if (!gc->json) {
		(void)printf("%s %s %s: %s\n", gc->dry_run ? "would remove" : "removed", mend->kind,
		    mend->name, mend->reason);
		return;
	}
	o = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(o, "kind", mend->kind);
	(void)cJSON_AddStringToObject(o, "name", mend->name);
	(void)cJSON_AddStringToObject(o, "reason", mend->reason);
	(void)cJSON_AddItemToArray(gc->removed, o);
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	cJSON *o = out_object();
	struct gc gc = {.json = ctx->line->json,
	    .dry_run = cmd_value(ctx, "dry-run") != NULL,
	    .removed = cJSON_AddArrayToObject(o, "removed")};
	const char *dir = cmd_value(ctx, "worktree");
	DM_AUTO_FREE char *worktree = dir == NULL ? NULL : dm_resolve(dir, err);
	const struct mend_options options = {
	    .dry_run = gc.dry_run, .worktree = worktree, .say = say, .user = &gc};
	bool ok = (dir == NULL || worktree != NULL) && mend_clean_up(ctx->session, &options, err);

	if (!ok || !ctx->line->json) {
		cJSON_Delete(o);
		if (ok && gc.count == 0)
			dm_note("nothing to clean up");
		return ok;
	}
	(void)cJSON_AddBoolToObject(o, "dry_run", gc.dry_run);
	out_json(o);
	return true;
}

static const struct cmd_opt opts[] = {
    {"dry-run", 0, NULL, false, "only say what would be removed"},
    {"worktree", 0, "DIR", false, "only what the worktree DIR has left, which may be gone"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_gc;
const struct cmd cmd_gc = {
    .name = "gc",
    .args = "",
    .summary = "remove stale sockets, and claims and routes of worktrees that are gone",
    .help =
	"Removes only what is yours and certainly dead: sockets that refuse connections twice,\n"
	"claims whose worktree does not exist any more and for which nothing listens, and routes\n"
	"of devmesh to a socket of this registry that has neither a claim nor a listener, and\n"
	"identity documents of services that are no more. What a devmesh run that was killed has\n"
	"left, processes included, is taken back in its place.",
    .opts = opts,
    .run = run,
};
