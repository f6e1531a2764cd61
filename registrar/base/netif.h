/* SPDX-License-Identifier: MIT */
/*
 * The addresses of this machine's network interfaces, and which interface the default route takes:
 * getifaddrs(3), and the routing table (netif_linux.c, netif_darwin.c).
 */
#ifndef DEVMESH_NETIF_H
#define DEVMESH_NETIF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/dns.h"
#include "base/err.h"

enum {
	NETIF_NAME_MAX = 16, /* IFNAMSIZ, with its NUL */
	NETIF_MAX = 64,	     /* further addresses are left out */
};

/* One address of an interface that is up. */
struct netif_address {
	char name[NETIF_NAME_MAX];
	struct dns_address address;
	unsigned prefix; /* bits of it that are the network's: those on the same link */
	bool loopback;
	bool point_to_point; /* a tunnel: nobody else is on the link */
};

struct netif_list {
	struct netif_address list[NETIF_MAX];
	size_t count;
	char route[NETIF_NAME_MAX]; /* interface of the IPv4 default route; "": there is none */
};

bool netif_read(struct netif_list *out, struct dm_err *err) DM_MUST;

/* Whether `address` is in the network of the first `prefix` bits of `network`. Pure. */
bool netif_contains(
    const struct dns_address *network, unsigned prefix, const struct dns_address *address);

#endif
