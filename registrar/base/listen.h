/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets, and which of this user's processes have them open: for whoever looks again and
 * again. The first question is cheap, and its answer nearly always the same; the second one is for
 * when it is not (listen_linux.c, listen_darwin.c).
 */
#ifndef DEVMESH_LISTEN_H
#define DEVMESH_LISTEN_H

#include "base/proc.h"

/* A socket that is being listened on: of TCP, or a Unix socket with a path. */
struct dm_socket {
	uint64_t inode; /* tells it from every other one that exists: the kernel's own number */
	uid_t uid;	/* who made it; (uid_t)-1: the kernel does not say */
	struct dm_listener listener; /* pid is 0; port is 0 with a Unix socket */
	char *path; /* what a Unix socket was bound to, perhaps relative; NULL with a port */
};

struct dm_sockets {
	struct dm_socket *list; /* owned: dm_sockets_release */
	size_t count;
};

/* Copies *one; its path is the list's then. */
void dm_sockets_add(struct dm_sockets *sockets, const struct dm_socket *one);
void dm_sockets_release(struct dm_sockets *sockets);

/*
 * Adds what is listened on in this network namespace, but for what is known to be another user's.
 * By inode.
 */
void dm_listen_sockets(struct dm_sockets *out);

struct dm_holder {
	uint64_t inode;
	pid_t pid;
};

struct dm_holders {
	struct dm_holder *list; /* owned: dm_holders_release */
	size_t count;
};

void dm_holders_add(struct dm_holders *holders, uint64_t inode, pid_t pid);
void dm_holders_release(struct dm_holders *holders);

/*
 * Adds the processes of this user that have one of the sockets (sorted by inode) open; one that has
 * it twice is there twice. By inode, then pid. Looks at every descriptor of every process of the
 * user: some milliseconds.
 */
void dm_listen_holders(const struct dm_sockets *sockets, struct dm_holders *out);

#endif
