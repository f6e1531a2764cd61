/* SPDX-License-Identifier: MIT */
/* All worktrees of a repository, and what is known of each: git-worktree(1). */
#ifndef DEVMESH_WORKTREES_H
#define DEVMESH_WORKTREES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Strings are owned by the list. */
struct worktree {
	char *path;    /* top level, absolute, links resolved as far as it exists */
	char *git_dir; /* HEAD, index, a rebase's state */
	char *branch;  /* HEAD's, or the one being rebased; NULL when detached */
	char *head;    /* full hash; NULL before the first commit */
	bool is_main;  /* not made by git worktree add */
	bool gone;     /* git still knows it, but the directory does not exist (prunable) */
};

struct worktree_list {
	struct worktree *list;
	size_t count;
};

/*
 * The worktrees of the repository with this common git directory, the main one first, then by path;
 * a bare repository has no main one. From git's files (gitrepository-layout(5)), at most 1,000.
 * DM_NOT_FOUND: there is no such repository; any other failure says nothing about its worktrees.
 */
bool worktrees_list(const char *common_dir, struct worktree_list *out, struct dm_err *err) DM_MUST;
void worktrees_release(struct worktree_list *list);

/* What git, and the file system, have to be asked for: takes its time. */
struct worktree_detail {
	int dirty;	     /* tracked files that differ from HEAD; -1: not known in time */
	int ahead, behind;   /* of the upstream branch; -1: it has none, or not known */
	int64_t last_commit; /* seconds since the epoch; 0: none */
	int64_t last_access; /* the newest of index, HEAD and the reflog; seconds; 0: unknown */
	int64_t bytes; /* that the worktree's files take on the disk, .git aside; -1: unknown */
};

/* Asks, within `timeout_ms` in all; what is not known by then is marked so. */
void
worktree_look(const struct worktree *worktree, int64_t timeout_ms, struct worktree_detail *out);

#endif
