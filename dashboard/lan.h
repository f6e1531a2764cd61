/* SPDX-License-Identifier: MIT */
/*
 * By which address other devices reach this machine, kept up to date: by the configuration ([lan]
 * interface, address), else the address of the interface that the default route takes. Who depends
 * on it subscribes.
 */
#ifndef DEVMESH_LAN_H
#define DEVMESH_LAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/netif.h"

struct daemon;
struct lan;

enum {
	LAN_RANGES_MAX = 32,
};

/* A range of addresses from which devices may come. */
struct lan_range {
	struct dns_address network;
	unsigned prefix;
};

struct lan_state {
	bool enabled;		      /* [lan] enabled: others may reach us at all */
	bool has_address;	      /* there is an address by which they do */
	struct netif_address address; /* IPv4; with its interface and prefix */
	bool has_ipv6;		      /* and a stable global or unique local one beside it: */
	struct netif_address ipv6;
	struct lan_range ranges[LAN_RANGES_MAX]; /* on-link prefixes of every interface that is */
	size_t range_count;			 /* not loopback, then [lan] ranges */
	uint32_t serial; /* grows with every change of any of this, also over restarts (RFC 1982) */
};

/* Looks for the first time, and watches. The caller owns it. */
struct lan *lan_new(struct daemon *d);
void lan_free(struct lan *lan);

/* As of the last look; borrowed, and another one after each change. */
const struct lan_state *lan_state(const struct lan *lan);

/* Calls fn after each change, in order of subscription, until lan_free(). */
typedef void lan_changed_fn(void *user, const struct lan_state *state);
void lan_subscribe(struct lan *lan, lan_changed_fn *fn, void *user);

/* The configuration was read again. */
void lan_reload(struct lan *lan);

#endif
