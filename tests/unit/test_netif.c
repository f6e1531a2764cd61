/* SPDX-License-Identifier: MIT */
/* Interfaces and their addresses: the kernel's texts, networks, and a look at this machine. */
#include "unit.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include "base/netif.h"

static struct dns_address
at(const char *text)
{
	struct dns_address a = {.ipv6 = strchr(text, ':') != NULL};

	assert_int_equal(inet_pton(a.ipv6 ? AF_INET6 : AF_INET, text, a.bytes), 1);
	return a;
}

static void
networks_hold_addresses(void **state)
{
	static const struct {
		const char *network;
		unsigned prefix;
		const char *address;
		bool holds;
	} rows[] = {
	    {"192.168.1.0", 24, "192.168.1.255", true},
	    {"192.168.1.0", 24, "192.168.2.0", false},
	    {"100.64.0.0", 10, "100.127.255.255", true},
	    {"100.64.0.0", 10, "100.128.0.0", false},
	    {"10.0.0.0", 31, "10.0.0.1", true},
	    {"10.0.0.0", 32, "10.0.0.1", false},
	    {"10.0.0.1", 32, "10.0.0.1", true},
	    {"0.0.0.0", 0, "203.0.113.9", true},
	    {"0.0.0.0", 0, "::1", false},
	    {"0.0.0.0", 33, "0.0.0.0", false},
	    {"fd00::", 7, "fc12::1", true},
	    {"fe80::", 10, "fec0::1", false},
	    {"fd00::1", 128, "fd00::1", true},
	    {"fd00::1", 129, "fd00::1", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dns_address network = at(rows[i].network), address = at(rows[i].address);

		if (netif_contains(&network, rows[i].prefix, &address) != rows[i].holds)
			fail_msg("%s/%u, %s", rows[i].network, rows[i].prefix, rows[i].address);
	}
}

#define HEAD "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

static void
default_routes_are_read_by_their_metric(void **state)
{
	struct netif_list list = {.count = 0};

	(void)state;
	netif_routes_parse(HEAD
	    "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
	    "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0 \n"
	    "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
	    /* a half of everything, a route that is refused, one that is down */
	    "tun0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n"
	    "lo\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"
	    "eth7\t00000000\t0101A8C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n"
	    /* the same interface again: its better route counts */
	    "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n",
	    &list);
	assert_int_equal(list.route_count, 2);
	assert_string_equal(list.routes[0], "wlan0");
	assert_string_equal(list.routes[1], "eth0");
}

static void
odd_tables_of_routes_are_none(void **state)
{
	static const char *const tables[] = {
	    "",
	    "\n",
	    HEAD,
	    HEAD "eth0",
	    HEAD "eth0\t00000000\t0\t0003\n\n\n",
	    HEAD "an-interface-of-a-long-name\t00000000\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
	    HEAD "eth0\t0000000g\t0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
	    HEAD "eth0\t00000000\t0\t0003\t0\t0\t99999999999999\t00000000\t0\t0\t0\n",
	    HEAD "eth0\t00000000\t0\t0003\t0\t0\t0\t"
		 "0000000000000000000000000000000000000000000000000000000\t0\t0\t0\n",
	};
	struct netif_list list = {.route_count = 3};

	(void)state;
	for (size_t i = 0; i < COUNT(tables); i++) {
		netif_routes_parse(tables[i], &list);
		assert_int_equal(list.route_count, 0);
	}
}

static void
of_too_many_routes_the_best_are_kept(void **state)
{
	DM_AUTO_STR struct dm_str table = dm_str_make(8192);
	struct netif_list list = {.count = 0};

	(void)state;
	assert_true(dm_str_addf(&table, "%s", HEAD));
	for (int i = 0; i < 20; i++)
		assert_true(dm_str_addf(
		    &table, "if%d\t00000000\t0\t0003\t0\t0\t%d\t00000000\t0\t0\t0\n", i, 20 - i));
	netif_routes_parse(table.data, &list);
	assert_int_equal(list.route_count, NETIF_ROUTES_MAX);
	assert_string_equal(list.routes[0], "if19");
	assert_string_equal(list.routes[NETIF_ROUTES_MAX - 1], "if12");
}

static void
ipv6_addresses_that_pass_are_told_from_those_that_last(void **state)
{
	static const struct {
		const char *line;
		bool passing;
	} rows[] = {
	    {"fd000000000000000000000000000002 04 40 00 80     eth0\n", false},
	    {"fd000000000000000000000000000002 04 40 00 01     eth0\n", true},
	    {"fd000000000000000000000000000002 04 40 00 20     eth0\n", true},
	    {"fd000000000000000000000000000002 04 40 00 c0     eth0\n", true},
	    /* not it, or no such line */
	    {"fd000000000000000000000000000003 04 40 00 01     eth0\n", false},
	    {"fd000000000000000000000000000002 04 40 00 01     eth1\n", false},
	    {"fd0000000000000000000000000002 04 40 00 01     eth0\n", false},
	    {"fd00000000000000000000000000000x 04 40 00 01     eth0\n", false},
	    {"fd000000000000000000000000000002 04 40\n", false},
	    {"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct netif_list list = {
		    .count = 1, .list = {{.name = "eth0", .address = at("fd00::2")}}};

		netif_inet6_parse(rows[i].line, &list);
		if (list.list[0].passing != rows[i].passing)
			fail_msg("%s", rows[i].line);
	}
}

static void
this_machine_has_a_loopback_address(void **state)
{
	struct netif_list list;
	struct dns_address loopback = at("127.0.0.1");
	struct dm_err err;
	bool found = false;

	(void)state;
	assert_ok(netif_read(&list, &err), &err);
	for (size_t i = 0; i < list.count; i++) {
		if (!dns_address_same(&list.list[i].address, &loopback))
			continue;
		found = true;
		assert_true(list.list[i].loopback);
		assert_false(list.list[i].point_to_point);
		assert_int_equal(list.list[i].prefix, 8);
	}
	assert_true(found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(networks_hold_addresses),
	    cmocka_unit_test(default_routes_are_read_by_their_metric),
	    cmocka_unit_test(odd_tables_of_routes_are_none),
	    cmocka_unit_test(of_too_many_routes_the_best_are_kept),
	    cmocka_unit_test(ipv6_addresses_that_pass_are_told_from_those_that_last),
	    cmocka_unit_test(this_machine_has_a_loopback_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
