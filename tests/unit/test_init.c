/* SPDX-License-Identifier: MIT */
/*
 * What `init` plans, for any file of the user's: the user's bytes stay, a second run changes
 * nothing, and --remove gives back the file as it was. And what is refused.
 */
#include "unit.h"

#include "cmd.h"
#include "init.h"
#include "skill.h"

enum {
	ROUNDS = 300
};

struct place {
	char *dir;
	struct repo repo;
};

static int
setup(void **state)
{
	struct place *p = dm_calloc(1, sizeof(*p));

	p->dir = temp_dir();
	p->repo.worktree = realpath(p->dir, NULL);
	p->repo.main_dir = dm_strdup("shop");
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	free(p->repo.worktree);
	free(p->repo.main_dir);
	remove_tree(p->dir);
	free(p);
	return 0;
}

/* The file's text, NULL if there is none; the caller owns it. */
static char *
text_at(const struct place *p, const char *name)
{
	DM_AUTO_FREE char *path = in_dir(p->repo.worktree, name);
	DM_AUTO_STR struct dm_str text = dm_str_make(1 << 20);
	struct dm_err err;

	if (access(path, F_OK) != 0)
		return NULL;
	assert_ok(dm_read_file(path, &text, &err), &err);
	return dm_str_take(&text);
}

/* Plans and writes; false with *err as the planner says. *changed: whether anything was written. */
static bool
init_once(struct place *p, const char *tool, bool undo, bool *changed, struct dm_err *err)
{
	struct init in = {.repo = &p->repo, .remove = undo, .skill = true};
	bool ok = init_plan(&in, init_tool_find(tool), err);

	if (ok) {
		*changed = init_changes(&in);
		ok = init_write(&in, err);
	}
	init_release(&in);
	return ok;
}

/* Whether `part` can be had from `whole` by leaving bytes out, line by line. */
static bool
keeps_lines(const char *whole, const char *part)
{
	while (*part != '\0') {
		size_t n = strcspn(part, "\n");
		DM_AUTO_FREE char *line = dm_strndup(part, n);
		const char *at = strstr(whole, line);

		if (at == NULL)
			return false;
		whole = at + n;
		part += n;
		part += *part == '\n' ? 1 : 0;
	}
	return true;
}

/* The three properties for one file. A refusal must have left everything as it was. */
static void
check(struct place *p, const char *tool, const char *name, const char *before, bool lines)
{
	DM_AUTO_FREE char *path = in_dir(p->repo.worktree, name);
	DM_AUTO_FREE char *with = NULL, *after = NULL;
	DM_AUTO_FREE char *dir = dm_path_dir(path);
	struct dm_err err = {.code = DM_OK};
	bool changed, ok;

	assert_ok(dm_make_dirs(dir, 0755, &err), &err);
	if (before != NULL)
		put_file(path, before);
	ok = init_once(p, tool, false, &changed, &err);
	with = text_at(p, name);
	if (!ok) {
		assert_string_equal(with, before);
		assert_true(err.hint[0] != '\0');
		return;
	}
	assert_non_null(with);
	if (before != NULL && lines && !keeps_lines(with, before))
		fail_msg("%s: lines are lost of:\n%s\nin:\n%s", tool, before, with);
	assert_ok(init_once(p, tool, false, &changed, &err), &err);
	if (changed)
		fail_msg("%s: a second run changes:\n%s", tool, with);
	assert_ok(init_once(p, tool, true, &changed, &err), &err);
	after = text_at(p, name);
	if (before == NULL ? after != NULL : after == NULL || strcmp(after, before) != 0)
		fail_msg("%s: it was:\n%s\nwith:\n%s\nis now:\n%s", tool,
		    before == NULL ? "(none)" : before, with, after == NULL ? "(none)" : after);
}

static const struct {
	const char *tool, *file;
} text_tools[] = {
    {"worktrunk", ".config/wt.toml"},
    {"mise", "mise.toml"},
    {"codex", ".codex/environments/environment.toml"},
    {"direnv", ".envrc"},
};

static const struct {
	const char *tool, *file;
} json_tools[] = {
    {"claude", ".claude/settings.json"},
    {"conductor", "conductor.json"},
    {"cursor", ".cursor/worktrees.json"},
    {"npm", "package.json"},
};

static void
new_files(void **state)
{
	struct place *p = *state;

	for (size_t i = 0; i < COUNT(text_tools); i++)
		check(p, text_tools[i].tool, text_tools[i].file, NULL, true);
	for (size_t i = 0; i + 1 < COUNT(json_tools); i++)
		check(p, json_tools[i].tool, json_tools[i].file, NULL, true);
}

static void
any_text(void **state)
{
	static const char *const pieces[] = {"[post-start]\n", "[[post-start]]\n", "[env]\n",
	    "[aliases]\r\n", "[pre-remove] # c\n", "x = 1\n", "\n", "# c\n", "[other.x]\n",
	    "y = '''\n[env]\n'''\n", "url = 'u'\n", "[setup]\n", "a = [1,\n 2]\n",
	    "[ \"post-remove\" ]\n", "devmesh = 1\n", "env = 1\n"};
	struct place *p = *state;
	struct prng r = prng_new();

	for (int i = 0; i < ROUNDS; i++) {
		DM_AUTO_STR struct dm_str text = dm_str_make(4096);
		size_t n = prng_below(&r, 6), tool = prng_below(&r, COUNT(text_tools));

		for (size_t k = 0; k < n; k++)
			(void)dm_str_addf(&text, "%s", pieces[prng_below(&r, COUNT(pieces))]);
		if (text.len > 0 && prng_below(&r, 3) == 0)
			text.data[--text.len] = '\0';
		check(p, text_tools[tool].tool, text_tools[tool].file, text.data, true);
	}
}

static void
any_json(void **state)
{
	static const char *const members[] = {"\"hooks\": {}", "\"hooks\": {\"SessionStart\": []}",
	    "\"hooks\":{\n \"SessionStart\":[ {\"hooks\":[{\"command\":\"x\"}]} ]\n}",
	    "\"hooks\": {\"Stop\": [1]}", "\"hooks\": 1", "\"scripts\": {}",
	    "\"scripts\": {\"dev\": \"vite --x \\\"y\\\"\"}",
	    "\"scripts\": {\"dev\": \"A=b C=d vite\", \"setup\": \"npm i\"}",
	    "\"scripts\": {\"run\": \"a && b\", \"archive\": \"\"}",
	    "\"scripts\":{\"start\":\"node .\",\"run\":\"npm start\"}",
	    "\"setup-worktree\": [\"npm ci\"]", "\"setup-worktree-unix\": []",
	    "\"setup-worktree-unix\": \"s.sh\"", "\"a\": [1, {\"b\": null}]", "\"z\" : \"\""};
	static const char *const blanks[] = {"", " ", "\n", "\n  ", "\r\n\t"};
	struct place *p = *state;
	struct prng r = prng_new();

	for (int i = 0; i < ROUNDS; i++) {
		DM_AUTO_STR struct dm_str text = dm_str_make(4096);
		size_t n = prng_below(&r, 4), tool = prng_below(&r, COUNT(json_tools));
		const char *blank = blanks[prng_below(&r, COUNT(blanks))];

		(void)dm_str_addf(&text, "{");
		for (size_t k = 0; k < n; k++)
			(void)dm_str_addf(&text, "%s%s%s", k > 0 ? "," : "", blank,
			    members[prng_below(&r, COUNT(members))]);
		(void)dm_str_addf(&text, "%s}%s", blank, prng_below(&r, 2) == 0 ? "\n" : "");
		check(p, json_tools[tool].tool, json_tools[tool].file, text.data, false);
	}
}

static void
one_result(
    struct place *p, const char *tool, const char *file, const char *before, const char *want)
{
	DM_AUTO_FREE char *path = in_dir(p->repo.worktree, file);
	DM_AUTO_FREE char *got = NULL;
	struct dm_err err;
	bool changed;

	put_file(path, before);
	assert_ok(init_once(p, tool, false, &changed, &err), &err);
	got = text_at(p, file);
	assert_string_equal(got, want);
}

static void
commands_are_wrapped(void **state)
{
	struct place *p = *state;

	one_result(p, "npm", "package.json", "{\"scripts\":{\"dev\":\"A=1 vite\"}}",
	    "{\"scripts\":{\"dev\":\"A=1 devmesh run -- vite\"}}");
	one_result(p, "npm", "package.json", "{\"scripts\":{\"start\":\"node .\"}}",
	    "{\"scripts\":{\"start\":\"devmesh run -- node .\"}}");
	one_result(p, "conductor", "conductor.json", "{\"scripts\": {\"run\": \"vite\"}}",
	    "{\"scripts\": {\"run\": \"devmesh run -- vite\", \"setup\": \"devmesh hook conductor "
	    "setup || true\", \"archive\": \"devmesh hook conductor archive || true\"}}");
	one_result(p, "procfile", "Procfile", "job: x\nweb:  puma -p $PORT\n",
	    "job: x\nweb:  devmesh run -- puma -p $PORT\n");
	check(p, "procfile", "Procfile", "job: x\nweb: puma", false);
	/* what the deployment reads is not what is meant where there is one for development */
	one_result(p, "procfile", "Procfile.dev", "web: x\n", "web: devmesh run -- x\n");
	assert_true(
	    init_is_compound("a && b") && init_is_compound("a; b") && init_is_compound("a \"b"));
	assert_true(init_is_compound("A='b c' d") && init_is_compound(" A=1 d") &&
		    init_is_compound("exec a") && init_is_compound(". ./a") &&
		    init_is_compound("cd a") && init_is_compound(" ") && init_is_compound("\r"));
	assert_false(init_is_compound("a 'b && c' --x=\"y;z\""));
	assert_false(init_is_compound("cross-env A=1 b") || init_is_compound("./cd a"));
}

static void
taken_out_wherever_it_is(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *path = in_dir(p->repo.worktree, "package.json");
	DM_AUTO_FREE char *dir = in_dir(p->repo.worktree, ".claude");
	DM_AUTO_FREE char *settings = in_dir(dir, "settings.json"), *got = NULL, *rest = NULL;
	struct dm_err err;
	bool changed;

	put_file(path, "{\"scripts\":{\"dev\":\"a\",\"web\":\"A=1 devmesh run -- b\","
		       "\"n\":1,\"start\":\"devmesh run -- c\"}}");
	assert_ok(init_once(p, "npm", true, &changed, &err), &err);
	got = text_at(p, "package.json");
	assert_string_equal(
	    got, "{\"scripts\":{\"dev\":\"a\",\"web\":\"A=1 b\",\"n\":1,\"start\":\"c\"}}");
	/* of an entry that was ours alone nothing is left */
	assert_ok(dm_make_dirs(dir, 0755, &err), &err);
	put_file(settings, "{\"a\": 1, \"hooks\": {\"SessionStart\": [{\"matcher\": \"startup\", "
			   "\"hooks\": [{\"command\": \"devmesh hook claude\"}]}]}}");
	assert_ok(init_once(p, "claude", true, &changed, &err), &err);
	rest = text_at(p, ".claude/settings.json");
	assert_string_equal(rest, "{\"a\": 1}");
}

static void
compose_finds_the_service(void **state)
{
	static const struct {
		const char *text, *service, *port;
	} rows[] = {
	    {"services:\n  web:\n    ports:\n      - \"3000:3001\"\n", "web", "3001"},
	    {"services:\n  db:\n    image: x\n  api:\n    ports:\n    - 127.0.0.1:80:81/tcp\n",
		"api", "81"},
	    {"name: x\n# c\nservices:\n    web:\n        expose:\n            - '9000'\nvolumes:\n"
	     "  v:\n",
		"web", "9000"},
	    {"services:\n  a:\n    ports:\n      - 1:1\n  b:\n    ports:\n      - 2:2\n", NULL,
		NULL},
	    {"services:\n  a:\n    image: x\n", NULL, NULL},
	    {"services:\n  $(touch x):\n    ports:\n      - 1\n", NULL, NULL},
	    {"", NULL, NULL},
	};
	struct place *p = *state;
	DM_AUTO_FREE char *compose = in_dir(p->repo.worktree, "compose.yaml");
	DM_AUTO_FREE char *other = in_dir(p->repo.worktree, "docker-compose.override.yml");
	struct dm_err conflict;
	bool ignored;

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dm_err err;
		bool changed;
		DM_AUTO_FREE char *got = NULL, *service = NULL, *port = NULL;

		put_file(compose, rows[i].text);
		if (rows[i].service == NULL) {
			assert_fails(init_once(p, "compose", false, &changed, &err), &err, DM_USAGE,
			    "service");
			continue;
		}
		service = dm_asprintf("\n  %s:\n", rows[i].service);
		port = dm_asprintf("\"127.0.0.1::%s\"", rows[i].port);
		check(p, "compose", "compose.override.yaml", NULL, true);
		assert_ok(init_once(p, "compose", false, &changed, &err), &err);
		got = text_at(p, "compose.override.yaml");
		assert_holds(got, service);
		assert_holds(got, port);
		assert_ok(init_once(p, "compose", true, &changed, &err), &err);
	}
	/* Compose reads one override file: a second one would switch off the user's */
	put_file(compose, rows[0].text);
	put_file(other, "services: {}\n");
	assert_fails(init_once(p, "compose", false, &ignored, &conflict), &conflict, DM_CONFLICT,
	    "docker-compose.override.yml");
	assert_holds(conflict.hint, "127.0.0.1::3001");
}

static void
refused(void **state)
{
	static const struct {
		const char *tool, *file, *text, *why, *hint;
	} rows[] = {
	    {"claude", ".claude/settings.json", "{ // c\n}", "not JSON", "SessionStart"},
	    {"claude", ".claude/settings.json", "{\"hooks\": []}", "unknown form", "SessionStart"},
	    {"claude", ".claude/settings.json", "{\"a\":1,\"a\":2}", "key twice", "SessionStart"},
	    {"claude", ".claude/settings.json", "[]", "no JSON object", "SessionStart"},
	    {"cursor", ".cursor/worktrees.json", "{\"setup-worktree\": \"x.sh\"}", "script",
		"devmesh hook cursor"},
	    {"npm", "package.json", "{\"scripts\":{\"dev\":\"a && b\"}}", "more than one program",
		"devmesh run -- "},
	    {"npm", "package.json", "{\"scripts\":{\"dev\":\"A=1 B='x y' vite\"}}",
		"more than one program", "devmesh run -- "},
	    {"procfile", "Procfile", "web: exec puma\n", "more than one program",
		"devmesh run -- "},
	    {"procfile", "Procfile", "web:\r\n", "more than one program", "devmesh run -- "},
	    {"worktrunk", ".config/wt.toml", "post-start = \"x\"\n", "post-start",
		"[[post-start]]"},
	    {"worktrunk", ".config/wt.toml", "[pre-remove]\ndevmesh = 1\n", "pre-remove",
		"devmesh hook worktrunk"},
	    {"mise", "mise.toml", "[env]\nDEVMESH_URL = 1\n", "env", "DEVMESH_SOCKET"},
	    {"codex", ".codex/environments/environment.toml", "[setup]\nscript = 'x'\n", "setup",
		"devmesh hook codex setup"},
	    {"claude", ".claude/skills/devmesh/SKILL.md", "mine", "not written by devmesh",
		"devmesh skill"},
	};
	struct place *p = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *path = in_dir(p->repo.worktree, rows[i].file);
		DM_AUTO_FREE char *dir = dm_path_dir(path), *now = NULL;
		struct dm_err err;
		bool changed;

		remove_below(p->repo.worktree);
		assert_ok(dm_make_dirs(dir, 0755, &err), &err);
		put_file(path, rows[i].text);
		assert_fails(init_once(p, rows[i].tool, false, &changed, &err), &err, DM_CONFLICT,
		    rows[i].why);
		assert_holds(err.hint, rows[i].hint);
		now = text_at(p, rows[i].file);
		assert_string_equal(now, rows[i].text);
	}
}

static void
links_are_followed_inside_only(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *link_path = in_dir(p->repo.worktree, ".envrc");
	DM_AUTO_FREE char *inside = in_dir(p->repo.worktree, "real"), *got = NULL;
	char *elsewhere = temp_dir();
	DM_AUTO_FREE char *outside = in_dir(elsewhere, "x");
	struct dm_err err;
	struct stat st;
	bool changed;

	put_file(outside, "keep\n");
	assert_int_equal(symlink(outside, link_path), 0);
	assert_fails(
	    init_once(p, "direnv", false, &changed, &err), &err, DM_DENIED, "leads out of");
	assert_int_equal(unlink(link_path), 0);
	assert_int_equal(symlink("nowhere", link_path), 0);
	assert_fails(init_once(p, "direnv", false, &changed, &err), &err, DM_DENIED, "nowhere");
	assert_int_equal(unlink(link_path), 0);
	put_file(inside, "x\n");
	assert_int_equal(chmod(inside, 0640), 0);
	assert_int_equal(symlink("real", link_path), 0);
	assert_ok(init_once(p, "direnv", false, &changed, &err), &err);
	assert_int_equal(lstat(link_path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(inside, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	got = text_at(p, "real");
	assert_holds(got, "devmesh env");
	remove_tree(elsewhere);
}

/* Between showing and writing, an editor saves the file. */
static void
changed_meanwhile(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *path = in_dir(p->repo.worktree, ".envrc"), *got = NULL;
	struct init in = {.repo = &p->repo};
	struct dm_err err;

	put_file(path, "a\n");
	assert_ok(init_plan(&in, init_tool_find("direnv"), &err), &err);
	put_file(path, "b\n");
	assert_fails(init_write(&in, &err), &err, DM_CONFLICT, "has changed");
	init_release(&in);
	got = text_at(p, ".envrc");
	assert_string_equal(got, "b\n");
}

/* Every verb that the guide names is in the table, and every verb of the table in the guide. */
static void
skill_knows_the_verbs(void **state)
{
	DM_AUTO_FREE char *text = skill_text();

	(void)state;
	for (size_t i = 0; cmds[i] != NULL; i++) {
		DM_AUTO_FREE char *line = dm_asprintf("\n- `devmesh %s", cmds[i]->name);

		assert_holds(text, line);
		assert_holds(text, cmds[i]->summary);
	}
	for (const char *at = text; (at = strstr(at, "devmesh ")) != NULL; at++) {
		size_t n = strspn(at + 8, "abcdefghijklmnopqrstuvwxyz");
		DM_AUTO_FREE char *word = dm_strndup(at + 8, n);
		/* only where it is code */
		char before = at == text ? '\n' : at[-1];

		if (n > 0 && strchr("`\"(\n ", before) != NULL && before != ' ' &&
		    cmd_find(word) == NULL)
			fail_msg("the guide speaks of devmesh %s", word);
	}
	for (int code = DM_FAILED; code <= DM_TIMEOUT; code++)
		assert_holds(text, dm_code_name((enum dm_code)code));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(new_files, setup, teardown),
	    cmocka_unit_test_setup_teardown(any_text, setup, teardown),
	    cmocka_unit_test_setup_teardown(any_json, setup, teardown),
	    cmocka_unit_test_setup_teardown(commands_are_wrapped, setup, teardown),
	    cmocka_unit_test_setup_teardown(taken_out_wherever_it_is, setup, teardown),
	    cmocka_unit_test_setup_teardown(compose_finds_the_service, setup, teardown),
	    cmocka_unit_test_setup_teardown(refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(links_are_followed_inside_only, setup, teardown),
	    cmocka_unit_test_setup_teardown(changed_meanwhile, setup, teardown),
	    cmocka_unit_test(skill_knows_the_verbs),
	};

	return cmocka_run_group_tests_name("init", tests, NULL, NULL);
}
