/* SPDX-License-Identifier: MIT */
/* Domains, host matchers and URLs. */
#include "unit.h"

#include "model/host.h"

#define LABEL63 "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz0"

static void
domains(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
	    {"dev.localhost", true},
	    {"localhost", true},
	    {"a.b.c.d", true},
	    {"0.a", true},
	    {"x--y.dev", true},
	    {LABEL63 ".dev", true},
	    {"xn--bcher-kva.example", true},
	    {LABEL63 "0.dev", false},
	    {"", false},
	    {".", false},
	    {".dev", false},
	    {"dev.", false},
	    {"a..b", false},
	    {"-a.b", false},
	    {"a-.b", false},
	    {"a.b-", false},
	    {"a.-b", false},
	    {"Dev.localhost", false},
	    {"*.dev", false},
	    {"a b", false},
	    {"a_b.dev", false},
	    {"a/b", false},
	    {"dev:443", false},
	    {"\xc3\xa4.dev", false},
	    {"a\n", false},
	    {"192.168.1.1", false},
	    {"dev.7", false},
	    {"7", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char out[HOST_MAX + 1] = "untouched";
		struct dm_err err;

		if (rows[i].good) {
			assert_ok(domain_parse(rows[i].text, out, &err), &err);
			assert_string_equal(out, rows[i].text);
		} else {
			assert_fails(domain_parse(rows[i].text, out, &err), &err, DM_USAGE,
			    "is not a domain");
			assert_string_equal(out, "untouched");
		}
	}
}

/* The longest domain leaves room for the longest label. */
static void
longest_domain(void **state)
{
	char text[HOST_MAX + 2], out[HOST_MAX + 1], host[HOST_MAX + 1];
	struct slug label;
	struct dm_err err;
	const size_t most = HOST_MAX - SLUG_MAX - 1;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 40 == 39 ? '.' : 'a';
	text[most] = '\0';
	assert_ok(domain_parse(text, out, &err), &err);
	memset(label.s, 'x', SLUG_MAX);
	label.s[SLUG_MAX] = '\0';
	host_join(&label, out, host);
	assert_int_equal(strlen(host), HOST_MAX);
	assert_true(dm_ends_with(host, out));
	text[most] = 'a';
	text[most + 1] = '\0';
	assert_fails(domain_parse(text, out, &err), &err, DM_USAGE, "is not a domain");
}

static void
matchers(void **state)
{
	static const struct {
		const char *pattern, *host;
		bool covers;
	} rows[] = {
	    {"a.dev.localhost", "a.dev.localhost", true},
	    {"A.Dev.LocalHost", "a.dev.localhost", true},
	    {"*.dev.localhost", "a.dev.localhost", true},
	    {"a.*.localhost", "a.dev.localhost", true},
	    {"*.*.*", "a.dev.localhost", true},
	    {"*", "localhost", true},
	    {"*", "a.localhost", false},
	    {"*.dev.localhost", "dev.localhost", false},
	    {"*.dev.localhost", "a.b.dev.localhost", false},
	    {"*.dev.localhost", ".dev.localhost", false},
	    {"a*.dev", "ab.dev", false},
	    {"*a.dev", "ba.dev", false},
	    {"a.dev", "a.devx", false},
	    {"a.devx", "a.dev", false},
	    {"a.dev.", "a.dev", false},
	    {"a.dev", "a.dev.", false},
	    {"a.dev", "b.dev", false},
	    {"ab.dev", "a.dev", false},
	    {"", "a", false},
	    {"a", "", false},
	    {"{env.HOST}", "a.dev", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (host_matches(rows[i].pattern, rows[i].host) != rows[i].covers)
			fail_msg("\"%s\" on \"%s\"", rows[i].pattern, rows[i].host);
	}
}

static void
urls(void **state)
{
	static const struct {
		struct front front;
		const char *url;
	} rows[] = {
	    {{true, 443}, "https://a.dev"},
	    {{true, 8443}, "https://a.dev:8443"},
	    {{true, 80}, "https://a.dev:80"},
	    {{false, 80}, "http://a.dev"},
	    {{false, 443}, "http://a.dev:443"},
	    {{false, 65535}, "http://a.dev:65535"},
	};
	char out[URL_MAX + 1], host[HOST_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		url_make(&rows[i].front, "a.dev", out);
		assert_string_equal(out, rows[i].url);
	}
	memset(host, 'a', HOST_MAX);
	host[HOST_MAX] = '\0';
	url_make(&rows[1].front, host, out);
	assert_true(dm_ends_with(out, ":8443"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(domains),
	    cmocka_unit_test(longest_domain),
	    cmocka_unit_test(matchers),
	    cmocka_unit_test(urls),
	};

	return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
