/* SPDX-License-Identifier: MIT */
/*
 * The daemon's own name in the mesh: it is a service as any other, at https://devmesh.<domain>,
 * with a claim whose "worktree" is the state directory. Where another user has the name it gets
 * another.
 */
#ifndef DEVMESH_HOME_H
#define DEVMESH_HOME_H

#include "base/err.h"

struct daemon;

/* Claims the name, and fills in the daemon's id and socket_path. Caddy need not answer yet. */
bool home_claim(struct daemon *d, struct dm_err *err) DM_MUST;
/* Caddy has come, or was configured anew: host and url, and how its route comes about. */
void home_settle(struct daemon *d);
void home_forget(struct daemon *d);

#endif
