/* SPDX-License-Identifier: MIT */
/* sysctl(3) NET_RT_DUMP (route(4)), and SIOCGIFAFLAG_IN6. Not yet run on a Mac. */
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <netinet6/in6_var.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/netif.h"

enum {
	TABLE_MAX = 4 << 20
};

/* The kernel lists the route in use before those that are scoped to other interfaces. */
static void
default_routes(struct netif_list *list)
{
	int name[] = {CTL_NET, PF_ROUTE, 0, AF_INET, NET_RT_DUMP, 0};
	DM_AUTO_FREE char *table = NULL;
	size_t size = 0;

	if (sysctl(name, 6, NULL, &size, NULL, 0) != 0 || size > TABLE_MAX)
		return;
	table = dm_calloc(1, size + 1);
	if (sysctl(name, 6, table, &size, NULL, 0) != 0)
		return;
	for (size_t at = 0; at + sizeof(struct rt_msghdr) <= size;) {
		const struct rt_msghdr *route = (const void *)(table + at);
		const struct sockaddr_in *to = (const void *)(route + 1);

		if (route->rtm_msglen < sizeof(*route) + sizeof(*to))
			break;
		at += route->rtm_msglen;
		if ((route->rtm_flags & RTF_UP) == 0 || (route->rtm_flags & RTF_GATEWAY) == 0 ||
		    to->sin_family != AF_INET || to->sin_addr.s_addr != INADDR_ANY ||
		    list->route_count == NETIF_ROUTES_MAX)
			continue;
		if (if_indextoname(route->rtm_index, list->routes[list->route_count]) != NULL)
			list->route_count++;
	}
}

static void
mark_passing(struct netif_list *list)
{
	DM_AUTO_CLOSE int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	for (size_t i = 0; fd >= 0 && i < list->count; i++) {
		struct netif_address *one = &list->list[i];
		struct in6_ifreq request = {.ifr_addr = {.sin6_family = AF_INET6}};

		if (!one->address.ipv6)
			continue;
		request.ifr_addr.sin6_len = sizeof(request.ifr_addr);
		memcpy(&request.ifr_addr.sin6_addr, one->address.bytes, 16);
		(void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", one->name);
		one->passing = ioctl(fd, SIOCGIFAFLAG_IN6, &request) == 0 &&
			       (request.ifr_ifru.ifru_flags6 &
				   (IN6_IFF_TEMPORARY | IN6_IFF_DEPRECATED | IN6_IFF_TENTATIVE |
				       IN6_IFF_DUPLICATED)) != 0;
	}
}

void
netif_ask_kernel(struct netif_list *list)
{
	default_routes(list);
	mark_passing(list);
}
