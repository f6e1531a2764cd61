/* SPDX-License-Identifier: MIT */
/* At which of this machine's addresses names are answered for, and what each says. Pure. */
#ifndef DEVMESH_DNS_PLACES_H
#define DEVMESH_DNS_PLACES_H

#include "dns_answer.h"
#include "dns_domain.h"
#include "model/lan_choice.h"

enum {
	DNS_PLACES_MAX = 16,
};

/* Who asks at that address is told so. */
struct dns_place {
	struct dns_address address;
	struct dns_asked asked; /* addresses only */
};

struct dns_places_input {
	enum dns_scope scope;
	bool loopback6; /* there is ::1 */
	bool caddy6;	/* Caddy listens on the IPv6 address of *lan */
	const struct lan_state *lan;
	const struct lan_wish *wish;   /* [lan] */
	const struct netif_list *list; /* this machine's addresses */
};

/*
 * How many of `out` were filled. The loopback addresses say 127.0.0.1, in IPv6 too. Every other one
 * says itself, so that a device gets what it can reach: with lan.enabled that of *lan, and beside
 * it, unless lan.interface or lan.address says which, those of further interfaces with a default
 * route; and those within lan.ranges, of a VPN's interface.
 */
size_t dns_places(const struct dns_places_input *in, struct dns_place out[DNS_PLACES_MAX]);

#endif
