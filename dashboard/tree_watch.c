/* SPDX-License-Identifier: MIT */
#include "tree_watch.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon.h"
#include "events.h"
#include "finder.h"
#include "identity.h"
#include "mender.h"
#include "repo/layout.h"
#include "services.h"
#include "state.h"
#include "timer.h"
#include "watch.h"
#include "workers.h"

enum {
	REPO_MS = 50,	  /* what git does in one go is looked at together */
	AGAIN_MS = 1000,  /* after a list that failed */
	DETAIL_MS = 1000, /* the same before git is asked */
	DETAIL_JOB_MS = 20000,
	DETAIL_OLD_MS = 600 * 1000,
	REPOS_MAX = 200,
	CHOOSE_FDS = 8, /* that it takes at most at a time to find out whose repository it is */
};

/* One worktree, as it was last listed. */
struct tree {
	struct worktree info;
	struct worktree_detail detail;
	bool has_detail, wants_detail;
	int64_t detail_ms; /* when it was found out */
	bool counted;
};

/* One repository. */
struct repository {
	char *common_dir, *worktrees_dir;
	struct tree *trees;
	size_t count;
	bool wanted;  /* something of ours is in it */
	bool changed; /* a hint has come */
};

struct tree_watch {
	struct daemon *d;
	struct event *list_timer, *detail_timer;
	struct repository **repos;
	size_t repo_count;

	bool asking; /* a worker looks at a worktree */
	char *asked_path;
};

static void on_list(evutil_socket_t fd, short what, void *user);
static void on_detail(evutil_socket_t fd, short what, void *user);

struct tree_watch *
tree_watch_open(struct daemon *d, struct dm_err *err)
{
	struct tree_watch *w = dm_calloc(1, sizeof(*w));

	w->d = d;
	w->list_timer = evtimer_new(d->base, on_list, w);
	w->detail_timer = evtimer_new(d->base, on_detail, w);
	if (w->list_timer == NULL || w->detail_timer == NULL) {
		(void)dm_fail(err, DM_FAILED, "making timers");
		tree_watch_close(w);
		return NULL;
	}
	return w;
}

static void
tree_release(struct tree *tree)
{
	free(tree->info.path);
	free(tree->info.git_dir);
	free(tree->info.branch);
	free(tree->info.head);
}

/* Whether the directory has the worktree in it, under that name (NULL: any). */
static bool
is_above(const char *dir, const char *name, const struct tree *tree)
{
	size_t n = strlen(dir);

	return strncmp(tree->info.path, dir, n) == 0 && tree->info.path[n] == '/' &&
	       strchr(tree->info.path + n + 1, '/') == NULL &&
	       (name == NULL || strcmp(tree->info.path + n + 1, name) == 0);
}

/*
 * Its git directory, and the directory that the worktree is in: nothing in git's changes when a
 * worktree is simply removed, or comes back, and a directory that somebody works in cannot tell of
 * its own end.
 */
static void
watch_tree(const struct tree_watch *w, const struct worktree *info)
{
	DM_AUTO_FREE char *dir = dm_path_dir(info->path);

	watch_add(w->d->watch, info->git_dir);
	watch_add(w->d->watch, dir);
}

static void
unwatch_tree(const struct tree_watch *w, const struct worktree *info)
{
	DM_AUTO_FREE char *dir = dm_path_dir(info->path);

	watch_remove(w->d->watch, info->git_dir);
	watch_remove(w->d->watch, dir);
}

static void
repository_free(struct tree_watch *w, struct repository *repo)
{
	for (; repo->count > 0; repo->count--) {
		unwatch_tree(w, &repo->trees[repo->count - 1].info);
		tree_release(&repo->trees[repo->count - 1]);
	}
	watch_remove(w->d->watch, repo->common_dir);
	watch_remove(w->d->watch, repo->worktrees_dir);
	free(repo->trees);
	free(repo->common_dir);
	free(repo->worktrees_dir);
	free(repo);
}

void
tree_watch_close(struct tree_watch *w)
{
	if (w == NULL)
		return;
	for (; w->repo_count > 0; w->repo_count--)
		repository_free(w, w->repos[w->repo_count - 1]);
	free(w->repos);
	if (w->list_timer != NULL)
		event_free(w->list_timer);
	if (w->detail_timer != NULL)
		event_free(w->detail_timer);
	free(w->asked_path);
	free(w);
}

size_t
tree_watch_count(const struct tree_watch *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->repo_count; i++)
		n += w->repos[i]->count;
	return n;
}

struct watched_tree
tree_watch_at(const struct tree_watch *w, size_t i)
{
	size_t r = 0;

	while (i >= w->repos[r]->count)
		i -= w->repos[r++]->count;
	return (struct watched_tree){.worktree = &w->repos[r]->trees[i].info,
	    .detail = w->repos[r]->trees[i].has_detail ? &w->repos[r]->trees[i].detail : NULL,
	    .repo = w->repos[r]->common_dir};
}

/* ---- repositories ----------------------------------------------------------------------- */

static struct repository *
repository_of(struct tree_watch *w, const char *common_dir)
{
	struct repository *repo;

	for (size_t i = 0; i < w->repo_count; i++) {
		if (strcmp(w->repos[i]->common_dir, common_dir) == 0)
			return w->repos[i];
	}
	if (w->repo_count >= REPOS_MAX)
		return NULL;
	repo = dm_calloc(1, sizeof(*repo));
	repo->common_dir = dm_strdup(common_dir);
	repo->worktrees_dir = dm_asprintf("%s/worktrees", common_dir);
	repo->changed = true;
	w->repos = dm_reallocarray(w->repos, w->repo_count + 1, sizeof(struct repository *));
	w->repos[w->repo_count++] = repo;
	watch_add(w->d->watch, repo->common_dir);
	watch_add(w->d->watch, repo->worktrees_dir);
	timer_in(w->list_timer, 0);
	return repo;
}

static void
want_repository(struct tree_watch *w, const char *common_dir)
{
	struct repository *repo = common_dir == NULL ? NULL : repository_of(w, common_dir);

	if (repo != NULL)
		repo->wanted = true;
}

void
tree_watch_choose(struct tree_watch *w, const struct found_list *found)
{
	/* a .git that cannot be read for want of them would look like a repository less */
	if (!dm_fds_left(CHOOSE_FDS))
		return;
	for (size_t i = 0; i < w->repo_count; i++)
		w->repos[i]->wanted = false;
	for (size_t i = 0; i < services_count(w->d->services); i++) {
		const struct service *svc = services_at(w->d->services, i);
		const struct repository *known = NULL;
		struct layout layout = {.worktree = NULL};

		for (size_t r = 0; r < w->repo_count && known == NULL; r++) {
			for (size_t t = 0; t < w->repos[r]->count; t++) {
				if (strcmp(w->repos[r]->trees[t].info.path, svc->claim->worktree) ==
				    0)
					known = w->repos[r];
			}
		}
		if (known != NULL)
			want_repository(w, known->common_dir);
		else if (layout_find(svc->claim->worktree, &layout) == LAYOUT_FOUND)
			want_repository(w, layout.common_dir);
		layout_release(&layout);
	}
	for (size_t i = 0; i < found->count; i++)
		want_repository(w, found->list[i].repo);
	for (size_t i = w->repo_count; i-- > 0;) {
		if (w->repos[i]->wanted)
			continue;
		repository_free(w, w->repos[i]);
		w->repos[i] = w->repos[--w->repo_count];
	}
}

static void
publish_tree(struct tree_watch *w, const struct repository *repo, const struct tree *tree)
{
	struct watched_tree shown = {.worktree = &tree->info,
	    .detail = tree->has_detail ? &tree->detail : NULL,
	    .repo = repo->common_dir};

	events_publish(
	    w->d->events, EVENT_WORKTREE, tree->info.path, state_of_worktree(w->d, &shown));
}

/* The identity documents of a worktree whose HEAD has moved: devmesh run renews its own. */
static void
renew_identity(const struct tree_watch *w)
{
	dm_auto(registry) reg = NULL;
	struct dm_err err;

	if ((reg = registry_open(registry_dir(w->d->session->registry), &err)) == NULL) {
		dm_warn("%s", err.msg);
		return;
	}
	for (size_t i = 0; i < services_count(w->d->services); i++) {
		const struct service *svc = services_at(w->d->services, i);

		if (strcmp(svc->claim->worktree, w->asked_path) == 0 &&
		    !dm_proc_alive(&svc->claim->run.runner))
			(void)identity_publish(reg, svc->claim);
	}
}

static struct tree *
find_tree(struct repository *repo, const char *path)
{
	for (size_t i = 0; i < repo->count; i++) {
		if (strcmp(repo->trees[i].info.path, path) == 0)
			return &repo->trees[i];
	}
	return NULL;
}

/* One worktree as git lists it now. Takes its texts. Whether it has gone, or come back. */
static bool
take_tree(struct tree_watch *w, struct repository *repo, struct worktree *now)
{
	struct tree *tree = find_tree(repo, now->path);
	bool is_new = tree == NULL, was_gone = tree != NULL && tree->info.gone, gone = now->gone;

	/* under another path than before: it was moved */
	for (size_t i = 0; i < repo->count && is_new; i++) {
		if (strcmp(repo->trees[i].info.git_dir, now->git_dir) == 0)
			mender_moved(w->d->mender, repo->trees[i].info.path, now->path);
	}

	/* one made anew at the old path may have another git directory */
	watch_tree(w, now);
	if (is_new) {
		repo->trees = dm_reallocarray(repo->trees, repo->count + 1, sizeof(repo->trees[0]));
		tree = &repo->trees[repo->count++];
		memset(tree, 0, sizeof(*tree));
		tree->info = *now;
	} else {
		bool changed = !dm_same_text(tree->info.branch, now->branch) ||
			       !dm_same_text(tree->info.head, now->head) ||
			       tree->info.gone != now->gone;

		unwatch_tree(w, &tree->info);
		tree_release(tree);
		tree->info = *now;
		tree->wants_detail = true;
		if (changed)
			publish_tree(w, repo, tree);
	}
	memset(now, 0, sizeof(*now));
	tree->counted = true;
	if (is_new) {
		tree->wants_detail = true;
		publish_tree(w, repo, tree);
	}
	return gone != was_gone;
}

static void
forget_tree(struct tree_watch *w, struct repository *repo, size_t i)
{
	struct tree *tree = &repo->trees[i];
	cJSON *data = cJSON_CreateObject();

	events_publish(w->d->events, EVENT_WORKTREE_GONE, tree->info.path, data);
	unwatch_tree(w, &tree->info);
	tree_release(tree);
	memmove(tree, tree + 1, (repo->count - i - 1) * sizeof(*tree));
	repo->count--;
}

/* False: they could not be listed, and are as they were. */
static bool
list_worktrees(struct tree_watch *w, struct repository *repo)
{
	struct worktree_list list;
	struct dm_err err;
	const char *why = NULL;

	repo->changed = false;
	if (!worktrees_list(repo->common_dir, &list, &err)) {
		dm_debug("%s", err.msg);
		/* nothing was seen, so nothing is concluded; a repository that is gone has none */
		if (err.code != DM_NOT_FOUND)
			return false;
		memset(&list, 0, sizeof(list));
	}
	for (size_t i = 0; i < repo->count; i++)
		repo->trees[i].counted = false;
	for (size_t i = 0; i < list.count; i++) {
		bool gone = list.list[i].gone;

		if (take_tree(w, repo, &list.list[i]) && (why == NULL || gone))
			why = gone ? "a worktree was removed" : "a worktree is back";
	}
	for (size_t i = repo->count; i-- > 0;) {
		if (!repo->trees[i].counted) {
			forget_tree(w, repo, i);
			why = "a worktree was removed";
		}
	}
	free(list.list);
	if (why != NULL) {
		services_sweep(w->d->services, why);
		finder_doubt(w->d->finder);
	}
	/* one that is due stays due, however often something is written */
	if (!evtimer_pending(w->detail_timer, NULL))
		timer_in(w->detail_timer, DETAIL_MS);
	return true;
}

static void
on_list(evutil_socket_t fd, short what, void *user)
{
	struct tree_watch *w = user;
	bool again = false;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < w->repo_count; i++) {
		struct repository *repo = w->repos[i];

		if (repo->changed && !list_worktrees(w, repo))
			repo->changed = again = true;
	}
	if (again)
		timer_in(w->list_timer, AGAIN_MS);
}

/* Whether the hint is about the worktree's own directory, which has gone, or come back. */
static bool
has_changed(const struct tree *tree, const char *dir, const char *name)
{
	return is_above(dir, name, tree) && (access(tree->info.path, F_OK) != 0) != tree->info.gone;
}

void
tree_watch_hint(struct tree_watch *w, const char *dir, const char *name)
{
	/* git's lock files come and go with every look of others at the index */
	if (name != NULL && dm_ends_with(name, ".lock"))
		return;
	for (size_t i = 0; i < w->repo_count; i++) {
		struct repository *repo = w->repos[i];
		bool concerned =
		    strcmp(repo->common_dir, dir) == 0 || strcmp(repo->worktrees_dir, dir) == 0;

		for (size_t t = 0; t < repo->count && !concerned; t++)
			concerned = strcmp(repo->trees[t].info.git_dir, dir) == 0 ||
				    has_changed(&repo->trees[t], dir, name);
		if (concerned && !repo->changed) {
			repo->changed = true;
			timer_in(w->list_timer, REPO_MS);
		}
	}
}

/* ---- what git has to be asked for ------------------------------------------------------- */

static struct tree *
asked_tree(struct tree_watch *w, struct repository **of)
{
	for (size_t i = 0; i < w->repo_count; i++) {
		struct tree *tree = find_tree(w->repos[i], w->asked_path);

		if (tree != NULL) {
			*of = w->repos[i];
			return tree;
		}
	}
	return NULL;
}

static int
look_at_tree(void *arg)
{
	struct tree_watch *w = arg;
	struct repository *repo;
	const struct tree *tree = asked_tree(w, &repo);
	struct worktree_detail out;

	memset(&out, 0, sizeof(out));
	if (tree == NULL)
		return 1;
	renew_identity(w);
	worktree_look(&tree->info, DETAIL_JOB_MS / 2, &out);
	/* to the same program */
	return fwrite(&out, sizeof(out), 1, stdout) == 1 ? 0 : 1;
}

static bool
same_detail(const struct worktree_detail *a, const struct worktree_detail *b)
{
	return a->dirty == b->dirty && a->ahead == b->ahead && a->behind == b->behind &&
	       a->last_commit == b->last_commit && a->last_access == b->last_access &&
	       a->bytes == b->bytes;
}

static void
looked_at_tree(void *user, const struct worker_result *result)
{
	struct tree_watch *w = user;
	struct repository *repo;
	struct tree *tree = asked_tree(w, &repo);
	struct worktree_detail now;

	w->asking = false;
	if (tree != NULL && result->status == 0 && result->len == sizeof(now)) {
		memcpy(&now, result->out, sizeof(now));
		if (!tree->has_detail || !same_detail(&tree->detail, &now)) {
			tree->detail = now;
			tree->has_detail = true;
			publish_tree(w, repo, tree);
		}
	}
	timer_in(w->detail_timer, 0);
}

/* One worktree after the other. */
static void
on_detail(evutil_socket_t fd, short what, void *user)
{
	struct tree_watch *w = user;
	int64_t now = dm_now_ms();

	(void)fd;
	(void)what;
	if (w->asking || w->d->draining)
		return;
	for (size_t i = 0; i < w->repo_count; i++) {
		for (size_t t = 0; t < w->repos[i]->count; t++) {
			struct tree *tree = &w->repos[i]->trees[t];

			if (tree->info.gone || !tree->wants_detail)
				continue;
			tree->wants_detail = false;
			tree->detail_ms = now;
			free(w->asked_path);
			w->asked_path = dm_strdup(tree->info.path);
			w->asking = true;
			workers_run(
			    w->d->workers, look_at_tree, w, DETAIL_JOB_MS, looked_at_tree, w);
			return;
		}
	}
}

void
tree_watch_refresh(struct tree_watch *w)
{
	int64_t now = dm_now_ms();

	for (size_t i = 0; i < w->repo_count; i++) {
		for (size_t t = 0; t < w->repos[i]->count; t++) {
			struct tree *tree = &w->repos[i]->trees[t];

			if (now - tree->detail_ms < DETAIL_OLD_MS)
				continue;
			tree->wants_detail = true;
			timer_in(w->detail_timer, 0);
		}
	}
}
