/* SPDX-License-Identifier: MIT */
/* The one function that names a service: every source of the app, every kind of branch, .id. */
#include "unit.h"

#include "model/name.h"

#define LONG200 \
	"feature/0123456789012345678901234567890123456789012345678901234567890123456789" \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901" \
	"0123456789012345678901234567890123456789"

struct row {
	struct name_input in;
	const char *id, *app;
	bool alias;
	const char *id_from, *branch_from; /* part of it; NULL: any */
};

static const struct row rows[] = {
    /* where the app comes from, best first */
    {{.app_flag = "a", .app_env = "b", .id_file = "c", .app_config = "d", .branch = "x"}, "a-x",
	"a", false, "app and branch", "branch"},
    {{.app_env = "b", .id_file = "c", .app_config = "d", .branch = "x"}, "b-x", "b", false, NULL,
	NULL},
    {{.id_file = "c", .app_config = "d", .remote_url = "h:e.git", .branch = "x"}, "c-x", "c", false,
	NULL, NULL},
    {{.app_config = "d", .remote_url = "h:e.git", .main_dir = "f", .branch = "x"}, "d-x", "d",
	false, NULL, NULL},
    {{.remote_url = "git@h:t/e.git", .main_dir = "f", .branch = "x"}, "e-x", "e", false, NULL,
	NULL},
    {{.remote_url = "/", .main_dir = "f", .branch = "x"}, "f-x", "f", false, NULL, NULL},
    {{.main_dir = "My App", .branch = "x"}, "my-app-x", "my-app", false, NULL, NULL},
    /* branches */
    {{.main_dir = "shop", .branch = "feature/auth"}, "shop-feature-auth", "shop", false, NULL,
	"branch"},
    {{.main_dir = "shop", .branch = "Feature/AUTH"}, "shop-feature-auth", "shop", false, NULL,
	NULL},
    {{.main_dir = "shop", .branch = "fix/#12_\"x\""}, "shop-fix-12-x", "shop", false, NULL, NULL},
    {{.main_dir = "shop", .branch = "main"}, "shop-main", "shop", true, NULL, NULL},
    {{.main_dir = "shop", .branch = "master"}, "shop-master", "shop", true, NULL, NULL},
    {{.main_dir = "shop", .branch = "trunk", .is_default_branch = true}, "shop-trunk", "shop", true,
	NULL, NULL},
    {{.main_dir = "shop", .branch = "trunk"}, "shop-trunk", "shop", false, NULL, NULL},
    /* detached HEAD: the worktree's directory, unless that says nothing new */
    {{.main_dir = "shop", .worktree_dir = "shop-bisect", .commit = "1a2b3c4"}, "shop-shop-bisect",
	"shop", false, NULL, "detached"},
    {{.main_dir = "shop", .worktree_dir = "Shop", .commit = "1a2b3c4"}, "shop-1a2b3c4", "shop",
	false, NULL, "commit"},
    {{.main_dir = "shop", .worktree_dir = "main"}, "shop-main", "shop", false, NULL, NULL},
    {{.app_flag = "x", .main_dir = "shop", .worktree_dir = "shop", .commit = "1a2b3c4"}, "x-shop",
	"x", false, NULL, "directory"},
    /* not a git repository: nothing but the directory's name */
    {{.main_dir = "notes"}, "notes", "notes", false, "app", "none"},
    {{.main_dir = "notes", .worktree_dir = "notes"}, "notes", "notes", false, "app", "none"},
    {{.id_file = "memo", .main_dir = "notes"}, "memo", "memo", false, NULL, NULL},
    /* .id that already is, or ends with, the branch */
    {{.id_file = "shop", .branch = "feature/auth"}, "shop-feature-auth", "shop", false,
	"app and branch", NULL},
    {{.id_file = "shop-feature-auth", .branch = "feature/auth"}, "shop-feature-auth", "shop", false,
	"ends with the branch", NULL},
    {{.id_file = "shop/feature/auth", .branch = "feature/auth"}, "shop-feature-auth", "shop", false,
	"ends with the branch", NULL},
    {{.id_file = "Feature Auth", .branch = "feature/auth"}, "feature-auth", "feature-auth", false,
	"ends with the branch", NULL},
    {{.id_file = "shop-main", .branch = "main"}, "shop-main", "shop", true, "ends with", NULL},
    {{.id_file = "main", .branch = "main"}, "main", "main", false, "ends with", NULL},
    {{.id_file = "domain", .branch = "main"}, "domain-main", "domain", true, "app and branch",
	NULL},
    {{.id_file = "shop-main", .branch = "auth"}, "shop-main-auth", "shop-main", false, NULL, NULL},
    {{.id_file = "shop-main", .worktree_dir = "main"}, "shop-main", "shop", false, NULL, NULL},
    /* only .id may cover the branch: what is asked for as an app is one */
    {{.app_flag = "shop-main", .branch = "main"}, "shop-main-main", "shop-main", true, NULL, NULL},
    {{.app_config = "shop-main", .branch = "main"}, "shop-main-main", "shop-main", true, NULL,
	NULL},
};

static void
composed(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *r = &rows[i];
		struct name name;
		struct dm_err err;

		assert_ok(name_compose(&r->in, &name, &err), &err);
		if (strcmp(name.id.s, r->id) != 0 || strcmp(name.app.s, r->app) != 0 ||
		    name.has_alias != r->alias)
			fail_msg("row %zu: %s (app %s, alias %d) instead of %s", i, name.id.s,
			    name.app.s, name.has_alias, r->id);
		assert_false(name.exact);
		assert_true(name.app_from != NULL && name.branch_from != NULL);
		if (r->id_from != NULL)
			assert_holds(name.id_from, r->id_from);
		if (r->branch_from != NULL)
			assert_holds(name.branch_from, r->branch_from);
	}
}

static void
sources_are_named(void **state)
{
	static const struct {
		struct name_input in;
		const char *from;
	} sources[] = {
	    {{.app_flag = "a"}, "--app"},
	    {{.app_env = "a"}, "DEVMESH_APP"},
	    {{.id_file = "a"}, ".id"},
	    {{.app_config = "a"}, "mesh.app"},
	    {{.remote_url = "h:a"}, "origin"},
	    {{.main_dir = "a"}, "directory"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(sources); i++) {
		struct name name;
		struct dm_err err;

		assert_ok(name_compose(&sources[i].in, &name, &err), &err);
		assert_holds(name.app_from, sources[i].from);
		assert_int_equal(name_wants_remote(&sources[i].in), i >= 4);
	}
	assert_false(name_wants_remote(&(struct name_input){.id = "x", .main_dir = "y"}));
}

static void
exact_names(void **state)
{
	static const struct {
		struct name_input in;
		const char *id; /* NULL: refused */
	} exact[] = {
	    {{.id = "shop", .app_flag = "a", .branch = "main"}, "shop"},
	    {{.id = "shop-demo", .id_file = "x.", .branch = "main"}, "shop-demo"},
	    {{.id_file = "shop-demo.", .branch = "main"}, "shop-demo"},
	    {{.id_file = "shop."}, "shop"},
	    {{.id = "Shop", .branch = "main"}, NULL},
	    {{.id = "shop."}, NULL},
	    {{.id = ""}, NULL},
	    {{.id = "../x"}, NULL},
	    {{.id = "a--b"}, NULL},
	    {{.id_file = "Shop Demo."}, NULL},
	    {{.id_file = "."}, NULL},
	    {{.id_file = "shop.."}, NULL},
	    {{.id_file = LONG200 "."}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(exact); i++) {
		struct name name;
		struct dm_err err;

		if (exact[i].id == NULL) {
			assert_fails(name_compose(&exact[i].in, &name, &err), &err, DM_USAGE,
			    exact[i].in.id != NULL ? "--id" : ".id");
			assert_true(err.hint[0] != '\0');
			continue;
		}
		assert_ok(name_compose(&exact[i].in, &name, &err), &err);
		assert_string_equal(name.id.s, exact[i].id);
		assert_true(name.exact && !name.has_alias);
	}
}

static void
nameless(void **state)
{
	static const struct name_input inputs[] = {{.main_dir = ""}, {.main_dir = "---"},
	    {.app_flag = ""}, {.app_flag = "///", .main_dir = "shop"}, {.app_env = "_"},
	    {.id_file = "!?"}, {.main_dir = NULL}};

	(void)state;
	for (size_t i = 0; i < COUNT(inputs); i++) {
		struct name name;
		struct dm_err err;

		assert_fails(
		    name_compose(&inputs[i], &name, &err), &err, DM_USAGE, "no letter or digit");
		assert_holds(err.hint, "--app");
	}
}

/* Long and non-ASCII parts: still a label, still told apart. */
static void
hard_branches(void **state)
{
	static const char *const branches[] = {LONG200, LONG200 "x", "gr\xc3\xbc\xc3\x9f", "gr/s",
	    "\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x9c\xac\xe6\x97\xa5", "/", "-", "@", "HEAD"};
	struct name names[COUNT(branches)];

	(void)state;
	for (size_t i = 0; i < COUNT(branches); i++) {
		struct name_input in = {.main_dir = "shop", .branch = branches[i]};
		struct dm_err err;

		assert_ok(name_compose(&in, &names[i], &err), &err);
		assert_true(slug_valid(names[i].id.s));
		assert_true(dm_starts_with(names[i].id.s, "shop-"));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(names[i].id.s, names[j].id.s);
	}
}

static void
id_file_lines(void **state)
{
	static const struct {
		const char *bytes, *line; /* NULL: refused */
	} files[] = {
	    {"shop", "shop"},
	    {"shop\n", "shop"},
	    {"shop\r\n", "shop"},
	    {"shop \t \r\n", "shop"},
	    {"  shop", "shop"},
	    {"shop\nother\n", "shop"},
	    {"shop\r\nother\r\n", "shop"},
	    {"my app\n", "my app"},
	    {"shop.\n", "shop."},
	    {"gr\xc3\xbc\xc3\x9f\n", "gr\xc3\xbc\xc3\x9f"},
	    /* a byte order mark, once and at the beginning only */
	    {"\xef\xbb\xbfshop\n", "shop"},
	    {"\xef\xbb\xbf  shop\r\n", "shop"},
	    {"\xef\xbb\xbf\xef\xbb\xbfshop", "\xef\xbb\xbfshop"},
	    {" \xef\xbb\xbfshop", "\xef\xbb\xbfshop"},
	    {"\xef\xbbshop", "\xef\xbbshop"},
	    {"\xef\xbb\xbf", NULL},
	    {"\xef\xbb\xbf\n", NULL},
	    {"\xef\xbb\xbf\nshop\n", NULL},
	    {"", NULL},
	    {"\n", NULL},
	    {"\r\n", NULL},
	    {" \t\n", NULL},
	    {"\nshop\n", NULL},
	    {"a\tb", NULL},
	    {"a\033[31mb", NULL},
	    {"a\rb\n", NULL},
	    {"a\x7f", NULL},
	};
	static const char nul[] = "sh\0op\n", later_nul[] = "shop\nx\0y";
	char line[NAME_ID_LINE_MAX + 1];
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(files); i++) {
		const char *bytes = files[i].bytes;

		if (files[i].line == NULL) {
			assert_fails(name_parse_id_file(bytes, strlen(bytes), line, &err), &err,
			    DM_USAGE, "first line");
			continue;
		}
		assert_ok(name_parse_id_file(bytes, strlen(bytes), line, &err), &err);
		assert_string_equal(line, files[i].line);
	}
	assert_fails(name_parse_id_file(nul, sizeof(nul) - 1, line, &err), &err, DM_USAGE, "0x00");
	assert_ok(name_parse_id_file(later_nul, sizeof(later_nul) - 1, line, &err), &err);
	assert_string_equal(line, "shop");
}

static void
id_file_sizes(void **state)
{
	enum {
		BIG = 1 << 20
	};
	DM_AUTO_FREE char *big = dm_calloc(BIG, 1);
	char line[NAME_ID_LINE_MAX + 1];
	struct dm_err err;

	(void)state;
	memset(big, 'a', BIG);
	assert_ok(name_parse_id_file(big, NAME_ID_LINE_MAX, line, &err), &err);
	assert_int_equal(strlen(line), NAME_ID_LINE_MAX);
	assert_fails(name_parse_id_file(big, NAME_ID_LINE_MAX + 1, line, &err), &err, DM_USAGE,
	    "longer than 255");
	assert_fails(name_parse_id_file(big, BIG, line, &err), &err, DM_USAGE, "longer than 255");
	big[4] = '\n';
	assert_ok(name_parse_id_file(big, BIG, line, &err), &err);
	assert_string_equal(line, "aaaa");
	/* the mark does not count */
	memset(big, 'a', BIG);
	memcpy(big, "\xef\xbb\xbf", 3);
	assert_ok(name_parse_id_file(big, NAME_ID_LINE_MAX + 3, line, &err), &err);
	assert_int_equal(strlen(line), NAME_ID_LINE_MAX);
	assert_fails(name_parse_id_file(big, NAME_ID_LINE_MAX + 4, line, &err), &err, DM_USAGE,
	    "longer than 255");
}

static void
remotes(void **state)
{
	static const struct {
		const char *url, *name; /* NULL: none */
	} urls[] = {
	    {"git@github.com:team/shop.git", "shop"},
	    {"git@github.com:shop.git", "shop"},
	    {"https://github.com/team/shop", "shop"},
	    {"https://github.com/team/shop.git/", "shop"},
	    {"https://user:pw@host:8443/team/my.shop.git", "my.shop"},
	    {"ssh://git@host:22/~/shop.git", "shop"},
	    {"/srv/git/shop.git", "shop"},
	    {"/srv/git/shop//", "shop"},
	    {"../shop", "shop"},
	    {"shop", "shop"},
	    {"", NULL},
	    {"/", NULL},
	    {".git", NULL},
	    {"host:.git", NULL},
	};
	char out[2 * SLUG_MAX], small[4];

	(void)state;
	for (size_t i = 0; i < COUNT(urls); i++) {
		assert_int_equal(
		    name_from_remote(urls[i].url, out, sizeof(out)), urls[i].name != NULL);
		if (urls[i].name != NULL)
			assert_string_equal(out, urls[i].name);
	}
	assert_false(name_from_remote("h:shop", small, sizeof(small)));
}

static struct name
name_of(const char *app, const char *branch)
{
	struct name_input in = {.app_flag = app, .branch = branch};
	struct name name;
	struct dm_err err;

	assert_ok(name_compose(&in, &name, &err), &err);
	return name;
}

static void
alternatives(void **state)
{
	struct name a = name_of("shop", "feature/auth"), b = name_of("shop", "feature-auth");
	struct name c = name_of("a-b", "c"), d = name_of("a", "b-c");

	(void)state;
	assert_string_equal(a.id.s, b.id.s);
	assert_string_not_equal(name_alternative(&a).s, name_alternative(&b).s);
	assert_string_equal(c.id.s, d.id.s);
	assert_string_not_equal(name_alternative(&c).s, name_alternative(&d).s);
	assert_true(dm_starts_with(name_alternative(&a).s, "shop-feature-auth-"));
	assert_int_equal(strlen(name_alternative(&a).s), strlen("shop-feature-auth-") + SLUG_HASH);
	assert_string_not_equal(
	    name_last_resort(&a, "/home/me/one").s, name_last_resort(&a, "/home/me/two").s);
	assert_string_not_equal(name_last_resort(&a, "/home/me/one").s, name_alternative(&a).s);
	assert_string_equal(
	    name_last_resort(&a, "/home/me/one").s, name_last_resort(&a, "/home/me/one").s);
}

/* One (app, branch) of the corpus and what became of it. */
struct entry {
	char app[40], branch[80];
	struct slug id, alternative;
};

static int
by_id(const void *x, const void *y)
{
	const struct entry *a = x, *b = y;
	int order = strcmp(a->id.s, b->id.s);

	if (order == 0)
		order = strcmp(a->app, b->app);
	return order != 0 ? order : strcmp(a->branch, b->branch);
}

static void
make_entry(struct prng *p, size_t i, struct entry *e)
{
	static const char *const traps[][2] = {{"shop", "feature/auth"}, {"shop", "feature-auth"},
	    {"shop", "Feature/auth"}, {"shop-feature", "auth"}, {"a-b", "c"}, {"a", "b-c"},
	    {"a", "b/c"}, {"A", "b-c"}, {"a", LONG200}};

	if (i < COUNT(traps)) {
		(void)snprintf(e->app, sizeof(e->app), "%s", traps[i][0]);
		(void)snprintf(e->branch, sizeof(e->branch), "%.79s", traps[i][1]);
	} else {
		/* few letters, so that many ids fall together */
		e->app[0] = 'a';
		prng_text(p, "ab-", i % 3 == 0 ? 38 : 3, e->app + 1);
		e->branch[0] = 'b';
		prng_text(p, i % 2 == 0 ? "ab-/" : "aB_/\xc3", i % 5 == 0 ? 78 : 5, e->branch + 1);
	}
}

static void
distinct_or_told_apart(void **state)
{
	enum {
		N = 8000
	};
	DM_AUTO_FREE struct entry *all = dm_calloc(N, sizeof(*all));
	struct prng p = prng_new();
	size_t same = 0;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		struct name name;

		make_entry(&p, i, &all[i]);
		name = name_of(all[i].app, all[i].branch);
		all[i].id = name.id;
		all[i].alternative = name_alternative(&name);
		assert_true(slug_valid(name.id.s) && slug_valid(all[i].alternative.s));
		assert_string_equal(name_of(all[i].app, all[i].branch).id.s, name.id.s);
	}
	qsort(all, N, sizeof(*all), by_id);
	for (size_t i = 0; i < N; i++) {
		for (size_t j = i + 1; j < N && strcmp(all[i].id.s, all[j].id.s) == 0; j++) {
			if (strcmp(all[i].app, all[j].app) == 0 &&
			    strcmp(all[i].branch, all[j].branch) == 0)
				continue;
			same++;
			if (strcmp(all[i].alternative.s, all[j].alternative.s) == 0)
				fail_msg("%s + %s and %s + %s are both %s", all[i].app,
				    all[i].branch, all[j].app, all[j].branch, all[i].alternative.s);
		}
	}
	assert_true(same > 100); /* the corpus is worth its name */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(composed),
	    cmocka_unit_test(sources_are_named),
	    cmocka_unit_test(exact_names),
	    cmocka_unit_test(nameless),
	    cmocka_unit_test(hard_branches),
	    cmocka_unit_test(id_file_lines),
	    cmocka_unit_test(id_file_sizes),
	    cmocka_unit_test(remotes),
	    cmocka_unit_test(alternatives),
	    cmocka_unit_test(distinct_or_told_apart),
	};

	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
