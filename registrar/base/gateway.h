/* SPDX-License-Identifier: MIT */
/* The router: where the IPv4 default route leads (gateway_linux.c, gateway_darwin.c). */
#ifndef DEVMESH_GATEWAY_H
#define DEVMESH_GATEWAY_H

#include <stdbool.h>

#include "base/dns.h"

/* Of several default routes that with the lowest metric. False if there is none. */
bool dm_gateway(struct dns_address *out) DM_MUST;

#endif
