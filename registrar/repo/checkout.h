/* SPDX-License-Identifier: MIT */
/* What is checked out in a worktree at this moment, and whose directories are whose. */
#ifndef DEVMESH_CHECKOUT_H
#define DEVMESH_CHECKOUT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * HEAD's commit as a full hash, from git's files where they say it. NULL without git, before the
 * first commit, or if it cannot be told. The caller owns it.
 */
char *checkout_commit(const char *worktree);

enum checkout_changes {
	CHECKOUT_UNKNOWN, /* no git, or it was not known in time */
	CHECKOUT_CLEAN,
	CHECKOUT_DIRTY,
};

/* Whether tracked files differ from HEAD, as git says within `timeout_ms`. Writes nothing. */
enum checkout_changes checkout_changes(const char *worktree, int64_t timeout_ms);

/*
 * Top level of the nearest worktree (or submodule) that `dir`, absolute with links resolved, is in;
 * NULL if there is none. The caller owns it.
 */
char *checkout_top(const char *dir);

/*
 * Whether `dir` belongs to `worktree` (both absolute, links resolved): it is inside, and no nearer
 * worktree has it, submodules of `worktree` aside. Where `worktree` is a plain directory, inside
 * is enough.
 */
bool checkout_contains(const char *worktree, const char *dir);

#endif
