/* SPDX-License-Identifier: MIT */
/*
 * What nobody has told us: listening processes that are not registered (discover.h), and the
 * worktrees of the repositories that services and processes belong to (repo/worktrees.h).
 */
#ifndef DEVMESH_FINDER_H
#define DEVMESH_FINDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "discover.h"
#include "repo/worktrees.h"

struct daemon;
struct finder;

/* A worktree with what is known of it. Borrowed until the loop's next turn. */
struct finder_worktree {
	const struct worktree *worktree;
	const struct worktree_detail *detail; /* NULL: not yet asked for */
	const char *repo;		      /* the common git directory */
};

struct finder *finder_open(struct daemon *d, struct dm_err *err) DM_MUST;
void finder_close(struct finder *finder);
/* Looks now; afterwards it does so by itself. */
void finder_scan(struct finder *finder);
/* Something may have changed in a directory of git's. */
void finder_directory_hint(struct finder *finder, const char *dir, const char *name);
/* How long the last look has taken, in microseconds. */
int64_t finder_scan_us(const struct finder *finder);
/* Looks again soon: claims have changed, or somebody looks. */
void finder_hint(struct finder *finder);

/* Listening processes of the last look, registered ones included. Borrowed. */
const struct found_list *finder_found(const struct finder *finder);
size_t finder_worktree_count(const struct finder *finder);
struct finder_worktree finder_worktree_at(const struct finder *finder, size_t i);

#endif
