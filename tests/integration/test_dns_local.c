/* SPDX-License-Identifier: MIT */
/*
 * devmesh dns: what is written, shown and undone; and, in namespaces of the test's own, that a real
 * systemd-resolved and a real dnsmasq then ask for the zone, and for nothing else.
 */
#include "harness_alone.h"

#include <unistd.h>

#define ZONE "dev.example.test"

static void
settle(struct world *w)
{
	world_env(w, "DEVMESH_MESH_DOMAIN", ZONE);
	/* on nobody's port: what another responder of this machine says is not asked */
	world_env(w, "DEVMESH_DNS_PORT", fmt(w, "%d", free_port(w)));
}

static char *
file_of(struct world *w, const char *dir, const char *path)
{
	return read_text(w, fmt(w, "%s%s", dir, path));
}

TEST(localhost_needs_nothing)
{
	cJSON *o;

	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.localhost");
	o = json_of(w, DM(w, NULL, "dns", "install", "--json").out);
	assert_string_equal(json_str(o, "state"), "not-needed");
	assert_true(json_null(o, "port"));
	o = json_of(w, DM(w, NULL, "dns", "status", "--json").out);
	assert_string_equal(json_str(o, "state"), "not-needed");
}

TEST(zones_that_cannot_be)
{
	static const char *const bad[] = {"test", "dev.local", "a..b", "dev.example.test/x"};

	settle(w);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_error(w, DM(w, NULL, "dns", "install", "--zone", bad[i], "--yes"), 2, "");
	assert_error(w, DM(w, NULL, "dns", "install", "--port", "0"), 2, "--port");
	assert_error(w, DM(w, NULL, "dns", "install", "--resolver", "bind"), 2, "--resolver");
	assert_error(w, DM(w, NULL, "dns", "install", "--out", "here"), 2, "--out");
	assert_error(w, DM(w, NULL, "dns", "remove"), 2, "remove");
	assert_error(w, DM(w, NULL, "dns"), 2, "what");
}

/* Below a directory of the test's own, for the system that `resolver` is on. */
static void
written_and_undone(struct world *w, const char *resolver, const char *path, const char *holds)
{
	char *out = make_dir(w, resolver), *text;
	struct result r;
	cJSON *o;

	r = DM(w, NULL, "dns", "install", "--resolver", resolver, "--out", out, "--dry-run");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, fmt(w, "create: %s%s (mode 0644)\n", out, path)));
	assert_non_null(strstr(r.out, holds));
	assert_null(file_of(w, out, path));
	r = DM(w, NULL, "dns", "install", "--resolver", resolver, "--out", out);
	assert_error(w, r, 2, "agreed");
	r = DM(w, NULL, "dns", "install", "--resolver", resolver, "--out", out, "--yes");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "written below"));
	text = file_of(w, out, path);
	assert_non_null(strstr(text, holds));
	r = DM(w, NULL, "dns", "install", "--resolver", resolver, "--out", out);
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "unchanged"));
	o = json_of(
	    w, DM(w, NULL, "dns", "status", "--resolver", resolver, "--out", out, "--json").out);
	assert_string_equal(json_str(o, "state"), "not-answering");
	/* for another port it is out of date */
	r = DM(w, NULL, "dns", "status", "--resolver", resolver, "--out", out, "--port", "9");
	assert_exit(w, r, 4);
	assert_non_null(strstr(r.out, "outdated: "));
	assert_non_null(strstr(r.out, "is for " ZONE " at 127.0.0.1:"));
	/* what somebody has changed is not touched */
	write_text(fmt(w, "%s%s", out, path), fmt(w, "%s# mine\n", text));
	r = DM(w, NULL, "dns", "install", "--resolver", resolver, "--out", out, "--yes");
	assert_error(w, r, 4, "changed since");
	r = DM(w, NULL, "dns", "status", "--resolver", resolver, "--out", out);
	assert_exit(w, r, 4);
	assert_non_null(strstr(r.out, "changed: "));
	r = DM(w, NULL, "dns", "uninstall", "--resolver", resolver, "--out", out, "--yes");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.err, "kept: "));
	assert_non_null(strstr(file_of(w, out, path), "# mine\n"));
	write_text(fmt(w, "%s%s", out, path), text);
	/* also where the domain has become one that cannot be installed */
	world_env(w, "DEVMESH_MESH_DOMAIN", "foo.local");
	r = DM(w, NULL, "dns", "uninstall", "--resolver", resolver, "--out", out, "--yes");
	world_env(w, "DEVMESH_MESH_DOMAIN", ZONE);
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "removed"));
	assert_string_equal(run_ok(w, out, ARGV("find", out, "-type", "f")).out, "");
	r = DM(w, NULL, "dns", "uninstall", "--resolver", resolver, "--out", out);
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "unchanged"));
}

TEST(files_for_macos)
{
	char *out;

	settle(w);
	written_and_undone(w, "macos", "/etc/resolver/" ZONE, "nameserver 127.0.0.1\n");
	/* the file of an earlier domain goes, and that of somebody else stays */
	out = make_dir(w, "other");
	DM(w, NULL, "dns", "install", "--resolver", "macos", "--out", out, "--yes");
	write_text(fmt(w, "%s/etc/resolver/corp", out), "nameserver 10.0.0.1\n");
	assert_exit(w,
	    DM(w, NULL, "dns", "install", "--resolver", "macos", "--out", out, "--zone",
		"new.example.test", "--yes"),
	    0);
	assert_null(file_of(w, out, "/etc/resolver/" ZONE));
	assert_non_null(file_of(w, out, "/etc/resolver/new.example.test"));
	DM(w, NULL, "dns", "uninstall", "--resolver", "macos", "--out", out, "--yes");
	assert_string_equal(
	    run_ok(w, out, ARGV("find", ".", "-type", "f")).out, "./etc/resolver/corp\n");
}

TEST(files_for_systemd_resolved)
{
	char *out = make_dir(w, "checked"), *unit = fmt(w, "%s/etc/systemd/system", out);
	struct result r;

	settle(w);
	written_and_undone(w, "systemd-resolved", "/etc/systemd/system/devmesh-dns.service",
	    "domain devmesh0 ~" ZONE "\n");
	DM(w, NULL, "dns", "install", "--resolver", "systemd-resolved", "--out", out, "--yes");
	r = run(w, w->dir,
	    ARGV("systemd-analyze", "verify", "--man=no", fmt(w, "%s/devmesh-dns.service", unit)));
	/* it may miss the program, and a unit that is not installed here; nothing else */
	assert_null(strstr(r.err, "Unknown"));
	assert_null(strstr(r.err, "Failed to parse"));
}

TEST(the_machines_resolver_is_roots)
{
	struct result r;

	settle(w);
	if (geteuid() == 0) {
		w->uid = 65534;
		own_tree(w->home, 65534);
	}
	r = DM(w, NULL, "dns", "install", "--resolver", "macos", "--yes");
	assert_error(w, r, 6, "root");
	assert_non_null(strstr(r.err, "create: /etc/resolver/" ZONE));
	assert_non_null(strstr(r.err, "sudo devmesh dns install --zone " ZONE " --port "));
	assert_false(exists("/etc/resolver"));
}

/* ---- with a resolver of the test's own ------------------------------------------------------ */

/*
 * systemd-resolved with a bus of its own. What takes the place of systemctl(1) runs the commands of
 * the unit as it is written; where the kernel has no dummy links, a link of another kind.
 */
static const char resolved[] =
    "for d in \"\" \"$src/build/resolved\"; do for l in lib usr/lib; do\n"
    "	[ -x \"$d/$l/systemd/systemd-resolved\" ] && daemon=$d/$l/systemd/systemd-resolved && "
    "PATH=$d/usr/bin:$PATH\n"
    "done; done\n"
    "[ -n \"${daemon:-}\" ] && command -v dbus-daemon >/dev/null || exit 77\n"
    "kind=\nfor k in dummy ifb; do ip link add devtest0 type $k 2>/dev/null && kind=$k && "
    "ip link del devtest0 && break; done\n[ -n \"$kind\" ] || exit 77\n"
    "grep -q ^systemd-resolve: etc/passwd || {\n"
    "	echo 'systemd-resolve:x:992:992::/:/bin/false' >>etc/passwd\n"
    "	echo 'systemd-resolve:x:992:' >>etc/group; }\n"
    "mkdir -p /run/dbus /run/systemd/system /run/systemd/resolve /etc/systemd/system bin\n"
    "chown systemd-resolve:systemd-resolve /run/systemd/resolve\n"
    "ln -s ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf\n"
    "cat >bus.conf <<'EOF'\n"
    "<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>\n"
    "<auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\n"
    "<allow send_type=\"method_call\"/><allow send_type=\"signal\"/>\n"
    "<allow send_requested_reply=\"true\" send_type=\"method_return\"/>\n"
    "<allow send_requested_reply=\"true\" send_type=\"error\"/>\n"
    "<allow receive_type=\"method_call\"/><allow receive_type=\"method_return\"/>\n"
    "<allow receive_type=\"error\"/><allow receive_type=\"signal\"/>\n"
    "</policy></busconfig>\n"
    "EOF\n"
    "dbus-daemon --config-file=bus.conf --nofork --nopidfile 2>bus.log & pids=\"$pids $!\"\n"
    "await test -S /run/dbus/system_bus_socket\n"
    "$daemon 2>resolved.log & pids=\"$pids $!\"\n"
    "await test -e /run/systemd/resolve/resolv.conf\nawait resolvectl dns\n"
    "cat >bin/systemctl <<'EOF'\n"
    "#!/bin/sh\n"
    "echo \"$*\" >>systemctl.calls\n"
    "unit=/etc/systemd/system/devmesh-dns.service\n"
    "each() { sed -n \"s/^$1=//p\" $unit | sed \"s/type dummy/type $kind/\" | while read -r c; "
    "do\n"
    "	case $c in -*) ${c#-} 2>/dev/null || : ;; *) $c || exit 1 ;; esac; done; }\n"
    "case $1 in\n"
    "restart) each ExecStopPost; each ExecStartPre && each ExecStart ;;\n"
    "disable) each ExecStopPost ;;\n"
    "esac\n"
    "EOF\n"
    "chmod 755 bin/systemctl\nexport kind PATH=$PWD/bin:$PATH\n";

TEST(systemd_resolved_asks_for_the_zone_alone)
{
	static const char script[] =
	    "find /etc -type f -o -type l | sort >before\nsha256sum /etc/hosts >>before\n"
	    "link() { ip -o link show devmesh0; }\n"
	    "serve 127.0.0.1 5453 " ZONE " 127.0.0.1 asked\nfirst=$one\n"
	    "code() { c=0; \"$@\" || c=$?; echo \"code $c\"; }\n"
	    "echo == absent; code $devmesh dns status\n"
	    "echo == others; code setpriv --reuid 65534 --clear-groups env -u DEVMESH_CONFIG "
	    "HOME=/ $devmesh dns install --yes "
	    "2>&1\n"
	    "! grep -r devmesh /etc/systemd\n"
	    "echo == dry; $devmesh dns install --dry-run\ntest ! -e systemctl.calls\n! link "
	    "2>/dev/null\n"
	    "echo == install; $devmesh dns install --yes 2>&1\n"
	    "echo == again; $devmesh dns install\n"
	    "echo == status; code $devmesh dns status\n"
	    "echo == json; $devmesh dns status --json\n"
	    "echo == names; getent ahostsv4 app." ZONE " | head -1\n"
	    "getent ahosts elsewhere.example.com || echo nobody\n"
	    "grep -c elsewhere asked || :\n"
	    "echo == domain; code env DEVMESH_MESH_DOMAIN=new.example.test $devmesh dns status\n"
	    "DEVMESH_MESH_DOMAIN=new.example.test $devmesh dns install --yes 2>&1\n"
	    "resolvectl domain devmesh0\n"
	    "end $first\n"
	    "echo == port; serve 127.0.0.1 5454 " ZONE " 127.0.0.1\n"
	    "export DEVMESH_DNS_PORT=5454\ncode $devmesh dns status\n"
	    "$devmesh dns install --yes 2>&1\ngetent ahostsv4 app2." ZONE " | head -1\n"
	    "end $one\n"
	    "echo == dead; code $devmesh dns status\n"
	    "echo == uninstall; $devmesh dns uninstall --yes 2>&1\n! link 2>/dev/null\n"
	    "$devmesh dns uninstall\n"
	    "find /etc -type f -o -type l | sort >after\nsha256sum /etc/hosts >>after\n"
	    "diff before after && echo same\n";
	struct result r;
	const char *at;
	cJSON *o;

	world_env(w, "DEVMESH_MESH_DOMAIN", ZONE);
	r = run_alone(w, fmt(w, "src=%s\n%s%s", source_dir(), resolved, script),
	    "there is no systemd-resolved here, or no link for it");
	assert_non_null(at = strstr(r.out, "== absent\nabsent: " ZONE " at 127.0.0.1:5453"));
	assert_non_null(strstr(at, "devmeshd answers there\n"));
	assert_non_null(at = strstr(at, "code 3\n"));
	assert_non_null(at = strstr(at, "sudo devmesh dns install --zone " ZONE " --port 5453"));
	assert_non_null(at = strstr(at, "code 6\n"));
	assert_non_null(at = strstr(at, "== dry\ncreate: /etc/systemd/"));
	assert_non_null(at = strstr(at, "run: systemctl restart devmesh-dns.service\n"));
	assert_non_null(at = strstr(at, "== install\n"));
	assert_non_null(at = strstr(at, "\nready: systemd-resolved is to ask 127.0.0.1:5453"));
	assert_non_null(at = strstr(at, "== again\nunchanged: "));
	assert_non_null(at = strstr(at, "== status\nready: "));
	assert_non_null(at = strstr(at, " leads programs to 127.0.0.1\ncode 0\n"));
	o = json_of(w, fmt(w, "%.*s", (int)strcspn(strchr(strstr(at, "== json"), '{'), "\n"),
			   strchr(strstr(at, "== json"), '{')));
	assert_string_equal(json_str(o, "state"), "ready");
	assert_string_equal(json_str(o, "resolver"), "systemd-resolved");
	assert_string_equal(json_str(o, "responder"), "answers");
	assert_string_equal(
	    cJSON_GetArrayItem(cJSON_GetObjectItem(o, "addresses"), 0)->valuestring, "127.0.0.1");
	assert_non_null(at = strstr(at, "== names\n127.0.0.1 "));
	/* unrelated names are none of its business */
	assert_non_null(at = strstr(at, "\nnobody\n0\n== domain\noutdated: new.example.test"));
	assert_non_null(strstr(at, "is for " ZONE " at 127.0.0.1:5453\n"));
	assert_non_null(at = strstr(at, "code 4\n"));
	assert_non_null(at = strstr(at, "update: /etc/systemd/system/devmesh-dns.service"));
	assert_non_null(at = strstr(at, "(devmesh0): ~new.example.test\n"));
	assert_non_null(at = strstr(at, "== port\noutdated: "));
	assert_non_null(at = strstr(at, "code 4\n"));
	assert_non_null(at = strstr(at, "ready: systemd-resolved is to ask 127.0.0.1:5454"));
	assert_non_null(at = strstr(at, "\n127.0.0.1 "));
	assert_non_null(at = strstr(at, "== dead\nnot-answering: "));
	assert_non_null(at = strstr(at, "code 5\n"));
	assert_non_null(at = strstr(at, "== uninstall\nrun: systemctl disable --now"));
	assert_non_null(at = strstr(at, "\nremoved\nunchanged: there is nothing"));
	assert_non_null(strstr(at, "\nsame\n"));
}

/* The same with the real devmeshd, whose port nobody has to say. */
TEST(systemd_resolved_asks_devmeshd)
{
	static const char script[] =
	    "$devmesh daemon start >/dev/null\n"
	    "trap '$devmesh daemon stop >/dev/null 2>&1 || :; kill $pids || :; wait || :' EXIT\n"
	    "answers() { $devmesh dns status 2>&1 | grep -q 'devmeshd answers there'; }\n"
	    "n=0; until answers; do [ $((n += 1)) -lt 60 ] || exit 77; sleep 0.05; done\n"
	    "$devmesh dns install --yes 2>&1\n$devmesh dns status\n"
	    "getent ahostsv4 app." ZONE " | head -1\n"
	    "$devmesh daemon stop >/dev/null\nc=0; $devmesh dns status || c=$?; echo code $c\n"
	    "$devmesh dns uninstall --yes 2>&1\n";
	struct result r;
	const char *at;

	world_env(w, "DEVMESH_MESH_DOMAIN", ZONE);
	r = run_alone(w, fmt(w, "src=%s\n%s%s", source_dir(), resolved, script),
	    "there is no systemd-resolved here, or a devmeshd that answers no DNS");
	assert_non_null(at = strstr(r.out, "\nready: systemd-resolved is to ask 127.0.0.1:"));
	assert_non_null(at = strstr(at, " leads programs to 127.0.0.1\n"));
	assert_non_null(at = strstr(at, "\n127.0.0.1 "));
	assert_non_null(at = strstr(at, "not-answering: "));
	assert_non_null(at = strstr(at, "code 5\n"));
	assert_non_null(strstr(at, "removed\n"));
}

/* What is printed for dnsmasq is put into its file, and works: also where it filters rebinding. */
TEST(dnsmasq_with_the_text)
{
	static const char script[] =
	    "command -v dnsmasq >/dev/null || exit 77\n"
	    "serve 127.0.0.1 5453 " ZONE " 127.0.0.1 asked\n"
	    "echo 'nameserver 127.0.0.1' >/etc/resolv.conf\n: >/etc/dnsmasq.conf\n"
	    "ask() { dnsmasq -k -u root -C own.conf -p 53 -a 127.0.0.1 -z -R --stop-dns-rebind "
	    "2>>dnsmasq.log & m=$!; pids=\"$pids $m\"\n"
	    "	await sh -c 'ss -lun | grep -q 127.0.0.1:53[[:blank:]]'\n"
	    "	c=0; $devmesh dns status || c=$?; echo code $c; end $m; }\n"
	    ": >own.conf\necho == without\nask\n"
	    "echo == print; c=0; $devmesh dns install --yes >text || c=$?; echo code $c\n"
	    "cat text\ncp text own.conf\necho == with\nask\n"
	    "sed -i /rebind/d own.conf\necho == filter\nask\n"
	    "test ! -e /etc/dnsmasq.d\n";
	struct result r;
	const char *at;

	world_env(w, "DEVMESH_MESH_DOMAIN", ZONE);
	r = run_alone(w, script, "there is no dnsmasq");
	assert_non_null(at = strstr(r.out, "== without\nabsent: "));
	assert_non_null(at = strstr(at, "code 3\n== print\ncode 3\n"));
	assert_non_null(at = strstr(at, "\nserver=/" ZONE "/127.0.0.1#5453\n"));
	assert_non_null(at = strstr(at, "== with\nready: " ZONE " at 127.0.0.1:5453, by dnsmasq"));
	assert_non_null(at = strstr(at, " leads programs to 127.0.0.1\ncode 0\n"));
	assert_non_null(at = strstr(at, "== filter\nabsent: "));
	assert_non_null(at = strstr(at, " leads programs to nothing\ncode 3\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(localhost_needs_nothing),
	    WORLD_TEST(zones_that_cannot_be),
	    WORLD_TEST(files_for_macos),
	    WORLD_TEST(files_for_systemd_resolved),
	    WORLD_TEST(the_machines_resolver_is_roots),
	    WORLD_TEST(systemd_resolved_asks_for_the_zone_alone),
	    WORLD_TEST(systemd_resolved_asks_devmeshd),
	    WORLD_TEST(dnsmasq_with_the_text),
	};

	return RUN_TESTS(tests);
}
