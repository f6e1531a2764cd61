/* SPDX-License-Identifier: MIT */
/*
 * Which process belongs to whom, and what that costs: two looks at all processes, compared. Pure.
 *
 * A process belongs to the nearest root above it, or to the root that it is. Processor time of a
 * process that has ended is its parent's, once that has waited for it (times(2)): so what comes and
 * goes between two looks is counted as well.
 */
#ifndef DEVMESH_USAGE_TREE_H
#define DEVMESH_USAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/proc.h"

struct usage_process {
	struct dm_proc_id id; /* here its start also grows with the time */
	pid_t parent;
	bool ended;		/* nobody has waited for it yet */
	int64_t own;		/* processor time, microseconds */
	int64_t ended_children; /* the same of those that were waited for, theirs included */
	int64_t rss;		/* bytes */
	size_t owner;		/* where in the list its root is; USAGE_NOBODY */
	int64_t debt;		/* of a root: usage_compare() */
};

#define USAGE_NOBODY SIZE_MAX

/* All processes at one time. */
struct usage_snapshot {
	struct usage_process *list; /* owned; by pid after usage_order() */
	size_t count;
	int64_t at_us; /* monotonic; 0: there was no look */
};

void usage_add(struct usage_snapshot *s, const struct usage_process *process);
void usage_release(struct usage_snapshot *s);

/* Sorts, and forgets whose they are. To be called before what follows. */
void usage_order(struct usage_snapshot *s);
/* Where the process is; USAGE_NOBODY: it is not there. A start of 0 stands for any. */
size_t usage_find(const struct usage_snapshot *s, const struct dm_proc_id *id);

/*
 * `root` and all that is below it belong together; so does `also`, which need not be below it (pid
 * 0: none). Whoever is a root already stays one. False if neither is there.
 */
bool usage_make_root(
    struct usage_snapshot *s, const struct dm_proc_id *root, const struct dm_proc_id *also);
/* After the last root: gives every process its owner. */
void usage_grow(struct usage_snapshot *s);

/* Of one root with all that belongs to it. */
struct usage_sum {
	double cpu; /* processors used since the look before: 0..n; -1: not known yet */
	int64_t rss;
	unsigned processes;
};

/*
 * One sum for each process, of those that are roots: the caller owns the array. A process that ends
 * while the list is read may be missing in it before its parent has its time: that is noted as a
 * debt in `now`, and made good the next time.
 */
struct usage_sum *usage_compare(struct usage_snapshot *now, const struct usage_snapshot *before);

#endif
