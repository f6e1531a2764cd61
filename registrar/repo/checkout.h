/* SPDX-License-Identifier: MIT */
/* What is checked out in a worktree at this moment, and whose directories are whose. */
#ifndef DEVMESH_CHECKOUT_H
#define DEVMESH_CHECKOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "repo/layout.h"

/*
 * HEAD's commit as a full hash, from git's files where they say it. NULL without git, before the
 * first commit, or if it cannot be told. The caller owns it.
 */
char *checkout_commit(const char *worktree);
/* The same where the layout is known, of a worktree that may be gone: git is run in `dir`. */
char *checkout_head(const char *dir, const struct layout *layout);

/*
 * The target of a symbolic ref in a git directory, "refs/heads/x"; NULL if it is none. In a
 * repository with reftable the file only holds a placeholder, and git has to be asked, in `dir`.
 * The caller owns it.
 */
char *checkout_symbolic_ref(const char *dir, const char *git_dir, const char *name);

/*
 * HEAD's branch, or the one to which a rebase or a bisection will come back; NULL when detached.
 * git is run in `dir` if it has to be. The caller owns it.
 */
char *checkout_branch(const char *dir, const char *git_dir);

enum checkout_changes {
	CHECKOUT_UNKNOWN, /* no git, or it was not known in time */
	CHECKOUT_CLEAN,
	CHECKOUT_DIRTY,
};

/* Whether tracked files differ from HEAD, as git says within `timeout_ms`. Writes nothing. */
enum checkout_changes checkout_changes(const char *worktree, int64_t timeout_ms);
/* How many do (of very many only the first ones are counted); -1: not known. */
int checkout_count_changes(const char *worktree, int64_t timeout_ms);

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
