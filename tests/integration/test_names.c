/* SPDX-License-Identifier: MIT */
/*
 * Names of real worktrees: every kind of branch and HEAD, every kind of .id, and where the parts
 * of a name come from. The rules themselves are tested in tests/unit.
 */
#include "harness_net.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *
name_in(struct world *w, const char *dir)
{
	struct result r = DM(w, dir, "name");
	char *id;

	assert_exit(w, r, 0);
	id = line_of(w, r);
	assert_label(id);
	return id;
}

static void
assert_name(struct world *w, const char *dir, const char *want)
{
	assert_string_equal(name_in(w, dir), want);
}

/* The name on a branch just made. */
static char *
name_on(struct world *w, const char *repo, const char *branch)
{
	GIT(w, repo, "checkout", "-q", "-B", branch);
	return name_in(w, repo);
}

static void
write_id(struct world *w, const char *dir, const char *text)
{
	write_text(fmt(w, "%s/.id", dir), text);
}

TEST(branches_become_labels)
{
	char *repo = repo_new(w, "shop");

	assert_name(w, repo, "shop-main");
	assert_string_equal(name_on(w, repo, "feature/auth"), "shop-feature-auth");
	assert_string_equal(name_on(w, repo, "Feature/Log_In.2"), "shop-feature-log-in-2");
	assert_string_equal(name_on(w, repo, "a--b/c.d"), "shop-a-b-c-d");
	assert_string_equal(name_on(w, repo, "_x_"), "shop-x");
}

TEST(branches_of_other_alphabets_stay_apart)
{
	char *repo = repo_new(w, "shop"), *a, *b;

	a = name_on(w, repo,
	    "gr\xc3\xb6\xc3\x9f"
	    "e");
	b = name_on(w, repo,
	    "gr\xc3\xbc\xc3\x9f"
	    "e");
	assert_string_not_equal(a, b);
	assert_string_equal(name_on(w, repo,
				"gr\xc3\xb6\xc3\x9f"
				"e"),
	    a);
	a = name_on(w, repo, "\xe6\x97\xa5\xe6\x9c\xac");
	b = name_on(w, repo, "\xe6\x97\xa5\xe8\xaa\x9e");
	assert_string_not_equal(a, b);
	assert_int_equal(strncmp(a, "shop-", 5), 0);
}

TEST(long_branches_stay_apart)
{
	char *repo = repo_new(w, "shop"), branch[201], *a, *b;

	memset(branch, 'x', 200);
	branch[200] = '\0';
	a = name_on(w, repo, branch);
	branch[199] = 'y';
	b = name_on(w, repo, branch);
	assert_true(strlen(a) <= 48);
	assert_int_equal(strncmp(a, "shop-xxxx", 9), 0);
	assert_string_not_equal(a, b);
}

TEST(detached_head_is_named_by_directory_or_commit)
{
	char *repo = repo_new(w, "shop"), *wt = fmt(w, "%s/probe", w->dir), *id;
	struct result r;

	GIT(w, repo, "worktree", "add", "-q", "--detach", wt);
	assert_name(w, wt, "shop-probe");
	GIT(w, repo, "checkout", "-q", "--detach");
	r = GIT(w, repo, "rev-parse", "--short=7", "HEAD");
	id = fmt(w, "shop-%s", line_of(w, r));
	assert_name(w, repo, id);
}

TEST(rebase_is_named_by_the_branch_being_rebased)
{
	char *repo = repo_new(w, "shop"), *file = fmt(w, "%s/f", repo);
	struct result r;

	write_text(file, "one\n");
	GIT(w, repo, "add", "f");
	GIT(w, repo, "commit", "-q", "-m", "one");
	GIT(w, repo, "checkout", "-q", "-b", "topic", "HEAD~");
	write_text(file, "two\n");
	GIT(w, repo, "add", "f");
	GIT(w, repo, "commit", "-q", "-m", "two");
	r = run(w, repo, ARGV("git", "rebase", "main"));
	assert_int_not_equal(r.code, 0); /* it has stopped at the conflict */
	r = GIT(w, repo, "status");
	assert_non_null(strstr(r.out, "rebas"));
	assert_name(w, repo, "shop-topic");
}

TEST(unborn_branch_has_a_name)
{
	char *dir = make_dir(w, "shop");

	GIT(w, dir, "init", "-q", "-b", "trunk");
	assert_name(w, dir, "shop-trunk");
}

TEST(bare_repository_has_none_but_its_worktrees_have)
{
	char *repo = repo_new(w, "seed"), *bare = fmt(w, "%s/shop.git", w->dir);
	char *wt = fmt(w, "%s/anywhere", w->dir);

	GIT(w, repo, "init", "-q", "--bare", "-b", "main", bare);
	GIT(w, repo, "push", "-q", bare, "main");
	assert_error(w, DM(w, bare, "name"), 3, "bare");
	GIT(w, bare, "worktree", "add", "-q", "-b", "feature/pay", wt);
	assert_name(w, wt, "shop-feature-pay");
}

TEST(submodule_is_a_project_of_its_own)
{
	char *lib = repo_new(w, "libpay"), *repo = repo_new(w, "shop");

	GIT(w, repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", lib, "pay");
	assert_name(w, fmt(w, "%s/pay", repo), "libpay-main");
	assert_name(w, repo, "shop-main");
}

TEST(linked_worktree_is_named_after_the_project)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "feature/auth"), *sub;

	assert_name(w, wt, "shop-feature-auth");
	sub = fmt(w, "%s/deep", wt);
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_name(w, sub, "shop-feature-auth");
	assert_string_equal(line_of(w, DM(w, w->dir, "name", "-C", sub)), "shop-feature-auth");
}

TEST(directory_without_git_is_named_by_itself)
{
	char *dir = make_dir(w, "My Notes");
	struct result r = DM(w, dir, "name");

	assert_exit(w, r, 0);
	assert_string_equal(line_of(w, r), "my-notes");
	r = DM(w, dir, "name", "--explain");
	assert_non_null(strstr(r.out, "not a git repository"));
}

TEST(missing_directory_is_not_found)
{
	assert_error(w, DM(w, NULL, "name", "-C", fmt(w, "%s/nowhere", w->dir)), 3, "nowhere");
}

TEST(app_comes_from_the_remote_before_the_directory)
{
	char *repo = repo_new(w, "checkout-3");

	GIT(w, repo, "remote", "add", "origin", "git@github.example:acme/Web.Shop.git");
	assert_name(w, repo, "web-shop-main");
	GIT(w, repo, "remote", "set-url", "origin", "https://git.example/acme/store/");
	assert_name(w, repo, "store-main");
}

TEST(app_order_of_precedence)
{
	char *repo = repo_new(w, "dir");

	assert_name(w, repo, "dir-main");
	GIT(w, repo, "remote", "add", "origin", "https://git.example/remote.git");
	assert_name(w, repo, "remote-main");
	write_text(fmt(w, "%s/devmesh.ini", w->home), "[mesh]\napp = conf\n");
	assert_name(w, repo, "conf-main");
	write_id(w, repo, "file\n");
	assert_name(w, repo, "file-main");
	world_env(w, "DEVMESH_APP", "env");
	assert_name(w, repo, "env-main");
	assert_string_equal(line_of(w, DM(w, repo, "name", "--app", "flag")), "flag-main");
	world_env(w, "DEVMESH_ID", "whole");
	assert_name(w, repo, "whole");
	assert_string_equal(line_of(w, DM(w, repo, "name", "--id", "flagged")), "flagged");
}

TEST(id_file_both_habits_and_the_dot)
{
	char *repo = repo_new(w, "dir"), *wt = worktree_add(w, repo, "feature/auth");

	write_id(w, wt, "shop\n");
	assert_name(w, wt, "shop-feature-auth");
	write_id(w, wt, "shop-feature-auth\n");
	assert_name(w, wt, "shop-feature-auth");
	write_id(w, wt, "feature-auth\n");
	assert_name(w, wt, "feature-auth");
	write_id(w, wt, "shop-demo.\n");
	assert_name(w, wt, "shop-demo");
}

TEST(id_file_is_read_leniently)
{
	char *repo = repo_new(w, "dir");

	write_id(w, repo, "shop\r\n");
	assert_name(w, repo, "shop-main");
	write_id(w, repo, "shop \t \n");
	assert_name(w, repo, "shop-main");
	write_id(w, repo, "shop");
	assert_name(w, repo, "shop-main");
	write_id(w, repo, "shop\nsecond\nthird\n");
	assert_name(w, repo, "shop-main");
	write_id(w, repo, "My Shop!\n");
	assert_name(w, repo, "my-shop-main");
	write_id(w, repo, "../../etc/passwd\n");
	assert_name(w, repo, "etc-passwd-main");
}

TEST(id_file_refused_by_a_clear_error)
{
	char *repo = repo_new(w, "dir"), *path = fmt(w, "%s/.id", repo), *big = malloc(1 << 20);

	assert_non_null(big);
	write_text(path, "");
	assert_error(w, DM(w, repo, "name"), 2, ".id");
	write_text(path, "\n\nshop\n");
	assert_error(w, DM(w, repo, "name"), 2, ".id");
	write_file(path, "sh\0op\n", 6);
	assert_error(w, DM(w, repo, "name"), 2, ".id");
	write_text(path, "sh\x1b[2Jop\n");
	assert_error(w, DM(w, repo, "name"), 2, ".id");
	assert_null(strchr(w->last_err, '\x1b'));
	memset(big, 'x', 1 << 20);
	write_file(path, big, 1 << 20);
	free(big);
	assert_error(w, DM(w, repo, "name"), 2, ".id");
	write_text(path, "...\n");
	assert_error(w, DM(w, repo, "name"), 2, "letter");
}

TEST(id_file_that_is_no_file)
{
	char *repo = repo_new(w, "dir"), *path = fmt(w, "%s/.id", repo);
	char *secret = fmt(w, "%s/secret", w->dir);
	struct result r;

	assert_int_equal(mkdir(path, 0755), 0);
	assert_error(w, DM(w, repo, "name"), 2, ".id");
	rmdir(path);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_error(w, DM(w, repo, "name"), 2, ".id");
	unlink(path);
	write_text(secret, "hunter2\n");
	assert_int_equal(symlink(secret, path), 0);
	r = DM(w, repo, "name");
	assert_error(w, r, 6, ".id");
	assert_null(strstr(r.err, "hunter2"));
}

TEST(explicit_id_must_be_a_label)
{
	char *repo = repo_new(w, "shop");

	assert_error(w, DM(w, repo, "name", "--id", "../x"), 2, "../x");
	assert_error(w, DM(w, repo, "name", "--id", ""), 2, NULL);
	assert_error(w, DM(w, repo, "up", "--id", "Shop/Main"), 2, "Shop/Main");
	assert_int_equal(count_claims(w), 0);
}

TEST(explain_and_json_tell_where_the_parts_come_from)
{
	char *repo = repo_new(w, "dir");
	struct result r;
	cJSON *o;

	write_id(w, repo, "shop\n");
	r = DM(w, repo, "name", "--explain");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "shop-main"));
	assert_non_null(strstr(r.out, ".id"));
	assert_non_null(strstr(r.out, "main"));
	r = DM(w, repo, "name", "--json");
	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	assert_int_equal(cJSON_GetObjectItem(o, "schema_version")->valueint, 1);
	assert_string_equal(json_str(o, "id"), "shop-main");
	assert_string_equal(json_str(o, "app"), "shop");
	assert_string_equal(json_str(o, "branch"), "main");
}

TEST(git_variables_of_a_hook_do_not_mislead)
{
	char *shop = repo_new(w, "shop"), *other = repo_new(w, "other");

	world_env(w, "GIT_DIR", fmt(w, "%s/.git", other));
	world_env(w, "GIT_WORK_TREE", other);
	assert_name(w, shop, "shop-main");
}

TEST(every_verb_uses_the_same_name)
{
	char *repo = repo_new(w, "shop"), *wt;

	caddy_mesh(w, "");
	wt = worktree_add(w, repo, "Feature/X");
	assert_string_equal(up_ok(w, wt), "shop-feature-x");
	assert_name(w, wt, "shop-feature-x");
	assert_string_equal(id_of_url(w, line_of(w, DM(w, wt, "url"))), "shop-feature-x");
	assert_non_null(strstr(DM(w, wt, "env").out, "shop-feature-x"));
	assert_non_null(claim_of(w, "shop-feature-x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(branches_become_labels),
	    WORLD_TEST(branches_of_other_alphabets_stay_apart),
	    WORLD_TEST(long_branches_stay_apart),
	    WORLD_TEST(detached_head_is_named_by_directory_or_commit),
	    WORLD_TEST(rebase_is_named_by_the_branch_being_rebased),
	    WORLD_TEST(unborn_branch_has_a_name),
	    WORLD_TEST(bare_repository_has_none_but_its_worktrees_have),
	    WORLD_TEST(submodule_is_a_project_of_its_own),
	    WORLD_TEST(linked_worktree_is_named_after_the_project),
	    WORLD_TEST(directory_without_git_is_named_by_itself),
	    WORLD_TEST(missing_directory_is_not_found),
	    WORLD_TEST(app_comes_from_the_remote_before_the_directory),
	    WORLD_TEST(app_order_of_precedence),
	    WORLD_TEST(id_file_both_habits_and_the_dot),
	    WORLD_TEST(id_file_is_read_leniently),
	    WORLD_TEST(id_file_refused_by_a_clear_error),
	    WORLD_TEST(id_file_that_is_no_file),
	    WORLD_TEST(explicit_id_must_be_a_label),
	    WORLD_TEST(explain_and_json_tell_where_the_parts_come_from),
	    WORLD_TEST(git_variables_of_a_hook_do_not_mislead),
	    WORLD_TEST(every_verb_uses_the_same_name),
	};

	return RUN_TESTS(tests);
}
