/* SPDX-License-Identifier: MIT */
/*
 * What discover.c (sockets), discover_process.c (who has them) and discover_claims.c (what for)
 * share. For nobody else.
 */
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
 * Sees whether some of them, in turn, are what and where they were; with `all_of_them`, whether all
 * are. After a change among the sockets it is also seen whose pid, or whose devmesh run's, is gone.
 */
void processes_check(
    struct processes *all, const struct registry_claims *claims, bool change, bool all_of_them);

/* After others have come to be known: a repository of theirs may be that of a removed directory. */
void processes_settle(struct processes *all, const struct registry_claims *claims);

/* Forgets those that are not used. */
void processes_sweep(struct processes *all);
void processes_release(struct processes *all);

/* Claims, found by what serves them. */
struct claim_index;

/* The caller owns it; `claims` must outlive it. */
struct claim_index *claim_index_new(const struct registry_claims *claims);
void claim_index_free(struct claim_index *index);

/* The claim whose server is to be on the Unix socket; NULL: none. */
const struct claim *claim_of_path(const struct claim_index *index, const char *path);
/* The claim that a process with that TCP socket serves; NULL: none. */
const struct claim *claim_of_port(const struct claim_index *index,
    const struct dm_listener *listener, const struct process *process);
bool claims_have_port(const struct claim_index *index, uint16_t port);
/* Whether it is the `devmesh run` of a claim: what listens for the server behind it. */
bool claims_have_runner(const struct claim_index *index, const struct dm_proc_id *id);

#endif
