/* SPDX-License-Identifier: MIT */
/*
 * The certificate authority of the private mesh: a root that is worth nothing outside its domain
 * (name constraints, RFC 5280 §4.2.1.10), so that neither a lost key nor a compromised Caddy can
 * sign for other names on a phone that trusts it. Caddy finds it where it keeps its own root, and
 * makes its intermediates from it.
 *
 * By libcrypto, loaded when it is needed (dlopen(3)), as most verbs never need it.
 */
#ifndef DEVMESH_AUTHORITY_H
#define DEVMESH_AUTHORITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/host.h"

enum {
	AUTHORITY_DER_MAX = 4096,
	AUTHORITY_PEM_MAX = 8192,
	AUTHORITY_HASH = 32,
	AUTHORITY_FINGERPRINT = AUTHORITY_HASH * 3, /* "AB:CD:...", with its NUL */
	AUTHORITY_OWNER = 64 + 1,		    /* X.520: ub-common-name */
};

/* A certificate, read. */
struct authority_root {
	unsigned char der[AUTHORITY_DER_MAX];
	size_t len;
	unsigned char hash[AUTHORITY_HASH]; /* SHA-256 of it */
	char fingerprint[AUTHORITY_FINGERPRINT];
	char owner[AUTHORITY_OWNER]; /* its common name, in ASCII: how trust stores list it */
	char zone[HOST_MAX + 1];     /* below which alone it may sign; "": there is no such limit */
	int64_t days_left;	     /* below 0: it has expired */
};

/* Reads the first certificate of a PEM text, which may come from anywhere. */
bool
authority_read(const char *pem, size_t len, struct authority_root *out, struct dm_err *err) DM_MUST;

/* Its directory below Caddy's storage `data_dir`; the caller owns it. */
char *authority_dir(const char *data_dir);

/*
 * Sees to it that Caddy's storage `data_dir` has a root for `domain`, while that Caddy does not
 * run. One that Caddy has made by itself, without limits, is kept: it is trusted where it was
 * installed. One of ours for another domain is put away, where Caddy does not look, and found again
 * with that domain: what trusts it still does. Of those some are kept. Where none is there, or it
 * is about to expire, another one is made. A change is said.
 *
 * What another root has signed may still be in the storage: leaves_prepare().
 */
bool authority_prepare(const char *data_dir, const char *domain, struct dm_err *err) DM_MUST;

#endif
