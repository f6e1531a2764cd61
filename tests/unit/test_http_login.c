/* SPDX-License-Identifier: MIT */
/* Logins: a code is good once and for a minute, a cookie for days, and nothing else is good. */
#include "unit.h"

#include "http_login.h"

static bool
holds(const struct http_login *login, int64_t now, const char *cookies)
{
	bool marked = true;
	bool is = http_login_holds(login, now, cookies, "no mark", &marked);

	assert_false(marked);
	return is;
}

static char *
header(const struct http_token *cookie)
{
	return dm_asprintf("a=b; " HTTP_LOGIN_COOKIE "=%s; c=d", cookie->text);
}

static struct http_token
code_at(struct http_login *login, int64_t now)
{
	struct http_token code;
	struct dm_err err;

	assert_ok(http_login_code(login, now, &code, &err), &err);
	return code;
}

static struct http_token
cookie_at(struct http_login *login, int64_t now)
{
	struct http_token code = code_at(login, now), cookie, mark;
	struct dm_err err;

	assert_ok(http_login_enter(login, now, code.text, &cookie, &mark, &err), &err);
	assert_string_not_equal(cookie.text, code.text);
	return cookie;
}

static void
assert_no_entry(struct http_login *login, int64_t now, const char *code)
{
	struct http_token cookie, mark;
	struct dm_err err;

	assert_false(http_login_enter(login, now, code, &cookie, &mark, &err));
	assert_int_equal(err.code, DM_DENIED);
}

static void
a_code_is_good_once(void **state)
{
	dm_auto(http_login) login = http_login_new();
	struct http_token code = code_at(login, 1000), cookie, mark;
	struct dm_err err;

	(void)state;
	assert_no_entry(login, 1000, "");
	assert_no_entry(login, 1000, "0");
	assert_ok(http_login_enter(login, 1000 + 59999, code.text, &cookie, &mark, &err), &err);
	assert_no_entry(login, 1000 + 59999, code.text);
	/* a cookie is no code, nor the other way round */
	assert_no_entry(login, 1000, cookie.text);
	code = code_at(login, 1000);
	DM_AUTO_FREE char *wrong = header(&code);
	assert_false(holds(login, 1000, wrong));
}

static void
a_code_is_good_for_a_minute(void **state)
{
	dm_auto(http_login) login = http_login_new();
	struct http_token code = code_at(login, 1000);

	(void)state;
	assert_no_entry(login, 1000 + HTTP_LOGIN_CODE_S * 1000, code.text);
}

static void
a_cookie_holds_for_days(void **state)
{
	dm_auto(http_login) login = http_login_new();
	dm_auto(http_login) other = http_login_new();
	struct http_token cookie = cookie_at(login, 0);
	DM_AUTO_FREE char *text = header(&cookie);
	DM_AUTO_FREE char *bare = dm_asprintf(HTTP_LOGIN_COOKIE "=%s", cookie.text);
	DM_AUTO_FREE char *prefixed = dm_asprintf("x" HTTP_LOGIN_COOKIE "=%s", cookie.text);
	DM_AUTO_FREE char *longer = dm_asprintf(HTTP_LOGIN_COOKIE "=%s0", cookie.text);

	(void)state;
	assert_true(holds(login, (int64_t)HTTP_LOGIN_S * 1000 - 1, text));
	assert_true(holds(login, 1, bare));
	assert_false(holds(login, (int64_t)HTTP_LOGIN_S * 1000, text));
	assert_false(holds(other, 1, text));
	assert_false(holds(login, 1, prefixed));
	assert_false(holds(login, 1, longer));
	assert_false(holds(login, 1, NULL));
	assert_false(holds(login, 1, ""));
	assert_false(holds(login, 1, HTTP_LOGIN_COOKIE "="));
	assert_false(holds(login, 1, ";;; " HTTP_LOGIN_COOKIE));
}

/* Of two logins each has its own mark. */
static void
a_mark_belongs_to_its_cookie(void **state)
{
	dm_auto(http_login) login = http_login_new();
	struct http_token codes[2], cookies[2], marks[2];
	struct dm_err err;
	bool marked;

	(void)state;
	for (int i = 0; i < 2; i++) {
		codes[i] = code_at(login, 0);
		assert_ok(
		    http_login_enter(login, 0, codes[i].text, &cookies[i], &marks[i], &err), &err);
	}
	for (int i = 0; i < 2; i++) {
		DM_AUTO_FREE char *text = header(&cookies[i]);

		assert_true(http_login_holds(login, 1, text, marks[i].text, &marked));
		assert_true(marked);
		assert_true(http_login_holds(login, 1, text, marks[1 - i].text, &marked));
		assert_false(marked);
		assert_true(http_login_holds(login, 1, text, cookies[i].text, &marked));
		assert_false(marked);
		assert_true(http_login_holds(login, 1, text, NULL, &marked));
		assert_false(marked);
		assert_false(http_login_holds(login, 1, NULL, marks[i].text, &marked));
		assert_false(marked);
	}
}

static void
one_too_many_ends_the_oldest(void **state)
{
	dm_auto(http_login) login = http_login_new();
	struct http_token first = cookie_at(login, 0), second = cookie_at(login, 1);
	DM_AUTO_FREE char *a = header(&first);
	DM_AUTO_FREE char *b = header(&second);

	(void)state;
	for (int i = 0; i < HTTP_LOGINS_MAX - 1; i++)
		(void)cookie_at(login, 2 + i);
	assert_false(holds(login, 100, a));
	assert_true(holds(login, 100, b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_code_is_good_once),
	    cmocka_unit_test(a_code_is_good_for_a_minute),
	    cmocka_unit_test(a_cookie_holds_for_days),
	    cmocka_unit_test(a_mark_belongs_to_its_cookie),
	    cmocka_unit_test(one_too_many_ends_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
