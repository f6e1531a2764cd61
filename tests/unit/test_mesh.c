/* SPDX-License-Identifier: MIT */
/* The mesh route and the private mesh's configuration: what it must and must not do. */
#include "unit.h"

#include <cjson/cJSON.h>
#include <regex.h>

#include "caddy/mesh.h"
#include "caddy/route.h"
#include "caddy/view.h"

static const struct mesh_settings settings = {.domain = "dev.localhost",
    .sockets_dir = "/tmp/caddy-dev",
    .identity_dir = "/home/me/state/identity",
    .admin_socket = "/home/me/state/admin.sock",
    .data_dir = "/home/me/state/data",
    .https_port = 8443,
    .http_port = 8080,
    .ipv6 = true};

/* The value at a path of keys, "a.b.c"; NULL if there is none. */
static const cJSON *
at(const cJSON *o, const char *path)
{
	while (*path != '\0' && o != NULL) {
		size_t n = strcspn(path, ".");
		DM_AUTO_FREE char *key = dm_strndup(path, n);

		o = cJSON_GetObjectItemCaseSensitive(o, key);
		path += n + (path[n] == '.' ? 1 : 0);
	}
	return o;
}

static const char *
text_at(const cJSON *o, const char *path)
{
	const cJSON *item = at(o, path);

	if (!cJSON_IsString(item))
		fail_msg("no text at %s", path);
	return item->valuestring;
}

static cJSON *
config_of(const struct mesh_settings *s)
{
	DM_AUTO_FREE char *text = mesh_config(s);
	cJSON *o = cJSON_Parse(text);

	assert_non_null(o);
	return o;
}

/* The caller owns the text. */
static char *
config_text(const struct mesh_settings *s)
{
	cJSON *o = config_of(s);
	char *text = cJSON_PrintUnformatted(o);

	cJSON_Delete(o);
	return text;
}

static void
private_admin_and_storage(void **state)
{
	cJSON *o = config_of(&settings);

	(void)state;
	assert_string_equal(text_at(o, "admin.listen"), "unix//home/me/state/admin.sock");
	assert_true(cJSON_IsFalse(at(o, "admin.config.persist")));
	assert_string_equal(text_at(o, "storage.module"), "file_system");
	assert_string_equal(text_at(o, "storage.root"), "/home/me/state/data");
	cJSON_Delete(o);
}

static void
listens_on_loopback_only(void **state)
{
	(void)state;
	for (int ipv6 = 0; ipv6 < 2; ipv6++) {
		struct mesh_settings s = settings;
		cJSON *o;
		const cJSON *server, *address;
		int count = 0;

		s.ipv6 = ipv6 != 0;
		o = config_of(&s);
		cJSON_ArrayForEach (server, at(o, "apps.http.servers")) {
			cJSON_ArrayForEach (address, at(server, "listen")) {
				assert_true(cJSON_IsString(address));
				if (!dm_starts_with(address->valuestring, "127.0.0.1:") &&
				    !dm_starts_with(address->valuestring, "[::1]:"))
					fail_msg("listens on %s", address->valuestring);
				if (dm_starts_with(address->valuestring, "["))
					assert_int_equal(ipv6, 1);
				assert_true(dm_ends_with(address->valuestring, ":8443") ||
					    dm_ends_with(address->valuestring, ":8080"));
				count++;
			}
		}
		assert_int_equal(count, ipv6 != 0 ? 4 : 2);
		assert_int_equal(at(o, "apps.http.http_port")->valuedouble, 8080);
		assert_int_equal(at(o, "apps.http.https_port")->valuedouble, 8443);
		cJSON_Delete(o);
	}
}

/* Certificates come from Caddy's own CA and nowhere else, and trust stores are left alone. */
static void
certificates(void **state)
{
	DM_AUTO_FREE char *text = config_text(&settings);
	cJSON *o = config_of(&settings);
	const cJSON *policies = at(o, "apps.tls.automation.policies"), *policy, *issuer;

	(void)state;
	assert_null(strstr(text, "acme"));
	assert_null(strstr(text, "zerossl"));
	assert_null(strstr(text, "on_demand"));
	assert_true(cJSON_IsFalse(at(o, "apps.pki.certificate_authorities.local.install_trust")));
	assert_null(strstr(text, "\"install_trust\":true"));
	assert_int_equal(cJSON_GetArraySize(policies), 1);
	cJSON_ArrayForEach (policy, policies) {
		assert_int_equal(cJSON_GetArraySize(at(policy, "issuers")), 1);
		cJSON_ArrayForEach (issuer, at(policy, "issuers")) {
			assert_string_equal(text_at(issuer, "module"), "internal");
		}
		assert_string_equal(
		    cJSON_GetArrayItem(at(policy, "subjects"), 0)->valuestring, "*.dev.localhost");
	}
	assert_string_equal(
	    cJSON_GetArrayItem(at(o, "apps.tls.certificates.automate"), 0)->valuestring,
	    "*.dev.localhost");
	cJSON_Delete(o);
}

/* What devmesh reads back from its own Caddy is what it relies on. */
static void
is_seen_as_a_mesh(void **state)
{
	cJSON *o = config_of(&settings);
	char *apps = cJSON_PrintUnformatted(at(o, "apps"));
	struct dm_err err;
	dm_auto(caddy_view) view = caddy_view_parse(apps, strlen(apps), &err);
	struct caddy_server server, found;
	const cJSON *route = NULL;

	(void)state;
	assert_ok(view != NULL, &err);
	assert_string_equal(caddy_view_domain(view), "dev.localhost");
	assert_true(caddy_view_mesh(view, "dev.localhost", "/tmp/caddy-dev",
	    "shop-main.dev.localhost", "shop-main", &server));
	assert_string_equal(server.identity_dir, "/home/me/state/identity");
	assert_true(server.front.https);
	assert_int_equal(server.front.port, 8443);
	assert_ok(caddy_view_server(view, NULL, "shop-main.dev.localhost", &found, &err), &err);
	assert_string_equal(found.name, server.name);
	assert_ok(caddy_view_settled(view, &found, "shop-main.dev.localhost", &err), &err);
	route = caddy_view_object(view, MESH_ROUTE_ID);
	assert_non_null(route);
	assert_true(route_is_mesh(route, "dev.localhost", "/tmp/caddy-dev"));
	assert_true(route_is_shared(route));
	assert_true(route_catches(route, "shop-main.dev.localhost"));
	assert_false(slug_valid(MESH_ROUTE_ID));
	free(apps);
	cJSON_Delete(o);
}

/* The first object with this key, anywhere; NULL if there is none. */
static const cJSON *
find_key(const cJSON *o, const char *key)
{
	const cJSON *child, *found;

	cJSON_ArrayForEach (child, o) {
		if (child->string != NULL && strcmp(child->string, key) == 0)
			return child;
		if ((found = find_key(child, key)) != NULL)
			return found;
	}
	return NULL;
}

/* The pattern of the gate; the caller owns it. */
static char *
gate_of(const char *domain)
{
	cJSON *o = mesh_route(domain, "/tmp/caddy-dev", NULL, false);
	const cJSON *gate = find_key(o, "vars_regexp");
	const cJSON *rule = cJSON_GetObjectItemCaseSensitive(gate, "{http.request.host}");
	char *pattern = dm_strdup(text_at(rule, "pattern"));

	assert_string_equal(text_at(rule, "name"), "w");
	cJSON_Delete(o);
	return pattern;
}

static void
gate_lets_in_names_only(void **state)
{
	static const struct {
		const char *host, *label; /* NULL: kept out */
	} rows[] = {
	    {"shop-main.dev.localhost", "shop-main"},
	    {"shop-main.dev.localhost:8443", "shop-main"},
	    {"0.dev.localhost", "0"},
	    {"dev.localhost", NULL},
	    {".dev.localhost", NULL},
	    {"-a.dev.localhost", NULL},
	    {"a.b.dev.localhost", NULL},
	    {"../../x.dev.localhost", NULL},
	    {"a/b.dev.localhost", NULL},
	    {"a%2fb.dev.localhost", NULL},
	    {"{env.HOME}.dev.localhost", NULL},
	    {"a.devxlocalhost", NULL},
	    {"a.dev.localhost.evil.org", NULL},
	    {"evil.org/a.dev.localhost", NULL},
	    {"a.dev.localhost:", NULL},
	    {"a.dev.localhost:x", NULL},
	    {"a\n.dev.localhost", NULL},
	    {"0123456789012345678901234567890123456789012345678901234567890123.dev.localhost",
		NULL},
	};
	DM_AUTO_FREE char *pattern = gate_of("dev.localhost");
	regex_t regex;
	regmatch_t m[2];

	(void)state;
	assert_string_equal(pattern, "^([a-z0-9][a-z0-9-]{0,62})\\.dev\\.localhost(:[0-9]+)?$");
	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool in = regexec(&regex, rows[i].host, 2, m, 0) == 0;

		if (in != (rows[i].label != NULL))
			fail_msg("%s", rows[i].host);
		if (in) {
			assert_int_equal(m[1].rm_eo - m[1].rm_so, strlen(rows[i].label));
			assert_memory_equal(
			    rows[i].host + m[1].rm_so, rows[i].label, strlen(rows[i].label));
		}
	}
	regfree(&regex);
}

static void
dots_of_the_domain_are_escaped(void **state)
{
	DM_AUTO_FREE char *one = gate_of("localhost");
	DM_AUTO_FREE char *four = gate_of("a.b-c.d.example");
	char domain[HOST_MAX + 1];
	DM_AUTO_FREE char *most = NULL;

	(void)state;
	assert_true(dm_ends_with(one, "\\.localhost(:[0-9]+)?$"));
	assert_true(dm_ends_with(four, ")\\.a\\.b-c\\.d\\.example(:[0-9]+)?$"));
	for (size_t i = 0; i < HOST_MAX - SLUG_MAX - 2; i++)
		domain[i] = i % 2 == 0 ? 'a' : '.';
	domain[HOST_MAX - SLUG_MAX - 2] = '\0';
	most = gate_of(domain);
	assert_true(dm_ends_with(most, "\\.a\\.a(:[0-9]+)?$"));
}

/* The traps of the mesh route (design §3, fact 4), each with its cure. */
static void
traps(void **state)
{
	cJSON *o = mesh_route("dev.localhost", "/tmp/caddy-dev", NULL, false);
	char *text = cJSON_PrintUnformatted(o);
	const cJSON *proxy = find_key(o, "keep_alive");

	(void)state;
	assert_true(cJSON_IsFalse(at(proxy, "enabled")));
	assert_string_equal(route_dial(o), "unix//tmp/caddy-dev/{http.regexp.w.1}.sock");
	assert_holds(text, "\"try_duration\"");
	assert_holds(text, "\"flush_interval\":20000000");
	assert_holds(text, "\"status_code\":404");
	assert_holds(text, "\"status_code\":503");
	assert_holds(text, MESH_STATE_HEADER);
	assert_null(strstr(text, "health_checks"));
	assert_null(strstr(text, "stream_close_delay"));
	assert_null(strstr(text, "%s"));
	assert_holds(text, "devmesh run");
	free(text);
	cJSON_Delete(o);
}

/* How often `part` is in the text. */
static unsigned
count_of(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

/* Documents come from the user's own directory, never from the one of the sockets. */
static void
identity_documents(void **state)
{
	cJSON *with = mesh_route("dev.localhost", "/tmp/caddy-dev", "/home/me/identity", false);
	cJSON *without = mesh_route("dev.localhost", "/tmp/caddy-dev", NULL, false);
	char *text = cJSON_PrintUnformatted(with), *none = cJSON_PrintUnformatted(without);

	(void)state;
	assert_string_equal(route_identity_dir(with), "/home/me/identity");
	assert_null(route_identity_dir(without));
	assert_null(strstr(none, "file_server"));
	assert_null(strstr(none, "\"" ROUTE_IDENTITY_PATH "\""));
	/* it is told of pages that are opened; not once more where that has failed */
	assert_int_equal(count_of(text, "\"/wake/{http.regexp.w.1}\""), 1);
	assert_holds(text, "\"dial\":\"unix//home/me/identity/" MESH_WAKE_SOCKET "\"");
	assert_null(strstr(none, "/wake/"));
	assert_int_equal(count_of(text, "file_server"), 1);
	assert_int_equal(count_of(text, "\"" ROUTE_IDENTITY_PATH "\""), 1);
	assert_holds(text, "\"handler\":\"file_server\",\"root\":\"/home/me/identity\"");
	assert_null(strstr(text, "Access-Control"));
	/* what has a claim says whose it is, also on the pages that say it is not running */
	assert_int_equal(count_of(none, ROUTE_ID_HEADER), 1 + 2 * 2 * 3);
	assert_true(route_is_mesh(with, "dev.localhost", "/tmp/caddy-dev"));
	assert_string_equal(route_dial(with), route_dial(without));
	assert_int_equal(count_of(none, "\"reverse_proxy\""), 1);
	cJSON_Delete(with);
	cJSON_Delete(without);
	free(text);
	free(none);
}

/* Only a Caddy that knows the field gets it: an older one would refuse the whole configuration. */
static void
close_delay(void **state)
{
	struct mesh_settings s = settings;
	DM_AUTO_FREE char *without = config_text(&s);
	DM_AUTO_FREE char *with = NULL;

	(void)state;
	s.stream_close_delay = true;
	with = config_text(&s);
	assert_null(strstr(without, "stream_close_delay"));
	assert_holds(with, "\"stream_close_delay\":\"24h\"");
	assert_holds(mesh_probe_caddyfile, "stream_close_delay");
}

static void
every_other_name_is_answered(void **state)
{
	cJSON *o = config_of(&settings);
	const cJSON *server;

	(void)state;
	cJSON_ArrayForEach (server, at(o, "apps.http.servers")) {
		const cJSON *routes = at(server, "routes");
		const cJSON *last = cJSON_GetArrayItem(routes, cJSON_GetArraySize(routes) - 1);

		assert_true(route_catches(last, "anything.example.org"));
		assert_int_equal(find_key(last, "status_code")->valuedouble, 404);
	}
	cJSON_Delete(o);
}

/* Plain HTTP leads to the HTTPS port; no port in the URL where it is the usual one. */
static void
redirects(void **state)
{
	struct mesh_settings usual = settings;
	DM_AUTO_FREE char *text = config_text(&settings);
	DM_AUTO_FREE char *other = NULL;

	(void)state;
	assert_holds(text, "https://{http.request.host}:8443{http.request.uri}");
	usual.https_port = 443;
	usual.http_port = 80;
	other = config_text(&usual);
	assert_holds(other, "https://{http.request.host}{http.request.uri}");
}

/* Headers and queries never get to the disk, by none of the logs. */
static void
access_log(void **state)
{
	static const char *const never[] = {
	    "request>headers", "resp_headers", "request>tls", "user_id"};
	struct mesh_settings s = settings;
	cJSON *without = config_of(&s), *with;
	const cJSON *log;
	DM_AUTO_FREE char *text = cJSON_PrintUnformatted(without);

	(void)state;
	s.access_log = "/home/me/state/access.log";
	with = config_of(&s);
	assert_null(at(without, "apps.http.servers.srv0.logs"));
	assert_null(strstr(text, "access.log"));
	assert_string_equal(
	    text_at(with, "apps.http.servers.srv0.logs.default_logger_name"), "requests");
	assert_null(at(with, "apps.http.servers.redirect.logs"));
	log = at(with, "logging.logs.requests");
	assert_string_equal(text_at(log, "writer.output"), "file");
	assert_string_equal(text_at(log, "writer.filename"), "/home/me/state/access.log");
	assert_true(at(log, "writer.roll_size_mb")->valuedouble <= 4);
	assert_true(cJSON_IsFalse(at(log, "writer.roll_gzip")));
	assert_string_equal(
	    cJSON_GetArrayItem(at(log, "include"), 0)->valuestring, "http.log.access.requests");
	assert_string_equal(
	    cJSON_GetArrayItem(at(with, "logging.logs.default.exclude"), 0)->valuestring,
	    "http.log.access.requests");
	cJSON_ArrayForEach (log, at(with, "logging.logs")) {
		const cJSON *fields = at(log, "encoder.fields");

		for (size_t i = 0; i < COUNT(never); i++)
			assert_string_equal(text_at(at(fields, never[i]), "filter"), "delete");
		assert_string_equal(text_at(at(fields, "request>uri"), "filter"), "regexp");
	}
	cJSON_Delete(without);
	cJSON_Delete(with);
}

static void
odd_directories(void **state)
{
	struct mesh_settings s = settings;
	cJSON *o;

	(void)state;
	s.sockets_dir = "/tmp/%s \"q\" \\ <b>";
	o = config_of(&s);
	assert_string_equal(
	    route_dial(cJSON_GetArrayItem(at(o, "apps.http.servers.srv0.routes"), 0)),
	    "unix//tmp/%s \"q\" \\ <b>/{http.regexp.w.1}.sock");
	cJSON_Delete(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(private_admin_and_storage),
	    cmocka_unit_test(listens_on_loopback_only),
	    cmocka_unit_test(certificates),
	    cmocka_unit_test(is_seen_as_a_mesh),
	    cmocka_unit_test(gate_lets_in_names_only),
	    cmocka_unit_test(dots_of_the_domain_are_escaped),
	    cmocka_unit_test(traps),
	    cmocka_unit_test(identity_documents),
	    cmocka_unit_test(close_delay),
	    cmocka_unit_test(every_other_name_is_answered),
	    cmocka_unit_test(redirects),
	    cmocka_unit_test(access_log),
	    cmocka_unit_test(odd_directories),
	};

	return cmocka_run_group_tests_name("mesh", tests, NULL, NULL);
}
