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
 * Whether the kernel says at once that connections to this port of the loopback address, of either
 * family, reach a listener. That it does not may also mean that it was not to be asked.
 */
bool dm_listen_has_port(uint16_t port);
/*
 * The same by looking through all that is listened on, for where it matters. True as well where
 * there is no such list, or not of other users' sockets.
 */
bool dm_listen_may_have_port(uint16_t port);

/* The processes that there were at a search: what has not changed since need not be searched. */
struct dm_searched {
	struct dm_view *list; /* by pid; owned: dm_searched_release */
	size_t count;
};
void dm_searched_release(struct dm_searched *searched);

/*
 * Finds the process of this user that has each of the sockets (by inode) open: listener.pid, 0 if
 * none is to be seen. Of several it is the one that has handed it on to the others, a prefork
 * server's parent. `searched` is of the last search (at first empty), and then of this one:
 * processes that are new, or have another number of descriptors, are looked at first, which is
 * nearly always enough; else all of them, which takes some ten milliseconds.
 */
void dm_listen_owners(struct dm_sockets *sockets, struct dm_searched *searched);

/* For listen.c alone, by listen_linux.c and listen_darwin.c: */

struct dm_view {
	pid_t pid;
	size_t descriptors; /* when they were looked at; 0: they were not */
	bool now;	    /* that was in this search */
};

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

/* By inode. */
void dm_sockets_sort(struct dm_sockets *sockets);
/* The socket with this inode in a list that is sorted by it; NULL if there is none. */
struct dm_socket *dm_sockets_find(const struct dm_sockets *sockets, uint64_t inode);
/* What is known of the process; NULL: nothing. */
struct dm_view *dm_searched_find(const struct dm_searched *searched, pid_t pid);

/* Adds this user's processes; for those that were searched that need not be seen anew. */
void dm_listen_processes(const struct dm_searched *searched, struct dm_pids *out);
/* How many descriptors the process has open; 0 if that is not known without looking at each. */
size_t dm_listen_count(pid_t pid);
/* Adds which of the sockets the process has open. How many descriptors it has. */
size_t dm_listen_held(pid_t pid, const struct dm_sockets *sockets, struct dm_holders *out);

#endif
