/* SPDX-License-Identifier: MIT */
/* start and stop with an ID are restart's sisters; without one they are the private mesh's. */
#ifndef DEVMESH_CMD_RESTART_H
#define DEVMESH_CMD_RESTART_H

#include "cmd.h"

/* "start", "stop" or "restart" of the service that the arguments mean, and what is said of it. */
bool restart_service(struct cmd_ctx *ctx, const char *verb, struct dm_err *err) DM_MUST;

#endif
