/* SPDX-License-Identifier: MIT */
/*
 * Names below .local: announced by a real Avahi on the laptop, asked for by the phone by multicast,
 * and served in plain HTTP. Avahi and its D-Bus are the world's own.
 */
#include "harness_daemon.h"
#include "harness_lan.h"

#include <sys/stat.h>
#include <unistd.h>

static const char bus[] =
    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
    "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
    "<busconfig><type>system</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>"
    "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/><allow send_type=\"*\"/>"
    "<allow receive_type=\"*\"/><allow send_destination=\"*\"/></policy></busconfig>\n";

/* Asks the network for a name's address (RFC 6762 §5.1: a one-shot query); prints it. */
static const char query[] =
    "import socket, struct, sys\n"
    "name, own = sys.argv[1], sys.argv[2]\n"
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))\n"
    "s.bind((own, 0))\n"
    "s.settimeout(1)\n"
    "q = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\\0\\0\\1\\0\\1'\n"
    "s.sendto(struct.pack('>6H', 7, 0, 1, 0, 0, 0) + q, ('224.0.0.251', 5353))\n"
    "try:\n"
    "    a = s.recv(1500)\n"
    "    print(socket.inet_ntoa(a[-4:]) if struct.unpack('>H', a[6:8])[0] == 1 else 'none')\n"
    "except socket.timeout:\n"
    "    print('none')\n";

struct asked {
	const struct proc *phone;
	const char *name, *want;
};

static bool
is_answered(struct world *w, const void *arg)
{
	const struct asked *asked = arg;
	struct result r =
	    lan_run(w, asked->phone, ARGV("python3", "-c", query, asked->name, LAN_PHONE));

	return strncmp(r.out, asked->want, strlen(asked->want)) == 0;
}

static void
await_answer(struct world *w, const struct proc *phone, const char *name, const char *want)
{
	const struct asked asked = {phone, name, want};

	if (!wait_until(w, is_answered, &asked, ANSWER_MS))
		fail_msg("%s is not %s", name, want);
}

static bool
there_is(struct world *w, const void *arg)
{
	(void)w;
	return exists(arg);
}

static void
start_bus(struct world *w)
{
	char *file = fmt(w, "%s/bus.conf", w->dir), *socket = fmt(w, "%s/bus", w->dir);

	if (!exists("/usr/sbin/avahi-daemon") || !exists("/usr/bin/dbus-daemon"))
		world_skip(w, "there is no avahi-daemon, or no dbus-daemon");
	world_env(w, "DBUS_SYSTEM_BUS_ADDRESS", fmt(w, "unix:path=%s", socket));
	write_text(file, fmt(w, bus, w->dir));
	(void)start(
	    w, w->dir, ARGV("/usr/bin/dbus-daemon", "--nofork", fmt(w, "--config-file=%s", file)));
	assert_true(wait_until(w, there_is, socket, ANSWER_MS));
}

/* With a /run of its own: the machine may have an Avahi as well. */
static struct proc *
start_avahi(struct world *w)
{
	char *file = fmt(w, "%s/avahi.conf", w->dir);

	write_text(
	    file, "[server]\nhost-name=laptop\nuse-ipv6=no\n[publish]\npublish-workstation=no\n");
	return start(w, w->dir,
	    ARGV("unshare", "--mount", "sh", "-ec",
		"mkdir -p /run/avahi-daemon; mount -t tmpfs none /run/avahi-daemon; exec "
		"/usr/sbin/avahi-daemon --no-drop-root --no-chroot --no-rlimits -f \"$0\"",
		file));
}

/* The laptop with a mesh that has names below .local; Caddy's HTTP port. */
static int
mesh(struct world *w)
{
	const cJSON *o;

	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.test");
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	world_env(w, "DEVMESH_LAN_MDNS", "yes");
	(void)private_mesh_as_set(w);
	o = world_keep(
	    w, cJSON_Parse(DM(w, NULL, "start", "--json").out), (void (*)(void *))cJSON_Delete);
	return (int)json_number(o, "http_port");
}

/* GET of http://<host>:<port>/ on the phone, led to the laptop: "200 body". */
static const char *
get(struct world *w, const struct proc *phone, const char *host, int port)
{
	return lan_run(w, phone,
	    ARGV("curl", "--silent", "--noproxy", "*", "--max-time", "20", "--resolve",
		fmt(w, "%s:%d:" LAN_LAPTOP, host, port), "--write-out", "%{http_code}",
		fmt(w, "http://%s:%d/", host, port)))
	    .out;
}

TEST(announced_while_it_is_shared)
{
	struct proc *phone = lan_connect(w);
	char *repo = repo_new(w, "shop");
	int port;
	struct devmeshd *d;

	start_bus(w);
	(void)start_avahi(w);
	port = mesh(w);
	assert_string_equal(up_ok(w, repo), "shop-main");
	serve_id(w, "shop-main");
	d = daemon_start(w);
	await_answer(w, phone, "laptop.local", LAN_LAPTOP); /* it works at all */
	await_answer(w, phone, "shop-main.local", "none");
	assert_non_null(strstr(get(w, phone, "shop-main.local", port), "403"));
	assert_exit(w, DM(w, repo, "share"), 0);
	await_answer(w, phone, "shop-main.local", LAN_LAPTOP);
	assert_string_equal(get(w, phone, "shop-main.local", port), "shop-main200");
	assert_non_null(strstr(get(w, phone, "nobody.local", port), "403"));
	assert_exit(w, DM(w, repo, "unshare"), 0);
	await_answer(w, phone, "shop-main.local", "none");
	assert_non_null(strstr(get(w, phone, "shop-main.local", port), "403"));
	/* and it goes with the daemon, however that ends */
	assert_exit(w, DM(w, repo, "share"), 0);
	await_answer(w, phone, "shop-main.local", LAN_LAPTOP);
	daemon_kill(w, d);
	await_answer(w, phone, "shop-main.local", "none");
	d = daemon_start(w);
	await_answer(w, phone, "shop-main.local", LAN_LAPTOP);
	daemon_end(w, d);
	await_answer(w, phone, "shop-main.local", "none");
}

/* Avahi may come later, and go. */
TEST(avahi_comes_and_goes)
{
	struct proc *phone = lan_connect(w), *avahi;
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;

	start_bus(w);
	(void)mesh(w);
	assert_string_equal(up_ok(w, repo), "shop-main");
	assert_exit(w, DM(w, repo, "share"), 0);
	d = daemon_start(w);
	avahi = start_avahi(w);
	await_answer(w, phone, "shop-main.local", LAN_LAPTOP);
	end_proc(w, avahi);
	await_answer(w, phone, "shop-main.local", "none");
	assert_non_null(strstr(daemon_log(w, d), "as soon as Avahi runs"));
	assert_true(daemon_ask(w, d, "GET", "/api/v1/state", NULL) != NULL);
}

static bool
has_noted(struct world *w, const void *daemon)
{
	return strstr(daemon_log(w, daemon), "below .local") != NULL;
}

/* Without D-Bus there is a note, and nothing else is different. */
TEST(without_avahi)
{
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;

	(void)lan_connect(w);
	world_env(w, "DBUS_SYSTEM_BUS_ADDRESS", fmt(w, "unix:path=%s/no-bus", w->dir));
	(void)mesh(w);
	assert_string_equal(up_ok(w, repo), "shop-main");
	assert_exit(w, DM(w, repo, "share"), 0);
	d = daemon_start(w);
	assert_true(daemon_ask(w, d, "GET", "/api/v1/state", NULL) != NULL);
	assert_true(wait_until(w, has_noted, d, ANSWER_MS));
	daemon_end(w, d);
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(announced_while_it_is_shared),
	    WORLD_TEST(avahi_comes_and_goes),
	    WORLD_TEST(without_avahi),
	};

	lan_enter(argc, argv);
	return RUN_TESTS(tests);
}
