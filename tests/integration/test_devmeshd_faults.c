/* SPDX-License-Identifier: MIT */
/*
 * devmeshd among faults: a Caddy that hangs, a pause of its own, clocks that jump, a history that
 * cannot be written, another user's devmeshd in the same directory. Nothing alive is ever evicted.
 */
#include "harness_daemon.h"
#include "harness_doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OTHER (NOBODY - 1)
#define DAY   86400

static struct devmeshd *
strict_daemon(struct world *w, const char *grace)
{
	daemon_conf(w, "GRACE", grace);
	daemon_conf(w, "PROBE_INTERVAL", "1");
	return daemon_start(w);
}

static bool
is_past(struct world *w, const void *arg)
{
	const int64_t *at = arg;

	(void)w;
	return now_ms() >= *at;
}

/* ---- Caddy --------------------------------------------------------------------------------- */

TEST(caddy_hangs_and_goes_on)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x"), *before;
	struct devmeshd *d;

	caddy_plain(w, strangers(w, 3));
	up_ok(w, repo);
	up_ok(w, wt);
	(void)serve_in(w, repo, socket_of(w, "shop-main"), "shop-main");
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "300");
	d = strict_daemon(w, "1");
	wait_state(w, d, "shop-main", "up");
	wait_state(w, d, "devmesh", "up");
	before = fmt(w, "%s", routes_text(w));
	for (int i = 0; i < 2; i++) {
		signal_proc(w->caddy, SIGSTOP);
		assert_string_equal(
		    json_str(wait_event(w, d, "caddy", NULL, "it does not answer")->data, "state"),
		    "hung");
		(void)wait_move(w, d, "shop-main", "up", "degraded", "Caddy does not answer");
		outlast_socket(w, d);
		assert_string_equal(json_str(service_of(w, d, "shop-x"), "state"), "starting");
		signal_proc(w->caddy, SIGCONT);
		(void)wait_event(w, d, "caddy", NULL, "it answers");
		(void)wait_move(w, d, "shop-main", "degraded", "up", "Caddy answers again");
	}
	outlast_socket(w, d);
	assert_string_equal(routes_text(w), before);
	assert_no_mends(w, d);
	assert_int_equal(count_claims(w), 3);
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

/* ---- time ---------------------------------------------------------------------------------- */

TEST(what_has_changed_while_it_was_stopped_is_looked_at_first)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *hidden = fmt(w, "%s/hidden", w->dir), *sock = socket_of(w, "shop-main");
	struct devmeshd *d;
	struct proc *p, *server;
	int64_t over;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	p = serve_in(w, repo, sock, "first");
	d = strict_daemon(w, "2");
	wait_state(w, d, "shop-main", "up");
	/* dead and gone, as far as it has seen */
	end_proc(w, p);
	(void)wait_move(w, d, "shop-main", "up", "stale", NULL);
	assert_int_equal(rename(wt, hidden), 0);
	(void)wait_move(w, d, "shop-x", "starting", "orphan", NULL);
	signal_proc(d->p, SIGSTOP);
	assert_int_equal(unlink(sock), 0);
	server = serve_in(w, repo, sock, "second");
	assert_int_equal(rename(hidden, wt), 0);
	over = now_ms() + 3000;
	assert_true(wait_until(w, is_past, &over, DEADLINE_MS));
	signal_proc(d->p, SIGCONT);
	(void)wait_move(w, d, "shop-main", NULL, "up", NULL);
	(void)wait_move(w, d, "shop-x", "orphan", "starting", NULL);
	outlast_grace(w, d);
	assert_no_mends(w, d);
	assert_false(server->ended);
	assert_answers(w, "shop-main.dev.test", "second");
	assert_non_null(claim_of(w, "shop-x"));
}

/* Sanitizers want to be the first library, and so does a debugger. */
#if defined(__SANITIZE_ADDRESS__)
#define ALONE true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ALONE true
#endif
#endif
#ifndef ALONE
#define ALONE false
#endif

/* Devmeshd's clock is what the file says, relative to the real one. The other clock is not touched.
 */
static struct devmeshd *
daemon_with_clock(struct world *w, const char *file, const char *grace)
{
	glob_t found;
	const char *library = NULL;
	struct devmeshd *d;

	if (!ALONE && getenv("DEVMESHD_WRAP") == NULL &&
	    glob("/usr/lib*/*/faketime/libfaketime.so.1", 0, NULL, &found) == 0) {
		library = fmt(w, "%s", found.gl_pathv[0]);
		globfree(&found);
	}
	if (library == NULL)
		world_skip(w, "needs libfaketime, and no sanitizer beside it");
	world_env(w, "LD_PRELOAD", library);
	world_env(w, "FAKETIME_TIMESTAMP_FILE", file);
	world_env(w, "FAKETIME_NO_CACHE", "1");
	world_env(w, "FAKETIME_DONT_FAKE_MONOTONIC", "1");
	d = strict_daemon(w, grace);
	world_env(w, "LD_PRELOAD", NULL);
	return d;
}

static double
clock_of(struct world *w, const struct devmeshd *d)
{
	return json_number(
	    cJSON_GetObjectItem(daemon_ask(w, d, "GET", "/api/v1/state", NULL), "node"), "now");
}

static void
jump(struct world *w, struct devmeshd *d, const char *file, const char *by, double seconds)
{
	write_text(file, by);
	assert_true(clock_of(w, d) - (double)time(NULL) > seconds - 600 &&
		    clock_of(w, d) - (double)time(NULL) < seconds + 600);
}

/* The wall clock alone: what is measured is measured by the other one. */
TEST(the_clock_jumps_by_a_day_and_back)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *file = fmt(w, "%s/time", w->dir), *sock = socket_of(w, "shop-main");
	const struct happened *died, *mended;
	struct devmeshd *d;
	struct proc *p;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	p = serve_in(w, repo, sock, "shop-main");
	write_text(file, "+0");
	d = daemon_with_clock(w, file, "2");
	wait_state(w, d, "shop-main", "up");
	for (int i = 0; i < 2; i++) {
		jump(w, d, file, "+1d", DAY);
		outlast_grace(w, d);
		jump(w, d, file, "-1d", -DAY);
		outlast_grace(w, d);
		assert_string_equal(json_str(service_of(w, d, "shop-main"), "state"), "up");
		assert_string_equal(json_str(service_of(w, d, "shop-x"), "state"), "starting");
	}
	assert_no_mends(w, d);
	/* a grace period is as long as ever, whichever way the clock goes meanwhile */
	for (int i = 0; i < 2; i++) {
		end_proc(w, p);
		died = wait_move(w, d, "shop-main", "up", "stale", NULL);
		jump(w, d, file, i == 0 ? "+1d" : "-1d", i == 0 ? DAY : -DAY);
		mended = wait_mend(w, d, "removed", "socket", sock, NULL);
		assert_true(mended->at_ms - died->at_ms >= 2000 - INEXACT_MS);
		assert_true(mended->at_ms - died->at_ms < 20000);
		p = serve_in(w, repo, sock, "shop-main");
		(void)wait_move(w, d, "shop-main", NULL, "up", NULL);
	}
}

/* ---- history ------------------------------------------------------------------------------- */

static bool
has_history(struct world *w, const void *arg)
{
	const cJSON *state = daemon_ask(w, arg, "GET", "/api/v1/state", NULL);

	return json_null(cJSON_GetObjectItem(state, "node"), "history_problem");
}

static bool
has_none(struct world *w, const void *arg)
{
	return !has_history(w, arg);
}

/* Everything else works as ever. */
static void
assert_works(struct world *w, struct devmeshd *d, const char *repo)
{
	char *sock = socket_of(w, "shop-main");
	struct proc *p = serve_in(w, repo, sock, "shop-main");

	(void)wait_move(w, d, "shop-main", "starting", "up", NULL);
	end_proc(w, p);
	(void)wait_move(w, d, "shop-main", "up", "stale", NULL);
	(void)wait_mend(w, d, "removed", "socket", sock, NULL);
	(void)wait_move(w, d, "shop-main", "stale", "starting", NULL);
}

TEST(a_history_that_cannot_be_opened)
{
	char *repo = repo_new(w, "shop"), *path = fmt(w, "%s/history.db", w->state);
	struct devmeshd *d;

	caddy_mesh(w, "");
	up_ok(w, repo);
	mkdir(w->state, 0700);
	mkdir(path, 0700);
	write_text(fmt(w, "%s/keep", path), "keep");
	d = strict_daemon(w, "0");
	assert_true(wait_until(w, has_none, d, DEADLINE_MS));
	assert_works(w, d, repo);
	remove_tree(path);
	assert_true(wait_until(w, has_history, d, DEADLINE_MS));
	assert_works(w, d, repo);
}

static void
fill(const char *path)
{
	char page[4096] = {1};
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	while (write(fd, page, sizeof page) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

TEST(the_disk_is_full_and_has_room_again)
{
	char *repo = repo_new(w, "shop"), *ballast = fmt(w, "%s/ballast", w->state);
	struct devmeshd *d;

	need_root(w);
	caddy_mesh(w, "");
	up_ok(w, repo);
	mkdir(w->state, 0700);
	if (mount("tmpfs", w->state, "tmpfs", 0, "size=512k,mode=0700") != 0)
		world_skip(w, "mounting a tmpfs is not permitted here");
	snprintf(w->mount, sizeof w->mount, "%s", w->state);
	d = strict_daemon(w, "0");
	assert_works(w, d, repo);
	assert_true(wait_until(w, has_history, d, DEADLINE_MS));
	fill(ballast);
	assert_works(w, d, repo);
	assert_true(wait_until(w, has_none, d, DEADLINE_MS));
	assert_works(w, d, repo);
	assert_int_equal(unlink(ballast), 0);
	assert_true(wait_until(w, has_history, d, DEADLINE_MS));
	assert_works(w, d, repo);
}

/* What is older than it is to be kept goes, by the clock on the wall. */
TEST(old_history_goes)
{
	static const char count[] =
	    "import sqlite3,sys,time\n"
	    "c=sqlite3.connect(sys.argv[1])\n"
	    "t=[r[0] for r in c.execute(\"select name from sqlite_master where type='table'\")]\n"
	    "n=0\n"
	    "for t in t:\n"
	    "  for r in c.execute('select * from '+t):\n"
	    "    n+='long-ago' in map(str,r)\n"
	    "print(n)\n";
	char *path = fmt(w, "%s/history.db", w->state), *script = fmt(w, "%s/count.py", w->dir);
	char *repo = repo_new(w, "long"), *file = fmt(w, "%s/time", w->dir);
	struct devmeshd *d;

	caddy_mesh(w, "");
	write_text(script, count);
	write_text(file, "-20d");
	d = daemon_with_clock(w, file, "10");
	assert_exit(w, DM(w, repo, "up", "--id", "long-ago"), 0);
	(void)wait_event(w, d, "service", "long-ago", "it was claimed");
	assert_exit(w, DM(w, repo, "down"), 0);
	(void)wait_event(w, d, "service-gone", "long-ago", NULL);
	daemon_end(w, d);
	assert_string_not_equal(line_of(w, run(w, w->dir, ARGV("python3", script, path))), "0");
	d = daemon_start(w);
	for (int64_t end = now_ms() + ANSWER_MS; now_ms() < end;) {
		if (strcmp(line_of(w, run(w, w->dir, ARGV("python3", script, path))), "0") == 0)
			return;
		nap_us(50000);
	}
	fail_msg("what is 20 days old is still kept");
}

/* ---- two users ----------------------------------------------------------------------------- */

/* The world of another user, with the directory of sockets and Caddy in common. */
static void
become(struct world *w, uid_t uid)
{
	char *home = fmt(w, "%s/u%u/home", w->dir, (unsigned)uid);

	w->uid = uid;
	snprintf(w->state, sizeof w->state, "%.80s/state", home);
	world_env(w, "HOME", home);
	world_env(w, "XDG_RUNTIME_DIR", home);
	world_env(w, "DEVMESH_CONFIG", fmt(w, "%s/devmesh.ini", home));
	world_env(w, "DEVMESH_LOCAL_STATE_DIR", w->state);
}

static char *
repo_of(struct world *w, uid_t uid)
{
	char *root, *repo;

	w->uid = 0;
	root = make_dir(w, fmt(w, "u%u", (unsigned)uid));
	mkdir(fmt(w, "%s/home", root), 0700);
	write_text(fmt(w, "%s/home/devmesh.ini", root), "");
	repo = repo_new(w, fmt(w, "u%u/app%u", (unsigned)uid, (unsigned)uid));
	own_tree(root, uid);
	return repo;
}

static void
assert_sees_only(struct world *w, const struct devmeshd *d, const char *id, const char *own)
{
	const cJSON *state = daemon_ask(w, d, "GET", "/api/v1/state", NULL), *s;
	const cJSON *list = cJSON_GetObjectItem(state, "services");

	assert_int_equal(cJSON_GetArraySize(list), 2);
	cJSON_ArrayForEach (s, list)
		assert_true(
		    strcmp(json_str(s, "id"), id) == 0 || strcmp(json_str(s, "id"), own) == 0);
	assert_string_equal(json_str(cJSON_GetObjectItem(state, "node"), "id"), own);
}

static char *
stale_of(struct world *w, const char *id, uid_t uid)
{
	char *path = socket_of(w, id);

	stale_socket(path);
	assert_int_equal(lchown(path, uid, uid), 0);
	return path;
}

TEST(two_users_in_one_directory)
{
	char *repos[2], *ids[2], *owns[2], *strays[2], *gone;
	static const uid_t users[2] = {NOBODY, OTHER};
	struct devmeshd *d[2];

	need_root(w);
	caddy_plain_tcp(w, strangers(w, 3));
	daemon_conf(w, "GRACE", "1");
	daemon_conf(w, "PROBE_INTERVAL", "1");
	for (int i = 0; i < 2; i++) {
		repos[i] = repo_of(w, users[i]);
		become(w, users[i]);
		d[i] = daemon_start(w);
		ids[i] = up_ok(w, repos[i]);
		(void)wait_event(w, d[i], "service", ids[i], "it was claimed");
		owns[i] = fmt(w, "%s",
		    json_str(cJSON_GetObjectItem(
				 daemon_ask(w, d[i], "GET", "/api/v1/state", NULL), "node"),
			"id"));
	}
	assert_string_equal(owns[0], "devmesh");
	assert_int_equal(strncmp(owns[1], "devmesh-", strlen("devmesh-")), 0);
	for (int i = 0; i < 2; i++)
		assert_sees_only(w, d[i], ids[i], owns[i]);
	/* each removes its own, and only that */
	strays[0] = stale_of(w, "stray-a", users[0]);
	strays[1] = stale_of(w, "stray-b", users[1]);
	(void)wait_mend(w, d[0], "removed", "socket", strays[0], NULL);
	(void)wait_mend(w, d[1], "removed", "socket", strays[1], NULL);
	assert_no_event(w, d[0], "mend", strays[1]);
	assert_no_event(w, d[1], "mend", strays[0]);
	/* a dead claim of the one is nothing to the other, who mends something meanwhile */
	daemon_kill(w, d[0]);
	gone = repos[0];
	remove_tree(gone);
	strays[1] = stale_of(w, "stray-c", users[1]);
	(void)wait_mend(w, d[1], "removed", "socket", strays[1], NULL);
	assert_non_null(claim_of(w, ids[0]));
	assert_int_equal(count_routes(w, ids[0]), 1);
	assert_true(exists(socket_of(w, owns[0])));
	/* what Caddy has lost, each gives back for itself */
	crash(w);
	(void)wait_mend(w, d[1], "restored", "route", ids[1], NULL);
	assert_int_equal(count_routes(w, ids[0]), 0);
	assert_int_equal(count_routes(w, ids[1]), 1);
	/* back, under the same name */
	become(w, users[0]);
	d[0] = daemon_start(w);
	(void)wait_mend(w, d[0], "removed", "claim", ids[0], "its worktree is gone");
	assert_string_equal(
	    json_str(cJSON_GetObjectItem(daemon_ask(w, d[0], "GET", "/api/v1/state", NULL), "node"),
		"id"),
	    "devmesh");
	assert_sees_only(w, d[1], ids[1], owns[1]);
	assert_strangers(w, 3);
	w->uid = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(caddy_hangs_and_goes_on),
	    DAEMON_TEST(what_has_changed_while_it_was_stopped_is_looked_at_first),
	    DAEMON_TEST(the_clock_jumps_by_a_day_and_back),
	    DAEMON_TEST(a_history_that_cannot_be_opened),
	    DAEMON_TEST(the_disk_is_full_and_has_room_again),
	    DAEMON_TEST(old_history_goes),
	    DAEMON_TEST(two_users_in_one_directory),
	};

	return RUN_TESTS(tests);
}
