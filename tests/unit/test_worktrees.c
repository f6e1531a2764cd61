/* SPDX-License-Identifier: MIT */
/* The worktrees of real repositories, as git makes, moves, loses and forgets them. */
#include "repos.h"

#include "base/clock.h"
#include "few_fds.h"
#include "repo/worktrees.h"

enum {
	LONG_MS = 60000
};

struct place {
	char *dir;
	char *repo, *common;
	struct worktree_list list;
};

static int
setup(void **state)
{
	struct place *p = dm_calloc(1, sizeof(*p));
	DM_AUTO_FREE char *made = temp_dir();

	p->dir = realpath(made, NULL);
	p->repo = repo_in(p->dir, "shop");
	p->common = in_dir(p->repo, ".git");
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	worktrees_release(&p->list);
	free(p->repo);
	free(p->common);
	remove_tree(p->dir);
	free(p);
	return 0;
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void
list(struct place *p, const char *common)
{
	struct dm_err err;

	worktrees_release(&p->list);
	assert_ok(worktrees_list(common, &p->list, &err), &err);
}

/* The one with that name of its directory; fails the test if it is not listed. */
static const struct worktree *
named(const struct place *p, const char *name)
{
	for (size_t i = 0; i < p->list.count; i++) {
		DM_AUTO_FREE char *base = dm_path_base(p->list.list[i].path);

		if (strcmp(base, name) == 0)
			return &p->list.list[i];
	}
	fail_msg("%s is not listed", name);
	return NULL;
}

static void
assert_head(const struct worktree *w)
{
	const char *const args[] = {"rev-parse", "HEAD", NULL};
	DM_AUTO_FREE char *want = git_line(w->path, args);

	assert_non_null(want);
	assert_string_equal(w->head, want);
}

static void
all_of_them_the_main_one_first(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *b = in_dir(p->dir, "b"), *a = in_dir(p->dir, "a tree");
	DM_AUTO_FREE char *admin = NULL;

	GIT(p->repo, "worktree", "add", "-q", "-b", "feature/x", b);
	GIT(p->repo, "worktree", "add", "-q", "--detach", a);
	GIT(p->repo, "pack-refs", "--all");
	list(p, p->common);
	assert_int_equal(p->list.count, 3);
	assert_string_equal(p->list.list[0].path, p->repo);
	assert_string_equal(p->list.list[0].git_dir, p->common);
	assert_string_equal(p->list.list[0].branch, "main");
	assert_true(p->list.list[0].is_main);
	assert_string_equal(p->list.list[1].path, a);
	assert_null(p->list.list[1].branch);
	assert_string_equal(p->list.list[2].path, b);
	assert_string_equal(p->list.list[2].branch, "feature/x");
	admin = in_dir(p->common, "worktrees/b");
	assert_string_equal(p->list.list[2].git_dir, admin);
	for (size_t i = 0; i < 3; i++) {
		assert_head(&p->list.list[i]);
		assert_int_equal(p->list.list[i].is_main, i == 0);
		assert_false(p->list.list[i].gone);
	}
}

static void
before_the_first_commit(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *empty = in_dir(p->dir, "empty");
	DM_AUTO_FREE char *common = in_dir(empty, ".git");

	assert_int_equal(mkdir(empty, 0700), 0);
	GIT(empty, "init", "-q", "-b", "trunk");
	list(p, common);
	assert_int_equal(p->list.count, 1);
	assert_string_equal(p->list.list[0].branch, "trunk");
	assert_null(p->list.list[0].head);
}

static void
moved_removed_and_pruned(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *a = in_dir(p->dir, "a"), *b = in_dir(p->dir, "b");

	GIT(p->repo, "worktree", "add", "-q", "-b", "x", a);
	GIT(p->repo, "worktree", "move", a, b);
	list(p, p->common);
	assert_string_equal(named(p, "b")->path, b);
	assert_false(named(p, "b")->gone);
	/* by hand: git still knows it, with its branch and its commit */
	remove_below(b);
	list(p, p->common);
	assert_true(named(p, "b")->gone);
	assert_string_equal(named(p, "b")->branch, "x");
	assert_string_equal(named(p, "b")->head, p->list.list[0].head);
	GIT(p->repo, "worktree", "prune");
	list(p, p->common);
	assert_int_equal(p->list.count, 1);
}

static void
links_in_a_path_are_resolved(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *real = in_dir(p->dir, "real"), *link = in_dir(p->dir, "link");
	DM_AUTO_FREE char *by_link = in_dir(link, "a"), *a = in_dir(real, "a");

	assert_int_equal(mkdir(real, 0700), 0);
	assert_int_equal(symlink(real, link), 0);
	GIT(p->repo, "worktree", "add", "-q", "-b", "x", by_link);
	list(p, p->common);
	assert_string_equal(named(p, "a")->path, a);
}

/* git-worktree(1): --relative-paths, of git 2.48; what it writes is written here by hand. */
static void
relative_paths(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *a = in_dir(p->dir, "a");
	DM_AUTO_FREE char *file = in_dir(p->common, "worktrees/a/gitdir");

	GIT(p->repo, "worktree", "add", "-q", "-b", "x", a);
	put_file(file, "../../../../a/.git\n");
	list(p, p->common);
	assert_string_equal(named(p, "a")->path, a);
	assert_false(named(p, "a")->gone);
}

static void
a_rebase_under_way(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *dir = in_dir(p->common, "rebase-merge");
	DM_AUTO_FREE char *file = in_dir(dir, "head-name");

	GIT(p->repo, "checkout", "-q", "--detach");
	assert_int_equal(mkdir(dir, 0700), 0);
	put_file(file, "refs/heads/feature\n");
	list(p, p->common);
	assert_string_equal(p->list.list[0].branch, "feature");
}

static void
bare_repositories_have_no_main_one(void **state)
{
	struct place *p = *state;
	/* also where the name would say otherwise */
	static const char *const names[] = {"shop.git", ".bare", "app/.git"};

	for (size_t i = 0; i < COUNT(names); i++) {
		DM_AUTO_FREE char *bare = in_dir(p->dir, names[i]);
		DM_AUTO_FREE char *tree = dm_asprintf("%s/t%zu", p->dir, i);

		GIT(p->dir, "clone", "-q", "--bare", p->repo, bare);
		list(p, bare);
		assert_int_equal(p->list.count, 0);
		GIT(bare, "worktree", "add", "-q", "-b", "x", tree);
		list(p, bare);
		assert_int_equal(p->list.count, 1);
		assert_string_equal(p->list.list[0].path, tree);
		assert_false(p->list.list[0].is_main);
	}
}

static void
a_submodule_is_where_its_configuration_says(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *sub = in_dir(p->repo, "lib");
	DM_AUTO_FREE char *common = in_dir(p->common, "modules/lib");
	DM_AUTO_FREE char *other = in_dir(p->dir, "other");

	GIT(p->dir, "clone", "-q", p->repo, other);
	GIT(p->repo, "-c", "protocol.file.allow=always", "submodule", "add", other, "lib");
	list(p, common);
	assert_int_equal(p->list.count, 1);
	assert_string_equal(p->list.list[0].path, sub);
	assert_true(p->list.list[0].is_main);
}

/* extensions.worktreeConfig moves core.bare and core.worktree: git has to be asked. */
static void
configuration_of_each_worktree(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *bare = in_dir(p->dir, "b.git"), *tree = in_dir(p->dir, "t");

	GIT(p->dir, "clone", "-q", "--bare", p->repo, bare);
	GIT(bare, "config", "extensions.worktreeConfig", "true");
	GIT(bare, "config", "--unset", "core.bare");
	GIT(bare, "config", "--worktree", "core.bare", "true");
	GIT(bare, "worktree", "add", "-q", "-b", "x", tree);
	list(p, bare);
	assert_int_equal(p->list.count, 1);
	assert_string_equal(p->list.list[0].path, tree);
}

static void
what_is_no_worktree_is_not_listed(void **state)
{
	struct place *p = *state;
	static const char *const texts[] = {"", "\n", "/etc/passwd\n", "x", "\xff\xfe\n"};
	DM_AUTO_FREE char *admins = in_dir(p->common, "worktrees");
	DM_AUTO_FREE char *none = in_dir(p->dir, "none");
	struct worktree_list empty;
	struct dm_err err;

	assert_int_equal(mkdir(admins, 0700), 0);
	for (size_t i = 0; i < COUNT(texts); i++) {
		DM_AUTO_FREE char *admin = dm_asprintf("%s/w%zu", admins, i);
		DM_AUTO_FREE char *file = in_dir(admin, "gitdir");

		assert_int_equal(mkdir(admin, 0700), 0);
		put_file(file, texts[i]);
	}
	list(p, p->common);
	assert_int_equal(p->list.count, 1);
	assert_fails(worktrees_list(none, &empty, &err), &err, DM_NOT_FOUND, none);
	assert_fails(worktrees_list(p->dir, &empty, &err), &err, DM_NOT_FOUND, p->dir);
	assert_int_equal(empty.count, 0);
}

/* ---- one of them --------------------------------------------------------------------------- */

static void
look(const struct place *p, const char *name, struct worktree_detail *out)
{
	worktree_look(named(p, name), LONG_MS, out);
}

static void
what_git_says_of_one(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *clone = in_dir(p->dir, "clone");
	DM_AUTO_FREE char *common = in_dir(clone, ".git");
	DM_AUTO_FREE char *f = in_dir(clone, "f"), *g = in_dir(clone, "g");
	DM_AUTO_FREE char *theirs = in_dir(p->repo, "f");
	struct worktree_detail d;
	int64_t before = dm_wall_seconds();

	list(p, p->common);
	look(p, "shop", &d);
	assert_int_equal(d.dirty, 0);
	assert_int_equal(d.ahead, -1); /* no upstream branch */
	assert_int_equal(d.behind, -1);

	GIT(p->dir, "clone", "-q", p->repo, clone);
	put_file(f, "two\n");
	commit_in(clone);
	put_file(f, "three\n");
	commit_in(clone);
	put_file(theirs, "four\n");
	commit_in(p->repo);
	GIT(clone, "fetch", "-q");
	put_file(f, "five\n");
	put_file(g, "not tracked\n");
	list(p, common);
	look(p, "clone", &d);
	assert_int_equal(d.dirty, 1);
	assert_int_equal(d.ahead, 2);
	assert_int_equal(d.behind, 1);
	assert_in_range(d.last_commit, before - 60, before + 600);
	assert_in_range(d.last_access, before - 60, before + 600);
	GIT(clone, "add", "g");
	look(p, "clone", &d);
	assert_int_equal(d.dirty, 2);
}

static void
before_the_first_commit_there_is_none(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *empty = in_dir(p->dir, "empty");
	DM_AUTO_FREE char *common = in_dir(empty, ".git");
	struct worktree_detail d;

	assert_int_equal(mkdir(empty, 0700), 0);
	GIT(empty, "init", "-q", "-b", "trunk");
	list(p, common);
	look(p, "empty", &d);
	assert_int_equal(d.last_commit, 0);
	assert_int_equal(d.dirty, 0);
	assert_int_equal(d.ahead, -1);
}

/* A file of `n` KiB that no file system can store in less. */
static void
put_bytes(const char *path, size_t n)
{
	DM_AUTO_FREE char *bytes = dm_calloc(n, 1024);
	struct prng prng = {42};
	struct dm_err err;

	for (size_t i = 0; i < n * 1024; i++)
		bytes[i] = (char)prng_below(&prng, 256);
	assert_ok(dm_write_file(path, bytes, n * 1024, 0644, &err), &err);
}

static void
how_much_room_one_takes(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *file = in_dir(p->repo, "big"), *inner = in_dir(p->repo, "inner");
	DM_AUTO_FREE char *sub = in_dir(p->repo, "sub"), *deep = in_dir(sub, "big");
	DM_AUTO_FREE char *hidden = in_dir(p->common, "big"), *other = in_dir(inner, "big");
	DM_AUTO_FREE char *loop = in_dir(sub, "loop");
	struct worktree_detail before, d;

	list(p, p->common);
	look(p, "shop", &before);
	assert_true(before.bytes > 0 && before.bytes < 200 * 1024);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(symlink(p->repo, loop), 0);
	put_bytes(file, 1024);
	put_bytes(deep, 512);
	/* git's own, and those of another worktree, are not this one's */
	put_bytes(hidden, 2048);
	GIT(p->repo, "worktree", "add", "-q", "-b", "x", inner);
	put_bytes(other, 2048);
	list(p, p->common);
	look(p, "shop", &d);
	assert_in_range(d.bytes - before.bytes, 1536 * 1024, 1700 * 1024);
	look(p, "inner", &d);
	assert_in_range(d.bytes, 2048 * 1024, 2200 * 1024);
}

static void
one_that_is_gone(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *a = in_dir(p->dir, "a");
	struct worktree_detail d;

	GIT(p->repo, "worktree", "add", "-q", "-b", "x", a);
	remove_below(a);
	list(p, p->common);
	look(p, "a", &d);
	assert_int_equal(d.dirty, -1);
	assert_int_equal(d.bytes, -1);
	assert_true(d.last_commit > 0 && d.last_access > 0);
}

static void
without_time_nothing_is_known(void **state)
{
	struct place *p = *state;
	struct worktree_detail d;

	list(p, p->common);
	worktree_look(named(p, "shop"), 0, &d);
	assert_int_equal(d.dirty, -1);
	assert_int_equal(d.bytes, -1);
	assert_int_equal(d.ahead, -1);
	assert_int_equal(d.last_commit, 0);
	assert_true(d.last_access > 0);
}

/* A list that leaves out what could not be opened would look like worktrees removed. */
static void
without_descriptors_it_fails(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *b = in_dir(p->dir, "b");
	struct worktree_list out;
	struct dm_err err;

	GIT(p->repo, "worktree", "add", "-q", "-b", "feature/x", b);
	for (int left = 0; left < 32; left++) {
		rlim_t before = limit_fds(left);
		bool ok = worktrees_list(p->common, &out, &err);

		unlimit_fds(before);
		assert_int_equal(out.count, ok ? 2 : 0);
		if (ok) {
			assert_string_equal(out.list[1].branch, "feature/x");
			worktrees_release(&out);
		} else {
			assert_int_equal(err.code, DM_FAILED);
		}
		if (left < 1 || left > 24)
			assert_int_equal(ok, left > 24);
	}
	remove_below(p->repo);
	assert_false(worktrees_list(p->common, &out, &err));
	assert_int_equal(err.code, DM_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(all_of_them_the_main_one_first),
	    IN_PLACE(before_the_first_commit),
	    IN_PLACE(moved_removed_and_pruned),
	    IN_PLACE(links_in_a_path_are_resolved),
	    IN_PLACE(relative_paths),
	    IN_PLACE(a_rebase_under_way),
	    IN_PLACE(bare_repositories_have_no_main_one),
	    IN_PLACE(a_submodule_is_where_its_configuration_says),
	    IN_PLACE(configuration_of_each_worktree),
	    IN_PLACE(what_is_no_worktree_is_not_listed),
	    IN_PLACE(what_git_says_of_one),
	    IN_PLACE(before_the_first_commit_there_is_none),
	    IN_PLACE(how_much_room_one_takes),
	    IN_PLACE(one_that_is_gone),
	    IN_PLACE(without_time_nothing_is_known),
	    IN_PLACE(without_descriptors_it_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
