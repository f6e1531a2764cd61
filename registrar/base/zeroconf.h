/* SPDX-License-Identifier: MIT */
/*
 * The system's own responder of multicast DNS (RFC 6762): Avahi on Linux (zeroconf_linux.c); macOS
 * has one that always runs (zeroconf_darwin.c). Here only whether it is there; who has names
 * announced is dashboard/mdns.h.
 */
#ifndef DEVMESH_ZEROCONF_H
#define DEVMESH_ZEROCONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Whether it takes names. DM_NOT_FOUND: it is not installed, DM_UNREACHABLE: it does not run,
 * DM_TIMEOUT: it does not answer.
 */
bool dm_zeroconf_ready(int64_t timeout_ms, struct dm_err *err) DM_MUST;

#endif
