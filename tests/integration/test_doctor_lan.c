/* SPDX-License-Identifier: MIT */
/*
 * devmesh doctor on the way of other devices to this machine. Each trap is set for real in a
 * network of the test's own: this machine is 10.77.0.5, and 10.77.0.1 is a router in another
 * namespace.
 */
#include "harness_alone.h"
#include "harness_doctor.h"

#define ZONE "dev.example.test"

/* The words of the scripts: `look NAME OPTIONS` puts a report between two lines of that name. */
static const char words[] =
    "unshare -n tail -f /dev/null & router=$!\npids=$router\n"
    "await sh -c \"[ $(readlink /proc/self/ns/net) != \\$(readlink /proc/$router/ns/net) ]\"\n"
    "inside=\"nsenter -t $router -n\"\n"
    "ip link add lan0 type veth peer name r0 netns $router\n"
    "ip address add 10.77.0.5/24 dev lan0\nip link set lan0 up\n"
    "$inside ip address add 10.77.0.1/24 dev r0\n$inside ip link set r0 up\n"
    "$inside ip link set lo up\nip route add default via 10.77.0.1\n"
    "echo 'nameserver 10.77.0.1' >/etc/resolv.conf\n"
    "look() { name=$1; shift; echo \"== $name\"; $devmesh doctor --json \"$@\" || :; }\n"
    "listens() { $1 ss -lun | grep -q \"$2:53[[:blank:]]\"; }\n";

static void
settle(struct world *w)
{
	world_env(w, "DEVMESH_MESH_DOMAIN", ZONE);
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
}

static struct result
run_script(struct world *w, const char *script)
{
	return run_alone(w, fmt(w, "%s%s", words, script), "there is no dnsmasq, or openssl");
}

/* The report of that name. */
static cJSON *
look(struct world *w, struct result r, const char *name)
{
	const char *at = strstr(r.out, fmt(w, "== %s\n", name));

	if (at == NULL)
		fail_msg("no report %s: %s%s", name, r.out, r.err);
	at = strchr(at, '\n') + 1;
	return json_of(w, fmt(w, "%.*s", (int)strcspn(at, "\n"), at));
}

static void
assert_not_found(const cJSON *o, const char *check, const char *level, const char *text)
{
	cJSON *f = find(o, check, level, text);

	if (f != NULL)
		fail_msg("%s: %s", check, json_str(f, "what"));
}

TEST(what_the_router_answers)
{
	static const char script[] =
	    "command -v dnsmasq >/dev/null || exit 77\n"
	    "serve 127.0.0.1 5453 " ZONE " 127.0.0.1\nserve 10.77.0.5 53 " ZONE " 10.77.0.5\n"
	    "look silent\n"
	    "within=$inside\nserve 10.77.0.1 53 other.test 10.77.0.9 asked\nlook refuses\n"
	    "DEVMESH_LAN_ENABLED=no look alone\nend $one\n"
	    "serve 10.77.0.1 53 " ZONE " 10.77.0.9\nlook elsewhere\nend $one\n"
	    "serve 10.77.0.1 53 " ZONE " 127.0.0.1\nlook loopback\nend $one\n"
	    "serve 10.77.0.1 53 " ZONE " 10.77.0.5\nlook same\nend $one\n"
	    /* a real one, that asks another, and filters what that says */
	    "serve 10.77.0.1 5300 " ZONE " 10.77.0.5\n"
	    "real() { $inside dnsmasq -k -u root -C /dev/null -a 10.77.0.1 -z -R -h "
	    "-S /" ZONE "/10.77.0.1#5300 \"$@\" 2>>dnsmasq.log & m=$!; pids=\"$pids $m\"\n"
	    "	await listens \"$inside\" 10.77.0.1; }\n"
	    "real\nlook plain\nend $m\n"
	    "real --stop-dns-rebind\nlook filter\nend $m\n"
	    "real --stop-dns-rebind --rebind-domain-ok=/" ZONE "/\nlook allowed\n";
	struct result r;
	cJSON *o;

	settle(w);
	r = run_script(w, script);
	o = look(w, r, "silent");
	assert_not_found(o, "dns-answers", "note", "10.77.0.1");
	assert_non_null(find(o, "dns-answers", "ok", "10.77.0.1 (the router): nothing"));
	assert_non_null(find(o, "dns-answers", "ok", "127.0.0.1:5453 (devmeshd): 127.0.0.1"));
	assert_non_null(find(o, "dns-answers", "ok", "10.77.0.5 (devmeshd): 10.77.0.5"));
	assert_fine(o, "dns-port");
	o = look(w, r, "refuses");
	assert_found(o, "dns-answers", "note", "10.77.0.1 (the router) answers a refusal",
	    "give them 10.77.0.5 as their DNS server");
	/* where nobody is to come the router is asked as this machine's own, and no more */
	o = look(w, r, "alone");
	assert_fine(o, "dns-answers");
	assert_non_null(find(o, "dns-answers", "ok", "10.77.0.1 (which this machine asks)"));
	o = look(w, r, "elsewhere");
	assert_found(
	    o, "dns-answers", "warning", "10.77.0.1 (the router) gives 10.77.0.9", "to 10.77.0.5");
	o = look(w, r, "loopback");
	assert_found(o, "dns-answers", "warning", "gives 127.0.0.1", "to 10.77.0.5");
	o = look(w, r, "filter");
	assert_not_found(o, "dns-domain", "warning", "gives no address");
	assert_found(o, "dns-answers", "warning", "10.77.0.1 (the router) knows devmesh-",
	    "rebind-domain-ok=/" ZONE "/");
	assert_non_null(
	    strstr(json_str(find(o, "dns-answers", "warning", "knows"), "why"), "DNS rebinding"));
	for (int i = 0; i < 3; i++) {
		o = look(w, r, ARGV("same", "plain", "allowed")[i]);
		assert_not_found(o, "dns-answers", "warning", "");
		assert_not_found(o, "dns-answers", "note", "10.77.0.1");
	}
}

TEST(who_asks_out_there)
{
	static const char script[] =
	    "serve 127.0.0.1 5453 " ZONE " 127.0.0.1\nserve 10.77.0.5 53 " ZONE " 10.77.0.5\n"
	    /* the address of a public one, at the end of the default route */
	    "$inside ip address add 1.1.1.1/32 dev lo\nwithin=$inside\n"
	    "serve 1.1.1.1 53 other.test 10.77.0.9 asked\n"
	    "look unasked\ntest ! -s asked\n"
	    "look unknown --public\ntest -s asked\nend $one\n"
	    "DEVMESH_RECORD_PROVIDER=cloudflare look record\n"
	    "serve 1.1.1.1 53 " ZONE " 10.77.0.5\nlook known --public\nend $one\n"
	    "serve 1.1.1.1 53 " ZONE " 10.77.0.4\nlook old --public\n"
	    "DEVMESH_LAN_ENABLED=no look alone\n";
	struct result r;
	cJSON *o;

	settle(w);
	r = run_script(w, script);
	o = look(w, r, "unasked");
	assert_found(o, "dns-answers", "note", "a phone with Private DNS", "[record] provider");
	assert_non_null(
	    strstr(json_str(find(o, "dns-answers", "note", "Private"), "why"), "--public"));
	o = look(w, r, "unknown");
	assert_found(o, "dns-answers", "note", "a phone with Private DNS", "[record] provider");
	assert_non_null(
	    strstr(json_str(find(o, "dns-answers", "note", "Private"), "why"), "does not know"));
	assert_not_found(look(w, r, "record"), "dns-answers", "note", "Private");
	assert_not_found(look(w, r, "known"), "dns-answers", "note", "Private");
	o = look(w, r, "old");
	assert_found(
	    o, "dns-answers", "warning", "1.1.1.1 (a public one) gives 10.77.0.4", "10.77.0.5");
	assert_not_found(look(w, r, "alone"), "dns-answers", "note", "Private");
}

TEST(port_53)
{
	static const char script[] =
	    "command -v dnsmasq >/dev/null || exit 77\n"
	    "echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start\nlook free\n"
	    /* who is not root, and owns no less here */
	    "devmesh=\"unshare -U $devmesh\"\nlook user\ndevmesh=${devmesh#unshare -U }\n"
	    "serve 127.0.0.1 5453 " ZONE " 127.0.0.1\nlook beside\nend $one\n"
	    "DEVMESH_DNS_PORT=5300 look moved\nDEVMESH_DNS_ENABLED=no look off\n"
	    "DEVMESH_LAN_ENABLED=no look alone\n"
	    "dnsmasq -k -u root -C /dev/null -R -h 2>>dnsmasq.log & m=$!\npids=\"$pids $m\"\n"
	    "await listens '' 0.0.0.0\nlook taken\nend $m\n"
	    "dnsmasq -k -u root -C /dev/null -R -h -z -a 127.0.0.53 2>>dnsmasq.log & m=$!\n"
	    "pids=\"$pids $m\"\nawait listens '' 127.0.0.53\nlook stub\n"
	    "serve 10.77.0.5 53 " ZONE " 10.77.0.5\nlook ours\n";
	struct result r;
	cJSON *o;

	settle(w);
	r = run_script(w, script);
	assert_found(look(w, r, "free"), "dns-port", "warning",
	    "nobody answers on port 53 of 10.77.0.5", "devmesh daemon restart");
	assert_found(look(w, r, "user"), "dns-port", "warning",
	    "nobody answers on port 53 of 10.77.0.5", "net.ipv4.ip_unprivileged_port_start=53");
	assert_found(look(w, r, "beside"), "dns-port", "warning",
	    "nobody answers on port 53 of 10.77.0.5, though devmeshd does at 127.0.0.1:5453",
	    "devmesh daemon restart");
	assert_found(look(w, r, "moved"), "dns-port", "warning", "nobody answers", "[dns] port");
	assert_true(was_skipped(look(w, r, "off"), "dns-port"));
	assert_true(was_skipped(look(w, r, "alone"), "dns-port"));
	assert_true(was_skipped(look(w, r, "alone"), "lan"));
	assert_true(was_skipped(look(w, r, "alone"), "firewall"));
	o = look(w, r, "taken");
	assert_found(o, "dns-port", "warning", "port 53 (UDP) of 0.0.0.0 is taken by dnsmasq, pid",
	    "bind-interfaces");
	assert_not_found(o, "dns-port", "warning", "nobody answers");
	o = look(w, r, "stub");
	assert_non_null(
	    find(o, "dns-port", "ok", "127.0.0.53 is dnsmasq's, which is not in the way"));
	assert_not_found(o, "dns-port", "warning", "taken");
	assert_fine(look(w, r, "ours"), "dns-port");
}

/* Both places where the real devmeshd answers, and that it is missed. */
TEST(devmeshd_on_port_53)
{
	static const char script[] =
	    "$devmesh daemon start >/dev/null\n"
	    "trap '$devmesh daemon stop >/dev/null 2>&1 || :; kill $pids || :; wait || :' EXIT\n"
	    "answers() { $devmesh doctor --json | grep -q 'devmeshd answers on port 53'; }\n"
	    "n=0; until answers; do [ $((n += 1)) -lt 8 ] || exit 77; sleep 0.05; done\n"
	    "look there\nDEVMESH_MESH_DOMAIN=other.example.test look other\n"
	    "$devmesh daemon stop >/dev/null\nlook gone\n";
	struct result r;
	cJSON *o;

	settle(w);
	r = run_alone(w, fmt(w, "%s%s", words, script), "this devmeshd answers no DNS");
	o = look(w, r, "there");
	assert_fine(o, "dns-port");
	assert_non_null(find(o, "dns-answers", "ok", "10.77.0.5 (devmeshd): 10.77.0.5"));
	assert_non_null(find(o, "dns-answers", "ok", "(devmeshd): 127.0.0.1"));
	assert_not_found(o, "dns-answers", "warning", "");
	o = look(w, r, "other");
	assert_found(o, "dns-answers", "warning",
	    "answers for another domain than other.example.test", "devmesh daemon restart");
	assert_found(o, "dns-port", "warning",
	    "on port 53 of 10.77.0.5 answers for another domain than other.example.test",
	    "devmesh daemon restart");
	o = look(w, r, "gone");
	assert_found(o, "dns-answers", "warning", "devmeshd does not answer DNS for " ZONE,
	    "devmesh daemon start");
	assert_found(o, "dns-port", "warning", "nobody answers on port 53", "devmesh");
}

/* Name servers that answer: those who do not take most of the doctor's time. */
#define ANSWERED \
	"serve 127.0.0.1 5453 " ZONE " 127.0.0.1\nserve 10.77.0.5 53 " ZONE " 10.77.0.5\n" \
	"within=$inside\nserve 10.77.0.1 53 " ZONE " 10.77.0.5\nwithin=\n"

/* Before devmeshd runs, and while it does; at other addresses it is in nobody's way. */
TEST(port_of_the_phone_page)
{
	static const char script[] =
	    "page() { python3 -m http.server --bind $1 ${2:-5380} >>page.log 2>&1 & one=$!\n"
	    "	pids=\"$pids $one\"\n"
	    "	await sh -c \"ss -ltn | grep -q '$1:${2:-5380}[[:blank:]]'\"; }\n" ANSWERED
	    "look free\npage 127.0.0.1\nlook beside\nend $one\n"
	    "page 0.0.0.0\nlook all\nend $one\n"
	    "page 10.77.0.5 5381\nDEVMESH_LAN_PHONE_PORT=5381 look other\nend $one\n"
	    "DEVMESH_LAN_ENABLED=no look alone\n"
	    "page 10.77.0.5\n$devmesh daemon start >/dev/null\n"
	    "trap '$devmesh daemon stop >/dev/null 2>&1 || :; kill $pids || :; wait || :' EXIT\n"
	    "look taken\nend $one\n"
	    "await sh -c \"$devmesh doctor --json | grep -q 'devmeshd serves http'\"\nlook "
	    "served\n";
	struct result r;
	cJSON *o;

	settle(w);
	r = run_script(w, script);
	assert_true(was_skipped(look(w, r, "free"), "phone-port"));
	assert_true(was_skipped(look(w, r, "beside"), "phone-port"));
	assert_found(look(w, r, "all"), "phone-port", "warning",
	    "port 5380 of 0.0.0.0, of the page for phones, is taken by python3",
	    "[lan] phone_port");
	assert_found(look(w, r, "other"), "phone-port", "warning", "port 5381 of 10.77.0.5",
	    "[lan] phone_port");
	assert_true(was_skipped(look(w, r, "alone"), "phone-port"));
	o = look(w, r, "taken");
	assert_found(o, "phone-port", "warning", "of the page for phones, is taken by python3",
	    "devmeshd takes the port when it is free");
	assert_not_found(o, "phone-port", "warning", "serves no page");
	o = look(w, r, "served");
	assert_fine(o, "phone-port");
	assert_non_null(find(o, "phone-port", "ok", "devmeshd serves http://10.77.0.5:5380/phone"));
}

/* A D-Bus and an Avahi of the test's own. */
TEST(names_below_local)
{
	static const char script[] =
	    "command -v dbus-daemon && command -v avahi-daemon || exit 77\n" ANSWERED
	    "export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$PWD/bus\nlook bare\n"
	    "DEVMESH_LAN_MDNS=no look off\nDEVMESH_LAN_ENABLED=no look alone\n"
	    "cat >bus.conf <<EOF\n"
	    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
	    "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
	    "<busconfig><type>system</type><listen>unix:path=$PWD/bus</listen><auth>EXTERNAL</auth>"
	    "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>"
	    "<allow send_type=\"*\"/><allow receive_type=\"*\"/>"
	    "<allow send_destination=\"*\"/></policy></busconfig>\n"
	    "EOF\n"
	    "dbus-daemon --nofork --config-file=bus.conf 2>>bus.log & pids=\"$pids $!\"\n"
	    "await test -S bus\nlook bus\n"
	    "printf '[server]\\nhost-name=laptop\\nuse-ipv6=no\\n' >avahi.conf\nmkdir "
	    "/run/avahi-daemon\n"
	    "avahi-daemon --no-drop-root --no-chroot --no-rlimits -f avahi.conf 2>>avahi.log & "
	    "m=$!\n"
	    "pids=\"$pids $m\"\n"
	    "await sh -c \"$devmesh doctor --json | grep -q 'can be announced'\"\nlook runs\n"
	    "kill -STOP $m\nlook hangs\nkill -CONT $m\n"
	    "DEVMESH_LAN_MDNS=no $devmesh start >/dev/null 2>start.log || { cat start.log; exit 1; "
	    "}\n"
	    "look older\n$devmesh stop >/dev/null\n"
	    "$devmesh start >/dev/null 2>start.log || { cat start.log; exit 1; }\n"
	    "look mesh\n$devmesh stop >/dev/null\n";
	struct result r;
	cJSON *o;

	settle(w);
	world_env(w, "DEVMESH_LAN_MDNS", "yes");
	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_DAEMON_START", "no");
	r = run_alone(w, fmt(w, "PATH=$PATH:/usr/sbin:/sbin\n%s%s", words, script),
	    "there is no avahi-daemon, or no dbus-daemon");
	for (int i = 0; i < 2; i++)
		assert_found(look(w, r, ARGV("bare", "bus")[i]), "mdns", "warning",
		    "nobody announces names below .local: asking Avahi by D-Bus: ",
		    "sudo systemctl enable --now avahi-daemon");
	assert_true(was_skipped(look(w, r, "off"), "mdns"));
	assert_true(was_skipped(look(w, r, "alone"), "mdns"));
	o = look(w, r, "runs");
	assert_fine(o, "mdns");
	assert_found(look(w, r, "hangs"), "mdns", "warning", "Avahi does not answer within",
	    "sudo systemctl restart avahi-daemon");
	assert_found(look(w, r, "older"), "mdns", "warning",
	    "this Caddy serves no names below .local", "devmesh stop && devmesh start");
	assert_fine(look(w, r, "mesh"), "mdns");
}

/* dns install wants these programs, and here they need to do nothing. */
static const char tools[] =
    "for p in ip resolvectl; do command -v $p >/dev/null || { mkdir -p tools; "
    "ln -s /bin/true tools/$p; }; done; PATH=$PATH:$PWD/tools\n";

TEST(what_dns_has_installed)
{
	static const char script[] =
	    "look nothing\n"
	    "$devmesh dns install --resolver systemd-resolved --yes >/dev/null 2>&1 || exit 77\n"
	    "look dead\nserve 127.0.0.1 5453 " ZONE " 127.0.0.1\nlook right\nend $one\n"
	    "serve 127.0.0.1 5300 " ZONE " 127.0.0.1\nDEVMESH_DNS_PORT=5300 look port\nend $one\n"
	    "serve 127.0.0.1 5453 other.test 127.0.0.1\nlook other\n"
	    "DEVMESH_MESH_DOMAIN=new.example.test look domain\n"
	    "DEVMESH_MESH_DOMAIN=dev.localhost look localhost\n"
	    "$devmesh dns uninstall --resolver systemd-resolved --yes >/dev/null 2>&1\nlook gone\n";
	struct result r;

	settle(w);
	r = run_script(w, fmt(w, "%s%s", tools, script));
	assert_fine(look(w, r, "nothing"), "dns-installed");
	assert_found(look(w, r, "dead"), "dns-installed", "warning", "that does not answer",
	    "devmesh daemon start");
	assert_fine(look(w, r, "right"), "dns-installed");
	assert_found(look(w, r, "port"), "dns-installed", "warning", "answers at port 5300",
	    "devmesh dns install");
	assert_found(look(w, r, "other"), "dns-installed", "warning",
	    "and that answers for another domain", "devmesh daemon restart");
	assert_found(look(w, r, "domain"), "dns-installed", "warning",
	    "is for " ZONE " at 127.0.0.1:5453, and the domain is new.example.test",
	    "devmesh dns install");
	assert_found(look(w, r, "localhost"), "dns-installed", "warning",
	    "and the domain is dev.localhost", "devmesh dns uninstall");
	assert_fine(look(w, r, "gone"), "dns-installed");
}

/* A challenge without a provider, which no build of Caddy lacks. */
TEST(challenge_that_asks_devmeshd)
{
	static const char script[] =
	    "challenge() { cat >caddy.json <<EOF\n"
	    "{\"admin\":{\"listen\":\"unix/$admin\"},\"apps\":{\"tls\":{\"automation\":{"
	    "\"policies\":[{\"subjects\":[\"*." ZONE "\"],\"issuers\":[{\"module\":\"acme\","
	    "\"challenges\":{\"dns\":{$1}}}]}]}}}}\n"
	    "EOF\n"
	    "	rm -f \"$admin\"\n	caddy run --config caddy.json 2>>caddy.log & c=$!\n"
	    "	pids=\"$pids $c\"\n"
	    "	await curl -sk --unix-socket \"$admin\" -H 'Host;' http://localhost/config/; }\n"
	    "challenge ''\nlook before\n"
	    "$devmesh dns install --resolver systemd-resolved --yes >/dev/null 2>&1 || exit 77\n"
	    "look installed\nend $c\n"
	    "challenge '\"resolvers\":[\"1.1.1.1:53\"]'\nlook mended\n";
	struct result r;

	settle(w);
	r = run_script(
	    w, fmt(w, "admin=%s\n%s%s", strchr(w->admin, '/') + 2,
		   "export HOME=$PWD XDG_DATA_HOME=$PWD/data XDG_CONFIG_HOME=$PWD/config\n",
		   fmt(w, "%s%s", tools, script)));
	assert_fine(look(w, r, "before"), "dns-challenge");
	assert_found(look(w, r, "installed"), "dns-challenge", "warning",
	    "Caddy is to prove by DNS that " ZONE " is yours", "\"resolvers\": [\"1.1.1.1:53\"]");
	assert_fine(look(w, r, "mended"), "dns-challenge");
}

/* A Caddy with a certificate that was made for the test, listening where it is told. */
static const char caddy[] =
    "export HOME=$PWD XDG_DATA_HOME=$PWD/data XDG_CONFIG_HOME=$PWD/config\n"
    "cert() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "
    "key.pem -out cert.pem -subj /CN=test -days $1 -addext "
    "\"subjectAltName=DNS:*." ZONE "\" -addext extendedKeyUsage=$2 2>>openssl.log; }\n"
    "caddy_on() { cat >caddy.json <<EOF\n"
    "{\"admin\":{\"listen\":\"unix/$admin\"},\"apps\":{\"http\":{\"servers\":{\"srv0\":{"
    "\"listen\":[\"$1\"],\"automatic_https\":{\"disable\":true},\"tls_connection_policies\":[{}],"
    "\"routes\":[{\"handle\":[{\"handler\":\"static_response\",\"body\":\"ok\"}]}]}}},"
    "\"tls\":{\"certificates\":{\"load_files\":[{\"certificate\":\"$PWD/cert.pem\","
    "\"key\":\"$PWD/key.pem\"}]}}}}\n"
    "EOF\n"
    "	rm -f \"$admin\"\n	caddy run --config caddy.json 2>>caddy.log & c=$!; pids=\"$pids "
    "$c\"\n"
    "	await curl -sk --unix-socket \"$admin\" -H 'Host;' http://localhost/config/; }\n";

TEST(caddy_as_devices_reach_it)
{
	static const char script[] =
	    "command -v openssl >/dev/null || exit 77\n"
	    "cert 90 serverAuth\ncaddy_on 127.0.0.1:8443\nlook loopback\nend $c\n"
	    "caddy_on :8443\nlook all\nend $c\n"
	    "caddy_on 10.77.0.5:8443\nlook ours\nend $c\n"
	    "cert 900 clientAuth\ncaddy_on :8443\nlook old\n"
	    "ip link del lan0\nlook cut\n";
	struct result r;
	cJSON *o;

	settle(w);
	r = run_script(w, fmt(w, "admin=%s\n%s%s", strchr(w->admin, '/') + 2, caddy, script));
	o = look(w, r, "loopback");
	assert_found(o, "lan", "warning", "Caddy does not listen on 10.77.0.5", "--lan");
	assert_not_found(o, "lan", "note", "cannot be seen");
	o = look(w, r, "all");
	assert_not_found(o, "lan", "warning", "");
	assert_found(o, "lan", "note", "cannot be seen from here", "http://10.77.0.5:5380/");
	assert_fine(o, "phone-certificate");
	assert_not_found(look(w, r, "ours"), "lan", "warning", "");
	o = look(w, r, "old");
	assert_found(o, "phone-certificate", "warning", "valid for 900 days", ZONE);
	assert_found(o, "phone-certificate", "warning", "serverAuth", ZONE);
	o = look(w, r, "cut");
	assert_found(o, "lan", "warning", "have no address of this machine", "[lan] interface");
	assert_true(was_skipped(o, "phone-certificate"));
}

TEST(certificate_of_the_private_mesh)
{
	static const char script[] =
	    "command -v openssl >/dev/null || exit 77\n"
	    "$devmesh start >/dev/null 2>start.log || { cat start.log; exit 1; }\n"
	    "look mesh\n$devmesh stop >/dev/null\n";
	struct result r;
	cJSON *o;

	settle(w);
	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_DAEMON_START", "no");
	r = run_script(w, script);
	o = look(w, r, "mesh");
	assert_found(o, "phone-certificate", "note", "once they have the root of the local CA",
	    "http://10.77.0.5:5380/");
	assert_not_found(o, "phone-certificate", "warning", "");
}

TEST(firewalls)
{
	static const char script[] =
	    "look none\n"
	    "mkdir /etc/ufw\nprintf '# on\\nENABLED=yes\\n' >/etc/ufw/ufw.conf\n"
	    ": >/etc/ufw/user.rules\nlook shut\n"
	    "tuple() { echo \"### tuple ### $* 0.0.0.0/0 any 10.77.0.0/24 in\" "
	    ">>/etc/ufw/user.rules; }\n"
	    "echo '### tuple ### allow any any 0.0.0.0/0 any 0.0.0.0/0 out' "
	    ">>/etc/ufw/user.rules\nlook outwards\n"
	    "tuple allow tcp 443\ntuple allow any 53\ntuple allow tcp 5000:6000\nlook open\n"
	    "rm /etc/ufw/user.rules\nlook unseen\n"
	    "printf '# on\\nENABLED=no\\n' >/etc/ufw/ufw.conf\nlook off\n"
	    "mkdir bin\nPATH=$PWD/bin:$PATH\n"
	    "cat >bin/firewall-cmd <<'EOF'\n"
	    "#!/bin/sh\n"
	    "case $1 in --state) echo running ;; --get-zone-of-interface=lan0) cat zone ;; "
	    "--list-all) cat all ;; esac\n"
	    "test \"$2\" = \"$(sed 's/^/--zone=/' zone)\" || exit 0\n"
	    "case $1 in --list-ports) cat ports ;; --list-services) echo 'dns ssh' ;; esac\n"
	    "EOF\n"
	    "chmod 755 bin/firewall-cmd\n: >zone\n: >all\necho 5380/tcp >ports\nlook daemon\n"
	    "echo 443/tcp 5380/tcp >ports\nlook opened\necho home >zone\nlook zone\n"
	    "echo 400-500/tcp 1025-65535/tcp >ports\nlook ranges\n: >ports\nlook shut-zone\n"
	    "printf 'home\\n  target: ACCEPT\\n' >all\nlook accept\n";
	struct result r;
	cJSON *o;

	settle(w);
	r = run_script(w, script);
	assert_true(was_skipped(look(w, r, "none"), "firewall"));
	o = look(w, r, "shut");
	assert_found(o, "firewall", "warning",
	    "ufw does not let other devices in: 443/tcp (the URLs), 5380/tcp (the page for "
	    "phones), 53/udp (DNS)",
	    "sudo ufw allow from 10.77.0.0/24 to any port 443 proto tcp; sudo");
	assert_found(look(w, r, "outwards"), "firewall", "warning", "443/tcp (the URLs)", "ufw");
	assert_fine(look(w, r, "open"), "firewall");
	assert_found(look(w, r, "unseen"), "firewall", "note", "only root can see", "ufw status");
	assert_true(was_skipped(look(w, r, "off"), "firewall"));
	assert_found(look(w, r, "daemon"), "firewall", "warning",
	    "firewalld does not let other devices in: 443/tcp (the URLs)",
	    "sudo firewall-cmd --permanent --add-port=443/tcp && sudo firewall-cmd --reload");
	assert_fine(look(w, r, "opened"), "firewall");
	assert_fine(look(w, r, "zone"), "firewall");
	assert_fine(look(w, r, "ranges"), "firewall");
	assert_found(look(w, r, "shut-zone"), "firewall", "warning", "443/tcp (the URLs), 5380/tcp",
	    "sudo firewall-cmd --permanent --zone=home --add-port=443/tcp");
	assert_fine(look(w, r, "accept"), "firewall");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(what_the_router_answers),
	    WORLD_TEST(who_asks_out_there),
	    WORLD_TEST(port_53),
	    WORLD_TEST(devmeshd_on_port_53),
	    WORLD_TEST(port_of_the_phone_page),
	    WORLD_TEST(names_below_local),
	    WORLD_TEST(what_dns_has_installed),
	    WORLD_TEST(challenge_that_asks_devmeshd),
	    WORLD_TEST(caddy_as_devices_reach_it),
	    WORLD_TEST(certificate_of_the_private_mesh),
	    WORLD_TEST(firewalls),
	};

	return RUN_TESTS(tests);
}
