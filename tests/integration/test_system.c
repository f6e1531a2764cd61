/* SPDX-License-Identifier: MIT */
/*
 * What services use, how they have been, and what they stand on: as devmeshd and the command line
 * tell it, held against what the kernel, Caddy and OpenSSL say.
 */
#include "harness_api.h"
#include "harness_daemon.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define NO_SWEEP "3600"

static const cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* ---- what is used -------------------------------------------------------------------------- */

struct wanted_load {
	const struct devmeshd *d;
	const char *id;
	double least, most; /* of "cpu" */
};

static const cJSON *
load_of(struct world *w, const struct devmeshd *d, const char *id)
{
	return get(get(daemon_ask(w, d, "GET", "/api/v1/load", NULL), "services"), id);
}

static bool
uses_so_much(struct world *w, const void *arg)
{
	const struct wanted_load *want = arg;
	const cJSON *cpu = get(load_of(w, want->d, want->id), "cpu");

	return cJSON_IsNumber(cpu) && cpu->valuedouble >= want->least &&
	       cpu->valuedouble <= want->most;
}

static void
wait_load(struct world *w, const struct devmeshd *d, const char *id, double least, double most)
{
	const struct wanted_load want = {.d = d, .id = id, .least = least, .most = most};

	if (!wait_until(w, uses_so_much, &want, ANSWER_MS))
		fail_msg("%s: %s", id, cJSON_PrintUnformatted(load_of(w, d, id)));
}

/* The pid of the child that spins, once it has written it down. */
static pid_t
spinner(struct world *w, const char *file)
{
	long pid;

	wait_exists(w, file);
	pid = strtol(read_text(w, file), NULL, 10);
	assert_true(pid > 1);
	return (pid_t)pid;
}

TEST(a_busy_child_is_seen_under_its_service_alone)
{
	char *busy = repo_new(w, "busy"), *quiet = repo_new(w, "quiet"), *file;
	struct devmeshd *d;
	struct proc *p, *other;
	const cJSON *load;
	pid_t child;

	caddy_mesh(w, "");
	d = daemon_start(w);
	file = fmt(w, "%s/spinner", w->dir);
	p = start(w, busy,
	    ARGV(w->devmesh, "run", "--wait=60", "--", "sh", "-c",
		"(sh -c 'echo $$ >\"$0.new\"; mv \"$0.new\" \"$0\"; while :; do :; done' \"$0\") & "
		"exec python3 \"$1\"",
		file, run_server(w)));
	(void)run_url(w, p);
	(void)RUN_URL(w, quiet, &other, "delay=0");
	child = spinner(w, file);
	/* the machine may be busy with other things */
	wait_load(w, d, "busy-main", 0.15, 64);
	wait_load(w, d, "quiet-main", 0, 0.1);
	load = load_of(w, d, "busy-main");
	assert_true(json_number(load, "processes") >= 3); /* devmesh run, the server, the child */
	assert_true(json_number(load, "rss") > 1e6);
	assert_in_range((int)json_number(load_of(w, d, "quiet-main"), "processes"), 2, 3);
	/* the daemon's own, which spins for nobody */
	assert_true(json_number(load_of(w, d, "devmesh"), "rss") > 1e6);
	assert_int_equal(kill(child, SIGKILL), 0);
	wait_load(w, d, "busy-main", 0, 0.1);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 143);
	signal_proc(other, SIGTERM);
	assert_ends(w, other, 143);
}

TEST(a_server_without_a_run_is_measured_and_nobody_is_null)
{
	char *repo = repo_new(w, "shop"), *id;
	struct devmeshd *d;
	struct proc *server;
	const cJSON *load, *node;

	caddy_mesh(w, "");
	d = daemon_start(w);
	id = up_ok(w, repo);
	(void)wait_move(w, d, id, "", "starting", NULL);
	load = load_of(w, d, id);
	assert_true(
	    json_null(load, "cpu") && json_null(load, "rss") && json_null(load, "processes"));
	server = serve_in(w, repo, socket_of(w, id), id);
	(void)wait_move(w, d, id, "starting", "up", NULL);
	wait_load(w, d, id, 0, 0.5);
	load = load_of(w, d, id);
	assert_int_equal(json_number(load, "processes"), 1);
	/* a copy of this test, as large as it is here */
	assert_true(json_number(load, "rss") > 1e5);
	end_proc(w, server);
	(void)wait_move(w, d, id, "up", "stale", NULL);
	node = get(daemon_ask(w, d, "GET", "/api/v1/load", NULL), "node");
	assert_int_equal(json_number(node, "cores"), sysconf(_SC_NPROCESSORS_ONLN));
	assert_true(json_number(node, "memory_total") > json_number(node, "memory_available"));
	assert_true(json_number(node, "disk_total") >= json_number(node, "disk_available"));
	assert_true(json_number(node, "uptime_s") > 0);
}

/* ---- how it has been ----------------------------------------------------------------------- */

static cJSON *
history(struct world *w, const struct devmeshd *d, const char *id)
{
	return daemon_ask(w, d, "GET", fmt(w, "/api/v1/services/%s/history?hours=1", id), NULL);
}

/* "starting up stale up": the states in order. */
static char *
states(struct world *w, const cJSON *o)
{
	const cJSON *s;
	char *text = fmt(w, "%s", "");
	double last = json_number(o, "from");

	cJSON_ArrayForEach (s, get(o, "segments")) {
		text = fmt(w, "%s%s%s", text, text[0] == '\0' ? "" : " ", json_str(s, "state"));
		assert_true(json_number(s, "from") >= last);
		last = json_number(s, "to");
		assert_true(last > json_number(s, "from"));
	}
	assert_true(last <= json_number(o, "to"));
	return text;
}

static double
last_bar(const cJSON *o)
{
	const cJSON *bars = get(o, "bars");

	assert_int_equal(cJSON_GetArraySize(bars), 60);
	assert_true(cJSON_IsNumber(cJSON_GetArrayItem(bars, 59)));
	return cJSON_GetArrayItem(bars, 59)->valuedouble;
}

TEST(a_kill_and_a_restart_are_in_the_history)
{
	char *repo = repo_new(w, "shop"), *id, *text;
	struct devmeshd *d;
	struct proc *server;
	cJSON *o;

	caddy_mesh(w, "");
	daemon_conf(w, "PROBE_INTERVAL", NO_SWEEP);
	d = daemon_start(w);
	id = up_ok(w, repo);
	server = serve_in(w, repo, socket_of(w, id), id);
	(void)wait_move(w, d, id, "starting", "up", NULL);
	end_proc(w, server);
	(void)wait_move(w, d, id, "up", "stale", NULL);
	assert_int_equal(unlink(socket_of(w, id)), 0);
	server = serve_in(w, repo, socket_of(w, id), id);
	(void)wait_move(w, d, id, NULL, "up", NULL);
	text = states(w, history(w, d, id));
	if (strstr(text, "up stale") == NULL)
		fail_msg("%s: %s", text, cJSON_PrintUnformatted(history(w, d, id)));
	assert_string_equal(strrchr(text, ' '), " up");
	/* the daemon is another one by now: what was written down is what it knows */
	daemon_end(w, d);
	d = daemon_start(w);
	o = history(w, d, id);
	text = states(w, o);
	if (strstr(text, "up stale") == NULL)
		fail_msg("%s: %s", text, cJSON_PrintUnformatted(history(w, d, id)));
	assert_string_equal(strrchr(text, ' '), " up");
	assert_true(json_number(o, "uptime") > 0 && json_number(o, "uptime") <= 1);
	assert_true(last_bar(o) > 0);
	assert_string_equal(json_str(history(w, d, "shop"), "id"), id); /* of the default branch */
	/* the same by the command line, in a worktree and by name */
	o = json_of(w, run_ok(w, repo, ARGV(w->devmesh, "history", "--json", "--hours", "1")).out);
	assert_non_null(strstr(states(w, o), "up stale"));
	o = json_of(w, run_ok(w, w->dir, ARGV(w->devmesh, "history", id, "--json")).out);
	assert_non_null(strstr(states(w, o), "up stale"));
	world_env(w, "LC_ALL", "C");
	text = fmt(w, "%s", run_ok(w, repo, ARGV(w->devmesh, "history")).out);
	assert_non_null(strstr(text, "# up  _ not up"));
	assert_non_null(strstr(text, "stale"));
	world_env(w, "LC_ALL", "C.UTF-8");
	assert_non_null(
	    strstr(run_ok(w, repo, ARGV(w->devmesh, "history")).out, "\xe2\x96\x88 up"));
	/* and when its name was given back */
	end_proc(w, server);
	(void)wait_move(w, d, id, "up", "stale", NULL);
	assert_exit(w, DM(w, repo, "down"), 0);
	(void)wait_event(w, d, "service-gone", id, NULL);
	text = states(w, history(w, d, id));
	assert_string_equal(strrchr(text, ' '), " gone");
	assert_non_null(strstr(run_ok(w, w->dir, ARGV(w->devmesh, "history", id)).out, "gone"));
	assert_error(w, DM(w, w->dir, "history", "nobody"), 3, "nobody");
	assert_error(w, DM(w, w->dir, "history", id, "--hours", "0"), 2, "hours");
	assert_error(w, DM(w, w->dir, "history", id, "--hours", "721"), 2, "hours");
	daemon_end(w, d);
	assert_error(w, DM(w, w->dir, "history", id), 5, "devmeshd");
}

/* ---- what it stands on --------------------------------------------------------------------- */

static cJSON *
facts(struct world *w)
{
	return json_of(w, run_ok(w, w->dir, ARGV(w->devmesh, "system", "--json")).out);
}

/* The first line that a command of the shell prints. */
static char *
shell(struct world *w, const char *command)
{
	const char *out = run_ok(w, w->dir, ARGV("sh", "-c", command)).out;

	return fmt(w, "%.*s", (int)strcspn(out, "\n"), out);
}

TEST(caddy_as_it_runs_and_what_was_changed_by_hand)
{
	const cJSON *caddy;
	char *repo = repo_new(w, "shop"), *version, *path;
	cJSON *o;
	struct reply r;
	int before;

	(void)private_mesh(w);
	version = shell(w, "caddy version | sed 's/^v//; s/ .*//'");
	o = facts(w);
	caddy = get(o, "caddy");
	assert_string_equal(json_str(caddy, "version"), version);
	assert_string_equal(json_str(caddy, "version_of"), "running");
	assert_string_equal(
	    json_str(caddy, "class"), strncmp(version, "2.6", 3) == 0 ? "2.6" : "2.7+");
	assert_true(cJSON_IsFalse(get(caddy, "drift")));
	assert_true(json_null(caddy, "drift_detail") && json_null(caddy, "fix"));
	/* a service's own route is there on purpose */
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "route");
	(void)up_ok(w, repo);
	assert_int_equal(count_routes(w, "shop-main"), 1);
	assert_true(cJSON_IsFalse(get(get(facts(w), "caddy"), "drift")));
	/* one that somebody has added is not */
	before = cJSON_GetArraySize(routes(w));
	r = admin(w, "POST", "/config/apps/http/servers/srv0/routes",
	    "{\"match\":[{\"host\":[\"secret.example\"]}],\"handle\":[{\"handler\":"
	    "\"static_response\",\"body\":\"by hand\"}]}");
	assert_int_equal(r.status, 200);
	caddy = get(facts(w), "caddy");
	assert_true(cJSON_IsTrue(get(caddy, "drift")));
	assert_non_null(strstr(json_str(caddy, "drift_detail"), "caddy.json"));
	assert_non_null(strstr(json_str(caddy, "drift_detail"), "srv0.routes["));
	assert_null(strstr(json_str(caddy, "drift_detail"), "secret"));
	assert_non_null(strstr(json_str(caddy, "fix"), "devmesh start"));
	assert_non_null(strstr(run_ok(w, w->dir, ARGV(w->devmesh, "system")).out, "differs"));
	path = fmt(w, "/config/apps/http/servers/srv0/routes/%d", before);
	assert_int_equal(admin(w, "DELETE", path, NULL).status, 200);
	assert_true(cJSON_IsFalse(get(get(facts(w), "caddy"), "drift")));
	/* something else than a route */
	r = admin(w, "POST", "/config/apps/http/grace_period", "1000000000");
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(
	    json_str(get(facts(w), "caddy"), "drift_detail"), "apps.http.grace_period: added"));
	assert_exit(w, DM(w, w->dir, "stop"), 0);
	caddy = get(facts(w), "caddy");
	assert_true(cJSON_IsFalse(get(caddy, "answers")));
	assert_true(json_null(caddy, "drift") && json_null(caddy, "class"));
	assert_string_not_equal(json_str(caddy, "problem"), "");
	assert_string_equal(json_str(caddy, "version"), version);
	assert_string_equal(json_str(caddy, "version_of"), "installed");
}

#define SETUP_ID "written by devmesh setup, "

/* The configuration that Caddy runs, as if setup had written it with that checksum. */
static char *
as_of_setup(struct world *w, const char *digits)
{
	return fmt(w, "{\"@id\":\"" SETUP_ID "%s\",%s", digits,
	    admin(w, "GET", "/config/", NULL).body + 1);
}

TEST(what_setup_has_written)
{
	char *file = fmt(w, "%s/xdg/devmesh/caddy.json", w->dir), *before;
	const cJSON *caddy;

	caddy_mesh(w, "");
	world_env(w, "XDG_CONFIG_HOME", fmt(w, "%s/xdg", w->dir));
	(void)make_dir(w, "xdg");
	(void)make_dir(w, "xdg/devmesh");
	before = as_of_setup(w, "0123456789abcdef");
	assert_int_equal(admin(w, "POST", "/load", before).status, 200);
	/* Caddy says that it is setup's, and the file is out of reach */
	caddy = get(facts(w), "caddy");
	assert_true(json_null(caddy, "drift"));
	assert_non_null(strstr(json_str(caddy, "drift_detail"), "cannot be read"));
	write_text(file, before);
	caddy = get(facts(w), "caddy");
	assert_true(cJSON_IsFalse(get(caddy, "drift")));
	assert_string_equal(json_str(caddy, "config"), file);
	/* setup has written another one, which nobody has loaded */
	write_text(file, fmt(w, "%.*sfedcba9876543210%s", (int)strlen("{\"@id\":\"" SETUP_ID),
			     before, before + strlen("{\"@id\":\"" SETUP_ID) + 16));
	caddy = get(facts(w), "caddy");
	assert_true(cJSON_IsTrue(get(caddy, "drift")));
	assert_non_null(strstr(json_str(caddy, "drift_detail"), "@id: changed"));
	assert_non_null(strstr(json_str(caddy, "fix"), "caddy reload --config "));
	/* and what is told is a way back */
	(void)shell(w, fmt(w, "%s && echo done", json_str(caddy, "fix")));
	assert_true(cJSON_IsFalse(get(get(facts(w), "caddy"), "drift")));
}

/* Nothing that devmesh has written, and no certificate at all. */
TEST(a_caddy_of_somebody_elses)
{
	const cJSON *caddy, *certificate;
	cJSON *o;

	caddy_mesh(w, "");
	o = facts(w);
	caddy = get(o, "caddy");
	certificate = get(o, "certificate");
	assert_true(cJSON_IsTrue(get(caddy, "answers")));
	assert_true(json_null(caddy, "drift") && json_null(caddy, "config"));
	assert_true(json_null(certificate, "not_after") && json_null(certificate, "problem"));
}

TEST(the_certificate_as_openssl_sees_it)
{
	int port = private_mesh(w);
	const char *host = "devmesh.dev.localhost";
	struct devmeshd *d = daemon_start(w);
	char *shown = fmt(w,
	    "openssl s_client -connect 127.0.0.1:%d -servername %s </dev/null 2>/dev/null | "
	    "openssl x509 -noout",
	    port, host);
	cJSON *o = daemon_ask(w, d, "GET", "/api/v1/system", NULL);
	const cJSON *c = get(o, "certificate");

	assert_string_equal(json_str(c, "host"), host);
	assert_int_equal(json_number(c, "not_after"),
	    strtoll(shell(w, fmt(w, "date +%%s -d \"$(%s -enddate | cut -d= -f2)\"", shown)), NULL,
		10));
	assert_int_equal(json_number(c, "not_before"),
	    strtoll(shell(w, fmt(w, "date +%%s -d \"$(%s -startdate | cut -d= -f2)\"", shown)),
		NULL, 10));
	assert_non_null(strstr(
	    shell(
		w, fmt(w, "%s -issuer -nameopt multiline | sed -n 's/.*commonName *= //p'", shown)),
	    "devmesh local"));
	assert_non_null(strstr(json_str(c, "issuer"), "devmesh local"));
	/* Caddy's own CA gives one for twelve hours */
	assert_true(json_number(c, "days_left") > 0 && json_number(c, "days_left") <= 0.5);
	assert_string_equal(json_str(c, "trusted_by"), "private-mesh");
	assert_string_not_equal(json_str(c, "problem"), "");
	assert_true(json_number(get(o, "devmeshd"), "rss") > 1e6);
	assert_int_equal(json_number(get(o, "devmeshd"), "pid"), d->p->pid);
	assert_true(json_number(get(o, "history"), "bytes") > 0);
	assert_true(json_null(get(o, "history"), "problem"));
	/* what was found is kept: Caddy, ended meanwhile, is still there; but not for who insists
	 */
	(void)admin(w, "POST", "/stop", NULL);
	o = daemon_ask(w, d, "GET", "/api/v1/system", NULL);
	assert_true(cJSON_IsTrue(get(get(o, "caddy"), "answers")));
}

struct wanted_fresh {
	const struct devmeshd *d;
};

static bool
is_told_to_be_down(struct world *w, const void *arg)
{
	const struct wanted_fresh *want = arg;
	cJSON *o = daemon_ask(w, want->d, "GET", "/api/v1/system?fresh=true", NULL);

	return cJSON_IsFalse(get(get(o, "caddy"), "answers"));
}

TEST(who_insists_is_told_how_it_is_now)
{
	struct wanted_fresh want;

	(void)private_mesh(w);
	want.d = daemon_start(w);
	(void)daemon_ask(w, want.d, "GET", "/api/v1/system", NULL);
	(void)admin(w, "POST", "/stop", NULL);
	assert_true(wait_until(w, is_told_to_be_down, &want, ANSWER_MS));
}

/* As every program of this machine resolves it. */
TEST(names_as_the_resolver_answers)
{
	const cJSON *dns;
	struct result r;

	caddy_mesh(w, "");
	dns = get(facts(w), "dns");
	assert_non_null(strstr(json_str(dns, "name"), ".dev.test"));
	r = run(w, w->dir, ARGV("getent", "ahosts", json_str(dns, "name")));
	assert_int_equal(cJSON_IsTrue(get(dns, "resolves")), r.code == 0);
	assert_int_equal(cJSON_GetArraySize(get(dns, "addresses")) > 0, r.code == 0);
	if (r.code != 0) {
		assert_non_null(strstr(json_str(dns, "problem"), "does not resolve"));
		assert_non_null(strstr(json_str(dns, "fix"), "*.dev.test"));
	}
	/* no configuration, no answer */
	write_text(fmt(w, "%s/bad.ini", w->dir), "[mesh]\nno_such_key = 1\n");
	assert_error(
	    w, run(w, w->dir, ARGV(w->devmesh, "--config", "bad.ini", "system")), 2, "no_such_key");
	assert_error(w, DM(w, w->dir, "system", "--host", "a/b"), 2, "host");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(a_busy_child_is_seen_under_its_service_alone),
	    DAEMON_TEST(a_server_without_a_run_is_measured_and_nobody_is_null),
	    DAEMON_TEST(a_kill_and_a_restart_are_in_the_history),
	    DAEMON_TEST(caddy_as_it_runs_and_what_was_changed_by_hand),
	    DAEMON_TEST(what_setup_has_written),
	    DAEMON_TEST(a_caddy_of_somebody_elses),
	    DAEMON_TEST(the_certificate_as_openssl_sees_it),
	    DAEMON_TEST(who_insists_is_told_how_it_is_now),
	    DAEMON_TEST(names_as_the_resolver_answers),
	};

	return RUN_TESTS(tests);
}
