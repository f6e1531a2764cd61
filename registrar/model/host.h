/* SPDX-License-Identifier: MIT */
/* Domains, hosts and URLs. Pure. */
#ifndef DEVMESH_HOST_H
#define DEVMESH_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/slug.h"

/* RFC 1035 §2.3.4: a name has at most 253 characters in its usual form. */
#define HOST_MAX 253
/* "https://" + host + ":65535". */
#define URL_MAX (HOST_MAX + 16)

/*
 * Checks a domain such as "dev.example.com": lower-case labels of letters, digits and inner
 * dashes, short enough that "<label>.<domain>" is a valid name.
 */
bool domain_parse(const char *text, char out[HOST_MAX + 1], struct dm_err *err) DM_MUST;

/* "<label>.<domain>" */
void host_join(const struct slug *label, const char *domain, char out[HOST_MAX + 1]);

/* Whether `pattern` (a Caddy host matcher: exact, or with "*" as a whole label) covers `host`. */
bool host_matches(const char *pattern, const char *host);

/* Whether names below the domain lead to the very machine that asks (RFC 6761 §6.3). */
bool domain_is_localhost(const char *domain);

/* Where clients reach a proxy. */
struct front {
	bool https;
	uint16_t port;
};

/* "https://host", with ":port" unless it is the scheme's default. */
void url_make(const struct front *front, const char *host, char out[URL_MAX + 1]);

#endif
