/* SPDX-License-Identifier: MIT */
/*
 * The CA of the private mesh as others see it: the real Caddy signs by it, curl and openssl believe
 * it, and what it would sign for other names is believed by nobody.
 */
#include "harness_net.h"

#include <sys/stat.h>

static int
mesh_of(struct world *w, const char *domain)
{
	world_env(w, "DEVMESH_MESH_DOMAIN", domain);
	return private_mesh_as_set(w);
}

static const char *
shell(struct world *w, const char *command)
{
	return run_ok(w, NULL, ARGV("sh", "-c", command)).out;
}

static char *
file_of(struct world *w, const char *name)
{
	return fmt(w, "%s/data/pki/authorities/local/%s", w->state, name);
}

/* What openssl says of a leaf for these names, signed by the root or by Caddy's intermediate. */
static const char *
verdict(struct world *w, const char *signer, const char *names)
{
	char *dir = fmt(w, "%s/leaf", w->dir);

	return shell(
	    w, fmt(w,
		   "mkdir -p %s && cd %s && printf 'subjectAltName=%s\\n' >ext && "
		   "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k "
		   "-subj /CN=x -out csr 2>/dev/null && "
		   "openssl x509 -req -in csr -CA %s -CAkey %s -set_serial 7 -days 1 -extfile ext "
		   "-out crt 2>/dev/null && "
		   "openssl verify -CAfile %s -untrusted %s crt 2>&1 || true",
		   dir, dir, names, file_of(w, fmt(w, "%s.crt", signer)),
		   file_of(w, fmt(w, "%s.key", signer)), w->ca, file_of(w, "intermediate.crt")));
}

TEST(it_is_worth_nothing_outside_its_domain)
{
	static const char *const signers[] = {"root", "intermediate"};
	int port = mesh_of(w, "dev.example.com");
	struct reply r = fetch(w, fmt(w, "https://x.dev.example.com:%d/", port), NULL);

	assert_int_equal(r.status, 503); /* and its certificate was checked */
	for (int i = 0; i < 2; i++) {
		assert_non_null(strstr(verdict(w, signers[i], "DNS:x.dev.example.com"), ": OK"));
		assert_non_null(strstr(verdict(w, signers[i], "DNS:*.dev.example.com"), ": OK"));
		assert_non_null(
		    strstr(verdict(w, signers[i], "DNS:www.example.com"), "permitted subtree"));
		assert_non_null(
		    strstr(verdict(w, signers[i], "DNS:x.dev.example.com,DNS:xdev.example.com"),
			"permitted subtree"));
		assert_non_null(strstr(
		    verdict(w, signers[i], "DNS:x.dev.example.com,IP:192.168.1.10"), "excluded"));
		assert_non_null(strstr(verdict(w, signers[i], "IP:fe80::1"), "excluded"));
	}
}

TEST(its_key_is_the_users_alone)
{
	struct stat st;

	(void)mesh_of(w, "dev.example.com");
	assert_int_equal(stat(file_of(w, "root.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(file_of(w, ""), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_non_null(strstr(shell(w, fmt(w, "openssl x509 -noout -text -in %s", w->ca)),
	    "Name Constraints: critical"));
}

/* Restarted, it is the same one; for another domain it is another one, and that is said. */
TEST(another_domain_gets_another_root)
{
	int port = mesh_of(w, "dev.example.com");
	char *first = read_text(w, w->ca);
	struct result r;

	assert_int_equal(fetch(w, fmt(w, "https://x.dev.example.com:%d/", port), NULL).status, 503);
	assert_exit(w, DM(w, NULL, "stop"), 0);
	r = DM(w, NULL, "start");
	assert_exit(w, r, 0);
	assert_null(strstr(r.err, "another one"));
	assert_string_equal(read_text(w, w->ca), first);
	assert_exit(w, DM(w, NULL, "stop"), 0);
	world_env(w, "DEVMESH_MESH_DOMAIN", "other.test");
	r = DM(w, NULL, "start");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.err, "dev.example.com"));
	assert_non_null(strstr(r.err, "devmesh trust"));
	assert_string_not_equal(read_text(w, w->ca), first);
	assert_int_equal(fetch(w, fmt(w, "https://x.other.test:%d/", port), NULL).status, 503);
}

/* A mesh from before: its root is trusted by browsers already. */
TEST(a_root_of_caddys_own_is_kept)
{
	char *dir = file_of(w, ""), *made;
	int port;

	(void)shell(
	    w, fmt(w,
		   "mkdir -p -m 700 %s && openssl req -x509 -newkey ec -pkeyopt "
		   "ec_paramgen_curve:P-256 -nodes -keyout %s/root.key -out %s/root.crt -days 90 "
		   "-subj '/CN=Caddy Local Authority' -addext "
		   "basicConstraints=critical,CA:TRUE,pathlen:1 2>/dev/null",
		   dir, dir, dir));
	made = read_text(w, file_of(w, "root.crt"));
	port = mesh_of(w, "dev.example.com");
	assert_string_equal(read_text(w, w->ca), made);
	assert_int_equal(fetch(w, fmt(w, "https://x.dev.example.com:%d/", port), NULL).status, 503);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(it_is_worth_nothing_outside_its_domain),
	    WORLD_TEST(its_key_is_the_users_alone),
	    WORLD_TEST(another_domain_gets_another_root),
	    WORLD_TEST(a_root_of_caddys_own_is_kept),
	};

	return RUN_TESTS(tests);
}
