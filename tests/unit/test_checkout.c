/* SPDX-License-Identifier: MIT */
/* What is checked out, by git's files and by git itself, and which worktree a directory is in. */
#include "repos.h"

#include "base/spawn.h"
#include "repo/checkout.h"

static const char one[] = "0123456789abcdef0123456789abcdef01234567";
static const char two[] = "fedcba9876543210fedcba9876543210fedcba98";

struct place {
	char *dir; /* links resolved */
};

static int
setup(void **state)
{
	struct place *p = dm_calloc(1, sizeof(*p));

	p->dir = temp_dir();
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	remove_tree(p->dir);
	free(p);
	return 0;
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void
assert_head(const char *dir)
{
	const char *const args[] = {"rev-parse", "HEAD", NULL};
	DM_AUTO_FREE char *want = git_line(dir, args);
	DM_AUTO_FREE char *got = checkout_commit(dir);

	assert_non_null(got);
	assert_string_equal(got, want);
}

static void
commit_of_every_layout(void **state)
{
	const struct place *p = *state;
	DM_AUTO_FREE char *repo = repo_in(p->dir, "r");
	DM_AUTO_FREE char *linked = in_dir(p->dir, "w");
	DM_AUTO_FREE char *file = in_dir(repo, "f");
	DM_AUTO_FREE char *plain = in_dir(p->dir, "plain");

	assert_head(repo);
	GIT(repo, "pack-refs", "--all");
	assert_head(repo);
	GIT(repo, "worktree", "add", "-q", "-b", "feature/a", linked);
	assert_head(linked);
	GIT(repo, "pack-refs", "--all");
	/* the loose one counts, the packed one is old */
	put_file(file, "two\n");
	commit_in(repo);
	assert_head(repo);
	assert_head(linked);
	GIT(repo, "checkout", "-q", "--detach");
	assert_head(repo);
	assert_int_equal(mkdir(plain, 0700), 0);
	assert_null(checkout_commit(plain));
	GIT(plain, "init", "-q");
	assert_null(checkout_commit(plain));
	GIT(linked, "symbolic-ref", "refs/heads/alias", "refs/heads/main");
	GIT(linked, "symbolic-ref", "HEAD", "refs/heads/alias");
	assert_head(linked);
}

/* Files as git would have written them, and others. */
static void
packed_refs(void **state)
{
	const struct place *p = *state;
	DM_AUTO_FREE char *repo = repo_in(p->dir, "r");
	DM_AUTO_FREE char *packed = in_dir(repo, ".git/packed-refs");
	DM_AUTO_FREE char *loose = in_dir(repo, ".git/refs/heads/main");
	DM_AUTO_FREE char *text = dm_asprintf("# pack-refs with: peeled fully-peeled sorted\n"
					      "%s refs/heads/main2\n^%s\n%s refs/heads/main\n",
	    one, one, two);
	DM_AUTO_FREE char *commit = NULL;

	assert_int_equal(unlink(loose), 0);
	assert_null(checkout_commit(repo));
	put_file(packed, text);
	commit = checkout_commit(repo);
	assert_string_equal(commit, two);
	put_file(packed, "zz refs/heads/main\n");
	assert_null(checkout_commit(repo));
	put_file(loose, "not a commit\n");
	assert_null(checkout_commit(repo));
}

static void
changes(void **state)
{
	const struct place *p = *state;
	DM_AUTO_FREE char *repo = repo_in(p->dir, "r");
	DM_AUTO_FREE char *file = in_dir(repo, "f");
	DM_AUTO_FREE char *new = in_dir(repo, "new");

	assert_int_equal(checkout_changes(repo, GIT_TIMEOUT_MS), CHECKOUT_CLEAN);
	put_file(new, "x");
	assert_int_equal(checkout_changes(repo, GIT_TIMEOUT_MS), CHECKOUT_CLEAN);
	put_file(file, "changed\n");
	assert_int_equal(checkout_changes(repo, GIT_TIMEOUT_MS), CHECKOUT_DIRTY);
	/* not in time */
	assert_int_equal(checkout_changes(repo, 0), CHECKOUT_UNKNOWN);
	assert_int_equal(checkout_changes(p->dir, GIT_TIMEOUT_MS), CHECKOUT_UNKNOWN);
}

static void
whose_directory(void **state)
{
	const struct place *p = *state;
	DM_AUTO_FREE char *repo = repo_in(p->dir, "r");
	DM_AUTO_FREE char *lib = repo_in(p->dir, "lib");
	DM_AUTO_FREE char *near = in_dir(p->dir, "r2");
	DM_AUTO_FREE char *inner = in_dir(repo, ".worktrees/x");
	DM_AUTO_FREE char *deep = in_dir(inner, "deep");
	DM_AUTO_FREE char *clone = in_dir(repo, "vendor");
	DM_AUTO_FREE char *sub = in_dir(repo, "sub");
	DM_AUTO_FREE char *linked = in_dir(p->dir, "w");
	DM_AUTO_FREE char *linked_sub = in_dir(linked, "sub");
	DM_AUTO_FREE char *inside = in_dir(repo, ".git");
	DM_AUTO_FREE char *top = NULL;

	assert_int_equal(mkdir(near, 0700), 0);
	GIT(repo, "worktree", "add", "-q", "-b", "x", inner);
	assert_int_equal(mkdir(deep, 0700), 0);
	GIT(p->dir, "clone", "-q", lib, clone);
	GIT(repo, "-c", "protocol.file.allow=always", "submodule", "-q", "add", lib, "sub");
	commit_in(repo);
	GIT(repo, "worktree", "add", "-q", "-b", "y", linked);
	GIT(linked, "-c", "protocol.file.allow=always", "submodule", "-q", "update", "--init");
	assert_true(checkout_contains(repo, repo));
	assert_true(checkout_contains(repo, inside));
	assert_false(checkout_contains(repo, near));
	assert_false(checkout_contains(repo, p->dir));
	assert_false(checkout_contains(repo, "/"));
	assert_false(checkout_contains(repo, inner));
	assert_false(checkout_contains(repo, deep));
	assert_true(checkout_contains(inner, deep));
	assert_false(checkout_contains(repo, clone));
	assert_true(checkout_contains(repo, sub));
	assert_false(checkout_contains(repo, linked_sub));
	assert_true(checkout_contains(linked, linked_sub));
	/* a plain directory has all that is in it */
	assert_true(checkout_contains(p->dir, deep));
	assert_true(checkout_contains("/", deep));
	assert_true(checkout_contains(near, near));
	top = checkout_top(deep);
	assert_string_equal(top, inner);
	assert_null(checkout_top(near));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(commit_of_every_layout),
	    IN_PLACE(packed_refs),
	    IN_PLACE(changes),
	    IN_PLACE(whose_directory),
	};

	return cmocka_run_group_tests_name("checkout", tests, NULL, NULL);
}
