/* SPDX-License-Identifier: MIT */
/*
 * A bridge: byte for byte from a Unix socket that we listen on to wherever the server really
 * listens. It knows nothing of HTTP. Half-closed connections stay half-closed; a slow reader slows
 * the other end down instead of filling memory.
 *
 * While there is no target, or the target refuses (the server starts, or restarts), connections
 * are kept waiting, up to a limit; then they are closed, as the server itself would have done.
 */
#ifndef DEVMESH_BRIDGE_H
#define DEVMESH_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"

struct event_base;
struct bridge;

/* Where the server listens. */
struct bridge_target {
	struct sockaddr_storage address;
	socklen_t length; /* 0: nowhere, for now */
};

/*
 * Serves the listening socket `fd`, which it takes over. `hold_ms` is how long a connection may
 * wait. `missed` (with `user`) is called when the target has refused a connection: it may have
 * moved. The caller owns the result.
 */
struct bridge *bridge_new(struct event_base *base, int fd, int64_t hold_ms,
    void (*missed)(void *user), void *user, struct dm_err *err) DM_MUST;

/* Closes the listening socket and every connection; the socket file stays. */
void bridge_free(struct bridge *bridge);
DM_DEFINE_FREEP(bridge)

/* Sets the target for new connections, and connects those that wait. */
void bridge_set_target(struct bridge *bridge, const struct bridge_target *target);

/* How many connections there are now, waiting ones included. */
size_t bridge_connections(const struct bridge *bridge);

/*
 * Binds and listens on `path` (mode 0666: what a proxy of another user needs to connect; a port
 * on the loopback address is no more private). *ino tells the file apart from a later one. The
 * caller owns the descriptor; -1: *err is set, DM_CONFLICT if the path is taken.
 */
int bridge_listen(const char *path, dev_t *dev, ino_t *ino, struct dm_err *err) DM_MUST;

#endif
