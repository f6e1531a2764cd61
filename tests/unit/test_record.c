/* SPDX-License-Identifier: MIT */
/* The public DNS record: which address, whose token, how much patience. */
#include "unit.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <sys/socket.h>

#include "record.h"
#include "record_keeper.h"

static struct lan_state
network(bool enabled, const char *address)
{
	struct lan_state n = {
	    .enabled = enabled, .has_address = address != NULL, .lack = "nothing"};

	if (address != NULL) {
		n.lack = NULL;
		assert_int_equal(inet_pton(AF_INET, address, n.address.address.bytes), 1);
	}
	return n;
}

static void
which_addresses_are_published(void **state)
{
	static const struct {
		const char *address;
		bool privately, publicly;
	} rows[] = {
	    {"10.0.0.1", true, true},
	    {"10.255.255.255", true, true},
	    {"172.16.0.1", true, true},
	    {"172.31.255.1", true, true},
	    {"172.32.0.1", false, true},
	    {"172.15.0.1", false, true},
	    {"192.168.0.1", true, true},
	    {"192.169.0.1", false, true},
	    {"100.64.0.1", true, true},
	    {"100.127.0.1", true, true},
	    {"100.128.0.1", false, true},
	    {"8.8.8.8", false, true},
	    {"169.254.1.1", false, false},
	    {"127.0.0.2", false, false},
	    {"0.1.2.3", false, false},
	    {"224.0.0.1", false, false},
	    {"255.255.255.255", false, false},
	};
	struct conf *conf = conf_new();
	struct lan_state n;
	struct dns_address got;
	char text[DNS_ADDRESS_TEXT];
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		n = network(true, rows[i].address);
		conf->record_allow_public = false;
		if (record_address(conf, &n, &got, &err) != rows[i].privately)
			fail_msg("%s", rows[i].address);
		conf->record_allow_public = true;
		if (record_address(conf, &n, &got, &err) != rows[i].publicly)
			fail_msg("%s, public", rows[i].address);
		if (!rows[i].publicly)
			assert_int_equal(err.code, DM_DENIED);
	}
	n = network(false, "192.168.1.10");
	assert_ok(record_address(conf, &n, &got, &err), &err);
	dns_address_text(&got, text);
	assert_string_equal(text, "127.0.0.1");
	n = network(true, NULL);
	assert_fails(record_address(conf, &n, &got, &err), &err, DM_NOT_FOUND, "nothing");
	conf_free(conf);
}

static void
tokens_are_one_word(void **state)
{
	static const struct {
		const char *text, *token; /* NULL: none */
	} rows[] = {
	    {"abc", "abc"},
	    {"abc\n", "abc"},
	    {" \tabc-._~+/=\r\n\n", "abc-._~+/="},
	    {"", NULL},
	    {"\n", NULL},
	    {"a b", NULL},
	    {"a\nb", NULL},
	    {"a:b", NULL},
	    {"a\r\nX: y", NULL},
	    {"\xc3\xa4", NULL},
	};
	char *dir = temp_dir();
	DM_AUTO_FREE char *path = dm_asprintf("%s/token", dir), *long_one = dm_calloc(1, 4097);
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *got = NULL;

		assert_ok(
		    dm_write_file(path, rows[i].text, strlen(rows[i].text), 0600, &err), &err);
		got = record_token(path, &err);
		if (!dm_same_text(got, rows[i].token))
			fail_msg("\"%s\": %s", rows[i].text, got == NULL ? "none" : got);
	}
	memset(long_one, 'a', 4096);
	assert_ok(dm_write_file(path, long_one, 4096, 0600, &err), &err);
	assert_fails(record_token(path, &err) != NULL, &err, DM_USAGE, "holds no token");
	assert_int_equal(chmod(path, 0604), 0);
	assert_fails(record_token(path, &err) != NULL, &err, DM_DENIED, "can be read by others");
	assert_fails(record_token(dir, &err) != NULL, &err, DM_DENIED, "no regular file");
	remove_tree(dir);
}

static void
what_is_wrong_is_told_before_anybody_is_asked(void **state)
{
	static const struct {
		const char *text, *word;
	} rows[] = {
	    {"", "record.provider is none"},
	    {"[record]\nprovider = cloudflare\n", "mesh.domain has to be"},
	    {"[record]\nprovider = cloudflare\n[mesh]\ndomain = dev.localhost\n", "mesh.domain"},
	    {"[record]\nprovider = cloudflare\n[mesh]\ndomain = dev.example.com\n",
		"record.token_file is not set"},
	    {"[record]\nprovider = cloudflare\ntoken_file = /x\nzone = ample.com\n"
	     "[mesh]\ndomain = dev.example.com\n",
		"dev.example.com is not below ample.com"},
	};
	struct lan_state n = network(true, "10.0.0.1");
	struct record record;
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct conf *conf = conf_new();
		struct cJSON *o;

		assert_ok(
		    conf_parse_text(conf, rows[i].text, strlen(rows[i].text), "test", &err), &err);
		assert_fails(
		    record_keep(conf, &n, true, &record, &err), &err, DM_USAGE, rows[i].word);
		o = record_json(conf, &record, &err);
		assert_true(cJSON_IsNull(cJSON_GetObjectItem(o, "action")));
		assert_holds(cJSON_GetStringValue(cJSON_GetObjectItem(o, "problem")), rows[i].word);
		cJSON_Delete(o);
		conf_free(conf);
	}
}

static void
patience_grows_and_is_bounded(void **state)
{
	int64_t last = 0;

	(void)state;
	assert_int_equal(record_keeper_patience(1, false, 0), 5);
	assert_int_equal(record_keeper_patience(2, false, 0), 10);
	for (unsigned i = 1; i < 100; i++) {
		int64_t now = record_keeper_patience(i, false, 0);

		assert_true(now >= last && now <= 3600);
		last = now;
	}
	assert_int_equal(last, 3600);
	assert_int_equal(record_keeper_patience(UINT32_MAX, false, 0), 3600);
	assert_int_equal(record_keeper_patience(1, true, 0), 3600);
	/* as the provider wishes, within reason */
	assert_int_equal(record_keeper_patience(1, false, 120), 120);
	assert_int_equal(record_keeper_patience(1, false, 1), 5);
	assert_int_equal(record_keeper_patience(1, true, 7200), 7200);
	assert_int_equal(record_keeper_patience(1, false, UINT32_MAX), 86400);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(which_addresses_are_published),
	    cmocka_unit_test(tokens_are_one_word),
	    cmocka_unit_test(what_is_wrong_is_told_before_anybody_is_asked),
	    cmocka_unit_test(patience_grows_and_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
