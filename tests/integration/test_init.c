/* SPDX-License-Identifier: MIT */
/*
 * `init` and `skill` from outside: in real repositories it shows, asks, writes, does not write
 * twice, and takes back. What it plans for every sort of file is in tests/unit/test_init.c.
 */
#include "harness_net.h"

#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *tool, *file;
} tools[] = {
    {"worktrunk", ".config/wt.toml"},
    {"git", ".git/hooks/post-checkout"},
    {"mise", "mise.toml"},
    {"direnv", ".envrc"},
    {"claude", ".claude/settings.json"},
    {"conductor", "conductor.json"},
    {"codex", ".codex/environments/environment.toml"},
    {"cursor", ".cursor/worktrees.json"},
    {"npm", "package.json"},
    {"procfile", "Procfile"},
    {"compose", "compose.override.yaml"},
};

#define TOOLS (sizeof(tools) / sizeof(tools[0]))

/* A checkout with what every tool needs. */
static char *
project(struct world *w)
{
	char *repo = repo_new(w, "shop");

	write_text(fmt(w, "%s/package.json", repo),
	    "{\n  \"name\": \"shop\",\n  \"scripts\": {\n    \"dev\": \"vite\"\n  }\n}\n");
	write_text(fmt(w, "%s/Procfile", repo), "web: puma -p $PORT");
	write_text(fmt(w, "%s/compose.yaml", repo),
	    "services:\n  web:\n    image: x\n    ports:\n      - \"3000:3000\"\n");
	return repo;
}

/* Everything below the directory, as text: names, modes and contents. */
static char *
snapshot(struct world *w, const char *dir)
{
	return fmt(w, "%s",
	    run_ok(w, dir,
		ARGV("sh", "-c",
		    "find . -path ./.git/index -prune -o -print | LC_ALL=C sort | while read -r f; "
		    "do stat -c '%n %a %F' \"$f\"; [ -f \"$f\" ] && cat \"$f\"; done; true"))
		.out);
}

TEST(each_tool_is_shown_written_once_and_taken_back)
{
	char *repo = project(w), *before = snapshot(w, repo), *with;
	struct result r;

	for (size_t i = 0; i < TOOLS; i++) {
		const char *tool = tools[i].tool;

		r = DM(w, repo, "init", tool, "--dry-run");
		assert_exit(w, r, 0);
		assert_non_null(strstr(r.out, "\n@@ "));
		assert_non_null(strstr(r.out, "devmesh"));
		assert_string_equal(snapshot(w, repo), before);
		/* nobody can be asked: it is shown, and not written */
		r = DM(w, repo, "init", tool);
		assert_error(w, r, 6, "nobody to ask");
		assert_non_null(strstr(r.err, "\n@@ "));
		assert_string_equal(snapshot(w, repo), before);
		assert_exit(w, DM(w, repo, "init", tool, "--yes"), 0);
		with = snapshot(w, repo);
		assert_non_null(strstr(read_text(w, fmt(w, "%s/%s", repo, tools[i].file)),
		    strcmp(tool, "compose") == 0 ? "127.0.0.1::3000" : "devmesh "));
		r = DM(w, repo, "init", tool, "--yes");
		assert_exit(w, r, 0);
		assert_non_null(strstr(r.out, "unchanged"));
		assert_string_equal(snapshot(w, repo), with);
		r = DM(w, repo, "init", tool, "--remove", "--dry-run");
		assert_exit(w, r, 0);
		assert_string_equal(snapshot(w, repo), with);
		assert_exit(w, DM(w, repo, "init", tool, "--remove", "--yes"), 0);
		assert_string_equal(snapshot(w, repo), before);
		assert_exit(w, DM(w, repo, "init", tool, "--remove", "--yes"), 0);
		assert_string_equal(snapshot(w, repo), before);
	}
}

TEST(json_says_what_is_planned_and_done)
{
	char *repo = project(w);
	cJSON *o, *file;

	o = json_of(w, DM(w, repo, "init", "direnv", "--json").out);
	assert_string_equal(json_str(cJSON_GetObjectItem(o, "error"), "code"), "denied");
	o = json_of(w, DM(w, repo, "init", "direnv", "--json", "--dry-run").out);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(o, "changed")));
	file = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "files"), 0);
	assert_string_equal(json_str(file, "action"), "create");
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(file, "written")));
	assert_non_null(strstr(json_str(file, "diff"), "+++ b/.envrc"));
	o = json_of(w, DM(w, repo, "init", "direnv", "--json", "--yes").out);
	file = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "files"), 0);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(file, "written")));
	assert_true(exists(json_str(file, "path")));
	o = json_of(w, DM(w, repo, "init", "direnv", "--json", "--yes").out);
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "changed")));
	assert_error(w, DM(w, repo, "init", "nonsense"), 2, "nonsense");
}

/* What is to be added by hand can be copied: its lines are lines. */
TEST(a_refusal_shows_the_lines_to_add)
{
	char *repo = project(w);
	struct result r;

	write_text(fmt(w, "%s/mise.toml", repo), "env.A = 1\n");
	r = DM(w, repo, "init", "mise", "--yes");
	assert_error(w, r, 4, "left alone");
	assert_non_null(strstr(r.err, "\n[env]\nDEVMESH_URL = "));
	r = DM(w, repo, "init", "mise", "--yes", "--json");
	assert_exit(w, r, 4);
	assert_non_null(strstr(json_str(cJSON_GetObjectItem(json_of(w, r.out), "error"), "hint"),
	    "\n[env]\nDEVMESH_URL = "));
}

TEST(tools_are_listed)
{
	char *repo = project(w);
	cJSON *list, *one;
	struct result r;

	assert_exit(w, DM(w, repo, "init", "direnv", "--yes"), 0);
	r = DM(w, repo, "init");
	assert_exit(w, r, 0);
	list = cJSON_GetObjectItem(json_of(w, DM(w, repo, "init", "--json").out), "tools");
	assert_int_equal(cJSON_GetArraySize(list), (int)TOOLS);
	for (size_t i = 0; i < TOOLS; i++) {
		one = cJSON_GetArrayItem(list, (int)i);
		assert_string_equal(json_str(one, "name"), tools[i].tool);
		assert_non_null(strstr(r.out, tools[i].tool));
		assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(one, "set_up")),
		    strcmp(tools[i].tool, "direnv") == 0);
		if (strcmp(tools[i].tool, "npm") == 0)
			assert_true(cJSON_IsTrue(cJSON_GetObjectItem(one, "detected")));
	}
}

/* On a terminal it asks; script(1) makes one. */
TEST(the_answer_on_the_terminal_counts)
{
	char *repo = project(w);
	const char *ask = "printf '%s\\n' \"$1\" | script -qec \"$0 init direnv\" /dev/null";

	run(w, repo, ARGV("sh", "-c", ask, w->devmesh, "n"));
	assert_false(exists(fmt(w, "%s/.envrc", repo)));
	run(w, repo, ARGV("sh", "-c", ask, w->devmesh, ""));
	assert_false(exists(fmt(w, "%s/.envrc", repo)));
	run(w, repo, ARGV("sh", "-c", ask, w->devmesh, "y"));
	assert_true(exists(fmt(w, "%s/.envrc", repo)));
}

static char *
git_status(struct world *w, const char *dir)
{
	return fmt(w, "%s", GIT(w, dir, "status", "--porcelain").out);
}

/* .id is nothing for git status; the repository's files are not touched for it. */
TEST(id_is_excluded)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *exclude = fmt(w, "%s/.git/info/exclude", repo), *before = read_text(w, exclude);

	write_text(fmt(w, "%s/.id", wt), "store\n");
	assert_non_null(strstr(git_status(w, wt), ".id"));
	assert_exit(w, DM(w, wt, "init", "git", "--yes"), 0);
	assert_string_equal(git_status(w, wt), "");
	assert_exit(w, DM(w, wt, "init", "git", "--remove", "--yes"), 0);
	assert_string_equal(read_text(w, exclude), before == NULL ? "" : before);
	assert_exit(w, DM(w, wt, "init", "git", "--gitignore", "--yes"), 0);
	assert_non_null(strstr(read_text(w, fmt(w, "%s/.gitignore", wt)), "\n/.id\n"));
	assert_null(strstr(git_status(w, wt), ".id"));
	assert_exit(w, DM(w, wt, "init", "git", "--remove", "--yes"), 0);
	assert_string_equal(git_status(w, wt), "?? .id\n");
	/* two tools: the last one takes it along */
	assert_exit(w, DM(w, wt, "init", "git", "--yes"), 0);
	assert_exit(w, DM(w, wt, "init", "direnv", "--yes"), 0);
	assert_exit(w, DM(w, wt, "init", "git", "--remove", "--yes"), 0);
	assert_null(strstr(git_status(w, wt), ".id"));
	assert_exit(w, DM(w, wt, "init", "direnv", "--remove", "--yes"), 0);
	assert_string_equal(git_status(w, wt), "?? .id\n");
	/* what is tracked is wanted */
	GIT(w, wt, "add", ".id");
	assert_exit(w, DM(w, wt, "init", "git", "--yes"), 0);
	assert_null(strstr(read_text(w, exclude), "/.id"));
}

TEST(hooks_are_where_git_looks)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *hook = fmt(w, "%s/.git/hooks/post-checkout", repo);
	struct stat st;

	/* a linked worktree has those of the repository */
	assert_exit(w, DM(w, wt, "init", "git", "--yes"), 0);
	assert_int_equal(stat(hook, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0755);
	assert_exit(w, DM(w, wt, "init", "git", "--remove", "--yes"), 0);
	assert_false(exists(hook));
	GIT(w, repo, "config", "core.hooksPath", ".githooks");
	assert_exit(w, DM(w, repo, "init", "git", "--yes"), 0);
	assert_true(exists(fmt(w, "%s/.githooks/post-checkout", repo)));
	assert_false(exists(hook));
	/* husky's own directory is made anew by husky */
	GIT(w, repo, "config", "core.hooksPath", ".husky/_");
	assert_exit(w, DM(w, repo, "init", "git", "--yes"), 0);
	assert_true(exists(fmt(w, "%s/.husky/post-checkout", repo)));
	/* one for all repositories is nothing to write to from here */
	GIT(w, repo, "config", "core.hooksPath", make_dir(w, "everybody"));
	assert_error(w, DM(w, repo, "init", "git", "--yes"), 6, "outside this repository");
	assert_int_equal(count_files(fmt(w, "%s/everybody", w->dir), "checkout"), 0);
}

TEST(hooks_of_other_kinds_are_left_alone)
{
	char *repo = repo_new(w, "shop"), *hook = fmt(w, "%s/.git/hooks/post-checkout", repo);
	static const char python[] = "#!/usr/bin/env python3\nprint('x')\n";

	write_text(hook, python);
	assert_int_equal(chmod(hook, 0755), 0);
	assert_error(w, DM(w, repo, "init", "git", "--yes"), 4, "no shell script");
	assert_string_equal(read_text(w, hook), python);
	write_text(hook, "#!/usr/bin/env bash\nexit 0\n");
	assert_exit(w, DM(w, repo, "init", "git", "--yes"), 0);
	/* in front of what would end it */
	assert_true(
	    strstr(read_text(w, hook), "devmesh hook") < strstr(read_text(w, hook), "exit 0"));
	assert_exit(w, DM(w, repo, "init", "git", "--remove", "--yes"), 0);
	assert_int_equal(chmod(hook, 0644), 0);
	assert_error(w, DM(w, repo, "init", "git", "--yes"), 4, "not executable");
	assert_error(w, DM(w, make_dir(w, "plain"), "init", "git", "--yes"), 3, "git repository");
}

TEST(skill_can_be_installed)
{
	char *repo = repo_new(w, "shop"),
	     *file = fmt(w, "%s/.claude/skills/devmesh/SKILL.md", repo);

	assert_exit(w, DM(w, repo, "init", "claude", "--yes"), 0);
	assert_false(exists(file));
	assert_exit(w, DM(w, repo, "init", "claude", "--skill", "--yes"), 0);
	assert_string_equal(read_text(w, file), DM(w, repo, "skill").out);
	assert_exit(w, DM(w, repo, "init", "claude", "--remove", "--yes"), 0);
	assert_false(exists(fmt(w, "%s/.claude", repo)));
}

/* The same members of the same types, in arrays and objects as well. */
static void
assert_same_shape(const cJSON *example, const cJSON *real, const char *where)
{
	const cJSON *item;

	if (cJSON_IsNull(example) || cJSON_IsNull(real))
		return;
	if (example->type != real->type && !(cJSON_IsBool(example) && cJSON_IsBool(real)))
		fail_msg("%s: another type", where);
	if (!cJSON_IsObject(example))
		return;
	cJSON_ArrayForEach (item, example) {
		const cJSON *other = cJSON_GetObjectItemCaseSensitive(real, item->string);

		if (other == NULL)
			fail_msg("%s: there is no member %s", where, item->string);
		assert_same_shape(item, other, item->string);
	}
	cJSON_ArrayForEach (item, real) {
		if (!cJSON_HasObjectItem(example, item->string))
			fail_msg("%s: the guide lacks the member %s", where, item->string);
	}
}

/* Each example of JSON in the guide has the members that the verb in front of it prints. */
TEST(examples_of_the_guide_are_true)
{
	char *repo = repo_new(w, "shop"), *guide, *at;
	int n = 0;

	caddy_mesh(w, "");
	guide = fmt(w, "%s", DM(w, repo, "skill").out);
	for (at = guide; (at = strstr(at, "\n`devmesh ")) != NULL; at++) {
		size_t len = strcspn(at + 2, "`");
		char *command = fmt(w, "%.*s", (int)len, at + 2), *json = at + 2 + len;
		struct result r;

		if (strncmp(json, "`\n\n```json\n", 11) != 0)
			continue;
		json = fmt(w, "%.*s", (int)strcspn(json + 11, "\n"), json + 11);
		/* the verb is looked up in PATH: here it is this one */
		r = run(w, repo,
		    ARGV("sh", "-c", "cmd=${1#devmesh }; exec \"$0\" $cmd", w->devmesh, command));
		assert_same_shape(json_of(w, json), json_of(w, r.out), command);
		n++;
	}
	assert_true(n >= 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(each_tool_is_shown_written_once_and_taken_back),
	    WORLD_TEST(json_says_what_is_planned_and_done),
	    WORLD_TEST(a_refusal_shows_the_lines_to_add),
	    WORLD_TEST(tools_are_listed),
	    WORLD_TEST(the_answer_on_the_terminal_counts),
	    WORLD_TEST(id_is_excluded),
	    WORLD_TEST(hooks_are_where_git_looks),
	    WORLD_TEST(hooks_of_other_kinds_are_left_alone),
	    WORLD_TEST(skill_can_be_installed),
	    WORLD_TEST(examples_of_the_guide_are_true),
	};

	return RUN_TESTS(tests);
}
