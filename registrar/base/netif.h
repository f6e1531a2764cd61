/* SPDX-License-Identifier: MIT */
/*
 * The addresses of this machine's network interfaces, and which interfaces default routes take:
 * getifaddrs(3), and the routing table (netif_linux.c, netif_darwin.c).
 */
#ifndef DEVMESH_NETIF_H
#define DEVMESH_NETIF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/dns.h"
#include "base/err.h"

enum {
	NETIF_NAME_MAX = 16,  /* IFNAMSIZ, with its NUL */
	NETIF_MAX = 64,	      /* further addresses are left out */
	NETIF_ROUTES_MAX = 8, /* and further default routes */
};

/* One address of an interface that is up, and has a cable or a network of the air. */
struct netif_address {
	char name[NETIF_NAME_MAX];
	struct dns_address address;
	unsigned prefix; /* bits of it that are the network's: those on the same link */
	bool loopback;
	bool point_to_point; /* a tunnel: nobody else is on the link */
	bool passing;	     /* IPv6: a privacy address, or one not yet or soon no more in use */
};

struct netif_list {
	struct netif_address list[NETIF_MAX]; /* in the kernel's order */
	size_t count;
	/* Interfaces of IPv4 default routes, the preferred one first. */
	char routes[NETIF_ROUTES_MAX][NETIF_NAME_MAX];
	size_t route_count;
};

bool netif_read(struct netif_list *out, struct dm_err *err) DM_MUST;

/* Whether `address` is in the network of the first `prefix` bits of `network`. Pure. */
bool netif_contains(
    const struct dns_address *network, unsigned prefix, const struct dns_address *address);

/*
 * The default routes of a /proc/net/route (proc(5)), by their metric. That is the main table: the
 * tables of their own that WireGuard and Tailscale have are not in it, nor the two halves
 * (0.0.0.0/1, 128.0.0.0/1) by which OpenVPN takes everything, so the real network stays visible
 * behind them. Pure.
 */
void netif_routes_parse(const char *table, struct netif_list *out);

/* A line of /proc/net/if_inet6: marks the address of the list that it is about. Pure. */
void netif_inet6_parse(const char *line, struct netif_list *list);

/* For netif.c alone: netif_linux.c, netif_darwin.c. What the kernel says of routes, and of IPv6
 * addresses that are in the list already. */
void netif_ask_kernel(struct netif_list *list);

#endif
