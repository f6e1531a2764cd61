/* SPDX-License-Identifier: MIT */
/* The gate, and what devmeshd tells it: who is this machine, and who acts for somebody else. */
#include "harness_api.h"
#include "harness_daemon.h"
#include "harness_lan.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a program on this machine gets for a request that it passes on, with these headers. */
static int
passed_on(struct world *w, const struct lan_scene *s, const char *host, const char *to,
    const char *const headers[])
{
	const char *argv[24] = {"curl", "--silent", "--noproxy", "*", "--cacert", w->ca,
	    "--resolve", fmt(w, "%s:%d:%s", host, s->port, to), "--output", "/dev/null",
	    "--write-out", "%{http_code}", fmt(w, "https://%s:%d/", host, s->port)};
	size_t n = 13;

	for (size_t i = 0; headers[i] != NULL; i++) {
		argv[n++] = "--header";
		argv[n++] = headers[i];
	}
	return (int)strtol(run(w, w->dir, argv).out, NULL, 10);
}

/*
 * A proxy or a tunnel on this machine says for whom it asks. Who that is counts; and what is shared
 * with the network is not shared with the world.
 */
TEST(proxies_and_tunnels_of_this_machine)
{
	struct lan_scene s = lan_scene(w);
	const char *const inside[][3] = {{"X-Forwarded-For: 127.0.0.1"},
	    {"X-Forwarded-For: 127.0.0.1, ::ffff:127.0.0.1, ::1"}, {"X-Real-IP: 127.0.0.1"},
	    {"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: ::1"},
	    {"Forwarded: for=127.0.0.1;proto=https, for=\"[::1]:80\""}};
	const char *const world[][3] = {{"X-Forwarded-For: 8.8.8.8"},
	    {"X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 8.8.8.8"},
	    {"X-Forwarded-For: 192.168.1.7, 8.8.8.8"}, {"X-Forwarded-For: junk"},
	    {"Forwarded: for=8.8.8.8"}, {"Cf-Connecting-Ip: 8.8.8.8"},
	    {"X-Forwarded-For: 192.168.1.7", "Cf-Connecting-Ip: 8.8.8.8"},
	    {"X-Real-IP: 2001:db8::7"}, {"X-Forwarded-For: 2001:db8::7"}};
	const char *const near[] = {"X-Forwarded-For: 192.168.1.7", NULL};

	for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
		if (passed_on(w, &s, SHOP, "127.0.0.1", inside[i]) != 200)
			fail_msg("%s", inside[i][0]);
	}
	for (int shared = 0; shared < 2; shared++) {
		for (size_t i = 0; i < sizeof world / sizeof world[0]; i++) {
			if (passed_on(w, &s, SHOP, "127.0.0.1", world[i]) != 403)
				fail_msg("%d: %s", shared, world[i][0]);
		}
		assert_int_equal(passed_on(w, &s, SHOP, "127.0.0.1", near), shared ? 200 : 403);
		assert_exit(w, DM(w, s.repo, "share", "--lan"), 0);
	}
	assert_exit(w, DM(w, s.repo, "share", "--public"), 0);
	for (size_t i = 0; i < sizeof world / sizeof world[0]; i++)
		assert_int_equal(passed_on(w, &s, SHOP, "127.0.0.1", world[i]), 200);
}

/* From this machine by its own address on the network, as a name of one's own domain leads there.
 */
TEST(this_machine_by_its_own_address)
{
	struct lan_scene s = lan_scene(w);
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

static struct lan_reply
opens_api(struct world *w, const struct lan_scene *s)
{
	return lan_get(w, s->phone, "api-main.dev.test", s->port, LAN_LAPTOP, "/",
	    ARGV("--header", "Accept: text/html", "--header", "Sec-Fetch-Mode: navigate"));
}

static bool
api_answers(struct world *w, const void *s)
{
	return strcmp(opens_api(w, s).body, "api-main") == 0;
}

/* A service that starts on request starts for those whom it is shared with, and for nobody else. */
TEST(a_phone_starts_what_is_shared_with_it)
{
	struct lan_scene s = lan_scene(w);
	const char *api = repo_new(w, "api");
	struct lan_reply r;

	daemon_start(w);
	assert_exit(w,
	    DM(w, api, "run", "-d", "--on-request", "--idle-stop=0", "--", "python3",
		run_server(w)),
	    0);
	assert_exit(w, DM(w, api, "stop", "api-main"), 0);
	r = opens_api(w, &s);
	assert_int_equal(r.status, 403);
	assert_exit(w, DM(w, api, "share"), 0);
	assert_int_equal(count_servers(w), 0);
	r = opens_api(w, &s);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.headers, "x-devmesh-state: starting"));
	assert_non_null(strstr(r.body, "api-main is starting"));
	assert_null(strstr(r.body, w->dir));
	assert_true(wait_until(w, api_answers, &s, ANSWER_MS));
	/* one that does not start so: nothing is told of this machine */
	assert_exit(w, DM(w, api, "down", "api-main"), 0);
	assert_exit(w, DM(w, api, "run", "-d", "--", "python3", run_server(w)), 0);
	assert_exit(w, DM(w, api, "stop", "api-main"), 0);
	assert_exit(w, DM(w, api, "share"), 0);
	r = opens_api(w, &s);
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "Its developer has to start it"));
	assert_null(strstr(r.body, w->dir));
	assert_null(strstr(r.body, "devmesh run"));
	assert_int_equal(count_servers(w), 0);
	assert_exit(w, DM(w, api, "down", "api-main"), 0);
}

/* Takes events of shop-main until one says this. */
static void
wait_change(struct world *w, struct devmeshd *d, const char *change)
{
	const struct happened *e;

	do {
		e = wait_event(w, d, "service", "shop-main", NULL);
	} while (strcmp(json_str(e->data, "change"), change) != 0);
}

/* Who shares what is told, and its end, also to people. */
TEST(shares_are_told)
{
	struct lan_scene s = lan_scene(w);
	struct devmeshd *d = daemon_start(w);
	struct proc *p;

	wait_state(w, d, "shop-main", "up");
	p = DM_BG(w, s.repo, "events", "--follow");
	wait_printed(w, p, "hello");
	assert_exit(w, DM(w, s.repo, "share", "--public"), 0);
	wait_change(w, d, "shared with everybody");
	wait_printed(w, p, "up: shared with everybody");
	assert_exit(w, DM(w, s.repo, "share"), 0);
	wait_change(w, d, "shared with the devices of this network");
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	wait_change(w, d, "private again");
	wait_printed(w, p, "up: private again");
}

static bool
has_list(struct world *w, const void *arg)
{
	const struct lan_scene *s = arg;
	struct lan_reply r =
	    lan_get(w, s->phone, "devmesh.dev.test", s->port, LAN_LAPTOP, "/", NULL);

	return r.status == 200 && strstr(r.body, "Shared with you") != NULL;
}

/* The dashboard from the phone: the list of what is shared, and nothing else. */
TEST(the_list_on_the_phone)
{
	static const char *const paths[] = {"/api/v1/state", "/api/v1/services", "/web/app.js",
	    "/api/v1/services/shop-main/requests", "/api/v1/logs", "/metrics"};
	struct lan_scene s = lan_scene(w);
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
	struct lan_scene s = lan_scene(w);
	struct devmeshd *d = daemon_start(w);

	wait_state(w, d, "shop-main", "up");
	assert_exit(w, DM(w, s.repo, "share", "--password", "--expires", "8s"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 1);
	for (int64_t end = now_ms() + ANSWER_MS; count_routes(w, "shop-main") != 0;) {
		if (now_ms() > end)
			fail_msg("%s", routes_text(w));
		nap_us(50000);
	}
	assert_refused(w, &s, SHOP);
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
}

static bool
has_own(struct world *w, const void *arg)
{
	return run(w, w->dir,
		   ARGV("sh", "-c",
		       fmt(w, "ls '%s/identity/access' | grep -F '@%s.'", w->state,
			   (const char *)arg)))
		   .code == 0;
}

static bool
has_own_no_more(struct world *w, const void *arg)
{
	return !has_own(w, arg);
}

/* Addresses come and go in a moment: of those that have gone, none is ours any more. */
TEST(a_former_address_is_somebody_elses)
{
	struct lan_scene s = lan_scene(w);
	const char *const headers[] = {"X-Forwarded-For: " LAN_LAPTOP, NULL};

	daemon_start(w);
	assert_true(wait_until(w, has_own, LAN_LAPTOP, ANSWER_MS));
	/* a dev server that passes on what a browser of this machine has asked it for */
	assert_int_equal(passed_on(w, &s, SHOP, "127.0.0.1", headers), 200);
	assert_int_equal(
	    passed_on(w, &s, "devmesh.dev.test", LAN_LAPTOP, ARGV("X-Forwarded-For: 8.8.8.8")),
	    403);
	lan_change_address(w, LAN_LAPTOP, "192.168.77.31");
	assert_true(wait_until(w, has_own, "192.168.77.31", ANSWER_MS));
	lan_change_address(w, "192.168.77.31", "192.168.77.32");
	assert_true(wait_until(w, has_own, "192.168.77.32", ANSWER_MS));
	assert_true(wait_until(w, has_own_no_more, "192.168.77.31", ANSWER_MS));
	lan_run(w, s.phone, ARGV("ip", "address", "add", "192.168.77.31/24", "dev", "eth0"));
	assert_int_equal(lan_get(w, s.phone, SHOP, s.port, "192.168.77.32", "/",
			     ARGV("--interface", "192.168.77.31"))
			     .status,
	    403);
}

static bool
asks_for_a_password(struct world *w, const void *arg)
{
	return lan_phone_get(w, arg, SHOP).status == 401;
}

/* A new Caddy has lost the route that asks for the password. */
TEST(devmeshd_restores_the_route_of_a_password)
{
	struct lan_scene s = lan_scene(w);
	struct devmeshd *d = daemon_start(w);
	struct result r;

	wait_state(w, d, "shop-main", "up");
	assert_exit(w, DM(w, s.repo, "share", "--password"), 0);
	assert_true(asks_for_a_password(w, &s));
	r = DM(w, NULL, "start", "--json");
	assert_exit(w, r, 0);
	assert_int_equal(kill((pid_t)json_number(json_of(w, r.out), "pid"), SIGKILL), 0);
	assert_true(wait_until(w, asks_for_a_password, &s, ANSWER_MS));
}

/* The dashboard's own name is open to all, as the list; not to a service that takes it over. */
TEST(the_dashboards_name_is_not_shared)
{
	struct lan_scene s = lan_scene(w);
	struct devmeshd *d = daemon_start(w);

	wait_state(w, d, "shop-main", "up");
	write_text(fmt(w, "%s/.id", s.repo), "devmesh.\n");
	assert_exit(w, DM(w, s.repo, "up", "--force"), 0);
	assert_refused(w, &s, "devmesh.dev.test");
	lan_change_address(w, LAN_LAPTOP, "192.168.77.31");
	assert_true(wait_until(w, has_own, "192.168.77.31", ANSWER_MS));
	assert_int_equal(
	    lan_get(w, s.phone, "devmesh.dev.test", s.port, "192.168.77.31", "/", NULL).status,
	    403);
}

/* The level of what the doctor finds by that check; "" if that is nothing. */
static const char *
found_level(struct world *w, const char *check, const char *holds)
{
	const cJSON *finding, *list = cJSON_GetObjectItem(
				  json_of(w, DM(w, NULL, "doctor", "--json").out), "findings");

	cJSON_ArrayForEach (finding, list) {
		if (strcmp(json_str(finding, "check"), check) == 0 &&
		    strstr(json_str(finding, "what"), holds) != NULL)
			return json_str(finding, "level");
	}
	return "";
}

TEST(the_doctor_sees_an_open_route)
{
	static const char old[] =
	    "{\"@id\":\"old-main\",\"match\":[{\"host\":[\"old-main.dev.test\"]}],\"handle\":[{"
	    "\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":\"localhost:1\"}],\"headers\":{"
	    "\"response\":{\"set\":{\"X-Devmesh-Id\":[\"old-main\"]}}}}],\"terminal\":true}";
	struct lan_scene s = lan_scene(w);

	(void)s;
	assert_string_equal(found_level(w, "gate", "what is shared"), "ok");
	assert_string_equal(found_level(w, "gate", "its own address"), "note");
	assert_string_equal(found_level(w, "daemon", "does not run"), "warning");
	daemon_start(w);
	assert_string_equal(found_level(w, "daemon", "runs"), "ok");
	assert_true(wait_until(w, has_own, LAN_LAPTOP, ANSWER_MS));
	assert_string_equal(found_level(w, "gate", "its own address"), "");
	assert_int_equal(
	    admin(w, "PUT", "/config/apps/http/servers/srv0/routes/0", old).status, 200);
	assert_string_equal(found_level(w, "gate", "old-main"), "failure");
	/* a mesh that was started when it was yes */
	world_env(w, "DEVMESH_LAN_ENABLED", "no");
	assert_string_equal(found_level(w, "gate", "enabled is no"), "warning");
	assert_non_null(strstr(DM(w, NULL, "start").err, "other settings"));
}

TEST(the_doctor_sees_a_record_that_cannot_be_kept)
{
	const char *file = fmt(w, "%s/token", w->dir);

	lan_connect(w);
	(void)lan_mesh(w);
	world_env(w, "DEVMESH_RECORD_PROVIDER", "cloudflare");
	assert_string_equal(found_level(w, "record", "token_file is not set"), "failure");
	write_text(file, "abc\n");
	assert_int_equal(chmod(file, 0644), 0);
	world_env(w, "DEVMESH_RECORD_TOKEN_FILE", file);
	assert_string_equal(found_level(w, "record", file), "failure");
	assert_int_equal(chmod(file, 0600), 0);
	assert_string_equal(found_level(w, "record", "record status"), "ok");
	world_env(w, "DEVMESH_RECORD_ZONE", "example.org");
	assert_string_equal(found_level(w, "record", "example.org"), "failure");
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
	    WORLD_TEST(proxies_and_tunnels_of_this_machine),
	    WORLD_TEST(this_machine_by_its_own_address),
	    WORLD_TEST(a_phone_starts_what_is_shared_with_it),
	    WORLD_TEST(shares_are_told),
	    WORLD_TEST(the_list_on_the_phone),
	    WORLD_TEST(devmeshd_settles_the_end_of_a_password),
	    WORLD_TEST(a_former_address_is_somebody_elses),
	    WORLD_TEST(devmeshd_restores_the_route_of_a_password),
	    WORLD_TEST(the_dashboards_name_is_not_shared),
	    WORLD_TEST(the_doctor_sees_an_open_route),
	    WORLD_TEST(the_doctor_sees_a_record_that_cannot_be_kept),
	    WORLD_TEST(private_mesh_stays_private),
	};

	lan_enter(argc, argv);
	return RUN_TESTS(tests);
}
