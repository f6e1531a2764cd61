/* SPDX-License-Identifier: MIT */
/* Strings with a maximum, numbers, paths, edit distance; and errors, which are built of them. */
#include "unit.h"

#include <errno.h>
#include <limits.h>

static void
grows_to_its_maximum(void **state)
{
	struct dm_str s;

	(void)state;
	dm_str_init(&s, 10);
	assert_string_equal(s.data, "");
	assert_true(dm_str_add(&s, "abc", 3));
	assert_true(dm_str_addf(&s, "%d-%s", 42, "xyz"));
	assert_string_equal(s.data, "abc42-xyz");
	assert_false(dm_str_add(&s, "12", 2));
	assert_true(s.overflow);
	assert_string_equal(s.data, "abc42-xyz");
	assert_int_equal(s.len, 9);
	assert_false(dm_str_addf(&s, "%s", "12"));
	assert_true(dm_str_add(&s, "!", 1));
	assert_true(dm_str_add(&s, "", 0));
	assert_string_equal(s.data, "abc42-xyz!");
	assert_false(dm_str_addf(&s, "%c", 'x'));
	dm_str_release(&s);
	dm_str_init(&s, 0);
	assert_false(dm_str_add(&s, "x", 1));
	assert_string_equal(s.data, "");
	dm_str_release(&s);
}

static void
holds_any_bytes(void **state)
{
	DM_AUTO_STR struct dm_str s;
	DM_AUTO_FREE char *taken = NULL;

	(void)state;
	dm_str_init(&s, 1 << 20);
	for (int i = 0; i < 5000; i++)
		assert_true(dm_str_add(&s, "a\0b", 3));
	assert_int_equal(s.len, 15000);
	assert_int_equal(s.data[s.len], '\0');
	assert_memory_equal(s.data + 14997, "a\0b", 3);
	taken = dm_str_take(&s);
	assert_memory_equal(taken, "a\0b", 3);
	/* usable, with the same maximum */
	assert_int_equal(s.len, 0);
	assert_int_equal(s.max, 1 << 20);
	assert_true(dm_str_addf(&s, "%s", "again"));
	assert_string_equal(s.data, "again");
}

static void
cut_texts_are_told(void **state)
{
	char buf[4];

	(void)state;
	assert_true(dm_snprintf(buf, sizeof(buf), "%s", "abc"));
	assert_string_equal(buf, "abc");
	assert_false(dm_snprintf(buf, sizeof(buf), "%s", "abcd"));
	assert_string_equal(buf, "abc");
}

static void
numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max, value;
		bool good;
	} rows[] = {
	    {"0", 0, 10, 0, true},
	    {"10", 0, 10, 10, true},
	    {"0010", 0, 10, 10, true},
	    {"11", 0, 10, 0, false},
	    {"4", 5, 10, 0, false},
	    {"5", 5, 10, 5, true},
	    {"65535", 1, 65535, 65535, true},
	    {"65536", 1, 65535, 0, false},
	    {"18446744073709551615", 0, UINT64_MAX, UINT64_MAX, true},
	    {"18446744073709551616", 0, UINT64_MAX, 0, false},
	    {"18446744073709551620", 0, UINT64_MAX, 0, false},
	    {"99999999999999999999999", 0, UINT64_MAX, 0, false},
	    {"184467440737095516150", 0, UINT64_MAX, 0, false},
	    {"", 0, 10, 0, false},
	    {" 1", 0, 10, 0, false},
	    {"1 ", 0, 10, 0, false},
	    {"+1", 0, 10, 0, false},
	    {"-1", 0, UINT64_MAX, 0, false},
	    {"1.5", 0, 10, 0, false},
	    {"0x1", 0, 10, 0, false},
	    {"1e1", 0, 10, 0, false},
	    {"\xd9\xa1", 0, 10, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t out = 77;

		if (dm_parse_uint(rows[i].text, rows[i].min, rows[i].max, &out) != rows[i].good)
			fail_msg("\"%s\"", rows[i].text);
		assert_true(out == (rows[i].good ? rows[i].value : 77));
	}
}

static void
ends(void **state)
{
	(void)state;
	assert_true(dm_starts_with("abc", "") && dm_starts_with("abc", "abc"));
	assert_false(dm_starts_with("ab", "abc") || dm_starts_with("xabc", "abc"));
	assert_true(dm_ends_with("abc", "") && dm_ends_with("abc", "abc") && dm_ends_with("", ""));
	assert_false(dm_ends_with("bc", "abc") || dm_ends_with("abcx", "abc"));
}

static void
paths(void **state)
{
	static const struct {
		const char *path, *dir, *base;
	} rows[] = {
	    {"/a/b", "/a", "b"},
	    {"/a/b/", "/a", "b"},
	    {"/a//b//", "/a", "b"},
	    {"/a", "/", "a"},
	    {"/a/", "/", "a"},
	    {"a", ".", "a"},
	    {"a/b", "a", "b"},
	    {"/", "/", ""},
	    {"///", "/", ""},
	    {"", ".", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *dir = dm_path_dir(rows[i].path);
		DM_AUTO_FREE char *base = dm_path_base(rows[i].path);

		assert_string_equal(dir, rows[i].dir);
		assert_string_equal(base, rows[i].base);
	}
}

static void
distances(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned distance;
	} rows[] = {
	    {"", "", 0},
	    {"", "abc", 3},
	    {"status", "status", 0},
	    {"status", "statsu", 1}, /* transposition */
	    {"status", "sttus", 1},
	    {"status", "sstatus", 1},
	    {"status", "stavus", 1},
	    {"ca", "abc", 3}, /* optimal string alignment, not Damerau */
	    {"kitten", "sitting", 3},
	    {"ab", "ba", 1},
	    {"abcd", "badc", 2},
	};
	char a[65], b[64];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(dm_edit_distance(rows[i].a, rows[i].b), rows[i].distance);
		assert_int_equal(dm_edit_distance(rows[i].b, rows[i].a), rows[i].distance);
	}
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	a[63] = b[63] = '\0';
	assert_int_equal(dm_edit_distance(a, b), 63);
	assert_int_equal(dm_edit_distance(a, ""), 63);
	a[63] = 'a';
	a[64] = '\0';
	assert_true(dm_edit_distance(a, b) == UINT_MAX && dm_edit_distance("", a) == UINT_MAX);
}

static void
distance_is_a_measure(void **state)
{
	struct prng p = prng_new();
	char a[12], b[12];

	(void)state;
	for (size_t i = 0; i < 5000; i++) {
		unsigned d, more;

		prng_text(&p, "abc", 11, a);
		prng_text(&p, "abc", 11, b);
		d = dm_edit_distance(a, b);
		more = (unsigned)(strlen(a) > strlen(b) ? strlen(a) : strlen(b));
		assert_int_equal(d, dm_edit_distance(b, a));
		assert_true((d == 0) == (strcmp(a, b) == 0));
		assert_true(d <= more);
		assert_true(d >= 2 * more - strlen(a) - strlen(b));
	}
}

static void
errors(void **state)
{
	char text[2000];
	struct dm_err err = {.code = DM_OK};

	(void)state;
	assert_false(dm_fail(&err, DM_CONFLICT, "%s is taken", "shop"));
	assert_false(dm_hint(&err, "use %s", "another"));
	assert_false(dm_wrap(&err, "claiming %d", 7));
	assert_string_equal(err.msg, "claiming 7: shop is taken");
	assert_string_equal(err.hint, "use another");
	assert_int_equal(err.code, DM_CONFLICT);
	assert_false(dm_fail_errno(&err, EACCES, "opening %s", "x"));
	assert_int_equal(err.code, DM_DENIED);
	assert_string_equal(err.hint, "");
	assert_true(dm_starts_with(err.msg, "opening x: "));
	assert_false(dm_fail_errno(&err, ENOENT, "opening"));
	assert_int_equal(err.code, DM_FAILED);
	/* everything is cut, nothing overflows */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(dm_fail_errno(&err, ENOENT, "%s", text));
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_false(dm_wrap(&err, "%s", text));
	assert_false(dm_wrap(&err, "outer"));
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_true(dm_starts_with(err.msg, "outer: xxx"));
	assert_false(dm_hint(&err, "%s", text));
	assert_int_equal(strlen(err.hint), sizeof(err.hint) - 1);
}

/* What scripts read: the word and the exit status of each code. */
static void
code_names(void **state)
{
	static const char *const words[] = {
	    "ok", "failed", "usage", "not_found", "conflict", "unreachable", "denied", "timeout"};

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++)
		assert_string_equal(dm_code_name((enum dm_code)i), words[i]);
}

#define BAD "\xef\xbf\xbd" /* U+FFFD */

/* What may be shown is kept; of what may not, each byte becomes U+FFFD. */
static void
printable_texts(void **state)
{
	static const struct {
		const char *text, *shown;
	} rows[] = {
	    {"", ""},
	    {"/home/me/shop ~!\"'\\", "/home/me/shop ~!\"'\\"},
	    /* the first and the last character of each length */
	    {"\xc2\xa0 \xdf\xbf", "\xc2\xa0 \xdf\xbf"},
	    {"\xe0\xa0\x80 \xef\xbf\xbf", "\xe0\xa0\x80 \xef\xbf\xbf"},
	    {"\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"},
	    {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
	    {BAD, BAD},
	    /* around the surrogates */
	    {"\xed\x9f\xbf \xee\x80\x80", "\xed\x9f\xbf \xee\x80\x80"},
	    {"\xed\xa0\x80", BAD BAD BAD},
	    {"\xed\xbf\xbf", BAD BAD BAD},
	    /* overlong */
	    {"\xc0\xaf", BAD BAD},
	    {"\xc1\xbf", BAD BAD},
	    {"\xe0\x80\xaf", BAD BAD BAD},
	    {"\xe0\x9f\xbf", BAD BAD BAD},
	    {"\xf0\x80\x80\xaf", BAD BAD BAD BAD},
	    {"\xf0\x8f\xbf\xbf", BAD BAD BAD BAD},
	    /* beyond U+10FFFF, and bytes that no character has */
	    {"\xf4\x90\x80\x80", BAD BAD BAD BAD},
	    {"\xf5\x80\x80\x80", BAD BAD BAD BAD},
	    {"\xfe\xff", BAD BAD},
	    /* truncated, and without a beginning */
	    {"\xc3", BAD},
	    {"\xe2\x82", BAD BAD},
	    {"\xf0\x9f\x98", BAD BAD BAD},
	    {"\xe2\x82x", BAD BAD "x"},
	    {"\xc3\xc3\xbc", BAD "\xc3\xbc"},
	    {"\xf0\x9f\xc3\xbc", BAD BAD "\xc3\xbc"},
	    {"\x80x\xbf", BAD "x" BAD},
	    {"caf\xe9", "caf" BAD},
	    /* controls: C0, DEL, C1 */
	    {"a\tb\nc\r", "a" BAD "b" BAD "c" BAD},
	    {"\033[31m\001", BAD "[31m" BAD},
	    {"\x1f \x7f", BAD " " BAD},
	    {"\xc2\x80 \xc2\x9b \xc2\x9f", BAD BAD " " BAD BAD " " BAD BAD},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *shown = dm_printable(rows[i].text);
		DM_AUTO_FREE char *again = dm_printable(shown);

		if (strcmp(shown, rows[i].shown) != 0)
			fail_msg("row %zu: \"%s\" instead of \"%s\"", i, shown, rows[i].shown);
		assert_string_equal(again, shown);
	}
}

/* Every character there is, by itself: kept unless it is a control or a surrogate. */
static void
printable_characters(void **state)
{
	(void)state;
	for (unsigned long c = 1; c <= 0x110fff; c++) {
		bool kept = c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0xd800 && c < 0xe000) &&
			    c <= 0x10ffff;
		char text[5] = "";
		char *shown;

		if (c < 0x80) {
			text[0] = (char)c;
		} else if (c < 0x800) {
			text[0] = (char)(0xc0 | c >> 6);
			text[1] = (char)(0x80 | (c & 0x3f));
		} else if (c < 0x10000) {
			text[0] = (char)(0xe0 | c >> 12);
			text[1] = (char)(0x80 | (c >> 6 & 0x3f));
			text[2] = (char)(0x80 | (c & 0x3f));
		} else {
			text[0] = (char)(0xf0 | c >> 18);
			text[1] = (char)(0x80 | (c >> 12 & 0x3f));
			text[2] = (char)(0x80 | (c >> 6 & 0x3f));
			text[3] = (char)(0x80 | (c & 0x3f));
		}
		shown = dm_printable(text);
		if (kept != (strcmp(shown, text) == 0) || (!kept && !dm_starts_with(shown, BAD)))
			fail_msg("U+%04lX becomes \"%s\"", c, shown);
		free(shown);
	}
}

static void
controls(void **state)
{
	(void)state;
	assert_false(dm_has_control(""));
	assert_false(dm_has_control("feature/a b~"));
	for (int c = 1; c < 256; c++) {
		const char text[] = {'a', (char)c, 'b', '\0'};

		assert_int_equal(dm_has_control(text), c < 0x20 || c == 0x7f);
		assert_int_equal(dm_has_control(text + 1), c < 0x20 || c == 0x7f);
	}
}

static void
shell_words(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"/home/ann/shop-2", "/home/ann/shop-2"},
	    {"", "''"},
	    {"a b", "'a b'"},
	    {"$(x)`y`;\"", "'$(x)`y`;\"'"},
	    {"it's", "'it'\\''s'"},
	    {"~ann", "'~ann'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		DM_AUTO_FREE char *got = dm_shell_word(rows[i].text);

		assert_string_equal(got, rows[i].want);
	}
}

static void
printable_lines(void **state)
{
	DM_AUTO_FREE char *got = dm_printable_lines("a:\n\tb\033[1m\n\nc\n");
	DM_AUTO_FREE char *none = dm_printable_lines("");

	(void)state;
	assert_string_equal(got, "a:\n    b\xef\xbf\xbd[1m\n\nc\n");
	assert_string_equal(none, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(grows_to_its_maximum),
	    cmocka_unit_test(holds_any_bytes),
	    cmocka_unit_test(cut_texts_are_told),
	    cmocka_unit_test(numbers),
	    cmocka_unit_test(ends),
	    cmocka_unit_test(paths),
	    cmocka_unit_test(distances),
	    cmocka_unit_test(distance_is_a_measure),
	    cmocka_unit_test(printable_texts),
	    cmocka_unit_test(printable_characters),
	    cmocka_unit_test(controls),
	    cmocka_unit_test(errors),
	    cmocka_unit_test(code_names),
	    cmocka_unit_test(shell_words),
	    cmocka_unit_test(printable_lines),
	};

	return cmocka_run_group_tests_name("str", tests, NULL, NULL);
}
