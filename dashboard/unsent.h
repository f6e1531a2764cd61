/* SPDX-License-Identifier: MIT */
/* What a client has not taken yet. Both transports hold it against slow readers of events. */
#ifndef DEVMESH_UNSENT_H
#define DEVMESH_UNSENT_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;

enum {
	UNSENT_MAX = 256 << 10 /* bytes of events */
};

/*
 * Whether the reader is too slow. What a new one gets first may be more than it could ever be
 * behind: *burst is that, and becomes 0 once it has been taken.
 */
bool unsent_too_much(struct bufferevent *bev, size_t *burst);

/* Gives the kernel what it takes at once: the loop is about to end. */
void unsent_flush(struct bufferevent *bev);

#endif
