/* SPDX-License-Identifier: MIT */
/* devmeshd in a network of its own whose addresses change: what it tells of that, and when. */
#include "harness_netns.h"

#include <signal.h>
#include <unistd.h>

/* Told within a second, which a loaded machine gets some of. */
#define TOLD_MS 5000

static const cJSON *
network_of(struct world *w, const struct devmeshd *d)
{
	return cJSON_GetObjectItem(daemon_ask(w, d, "GET", "/api/v1/system", NULL), "network");
}

static struct netns *
wifi(struct world *w)
{
	struct netns *ns = netns_new(w);

	netns_interface(w, ns, "wlan0", "192.168.1.10/24");
	netns_ip(w, ns, "route add default via 192.168.1.1");
	return ns;
}

/* The next change; its serial is one more than `serial`, which it becomes. */
static const cJSON *
told(struct world *w, struct devmeshd *d, int64_t since, double *serial)
{
	const struct happened *e = wait_event(w, d, "network", NULL, NULL);

	assert_true(e->at_ms - since < TOLD_MS);
	assert_true(json_number(e->data, "serial") == *serial + 1);
	*serial += 1;
	return e->data;
}

TEST(a_changed_address_is_told_at_once)
{
	struct netns *ns = wifi(w);
	struct devmeshd *d = daemon_start(w);
	const cJSON *network = network_of(w, d);
	double serial = json_number(network, "serial");
	int64_t at;

	assert_string_equal(json_str(network, "address"), "192.168.1.10");
	assert_string_equal(json_str(network, "interface"), "wlan0");
	assert_int_equal(json_number(network, "prefix"), 24);
	assert_true(json_null(network, "problem"));
	assert_true(serial > 1e9); /* not less than the time */
	netns_ip(w, ns, "addr add 10.20.30.40/8 dev wlan0");
	at = now_ms();
	netns_ip(w, ns, "addr del 192.168.1.10/24 dev wlan0");
	/* adding it may have been a change of its own: one more range */
	network = told(w, d, at, &serial);
	if (strcmp(json_str(network, "address"), "192.168.1.10") == 0)
		network = told(w, d, at, &serial);
	assert_string_equal(json_str(network, "address"), "10.20.30.40");
	network = network_of(w, d);
	assert_string_equal(json_str(network, "address"), "10.20.30.40");
	assert_true(json_number(network, "serial") == serial);
	assert_non_null(strstr(
	    run_ok(w, w->dir, ARGV(w->devmesh, "events")).out, "this machine is at 10.20.30.40"));
	assert_non_null(strstr(netns_run(w, ns, ARGV(w->devmesh, "system")).out, "10.20.30.40/8"));
}

TEST(an_interface_goes_and_comes_back)
{
	struct netns *ns = wifi(w);
	struct devmeshd *d = daemon_start(w);
	double serial = json_number(network_of(w, d), "serial");
	const cJSON *network;
	int64_t at = now_ms();

	netns_ip(w, ns, "link set wlan0 down");
	network = told(w, d, at, &serial);
	assert_true(json_null(network, "address") && json_null(network, "interface"));
	assert_non_null(strstr(json_str(network, "problem"), "no network"));
	at = now_ms();
	netns_ip(w, ns, "link set wlan0 up");
	assert_string_equal(json_str(told(w, d, at, &serial), "address"), "192.168.1.10");
	/* the other end of the cable */
	at = now_ms();
	netns_ip(w, ns, "link set wlan0-peer down");
	assert_true(json_null(told(w, d, at, &serial), "address"));
	at = now_ms();
	netns_ip(w, ns, "link del wlan0");
	netns_interface(w, ns, "eth0", "172.16.5.5/12");
	assert_string_equal(json_str(told(w, d, at, &serial), "interface"), "eth0");
}

/* Of what was chosen nothing is another; but who answers on other addresses too has to know. */
TEST(other_addresses_are_a_change_too)
{
	struct netns *ns = wifi(w);
	struct devmeshd *d;
	double serial;

	netns_interface(w, ns, "tun0", "10.8.0.2/24");
	d = daemon_start(w);
	serial = json_number(network_of(w, d), "serial");
	netns_ip(w, ns, "addr add 10.8.0.3/24 dev tun0");
	assert_string_equal(json_str(told(w, d, now_ms(), &serial), "address"), "192.168.1.10");
	netns_ip(w, ns, "route add default via 10.8.0.1 metric 5000");
	assert_string_equal(json_str(told(w, d, now_ms(), &serial), "address"), "192.168.1.10");
}

/* Two hundred changes in a moment are few events; the last one is how it is. */
TEST(a_burst_of_changes_is_few_events)
{
	struct netns *ns = wifi(w);
	struct devmeshd *d = daemon_start(w);
	char *batch = fmt(w, "%s/batch", w->dir), text[16384];
	double first = json_number(network_of(w, d), "serial"), last;
	const struct happened *e;
	size_t n = 0;
	int events;

	for (int i = 0; i < 200; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "addr %s 10.9.%d.1/24 dev wlan0\n",
		    i % 2 == 0 ? "add" : "del", i / 2);
	snprintf(text + n, sizeof text - n,
	    "addr del 192.168.1.10/24 dev wlan0\naddr add 10.200.0.1/16 dev wlan0\n");
	write_text(batch, text);
	netns_ip(w, ns, fmt(w, "-batch %s", batch));
	do
		e = wait_event(w, d, "network", NULL, NULL);
	while (strcmp(json_str(e->data, "address"), "10.200.0.1") != 0);
	events = count_events(w, d, "network", NULL);
	assert_in_range(events, 1, 20);
	last = json_number(network_of(w, d), "serial");
	assert_true(last == first + events);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(network_of(w, d), "ranges")), 2);
}

TEST(the_serial_grows_over_restarts)
{
	struct netns *ns = wifi(w);
	struct devmeshd *d = daemon_start(w);
	char *file = fmt(w, "%s/network-serial", w->state);
	double first = json_number(network_of(w, d), "serial"), next;

	assert_true(strtod(read_text(w, file), NULL) == first);
	daemon_end(w, d);
	/* of a clock that was ahead */
	write_text(file, fmt(w, "%.0f\n", first + 100000));
	d = daemon_start(w);
	next = json_number(network_of(w, d), "serial");
	assert_true(next == first + 100001);
	netns_ip(w, ns, "addr del 192.168.1.10/24 dev wlan0");
	(void)told(w, d, now_ms(), &next);
	daemon_end(w, d);
	/* lost: the time is still later than the first one */
	assert_int_equal(unlink(file), 0);
	d = daemon_start(w);
	assert_true(json_number(network_of(w, d), "serial") >= first);
}

TEST(the_configuration_has_the_last_word)
{
	struct netns *ns = wifi(w);
	char *config = fmt(w, "%s/devmesh.ini", w->home);
	struct devmeshd *d;
	double serial;
	const cJSON *network;

	netns_interface(w, ns, "eth0", "10.0.0.7/24");
	d = daemon_start(w);
	serial = json_number(network_of(w, d), "serial");
	write_text(
	    config, "[lan]\nenabled = yes\ninterface = eth0\nranges = 10.8.0.0/16, fd00::/8\n");
	signal_proc(d->p, SIGHUP);
	network = told(w, d, now_ms(), &serial);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(network, "enabled")));
	assert_string_equal(json_str(network, "address"), "10.0.0.7");
	assert_non_null(strstr(
	    cJSON_PrintUnformatted(cJSON_GetObjectItem(network, "ranges")), "\"10.8.0.0/16\""));
	/* what cannot be read is said, by every verb, and the rest of the file is not read either
	 */
	write_text(config, "[lan]\nenabled = yes\naddress = 192.168.1.10\nranges = 10.8.0.0\n");
	signal_proc(d->p, SIGHUP);
	(void)wait_event(w, d, "daemon", NULL,
	    fmt(w, "%s:4: lan.ranges: \"10.8.0.0\" is no range of addresses", config));
	assert_string_equal(json_str(network_of(w, d), "interface"), "eth0");
	assert_error(w, DM(w, w->dir, "config"), 2, "devmesh.ini:4: lan.ranges");
	write_text(config, "[lan]\nenabled = yes\naddress = 192.168.1.10\n");
	signal_proc(d->p, SIGHUP);
	network = told(w, d, now_ms(), &serial);
	assert_string_equal(json_str(network, "interface"), "wlan0");
	/* an address that nobody has is replaced by none */
	write_text(config, "[lan]\nenabled = yes\naddress = 192.168.1.11\n");
	signal_proc(d->p, SIGHUP);
	network = told(w, d, now_ms(), &serial);
	assert_true(json_null(network, "address"));
	assert_non_null(strstr(json_str(network, "problem"), "lan.address"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(a_changed_address_is_told_at_once),
	    DAEMON_TEST(an_interface_goes_and_comes_back),
	    DAEMON_TEST(other_addresses_are_a_change_too),
	    DAEMON_TEST(a_burst_of_changes_is_few_events),
	    DAEMON_TEST(the_serial_grows_over_restarts),
	    DAEMON_TEST(the_configuration_has_the_last_word),
	};

	return RUN_TESTS(tests);
}
