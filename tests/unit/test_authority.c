/* SPDX-License-Identifier: MIT */
/* The root of the private mesh: made once, kept, replaced with all that it has signed. */
#include "unit.h"

#include "authority.h"
#include "base/fsio.h"
#include "base/log.h"

/* Made by openssl req -x509: no limit to its names. Its fingerprint is what openssl says. */
static const char foreign[] = "-----BEGIN CERTIFICATE-----\n"
			      "MIIBiDCCAS+gAwIBAgIUMU2J8Bg1kXupfSrMP2dbEyeWxcowCgYIKoZIzj0EAwIw\n"
			      "GTEXMBUGA1UEAwwOc29tZWJvZHkncyBvd24wIBcNMjYxMTI4MTA1ODI4WhgPMjEw\n"
			      "OTAxMTcxMDU4MjhaMBkxFzAVBgNVBAMMDnNvbWVib2R5J3Mgb3duMFkwEwYHKoZI\n"
			      "zj0CAQYIKoZIzj0DAQcDQgAENPRkqQkdYof/s9+i/ZcBs6C3XhRTDMklq4uhqwuC\n"
			      "2t1sZHt/WPDxFKRyrsYDk7w56JMg+ByZtYZBnfHkrlxw7qNTMFEwHQYDVR0OBBYE\n"
			      "FO9BOscYl1didLKe8i1NioT8LbCBMB8GA1UdIwQYMBaAFO9BOscYl1didLKe8i1N\n"
			      "ioT8LbCBMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgX7K9GOXa\n"
			      "rfGAPE3A7lcheF5gNKcavtt6nABCQYPTqxwCICRee2xsJ+Ebmrx8hV7Tr5Pj7/Qf\n"
			      "S3HE9ARfyXSNXjDU\n"
			      "-----END CERTIFICATE-----\n";
#define FOREIGN_FINGERPRINT \
	"6F:ED:EE:E4:44:D4:E9:48:C3:3E:48:50:83:C2:FC:DF:" \
	"8D:F4:F7:70:C1:18:F0:03:2F:DD:19:BA:48:97:89:C9"

static int
setup(void **state)
{
	dm_log_level(DM_LOG_QUIET);
	*state = temp_dir();
	return 0;
}

static int
teardown(void **state)
{
	remove_tree(*state);
	return 0;
}

static void
read_root(const char *data, struct authority_root *out)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/pki/authorities/local/root.crt", data);
	DM_AUTO_STR struct dm_str pem = dm_str_make(1 << 16);
	struct dm_err err = {.code = DM_OK};

	assert_ok(dm_read_file(path, &pem, &err), &err);
	assert_ok(authority_read(pem.data, pem.len, out, &err), &err);
}

static void
put(const char *data, const char *dir, const char *name, const char *text)
{
	DM_AUTO_FREE char *d = dm_asprintf("%s/%s", data, dir);
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", d, name);
	struct dm_err err = {.code = DM_OK};

	assert_ok(dm_make_dirs(d, 0700, &err), &err);
	assert_ok(dm_write_file(path, text, strlen(text), 0600, &err), &err);
}

static bool
has(const char *data, const char *name)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", data, name);

	return access(path, F_OK) == 0;
}

static void
made_once(void **state)
{
	const char *data = *state;
	DM_AUTO_FREE char *key = dm_asprintf("%s/pki/authorities/local/root.key", data);
	struct authority_root first, again;
	struct dm_err err = {.code = DM_OK};
	struct stat st;

	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &first);
	assert_string_equal(first.zone, "dev.example.com");
	assert_in_range(first.days_left, 3640, 3650);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	put(data, "pki/authorities/local", "intermediate.crt", "signed by it");
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &again);
	assert_string_equal(first.fingerprint, again.fingerprint);
	assert_true(has(data, "pki/authorities/local/intermediate.crt"));
}

static void
another_domain_another_root(void **state)
{
	const char *data = *state;
	struct authority_root first, then;
	struct dm_err err = {.code = DM_OK};

	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &first);
	put(data, "pki/authorities/local", "intermediate.crt", "signed by it");
	put(data, "certificates/local/wildcard_.dev.example.com", "x.crt", "signed by that");
	put(data, "certificates/acme/wildcard_.dev.example.com", "x.crt", "by somebody else");
	assert_ok(authority_prepare(data, "example.com", &err), &err);
	read_root(data, &then);
	assert_string_equal(then.zone, "example.com");
	assert_string_not_equal(first.fingerprint, then.fingerprint);
	assert_false(has(data, "pki/authorities/local/intermediate.crt"));
	assert_false(has(data, "certificates/local"));
	assert_true(has(data, "certificates/acme/wildcard_.dev.example.com/x.crt"));
}

/* What Caddy had made by itself is trusted somewhere already. */
static void
a_root_without_limits_stays(void **state)
{
	const char *data = *state;
	struct authority_root root;
	struct dm_err err = {.code = DM_OK};

	put(data, "pki/authorities/local", "root.crt", foreign);
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &root);
	assert_string_equal(root.fingerprint, FOREIGN_FINGERPRINT);
	assert_string_equal(root.zone, "");
	put(data, "pki/authorities/local", "root.crt", "not a certificate");
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	assert_false(has(data, "pki/authorities/local/root.key"));
}

static void
what_is_left_over_goes(void **state)
{
	const char *data = *state;
	struct authority_root root;
	struct dm_err err = {.code = DM_OK};

	/* a root without its certificate, as a crash leaves it */
	put(data, "pki/authorities/local", "root.key", "half");
	put(data, "pki/authorities/local", "intermediate.crt", "signed by another");
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &root);
	assert_false(has(data, "pki/authorities/local/intermediate.crt"));
}

static void
it_says_why_not(void **state)
{
	DM_AUTO_FREE char *data = dm_asprintf("%s/file/below", (char *)*state);
	struct authority_root root;
	struct dm_err err = {.code = DM_OK};

	put(*state, ".", "file", "in the way");
	assert_false(authority_prepare(data, "dev.example.com", &err));
	assert_non_null(strstr(err.msg, "dev.example.com"));
	assert_false(authority_read("", 0, &root, &err));
	assert_false(authority_read(foreign, 100, &root, &err));
	assert_false(authority_read(foreign, 1 << 20, &root, &err));
	assert_ok(authority_read(foreign, sizeof(foreign) - 1, &root, &err), &err);
	assert_int_equal(root.der[0], 0x30);
	assert_int_equal(root.len, 396);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(made_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(another_domain_another_root, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_root_without_limits_stays, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_left_over_goes, setup, teardown),
	    cmocka_unit_test_setup_teardown(it_says_why_not, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
