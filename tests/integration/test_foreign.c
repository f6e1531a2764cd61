/* SPDX-License-Identifier: MIT */
/*
 * What another user puts into the shared directory: records, lock files, links. All tests play
 * root with nobody's files; where devmesh itself runs as another user is in test_faults.c.
 */
#include "harness_net.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define NOBODY 65534
#define UPS    10

static void
need_root(struct world *w)
{
	if (geteuid() != 0)
		world_skip(w, "needs root, to make files of another user");
}

static void
give_away(const char *path)
{
	assert_int_equal(lchown(path, NOBODY, NOBODY), 0);
}

/* A record of nobody's for this worktree; the path of its file. */
static char *
foreign_record(struct world *w, const char *id, const char *worktree)
{
	char *path = fmt(w, "%s/%s.json", w->sockets, id);

	write_text(
	    path, fmt(w,
		      "{\"schema_version\":1,\"id\":\"%s\",\"app\":\"%s\",\"branch\":\"main\","
		      "\"worktree\":\"%s\",\"socket\":\"%s/%s.sock\",\"registration\":\"route\","
		      "\"url\":\"http://"
		      "%s.dev.test:%d\",\"host\":\"%s.dev.test\",\"created\":1700000000}",
		      id, id, worktree, w->sockets, id, id, w->port, id));
	give_away(path);
	return path;
}

TEST(claim_of_another_user_is_refused_by_every_verb)
{
	static const char *const verbs[] = {"url", "env", "wait", "down"};
	char *repo = repo_new(w, "shop"), *path, *record, *before;
	size_t i;

	need_root(w);
	caddy_plain(w, bystanders(w, 1));
	up_ok(w, repo);
	path = foreign_record(w, "theirs", fmt(w, "%s/elsewhere", w->dir));
	record = read_text(w, path);
	serve_id(w, "theirs");
	before = routes_text(w);
	for (i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		assert_error(w, DM(w, repo, verbs[i], "theirs"), 6, "65534");
	assert_string_equal(read_text(w, path), record);
	assert_string_equal(routes_text(w), before);
	assert_string_equal(line_of(w, DM(w, repo, "name")), "shop-main");
}

TEST(foreign_record_of_the_same_gone_worktree_is_passed_over)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone"), *first, *last;

	need_root(w);
	caddy_plain(w, bystanders(w, 1));
	up_ok(w, wt);
	/* One before and one after ours, whichever way they are listed. */
	first = foreign_record(w, "aaa", wt);
	last = foreign_record(w, "zzz", wt);
	remove_tree(wt);
	assert_exit(w, DM(w, w->dir, "down", "-C", wt), 0);
	assert_null(claim_of(w, "shop-gone"));
	assert_int_equal(count_routes(w, "shop-gone"), 0);
	assert_true(exists(first) && exists(last));
	/* Nothing of ours is left for it. */
	assert_error(w, DM(w, w->dir, "down", "-C", wt), 3, NULL);
	assert_true(exists(first) && exists(last));
}

static void
foreign_locks(struct world *w)
{
	static const char *const kinds[] = {"claims", "caddy"};
	size_t i;

	for (i = 0; i < 2; i++) {
		char *path = fmt(w, "%s/.%s.0.lock", w->sockets, kinds[i]);
		int fd;

		write_text(path, "");
		give_away(path);
		/* And locked for as long as this process lives. */
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(flock(fd, LOCK_EX), 0);
	}
}

TEST(lock_files_of_another_user_do_not_matter)
{
	char *repo = repo_new(w, "shop");

	need_root(w);
	caddy_plain(w, bystanders(w, 1));
	foreign_locks(w);
	assert_string_equal(up_ok(w, repo), "shop-main");
	route_of(w, "shop-main");
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_int_equal(count_claims(w), 0);
}

TEST(link_of_another_user_as_lock_file_does_not_matter)
{
	char *repo = repo_new(w, "shop"), *path = fmt(w, "%s/.claims.0.lock", w->sockets);
	char *precious = fmt(w, "%s/precious", w->dir);

	need_root(w);
	caddy_plain(w, "[]");
	assert_int_equal(symlink(precious, path), 0);
	give_away(path);
	up_ok(w, repo);
	assert_false(exists(precious));
	assert_true(exists(path));
}

TEST(parallel_ups_behind_a_foreign_lock_file)
{
	char *repo = repo_new(w, "shop"), *trees[UPS];
	struct proc *p[UPS];
	int i;

	need_root(w);
	caddy_plain(w, bystanders(w, 3));
	for (i = 0; i < UPS; i++)
		trees[i] = worktree_add(w, repo, fmt(w, "b%d", i));
	foreign_locks(w);
	for (i = 0; i < UPS; i++)
		p[i] = DM_BG(w, trees[i], "up");
	for (i = 0; i < UPS; i++)
		assert_exit(w, finish(w, p[i]), 0);
	for (i = 0; i < UPS; i++) {
		route_of(w, fmt(w, "shop-b%d", i));
		assert_string_equal(
		    json_str(claim_of(w, fmt(w, "shop-b%d", i)), "worktree"), trees[i]);
	}
	assert_int_equal(count_claims(w), UPS);
	assert_bystanders(w, 3);
}

/* The same name for all of them: the lock in its other place does exclude. */
TEST(parallel_clones_behind_a_foreign_lock_file)
{
	struct proc *p[UPS];
	char *ids[UPS], *clone;
	int i, j;

	need_root(w);
	caddy_plain(w, "[]");
	foreign_locks(w);
	for (i = 0; i < UPS; i++) {
		make_dir(w, fmt(w, "c%d", i));
		clone = repo_new(w, fmt(w, "c%d/shop", i));
		p[i] = DM_BG(w, clone, "up");
	}
	for (i = 0; i < UPS; i++) {
		struct result r = finish(w, p[i]);

		assert_exit(w, r, 0);
		ids[i] = id_of_url(w, line_of(w, r));
		for (j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
	assert_int_equal(count_claims(w), UPS);
	assert_int_equal(cJSON_GetArraySize(routes(w)), UPS);
}

TEST(dangling_link_of_another_user_is_in_the_way)
{
	char *repo = repo_new(w, "shop"), *path = fmt(w, "%s/shop-main.sock", w->sockets);

	need_root(w);
	caddy_plain(w, "[]");
	assert_int_equal(symlink("nowhere.sock", path), 0);
	give_away(path);
	assert_error(w, DM(w, repo, "up"), 4, "65534");
	assert_true(exists(path));
	assert_int_equal(cJSON_GetArraySize(routes(w)), 0);
	assert_null(claim_of(w, "shop-main"));
	assert_exit(w, DM(w, repo, "gc"), 0);
	assert_true(exists(path));
	assert_exit(w, DM(w, repo, "up", "--id", "shop-two"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(claim_of_another_user_is_refused_by_every_verb),
	    WORLD_TEST(foreign_record_of_the_same_gone_worktree_is_passed_over),
	    WORLD_TEST(lock_files_of_another_user_do_not_matter),
	    WORLD_TEST(link_of_another_user_as_lock_file_does_not_matter),
	    WORLD_TEST(parallel_ups_behind_a_foreign_lock_file),
	    WORLD_TEST(parallel_clones_behind_a_foreign_lock_file),
	    WORLD_TEST(dangling_link_of_another_user_is_in_the_way),
	};

	return RUN_TESTS(tests);
}
