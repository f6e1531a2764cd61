/* SPDX-License-Identifier: MIT */
/* Sharing, seen from both sides: the laptop that serves, and a phone on the same network. */
#include "harness_api.h"
#include "harness_daemon.h"
#include "harness_lan.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* A mesh for dev.test that listens on all addresses, its port; and `shop` of it, which runs. */
static int
lan_mesh(struct world *w)
{
	int http = free_port(w), https = free_port(w);

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", http));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", https));
	snprintf(w->admin, sizeof w->admin, "unix://%.60s/admin.sock", w->state);
	snprintf(w->ca, sizeof w->ca, "%.60s/data/pki/authorities/local/root.crt", w->state);
	assert_exit(w, DM(w, NULL, "start"), 0);
	return https;
}

#define SHOP "shop-main.dev.test"

struct scene {
	struct proc *phone;
	int port;
	const char *repo;
};

static struct scene
scene(struct world *w)
{
	struct scene s = {.phone = lan_connect(w)};

	s.port = lan_mesh(w);
	s.repo = repo_new(w, "shop");
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	serve_id(w, "shop-main");
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
	return s;
}

static struct lan_reply
phone_get(struct world *w, const struct scene *s, const char *host)
{
	return lan_get(w, s->phone, host, s->port, LAN_LAPTOP, "/", NULL);
}

static void
assert_refused(struct world *w, const struct scene *s, const char *host)
{
	struct lan_reply r = phone_get(w, s, host);

	if (r.status != 403 || strstr(r.body, "not shared") == NULL)
		fail_msg("%s: %d %s", host, r.status, r.body);
	assert_non_null(strstr(r.headers, "-devmesh-state: not-shared"));
	/* nothing about this machine */
	assert_null(strstr(r.body, w->dir));
	assert_null(strstr(r.headers, "x-devmesh-id"));
}

static void
assert_served(struct world *w, const struct scene *s, const char *host, const char *body)
{
	struct lan_reply r = phone_get(w, s, host);

	if (r.status != 200 || strcmp(r.body, body) != 0)
		fail_msg("%s: %d %s", host, r.status, r.body);
}

TEST(nothing_is_shared_by_itself)
{
	struct scene s = scene(w);
	struct lan_reply r;

	assert_refused(w, &s, SHOP);
	/* whether there is such a service or not makes no difference */
	assert_refused(w, &s, "nobody-main.dev.test");
	r = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/.well-known/devmesh", NULL);
	assert_int_equal(r.status, 403);
	assert_null(strstr(r.body, w->dir));
	/* a page for people */
	r = lan_get(
	    w, s.phone, SHOP, s.port, LAN_LAPTOP, "/", ARGV("--header", "Accept: text/html"));
	assert_int_equal(r.status, 403);
	assert_non_null(strstr(r.body, "<h1>shop-main</h1>"));
	/* no header makes somebody else of the phone */
	r = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/",
	    ARGV("--header", "X-Forwarded-For: 127.0.0.1", "--header", "X-Devmesh-Check: 1",
		"--header", "X-Real-IP: 127.0.0.1", "--header", "Forwarded: for=127.0.0.1"));
	assert_int_equal(r.status, 403);
	/* and here all is as ever */
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
}

TEST(shared_with_the_lan)
{
	struct scene s = scene(w);
	struct result r = DM(w, s.repo, "share");

	assert_exit(w, r, 0);
	assert_string_equal(line_of(w, r), fmt(w, "https://" SHOP ":%d", s.port));
	assert_served(w, &s, SHOP, "shop-main");
	/* the bare name leads to the same worktree */
	assert_served(w, &s, "shop.dev.test", "shop-main");
	/* which checkout it is, and where, is nobody's business */
	assert_int_equal(
	    lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/.well-known/devmesh", NULL).status,
	    200);
	assert_string_equal(
	    lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/.well-known/devmesh", NULL).body,
	    "shop-main"); /* the service's own answer */
	assert_refused(w, &s, "nobody-main.dev.test");
	/* again: the same */
	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_served(w, &s, SHOP, "shop-main");
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_refused(w, &s, SHOP);
	assert_refused(w, &s, "shop.dev.test");
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_exit(w, DM(w, s.repo, "share", "--lan"), 0);
	assert_exit(w, DM(w, s.repo, "share", "--private"), 0);
	assert_refused(w, &s, SHOP);
}

/* Sharing writes nothing to Caddy: no other worktree's WebSocket is closed by it. */
TEST(sharing_is_no_change_of_caddy)
{
	struct scene s = scene(w);
	char *before = routes_text(w);

	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_string_equal(routes_text(w), before);
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_string_equal(routes_text(w), before);
}

static bool
is_refused(struct world *w, const void *arg)
{
	return phone_get(w, arg, SHOP).status == 403;
}

/* Nothing of devmesh runs when the time comes. */
TEST(a_share_ends_by_itself)
{
	struct scene s = scene(w);
	cJSON *o;
	struct result r = DM(w, s.repo, "share", "--expires", "3s", "--json");

	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	o = cJSON_GetObjectItem(o, "share");
	assert_string_equal(json_str(o, "reach"), "lan");
	assert_true(json_number(o, "until") - json_number(o, "since") == 3);
	assert_served(w, &s, SHOP, "shop-main");
	assert_true(wait_until(w, is_refused, &s, ANSWER_MS));
	assert_string_equal(DM(w, s.repo, "share", "--list").out, "");
}

/* A new Caddy, and a server that is started anew: the share is kept, and its end too. */
TEST(a_share_outlives_restarts)
{
	struct scene s = scene(w);
	struct result r;

	assert_exit(w, DM(w, s.repo, "share", "--expires", "1h"), 0);
	assert_exit(w, DM(w, NULL, "stop"), 0);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_served(w, &s, SHOP, "shop-main");
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	assert_served(w, &s, SHOP, "shop-main");
	r = DM(w, s.repo, "share", "--list");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "shop-main"));
	assert_non_null(strstr(r.out, "lan"));
	assert_exit(w, DM(w, s.repo, "down"), 0);
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	assert_refused(w, &s, SHOP);
}

/* Another repository that calls itself shop. */
static const char *
elsewhere(struct world *w)
{
	const char *repo = repo_new(w, "elsewhere");

	write_text(fmt(w, "%s/.id", repo), "shop\n");
	return repo;
}

/* Another worktree that gets the name has not been shared. */
TEST(a_share_is_not_inherited)
{
	struct scene s = scene(w);
	const char *other = elsewhere(w);

	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_served(w, &s, SHOP, "shop-main");
	assert_exit(w, DM(w, other, "up", "--force"), 0);
	assert_refused(w, &s, SHOP);
}

TEST(shared_by_password)
{
	struct scene s = scene(w);
	struct result r = DM(w, s.repo, "share", "--password", "--json");
	struct lan_reply reply;
	const char *password;
	cJSON *o;

	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	password = json_str(o, "password");
	assert_int_equal(strlen(password), 16);
	assert_string_equal(json_str(cJSON_GetObjectItem(o, "share"), "user"), "devmesh");
	reply = phone_get(w, &s, SHOP);
	assert_int_equal(reply.status, 401);
	assert_non_null(strstr(reply.headers, "asic realm"));
	reply = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/", ARGV("--user", "devmesh:wrong"));
	assert_int_equal(reply.status, 401);
	reply = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/",
	    ARGV("--user", fmt(w, "devmesh:%s", password)));
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, "shop-main");
	/* this machine needs none */
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
	/* registered again, it is the same */
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	assert_int_equal(phone_get(w, &s, SHOP).status, 401);
	assert_int_equal(count_routes(w, "shop-main"), 1);
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	assert_refused(w, &s, SHOP);
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
}

TEST(a_password_of_ones_own)
{
	struct scene s = scene(w);
	char *file = fmt(w, "%s/secret", w->dir);
	struct lan_reply reply;
	struct result r;

	write_text(file, "correct horse: battery\n");
	r = DM(w, s.repo, "share", "--password-file", file, "--user", "ann", "--json");
	assert_exit(w, r, 0);
	assert_true(json_null(json_of(w, r.out), "password"));
	reply = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/",
	    ARGV("--user", "ann:correct horse: battery"));
	assert_int_equal(reply.status, 200);
	/* it is nowhere in clear */
	assert_int_not_equal(
	    run(w, w->dir, ARGV("grep", "-r", "-l", "correct horse", w->state)).code, 0);
	write_text(file, "short\n");
	assert_error(w, DM(w, s.repo, "share", "--password-file", file), 2, "8 to 72");
	assert_error(w, DM(w, s.repo, "share", "--lan", "--public"), 2, "only one");
	assert_error(w, DM(w, s.repo, "share", "--lan", "--user", "x"), 2, "--password");
	assert_error(w, DM(w, s.repo, "share", "--expires", "soon"), 2, "not a time");
	assert_error(w, DM(w, s.repo, "share", "--expires", "99999d"), 2, "not a time");
	assert_error(w, DM(w, s.repo, "share", "nobody"), 3, "nobody");
}

/* Routes of their own have the same gate: a server on a port. */
TEST(explicit_routes_as_well)
{
	struct scene s = scene(w);
	const char *tree = worktree_add(w, s.repo, "port");
	int port;

	serve_tcp(w, 200, "by-port", &port);
	assert_exit(w, DM(w, tree, "up", "--port", fmt(w, "%d", port)), 0);
	assert_int_equal(count_routes(w, "shop-port"), 1);
	assert_url_answers(w, fmt(w, "https://shop-port.dev.test:%d/", s.port), "by-port");
	assert_refused(w, &s, "shop-port.dev.test");
	assert_exit(w, DM(w, tree, "share"), 0);
	assert_served(w, &s, "shop-port.dev.test", "by-port");
	assert_exit(w, DM(w, tree, "share", "--password"), 0);
	assert_int_equal(phone_get(w, &s, "shop-port.dev.test").status, 401);
	assert_exit(w, DM(w, tree, "unshare"), 0);
	assert_refused(w, &s, "shop-port.dev.test");
}

/* A name that is shared, and whose server does not run: no word about this machine. */
TEST(shared_and_not_running)
{
	struct scene s = scene(w);
	const char *tree = worktree_add(w, s.repo, "idle");
	struct lan_reply r;

	assert_string_equal(up_ok(w, tree), "shop-idle");
	assert_exit(w, DM(w, tree, "share"), 0);
	r = lan_get(w, s.phone, "shop-idle.dev.test", s.port, LAN_LAPTOP, "/",
	    ARGV("--header", "Accept: text/html"));
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "shop-idle"));
	assert_null(strstr(r.body, w->dir));
	assert_null(strstr(r.body, ".sock"));
}

/* From this machine by its own address on the network, as a name of one's own domain leads there.
 */
TEST(this_machine_by_its_own_address)
{
	struct scene s = scene(w);
	const char *argv[] = {"curl", "--silent", "--noproxy", "*", "--cacert", w->ca, "--resolve",
	    fmt(w, SHOP ":%d:" LAN_LAPTOP, s.port), fmt(w, "https://" SHOP ":%d/", s.port), NULL};

	world_env(w, "DEVMESH_DAEMON_START", NULL);
	daemon_start(w);
	for (int64_t end = now_ms() + ANSWER_MS;;) {
		struct result r = run(w, w->dir, argv);

		if (strcmp(r.out, "shop-main") == 0)
			break;
		if (now_ms() > end)
			fail_msg("%s", r.out);
		nap_us(50000);
	}
	assert_refused(w, &s, SHOP);
}

static bool
has_list(struct world *w, const void *arg)
{
	const struct scene *s = arg;
	struct lan_reply r =
	    lan_get(w, s->phone, "devmesh.dev.test", s->port, LAN_LAPTOP, "/", NULL);

	return r.status == 200 && strstr(r.body, "Shared with you") != NULL;
}

/* The dashboard from the phone: the list of what is shared, and nothing else. */
TEST(the_list_on_the_phone)
{
	static const char *const paths[] = {"/api/v1/state", "/api/v1/services", "/web/app.js",
	    "/api/v1/services/shop-main/requests", "/api/v1/logs", "/metrics"};
	struct scene s = scene(w);
	struct devmeshd *d = daemon_start(w);
	const char *tree = worktree_add(w, s.repo, "secret");
	struct lan_reply r;
	cJSON *o;

	wait_state(w, d, "shop-main", "up");
	assert_string_equal(up_ok(w, tree), "shop-secret");
	o = daemon_ask(w, d, "POST", "/api/v1/services/shop-main/share",
	    "{\"reach\":\"lan\",\"expires\":\"1h\"}");
	assert_string_equal(json_str(cJSON_GetObjectItem(o, "share"), "reach"), "lan");
	assert_described(w,
	    json_of(w, read_text(w, fmt(w, "%s/dashboard/openapi.json", source_dir()))), "POST",
	    "/api/v1/services/shop-main/share",
	    (struct reply){.status = 200,
		.body = world_keep(w, cJSON_PrintUnformatted(o), free),
		.headers = "Content-Type: application/json\r\n"});
	o = service_of(w, d, "shop-main");
	assert_string_equal(json_str(cJSON_GetObjectItem(o, "share"), "reach"), "lan");
	assert_served(w, &s, SHOP, "shop-main");
	assert_true(wait_until(w, has_list, &s, ANSWER_MS));
	r = lan_get(w, s.phone, "devmesh.dev.test", s.port, LAN_LAPTOP, "/", NULL);
	assert_non_null(strstr(r.body, fmt(w, "href=\"https://" SHOP ":%d\"", s.port)));
	assert_non_null(strstr(r.body, "running"));
	assert_null(strstr(r.body, "secret"));
	assert_null(strstr(r.body, w->dir));
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		assert_int_equal(
		    lan_get(w, s.phone, "devmesh.dev.test", s.port, LAN_LAPTOP, paths[i], NULL)
			.status,
		    403);
	/* who asked for what */
	r = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/basket?id=7", NULL);
	assert_int_equal(r.status, 200);
	for (int64_t end = now_ms() + ANSWER_MS;;) {
		struct result seen = DM(w, s.repo, "requests", "shop-main");

		if (strstr(seen.out, "/basket  from " LAN_PHONE) != NULL)
			break;
		if (now_ms() > end)
			fail_msg("%s", seen.out);
		nap_us(50000);
	}
	(void)daemon_ask(w, d, "POST", "/api/v1/services/shop-main/unshare", "{}");
	assert_refused(w, &s, SHOP);
	r = lan_get(w, s.phone, "devmesh.dev.test", s.port, LAN_LAPTOP, "/", NULL);
	assert_int_equal(r.status, 403);
	assert_non_null(strstr(r.body, "Nothing is shared"));
}

/* The end of a share that asks for a password, while devmeshd runs: its route goes. */
TEST(devmeshd_settles_the_end_of_a_password)
{
	struct scene s = scene(w);
	struct devmeshd *d = daemon_start(w);

	wait_state(w, d, "shop-main", "up");
	assert_exit(w, DM(w, s.repo, "share", "--password", "--expires", "2s"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 1);
	for (int64_t end = now_ms() + ANSWER_MS; count_routes(w, "shop-main") != 0;) {
		if (now_ms() > end)
			fail_msg("%s", routes_text(w));
		nap_us(50000);
	}
	assert_refused(w, &s, SHOP);
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
}

/* Who is not on the network at all: nothing listens there until the user turns it on. */
TEST(private_mesh_stays_private)
{
	struct proc *phone = lan_connect(w);
	int port = free_port(w);

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", free_port(w)));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", port));
	snprintf(w->ca, sizeof w->ca, "%.60s/data/pki/authorities/local/root.crt", w->state);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_string_equal(up_ok(w, repo_new(w, "shop")), "shop-main");
	assert_int_equal(lan_get(w, phone, SHOP, port, LAN_LAPTOP, "/", NULL).status, 0);
	assert_error(w, DM(w, NULL, "share", "shop-main"), 1, "loopback");
	/* and the other reason for which no device could open it */
	assert_exit(w, DM(w, NULL, "stop"), 0);
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.localhost");
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_string_equal(up_ok(w, repo_new(w, "cart")), "cart-main");
	assert_error(w, DM(w, NULL, "share", "cart-main"), 1, "itself");
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(nothing_is_shared_by_itself),
	    WORLD_TEST(shared_with_the_lan),
	    WORLD_TEST(sharing_is_no_change_of_caddy),
	    WORLD_TEST(a_share_ends_by_itself),
	    WORLD_TEST(a_share_outlives_restarts),
	    WORLD_TEST(a_share_is_not_inherited),
	    WORLD_TEST(shared_by_password),
	    WORLD_TEST(a_password_of_ones_own),
	    WORLD_TEST(explicit_routes_as_well),
	    WORLD_TEST(shared_and_not_running),
	    WORLD_TEST(this_machine_by_its_own_address),
	    WORLD_TEST(the_list_on_the_phone),
	    WORLD_TEST(devmeshd_settles_the_end_of_a_password),
	    WORLD_TEST(private_mesh_stays_private),
	};

	lan_enter(argc, argv);
	return RUN_TESTS(tests);
}
