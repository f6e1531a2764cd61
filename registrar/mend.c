/* SPDX-License-Identifier: MIT */
/* Clean-up by evidence. Nothing alive is touched, and nothing of others. */
#include "mend.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/str.h"
#include "caddy/route.h"
#include "identity.h"
#include "mend_impl.h"
#include "register.h"
#include "runner.h"
#include "share.h"
#include "survey.h"

/*
 * Between two looks at a socket that refuses: a server that has bound it but does not listen yet
 * refuses as well, for a moment.
 */
enum {
	SECOND_LOOK_MS = 100
};

void
mend_tell(const struct mend_run *run, const char *what, const char *kind, const char *name,
    const char *reason)
{
	const struct mend mend = {.what = what, .kind = kind, .name = name, .reason = reason};

	if (run->options->say != NULL)
		run->options->say(run->options->user, &mend);
}

void
mend_failed(struct mend_run *run, const struct dm_err *err)
{
	if (run->first.code == DM_OK)
		run->first = *err;
}

bool
mend_end(const struct mend_run *run, struct dm_err *err)
{
	if (run->first.code == DM_OK)
		return true;
	*err = run->first;
	return false;
}

bool
mend_concerns(const struct mend_run *run, const struct claim *claim)
{
	const struct mend_options *o = run->options;

	return (o->worktree == NULL || strcmp(claim->worktree, o->worktree) == 0) &&
	       (o->may == NULL || o->may(claim, o->user));
}

bool
mend_was_killed(const struct claim *claim)
{
	return !claim->is_alias && claim->uid == geteuid() && claim->run.runner.pid != 0 &&
	       !dm_proc_alive(&claim->run.runner);
}

/* Whether a socket of this name is to be looked at: of one worktree, only those it has claimed. */
static bool
concerns_socket(const struct mend_run *run, const char *id)
{
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	if (!registry_find(run->s->registry, id, &claim, &ignored) || claim == NULL)
		return run->options->worktree == NULL && !run->options->keep_sockets;
	return mend_concerns(run, claim);
}

/* Claims that are to be removed. */
struct doomed {
	const struct claim **claims; /* borrowed from the survey */
	const char **reasons;
	size_t count;
};

static void
doom(struct doomed *doomed, const struct claim *claim, const char *reason)
{
	doomed->claims[doomed->count] = claim;
	doomed->reasons[doomed->count++] = reason;
}

/* Claims of worktrees that are gone, unless something still listens for them. */
static void
find_orphans(const struct mend_run *run, const struct survey *survey, struct doomed *doomed)
{
	for (size_t i = 0; i < survey->count; i++) {
		const struct survey_row *row = &survey->rows[i];

		if (row->state != SERVICE_ORPHAN || row->claim->pinned ||
		    !mend_concerns(run, row->claim))
			continue;
		if (service_answers(&row->evidence) &&
		    !(mend_was_killed(row->claim) && runner_end_leftovers(row->claim, true) > 0))
			dm_warn("%s is kept: its worktree %s is gone, but pid %ld still listens",
			    row->claim->id.s, row->claim->worktree, (long)row->pid);
		else
			doom(doomed, row->claim, "its worktree is gone");
	}
}

/*
 * Claims of a devmesh run that was killed, and what it has left running. Where another server
 * listens by now, started by other means, the claim is that one's.
 */
static void
find_killed_runs(const struct mend_run *run, const struct survey *survey, struct doomed *doomed)
{
	bool dry_run = run->options->dry_run;

	for (size_t i = 0; i < survey->claims.count; i++) {
		const struct claim *claim = survey->claims.list[i];
		struct dm_sock_info info = {.state = DM_SOCK_ABSENT};
		unsigned left;

		if (!mend_was_killed(claim) || !mend_concerns(run, claim) ||
		    claim_worktree_gone(claim))
			continue;
		left = runner_end_leftovers(claim, dry_run);
		if (left > 0)
			mend_tell(run, "ended", "processes", claim->id.s,
			    "a killed devmesh run had left them");
		if (claim->socket != NULL)
			dm_sock_probe(claim->socket, &info);
		if (info.state == DM_SOCK_UNKNOWN)
			continue;
		if (!claim->pinned && (info.state != DM_SOCK_LISTENING || (dry_run && left > 0)))
			doom(doomed, claim, "its devmesh run was killed");
	}
}

/* One by one, without their routes: those are gone by now. */
static void
remove_claims(struct mend_run *run, const struct doomed *doomed)
{
	for (size_t i = 0; i < doomed->count; i++) {
		const struct claim *claim = doomed->claims[i];
		struct unregister_result result = {.removed_socket = false};
		struct dm_err err;

		if (!run->options->dry_run && !unregister_service(run->s, claim, &result, &err)) {
			mend_failed(run, &err);
			continue;
		}
		if (!run->options->dry_run && claim_worktree_gone(claim))
			share_forget(claim);
		mend_tell(run, "removed", "claim", claim->id.s, doomed->reasons[i]);
		if (result.removed_socket)
			mend_tell(run, "removed", "socket", claim->socket, "nobody listens on it");
	}
}

/* Alias records whose claim no longer exists. */
static bool
clean_aliases(struct mend_run *run, const struct survey *survey, struct dm_err *err)
{
	for (size_t i = 0; i < survey->claims.count; i++) {
		const struct claim *alias = survey->claims.list[i];
		dm_auto(claim) target = NULL;
		dm_auto(claim) dead = NULL;

		if (!alias->is_alias)
			continue;
		if (!registry_find(run->s->registry, alias->alias_of.s, &target, err))
			return false;
		if (target != NULL)
			continue;
		/* releasing the claim that it led to releases it */
		dead = claim_dup(alias);
		dead->id = alias->alias_of;
		dead->app = alias->id;
		if (!run->options->dry_run && !registry_release(run->s->registry, dead, err))
			return false;
		mend_tell(run, "removed", "alias", alias->id.s, "what it led to is gone");
	}
	return true;
}

struct suspect {
	char *path;
	struct dm_sock_info seen;
};

/* Sockets of ours that refuse at two looks. */
static bool
clean_sockets(struct mend_run *run, struct dm_err *err)
{
	char **ids = NULL;
	size_t count = 0, suspects = 0;
	DM_AUTO_FREE struct suspect *list = NULL;
	bool ok = true;

	if (!registry_sockets(run->s->registry, &ids, &count, err))
		return false;
	list = dm_calloc(count, sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		struct suspect *x = &list[suspects];

		x->path = registry_socket(run->s->registry, ids[i]);
		dm_sock_probe(x->path, &x->seen);
		if (x->seen.state == DM_SOCK_REFUSED && x->seen.owner == geteuid() &&
		    !x->seen.is_link && concerns_socket(run, ids[i]))
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
		if (run->options->dry_run)
			removed = now.state == DM_SOCK_REFUSED && now.ino == list[i].seen.ino;
		else if (!dm_sock_unlink_stale(list[i].path, &list[i].seen, &removed, err))
			ok = removed = false;
		if (removed)
			mend_tell(run, "removed", "socket", list[i].path, "nobody listens on it");
		free(list[i].path);
	}
	return ok;
}

static void
say_document(void *user, const char *path)
{
	mend_tell(user, "removed", "document", path, "no claim has it");
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
clean_documents(struct mend_run *run, const struct survey *survey)
{
	DM_AUTO_FREE char *usual = identity_dir(run->s, false);
	struct document_dirs dirs = {.count = 0};

	add_dir(&dirs, usual);
	for (size_t i = 0; i < survey->claims.count; i++)
		add_dir(&dirs, survey->claims.list[i]->identity);
	if (run->s->view != NULL)
		caddy_view_each_route(run->s->view, add_route_dir, &dirs);
	for (size_t i = 0; i < dirs.count; i++) {
		identity_sweep(
		    run->s->registry, dirs.list[i], run->options->dry_run, say_document, run);
		free(dirs.list[i]);
	}
	free(dirs.list);
}

/* What belongs to no worktree, or cannot be told to. */
static void
clean_rest(struct mend_run *run, const struct survey *survey)
{
	struct dm_err ignored;
	unsigned temporary;

	/* routes tell where documents are */
	if (!session_need_view(run->s, &ignored))
		dm_debug("%s", ignored.msg);
	clean_documents(run, survey);
	temporary = registry_sweep_temporary(run->s->registry, run->options->dry_run);
	if (temporary > 0)
		mend_tell(
		    run, "removed", "temporary", "files", "the processes that made them have died");
}

/*
 * Each part does what it can, whatever became of the others. The routes of all claims that are
 * removed go first, with those that are dead: in one write.
 */
static void
clean_all(struct mend_run *run, const struct survey *survey)
{
	bool everything = run->options->worktree == NULL;
	DM_AUTO_FREE const struct claim **claims =
	    dm_calloc(survey->claims.count, sizeof(const struct claim *));
	DM_AUTO_FREE const char **reasons = dm_calloc(survey->claims.count, sizeof(*reasons));
	struct doomed doomed = {.claims = claims, .reasons = reasons};
	struct mend_route_wants wants = {.dead = everything && !run->options->keep_routes};
	struct mend_told *told = NULL;
	struct dm_err err;

	find_orphans(run, survey, &doomed);
	find_killed_runs(run, survey, &doomed);
	wants.doomed = doomed.claims;
	wants.doomed_count = doomed.count;
	if (wants.dead || wants.doomed_count > 0)
		told = mend_routes(run, &wants);
	remove_claims(run, &doomed);
	if (everything && !clean_aliases(run, survey, &err))
		mend_failed(run, &err);
	if (!clean_sockets(run, &err))
		mend_failed(run, &err);
	if (told != NULL)
		mend_routes_tell(run, told);
	if (everything)
		clean_rest(run, survey);
}

bool
mend_clean_up(struct session *s, const struct mend_options *options, struct dm_err *err)
{
	struct mend_run run = {.s = s, .options = options};
	struct survey survey;

	session_drop_view(s);
	if (!survey_take(s, &survey, err))
		return false;
	clean_all(&run, &survey);
	survey_release(&survey);
	return mend_end(&run, err);
}
