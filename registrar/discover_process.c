/* SPDX-License-Identifier: MIT */
/* Processes that listen: what they are, where they are, whose they are. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "discover_impl.h"
#include "repo/checkout.h"
#include "repo/layout.h"
#include "repo/worktrees.h"
#include "runner.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

enum {
	CHECKED_EACH_TIME = 16 /* a tenth of a millisecond */
};

static void
process_release(struct process *p)
{
	free(p->command);
	free(p->text);
	free(p->cwd);
	free(p->worktree);
	free(p->repo);
}

static void
process_free(struct process *p)
{
	process_release(p);
	free(p);
}

/* ---- where it is --------------------------------------------------------------------------- */

/* Which .git its worktree has: if that changes, it is another one, or none any more. */
static bool
see_git(const char *worktree, dev_t *dev, ino_t *ino)
{
	DM_AUTO_FREE char *dot = dm_asprintf("%s/.git", worktree);
	struct stat st;

	if (stat(dot, &st) != 0)
		return false;
	*dev = st.st_dev;
	*ino = st.st_ino;
	return true;
}

static void
find_worktree(struct process *p, const char *dir)
{
	struct layout layout;
	enum layout_kind kind = layout_find(dir, &layout);

	if (kind == LAYOUT_FOUND) {
		p->worktree = dm_steal_pointer(&layout.worktree);
		p->repo = dm_steal_pointer(&layout.common_dir);
	} else if (kind == LAYOUT_UNUSUAL && (p->worktree = checkout_top(dir)) != NULL) {
		p->repo = layout_common_dir(p->worktree);
	}
	layout_release(&layout);
	if (p->worktree != NULL)
		(void)see_git(p->worktree, &p->dev, &p->ino);
}

/* Whether one of the repository's worktrees that are gone had the directory. */
static bool
was_of(struct process *p, const char *repo)
{
	struct worktree_list list;
	struct dm_err ignored;

	if (!worktrees_list(repo, &list, &ignored))
		return false;
	for (size_t i = 0; i < list.count && p->worktree == NULL; i++) {
		if (!list.list[i].gone || !dm_path_inside(list.list[i].path, p->cwd))
			continue;
		p->worktree = dm_strdup(list.list[i].path);
		p->repo = dm_strdup(repo);
	}
	worktrees_release(&list);
	return p->worktree != NULL;
}

/* The claimed worktree that had the directory; NULL: none. Of several the innermost. */
static const char *
claimed(const char *cwd, const struct registry_claims *claims)
{
	const char *best = NULL;

	for (size_t i = 0; i < claims->count; i++) {
		const char *worktree = claims->list[i]->worktree;

		if (dm_path_inside(worktree, cwd) &&
		    (best == NULL || strlen(worktree) > strlen(best)))
			best = worktree;
	}
	return best;
}

/* The nearest directory above that still exists; the caller owns it. */
static char *
what_is_left(const char *path)
{
	char *dir = dm_strdup(path);

	while (access(dir, F_OK) != 0 && strcmp(dir, "/") != 0) {
		char *up = dm_path_dir(dir);

		free(dir);
		dir = up;
	}
	return dir;
}

/*
 * Whose a directory was that has been removed: as git still remembers (git worktree prune has not
 * been run), as a claim says, or else as what is left of the path says.
 */
static void
find_removed_worktree(
    struct process *p, const struct processes *all, const struct registry_claims *claims)
{
	DM_AUTO_FREE char *dir = what_is_left(p->cwd);
	DM_AUTO_FREE char *outer = NULL;
	DM_AUTO_FREE char *repo = NULL;
	const char *best = claimed(p->cwd, claims);

	for (size_t i = 0; i < all->count; i++) {
		const char *other = all->list[i]->repo;

		if (other != NULL &&
		    (i == 0 || all->list[i - 1]->repo == NULL ||
			strcmp(all->list[i - 1]->repo, other) != 0) &&
		    was_of(p, other))
			return;
	}
	find_worktree(p, dir);
	outer = dm_steal_pointer(&p->worktree);
	repo = dm_steal_pointer(&p->repo);
	if (repo != NULL && was_of(p, repo))
		return;
	if (best != NULL && (outer == NULL || strlen(best) > strlen(outer))) {
		p->worktree = dm_strdup(best);
	} else {
		p->worktree = dm_steal_pointer(&outer);
		p->repo = dm_steal_pointer(&repo);
	}
}

/* Looks at its working directory anew. What was known of one that is now removed still holds. */
static void
locate(struct process *p, const struct processes *all, const struct registry_claims *claims)
{
	char text[PATH_MAX];
	bool removed, known = p->worktree != NULL && !p->removed;
	char *cwd = dm_proc_cwd_last(p->id.pid, &removed);

	free(p->text);
	p->text = dm_proc_cwd_text(p->id.pid, text, sizeof(text)) ? dm_strdup(text) : NULL;
	free(p->cwd);
	p->cwd = cwd;
	p->removed = removed;
	if (removed && known && dm_path_inside(p->worktree, cwd))
		return;
	free(p->worktree);
	free(p->repo);
	p->worktree = p->repo = NULL;
	if (cwd == NULL)
		return;
	if (removed)
		find_removed_worktree(p, all, claims);
	else
		find_worktree(p, cwd);
}

/* ---- what it is ---------------------------------------------------------------------------- */

static bool
is_left_out(const char *program)
{
	static const char *const names[] = {"caddy", "devmesh", "devmeshd"};

	for (size_t i = 0; program != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(program, names[i]) == 0)
			return true;
	}
	return false;
}

static struct process *
look_at(pid_t pid, const struct processes *all, const struct registry_claims *claims)
{
	DM_AUTO_FREE char *program = dm_proc_program(pid);
	struct process *p;
	struct dm_proc_id id;

	if (!dm_proc_id(pid, &id))
		return NULL;
	p = dm_calloc(1, sizeof(*p));
	p->id = id;
	p->left_out = is_left_out(program);
	if (p->left_out)
		return p;
	p->command = dm_proc_command(pid);
	if (p->command == NULL)
		p->command = program != NULL ? dm_printable(program) : dm_strdup("?");
	if (runner_of(pid, &p->runner))
		p->abandoned = !dm_proc_alive(&p->runner);
	locate(p, all, claims);
	return p;
}

struct process *
processes_know(struct processes *all, pid_t pid, const struct registry_claims *claims)
{
	size_t low = 0, high = all->count;
	struct process *p;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (all->list[middle]->id.pid < pid)
			low = middle + 1;
		else
			high = middle;
	}
	p = low < all->count && all->list[low]->id.pid == pid ? all->list[low] : NULL;
	if (p != NULL && !p->ended && dm_proc_alive(&p->id))
		return p;
	if (p != NULL) { /* another one may have its pid now; sockets point to where it is */
		struct process *successor = look_at(pid, all, claims);

		p->ended = true;
		if (successor == NULL)
			return NULL;
		process_release(p);
		*p = *successor;
		free(successor);
		return p;
	}
	if ((p = look_at(pid, all, claims)) == NULL)
		return NULL;
	all->list = dm_reallocarray(all->list, all->count + 1, sizeof(struct process *));
	memmove(
	    all->list + low + 1, all->list + low, (all->count - low) * sizeof(struct process *));
	all->list[low] = p;
	all->count++;
	return p;
}

/* Whether nobody has the pid any more: one system call. */
static bool
is_vacant(pid_t pid)
{
	return kill(pid, 0) != 0 && errno == ESRCH;
}

/* Whether it is where it was, and that is what it was. */
static bool
is_in_place(const struct process *p)
{
	char text[PATH_MAX];
	dev_t dev;
	ino_t ino;

	if (p->text == NULL || !dm_proc_cwd_text(p->id.pid, text, sizeof(text)) ||
	    strcmp(text, p->text) != 0)
		return false;
	return p->removed || (p->worktree != NULL && see_git(p->worktree, &dev, &ino) &&
				 dev == p->dev && ino == p->ino);
}

static void
check(struct process *p, const struct processes *all, const struct registry_claims *claims)
{
	if (p->runner.pid != 0 && !p->abandoned)
		p->abandoned = !dm_proc_alive(&p->runner);
	/* one that is in its place, and has the socket, is taken for the same */
	if (p->ended || (!p->left_out && is_in_place(p)))
		return;
	p->ended = !dm_proc_alive(&p->id);
	if (!p->ended && !p->left_out)
		locate(p, all, claims);
}

void
processes_check(
    struct processes *all, const struct registry_claims *claims, bool change, bool all_of_them)
{
	size_t some =
	    all_of_them || all->count < CHECKED_EACH_TIME ? all->count : CHECKED_EACH_TIME;

	for (size_t i = 0; change && i < all->count; i++) {
		struct process *p = all->list[i];

		p->ended = p->ended || is_vacant(p->id.pid);
		p->abandoned = p->abandoned || (p->runner.pid != 0 && is_vacant(p->runner.pid));
	}
	for (size_t i = 0; i < some; i++)
		check(all->list[all->next++ % all->count], all, claims);
}

void
processes_settle(struct processes *all, const struct registry_claims *claims)
{
	for (size_t i = 0; i < all->count; i++) {
		if (all->list[i]->removed && all->list[i]->worktree == NULL)
			find_removed_worktree(all->list[i], all, claims);
	}
}

void
processes_sweep(struct processes *all)
{
	size_t kept = 0;

	for (size_t i = 0; i < all->count; i++) {
		if (all->list[i]->used)
			all->list[kept++] = all->list[i];
		else
			process_free(all->list[i]);
	}
	all->count = kept;
}

void
processes_release(struct processes *all)
{
	for (size_t i = 0; i < all->count; i++)
		process_free(all->list[i]);
	free(all->list);
	memset(all, 0, sizeof(*all));
}
