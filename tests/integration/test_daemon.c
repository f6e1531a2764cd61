/* SPDX-License-Identifier: MIT */
/*
 * devmeshd as a process: started, ended, found and replaced by devmesh; one at a time, whatever is
 * left over of an earlier one; its configuration read again; its end at once or after a while.
 */
#include "harness_net.h"
#include "harness_run.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET(w) fmt((w), "%s/devmeshd.sock", (w)->state)
#define LOCK(w)	  fmt((w), "%s/devmeshd.lock", (w)->state)
#define LOG(w)	  fmt((w), "%s/devmeshd.log", (w)->state)
#define CONF(w)	  fmt((w), "%s/devmesh.ini", (w)->home)

/* Beside devmesh, where that finds it. */
static const char *
program(struct world *w)
{
	const char *path =
	    fmt(w, "%.*s/devmeshd", (int)(strrchr(w->devmesh, '/') - w->devmesh), w->devmesh);

	if (!exists(path))
		fail_msg("%s is not there: make all", path);
	return path;
}

static pid_t
pid_in_lock(struct world *w)
{
	const char *text = read_text(w, LOCK(w));

	return text == NULL ? 0 : (pid_t)strtol(text, NULL, 10);
}

static bool
is_alive(pid_t pid)
{
	return pid > 0 && kill(pid, 0) == 0;
}

static bool
has_gone(struct world *w, const void *pid)
{
	(void)w;
	return !is_alive(*(const pid_t *)pid);
}

/* How many devmeshd there are on this world's state directory: all have it as working directory. */
static int
count_daemons(struct world *w)
{
	const char *script = "n=0; for p in /proc/[0-9]*; do "
			     "[ \"$(cat $p/comm 2>/dev/null)\" = devmeshd ] && "
			     "[ \"$(readlink $p/cwd 2>/dev/null)\" = \"$1\" ] && n=$((n + 1)); "
			     "done; echo $n";

	reap(w);
	return (int)strtol(run_ok(w, NULL, ARGV("sh", "-c", script, "sh", w->state)).out, NULL, 10);
}

static cJSON *
status(struct world *w)
{
	return json_of(w, DM(w, NULL, "daemon", "status", "--json").out);
}

static pid_t
start_ok(struct world *w)
{
	struct result r = DM(w, NULL, "daemon", "start", "--json");
	cJSON *o;

	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	assert_string_equal(json_str(o, "state"), "ready");
	return (pid_t)json_number(o, "pid");
}

/* ---- coming and going --------------------------------------------------------------------- */

TEST(it_starts_answers_and_ends)
{
	struct result r;
	struct stat st;
	pid_t pid;
	cJSON *o;

	program(w);
	r = DM(w, NULL, "daemon", "status");
	assert_exit(w, r, 5);
	assert_non_null(strstr(r.out, "does not run"));
	assert_false(exists(w->state)); /* a look leaves nothing behind */
	pid = start_ok(w);
	assert_int_equal(pid, pid_in_lock(w));
	assert_int_not_equal(getsid(pid), getsid(0)); /* a closed terminal does not end it */
	assert_int_equal(stat(SOCKET(w), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	o = status(w);
	assert_string_equal(json_str(o, "state"), "ready");
	assert_int_equal((pid_t)json_number(o, "pid"), pid);
	assert_true(json_null(o, "managed_by"));
	assert_string_equal(json_str(o, "log"), LOG(w));
	r = DM(w, NULL, "daemon", "start");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, fmt(w, "devmeshd runs already (pid %ld)\n", (long)pid));
	r = DM(w, NULL, "daemon", "stop");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, fmt(w, "devmeshd has ended (pid %ld)\n", (long)pid));
	reap(w);
	assert_false(is_alive(pid));
	assert_false(exists(SOCKET(w)));
	r = DM(w, NULL, "daemon", "stop");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "devmeshd does not run\n");
}

TEST(a_bare_word_starts_nothing)
{
	static const char *const words[][3] = {{"daemon", NULL}, {"daemon", "sart", NULL},
	    {"service", NULL}, {"service", "instal", NULL}};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		const char *argv[] = {w->devmesh, words[i][0], words[i][1], NULL};
		struct result r = run(w, NULL, argv);

		assert_error(w, r, 2, words[i][0]);
		assert_string_equal(r.out, "");
	}
	assert_error(w, DM(w, NULL, "daemon", "start", "-f"), 2, "--follow");
	assert_false(exists(w->state));
	assert_int_equal(count_daemons(w), 0);
}

TEST(a_restart_is_another_one)
{
	pid_t pid = start_ok(w);

	assert_exit(w, DM(w, NULL, "daemon", "restart"), 0);
	reap(w);
	assert_false(is_alive(pid));
	assert_int_not_equal(pid_in_lock(w), pid);
	assert_string_equal(json_str(status(w), "state"), "ready");
	assert_exit(w, DM(w, NULL, "daemon", "stop"), 0);
	assert_exit(w, DM(w, NULL, "daemon", "restart"), 0); /* also from nothing */
	assert_int_equal(count_daemons(w), 1);
}

TEST(twenty_starts_at_once_are_one)
{
	struct proc *p[20];
	int began;
	pid_t pid;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 20; i++)
			p[i] = DM_BG(w, NULL, "daemon", "start");
		began = 0;
		for (int i = 0; i < 20; i++) {
			struct result r = finish(w, p[i]);

			assert_exit(w, r, 0);
			began += strstr(r.out, "devmeshd runs (pid") != NULL;
		}
		assert_int_equal(began, 1);
		assert_int_equal(count_daemons(w), 1);
		pid = pid_in_lock(w);
		kill(pid, round == 0 ? SIGKILL : SIGTERM);
		assert_true(wait_until(w, has_gone, &pid, ANSWER_MS));
	}
}

TEST(starts_and_stops_at_once)
{
	struct proc *p[16];

	for (int i = 0; i < 16; i++)
		p[i] = DM_BG(w, NULL, "daemon", i % 2 == 0 ? "start" : "stop");
	for (int i = 0; i < 16; i++)
		assert_exit(w, finish(w, p[i]), 0);
	assert_true(count_daemons(w) <= 1);
	start_ok(w);
	assert_int_equal(count_daemons(w), 1);
}

/* ---- what is left over, or in the way ----------------------------------------------------- */

TEST(after_a_kill_it_starts_again)
{
	pid_t pid = start_ok(w), next;

	kill(pid, SIGKILL);
	assert_true(wait_until(w, has_gone, &pid, ANSWER_MS));
	assert_true(exists(SOCKET(w))); /* nobody has removed it */
	assert_exit(w, DM(w, NULL, "daemon", "status"), 5);
	next = start_ok(w);
	assert_int_not_equal(next, pid);
	assert_exit(w, DM(w, NULL, "daemon", "status"), 0);
}

TEST(a_stale_socket_and_an_old_lock_are_no_daemon)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_int_equal(mkdir(w->state, 0700), 0);
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s", SOCKET(w));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	close(fd);
	/* of a process that lives, and is none: it must not be taken for one, let alone be ended */
	write_text(LOCK(w), fmt(w, "%ld\n", (long)getpid()));
	assert_exit(w, DM(w, NULL, "daemon", "status"), 5);
	assert_string_equal(DM(w, NULL, "daemon", "stop").out, "devmeshd does not run\n");
	start_ok(w);
	assert_int_equal(count_daemons(w), 1);
}

TEST(a_second_one_says_who_is_the_first)
{
	pid_t pid = start_ok(w);
	struct result r = run(w, NULL, ARGV(program(w)));

	assert_int_equal(r.code, 4);
	assert_non_null(strstr(r.err, fmt(w, "runs already (pid %ld)", (long)pid)));
	assert_string_equal(json_str(status(w), "state"), "ready");
}

TEST(one_that_hangs_is_named_and_ended)
{
	pid_t pid = start_ok(w);
	struct result r;

	kill(pid, SIGSTOP);
	r = DM(w, NULL, "daemon", "status");
	assert_exit(w, r, 5);
	assert_string_equal(
	    r.out, fmt(w, "devmeshd runs (pid %ld), and does not answer\n", (long)pid));
	r = DM(w, NULL, "daemon", "restart");
	assert_exit(w, r, 0);
	reap(w);
	assert_false(is_alive(pid));
	assert_int_equal(count_daemons(w), 1);
}

/* ---- when it cannot ----------------------------------------------------------------------- */

TEST(it_says_why_it_does_not_start)
{
	struct result r;

	/* what only devmeshd stumbles over: a directory where its control socket has to be */
	assert_int_equal(mkdir(w->state, 0700), 0);
	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/devmeshd.sock/x", w->state)));
	r = DM(w, NULL, "daemon", "start");
	assert_error(w, r, ANY_ERROR, "devmeshd.sock");
	assert_non_null(strstr(r.err, "starting devmeshd: it ended with status "));
	assert_null(strstr(r.err, "error: devmeshd: error:"));
	assert_int_equal(count_daemons(w), 0);
	remove_tree(SOCKET(w));
	start_ok(w);
}

TEST(a_bad_configuration_is_shown)
{
	struct result r;

	write_text(CONF(w), "[daemon]\nprobe_interval = never\n");
	r = DM(w, NULL, "daemon", "start");
	assert_error(w, r, 2, "devmesh.ini:2");
	r = run(w, NULL, ARGV(program(w)));
	assert_int_equal(r.code, 2);
	assert_non_null(strstr(r.err, "devmesh.ini:2"));
	assert_int_equal(run(w, NULL, ARGV(program(w), "-n")).code, 2);
	write_text(CONF(w), "[daemon]\nprobe_interval = 7\n");
	assert_int_equal(run(w, NULL, ARGV(program(w), "-n")).code, 0);
	assert_int_equal(count_daemons(w), 0);
}

struct said {
	const char *path, *text;
};

static bool
is_said(struct world *w, const void *arg)
{
	const struct said *said = arg;
	const char *text = read_text(w, said->path);

	return text != NULL && strstr(text, said->text) != NULL;
}

static void
await_log(struct world *w, const char *text)
{
	const struct said said = {LOG(w), text};

	if (!wait_until(w, is_said, &said, ANSWER_MS))
		fail_msg("\"%s\" is not in the log: %s", text, read_text(w, LOG(w)));
}

TEST(a_bad_file_keeps_the_old_configuration)
{
	pid_t pid = start_ok(w);

	write_text(CONF(w), "[daemon]\nprobe_interval = never\n");
	kill(pid, SIGHUP);
	await_log(w, "devmesh.ini:2");
	await_log(w, "the old one stays");
	write_text(CONF(w), "[daemon]\nprobe_interval = 3\n");
	kill(pid, SIGHUP);
	await_log(w, "the configuration was read again");
	assert_string_equal(json_str(status(w), "state"), "ready");
	assert_int_equal(pid_in_lock(w), pid);
}

TEST(a_relative_config_is_found_again)
{
	pid_t pid;

	world_env(w, "DEVMESH_CONFIG", NULL);
	write_text(fmt(w, "%s/my.ini", w->dir), "[daemon]\nprobe_interval = 4\n");
	assert_exit(w, DM(w, w->dir, "--config", "my.ini", "daemon", "start"), 0);
	pid = pid_in_lock(w);
	assert_string_equal(
	    json_str(cJSON_GetObjectItemCaseSensitive(status(w), "daemon"), "config_file"),
	    fmt(w, "%s/my.ini", w->dir));
	kill(pid, SIGHUP);
	await_log(w, "the configuration was read again");
}

/* ---- its surroundings --------------------------------------------------------------------- */

/* A variable of the running one; "" if it is set to nothing, NULL if it is not set. */
static const char *
env_of_daemon(struct world *w, const char *name)
{
	const char *script = "tr '\\0' '\\n' <\"/proc/$1/environ\" | sed -n \"s/^$2=/=/p\"";
	const char *out = run_ok(
	    w, NULL, ARGV("sh", "-c", script, "sh", fmt(w, "%ld", (long)pid_in_lock(w)), name))
			      .out;

	return out[0] == '=' ? fmt(w, "%.*s", (int)strcspn(out + 1, "\n"), out + 1) : NULL;
}

/* Started by a hook in one worktree, below a service of the system: it is of neither. */
TEST(it_is_nobodys_child)
{
	char *repo = repo_new(w, "shop");

	world_env(w, "DEVMESH_ID", "shop-main");
	world_env(w, "DEVMESH_WORKTREE", repo);
	world_env(w, "DEVMESH_RUN", "1.2");
	world_env(w, "NOTIFY_SOCKET", fmt(w, "%s/notify", w->dir));
	world_env(w, "WATCHDOG_USEC", "1000000");
	assert_exit(w, DM(w, repo, "daemon", "start"), 0);
	assert_null(env_of_daemon(w, "DEVMESH_ID"));
	assert_null(env_of_daemon(w, "DEVMESH_WORKTREE"));
	assert_null(env_of_daemon(w, "NOTIFY_SOCKET"));
	assert_null(env_of_daemon(w, "WATCHDOG_USEC"));
	assert_string_equal(env_of_daemon(w, "DEVMESH_RUN"), "");
	assert_string_equal(env_of_daemon(w, "DEVMESH_LOCAL_STATE_DIR"), w->state);
	assert_int_equal(run(w, NULL,
			     ARGV("sh", "-c", "case $(readlink /proc/$1/cwd) in $2*) exit 1; esac",
				 "sh", fmt(w, "%ld", (long)pid_in_lock(w)), repo))
			     .code,
	    0);
}

TEST(it_holds_nothing_of_its_caller)
{
	const char *lock = fmt(w, "%s/callers.lock", w->dir);

	run_ok(w, NULL,
	    ARGV(
		"sh", "-c", "exec 9>\"$1\"; flock 9; \"$2\" daemon start", "sh", lock, w->devmesh));
	run_ok(w, NULL, ARGV("flock", "-n", lock, "true"));
}

TEST(logs_are_shown_followed_and_rotated)
{
	char *big = malloc(6 << 20);
	struct proc *follow;
	struct result r;
	pid_t pid;

	assert_error(w, DM(w, NULL, "daemon", "logs"), 3, "devmeshd.log");
	assert_int_equal(mkdir(w->state, 0700), 0);
	memset(big, 'x', 6 << 20);
	write_file(LOG(w), big, 6 << 20);
	free(big);
	pid = start_ok(w);
	assert_true(exists(fmt(w, "%s.1", LOG(w))));
	r = DM(w, NULL, "daemon", "logs");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "ready: "));
	assert_true(strlen(r.out) < 100000);
	r = DM(w, NULL, "daemon", "logs", "--json");
	assert_exit(w, r, 0);
	assert_true(
	    cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json_of(w, r.out), "lines")) > 0);
	follow = DM_BG(w, NULL, "daemon", "logs", "-f");
	wait_printed(w, follow, "ready: ");
	kill(pid, SIGHUP);
	wait_printed(w, follow, "the configuration was read again");
	end_proc(w, follow);
}

/* ---- with the private mesh ---------------------------------------------------------------- */

static void
mesh_ports(struct world *w)
{
	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", free_port(w)));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", free_port(w)));
}

TEST(it_comes_and_goes_with_the_mesh)
{
	struct result r;
	const cJSON *daemon;
	pid_t pid;
	cJSON *o;

	mesh_ports(w);
	world_env(w, "DEVMESH_DAEMON_START", NULL);
	r = DM(w, NULL, "start", "--json");
	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	daemon = cJSON_GetObjectItemCaseSensitive(o, "daemon");
	assert_string_equal(json_str(daemon, "state"), "ready");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(daemon, "started")));
	pid = (pid_t)json_number(daemon, "pid");
	assert_int_equal(pid, pid_in_lock(w));
	r = DM(w, NULL, "start", "--json");
	daemon = cJSON_GetObjectItemCaseSensitive(json_of(w, r.out), "daemon");
	assert_true(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(daemon, "started")));
	r = DM(w, NULL, "stop");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, fmt(w, "devmeshd has ended (pid %ld)", (long)pid)));
	reap(w);
	assert_false(is_alive(pid));
}

static bool
mesh_has_another_pid(struct world *w, const void *old)
{
	pid_t pid = (pid_t)json_number(json_of(w, DM(w, NULL, "start", "--json").out), "pid");

	return pid != *(const pid_t *)old;
}

static bool
says_restarted(struct world *w, const void *unused)
{
	const char *log = read_text(w, LOG(w));

	(void)unused;
	return log != NULL && strstr(log, "restarted caddy") != NULL;
}

/* A crashed one; one that was stopped stays so. */
TEST(a_crashed_mesh_comes_back)
{
	pid_t old, none = 0;

	(void)private_mesh(w);
	(void)start_ok(w);
	old = (pid_t)json_number(json_of(w, DM(w, NULL, "start", "--json").out), "pid");
	assert_int_equal(kill(old, SIGKILL), 0);
	assert_true(wait_until(w, says_restarted, NULL, 60000));
	assert_true(mesh_has_another_pid(w, &old));
	assert_exit(w, DM(w, NULL, "daemon", "restart"), 0);
	assert_exit(w, DM(w, NULL, "stop"), 0);
	assert_false(exists(fmt(w, "%s/admin.sock", w->state)));
	assert_int_equal(count_daemons(w), none);
}

TEST(the_mesh_does_without_it)
{
	struct result r;

	mesh_ports(w);
	r = DM(w, NULL, "start", "--json"); /* [daemon] start = no, as everywhere in the tests */
	assert_exit(w, r, 0);
	assert_true(json_null(json_of(w, r.out), "daemon"));
	assert_int_equal(count_daemons(w), 0);
	/* one that does not come up is no failure of the mesh, but it is said */
	world_env(w, "DEVMESH_DAEMON_START", "yes");
	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/devmeshd.sock/x", w->state)));
	r = DM(w, NULL, "start");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.err, "starting devmeshd: it ended with status "));
	assert_non_null(strstr(r.out, "the private mesh runs already"));
	remove_tree(SOCKET(w));
	assert_exit(w, DM(w, NULL, "stop"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(it_starts_answers_and_ends),
	    WORLD_TEST(a_bare_word_starts_nothing),
	    WORLD_TEST(a_restart_is_another_one),
	    WORLD_TEST(twenty_starts_at_once_are_one),
	    WORLD_TEST(starts_and_stops_at_once),
	    WORLD_TEST(after_a_kill_it_starts_again),
	    WORLD_TEST(a_stale_socket_and_an_old_lock_are_no_daemon),
	    WORLD_TEST(a_second_one_says_who_is_the_first),
	    WORLD_TEST(one_that_hangs_is_named_and_ended),
	    WORLD_TEST(it_says_why_it_does_not_start),
	    WORLD_TEST(a_bad_configuration_is_shown),
	    WORLD_TEST(a_bad_file_keeps_the_old_configuration),
	    WORLD_TEST(a_relative_config_is_found_again),
	    WORLD_TEST(it_is_nobodys_child),
	    WORLD_TEST(it_holds_nothing_of_its_caller),
	    WORLD_TEST(logs_are_shown_followed_and_rotated),
	    WORLD_TEST(it_comes_and_goes_with_the_mesh),
	    WORLD_TEST(a_crashed_mesh_comes_back),
	    WORLD_TEST(the_mesh_does_without_it),
	};

	return RUN_TESTS(tests);
}
