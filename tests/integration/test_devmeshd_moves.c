/* SPDX-License-Identifier: MIT */
/*
 * Each legal move of a service from one state to another, seen from outside as an event with what
 * was, what is and why; the API says the same.
 */
#include "harness_daemon.h"

#include <unistd.h>

enum facing {
	NOBODY_THERE, /* no socket file */
	REFUSED,
	OWN_SERVER,
	FOREIGN_SERVER
};

/*
 * One service whose facts can each be changed at one stroke: its socket is another one by
 * rename(2), its worktree is there or not by the same, and Caddy runs or is killed.
 */
struct stage {
	struct world *w;
	struct devmeshd *d;
	char *tree, *hidden, *elsewhere, *sock;
	enum facing facing;
	bool has_tree, has_caddy;
	struct proc *server;
	struct proc *leaving; /* has nothing any more: its end is no reason */
};

/* What makes a state; ANY: does not matter to it. */
enum {
	NO,
	YES,
	ANY
};

static const struct recipe {
	const char *state;
	int tree, caddy, facing;
} recipes[] = {
    {"starting", YES, ANY, NOBODY_THERE},
    {"up", YES, YES, OWN_SERVER},
    {"degraded", YES, NO, OWN_SERVER},
    {"stale", YES, ANY, REFUSED},
    {"foreign", YES, ANY, FOREIGN_SERVER},
    {"orphan", NO, ANY, -1},
};

#define RECIPES ((int)(sizeof recipes / sizeof recipes[0]))

static void
set_caddy(struct stage *s, bool wanted)
{
	if (s->has_caddy == wanted)
		return;
	if (wanted)
		caddy_start(s->w, read_text(s->w, s->w->caddy_config));
	else
		end_proc(s->w, s->w->caddy);
	s->has_caddy = wanted;
	(void)wait_event(s->w, s->d, "caddy", NULL, wanted ? "it answers" : "it does not answer");
}

static void
set_facing(struct stage *s, enum facing wanted)
{
	struct proc *old = s->server;
	char *next = fmt(s->w, "%s.next", s->sock);

	if (s->facing == wanted)
		return;
	s->server = NULL;
	if (wanted == REFUSED)
		stale_socket(next);
	else if (wanted != NOBODY_THERE)
		s->server =
		    serve_in(s->w, wanted == OWN_SERVER ? s->tree : s->elsewhere, next, "shop-x");
	if (wanted == NOBODY_THERE)
		assert_int_equal(unlink(s->sock), 0);
	else
		assert_int_equal(rename(next, s->sock), 0);
	s->facing = wanted;
	s->leaving = old;
}

/* Hidden it is no checkout any more, or its server would tell that it was only moved. */
static void
set_tree(struct stage *s, bool wanted)
{
	char *git = fmt(s->w, "%s/.git", s->tree), *away = fmt(s->w, "%s/git-away", s->tree);

	if (s->has_tree == wanted)
		return;
	if (wanted) {
		assert_int_equal(rename(s->hidden, s->tree), 0);
		assert_int_equal(rename(away, git), 0);
	} else {
		assert_int_equal(rename(git, away), 0);
		assert_int_equal(rename(s->tree, s->hidden), 0);
	}
	s->has_tree = wanted;
}

/* From one state to another: first what cannot be seen from the first, then the move itself. */
static void
go(struct stage *s, int from, int to)
{
	const struct recipe *a = &recipes[from], *b = &recipes[to];
	const char *reason;

	if (a->tree == NO) {
		/* behind a missing worktree everything else is hidden; a server needs it, though */
		if (b->facing == OWN_SERVER)
			assert_int_equal(s->facing, OWN_SERVER);
		else
			set_facing(s, (enum facing)b->facing);
		set_caddy(s, b->caddy != NO);
		set_tree(s, true);
		reason = NULL;
	} else if (b->tree == NO) {
		set_tree(s, false);
		reason = NULL;
	} else if (a->facing != b->facing) {
		set_caddy(s, b->caddy == ANY ? s->has_caddy : b->caddy == YES);
		set_facing(s, (enum facing)b->facing);
		reason = "its socket has changed";
	} else {
		set_caddy(s, b->caddy == YES);
		reason = b->caddy == YES ? "Caddy answers again" : "Caddy is down";
	}
	(void)wait_move(s->w, s->d, "shop-x", a->state, b->state, reason);
	if (s->leaving != NULL)
		end_proc(s->w, s->leaving);
	s->leaving = NULL;
}

static void
set_stage(struct world *w, struct stage *s)
{
	char *repo = repo_new(w, "shop");

	*s = (struct stage){.w = w,
	    .tree = worktree_add(w, repo, "x"),
	    .hidden = fmt(w, "%s/hidden", w->dir),
	    .elsewhere = make_dir(w, "elsewhere"),
	    .sock = socket_of(w, "shop-x"),
	    .facing = NOBODY_THERE,
	    .has_tree = true,
	    .has_caddy = true};
	caddy_mesh(w, "");
	up_ok(w, s->tree);
	daemon_conf(w, "GRACE", "3600");
	daemon_conf(w, "PROBE_INTERVAL", "1");
	s->d = daemon_start(w);
	assert_string_equal(json_str(service_of(w, s->d, "shop-x"), "state"), "starting");
}

/* From this state to each other one and back. */
static void
tour(struct world *w, int from)
{
	struct stage s;

	set_stage(w, &s);
	if (from != 0)
		go(&s, 0, from);
	for (int to = 0; to < RECIPES; to++) {
		if (to == from)
			continue;
		/* a server that is to be there when the worktree is back was there before */
		if (recipes[from].tree == NO && recipes[to].facing == OWN_SERVER) {
			go(&s, from, 0);
			go(&s, 0, 1);
			go(&s, 1, from);
		}
		go(&s, from, to);
		if (recipes[from].facing == OWN_SERVER && recipes[to].tree == NO)
			assert_int_equal(s.facing, OWN_SERVER);
		go(&s, to, from);
	}
}

TEST(moves_from_starting_and_back)
{
	tour(w, 0);
}

TEST(moves_from_up_and_back)
{
	tour(w, 1);
}

TEST(moves_from_degraded_and_back)
{
	tour(w, 2);
}

TEST(moves_from_stale_and_back)
{
	tour(w, 3);
}

TEST(moves_from_foreign_and_back)
{
	tour(w, 4);
}

TEST(moves_from_orphan_and_back)
{
	tour(w, 5);
}

/* The same behind a port: "down" where a socket would be "stale" or "starting". */
TEST(moves_from_down_and_back)
{
	char *repo = repo_new(w, "shop"), *tree = worktree_add(w, repo, "x");
	char *hidden = fmt(w, "%s/hidden", w->dir), *elsewhere = make_dir(w, "elsewhere");
	struct devmeshd *d;
	struct proc *p;
	int port;

	caddy_mesh(w, "");
	p = serve_tcp_in(w, tree, "shop-x", &port);
	assert_exit(w, DM(w, tree, "up", "--port", fmt(w, "%d", port)), 0);
	daemon_conf(w, "GRACE", "3600");
	daemon_conf(w, "PROBE_INTERVAL", "1");
	d = daemon_start(w);
	wait_state(w, d, "shop-x", "up");
	end_proc(w, p);
	(void)wait_move(w, d, "shop-x", "up", "down", "its process has ended");
	p = serve_port_in(w, tree, "shop-x", port);
	(void)wait_move(w, d, "shop-x", "down", "up", NULL);
	/* degraded, with and without a stop in between */
	end_proc(w, w->caddy);
	(void)wait_move(w, d, "shop-x", "up", "degraded", "Caddy is down");
	end_proc(w, p);
	(void)wait_move(w, d, "shop-x", "degraded", "down", "its process has ended");
	p = serve_port_in(w, tree, "shop-x", port);
	(void)wait_move(w, d, "shop-x", "down", "degraded", NULL);
	end_proc(w, p);
	(void)wait_move(w, d, "shop-x", "degraded", "down", NULL);
	/* foreign */
	p = serve_port_in(w, elsewhere, "other", port);
	(void)wait_move(w, d, "shop-x", "down", "foreign", NULL);
	end_proc(w, p);
	(void)wait_move(w, d, "shop-x", "foreign", "down", "its process has ended");
	/* orphan */
	assert_int_equal(rename(tree, hidden), 0);
	(void)wait_move(w, d, "shop-x", "down", "orphan", NULL);
	assert_int_equal(rename(hidden, tree), 0);
	(void)wait_move(w, d, "shop-x", "orphan", "down", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(moves_from_starting_and_back),
	    DAEMON_TEST(moves_from_up_and_back),
	    DAEMON_TEST(moves_from_degraded_and_back),
	    DAEMON_TEST(moves_from_stale_and_back),
	    DAEMON_TEST(moves_from_foreign_and_back),
	    DAEMON_TEST(moves_from_orphan_and_back),
	    DAEMON_TEST(moves_from_down_and_back),
	};

	return RUN_TESTS(tests);
}
