/* SPDX-License-Identifier: MIT */
/*
 * The name server in the network: devmeshd on a "laptop" and dig on a "phone", each in a network
 * namespace of its own, with a cable (veth(4)) between them.
 */
#include "harness_dns.h"
#include "harness_netns.h"
#include "harness_run.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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
	netns_ip(w, net.laptop, "addr add 10.77.0.5/16 dev eth0 label eth0:1");
	netns_interface(w, net.laptop, "docker0", "172.17.0.1/16");
	netns_interface(w, net.laptop, "tun0", "10.8.0.5/24");
	world_env(w, "DEVMESH_LAN_RANGES", "10.8.0.0/24");
	for (const char *const *name = ARGV("eth0", "tun0", "docker0"); *name != NULL; name++)
		netns_ip(w, net.laptop,
		    fmt(w, "link set %s-peer netns %ld", *name, (long)net.phone->pid));
	phone_sh(w, &net,
	    "ip link set eth0-peer up; ip addr add 10.1.9.9/16 dev eth0-peer; "
	    "ip addr add 10.77.0.9/16 dev eth0-peer; "
	    "ip link set tun0-peer up; ip addr add 10.8.0.9/24 dev tun0-peer; "
	    "ip link set docker0-peer up; ip addr add 172.17.0.9/16 dev docker0-peer");
	begin(w, &net, true);
	phone_gets(w, &net, "192.168.1.10", "app.dev.test", "A", "A\t192.168.1.10");
	phone_gets(w, &net, "10.1.2.3", "app.dev.test", "A", "A\t10.1.2.3");
	phone_gets(w, &net, "10.77.0.5", "app.dev.test", "A", "A\t10.77.0.5");
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

/* Holds port 53 of addresses, UDP only, as a resolver would. */
static const char holder[] = "import socket, sys, time\n"
			     "all = []\n"
			     "for at in sys.argv[1:]:\n"
			     "    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
			     "    s.bind((at, 53)); all.append(s)\n"
			     "print('bound', flush=True)\n"
			     "time.sleep(1e6)\n";

static struct proc *
hold_port_53(struct world *w, const struct net *net, const char *const at[])
{
	char *script = fmt(w, "%s/holder.py", w->dir);
	struct proc *p;

	write_text(script, holder);
	p = netns_start(w, net->laptop, ARGV("python3", script, at[0], at[1]));
	wait_printed(w, p, "bound");
	return p;
}

/* Whether "listening" has that pair of an address and a port, and nothing else of the address. */
struct listening {
	const struct devmeshd *d;
	const char *address;
	int port;
};

static bool
is_at_port(struct world *w, const void *arg)
{
	const struct listening *want = arg;
	const cJSON *one, *list = cJSON_GetObjectItem(dns_document(w, want->d), "listening");
	int right = 0, wrong = 0;

	cJSON_ArrayForEach (one, list) {
		if (strcmp(json_str(one, "address"), want->address) != 0)
			continue;
		if (json_number(one, "port") == want->port &&
		    json_null(one, "why") == (want->port == 53))
			right++;
		else
			wrong++;
	}
	return right == 1 && wrong == 0;
}

static void
wait_port(struct world *w, const struct net *net, const char *address, int port)
{
	if (!wait_until(w, is_at_port, &(struct listening){net->d, address, port}, DEADLINE_MS))
		fail_msg("%s is not at port %d: %s", address, port,
		    json_text(w, dns_document(w, net->d)));
}

TEST(port_53_is_taken_once_it_is_free)
{
	struct net net = make_net(w);
	struct proc *other = hold_port_53(w, &net, ARGV("127.0.0.1", "192.168.1.10"));

	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	net.d = dns_daemon(w, 0);
	wait_port(w, &net, "127.0.0.1", 5453);
	wait_port(w, &net, "192.168.1.10", 5453);
	wait_port(w, &net, "::1", 53);
	assert_has(json_text(w, dns_document(w, net.d)), "port 53: Address already in use");
	end_proc(w, other);
	wait_port(w, &net, "127.0.0.1", 53);
	wait_port(w, &net, "192.168.1.10", 53);
	assert_has(on_phone(w, &net,
		       ARGV("dig", "-r", "@192.168.1.10", "+tcp", "+tries=1", "app.dev.test"))
		       .out,
	    "A\t192.168.1.10");
	/* the other one is let go */
	assert_null(strstr(netns_run(w, net.laptop, ARGV("ss", "-lnutH")).out, ":5453"));
}

/* Connects from each of the addresses, four times and once more; says how many were let in, and
 * keeps those. */
static const char crowd[] =
    "import socket, struct, sys, time\n"
    "q = struct.pack('>7H', 30, 1, 0, 1, 0, 0, 0) + b'\\3app\\3dev\\4test\\0\\0\\1\\0\\1'\n"
    "all = []\n"
    "for at in sys.argv[3:]:\n"
    "    for i in range(5):\n"
    "        s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30, (at, 0))\n"
    "        try:\n"
    "            s.sendall(q)\n"
    "            if s.recv(2000): all.append(s)\n"
    "        except ConnectionError: pass\n"
    "print('in:', len(all), flush=True)\n"
    "time.sleep(1e6)\n";

static struct proc *
start_crowd(struct world *w, const struct net *net, const char *const argv[])
{
	const char *all[20] = {
	    "nsenter", fmt(w, "--net=/proc/%ld/ns/net", (long)net->phone->pid), "--", "python3"};

	for (size_t n = 4; *argv != NULL; argv++) {
		assert_true(n < 19);
		all[n++] = *argv;
	}
	return start(w, w->dir, all);
}

static bool
has_no_connections(struct world *w, const void *arg)
{
	return dns_count(w, arg, "connections") == 0;
}

/* Connections: a /64 of IPv6 is one client, and what others do leaves room for this machine. */
TEST(connections_of_others_leave_room)
{
	struct net net = make_net(w);
	char *script = fmt(w, "%s/crowd.py", w->dir), *port = fmt(w, "%d", PORT);
	const char *const words = "dig -r @127.0.0.1 -p %d +tcp +tries=1 +short app.dev.test";
	struct proc *p;

	write_text(script, crowd);
	netns_ip(w, net.laptop, "addr add fd00:1::7/64 dev wlan0 nodad");
	phone_sh(w, &net,
	    "for i in 1 2 3; do ip addr add fd00:1::8:$i/64 dev wlan0-peer nodad; done; "
	    "for i in 1 2 3 4 5 6 7; do ip addr add 192.168.1.3$i/24 dev wlan0-peer; done");
	begin(w, &net, true);
	phone_gets(w, &net, "fd00:1::7", "app.dev.test", "A", "A\t192.168.1.10");
	p = start_crowd(
	    w, &net, ARGV(script, "fd00:1::7", port, "fd00:1::8:1", "fd00:1::8:2", "fd00:1::8:3"));
	wait_printed(w, p, "in: 4\n");
	end_proc(w, p);
	assert_true(wait_until(w, has_no_connections, net.d, DEADLINE_MS));
	p = start_crowd(w, &net,
	    ARGV(script, "192.168.1.10", port, "192.168.1.31", "192.168.1.32", "192.168.1.33",
		"192.168.1.34", "192.168.1.35", "192.168.1.36", "192.168.1.37"));
	wait_printed(w, p, "in: 24\n");
	assert_string_equal(
	    netns_run(w, net.laptop, ARGV("sh", "-c", fmt(w, words, PORT))).out, "127.0.0.1\n");
}

/* struct rlimit64 of prlimit(2), whose own function POSIX hides. */
struct limit {
	uint64_t now, most;
};

static int
times_said(struct world *w, const struct devmeshd *d, const char *text)
{
	int n = 0;

	for (const char *at = daemon_log(w, d); (at = strstr(at, text)) != NULL; at++)
		n++;
	return n;
}

/* It has settled without descriptors, and has tried to accept more than once. */
static bool
has_lacked(struct world *w, const void *d)
{
	return times_said(w, d, "debug: reading the addresses of this machine") > 0 &&
	       times_said(w, d, "debug: accepting a connection for DNS: Too many") > 2;
}

/* Nothing is let go for lack of descriptors, and a client that waits is answered later. */
TEST(without_descriptors_all_stays)
{
	struct net net = make_net(w);
	char *script = fmt(w, "%s/crowd.py", w->dir), *verbose = fmt(w, "%s/v.sh", w->dir);
	struct limit before, few;
	struct proc *client;

	write_text(script, crowd);
	write_text(verbose, "exec \"$@\" -v\n");
	setenv("DEVMESHD_WRAP", fmt(w, "%s sh %s", getenv("DEVMESHD_WRAP"), verbose), 1);
	netns_interface(w, net.laptop, "eth0", "10.1.2.3/16");
	netns_ip(w, net.laptop, "route add default via 10.1.0.1 metric 200");
	/* so that it settles again and again */
	(void)hold_port_53(w, &net, ARGV("192.168.1.10", "127.0.0.1"));
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	net.d = dns_daemon(w, 0);
	wait_port(w, &net, "192.168.1.10", 5453);
	wait_port(w, &net, "10.1.2.3", 53);
	assert_int_equal(syscall(SYS_prlimit64, net.d->p->pid, RLIMIT_NOFILE, NULL, &before), 0);
	few = (struct limit){.now = 3, .most = before.most};
	assert_int_equal(syscall(SYS_prlimit64, net.d->p->pid, RLIMIT_NOFILE, &few, NULL), 0);
	client = start_crowd(w, &net, ARGV(script, "192.168.1.10", "5453", "192.168.1.20"));
	if (!wait_until(w, has_lacked, net.d, DEADLINE_MS))
		fail_msg("%s", daemon_log(w, net.d));
	assert_int_equal(syscall(SYS_prlimit64, net.d->p->pid, RLIMIT_NOFILE, &before, NULL), 0);
	wait_printed(w, client, "in: 4\n");
	for (const char *const *at = ARGV("10.1.2.3", "::1"); *at != NULL; at++) {
		wait_port(w, &net, *at, 53);
		assert_int_equal(
		    times_said(w, net.d, fmt(w, "answering DNS for dev.test at %s port", *at)), 1);
	}
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
	    DAEMON_TEST(port_53_is_taken_once_it_is_free),
	    DAEMON_TEST(connections_of_others_leave_room),
	    DAEMON_TEST(without_descriptors_all_stays),
	};

	return RUN_TESTS(tests);
}
