/* SPDX-License-Identifier: MIT */
/*
 * Over HTTP, who gets no answer from devmeshd: other names, pages of other sites, other machines,
 * what is too large, too slow, or too much. All of it behind the real Caddy, or at the socket
 * itself, which any user of the machine can reach.
 */
#include "harness_api.h"

#include <stdlib.h>
#include <sys/socket.h>

enum {
	CONNECTIONS = 256, /* that the daemon has at most */
	SLOW_MS = 10000	   /* that a request may take to come */
};

#define HOST_LINE "Host: " DAEMON_HOST "\r\n"

static void
begin(struct world *w)
{
	caddy_mesh(w, "");
	(void)api_daemon(w);
}

static char *
url_of(struct world *w, const char *path)
{
	return fmt(w, "http://" DAEMON_HOST ":%d%s", w->port, path);
}

/* The answer is that error, in the form of all errors. */
static void
assert_refused(struct world *w, struct reply r, long status, const char *code)
{
	const cJSON *error;

	if (r.status != status)
		fail_msg("%ld instead of %ld: %s%s", r.status, status, r.body, r.error);
	error = cJSON_GetObjectItem(json_of(w, r.body), "error");
	assert_string_equal(json_str(error, "code"), code);
	assert_true(json_str(error, "message")[0] != '\0');
	assert_string_equal(reply_header(w, r, "Content-Type"), "application/json");
	/* no page of another site may read even that */
	assert_null(reply_header(w, r, "Access-Control-Allow-Origin"));
}

/* What a browser sends for a page whose name was made to lead to this machine. */
TEST(other_names_are_refused)
{
	static const char *const names[] = {"Host: evil.example", "Host: localhost",
	    "Host: 127.0.0.1:8080", "Host: shop.dev.test", "Host: devmesh.dev.test.evil.example",
	    "Host: devmesh.dev.test:8080:1", "Host;"};
	size_t i;

	begin(w);
	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_refused(
		    w, api(w, "GET", "/api/v1/state", ARGV(names[i]), NULL), 421, "denied");
		assert_refused(w, api(w, "GET", "/healthz", ARGV(names[i]), NULL), 421, "denied");
	}
	/* Caddy leads it nowhere in the first place: its default is an empty answer */
	assert_string_equal(http_get(w, w->port, "evil.example", "/api/v1/state").body, "");
	assert_int_equal(
	    api(w, "GET", "/healthz", ARGV("Host: DEVMESH.dev.test:1"), NULL).status, 200);
}

TEST(pages_of_other_sites_are_refused)
{
	static const char json[] = "Content-Type: application/json";
	const char *token, *own, *evil = "Origin: https://evil.example";

	begin(w);
	token = fmt(w, "X-Devmesh: %s", daemon_token(w));
	own = fmt(w, "Origin: http://" DAEMON_HOST ":%d", w->port);
	/* a form or a fetch of another page: with or without a token that it cannot have */
	assert_refused(
	    w, api(w, "POST", "/api/v1/gc", ARGV(evil, token, json), "{}"), 403, "denied");
	assert_refused(w, api(w, "POST", "/api/v1/gc", ARGV("Origin: null", token, json), "{}"),
	    403, "denied");
	assert_refused(w,
	    api(w, "POST", "/api/v1/gc", ARGV("Origin: http://shop.dev.test", token, json), "{}"),
	    403, "denied");
	assert_refused(w, api(w, "GET", "/api/v1/events", ARGV(evil), NULL), 403, "denied");
	assert_refused(w,
	    api(w, "GET", "/api/v1/state",
		ARGV("Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors"), NULL),
	    403, "denied");
	assert_refused(w, fetch(w, url_of(w, "/api/v1/state"), ARGV(evil)), 403, "denied");
	assert_int_equal(api(w, "POST", "/api/v1/gc", ARGV(own, token, json), "{}").status, 200);
	assert_int_equal(
	    fetch(w, url_of(w, "/api/v1/state"), ARGV("Sec-Fetch-Site: same-origin")).status, 200);
	/* before a browser would send any of this it asks whether it may */
	assert_refused(w, api(w, "OPTIONS", "/api/v1/gc", ARGV(evil), NULL), 403, "denied");
}

TEST(changes_need_the_token)
{
	static const char json[] = "Content-Type: application/json";
	struct reply r;
	const char *token;

	begin(w);
	token = daemon_token(w);
	assert_int_equal(strlen(token), 64);
	assert_refused(w, api(w, "POST", "/api/v1/gc", ARGV(json), "{}"), 403, "denied");
	assert_refused(
	    w, api(w, "POST", "/api/v1/gc", ARGV(json, "X-Devmesh: 1"), "{}"), 403, "denied");
	assert_refused(w,
	    api(w, "POST", "/api/v1/gc", ARGV(json, fmt(w, "X-Devmesh: %.63s", token)), "{}"), 403,
	    "denied");
	token = fmt(w, "X-Devmesh: %s", token);
	assert_refused(w,
	    api(w, "POST", "/api/v1/gc", ARGV(token, "Content-Type: text/plain"), "{}"), 415,
	    "usage");
	assert_refused(w,
	    api(w, "POST", "/api/v1/gc", ARGV(token, json, "Transfer-Encoding: chunked"), "{}"),
	    400, "usage");
	assert_refused(
	    w, api(w, "POST", "/api/v1/gc", ARGV(token, json), "{\"dry_run\":"), 400, "usage");
	r = api(w, "PUT", "/api/v1/gc", ARGV(token, json), "{}");
	assert_refused(w, r, 405, "usage");
	assert_string_equal(reply_header(w, r, "Allow"), "GET, HEAD, POST");
	r = api(w, "POST", "/healthz", ARGV(token, json), "{}");
	assert_refused(w, r, 405, "usage");
	assert_string_equal(reply_header(w, r, "Allow"), "GET, HEAD");
	assert_refused(w, api(w, "GET", "/api/v1/nothing", NULL, NULL), 404, "not_found");
	assert_refused(w, api(w, "GET", "/control/status", NULL, NULL), 404, "not_found");
	assert_refused(
	    w, api(w, "POST", "/control/stop", ARGV(token, json), "{}"), 404, "not_found");
	assert_int_equal(api(w, "POST", "/api/v1/gc", ARGV(token, json), "{}").status, 200);
}

/* The proxy's word counts, which is the last one; not what the client has claimed before it. */
TEST(other_machines_are_refused)
{
	const char *token, *phone = "X-Forwarded-For: 127.0.0.1, 192.168.1.7";

	begin(w);
	token = fmt(w, "X-Devmesh: %s", daemon_token(w));
	assert_refused(w, api(w, "GET", "/api/v1/state", ARGV(phone), NULL), 403, "denied");
	/* a person is told so on a page */
	assert_int_equal(api(w, "GET", "/", ARGV(phone), NULL).status, 403);
	assert_refused(w, api(w, "GET", "/api/v1/events", ARGV(phone), NULL), 403, "denied");
	assert_int_equal(api(w, "GET", "/healthz", ARGV(phone), NULL).status, 200);
	assert_int_equal(api(w, "GET", "/api/v1/state", ARGV(phone, token), NULL).status, 200);
	assert_int_equal(fetch(w, url_of(w, "/api/v1/state"), NULL).status, 200);
	/* Caddy believes no client's header */
	assert_int_equal(
	    fetch(w, url_of(w, "/api/v1/state"), ARGV("X-Forwarded-For: 192.168.1.7")).status, 200);
}

TEST(what_is_too_large_is_refused)
{
	char *large = world_keep(w, malloc(100001), free);
	struct raw *r;

	begin(w);
	memset(large, 'a', 100000);
	large[100000] = '\0';
	assert_refused(w, api_post(w, "/api/v1/gc", large), 413, "usage");
	assert_refused(
	    w, api(w, "GET", "/healthz", ARGV(fmt(w, "X-A: %.17000s", large)), NULL), 431, "usage");
	assert_refused(w, api(w, "GET", fmt(w, "/%.17000s", large), NULL, NULL), 431, "usage");
	assert_refused(w, fetch(w, url_of(w, fmt(w, "/%.10000s", large)), NULL), 404, "not_found");
	/* a head without end, and a body that is never sent: the answer does not wait for them */
	r = raw_unix(w, daemon_socket(w));
	raw_send(r, "GET / HTTP/1.1\r\n" HOST_LINE "X-A: ");
	raw_send(r, large);
	raw_wait(r, "HTTP/1.1 431 ");
	raw_wait_end(r);
	r = raw_unix(w, daemon_socket(w));
	raw_send(r, fmt(w,
			"POST /api/v1/gc HTTP/1.1\r\n" HOST_LINE "X-Devmesh: %s\r\n"
			"Content-Type: application/json\r\nContent-Length: 65537\r\n\r\n",
			daemon_token(w)));
	raw_wait(r, "HTTP/1.1 413 ");
	raw_wait_end(r);
	r = raw_unix(w, daemon_socket(w));
	raw_send(r, "GET / HTTP/1.1\r\n" HOST_LINE "Host: evil.example\r\n\r\n");
	raw_wait(r, "HTTP/1.1 400 ");
	raw_wait_end(r);
	assert_int_equal(api(w, "GET", "/healthz", NULL, NULL).status, 200);
}

/* One byte now and then keeps no connection open. */
TEST(slow_senders_are_cut_off)
{
	struct raw *silent, *slow, *body;
	int64_t began = now_ms();
	int i;

	begin(w);
	silent = raw_unix(w, daemon_socket(w));
	slow = raw_unix(w, daemon_socket(w));
	body = raw_unix(w, daemon_socket(w));
	raw_send(body, fmt(w,
			   "POST /api/v1/gc HTTP/1.1\r\n" HOST_LINE "X-Devmesh: %s\r\n"
			   "Content-Type: application/json\r\nContent-Length: 4096\r\n\r\n",
			   daemon_token(w)));
	for (i = 0; i < 3 * SLOW_MS / 100 && !slow->ended; i++) {
		char c[2] = {(char)('a' + i % 26), '\0'};

		raw_send(slow, c);
		raw_send(body, " ");
		if (recv(slow->fd, c, 1, MSG_DONTWAIT) == 0)
			slow->ended = true;
		nap_us(100000);
	}
	assert_true(slow->ended);
	assert_true(now_ms() - began >= SLOW_MS - 1000);
	raw_wait_end(silent);
	raw_wait_end(body);
	assert_int_equal(body->length, 0);
}

/* They keep nobody else waiting, however many they are. */
TEST(idle_connections_shut_nobody_out)
{
	struct raw *idle[CONNECTIONS + 50];
	int i, n = (int)(sizeof idle / sizeof idle[0]);
	int64_t began;

	begin(w);
	for (i = 0; i < n; i++) {
		idle[i] = raw_unix(w, daemon_socket(w));
		raw_send(idle[i], "GET / HT");
	}
	began = now_ms();
	for (i = 0; i < 5; i++)
		assert_int_equal(fetch(w, url_of(w, "/healthz"), NULL).status, 200);
	if (now_ms() - began > SLOW_MS / 2)
		fail_msg("five requests took %lld ms", (long long)(now_ms() - began));
	/* the oldest had to go */
	raw_wait_end(idle[0]);
	raw_send(idle[n - 1], "TP/1.1\r\n" HOST_LINE "\r\n");
	raw_wait(idle[n - 1], "HTTP/1.1 200 OK");
	for (i = 0; i < n; i++)
		raw_close(idle[i]);
}

/* A client that goes while a worker is busy for it harms nobody. */
TEST(clients_may_vanish)
{
	struct raw *r;
	int i;

	begin(w);
	for (i = 0; i < 8; i++) {
		r = raw_unix(w, daemon_socket(w));
		raw_send(r, "GET /api/v1/doctor HTTP/1.1\r\n" HOST_LINE "\r\n");
		raw_close(r);
		r = raw_unix(w, daemon_control(w));
		raw_send(r, "{\"v\":1,\"method\":\"GET\",\"path\":\"/api/v1/doctor\"}\n");
		raw_close(r);
	}
	assert_int_equal(api(w, "GET", "/healthz", NULL, NULL).status, 200);
	/* they have been worked off, or refused: then there is room again */
	while (api(w, "GET", "/api/v1/doctor", NULL, NULL).status == 503)
		continue;
	assert_int_equal(api(w, "GET", "/api/v1/doctor", NULL, NULL).status, 200);
}

static double
metric(struct world *w, const char *name)
{
	const char *text = api(w, "GET", "/metrics", NULL, NULL).body;
	const char *at = strstr(text, fmt(w, "\n%s ", name));

	if (at == NULL)
		fail_msg("no metric %s in:\n%s", name, text);
	return strtod(at + strlen(name) + 2, NULL);
}

/* Each for its reason. */
TEST(refusals_are_counted)
{
	static const char *const reasons[] = {
	    "host", "origin", "token", "remote", "content_type", "form", "method", "size"};
	const char *json = "Content-Type: application/json", *token;
	size_t i, n = sizeof reasons / sizeof reasons[0];

	begin(w);
	token = fmt(w, "X-Devmesh: %s", daemon_token(w));
	for (i = 0; i < n; i++)
		assert_true(
		    metric(w, fmt(w, "devmesh_http_refused_total{reason=\"%s\"}", reasons[i])) < 1);
	api(w, "GET", "/", ARGV("Host: evil.example"), NULL);
	api(w, "GET", "/", ARGV("Origin: null"), NULL);
	api(w, "POST", "/api/v1/gc", ARGV(json), "{}");
	api(w, "GET", "/", ARGV("X-Forwarded-For: 10.0.0.1"), NULL);
	api(w, "POST", "/api/v1/gc", ARGV(token, "Content-Type: text/plain"), "{}");
	api(w, "POST", "/api/v1/gc", ARGV(token, json), "{");
	api(w, "DELETE", "/api/v1/gc", NULL, NULL);
	api(w, "GET", fmt(w, "/%017000d", 0), NULL, NULL);
	for (i = 0; i < n; i++) {
		double got =
		    metric(w, fmt(w, "devmesh_http_refused_total{reason=\"%s\"}", reasons[i]));

		if (got < 1 || got > 1)
			fail_msg("%s: %g", reasons[i], got);
	}
	assert_true(metric(w, "devmesh_http_requests_total{code=\"403\"}") >= 3);
	assert_true(metric(w, "devmesh_services{state=\"up\"}") >= 1);
	assert_true(metric(w, "devmesh_ready") >= 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(other_names_are_refused),
	    WORLD_TEST(pages_of_other_sites_are_refused),
	    WORLD_TEST(changes_need_the_token),
	    WORLD_TEST(other_machines_are_refused),
	    WORLD_TEST(what_is_too_large_is_refused),
	    WORLD_TEST(slow_senders_are_cut_off),
	    WORLD_TEST(idle_connections_shut_nobody_out),
	    WORLD_TEST(clients_may_vanish),
	    WORLD_TEST(refusals_are_counted),
	};

	return RUN_TESTS(tests);
}
