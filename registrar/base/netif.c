/* SPDX-License-Identifier: MIT */
#include "base/netif.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"

bool
netif_contains(
    const struct dns_address *network, unsigned prefix, const struct dns_address *address)
{
	unsigned bytes = prefix / 8, rest = prefix % 8;

	if (network->ipv6 != address->ipv6 || prefix > (network->ipv6 ? 128U : 32U) ||
	    memcmp(network->bytes, address->bytes, bytes) != 0)
		return false;
	return rest == 0 || (network->bytes[bytes] ^ address->bytes[bytes]) >> (8 - rest) == 0;
}

/* ---- looking ---------------------------------------------------------------------------- */

static bool
address_of(const struct sockaddr *from, struct dns_address *out)
{
	memset(out, 0, sizeof(*out));
	if (from != NULL && from->sa_family == AF_INET) {
		memcpy(out->bytes, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
		return true;
	}
	if (from != NULL && from->sa_family == AF_INET6) {
		out->ipv6 = true;
		memcpy(
		    out->bytes, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
		return true;
	}
	return false;
}

/* How many bits of the netmask are set, from the left. */
static unsigned
prefix_of(const struct sockaddr *mask, bool ipv6)
{
	const uint8_t *bytes;
	unsigned prefix = 0, most = ipv6 ? 128 : 32;

	if (mask == NULL)
		return most;
	/* macOS leaves the family of a netmask out at times */
	bytes = ipv6 ? ((const struct sockaddr_in6 *)(const void *)mask)->sin6_addr.s6_addr
		     : (const void *)&((const struct sockaddr_in *)(const void *)mask)->sin_addr;
	while (prefix < most && (bytes[prefix / 8] & (0x80U >> prefix % 8)) != 0)
		prefix++;
	return prefix;
}

bool
netif_read(struct netif_list *out, struct dm_err *err)
{
	struct ifaddrs *all;

	memset(out, 0, sizeof(*out));
	if (getifaddrs(&all) != 0)
		return dm_fail(err, DM_FAILED, "reading the addresses of this machine");
	for (const struct ifaddrs *i = all; i != NULL && out->count < NETIF_MAX; i = i->ifa_next) {
		struct netif_address *one = &out->list[out->count];

		if ((i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_RUNNING) == 0 ||
		    !address_of(i->ifa_addr, &one->address) ||
		    !dm_snprintf(one->name, sizeof(one->name), "%s", i->ifa_name))
			continue;
		/* Linux gives the label of an IPv4 address, "eth0:1" (ip-address(8)); no other
		 * system has such names */
		one->name[strcspn(one->name, ":")] = '\0';
		one->prefix = prefix_of(i->ifa_netmask, one->address.ipv6);
		one->loopback = (i->ifa_flags & IFF_LOOPBACK) != 0;
		one->point_to_point = (i->ifa_flags & IFF_POINTOPOINT) != 0;
		out->count++;
	}
	freeifaddrs(all);
	netif_ask_kernel(out);
	return true;
}
