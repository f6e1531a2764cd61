/* SPDX-License-Identifier: MIT */
/* What discover.c (sockets) and discover_process.c (who has them) share. For nobody else. */
#ifndef DEVMESH_DISCOVER_IMPL_H
#define DEVMESH_DISCOVER_IMPL_H

#include <sys/types.h>

#include "discover.h"

/* What was found out about a process that listens. Strings are owned. */
struct process {
	struct dm_proc_id id;
	bool left_out; /* Caddy, or one of devmesh's own programs: nothing else is known of it */
	char *command;
	char *text; /* the kernel's, for its working directory; NULL: unknown */
	char *cwd, *worktree, *repo;
	bool removed; /* cwd was */
	dev_t dev;    /* of the worktree's .git, when it was looked at */
	ino_t ino;
	struct dm_proc_id runner; /* the devmesh run that has started it; pid 0: none */
	bool abandoned;		  /* that one is dead */
	bool ended;
	bool used; /* it owns a socket that is known */
};

/* By pid. */
struct processes {
	struct process **list;
	size_t count;
	size_t next; /* to be checked */
};

/* The live process with this pid, looked at if it is not yet known; NULL if there is none. */
struct process *
processes_know(struct processes *all, pid_t pid, const struct registry_claims *claims);

/*
 * Finds out which have ended: those whose pid is gone, and a few in turn more thoroughly, for whom
 * it is also seen whether they are still in the same place. Whether any has ended.
 */
bool processes_check(struct processes *all, const struct registry_claims *claims);

/* Forgets those that are not used. */
void processes_sweep(struct processes *all);
void processes_release(struct processes *all);

#endif
