/* SPDX-License-Identifier: MIT */
/*
 * Who really answers for a service, as the kernel says: the process that listens, its working
 * directory, the worktree that this is in. A record says whose a name is; this says who serves it.
 */
#ifndef DEVMESH_ANSWERER_H
#define DEVMESH_ANSWERER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/proc.h"
#include "base/sock.h"
#include "claim/claim.h"

enum answerer_kind {
	ANSWERER_NONE,	  /* nobody listens */
	ANSWERER_OWN,	  /* a process of the worktree */
	ANSWERER_FOREIGN, /* its working directory is known, and belongs to something else */
	ANSWERER_UNKNOWN, /* not ours to see, or its working directory says nothing: "/", removed */
};

struct answerer {
	enum answerer_kind kind;
	bool bridge;	/* `devmesh run` has the socket; kind and pid are of the server behind it */
	pid_t pid;	/* 0: unknown */
	char *cwd;	/* NULL: unknown. Owned */
	char *worktree; /* that cwd is in; without git cwd itself; NULL: unknown. Owned */
};

/*
 * Looks at who answers for the claim, and whether that one belongs to `worktree`. With a port,
 * all processes that share it count, and one foreign one among them makes the answer foreign.
 *
 * `seen` is what dm_sock_probe() has found at the claim's socket, and `listeners` holds at least
 * all listeners on the claim's port (dm_proc_of_ports()); NULL: not looked at yet.
 */
void answerer_find(const struct claim *claim, const char *worktree, const struct dm_sock_info *seen,
    const struct dm_listeners *listeners, struct answerer *out);

/* The same for a TCP port of this machine, without a claim (NULL) or for another of its ports. */
void answerer_of_port(
    uint16_t port, const struct claim *claim, const char *worktree, struct answerer *out);

void answerer_release(struct answerer *answerer);
#define ANSWERER_AUTO __attribute__((cleanup(answerer_release)))

#endif
