/* SPDX-License-Identifier: MIT */
/* Over HTTP: how a request is read, and who gets an answer. */
#include "unit.h"

#include "http_guard.h"
#include "http_parse.h"

static const struct http_self self = {.host = "devmesh.dev.localhost",
    .url = "https://devmesh.dev.localhost:8443",
    .token = "0123456789abcdef"};

/* ---- reading ------------------------------------------------------------------------------ */

/* The head of `text`, in `buf`. */
static bool
parse(const char *text, char buf[HTTP_HEAD_MAX], struct http_head *head, struct dm_err *err)
{
	size_t len = strlen(text);

	assert_true(len < HTTP_HEAD_MAX);
	memcpy(buf, text, len + 1);
	return http_head_parse(buf, len, head, err);
}

static void
a_request(void **state)
{
	char buf[HTTP_HEAD_MAX];
	struct http_head head;
	struct dm_err err;

	(void)state;
	assert_ok(parse("POST /a/b?c=d&e HTTP/1.1\r\nHost: x:1\r\nX-A:  b c \t\r\n"
			"content-LENGTH: 12\r\nX-Empty:\r\nX-A: second\r\n\r\n",
		      buf, &head, &err),
	    &err);
	assert_string_equal(head.method, "POST");
	assert_string_equal(head.path, "/a/b");
	assert_string_equal(head.query, "c=d&e");
	assert_int_equal(head.body_len, 12);
	assert_string_equal(http_header(&head, "host"), "x:1");
	assert_string_equal(http_header(&head, "x-empty"), "");
	assert_string_equal(http_header(&head, "X-a"), "second");
	assert_string_equal(head.headers[1].value, "b c");
	assert_null(http_header(&head, "X-B"));
	assert_ok(parse("GET / HTTP/1.0\r\n\r\n", buf, &head, &err), &err);
	assert_null(head.query);
	assert_int_equal(head.body_len, 0);
}

static void
bad_requests(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {"\r\n\r\n", "first line"},
	    {"GET /\r\n\r\n", "first line"},
	    {"GET / HTTP/2.0\r\n\r\n", "version"},
	    {"GET / HTTP/1.1 \r\n\r\n", "version"},
	    {"GET  / HTTP/1.1\r\n\r\n", "version"},
	    {" GET / HTTP/1.1\r\n\r\n", "version"},
	    {"G(T / HTTP/1.1\r\n\r\n", "method"},
	    {"GET http://devmesh.dev.localhost/ HTTP/1.1\r\n\r\n", "no path"},
	    {"OPTIONS * HTTP/1.1\r\n\r\n", "no path"},
	    {"GET /\x01 HTTP/1.1\r\n\r\n", "character in its target"},
	    {"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", "character in its target"},
	    {"GET /#a HTTP/1.1\r\n\r\n", "character in its target"},
	    {"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n", "first line"},
	    {"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "a line of its head"},
	    {"GET / HTTP/1.1\r\nHost\r\n\r\n", "without a colon"},
	    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "name of a header"},
	    {"GET / HTTP/1.1\r\n: a\r\n\r\n", "name of a header"},
	    {"GET / HTTP/1.1\r\nX: a\r\n b: c\r\n\r\n", "name of a header"},
	    {"GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", "control character"},
	    {"GET / HTTP/1.1\r\nX: a\x7f\r\n\r\n", "control character"},
	    {"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", "Host is there twice"},
	    {"GET / HTTP/1.1\r\nOrigin: a\r\nOrigin: a\r\n\r\n", "Origin is there twice"},
	    {"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "twice"},
	    {"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", "Content-Length"},
	    {"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", "Content-Length"},
	    {"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", "Content-Length"},
	    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
		"in pieces"},
	    {"POST / HTTP/1.1\r\ntransfer-encoding: x\r\n\r\n", "in pieces"},
	};
	char buf[HTTP_HEAD_MAX];
	struct http_head head;
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_fails(parse(rows[i].text, buf, &head, &err), &err, DM_USAGE, rows[i].why);
}

/* A NUL would end a text where the reader in front of us goes on. */
static void
a_nul(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	char buf[sizeof(text)];
	struct http_head head;
	struct dm_err err;

	(void)state;
	memcpy(buf, text, sizeof(text));
	assert_fails(http_head_parse(buf, sizeof(text) - 1, &head, &err), &err, DM_USAGE,
	    "a line of its head");
}

static void
many_headers(void **state)
{
	struct http_head head;
	struct dm_err err;

	(void)state;
	for (int n = HTTP_HEADERS_MAX; n <= HTTP_HEADERS_MAX + 1; n++) {
		DM_AUTO_STR struct dm_str text = dm_str_make(HTTP_HEAD_MAX);
		char buf[HTTP_HEAD_MAX];

		assert_true(dm_str_addf(&text, "GET / HTTP/1.1\r\n"));
		for (int i = 0; i < n; i++)
			assert_true(dm_str_addf(&text, "X-%d: %d\r\n", i, i));
		assert_true(dm_str_addf(&text, "\r\n"));
		if (n == HTTP_HEADERS_MAX)
			assert_ok(parse(text.data, buf, &head, &err), &err);
		else
			assert_fails(
			    parse(text.data, buf, &head, &err), &err, DM_USAGE, "too many headers");
	}
}

/* ---- guarding ----------------------------------------------------------------------------- */

/* A request that is let through; each test changes one thing. */
static struct http_ask
good(const char *method)
{
	return (struct http_ask){.method = method,
	    .path = "/api/v1/gc",
	    .host = "devmesh.dev.localhost:8443",
	    .token = "0123456789abcdef",
	    .forwarded_for = "127.0.0.1",
	    .content_type = "application/json"};
}

static void
assert_guard(const struct http_ask *ask, enum http_refusal want)
{
	struct dm_err err;
	enum http_refusal got = http_guard(&self, ask, &err);

	if (got != want)
		fail_msg("%s instead of %s: %s", http_refusal_name(got), http_refusal_name(want),
		    err.msg);
	assert_int_equal(err.msg[0] != '\0', want != HTTP_ALLOWED);
}

static void
hosts(void **state)
{
	static const struct {
		const char *host;
		enum http_refusal want;
	} rows[] = {
	    {"devmesh.dev.localhost", HTTP_ALLOWED},
	    {"DevMesh.Dev.LOCALHOST:1", HTTP_ALLOWED},
	    {"devmesh.dev.localhost:", HTTP_ALLOWED},
	    {NULL, HTTP_REFUSED_HOST},
	    {"", HTTP_REFUSED_HOST},
	    {":8443", HTTP_REFUSED_HOST},
	    {"localhost", HTTP_REFUSED_HOST},
	    {"127.0.0.1:8443", HTTP_REFUSED_HOST},
	    {"[::1]", HTTP_REFUSED_HOST},
	    {"shop.dev.localhost", HTTP_REFUSED_HOST},
	    {"devmesh.dev.localhost.evil.example", HTTP_REFUSED_HOST},
	    {"evil.devmesh.dev.localhost", HTTP_REFUSED_HOST},
	    {"devmesh.dev.localhost.", HTTP_REFUSED_HOST},
	    {"devmesh.dev.localhost:x", HTTP_REFUSED_HOST},
	    {"devmesh.dev.localhost:99999", HTTP_REFUSED_HOST},
	    {"a@devmesh.dev.localhost", HTTP_REFUSED_HOST},
	};
	struct http_self none = {.token = self.token};
	struct http_ask ask = good("GET");
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		ask.host = rows[i].host;
		assert_guard(&ask, rows[i].want);
	}
	ask = good("GET");
	assert_int_equal(http_guard(&none, &ask, &err), HTTP_REFUSED_HOST);
}

static void
origins(void **state)
{
	static const struct {
		const char *origin;
		enum http_refusal want;
	} rows[] = {
	    {"https://devmesh.dev.localhost:8443", HTTP_ALLOWED},
	    {"null", HTTP_REFUSED_ORIGIN},
	    {"", HTTP_REFUSED_ORIGIN},
	    {"http://devmesh.dev.localhost:8443", HTTP_REFUSED_ORIGIN},
	    {"https://devmesh.dev.localhost", HTTP_REFUSED_ORIGIN},
	    {"https://devmesh.dev.localhost:84433", HTTP_REFUSED_ORIGIN},
	    {"https://shop.dev.localhost:8443", HTTP_REFUSED_ORIGIN},
	    {"https://evil.example", HTTP_REFUSED_ORIGIN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_ask post = good("POST"), get = good("GET");

		post.origin = get.origin = rows[i].origin;
		assert_guard(&post, rows[i].want);
		assert_guard(&get, rows[i].want);
	}
}

/* The daemon's own page may ask by whatever name and port it was asked for itself. */
static void
own_origin_behind_another_port(void **state)
{
	struct http_ask ask = good("POST");

	(void)state;
	ask.host = "devmesh.dev.localhost";
	ask.origin = "https://devmesh.dev.localhost";
	assert_guard(&ask, HTTP_ALLOWED);
	ask.host = "devmesh.dev.localhost:444";
	assert_guard(&ask, HTTP_REFUSED_ORIGIN);
}

static void
other_sites(void **state)
{
	static const struct {
		const char *path, *site, *mode;
		enum http_refusal want;
	} rows[] = {
	    {"/api/v1/state", "same-origin", "cors", HTTP_ALLOWED},
	    {"/api/v1/state", "none", "navigate", HTTP_ALLOWED},
	    {"/api/v1/state", "cross-site", "no-cors", HTTP_REFUSED_ORIGIN},
	    {"/api/v1/state", "same-site", "cors", HTTP_REFUSED_ORIGIN},
	    {"/api/v1/doctor", "cross-site", "navigate", HTTP_REFUSED_ORIGIN},
	    {"/", "cross-site", "navigate", HTTP_ALLOWED},
	    {"/", "cross-site", "no-cors", HTTP_REFUSED_ORIGIN},
	    {"/", "same-site", NULL, HTTP_REFUSED_ORIGIN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_ask ask = good("GET");

		ask.path = rows[i].path;
		ask.fetch_site = rows[i].site;
		ask.fetch_mode = rows[i].mode;
		assert_guard(&ask, rows[i].want);
	}
}

static void
tokens(void **state)
{
	static const char *const wrong[] = {NULL, "", "0", "0123456789abcdee", "0123456789abcdef0",
	    "0123456789ABCDEF", "1123456789abcdef"};

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct http_ask ask = good("POST");

		ask.token = wrong[i];
		assert_guard(&ask, HTTP_REFUSED_TOKEN);
		ask.method = "GET";
		assert_guard(&ask, HTTP_ALLOWED);
	}
	assert_false(http_token_equal("", ""));
	assert_guard(&(struct http_ask){.method = "POST",
			 .path = "/",
			 .host = self.host,
			 .token = self.token,
			 .content_type = "Application/JSON; charset=utf-8"},
	    HTTP_ALLOWED);
}

/* A cookie goes along by itself: what only the daemon's own page sends is needed as well. */
static void
logins(void **state)
{
	struct http_ask ask = good("POST");

	(void)state;
	ask.logged_in = ask.marked = true;
	ask.token = "its mark";
	ask.origin = self.url;
	assert_guard(&ask, HTTP_ALLOWED);
	ask.forwarded_for = "192.168.1.7";
	assert_guard(&ask, HTTP_ALLOWED);
	ask.origin = NULL;
	assert_guard(&ask, HTTP_REFUSED_TOKEN);
	ask.origin = "https://evil.example";
	assert_guard(&ask, HTTP_REFUSED_ORIGIN);
	ask.origin = self.url;
	ask.marked = false;
	assert_guard(&ask, HTTP_REFUSED_TOKEN);
	ask.token = NULL;
	assert_guard(&ask, HTTP_REFUSED_TOKEN);
	ask.method = "GET";
	assert_guard(&ask, HTTP_ALLOWED);
	ask.logged_in = false;
	assert_guard(&ask, HTTP_REFUSED_REMOTE);
	/* to log in, one need not be */
	ask.path = "/login";
	assert_guard(&ask, HTTP_ALLOWED);
	ask.fetch_site = "cross-site";
	ask.fetch_mode = "navigate";
	assert_guard(&ask, HTTP_REFUSED_ORIGIN);
}

static void
other_machines(void **state)
{
	static const struct {
		const char *forwarded_for;
		bool local;
	} rows[] = {
	    {NULL, true},
	    {"127.0.0.1", true},
	    {"127.8.9.10", true},
	    {"::1", true},
	    {"::ffff:127.0.0.1", true},
	    {"192.168.1.7, 127.0.0.1", true},
	    {"192.168.1.7,\t::1 ", true},
	    {"192.168.1.7", false},
	    {"127.0.0.1, 192.168.1.7", false},
	    {"::ffff:10.0.0.1", false},
	    {"fe80::1", false},
	    {"", false},
	    {"127.0.0.1,", false},
	    {"localhost", false},
	    {"127.1", false},
	    {"127.0.0.1 x", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct http_ask ask = good("GET");

		ask.token = NULL;
		ask.forwarded_for = rows[i].forwarded_for;
		assert_guard(&ask, rows[i].local ? HTTP_ALLOWED : HTTP_REFUSED_REMOTE);
		ask.path = "/healthz";
		assert_guard(&ask, HTTP_ALLOWED);
		ask = good("POST");
		ask.forwarded_for = rows[i].forwarded_for;
		assert_guard(&ask, HTTP_ALLOWED);
	}
}

static void
methods_and_types(void **state)
{
	static const char *const types[] = {
	    NULL, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"};

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct http_ask ask = good("POST");

		ask.content_type = types[i];
		assert_guard(&ask, HTTP_REFUSED_TYPE);
	}
	assert_guard(&(struct http_ask){.method = "PUT", .path = "/", .host = self.host},
	    HTTP_REFUSED_METHOD);
	assert_guard(&(struct http_ask){.method = "get", .path = "/", .host = self.host},
	    HTTP_REFUSED_METHOD);
	assert_guard(
	    &(struct http_ask){.method = "HEAD", .path = "/", .host = self.host}, HTTP_ALLOWED);
}

static void
every_refusal_has_a_name_and_a_status(void **state)
{
	(void)state;
	for (int i = 0; i < HTTP_REFUSALS; i++) {
		int status = http_refusal_status((enum http_refusal)i);

		assert_non_null(http_refusal_name((enum http_refusal)i));
		assert_true(status == 0 || status == 200 || (status >= 400 && status < 600));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_request),
	    cmocka_unit_test(bad_requests),
	    cmocka_unit_test(a_nul),
	    cmocka_unit_test(many_headers),
	    cmocka_unit_test(hosts),
	    cmocka_unit_test(origins),
	    cmocka_unit_test(own_origin_behind_another_port),
	    cmocka_unit_test(other_sites),
	    cmocka_unit_test(tokens),
	    cmocka_unit_test(logins),
	    cmocka_unit_test(other_machines),
	    cmocka_unit_test(methods_and_types),
	    cmocka_unit_test(every_refusal_has_a_name_and_a_status),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
