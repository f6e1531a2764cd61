/* SPDX-License-Identifier: MIT */
/*
 * What looks like a service of ours and is not any more: a port that another worktree's server has
 * by now, a worktree that was removed with its server inside, a route that nobody misses.
 */
#include "harness_daemon.h"

#include <signal.h>

static struct proc *
serve_port(struct world *w, const char *dir, int port, const char *name)
{
	(void)name;
	return start(w, dir, ARGV("python3", run_server(w), fmt(w, "listen=127.0.0.1,%d", port)));
}

static void
up_at(struct world *w, const char *dir, int port)
{
	assert_exit(w, DM(w, dir, "up", "--port", fmt(w, "%d", port)), 0);
}

static bool
no_claim(struct world *w, const void *arg)
{
	return claim_of(w, arg) == NULL;
}

/* The claim goes, since nobody serves it any more; who has the port now is left alone. */
TEST(another_worktrees_server_has_the_port)
{
	char *repo = repo_new(w, "shop"), *gone = worktree_add(w, repo, "gone");
	char *next = worktree_add(w, repo, "next");
	int port = free_port(w);
	struct devmeshd *d;
	struct proc *p;

	caddy_mesh(w, "");
	daemon_conf(w, "grace", "0");
	daemon_conf(w, "orphans", "end");
	p = serve_port(w, gone, port, "gone");
	wait_printed(w, p, "listening");
	up_at(w, gone, port);
	d = daemon_start(w);
	wait_state(w, d, "shop-gone", "up");
	daemon_kill(w, d);
	end_proc(w, p);
	remove_tree(gone);
	p = serve_port(w, next, port, "next");
	wait_printed(w, p, "listening");
	up_at(w, next, port);
	d = daemon_start(w);
	assert_true(wait_until(w, no_claim, "shop-gone", ANSWER_MS));
	wait_state(w, d, "shop-next", "up");
	outlast_grace(w, d);
	assert_false(p->ended);
	assert_string_equal(json_str(claim_of(w, "shop-next"), "worktree"), next);
	assert_no_event(w, d, "mend", "shop-next");
}

TEST(gc_knows_whose_server_it_is)
{
	char *repo = repo_new(w, "shop"), *gone = worktree_add(w, repo, "gone");
	char *next = worktree_add(w, repo, "next");
	int port = free_port(w);
	struct result r;
	struct proc *p;

	caddy_mesh(w, "");
	up_at(w, gone, port);
	remove_tree(gone);
	p = serve_port(w, next, port, "next");
	wait_printed(w, p, "listening");
	/* nor is its end proposed */
	r = DM(w, repo, "doctor");
	assert_null(strstr(r.out, fmt(w, "kill %ld", (long)p->pid)));
	assert_exit(w, DM(w, repo, "gc"), 0);
	assert_null(claim_of(w, "shop-gone"));
	assert_false(p->ended);
}

/* Its server works in it, so the directory cannot tell of its own end. */
TEST(a_worktree_is_removed_under_its_server)
{
	char *repo = repo_new(w, "shop"), *gone = worktree_add(w, repo, "gone");
	const struct happened *e;
	struct devmeshd *d;
	int64_t began;

	caddy_mesh(w, "");
	up_ok(w, gone);
	serve_in(w, gone, fmt(w, "%s/shop-gone.sock", w->sockets), "gone");
	/* so that it is not the regular look that sees it */
	daemon_conf(w, "probe_interval", "600");
	d = daemon_start(w);
	wait_state(w, d, "shop-gone", "up");
	(void)wait_event(w, d, "worktree", gone, NULL);
	began = now_ms();
	remove_tree(gone);
	e = wait_move(w, d, "shop-gone", "up", "orphan", "a worktree was removed");
	assert_true(e->at_ms - began < ANSWER_MS);
	/* and back again */
	GIT(w, repo, "worktree", "prune");
	GIT(w, repo, "worktree", "add", "-q", gone, "gone");
	wait_move(w, d, "shop-gone", "orphan", "up", "a worktree is back");
}

/* A claim from before there was a mesh route: that one leads to it as well as its own did. */
TEST(a_lost_route_is_not_missed_beside_the_mesh_route)
{
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;

	caddy_mesh(w, "");
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "route");
	up_ok(w, repo);
	world_env(w, "DEVMESH_CADDY_REGISTRATION", NULL);
	serve_in(w, repo, fmt(w, "%s/shop-main.sock", w->sockets), "main");
	assert_int_equal(count_routes(w, "shop-main"), 1);
	caddy_restart(w);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	d = daemon_start(w);
	wait_state(w, d, "shop-main", "up");
	outlast_grace(w, d);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	assert_answers(w, "shop-main.dev.test", "main");
	assert_never(w, d, "shop-main", "degraded");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    DAEMON_TEST(another_worktrees_server_has_the_port),
	    WORLD_TEST(gc_knows_whose_server_it_is),
	    DAEMON_TEST(a_worktree_is_removed_under_its_server),
	    DAEMON_TEST(a_lost_route_is_not_missed_beside_the_mesh_route),
	};

	return RUN_TESTS(tests);
}
