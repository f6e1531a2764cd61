/* SPDX-License-Identifier: MIT */
/* devmesh setup for the machine, as root: whose files they are, and who reaches its Caddy. */
#include "harness_setup.h"

#include <unistd.h>

/*
 * As root, for the machine: in a mount namespace whose /etc and /var/lib are the test's own. The
 * files for Debian's caddy.service are judged by systemd together with that unit.
 */
TEST(for_the_machine)
{
	struct ports p = choose_ports(w);
	char *script = fmt(w, "%s/machine.sh", w->dir);
	struct result r;

	if (geteuid() != 0)
		world_skip(w, "only root has a machine to set up");
	write_text(script,
	    fmt(w,
		"set -eu\n"
		"mkdir etc var\n"
		"cp -a /etc/passwd /etc/group /etc/hosts /etc/ssl etc/\n"
		"mount --bind etc /etc\nmount --bind var /var/lib\n"
		"unset DEVMESH_CADDY_ADMIN\n"
		"setup=\"%s setup --domain dev.example.test --https-port %s --http-port %s "
		"--yes\"\n"
		"SUDO_UID=1234 $setup --dry-run >plan\n"
		"grep -q 'http://localhost:2019\\|localhost:2019' plan\n"
		"export DEVMESH_CADDY_ADMIN=%s\n"
		"SUDO_UID=1234 $setup\n"
		"stat -c '%%n %%a %%u' /etc/devmesh/* /etc/tmpfiles.d/* /var/lib/devmesh/identity\n"
		"if [ -e /etc/systemd/system/caddy.service.d/devmesh.conf ]; then\n"
		"	systemd-analyze verify --man=no /lib/systemd/system/caddy.service\n"
		"else\n"
		"	systemd-analyze verify --man=no /etc/systemd/system/devmesh-caddy.service\n"
		"fi\n"
		"%s setup --remove --yes\n"
		"find /etc/devmesh /etc/tmpfiles.d /etc/systemd /var/lib/devmesh/identity ! -type "
		"d\n",
		w->devmesh, p.https, p.http, w->admin, w->devmesh));
	r = run(w, w->dir, ARGV("unshare", "-m", "sh", script));
	assert_non_null(strstr(r.out, "/etc/devmesh/caddy.json 644 0\n"));
	assert_non_null(strstr(r.out, "/etc/devmesh/config.ini 644 0\n"));
	assert_non_null(strstr(r.out, "/etc/tmpfiles.d/devmesh.conf 644 0\n"));
	assert_non_null(strstr(r.out, "/var/lib/devmesh/identity 755 1234\n"));
	assert_non_null(strstr(r.out, "removed\n"));
	assert_null(strstr(r.out, "removed\n/"));
}

/*
 * With the token in Caddy's environment: root sets it up for the user "dev", Caddy runs as the
 * unit says, dev reaches its admin API, and nobody else does. This Caddy has no modules for the
 * rest of the configuration; the modes, the group and the address are the written ones.
 */
TEST(one_person_reaches_the_machines_caddy)
{
	static const char script_text[] =
	    "set -eu\n"
	    "mkdir etc var\n"
	    "cp -a /etc/passwd /etc/group /etc/hosts /etc/ssl etc/\n"
	    "echo 'dev:x:4242:4242::/:/bin/sh' >>etc/passwd\necho 'dev:x:4242:' >>etc/group\n"
	    "echo 'both:x:4243:4243::/:/bin/sh' >>etc/passwd\n"
	    "echo 'both:x:4243:nobody' >>etc/group\n"
	    "echo 'svc:x:4244:4244::/:/bin/sh' >>etc/passwd\necho 'svc:x:4244:' >>etc/group\n"
	    "mount --bind etc /etc\nmount --bind var /var/lib\n"
	    "mount -t tmpfs -o mode=755 none /run\n"
	    "unset DEVMESH_CADDY_ADMIN DEVMESH_CONFIG\n"
	    "setup='%s setup --domain dev.example.test --dns cloudflare --https-port %s "
	    "--http-port %s --yes'\n"
	    "SUDO_UID=4243 $setup 2>&1 || echo status $?\n"
	    "test ! -e /etc/devmesh\n"
	    "SUDO_UID=4242 $setup --dry-run >plan\n"
	    "grep -q 'RuntimeDirectoryMode=0750' plan\ntest ! -e /etc/devmesh\n"
	    "SUDO_UID=4242 $setup 2>&1\n"
	    "SUDO_UID=4242 $setup --json 2>&1 | grep -o '\"action\": *\"[a-z]*\"' | sort -u\n"
	    "grep '^admin' /etc/devmesh/config.ini\n"
	    "unit=$(grep -rl RuntimeDirectory= /etc/systemd)\n"
	    "value() { sed -n \"s/^$1=//p\" $unit; }\n"
	    "install -d -o svc -g $(value Group) -m $(value RuntimeDirectoryMode) "
	    "/run/$(value RuntimeDirectory)\n"
	    "listen=$(sed -n 's/.*\"listen\":[[:space:]]*\"\\(unix.*\\)\".*/\\1/p' "
	    "/etc/devmesh/caddy.json)\n"
	    "echo \"{\\\"admin\\\":{\\\"listen\\\":\\\"$listen\\\",\\\"config\\\":{"
	    "\\\"persist\\\":false}}}\" >/run/caddy.json\n"
	    "umask $(value UMask)\n"
	    "HOME=/run/devmesh setpriv --reuid svc --regid $(value Group) --clear-groups "
	    "caddy run --config /run/caddy.json >caddy.log 2>&1 &\n"
	    "trap \"kill $!\" EXIT\n"
	    "ask() { setpriv --reuid $1 --regid $1 --clear-groups curl -s -H 'Host;' -o /dev/null "
	    "-w "
	    "\"$1 %%{http_code}\\n\" --max-time 5 --unix-socket /run/devmesh/admin.sock "
	    "http://localhost/config/; }\n"
	    "n=0; until ask 4242 >/dev/null || [ $((n += 1)) = 200 ]; do sleep 0.05; done\n"
	    "ask 4242\nask 65534 || echo refused\n"
	    "setpriv --reuid 4242 --regid 4242 --clear-groups %s list >/dev/null && echo listed\n"
	    "%s setup --remove --yes\n"
	    "grep -r admin /etc/devmesh || echo gone\n";
	struct ports p = choose_ports(w);
	char *script = fmt(w, "%s/machine.sh", w->dir);
	struct result r;

	if (geteuid() != 0)
		world_skip(w, "only root has a machine to set up");
	caddy_with_modules(w, "exit 0");
	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	write_text(
	    script, fmt(w, script_text, w->devmesh, p.https, p.http, w->devmesh, w->devmesh));
	r = run(w, w->dir, ARGV("unshare", "-m", "sh", script));
	if (r.code != 0)
		fail_msg("status %d: %s%s", r.code, r.out, r.err);
	assert_no_token(r);
	assert_non_null(strstr(r.out, "not yours alone: nobody is in it"));
	assert_non_null(strstr(r.out, "status 6\n"));
	assert_non_null(strstr(r.out, "\nadmin = unix:///run/devmesh/admin.sock\n"));
	/* the second run had nothing left to do */
	assert_non_null(strstr(r.out, "\"action\":\"unchanged\"\nadmin = "));
	assert_null(strstr(r.out, "\"action\":\"update\""));
	assert_non_null(strstr(r.out, "\n4242 200\n65534 000\nrefused\n"));
	assert_non_null(strstr(r.out, "listed\n"));
	assert_non_null(strstr(r.out, "gone\n"));
}

/*
 * The usual address, in a network of the test's own: a Caddy that runs there is not given the
 * token, and who insists on that address is told.
 */
TEST(a_token_and_the_usual_address)
{
	struct ports p = choose_ports(w);
	char *script = fmt(w, "%s/usual.sh", w->dir);
	struct result r;

	if (geteuid() != 0)
		world_skip(w, "only root has a machine to set up");
	caddy_with_modules(w, "exit 0");
	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	write_text(script,
	    fmt(w,
		"set -eu\n"
		"mkdir etc\ncp -a /etc/passwd /etc/group /etc/hosts /etc/ssl etc/\n"
		"echo 'dev:x:4242:4242::/:/bin/sh' >>etc/passwd\n"
		"echo 'dev:x:4242:' >>etc/group\nmount --bind etc /etc\n"
		"mount -t tmpfs -o mode=755 none /run\nip link set lo up\n"
		"unset DEVMESH_CADDY_ADMIN DEVMESH_CONFIG\n"
		"setup='%s setup --domain dev.example.test --dns cloudflare --https-port %s "
		"--http-port %s'\n"
		"HOME=$PWD caddy run >caddy.log 2>&1 &\ntrap \"kill $!\" EXIT\n"
		"n=0; until curl -s http://localhost:2019/config/ >/dev/null || "
		"[ $((n += 1)) = 200 ]; do sleep 0.05; done\n"
		"SUDO_UID=4242 $setup --yes 2>&1 || echo status $?\n"
		"SUDO_UID=4242 DEVMESH_CADDY_ADMIN=http://localhost:2019 $setup --dry-run "
		">plan 2>said\ncat said\n"
		"grep -c RuntimeDirectory plan || true\n"
		"test ! -e /etc/devmesh\n",
		w->devmesh, p.https, p.http));
	r = run(w, w->dir, ARGV("unshare", "-m", "-n", "sh", script));
	if (r.code != 0)
		fail_msg("status %d: %s%s", r.code, r.out, r.err);
	assert_no_token(r);
	assert_non_null(strstr(r.out, "a Caddy runs with its admin API at http://localhost:2019"));
	assert_non_null(strstr(r.out, "\nstatus 4\n"));
	assert_non_null(strstr(r.out, "every user of this machine will be able to read the token"));
	assert_non_null(strstr(r.out, "\n0\n"));
}

TEST(the_machine_is_roots)
{
	struct result r;

	choose_ports(w);
	if (geteuid() == 0) {
		w->uid = 65534;
		own_tree(w->home, 65534);
	}
	r = DM(w, NULL, "setup", DOMAIN, "--yes");
	assert_exit(w, r, 6);
	assert_non_null(strstr(r.err, "sudo"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(for_the_machine),
	    WORLD_TEST(one_person_reaches_the_machines_caddy),
	    WORLD_TEST(a_token_and_the_usual_address),
	    WORLD_TEST(the_machine_is_roots),
	};

	return RUN_TESTS(tests);
}
