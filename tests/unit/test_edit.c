/* SPDX-License-Identifier: MIT */
/*
 * Editing files of the user's: diffs that patch(1) applies, blocks that can be stripped to the
 * byte, tables of TOML, members of JSON.
 */
#include "unit.h"

#include "base/spawn.h"
#include "edit/block.h"
#include "edit/diff.h"
#include "edit/json.h"
#include "edit/toml.h"

enum {
	ROUNDS = 3000
};

static void
diff_is_what_it_should_be(void **state)
{
	static const struct {
		const char *before, *after, *want;
	} rows[] = {
	    {"a\n", "a\n", ""},
	    {NULL, NULL, ""},
	    {NULL, "a\n", "--- /dev/null\n+++ b/f\n@@ -0,0 +1,1 @@\n+a\n"},
	    {"a\n", NULL, "--- a/f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n"},
	    {"a", "b\n",
		"--- a/f\n+++ b/f\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n"},
	    {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n6\n7\n8\n9\n",
		"--- a/f\n+++ b/f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"},
	    {"a\nm\nb\n", "x\na\nm\nb\ny\n",
		"--- a/f\n+++ b/f\n@@ -1,3 +1,5 @@\n+x\n a\n m\n b\n+y\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_STR struct dm_str out = dm_str_make(4096);

		diff_unified("f", rows[i].before, rows[i].after, &out);
		assert_string_equal(out.data, rows[i].want);
	}
}

/* Lines of few kinds, so that many are alike; sometimes without a last newline. */
static void
random_lines(struct prng *p, char *out)
{
	size_t n = prng_below(p, 12);
	char *end = out;

	for (size_t i = 0; i < n; i++) {
		*end++ = (char)('a' + prng_below(p, 4));
		*end++ = '\n';
	}
	if (n > 0 && prng_below(p, 4) == 0)
		end--;
	*end = '\0';
}

/* git apply makes the one file of the other. */
static void
diff_applies(void **state)
{
	struct prng p = prng_new();
	char *dir = temp_dir();
	DM_AUTO_FREE char *file = in_dir(dir, "f"), *patch = in_dir(dir, "patch");

	(void)state;
	for (int i = 0; i < 60; i++) {
		const char *const argv[] = {"git", "-C", dir, "apply", "patch", NULL};
		DM_AUTO_STR struct dm_str diff = dm_str_make(4096), out = dm_str_make(4096);
		DM_AUTO_STR struct dm_str errout = dm_str_make(4096), now = dm_str_make(4096);
		char before[64], after[64];
		struct dm_err err;
		int status;

		random_lines(&p, before);
		random_lines(&p, after);
		if (before[0] == '\0' || after[0] == '\0' || strcmp(before, after) == 0)
			continue;
		put_file(file, before);
		diff_unified("f", before, after, &diff);
		put_file(patch, diff.data);
		assert_ok(dm_run(argv, "GIT_", 20000, &out, &errout, &status, &err), &err);
		assert_string_equal(errout.data, "");
		assert_int_equal(status, 0);
		assert_ok(dm_read_file(file, &now, &err), &err);
		assert_string_equal(now.data, after);
	}
	remove_tree(dir);
}

static void
block_can_be_stripped(void **state)
{
	static const char *const texts[] = {"", "a", "a\n", "a\nb", "a\r\nb\r\n", "a\r\nb", "\n",
	    "# >>> devmesh init other >>>\nx\n# <<< devmesh init other <<<\n",
	    "# >>> devmesh init t >>>\nhas no end\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		size_t n = strlen(texts[i]);
		const size_t places[] = {0, block_after_first_line(texts[i]), n};

		/* the text of an unfinished block would get an end */
		if (strstr(texts[i], "init t") != NULL)
			continue;
		for (size_t k = 0; k < COUNT(places); k++) {
			DM_AUTO_FREE char *with =
			    block_insert(texts[i], places[k], "t", "x = 1\ny\n", k == 1);
			unsigned count;
			bool made;
			DM_AUTO_FREE char *without = block_strip(with, "t", &count, &made);

			assert_string_equal(without, texts[i]);
			assert_int_equal(count, 1);
			assert_int_equal(made, k == 1);
			assert_true(block_has(with, "t", "x = 1\ny\n"));
			assert_false(block_has(with, "t", "x = 1\n"));
			assert_false(block_has(with, "u", "x = 1\ny\n"));
			assert_int_equal(
			    strstr(texts[i], "\r\n") != NULL, strstr(with, "y\r\n# <<<") != NULL);
		}
	}
}

static void
block_without_end_stays(void **state)
{
	const char *text = "a\n# >>> devmesh init t >>>\nb\n";
	unsigned count;
	bool made;
	DM_AUTO_FREE char *same = block_strip(text, "t", &count, &made);

	(void)state;
	assert_string_equal(same, text);
	assert_int_equal(count, 0);
}

static void
toml_tables(void **state)
{
	static const struct {
		const char *text, *name;
		enum toml_kind want;
		const char *rest; /* behind the header's line */
	} rows[] = {
	    {"", "a", TOML_NONE, NULL},
	    {"[a]\nx = 1\n", "a", TOML_TABLE, "x = 1\n"},
	    {"[a]", "a", TOML_TABLE, ""},
	    {"[ \"a\" ] # c\ny", "a", TOML_TABLE, "y"},
	    {"[a.b]\n", "a", TOML_NONE, NULL},
	    {"[b]\n[[ a ]]\nx", "a", TOML_ARRAY, "x"},
	    {"a = 1\n", "a", TOML_KEY, NULL},
	    {"a.b = 1\n[a]\n", "a", TOML_KEY, NULL},
	    {"[b]\na = 1\n", "a", TOML_NONE, NULL},
	    {"x = '''\n[a]\n'''\n", "a", TOML_NONE, NULL},
	    {"x = \"\"\"\n[a]\\\"\"\"\n[a]\n\"\"\"\n[a]\nz", "a", TOML_TABLE, "z"},
	    {"x = [\n  \"]\", # ]\n[1],\n]\n[a]\nz", "a", TOML_TABLE, "z"},
	    {"# [a]\n", "a", TOML_NONE, NULL},
	    {"post-start = 'x'\n", "post-start", TOML_KEY, NULL},
	    {"[a]\r\nz", "a", TOML_TABLE, "z"},
	    {"\xef\xbb\xbf[a]\nz", "a", TOML_TABLE, "z"},
	    {"\xef\xbb\xbf"
	     "a = 1\n",
		"a", TOML_KEY, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t after = 0;
		enum toml_kind got = toml_find(rows[i].text, rows[i].name, &after);

		if (got != rows[i].want)
			fail_msg("%s: %d", rows[i].text, (int)got);
		if (rows[i].rest != NULL)
			assert_string_equal(rows[i].text + after, rows[i].rest);
	}
	assert_true(toml_has_key("[a]\nx=1\n\"key\" = 2\n[b]\n", 4, "key"));
	assert_true(toml_has_key("[a]\nkey.x = 2\n", 4, "key"));
	assert_false(toml_has_key("[a]\nx=1\n[b]\nkey=1\n", 4, "key"));
	assert_false(toml_has_key("[a]\nx='''\nkey=1\n'''\n", 4, "key"));
}

static void
json_strictly(void **state)
{
	static const char *const good[] = {"{}", " [1, -2.5e+3, true, null, \"\\u0041\\n\"] ",
	    "{\"a\": {\"b\": []}}", "\"x\"", "0"};
	static const char *const bad[] = {"", "{", "{\"a\"}", "{a:1}", "[1,]", "{\"a\":1,}",
	    "[1] x", "// c\n{}", "01", "1.", "\"\t\"", "\"\\x\"", "\"\\u12\"", "nul",
	    "{\"a\":1 \"b\":2}", "\xef\xbb\xbf{}", "[\"a"};
	DM_AUTO_STR struct dm_str deep = dm_str_make(4096);
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		dm_auto(json_doc) doc = json_parse(good[i], &err);

		assert_ok(doc != NULL, &err);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_fails(json_parse(bad[i], &err) != NULL, &err, DM_USAGE, "JSON");
	for (int i = 0; i < 1000; i++)
		(void)dm_str_add(&deep, "[", 1);
	assert_fails(json_parse(deep.data, &err) != NULL, &err, DM_USAGE, "column 65");
}

static void
json_members(void **state)
{
	struct dm_err err;
	dm_auto(json_doc) doc = json_parse(
	    "{\"a\": {\"b\\u0063\": \"x\\\"y\"}, \"l\": [1, {\"d\": 1, \"d\": 2}]}", &err);
	const struct json_node *x;

	(void)state;
	assert_non_null(doc);
	x = json_member(json_member(doc->root, "a"), "bc");
	assert_non_null(x);
	assert_string_equal(x->text, "x\"y");
	assert_null(json_member(json_member(doc->root, "l"), "bc"));
	assert_null(json_member(json_member(doc->root, "none"), "bc"));
	assert_true(json_has_duplicates(doc->root));
	assert_false(json_has_duplicates(json_member(doc->root, "a")));
}

static void
json_keeps_the_layout(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"{}", "{ \"k\": {\"x\": [1, 2]} }"},
	    {"{\"a\":1}\n", "{\"a\":1, \"k\": {\"x\": [1, 2]}}\n"},
	    {"{\n\t\"a\": 1\n}\n",
		"{\n\t\"a\": 1,\n\t\"k\": {\n\t\t\"x\": [\n\t\t\t1,\n\t\t\t2\n\t\t]\n\t}\n}\n"},
	    {"{\r\n    \"a\": 1\r\n}", "{\r\n    \"a\": 1,\r\n    \"k\": {\r\n        \"x\": [\r\n "
				       "           1,\r\n        "
				       "    2\r\n        ]\r\n    }\r\n}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dm_err err;
		dm_auto(json_doc) doc = json_parse(rows[i].text, &err);
		DM_AUTO_FREE char *got = NULL;

		assert_non_null(doc);
		got = json_insert(doc, doc->root, "k", "{\n\t\"x\": [\n\t\t1,\n\t\t2\n\t]\n}");
		assert_string_equal(got, rows[i].want);
	}
}

static void
put_blank(struct prng *p, struct dm_str *out)
{
	static const char *const blanks[] = {"", "", "", " ", "\n", "\n  ", "\t", "\r\n"};

	(void)dm_str_addf(out, "%s", blanks[prng_below(p, COUNT(blanks))]);
}

/* Any JSON, blanks anywhere; keys differ by their number. */
static void
put_random(struct prng *p, struct dm_str *out, unsigned depth, unsigned *serial)
{
	static const char *const atoms[] = {"1", "\"s\"", "null", "\"\\\"}\"", "-0.5e3", "true"};
	size_t kind = depth == 0 ? 1 : prng_below(p, 4), n = prng_below(p, 4);

	if (kind >= 2 || depth > 4) {
		(void)dm_str_addf(out, "%s", atoms[prng_below(p, COUNT(atoms))]);
		return;
	}
	(void)dm_str_add(out, kind == 1 ? "{" : "[", 1);
	put_blank(p, out);
	for (size_t i = 0; i < n; i++) {
		if (i > 0) {
			(void)dm_str_add(out, ",", 1);
			put_blank(p, out);
		}
		if (kind == 1) {
			(void)dm_str_addf(out, "\"key%u\"", (*serial)++);
			put_blank(p, out);
			(void)dm_str_add(out, ":", 1);
			put_blank(p, out);
		}
		put_random(p, out, depth + 1, serial);
		put_blank(p, out);
	}
	(void)dm_str_add(out, kind == 1 ? "}" : "]", 1);
}

/* A container somewhere below; the last one that the dice leave. */
static const struct json_node *
random_container(struct prng *p, const struct json_node *node)
{
	const struct json_node *found = node;

	for (const struct json_node *n = node->first; n != NULL; n = n->next) {
		if ((n->kind == JSON_OBJECT || n->kind == JSON_ARRAY) && prng_below(p, 2) == 0)
			found = random_container(p, n);
	}
	return found;
}

static const struct json_node *
find_start(const struct json_node *node, const char *key)
{
	for (const struct json_node *n = node->first; n != NULL; n = n->next) {
		const struct json_node *below;

		if (n->key != NULL ? strcmp(n->key, key) == 0
				   : n->text != NULL && strcmp(n->text, key) == 0)
			return n;
		if ((below = find_start(n, key)) != NULL)
			return below;
	}
	return NULL;
}

/* What was there is there, in one piece before and one behind; and removing undoes inserting. */
static void
json_insert_and_remove(void **state)
{
	struct prng p = prng_new();

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		DM_AUTO_STR struct dm_str text = dm_str_make(65536);
		DM_AUTO_FREE char *with = NULL, *without = NULL;
		dm_auto(json_doc) doc = NULL, *after = NULL;
		const struct json_node *c, *ours;
		unsigned serial = 0;
		size_t head = 0, tail = 0;
		struct dm_err err;

		put_blank(&p, &text);
		put_random(&p, &text, 0, &serial);
		put_blank(&p, &text);
		doc = json_parse(text.data, &err);
		assert_ok(doc != NULL, &err);
		c = random_container(&p, doc->root);
		with = c->kind == JSON_OBJECT
			   ? json_insert(doc, c, "mine", "{\n\t\"x\": [\n\t\t1\n\t]\n}")
			   : json_insert(doc, c, NULL, "\"mine\"");
		while (text.data[head] != '\0' && text.data[head] == with[head])
			head++;
		while (tail < text.len &&
		       text.data[text.len - 1 - tail] == with[strlen(with) - 1 - tail])
			tail++;
		assert_true(head + tail >= text.len);
		after = json_parse(with, &err);
		assert_ok(after != NULL, &err);
		ours = find_start(after->root, "mine");
		assert_non_null(ours);
		without = json_remove(after, ours);
		assert_non_null(without);
		assert_string_equal(without, text.data);
	}
}

/* What came with the value goes with it: a file made for it altogether. */
static void
json_remove_from_a_new_file(void **state)
{
	DM_AUTO_FREE char *text =
	    json_layout("{\n\t\"a\": {\n\t\t\"b\": [\n\t\t\t\"mine\"\n\t\t]\n\t}\n}");
	struct dm_err err;
	dm_auto(json_doc) doc = json_parse(text, &err);

	(void)state;
	assert_string_equal(text, "{\n  \"a\": {\n    \"b\": [\n      \"mine\"\n    ]\n  }\n}\n");
	assert_non_null(doc);
	assert_null(json_remove(doc, find_start(doc->root, "mine")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(diff_is_what_it_should_be),
	    cmocka_unit_test(diff_applies),
	    cmocka_unit_test(block_can_be_stripped),
	    cmocka_unit_test(block_without_end_stays),
	    cmocka_unit_test(toml_tables),
	    cmocka_unit_test(json_strictly),
	    cmocka_unit_test(json_members),
	    cmocka_unit_test(json_keeps_the_layout),
	    cmocka_unit_test(json_insert_and_remove),
	    cmocka_unit_test(json_remove_from_a_new_file),
	};

	return cmocka_run_group_tests_name("edit", tests, NULL, NULL);
}
