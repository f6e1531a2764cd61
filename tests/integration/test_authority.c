/* SPDX-License-Identifier: MIT */
/*
 * The CA of the private mesh as others see it: the real Caddy signs by it, curl and openssl believe
 * it, and what it would sign for other names is believed by nobody.
 */
#include "harness_net.h"

#include <sys/stat.h>
#include <unistd.h>

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

/* The same mesh, of another domain; what its start said. */
static const char *
move_to(struct world *w, const char *domain)
{
	struct result r;

	assert_exit(w, DM(w, NULL, "stop"), 0);
	world_env(w, "DEVMESH_MESH_DOMAIN", domain);
	r = DM(w, NULL, "start");
	assert_exit(w, r, 0);
	return r.err;
}

static const char *
kept(struct world *w, const char *name)
{
	return fmt(w, "%s/data/roots/%s", w->state, name);
}

static int
count_kept(struct world *w)
{
	return count_files(kept(w, ""), "") - 2; /* "." and ".." */
}

static const char *
leaf_of(struct world *w, const char *domain)
{
	return fmt(w, "%s/data/certificates/local/wildcard_.%s", w->state, domain);
}

/* A root of that name constraint, and an intermediate's remains, instead of what is there. */
static void
put_root(struct world *w, const char *dir, const char *zone, int days)
{
	(void)shell(w,
	    fmt(w,
		"cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
		"-keyout root.key -out root.crt -days %d -subj /CN=x -addext "
		"nameConstraints=critical,permitted\\;DNS:%s 2>/dev/null && rm -f intermediate.*",
		dir, days, zone));
}

/* What trusts the root of a domain still does when that domain comes back. */
TEST(a_domain_that_comes_back_has_its_root)
{
	static const char *const domains[] = {"dev.example.com", "other.test"};
	int port = mesh_of(w, domains[0]);
	const char *roots[2], *said, *leaf;
	struct stat st;

	roots[0] = read_text(w, w->ca);
	(void)move_to(w, domains[1]);
	roots[1] = read_text(w, w->ca);
	assert_string_not_equal(roots[0], roots[1]);
	for (int i = 0; i < 4; i++) {
		const char *here = domains[i % 2], *away = domains[(i + 1) % 2];

		/* as if Caddy had kept it: below the coming domain, by the root of the other */
		leaf = fmt(w, "%s/wildcard_.%s.crt", leaf_of(w, here), here);
		(void)shell(w, fmt(w, "mkdir -p %s && cp %s/wildcard_.%s.crt %s", leaf_of(w, here),
				   leaf_of(w, away), away, leaf));
		(void)shell(w, fmt(w, "cp %s/wildcard_.%s.key %s/wildcard_.%s.key",
				   leaf_of(w, away), away, leaf_of(w, here), here));
		(void)shell(w, fmt(w, "cp %s/wildcard_.%s.json %s/wildcard_.%s.json",
				   leaf_of(w, away), away, leaf_of(w, here), here));
		said = move_to(w, here);
		assert_non_null(strstr(said, fmt(w, "the CA for %s is the one", here)));
		assert_null(strstr(said, "another one"));
		assert_string_equal(read_text(w, w->ca), roots[i % 2]);
		assert_int_equal(
		    fetch(w, fmt(w, "https://x.%s:%d/", here, port), NULL).status, 503);
		assert_false(exists(leaf_of(w, away)));
		/* what Caddy clears away while it starts is never this directory */
		assert_true(exists(fmt(w, "%s/devmesh.txt", leaf_of(w, here))));
		assert_false(exists(kept(w, here)));
		assert_int_equal(stat(kept(w, away), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0700);
		assert_int_equal(stat(kept(w, fmt(w, "%s/root.key", away)), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
		assert_int_equal(stat(file_of(w, "root.key"), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	assert_int_equal(stat(kept(w, ""), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

/* One that was kept for too long is not found again; nor is one that is there. */
/* Roots of two domains are trusted beside each other: in Chromium, by the command of trust. */
TEST(chromium_trusts_both_roots)
{
	char *command =
	    fmt(w, "export HOME=%s; eval \"$(%s trust | sed -n 's/^Chrome, Linux: *//p')\"", w->dir,
		w->devmesh);

	(void)mesh_of(w, "dev.example.com");
	(void)shell(w, command);
	(void)move_to(w, "other.test");
	(void)shell(w, command);
	(void)shell(w, command);
	assert_string_equal(
	    shell(w, fmt(w, "certutil -d sql:%s/.pki/nssdb -L | grep -c C,,", w->dir)), "2\n");
}

/* And in the system's trust store: in one of its own. */
TEST(the_system_trusts_both_roots)
{
	static const char store[] =
	    "mount -t tmpfs none /usr/local/share/ca-certificates && cp -a /etc/ssl/certs "
	    "/usr/local/share/ca-certificates/kept && mount -t tmpfs none /etc/ssl/certs && "
	    "cp -a /usr/local/share/ca-certificates/kept/. /etc/ssl/certs/ && "
	    "rm -r /usr/local/share/ca-certificates/kept";
	struct result r;

	if (geteuid() != 0 || access("/usr/sbin/update-ca-certificates", X_OK) != 0 ||
	    run(w, NULL, ARGV("unshare", "--mount", "true")).code != 0)
		world_skip(w, "needs root, Debian's trust store and a mount namespace");
	(void)mesh_of(w, "dev.example.com");
	r = run(w, NULL,
	    ARGV("unshare", "--mount", "sh", "-ec",
		fmt(w,
		    "%s\n"
		    "cp \"$1\" a.crt; \"$0\" trust --install; \"$0\" stop\n"
		    "DEVMESH_MESH_DOMAIN=other.test; export DEVMESH_MESH_DOMAIN; \"$0\" start\n"
		    "\"$0\" trust --install; cp \"$1\" b.crt; ! cmp -s a.crt b.crt\n"
		    "openssl verify -CApath /etc/ssl/certs a.crt b.crt",
		    store),
		w->devmesh, w->ca));
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "a.crt: OK"));
	assert_non_null(strstr(r.out, "b.crt: OK"));
}

TEST(a_root_that_expires_is_replaced)
{
	int port = mesh_of(w, "dev.example.com");
	const char *old;

	(void)move_to(w, "other.test");
	put_root(w, kept(w, "dev.example.com"), "dev.example.com", 30);
	old = read_text(w, kept(w, "dev.example.com/root.crt"));
	assert_non_null(strstr(move_to(w, "dev.example.com"), "another one is made"));
	assert_string_not_equal(read_text(w, w->ca), old);
	assert_int_equal(fetch(w, fmt(w, "https://x.dev.example.com:%d/", port), NULL).status, 503);
	put_root(w, file_of(w, ""), "dev.example.com", 30);
	old = read_text(w, w->ca);
	assert_non_null(strstr(move_to(w, "dev.example.com"), "the CA expires"));
	assert_string_not_equal(read_text(w, w->ca), old);
	assert_int_equal(fetch(w, fmt(w, "https://x.dev.example.com:%d/", port), NULL).status, 503);
	assert_int_equal(count_kept(w), 1);
	/* and it is not kept */
	put_root(w, file_of(w, ""), "dev.example.com", 30);
	(void)move_to(w, "other.test");
	assert_int_equal(count_kept(w), 0);
}

/* Its name becomes that of a directory. */
TEST(a_hostile_certificate_is_not_kept)
{
	(void)mesh_of(w, "dev.example.com");
	put_root(w, file_of(w, ""), "../../../../escaped", 3650);
	assert_non_null(strstr(move_to(w, "other.test"), "another one is made"));
	assert_int_equal(count_kept(w), 0);
	assert_false(exists(fmt(w, "%s/escaped", w->dir)));
	assert_false(exists(fmt(w, "%s/../escaped", w->dir)));
}

/*
 * Caddy's certificate of half a day and its intermediate of a week have expired. It would serve the
 * old one, and remove what it is just renewing.
 */
TEST(a_mesh_that_has_not_run_for_weeks)
{
	int port = mesh_of(w, "dev.example.com");
	const char *leaf = leaf_of(w, "dev.example.com"), *name = "wildcard_.dev.example.com";

	assert_exit(w, DM(w, NULL, "stop"), 0);
	write_text(fmt(w, "%s/cnf", w->dir),
	    "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\n"
	    "default_md=sha256\npolicy=p\n[p]\ncommonName=optional\n"
	    "[i]\nbasicConstraints=critical,CA:TRUE,pathlen:0\n"
	    "[l]\nsubjectAltName=DNS:*.dev.example.com\nextendedKeyUsage=serverAuth\n");
	(void)shell(
	    w, fmt(w,
		   "cd %s && touch index && echo 01 >serial && ago() { date -u -d \"$1 days ago\" "
		   "+%%Y%%m%%d%%H%%M%%SZ; } && sign() { openssl req -new -key $1 -subj /CN=$2 -out "
		   "csr "
		   "&& openssl ca -batch -notext -config cnf -in csr -out $2.crt -cert $3.crt "
		   "-keyfile $3.key -extensions $2 -startdate $(ago 28) -enddate $(ago $4) "
		   "2>&1; } && sign %s i %s 21 && sign %s/%s.key l %s 27 && cp i.crt %s && "
		   "cat l.crt i.crt >%s/%s.crt",
		   w->dir, file_of(w, "intermediate.key"), file_of(w, "root"), leaf, name,
		   file_of(w, "intermediate"), file_of(w, "intermediate.crt"), leaf, name));
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_int_equal(fetch(w, fmt(w, "https://x.dev.example.com:%d/", port), NULL).status, 503);
	/* Caddy does not start with a certificate whose key is missing */
	assert_exit(w, DM(w, NULL, "stop"), 0);
	assert_int_equal(unlink(file_of(w, "intermediate.key")), 0);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_int_equal(fetch(w, fmt(w, "https://x.dev.example.com:%d/", port), NULL).status, 503);
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
	    WORLD_TEST(a_domain_that_comes_back_has_its_root),
	    WORLD_TEST(chromium_trusts_both_roots),
	    WORLD_TEST(the_system_trusts_both_roots),
	    WORLD_TEST(a_root_that_expires_is_replaced),
	    WORLD_TEST(a_hostile_certificate_is_not_kept),
	    WORLD_TEST(a_mesh_that_has_not_run_for_weeks),
	    WORLD_TEST(a_root_of_caddys_own_is_kept),
	};

	return RUN_TESTS(tests);
}
