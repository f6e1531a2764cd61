/* SPDX-License-Identifier: MIT */
/* `devmesh run -d`: services that devmeshd runs, in terminals, by the API, and over restarts. */
#include "harness_api.h"
#include "harness_run.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* Caddy, the daemon, and a worktree whose server devmeshd runs: its URL. */
static const char *
world_with_run(struct world *w, char **repo)
{
	caddy_mesh(w, "");
	(void)api_daemon(w);
	*repo = repo_new(w, "shop");
	return run_ok(w, *repo, ARGV(w->devmesh, "run", "-d", "--", "python3", run_server(w))).out;
}

static const cJSON *
supervised(struct world *w, const char *id)
{
	return cJSON_GetObjectItem(api_service(w, id), "supervised");
}

struct wanted {
	const char *id, *state;
};

static bool
is_so(struct world *w, const void *arg)
{
	const struct wanted *want = arg;
	const cJSON *s = supervised(w, want->id);

	return cJSON_IsObject(s) && strcmp(json_str(s, "state"), want->state) == 0;
}

static void
wait_supervised(struct world *w, const char *id, const char *state)
{
	if (!wait_until(w, is_so, &(struct wanted){id, state}, ANSWER_MS))
		fail_msg(
		    "%s is not %s, but %s", id, state, cJSON_PrintUnformatted(api_service(w, id)));
}

static long
server_pid(struct world *w)
{
	return strtol(
	    fetch(w, fmt(w, "http://shop-main.dev.test:%d/pid", w->port), NULL).body, NULL, 10);
}

static bool
has_another_pid(struct world *w, const void *arg)
{
	long pid = server_pid(w);

	return pid > 0 && pid != *(const long *)arg;
}

static bool
is_logged(struct world *w, const void *line)
{
	return strstr(run_ok(w, w->dir, ARGV(w->devmesh, "logs", "shop-main")).out,
		   fmt(w, "\n%s\n", (const char *)line)) != NULL;
}

static void
wait_logged(struct world *w, const char *line)
{
	if (!wait_until(w, is_logged, line, ANSWER_MS))
		fail_msg("not in the log: %s", line);
}

TEST(it_runs_in_the_background)
{
	char *repo;
	const char *url = world_with_run(w, &repo);
	struct stat st;

	assert_string_equal(url, fmt(w, "http://shop-main.dev.test:%d\n", w->port));
	assert_answers(w, "shop-main.dev.test", "shop-main");
	wait_supervised(w, "shop-main", "running");
	assert_non_null(strstr(json_str(supervised(w, "shop-main"), "command"), "python3 "));
	assert_string_equal(json_str(api_service(w, "shop-main"), "app"), "shop");
	wait_logged(w, "listening");
	/* what it was given is nobody else's business */
	assert_int_equal(stat(fmt(w, "%s/commands/shop-main.json", w->state), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_exit(w, DM(w, repo, "down"), 0);
	wait_servers(w, 0);
	assert_nothing_left(w, "shop-main");
	assert_false(exists(fmt(w, "%s/commands/shop-main.json", w->state)));
	assert_null(api_service(w, "shop-main"));
}

TEST(stop_start_and_restart)
{
	char *repo;
	long pid;

	(void)world_with_run(w, &repo);
	pid = server_pid(w);
	assert_exit(w, DM(w, repo, "stop", "shop-main"), 0);
	assert_int_equal(count_servers(w), 0);
	/* its name stays its own */
	api_wait_state(w, "shop-main", "down");
	assert_string_equal(json_str(supervised(w, "shop-main"), "state"), "stopped");
	assert_non_null(claim_of(w, "shop-main"));
	assert_non_null(strstr(run_ok(w, repo, ARGV(w->devmesh, "status")).out, "down"));
	assert_exit(w, DM(w, repo, "stop", "shop-main"), 0);
	assert_string_equal(run_ok(w, w->dir, ARGV(w->devmesh, "start", "shop-main")).out,
	    fmt(w, "http://shop-main.dev.test:%d\n", w->port));
	assert_int_not_equal(server_pid(w), pid);
	pid = server_pid(w);
	assert_exit(w, DM(w, repo, "restart"), 0);
	assert_true(wait_until(w, has_another_pid, &pid, ANSWER_MS));
	assert_int_equal(count_servers(w), 1);
	/* and by the API, as the page does */
	assert_int_equal(api_post(w, "/api/v1/services/shop-main/stop", "{}").status, 200);
	assert_int_equal(count_servers(w), 0);
	assert_int_equal(api_post(w, "/api/v1/services/shop-main/start", "{}").status, 200);
	api_wait_state(w, "shop-main", "up");
	assert_int_equal(api(w, "POST", "/api/v1/services/shop-main/stop", NULL, "{}").status, 403);
	assert_int_equal(api_post(w, "/api/v1/services/nobody/start", "{}").status, 404);
	assert_int_equal(api_post(w, "/api/v1/services/nobody/stop", "{}").status, 404);
}

TEST(what_fails_is_started_again)
{
	char *repo;
	long pid;

	(void)world_with_run(w, &repo);
	pid = server_pid(w);
	kill((pid_t)pid, SIGKILL);
	assert_true(wait_until(w, has_another_pid, &pid, ANSWER_MS));
	assert_true(json_number(supervised(w, "shop-main"), "restarts") >= 1);
	wait_logged(w, "-- ended by signal 9");
}

TEST(what_never_lasts_is_given_up)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	r = DM(w, repo, "run", "-d", "--", "sh", "-c", "echo gone wrong >&2; exit 9");
	assert_exit(w, r, 1);
	assert_non_null(strstr(r.err, "it has ended with status 9"));
	assert_non_null(strstr(r.err, "devmesh logs shop-main"));
	wait_logged(w, "gone wrong");
	/* with another command, once it is known what was wrong */
	assert_exit(w, DM(w, repo, "run", "-d", "--", "python3", run_server(w)), 0);
	/* what cannot work is not tried again */
	r = DM(w, repo, "run", "-d", "--", "no-such-program");
	assert_exit(w, r, 1);
	assert_non_null(strstr(r.err, "no-such-program"));
	wait_supervised(w, "shop-main", "failed");
	assert_exit(w, DM(w, repo, "run", "-d", "--", "true"), 1);
	wait_supervised(w, "shop-main", "stopped");
}

/* The daemon may be stopped, killed, upgraded: what it runs goes on, and is known again. */
TEST(it_outlives_the_daemon)
{
	char *repo;
	struct proc *p;
	long pid;

	caddy_mesh(w, "");
	p = api_daemon(w);
	repo = repo_new(w, "shop");
	assert_exit(w, DM(w, repo, "run", "-d", "--", "python3", run_server(w)), 0);
	pid = server_pid(w);
	signal_proc(p, SIGKILL);
	end_proc(w, p);
	assert_int_equal(server_pid(w), pid);
	(void)api_daemon(w);
	wait_supervised(w, "shop-main", "running");
	assert_int_equal(server_pid(w), pid);
	kill((pid_t)pid, SIGKILL);
	assert_true(wait_until(w, has_another_pid, &pid, ANSWER_MS));
	assert_exit(w, DM(w, repo, "stop", "shop-main"), 0);
	assert_int_equal(count_servers(w), 0);
}

/* After a restart of the machine: no process, no claim; only the record. */
static struct proc *
after_a_reboot(struct world *w, char **repo, const char *config)
{
	struct proc *p;

	caddy_mesh(w, "");
	p = api_daemon(w);
	*repo = repo_new(w, "shop");
	assert_exit(w, DM(w, *repo, "run", "-d", "--", "python3", run_server(w)), 0);
	signal_proc(p, SIGTERM);
	end_proc(w, p);
	kill((pid_t)json_number(cJSON_GetObjectItem(claim_of(w, "shop-main"), "run"), "pid"),
	    SIGKILL);
	run_ok(w, w->dir, ARGV("sh", "-c", fmt(w, "rm -f %s/shop*", w->sockets)));
	write_text(fmt(w, "%s/c.ini", w->dir), config);
	return api_daemon_with(w, "c.ini");
}

TEST(it_is_restored_if_that_is_wanted)
{
	char *repo;

	(void)after_a_reboot(w, &repo, "[run]\nrestore = yes\n");
	api_wait_state(w, "shop-main", "up");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_string_equal(json_str(api_service(w, "shop-main"), "app"), "shop");
}

TEST(and_not_otherwise)
{
	char *repo;

	(void)after_a_reboot(w, &repo, "");
	(void)ctl_ok(w, "GET", "/control/status", NULL);
	assert_null(api_service(w, "shop-main"));
	/* but its command is still known */
	assert_exit(w, DM(w, w->dir, "start", "shop-main"), 0);
	api_wait_state(w, "shop-main", "up");
}

/* Nothing is left of what cannot be started. */
TEST(what_cannot_be_started_leaves_nothing)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	r = run(w, repo, ARGV("sh", "-c", "\"$0\" run -d -- true $(seq 1 1100)", w->devmesh));
	assert_exit(w, r, 2);
	assert_non_null(strstr(r.err, "put it into a script"));
	assert_nothing_left(w, "shop-main");
	/* after a restart of the machine only the record is left: it can be forgotten, too */
	assert_exit(w, DM(w, repo, "run", "-d", "--", "python3", run_server(w)), 0);
	assert_exit(w, DM(w, repo, "stop", "shop-main"), 0);
	run_ok(w, w->dir, ARGV("sh", "-c", fmt(w, "rm -f %s/shop*", w->sockets)));
	assert_exit(w, DM(w, repo, "down", "shop-main"), 0);
	assert_false(exists(fmt(w, "%s/commands/shop-main.json", w->state)));
	assert_exit(w, DM(w, repo, "down", "shop-main"), 3);
}

/* A server that goes on answering for a while after SIGTERM, with its pid. */
static char *
slow_server(struct world *w)
{
	char *path = fmt(w, "%s/slow.py", w->dir);

	write_text(path,
	    "import http.server, os, signal, sys, threading, time\n"
	    "def end(*_):\n"
	    "    threading.Timer(1.5, lambda: os._exit(0)).start()\n"
	    "signal.signal(signal.SIGTERM, end)\n"
	    "class H(http.server.BaseHTTPRequestHandler):\n"
	    "    def do_GET(self):\n"
	    "        b = str(os.getpid()).encode()\n"
	    "        self.send_response(200)\n"
	    "        self.send_header('Content-Length', str(len(b)))\n"
	    "        self.end_headers()\n"
	    "        self.wfile.write(b)\n"
	    "http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), H)"
	    ".serve_forever()\n");
	return path;
}

/* Until it answers itself: the one before may take its time to end, and answer meanwhile. */
TEST(restart_waits_for_the_new_one)
{
	char *repo = repo_new(w, "shop"), *slow;
	long pid;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	slow = slow_server(w);
	assert_exit(w, DM(w, repo, "run", "-d", "--", "python3", slow), 0);
	pid = server_pid(w);
	assert_true(pid > 0);
	assert_exit(w, DM(w, repo, "restart"), 0);
	assert_int_not_equal(server_pid(w), pid);
	/* the same again by another command */
	pid = server_pid(w);
	assert_exit(w, DM(w, repo, "run", "-d", "--", "python3", slow), 0);
	assert_int_not_equal(server_pid(w), pid);
	assert_exit(w, DM(w, repo, "stop", "shop-main"), 0);
	api_wait_state(w, "shop-main", "down");
}

static bool
no_slow_server(struct world *w, const void *slow)
{
	return count_processes(w, fmt(w, "python3 %s", (const char *)slow)) == 0;
}

/* What was told to end stays so, whoever dies meanwhile. */
TEST(a_stop_survives_the_daemon)
{
	char *repo = repo_new(w, "shop"), *slow = slow_server(w);
	struct proc *d, *p;

	caddy_mesh(w, "");
	d = api_daemon(w);
	assert_exit(w, DM(w, repo, "run", "-d", "--", "python3", slow), 0);
	p = start(w, repo, ARGV(w->devmesh, "stop", "shop-main"));
	wait_supervised(w, "shop-main", "stopping");
	signal_proc(d, SIGKILL);
	end_proc(w, d);
	(void)finish(w, p);
	(void)api_daemon(w);
	assert_true(wait_until(w, no_slow_server, slow, ANSWER_MS));
	wait_supervised(w, "shop-main", "stopped");
	api_wait_state(w, "shop-main", "down");
	assert_true(no_slow_server(w, slow));
}

/* Without Caddy there is no URL: it is waited for, however long, and not run without. */
TEST(it_waits_for_caddy)
{
	char *repo;
	struct result r;

	(void)world_with_run(w, &repo);
	signal_proc(w->caddy, SIGKILL);
	r = DM(w, repo, "restart");
	assert_exit(w, r, 1);
	if (strstr(r.err, "Caddy") == NULL)
		fail_msg("%s", r.err);
	wait_supervised(w, "shop-main", "waiting");
	assert_int_equal(count_servers(w), 0);
	caddy_restart(w);
	api_wait_state(w, "shop-main", "up");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

TEST(a_run_in_a_terminal_keeps_the_name)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	struct result r;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	url = RUN_URL(w, repo, &p, NULL);
	r = DM(w, repo, "run", "-d", "--", "python3", run_server(w));
	assert_exit(w, r, 4);
	assert_non_null(strstr(r.err, "--force"));
	assert_int_equal(fetch(w, url, NULL).status, 200);
	assert_int_equal(count_servers(w), 1);
	/* it can be ended from elsewhere, and not be started there */
	assert_exit(w, DM(w, w->dir, "restart", "shop-main"), 3);
	assert_exit(w, DM(w, w->dir, "stop", "shop-main"), 0);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

/* ---- on request --------------------------------------------------------------------------- */

static const char *const opening[] = {"Accept: text/html,*/*", "Sec-Fetch-Mode: navigate", NULL};

/* The private mesh with its daemon, and a service that it runs. */
static char *
mesh_with_run(struct world *w, const char *option, const char *value)
{
	char *repo = repo_new(w, "shop");
	int port;

	world_env(w, "DEVMESH_DAEMON_START", "yes");
	port = private_mesh(w);
	assert_exit(w, DM(w, repo, "run", "-d", option, value, "--", "python3", run_server(w)), 0);
	return fmt(w, "https://shop-main.dev.localhost:%d/", port);
}

static bool
answers_itself(struct world *w, const void *url)
{
	return strcmp(fetch(w, url, opening).body, "shop-main") == 0;
}

static bool
no_server_runs(struct world *w, const void *arg)
{
	(void)arg;
	return count_servers(w) == 0;
}

static bool
is_down(struct world *w, const void *arg)
{
	(void)arg;
	return strstr(run_ok(w, w->dir, ARGV(w->devmesh, "status")).out, "down  ") != NULL;
}

TEST(who_opens_its_page_starts_it)
{
	char *url = mesh_with_run(w, "--on-request", "--idle-stop=0");
	struct reply r;

	assert_exit(w, DM(w, w->dir, "stop", "shop-main"), 0);
	assert_int_equal(count_servers(w), 0);
	/* what a page or a program asks for by itself does not */
	assert_int_equal(fetch(w, url, NULL).status, 503);
	assert_int_equal(
	    fetch(w, url, ARGV("Accept: text/html", "Sec-Fetch-Mode: cors")).status, 503);
	assert_int_equal(count_servers(w), 0);
	r = fetch(w, url, opening);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.headers, "x-devmesh-state: starting"));
	assert_non_null(strstr(r.body, "shop-main is starting"));
	assert_true(wait_until(w, answers_itself, url, ANSWER_MS));
	/* by the name of the app alone, too */
	assert_exit(w, DM(w, w->dir, "stop", "shop-main"), 0);
	assert_int_equal(
	    fetch(w, fmt(w, "https://shop.dev.localhost%s", strrchr(url, ':')), opening).status,
	    503);
	assert_true(wait_until(w, answers_itself, url, ANSWER_MS));
	assert_exit(w, DM(w, w->dir, "down", "shop-main"), 0);
	r = fetch(w, url, opening);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "No worktree has claimed this name"));
	assert_exit(w, DM(w, w->dir, "stop"), 0);
}

TEST(it_is_not_started_unless_that_is_wanted)
{
	char *url = mesh_with_run(w, "--wait=30", "--idle-stop=0");
	struct reply r;

	assert_exit(w, DM(w, w->dir, "stop", "shop-main"), 0);
	r = fetch(w, url, opening);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.headers, "x-devmesh-state: not-running"));
	assert_non_null(strstr(r.body, "Its worktree is registered"));
	/* without the daemon as well */
	assert_exit(w, DM(w, w->dir, "daemon", "stop"), 0);
	assert_int_equal(fetch(w, url, opening).status, 503);
	assert_int_equal(count_servers(w), 0);
	assert_exit(w, DM(w, w->dir, "stop"), 0);
}

TEST(what_nobody_uses_is_ended)
{
	char *url = mesh_with_run(w, "--idle-stop", "2");

	assert_true(wait_until(w, no_server_runs, NULL, ANSWER_MS));
	assert_true(wait_until(w, is_down, NULL, ANSWER_MS));
	/* and not started by who asks: that was not wanted */
	assert_int_equal(fetch(w, url, opening).status, 503);
	assert_exit(w, DM(w, w->dir, "stop"), 0);
}

/* Holds a connection to the socket open from its first moment, and says so. */
static struct proc *
hold_open(struct world *w, const char *socket)
{
	return start(w, w->dir,
	    ARGV("python3", "-uc",
		"import socket, sys, time\n"
		"while True:\n"
		"  s = socket.socket(socket.AF_UNIX)\n"
		"  try: s.connect(sys.argv[1]); break\n"
		"  except OSError: time.sleep(0.01)\n"
		"print('held'); time.sleep(600)",
		socket));
}

/* Who has a connection open, a page with a WebSocket say, uses it; also without a request. */
TEST(what_is_held_open_stays)
{
	struct proc *holder = hold_open(w, socket_of(w, "shop-main"));
	char *url = mesh_with_run(w, "--idle-stop", "2"), *blog = repo_new(w, "blog");

	wait_printed(w, holder, "held");
	assert_exit(
	    w, DM(w, blog, "run", "-d", "--idle-stop", "4", "--", "python3", run_server(w)), 0);
	assert_exit(w, DM(w, blog, "stop", "blog-main"), 0);
	/* it is given longer, and later */
	assert_exit(w, DM(w, blog, "start", "blog-main"), 0);
	wait_servers(w, 1);
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	assert_exit(w, DM(w, w->dir, "stop"), 0);
}

TEST(options_that_make_no_sense)
{
	char *repo = repo_new(w, "shop");

	caddy_mesh(w, "");
	assert_exit(w, DM(w, repo, "run", "--on-request", "--", "true"), 2);
	assert_exit(w, DM(w, repo, "run", "--idle-stop", "5", "--", "true"), 2);
	assert_exit(w, DM(w, repo, "run", "-d", "--idle-stop", "x", "--", "true"), 2);
	assert_nothing_left(w, "shop-main");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(it_runs_in_the_background),
	    WORLD_TEST(stop_start_and_restart),
	    WORLD_TEST(what_fails_is_started_again),
	    WORLD_TEST(what_never_lasts_is_given_up),
	    WORLD_TEST(it_outlives_the_daemon),
	    WORLD_TEST(it_is_restored_if_that_is_wanted),
	    WORLD_TEST(and_not_otherwise),
	    WORLD_TEST(what_cannot_be_started_leaves_nothing),
	    WORLD_TEST(restart_waits_for_the_new_one),
	    WORLD_TEST(a_stop_survives_the_daemon),
	    WORLD_TEST(it_waits_for_caddy),
	    WORLD_TEST(a_run_in_a_terminal_keeps_the_name),
	    WORLD_TEST(who_opens_its_page_starts_it),
	    WORLD_TEST(it_is_not_started_unless_that_is_wanted),
	    WORLD_TEST(what_nobody_uses_is_ended),
	    WORLD_TEST(what_is_held_open_stays),
	    WORLD_TEST(options_that_make_no_sense),
	};

	return RUN_TESTS(tests);
}
