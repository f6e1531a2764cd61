/* SPDX-License-Identifier: MIT */
/*
 * devmeshd as a service. Without a service manager: what is written, and that nothing starts
 * devmeshd behind its back. With one: a real systemd of the test's own, in namespaces in which
 * nothing but the test's directory can be written to, and which knows no units but the test's.
 */
#include "harness_net.h"

#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIT(w) fmt((w), "%s/.config/systemd/user/devmeshd.service", (w)->home)
#define SKIP	77 /* exit code of the scripts below */

/* A service has no variables of the shell that installs it: all is in the configuration. */
static void
settle(struct world *w)
{
	write_text(fmt(w, "%s/devmesh.ini", w->home),
	    fmt(w,
		"[local]\nstate_dir = %s\n[sockets]\ndir = %s\n[caddy]\nadmin = %s\n"
		"[mesh]\ndomain = dev.test\n",
		w->state, w->sockets, w->admin));
	world_env(w, "DEVMESH_LOCAL_STATE_DIR", NULL);
	world_env(w, "DEVMESH_SOCKETS_DIR", NULL);
	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_CADDY_TIMEOUT", NULL);
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	world_env(w, "DEVMESH_DAEMON_START", NULL);
}

static const char *
tree(struct world *w)
{
	return run_ok(w, NULL, ARGV("find", w->home, w->sockets, "-printf", "%p %m %s %T@\n")).out;
}

/* ---- without a service manager ------------------------------------------------------------ */

TEST(a_dry_run_shows_the_unit)
{
	const char *before;
	struct result r;
	cJSON *o;

	settle(w);
	before = tree(w);
	r = DM(w, NULL, "service", "install", "--dry-run");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, fmt(w, "create: %s (mode 0644)", UNIT(w))));
	assert_non_null(strstr(r.out, "/devmeshd\" --config \"")); /* both absolute */
	assert_non_null(strstr(r.out, "Type=notify"));
	assert_non_null(strstr(r.out, "NoNewPrivileges=true"));
	assert_null(strstr(r.out, "User="));
	r = DM(w, NULL, "service", "install", "--system", "--dry-run", "--json");
	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	assert_string_equal(json_str(o, "state"), "planned");
	assert_string_equal(json_str(o, "scope"), "system");
	r = DM(w, NULL, "service", "install", "--system", "--dry-run");
	assert_non_null(strstr(r.out, "create: /etc/systemd/system/devmeshd.service"));
	assert_non_null(strstr(r.out, "ProtectSystem=strict"));
	assert_non_null(strstr(r.out, fmt(w, "\"-%s\"", w->state)));
	assert_string_equal(tree(w), before);
}

TEST(a_unit_is_written_once_and_removed)
{
	struct result r;

	settle(w);
	assert_exit(w, DM(w, NULL, "service", "status"), 3);
	r = DM(w, NULL, "service", "install", "--json");
	assert_exit(w, r, 0);
	assert_string_equal(json_str(json_of(w, r.out), "state"), "written");
	assert_non_null(strstr(r.err, "systemd does not run here"));
	r = run_ok(w, NULL,
	    ARGV("systemd-analyze", "--user", "verify", "--man=no", "--recursive-errors=no",
		UNIT(w)));
	assert_string_equal(r.err, "");
	r = DM(w, NULL, "service", "install", "--json");
	assert_exit(w, r, 0);
	assert_string_equal(json_str(json_of(w, r.out), "state"), "unchanged");
	assert_exit(w, DM(w, NULL, "service", "status"), 5);
	r = DM(w, NULL, "service", "uninstall");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "removed\n");
	assert_false(exists(UNIT(w)));
	r = DM(w, NULL, "service", "uninstall");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "unchanged"));
}

TEST(what_others_have_written_stays)
{
	static const char theirs[] = "[Service]\nExecStart=/opt/devmeshd\n";
	struct result r;

	settle(w);
	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/.config/systemd/user", w->home)));
	write_text(UNIT(w), theirs);
	r = DM(w, NULL, "service", "install");
	assert_error(w, r, 4, "not written by setup");
	r = DM(w, NULL, "service", "uninstall");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.err, "kept: "));
	assert_string_equal(read_text(w, UNIT(w)), theirs);
	/* the same for one that somebody has changed */
	assert_int_equal(unlink(UNIT(w)), 0);
	assert_exit(w, DM(w, NULL, "service", "install"), 0);
	write_text(UNIT(w), fmt(w, "%s# mine\n", read_text(w, UNIT(w))));
	assert_error(w, DM(w, NULL, "service", "install"), 4, "changed since setup wrote it");
}

TEST(settings_of_a_shell_are_no_settings_of_a_service)
{
	settle(w);
	world_env(w, "DEVMESH_LOCAL_STATE_DIR", w->state);
	assert_error(w, DM(w, NULL, "service", "install"), 2, "DEVMESH_LOCAL_STATE_DIR");
	assert_false(exists(UNIT(w)));
	world_env(w, "DEVMESH_LOCAL_STATE_DIR", NULL);
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "7000");
	assert_non_null(
	    strstr(DM(w, NULL, "service", "install", "--dry-run").err, "DEVMESH_CADDY_TIMEOUT"));
}

static int
count_daemons(struct world *w)
{
	return count_files(w->state, "devmeshd.lock");
}

/* Where a service manager is to run it, nobody else does, also if that is not there itself. */
TEST(nothing_else_starts_it)
{
	struct result r;
	int64_t began;

	settle(w);
	assert_exit(w, DM(w, NULL, "service", "install"), 0);
	began = now_ms();
	r = DM(w, NULL, "daemon", "start");
	assert_error(w, r, 5, "service-not-ready");
	assert_non_null(strstr(r.err, "does not run here itself"));
	assert_non_null(strstr(r.err, "devmesh service uninstall"));
	assert_true(now_ms() - began < 7000); /* there is nobody to wait for */
	assert_int_equal(count_daemons(w), 0);
	assert_error(w, DM(w, NULL, "daemon", "restart"), 5, "service-not-ready");
	assert_int_equal(count_daemons(w), 0);
}

TEST(the_machines_is_roots)
{
	settle(w);
	if (geteuid() == 0) {
		w->uid = 65534;
		own_tree(w->home, 65534);
	}
	assert_error(w, DM(w, NULL, "service", "install", "--system"), 6, "root");
}

/* ---- with a systemd of the test's own ----------------------------------------------------- */

/*
 * Puts itself into a control group of its own, in the hierarchies that systemd wants, and becomes
 * inside.sh in namespaces of its own.
 *   outside.sh DIR USER
 */
static const char outside[] =
    "set -eu\n"
    "add() {\n"
    "	mkdir \"$1/devmesh-test.$$\" 2>/dev/null || exit 77\n"
    "	echo \"$1/devmesh-test.$$\" >>cgroups\n"
    "	chown -R \"$2\" \"$1/devmesh-test.$$\"\n"
    "	echo $$ >\"$1/devmesh-test.$$/cgroup.procs\" || exit 77\n"
    "}\n"
    "cd \"$1\"\n"
    "own=$(sed -n 's/^0:://p' /proc/self/cgroup)\n"
    "named=$(sed -n 's/^[0-9]*:name=systemd://p' /proc/self/cgroup)\n"
    "if [ -e /sys/fs/cgroup/cgroup.procs ]; then\n"
    "	add \"/sys/fs/cgroup$own\" \"$2\"\n"
    "elif [ -e /sys/fs/cgroup/unified/cgroup.procs ] && [ -n \"$named\" ]; then\n"
    "	add \"/sys/fs/cgroup/unified$own\" \"$2\"\n"
    "	add \"/sys/fs/cgroup/systemd$named\" \"$2\"\n"
    "else\n"
    "	exit 77\n"
    "fi\n"
    "exec unshare --mount --pid --fork --kill-child --mount-proc sh inside.sh \"$1\" \"$2\"\n";

/*
 * A user's service manager, with no units but those of this user and a few empty targets. Only DIR
 * can be written to, and /tmp is an empty one: whatever goes wrong, it does there. Then script.sh,
 * as root.
 */
static const char inside[] =
    "set -eu\n"
    "dir=$1 user=$2 id=$(id -u \"$2\")\n"
    "mount --make-rprivate /\n"
    "mount -t tmpfs -o mode=755 none /run\n"
    "mkdir /run/world\nmount --bind \"$dir\" /run/world\n"
    "mount -t tmpfs -o mode=1777 none /tmp\n"
    "mkdir -p \"$dir\"\nmount --bind /run/world \"$dir\"\ncd \"$dir\"\n"
    "[ ! -d etc ] || mount --bind etc /etc/systemd/system\n"
    "[ ! -e passwd ] || mount --bind passwd /etc/passwd\n"
    "for m in / /var /home /root /etc; do\n"
    "	! mountpoint -q $m || mount -o remount,bind,ro $m\n"
    "done\n"
    "if touch /x 2>/dev/null; then rm -f /x; exit 1; fi\n"
    "mkdir -p /run/systemd/system /run/user/$id units\n"
    "chmod 700 /run/user/$id\nchown $id /run/user/$id\n"
    "for t in basic default shutdown multi-user; do echo '[Unit]' >units/$t.target; done\n"
    "export XDG_RUNTIME_DIR=/run/user/$id\n"
    "export SYSTEMD_UNIT_PATH=$XDG_CONFIG_HOME/systemd/user:/etc/systemd/system:$dir/units\n"
    /* looking for leaks is not among the system calls that the unit allows */
    "export ASAN_OPTIONS=\"${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0\"\n"
    /* with what a service manager gives to its services */
    "env -u XDG_CONFIG_HOME -u XDG_STATE_HOME -u XDG_DATA_HOME -u XDG_CACHE_HOME \\\n"
    "	setpriv --reuid $id --regid $id --clear-groups \\\n"
    "	/lib/systemd/systemd --user --unit=default.target --log-target=null >manager.log 2>&1 "
    "&\n"
    "n=0\n"
    "until [ -S /run/user/$id/systemd/private ]; do\n"
    "	[ $((n += 1)) -lt 400 ] || { cat manager.log; exit 77; }\n"
    "	sleep 0.05\n"
    "done\n"
    ". ./script.sh\n";

static bool
groups_are_gone(struct world *w, const void *arg)
{
	const char *list = arg;

	run(w, w->dir,
	    ARGV("sh", "-c",
		"while read -r d; do find \"$d\" -depth -type d -exec rmdir {} + || :; done "
		"<\"$1\"",
		"sh", list));
	return run(w, w->dir,
		   ARGV("sh", "-c", "while read -r d; do [ ! -d \"$d\" ] || exit 1; done <\"$1\"",
		       "sh", list))
		   .code == 0;
}

/* The script below such a manager of the user; skips the test where there can be none. */
static struct result
below_systemd(struct world *w, const char *user, const char *script)
{
	char *groups = fmt(w, "%s/cgroups", w->dir);
	struct result r;

	if (geteuid() != 0)
		world_skip(w, "only root can give a systemd of its own to the test");
	if (!exists("/lib/systemd/systemd"))
		world_skip(w, "there is no systemd");
	/* also what another user may run */
	world_env(w, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	write_text(groups, "");
	write_text(fmt(w, "%s/outside.sh", w->dir), outside);
	write_text(fmt(w, "%s/inside.sh", w->dir), inside);
	write_text(fmt(w, "%s/script.sh", w->dir), script);
	r = run(w, w->dir, ARGV("sh", "outside.sh", w->dir, user));
	assert_true(wait_until(w, groups_are_gone, groups, ANSWER_MS));
	if (r.code == SKIP)
		world_skip(w, fmt(w, "no systemd can be run here: %s", r.out));
	if (r.code != 0)
		fail_msg("status %d: %s%s", r.code, r.out, r.err);
	return r;
}

/* Words of the scripts. */
static const char words[] =
    "trap '[ $? = 0 ] || { tail -n 4 install.err; systemctl $scope status devmeshd; }' "
    "EXIT\n"
    "await() { n=0; until \"$@\"; do [ $((n += 1)) -lt 400 ] || { echo \"never: $*\"; exit 1; }; "
    "sleep 0.05; done; }\n"
    "show() { systemctl $scope show --property=$1 --value devmeshd.service; }\n"
    "is() { [ \"$(show $1)\" = \"$2\" ]; }\n"
    "is_ready() { as $devmesh -q daemon status >/dev/null; }\n"
    "is_other() { new=$(show MainPID); [ $new != 0 ] && [ $new != $1 ] && is_ready; }\n"
    "gone() { [ ! -e /proc/$1 ]; }\n"
    /* what devmeshd itself says of the processes that listen */
    "found() { as python3 -c '\n"
    "import json, socket, sys\n"
    "s = socket.socket(socket.AF_UNIX)\n"
    "s.connect(sys.argv[1])\n"
    "s.sendall(b\"{\\\"v\\\":1,\\\"method\\\":\\\"GET\\\",\\\"path\\\":\\\"/api/v1/"
    "state\\\"}\\n\")\n"
    "state = json.loads(s.makefile().readline())[\"body\"]\n"
    "print([(f.get(\"cwd\"), f.get(\"worktree\")) for f in state[\"found\"]])\n"
    "' $1/devmeshd.sock; }\n"
    "has_found() { found $1 | grep -q \"$2\"; }\n";

TEST(systemd_runs_it_for_a_user)
{
	const struct passwd *pw = getpwnam("daemon");
	char *work = repo_new(w, "shop");
	struct result r;

	if (pw == NULL)
		world_skip(w, "there is no user \"daemon\"");
	settle(w);
	world_env(w, "DEVMESH_CONFIG", NULL);
	run_ok(w, w->home, ARGV("mkdir", "-p", ".config/devmesh"));
	run_ok(w, w->home, ARGV("cp", "devmesh.ini", ".config/devmesh/config.ini"));
	own_tree(w->home, pw->pw_uid);
	own_tree(work, pw->pw_uid);
	assert_int_equal(mkdir(w->state, 0700), 0);
	own_tree(w->state, pw->pw_uid);
	r = below_systemd(w, "daemon",
	    fmt(w,
		"scope=--user devmesh=%s state=%s work=%s\n"
		"as() { setpriv --reuid daemon --regid daemon --clear-groups \"$@\"; }\n"
		"systemctl() { as systemctl \"$@\"; }\n%s"
		"as $devmesh daemon start\nhand=$(cat $state/devmeshd.lock)\n"
		"as $devmesh service install 2>install.err\n"
		"grep -q \"started by hand (pid $hand)\" install.err\n"
		"grep -q 'Caddy is unreachable' install.err\n"
		"pid=$(show MainPID)\n[ $pid = $(cat $state/devmeshd.lock) ]\n[ $pid != $hand ]\n"
		"is ActiveState active\nis UnitFileState enabled\nas $devmesh -q service status\n"
		"grep -q '^NoNewPrivs:.1' /proc/$pid/status\n"
		"[ \"$(as $devmesh service install 2>/dev/null)\" = "
		"\"unchanged: systemd runs devmeshd (pid $pid)\" ]\n"
		"as $devmesh daemon start | grep -q 'runs already'\necho installed\n"
		/* it sees what it is for, hardened as it is */
		"(cd $work && exec setpriv --reuid daemon --regid daemon --clear-groups "
		"python3 -m http.server -b 127.0.0.1 %d >/dev/null 2>&1) &\n"
		"await has_found $state $work\necho seen\n"
		/* after a crash it is there again, and when it hangs */
		"kill -9 $pid\nawait is_other $pid\npid=$new\necho restarted\n"
		"mkdir -p $XDG_CONFIG_HOME/systemd/user/devmeshd.service.d\n"
		"printf '[Service]\\nWatchdogSec=1s\\n' >"
		"$XDG_CONFIG_HOME/systemd/user/devmeshd.service.d/test.conf\n"
		"systemctl --user daemon-reload\nas $devmesh daemon restart\n"
		"pid=$(show MainPID)\nkill -STOP $pid\nawait is_other $pid\npid=$new\necho "
		"watched\n"
		/* a reload; a bad file changes nothing */
		"systemctl --user reload devmeshd\nawait is StatusText watching\n"
		"echo 'nonsense' >>$XDG_CONFIG_HOME/devmesh/config.ini\n"
		"systemctl --user reload devmeshd\n"
		"await is StatusText 'the configuration is bad: the old one stays'\n"
		"sed -i '$d' $XDG_CONFIG_HOME/devmesh/config.ini\n"
		"systemctl --user reload devmeshd\nawait is StatusText watching\n"
		"is MainPID $pid\necho reloaded\n"
		/* ended on purpose it stays away, until it is asked for */
		"as $devmesh daemon stop\nawait is ActiveState inactive\n"
		"as $devmesh daemon start | grep -q '^devmeshd runs (pid'\n"
		"[ $(show MainPID) = $(cat $state/devmeshd.lock) ]\necho asked\n"
		"pid=$(show MainPID)\nas $devmesh -q service uninstall\nawait gone $pid\n"
		"[ ! -e $XDG_CONFIG_HOME/systemd/user/devmeshd.service ]\n"
		"[ ! -e $XDG_CONFIG_HOME/systemd/user/default.target.wants/devmeshd.service ]\n"
		"as $devmesh daemon start\nas $devmesh daemon stop\necho removed\n",
		w->devmesh, w->state, work, words, free_port(w)));
	assert_non_null(strstr(r.out, "installed\nseen\nrestarted\n"));
	assert_non_null(strstr(r.out, "\nremoved\n"));
}

/*
 * The machine's unit, with all of its hardening, for the user "dev" who called sudo(8). In the
 * place of the machine's service manager is root's own: it can do the same, and nothing of the
 * machine.
 */
TEST(systemd_runs_it_for_the_machine)
{
	struct result r;

	world_env(w, "DEVMESH_CONFIG", NULL);
	run_ok(w, w->dir,
	    ARGV("mkdir", "-p", "dev/.config/devmesh", "dev/shop", "etc", "state", "tmp/s"));
	assert_int_equal(chmod(fmt(w, "%s/tmp/s", w->dir), 01777), 0);
	snprintf(w->sockets, sizeof w->sockets, "%.40s/tmp/s", w->dir);
	settle(w);
	run_ok(w, w->dir, ARGV("cp", "home/devmesh.ini", "dev/.config/devmesh/config.ini"));
	GIT(w, fmt(w, "%s/dev/shop", w->dir), "init", "-q");
	run_ok(w, w->dir,
	    ARGV("sh", "-c",
		"{ cat /etc/passwd; echo \"dev:x:4242:4242::$PWD/dev:/bin/sh\"; } >passwd"));
	own_tree(fmt(w, "%s/dev", w->dir), 4242);
	own_tree(w->state, 4242);
	r = below_systemd(w, "root",
	    fmt(w,
		"scope= devmesh=%s state=%s work=%s/dev/shop\n"
		"as() { HOME=%s/dev setpriv --reuid 4242 --regid 4242 --clear-groups \"$@\"; }\n%s"
		"unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME XDG_CACHE_HOME\n"
		"chmod 711 $XDG_RUNTIME_DIR\nchmod 666 $XDG_RUNTIME_DIR/systemd/notify\n"
		"ln -s $XDG_RUNTIME_DIR/systemd/private $XDG_RUNTIME_DIR/systemd/inaccessible "
		"/run/systemd/\n"
		"as $devmesh daemon start\nhand=$(cat $state/devmeshd.lock)\n"
		"export SUDO_UID=4242\n"
		"$devmesh service install --system 2>install.err\n"
		"grep -q \"started by hand (pid $hand)\" install.err\n"
		"pid=$(show MainPID)\n[ $pid = $(cat $state/devmeshd.lock) ]\n[ $pid != $hand ]\n"
		"is ActiveState active\nis UnitFileState enabled\nis_ready\n"
		"[ \"$($devmesh service install --system 2>/dev/null)\" = "
		"\"unchanged: systemd runs devmeshd (pid $pid)\" ]\necho installed\n"
		"sed -n 's/^Uid:.\\([0-9]*\\).*/uid \\1/p; s/^CapBnd:.*\\(0000\\)$/caps \\1/p; "
		"s/^NoNewPrivs:.//p' /proc/$pid/status\n"
		/* in its own view, where is it allowed to write? */
		"sees() { nsenter --mount --target $pid setpriv --reuid 4242 --clear-groups "
		"\"$@\"; }\n"
		"sees touch $work/x 2>/dev/null && exit 1\nsees touch $state/x\n"
		"sees touch %s/x\necho confined\n"
		"(cd $work && exec setpriv --reuid 4242 --regid 4242 --clear-groups "
		"python3 -m http.server -b 127.0.0.1 %d >/dev/null 2>&1) &\n"
		"await has_found $state $work\necho seen\n"
		"kill -9 $pid\nawait is_other $pid\npid=$new\necho restarted\n"
		/* that user's devmesh knows of it, and others' do not */
		"as $devmesh daemon status | grep -q 'systemd is to run it: /etc/systemd/system/'\n"
		"HOME=$PWD/home $devmesh service status 2>&1 | grep -q 'no service here'\n"
		"$devmesh -q service uninstall --system\nawait gone $pid\n"
		"[ ! -e /etc/systemd/system/devmeshd.service ]\necho removed\n",
		w->devmesh, w->state, w->dir, w->dir, words, w->sockets, free_port(w)));
	assert_non_null(strstr(r.out, "installed\nuid 4242\n"));
	assert_non_null(strstr(r.out, "caps 0000\n"));
	assert_non_null(strstr(r.out, "confined\nseen\nrestarted\nremoved\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(a_dry_run_shows_the_unit),
	    WORLD_TEST(a_unit_is_written_once_and_removed),
	    WORLD_TEST(what_others_have_written_stays),
	    WORLD_TEST(settings_of_a_shell_are_no_settings_of_a_service),
	    WORLD_TEST(nothing_else_starts_it),
	    WORLD_TEST(the_machines_is_roots),
	    WORLD_TEST(systemd_runs_it_for_a_user),
	    WORLD_TEST(systemd_runs_it_for_the_machine),
	};

	return RUN_TESTS(tests);
}
