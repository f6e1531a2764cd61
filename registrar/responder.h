/* SPDX-License-Identifier: MIT */
/* devmeshd's DNS responder, as this machine's programs find it: on the loopback address. */
#ifndef DEVMESH_RESPONDER_H
#define DEVMESH_RESPONDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dns.h"
#include "conf/conf.h"

#define RESPONDER_ADDRESS "127.0.0.1"

enum {
	RESPONDER_PORT = 53,
	RESPONDER_OTHER_PORT = 5453, /* where the usual one is not allowed, or taken */
	RESPONDER_MS = 500,
};

struct responder {
	uint16_t port;	 /* where it answers; else where it is to be expected */
	bool answers;	 /* for names of the zone, with an address of this machine */
	bool other_zone; /* it is there, and refuses the zone */
};

/*
 * Asks at [dns] port, or at both ports that it may have, for a name of the zone that nobody has
 * asked for yet. Waits at most that long.
 */
void responder_look(
    const struct conf *conf, const char *zone, int64_t timeout_ms, struct responder *out);

/* Whether that is how it answers: for the zone, by itself, and asking nobody else. Pure. */
bool responder_is_reply(const struct dns_reply *reply);

/* Whether it is how devmeshd refuses what is not its zone's: another server would ask others. Pure.
 */
bool responder_is_other_zone(const struct dns_reply *reply);

/* A name of the zone that no cache knows; the caller owns it. */
char *responder_fresh_name(const char *zone);

#endif
