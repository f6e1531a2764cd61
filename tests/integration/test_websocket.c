/* SPDX-License-Identifier: MIT */
/*
 * Open WebSockets of one worktree while another goes up and down. Caddy closes every proxied
 * WebSocket when its configuration changes, so none may be changed without need.
 */
#include "harness_net.h"

#include <unistd.h>

#define SOCKETS 20
#define ROUNDS	100

static void
open_all(struct world *w, int fds[SOCKETS], const char *host)
{
	int i;

	for (i = 0; i < SOCKETS; i++)
		fds[i] = ws_open(w, host);
}

static int
count_closed(const int fds[SOCKETS])
{
	int i, n = 0;

	for (i = 0; i < SOCKETS; i++)
		n += ws_closed(fds[i]);
	return n;
}

/* Not only unclosed, but leading to the server and back. */
static void
assert_all_alive(const int fds[SOCKETS])
{
	int i;

	assert_int_equal(count_closed(fds), 0);
	for (i = 0; i < SOCKETS; i++)
		assert_true(ws_ping(fds[i]));
	assert_int_equal(count_closed(fds), 0);
}

static void
close_all(const int fds[SOCKETS])
{
	int i;

	for (i = 0; i < SOCKETS; i++)
		close(fds[i]);
}

static bool
all_closed(struct world *w, const void *arg)
{
	(void)w;
	return count_closed(arg) == SOCKETS;
}

TEST(none_is_closed_over_100_up_and_down)
{
	char *shop = repo_new(w, "shop"), *other = repo_new(w, "other");
	int fds[SOCKETS], i;

	caddy_mesh(w, "");
	up_ok(w, shop);
	serve_ws(w, fmt(w, "%s/shop-main.sock", w->sockets));
	open_all(w, fds, "shop-main.dev.test");
	assert_all_alive(fds);
	for (i = 0; i < ROUNDS; i++) {
		up_ok(w, other);
		assert_int_equal(count_closed(fds), 0);
		assert_exit(w, DM(w, other, "down"), 0);
		assert_int_equal(count_closed(fds), 0);
	}
	assert_all_alive(fds);
	close_all(fds);
}

/* The measuring itself: where the configuration does change, it sees all of them closed. */
TEST(a_change_of_the_configuration_would_have_been_seen)
{
	char *shop = repo_new(w, "shop");
	int fds[SOCKETS];

	caddy_mesh(w, "");
	up_ok(w, shop);
	serve_ws(w, fmt(w, "%s/shop-main.sock", w->sockets));
	open_all(w, fds, "shop-main.dev.test");
	assert_all_alive(fds);
	assert_int_equal(
	    admin(w, "POST", "/config/apps/http/servers/srv0/routes", "{\"terminal\":true}").status,
	    200);
	assert_true(wait_until(w, all_closed, fds, DEADLINE_MS));
	close_all(fds);
}

TEST(up_again_of_an_equal_route_closes_none)
{
	char *shop = repo_new(w, "shop"), *other = repo_new(w, "other");
	int fds[SOCKETS], i;

	caddy_plain(w, "[]");
	up_ok(w, shop);
	up_ok(w, other);
	serve_ws(w, fmt(w, "%s/shop-main.sock", w->sockets));
	open_all(w, fds, "shop-main.dev.test");
	for (i = 0; i < 20; i++) {
		up_ok(w, other);
		up_ok(w, shop);
		assert_int_equal(count_closed(fds), 0);
	}
	assert_all_alive(fds);
	close_all(fds);
}

TEST(looking_closes_none)
{
	static const char *const verbs[] = {"status", "list", "url", "name", "env", "config", "gc"};
	char *shop = repo_new(w, "shop");
	int fds[SOCKETS];
	size_t i;

	caddy_plain(w, "[]");
	up_ok(w, shop);
	serve_ws(w, fmt(w, "%s/shop-main.sock", w->sockets));
	open_all(w, fds, "shop-main.dev.test");
	for (i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		assert_exit(w, DM(w, shop, verbs[i]), 0);
		assert_int_equal(count_closed(fds), 0);
	}
	assert_exit(w, DM(w, shop, "up", "--dry-run", "--port", "1"), 0);
	assert_all_alive(fds);
	close_all(fds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(none_is_closed_over_100_up_and_down),
	    WORLD_TEST(a_change_of_the_configuration_would_have_been_seen),
	    WORLD_TEST(up_again_of_an_equal_route_closes_none),
	    WORLD_TEST(looking_closes_none),
	};

	return RUN_TESTS(tests);
}
