/* SPDX-License-Identifier: MIT */
/* Lines of Caddy's access log, hostile ones too, and the model of what services were asked for. */
#include "unit.h"

#include "request_line.h"
#include "requests.h"

#define NOW INT64_C(1795852500000) /* a point's beginning */

/* ---- lines ---------------------------------------------------------------------------------- */

/* A line as Caddy writes it, with these members of "request" and these behind. */
static char *
line_with(const char *request, const char *rest)
{
	return dm_asprintf("{\"level\":\"info\",\"ts\":1795852446.5281394,"
			   "\"logger\":\"http.log.access.requests\",\"msg\":\"handled request\","
			   "\"request\":{%s},%s}",
	    request, rest);
}

static bool
parse(const char *request, const char *rest, struct request_line *out)
{
	DM_AUTO_FREE char *text = line_with(request, rest);

	return request_line_parse(text, strlen(text), out);
}

#define REST "\"duration\":0.0012,\"size\":17,\"status\":200"

static void
reads_what_caddy_writes(void **state)
{
	static const char text[] =
	    "{\"level\":\"error\",\"ts\":1795852446.5344687,\"logger\":\"http.log.access."
	    "requests\","
	    "\"msg\":\"handled request\",\"request\":{\"proto\":\"HTTP/2.0\",\"method\":\"POST\","
	    "\"host\":\"Shop-Main.dev.test:8443\",\"uri\":\"/a/b\"},\"duration\":0.201305872,"
	    "\"size\":1234,\"status\":502}";
	struct request_line line;

	(void)state;
	assert_true(request_line_parse(text, strlen(text), &line));
	assert_int_equal(line.time_us / 1000, INT64_C(1795852446534));
	assert_string_equal(line.method, "POST");
	assert_string_equal(line.host, "shop-main.dev.test");
	assert_string_equal(line.path, "/a/b");
	assert_string_equal(line.proto, "HTTP/2.0");
	assert_int_equal(line.status, 502);
	assert_int_equal(line.duration_us, 201305);
	assert_int_equal(line.bytes, 1234);
	/* half of it is nothing */
	for (size_t n = 0; n < strlen(text); n++)
		assert_false(request_line_parse(text, n, &line));
}

static void
leaves_out_what_is_no_request(void **state)
{
	static const char *const bad[] = {
	    "",
	    "null",
	    "[]",
	    "{}",
	    "{\"logger\":\"http.log.access.requests\"}",
	    "{\"logger\":\"http.log.error.requests\",\"ts\":1,\"status\":200,\"request\":{"
	    "\"method\":\"GET\",\"host\":\"a.b\",\"uri\":\"/\"}}",
	    "{\"logger\":7,\"ts\":1,\"status\":200,\"request\":{\"method\":\"GET\",\"host\":\"a."
	    "b\","
	    "\"uri\":\"/\"}}",
	    "{\"logger\":\"http.log.access\",\"ts\":1e300,\"status\":200,\"request\":{"
	    "\"method\":\"GET\",\"host\":\"a.b\",\"uri\":\"/\"}}",
	    "{\"logger\":\"http.log.access\",\"ts\":-1,\"status\":200,\"request\":{"
	    "\"method\":\"GET\",\"host\":\"a.b\",\"uri\":\"/\"}}",
	    "{\"logger\":\"http.log.access\",\"ts\":1,\"status\":600,\"request\":{"
	    "\"method\":\"GET\",\"host\":\"a.b\",\"uri\":\"/\"}}",
	    "{\"logger\":\"http.log.access\",\"ts\":1,\"status\":99,\"request\":{"
	    "\"method\":\"GET\",\"host\":\"a.b\",\"uri\":\"/\"}}",
	    "{\"logger\":\"http.log.access\",\"ts\":1,\"status\":200,\"request\":{"
	    "\"method\":\"GET\",\"host\":\"\",\"uri\":\"/\"}}",
	    "{\"logger\":\"http.log.access\",\"ts\":1,\"status\":200,\"request\":{"
	    "\"method\":\"GET\",\"host\":\"a_b.c\",\"uri\":\"/\"}}",
	    "{\"logger\":\"http.log.access\",\"ts\":1,\"status\":200,\"request\":{"
	    "\"method\":[],\"host\":\"a.b\",\"uri\":\"/\"}}",
	    "{\"logger\":\"http.log.access\",\"ts\":1,\"status\":200,\"request\":\"GET\"}",
	};
	struct request_line line;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (request_line_parse(bad[i], strlen(bad[i]), &line))
			fail_msg("taken: %s", bad[i]);
	}
}

/* What Caddy should have cut off by itself is cut off here as well. */
static void
keeps_the_path_alone(void **state)
{
	static const struct {
		const char *uri, *path;
	} rows[] = {
	    {"/a?token=SECRET", "/a"},
	    {"/a#SECRET", "/a"},
	    {"/?SECRET?SECRET", "/"},
	    {"?SECRET", ""},
	    {"http://user:SECRET@shop.dev.test/abs?SECRET", "/abs"},
	    {"http://shop.dev.test", ""},
	    {"user:SECRET@shop.dev.test:443", "shop.dev.test:443"},
	    {"/http://a@b", "/http://a@b"},
	    {"*", "*"},
	    {"/%41%0a", "/%41%0a"},
	    {"/a\\u0007b\\u001b[31m", "/a\xef\xbf\xbd"
				      "b\xef\xbf\xbd[31m"},
	    {"/<script>\\\"'", "/<script>\"'"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *request = dm_asprintf(
		    "\"method\":\"GET\",\"host\":\"shop.dev.test\",\"uri\":\"%s\"", rows[i].uri);
		struct request_line line;

		assert_true(parse(request, REST, &line));
		assert_string_equal(line.path, rows[i].path);
	}
}

/* A text of `n` times `part`; the caller owns it. */
static char *
many(const char *part, size_t n)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(1 << 20);

	for (size_t i = 0; i < n; i++)
		(void)dm_str_addf(&out, "%s", part);
	return dm_str_take(&out);
}

static void
bounds_everything(void **state)
{
	DM_AUTO_FREE char *path = many("/\xc3\xa9", 400), *method = many("M", 1000);
	DM_AUTO_FREE char *bell = many("\\u0007", 400), *host = many("a.", 2000);
	DM_AUTO_FREE char *request =
	    dm_asprintf("\"method\":\"%s\",\"host\":\"a.b\",\"uri\":\"%s\",\"proto\":\"%s\"",
		method, path, path);
	DM_AUTO_FREE char *bells =
	    dm_asprintf("\"method\":\"GET\",\"host\":\"a.b\",\"uri\":\"/%s\"", bell);
	DM_AUTO_FREE char *hosts =
	    dm_asprintf("\"method\":\"GET\",\"host\":\"%s\",\"uri\":\"/\"", host);
	struct request_line line;

	(void)state;
	assert_true(parse(request, "\"duration\":1e12,\"size\":9e15,\"status\":0", &line));
	/* 170 times three bytes: no half character */
	assert_int_equal(strlen(line.path), 511);
	assert_int_equal(line.path[510], '/');
	assert_int_equal(strlen(line.method), REQUEST_METHOD_MAX);
	assert_int_equal(strlen(line.proto), REQUEST_PROTO_MAX);
	assert_int_equal(line.duration_us, UINT32_MAX);
	assert_int_equal(line.bytes, UINT64_C(9000000000000000));
	assert_int_equal(line.status, 0);
	assert_true(parse(bells, REST, &line));
	assert_int_equal(strlen(line.path), 1 + 170 * 3);
	assert_false(parse(hosts, REST, &line));
	/* of another type, or out of range: as if it was not there */
	assert_true(parse("\"method\":\"GET\",\"host\":\"a.b\",\"uri\":\"/\"",
	    "\"duration\":\"x\",\"size\":-5,\"status\":200", &line));
	assert_int_equal(line.duration_us, 0);
	assert_int_equal(line.bytes, 0);
}

/* ---- the model ------------------------------------------------------------------------------- */

static struct request_line
asked(int64_t time_ms, int status, uint32_t duration_us, const char *path)
{
	struct request_line line = {.time_us = time_ms * 1000,
	    .method = "GET",
	    .host = "a.b",
	    .proto = "HTTP/1.1",
	    .status = status,
	    .duration_us = duration_us,
	    .bytes = 10};

	assert_true(dm_snprintf(line.path, sizeof(line.path), "%s", path));
	return line;
}

static void
add(struct requests *r, const char *id, int64_t time_ms, int status, uint32_t duration_us)
{
	const struct request_line line = asked(time_ms, status, duration_us, "/p");

	requests_add(r, id, &line, NOW);
}

struct seen {
	size_t count;
	uint64_t first, last;
	int status;
};

static void
see(void *user, const struct request *request)
{
	struct seen *seen = user;

	if (seen->count++ == 0)
		seen->first = request->seq;
	else
		assert_true(request->seq > seen->last);
	seen->last = request->seq;
	seen->status = request->status;
}

static struct seen
all_of(const struct requests *r, const char *id, const struct requests_filter *filter, size_t max)
{
	struct seen seen = {0};
	size_t count = requests_each(r, id, filter, max, see, &seen);

	assert_int_equal(count, seen.count);
	assert_int_equal(requests_any(r, id, filter), seen.count > 0);
	return seen;
}

static void
keeps_the_last_of_each(void **state)
{
	const struct requests_filter any = {0};
	struct requests *r = requests_new();
	struct seen seen;
	uint64_t seq;

	(void)state;
	assert_int_equal(all_of(r, "a", &any, 9).count, 0);
	add(r, "b", NOW - 5, 200, 1);
	for (int i = 0; i < 2 * REQUESTS_PER_SERVICE; i++)
		add(r, "a", NOW - 4, 200 + i % 2, 1);
	assert_int_equal(all_of(r, "b", &any, 1000).count, 1);
	seen = all_of(r, "a", &any, 1000);
	assert_int_equal(seen.count, REQUESTS_PER_SERVICE);
	assert_int_equal(seen.last, requests_seq(r));
	assert_int_equal(seen.last - seen.first, REQUESTS_PER_SERVICE - 1);
	/* the newest of them, if it is to be fewer */
	assert_int_equal(all_of(r, "a", &any, 10).last, seen.last);
	assert_int_equal(all_of(r, "a", &any, 10).count, 10);
	seq = seen.last;
	assert_int_equal(
	    all_of(r, "a", &(struct requests_filter){.after = seq - 3}, 1000).count, 3);
	assert_int_equal(all_of(r, "a", &(struct requests_filter){.after = seq}, 1000).count, 0);
	assert_int_equal(
	    all_of(r, "a", &(struct requests_filter){.after = UINT64_MAX}, 1000).count, 0);
	assert_int_equal(
	    all_of(r, "a", &(struct requests_filter){.low = 201, .high = 201}, 1000).count,
	    REQUESTS_PER_SERVICE / 2);
	requests_free(r);
}

/* Of all services no more than this; the oldest goes, whosever it is. */
static void
is_bounded_over_all(void **state)
{
	const struct requests_filter any = {0};
	struct requests *r = requests_new();
	size_t count = 0;
	char id[16];

	(void)state;
	for (int i = 0; i < 100 * REQUESTS_PER_SERVICE; i++) {
		(void)snprintf(id, sizeof(id), "s%d", i % 100);
		add(r, id, NOW - 100000 + i, 200, 1);
	}
	for (int i = 0; i < 100; i++) {
		(void)snprintf(id, sizeof(id), "s%d", i);
		count += all_of(r, id, &any, 1000).count;
	}
	assert_int_equal(count, REQUESTS_MAX);
	/* and of services: the one that was asked longest ago goes */
	for (int i = 0; i < REQUESTS_SERVICES; i++) {
		(void)snprintf(id, sizeof(id), "t%d", i);
		add(r, id, NOW, 200, 1);
	}
	assert_int_equal(requests_last_access_ms(r, "s5"), 0);
	assert_int_equal(requests_last_access_ms(r, "t0"), NOW);
	requests_free(r);
}

/* A daemon that reads the same log again numbers its lines as the one before has. */
static void
numbers_are_the_same_again(void **state)
{
	struct requests *one = requests_new(), *two = requests_new();
	static const int64_t times[] = {NOW - 900, NOW - 900, NOW - 901, NOW - 500, NOW + 99999};

	(void)state;
	for (size_t i = 0; i < COUNT(times); i++)
		add(one, "a", times[i], 200, 1);
	for (size_t i = 3; i < COUNT(times); i++)
		add(two, "a", times[i], 200, 1);
	assert_int_equal(requests_seq(one), requests_seq(two));
	/* JSON has it without an exponent */
	assert_true(requests_seq(one) < UINT64_C(1000000000000000));
	requests_free(one);
	requests_free(two);
}

static void
figures(void **state)
{
	struct requests *r = requests_new();
	struct requests_figures f;

	(void)state;
	requests_figures(r, "a", NOW, &f);
	assert_int_equal(f.rate, 0);
	assert_int_equal(f.last_ms, 0);
	/* 100 in the last minute, taking 1 to 100 ms; the slowest ten have failed */
	for (uint32_t i = 100; i >= 1; i--)
		add(r, "a", NOW - 50000, i > 90 ? 503 : 200, i * 1000);
	/* what was taken over says nothing of how quick it is */
	add(r, "a", NOW - 50000, 101, UINT32_MAX);
	add(r, "a", NOW - 50000, 0, UINT32_MAX);
	requests_figures(r, "a", NOW, &f);
	assert_int_equal(f.rate, 102);
	assert_int_equal(f.p50_us, 50000);
	assert_int_equal(f.p95_us, 95000);
	assert_true(f.errors > 0.098 && f.errors < 0.1);
	assert_int_equal(f.last_ms, NOW - 50000);
	assert_int_equal(requests_last_access_ms(r, "a"), NOW - 50000);
	assert_int_equal(f.points[REQUESTS_POINTS - 1], 0);
	assert_int_equal(f.points[REQUESTS_POINTS - 6], 102);
	/* an hour later they are no part of it, but for the last one */
	requests_figures(r, "a", NOW + 3600000, &f);
	assert_int_equal(f.rate, 0);
	assert_int_equal(f.p95_us, 0);
	assert_true(f.errors <= 0);
	for (size_t i = 0; i < REQUESTS_POINTS; i++)
		assert_int_equal(f.points[i], 0);
	assert_int_equal(f.last_ms, NOW - 50000);
	requests_free(r);
}

/* The history moves by one point every ten seconds, and what is older than it is not in it. */
static void
history(void **state)
{
	struct requests *r = requests_new();
	struct requests_figures f;

	(void)state;
	for (int i = 0; i < 2 * REQUESTS_POINTS; i++)
		add(r, "a", NOW - (int64_t)i * REQUESTS_POINT_MS, 200, 1);
	requests_figures(r, "a", NOW, &f);
	for (size_t i = 0; i < REQUESTS_POINTS; i++)
		assert_int_equal(f.points[i], 1);
	requests_figures(r, "a", NOW + 3 * REQUESTS_POINT_MS, &f);
	assert_int_equal(f.points[REQUESTS_POINTS - 3], 0);
	assert_int_equal(f.points[REQUESTS_POINTS - 4], 1);
	assert_int_equal(f.rate, 3);
	/* the clock is put right by a little: nothing is lost */
	requests_figures(r, "a", NOW + 2 * REQUESTS_POINT_MS, &f);
	assert_int_equal(f.points[REQUESTS_POINTS - 4], 1);
	requests_free(r);
}

/* Set back by an hour, it goes on from there. */
static void
a_clock_that_was_set_back(void **state)
{
	const int64_t later = NOW + 3600000;
	const struct request_line line = asked(later, 200, 1, "/p");
	struct requests *r = requests_new();
	struct requests_figures f;

	(void)state;
	requests_add(r, "a", &line, later);
	requests_add(r, "b", &line, later);
	assert_int_equal(requests_last_access_ms(r, "a"), later);
	add(r, "a", NOW, 500, 1);
	requests_figures(r, "a", NOW, &f);
	assert_int_equal(f.rate, 1);
	assert_int_equal(f.points[REQUESTS_POINTS - 1], 1);
	assert_int_equal(f.last_ms, NOW);
	requests_figures(r, "b", NOW, &f);
	assert_int_equal(f.rate, 0);
	assert_int_equal(requests_last_access_ms(r, "b"), NOW);
	requests_free(r);
}

static void
totals_of(void *user, const char *id, const uint64_t classes[REQUESTS_CLASSES])
{
	assert_string_equal(id, "a");
	memcpy(user, classes, REQUESTS_CLASSES * sizeof(classes[0]));
}

static void
totals(void **state)
{
	uint64_t classes[REQUESTS_CLASSES] = {0};
	struct requests *r = requests_new();

	(void)state;
	add(r, "a", NOW, 200, 1);
	add(r, "a", NOW, 0, 1);
	add(r, "a", NOW, 599, 1);
	requests_totals(r, totals_of, classes);
	assert_int_equal(classes[1], 1);
	assert_int_equal(classes[4], 1);
	assert_int_equal(classes[0] + classes[2] + classes[3], 0);
	/* a daemon before us has counted what is older */
	requests_count_from(r, NOW - 1000);
	add(r, "a", NOW - 1001, 200, 1);
	add(r, "a", NOW - 1000, 200, 1);
	requests_totals(r, totals_of, classes);
	assert_int_equal(classes[1], 2);
	requests_free(r);
}

static void
statuses(void **state)
{
	static const char *const bad[] = {
	    "", "6xx", "0xx", "2XX", "2x", "2xxx", "99", "600", "+20", " 20", "20 ", "2000"};
	struct requests_filter f = {0};

	(void)state;
	assert_true(requests_parse_status("5xx", &f));
	assert_int_equal(f.low, 500);
	assert_int_equal(f.high, 599);
	assert_true(requests_parse_status("404", &f));
	assert_int_equal(f.low, 404);
	assert_int_equal(f.high, 404);
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (requests_parse_status(bad[i], &f))
			fail_msg("\"%s\" is taken", bad[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reads_what_caddy_writes),
	    cmocka_unit_test(leaves_out_what_is_no_request),
	    cmocka_unit_test(keeps_the_path_alone),
	    cmocka_unit_test(bounds_everything),
	    cmocka_unit_test(keeps_the_last_of_each),
	    cmocka_unit_test(is_bounded_over_all),
	    cmocka_unit_test(numbers_are_the_same_again),
	    cmocka_unit_test(figures),
	    cmocka_unit_test(history),
	    cmocka_unit_test(a_clock_that_was_set_back),
	    cmocka_unit_test(totals),
	    cmocka_unit_test(statuses),
	};

	return cmocka_run_group_tests_name("requests", tests, NULL, NULL);
}
