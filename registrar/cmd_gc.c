/* SPDX-License-Identifier: MIT */
/* gc: clean-up by evidence. Nothing alive is touched, and nothing of others. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/sock.h"
#include "base/str.h"
#include "caddy/change.h"
#include "caddy/route.h"
#include "cmd.h"
#include "identity.h"
#include "out.h"
#include "register.h"
#include "runner.h"
#include "survey.h"

/*
 * Between two looks at a socket that refuses: a server that has bound it but does not listen yet
 * refuses as well, for a moment.
 */
enum {
	SECOND_LOOK_MS = 100
};

struct gc {
	struct cmd_ctx *ctx;
	struct session *s;
	bool dry_run;
	char *worktree; /* only what belongs to this one; NULL: everything */
	cJSON *removed;
	unsigned count;
};

static void
say(struct gc *gc, const char *kind, const char *what, const char *why)
{
	gc->count++;
	if (gc->ctx->line->json) {
		cJSON *o = cJSON_CreateObject();

		(void)cJSON_AddStringToObject(o, "kind", kind);
		(void)cJSON_AddStringToObject(o, "name", what);
		(void)cJSON_AddStringToObject(o, "reason", why);
		(void)cJSON_AddItemToArray(gc->removed, o);
		return;
	}
	(void)printf("%s %s %s: %s\n", gc->dry_run ? "would remove" : "removed", kind, what, why);
}

static bool
concerns(const struct gc *gc, const struct claim *claim)
{
	return gc->worktree == NULL || strcmp(claim->worktree, gc->worktree) == 0;
}

/* Whether a socket of this name is to be looked at: of one worktree, only those it has claimed. */
static bool
concerns_socket(const struct gc *gc, const char *id)
{
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	if (gc->worktree == NULL)
		return true;
	return registry_find(gc->s->registry, id, &claim, &ignored) && claim != NULL &&
	       concerns(gc, claim);
}

static bool
was_killed(const struct claim *claim)
{
	return !claim->is_alias && claim->uid == geteuid() && claim->run.runner.pid != 0 &&
	       !dm_proc_alive(&claim->run.runner);
}

/* Claims of worktrees that are gone, unless something still listens for them. */
static bool
collect_claims(struct gc *gc, const struct survey *survey, struct dm_err *err)
{
	bool ok = true;

	for (size_t i = 0; i < survey->count; i++) {
		const struct survey_row *row = &survey->rows[i];
		struct unregister_result result = {.removed_socket = false};
		struct dm_err own;

		if (row->state != SERVICE_ORPHAN || !concerns(gc, row->claim))
			continue;
		if (row->evidence.listening &&
		    !(was_killed(row->claim) && runner_end_leftovers(row->claim, true) > 0)) {
			dm_warn("%s is kept: its worktree %s is gone, but pid %ld still listens",
			    row->claim->id.s, row->claim->worktree, (long)row->pid);
			continue;
		}
		if (!gc->dry_run && !unregister_service(gc->s, row->claim, &result, &own)) {
			if (ok)
				*err = own;
			ok = false;
			continue;
		}
		say(gc, "claim", row->claim->id.s, "its worktree is gone");
		if (!gc->dry_run && result.removed_socket)
			say(gc, "socket", row->claim->socket, "nobody listens on it");
	}
	return ok;
}

/*
 * Claims of a devmesh run that was killed, and what it has left running. Where another server
 * listens by now, started by other means, the claim is that one's.
 */
static bool
collect_killed_runs(struct gc *gc, const struct survey *survey, struct dm_err *err)
{
	bool ok = true;

	for (size_t i = 0; i < survey->claims.count; i++) {
		const struct claim *claim = survey->claims.list[i];
		struct unregister_result result;
		struct dm_sock_info info;
		struct dm_err own;
		unsigned left;

		if (!was_killed(claim) || !concerns(gc, claim) || claim_worktree_gone(claim))
			continue;
		left = runner_end_leftovers(claim, gc->dry_run);
		if (left > 0)
			say(gc, "processes", claim->id.s, "a killed devmesh run had left them");
		if (claim->socket != NULL)
			dm_sock_probe(claim->socket, &info);
		if (claim->socket != NULL && info.state == DM_SOCK_LISTENING &&
		    (!gc->dry_run || left == 0))
			continue;
		if (!gc->dry_run && !unregister_service(gc->s, claim, &result, &own)) {
			if (ok)
				*err = own;
			ok = false;
			continue;
		}
		say(gc, "claim", claim->id.s, "its devmesh run was killed");
	}
	return ok;
}

/* Alias records whose claim no longer exists. */
static bool
collect_aliases(struct gc *gc, const struct survey *survey, struct dm_err *err)
{
	for (size_t i = 0; i < survey->claims.count; i++) {
		const struct claim *alias = survey->claims.list[i];
		dm_auto(claim) target = NULL;
		dm_auto(claim) dead = NULL;

		if (!alias->is_alias)
			continue;
		if (!registry_find(gc->s->registry, alias->alias_of.s, &target, err))
			return false;
		if (target != NULL)
			continue;
		/* releasing the claim that it led to releases it */
		dead = claim_dup(alias);
		dead->id = alias->alias_of;
		dead->app = alias->id;
		if (!gc->dry_run && !registry_release(gc->s->registry, dead, err))
			return false;
		say(gc, "alias", alias->id.s, "what it led to is gone");
	}
	return true;
}

struct suspect {
	char *path;
	struct dm_sock_info seen;
};

/* Sockets of ours that refuse at two looks. */
static bool
collect_sockets(struct gc *gc, struct dm_err *err)
{
	char **ids = NULL;
	size_t count = 0, suspects = 0;
	DM_AUTO_FREE struct suspect *list = NULL;
	bool ok = true;

	if (!registry_sockets(gc->s->registry, &ids, &count, err))
		return false;
	list = dm_calloc(count, sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		struct suspect *x = &list[suspects];

		x->path = registry_socket(gc->s->registry, ids[i]);
		dm_sock_probe(x->path, &x->seen);
		if (x->seen.state == DM_SOCK_REFUSED && x->seen.owner == geteuid() &&
		    !x->seen.is_link && concerns_socket(gc, ids[i]))
			suspects++;
		else
			free(x->path);
		free(ids[i]);
	}
	free(ids);
	if (suspects > 0)
		dm_pause_ms(SECOND_LOOK_MS);
	for (size_t i = 0; i < suspects; i++) {
		struct dm_sock_info now;
		bool removed = true;

		dm_sock_probe(list[i].path, &now);
		if (gc->dry_run)
			removed = now.state == DM_SOCK_REFUSED && now.ino == list[i].seen.ino;
		else if (!dm_sock_unlink_stale(list[i].path, &list[i].seen, &removed, err))
			ok = removed = false;
		if (removed)
			say(gc, "socket", list[i].path, "nobody listens on it");
		free(list[i].path);
	}
	return ok;
}

struct route_search {
	struct gc *gc;
	char **ids; /* of routes to remove */
	size_t count;
};

/*
 * Whether the route leads to the conventional socket of this registry, and nobody is there. Routes
 * to other directories, and to ports, may be those of another registry: their claims are there.
 */
static bool
is_dead(const struct gc *gc, const char *id, const char *dial)
{
	DM_AUTO_FREE char *path = registry_socket(gc->s->registry, id);
	struct dm_sock_info info;

	if (!dm_starts_with(dial, "unix/") || strcmp(dial + strlen("unix/"), path) != 0)
		return false;
	dm_sock_probe(path, &info);
	return (info.state == DM_SOCK_ABSENT && !info.is_link) ||
	       (info.state == DM_SOCK_REFUSED && info.owner == geteuid());
}

/* Routes that devmesh made, whose claim exists no more and whose upstream is dead. */
static void
consider_route(const struct cJSON *route, void *user)
{
	struct route_search *search = user;
	const char *id = route_id(route), *dial = route_dial(route);
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	if (id == NULL || dial == NULL || !slug_valid(id) || !route_is_ours(route, id))
		return;
	/* a record that cannot be read is another user's, and so may the route be */
	if (!registry_find(search->gc->s->registry, id, &claim, &ignored) || claim != NULL ||
	    !is_dead(search->gc, id, dial))
		return;
	search->ids = dm_reallocarray(search->ids, search->count + 1, sizeof(char *));
	search->ids[search->count++] = dm_strdup(id);
}

static bool
collect_routes(struct gc *gc, struct dm_err *err)
{
	struct route_search search = {.gc = gc};
	bool ok = true;

	if (!session_need_view(gc->s, err))
		return dm_wrap(err, "looking for routes that are left over");
	caddy_view_each_route(gc->s->view, consider_route, &search);
	for (size_t i = 0; i < search.count; i++) {
		unsigned removed = 1;

		if (ok && !gc->dry_run)
			ok = caddy_route_remove(gc->s->admin, search.ids[i], &removed, err);
		if (ok && removed > 0)
			say(gc, "route", search.ids[i], "no claim, and nobody listens");
		free(search.ids[i]);
	}
	free(search.ids);
	return ok;
}

static void
say_document(void *user, const char *path)
{
	say(user, "document", path, "no claim has it");
}

struct document_dirs {
	char **list;
	size_t count;
};

static void
add_dir(struct document_dirs *dirs, const char *dir)
{
	for (size_t i = 0; i < dirs->count; i++) {
		if (dir == NULL || strcmp(dirs->list[i], dir) == 0)
			return;
	}
	if (dir == NULL)
		return;
	dirs->list = dm_reallocarray(dirs->list, dirs->count + 1, sizeof(char *));
	dirs->list[dirs->count++] = dm_strdup(dir);
}

static void
add_route_dir(const struct cJSON *route, void *user)
{
	add_dir(user, route_identity_dir(route));
}

/* Identity documents of claims that are gone, wherever documents are known to be. */
static void
collect_documents(struct gc *gc, const struct survey *survey)
{
	DM_AUTO_FREE char *usual = identity_dir(gc->s, false);
	struct document_dirs dirs = {.count = 0};

	add_dir(&dirs, usual);
	for (size_t i = 0; i < survey->claims.count; i++)
		add_dir(&dirs, survey->claims.list[i]->identity);
	if (gc->s->view != NULL)
		caddy_view_each_route(gc->s->view, add_route_dir, &dirs);
	for (size_t i = 0; i < dirs.count; i++) {
		identity_sweep(gc->s->registry, dirs.list[i], gc->dry_run, say_document, gc);
		free(dirs.list[i]);
	}
	free(dirs.list);
}

/* What belongs to no worktree, or cannot be told to. */
static bool
collect_rest(struct gc *gc, const struct survey *survey, struct dm_err *err)
{
	unsigned temporary;
	bool ok;

	/* a claim that was just removed took its route along: look afresh */
	session_drop_view(gc->s);
	ok = collect_routes(gc, err);
	collect_documents(gc, survey);
	temporary = registry_sweep_temporary(gc->s->registry, gc->dry_run);
	if (temporary > 0)
		say(gc, "temporary", "files", "the processes that made them have died");
	return ok;
}

static bool
collect_all(struct gc *gc, struct dm_err *err)
{
	struct survey survey;
	struct dm_err first = {.code = DM_OK};

	if (!survey_take(gc->s, &survey, err))
		return false;
	/* each part does what it can, whatever became of the others */
	if (!collect_claims(gc, &survey, err))
		first = *err;
	if (!collect_killed_runs(gc, &survey, err) && first.code == DM_OK)
		first = *err;
	if (gc->worktree == NULL && !collect_aliases(gc, &survey, err) && first.code == DM_OK)
		first = *err;
	if (!collect_sockets(gc, err) && first.code == DM_OK)
		first = *err;
	if (gc->worktree == NULL && !collect_rest(gc, &survey, err) && first.code == DM_OK)
		first = *err;
	survey_release(&survey);
	*err = first;
	return first.code == DM_OK;
}

static bool
run(struct cmd_ctx *ctx, struct dm_err *err)
{
	cJSON *o = out_object();
	struct gc gc = {.ctx = ctx,
	    .s = ctx->session,
	    .dry_run = cmd_value(ctx, "dry-run") != NULL,
	    .removed = cJSON_AddArrayToObject(o, "removed")};
	const char *dir = cmd_value(ctx, "worktree");
	bool ok = (dir == NULL || (gc.worktree = dm_resolve(dir, err)) != NULL) &&
		  session_need_registry(ctx->session, err) && collect_all(&gc, err);

	free(gc.worktree);
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
