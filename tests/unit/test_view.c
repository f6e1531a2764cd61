/* SPDX-License-Identifier: MIT */
/*
 * Caddy's configuration as we see it: which server, which domain, what would change by adding a
 * host, and whether the mesh route is reached. Samples of other origin are in data/.
 */
#include "unit.h"

#include <cjson/cJSON.h>

#include "caddy/view.h"

/* A view of the text, with ' for "; the caller owns it. */
static struct caddy_view *
view_of(const char *text)
{
	DM_AUTO_FREE char *copy = dm_strdup(text);
	struct caddy_view *view;
	struct dm_err err;

	for (char *p = copy; *p != '\0'; p++)
		*p = (char)(*p == '\'' ? '"' : *p);
	view = caddy_view_parse(copy, strlen(copy), &err);
	if (view == NULL)
		fail_msg("%s: %s", text, err.msg);
	return view;
}

static struct caddy_view *
view_of_file(const char *name)
{
	DM_AUTO_FREE char *path = dm_asprintf("tests/unit/data/%s", name);
	DM_AUTO_FREE char *text = source_text(path);

	return view_of(text);
}

static void
original_project(void **state)
{
	dm_auto(caddy_view) view = view_of_file("original.json");
	struct caddy_server server;
	struct dm_err err;

	(void)state;
	assert_string_equal(caddy_view_domain(view), "dev.yourdomain.com");
	assert_ok(
	    caddy_view_server(view, NULL, "shop-main.dev.yourdomain.com", &server, &err), &err);
	assert_string_equal(server.name, "srv0");
	assert_true(server.front.https);
	assert_int_equal(server.front.port, 443);
	assert_int_equal(cJSON_GetArraySize(server.routes), 0);
	assert_ok(caddy_view_settled(view, &server, "shop-main.dev.yourdomain.com", &err), &err);
	assert_false(caddy_view_mesh(view, "dev.yourdomain.com", "/tmp/caddy-dev",
	    "shop-main.dev.yourdomain.com", "shop-main", &server));
	assert_null(caddy_view_object(view, "shop-main"));
}

static void
caddyfile(void **state)
{
	dm_auto(caddy_view) view = view_of_file("caddyfile.json");
	struct caddy_server server;
	struct dm_err err;

	(void)state;
	/* no wildcard certificate: the first wildcard of a route's hosts */
	assert_string_equal(caddy_view_domain(view), "team.example.org");
	assert_ok(caddy_view_server(view, NULL, "a.team.example.org", &server, &err), &err);
	assert_string_equal(server.name, "srv0");
	assert_ok(caddy_view_settled(view, &server, "a.team.example.org", &err), &err);
	assert_ok(caddy_view_settled(view, &server, "www.example.org", &err), &err);
	assert_fails(caddy_view_settled(view, &server, "a.other.example.net", &err), &err,
	    DM_DENIED, "public CA");
	assert_fails(caddy_view_settled(view, &server, "a.dev.localhost", &err), &err, DM_DENIED,
	    "root certificate");
	assert_holds(err.hint, "DEVMESH_CADDY_ALLOW_HTTPS_CHANGE");
	assert_ok(caddy_view_server(view, "srv1", "a.b", &server, &err), &err);
	assert_false(server.front.https);
	assert_int_equal(server.front.port, 80);
	assert_ok(caddy_view_settled(view, &server, "a.b", &err), &err);
	assert_ok(caddy_view_server(view, "internal", "a.b", &server, &err), &err);
	assert_int_equal(server.front.port, 9833);
}

/* "name port https" of the server that is chosen; "-" if there is none. */
static void
assert_chosen(const char *servers, const char *wanted, const char *want)
{
	DM_AUTO_FREE char *text = dm_asprintf("{'http':{'servers':%s}}", servers);
	dm_auto(caddy_view) view = view_of(text);
	struct caddy_server server;
	struct dm_err err = {.code = DM_OK};
	DM_AUTO_FREE char *got = NULL;

	if (!caddy_view_server(view, wanted, "a.dev", &server, &err)) {
		assert_int_equal(err.code, DM_NOT_FOUND);
		assert_holds(err.msg, "a.dev");
		if (wanted != NULL)
			assert_holds(err.msg, wanted);
		assert_true(err.hint[0] != '\0');
	}
	got = err.code != DM_OK ? dm_strdup("-")
				: dm_asprintf("%s %u %s", server.name, (unsigned)server.front.port,
				      server.front.https ? "https" : "http");
	if (strcmp(got, want) != 0)
		fail_msg("%s instead of %s: %s", got, want, text);
}

static void
server_choice(void **state)
{
#define OFF "'automatic_https':{'disable':true}"
	static const struct {
		const char *servers, *wanted, *want;
	} rows[] = {
	    {"{'a':{'listen':[':443']}}", NULL, "a 443 https"},
	    {"{'a':{'listen':[':80']},'b':{'listen':[':443']}}", NULL, "b 443 https"},
	    {"{'a':{'listen':[':8443']},'b':{'listen':[':443']}}", NULL, "b 443 https"},
	    {"{'a':{'listen':[':80']},'b':{'listen':[':8443']}}", NULL, "b 8443 https"},
	    {"{'a':{'listen':[':80',':443']}}", NULL, "a 443 https"},
	    {"{'a':{'listen':[':8080']," OFF "},'b':{'listen':[':80']}}", NULL, "b 80 http"},
	    {"{'a':{'listen':[':8080']," OFF "}}", NULL, "a 8080 http"},
	    {"{'a':{'listen':[':443']," OFF "}}", NULL, "a 443 http"},
	    {"{'a':{'listen':[':443']," OFF ",'tls_connection_policies':[{}]}}", NULL,
		"a 443 https"},
	    /* the usual name only decides between equals */
	    {"{'a':{'listen':['10.0.0.1:443']},'srv0':{'listen':[':443']}}", NULL,
		"srv0 443 https"},
	    {"{'a':{'listen':[':443']},'srv0':{'listen':[':8443']}}", NULL, "a 443 https"},
	    {"{'a':{'listen':[':443']},'b':{'listen':[':443']}}", NULL, "a 443 https"},
	    /* asked for by name */
	    {"{'a':{'listen':[':443']},'b':{'listen':[':9']}}", "b", "b 9 https"},
	    {"{'a':{'listen':[':443']}}", "b", "-"},
	    {"{'a':{'listen':['unix//x.sock']}}", "a", "-"},
	    /* addresses */
	    {"{'a':{'listen':['127.0.0.1:8443']}}", NULL, "a 8443 https"},
	    {"{'a':{'listen':['[::1]:8443']}}", NULL, "a 8443 https"},
	    {"{'a':{'listen':['tcp/[::1]:8443-8450']}}", NULL, "a 8443 https"},
	    {"{'a':{'listen':['tcp4/:443']}}", NULL, "a 443 https"},
	    {"{'a':{'listen':['udp/:443']}}", NULL, "-"},
	    {"{'a':{'listen':['unix//run/x:443']}}", NULL, "-"},
	    {"{'a':{'listen':['unix//x.sock',':8080']}}", NULL, "a 8080 https"},
	    {"{'a':{'listen':[':{env.PORT}']}}", NULL, "-"},
	    {"{'a':{'listen':[':0']}}", NULL, "-"},
	    {"{'a':{'listen':[':65536']}}", NULL, "-"},
	    {"{'a':{'listen':['localhost']}}", NULL, "-"},
	    /* what cannot be addressed in the admin API cannot be used */
	    {"{'a/b':{'listen':[':443']}}", NULL, "-"},
	    {"{'':{'listen':[':443']},'b':{'listen':[':80']}}", NULL, "b 80 http"},
	    /* nothing to choose from */
	    {"{}", NULL, "-"},
	    {"null", NULL, "-"},
	    {"{'a':{}}", NULL, "-"},
	    {"{'a':null}", NULL, "-"},
	    {"{'a':{'listen':':443'}}", NULL, "-"},
	    {"{'a':{'listen':[443,null]}}", NULL, "-"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_chosen(rows[i].servers, rows[i].wanted, rows[i].want);
}

/* Caddy's ports can be set to others. */
static void
own_ports(void **state)
{
	dm_auto(caddy_view) view = view_of("{'http':{'http_port':8080,'https_port':8443,'servers':{"
					   "'a':{'listen':[':8080']},'b':{'listen':[':8443']}}}}");
	struct caddy_server server;
	struct dm_err err;

	(void)state;
	assert_ok(caddy_view_server(view, "a", "x.y", &server, &err), &err);
	assert_false(server.front.https);
	assert_int_equal(server.front.port, 8080);
	assert_ok(caddy_view_server(view, NULL, "x.y", &server, &err), &err);
	assert_string_equal(server.name, "b");
	assert_true(server.front.https);
}

static void
routes_of_a_server(void **state)
{
	dm_auto(caddy_view) view =
	    view_of("{'http':{'servers':{'a':{'listen':[':1'],'routes':[{'@id':'x'}]},"
		    "'b':{'listen':[':1'],'routes':null},'c':{'listen':[':1']},"
		    "'d':{'listen':[':1'],'routes':{}}}}}");
	struct caddy_server server;
	struct dm_err err;

	(void)state;
	assert_ok(caddy_view_server(view, "a", "x.y", &server, &err), &err);
	assert_int_equal(cJSON_GetArraySize(server.routes), 1);
	for (const char *name = "bcd"; *name != '\0'; name++) {
		char one[2] = {*name, '\0'};

		assert_ok(caddy_view_server(view, one, "x.y", &server, &err), &err);
		assert_null(server.routes);
	}
}

/* The order of design §6: certificates to automate, policies, then hosts of routes. */
static void
domain_discovery(void **state)
{
#define AUTOMATE "'certificates':{'automate':['x.a','*.automate.dev','*.second.dev']}"
#define POLICIES "'automation':{'policies':[{'subjects':['x.b']},{},{'subjects':['*.policy.dev']}]}"
#define ROUTES \
	"'http':{'servers':{'s':{'routes':[{'match':[{'host':['x.c']},{'host':['*.host.dev']}]}]}" \
	"}}"
	static const struct {
		const char *text, *domain;
	} rows[] = {
	    {"{" ROUTES ",'tls':{" POLICIES "," AUTOMATE "}}", "automate.dev"},
	    {"{" ROUTES ",'tls':{" POLICIES "}}", "policy.dev"},
	    {"{" ROUTES ",'tls':{'certificates':{'automate':['x.y']}}}", "host.dev"},
	    {"{" ROUTES "}", "host.dev"},
	    {"{'tls':{'certificates':{'automate':['*.Upper.dev','*.','*','*.*.x','*.ok.dev']}}}",
		"ok.dev"},
	    {"{'tls':{'certificates':{'automate':'*.x.dev'}}}", NULL},
	    {"{'tls':{'certificates':{'automate':[1,null,{}]},'automation':{'policies':'x'}}}",
		NULL},
	    {"{}", NULL},
	    {"null", NULL},
	    {"[]", NULL},
	    {"1", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		dm_auto(caddy_view) view = view_of(rows[i].text);
		const char *domain = caddy_view_domain(view);

		if (rows[i].domain == NULL)
			assert_null(domain);
		else
			assert_string_equal(domain, rows[i].domain);
	}
}

/* Whether adding a.dev.localhost to server `s` changes nothing else. */
static void
settled_cases(void **state)
{
	static const struct {
		const char *server, *tls;
		bool settled;
	} rows[] = {
	    /* a server that only speaks HTTP */
	    {"'listen':[':80']", "{}", true},
	    {"'listen':[':9000'],'automatic_https':{'disable':true}", "{}", true},
	    /* nothing covers the name: the port would turn to HTTPS */
	    {"'listen':[':9000']", "{}", false},
	    {"'listen':[':443'],'routes':[]", "{}", false},
	    {"'listen':[':443'],'routes':[{'match':[{'host':['x.org']}]}]", "{}", false},
	    {"'listen':[':443']", "{'certificates':{'automate':['*.other.localhost']}}", false},
	    {"'listen':[':443']", "{'automation':{'policies':[{'subjects':['x.org']}]}}", false},
	    /* certificates are provided for */
	    {"'listen':[':443']", "{'certificates':{'automate':['*.dev.localhost']}}", true},
	    {"'listen':[':443']", "{'automation':{'policies':[{'subjects':['*.dev.localhost']}]}}",
		true},
	    {"'listen':[':443']", "{'automation':{'policies':[{'subjects':['a.dev.localhost']}]}}",
		true},
	    /* a policy for all names will do where names are served, but not to turn a port over */
	    {"'listen':[':443'],'routes':[{'match':[{'host':['x.org']}]}]",
		"{'automation':{'policies':[{}]}}", true},
	    {"'listen':[':9000'],'routes':[{'handle':[]}]", "{'automation':{'policies':[{}]}}",
		false},
	    {"'listen':[':443'],'automatic_https':{'disable_certificates':true},"
	     "'tls_connection_policies':[{}]",
		"{}", true},
	    /* the name, or its wildcard, is served already */
	    {"'listen':[':443'],'routes':[{'match':[{'host':['a.dev.localhost']}]}]", "{}", true},
	    {"'listen':[':443'],'routes':[{'match':[{'host':['*.dev.localhost']}]}]", "{}", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *text = dm_asprintf(
		    "{'http':{'servers':{'s':{%s}}},'tls':%s}", rows[i].server, rows[i].tls);
		dm_auto(caddy_view) view = view_of(text);
		struct caddy_server server;
		struct dm_err err;

		assert_ok(caddy_view_server(view, NULL, "a.dev.localhost", &server, &err), &err);
		if (caddy_view_settled(view, &server, "a.dev.localhost", &err) != rows[i].settled)
			fail_msg("settled should be %d: %s", rows[i].settled, text);
		if (!rows[i].settled)
			assert_int_equal(err.code, DM_DENIED);
	}
}

#define MESH \
	"{'match':[{'host':['*.dev.localhost']}],'handle':[{'handler':'reverse_proxy'," \
	"'upstreams':[{'dial':'unix//tmp/caddy-dev/{http.regexp.w.1}.sock'}]}]}"
#define ANSWER "'handle':[{'handler':'static_response'}]"

static void
mesh_is_reached(void **state)
{
	static const struct {
		const char *routes;
		bool effective;
	} rows[] = {
	    {"[" MESH "]", true},
	    {"[{'match':[{'host':['x.org']}]," ANSWER "}," MESH "]", true},
	    {"[{'match':[{'path':['/x']}]," ANSWER "}," MESH "]", true},
	    {"[{'handle':[{'handler':'encode'}]}," MESH "]", true},
	    /* shadowed by a catch-all, by another wildcard, or for this host only */
	    {"[{" ANSWER "}," MESH "]", false},
	    {"[{'match':[{'host':['*.dev.localhost']}]," ANSWER "}," MESH "]", false},
	    {"[{'match':[{'host':['shop-main.dev.localhost']}]," ANSWER "}," MESH "]", false},
	    {"[{'match':[{'host':['shop-x.dev.localhost']}]," ANSWER "}," MESH "]", true},
	    /* our own route of before will be removed; another one's stays */
	    {"[{'@id':'shop-main','match':[{'host':['shop-main.dev.localhost']}]," ANSWER "}," MESH
	     "]",
		true},
	    {"[{'@id':'mine','match':[{'host':['shop-main.dev.localhost']}]," ANSWER "}," MESH "]",
		false},
	    {"[]", false},
	    {"null", false},
	    {"{}", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *text = dm_asprintf(
		    "{'http':{'servers':{'s':{'listen':[':8443'],'routes':%s}}}}", rows[i].routes);
		dm_auto(caddy_view) view = view_of(text);
		struct caddy_server server;
		bool found = caddy_view_mesh(view, "dev.localhost", "/tmp/caddy-dev",
		    "shop-main.dev.localhost", "shop-main", &server);

		if (found != rows[i].effective)
			fail_msg("effective should be %d: %s", rows[i].effective, text);
		if (found)
			assert_int_equal(server.front.port, 8443);
	}
}

/* Whether requests for the host come to the route of the service shop-main. */
static void
routes_are_reached(void **state)
{
#define HOST "shop-main.dev.localhost"
#define OWN  "{'@id':'shop-main','match':[{'host':['" HOST "']}]," ANSWER "}"
	static const struct {
		const char *routes;
		bool reached;
	} rows[] = {
	    {"[" OWN "]", true},
	    {"[{'match':[{'host':['x.org']}]," ANSWER "}," OWN "]", true},
	    {"[{'match':[{'path':['/x']}]," ANSWER "}," OWN "]", true},
	    {"[{'match':[{'host':['*.dev.localhost'],'path':['/x']}]," ANSWER "}," OWN "]", true},
	    {"[{'handle':[{'handler':'encode'}]}," OWN "]", true},
	    {"[{'@id':'shop-main','match':[{'host':['shop.dev.localhost','" HOST "']}]," ANSWER
	     "}]",
		true},
	    /* what stands behind it does not matter */
	    {"[" OWN ",{" ANSWER "}]", true},
	    /* a catch-all, a wildcard or the host itself in front */
	    {"[{" ANSWER "}," OWN "]", false},
	    {"[{'match':[]," ANSWER "}," OWN "]", false},
	    {"[{'handle':[{'handler':'encode'}],'terminal':true}," OWN "]", false},
	    {"[{'match':[{'host':['*.dev.localhost']}]," ANSWER "}," OWN "]", false},
	    {"[{'match':[{'path':['/x']},{'host':['" HOST "']}]," ANSWER "}," OWN "]", false},
	    {"[{'@id':'other','match':[{'host':['" HOST "']}]," ANSWER "}," OWN "]", false},
	    /* its own, for another host */
	    {"[{'@id':'shop-main','match':[{'host':['x.org']}]," ANSWER "}]", false},
	    {"[{'@id':'shop-main','match':[{'host':['x.org']}]," ANSWER "}," OWN "]", true},
	    /* none of that @id */
	    {"[{'@id':'shop','match':[{'host':['" HOST "']}]," ANSWER "}]", false},
	    {"[{'@id':7,'match':[{'host':['" HOST "']}]," ANSWER "}]", false},
	    {"[]", false},
	    {"null", false},
	    {"{}", false},
	    {"[null,1,'x',[]," OWN "]", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *text = dm_asprintf(
		    "{'http':{'servers':{'s':{'listen':[':8443'],'routes':%s}}}}", rows[i].routes);
		dm_auto(caddy_view) view = view_of(text);

		if (caddy_view_reaches(view, "shop-main", HOST) != rows[i].reached)
			fail_msg("reached should be %d: %s", rows[i].reached, text);
	}
}

/* An object of that @id that is no route; and a server that another one's routes cannot hide. */
static void
reached_in_any_server_but_only_as_a_route(void **state)
{
	dm_auto(caddy_view) none = view_of(
	    "{'http':{'servers':{'s':{'@id':'shop-main','listen':[':1'],'match':[{'host':['" HOST
	    "']}],'routes':[{'handle':[{'@id':'shop-main','handler':'encode'}]}]}}}}");
	dm_auto(caddy_view) second =
	    view_of("{'http':{'servers':{'a':{'listen':[':1'],'routes':[{" ANSWER
		    "}]},'b':{'listen':[':2'],'routes':[" OWN "]}}}}");

	(void)state;
	assert_false(caddy_view_reaches(none, "shop-main", HOST));
	assert_true(caddy_view_reaches(second, "shop-main", HOST));
	assert_false(caddy_view_reaches(second, "shop-main", "x.dev.localhost"));
}

static void
mesh_of_another_place(void **state)
{
	dm_auto(caddy_view) view = view_of(
	    "{'http':{'servers':{'a':{'listen':['unix//x'],'routes':[" MESH "]},"
	    "'b':{'listen':[':80'],'routes':[]},'c':{'listen':[':81'],'routes':[" MESH "]}}}}");
	struct caddy_server server;

	(void)state;
	assert_true(caddy_view_mesh(
	    view, "dev.localhost", "/tmp/caddy-dev", "a.dev.localhost", "a", &server));
	assert_string_equal(server.name, "c");
	assert_false(
	    caddy_view_mesh(view, "x.localhost", "/tmp/caddy-dev", "a.x.localhost", "a", &server));
	assert_false(
	    caddy_view_mesh(view, "dev.localhost", "/tmp/other", "a.dev.localhost", "a", &server));
}

static void
objects(void **state)
{
	dm_auto(caddy_view) view = view_of(
	    "{'http':{'servers':{'s':{'routes':[{'@id':'a'},{'handle':[{'handler':"
	    "'subroute','routes':[{'@id':'deep','n':1}]}]}]}}},'tls':{'@id':1,'x':{'@id':'a'}}}");

	(void)state;
	assert_non_null(caddy_view_object(view, "a"));
	assert_int_equal(caddy_view_count(view, "a"), 2);
	assert_int_equal(caddy_view_count(view, "deep"), 1);
	assert_int_equal(caddy_view_count(view, "1"), 0);
	assert_true(cJSON_HasObjectItem(caddy_view_object(view, "deep"), "n"));
	assert_null(caddy_view_object(view, "1"));
	assert_null(caddy_view_object(view, ""));
}

static void
count_route(const cJSON *route, void *user)
{
	unsigned *count = user;

	assert_non_null(route);
	(*count)++;
}

static void
each_route(void **state)
{
	dm_auto(caddy_view) view = view_of("{'http':{'servers':{'a':{'routes':[{},{}]},'b':{},'c':{"
					   "'routes':[{'@id':'x'}]}}}}");
	unsigned count = 0;

	(void)state;
	caddy_view_each_route(view, count_route, &count);
	assert_int_equal(count, 3);
}

/* Everything is asked of it; whatever the answers, nothing may break. */
static void
ask_everything(const char *text)
{
	dm_auto(caddy_view) view = view_of(text);
	struct caddy_server server;
	struct dm_err err;
	unsigned count = 0;

	(void)caddy_view_domain(view);
	(void)caddy_view_object(view, "x");
	if (caddy_view_mesh(view, "dev", "/tmp/caddy-dev", "x.dev", "x", &server))
		assert_non_null(server.name);
	caddy_view_each_route(view, count_route, &count);
	if (caddy_view_server(view, "s", "x.dev", &server, &err))
		assert_string_equal(server.name, "s");
	if (caddy_view_server(view, NULL, "x.dev", &server, &err) &&
	    !caddy_view_settled(view, &server, "x.dev", &err))
		assert_int_equal(err.code, DM_DENIED);
}

static void
not_json(void **state)
{
	static const char *const texts[] = {"", "{", "not found", "<html>", "{'a'}"};
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_fails(caddy_view_parse(texts[i], strlen(texts[i]), &err) != NULL, &err,
		    DM_FAILED, "not JSON");
}

/* Of another shape than Caddy would accept: nothing is found, and nothing breaks. */
static void
hostile_shapes(void **state)
{
	static const char *const texts[] = {
	    "null",
	    "[]",
	    "'x'",
	    "{'http':[],'tls':[]}",
	    "{'http':{'servers':'x'},'tls':1}",
	    "{'http':{'http_port':'80','https_port':{},'servers':{'s':{'listen':[':443']}}}}",
	    "{'http':{'servers':{'s':{'listen':[':443'],'routes':[null,1,'x',[]]}}}}",
	    "{'http':{'servers':{'s':{'listen':[':443'],'routes':[{'match':1,'handle':1}]}}}}",
	    "{'http':{'servers':{'s':{'listen':{'a':':443'},'routes':{'match':[]}}}}}",
	    "{'tls':{'certificates':[],'automation':{'policies':[1,{'subjects':{'a':'*.b.c'}}]}}}",
	    "{'@id':{},'http':{'@id':[]}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		ask_everything(texts[i]);
}

static void
servers_in_a_list(void **state)
{
	(void)state;
	ask_everything("{'http':{'servers':[{'listen':[':443'],'routes':[]}]}}");
}

static void
matchers_in_a_list(void **state)
{
	(void)state;
	ask_everything("{'http':{'servers':{'s':{'listen':[':443'],"
		       "'routes':[{'match':[['x']],'handle':[{}]}]}}}}");
}

static void
addresses_that_are_listened_on(void **state)
{
	static const struct {
		const char *listen;
		bool ipv4, ipv6; /* 192.168.1.10, fd00::7 */
	} cases[] = {
	    {":443", true, true},
	    {"[::]:443", true, true},
	    {"0.0.0.0:443", true, true}, /* Go's idea of it */
	    {"tcp4/:443", true, false},
	    {"tcp6/[::]:443", false, true},
	    {"127.0.0.1:443", false, false},
	    {"[::1]:443", false, false},
	    {"192.168.1.10:443", true, false},
	    {"[fd00:0::7]:8443-8450", false, true},
	    {"tcp/[fd00::8]:443", false, false},
	    {"[]:443", true, true},
	    {"]:443", false, false},
	    {"host.example:443", false, false},
	    {"unix//run/x:443", false, false},
	    {"udp/:443", false, false},
	    {"", false, false},
	};
	const struct dns_address a = {.bytes = {192, 168, 1, 10}};
	const struct dns_address b = {.ipv6 = true, .bytes = {0xfd, [15] = 7}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		DM_AUTO_FREE char *text = dm_asprintf(
		    "{'http':{'servers':{'a':{'listen':[7,'%s']},'b':{}}}}", cases[i].listen);
		dm_auto(caddy_view) view = view_of(text);

		if (caddy_view_listens(view, &a) != cases[i].ipv4 ||
		    caddy_view_listens(view, &b) != cases[i].ipv6)
			fail_msg("%s", cases[i].listen);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(original_project),
	    cmocka_unit_test(caddyfile),
	    cmocka_unit_test(server_choice),
	    cmocka_unit_test(own_ports),
	    cmocka_unit_test(routes_of_a_server),
	    cmocka_unit_test(domain_discovery),
	    cmocka_unit_test(settled_cases),
	    cmocka_unit_test(mesh_is_reached),
	    cmocka_unit_test(routes_are_reached),
	    cmocka_unit_test(reached_in_any_server_but_only_as_a_route),
	    cmocka_unit_test(mesh_of_another_place),
	    cmocka_unit_test(objects),
	    cmocka_unit_test(each_route),
	    cmocka_unit_test(not_json),
	    cmocka_unit_test(hostile_shapes),
	    cmocka_unit_test(servers_in_a_list),
	    cmocka_unit_test(matchers_in_a_list),
	    cmocka_unit_test(addresses_that_are_listened_on),
	};

	return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
