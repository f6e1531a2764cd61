/* SPDX-License-Identifier: MIT */
/* When a list of routes is already as wanted, so that nothing has to be written. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "caddy/change.h"

static const struct route_spec spec = {.id = "shop-main",
    .hosts = {"shop-main.dev", "shop.dev"},
    .host_count = 2,
    .dial = "localhost:3000"};

/* A list of routes: 'o' ours, 'd' ours with the delay, 'x' ours changed by hand, and others. */
static cJSON *
list_of(const char *kinds)
{
	static const char *const others[] = {['a'] = "{\"handle\":[{\"handler\":\"file_server\"}]}",
	    ['b'] =
		"{\"match\":[{\"host\":[\"b.dev\"]}],\"handle\":[{\"handler\":\"file_server\"}]}",
	    ['h'] = "{\"handle\":[{\"handler\":\"headers\"}]}",
	    ['p'] = "{\"match\":[{\"path\":[\"/x\"]}],\"handle\":[{\"handler\":\"file_server\"}]}",
	    ['s'] = "{\"match\":[{\"host\":[\"shop.dev\"]}],\"handle\":[{\"handler\":\"error\"}]}",
	    ['w'] = "{\"match\":[{\"host\":[\"*.dev\"]}],\"handle\":[{\"handler\":\"error\"}]}",
	    ['x'] = "{\"@id\":\"shop-main\",\"handle\":[]}"};
	cJSON *list = cJSON_CreateArray();

	for (; *kinds != '\0'; kinds++) {
		cJSON *route = *kinds == 'o' || *kinds == 'd'
				   ? route_build(&spec, *kinds == 'd')
				   : cJSON_Parse(others[(unsigned char)*kinds]);

		assert_non_null(route);
		assert_true(cJSON_AddItemToArray(list, route));
	}
	return list;
}

static void
in_place(void **state)
{
	static const struct {
		const char *kinds;
		bool good;
	} rows[] = {
	    {"o", true},
	    {"d", true},
	    {"bo", true},
	    {"hpbo", true},
	    {"ob", true},
	    {"oa", true},
	    /* not there, twice, or another one */
	    {"", false},
	    {"b", false},
	    {"oo", false},
	    {"od", false},
	    {"x", false},
	    {"xo", false},
	    {"ox", false},
	    /* behind something that catches its hosts, or one of them */
	    {"ao", false},
	    {"wo", false},
	    {"so", false},
	    {"bao", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		cJSON *list = list_of(rows[i].kinds);

		if (caddy_route_in_place(list, &spec) != rows[i].good)
			fail_msg("%s", rows[i].kinds);
		cJSON_Delete(list);
	}
	assert_false(caddy_route_in_place(NULL, &spec));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(in_place),
	};

	return cmocka_run_group_tests_name("change", tests, NULL, NULL);
}
