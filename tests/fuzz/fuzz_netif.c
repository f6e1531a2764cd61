/* SPDX-License-Identifier: MIT */
/*
 * Any text as the kernel's routes and addresses, and as [lan] ranges: nothing is read beyond its
 * end, the list stays in its bounds, and what was read is what it says it is.
 */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "base/netif.h"
#include "model/lan_choice.h"

static void
check_routes(const char *text)
{
	struct netif_list list = {.count = 0};

	netif_routes_parse(text, &list);
	MUST(list.route_count <= NETIF_ROUTES_MAX);
	for (size_t i = 0; i < list.route_count; i++) {
		MUST(memchr(list.routes[i], '\0', NETIF_NAME_MAX) != NULL);
		MUST(list.routes[i][0] != '\0' && strstr(text, list.routes[i]) != NULL);
		for (size_t j = 0; j < i; j++)
			MUST(strcmp(list.routes[i], list.routes[j]) != 0);
	}
}

static void
check_addresses(const char *text)
{
	struct netif_list list = {
	    .count = 1, .list = {{.name = "eth0", .address = {.ipv6 = true, .bytes = {0xfd}}}}};

	netif_inet6_parse(text, &list);
	MUST(list.count == 1 && strcmp(list.list[0].name, "eth0") == 0);
	if (list.list[0].passing)
		MUST(strstr(text, "eth0") != NULL);
}

static void
check_ranges(const char *text)
{
	const struct lan_wish wish = {.enabled = true, .ranges = text};
	struct lan_range ranges[LAN_CONFIGURED_MAX];
	struct lan_state state = {.serial = 3};
	struct netif_list list = {.count = 0};
	struct dm_err err;
	size_t count = 0;
	bool ok = lan_ranges_parse(text, ranges, LAN_CONFIGURED_MAX, &count, &err);

	MUST(count <= LAN_CONFIGURED_MAX && (ok || count == 0));
	lan_choose(&list, &wish, &state);
	MUST(!state.has_address && state.lack != NULL && state.serial == 3);
	MUST(state.range_count <= count);
	for (size_t i = 0; ok && i < count; i++) {
		MUST(ranges[i].prefix <= (ranges[i].network.ipv6 ? 128 : 32));
		MUST(lan_state_admits(&state, &ranges[i].network));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);

	check_routes(text);
	check_addresses(text);
	check_ranges(text);
	return 0;
}
