/* SPDX-License-Identifier: MIT */
/*
 * What devmeshd puts right among sockets and Caddy's routes, each mend an event with its reason;
 * and that the neighbours of what it mends were not touched.
 */
#include "harness_daemon.h"
#include "harness_doctor.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define STRANGERS 3

/* ---- neighbours ---------------------------------------------------------------------------- */

/* In the directory of sockets: nobody has registered them, and no look makes them ours. */
static const char *const names[] = {"alive.sock", "link.sock", "dangling.sock", "file.sock",
    "notes.txt", "theirs.sock", "theirs.json", "theirs-too.sock"};

#define NAMES (sizeof names / sizeof names[0])

struct neighbours {
	struct stat seen[NAMES], target;
	struct proc *alive;
	char *link_target;
};

static char *
in_sockets(struct world *w, const char *name)
{
	return fmt(w, "%s/%s", w->sockets, name);
}

static struct neighbours
set_neighbours(struct world *w)
{
	struct neighbours n = {.link_target = fmt(w, "%s/target.sock", w->dir)};

	n.alive = serve_unix(w, in_sockets(w, "alive.sock"), "alive");
	assert_int_equal(chmod(in_sockets(w, "alive.sock"), 0700), 0);
	stale_socket(n.link_target);
	assert_int_equal(symlink(n.link_target, in_sockets(w, "link.sock")), 0);
	assert_int_equal(symlink("nowhere", in_sockets(w, "dangling.sock")), 0);
	write_text(in_sockets(w, "file.sock"), "no socket");
	write_text(in_sockets(w, "notes.txt"), "keep");
	if (geteuid() == 0) {
		stale_socket(in_sockets(w, "theirs.sock"));
		write_text(in_sockets(w, "theirs.json"), "{}");
		stale_socket(in_sockets(w, "theirs-too.sock"));
		for (size_t i = NAMES - 3; i < NAMES; i++)
			assert_int_equal(lchown(in_sockets(w, names[i]), NOBODY, NOBODY), 0);
	}
	for (size_t i = 0; i < NAMES; i++)
		if (lstat(in_sockets(w, names[i]), &n.seen[i]) != 0)
			n.seen[i].st_ino = 0;
	assert_int_equal(lstat(n.link_target, &n.target), 0);
	return n;
}

static void
assert_neighbours(struct world *w, const struct neighbours *n)
{
	struct stat st;

	for (size_t i = 0; i < NAMES; i++) {
		if (n->seen[i].st_ino == 0)
			continue;
		if (lstat(in_sockets(w, names[i]), &st) != 0 || st.st_ino != n->seen[i].st_ino ||
		    st.st_mode != n->seen[i].st_mode || st.st_uid != n->seen[i].st_uid)
			fail_msg("%s was touched", names[i]);
	}
	assert_int_equal(lstat(n->link_target, &st), 0);
	assert_int_equal(st.st_ino, n->target.st_ino);
	assert_string_equal(read_text(w, in_sockets(w, "notes.txt")), "keep");
	reap(w);
	assert_false(n->alive->ended);
	if (strstr(routes_text(w), "other-0") != NULL)
		assert_strangers(w, STRANGERS);
}

static struct devmeshd *
mending_daemon(struct world *w, const char *grace)
{
	struct devmeshd *d;

	daemon_conf(w, "GRACE", grace);
	daemon_conf(w, "PROBE_INTERVAL", "1");
	d = daemon_start(w);
	/* its own route is none of the writes that are counted */
	wait_state(w, d, "devmesh", "up");
	return d;
}

static ino_t
inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

static bool
is_past(struct world *w, const void *arg)
{
	const int64_t *at = arg;

	(void)w;
	return now_ms() >= *at;
}

static void
wait_past(struct world *w, int64_t at)
{
	assert_true(wait_until(w, is_past, &at, DEADLINE_MS));
}

/* ---- sockets ------------------------------------------------------------------------------- */

TEST(a_stale_socket_goes_after_the_grace_period)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *sock = socket_of(w, "shop-main");
	const struct happened *died, *mended;
	struct neighbours n = set_neighbours(w);
	struct devmeshd *d;
	struct proc *p;

	caddy_plain(w, strangers(w, STRANGERS));
	up_ok(w, repo);
	up_ok(w, wt);
	p = serve_in(w, repo, sock, "shop-main");
	(void)serve_in(w, wt, socket_of(w, "shop-x"), "shop-x");
	d = mending_daemon(w, "2");
	wait_state(w, d, "shop-main", "up");
	signal_proc(p, SIGKILL);
	died = wait_move(w, d, "shop-main", "up", "stale", NULL);
	assert_true(exists(sock));
	mended = wait_mend(w, d, "removed", "socket", sock, "nobody listens on it");
	assert_true(mended->at_ms - died->at_ms >= 2000 - INEXACT_MS);
	(void)wait_move(w, d, "shop-main", "stale", "starting", NULL);
	assert_false(exists(sock));
	/* the name stays its own, and so does its route */
	assert_non_null(claim_of(w, "shop-main"));
	route_of(w, "shop-main");
	assert_answers(w, "shop-x.dev.test", "shop-x");
	assert_neighbours(w, &n);
}

TEST(a_socket_that_is_bound_again_meanwhile_stays)
{
	char *repo = repo_new(w, "shop"), *sock = socket_of(w, "shop-main");
	struct devmeshd *d;
	struct proc *p;
	ino_t ino;

	caddy_mesh(w, "");
	up_ok(w, repo);
	d = mending_daemon(w, "1");
	for (int i = 0; i < 3; i++) {
		p = serve_in(w, repo, sock, "shop-main");
		(void)wait_move(w, d, "shop-main", NULL, "up", NULL);
		end_proc(w, p);
		(void)wait_move(w, d, "shop-main", "up", "stale", NULL);
		assert_int_equal(unlink(sock), 0);
	}
	(void)serve_in(w, repo, sock, "shop-main");
	ino = inode_of(sock);
	outlast_grace(w, d);
	assert_int_equal(inode_of(sock), ino);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_no_mends(w, d);
}

/* Another dead socket in its place has a grace period of its own. */
static void
replace_late(struct world *w, const char *sock, int64_t died)
{
	wait_past(w, died + 1400);
	stale_socket(fmt(w, "%s.next", sock));
	assert_int_equal(rename(fmt(w, "%s.next", sock), sock), 0);
}

TEST(another_inode_begins_anew)
{
	char *repo = repo_new(w, "shop"), *sock = socket_of(w, "shop-main");
	const struct happened *e;
	struct devmeshd *d;
	struct proc *p;
	int64_t replaced;

	caddy_mesh(w, "");
	up_ok(w, repo);
	p = serve_in(w, repo, sock, "shop-main");
	d = mending_daemon(w, "2");
	end_proc(w, p);
	e = wait_move(w, d, "shop-main", "up", "stale", NULL);
	replace_late(w, sock, e->at_ms);
	replaced = now_ms();
	assert_true(exists(sock));
	e = wait_mend(w, d, "removed", "socket", sock, NULL);
	assert_true(e->at_ms - replaced >= 2000 - INEXACT_MS);
}

TEST(the_link_and_the_file_in_a_sockets_place_stay)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *target = fmt(w, "%s/target.sock", w->dir);
	struct devmeshd *d;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	stale_socket(target);
	d = mending_daemon(w, "0");
	assert_int_equal(symlink(target, socket_of(w, "shop-main")), 0);
	write_text(socket_of(w, "shop-x"), "no socket");
	outlast_grace(w, d);
	assert_true(exists(target) && exists(socket_of(w, "shop-main")));
	assert_string_equal(read_text(w, socket_of(w, "shop-x")), "no socket");
	assert_no_mends(w, d);
}

TEST(stray_sockets_go_after_the_grace_period)
{
	char *old = socket_of(w, "stray-old"), *new = socket_of(w, "stray-new");
	struct neighbours n = set_neighbours(w);
	const struct happened *e;
	struct devmeshd *d;
	int64_t began;

	caddy_plain(w, strangers(w, STRANGERS));
	stale_socket(old);
	/* nobody knows how long it has been so: the daemon's own life counts */
	began = now_ms();
	d = mending_daemon(w, "2");
	e = wait_mend(w, d, "removed", "socket", old, "nobody listens on it");
	assert_true(e->at_ms - began >= 2000 - INEXACT_MS);
	began = now_ms();
	stale_socket(new);
	e = wait_mend(w, d, "removed", "socket", new, "nobody listens on it");
	assert_true(e->at_ms - began >= 2000 - INEXACT_MS);
	assert_neighbours(w, &n);
}

/* One that is put right takes nothing along that has not been dead for long enough. */
TEST(a_mend_does_not_take_along_what_died_just_now)
{
	char *repo = repo_new(w, "old"), *stray = socket_of(w, "stray");
	const struct happened *e;
	struct devmeshd *d;
	int64_t began;

	caddy_mesh(w, "");
	up_ok(w, repo);
	d = mending_daemon(w, "2");
	remove_tree(repo);
	e = wait_move(w, d, "old-main", "starting", "orphan", NULL);
	wait_past(w, e->at_ms + 1400);
	began = now_ms();
	stale_socket(stray);
	(void)wait_mend(w, d, "removed", "claim", "old-main", NULL);
	e = wait_mend(w, d, "removed", "socket", stray, NULL);
	assert_true(e->at_ms - began >= 2000 - INEXACT_MS);
}

static bool
has_mode(struct world *w, const void *arg)
{
	struct stat st;

	(void)w;
	return lstat(arg, &st) == 0 && (st.st_mode & 07777) == 0666;
}

TEST(a_socket_that_caddy_may_not_use_is_opened)
{
	char *repo = repo_new(w, "shop"), *sock = socket_of(w, "shop-main");
	struct neighbours n = set_neighbours(w);
	struct devmeshd *d;
	struct proc *p;

	need_root(w);
	w->uid = NOBODY;
	caddy_plain_tcp(w, strangers(w, STRANGERS));
	w->uid = 0;
	up_ok(w, repo);
	d = mending_daemon(w, "3600");
	p = start(w, repo, ARGV("python3", run_server(w), fmt(w, "unix=%s", sock), "mode=755"));
	(void)wait_mend(w, d, "changed", "socket", sock, "uid 65534");
	assert_true(wait_until(w, has_mode, sock, ANSWER_MS));
	assert_answers(w, "shop-main.dev.test", "no id");
	/* once; the next server's as well */
	end_proc(w, p);
	(void)wait_move(w, d, "shop-main", "up", "stale", NULL);
	assert_int_equal(unlink(sock), 0);
	(void)start(w, repo, ARGV("python3", run_server(w), fmt(w, "unix=%s", sock), "mode=600"));
	(void)wait_mend(w, d, "changed", "socket", sock, "0600");
	assert_true(has_mode(w, sock));
	assert_neighbours(w, &n);
}

/* ---- routes -------------------------------------------------------------------------------- */

static void
claims_of_many(struct world *w, int count)
{
	char *repo = repo_new(w, "many");

	for (int i = 0; i < count; i++)
		assert_exit(w, DM(w, repo, "up", "--id", fmt(w, "s-%d", i)), 0);
}

/* Within how many configurations of Caddy the mends have come: see loads_since(). */
static void
wait_restored(struct world *w, struct devmeshd *d, int count)
{
	for (int i = 0; i < count; i++)
		(void)wait_mend(w, d, "restored", "route", fmt(w, "s-%d", i), "Caddy has lost it");
	for (int i = 0; i < count; i++) {
		route_of(w, fmt(w, "s-%d", i));
		if (exists(socket_of(w, fmt(w, "s-%d", i))))
			wait_state(w, d, fmt(w, "s-%d", i), "up");
	}
}

TEST(routes_of_dead_services_go_in_one_write)
{
	struct neighbours n = set_neighbours(w);
	struct devmeshd *d;
	char *hand_made;
	int writes;

	caddy_plain(w, strangers(w, STRANGERS));
	claims_of_many(w, 5);
	(void)serve_id(w, "s-4");
	/* made by hand, in the same way as ours, and with nobody behind it yet */
	hand_made = fmt(w,
	    "{\"@id\":\"hand-made\",\"match\":[{\"host\":[\"hand-made.dev.test\"]}],\"handle\":"
	    "[{\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":\"unix/%s\"}]}]}",
	    socket_of(w, "hand-made"));
	post(w, hand_made);
	d = mending_daemon(w, "1");
	writes = loads(w);
	for (int i = 0; i < 5; i++)
		assert_int_equal(unlink(in_sockets(w, fmt(w, "s-%d.json", i))), 0);
	for (int i = 0; i < 4; i++)
		(void)wait_mend(
		    w, d, "removed", "route", fmt(w, "s-%d", i), "no claim, and nobody listens");
	assert_int_equal(loads_since(w, &writes), 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(count_routes(w, fmt(w, "s-%d", i)), 0);
	/* without a claim, but alive */
	outlast_grace(w, d);
	assert_answers(w, "s-4.dev.test", "s-4");
	assert_int_equal(count_routes(w, "hand-made"), 1);
	assert_neighbours(w, &n);
}

TEST(caddy_that_was_killed_gets_everything_back_in_one_write)
{
	struct neighbours n = set_neighbours(w);
	struct devmeshd *d;
	int64_t began;

	caddy_plain(w, strangers(w, STRANGERS));
	claims_of_many(w, 8);
	for (int i = 0; i < 4; i++)
		(void)serve_id(w, fmt(w, "s-%d", i));
	d = mending_daemon(w, "3600");
	wait_state(w, d, "s-0", "up");
	signal_proc(w->caddy, SIGKILL);
	began = now_ms();
	printf("           kill -9 of Caddy to the event: %lld ms\n",
	    (long long)(wait_event(w, d, "caddy", NULL, "it does not answer")->at_ms - began));
	(void)wait_move(w, d, "s-0", "up", "degraded", "Caddy is down");
	assert_string_equal(json_str(service_of(w, d, "s-7"), "state"), "starting");
	end_proc(w, w->caddy);
	caddy_start(w, read_text(w, w->caddy_config));
	began = now_ms();
	(void)wait_event(w, d, "caddy", NULL, "it answers");
	wait_restored(w, d, 8);
	/* its own file, and one change */
	assert_int_equal(loads(w), 2);
	printf(
	    "           Caddy is back to everything is: %lld ms\n", (long long)(now_ms() - began));
	for (int i = 0; i < 4; i++)
		assert_answers(w, fmt(w, "s-%d.dev.test", i), fmt(w, "s-%d", i));
	assert_neighbours(w, &n);
}

TEST(two_restarts_of_caddy_in_a_row)
{
	struct devmeshd *d;

	caddy_plain(w, strangers(w, STRANGERS));
	claims_of_many(w, 4);
	(void)serve_id(w, "s-0");
	d = mending_daemon(w, "0");
	for (int i = 0; i < 3; i++) {
		crash(w);
		crash(w);
		wait_restored(w, d, 4);
		assert_answers(w, "s-0.dev.test", "s-0");
	}
	assert_int_equal(count_claims(w), 5); /* devmeshd's own */
	assert_strangers(w, STRANGERS);
}

TEST(caddy_reload_with_the_original_file)
{
	struct neighbours n = set_neighbours(w);
	struct devmeshd *d;
	int writes;

	caddy_plain_tcp(w, strangers(w, STRANGERS));
	claims_of_many(w, 4);
	(void)serve_id(w, "s-0");
	d = mending_daemon(w, "3600");
	wait_state(w, d, "s-0", "up");
	writes = loads(w);
	run_ok(w, w->dir,
	    ARGV("caddy", "reload", "--config", w->caddy_config, "--address",
		w->admin + strlen("http://")));
	wait_restored(w, d, 4);
	assert_int_equal(loads_since(w, &writes), 2); /* the reload, and one change */
	assert_answers(w, "s-0.dev.test", "s-0");
	assert_neighbours(w, &n);
}

TEST(one_lost_route_comes_back)
{
	struct neighbours n = set_neighbours(w);
	struct devmeshd *d;
	int writes;

	caddy_plain(w, strangers(w, STRANGERS));
	claims_of_many(w, 3);
	(void)serve_id(w, "s-1");
	d = mending_daemon(w, "3600");
	wait_state(w, d, "s-1", "up");
	writes = loads(w);
	assert_int_equal(admin(w, "DELETE", "/id/s-1", NULL).status, 200);
	(void)wait_move(w, d, "s-1", "up", "degraded", "Caddy's configuration was changed");
	(void)wait_mend(w, d, "restored", "route", "s-1", "Caddy has lost it");
	(void)wait_move(w, d, "s-1", "degraded", "up", "Caddy's configuration was changed");
	assert_int_equal(loads_since(w, &writes), 2);
	assert_answers(w, "s-1.dev.test", "s-1");
	assert_neighbours(w, &n);
}

TEST(duplicates_of_our_own_go)
{
	struct neighbours n = set_neighbours(w);
	struct devmeshd *d;
	char *copy;

	caddy_plain(w, strangers(w, STRANGERS));
	claims_of_many(w, 2);
	(void)serve_id(w, "s-0");
	d = mending_daemon(w, "3600");
	copy = text_of_route(w, "s-0");
	post(w, copy);
	post(w, copy);
	(void)wait_mend(w, d, "replaced", "route", "s-0", "more than once");
	assert_string_equal(text_of_route(w, "s-0"), copy);
	assert_int_equal(count_routes(w, "s-1"), 1);
	assert_answers(w, "s-0.dev.test", "s-0");
	assert_neighbours(w, &n);
}

TEST(the_mesh_route_comes_back)
{
	char *repo = repo_new(w, "shop");
	struct neighbours n = set_neighbours(w);
	struct devmeshd *d;

	caddy_mesh(w, DELICATE);
	up_ok(w, repo);
	(void)serve_id(w, "shop-main");
	d = mending_daemon(w, "3600");
	wait_state(w, d, "shop-main", "up");
	/* somebody throws out whatever was in front */
	assert_int_equal(admin(w, "DELETE", ROUTES "/0", NULL).status, 200);
	(void)wait_move(w, d, "shop-main", "up", "degraded", "Caddy's configuration was changed");
	(void)wait_mend(w, d, "restored", "route", NULL, "Caddy has lost it");
	wait_state(w, d, "shop-main", "up");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_int_equal(count_of(routes_text(w), DELICATE), 1);
	/* and again, after it was ours */
	assert_int_equal(admin(w, "DELETE", "/id/" MESH, NULL).status, 200);
	(void)wait_mend(w, d, "restored", "route", NULL, "Caddy has lost it");
	wait_state(w, d, "shop-main", "up");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_int_equal(count_of(routes_text(w), DELICATE), 1);
	assert_neighbours(w, &n);
}

/* ---- where it must not --------------------------------------------------------------------- */

struct refused {
	struct devmeshd *d;
	double times;
};

static bool
was_refused(struct world *w, const void *arg)
{
	const struct refused *r = arg;
	const cJSON *state = daemon_ask(w, r->d, "GET", "/api/v1/state", NULL);

	return json_number(cJSON_GetObjectItem(state, "node"), "mend_failures") >= r->times;
}

TEST(https_is_not_turned_on_which_is_told_once)
{
	char *config, *before;
	struct devmeshd *d;
	int told = 0;

	caddy_plain(w, strangers(w, STRANGERS));
	claims_of_many(w, 3);
	(void)serve_id(w, "s-0");
	d = mending_daemon(w, "1");
	wait_state(w, d, "s-0", "up");
	config = read_text(w, w->caddy_config);
	end_proc(w, w->caddy);
	/* the same Caddy, with automatic HTTPS left on, and nobody's host so far */
	config = fmt(w, "%.*s\"routes\":[{\"handle\":[{\"handler\":\"static_response\"}]}]}}}}}",
	    (int)(strstr(config, "\"automatic_https\"") - config), config);
	caddy_start(w, config);
	before = fmt(w, "%s", admin(w, "GET", "/config/", NULL).body);
	(void)wait_mend(w, d, "failed", NULL, NULL, "automatic HTTPS");
	assert_true(wait_until(w, was_refused, &(struct refused){d, 3}, DEADLINE_MS));
	pump(w, d);
	for (size_t i = 0; i < d->count; i++)
		told += strcmp(json_str(d->events[i].data, "what"), "failed") == 0;
	assert_int_equal(told, 1);
	assert_string_equal(admin(w, "GET", "/config/", NULL).body, before);
	assert_string_equal(json_str(service_of(w, d, "s-0"), "state"), "degraded");
	/* the rest goes on meanwhile */
	outlast_socket(w, d);
	/* and when it may be, it is done */
	end_proc(w, w->caddy);
	caddy_plain(w, strangers(w, STRANGERS));
	wait_restored(w, d, 3);
	assert_strangers(w, STRANGERS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(a_stale_socket_goes_after_the_grace_period),
	    DAEMON_TEST(a_socket_that_is_bound_again_meanwhile_stays),
	    DAEMON_TEST(another_inode_begins_anew),
	    DAEMON_TEST(the_link_and_the_file_in_a_sockets_place_stay),
	    DAEMON_TEST(stray_sockets_go_after_the_grace_period),
	    DAEMON_TEST(a_mend_does_not_take_along_what_died_just_now),
	    DAEMON_TEST(a_socket_that_caddy_may_not_use_is_opened),
	    DAEMON_TEST(routes_of_dead_services_go_in_one_write),
	    DAEMON_TEST(caddy_that_was_killed_gets_everything_back_in_one_write),
	    DAEMON_TEST(two_restarts_of_caddy_in_a_row),
	    DAEMON_TEST(caddy_reload_with_the_original_file),
	    DAEMON_TEST(one_lost_route_comes_back),
	    DAEMON_TEST(duplicates_of_our_own_go),
	    DAEMON_TEST(the_mesh_route_comes_back),
	    DAEMON_TEST(https_is_not_turned_on_which_is_told_once),
	};

	return RUN_TESTS(tests);
}
