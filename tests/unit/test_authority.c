/* SPDX-License-Identifier: MIT */
/* The root of the private mesh: made once, kept, replaced with all that it has signed. */
#include "unit.h"

#include "authority.h"
#include "base/fsio.h"
#include "base/log.h"
#include "leaves.h"

#include <fcntl.h>

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

static void
copy(const char *data, const char *from, const char *to)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/pki/authorities/local/%s", data, from);
	DM_AUTO_STR struct dm_str text = dm_str_make(1 << 16);
	struct dm_err err = {.code = DM_OK};

	assert_ok(dm_read_file(path, &text, &err), &err);
	put(data, "pki/authorities/local", to, text.data);
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
	/* what Caddy has made by it, for which any certificate with its key does here */
	copy(data, "root.crt", "intermediate.crt");
	copy(data, "root.key", "intermediate.key");
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &again);
	assert_string_equal(first.fingerprint, again.fingerprint);
	assert_true(has(data, "pki/authorities/local/intermediate.crt"));
	assert_true(has(data, "pki/authorities/local/intermediate.key"));
	put(data, "pki/authorities/local", "intermediate.key", "of another one");
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	assert_false(has(data, "pki/authorities/local/intermediate.crt"));
	assert_false(has(data, "pki/authorities/local/intermediate.key"));
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
	assert_ok(authority_prepare(data, "example.com", &err), &err);
	read_root(data, &then);
	assert_string_equal(then.zone, "example.com");
	assert_string_not_equal(first.fingerprint, then.fingerprint);
	assert_false(has(data, "pki/authorities/local/intermediate.crt"));
}

/* Moved as a whole, there and back. */
static void
a_domain_that_comes_back(void **state)
{
	const char *data = *state;
	struct authority_root first, then;
	struct dm_err err = {.code = DM_OK};

	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &first);
	put(data, "pki/authorities/local", "intermediate.crt", "has expired since");
	assert_ok(authority_prepare(data, "example.com", &err), &err);
	assert_true(has(data, "roots/dev.example.com/root.key"));
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &then);
	assert_string_equal(first.fingerprint, then.fingerprint);
	assert_false(has(data, "pki/authorities/local/intermediate.crt"));
	assert_false(has(data, "roots/dev.example.com"));
	assert_true(has(data, "roots/example.com/root.key"));
}

/* The moments in which a change may end, and what it finds then. */
static void
a_change_that_was_interrupted(void **state)
{
	const char *data = *state;
	DM_AUTO_FREE char *dir = dm_asprintf("%s/pki/authorities/local", data);
	DM_AUTO_FREE char *kept = dm_asprintf("%s/roots/dev.example.com", data);
	DM_AUTO_FREE char *key = dm_asprintf("%s/root.key", kept);
	struct authority_root first, then;
	struct dm_err err = {.code = DM_OK};

	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &first);
	/* the old one is away, and the new one not yet there */
	put(data, "roots", "stray", "");
	assert_int_equal(rename(dir, kept), 0);
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &then);
	assert_string_equal(first.fingerprint, then.fingerprint);
	/* while one was made: its key was there before */
	put(data, "roots/example.com", "root.key", "half");
	assert_ok(authority_prepare(data, "example.com", &err), &err);
	read_root(data, &then);
	assert_string_equal(then.zone, "example.com");
	/* while one was forgotten; and what no interruption leaves, another one's key */
	assert_int_equal(unlink(key), 0);
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &then);
	assert_string_not_equal(first.fingerprint, then.fingerprint);
	assert_ok(authority_prepare(data, "example.com", &err), &err);
	put(data, "roots/dev.example.com", "root.key", "not a key");
	assert_ok(authority_prepare(data, "dev.example.com", &err), &err);
	read_root(data, &first);
	assert_string_not_equal(first.fingerprint, then.fingerprint);
}

/* The one that was unused for longest goes. */
static void
only_some_are_kept(void **state)
{
	const char *data = *state;
	struct dm_err err = {.code = DM_OK};

	for (int i = 0; i < 12; i++) {
		DM_AUTO_FREE char *domain = dm_asprintf("d%d.test", i);
		DM_AUTO_FREE char *before = dm_asprintf("%s/roots/d%d.test", data, i - 1);
		struct timespec then[2] = {{.tv_sec = 1000 - i}, {.tv_sec = 1000 - i}};

		assert_ok(authority_prepare(data, domain, &err), &err);
		if (i > 0)
			assert_int_equal(utimensat(AT_FDCWD, before, then, 0), 0);
	}
	/* each was made to look older than those before it */
	assert_true(has(data, "roots/d0.test/root.key"));
	assert_true(has(data, "roots/d6.test/root.key"));
	assert_true(has(data, "roots/d10.test/root.key"));
	for (int i = 7; i < 10; i++) {
		DM_AUTO_FREE char *name = dm_asprintf("roots/d%d.test", i);

		assert_false(has(data, name));
	}
}

/* Caddy finds none to serve, and a place for its own that it does not remove. */
static void
leaves_make_place(void **state)
{
	const char *data = *state;

	put(data, "certificates/local/wildcard_.dev.example.com", "x.crt", "of yesterday");
	put(data, "certificates/acme/wildcard_.dev.example.com", "x.crt", "by somebody else");
	leaves_prepare(data, "example.com");
	leaves_prepare(data, "example.com");
	assert_false(has(data, "certificates/local/wildcard_.dev.example.com"));
	assert_true(has(data, "certificates/local/wildcard_.example.com/devmesh.txt"));
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
	    cmocka_unit_test_setup_teardown(a_domain_that_comes_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_change_that_was_interrupted, setup, teardown),
	    cmocka_unit_test_setup_teardown(only_some_are_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(leaves_make_place, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_root_without_limits_stays, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_left_over_goes, setup, teardown),
	    cmocka_unit_test_setup_teardown(it_says_why_not, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
