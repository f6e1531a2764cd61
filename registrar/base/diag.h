/* SPDX-License-Identifier: MIT */
/*
 * Linux only: the kernel's table of TCP sockets by sock_diag(7), for proc_linux.c. /proc/net/tcp
 * has the same, but reading it takes milliseconds, since the kernel walks the whole hash table of
 * connections for the few that listen.
 */
#ifndef DEVMESH_DIAG_H
#define DEVMESH_DIAG_H

#include "base/proc.h"

struct dm_socket {
	uint64_t inode;
	struct dm_listener listener; /* pid is 0 */
};

struct dm_sockets {
	struct dm_socket *list; /* owned: dm_sockets_release */
	size_t count;
};

/*
 * Adds every TCP socket that is listened on. False if the kernel does not answer (it was built
 * without, or a sandbox forbids it): then what was added is not complete.
 */
bool dm_diag_listening(struct dm_sockets *out);

void dm_sockets_release(struct dm_sockets *sockets);

#endif
