/* SPDX-License-Identifier: MIT */
/* The page for phones: who may see it, what it says, the profile; and QR codes, read by zbarimg. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "base/fsio.h"
#include "base/spawn.h"
#include "mdns.h"
#include "phone_look.h"
#include "phone_text.h"
#include "qr.h"
#include "workers.h"

enum {
	MODULE = 4, /* pixels */
	SIDE_MAX = 128
};

static struct phone_facts
facts_of(const struct authority_root *root)
{
	return (struct phone_facts){.address = "192.168.1.10",
	    .port = 5380,
	    .domain = "dev.example.com",
	    .url = "https://devmesh.dev.example.com:8443",
	    .looked = true,
	    .dns = true,
	    .reachable = true,
	    .ca = root == NULL ? PHONE_CA_PUBLIC : PHONE_CA_PRIVATE,
	    .root = root};
}

static struct authority_root
a_root(void)
{
	struct authority_root root = {.len = 5,
	    .der = {0x30, 0x03, 0x02, 0x01, 0x7f},
	    .fingerprint = "AB:CD",
	    .owner = "devmesh <ada> & \"co\"",
	    .zone = "dev.example.com"};

	for (size_t i = 0; i < sizeof(root.hash); i++)
		root.hash[i] = (unsigned char)(i + 1);
	return root;
}

/* ---- who may ask --------------------------------------------------------------------------- */

static void
hosts(void **state)
{
	static const struct {
		const char *header;
		bool ok;
	} cases[] = {
	    {"192.168.1.10", true},
	    {"192.168.1.10:5380", true},
	    {"dev.example.com:5380", true},
	    {"phone--check.dev.example.com:5380", true},
	    {"a.b.DEV.example.com", true},
	    {"192.168.1.10:80", false},
	    {"192.168.1.10:", false},
	    {"192.168.1.10:5380:1", false},
	    {"192.168.1.1", false},
	    {"192.168.1.100", false},
	    {"127.0.0.1:5380", false},
	    {"localhost:5380", false},
	    {"evil.example", false},
	    {"evildev.example.com", false},
	    {"dev.example.com.evil.example", false},
	    {".dev.example.com", false},
	    {"[::1]:5380", false},
	    {"", false},
	    {":5380", false},
	    {NULL, false},
	};
	struct phone_facts facts = facts_of(NULL);
	char longest[600];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (phone_host_ok(cases[i].header, &facts) != cases[i].ok)
			fail_msg("%s", cases[i].header);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(phone_host_ok(longest, &facts));
}

static void
queries(void **state)
{
	static const struct {
		const char *query, *id;
	} cases[] = {
	    {"id=shop-main", "shop-main"},
	    {"x=1&id=shop", "shop"},
	    {"id=shop&id=other", "shop"},
	    {"", NULL},
	    {"id=", NULL},
	    {"xid=shop", NULL},
	    {"id=Shop", NULL},
	    {"id=shop.evil", NULL},
	    {"id=%73hop", NULL},
	    {"id=<script>", NULL},
	    {"id=phone--check", NULL},
	    {"id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
	    {NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slug id = {.s = ""};

		if (phone_query_id(cases[i].query, &id) != (cases[i].id != NULL))
			fail_msg("%s", cases[i].query);
		if (cases[i].id != NULL)
			assert_string_equal(id.s, cases[i].id);
	}
}

/* ---- what it says -------------------------------------------------------------------------- */

static void
addresses_of_services(void **state)
{
	struct phone_facts facts = facts_of(NULL);
	struct slug id = {.s = "shop-main"};
	char url[URL_MAX + 1];

	(void)state;
	assert_true(phone_open_url(&facts, &id, url));
	assert_string_equal(url, "https://shop-main.dev.example.com:8443");
	facts.url = "http://devmesh.dev.example.com";
	assert_true(phone_open_url(&facts, &id, url));
	assert_string_equal(url, "http://shop-main.dev.example.com");
	assert_true(phone_open_url(&facts, NULL, url));
	assert_string_equal(url, facts.url);
	facts.url = NULL;
	assert_false(phone_open_url(&facts, &id, url));
}

static bool
is_left_out(const char *page, const char *id)
{
	DM_AUTO_FREE char *out = dm_asprintf("id=\"%s\" hidden>", id);
	DM_AUTO_FREE char *in = dm_asprintf("id=\"%s\">", id);

	assert_true((strstr(page, out) != NULL) != (strstr(page, in) != NULL));
	return strstr(page, out) != NULL;
}

static void
pages(void **state)
{
	struct authority_root root = a_root();
	struct phone_facts facts = facts_of(&root);
	struct slug id = {.s = "shop-main"};
	DM_AUTO_FREE char *page = phone_page(&facts, &id), *public = NULL, *no_dns = NULL,
			  *local = NULL;

	(void)state;
	assert_null(strstr(page, "{{"));
	assert_null(strstr(page, "<ada>"));
	assert_non_null(strstr(page, "devmesh &#60;ada&#62; &#38; &#34;co&#34;"));
	assert_non_null(strstr(page, "AB:CD"));
	assert_non_null(strstr(page, "href=\"https://shop-main.dev.example.com:8443\""));
	assert_true(is_left_out(page, "laptop"));
	assert_false(
	    is_left_out(page, "dns") || is_left_out(page, "ca") || is_left_out(page, "done"));
	facts = facts_of(NULL);
	public = phone_page(&facts, NULL);
	assert_true(is_left_out(public, "ca"));
	facts.dns = false;
	no_dns = phone_page(&facts, NULL);
	assert_true(is_left_out(no_dns, "dns") && !is_left_out(no_dns, "laptop"));
	facts.domain = "dev.localhost";
	local = phone_page(&facts, NULL);
	assert_non_null(strstr(local, "localhost, which leads every device to itself"));
}

static void
what_is_in_the_way(void **state)
{
	struct phone_facts facts = facts_of(NULL);

	(void)state;
	assert_null(phone_problem(&facts));
	facts.reachable = false;
	assert_non_null(strstr(phone_problem(&facts), "that computer alone"));
	facts.looked = false;
	assert_null(phone_problem(&facts));
	facts.url = NULL;
	assert_non_null(strstr(phone_problem(&facts), "Caddy"));
}

static void
states(void **state)
{
	struct authority_root root = a_root();
	struct phone_facts facts = facts_of(&root);
	cJSON *o = phone_state(&facts, NULL);
	DM_AUTO_FREE char *text = cJSON_PrintUnformatted(o);
	DM_AUTO_FREE char *policy = phone_policy(&facts);

	(void)state;
	assert_non_null(strstr(text, "\"ca\":\"private\""));
	assert_non_null(
	    strstr(text, "\"name\":\"http://phone--check.dev.example.com:5380/phone/dns-ok\""));
	assert_non_null(strstr(text, "\"tls\":\"https://devmesh.dev.example.com:8443/healthz\""));
	assert_non_null(strstr(text, "\"problem\":null"));
	assert_non_null(strstr(policy, "default-src 'none'"));
	assert_null(strstr(policy, "unsafe"));
	assert_non_null(strstr(policy, " https://devmesh.dev.example.com:8443;"));
	cJSON_Delete(o);
}

/* ---- the profile --------------------------------------------------------------------------- */

/* As Python's plistlib reads it, which is what Apple's readers have in common. */
static void
profile_by_plistlib(void **state)
{
	static const char script[] =
	    "import plistlib, sys\n"
	    "p = plistlib.load(open(sys.argv[1], 'rb'))\n"
	    "c = p['PayloadContent'][0]\n"
	    "print(p['PayloadType'], c['PayloadType'], c['PayloadContent'].hex(),\n"
	    "  p['PayloadUUID'], c['PayloadUUID'], p['PayloadVersion'], c['PayloadVersion'],\n"
	    "  p['PayloadRemovalDisallowed'], c['PayloadDisplayName'])\n";
	struct authority_root root = a_root();
	DM_AUTO_FREE char *dir = temp_dir(), *file = in_dir(dir, "x.mobileconfig");
	DM_AUTO_FREE char *text = phone_profile(&root), *again = phone_profile(&root);
	const char *argv[] = {"python3", "-c", script, file, NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(4096), errout = dm_str_make(4096);
	struct dm_err err = {.code = DM_OK};
	int status = 1;

	(void)state;
	assert_string_equal(text, again); /* installed twice it is one */
	assert_ok(dm_write_file(file, text, strlen(text), 0600, &err), &err);
	assert_ok(dm_run(argv, NULL, 20000, &out, &errout, &status, &err), &err);
	assert_string_equal(out.data,
	    "Configuration com.apple.security.root 300302017f "
	    "01020304-0506-8708-890A-0B0C0D0E0F10 11121314-1516-8718-991A-1B1C1D1E1F20 1 1 False "
	    "devmesh <ada> & \"co\"\n");
	unlink(file);
	rmdir(dir);
}

/* ---- what a worker says -------------------------------------------------------------------- */

static bool
read_look(const char *text, struct phone_found *out)
{
	const struct worker_result result = {.status = 0, .out = text, .len = strlen(text)};

	return phone_look_read(&result, out);
}

static void
looks(void **state)
{
	struct phone_found found;
	DM_AUTO_FREE char *hash = dm_calloc(1, 65), *text = NULL;

	(void)state;
	memset(hash, 'a', 64);
	text = dm_asprintf(
	    "{\"ca\":3,\"dns\":true,\"reachable\":true,\"der\":\"3003\",\"hash\":\"%s\","
	    "\"fingerprint\":\"AA\",\"owner\":\"o\",\"zone\":\"z\"}",
	    hash);
	assert_true(read_look(text, &found));
	assert_int_equal(found.ca, PHONE_CA_PRIVATE);
	assert_int_equal(found.root.len, 2);
	assert_int_equal(found.root.hash[31], 0xaa);
	assert_true(found.dns && found.reachable);
	assert_true(read_look("{\"ca\":2,\"dns\":false}", &found));
	assert_true(found.ca == PHONE_CA_PUBLIC && !found.dns && !found.reachable);
	assert_false(read_look("{\"ca\":3,\"dns\":true}", &found)); /* and no root */
	assert_false(read_look("{\"ca\":9}", &found));
	assert_false(read_look("", &found));
}

/* ---- multicast DNS ------------------------------------------------------------------------- */

static void
lines_of_the_announcer(void **state)
{
	char line[] = "eth0 192.168.1.10 shop-main cart\n", nothing[] = "\n",
	     few[] = "eth0 192.168.1.10";
	char many[MDNS_LINE_MAX] = "eth0 192.168.1.10";
	struct mdns_wish wish;

	(void)state;
	assert_true(mdns_line_parse(line, &wish));
	assert_string_equal(wish.interface, "eth0");
	assert_string_equal(wish.address, "192.168.1.10");
	assert_int_equal(wish.count, 2);
	assert_string_equal(wish.ids[1], "cart");
	assert_false(mdns_line_parse(nothing, &wish));
	assert_int_equal(wish.count, 0);
	assert_false(mdns_line_parse(few, &wish));
	for (size_t i = 0; i < 100; i++)
		memcpy(many + strlen(many), " a-name", sizeof(" a-name"));
	assert_true(mdns_line_parse(many, &wish));
	assert_int_equal(wish.count, MDNS_NAMES_MAX);
}

/* ---- QR codes in a terminal ---------------------------------------------------------------- */

/* The next character of UTF-8 text that has only these. */
static unsigned
next_block(const char **p)
{
	static const char *const blocks[] = {" ", "\u2580", "\u2584", "\u2588"};

	for (unsigned i = 0; i < COUNT(blocks); i++) {
		size_t n = strlen(blocks[i]);

		if (strncmp(*p, blocks[i], n) == 0) {
			*p += n;
			return i;
		}
	}
	fail_msg("neither a blank nor a half block: %.10s", *p);
	return 0;
}

/* The text as a picture (PGM); `drawn` is the grey of what is drawn. */
static size_t
paint(const char *text, int drawn, unsigned char pixels[SIDE_MAX][SIDE_MAX])
{
	size_t x = 0, y = 0, side = 0;

	memset(pixels, 0, SIDE_MAX * SIDE_MAX);
	for (const char *p = text; *p != '\0';) {
		if (*p == '\033') {
			p = strchr(p, 'm') + 1;
		} else if (*p == '\n') {
			side = x;
			x = 0;
			y += 2;
			p++;
		} else {
			unsigned block = next_block(&p);

			pixels[y][x] = (unsigned char)((block & 1) != 0 ? drawn : 255 - drawn);
			pixels[y + 1][x++] =
			    (unsigned char)((block & 2) != 0 ? drawn : 255 - drawn);
		}
		assert_true(x < SIDE_MAX && y + 1 < SIDE_MAX);
	}
	return side;
}

static void
assert_reads(const char *blocks, int drawn, const char *want)
{
	unsigned char pixels[SIDE_MAX][SIDE_MAX];
	size_t side = paint(blocks, drawn, pixels);
	DM_AUTO_FREE char *dir = temp_dir(), *file = in_dir(dir, "code.pgm");
	const char *argv[] = {"zbarimg", "-q", "--raw", file, NULL};
	DM_AUTO_STR struct dm_str picture = dm_str_make(1 << 20), out = dm_str_make(4096),
				  errout = dm_str_make(4096);
	struct dm_err err = {.code = DM_OK};
	int status = 1;

	(void)dm_str_addf(&picture, "P5 %zu %zu 255\n", side * MODULE, side * MODULE);
	for (size_t y = 0; y < side * MODULE; y++) {
		for (size_t x = 0; x < side * MODULE; x++)
			(void)dm_str_add(&picture, &pixels[y / MODULE][x / MODULE], 1);
	}
	assert_ok(dm_write_file(file, picture.data, picture.len, 0600, &err), &err);
	assert_ok(dm_run(argv, NULL, 20000, &out, &errout, &status, &err), &err);
	out.data[strcspn(out.data, "\n")] = '\0';
	assert_string_equal(out.data, want);
	unlink(file);
	rmdir(dir);
}

static void
codes_are_read(void **state)
{
	static const char *const texts[] = {"https://a.dev.test",
	    "http://192.168.178.100:5380/phone?id=shop-feature-auth-rework-2",
	    "https://a-very-long-name-that-goes-up-to-the-limit-of-48ch.dev.example.com:8443"};
	struct dm_err err = {.code = DM_OK};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		DM_AUTO_FREE char *coloured = qr_blocks(texts[i], true, false, &err);
		DM_AUTO_FREE char *plain = qr_blocks(texts[i], false, false, &err);
		DM_AUTO_FREE char *inverted = qr_blocks(texts[i], false, true, &err);

		/* black on white; light on a dark terminal; dark on a light one */
		assert_reads(coloured, 0, texts[i]);
		assert_reads(plain, 255, texts[i]);
		assert_reads(inverted, 0, texts[i]);
		assert_null(strchr(plain, '\033'));
	}
}

static void
codes_have_a_quiet_zone(void **state)
{
	struct dm_err err = {.code = DM_OK};
	DM_AUTO_FREE char *plain = qr_blocks("https://a.dev.test", false, false, &err);
	unsigned char pixels[SIDE_MAX][SIDE_MAX];
	size_t side = paint(plain, 255, pixels);
	char longest[4096];

	(void)state;
	for (size_t i = 0; i < side; i++) {
		for (size_t k = 0; k < 4; k++) {
			assert_int_equal(pixels[i][k], 255);
			assert_int_equal(pixels[k][i], 255);
			assert_int_equal(pixels[side - 1 - k][i], 255);
			assert_int_equal(pixels[i][side - 1 - k], 255);
		}
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(qr_blocks(longest, true, false, &err));
	assert_int_equal(err.code, DM_FAILED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hosts),
	    cmocka_unit_test(queries),
	    cmocka_unit_test(addresses_of_services),
	    cmocka_unit_test(pages),
	    cmocka_unit_test(what_is_in_the_way),
	    cmocka_unit_test(states),
	    cmocka_unit_test(profile_by_plistlib),
	    cmocka_unit_test(looks),
	    cmocka_unit_test(lines_of_the_announcer),
	    cmocka_unit_test(codes_are_read),
	    cmocka_unit_test(codes_have_a_quiet_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
