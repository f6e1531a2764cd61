/* SPDX-License-Identifier: MIT */
/* Waiting until a service answers through Caddy. */
#ifndef DEVMESH_WAIT_H
#define DEVMESH_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "claim/claim.h"

/*
 * Returns when a request for the claim's URL, sent to Caddy on this machine, was answered by the
 * service (whatever the status). DM_TIMEOUT says what was missing: a listener, or the way there.
 */
bool wait_for_service(const struct claim *claim, int64_t timeout_ms, struct dm_err *err) DM_MUST;

#endif
