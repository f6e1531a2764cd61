/* SPDX-License-Identifier: MIT */
/*
 * What devmesh prints, whatever it has to print it of: paths with control characters and bytes
 * that are no UTF-8, JSON that any parser takes, previews that say what would be, and the
 * assignments of `env` in a shell.
 */
#include "harness_net.h"

#include <sys/stat.h>
#include <unistd.h>

/* One character of UTF-8 (RFC 3629): its length; 0 if it is none. */
static size_t
utf8_length(const unsigned char *s)
{
	static const unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned long c;
	size_t i, n;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc0 || s[0] >= 0xf8)
		return 0;
	c = s[0] & (0xffu >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0u) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

/* JSON as RFC 8259 has it, on one line: cJSON takes more than that, and others do not. */
static cJSON *
strict_json(struct world *w, struct result r)
{
	const char *text = line_of(w, r);
	const unsigned char *s = (const unsigned char *)text;
	size_t n;

	assert_exit(w, r, 0);
	for (; *s != '\0'; s += n) {
		n = utf8_length(s);
		if (n == 0 || *s < 0x20)
			fail_msg(
			    "byte 0x%02x at %td in: %s", *s, s - (const unsigned char *)text, text);
	}
	return json_of(w, text);
}

static void
assert_clean(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n;

	for (; *s != '\0'; s += n) {
		n = utf8_length(s);
		if (n == 0 || (*s < 0x20 && *s != '\n') || *s == 0x7f)
			fail_msg("byte 0x%02x is shown in: %s", *s, text);
	}
}

/* The whole life of a service in this worktree, with every document about it. */
static void
live(struct world *w, const char *repo)
{
	struct result r;
	const cJSON *row;
	char *id;

	strict_json(w, DM(w, repo, "name", "--json"));
	strict_json(w, DM(w, repo, "up", "--dry-run", "--json"));
	id = up_ok(w, repo);
	assert_label(id);
	assert_string_equal(up_ok(w, repo), id);
	assert_string_equal(line_of(w, DM(w, repo, "name")), id);
	serve_id(w, id);
	assert_answers(w, fmt(w, "%s.dev.test", id), id);
	row = cJSON_GetObjectItem(strict_json(w, DM(w, repo, "status", "--json")), "services");
	assert_int_equal(cJSON_GetArraySize(row), 1);
	assert_string_equal(json_str(row->child, "id"), id);
	assert_string_equal(json_str(row->child, "state"), "up");
	r = DM(w, repo, "status");
	assert_exit(w, r, 0);
	assert_clean(r.out);
	assert_clean(r.err);
	strict_json(w, DM(w, repo, "up", "--json"));
	strict_json(w, DM(w, repo, "url", "--json"));
	strict_json(w, DM(w, repo, "env", "--json"));
	strict_json(w, DM(w, repo, "list", "--json"));
	assert_clean(DM(w, repo, "name", "--explain").out);
	strict_json(w, DM(w, repo, "down", "--json"));
	assert_null(claim_of(w, id));
	assert_int_equal(count_routes(w, id), 0);
	/* And its errors. */
	r = DM(w, repo, "down");
	assert_int_equal(r.code, 3);
	assert_clean(r.err);
}

TEST(path_with_a_tab)
{
	caddy_plain(w, "[]");
	live(w, repo_new(w, "ta\tb"));
}

TEST(path_with_a_newline)
{
	caddy_plain(w, "[]");
	live(w, repo_new(w, "new\nline"));
}

TEST(path_with_an_escape_sequence)
{
	caddy_plain(w, "[]");
	live(w, repo_new(w, "red\x1b[31m\x7f"));
}

TEST(linked_worktree_with_a_tab)
{
	char *repo = repo_new(w, "shop"), *wt = fmt(w, "%s/w\tt", w->dir);

	caddy_plain(w, "[]");
	GIT(w, repo, "worktree", "add", "-q", "-b", "x", wt);
	live(w, wt);
}

TEST(path_that_is_not_utf8)
{
#ifdef __APPLE__
	world_skip(w, "this file system takes no such names");
#endif
	caddy_plain(w, "[]");
	live(w, repo_new(w, "caf\xe9"));
}

/* The worktree is known again by its record, byte for byte, also once it is gone. */
TEST(gone_path_that_is_not_utf8)
{
#ifdef __APPLE__
	world_skip(w, "this file system takes no such names");
#endif
	char *repo = repo_new(w, "caf\xe9\t"), *id;

	caddy_plain(w, "[]");
	id = up_ok(w, repo);
	remove_tree(repo);
	assert_exit(w, DM(w, w->dir, "down", "-C", repo), 0);
	assert_null(claim_of(w, id));
	assert_int_equal(count_routes(w, id), 0);
}

/* --- a directory that is gone, by a relative path ------------------------------------------ */

TEST(down_of_a_gone_directory_by_a_relative_path)
{
	char *repo = repo_new(w, "shop"), *sibling = make_dir(w, "sibling");
	char *link = fmt(w, "%s/link", w->dir);
	const char *const ways[] = {
	    "../gone", "../gone/", "./../gone", "../sibling/../gone", "../link/gone"};
	size_t i;

	caddy_plain(w, "[]");
	assert_int_equal(symlink(w->dir, link), 0);
	for (i = 0; i < sizeof ways / sizeof ways[0]; i++) {
		char *gone = fmt(w, "%s/gone", w->dir);

		GIT(w, repo, "worktree", "add", "-q", "-B", "gone", gone);
		assert_string_equal(up_ok(w, gone), "shop-gone");
		remove_tree(gone);
		GIT(w, repo, "worktree", "prune");
		assert_exit(w, DM(w, sibling, "down", "-C", ways[i]), 0);
		assert_null(claim_of(w, "shop-gone"));
		assert_int_equal(count_routes(w, "shop-gone"), 0);
	}
}

/* --- previews ------------------------------------------------------------------------------ */

TEST(dry_run_of_what_is_there_already)
{
	char *repo = repo_new(w, "shop"), *before, *alias;
	struct result r;
	cJSON *o;

	caddy_plain(w, bystanders(w, 1));
	alias = fmt(w, "http://shop.dev.test:%d", w->port);
	r = DM(w, repo, "up", "--dry-run", "--json");
	o = strict_json(w, r);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(o, "wrote_route")));
	assert_string_equal(json_str(o, "alias_url"), alias);
	up_ok(w, repo);
	before = routes_text(w);
	r = DM(w, repo, "up", "--dry-run");
	assert_exit(w, r, 0);
	if (strstr(r.out, "would leave Caddy's configuration as it is") == NULL)
		fail_msg("nothing would change, yet it says: %s", r.out);
	assert_null(strstr(r.out, "would write"));
	o = strict_json(w, DM(w, repo, "up", "--dry-run", "--json"));
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "wrote_route")));
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "claimed")));
	assert_string_equal(json_str(o, "alias_url"), alias);
	assert_string_equal(routes_text(w), before);
	/* As the up that it is a preview of. */
	o = strict_json(w, DM(w, repo, "up", "--json"));
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "wrote_route")));
	assert_string_equal(json_str(o, "alias_url"), alias);
}

/* --- env ----------------------------------------------------------------------------------- */

TEST(env_says_what_was_and_does_not_bind)
{
	char *repo = repo_new(w, "shop"), *wt;
	struct result r;

	caddy_plain(w, "[]");
	wt = worktree_add(w, repo, "x");
	assert_string_equal(up_ok(w, wt), "shop-x");
	r = run_ok(w, wt,
	    ARGV("sh", "-c",
		"eval \"$(\"$0\" env)\" && echo \"$DEVMESH_ID\" && \"$0\" name &&"
		" git switch -q -c other && \"$0\" name && \"$0\" up",
		w->devmesh));
	assert_string_equal(
	    r.out, fmt(w, "shop-x\nshop-x\nshop-other\nhttp://shop-other.dev.test:%d\n", w->port));
	route_of(w, "shop-other");
	/* DEVMESH_ID alone, by hand, is a wish. */
	world_env(w, "DEVMESH_ID", "shop-wish");
	assert_string_equal(line_of(w, DM(w, wt, "name")), "shop-wish");
	world_env(w, "DEVMESH_WORKTREE", wt);
	assert_string_equal(line_of(w, DM(w, wt, "name")), "shop-other");
}

static void
assert_line(const char *text, const char *line)
{
	size_t len = strlen(line);
	const char *p = text;

	while ((p = strstr(p, line)) != NULL) {
		if ((p == text || p[-1] == '\n') && p[len] == '\n')
			return;
		p++;
	}
	fail_msg("no line \"%s\" in: %s", line, text);
}

TEST(env_empties_what_does_not_apply)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_plain(w, "[]");
	up_ok(w, repo);
	r = DM(w, repo, "env");
	assert_exit(w, r, 0);
	assert_line(r.out, "export DEVMESH_PORT=''");
	assert_line(r.out, fmt(w, "export DEVMESH_SOCKET='%s/shop-main.sock'", w->sockets));
	assert_exit(w, DM(w, repo, "up", "--port", "3000"), 0);
	r = DM(w, repo, "env");
	assert_exit(w, r, 0);
	assert_line(r.out, "export DEVMESH_PORT='3000'");
	assert_line(r.out, "export DEVMESH_SOCKET=''");
	/* Repeated without --port it stays with the port. */
	assert_exit(w, DM(w, repo, "up"), 0);
	assert_line(DM(w, repo, "env").out, "export DEVMESH_PORT='3000'");
	/* In a shell, the one goes when the other comes. */
	r = run_ok(w, repo,
	    ARGV("sh", "-c",
		"eval \"$(\"$0\" env)\"; \"$0\" -q down; \"$0\" up >/dev/null 2>&1; eval "
		"\"$(\"$0\" env)\";"
		" echo \"<$DEVMESH_PORT> <$DEVMESH_SOCKET>\"",
		w->devmesh));
	assert_string_equal(r.out, fmt(w, "<> <%s/shop-main.sock>\n", w->sockets));
}

/* --- JSON of what is no verb's answer ------------------------------------------------------ */

TEST(version_as_json)
{
	struct result plain = DM(w, NULL, "--version"), r = DM(w, NULL, "--version", "--json");
	const char *version = json_str(strict_json(w, r), "version");

	assert_string_equal(line_of(w, plain), fmt(w, "devmesh %s", version));
	assert_true(version[0] >= '0' && version[0] <= '9');
	assert_string_equal(DM(w, NULL, "--json", "--version").out, r.out);
}

TEST(completion_as_json)
{
	static const char *const shells[] = {"zsh", "fish", "bash"};
	struct result plain, r;
	cJSON *o;
	size_t i;

	for (i = 0; i < 3; i++) {
		plain = DM(w, NULL, "completion", shells[i]);
		assert_exit(w, plain, 0);
		r = DM(w, NULL, "completion", shells[i], "--json");
		o = strict_json(w, r);
		assert_int_equal(cJSON_GetObjectItem(o, "schema_version")->valueint, 1);
		assert_string_equal(json_str(o, "shell"), shells[i]);
		/* The very script, with its lines. */
		assert_string_equal(json_str(o, "script"), plain.out);
	}
	r = DM(w, NULL, "completion", "--json");
	assert_int_equal(r.code, 2);
	o = cJSON_GetObjectItem(json_of(w, r.out), "error");
	assert_string_equal(json_str(o, "code"), "usage");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(path_with_a_tab),
	    WORLD_TEST(path_with_a_newline),
	    WORLD_TEST(path_with_an_escape_sequence),
	    WORLD_TEST(linked_worktree_with_a_tab),
	    WORLD_TEST(path_that_is_not_utf8),
	    WORLD_TEST(gone_path_that_is_not_utf8),
	    WORLD_TEST(down_of_a_gone_directory_by_a_relative_path),
	    WORLD_TEST(dry_run_of_what_is_there_already),
	    WORLD_TEST(env_says_what_was_and_does_not_bind),
	    WORLD_TEST(env_empties_what_does_not_apply),
	    WORLD_TEST(version_as_json),
	    WORLD_TEST(completion_as_json),
	};

	return RUN_TESTS(tests);
}
