/* SPDX-License-Identifier: MIT */
/*
 * The name server in the network: devmeshd on a "laptop" and dig on a "phone", each in a network
 * namespace of its own, with a cable (veth(4)) between them.
 */
#include "harness_dns.h"
#include "harness_netns.h"

#include <signal.h>
#include <unistd.h>

#define PORT 5353 /* nobody else is there */

struct net {
	struct netns *laptop;
	struct proc *phone;
	struct devmeshd *d;
};

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static bool
is_apart(struct world *w, const void *arg)
{
	const struct proc *p = arg;
	char ours[64] = "", theirs[64] = "";

	return readlink("/proc/self/ns/net", ours, sizeof ours - 1) > 0 &&
	       readlink(fmt(w, "/proc/%ld/ns/net", (long)p->pid), theirs, sizeof theirs - 1) > 0 &&
	       strcmp(ours, theirs) != 0;
}

/* A program on the phone; up to 12 words. */
static struct result
on_phone(struct world *w, const struct net *net, const char *const argv[])
{
	const char *all[16] = {
	    "nsenter", fmt(w, "--net=/proc/%ld/ns/net", (long)net->phone->pid), "--"};

	for (size_t n = 3; *argv != NULL; argv++) {
		assert_true(n < 15);
		all[n++] = *argv;
	}
	return run(w, w->dir, all);
}

static void
phone_sh(struct world *w, const struct net *net, const char *script)
{
	struct result r = on_phone(w, net, ARGV("sh", "-ec", script));

	if (r.code != 0)
		fail_msg("%s: %s", script, r.err);
}

/* What dig says on the phone, or on the laptop itself; NULL: it gets no answer. */
static const char *
ask_from(struct world *w, const struct net *net, bool phone, const char *server, const char *name,
    const char *type)
{
	const char *const *argv = ARGV("dig", "-r", fmt(w, "@%s", server), "-p", fmt(w, "%d", PORT),
	    "+tries=1", "+time=1", name, type);
	struct result r = phone ? on_phone(w, net, argv) : netns_run(w, net->laptop, argv);

	return r.code == 0 ? r.out : NULL;
}

struct question {
	const struct net *net;
	const char *server, *name, *type, *want;
};

static bool
is_told(struct world *w, const void *arg)
{
	const struct question *q = arg;
	const char *got = ask_from(w, q->net, true, q->server, q->name, q->type);

	return got != NULL && strstr(got, q->want) != NULL;
}

/* The phone gets it, perhaps after a moment: addresses have to settle. */
static void
phone_gets(struct world *w, const struct net *net, const char *server, const char *name,
    const char *type, const char *want)
{
	if (!wait_until(w, is_told, &(struct question){net, server, name, type, want}, DEADLINE_MS))
		fail_msg("no %s from %s: %s\n%s", want, server,
		    ask_from(w, net, true, server, name, type), daemon_log(w, net->d));
}

static void
phone_gets_nothing(struct world *w, const struct net *net, const char *server)
{
	const char *got = ask_from(w, net, true, server, "app.dev.test", "A");

	if (got != NULL)
		fail_msg("an answer: %s", got);
}

/* A laptop with a Wi-Fi, a cable to a phone in it, and no daemon yet. */
static struct net
make_net(struct world *w)
{
	struct net net = {.laptop = netns_new(w)};

	net.phone = start(w, w->dir, ARGV("unshare", "--net", "sleep", "100000"));
	assert_true(wait_until(w, is_apart, net.phone, DEADLINE_MS));
	netns_interface(w, net.laptop, "wlan0", "192.168.1.10/24");
	netns_ip(w, net.laptop, "route add default via 192.168.1.1");
	netns_ip(w, net.laptop, fmt(w, "link set wlan0-peer netns %ld", (long)net.phone->pid));
	phone_sh(w, &net,
	    "ip link set lo up; ip link set wlan0-peer up; ip addr add 192.168.1.20/24 dev "
	    "wlan0-peer");
	return net;
}

static void
begin(struct world *w, struct net *net, bool lan)
{
	world_env(w, "DEVMESH_LAN_ENABLED", lan ? "yes" : "no");
	net->d = dns_daemon(w, PORT);
}

TEST(a_phone_is_answered_when_the_lan_is_on)
{
	struct net net = make_net(w);
	double serial;

	begin(w, &net, true);
	serial = dns_count(w, net.d, "serial");
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "A",
	    "app.dev.test.\t\t30\tIN\tA\t192.168.1.10");
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "AAAA", "ANSWER: 0, AUTHORITY: 1");
	phone_gets(
	    w, &net, "192.168.1.10", "dev.test", "NS", "ns.dev.test.\t\t30\tIN\tA\t192.168.1.10");
	phone_gets(w, &net, "192.168.1.10", "www.example.org", "A", "status: REFUSED");
	phone_gets(
	    w, &net, "192.168.1.10", "dev.test", "SOA", fmt(w, " %.0f 60 60 3600 5", serial));
	/* this machine is told its own loopback */
	assert_has(ask_from(w, &net, false, "127.0.0.1", "app.dev.test", "A"), "A\t127.0.0.1");
	assert_has(
	    ask_from(w, &net, false, "192.168.1.10", "app.dev.test", "A"), "A\t192.168.1.10");
	/* never at all addresses at once */
	assert_null(
	    strstr(netns_run(w, net.laptop, ARGV("ss", "-lnutH", fmt(w, "sport = :%d", PORT))).out,
		fmt(w, "0.0.0.0:%d ", PORT)));
}

TEST(without_the_lan_nobody_else_is_answered)
{
	struct net net = make_net(w);

	begin(w, &net, false);
	assert_has(ask_from(w, &net, false, "127.0.0.1", "app.dev.test", "A"), "A\t127.0.0.1");
	phone_gets_nothing(w, &net, "192.168.1.10");
	assert_int_equal(dns_count(w, net.d, "foreign"), 0);
	assert_int_equal(
	    cJSON_GetArraySize(cJSON_GetObjectItem(dns_document(w, net.d), "listening")), 2);
}

TEST(a_changed_address_is_answered_with)
{
	struct net net = make_net(w);
	double serial;

	begin(w, &net, true);
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "A", "A\t192.168.1.10");
	serial = dns_count(w, net.d, "serial");
	netns_ip(w, net.laptop, "addr add 192.168.1.77/24 dev wlan0");
	netns_ip(w, net.laptop, "addr del 192.168.1.10/24 dev wlan0");
	netns_ip(w, net.laptop, "addr replace 192.168.1.77/24 dev wlan0");
	phone_gets(w, &net, "192.168.1.77", "app.dev.test", "A", "A\t192.168.1.77");
	phone_gets_nothing(w, &net, "192.168.1.10");
	assert_true(dns_count(w, net.d, "serial") > serial);
	/* the loopback was not let go meanwhile */
	assert_has(ask_from(w, &net, false, "127.0.0.1", "app.dev.test", "A"), "A\t127.0.0.1");
}

/* Who is not on the link, nor in lan.ranges, does not even learn that somebody is there. */
TEST(strangers_are_not_answered)
{
	struct net net = make_net(w);
	const char *tcp;

	/* a way back, so that silence is the server's */
	netns_ip(w, net.laptop, "route add 203.0.113.0/24 via 192.168.1.20");
	begin(w, &net, true);
	phone_sh(w, &net,
	    "ip addr add 203.0.113.9/32 dev lo; ip route change 192.168.1.0/24 dev wlan0-peer src "
	    "203.0.113.9");
	phone_gets_nothing(w, &net, "192.168.1.10");
	dns_wait_count(w, net.d, "foreign", 1);
	tcp = fmt(w,
	    "python3 -c 'import socket\ns=socket.create_connection((\"192.168.1.10\",%d),9)\n"
	    "s.settimeout(9)\nassert s.recv(1)==b\"\"'",
	    PORT);
	phone_sh(w, &net, tcp);
	assert_true(dns_count(w, net.d, "foreign") >= 2);
	assert_int_equal(dns_count(w, net.d, "answered"), 0);
	/* with a range that has them */
	daemon_end(w, net.d);
	world_env(w, "DEVMESH_LAN_RANGES", "203.0.113.0/24");
	begin(w, &net, true);
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "A", "A\t192.168.1.10");
}

/* Two networks, and a VPN: each is told the address that it has asked. */
TEST(each_network_gets_its_own_address)
{
	struct net net = make_net(w);

	netns_interface(w, net.laptop, "eth0", "10.1.2.3/16");
	netns_ip(w, net.laptop, "route add default via 10.1.0.1 metric 200");
	netns_interface(w, net.laptop, "docker0", "172.17.0.1/16");
	netns_interface(w, net.laptop, "tun0", "10.8.0.5/24");
	world_env(w, "DEVMESH_LAN_RANGES", "10.8.0.0/24");
	for (const char *const *name = ARGV("eth0", "tun0", "docker0"); *name != NULL; name++)
		netns_ip(w, net.laptop,
		    fmt(w, "link set %s-peer netns %ld", *name, (long)net.phone->pid));
	phone_sh(w, &net,
	    "ip link set eth0-peer up; ip addr add 10.1.9.9/16 dev eth0-peer; "
	    "ip link set tun0-peer up; ip addr add 10.8.0.9/24 dev tun0-peer; "
	    "ip link set docker0-peer up; ip addr add 172.17.0.9/16 dev docker0-peer");
	begin(w, &net, true);
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "A", "A\t192.168.1.10");
	phone_gets(w, &net, "10.1.2.3", "app.dev.test", "A", "A\t10.1.2.3");
	phone_gets(w, &net, "10.8.0.5", "app.dev.test", "A", "A\t10.8.0.5");
	phone_gets_nothing(w, &net, "172.17.0.1");
	/* with one that was chosen the other is not shown */
	daemon_end(w, net.d);
	world_env(w, "DEVMESH_LAN_INTERFACE", "wlan0");
	begin(w, &net, true);
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "A", "A\t192.168.1.10");
	phone_gets(w, &net, "10.8.0.5", "app.dev.test", "A", "A\t10.8.0.5");
	phone_gets_nothing(w, &net, "10.1.2.3");
}

/* By python, as no tool sends as fast as it likes and counts. */
static const char flood[] =
    "import socket, struct, sys\n"
    "q = struct.pack('>6H', 1, 0, 1, 0, 0, 0) + b'\\3app\\3dev\\4test\\0\\0\\1\\0\\1'\n"
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "s.connect((sys.argv[1], int(sys.argv[2])))\n"
    "for i in range(400): s.send(q)\n"
    "s.settimeout(0.5)\n"
    "n = 0\n"
    "try:\n"
    "    while s.recv(2000): n += 1\n"
    "except OSError: pass\n"
    "print(n)\n";

TEST(a_device_that_asks_too_often_is_not_answered)
{
	struct net net = make_net(w);
	char *script = fmt(w, "%s/flood.py", w->dir);
	struct result r;
	int got;

	begin(w, &net, true);
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "A", "A\t192.168.1.10");
	write_text(script, flood);
	r = on_phone(w, &net, ARGV("python3", script, "192.168.1.10", fmt(w, "%d", PORT)));
	assert_int_equal(r.code, 0);
	got = (int)strtol(r.out, NULL, 10);
	/* the first fifty, and what a slow sender gets of the seconds after */
	assert_in_range(got, 45, 300);
	assert_true(dns_count(w, net.d, "limited") >= 100);
	/* later it is one as any other */
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "A", "A\t192.168.1.10");
}

TEST(ipv6_is_said_where_caddy_is)
{
	struct net net = make_net(w);
	const char *ip6 = "fd00:1::7", *config = fmt(w, "%s/all.json", w->dir);

	netns_ip(w, net.laptop, "addr add fd00:1::7/64 dev wlan0 nodad");
	phone_sh(w, &net, "ip addr add fd00:1::8/64 dev wlan0-peer nodad");
	begin(w, &net, true);
	phone_gets(w, &net, ip6, "app.dev.test", "A", "A\t192.168.1.10");
	phone_gets(w, &net, ip6, "app.dev.test", "AAAA", "ANSWER: 0, AUTHORITY: 1");
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "AAAA", "ANSWER: 0, AUTHORITY: 1");
	/* a Caddy that listens at all addresses */
	write_text(config,
	    fmt(w,
		"{\"admin\":{\"listen\":\"unix//%s\"},\"apps\":{\"http\":{\"servers\":{\"srv0\":"
		"{\"listen\":[\":8081\"],\"automatic_https\":{\"disable\":true},\"routes\":[]}}}}}",
		w->admin + strlen("unix://")));
	w->caddy = netns_start(w, net.laptop, ARGV("caddy", "run", "--config", config));
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "AAAA", "AAAA\tfd00:1::7");
	phone_gets(w, &net, ip6, "app.dev.test", "AAAA", "AAAA\tfd00:1::7");
}

/* Whether it listens at the LAN address, at that port. */
static void
assert_lan_port(struct world *w, const struct devmeshd *d, int port)
{
	const cJSON *one, *list = cJSON_GetObjectItem(dns_document(w, d), "listening");

	cJSON_ArrayForEach (one, list) {
		if (strcmp(json_str(one, "address"), "192.168.1.10") == 0 &&
		    json_number(one, "port") == port)
			return;
	}
	fail_msg("not at port %d: %s", port, json_text(w, list));
}

/* What a service manager that allows it may do, and what nobody has allowed. */
TEST(port_53_is_taken_where_that_is_allowed)
{
	struct net net = make_net(w);
	char *wrap =
	    fmt(w, "%s setpriv --bounding-set=-net_bind_service --", getenv("DEVMESHD_WRAP"));

	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	net.d = dns_daemon(w, 0);
	assert_lan_port(w, net.d, 53);
	daemon_end(w, net.d);
	setenv("DEVMESHD_WRAP", wrap, 1);
	net.d = dns_daemon(w, 0);
	assert_lan_port(w, net.d, 5453);
	assert_has(daemon_log(w, net.d), "where no phone asks");
	assert_has(json_text(w, dns_document(w, net.d)),
	    "\"why\":\"answering DNS at 192.168.1.10 port 53: Permission denied\"");
	assert_int_equal(
	    cJSON_GetArraySize(cJSON_GetObjectItem(dns_document(w, net.d), "problems")), 0);
	daemon_end(w, net.d);
	/* one that is wished for is taken or none */
	net.d = dns_daemon(w, 53);
	assert_int_equal(
	    cJSON_GetArraySize(cJSON_GetObjectItem(dns_document(w, net.d), "listening")), 0);
	assert_has(json_text(w, cJSON_GetObjectItem(dns_document(w, net.d), "problems")),
	    "192.168.1.10 port 53: Permission denied");
	daemon_end(w, net.d);
	assert_int_equal(
	    netns_run(w, net.laptop,
		ARGV("sh", "-c", "echo 53 >/proc/sys/net/ipv4/ip_unprivileged_port_start"))
		.code,
	    0);
	net.d = dns_daemon(w, 0);
	assert_lan_port(w, net.d, 53);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(a_phone_is_answered_when_the_lan_is_on),
	    DAEMON_TEST(without_the_lan_nobody_else_is_answered),
	    DAEMON_TEST(a_changed_address_is_answered_with),
	    DAEMON_TEST(strangers_are_not_answered),
	    DAEMON_TEST(each_network_gets_its_own_address),
	    DAEMON_TEST(a_device_that_asks_too_often_is_not_answered),
	    DAEMON_TEST(ipv6_is_said_where_caddy_is),
	    DAEMON_TEST(port_53_is_taken_where_that_is_allowed),
	};

	return RUN_TESTS(tests);
}
