/* SPDX-License-Identifier: MIT */
/*
 * By which address other devices reach this machine: the choice among its interfaces' addresses,
 * and from where such devices may come. Pure; who keeps it up to date is dashboard/lan.h.
 */
#ifndef DEVMESH_LAN_CHOICE_H
#define DEVMESH_LAN_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/netif.h"

enum {
	LAN_RANGES_MAX = 32,
	LAN_CONFIGURED_MAX = 16, /* of them: [lan] ranges */
};

/* A range of addresses from which devices may come. */
struct lan_range {
	struct dns_address network;
	unsigned prefix;
};

/* [lan] as written; NULL: unset. Everything is borrowed. */
struct lan_wish {
	bool enabled;
	const char *interface, *address, *ranges;
};

struct lan_state {
	bool enabled;		      /* [lan] enabled: others may reach us at all */
	bool has_address;	      /* there is an address by which they do */
	struct netif_address address; /* IPv4; with its interface and prefix */
	const char *lack;	      /* why there is none; NULL: there is one. Static storage */
	bool has_ipv6; /* and a stable global or unique local one beside it, of its interface: */
	struct netif_address ipv6;
	struct lan_range ranges[LAN_RANGES_MAX]; /* on-link prefixes of every interface that is */
	size_t range_count;			 /* not loopback or a tunnel, then [lan] ranges */
	/* Of all IPv4 addresses and default routes: whoever answers on several is told as well. */
	uint32_t digest;
	uint32_t serial; /* grows with every change of any of this, also over restarts (RFC 1982) */
};

/*
 * What is chosen, in this order: lan.address, if an interface has it; an address of lan.interface;
 * that of the best default route's interface; any other one. What was configured and is not there
 * is replaced by nothing: at another place one's services are not shown to others unasked. Loopback
 * and link-local addresses are never taken; tunnels only when configured; networks of containers
 * and virtual machines only when configured or when the default route takes them.
 *
 * out->serial is left alone. What of the wish cannot be read counts as not there; a
 * configuration that was loaded has nothing of the kind.
 */
void lan_choose(const struct netif_list *list, const struct lan_wish *wish, struct lan_state *out);

/* An IPv4 address; DM_USAGE on anything else. */
bool lan_address_parse(const char *text, struct dns_address *out, struct dm_err *err) DM_MUST;

/* "10.8.0.0/24, fd00::/8": adds to out[*count], up to `max`. DM_USAGE on anything else. */
bool lan_ranges_parse(
    const char *text, struct lan_range *out, size_t max, size_t *count, struct dm_err *err) DM_MUST;

/* Whether both say the same, but for their serials. */
bool lan_state_same(const struct lan_state *a, const struct lan_state *b);

/* Whether an address is in one of the ranges, or a loopback one. */
bool lan_state_admits(const struct lan_state *state, const struct dns_address *from);

/*
 * The first serial of a run: after `saved`, the last one of the run before, and not before
 * `seconds` since the epoch, so that it grows even where that was lost.
 */
uint32_t lan_serial_first(uint32_t saved, uint32_t seconds);

#endif
