/* SPDX-License-Identifier: MIT */
/*
 * Explicit routes in a Caddy without the mesh route: the configuration of the original project,
 * registrations made by hand with its curl recipe, and servers where a new route has to be put
 * with care.
 */
#include "harness_net.h"

#define ROUTES "/config/apps/http/servers/srv0/routes"

/* The original project's curl recipe, as its README has it. */
static char *
recipe(struct world *w, const char *id)
{
	return fmt(w,
	    "{\"@id\":\"%s\",\"match\":[{\"host\":[\"%s.dev.test\"]}],\"handle\":[{"
	    "\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":\"unix/%s/%s.sock\"}]}]}",
	    id, id, w->sockets, id);
}

static void
post(struct world *w, const char *path, const char *body)
{
	struct reply r = admin(w, "POST", path, body);

	if (r.status != 200)
		fail_msg("POST %s: %ld %s %s", path, r.status, r.body, r.error);
}

static const cJSON *
at(const cJSON *o, const char *key)
{
	o = cJSON_GetObjectItemCaseSensitive(o, key);
	if (o == NULL)
		fail_msg("the route has no \"%s\"", key);
	return o;
}

static bool
has_host(struct world *w, const char *id, const char *host)
{
	const cJSON *h, *hosts = at(at(route_of(w, id), "match")->child, "host");

	cJSON_ArrayForEach (h, hosts)
		if (cJSON_IsString(h) && strcmp(h->valuestring, host) == 0)
			return true;
	return false;
}

static const char *
dial_of(struct world *w, const char *id)
{
	const cJSON *handle = at(route_of(w, id), "handle");

	/* the proxy comes last, behind what answers for the service's identity */
	handle = cJSON_GetArrayItem(handle, cJSON_GetArraySize(handle) - 1);
	return json_str(at(handle, "upstreams")->child, "dial");
}

TEST(up_puts_exactly_one_route)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "feature/auth"), *url;
	struct result r;

	caddy_plain(w, bystanders(w, 3));
	r = DM(w, wt, "up");
	assert_exit(w, r, 0);
	url = line_of(w, r);
	assert_string_equal(url, fmt(w, "http://shop-feature-auth.dev.test:%d", w->port));
	assert_true(has_host(w, "shop-feature-auth", "shop-feature-auth.dev.test"));
	assert_string_equal(
	    dial_of(w, "shop-feature-auth"), fmt(w, "unix/%s/shop-feature-auth.sock", w->sockets));
	assert_string_equal(json_str(claim_of(w, "shop-feature-auth"), "registration"), "route");
	serve_id(w, "shop-feature-auth");
	assert_url_answers(w, url, "shop-feature-auth");
	assert_bystanders(w, 3);
}

TEST(answers_carry_the_id)
{
	char *repo = repo_new(w, "shop");
	struct reply r;

	caddy_plain(w, "[]");
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	r = http_get(w, w->port, "shop-main.dev.test", "/");
	assert_non_null(reply_header(w, r, "X-Devmesh-Id"));
	assert_string_equal(reply_header(w, r, "X-Devmesh-Id"), "shop-main");
}

TEST(default_branch_has_the_bare_name_in_its_route)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");

	caddy_plain(w, "[]");
	up_ok(w, wt);
	up_ok(w, repo);
	assert_true(has_host(w, "shop-main", "shop.dev.test"));
	assert_false(has_host(w, "shop-x", "shop.dev.test"));
	serve_id(w, "shop-main");
	assert_answers(w, "shop.dev.test", "shop-main");
}

TEST(equal_route_is_left_alone)
{
	char *repo = repo_new(w, "shop"), *before;
	struct reply hash, again;

	caddy_plain(w, bystanders(w, 2));
	up_ok(w, repo);
	/* Moved to the front by hand: a rewrite would put it elsewhere. */
	before = cJSON_PrintUnformatted(route_of(w, "shop-main"));
	world_keep(w, before, cJSON_free);
	assert_int_equal(admin(w, "DELETE", "/id/shop-main", NULL).status, 200);
	assert_int_equal(admin(w, "PUT", ROUTES "/0", before).status, 200);
	hash = admin(w, "GET", ROUTES, NULL);
	up_ok(w, repo);
	again = admin(w, "GET", ROUTES, NULL);
	assert_string_equal(again.body, hash.body);
	route_of(w, "shop-main");
}

TEST(route_made_by_the_curl_recipe_is_replaced_not_doubled)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, bystanders(w, 2));
	post(w, ROUTES, recipe(w, "shop-main"));
	post(w, ROUTES, recipe(w, "somebody-else"));
	up_ok(w, repo);
	route_of(w, "shop-main");
	route_of(w, "somebody-else");
	assert_int_equal(cJSON_GetArraySize(routes(w)), 4);
	assert_bystanders(w, 2);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

TEST(duplicates_made_by_hand_become_one)
{
	char *repo = repo_new(w, "shop");
	int i;

	caddy_plain(w, bystanders(w, 2));
	for (i = 0; i < 3; i++) /* what bare POSTs without DELETE leave, on Caddy before 2.11.2 */
		if (admin(w, "POST", ROUTES, recipe(w, "shop-main")).status != 200)
			world_skip(w, "this Caddy refuses duplicate ids by itself");
	up_ok(w, repo);
	route_of(w, "shop-main");
	assert_bystanders(w, 2);
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	assert_bystanders(w, 2);
}

TEST(down_removes_the_route_and_only_that)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");

	caddy_plain(w, bystanders(w, 5));
	up_ok(w, repo);
	up_ok(w, wt);
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	route_of(w, "shop-x");
	assert_bystanders(w, 5);
	assert_int_equal(count_claims(w), 1);
}

TEST(catch_all_in_front_does_not_swallow_it)
{
	char *repo = repo_new(w, "shop");
	cJSON *list;

	caddy_plain(w, "[{\"handle\":[{\"handler\":\"static_response\",\"body\":\"catch\"}]}]");
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_answers(w, "anything.example", "catch");
	list = routes(w);
	assert_int_equal(cJSON_GetArraySize(list), 2);
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_answers(w, "shop-main.dev.test", "catch");
}

TEST(tcp_upstream_and_back_to_the_socket)
{
	char *repo = repo_new(w, "shop");
	int port;

	caddy_plain(w, bystanders(w, 1));
	serve_tcp(w, 200, "by tcp", &port);
	assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", port)), 0);
	assert_answers(w, "shop-main.dev.test", "by tcp");
	assert_string_equal(dial_of(w, "shop-main"), fmt(w, "localhost:%d", port));
	up_ok(w, repo);
	route_of(w, "shop-main");
	serve_id(w, "shop-main");
	assert_exit(w, DM(w, repo, "up", "--socket", fmt(w, "%s/shop-main.sock", w->sockets)), 0);
	route_of(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

TEST(admin_by_tcp_works_as_well)
{
	char *repo = repo_new(w, "shop");

	caddy_plain_tcp(w, bystanders(w, 3));
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	assert_bystanders(w, 3);
}

TEST(missing_routes_are_made)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, "[]");
	assert_int_equal(admin(w, "DELETE", ROUTES, NULL).status, 200);
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

/* A server by another name, and the domain nowhere but in the TLS part. */
static void
start_named(struct world *w, const char *server, const char *automate)
{
	w->port = free_port(w);
	caddy_start(
	    w, fmt(w,
		   "{\"admin\":{\"listen\":\"unix/%s\",\"config\":{\"persist\":false}},\"apps\":{"
		   "\"http\":{\"servers\":{\"%s\":{\"listen\":[\"127.0.0.1:%d\"],"
		   "\"automatic_https\":{\"disable\":true},\"routes\":[]}}},"
		   "\"pki\":{\"certificate_authorities\":{\"local\":{\"install_trust\":false}}},"
		   "\"tls\":{%s\"automation\":{\"policies\":[{\"subjects\":[\"*.dev.policy\"],"
		   "\"issuers\":[{\"module\":\"internal\"}]},{\"issuers\":[{\"module\":"
		   "\"internal\"}]}]}}}}",
		   w->admin + 7, server, w->port, automate));
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
}

TEST(server_is_found_whatever_its_name)
{
	char *repo = repo_new(w, "shop");
	struct reply r;

	start_named(w, "edge", "\"certificates\":{\"automate\":[\"*.dev.auto\"]},");
	up_ok(w, repo);
	r = admin(w, "GET", "/config/apps/http/servers/edge/routes", NULL);
	assert_int_equal(r.status, 200);
	assert_int_equal(cJSON_GetArraySize(json_any(w, r.body)), 1);
}

TEST(domain_is_found_in_the_certificates)
{
	char *repo = repo_new(w, "shop");

	start_named(w, "srv0", "\"certificates\":{\"automate\":[\"*.dev.auto\"]},");
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.auto", "shop-main");
	assert_non_null(strstr(DM(w, repo, "url").out, "://shop-main.dev.auto"));
}

TEST(domain_is_found_in_the_policies)
{
	char *repo = repo_new(w, "shop");

	start_named(w, "srv0", "");
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.policy", "shop-main");
}

TEST(configured_server_must_exist)
{
	char *repo = repo_new(w, "shop"), *before;

	caddy_plain(w, "[]");
	before = routes_text(w);
	world_env(w, "DEVMESH_CADDY_SERVER", "nope");
	assert_error(w, DM(w, repo, "up"), 3, "nope");
	assert_string_equal(routes_text(w), before);
	world_env(w, "DEVMESH_CADDY_SERVER", "srv0");
	up_ok(w, repo);
}

/* Step 3 of the original's README without Cloudflare and dynamic DNS, on private ports. */
TEST(configuration_of_the_original_project)
{
	char *repo = repo_new(w, "shop"), *url;
	struct result r;
	int https = free_port(w), http = free_port(w);

	caddy_start(
	    w, fmt(w,
		   "{\"admin\":{\"listen\":\"unix/%s\",\"config\":{\"persist\":false}},\"apps\":{"
		   "\"http\":{\"http_port\":%d,\"https_port\":%d,\"servers\":{\"srv0\":{"
		   "\"listen\":[\"127.0.0.1:%d\",\"127.0.0.1:%d\"],\"routes\":[]}}},"
		   "\"pki\":{\"certificate_authorities\":{\"local\":{\"install_trust\":false}}},"
		   "\"tls\":{\"certificates\":{\"automate\":[\"*.dev.test\"]},\"automation\":{"
		   "\"policies\":[{\"subjects\":[\"*.dev.test\"],\"issuers\":[{\"module\":"
		   "\"internal\"}]},{\"issuers\":[{\"module\":\"internal\"}]}]}}}}",
		   w->admin + 7, http, https, https, http));
	w->port = http;
	snprintf(w->ca, sizeof w->ca,
	    "%.40s/home/.local/share/caddy/pki/authorities/local/root.crt", w->dir);
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	r = DM(w, repo, "up");
	assert_exit(w, r, 0);
	url = line_of(w, r);
	assert_string_equal(url, fmt(w, "https://shop-main.dev.test:%d", https));
	route_of(w, "shop-main");
	serve_id(w, "shop-main");
	assert_url_answers(w, url, "shop-main");
}

/* A server that speaks HTTP only as long as nobody adds a host to it. */
TEST(https_is_not_turned_on_behind_ones_back)
{
	char *repo = repo_new(w, "shop"), *before;

	w->port = free_port(w);
	caddy_start(
	    w, fmt(w,
		   "{\"admin\":{\"listen\":\"unix/%s\",\"config\":{\"persist\":false}},\"apps\":{"
		   "\"http\":{\"servers\":{\"srv0\":{\"listen\":[\"127.0.0.1:%d\"],"
		   "\"automatic_https\":{\"disable_redirects\":true},\"routes\":[{"
		   "\"handle\":[{\"handler\":\"static_response\",\"body\":\"plain\"}]}]}}},"
		   "\"pki\":{\"certificate_authorities\":{\"local\":{\"install_trust\":false}}}}}",
		   w->admin + 7, w->port));
	before = routes_text(w);
	assert_answers(w, "anything.example", "plain");
	assert_error(w, DM(w, repo, "up"), 6, "HTTPS");
	assert_string_equal(routes_text(w), before);
	assert_answers(w, "anything.example", "plain");
	/* Settled: the names of the domain get their certificates from a CA on this machine. */
	assert_int_equal(admin(w, "PUT", "/config/apps/tls",
			     "{\"automation\":{\"policies\":[{\"subjects\":[\"*.dev.test\"],"
			     "\"issuers\":[{\"module\":\"internal\"}]},"
			     "{\"issuers\":[{\"module\":\"internal\"}]}]}}")
			     .status,
	    200);
	up_ok(w, repo);
	route_of(w, "shop-main");
}

TEST(mesh_only_says_what_is_missing)
{
	char *repo = repo_new(w, "shop"), *before;

	caddy_plain(w, bystanders(w, 2));
	before = routes_text(w);
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "mesh");
	assert_error(w, DM(w, repo, "up"), ANY_ERROR, "mesh route");
	assert_non_null(strstr(w->last_err, "\n  try: "));
	assert_string_equal(routes_text(w), before);
}

TEST(mesh_route_of_another_directory_or_domain_does_not_count)
{
	char *repo = repo_new(w, "shop"), *dir = fmt(w, "%s/t", w->dir), *sock;

	caddy_mesh(w, "");
	world_env(w, "DEVMESH_SOCKETS_DIR", dir);
	up_ok(w, repo);
	route_of(w, "shop-main");
	sock = fmt(w, "%s/shop-main.sock", dir);
	serve_unix(w, sock, "other directory");
	assert_answers(w, "shop-main.dev.test", "other directory");
	world_env(w, "DEVMESH_SOCKETS_DIR", w->sockets);
	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.example");
	assert_exit(w, DM(w, repo, "up", "--id", "shop-two"), 0);
	serve_id(w, "shop-two");
	assert_answers(w, "shop-two.dev.example", "shop-two");
}

TEST(route_mode_is_explicit_beside_the_mesh_route)
{
	char *repo = repo_new(w, "shop");

	caddy_mesh(w, "");
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "route");
	up_ok(w, repo);
	route_of(w, "shop-main");
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(up_puts_exactly_one_route),
	    WORLD_TEST(answers_carry_the_id),
	    WORLD_TEST(default_branch_has_the_bare_name_in_its_route),
	    WORLD_TEST(equal_route_is_left_alone),
	    WORLD_TEST(route_made_by_the_curl_recipe_is_replaced_not_doubled),
	    WORLD_TEST(duplicates_made_by_hand_become_one),
	    WORLD_TEST(down_removes_the_route_and_only_that),
	    WORLD_TEST(catch_all_in_front_does_not_swallow_it),
	    WORLD_TEST(tcp_upstream_and_back_to_the_socket),
	    WORLD_TEST(admin_by_tcp_works_as_well),
	    WORLD_TEST(missing_routes_are_made),
	    WORLD_TEST(server_is_found_whatever_its_name),
	    WORLD_TEST(domain_is_found_in_the_certificates),
	    WORLD_TEST(domain_is_found_in_the_policies),
	    WORLD_TEST(configured_server_must_exist),
	    WORLD_TEST(configuration_of_the_original_project),
	    WORLD_TEST(https_is_not_turned_on_behind_ones_back),
	    WORLD_TEST(mesh_only_says_what_is_missing),
	    WORLD_TEST(mesh_route_of_another_directory_or_domain_does_not_count),
	    WORLD_TEST(route_mode_is_explicit_beside_the_mesh_route),
	};

	return RUN_TESTS(tests);
}
