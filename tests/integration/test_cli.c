/* SPDX-License-Identifier: MIT */
/*
 * The command line itself: help, typing errors, flags before and after the verb, --json on every
 * verb and every error, completion, configuration, and output that cannot be written.
 */
#include "harness_net.h"

#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

static const char *const verbs[] = {"up", "down", "status", "list", "url", "name", "env", "wait",
    "gc", "init", "hook", "skill", "start", "stop", "trust", "config", "completion", "help"};

#define EACH_VERB(i) \
	(i) = 0; \
	(i) < sizeof verbs / sizeof verbs[0]; \
	(i)++

TEST(help_lists_every_verb)
{
	struct result r = DM(w, NULL, "help"), same;
	size_t i;

	assert_exit(w, r, 0);
	for (EACH_VERB(i))
		if (strstr(r.out, verbs[i]) == NULL)
			fail_msg("help does not know %s:\n%s", verbs[i], r.out);
	same = DM(w, NULL, "--help");
	assert_exit(w, same, 0);
	assert_string_equal(same.out, r.out);
	same = DM(w, NULL, "-h");
	assert_string_equal(same.out, r.out);
}

TEST(help_of_every_verb)
{
	struct result r, same;
	size_t i;

	for (EACH_VERB(i)) {
		r = DM(w, NULL, "help", verbs[i]);
		assert_exit(w, r, 0);
		assert_non_null(strstr(r.out, verbs[i]));
		same = DM(w, NULL, verbs[i], "--help");
		assert_exit(w, same, 0);
		assert_string_equal(same.out, r.out);
		assert_string_equal(same.err, "");
	}
	assert_non_null(strstr(DM(w, NULL, "help", "up").out, "--dry-run"));
	assert_error(w, DM(w, NULL, "help", "nonsense"), 2, "nonsense");
}

TEST(version_is_one_line)
{
	struct result r = DM(w, NULL, "--version");
	char *line;

	assert_exit(w, r, 0);
	line = line_of(w, r);
	assert_int_equal(strncmp(line, "devmesh ", 8), 0);
	assert_true(isdigit((unsigned char)line[8]));
}

TEST(no_verb_is_a_usage_error)
{
	struct result r = run(w, NULL, ARGV(w->devmesh));

	assert_exit(w, r, 2);
	assert_string_equal(r.out, "");
	assert_non_null(strstr(r.err, "devmesh help"));
}

TEST(typing_errors_suggest_the_nearest)
{
	assert_error(w, DM(w, NULL, "stauts"), 2, "status");
	assert_error(w, DM(w, NULL, "dwon"), 2, "down");
	assert_error(w, DM(w, NULL, "urll"), 2, "url");
	assert_error(w, DM(w, NULL, "xyzzyx"), 2, "xyzzyx");
	assert_error(w, DM(w, NULL, "up", "--dry-rum"), 2, "--dry-run");
}

TEST(usage_errors)
{
	char *repo = repo_new(w, "shop");

	assert_error(w, DM(w, repo, "up", "--no-such-flag"), 2, "--no-such-flag");
	assert_error(w, DM(w, repo, "up", "-Z"), 2, "-Z");
	assert_error(w, DM(w, repo, "up", "--app"), 2, "--app");
	assert_error(w, DM(w, repo, "up", "surplus"), 2, "surplus");
	assert_error(w, DM(w, repo, "up", "--port", "0"), 2, "port");
	assert_error(w, DM(w, repo, "up", "--port", "65536"), 2, "65536");
	assert_error(w, DM(w, repo, "up", "--port", "3000x"), 2, "3000x");
	assert_error(w, DM(w, repo, "up", "--port", "3000", "--socket", "/tmp/x"), 2, "--socket");
	assert_error(w, DM(w, repo, "up", "--wait=soon"), 2, "soon");
	assert_error(w, DM(w, repo, "wait", "--timeout", "-1"), 2, "-1");
	assert_error(w, DM(w, repo, "url", "a", "b"), 2, "b");
	assert_error(w, DM(w, repo, "completion"), 2, "bash");
	assert_error(w, DM(w, repo, "completion", "tcsh"), 2, "tcsh");
	assert_error(w, DM(w, repo, "name", "--explain=yes"), 2, "--explain");
	assert_int_equal(count_claims(w), 0);
}

TEST(global_flags_stand_before_or_after_the_verb)
{
	char *repo = repo_new(w, "shop"), *a, *b;

	a = fmt(w, "%s", DM(w, repo, "--json", "name").out);
	b = fmt(w, "%s", DM(w, repo, "name", "--json").out);
	assert_string_equal(a, b);
	json_of(w, a);
	write_text(fmt(w, "%s/own.ini", w->dir), "[mesh]\napp = own\n");
	assert_string_equal(
	    DM(w, repo, "--config", fmt(w, "%s/own.ini", w->dir), "name").out, "own-main\n");
	assert_string_equal(
	    DM(w, repo, "name", fmt(w, "--config=%s/own.ini", w->dir)).out, "own-main\n");
	assert_string_equal(DM(w, w->dir, "name", "-C", repo).out, "shop-main\n");
	assert_string_equal(DM(w, w->dir, "name", fmt(w, "-C%s", repo)).out, "shop-main\n");
}

static void
assert_json_error(struct world *w, struct result r, int code, const char *name)
{
	const cJSON *o, *error;

	assert_exit(w, r, code);
	o = json_of(w, r.out);
	assert_int_equal(cJSON_GetObjectItem(o, "schema_version")->valueint, 1);
	error = cJSON_GetObjectItem(o, "error");
	assert_non_null(error);
	assert_string_equal(json_str(error, "code"), name);
	assert_string_not_equal(json_str(error, "message"), "");
	assert_true(cJSON_HasObjectItem(error, "hint"));
}

TEST(json_errors)
{
	char *repo = repo_new(w, "shop");

	assert_json_error(w, DM(w, repo, "--json", "nonsense"), 2, "usage");
	assert_json_error(w, DM(w, repo, "--json", "up", "--nonsense"), 2, "usage");
	assert_json_error(w, DM(w, repo, "url", "nobody", "--json"), 3, "not_found");
	assert_json_error(w, DM(w, repo, "up", "--json"), 5, "unreachable");
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "banana");
	assert_json_error(w, DM(w, repo, "up", "--json"), 2, "usage");
}

TEST(json_on_every_verb_that_answers)
{
	static const char *const plain[] = {
	    "up", "status", "list", "url", "name", "env", "config", "gc", "down", "help"};
	char *repo = repo_new(w, "shop");
	struct result r;
	const cJSON *o;
	size_t i;

	caddy_mesh(w, "");
	for (i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		r = DM(w, repo, plain[i], "--json");
		assert_exit(w, r, 0);
		o = json_of(w, r.out);
		if (!cJSON_IsNumber(cJSON_GetObjectItem(o, "schema_version")))
			fail_msg("%s --json has no schema_version: %s", plain[i], r.out);
	}
	r = DM(w, repo, "up", "--json");
	o = json_of(w, r.out);
	assert_string_equal(json_str(o, "id"), "shop-main");
	assert_string_equal(json_str(o, "url"), line_of(w, DM(w, repo, "url")));
}

TEST(completion_knows_every_verb)
{
	static const char *const shells[] = {"bash", "zsh", "fish"};
	struct result r;
	size_t i, s;

	for (s = 0; s < 3; s++) {
		r = DM(w, NULL, "completion", shells[s]);
		assert_exit(w, r, 0);
		for (EACH_VERB(i))
			assert_non_null(strstr(r.out, verbs[i]));
		assert_non_null(strstr(r.out, "dry-run"));
	}
}

/* An apostrophe in a help text must not end a quoted string of the script. */
TEST(completion_quotes_are_balanced_in_fish)
{
	struct result r = DM(w, NULL, "completion", "fish");
	bool quoted = false;

	assert_exit(w, r, 0);
	for (const char *p = r.out; *p != '\0'; p++) {
		if (quoted && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '\'')
			quoted = !quoted;
		else if (*p == '\n' && quoted)
			fail_msg("a quote is open at the end of a line: %.40s", p);
	}
	assert_false(quoted);
}

TEST(completion_works_in_bash)
{
	char *script = fmt(w, "%s/devmesh.bash", w->dir);
	struct result r;

	if (access("/bin/bash", X_OK) != 0)
		world_skip(w, "there is no bash");
	write_text(script, DM(w, NULL, "completion", "bash").out);
	/* What pressing Tab after `devmesh sta` does: run the function, read COMPREPLY. */
	r = run_ok(w, NULL,
	    ARGV("bash", "--norc", "-ec",
		". \"$0\"; f=$(complete -p devmesh | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
		"COMP_WORDS=(devmesh sta); COMP_CWORD=1; COMP_LINE='devmesh sta'; COMP_POINT=11; "
		"\"$f\" devmesh sta devmesh || :; printf '%s\\n' \"${COMPREPLY[@]}\"",
		script));
	assert_non_null(strstr(r.out, "status"));
	assert_non_null(strstr(r.out, "start"));
	assert_null(strstr(r.out, "down"));
}

TEST(config_tells_values_and_where_they_come_from)
{
	struct result r;

	write_text(fmt(w, "%s/devmesh.ini", w->home), "[caddy]\nregistration = route\n");
	r = DM(w, NULL, "config");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "registration"));
	assert_non_null(strstr(r.out, "devmesh.ini:2"));
	assert_non_null(strstr(r.out, w->sockets));
	assert_non_null(strstr(r.out, "environment"));
	assert_non_null(strstr(r.out, "default"));
}

TEST(config_errors_name_file_and_line)
{
	char *file = fmt(w, "%s/devmesh.ini", w->home);

	write_text(file, "[caddy]\n# fine\nregistraton = route\n");
	assert_error(w, DM(w, NULL, "config"), 2, "devmesh.ini:3");
	write_text(file, "[cady]\nregistration = route\n");
	assert_error(w, DM(w, NULL, "list"), 2, "devmesh.ini:2");
	write_text(file, "[caddy]\nregistration = banana\n");
	assert_error(w, DM(w, NULL, "list"), 2, "devmesh.ini:2");
	write_text(file, "no section\n");
	assert_error(w, DM(w, NULL, "list"), 2, "devmesh.ini:1");
	write_text(file, "");
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "a while");
	assert_error(w, DM(w, NULL, "list"), 2, "DEVMESH_CADDY_TIMEOUT");
	world_env(w, "DEVMESH_CADDY_TIMEOUT", NULL);
	assert_error(w, DM(w, NULL, "list", "--config", "/nonexistent.ini"), 2, "/nonexistent.ini");
}

TEST(help_works_with_a_broken_configuration)
{
	write_text(fmt(w, "%s/devmesh.ini", w->home), "garbage\n");
	assert_exit(w, DM(w, NULL, "help"), 0);
	assert_exit(w, DM(w, NULL, "--version"), 0);
}

TEST(output_that_cannot_be_written_is_an_error)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	if (access("/dev/full", W_OK) != 0)
		world_skip(w, "there is no /dev/full");
	r = run(w, repo, ARGV("sh", "-c", "exec \"$0\" name >/dev/full", w->devmesh));
	assert_int_equal(r.code, 1);
	assert_non_null(strstr(r.err, "devmesh: error: "));
	r = run(w, repo, ARGV("sh", "-c", "exec \"$0\" help >/dev/full", w->devmesh));
	assert_int_equal(r.code, 1);
}

TEST(closed_streams_do_no_harm)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	/* No stdin, stdout, stderr at all: files opened must not take their place. */
	r = run(w, repo, ARGV("sh", "-c", "exec \"$0\" up <&- >&- 2>&-", w->devmesh));
	assert_true(r.code == 0 || r.code == 1);
	if (claim_of(w, "shop-main") != NULL) /* whole, and nothing else in it */
		assert_string_equal(json_str(claim_of(w, "shop-main"), "id"), "shop-main");
	assert_string_equal(up_ok(w, repo), "shop-main");
}

TEST(control_characters_do_not_reach_the_terminal)
{
	char *repo = repo_new(w, "shop\x1b]0;evil\x07");
	struct result r;

	caddy_mesh(w, "");
	assert_exit(w, DM(w, repo, "up", "--id", "plain"), 0);
	r = DM(w, w->dir, "status");
	assert_exit(w, r, 0);
	assert_null(strchr(r.out, '\x1b'));
	r = DM(w, w->dir, "nonsense\x1b[2J");
	assert_exit(w, r, 2);
	assert_null(strchr(r.err, '\x1b'));
}

TEST(quiet_keeps_notes_to_itself_and_errors_not)
{
	char *dir = make_dir(w, "notes");
	struct result r = DM(w, dir, "name", "-q");

	assert_exit(w, r, 0);
	assert_string_equal(r.out, "notes\n");
	assert_string_equal(r.err, "");
	assert_error(w, DM(w, dir, "-q", "url", "nobody"), 3, "nobody");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(help_lists_every_verb),
	    WORLD_TEST(help_of_every_verb),
	    WORLD_TEST(version_is_one_line),
	    WORLD_TEST(no_verb_is_a_usage_error),
	    WORLD_TEST(typing_errors_suggest_the_nearest),
	    WORLD_TEST(usage_errors),
	    WORLD_TEST(global_flags_stand_before_or_after_the_verb),
	    WORLD_TEST(json_errors),
	    WORLD_TEST(json_on_every_verb_that_answers),
	    WORLD_TEST(completion_knows_every_verb),
	    WORLD_TEST(completion_quotes_are_balanced_in_fish),
	    WORLD_TEST(completion_works_in_bash),
	    WORLD_TEST(config_tells_values_and_where_they_come_from),
	    WORLD_TEST(config_errors_name_file_and_line),
	    WORLD_TEST(help_works_with_a_broken_configuration),
	    WORLD_TEST(output_that_cannot_be_written_is_an_error),
	    WORLD_TEST(closed_streams_do_no_harm),
	    WORLD_TEST(control_characters_do_not_reach_the_terminal),
	    WORLD_TEST(quiet_keeps_notes_to_itself_and_errors_not),
	};

	return RUN_TESTS(tests);
}
