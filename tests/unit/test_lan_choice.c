/* SPDX-License-Identifier: MIT */
/* By which address others reach a machine: a table of machines, ranges, states, serials. */
#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "model/lan_choice.h"

static struct dns_address
at(const char *text)
{
	struct dns_address a = {.ipv6 = strchr(text, ':') != NULL};

	assert_int_equal(inet_pton(a.ipv6 ? AF_INET6 : AF_INET, text, a.bytes), 1);
	return a;
}

/*
 * "wlan0 192.168.1.10/24, tun0 10.8.0.2/32 tunnel; route wlan0": the addresses of a machine in the
 * kernel's order, and its default routes, the best first.
 */
static void
machine(const char *text, struct netif_list *out)
{
	DM_AUTO_FREE char *copy = dm_strdup(text);
	char *routes = strstr(copy, "; route"), *save = NULL;

	memset(out, 0, sizeof(*out));
	if (routes != NULL) {
		*routes = '\0';
		routes += strlen("; route");
	}
	for (char *p = strtok_r(copy, ",", &save); p != NULL; p = strtok_r(NULL, ",", &save)) {
		struct netif_address *one = &out->list[out->count++];
		char address[64], kind[16] = "";

		assert_true(sscanf(p, " %15s %63[^/]/%u %15s", one->name, address, &one->prefix,
				kind) >= 3);
		one->address = at(address);
		one->loopback = strcmp(kind, "loopback") == 0;
		one->point_to_point = strcmp(kind, "tunnel") == 0;
		one->passing = strcmp(kind, "passing") == 0;
	}
	for (char *p = routes == NULL ? NULL : strtok_r(routes, " ", &save); p != NULL;
	     p = strtok_r(NULL, " ", &save))
		assert_true(dm_snprintf(out->routes[out->route_count++], NETIF_NAME_MAX, "%s", p));
}

#define LO     "lo 127.0.0.1/8 loopback, lo ::1/128 loopback"
#define WIFI   "wlan0 192.168.1.10/24"
#define CABLE  "eth0 10.0.0.7/16"
#define DOCKER "docker0 172.17.0.1/16, br-0123456789ab 172.18.0.1/16"
#define VPN    "tun0 10.8.0.2/24 tunnel"

static void
the_choice(void **state)
{
	static const struct {
		const char *what, *machine;
		struct lan_wish wish;
		const char *chosen; /* NULL: none */
	} rows[] = {
	    {"Wi-Fi alone", LO "," WIFI "; route wlan0", {.enabled = true}, WIFI},
	    {"both, the cable has the better route", LO "," WIFI "," CABLE "; route eth0 wlan0",
		{.enabled = true}, CABLE},
	    {"both, the Wi-Fi has it", LO "," CABLE "," WIFI "; route wlan0 eth0",
		{.enabled = true}, WIFI},
	    {"containers come first in the list", LO "," DOCKER "," WIFI "; route wlan0",
		{.enabled = true}, WIFI},
	    {"containers alone", LO "," DOCKER, {.enabled = true}, NULL},
	    {"the default route takes a bridge", LO "," DOCKER "; route br-0123456789ab",
		{.enabled = true}, "br-0123456789ab 172.18.0.1/16"},
	    {"a bridge of the user's own", LO ", br0 192.168.7.1/24; route br0", {.enabled = true},
		"br0 192.168.7.1/24"},
	    {"a VPN takes everything", LO "," VPN "," WIFI "; route tun0 wlan0", {.enabled = true},
		WIFI},
	    {"and is the only route", LO "," VPN "," WIFI "; route tun0", {.enabled = true}, WIFI},
	    {"and nothing else is there", LO "," VPN "; route tun0", {.enabled = true}, NULL},
	    {"the VPN is meant", LO "," VPN "," WIFI "; route tun0 wlan0",
		{.enabled = true, .interface = "tun0"}, VPN},
	    {"its address is meant", LO "," VPN "," WIFI "; route wlan0",
		{.enabled = true, .address = "10.8.0.2"}, VPN},
	    {"containers are meant", LO "," DOCKER "," WIFI "; route wlan0",
		{.enabled = true, .interface = "docker0"}, "docker0 172.17.0.1/16"},
	    {"no network", LO, {.enabled = true}, NULL},
	    {"nothing at all", "", {.enabled = true}, NULL},
	    {"a switch without a router", LO "," DOCKER "," CABLE, {.enabled = true}, CABLE},
	    {"IPv6 alone", LO ", wlan0 2001:db8::1/64, wlan0 fe80::1/64; route", {.enabled = true},
		NULL},
	    {"no DHCP: link-local alone", LO ", wlan0 169.254.7.7/16; route wlan0",
		{.enabled = true}, NULL},
	    {"link-local beside one", LO ", wlan0 169.254.7.7/16," WIFI "; route wlan0",
		{.enabled = true}, WIFI},
	    {"several, the first one counts", LO "," WIFI ", wlan0 192.168.2.10/24; route wlan0",
		{.enabled = true}, WIFI},
	    {"the second one is meant", LO "," WIFI ", wlan0 192.168.2.10/24; route wlan0",
		{.enabled = true, .address = "192.168.2.10"}, "wlan0 192.168.2.10/24"},
	    {"the address is not here now", LO "," WIFI "; route wlan0",
		{.enabled = true, .address = "10.0.0.7"}, NULL},
	    {"the interface is not here now", LO "," WIFI "; route wlan0",
		{.enabled = true, .interface = "eth0"}, NULL},
	    {"the address counts more than the interface", LO "," WIFI "," CABLE "; route wlan0",
		{.enabled = true, .interface = "eth0", .address = "192.168.1.10"}, WIFI},
	    {"loopback is never meant", LO "," WIFI "; route wlan0",
		{.enabled = true, .address = "127.0.0.1"}, NULL},
	    {"nor is what is no address", LO "," WIFI "; route wlan0",
		{.enabled = true, .address = "192.168.1"}, NULL},
	    {"a public server", LO ", eth0 203.0.113.9/24; route eth0", {.enabled = true},
		"eth0 203.0.113.9/24"},
	    {"others may not reach it: still known", LO "," WIFI "; route wlan0",
		{.enabled = false}, WIFI},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lan_state got = {.serial = 7};
		char text[DNS_ADDRESS_TEXT], shown[128] = "";
		struct netif_list list;

		machine(rows[i].machine, &list);
		lan_choose(&list, &rows[i].wish, &got);
		assert_int_equal(got.serial, 7);
		assert_int_equal(got.enabled, rows[i].wish.enabled);
		assert_int_equal(got.lack == NULL, got.has_address);
		dns_address_text(&got.address.address, text);
		if (got.has_address)
			assert_true(dm_snprintf(shown, sizeof(shown), "%s %s/%u", got.address.name,
			    text, got.address.prefix));
		if (got.has_address != (rows[i].chosen != NULL) ||
		    (got.has_address && strncmp(rows[i].chosen, shown, strlen(shown)) != 0))
			fail_msg("%s: %s instead of %s", rows[i].what, shown,
			    rows[i].chosen == NULL ? "nothing" : rows[i].chosen);
	}
}

static void
ipv6_beside_it(void **state)
{
	static const struct {
		const char *machine, *chosen; /* "": none */
	} rows[] = {
	    {WIFI ", wlan0 fe80::1/64, wlan0 2001:db8::1/64; route wlan0", "2001:db8::1"},
	    {WIFI ", wlan0 2001:db8::1/64, wlan0 fd00::1/64; route wlan0", "fd00::1"},
	    {WIFI ", wlan0 2001:db8::7/64 passing, wlan0 2001:db8::1/64; route wlan0",
		"2001:db8::1"},
	    {WIFI ", wlan0 fd00::1/64 passing; route wlan0", ""},
	    {WIFI ", wlan0 fe80::1/64, eth0 fd00::1/64; route wlan0", ""},
	    {"wlan0 fd00::1/64; route wlan0", ""},
	};
	const struct lan_wish wish = {.enabled = true};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct lan_state got = {.serial = 0};
		char text[DNS_ADDRESS_TEXT] = "";
		struct netif_list list;

		machine(rows[i].machine, &list);
		lan_choose(&list, &wish, &got);
		if (got.has_ipv6)
			dns_address_text(&got.ipv6.address, text);
		assert_string_equal(text, rows[i].chosen);
	}
}

static void
where_others_may_come_from(void **state)
{
	static const struct {
		const char *from;
		bool admitted;
	} rows[] = {
	    {"192.168.1.200", true},
	    {"192.168.2.1", false},
	    {"127.0.0.1", true},
	    {"::1", true},
	    {"172.17.0.5", true}, /* a container */
	    {"10.8.0.9", false},  /* a VPN that nobody has named */
	    {"100.64.3.4", true}, /* one that was */
	    {"100.128.0.1", false},
	    {"fe80::7", true},
	    {"fd12::1", true},
	    {"2001:db8::1", false},
	    {"0.0.0.0", false},
	};
	const struct lan_wish wish = {.enabled = true, .ranges = "100.64.0.0/10 ,fd12::/16"};
	struct lan_state got = {.serial = 0};
	struct netif_list list;

	(void)state;
	machine(LO "," WIFI ", wlan0 fe80::1/64, eth0 fe80::2/64," DOCKER "," VPN "; route wlan0",
	    &list);
	lan_choose(&list, &wish, &got);
	/* the same link-local network twice is one range */
	assert_int_equal(got.range_count, 6);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct dns_address from = at(rows[i].from);

		if (lan_state_admits(&got, &from) != rows[i].admitted)
			fail_msg("%s", rows[i].from);
	}
}

/* However many networks there are, one's own and those that were named are among them. */
static void
ranges_that_matter_have_room(void **state)
{
	const struct lan_wish wish = {
	    .enabled = true, .interface = "if63", .ranges = "100.64.0.0/10, 10.8.0.0/24"};
	const struct dns_address own = at("192.168.63.9"), named = at("10.8.0.3");
	struct lan_state got = {.serial = 0};
	struct netif_list list = {.count = NETIF_MAX};

	(void)state;
	for (size_t i = 0; i < NETIF_MAX; i++) {
		(void)snprintf(list.list[i].name, NETIF_NAME_MAX, "if%zu", i);
		list.list[i].address = (struct dns_address){.bytes = {192, 168, (uint8_t)i, 1}};
		list.list[i].prefix = 24;
	}
	lan_choose(&list, &wish, &got);
	assert_int_equal(got.range_count, LAN_RANGES_MAX);
	assert_true(lan_state_admits(&got, &own));
	assert_true(lan_state_admits(&got, &named));
}

static void
ranges_as_written(void **state)
{
	static const struct {
		const char *text;
		int count; /* -1: bad */
	} rows[] = {
	    {"10.8.0.0/24", 1},
	    {" 10.8.0.0/24 ,\t100.64.0.0/10 ", 2},
	    {"fd00::/8,0.0.0.0/0", 2},
	    {"", 0},
	    {"10.8.0.0/24,", 1},
	    {",", -1},
	    {"10.8.0.0/24,,10.0.0.0/8", -1},
	    {"10.8.0.0", -1},
	    {"10.8.0.0/33", -1},
	    {"fd00::/129", -1},
	    {"10.8.0/24", -1},
	    {"10.8.0.0/ 24", -1},
	    {"10.8.0.0/-1", -1},
	    {"10.8.0.0/24 10.9.0.0/24", -1},
	    {"/8", -1},
	    {"home", -1},
	    {"10.8.0.0/", -1},
	    {"10.8.0.0/24/8", -1},
	};
	DM_AUTO_STR struct dm_str many = dm_str_make(4096);
	struct lan_range ranges[LAN_CONFIGURED_MAX];
	struct dm_err err;
	size_t none = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t count = 0;
		bool ok = lan_ranges_parse(rows[i].text, ranges, COUNT(ranges), &count, &err);

		if (ok != (rows[i].count >= 0) || (ok && count != (size_t)rows[i].count))
			fail_msg("\"%s\": %d, %zu", rows[i].text, ok, count);
	}
	for (int i = 0; i <= LAN_CONFIGURED_MAX; i++)
		assert_true(dm_str_addf(&many, "%s10.%d.0.0/16", i == 0 ? "" : ",", i));
	assert_fails(lan_ranges_parse(many.data, ranges, COUNT(ranges), &none, &err), &err,
	    DM_USAGE, "more than 16 ranges");
	assert_int_equal(none, 0);
}

static void
address_as_written(void **state)
{
	static const char *const bad[] = {
	    "fd00::1", "10.0.0", "10.0.0.1/24", "10.0.0.256", "wlan0", ""};
	struct dns_address address;
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_fails(
		    lan_address_parse(bad[i], &address, &err), &err, DM_USAGE, "no IPv4 address");
	assert_ok(lan_address_parse("10.0.0.1", &address, &err), &err);
	assert_false(address.ipv6);
	assert_memory_equal(address.bytes, "\x0a\0\0\x01", 4);
}

static void
what_is_another_state(void **state)
{
	const struct lan_wish wish = {.enabled = true}, other = {.enabled = false};
	static const char *const machines[] = {
	    WIFI "; route wlan0",
	    WIFI "," CABLE "; route wlan0",
	    WIFI "," CABLE "; route eth0",
	    "wlan0 192.168.1.11/24; route wlan0",
	    "wlan0 192.168.1.10/25; route wlan0",
	    "wlan1 192.168.1.10/24; route wlan1",
	    WIFI ", wlan0 fd00::1/64; route wlan0",
	    /* nothing of what is chosen is another, but others can be answered there */
	    WIFI "," VPN "; route wlan0",
	    WIFI ", tun0 10.8.0.3/24 tunnel; route wlan0",
	    WIFI "," VPN "; route wlan0 tun0",
	    "",
	};
	struct lan_state states[COUNT(machines)] = {{.serial = 0}}, again = {.serial = 5};
	struct netif_list list;

	(void)state;
	for (size_t i = 0; i < COUNT(machines); i++) {
		machine(machines[i], &list);
		lan_choose(&list, &wish, &states[i]);
		lan_choose(&list, &wish, &again);
		assert_true(lan_state_same(&states[i], &again));
		for (size_t j = 0; j < i; j++)
			assert_false(lan_state_same(&states[i], &states[j]));
		lan_choose(&list, &other, &again);
		assert_false(lan_state_same(&states[i], &again));
	}
}

static void
serials_grow(void **state)
{
	(void)state;
	assert_int_equal(lan_serial_first(0, 1795863544), 1795863544); /* none was kept */
	assert_int_equal(lan_serial_first(100, 1795863544), 1795863544);
	assert_int_equal(lan_serial_first(1795863600, 1795863544), 1795863601);
	/* RFC 1982: behind the largest number comes 0, and then it goes on */
	assert_int_equal(lan_serial_first(UINT32_MAX, 5), 5);
	assert_int_equal(lan_serial_first(UINT32_MAX - 10, 5), 5);
	assert_int_equal(lan_serial_first(20, UINT32_MAX), 21);
	assert_int_equal(lan_serial_first(0, 3000000000U), 3000000000U);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_choice),
	    cmocka_unit_test(ipv6_beside_it),
	    cmocka_unit_test(where_others_may_come_from),
	    cmocka_unit_test(ranges_that_matter_have_room),
	    cmocka_unit_test(ranges_as_written),
	    cmocka_unit_test(address_as_written),
	    cmocka_unit_test(what_is_another_state),
	    cmocka_unit_test(serials_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
