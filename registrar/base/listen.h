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

/*
 * Finds the process of this user that has each of the sockets (by inode) open: listener.pid, 0 if
 * none is to be seen. Of several it is the one that has handed it on to the others, a prefork
 * server's parent. `seen` are the processes that there were at the last search, by pid, and then
 * those of now: new ones are looked at first, which is nearly always enough; otherwise every
 * descriptor of every process of the user is looked at, which takes some ten milliseconds.
 */
void dm_listen_owners(struct dm_sockets *sockets, struct dm_pids *seen);

/* For listen.c alone, by listen_linux.c and listen_darwin.c: */

/* Which process has which socket open. */
struct dm_holder {
	uint64_t inode;
	pid_t pid;
};

struct dm_holders {
	struct dm_holder *list;
	size_t count;
};

void dm_holders_add(struct dm_holders *holders, uint64_t inode, pid_t pid);

/* The socket with this inode in a list that is sorted by it; NULL if there is none. */
struct dm_socket *dm_sockets_find(const struct dm_sockets *sockets, uint64_t inode);

/* Adds this user's processes; for those in `ours`, sorted, that need not be seen anew. */
void dm_listen_processes(const struct dm_pids *ours, struct dm_pids *out);
/* Adds which of the sockets the process has open. */
void dm_listen_held(pid_t pid, const struct dm_sockets *sockets, struct dm_holders *out);

#endif
