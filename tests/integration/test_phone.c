/* SPDX-License-Identifier: MIT */
/* The page for phones, from a phone beside the laptop; and the verbs that lead there. */
#include "harness_daemon.h"
#include "harness_lan.h"

#include <unistd.h>

#define PAGE_PORT "15380"
#define LAPTOP2	  "192.168.77.30"

struct scene {
	struct proc *phone;
	const char *repo;
	int port; /* Caddy's */
};

static int
mesh(struct world *w, const char *domain)
{
	world_env(w, "DEVMESH_MESH_DOMAIN", domain);
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	world_env(w, "DEVMESH_LAN_PHONE_PORT", PAGE_PORT);
	return private_mesh_as_set(w);
}

static struct scene
scene(struct world *w)
{
	struct scene s = {.phone = lan_connect(w)};

	s.port = mesh(w, "dev.test");
	s.repo = repo_new(w, "shop");
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	serve_id(w, "shop-main");
	(void)daemon_start(w);
	return s;
}

/* curl on the phone, with more words; its status and the file that the body goes to. */
struct answer {
	int status;
	const char *body, *headers;
};

static struct answer
ask(struct world *w, const struct scene *s, const char *path, const char *const more[])
{
	const char *argv[32] = {"curl", "--silent", "--noproxy", "*", "--max-time", "10",
	    "--path-as-is", "--dump-header", fmt(w, "%s/headers", w->dir), "--output",
	    fmt(w, "%s/body", w->dir), "--write-out", "%{http_code}",
	    fmt(w, "http://" LAN_LAPTOP ":" PAGE_PORT "%s", path)};
	size_t n = 14;
	struct result r;

	for (size_t i = 0; more != NULL && more[i] != NULL && n + 1 < 32; i++)
		argv[n++] = more[i];
	write_text(fmt(w, "%s/body", w->dir), "");
	write_text(fmt(w, "%s/headers", w->dir), "");
	r = lan_run(w, s->phone, argv);
	return (struct answer){.status = (int)strtol(r.out, NULL, 10),
	    .body = read_text(w, fmt(w, "%s/body", w->dir)),
	    .headers = read_text(w, fmt(w, "%s/headers", w->dir))};
}

static int
status_of(struct world *w, const struct scene *s, const char *path, const char *const more[])
{
	return ask(w, s, path, more).status;
}

/* What devmeshd has found out. */
static cJSON *
phone_json(struct world *w, const char *dir)
{
	struct result r = DM(w, dir, "phone", "--json");

	assert_exit(w, r, 0);
	return world_keep(w, cJSON_Parse(r.out), (void (*)(void *))cJSON_Delete);
}

TEST(what_a_phone_gets)
{
	struct scene s = scene(w);
	const cJSON *o;
	struct answer a;
	char *key;

	assert_exit(w, DM(w, s.repo, "share"), 0);
	o = phone_json(w, s.repo);
	assert_string_equal(
	    json_str(o, "page"), "http://" LAN_LAPTOP ":" PAGE_PORT "/phone?id=shop-main");
	assert_string_equal(
	    json_str(o, "service_url"), fmt(w, "https://shop-main.dev.test:%d", s.port));
	assert_string_equal(json_str(o, "ca"), "private");
	assert_true(json_null(o, "problem"));
	a = ask(w, &s, "/phone?id=shop-main", NULL);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.body, json_str(o, "fingerprint")));
	assert_non_null(strstr(a.body, fmt(w, "https://shop-main.dev.test:%d", s.port)));
	assert_non_null(strstr(a.headers, "default-src 'none'"));
	assert_non_null(strstr(a.headers, "no-store"));
	/* one that does not exist looks the same */
	assert_non_null(
	    strstr(ask(w, &s, "/phone?id=nobody", NULL).body, "https://nobody.dev.test"));
	assert_int_equal(status_of(w, &s, "/phone/ca.mobileconfig", NULL), 200);
	a = ask(w, &s, "/phone/ca.crt", NULL);
	assert_int_equal(a.status, 200);
	assert_non_null(strstr(a.headers, "application/x-x509-ca-cert"));
	assert_non_null(strstr(run_ok(w, w->dir,
				   ARGV("openssl", "x509", "-inform", "der", "-in", "body",
				       "-noout", "-fingerprint", "-sha256"))
				   .out,
	    json_str(o, "fingerprint")));
	key = read_text(w, fmt(w, "%s/data/pki/authorities/local/root.key", w->state));
	assert_null(
	    strstr(ask(w, &s, "/phone/ca.mobileconfig", NULL).body, fmt(w, "%.40s", key + 40)));
}

TEST(nothing_else_is_there)
{
	static const char *const paths[] = {"/phone/", "/phone/ca.key", "/phone/root.key",
	    "/phone/../phone", "/phone/../../etc/passwd", "/phone/%2e%2e/x", "/api/v1/state",
	    "/web/app.js", "/healthz", "/phone/phone.js", "//phone"};
	struct scene s = scene(w);

	(void)phone_json(w, w->dir);
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		assert_int_equal(status_of(w, &s, paths[i], NULL), 404);
	assert_int_equal(status_of(w, &s, "/", NULL), 303); /* to the page */
	assert_int_equal(status_of(w, &s, "/phone", ARGV("--request", "POST", "--data", "x")), 405);
	assert_int_equal(status_of(w, &s, "/phone", ARGV("--request", "DELETE")), 405);
	assert_int_equal(status_of(w, &s, "/phone", ARGV("--request", "GET", "--data", "x")), 400);
	assert_int_equal(status_of(w, &s, "/phone", ARGV("--head")), 200);
	assert_int_equal(status_of(w, &s, "/phone", ARGV("--header", "Host: evil.example")), 421);
	assert_int_equal(status_of(w, &s, "/phone", ARGV("--header", "Host:")), 421);
	assert_int_equal(status_of(w, &s, "/phone", ARGV("--header", "Host: localhost")), 421);
	assert_int_equal(status_of(w, &s, "/phone/dns-ok",
			     ARGV("--header", "Host: phone--check.dev.test:" PAGE_PORT)),
	    200);
	assert_int_equal(
	    status_of(w, &s, "/phone", ARGV("--header", fmt(w, "X: %09000d", 1))), 431);
}

/* A Caddy that devmesh has not configured, with a CA of its own, which knows no limits. */
TEST(the_ca_of_another_caddy)
{
	struct scene s = {.phone = lan_connect(w)};
	int http = free_port(w), https = free_port(w);
	const cJSON *o;
	struct answer a;

	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.test");
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	world_env(w, "DEVMESH_LAN_PHONE_PORT", PAGE_PORT);
	caddy_start(
	    w, fmt(w,
		   "{\"admin\":{\"listen\":\"unix/%s\",\"config\":{\"persist\":false}},\"apps\":{"
		   "\"http\":{\"http_port\":%d,\"https_port\":%d,\"servers\":{\"srv0\":{"
		   "\"listen\":[\":%d\"],\"routes\":[]}}},"
		   "\"pki\":{\"certificate_authorities\":{\"local\":{\"install_trust\":false}}},"
		   "\"tls\":{\"certificates\":{\"automate\":[\"*.dev.test\"]},\"automation\":{"
		   "\"policies\":[{\"subjects\":[\"*.dev.test\"],\"issuers\":[{\"module\":"
		   "\"internal\"}]},{\"issuers\":[{\"module\":\"internal\"}]}]}}}}",
		   w->admin + 7, http, https, https));
	(void)daemon_start(w);
	o = phone_json(w, w->dir);
	assert_string_equal(json_str(o, "ca"), "private");
	assert_non_null(strstr(json_str(o, "ca_name"), "Caddy Local Authority"));
	a = ask(w, &s, "/phone", NULL);
	assert_non_null(strstr(a.body, json_str(o, "fingerprint")));
	assert_non_null(strstr(a.body, "can vouch for any name"));
	assert_false(exists(fmt(w, "%s/phone-root.pem", w->state)));
}

/* Neither on loopback, nor to who has come by way of a router. */
TEST(only_the_network_is_let_in)
{
	struct scene s = scene(w);

	assert_int_equal(status_of(w, &s, "/phone", NULL), 200);
	assert_int_not_equal(
	    run(w, w->dir, ARGV("curl", "--silent", "http://127.0.0.1:" PAGE_PORT "/phone")).code,
	    0);
	lan_run(w, s.phone, ARGV("ip", "address", "add", "10.9.9.9/32", "dev", "eth0"));
	run_ok(w, w->dir, ARGV("ip", "route", "add", "10.9.9.9/32", "dev", LAN_DEVICE));
	assert_int_equal(status_of(w, &s, "/phone", ARGV("--interface", "10.9.9.9")), 0);
	assert_int_equal(status_of(w, &s, "/phone", NULL), 200);
}

struct moved {
	const struct scene *s;
};

static bool
is_there(struct world *w, const void *arg)
{
	const struct moved *m = arg;

	return strtol(lan_run(w, m->s->phone,
			  ARGV("curl", "--silent", "--noproxy", "*", "--output", "/dev/null",
			      "--write-out", "%{http_code}", "--max-time", "5",
			      "http://" LAPTOP2 ":" PAGE_PORT "/phone"))
			  .out,
		   NULL, 10) == 200;
}

TEST(it_moves_with_the_address)
{
	struct scene s = scene(w);
	const struct moved m = {&s};

	assert_int_equal(status_of(w, &s, "/phone", NULL), 200);
	run_ok(w, w->dir,
	    ARGV("sh", "-ec",
		"ip address delete " LAN_LAPTOP "/24 dev " LAN_DEVICE "; ip address add " LAPTOP2
		"/24 dev " LAN_DEVICE
		"; ip route replace default via 192.168.77.1 dev " LAN_DEVICE));
	assert_true(wait_until(w, is_there, &m, ANSWER_MS));
	assert_string_equal(
	    json_str(phone_json(w, w->dir), "page"), "http://" LAPTOP2 ":" PAGE_PORT "/phone");
}

static bool
is_taken(struct world *w, const void *arg)
{
	(void)arg;
	return run(w, w->dir, ARGV("curl", "--silent", "http://" LAN_LAPTOP ":" PAGE_PORT "/"))
		   .code == 0;
}

static bool
is_served(struct world *w, const void *arg)
{
	(void)arg;
	return DM(w, w->dir, "phone").code == 0;
}

/* Its port is somebody's: that is said; and when it is free again, it is taken. */
TEST(a_port_that_is_taken)
{
	struct scene s = {.phone = lan_connect(w)};
	struct proc *other =
	    start(w, w->dir, ARGV("python3", "-m", "http.server", "--bind", LAN_LAPTOP, PAGE_PORT));

	assert_true(wait_until(w, is_taken, NULL, ANSWER_MS));
	(void)mesh(w, "dev.test");
	(void)daemon_start(w);
	assert_error(w, DM(w, w->dir, "phone"), 1, "phone_port");
	end_proc(w, other);
	assert_true(wait_until(w, is_served, NULL, ANSWER_MS));
	assert_int_equal(status_of(w, &s, "/phone", NULL), 200);
}

/* Connections that say nothing do not keep others out. */
TEST(silent_clients_do_not_matter)
{
	struct scene s = scene(w);
	static const char script[] =
	    "import socket, time\n"
	    "held = [socket.create_connection(('" LAN_LAPTOP "', " PAGE_PORT
	    ")) for _ in range(100)]\n"
	    "held[-1].sendall(b'GET /phone HTTP/1.1\\r\\nHost: " LAN_LAPTOP "\\r\\n\\r\\n')\n"
	    "held[-1].settimeout(10)\n"
	    "print(held[-1].recv(15).decode())\n";
	struct result r;

	(void)phone_json(w, w->dir);
	r = lan_run(w, s.phone, ARGV("python3", "-c", script));
	assert_non_null(strstr(r.out, "HTTP/1.1 200 OK"));
}

TEST(the_verbs_say_what_is_missing)
{
	struct scene s = {.phone = lan_connect(w)};
	struct devmeshd *d;

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	s.repo = repo_new(w, "shop");
	assert_error(w, DM(w, s.repo, "phone"), 4, "[lan]");
	(void)mesh(w, "dev.localhost");
	assert_error(w, DM(w, s.repo, "phone"), 5, "devmesh start");
	d = daemon_start(w);
	assert_error(w, DM(w, s.repo, "phone"), 1, "localhost");
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	assert_error(w, DM(w, s.repo, "qr"), 4, "itself");
	daemon_end(w, d);
	assert_exit(w, DM(w, NULL, "stop"), 0);
	(void)mesh(w, "dev.test");
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	d = daemon_start(w);
	assert_error(w, DM(w, s.repo, "phone"), 6, "devmesh share shop-main --lan");
	assert_error(w, DM(w, s.repo, "phone", "nobody"), 3, "nobody");
	assert_exit(w, DM(w, s.repo, "phone", "-C", w->dir), 3);
	/* where there is no service, the page alone */
	assert_string_equal(
	    DM(w, w->dir, "phone").out, "http://" LAN_LAPTOP ":" PAGE_PORT "/phone\n");
	assert_non_null(strstr(DM(w, s.repo, "qr").out, "https://shop-main.dev.test:"));
	daemon_end(w, d);
	/* a daemon from before */
	world_env(w, "DEVMESH_LAN_ENABLED", "no");
	(void)daemon_start(w);
	world_env(w, "DEVMESH_LAN_ENABLED", "yes");
	assert_error(w, DM(w, w->dir, "phone"), 4, "devmeshd runs with");
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(what_a_phone_gets),
	    WORLD_TEST(nothing_else_is_there),
	    WORLD_TEST(the_ca_of_another_caddy),
	    WORLD_TEST(only_the_network_is_let_in),
	    WORLD_TEST(it_moves_with_the_address),
	    WORLD_TEST(a_port_that_is_taken),
	    WORLD_TEST(silent_clients_do_not_matter),
	    WORLD_TEST(the_verbs_say_what_is_missing),
	};

	lan_enter(argc, argv);
	return RUN_TESTS(tests);
}
