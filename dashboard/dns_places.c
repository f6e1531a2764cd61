/* SPDX-License-Identifier: MIT */
#include "dns_places.h"

#include <string.h>

static const struct dns_address loopback4 = {.bytes = {127, 0, 0, 1}};
static const struct dns_address loopback6 = {.ipv6 = true, .bytes = {[15] = 1}};

/* NULL: it is there already, or there are too many. */
static struct dns_place *
add(struct dns_place *out, size_t *count, const struct dns_address *at,
    const struct dns_address *ipv4)
{
	struct dns_place *place = &out[*count];

	for (size_t i = 0; i < *count; i++) {
		if (dns_address_same(&out[i].address, at))
			return NULL;
	}
	if (*count == DNS_PLACES_MAX)
		return NULL;
	memset(place, 0, sizeof(*place));
	place->address = *at;
	memcpy(place->asked.ipv4, ipv4->bytes, sizeof(place->asked.ipv4));
	(*count)++;
	return place;
}

static bool
has_route(const struct netif_list *list, const char *interface)
{
	for (size_t i = 0; i < list->route_count; i++) {
		if (strcmp(list->routes[i], interface) == 0)
			return true;
	}
	return false;
}

static bool
is_in(const struct lan_range *ranges, size_t count, const struct dns_address *address)
{
	for (size_t i = 0; i < count; i++) {
		if (netif_contains(&ranges[i].network, ranges[i].prefix, address))
			return true;
	}
	return false;
}

static void
add_further(const struct dns_places_input *in, struct dns_place *out, size_t *count)
{
	struct lan_range vpn[LAN_CONFIGURED_MAX];
	size_t ranges = 0;
	struct dm_err ignored;
	bool chosen = in->wish->interface != NULL || in->wish->address != NULL;

	if (in->wish->ranges != NULL &&
	    !lan_ranges_parse(in->wish->ranges, vpn, LAN_CONFIGURED_MAX, &ranges, &ignored))
		ranges = 0;
	for (size_t i = 0; i < in->list->count; i++) {
		const struct netif_address *a = &in->list->list[i];

		/* a link-local one is chosen anew at each start, and means another machine
		 * elsewhere */
		if (a->address.ipv6 || a->loopback || dns_address_is_loopback(&a->address) ||
		    dns_address_is_link_local(&a->address))
			continue;
		if (is_in(vpn, ranges, &a->address) ||
		    (!chosen && !a->point_to_point && has_route(in->list, a->name)))
			(void)add(out, count, &a->address, &a->address);
	}
}

size_t
dns_places(const struct dns_places_input *in, struct dns_place out[DNS_PLACES_MAX])
{
	const struct lan_state *lan = in->lan;
	bool caddy6 = lan->has_ipv6 && in->caddy6;
	size_t count = 0;

	if (in->scope == DNS_SCOPE_NONE)
		return 0;
	(void)add(out, &count, &loopback4, &loopback4);
	if (in->loopback6)
		(void)add(out, &count, &loopback6, &loopback4);
	if (in->scope != DNS_SCOPE_ALL || !lan->enabled || !lan->has_address)
		return count;
	for (int ipv6 = 0; ipv6 < (lan->has_ipv6 ? 2 : 1); ipv6++) {
		struct dns_place *place = add(out, &count,
		    ipv6 ? &lan->ipv6.address : &lan->address.address, &lan->address.address);

		if (place == NULL || !caddy6)
			continue;
		place->asked.has_ipv6 = true;
		memcpy(place->asked.ipv6, lan->ipv6.address.bytes, sizeof(place->asked.ipv6));
	}
	add_further(in, out, &count);
	return count;
}
