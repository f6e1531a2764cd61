/* SPDX-License-Identifier: MIT */
/* The texts of Linux about routes and addresses, read on every system by the tests. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/netif.h"

enum {
	/* linux/route.h */
	ROUTE_UP = 0x1,
	ROUTE_REJECT = 0x200,
	/* linux/if_addr.h */
	INET6_TEMPORARY = 0x01,
	INET6_OPTIMISTIC = 0x04,
	INET6_DADFAILED = 0x08,
	INET6_DEPRECATED = 0x20,
	INET6_TENTATIVE = 0x40,
	INET6_PASSING = INET6_TEMPORARY | INET6_OPTIMISTIC | INET6_DADFAILED | INET6_DEPRECATED |
			INET6_TENTATIVE,

	FIELDS = 8, /* of a line that are looked at */
	FIELD_MAX = 33,
	HEX = 16,
	DECIMAL = 10,
};

/* The first FIELDS words of a line; false unless there are as many, and none is longer than fits.
 */
static bool
split(const char *line, size_t count, char out[FIELDS][FIELD_MAX])
{
	for (size_t i = 0; i < count; i++) {
		size_t len;

		line += strspn(line, " \t");
		len = strcspn(line, " \t\n");
		if (len == 0 || len >= FIELD_MAX)
			return false;
		memcpy(out[i], line, len);
		out[i][len] = '\0';
		line += len;
	}
	return true;
}

static bool
number(const char *text, int base, uint32_t *out)
{
	char *end;
	unsigned long long value = strtoull(text, &end, base);

	*out = (uint32_t)value;
	return end != text && *end == '\0' && value <= UINT32_MAX;
}

static void
remove_route(struct netif_list *out, uint32_t metrics[], size_t at)
{
	out->route_count--;
	for (size_t i = at; i < out->route_count; i++) {
		memcpy(out->routes[i], out->routes[i + 1], NETIF_NAME_MAX);
		metrics[i] = metrics[i + 1];
	}
}

/* Several routes of one interface count as the best of them; equals stay in the kernel's order. */
static void
add_route(struct netif_list *out, uint32_t metrics[], const char *name, uint32_t metric)
{
	size_t at = out->route_count;

	for (size_t i = 0; i < out->route_count; i++) {
		if (strcmp(out->routes[i], name) != 0)
			continue;
		if (metrics[i] <= metric)
			return;
		remove_route(out, metrics, i);
		break;
	}
	if (out->route_count == NETIF_ROUTES_MAX) {
		if (metrics[NETIF_ROUTES_MAX - 1] <= metric)
			return;
		out->route_count--;
	}
	for (at = out->route_count++; at > 0 && metrics[at - 1] > metric; at--) {
		memcpy(out->routes[at], out->routes[at - 1], NETIF_NAME_MAX);
		metrics[at] = metrics[at - 1];
	}
	(void)snprintf(out->routes[at], NETIF_NAME_MAX, "%s", name);
	metrics[at] = metric;
}

void
netif_routes_parse(const char *table, struct netif_list *out)
{
	uint32_t metrics[NETIF_ROUTES_MAX] = {0}, destination, mask, flags, metric;
	char word[FIELDS][FIELD_MAX];

	out->route_count = 0;
	for (const char *line = strchr(table, '\n'); line != NULL; line = strchr(line, '\n')) {
		/* Iface Destination Gateway Flags RefCnt Use Metric Mask */
		if (!split(++line, FIELDS, word) || strlen(word[0]) >= NETIF_NAME_MAX ||
		    !number(word[1], HEX, &destination) || !number(word[3], HEX, &flags) ||
		    !number(word[6], DECIMAL, &metric) || !number(word[7], HEX, &mask))
			continue;
		if (destination == 0 && mask == 0 && (flags & ROUTE_UP) != 0 &&
		    (flags & ROUTE_REJECT) == 0)
			add_route(out, metrics, word[0], metric);
	}
}

/* The 32 digits of an address, without colons. */
static bool
inet6_address(const char *digits, struct dns_address *out)
{
	*out = (struct dns_address){.ipv6 = true};
	if (strlen(digits) != 2 * sizeof(out->bytes))
		return false;
	for (size_t i = 0; i < sizeof(out->bytes); i++) {
		const char pair[] = {digits[2 * i], digits[2 * i + 1], '\0'};
		uint32_t byte;

		if (!number(pair, HEX, &byte))
			return false;
		out->bytes[i] = (uint8_t)byte;
	}
	return true;
}

void
netif_inet6_parse(const char *line, struct netif_list *list)
{
	char word[FIELDS][FIELD_MAX];
	struct dns_address address;
	uint32_t flags;

	/* address, index, prefix, scope, flags, interface */
	if (!split(line, 6, word) || !inet6_address(word[0], &address) ||
	    !number(word[4], HEX, &flags))
		return;
	for (size_t i = 0; i < list->count; i++) {
		struct netif_address *one = &list->list[i];

		if (strcmp(one->name, word[5]) == 0 && dns_address_same(&one->address, &address))
			one->passing = (flags & INET6_PASSING) != 0;
	}
}
