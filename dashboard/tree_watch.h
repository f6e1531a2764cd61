/* SPDX-License-Identifier: MIT */
/*
 * The worktrees of the repositories that services and listening processes belong to, followed by
 * watching git's directories: worktrees that come, go and move, branches, HEAD.
 */
#ifndef DEVMESH_TREE_WATCH_H
#define DEVMESH_TREE_WATCH_H

#include <stddef.h>

#include "base/err.h"
#include "discover.h"
#include "repo/worktrees.h"

struct daemon;
struct tree_watch;

/* A worktree with what is known of it. Borrowed until the loop's next turn. */
struct watched_tree {
	const struct worktree *worktree;
	const struct worktree_detail *detail; /* NULL: not yet asked for */
	const char *repo;		      /* the common git directory */
};

struct tree_watch *tree_watch_open(struct daemon *d, struct dm_err *err) DM_MUST;
void tree_watch_close(struct tree_watch *trees);

/* Watches the repositories that services and these processes are in, and no others. */
void tree_watch_choose(struct tree_watch *trees, const struct found_list *found);
/* While somebody looks: what is old is asked for again. */
void tree_watch_refresh(struct tree_watch *trees);
/* Something may have changed in a directory of git's. */
void tree_watch_hint(struct tree_watch *trees, const char *dir, const char *name);

size_t tree_watch_count(const struct tree_watch *trees);
struct watched_tree tree_watch_at(const struct tree_watch *trees, size_t i);

#endif
