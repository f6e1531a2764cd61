/* SPDX-License-Identifier: MIT */
#include "authority.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"
#include "base/symbols.h"

enum {
	DAYS = 3650,	 /* as Caddy's own */
	DAYS_SPARE = 60, /* with fewer left another one is made */
	SKEW_S = 86400,	 /* a phone's clock may be behind */
	DEPTH = 2,	 /* of an authority's directory */
	KEPT = 8,	 /* roots for other domains */
	UNIT_MAX = 64,	 /* X.520: ub-organizational-unit-name */
};

/* ---- libcrypto ----------------------------------------------------------------------------- */

#define SYMBOLS(X) \
	X(ASN1_INTEGER_set_uint64) \
	X(ASN1_STRING_get0_data) \
	X(ASN1_STRING_length) \
	X(ASN1_TIME_diff) \
	X(BIO_ctrl) \
	X(BIO_free) \
	X(BIO_new) \
	X(BIO_new_mem_buf) \
	X(BIO_s_mem) \
	X(ERR_clear_error) \
	X(ERR_error_string_n) \
	X(ERR_get_error) \
	X(EVP_Digest) \
	X(EVP_PKEY_Q_keygen) \
	X(EVP_PKEY_free) \
	X(EVP_sha256) \
	X(NAME_CONSTRAINTS_free) \
	X(OPENSSL_sk_num) \
	X(OPENSSL_sk_value) \
	X(PEM_read_bio_PrivateKey) \
	X(PEM_read_bio_X509) \
	X(PEM_write_bio_PrivateKey_traditional) \
	X(PEM_write_bio_X509) \
	X(X509V3_EXT_conf_nid) \
	X(X509V3_set_ctx) \
	X(X509_EXTENSION_free) \
	X(X509_NAME_add_entry_by_txt) \
	X(X509_NAME_get_text_by_NID) \
	X(X509_add_ext) \
	X(X509_check_private_key) \
	X(X509_free) \
	X(X509_get0_notAfter) \
	X(X509_get_ext_d2i) \
	X(X509_get_serialNumber) \
	X(X509_get_subject_name) \
	X(X509_getm_notAfter) \
	X(X509_getm_notBefore) \
	X(X509_new) \
	X(X509_set_issuer_name) \
	X(X509_set_pubkey) \
	X(X509_set_version) \
	X(X509_sign) \
	X(X509_time_adj_ex) \
	X(i2d_X509)

struct crypto {
	SYMBOLS(DM_SYMBOL_MEMBER)
};

#define ROW(name) DM_SYMBOL(struct crypto, name)
static const struct dm_symbol symbols[] = {SYMBOLS(ROW)};

static bool
load(struct crypto *c, struct dm_err *err)
{
	memset(c, 0, sizeof(*c));
	if (dm_symbols_load(
		dm_os_libcrypto(), symbols, sizeof(symbols) / sizeof(symbols[0]), c, err))
		return true;
	(void)dm_hint(err, "install OpenSSL 3 (Debian: libssl3, Homebrew: openssl@3)");
	return false;
}

static bool
fail(const struct crypto *c, const char *what, struct dm_err *err)
{
	char why[256] = "no reason given";
	unsigned long code = c->ERR_get_error();

	if (code != 0)
		c->ERR_error_string_n(code, why, sizeof(why));
	return dm_fail(err, DM_FAILED, "%s: %s", what, why);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* The first permitted DNS name; "": there is none. */
static void
read_zone(const struct crypto *c, X509 *x, char out[HOST_MAX + 1])
{
	NAME_CONSTRAINTS *limits = c->X509_get_ext_d2i(x, NID_name_constraints, NULL, NULL);
	const OPENSSL_STACK *list =
	    limits == NULL ? NULL : (const OPENSSL_STACK *)limits->permittedSubtrees;

	out[0] = '\0';
	for (int i = 0; list != NULL && i < c->OPENSSL_sk_num(list); i++) {
		const GENERAL_SUBTREE *tree = c->OPENSSL_sk_value(list, i);
		const ASN1_STRING *name;
		int len;

		if (tree->base->type != GEN_DNS)
			continue;
		name = tree->base->d.dNSName;
		len = c->ASN1_STRING_length(name);
		if (len > 0 && len <= HOST_MAX &&
		    !dm_snprintf(out, HOST_MAX + 1, "%.*s", len,
			(const char *)c->ASN1_STRING_get0_data(name)))
			out[0] = '\0';
		break;
	}
	if (limits != NULL)
		c->NAME_CONSTRAINTS_free(limits);
}

static void
read_owner(const struct crypto *c, X509 *x, char out[AUTHORITY_OWNER])
{
	int len = c->X509_NAME_get_text_by_NID(
	    c->X509_get_subject_name(x), NID_commonName, out, AUTHORITY_OWNER);

	if (len < 0)
		out[0] = '\0';
	for (char *p = out; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	}
}

static bool
read_certificate(const struct crypto *c, X509 *x, struct authority_root *out, struct dm_err *err)
{
	unsigned char *p = out->der;
	int len = c->i2d_X509(x, NULL), days = 0, seconds = 0;

	if (len <= 0 || len > AUTHORITY_DER_MAX)
		return dm_fail(err, DM_FAILED, "a certificate of %d bytes", len);
	out->len = (size_t)c->i2d_X509(x, &p);
	if (c->EVP_Digest(out->der, out->len, out->hash, NULL, c->EVP_sha256(), NULL) != 1)
		return fail(c, "making its fingerprint", err);
	for (size_t i = 0; i < AUTHORITY_HASH; i++)
		(void)snprintf(out->fingerprint + 3 * i, 4,
		    i + 1 < AUTHORITY_HASH ? "%02X:" : "%02X", (unsigned)out->hash[i]);
	read_owner(c, x, out->owner);
	read_zone(c, x, out->zone);
	out->days_left = c->ASN1_TIME_diff(&days, &seconds, NULL, c->X509_get0_notAfter(x)) == 1
			     ? days - (seconds < 0 ? 1 : 0)
			     : -1;
	return true;
}

static bool
read_pem(const struct crypto *c, const char *pem, size_t len, struct authority_root *out,
    struct dm_err *err)
{
	BIO *bio;
	X509 *x;
	bool ok;

	memset(out, 0, sizeof(*out));
	if (len > AUTHORITY_PEM_MAX)
		return dm_fail(err, DM_FAILED, "a certificate of %zu bytes", len);
	bio = c->BIO_new_mem_buf(pem, (int)len);
	x = bio == NULL ? NULL : c->PEM_read_bio_X509(bio, NULL, NULL, NULL);
	ok = x != NULL ? read_certificate(c, x, out, err) : fail(c, "it is no certificate", err);
	c->X509_free(x);
	(void)c->BIO_free(bio);
	return ok;
}

bool
authority_read(const char *pem, size_t len, struct authority_root *out, struct dm_err *err)
{
	struct crypto c;

	return load(&c, err) && read_pem(&c, pem, len, out, err);
}

/* ---- making -------------------------------------------------------------------------------- */

/* Letters, digits and what else every system shows as it is; in a list of many CAs it has to be
 * told apart. */
static void
printable_part(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; text != NULL && *text != '\0' && n + 1 < size; text++) {
		if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
		    (*text >= '0' && *text <= '9') || *text == '-' || *text == '.')
			out[n++] = *text;
	}
	out[n] = '\0';
}

/* "devmesh ada@lovelace" */
static void
owner_name(char out[AUTHORITY_OWNER])
{
	const struct passwd *user = getpwuid(geteuid());
	char host[256] = "", user_part[20], host_part[32];

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	printable_part(user == NULL ? "user" : user->pw_name, user_part, sizeof(user_part));
	printable_part(host, host_part, sizeof(host_part));
	if (!dm_snprintf(out, AUTHORITY_OWNER, "devmesh %s@%s", user_part, host_part))
		out[0] = '\0';
}

static bool
add_extension(const struct crypto *c, X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *extension = c->X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	bool ok = extension != NULL && c->X509_add_ext(x, extension, -1) == 1;

	c->X509_EXTENSION_free(extension);
	return ok;
}

/*
 * A name constraint limits names of its own kind alone: without the excluded ones a certificate for
 * an address would pass.
 */
static bool
add_extensions(const struct crypto *c, X509 *x, const char *domain)
{
	DM_AUTO_FREE char *limits = dm_asprintf(
	    "critical,permitted;DNS:%s,excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::", domain);
	X509V3_CTX ctx = {0};

	c->X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	/* one below it: Caddy's intermediate */
	return add_extension(c, x, &ctx, NID_basic_constraints, "critical,CA:TRUE,pathlen:1") &&
	       add_extension(c, x, &ctx, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       add_extension(c, x, &ctx, NID_subject_key_identifier, "hash") &&
	       add_extension(c, x, &ctx, NID_name_constraints, limits);
}

static bool
random_serial(uint64_t *out, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str bytes = dm_str_make(sizeof(*out));

	if (!dm_read_file("/dev/urandom", &bytes, err))
		return false;
	if (bytes.len != sizeof(*out))
		return dm_fail(err, DM_FAILED, "/dev/urandom ends");
	memcpy(out, bytes.data, sizeof(*out));
	*out >>= 1; /* RFC 5280 §4.1.2.2: positive */
	*out |= 1;
	return true;
}

static bool
add_name(const struct crypto *c, X509_NAME *name, const char *attribute, const char *value)
{
	return c->X509_NAME_add_entry_by_txt(
		   name, attribute, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1;
}

/*
 * Two roots have two names, or who looks for one by its name may find the other one (OpenSSL does,
 * in a directory of trusted certificates). The domain is what a person tells them apart by.
 */
static bool
add_names(const struct crypto *c, X509_NAME *name, const char *domain, uint64_t serial)
{
	char owner[AUTHORITY_OWNER], unit[UNIT_MAX + 1], number[17];

	owner_name(owner);
	(void)snprintf(unit, sizeof(unit), "%s", domain);
	(void)snprintf(number, sizeof(number), "%016llx", (unsigned long long)serial);
	return add_name(c, name, "O", "devmesh") && add_name(c, name, "OU", unit) &&
	       add_name(c, name, "CN", owner) && add_name(c, name, "serialNumber", number);
}

static bool
fill_certificate(
    const struct crypto *c, X509 *x, EVP_PKEY *key, const char *domain, uint64_t serial)
{
	X509_NAME *name = c->X509_get_subject_name(x);

	return c->X509_set_version(x, X509_VERSION_3) == 1 &&
	       c->ASN1_INTEGER_set_uint64(c->X509_get_serialNumber(x), serial) == 1 &&
	       c->X509_time_adj_ex(c->X509_getm_notBefore(x), 0, -SKEW_S, NULL) != NULL &&
	       c->X509_time_adj_ex(c->X509_getm_notAfter(x), DAYS, 0, NULL) != NULL &&
	       add_names(c, name, domain, serial) && c->X509_set_issuer_name(x, name) == 1 &&
	       c->X509_set_pubkey(x, key) == 1 && add_extensions(c, x, domain) &&
	       c->X509_sign(x, key, c->EVP_sha256()) > 0;
}

/* What was written to a memory BIO, to a file. */
static bool
write_bio(const struct crypto *c, BIO *bio, const char *dir, const char *name, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", dir, name);
	char *text = NULL;
	long len = c->BIO_ctrl(bio, BIO_CTRL_INFO, 0, &text);

	return dm_write_file(path, text, len < 0 ? 0 : (size_t)len, 0600, err);
}

/* The key first: a certificate says that both are there. */
static bool
write_both(const struct crypto *c, X509 *x, EVP_PKEY *key, const char *dir, struct dm_err *err)
{
	BIO *key_text = c->BIO_new(c->BIO_s_mem()), *text = c->BIO_new(c->BIO_s_mem());
	bool ok = key_text != NULL && text != NULL &&
		  c->PEM_write_bio_PrivateKey_traditional(
		      key_text, key, NULL, NULL, 0, NULL, NULL) == 1 &&
		  c->PEM_write_bio_X509(text, x) == 1;

	ok = ok ? write_bio(c, key_text, dir, "root.key", err) &&
		      write_bio(c, text, dir, "root.crt", err)
		: fail(c, "writing it down", err);
	(void)c->BIO_free(key_text);
	(void)c->BIO_free(text);
	return ok;
}

static bool
make(const struct crypto *c, const char *dir, const char *domain, struct dm_err *err)
{
	uint64_t serial = 0;
	EVP_PKEY *key;
	X509 *x;
	bool ok;

	if (!random_serial(&serial, err) || !dm_make_dirs(dir, 0700, err))
		return false;
	key = c->EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	x = c->X509_new();
	ok = key != NULL && x != NULL && fill_certificate(c, x, key, domain, serial)
		 ? write_both(c, x, key, dir, err)
		 : fail(c, "making it", err);
	c->X509_free(x);
	c->EVP_PKEY_free(key);
	return ok;
}

/* ---- preparing ----------------------------------------------------------------------------- */

char *
authority_dir(const char *data_dir)
{
	return dm_asprintf("%s/pki/authorities/local", data_dir);
}

/* Whether the key is that of the certificate. */
static bool
is_pair(const struct crypto *c, const struct dm_str *pem, const struct dm_str *key)
{
	char no_password[] = ""; /* without one it would be asked for */
	BIO *pem_text = c->BIO_new_mem_buf(pem->data, (int)pem->len);
	BIO *key_text = c->BIO_new_mem_buf(key->data, (int)key->len);
	X509 *x = pem_text == NULL ? NULL : c->PEM_read_bio_X509(pem_text, NULL, NULL, NULL);
	EVP_PKEY *k =
	    key_text == NULL ? NULL : c->PEM_read_bio_PrivateKey(key_text, NULL, NULL, no_password);
	bool ok = x != NULL && k != NULL && c->X509_check_private_key(x, k) == 1;

	c->X509_free(x);
	c->EVP_PKEY_free(k);
	(void)c->BIO_free(pem_text);
	(void)c->BIO_free(key_text);
	c->ERR_clear_error(); /* that it is none is no error of what comes next */
	return ok;
}

/* Reads "<dir>/<name>.crt"; whether it is there, and its key beside it. */
static bool
read_pair(const struct crypto *c, const char *dir, const char *name, struct authority_root *out)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s.crt", dir, name);
	DM_AUTO_FREE char *key_path = dm_asprintf("%s/%s.key", dir, name);
	DM_AUTO_STR struct dm_str pem = dm_str_make(AUTHORITY_PEM_MAX);
	DM_AUTO_STR struct dm_str key = dm_str_make(AUTHORITY_PEM_MAX);
	struct dm_err ignored;

	return dm_read_file(path, &pem, &ignored) && dm_read_file(key_path, &key, &ignored) &&
	       read_pem(c, pem.data, pem.len, out, &ignored) && is_pair(c, &pem, &key);
}

/* Whether a root for the domain is in the directory, whole, and lasts. */
static bool
is_whole(const struct crypto *c, const char *dir, const char *domain)
{
	struct authority_root root;

	return read_pair(c, dir, "root", &root) && strcmp(root.zone, domain) == 0 &&
	       root.days_left >= DAYS_SPARE;
}

/*
 * Whether the root that is there will do; one that cannot be read is left to Caddy to judge. `root`
 * is what is known of one that will not.
 */
static bool
will_do(const struct crypto *c, const char *dir, const char *domain, struct authority_root *root)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/root.crt", dir);
	DM_AUTO_STR struct dm_str pem = dm_str_make(AUTHORITY_PEM_MAX);
	struct dm_err err;

	memset(root, 0, sizeof(*root));
	if (access(path, F_OK) != 0)
		return false;
	if (!dm_read_file(path, &pem, &err) || !read_pem(c, pem.data, pem.len, root, &err)) {
		dm_debug("%s: %s", path, err.msg);
		return true;
	}
	return root->zone[0] == '\0' ||
	       (strcmp(root->zone, domain) == 0 && root->days_left >= DAYS_SPARE);
}

static void
say_change(const struct authority_root *old, const char *domain, bool found)
{
	if (old->zone[0] == '\0')
		return; /* the first one; or what was begun is finished */
	if (strcmp(old->zone, domain) == 0)
		dm_warn("the CA expires: another one is made, which has to be trusted anew "
			"(devmesh trust)");
	else if (found)
		dm_note("the CA for %s is the one that was there before: what trusts it still "
			"does, other devices need it (devmesh trust)",
		    domain);
	else
		dm_warn("the CA was for %s alone: another one is made for %s, which has to be "
			"trusted as well (devmesh trust)",
		    old->zone, domain);
}

/* Takes the old root from where Caddy finds it. It is kept, if its domain may come back. */
static void
put_away(const struct authority_root *old, const char *dir, const char *roots, const char *domain)
{
	DM_AUTO_FREE char *to = dm_asprintf("%s/%s", roots, old->zone);
	char checked[HOST_MAX + 1]; /* the certificate may come from anywhere, and names a path */
	struct dm_err err;

	if (domain_parse(old->zone, checked, &err) && strcmp(old->zone, domain) != 0 &&
	    old->days_left >= DAYS_SPARE) {
		dm_remove_below(to, DEPTH);
		(void)utimensat(AT_FDCWD, dir, NULL, 0); /* since when it is unused */
		(void)rename(dir, to);
	}
	dm_remove_below(dir, DEPTH);
}

static void
drop_intermediate(const char *dir)
{
	DM_AUTO_FREE char *crt = dm_asprintf("%s/intermediate.crt", dir);
	DM_AUTO_FREE char *key = dm_asprintf("%s/intermediate.key", dir);

	(void)unlink(crt);
	(void)unlink(key);
}

/*
 * Caddy's intermediate lasts a week, and one that has expired could still sign before Caddy makes
 * another one. With one that lacks its key, as a crash may leave it, Caddy would not start.
 */
static void
drop_unusable(const struct crypto *c, const char *dir)
{
	struct authority_root read;

	if (!read_pair(c, dir, "intermediate", &read) || read.days_left < 1)
		drop_intermediate(dir);
}

/* Takes a root to where Caddy finds it, alone: its intermediate may have expired since. */
static bool
take_out(const char *from, const char *dir, struct dm_err *err)
{
	DM_AUTO_FREE char *parent = dm_strndup(dir, (size_t)(strrchr(dir, '/') - dir));

	drop_intermediate(from);
	if (!dm_make_dirs(parent, 0700, err))
		return false;
	return rename(from, dir) == 0 || dm_fail_errno(err, errno, "moving it to %s", dir);
}

/* Of more than are kept, the one that has been unused for longest goes. */
static void
forget_oldest(const char *roots)
{
	DIR *d = opendir(roots);
	DM_AUTO_FREE char *oldest = NULL;
	const struct dirent *entry;
	int64_t since = INT64_MAX;
	struct stat st;
	int count = 0;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.' ||
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISDIR(st.st_mode))
			continue;
		count++;
		if ((int64_t)st.st_mtime >= since)
			continue;
		since = (int64_t)st.st_mtime;
		free(oldest);
		oldest = dm_asprintf("%s/%s", roots, entry->d_name);
	}
	if (d != NULL)
		(void)closedir(d);
	if (count > KEPT && oldest != NULL)
		dm_remove_below(oldest, DEPTH);
}

/*
 * Roots that are not in use lie beside Caddy's own directories, by domain, and whole ones are moved
 * as a whole: whenever this is interrupted there is one at the end of either way, and the next
 * start goes on from there.
 */
static bool
prepare(const struct crypto *c, const char *data_dir, const char *domain, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = authority_dir(data_dir);
	DM_AUTO_FREE char *roots = dm_asprintf("%s/roots", data_dir);
	DM_AUTO_FREE char *kept = dm_asprintf("%s/%s", roots, domain);
	struct authority_root old;
	bool found;

	if (will_do(c, dir, domain, &old)) {
		drop_unusable(c, dir);
		return true;
	}
	found = is_whole(c, kept, domain);
	if (!found) {
		dm_remove_below(kept, DEPTH);
		if (!make(c, kept, domain, err))
			return false;
	}
	say_change(&old, domain, found);
	put_away(&old, dir, roots, domain);
	if (!take_out(kept, dir, err))
		return false;
	forget_oldest(roots);
	return true;
}

bool
authority_prepare(const char *data_dir, const char *domain, struct dm_err *err)
{
	struct crypto c;

	return load(&c, err) &&
	       (prepare(&c, data_dir, domain, err) || dm_wrap(err, "making a CA for %s", domain));
}
