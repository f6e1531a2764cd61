/* SPDX-License-Identifier: MIT */
#include "finder.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon.h"
#include "events.h"
#include "identity.h"
#include "repo/layout.h"
#include "services.h"
#include "state.h"
#include "watch.h"
#include "workers.h"

enum {
	HINT_MS = 100,
	WATCHED_MS = 1000,   /* between two looks while somebody watches */
	WATCHING_MS = 10000, /* for so long after a question */
	REPO_MS = 50,	     /* what git does in one go is looked at together */
	DETAIL_MS = 1000,    /* the same before git is asked */
	DETAIL_JOB_MS = 20000,
	DETAIL_OLD_MS = 600 * 1000,
	REPOS_MAX = 200,
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

struct finder {
	struct daemon *d;
	struct event *scan, *repos_timer, *detail_timer;
	struct discovery *discovery;
	struct found_list found;
	struct repository **repos;
	size_t repo_count;
	int64_t scanned_ms, due_ms, took_us;

	bool asking; /* a worker looks at a worktree */
	char *asked_path;
};

static void on_scan(evutil_socket_t fd, short what, void *user);
static void on_repos(evutil_socket_t fd, short what, void *user);
static void on_detail(evutil_socket_t fd, short what, void *user);

static void
schedule(struct event *timer, int64_t ms)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)event_add(timer, &t);
}

struct finder *
finder_open(struct daemon *d, struct dm_err *err)
{
	struct finder *f = dm_calloc(1, sizeof(*f));

	f->d = d;
	f->discovery = discovery_new();
	f->scan = evtimer_new(d->base, on_scan, f);
	f->repos_timer = evtimer_new(d->base, on_repos, f);
	f->detail_timer = evtimer_new(d->base, on_detail, f);
	if (f->scan == NULL || f->repos_timer == NULL || f->detail_timer == NULL) {
		(void)dm_fail(err, DM_FAILED, "making timers");
		finder_close(f);
		return NULL;
	}
	return f;
}

static void
tree_release(struct tree *tree)
{
	free(tree->info.path);
	free(tree->info.git_dir);
	free(tree->info.branch);
	free(tree->info.head);
}

static void
repository_free(struct finder *f, struct repository *repo)
{
	for (size_t i = 0; i < repo->count; i++) {
		watch_remove(f->d->watch, repo->trees[i].info.git_dir);
		tree_release(&repo->trees[i]);
	}
	watch_remove(f->d->watch, repo->common_dir);
	watch_remove(f->d->watch, repo->worktrees_dir);
	free(repo->trees);
	free(repo->common_dir);
	free(repo->worktrees_dir);
	free(repo);
}

void
finder_close(struct finder *f)
{
	if (f == NULL)
		return;
	for (size_t i = 0; i < f->repo_count; i++)
		repository_free(f, f->repos[i]);
	free(f->repos);
	found_release(&f->found);
	discovery_free(f->discovery);
	if (f->scan != NULL)
		event_free(f->scan);
	if (f->repos_timer != NULL)
		event_free(f->repos_timer);
	if (f->detail_timer != NULL)
		event_free(f->detail_timer);
	free(f->asked_path);
	free(f);
}

const struct found_list *
finder_found(const struct finder *f)
{
	return &f->found;
}

int64_t
finder_scan_us(const struct finder *f)
{
	return f->took_us;
}

size_t
finder_worktree_count(const struct finder *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->repo_count; i++)
		n += f->repos[i]->count;
	return n;
}

struct finder_worktree
finder_worktree_at(const struct finder *f, size_t i)
{
	size_t r = 0;

	while (i >= f->repos[r]->count)
		i -= f->repos[r++]->count;
	return (struct finder_worktree){.worktree = &f->repos[r]->trees[i].info,
	    .detail = f->repos[r]->trees[i].has_detail ? &f->repos[r]->trees[i].detail : NULL,
	    .repo = f->repos[r]->common_dir};
}

/* ---- listening processes ---------------------------------------------------------------- */

static bool
same_found(const struct found *a, const struct found *b)
{
	return a->process.pid == b->process.pid && a->process.start == b->process.start &&
	       a->port == b->port &&
	       (a->socket == NULL ? b->socket == NULL
				  : b->socket != NULL && strcmp(a->socket, b->socket) == 0);
}

/* Whether `one`, with its answer to who has registered it, is in the list. */
static bool
has_found(const struct found_list *list, const struct found *one)
{
	for (size_t i = 0; i < list->count; i++) {
		if (same_found(&list->list[i], one))
			return (list->list[i].claim == NULL) == (one->claim == NULL) &&
			       list->list[i].orphan == one->orphan;
	}
	return false;
}

/* "12345:5173": what an unregistered server is called in events. */
static char *
found_name(const struct found *found)
{
	return found->port != 0
		   ? dm_asprintf("%ld:%u", (long)found->process.pid, (unsigned)found->port)
		   : dm_asprintf("%ld:%s", (long)found->process.pid, found->socket);
}

static void
tell_found(struct finder *f, const struct found_list *before, const struct found_list *now)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct found *one = &before->list[i];
		DM_AUTO_FREE char *name = found_name(one);

		if (one->claim == NULL && !has_found(now, one))
			events_publish(f->d->events, EVENT_FOUND_GONE, name, state_of_found(one));
	}
	for (size_t i = 0; i < now->count; i++) {
		const struct found *one = &now->list[i];
		DM_AUTO_FREE char *name = found_name(one);

		if (one->claim == NULL && !has_found(before, one))
			events_publish(f->d->events, EVENT_FOUND, name, state_of_found(one));
	}
}

/* The claims of all services, for a look; borrowed from the table. */
static struct registry_claims
all_claims(const struct finder *f)
{
	struct registry_claims claims = {.count = services_count(f->d->services)};

	claims.list = dm_calloc(claims.count, sizeof(claims.list[0]));
	for (size_t i = 0; i < claims.count; i++)
		claims.list[i] = services_at(f->d->services, i)->claim;
	return claims;
}

/* ---- repositories ----------------------------------------------------------------------- */

static struct repository *
repository_of(struct finder *f, const char *common_dir)
{
	struct repository *repo;

	for (size_t i = 0; i < f->repo_count; i++) {
		if (strcmp(f->repos[i]->common_dir, common_dir) == 0)
			return f->repos[i];
	}
	if (f->repo_count >= REPOS_MAX)
		return NULL;
	repo = dm_calloc(1, sizeof(*repo));
	repo->common_dir = dm_strdup(common_dir);
	repo->worktrees_dir = dm_asprintf("%s/worktrees", common_dir);
	repo->changed = true;
	f->repos = dm_reallocarray(f->repos, f->repo_count + 1, sizeof(f->repos[0]));
	f->repos[f->repo_count++] = repo;
	watch_add(f->d->watch, repo->common_dir);
	watch_add(f->d->watch, repo->worktrees_dir);
	schedule(f->repos_timer, 0);
	return repo;
}

static void
want_repository(struct finder *f, const char *common_dir)
{
	struct repository *repo = common_dir == NULL ? NULL : repository_of(f, common_dir);

	if (repo != NULL)
		repo->wanted = true;
}

/* Those that services and found processes are in; others are forgotten. */
static void
choose_repositories(struct finder *f)
{
	for (size_t i = 0; i < f->repo_count; i++)
		f->repos[i]->wanted = false;
	for (size_t i = 0; i < services_count(f->d->services); i++) {
		const struct service *svc = services_at(f->d->services, i);
		const struct repository *known = NULL;
		struct layout layout = {.worktree = NULL};

		for (size_t r = 0; r < f->repo_count && known == NULL; r++) {
			for (size_t t = 0; t < f->repos[r]->count; t++) {
				if (strcmp(f->repos[r]->trees[t].info.path, svc->claim->worktree) ==
				    0)
					known = f->repos[r];
			}
		}
		if (known != NULL)
			want_repository(f, known->common_dir);
		else if (layout_find(svc->claim->worktree, &layout) == LAYOUT_FOUND)
			want_repository(f, layout.common_dir);
		layout_release(&layout);
	}
	for (size_t i = 0; i < f->found.count; i++)
		want_repository(f, f->found.list[i].repo);
	for (size_t i = f->repo_count; i-- > 0;) {
		if (f->repos[i]->wanted)
			continue;
		repository_free(f, f->repos[i]);
		f->repos[i] = f->repos[--f->repo_count];
	}
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
publish_tree(struct finder *f, const struct repository *repo, const struct tree *tree)
{
	struct finder_worktree shown = {.worktree = &tree->info,
	    .detail = tree->has_detail ? &tree->detail : NULL,
	    .repo = repo->common_dir};

	events_publish(
	    f->d->events, EVENT_WORKTREE, tree->info.path, state_of_worktree(f->d, &shown));
}

/* The identity documents of a worktree whose HEAD has moved: devmesh run renews its own. */
static int
renew_identity(void *arg)
{
	struct finder *f = arg;

	for (size_t i = 0; i < services_count(f->d->services); i++) {
		const struct service *svc = services_at(f->d->services, i);

		if (strcmp(svc->claim->worktree, f->asked_path) == 0 &&
		    !dm_proc_alive(&svc->claim->run.runner))
			(void)identity_publish(f->d->session->registry, svc->claim);
	}
	return 0;
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

/* One worktree as git lists it now. Takes its texts. */
static void
take_tree(struct finder *f, struct repository *repo, struct worktree *now)
{
	struct tree *tree = find_tree(repo, now->path);
	bool is_new = tree == NULL;

	if (is_new) {
		repo->trees = dm_reallocarray(repo->trees, repo->count + 1, sizeof(repo->trees[0]));
		tree = &repo->trees[repo->count++];
		memset(tree, 0, sizeof(*tree));
		tree->info = *now;
		watch_add(f->d->watch, now->git_dir);
	} else {
		bool changed = !same_text(tree->info.branch, now->branch) ||
			       !same_text(tree->info.head, now->head) ||
			       tree->info.gone != now->gone;

		tree_release(tree);
		tree->info = *now;
		tree->wants_detail = true;
		if (changed)
			publish_tree(f, repo, tree);
	}
	memset(now, 0, sizeof(*now));
	tree->counted = true;
	if (!is_new)
		return;
	tree->wants_detail = true;
	publish_tree(f, repo, tree);
}

static void
forget_tree(struct finder *f, struct repository *repo, size_t i)
{
	struct tree *tree = &repo->trees[i];
	cJSON *data = cJSON_CreateObject();

	events_publish(f->d->events, EVENT_WORKTREE_GONE, tree->info.path, data);
	watch_remove(f->d->watch, tree->info.git_dir);
	tree_release(tree);
	memmove(tree, tree + 1, (repo->count - i - 1) * sizeof(*tree));
	repo->count--;
}

static void
list_worktrees(struct finder *f, struct repository *repo)
{
	struct worktree_list list;
	struct dm_err err;
	bool removed = false;

	repo->changed = false;
	if (!worktrees_list(repo->common_dir, &list, &err)) {
		dm_debug("%s", err.msg);
		memset(&list, 0, sizeof(list));
	}
	for (size_t i = 0; i < repo->count; i++)
		repo->trees[i].counted = false;
	for (size_t i = 0; i < list.count; i++) {
		removed = removed || list.list[i].gone;
		take_tree(f, repo, &list.list[i]);
	}
	for (size_t i = repo->count; i-- > 0;) {
		if (!repo->trees[i].counted) {
			forget_tree(f, repo, i);
			removed = true;
		}
	}
	free(list.list);
	if (removed)
		services_sweep(f->d->services, "a worktree was removed");
	schedule(f->detail_timer, DETAIL_MS);
}

static void
on_repos(evutil_socket_t fd, short what, void *user)
{
	struct finder *f = user;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < f->repo_count; i++) {
		if (f->repos[i]->changed)
			list_worktrees(f, f->repos[i]);
	}
}

void
finder_directory_hint(struct finder *f, const char *dir, const char *name)
{
	/* git's lock files come and go with every look of others at the index */
	if (name != NULL && dm_ends_with(name, ".lock"))
		return;
	for (size_t i = 0; i < f->repo_count; i++) {
		struct repository *repo = f->repos[i];
		bool concerned =
		    strcmp(repo->common_dir, dir) == 0 || strcmp(repo->worktrees_dir, dir) == 0;

		for (size_t t = 0; t < repo->count && !concerned; t++)
			concerned = strcmp(repo->trees[t].info.git_dir, dir) == 0;
		if (concerned && !repo->changed) {
			repo->changed = true;
			schedule(f->repos_timer, REPO_MS);
		}
	}
}

/* ---- what git has to be asked for ------------------------------------------------------- */

static struct tree *
asked_tree(struct finder *f, struct repository **of)
{
	for (size_t i = 0; i < f->repo_count; i++) {
		struct tree *tree = find_tree(f->repos[i], f->asked_path);

		if (tree != NULL) {
			*of = f->repos[i];
			return tree;
		}
	}
	return NULL;
}

static int
look_at_tree(void *arg)
{
	struct finder *f = arg;
	struct repository *repo;
	const struct tree *tree = asked_tree(f, &repo);
	struct worktree_detail out;

	if (tree == NULL)
		return 1;
	(void)renew_identity(f);
	worktree_look(&tree->info, DETAIL_JOB_MS / 2, &out);
	(void)printf("%d %d %d %lld %lld %lld\n", out.dirty, out.ahead, out.behind,
	    (long long)out.last_commit, (long long)out.last_access, (long long)out.bytes);
	return 0;
}

static void
looked_at_tree(void *user, const struct worker_result *result)
{
	struct finder *f = user;
	struct repository *repo;
	struct tree *tree = asked_tree(f, &repo);
	struct worktree_detail now = {.dirty = -1, .ahead = -1, .behind = -1, .bytes = -1};
	long long commit, access, bytes;

	f->asking = false;
	if (tree != NULL && result->status == 0 &&
	    sscanf(result->out, "%d %d %d %lld %lld %lld", &now.dirty, &now.ahead, &now.behind,
		&commit, &access, &bytes) == 6) {
		now.last_commit = commit;
		now.last_access = access;
		now.bytes = bytes;
		if (!tree->has_detail || memcmp(&tree->detail, &now, sizeof(now)) != 0) {
			tree->detail = now;
			tree->has_detail = true;
			publish_tree(f, repo, tree);
		}
	}
	schedule(f->detail_timer, 0);
}

/* One worktree after the other. */
static void
on_detail(evutil_socket_t fd, short what, void *user)
{
	struct finder *f = user;
	int64_t now = dm_now_ms();

	(void)fd;
	(void)what;
	if (f->asking || f->d->draining)
		return;
	for (size_t i = 0; i < f->repo_count; i++) {
		for (size_t t = 0; t < f->repos[i]->count; t++) {
			struct tree *tree = &f->repos[i]->trees[t];

			if (tree->info.gone || !tree->wants_detail)
				continue;
			tree->wants_detail = false;
			tree->detail_ms = now;
			free(f->asked_path);
			f->asked_path = dm_strdup(tree->info.path);
			f->asking = true;
			workers_run(
			    f->d->workers, look_at_tree, f, DETAIL_JOB_MS, looked_at_tree, f);
			return;
		}
	}
}

/* While somebody looks, what is old is asked for again. */
static void
refresh_details(struct finder *f)
{
	int64_t now = dm_now_ms();

	for (size_t i = 0; i < f->repo_count; i++) {
		for (size_t t = 0; t < f->repos[i]->count; t++) {
			struct tree *tree = &f->repos[i]->trees[t];

			if (now - tree->detail_ms < DETAIL_OLD_MS)
				continue;
			tree->wants_detail = true;
			schedule(f->detail_timer, 0);
		}
	}
}

/* ---- the regular look ------------------------------------------------------------------- */

/* Looks in so many milliseconds at the latest. */
static void
scan_within(struct finder *f, int64_t ms)
{
	int64_t at = dm_now_ms() + ms;

	if (f->due_ms != 0 && f->due_ms <= at)
		return;
	f->due_ms = at;
	schedule(f->scan, ms);
}

static void
on_scan(evutil_socket_t fd, short what, void *user)
{
	struct finder *f = user;
	const struct conf *conf = f->d->session->conf;
	struct discover_options options = {.port_from = (uint16_t)conf->port_from,
	    .port_to = (uint16_t)conf->port_to,
	    .sockets_dir = registry_dir(f->d->session->registry)};
	struct registry_claims claims = all_claims(f);
	struct found_list now = {.count = 0}, before = f->found;
	bool watched = dm_now_ms() - f->d->asked_at < WATCHING_MS;
	int64_t began = dm_now_us();

	(void)fd;
	(void)what;
	discovery_look(f->discovery, &options, &claims, &now);
	free(claims.list);
	f->found = now;
	tell_found(f, &before, &now);
	found_release(&before);
	choose_repositories(f);
	if (watched)
		refresh_details(f);
	f->took_us = dm_now_us() - began;
	f->scanned_ms = dm_now_ms();
	f->due_ms = 0;
	scan_within(f, watched ? WATCHED_MS : (int64_t)conf->scan_s * 1000);
}

void
finder_scan(struct finder *f)
{
	on_scan(-1, 0, f);
}

void
finder_hint(struct finder *f)
{
	int64_t now = dm_now_ms();

	if (f == NULL)
		return;
	/* many changes in a row are worth one look a second */
	scan_within(
	    f, now - f->scanned_ms > WATCHED_MS ? HINT_MS : f->scanned_ms + WATCHED_MS - now);
}
