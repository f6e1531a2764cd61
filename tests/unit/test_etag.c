/* SPDX-License-Identifier: MIT */
/* The path in Caddy's ETag: where a DELETE will be sent, so only the harmless ones. */
#include "unit.h"

#include "caddy/etag.h"

static void
accepted(void **state)
{
	static const struct {
		const char *etag, *path;
	} rows[] = {
	    {"\"/config/apps/http/servers/srv0/routes/0 d3adb33f\"",
		"/config/apps/http/servers/srv0/routes/0"},
	    {"\"/config/apps/http/servers/srv0/routes 0\"",
		"/config/apps/http/servers/srv0/routes"},
	    {"\"/config/a.b/x_y/x-y/~z 1a\"", "/config/a.b/x_y/x-y/~z"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char path[ETAG_MAX];
		struct dm_err err;

		assert_ok(etag_path(rows[i].etag, path, &err), &err);
		assert_string_equal(path, rows[i].path);
	}
}

static void
refused(void **state)
{
	static const char *const etags[] = {
	    "",
	    "\"",
	    "\"\"",
	    "\" \"",
	    "/config/apps 1a",
	    "\"/config/apps 1a",
	    "\"/config/apps1a\"",
	    "\"/config/apps \"",
	    "\"/config/apps 1a\"x",
	    "\"/config/apps 1a\" ",
	    "W/\"/config/apps 1a\"",
	    "\"/id/shop 1a\"",
	    "\"/load 1a\"",
	    "\"config/apps 1a\"",
	    "\"http://evil/config/apps 1a\"",
	    "\"/config/../load 1a\"",
	    "\"/config/a/.. 1a\"",
	    "\"/config/%2e%2e/load 1a\"",
	    "\"/config/apps?x 1a\"",
	    "\"/config/apps#x 1a\"",
	    "\"/config/a\\b 1a\"",
	    "\"/config/a\nb 1a\"",
	    "\"/config/a\r\nX: y 1a\"",
	    "\"/config/a\"b 1a\"",
	    "\"/config/\xc3\xa4 1a\"",
	    "\"/config/a{b} 1a\"",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(etags); i++) {
		char path[ETAG_MAX] = "untouched";
		struct dm_err err;

		assert_fails(etag_path(etags[i], path, &err), &err, DM_FAILED, "ETag");
		assert_string_equal(path, "untouched");
	}
}

static void
lengths(void **state)
{
	char path[ETAG_MAX];
	struct dm_err err;

	(void)state;
	for (int n = 480; n < 540; n++) {
		DM_AUTO_FREE char *etag = dm_asprintf("\"/config/%0*d 1a\"", n, 0);

		if (strlen("/config/") + (size_t)n < ETAG_MAX) {
			assert_ok(etag_path(etag, path, &err), &err);
			assert_int_equal(strlen(path), strlen("/config/") + (size_t)n);
		} else {
			assert_fails(etag_path(etag, path, &err), &err, DM_FAILED, "ETag");
		}
	}
}

/* Only elements of a list "routes" below the HTTP servers, however deep. */
static void
paths_of_routes(void **state)
{
	static const struct {
		const char *path;
		bool is_route;
	} rows[] = {
	    {"/config/apps/http/servers/srv0/routes/0", true},
	    {"/config/apps/http/servers/srv0/routes/12", true},
	    {"/config/apps/http/servers/routes/routes/0", true},
	    {"/config/apps/http/servers/srv0/routes/0/handle/0/routes/3", true},
	    {"", false},
	    {"/", false},
	    {"/config", false},
	    {"/config/apps/http/servers/", false},
	    {"/config/apps/http/servers/srv0", false},
	    {"/config/apps/http/servers/0", false},
	    {"/config/apps/http/servers/srv0/routes", false},
	    {"/config/apps/http/servers/srv0/routes/", false},
	    {"/config/apps/http/servers/srv0/routes/x", false},
	    {"/config/apps/http/servers/srv0/routes/-1", false},
	    {"/config/apps/http/servers/srv0/routes/0x", false},
	    {"/config/apps/http/servers/srv0/routes/0/", false},
	    {"/config/apps/http/servers/srv0/routes/0/match/0", false},
	    {"/config/apps/http/servers/srv0/routes/0/handle/0", false},
	    {"/config/apps/http/servers/srv0/routes/0/handle", false},
	    {"/config/apps/http/servers/srv0/other_routes/0", false},
	    {"/config/apps/http/servers/srv0/listen/0", false},
	    {"/config/apps/tls/automation/policies/0", false},
	    {"/config/apps/other/servers/srv0/routes/0", false},
	    {"config/apps/http/servers/srv0/routes/0", false},
	    {"/id/shop/routes/0", false},
	    {"/load", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (etag_path_is_route(rows[i].path) != rows[i].is_route)
			fail_msg("should be %d: %s", rows[i].is_route, rows[i].path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepted),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(paths_of_routes),
	};

	return cmocka_run_group_tests_name("etag", tests, NULL, NULL);
}
