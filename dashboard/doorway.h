/* SPDX-License-Identifier: MIT */
/*
 * A Unix socket that clients come in by: made over what a dead daemon has left, accepted from in
 * small numbers a turn of the loop, with a pause when there is no descriptor left, removed at the
 * end.
 */
#ifndef DEVMESH_DOORWAY_H
#define DEVMESH_DOORWAY_H

#include <sys/types.h>

#include "base/err.h"

struct event_base;
struct doorway;

/* A client has connected; `fd` is non-blocking, close-on-exec, and the callee's from now on. */
typedef void doorway_came(void *user, int fd);

/*
 * Binds and listens on `path` with that mode from the first (dm_sock_listen_unix). DM_CONFLICT
 * where something is in the way that is not left over. The caller owns the result.
 */
struct doorway *doorway_open(struct event_base *base, const char *path, mode_t mode,
    doorway_came *came, void *user, struct dm_err *err) DM_MUST;
/* Nobody new comes in any more; who connects waits in the backlog. */
void doorway_shut(struct doorway *doorway);
/* Closes it and removes the file, if that is still its own. NULL is nothing. */
void doorway_close(struct doorway *doorway);

#endif
