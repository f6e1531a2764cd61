/* SPDX-License-Identifier: MIT */
/* The page as the server makes it, and what it loads: whatever is in a name is only ever text. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "page.h"
#include "qr.h"
#include "web.h"

static void
destroy(cJSON **json)
{
	cJSON_Delete(*json);
}

#define AUTO_JSON __attribute__((cleanup(destroy)))

static char *
render(const char *state)
{
	AUTO_JSON cJSON *in = cJSON_Parse(state);
	char *page;

	assert_non_null(in);
	page = page_render(in, "5eed");
	assert_non_null(page);
	return page;
}

static size_t
count(const char *text, const char *part)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
		n++;
	return n;
}

/* They come in this order. */
static void
assert_order(const char *text, const char *const parts[])
{
	for (size_t i = 0; parts[i] != NULL; i++) {
		const char *at = strstr(text, parts[i]);

		if (at == NULL)
			fail_msg("no \"%s\" (or not there) in: %s", parts[i], text);
		text = at + strlen(parts[i]);
	}
}

static void
services_by_repository(void **state)
{
	static const char *const order[] = {"1 of 3 services up",
	    "<th colspan=\"8\" scope=\"rowgroup\"><bdi>blog<", "data-id=\"blog-main\"",
	    "<bdi>shop<", "data-id=\"shop-auth\"", "data-state=\"up\"", "<bdi>x · feature/auth<",
	    "href=\"https://shop-auth.dev.test\"", "<bdi>/src/auth<", "<bdi>node<",
	    "datetime=\"2026-11-28T00:00:00Z\"", "data-id=\"shop-main\"", NULL};
	DM_AUTO_FREE char *page = render(
	    "{\"node\":{\"domain\":\"dev.test\"},\"caddy\":{\"state\":\"up\"},\"services\":["
	    "{\"id\":\"shop-main\",\"app\":\"shop\",\"state\":\"stale\",\"worktree\":\"/src/"
	    "shop\"},"
	    "{\"id\":\"blog-main\",\"app\":\"blog\",\"state\":\"down\",\"worktree\":\"/src/blog\"},"
	    "{\"id\":\"shop-auth\",\"app\":\"x\",\"state\":\"up\",\"branch\":\"feature/auth\","
	    "\"url\":\"https://shop-auth.dev.test\",\"worktree\":\"/src/"
	    "auth\",\"command\":\"node\","
	    "\"since\":1795824000}],\"worktrees\":["
	    "{\"path\":\"/src/shop\",\"repo\":\"/src/shop/.git\",\"branch\":\"main\"},"
	    "{\"path\":\"/src/auth\",\"repo\":\"/src/shop/.git\",\"branch\":\"feature/auth\"}]}");

	(void)state;
	assert_order(page, order);
	assert_int_equal(count(page, "<tbody"), count(page, "</tbody>"));
	assert_null(strstr(page, "{{"));
}

static void
nothing_at_all(void **state)
{
	static const char *const odd[] = {"{}", "[]", "{\"services\":null,\"node\":[]}",
	    "{\"services\":[{}],\"found\":[{}],\"worktrees\":[{}]}",
	    "{\"services\":[null,1,\"x\"],\"worktrees\":{\"a\":1}}",
	    "{\"services\":[{\"since\":1e300},{\"since\":-1},{\"since\":\"x\"}]}"};

	(void)state;
	for (size_t i = 0; i < COUNT(odd); i++) {
		DM_AUTO_FREE char *page = render(odd[i]);

		assert_int_equal(count(page, "<tbody"), count(page, "</tbody>"));
		assert_non_null(strstr(page, "</html>"));
	}
}

#define EVIL "\\\"'><img src=x onerror=alert(1)>&{{services}}"

static void
names_are_text(void **state)
{
	DM_AUTO_FREE char *page = render(
	    "{\"node\":{\"domain\":\"" EVIL "\"},\"caddy\":{\"state\":\"" EVIL "\"},\"services\":["
	    "{\"id\":\"" EVIL "\",\"app\":\"" EVIL "\",\"state\":\"" EVIL "\",\"branch\":\"" EVIL
	    "\",\"url\":\"https://" EVIL "\",\"worktree\":\"" EVIL "\",\"command\":\"" EVIL "\"}],"
	    "\"found\":[{\"command\":\"" EVIL "\",\"socket\":\"" EVIL "\",\"cwd\":\"" EVIL "\"}],"
	    "\"worktrees\":[{\"path\":\"" EVIL "\",\"repo\":\"" EVIL "\",\"branch\":\"" EVIL
	    "\"}]}");
	DM_AUTO_FREE char *empty = render("{}");

	(void)state;
	assert_null(strstr(page, "<img"));
	assert_null(strstr(page, "\"'>"));
	assert_true(
	    count(page, "&quot;'&gt;&lt;img src=x onerror=alert(1)&gt;&amp;{{services}}") > 10);
	/* and none of them is filled in again */
	assert_int_equal(count(page, "<table"), count(empty, "<table"));
}

static void
only_web_addresses_are_links(void **state)
{
	DM_AUTO_FREE char *page =
	    render("{\"services\":[{\"id\":\"a\",\"url\":\"javascript:alert(1)\"},{\"id\":\"b\","
		   "\"url\":\"HTTPS://x\"},{\"id\":\"c\",\"url\":null}]}");

	(void)state;
	assert_null(strstr(page, "javascript:"));
	assert_null(strstr(page, "HTTPS:"));
}

/* ---- what it loads ------------------------------------------------------------------------- */

/* Whether one of the files that opening the page loads imports it when it starts. */
static bool
is_imported(const char *name, const bool loads[])
{
	char imported[80];

	assert_true(dm_snprintf(imported, sizeof(imported), "from './%s'", name));
	for (size_t i = 0; web_files[i].name != NULL; i++) {
		if (loads[i] && strstr((const char *)web_files[i].data, imported) != NULL)
			return true;
	}
	return false;
}

/* Which files opening the page loads: what index.html names or is filled in with, and what that
 * imports, and so on. */
static void
find_first_files(bool loads[], size_t count)
{
	const char *index = (const char *)web_find("index.html")->data;
	bool more = true;

	for (size_t i = 0; i < count; i++) {
		char asked[80];

		assert_true(dm_snprintf(asked, sizeof(asked), "/web/%s\"", web_files[i].name));
		loads[i] = strcmp(web_files[i].name, "index.html") == 0 ||
			   strcmp(web_files[i].name, "app.css") == 0 ||
			   strstr(index, asked) != NULL;
	}
	while (more) {
		more = false;
		for (size_t i = 0; i < count; i++) {
			if (!loads[i] && is_imported(web_files[i].name, loads))
				loads[i] = more = true;
		}
	}
}

/* Scripts are asked for all at once, not as one after the other is read. */
static bool
is_named_early(const char *name)
{
	char link[80];

	assert_true(
	    dm_snprintf(link, sizeof(link), "rel=\"modulepreload\" href=\"/web/%s\"", name));
	return !dm_ends_with(name, ".js") || strcmp(name, "app.js") == 0 ||
	       strstr((const char *)web_find("index.html")->data, link) != NULL;
}

/* The style sheet is in the page, behind the nonce that lets it in. */
static void
style_is_in_the_page(void **state)
{
	char *page = render("{}");
	const char *style = strstr(page, "<style nonce=\"5eed\">");
	const struct web_file *css = web_find("app.css");

	(void)state;
	assert_non_null(style);
	assert_memory_equal(
	    style + strlen("<style nonce=\"5eed\">"), (const char *)css->data, css->len);
	assert_null(strstr((const char *)css->data, "<"));
	assert_int_equal(count(page, "5eed"), 1);
	free(page);
}

static void
files_are_small_and_know_each_other(void **state)
{
	size_t all = 0, first = 0, gzipped = 0, phone = 0, n = 0;
	bool loads[64];

	(void)state;
	while (web_files[n].name != NULL)
		n++;
	assert_true(n < COUNT(loads));
	find_first_files(loads, n);
	for (const struct web_file *f = web_files; f->name != NULL; f++) {
		const char *text = (const char *)f->data;

		assert_ptr_equal(web_find(f->name), f);
		assert_string_not_equal(web_type(f), "application/octet-stream");
		assert_true(f->etag[0] == '"' && f->gzip_etag[0] == '"');
		assert_string_not_equal(f->etag, f->gzip_etag);
		assert_memory_equal(f->gzip, "\x1f\x8b\x08", 3);
		/* RFC 1952 §2.3.1: the length, at its end */
		assert_int_equal(
		    f->gzip[f->gzip_len - 4] | f->gzip[f->gzip_len - 3] << 8, f->len & 0xffff);
		/* a page of its own, which the dashboard does not load */
		if (dm_starts_with(f->name, "phone.")) {
			phone += f->len;
			continue;
		}
		all += f->len;
		if (loads[f - web_files]) {
			assert_true(is_named_early(f->name));
			first += f->len;
			gzipped += f->gzip_len;
		}
		/* the generated arrays end in NUL */
		for (const char *p = text; (p = strstr(p, "from './")) != NULL; p += 8) {
			char name[64];

			assert_true(dm_snprintf(
			    name, sizeof(name), "%.*s", (int)strcspn(p + 8, "'"), p + 8));
			assert_non_null(web_find(name));
		}
		if (!dm_ends_with(f->name, ".svg")) {
			/* the name of a language, which nobody asks for */
			assert_int_equal(
			    count(text, "http://"), count(text, "http://www.w3.org/2000/svg"));
			assert_null(strstr(text, "https://"));
		}
		assert_null(strstr(text, "innerHTML"));
		assert_null(strstr(text, "style=\""));
	}
	assert_in_range(first, 30 * 1000, 60 * 1000);
	assert_in_range(all, first + 1, 100 * 1024);
	assert_in_range(phone, 1, 12 * 1024);
	assert_in_range(gzipped, 1, 25 * 1000);
	assert_null(web_find(""));
	assert_null(web_find("../app.js"));
}

/* ---- QR codes ------------------------------------------------------------------------------ */

static void
qr_is_one_path(void **state)
{
	struct dm_err err;
	char longest[4096];
	DM_AUTO_FREE char *svg = qr_svg("https://shop-feature-auth.dev.example.com", &err);

	(void)state;
	assert_non_null(svg);
	/* version 3 has 29 modules (ISO/IEC 18004), and a quiet zone of 4 on each side */
	assert_non_null(strstr(svg, "viewBox=\"0 0 37 37\""));
	assert_int_equal(count(svg, "<path"), 2);
	assert_true(strlen(svg) < 6000);
	/* the finder pattern in the corner: seven dark modules */
	assert_non_null(strstr(svg, "M4 4h7v1h-7z"));
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(qr_svg(longest, &err));
	assert_int_equal(err.code, DM_FAILED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(services_by_repository),
	    cmocka_unit_test(nothing_at_all),
	    cmocka_unit_test(names_are_text),
	    cmocka_unit_test(only_web_addresses_are_links),
	    cmocka_unit_test(style_is_in_the_page),
	    cmocka_unit_test(files_are_small_and_know_each_other),
	    cmocka_unit_test(qr_is_one_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
