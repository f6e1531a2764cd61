/* SPDX-License-Identifier: MIT */
/* Labels: what any text becomes, and that it is always a label, the same one, and short. */
#include "unit.h"

#include "model/slug.h"

#define LONG48 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijkl"

static void
plain_texts(void **state)
{
	static const struct {
		const char *text, *slug;
	} rows[] = {
	    {"main", "main"},
	    {"Feature/Auth", "feature-auth"},
	    {"feature_auth", "feature-auth"},
	    {"a--b", "a-b"},
	    {"a/-_/b", "a-b"},
	    {"__x__", "x"},
	    {"-lead-", "lead"},
	    {"v1.2.3", "v1-2-3"},
	    {"refs/heads/x y", "refs-heads-x-y"},
	    {"0", "0"},
	    {"a\tb\nc", "a-b-c"},
	    {"dependabot/npm_and_yarn/ws-8.17.1", "dependabot-npm-and-yarn-ws-8-17-1"},
	    {LONG48, LONG48},
	    {"---" LONG48 "---", LONG48},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(slug_make(rows[i].text).s, rows[i].slug);
}

/* A text that cannot be shown in full is told apart by a hash at its end. */
static void
hashed_texts(void **state)
{
	static const struct {
		const char *text, *head; /* in front of the hash */
		size_t len;
	} rows[] = {
	    {"gr\xc3\xb6\xc3\x9f"
	     "e",
		"gr-e-", 12},
	    {"\xe6\x97\xa5\xe6\x9c\xac", "", SLUG_HASH},
	    {"\xf0\x9f\x9a\x80/x", "x-", 2 + SLUG_HASH},
	    {"\xff\xfe", "", SLUG_HASH},
	    {"", "", SLUG_HASH},
	    {"-", "", SLUG_HASH},
	    {"///", "", SLUG_HASH},
	    {LONG48 "m", "abcdefghijklmnopqrstuvwxyz0123456789abcd-", SLUG_MAX},
	    {LONG48 "/", LONG48, SLUG_MAX},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slug s = slug_make(rows[i].text);

		assert_true(slug_valid(s.s));
		assert_int_equal(strlen(s.s), rows[i].len);
		assert_memory_equal(s.s, rows[i].head, strlen(rows[i].head));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(s.s, slug_make(rows[j].text).s);
	}
}

static void
long_branch(void **state)
{
	char a[201], b[201];
	struct slug x, y;

	(void)state;
	memset(a, 'b', 200);
	a[200] = '\0';
	memcpy(b, a, sizeof(b));
	b[199] = 'c';
	x = slug_make(a);
	y = slug_make(b);
	assert_int_equal(strlen(x.s), SLUG_MAX);
	assert_true(slug_valid(x.s) && slug_valid(y.s));
	assert_string_not_equal(x.s, y.s);
}

/* Names are written down in claims and bookmarks: they stay the same in every version. */
static void
pinned_names(void **state)
{
	const char *texts[] = {"shop", "feature/auth"};

	(void)state;
	assert_string_equal(slug_hash(texts, 2).s, "j5cedwf");
	assert_string_equal(slug_make("gr\xc3\xbc\xc3\x9f"
				      "e")
				.s,
	    "gr-e-scrjriy");
	assert_string_equal(
	    slug_make(LONG48 LONG48).s, "abcdefghijklmnopqrstuvwxyz0123456789abcd-odoyvnp");
}

static void
hash_tells_apart(void **state)
{
	static const char *const pairs[][2] = {
	    {"a", "b"}, {"ab", ""}, {"", "ab"}, {"b", "a"}, {"a", ""}, {"", ""}};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct slug_hash h = slug_hash(pairs[i], 2);

		assert_int_equal(strlen(h.s), SLUG_HASH);
		assert_int_equal(strspn(h.s, "abcdefghijklmnopqrstuvwxyz234567"), SLUG_HASH);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(h.s, slug_hash(pairs[j], 2).s);
	}
}

static void
joining(void **state)
{
	const char *text = "x";
	const struct slug_hash hash = slug_hash(&text, 1);
	struct slug app = slug_make("shop"), tail = slug_make("feature-auth"), whole = {LONG48};
	struct slug s = slug_join(&app, &tail, &hash);

	(void)state;
	assert_string_equal(s.s, "shop-feature-auth");
	/* exactly as long as allowed, then one more */
	memset(tail.s, 't', 43);
	tail.s[43] = '\0';
	s = slug_join(&app, &tail, &hash);
	assert_int_equal(strlen(s.s), SLUG_MAX);
	assert_null(strstr(s.s, hash.s));
	memset(tail.s, 't', 44);
	tail.s[44] = '\0';
	s = slug_join(&app, &tail, &hash);
	assert_int_equal(strlen(s.s), SLUG_MAX);
	assert_true(slug_valid(s.s) && dm_starts_with(s.s, "shop-ttt"));
	assert_true(dm_ends_with(s.s, hash.s));
	s = slug_join(&whole, &whole, &hash);
	assert_true(slug_valid(s.s) && dm_ends_with(s.s, hash.s));
	/* the cut may fall on a dash: never two of them */
	whole = (struct slug){"abcdefghijklmnopqrstuvwxyz0123456789abc-xyz"};
	s = slug_with_hash(&whole, &hash);
	assert_true(slug_valid(s.s) && dm_ends_with(s.s, hash.s));
	assert_null(strstr(s.s, "--"));
}

static void
validity(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} rows[] = {{"a", true}, {"a-b", true}, {"0", true}, {"9-9", true}, {LONG48, true},
	    {LONG48 "m", false}, {"", false}, {"-", false}, {"-a", false}, {"a-", false},
	    {"a--b", false}, {"A", false}, {"a.b", false}, {"a/b", false}, {"a b", false},
	    {"..", false}, {"a_b", false}, {"a\n", false}, {"\xc3\xa4", false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slug out = {"untouched"};
		struct dm_err err;

		assert_int_equal(slug_valid(rows[i].text), rows[i].valid);
		if (rows[i].valid) {
			assert_ok(slug_parse(rows[i].text, &out, &err), &err);
			assert_string_equal(out.s, rows[i].text);
			assert_string_equal(slug_make(rows[i].text).s, rows[i].text);
		} else {
			assert_fails(slug_parse(rows[i].text, &out, &err), &err, DM_USAGE,
			    "cannot be the name");
			assert_string_equal(out.s, "untouched");
			/* a hash of nothing would be an odd thing to suggest */
			assert_holds(err.hint,
			    rows[i].text[0] == '\0' ? "shop-main" : slug_make(rows[i].text).s);
		}
	}
}

static void
any_text(void **state)
{
	static const char *const alphabets[] = {
	    "ab-", "abcXYZ019-_./ ", "a-\xc3\xa4\xff\x01\x7f", "abcdefghijklmnopqrstuvwxyz-"};
	struct prng p = prng_new();
	char text[300];

	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		struct slug s;

		prng_text(&p, alphabets[i % COUNT(alphabets)], i % 7 == 0 ? 290 : 50, text);
		s = slug_make(text);
		if (!slug_valid(s.s) || strlen(s.s) > SLUG_MAX)
			fail_msg("\"%s\" became \"%s\"", text, s.s);
		assert_string_equal(slug_make(text).s, s.s);
		assert_string_equal(slug_make(s.s).s, s.s);
		if (slug_valid(text))
			assert_string_equal(s.s, text);
	}
}

static void
joined_and_hashed_are_labels(void **state)
{
	struct prng p = prng_new();
	char text[60];

	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		struct slug a, b, s;
		struct slug_hash hash;
		const char *one = text;

		prng_text(&p, "abc/", 55, text);
		a = slug_make(text);
		prng_text(&p, "xyz_-", 55, text);
		b = slug_make(text);
		hash = slug_hash(&one, 1);
		s = slug_join(&a, &b, &hash);
		if (!slug_valid(s.s))
			fail_msg("%s + %s became %s", a.s, b.s, s.s);
		if (strlen(a.s) + strlen(b.s) < SLUG_MAX)
			assert_true(dm_starts_with(s.s, a.s) && dm_ends_with(s.s, b.s));
		else
			assert_true(dm_ends_with(s.s, hash.s));
		s = slug_with_hash(&a, &hash);
		assert_true(slug_valid(s.s) && dm_ends_with(s.s, hash.s));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_texts),
	    cmocka_unit_test(hashed_texts),
	    cmocka_unit_test(long_branch),
	    cmocka_unit_test(pinned_names),
	    cmocka_unit_test(hash_tells_apart),
	    cmocka_unit_test(joining),
	    cmocka_unit_test(validity),
	    cmocka_unit_test(any_text),
	    cmocka_unit_test(joined_and_hashed_are_labels),
	};

	return cmocka_run_group_tests_name("slug", tests, NULL, NULL);
}
