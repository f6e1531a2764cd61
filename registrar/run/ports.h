/* SPDX-License-Identifier: MIT */
/* Which of the ports that a command's processes listen on is the service. Mostly pure. */
#ifndef DEVMESH_PORTS_H
#define DEVMESH_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"
#include "base/str.h"

struct ports_wish {
	uint16_t forced;  /* only this one will do; 0: none */
	uint16_t offered; /* what PORT said */
	uint16_t current; /* what was chosen before; 0: none */
};

/*
 * The service's listener: the forced port; else the offered one; else the one chosen before;
 * else the lowest that is not known to be a tool's own (a debugger's, hot reload's), else the
 * lowest. On both address families, IPv4 goes before IPv6. NULL if there is none. Borrowed from
 * `listeners`.
 */
const struct dm_listener *
ports_choose(const struct dm_listeners *listeners, const struct ports_wish *wish);

/* Whether it listens on the addresses of every interface, for the whole network to reach. */
bool ports_is_open(const struct dm_listener *listener);

/* "127.0.0.1:5173 (pid 312, node), [::1]:24678 (pid 312, node)"; "nothing" for an empty list. */
void ports_describe(const struct dm_listeners *listeners, struct dm_str *out);

/* Which address to connect to for this listener, as a sockaddr in `out`; its length. */
struct sockaddr_storage;
size_t ports_address(const struct dm_listener *listener, struct sockaddr_storage *out);

/*
 * A free TCP port to offer, which depends on the name of what it is for: it is mostly the same
 * again next time, and another one for another service. It may be taken before the server binds
 * it: hence ports_choose(). 0 if none could be found.
 */
uint16_t ports_offer(const char *name);

#endif
