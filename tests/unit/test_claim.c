/* SPDX-License-Identifier: MIT */
/* The record of a claim: what is written can be read, and what others wrote is not believed. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "claim/claim.h"

/* A record with everything in it. */
static const char record[] =
    "{\"schema_version\":1,\"id\":\"shop-main\",\"app\":\"shop\",\"branch\":\"main\","
    "\"worktree\":\"/home/me/shop\",\"socket\":\"/tmp/caddy-dev/shop-main.sock\","
    "\"registration\":\"mesh\",\"url\":\"https://shop-main.dev.localhost\","
    "\"host\":\"shop-main.dev.localhost\",\"created\":1700000000}";

static struct claim *
decode(const char *text, struct dm_err *err)
{
	return claim_decode(text, strlen(text), "shop-main", err);
}

/* The record with one member replaced by a JSON value; NULL: without it. The caller owns it. */
static char *
with_member(const char *key, const char *json)
{
	cJSON *o = cJSON_Parse(record), *value = json == NULL ? NULL : cJSON_Parse(json);
	char *text;

	assert_non_null(o);
	cJSON_DeleteItemFromObjectCaseSensitive(o, key);
	if (json != NULL) {
		assert_non_null(value);
		assert_true(cJSON_AddItemToObject(o, key, value));
	}
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

static void
assert_text(const char *got, const char *want)
{
	assert_int_equal(got == NULL, want == NULL);
	if (want != NULL)
		assert_string_equal(got, want);
}

static void
assert_same(const struct claim *got, const struct claim *want)
{
	assert_string_equal(got->id.s, want->id.s);
	assert_string_equal(got->app.s, want->app.s);
	assert_int_equal(got->is_alias, want->is_alias);
	if (want->is_alias)
		assert_string_equal(got->alias_of.s, want->alias_of.s);
	assert_text(got->branch, want->branch);
	assert_text(got->worktree, want->worktree);
	assert_text(got->socket, want->socket);
	assert_int_equal(got->port, want->port);
	assert_int_equal(got->registration, want->registration);
	assert_text(got->url, want->url);
	assert_text(got->host, want->host);
	assert_text(got->identity, want->identity);
	assert_true(got->created == want->created);
	assert_int_equal(got->pinned, want->pinned);
}

static struct claim *
sample(unsigned variant)
{
	struct claim *c = claim_new();

	c->id = (struct slug){"shop-main"};
	c->app = (struct slug){"shop"};
	c->worktree =
	    dm_strdup(variant % 2 == 0 ? "/home/me/shop" : "/tmp/\"q\" \\ \xc3\xbc\xff </script>");
	if ((variant & 2) != 0)
		c->branch = dm_strdup("feature/'\"\\\xe2\x82\xac");
	if ((variant & 4) != 0)
		c->port = 65535;
	else
		c->socket = dm_strdup("/tmp/caddy-dev/shop-main.sock");
	c->registration = (variant & 8) != 0 ? CLAIM_ROUTE : CLAIM_MESH;
	if ((variant & 16) != 0) {
		c->is_alias = true;
		c->alias_of = (struct slug){"shop-main-x"};
	}
	if ((variant & 32) != 0) {
		c->url = dm_strdup("https://shop-main.dev.localhost:8443");
		c->host = dm_strdup("shop-main.dev.localhost");
		c->identity = dm_strdup("/home/me/.local/state/devmesh/identity");
	}
	c->created = (variant & 64) != 0 ? 1700000000 : INT64_C(99999999999);
	c->pinned = (variant & 128) != 0;
	c->uid = 4711;
	return c;
}

static void
round_trip(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < 256; variant++) {
		dm_auto(claim) c = sample(variant);
		dm_auto(claim) copy = claim_dup(c);
		dm_auto(claim) back = NULL;
		DM_AUTO_FREE char *text = claim_encode(c);
		DM_AUTO_FREE char *again = NULL;
		struct dm_err err;

		back = decode(text, &err);
		assert_ok(back != NULL, &err);
		assert_same(back, c);
		assert_same(copy, c);
		assert_int_equal(back->uid, 0);
		again = claim_encode(back);
		assert_string_equal(again, text);
	}
}

/* The members that scripts and older versions read. */
static void
shape(void **state)
{
	static const char *const keys[] = {"schema_version", "id", "app", "branch", "worktree",
	    "socket", "registration", "url", "host", "created"};
	struct dm_err err;
	dm_auto(claim) c = decode(record, &err);
	DM_AUTO_FREE char *text = NULL;
	cJSON *o, *want = cJSON_Parse(record);

	(void)state;
	assert_ok(c != NULL, &err);
	text = claim_encode(c);
	o = cJSON_Parse(text);
	assert_true(cJSON_Compare(o, want, true));
	for (size_t i = 0; i < COUNT(keys); i++)
		assert_true(cJSON_HasObjectItem(o, keys[i]));
	assert_int_equal(cJSON_GetObjectItem(o, "schema_version")->valuedouble, 1);
	cJSON_Delete(o);
	cJSON_Delete(want);
}

static void
hostile_members(void **state)
{
	static const struct {
		const char *key, *json, *why; /* json NULL: missing */
	} rows[] = {
	    {"id", NULL, "\"id\""},
	    {"id", "1", "\"id\""},
	    {"id", "\"Shop\"", "\"id\""},
	    {"id", "\"../../etc/passwd\"", "\"id\""},
	    {"id", "\"\"", "\"id\""},
	    {"id", "\"other\"", "a record of \"other\""},
	    {"app", NULL, "\"app\""},
	    {"app", "\"a/b\"", "\"app\""},
	    {"app", "[\"shop\"]", "\"app\""},
	    {"alias_of", "\"A\"", "\"alias_of\""},
	    {"alias_of", "null", "\"alias_of\""},
	    {"branch", "1", "\"branch\""},
	    {"branch", "\"a\\u001b[31m\"", "control"},
	    {"branch", "\"a\\nb\"", "control"},
	    {"branch", "\"\\u007f\"", "control"},
	    {"worktree", NULL, "no worktree"},
	    {"worktree", "null", "\"worktree\""},
	    {"worktree", "\"home\"", "absolute"},
	    {"worktree", "\"\"", "absolute"},
	    {"socket", NULL, "either a socket or a port"},
	    {"socket", "\"s.sock\"", "absolute"},
	    {"socket", "{}", "\"socket\""},
	    {"port", "3000", "either a socket or a port"},
	    {"port", "65536", "\"port\""},
	    {"port", "-1", "\"port\""},
	    {"port", "1e999", "\"port\""},
	    {"port", "\"3000\"", "\"port\""},
	    {"port", "true", "\"port\""},
	    {"port", "3000.5", "\"port\""},
	    {"port", "0.5", "\"port\""},
	    {"port", "1e-9", "\"port\""},
	    {"port", "65535.5", "\"port\""},
	    {"port", "-0.5", "\"port\""},
	    {"registration", NULL, "registration"},
	    {"registration", "\"auto\"", "registration"},
	    {"registration", "\"r\"", "registration"},
	    {"registration", "0", "registration"},
	    {"url", "[]", "\"url\""},
	    {"url", "\"https://x\\u0007\"", "control"},
	    {"host", "7", "\"host\""},
	    {"host", "\"a\\tb\"", "control"},
	    {"created", "\"now\"", "\"created\""},
	    {"created", "-1", "\"created\""},
	    {"created", "1.5", "\"created\""},
	    {"created", "1e16", "\"created\""},
	    {"created", "1e999", "\"created\""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *text = with_member(rows[i].key, rows[i].json);
		struct dm_err err;

		assert_fails(decode(text, &err) != NULL, &err, DM_FAILED, rows[i].why);
	}
}

/* Paths may hold anything but NUL: what shows them makes them fit to be shown. */
static void
control_characters_in_paths(void **state)
{
	static const struct {
		const char *json, *path;
	} rows[] = {
	    {"\"/a\\rb\"", "/a\rb"},
	    {"\"/a\\tb\\n\"", "/a\tb\n"},
	    {"\"/\\u001b[31m\\u0001\\u007f\"", "/\033[31m\001\177"},
	    {"\"/\xff\xe9\"", "/\xff\xe9"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		for (int j = 0; j < 2; j++) {
			DM_AUTO_FREE char *text =
			    with_member(j == 0 ? "worktree" : "socket", rows[i].json);
			DM_AUTO_FREE char *again = NULL;
			struct dm_err err;
			dm_auto(claim) c = decode(text, &err);
			dm_auto(claim) back = NULL;

			assert_ok(c != NULL, &err);
			assert_string_equal(j == 0 ? c->worktree : c->socket, rows[i].path);
			again = claim_encode(c);
			back = decode(again, &err);
			assert_ok(back != NULL, &err);
			assert_same(back, c);
		}
	}
}

/* Without the socket it has the port alone to go by: half a port is none. */
static void
ports_that_are_no_integers(void **state)
{
	static const char *const ports[] = {"3000.5", "0.5", "1e-9", "65535.5", "65536", "-1",
	    "-0.5", "1e999", "\"3000\"", "true", "[3000]", "0"};
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(ports); i++) {
		DM_AUTO_FREE char *text =
		    dm_asprintf("{\"id\":\"shop-main\",\"app\":\"shop\",\"worktree\":\"/w\","
				"\"port\":%s,\"registration\":\"route\"}",
			ports[i]);

		assert_fails(decode(text, &err) != NULL, &err, DM_FAILED, "port");
	}
}

/* A NUL in a text ends it; what is left is checked like any other. */
static void
cut_at_nul(void **state)
{
	DM_AUTO_FREE char *text =
	    dm_asprintf("{\"id\":\"shop-main\\u0000x\",\"app\":\"shop\",\"worktree\":\"/w\\u0000\","
			"\"port\":1,\"registration\":\"mesh\"}");
	dm_auto(claim) c = NULL;
	struct dm_err err = {.code = DM_OK};

	(void)state;
	c = decode(text, &err);
	if (c != NULL) {
		assert_string_equal(c->id.s, "shop-main");
		assert_string_equal(c->worktree, "/w");
	} else {
		assert_int_equal(err.code, DM_FAILED);
	}
}

static void
not_a_record(void **state)
{
	static const char *const texts[] = {"", " ", "null", "[]", "\"x\"", "1", "{", "{}",
	    "{\"id\"}", "{\"id\":\"shop-main\"}", "\xef\xbb\xbf", "<html>"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct dm_err err;

		assert_fails(decode(texts[i], &err) != NULL, &err, DM_FAILED, "it");
	}
	for (size_t n = 0; n < sizeof(record) - 1; n++) {
		struct dm_err err;

		assert_fails(
		    claim_decode(record, n, "shop-main", &err) != NULL, &err, DM_FAILED, "it");
	}
}

/* A text of n bytes as a JSON string. The caller owns it. */
static char *
long_text(char first, size_t n)
{
	char *text = dm_calloc(n + 3, 1);

	memset(text, 'x', n + 2);
	text[0] = text[n + 1] = '"';
	text[1] = first;
	return text;
}

static void
bounds(void **state)
{
	static const char *const keys[] = {"branch", "worktree", "socket", "url", "host"};
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		DM_AUTO_FREE char *most = long_text('/', 4096);
		DM_AUTO_FREE char *more = long_text('/', 4097);
		DM_AUTO_FREE char *good = with_member(keys[i], most);
		DM_AUTO_FREE char *bad = with_member(keys[i], more);
		dm_auto(claim) c = decode(good, &err);

		assert_ok(c != NULL, &err);
		assert_fails(decode(bad, &err) != NULL, &err, DM_FAILED, keys[i]);
	}
}

static void
large_records(void **state)
{
	DM_AUTO_FREE char *text = dm_calloc(CLAIM_FILE_MAX + 2, 1);
	dm_auto(claim) c = NULL;
	struct dm_err err;

	(void)state;
	memset(text, ' ', CLAIM_FILE_MAX + 1);
	memcpy(text, record, sizeof(record) - 1);
	c = claim_decode(text, CLAIM_FILE_MAX, "shop-main", &err);
	assert_ok(c != NULL, &err);
	assert_fails(claim_decode(text, CLAIM_FILE_MAX + 1, "shop-main", &err) != NULL, &err,
	    DM_FAILED, "not a JSON object");
	/* nesting without end */
	memset(text, '[', CLAIM_FILE_MAX);
	assert_fails(claim_decode(text, CLAIM_FILE_MAX, "shop-main", &err) != NULL, &err, DM_FAILED,
	    "not a JSON object");
}

static void
port_records(void **state)
{
	struct dm_err err;
	DM_AUTO_FREE char *text = with_member("socket", NULL);
	DM_AUTO_FREE char *dial = NULL;
	DM_AUTO_FREE char *other = NULL;
	cJSON *o = cJSON_Parse(text);
	dm_auto(claim) c = NULL;
	dm_auto(claim) unix_claim = decode(record, &err);

	(void)state;
	assert_ok(unix_claim != NULL, &err);
	(void)cJSON_AddNumberToObject(o, "port", 3000);
	free(text);
	text = cJSON_Print(o);
	cJSON_Delete(o);
	c = decode(text, &err);
	assert_ok(c != NULL, &err);
	assert_null(c->socket);
	assert_int_equal(c->port, 3000);
	dial = claim_dial(c);
	assert_string_equal(dial, "localhost:3000");
	other = claim_dial(unix_claim);
	assert_string_equal(other, "unix//tmp/caddy-dev/shop-main.sock");
}

static void
gone_worktrees(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *file = NULL;
	dm_auto(claim) c = claim_new();

	(void)state;
	c->worktree = in_dir(dir, "w");
	assert_true(claim_worktree_gone(c));
	assert_int_equal(mkdir(c->worktree, 0700), 0);
	assert_false(claim_worktree_gone(c));
	assert_int_equal(rmdir(c->worktree), 0);
	/* moved away, with a link in its place that leads nowhere */
	assert_int_equal(symlink("nowhere", c->worktree), 0);
	assert_true(claim_worktree_gone(c));
	free(c->worktree);
	file = in_dir(dir, "f");
	put_file(file, "");
	c->worktree = in_dir(dir, "f/below");
	assert_true(claim_worktree_gone(c));
	remove_tree(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),
	    cmocka_unit_test(shape),
	    cmocka_unit_test(hostile_members),
	    cmocka_unit_test(control_characters_in_paths),
	    cmocka_unit_test(ports_that_are_no_integers),
	    cmocka_unit_test(cut_at_nul),
	    cmocka_unit_test(not_a_record),
	    cmocka_unit_test(bounds),
	    cmocka_unit_test(large_records),
	    cmocka_unit_test(port_records),
	    cmocka_unit_test(gone_worktrees),
	};

	return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
