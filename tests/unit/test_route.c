/* SPDX-License-Identifier: MIT */
/* One service's route: its exact JSON, what counts as equal, and what others' routes do. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "caddy/route.h"

static const struct route_spec unix_spec = {.id = "shop-main",
    .hosts = {"shop-main.dev.localhost", "shop.dev.localhost"},
    .host_count = 2,
    .dial = "unix//tmp/caddy-dev/shop-main.sock"};

static const struct route_spec tcp_spec = {
    .id = "shop-x", .hosts = {"shop-x.a.b"}, .host_count = 1, .dial = "localhost:3000"};

static const char unix_text[] =
    "{\"@id\":\"shop-main\",\"match\":[{\"host\":[\"shop-main.dev.localhost\","
    "\"shop.dev.localhost\"]}],\"handle\":[{\"handler\":\"reverse_proxy\",\"upstreams\":[{"
    "\"dial\":\"unix//tmp/caddy-dev/shop-main.sock\"}],\"flush_interval\":20000000,"
    "\"headers\":{\"response\":{\"set\":{"
    "\"X-Devmesh-Id\":[\"shop-main\"]}}},\"transport\":{\"protocol\":\"http\",\"keep_alive\":{"
    "\"enabled\":false}}}],\"terminal\":true}";

static const char tcp_text[] =
    "{\"@id\":\"shop-x\",\"match\":[{\"host\":[\"shop-x.a.b\"]}],\"handle\":[{\"handler\":"
    "\"reverse_proxy\",\"upstreams\":[{\"dial\":\"localhost:3000\"}],"
    "\"flush_interval\":20000000,\"headers\":{\"response\":{"
    "\"set\":{\"X-Devmesh-Id\":[\"shop-x\"]}}}%s}],\"terminal\":true}";

/* The parsed text, with ' for "; the caller deletes it. */
static cJSON *
json(const char *text)
{
	DM_AUTO_FREE char *copy = dm_strdup(text);
	cJSON *o;

	for (char *p = copy; *p != '\0'; p++)
		*p = (char)(*p == '\'' ? '"' : *p);
	if ((o = cJSON_Parse(copy)) == NULL)
		fail_msg("not JSON: %s", copy);
	return o;
}

static void
assert_builds(const struct route_spec *spec, bool delay, const char *want)
{
	cJSON *o = route_build(spec, delay);
	char *text = cJSON_PrintUnformatted(o);

	assert_string_equal(text, want);
	free(text);
	cJSON_Delete(o);
}

static void
exact_shape(void **state)
{
	DM_AUTO_FREE char *plain = dm_asprintf(tcp_text, "");
	DM_AUTO_FREE char *delayed = dm_asprintf(tcp_text, ",\"stream_close_delay\":\"24h\"");

	(void)state;
	assert_builds(&unix_spec, false, unix_text);
	assert_builds(&tcp_spec, false, plain);
	assert_builds(&tcp_spec, true, delayed);
}

#define ASKED \
	"{\"handler\":\"subroute\",\"routes\":[{\"match\":[{\"path\":[" \
	"\"/.well-known/devmesh\"],\"method\":[\"GET\",\"HEAD\"]}],\"handle\":["

/* What a request for the identity gets, in front of the proxy; everything else goes past it. */
static void
identity_route(void **state)
{
	struct route_spec spec = tcp_spec;
	DM_AUTO_FREE char *text = NULL;
	cJSON *old = route_build(&tcp_spec, true), *with;

	(void)state;
	spec.identity_dir = "/s/identity";
	with = route_build(&spec, true);
	text = cJSON_PrintUnformatted(with);
	assert_holds(text,
	    "\"handle\":[" ASKED
	    "{\"handler\":\"subroute\",\"routes\":[{\"match\":[{\"file\":{\"try_files\":["
	    "\"/shop-x.json\"],\"root\":\"/s/"
	    "identity\"},\"not\":[{\"vars\":{\"{http.vars.devmesh_outside}\":["
	    "\"yes\"]}}]}],\"handle\":[{\"handler\":\"rewrite\","
	    "\"uri\":\"/shop-x.json\"},{\"handler\":\"headers\",\"response\":{\"set\":{"
	    "\"Content-Type\":[\"application/json\"],\"Cache-Control\":[\"no-store\"],"
	    "\"X-Devmesh-Id\":[\"shop-x\"]}}},{\"handler\":\"file_server\",\"root\":"
	    "\"/s/identity\"}],\"terminal\":true}]}]}]},{\"handler\":\"reverse_proxy\"");
	assert_string_equal(route_identity_dir(with), "/s/identity");
	/* one of an older devmesh is another route, and still ours */
	assert_false(route_equals(old, &spec));
	assert_true(route_equals(with, &spec));
	assert_false(route_equals(with, &tcp_spec));
	for (int i = 0; i < 2; i++) {
		const cJSON *route = i == 0 ? old : with;

		assert_true(route_is_ours(route, "shop-x"));
		assert_false(route_is_ours(route, "shop-y"));
		assert_true(route_has_close_delay(route));
		assert_false(route_is_shared(route));
		assert_string_equal(route_dial(route), "localhost:3000");
		assert_true(route_catches(route, "shop-x.a.b"));
	}
	cJSON_Delete(old);
	cJSON_Delete(with);
}

/* Where documents are, in routes that others wrote. */
static void
identity_dirs(void **state)
{
	static const struct {
		const char *route, *dir;
	} rows[] = {
	    /* as an adapted Caddyfile has it: one set of matchers, a variable for the root */
	    {"{'handle':[{'handler':'subroute','routes':[{'match':[{'path':["
	     "'/.well-known/devmesh'],'file':{'root':'/a','try_files':['/{http.regexp.w.1}.json']"
	     "}}],'handle':[{'handler':'file_server'}]}]}]}",
		"/a"},
	    {"{'handle':[{'handler':'subroute','routes':[{'match':[{'path':["
	     "'/.well-known/devmesh']}],'handle':[{'handler':'vars','root':'/b'}]}]}]}",
		"/b"},
	    /* the file server of another path */
	    {"{'handle':[{'handler':'subroute','routes':[{'match':[{'path':['/x']}],'handle':[{"
	     "'handler':'file_server','root':'/c'}]}]}]}",
		NULL},
	    {"{'handle':[{'handler':'subroute','routes':[{'match':[{'path':["
	     "'/.well-known/devmesh']}],'handle':[{'handler':'file_server','root':'{env.HOME}'}]"
	     "}]}]}",
		NULL},
	    {"{'handle':[{'handler':'subroute','routes':[{'match':[{'path':["
	     "'/.well-known/devmesh']}],'handle':[{'handler':'file_server','root':7}]}]}]}",
		NULL},
	    {"{'handle':[{'handler':'subroute','routes':[{'match':[{'path':"
	     "'/.well-known/devmesh'}],'handle':[{'root':'/d'}]}]}]}",
		NULL},
	    {"{'handle':'x'}", NULL},
	    {"[]", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		cJSON *o = json(rows[i].route);
		const char *dir = route_identity_dir(o);

		assert_int_equal(dir == NULL, rows[i].dir == NULL);
		if (dir != NULL)
			assert_string_equal(dir, rows[i].dir);
		cJSON_Delete(o);
	}
}

static bool
equals(const char *text, const struct route_spec *spec)
{
	cJSON *o = json(text);
	bool equal = route_equals(o, spec);

	cJSON_Delete(o);
	return equal;
}

static void
equal_routes(void **state)
{
	(void)state;
	assert_true(equals(unix_text, &unix_spec));
	for (int delay = 0; delay < 2; delay++) {
		cJSON *o = route_build(&unix_spec, delay != 0);

		assert_true(route_equals(o, &unix_spec));
		assert_false(route_equals(o, &tcp_spec));
		cJSON_Delete(o);
	}
	/* as Caddy gives it back: keys in any order */
	assert_true(
	    equals("{'terminal':true,'handle':[{'stream_close_delay':'24h','headers':{'response':{"
		   "'set':{'X-Devmesh-Id':['shop-x']}}},'upstreams':[{'dial':'localhost:3000'}],"
		   "'flush_interval':20000000,'handler':'reverse_proxy'}],'match':[{'host':['shop-"
		   "x.a.b']}],'@id':'shop-x'}",
		&tcp_spec));
}

static void
different_routes(void **state)
{
#define HANDLE \
	"'handle':[{'handler':'reverse_proxy','upstreams':[{'dial':'localhost:3000'}]," \
	"'flush_interval':20000000,'headers':{'response':{'set':{'X-Devmesh-Id':['shop-x']}}}}]"
	static const char *const texts[] = {
	    "{}",
	    "null",
	    "[]",
	    "'x'",
	    /* the original's recipe by curl */
	    "{'@id':'shop-x','match':[{'host':['shop-x.a.b']}],'handle':[{'handler':"
	    "'reverse_proxy','upstreams':[{'dial':'localhost:3000'}]}]}",
	    "{'@id':'shop-x','match':[{'host':['shop-x.a.b']}]," HANDLE "}",
	    "{'@id':'shop-x','match':[{'host':['shop-x.a.b']}]," HANDLE ",'terminal':false}",
	    "{'@id':'shop-y','match':[{'host':['shop-x.a.b']}]," HANDLE ",'terminal':true}",
	    "{'@id':'shop-x','match':[{'host':['shop-y.a.b']}]," HANDLE ",'terminal':true}",
	    "{'@id':'shop-x','match':[{'host':['shop-x.a.b','x']}]," HANDLE ",'terminal':true}",
	    "{'@id':'shop-x','match':[{'host':['shop-x.a.b'],'path':['/']}]," HANDLE
	    ",'terminal':true}",
	    "{'@id':'shop-x','match':[{'host':['shop-x.a.b']}]," HANDLE
	    ",'terminal':true,'group':'g'}",
	    "{'@id':'shop-x','match':{'host':['shop-x.a.b']}," HANDLE ",'terminal':true}",
	    "{'@id':'shop-x','match':[{'host':['shop-x.a.b']}],'handle':{},'terminal':true}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_false(equals(texts[i], &tcp_spec));
	assert_true(
	    equals("{'@id':'shop-x','match':[{'host':['shop-x.a.b']}]," HANDLE ",'terminal':true}",
		&tcp_spec));
#undef HANDLE
}

/* A hand-made route is seen by its @id and its dial, but it is not ours. */
static void
made_by_hand(void **state)
{
	DM_AUTO_FREE char *text = source_text("tests/unit/data/original_route.json");
	cJSON *o = json(text);

	(void)state;
	assert_string_equal(route_id(o), "myapp-feature");
	assert_string_equal(route_dial(o), "unix//tmp/caddy-dev/myapp-feature.sock");
	assert_false(route_is_ours(o, "myapp-feature"));
	assert_true(route_names_host(o, "myapp-feature.dev.yourdomain.com"));
	assert_true(route_catches(o, "myapp-feature.dev.yourdomain.com"));
	assert_false(route_catches(o, "other.dev.yourdomain.com"));
	cJSON_Delete(o);
	o = route_build(&unix_spec, true);
	assert_true(route_is_ours(o, "shop-main"));
	assert_false(route_is_ours(o, "shop"));
	assert_string_equal(route_dial(o), unix_spec.dial);
	assert_false(route_is_shared(o));
	cJSON_Delete(o);
}

static void
odd_ids_and_dials(void **state)
{
	static const char *const texts[] = {"{}", "[]", "null", "{'@id':1}", "{'@id':null}",
	    "{'@id':['x'],'handle':[]}", "{'handle':[{'upstreams':[{'dial':1}]}]}",
	    "{'handle':'dial'}", "{'handle':[{'upstreams':[]}]}", "{'dial':'localhost:1'}"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		cJSON *o = json(texts[i]);

		assert_null(route_id(o));
		assert_null(route_dial(o));
		assert_false(route_is_ours(o, "x"));
		assert_false(route_is_mesh(o, "dev.localhost", "/tmp/caddy-dev"));
		assert_false(route_names_host(o, "x"));
		assert_false(route_is_shared(o));
		cJSON_Delete(o);
	}
}

static void
catching(void **state)
{
#define ANSWER "'handle':[{'handler':'static_response'}]"
#define PASS   "'handle':[{'handler':'headers'},{'handler':'encode'}]"
	static const struct {
		const char *text;
		bool catches, names;
	} rows[] = {
	    {"{" ANSWER "}", true, false},
	    {"{'match':[]," ANSWER "}", true, false},
	    {"{'match':[{}]," ANSWER "}", true, false},
	    {"{'match':[{'host':['a.dev']}]," ANSWER "}", true, true},
	    {"{'match':[{'host':['*.dev']}]," ANSWER "}", true, true},
	    {"{'match':[{'host':['b.dev','A.dev']}]," ANSWER "}", true, true},
	    {"{'match':[{'host':['b.dev']}]," ANSWER "}", false, false},
	    {"{'match':[{'host':['b.dev']},{'host':['a.dev']}]," ANSWER "}", true, true},
	    {"{'match':[{'host':['b.dev']},{}]," ANSWER "}", true, false},
	    {"{'match':[{'host':['a.dev'],'path':['/x']}]," ANSWER "}", false, true},
	    {"{'match':[{'path':['/x']}]," ANSWER "}", false, false},
	    {"{'match':[{'method':['GET']},{'host':['a.dev']}]," ANSWER "}", true, true},
	    {"{'match':[{'not':[{'host':['a.dev']}]}]," ANSWER "}", false, false},
	    /* handlers that only prepare let the request go on, unless the route is terminal */
	    {"{" PASS "}", false, false},
	    {"{" PASS ",'terminal':true}", true, false},
	    {"{'match':[{'host':['a.dev']}]," PASS "}", false, true},
	    {"{}", false, false},
	    {"{'terminal':true}", true, false},
	    {"{'handle':[]}", false, false},
	    {"{'handle':[{'handler':'vars'},{'handler':'reverse_proxy'}]}", true, false},
	    {"{'handle':[{'handler':'subroute','routes':[]}]}", true, false},
	    {"{'match':[{'host':'a.dev'}]," ANSWER "}", false, false},
	    {"{'match':[{'host':[1,null]}]," ANSWER "}", false, false},
	    {"{'match':[null]," ANSWER "}", true, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		cJSON *o = json(rows[i].text);

		if (route_catches(o, "a.dev") != rows[i].catches)
			fail_msg("catches: %s", rows[i].text);
		if (route_names_host(o, "a.dev") != rows[i].names)
			fail_msg("names: %s", rows[i].text);
		cJSON_Delete(o);
	}
#undef ANSWER
#undef PASS
}

static void
mesh_routes(void **state)
{
#define ROUTE(host, dial) \
	"{'match':[{'host':['" host "']}],'handle':[{'handler':'subroute','routes':[{'handle':[{" \
	"'handler':'reverse_proxy','upstreams':[{'dial':'" dial "'}]}]}]}]}"
	static const struct {
		const char *text;
		bool mesh;
	} rows[] = {
	    {ROUTE("*.dev.localhost", "unix//tmp/caddy-dev/{http.regexp.w.1}.sock"), true},
	    {ROUTE("*.dev.localhost", "unix//tmp/caddy-dev/{http.request.host.labels.2}.sock"),
		true},
	    {ROUTE("*.other.localhost", "unix//tmp/caddy-dev/{http.regexp.w.1}.sock"), false},
	    {ROUTE("x.dev.localhost", "unix//tmp/caddy-dev/{http.regexp.w.1}.sock"), false},
	    {ROUTE("*.dev.localhost", "unix//tmp/caddy/{http.regexp.w.1}.sock"), false},
	    {ROUTE("*.dev.localhost", "unix//tmp/caddy-dev/x/{http.regexp.w.1}.sock"), false},
	    {ROUTE("*.dev.localhost", "unix//tmp/caddy-dev/shop.sock"), false},
	    {ROUTE("*.dev.localhost", "unix//tmp/caddy-dev/{http.regexp.w.1}"), false},
	    {ROUTE("*.dev.localhost", "localhost:3000"), false},
	};
#undef ROUTE

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		cJSON *o = json(rows[i].text);

		if (route_is_mesh(o, "dev.localhost", "/tmp/caddy-dev") != rows[i].mesh)
			fail_msg("%s", rows[i].text);
		assert_int_equal(route_is_shared(o), strchr(route_dial(o), '{') != NULL);
		cJSON_Delete(o);
	}
}

/* Shapes that Caddy would refuse: no crash, and nothing is taken for ours. */
static void
hostile_shapes(void **state)
{
	static const char *const texts[] = {"{'match':[['a.dev']],'handle':[{}]}",
	    "{'match':[[{'host':['a.dev']}]],'handle':[[]]}",
	    "{'match':{'host':{'host':['a.dev']}}}",
	    "{'match':'a.dev','handle':'x','terminal':'yes'}",
	    "{'match':[1,true,null],'handle':[1]}", "{'handle':{'handler':'headers'}}",
	    "[[['a.dev']]]"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		cJSON *o = json(texts[i]);

		(void)route_catches(o, "a.dev");
		(void)route_names_host(o, "a.dev");
		assert_false(route_is_mesh(o, "dev", "/tmp/caddy-dev"));
		assert_false(route_is_ours(o, "a"));
		assert_false(route_equals(o, &tcp_spec));
		cJSON_Delete(o);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(exact_shape),
	    cmocka_unit_test(identity_route),
	    cmocka_unit_test(identity_dirs),
	    cmocka_unit_test(equal_routes),
	    cmocka_unit_test(different_routes),
	    cmocka_unit_test(made_by_hand),
	    cmocka_unit_test(odd_ids_and_dials),
	    cmocka_unit_test(catching),
	    cmocka_unit_test(mesh_routes),
	    cmocka_unit_test(hostile_shapes),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
