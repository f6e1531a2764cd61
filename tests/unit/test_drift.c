/* SPDX-License-Identifier: MIT */
/* Whether Caddy runs what was written: what counts as a difference, and where it is said to be. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "drift.h"

static bool
is_own(void *user, const cJSON *route)
{
	const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(route, "@id"));

	assert_string_equal(user, "user");
	return id != NULL && dm_starts_with(id, "own");
}

/* NULL: no difference. The caller owns it. */
static char *
find(const char *written, const char *running)
{
	char user[] = "user";
	cJSON *a = cJSON_Parse(written), *b = cJSON_Parse(running);
	char *found;

	assert_true(a != NULL && b != NULL);
	found = drift_find(a, b, is_own, user);
	cJSON_Delete(a);
	cJSON_Delete(b);
	return found;
}

#define SERVER(routes) \
	"{\"apps\":{\"http\":{\"servers\":{\"srv0\":{\"listen\":[\":443\"],\"routes\":" routes \
	"}}}}}"

static void
what_is_the_same(void **state)
{
	static const char *const pairs[][2] = {{"{}", "{}"},
	    /* Caddy gives members back in the order of the alphabet */
	    {"{\"b\":[1,true,null],\"a\":{\"c\":\"x\"}}",
		"{\"a\":{\"c\":\"x\"},\"b\":[1,true,null]}"},
	    {SERVER("[{\"@id\":\"mesh\"}]"), SERVER("[{\"@id\":\"own-1\"},{\"@id\":\"mesh\"},"
						    "{\"@id\":\"own-2\"}]")},
	    {SERVER("[]"), SERVER("[{\"@id\":\"own-1\"}]")}};

	(void)state;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		DM_AUTO_FREE char *found = find(pairs[i][0], pairs[i][1]);

		if (found != NULL)
			fail_msg("%s, %s: %s", pairs[i][0], pairs[i][1], found);
	}
}

static void
what_differs(void **state)
{
	static const char *const cases[][3] = {{"{}", "{\"admin\":{}}", "admin: added"},
	    {"{\"admin\":{\"listen\":\"a\"}}", "{\"admin\":{}}", "admin.listen: removed"},
	    {"{\"admin\":{\"listen\":\"secret1\"}}", "{\"admin\":{\"listen\":\"secret2\"}}",
		"admin.listen: changed"},
	    {"{\"a\":[1,2]}", "{\"a\":[1,3]}", "a[1]: changed"},
	    {"{\"a\":[1]}", "{\"a\":[1,3]}", "a[1]: added"},
	    {"{\"a\":[1,2]}", "{\"a\":[1]}", "a[1]: removed"},
	    {"{\"a\":true}", "{\"a\":false}", "a: changed"},
	    {"{\"a\":[]}", "{\"a\":{}}", "a: changed"},
	    /* with an object that comes after one without a difference */
	    {"{\"a\":{\"b\":1},\"c\":{\"d\":1}}", "{\"a\":{\"b\":1},\"c\":{\"d\":2}}",
		"c.d: changed"},
	    {"{\"a\\n\":1}", "{\"a\\n\":2}", "a\\x0a: changed"}, {"{}", "[]", "all of it: changed"},
	    {SERVER("[]"), SERVER("[{\"@id\":\"own-1\"},{\"@id\":\"mine\"}]"),
		"apps.http.servers.srv0.routes[0]: added"}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		DM_AUTO_FREE char *found = find(cases[i][0], cases[i][1]);

		assert_non_null(found);
		if (strstr(cases[i][2], "\\x") == NULL)
			assert_string_equal(found, cases[i][2]);
		/* names are anybody's */
		assert_false(dm_has_control(found));
		assert_null(strstr(found, "secret"));
	}
}

/* Routes that are no list, servers that are no objects, and nesting without end. */
static void
strange_shapes(void **state)
{
	DM_AUTO_STR struct dm_str deep = dm_str_make(65536), other = dm_str_make(65536);
	DM_AUTO_FREE char *one = NULL, *two = NULL;

	(void)state;
	one = find("{\"apps\":{\"http\":{\"servers\":[1,{\"routes\":{\"a\":1}}]}}}",
	    "{\"apps\":{\"http\":{\"servers\":[1,{\"routes\":7}]}}}");
	assert_string_equal(one, "apps.http.servers[1].routes: changed");
	for (int i = 0; i < 900; i++)
		(void)dm_str_addf(&deep, "[");
	(void)dm_str_addf(&other, "%s", deep.data);
	(void)dm_str_addf(&deep, "1");
	(void)dm_str_addf(&other, "2");
	for (int i = 0; i < 900; i++) {
		(void)dm_str_addf(&deep, "]");
		(void)dm_str_addf(&other, "]");
	}
	two = find(deep.data, other.data);
	assert_non_null(two);
	assert_true(strlen(two) < 400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_the_same),
	    cmocka_unit_test(what_differs),
	    cmocka_unit_test(strange_shapes),
	};

	return cmocka_run_group_tests_name("drift", tests, NULL, NULL);
}
