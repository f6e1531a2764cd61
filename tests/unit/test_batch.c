/* SPDX-License-Identifier: MIT */
/* What a batch makes of a list of routes, and that it leaves everything else byte for byte. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "caddy/batch.h"
#include "caddy/change.h"
#include "caddy/mesh.h"

enum {
	SERVICES = 4
};

/* Services s0 to s3 on ports of their own. */
static const struct route_spec specs[SERVICES] = {
    {.id = "s0", .hosts = {"s0.dev"}, .host_count = 1, .dial = "localhost:3000"},
    {.id = "s1", .hosts = {"s1.dev", "s.dev"}, .host_count = 2, .dial = "localhost:3001"},
    {.id = "s2", .hosts = {"s2.dev"}, .host_count = 1, .dial = "unix//tmp/x/s2.sock"},
    {.id = "s3", .hosts = {"s3.dev"}, .host_count = 1, .dial = "localhost:3003"},
};

static const struct mesh_spec mesh = {
    .domain = "dev", .sockets_dir = "/tmp/x", .identity_dir = "/home/me/id"};

/*
 * One route by a letter: '0' to '3' a service's as it should be, 'm' the mesh route, 'x' what is
 * left of s0 after an edit by hand, 'h' s0 made by hand, others routes of strangers. 'n' is full of
 * what a parser might change.
 */
static char *
one(char kind)
{
	static const char *const others[] = {
	    ['a'] = "{\"handle\":[{\"handler\":\"file_server\"}]}",
	    ['b'] = "{\"match\":[{\"host\":[\"b.dev\"]}],\"handle\":[{\"handler\":\"error\"}]}",
	    ['h'] = "{\"@id\":\"s0\",\"handle\":[{\"handler\":\"reverse_proxy\"}]}",
	    ['n'] = "{\"@id\":\"n\",\"x\":[9007199254740993,1e3,-0,0.1,1E400,12345678901234567890,"
		    "\"\\u0000\\/<&>\\\\\",\"],[\\\",{\"] , \"\\u0041\": { } }",
	    ['w'] = "{\"match\":[{\"host\":[\"*.dev\"]}],\"handle\":[{\"handler\":\"error\"}]}",
	    ['x'] = "{\"@id\":\"s0\",\"handle\":[{\"handler\":\"reverse_proxy\",\"headers\":"
		    "{\"response\":{\"set\":{\"X-Devmesh-Id\":[\"s0\"]}}}}]}",
	};
	cJSON *route = NULL;
	char *text;

	if (kind >= '0' && kind < '0' + SERVICES)
		route = route_build(&specs[kind - '0'], false);
	else if (kind == 'm')
		route = mesh_route(mesh.domain, mesh.sockets_dir, mesh.identity_dir, false);
	else
		return dm_strdup(others[(unsigned char)kind]);
	text = cJSON_PrintUnformatted(route);
	cJSON_Delete(route);
	return text;
}

/* The text of a list; the caller owns it. */
static char *
list_of(const char *kinds)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(1 << 20);

	(void)dm_str_add(&out, "[", 1);
	for (const char *k = kinds; *k != '\0'; k++) {
		DM_AUTO_FREE char *text = one(*k);

		assert_true(dm_str_addf(&out, "%s%s", k == kinds ? "" : ",", text));
	}
	(void)dm_str_add(&out, "]", 1);
	return dm_str_take(&out);
}

/* Puts the services and removes the ids that are named by letters; 'm' puts the mesh route. */
static void
apply(const char *list, const char *put, const char *remove, char **out,
    struct route_batch_result *result)
{
	static const char *const ids[SERVICES] = {"s0", "s1", "s2", "s3"};
	struct route_spec puts[SERVICES];
	const char *removes[SERVICES];
	struct route_batch batch = {.put = puts, .remove = removes};
	struct dm_err err;

	for (; *put != '\0'; put++) {
		if (*put == 'm')
			batch.mesh = &mesh;
		else
			puts[batch.put_count++] = specs[*put - '0'];
	}
	for (; *remove != '\0'; remove++)
		removes[batch.remove_count++] = ids[*remove - '0'];
	assert_ok(route_batch_apply(list, strlen(list), &batch, false, out, result, &err), &err);
}

static void
results(void **state)
{
	static const struct {
		const char *before, *put, *remove, *after; /* after NULL: unchanged */
		unsigned added, replaced, removed;
	} rows[] = {
	    {"", "", "", NULL, 0, 0, 0},
	    {"an", "", "", NULL, 0, 0, 0},
	    /* put: at the end, or in front of what would catch it */
	    {"", "0123", "", "0123", 4, 0, 0},
	    {"n", "0", "", "n0", 1, 0, 0},
	    {"nban", "01", "", "nb01an", 2, 0, 0},
	    {"bwn", "2", "", "b2wn", 1, 0, 0},
	    {"bm", "30", "", "b30m", 2, 0, 0},
	    /* as they are, those that are right stay */
	    {"0123", "0123", "", NULL, 0, 0, 0},
	    {"3b0na", "03", "", NULL, 0, 0, 0},
	    {"0a", "01", "", "01a", 1, 0, 0},
	    /* twice, changed, made by hand, or behind another */
	    {"0b0", "0", "", "b0", 0, 1, 0},
	    {"00n0", "0", "", "n0", 0, 1, 0},
	    {"xn", "0", "", "n0", 0, 1, 0},
	    {"hn", "0", "", "n0", 0, 1, 0},
	    {"0xna", "0", "", "n0a", 0, 1, 0},
	    {"a0", "0", "", "0a", 0, 1, 0},
	    {"ba01n2", "012", "", "b012an", 0, 3, 0},
	    /* remove: all that bear our header, and nothing else */
	    {"0n1n0", "", "0", "n1n", 0, 0, 2},
	    {"x0h", "", "0", "h", 0, 0, 2},
	    {"h", "", "0", NULL, 0, 0, 0},
	    {"n", "", "0123", NULL, 0, 0, 0},
	    {"0123", "", "0123", "", 0, 0, 4},
	    {"0n1", "2", "01", "n2", 1, 0, 2},
	    /* the mesh route: behind services' own, in front of what catches every name */
	    {"", "m", "", "m", 1, 0, 0},
	    {"0n", "m", "", "0nm", 1, 0, 0},
	    {"0na", "m", "", "0nma", 1, 0, 0},
	    {"bw", "m", "", "bmw", 1, 0, 0},
	    {"", "0m1", "", "01m", 3, 0, 0},
	    {"na", "0m1", "", "n01ma", 3, 0, 0},
	    {"0ma", "0m", "", NULL, 0, 0, 0},
	    {"am", "m", "", "ma", 0, 1, 0},
	    {"mam", "m", "", "ma", 0, 1, 0},
	    {"m0", "0", "", "0m", 0, 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *before = list_of(rows[i].before), *after = NULL, *again = NULL;
		DM_AUTO_FREE char *want = rows[i].after == NULL ? NULL : list_of(rows[i].after);
		struct route_batch_result r;

		apply(before, rows[i].put, rows[i].remove, &after, &r);
		if ((after == NULL) != (want == NULL) ||
		    (want != NULL && strcmp(after, want) != 0) || r.added != rows[i].added ||
		    r.replaced != rows[i].replaced || r.removed != rows[i].removed)
			fail_msg("row %zu, %s +%s -%s: %u %u %u: %s", i, rows[i].before,
			    rows[i].put, rows[i].remove, r.added, r.replaced, r.removed, after);
		if (after == NULL)
			continue;
		apply(after, rows[i].put, rows[i].remove, &again, &r);
		assert_null(again);
	}
}

/* Blanks between the elements, as nobody's Caddy writes them. */
static void
other_spelling(void **state)
{
	static const char before[] = " [ {\"@id\" : \"n\"} ,\n\t{\"a\":[ 1 , 2 ]}\r\n]\n";
	DM_AUTO_FREE char *after = NULL, *route = one('0'), *want = NULL;
	struct route_batch_result r;

	(void)state;
	apply(before, "0", "", &after, &r);
	want = dm_asprintf("[{\"@id\" : \"n\"} ,{\"a\":[ 1 , 2 ]}\r\n,%s]", route);
	assert_string_equal(after, want);
}

static void
refusals(void **state)
{
	static const char *const texts[] = {"", "null", "{}", "[", "[{]", "\"[]\"", "[1,",
	    /* what cJSON forgives */
	    "\xef\xbb\xbf[1]", "\x01[1]"};
	const struct route_batch batch = {.put = specs, .put_count = SERVICES};
	struct route_batch_result r;
	struct dm_err err;
	char *out;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_fails(
		    route_batch_apply(texts[i], strlen(texts[i]), &batch, false, &out, &r, &err),
		    &err, DM_FAILED, "not a JSON array");
}

/*
 * Whatever the list: one of each, in place, strangers as they were, and nothing to do afterwards.
 * In place means the same as for caddy_route_put().
 */
static void
any_list(void **state)
{
	static const char kinds[] = "0123mabhnwx";
	struct prng prng = prng_new();

	(void)state;
	for (int round = 0; round < 2000; round++) {
		char before[13], strangers[13] = "", put[6] = "", text[2] = "";
		DM_AUTO_FREE char *list = NULL, *after = NULL, *again = NULL, *rest = NULL;
		DM_AUTO_FREE char *want = NULL;
		struct route_batch_result r;
		cJSON *routes;

		prng_text(&prng, kinds, 12, before);
		for (size_t i = 0; i < SERVICES; i++) {
			if (prng_below(&prng, 2) == 0) {
				put[strlen(put) + 1] = '\0';
				put[strlen(put)] = (char)('0' + i);
			}
		}
		for (size_t i = 0; before[i] != '\0'; i++) {
			bool named = strchr(put, before[i]) != NULL ||
				     (strchr(put, '0') != NULL && strchr("xh", before[i]) != NULL);

			text[0] = before[i];
			if (!named)
				(void)memcpy(strangers + strlen(strangers), text, 2);
		}
		list = list_of(before);
		apply(list, put, "", &after, &r);
		if (after == NULL)
			after = dm_strdup(list);
		apply(after, put, "", &again, &r);
		assert_null(again);
		routes = cJSON_Parse(after);
		for (const char *p = put; *p != '\0'; p++) {
			if (!caddy_route_in_place(routes, &specs[*p - '0']))
				fail_msg("%s +%s: s%c is not in place: %s", before, put, *p, after);
		}
		cJSON_Delete(routes);
		/* removed again, only the strangers are left */
		apply(after, "", put, &rest, &r);
		want = list_of(strangers);
		assert_string_equal(rest == NULL ? after : rest, want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(results),
	    cmocka_unit_test(other_spelling),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(any_list),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
