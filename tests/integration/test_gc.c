/* SPDX-License-Identifier: MIT */
/*
 * `gc` cleans up by evidence: what is dead and ours goes, what lives or is not ours stays. Other
 * users' leftovers are in test_faults.c.
 */
#include "harness_net.h"

#include <unistd.h>

static void
gc(struct world *w)
{
	assert_exit(w, DM(w, w->dir, "gc"), 0);
}

TEST(stale_socket_goes_and_the_claim_of_a_living_worktree_stays)
{
	char *repo = repo_new(w, "shop"), *sock = fmt(w, "%s/shop-main.sock", w->sockets);

	caddy_mesh(w, "");
	up_ok(w, repo);
	end_proc(w, serve_id(w, "shop-main"));
	assert_true(exists(sock));
	gc(w);
	assert_false(exists(sock));
	/* The worktree is there, so its name stays its own. */
	assert_string_equal(up_ok(w, repo), "shop-main");
}

TEST(starting_service_is_never_stale)
{
	char *repo = repo_new(w, "shop"), *before;

	caddy_plain(w, bystanders(w, 1));
	up_ok(w, repo);
	before = routes_text(w);
	gc(w);
	assert_non_null(claim_of(w, "shop-main"));
	assert_string_equal(routes_text(w), before);
}

TEST(living_service_is_never_touched)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x"), *before;

	caddy_plain(w, "[]");
	up_ok(w, repo);
	up_ok(w, wt);
	serve_id(w, "shop-main");
	serve_id(w, "shop-x");
	/* Its worktree removed under it, but it lives: evidence of life wins. */
	remove_tree(wt);
	before = routes_text(w);
	gc(w);
	assert_string_equal(routes_text(w), before);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_answers(w, "shop-x.dev.test", "shop-x");
}

TEST(busy_service_is_alive)
{
	char *repo = repo_new(w, "shop"), *sock = fmt(w, "%s/shop-main.sock", w->sockets);
	int fd, pending[2];

	caddy_mesh(w, "");
	up_ok(w, repo);
	/* So full that connect() fails with EAGAIN. */
	fd = full_socket(sock, pending);
	gc(w);
	assert_true(exists(sock));
	assert_exit(w, DM(w, repo, "status"), 0);
	close(fd);
	close(pending[0]);
	if (pending[1] >= 0)
		close(pending[1]);
}

TEST(orphan_goes_with_its_route_and_socket)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone");

	caddy_plain(w, bystanders(w, 3));
	up_ok(w, repo);
	up_ok(w, wt);
	end_proc(w, serve_id(w, "shop-gone"));
	GIT(w, repo, "worktree", "remove", "--force", wt);
	gc(w);
	assert_null(claim_of(w, "shop-gone"));
	assert_int_equal(count_routes(w, "shop-gone"), 0);
	assert_false(exists(fmt(w, "%s/shop-gone.sock", w->sockets)));
	route_of(w, "shop-main");
	assert_int_equal(count_claims(w), 1);
	assert_bystanders(w, 3);
}

TEST(dry_run_tells_and_does_nothing)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone"), *before;
	struct result r;

	caddy_plain(w, "[]");
	up_ok(w, repo);
	up_ok(w, wt);
	remove_tree(wt);
	before = routes_text(w);
	r = DM(w, w->dir, "gc", "--dry-run");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out[0] != '\0' ? r.out : r.err, "shop-gone"));
	assert_null(strstr(r.out, "shop-main"));
	assert_non_null(claim_of(w, "shop-gone"));
	assert_string_equal(routes_text(w), before);
	gc(w);
	assert_null(claim_of(w, "shop-gone"));
}

TEST(routes_and_files_of_others_stay)
{
	char *note = fmt(w, "%s/notes.txt", w->sockets), *before;

	/* A route that nobody claims, to a socket that does not answer: not ours to judge. */
	caddy_plain(
	    w, fmt(w,
		   "[{\"@id\":\"hand-made\",\"match\":[{\"host\":[\"hand-made.dev.test\"]}],"
		   "\"handle\":[{\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":"
		   "\"unix/%s/elsewhere.sock\"}]}]}]",
		   w->dir));
	write_text(note, "keep");
	before = routes_text(w);
	gc(w);
	assert_string_equal(routes_text(w), before);
	assert_string_equal(read_text(w, note), "keep");
}

TEST(works_without_caddy_as_far_as_it_can)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone");
	struct result r;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	stale_socket(fmt(w, "%s/shop-gone.sock", w->sockets));
	remove_tree(wt);
	end_proc(w, w->caddy);
	r = DM(w, w->dir, "gc");
	assert_true(r.code == 0 || r.code == 5);
	assert_non_null(claim_of(w, "shop-main"));
	caddy_start(w, read_text(w, w->caddy_config));
	gc(w);
	assert_null(claim_of(w, "shop-gone"));
	assert_false(exists(fmt(w, "%s/shop-gone.sock", w->sockets)));
}

TEST(nothing_to_do_is_fine)
{
	caddy_mesh(w, "");
	gc(w);
	world_env(w, "DEVMESH_SOCKETS_DIR", fmt(w, "%s/never-made", w->dir));
	gc(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(stale_socket_goes_and_the_claim_of_a_living_worktree_stays),
	    WORLD_TEST(starting_service_is_never_stale),
	    WORLD_TEST(living_service_is_never_touched),
	    WORLD_TEST(busy_service_is_alive),
	    WORLD_TEST(orphan_goes_with_its_route_and_socket),
	    WORLD_TEST(dry_run_tells_and_does_nothing),
	    WORLD_TEST(routes_and_files_of_others_stay),
	    WORLD_TEST(works_without_caddy_as_far_as_it_can),
	    WORLD_TEST(nothing_to_do_is_fine),
	};

	return RUN_TESTS(tests);
}
