/* SPDX-License-Identifier: MIT */
/* That the description of the API has every route of the table, and no other. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "api_impl.h"
#include "openapi.h"

/* "/services/:id/pin" as the description writes it; the caller owns it. */
static char *
described_path(const char *path)
{
	const char *colon = strchr(path, ':');

	if (colon == NULL)
		return dm_strdup(path);
	return dm_asprintf("%.*s{%.*s}%s", (int)(colon - path), path, (int)strcspn(colon + 1, "/"),
	    colon + 1, colon + strcspn(colon, "/"));
}

static cJSON *
description(void)
{
	const char *end;
	cJSON *o = cJSON_ParseWithLengthOpts(openapi_json, openapi_json_len, &end, false);

	assert_non_null(o);
	assert_int_equal(end - openapi_json, openapi_json_len);
	/* it has to be one line on the control socket */
	assert_null(memchr(openapi_json, '\n', openapi_json_len));
	return o;
}

static void
every_route_is_described(void **state)
{
	cJSON *o = description();
	const cJSON *paths = cJSON_GetObjectItem(o, "paths"), *path;
	const struct api_route *r;
	size_t described = 0, i;

	(void)state;
	for (i = 0; (r = api_route_at(i)) != NULL; i++) {
		DM_AUTO_FREE char *name = described_path(r->path);
		const cJSON *operation =
		    cJSON_GetObjectItem(cJSON_GetObjectItemCaseSensitive(paths, name),
			strcmp(r->method, "GET") == 0 ? "get" : "post");

		if (operation == NULL)
			fail_msg("%s %s is not described", r->method, name);
		assert_int_equal(
		    r->trusted, cJSON_IsTrue(cJSON_GetObjectItem(operation, "x-control-only")));
		assert_non_null(r->handler);
		/* one path, one method: an "Allow" has nothing to add up */
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(api_route_at(k)->path, r->path);
	}
	cJSON_ArrayForEach (path, paths)
		described += (size_t)cJSON_GetArraySize(path);
	assert_int_equal(described, i);
	cJSON_Delete(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_route_is_described),
	};

	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
