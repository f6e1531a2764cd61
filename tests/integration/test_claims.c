/* SPDX-License-Identifier: MIT */
/*
 * Claims: who has which name when two want it, and what a hostile or damaged registry directory
 * may not do to us. Other users' claims are in test_faults.c.
 */
#include "harness_net.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void
assert_suffixed(const char *id, const char *base)
{
	size_t len = strlen(base);

	if (strncmp(id, base, len) != 0 || id[len] != '-' || strlen(id) != len + 8)
		fail_msg("\"%s\" is not \"%s-\" and a hash of 7", id, base);
}

TEST(same_slug_gets_a_suffix_and_keeps_it)
{
	char *repo = repo_new(w, "shop");
	char *a = worktree_add(w, repo, "feature/auth"), *b = worktree_add(w, repo, "feature-auth");
	char *id;

	caddy_mesh(w, "");
	assert_string_equal(up_ok(w, a), "shop-feature-auth");
	id = up_ok(w, b);
	assert_suffixed(id, "shop-feature-auth");
	assert_string_equal(up_ok(w, a), "shop-feature-auth");
	assert_string_equal(up_ok(w, b), id);
	assert_string_equal(line_of(w, DM(w, b, "name")), id);
	assert_string_equal(id_of_url(w, line_of(w, DM(w, b, "url"))), id);
	serve_id(w, id);
	serve_id(w, "shop-feature-auth");
	assert_answers(w, fmt(w, "%s.dev.test", id), id);
	assert_answers(w, "shop-feature-auth.dev.test", "shop-feature-auth");
	/* It keeps its name even when the plain one becomes free. */
	assert_exit(w, DM(w, a, "down"), 0);
	assert_string_equal(up_ok(w, b), id);
	assert_int_equal(count_claims(w), 1);
}

TEST(different_apps_may_meet_in_one_name)
{
	char *x = repo_new(w, "a-b"), *y = repo_new(w, "a");

	caddy_mesh(w, "");
	GIT(w, x, "checkout", "-q", "-b", "c");
	GIT(w, y, "checkout", "-q", "-b", "b-c");
	assert_string_equal(up_ok(w, x), "a-b-c");
	assert_suffixed(up_ok(w, y), "a-b-c");
	assert_int_equal(count_claims(w), 2);
}

TEST(two_clones_of_one_branch_are_two_services)
{
	char *one = repo_new(w, "shop"), *two = fmt(w, "%s/again/shop", w->dir), *three, *b, *c;

	caddy_mesh(w, "");
	make_dir(w, "again");
	make_dir(w, "third");
	three = fmt(w, "%s/third/shop", w->dir);
	GIT(w, w->dir, "clone", "-q", one, two);
	GIT(w, w->dir, "clone", "-q", one, three);
	assert_string_equal(up_ok(w, one), "shop-main");
	b = up_ok(w, two);
	c = up_ok(w, three);
	assert_suffixed(b, "shop-main");
	assert_string_not_equal(b, c);
	assert_string_equal(up_ok(w, two), b);
	assert_string_equal(up_ok(w, three), c);
}

TEST(explicit_id_conflict_names_the_other_worktree)
{
	char *a = repo_new(w, "a"), *b = repo_new(w, "b");
	struct result r;
	const cJSON *error;

	caddy_mesh(w, "");
	assert_exit(w, DM(w, a, "up", "--id", "demo"), 0);
	assert_error(w, DM(w, b, "up", "--id", "demo"), 4, a);
	assert_non_null(strstr(w->last_err, "\n  try: "));
	r = DM(w, b, "up", "--id", "demo", "--json");
	assert_exit(w, r, 4);
	error = cJSON_GetObjectItem(json_of(w, r.out), "error");
	assert_string_equal(json_str(error, "code"), "conflict");
	assert_non_null(strstr(json_str(error, "message"), a));
	assert_string_not_equal(json_str(error, "hint"), "");
	assert_string_equal(json_str(claim_of(w, "demo"), "worktree"), a);
	/* The same by the other two ways to say a whole id. */
	world_env(w, "DEVMESH_ID", "demo");
	assert_error(w, DM(w, b, "up"), 4, a);
	world_env(w, "DEVMESH_ID", NULL);
	write_text(fmt(w, "%s/.id", b), "demo.\n");
	assert_error(w, DM(w, b, "up"), 4, a);
}

TEST(force_takes_over_ones_own_name)
{
	char *a = repo_new(w, "a"), *b = repo_new(w, "b");

	caddy_plain(w, bystanders(w, 2));
	assert_exit(w, DM(w, a, "up", "--id", "demo"), 0);
	assert_exit(w, DM(w, b, "up", "--id", "demo", "--force"), 0);
	assert_string_equal(json_str(claim_of(w, "demo"), "worktree"), b);
	assert_int_equal(count_claims(w), 1);
	route_of(w, "demo");
	assert_error(w, DM(w, a, "up", "--id", "demo"), 4, b);
}

TEST(claim_of_a_vanished_worktree_is_free)
{
	char *a = repo_new(w, "a"), *b = repo_new(w, "b");

	caddy_mesh(w, "");
	assert_exit(w, DM(w, a, "up", "--id", "demo"), 0);
	remove_tree(a);
	assert_exit(w, DM(w, b, "up", "--id", "demo"), 0);
	assert_string_equal(json_str(claim_of(w, "demo"), "worktree"), b);
}

TEST(moved_worktree_takes_its_name_along)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *moved = fmt(w, "%s/moved", w->dir);

	caddy_mesh(w, "");
	assert_string_equal(up_ok(w, wt), "shop-x");
	GIT(w, repo, "worktree", "move", wt, moved);
	assert_string_equal(up_ok(w, moved), "shop-x");
	assert_string_equal(json_str(claim_of(w, "shop-x"), "worktree"), moved);
	assert_int_equal(count_claims(w), 1);
}

TEST(other_branch_in_the_same_worktree)
{
	char *repo = repo_new(w, "shop");

	caddy_mesh(w, "");
	GIT(w, repo, "checkout", "-q", "-b", "one");
	assert_string_equal(up_ok(w, repo), "shop-one");
	GIT(w, repo, "checkout", "-q", "-b", "two");
	assert_string_equal(up_ok(w, repo), "shop-two");
	/* Back again: the same name as before, whatever became of the first claim. */
	GIT(w, repo, "checkout", "-q", "one");
	assert_string_equal(up_ok(w, repo), "shop-one");
}

TEST(damaged_record_harms_nobody_else)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	static const char *const garbage[] = {"", "{", "[]", "null", "{\"id\":7}",
	    "{\"schema_version\":1,\"id\":\"shop-main\",\"worktree\":\"../../x\",\"upstream\":[]}",
	    "{\"alias_of\":\"shop-main\"}", "\xff\xfe\x00"};
	struct result r;
	size_t i;

	caddy_mesh(w, "");
	up_ok(w, wt);
	for (i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
		write_text(fmt(w, "%s/shop-main.json", w->sockets), garbage[i]);
		r = DM(w, w->dir, "list");
		assert_exit(w, r, 0);
		assert_non_null(strstr(r.out, "shop-x"));
		assert_exit(w, DM(w, w->dir, "status", "--json"), 0);
		assert_string_equal(up_ok(w, repo), "shop-main");
		assert_string_equal(json_str(claim_of(w, "shop-main"), "worktree"), repo);
	}
}

TEST(huge_record_is_not_swallowed)
{
	char *repo = repo_new(w, "shop"), *big = malloc(8 << 20);

	assert_non_null(big);
	caddy_mesh(w, "");
	memset(big, '[', 8 << 20);
	write_file(fmt(w, "%s/shop-main.json", w->sockets), big, 8 << 20);
	free(big);
	assert_exit(w, DM(w, w->dir, "list"), 0);
	assert_string_equal(up_ok(w, repo), "shop-main");
}

TEST(links_in_the_registry_are_not_followed)
{
	char *repo = repo_new(w, "shop"), *victim = fmt(w, "%s/victim", w->dir);
	char *record = fmt(w, "%s/shop-main.json", w->sockets);
	struct result r;

	caddy_mesh(w, "");
	write_text(victim, "precious");
	assert_int_equal(symlink(victim, record), 0);
	r = DM(w, repo, "up");
	assert_true(r.code == 0 || r.code == 4 || r.code == 6);
	assert_string_equal(read_text(w, victim), "precious");
	DM(w, w->dir, "down", "shop-main");
	DM(w, w->dir, "gc");
	assert_string_equal(read_text(w, victim), "precious");
}

TEST(leftover_link_for_a_socket_spares_its_target)
{
	char *repo = repo_new(w, "shop"), *victim = fmt(w, "%s/victim", w->dir);

	caddy_mesh(w, "");
	write_text(victim, "precious");
	up_ok(w, repo);
	assert_int_equal(symlink(victim, fmt(w, "%s/shop-main.sock", w->sockets)), 0);
	DM(w, repo, "down");
	assert_string_equal(read_text(w, victim), "precious");
}

TEST(directory_is_made_with_the_sticky_bit)
{
	char *repo = repo_new(w, "shop"), *dir = fmt(w, "%s/made", w->dir);
	struct stat st;

	caddy_plain(w, "[]");
	world_env(w, "DEVMESH_SOCKETS_DIR", dir);
	up_ok(w, repo);
	assert_int_equal(lstat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
}

TEST(directory_that_is_a_link_is_refused)
{
	char *repo = repo_new(w, "shop"), *real = make_dir(w, "real");
	char *dir = fmt(w, "%s/link", w->dir);

	caddy_plain(w, "[]");
	assert_int_equal(symlink(real, dir), 0);
	world_env(w, "DEVMESH_SOCKETS_DIR", dir);
	assert_error(w, DM(w, repo, "up"), 6, dir);
	assert_int_equal(count_files(real, ".json"), 0);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 0);
}

TEST(directory_open_to_all_without_sticky_bit_is_refused)
{
	char *repo = repo_new(w, "shop"), *dir = make_dir(w, "open");

	caddy_plain(w, "[]");
	chmod(dir, 0777);
	world_env(w, "DEVMESH_SOCKETS_DIR", dir);
	if (geteuid() == 0) /* one's own may be put right; another's may not */
		own_tree(dir, 65533);
	else
		world_skip(w, "needs root, to make a directory of another user");
	assert_error(w, DM(w, repo, "up"), 6, dir);
	assert_int_equal(count_files(dir, ".json"), 0);
}

TEST(directory_that_is_a_file_is_said)
{
	char *repo = repo_new(w, "shop"), *path = fmt(w, "%s/file", w->dir);

	caddy_plain(w, "[]");
	write_text(path, "x");
	world_env(w, "DEVMESH_SOCKETS_DIR", path);
	assert_error(w, DM(w, repo, "up"), ANY_ERROR, path);
	assert_string_equal(read_text(w, path), "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(same_slug_gets_a_suffix_and_keeps_it),
	    WORLD_TEST(different_apps_may_meet_in_one_name),
	    WORLD_TEST(two_clones_of_one_branch_are_two_services),
	    WORLD_TEST(explicit_id_conflict_names_the_other_worktree),
	    WORLD_TEST(force_takes_over_ones_own_name),
	    WORLD_TEST(claim_of_a_vanished_worktree_is_free),
	    WORLD_TEST(moved_worktree_takes_its_name_along),
	    WORLD_TEST(other_branch_in_the_same_worktree),
	    WORLD_TEST(damaged_record_harms_nobody_else),
	    WORLD_TEST(huge_record_is_not_swallowed),
	    WORLD_TEST(links_in_the_registry_are_not_followed),
	    WORLD_TEST(leftover_link_for_a_socket_spares_its_target),
	    WORLD_TEST(directory_is_made_with_the_sticky_bit),
	    WORLD_TEST(directory_that_is_a_link_is_refused),
	    WORLD_TEST(directory_open_to_all_without_sticky_bit_is_refused),
	    WORLD_TEST(directory_that_is_a_file_is_said),
	};

	return RUN_TESTS(tests);
}
