/* SPDX-License-Identifier: MIT */
/*
 * Who may ask over HTTP, and from where. A browser on this machine sends whatever any page tells it
 * to: hence the name that was asked for is checked (DNS rebinding), the page that asks (CSRF), and
 * for changes a token that no page has, or a login with its mark, which only our own page has.
 * Pure.
 */
#ifndef DEVMESH_HTTP_GUARD_H
#define DEVMESH_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/dns.h"
#include "base/err.h"

#define HTTP_METHODS "GET, HEAD, POST"

enum http_refusal {
	HTTP_ALLOWED,
	HTTP_REFUSED_HOST,   /* a name that is not the daemon's: 421 */
	HTTP_REFUSED_ORIGIN, /* a page of somebody else: 403 */
	HTTP_REFUSED_TOKEN,  /* a change without the token: 403 */
	HTTP_REFUSED_REMOTE, /* another machine, without the token: 403 */
	HTTP_REFUSED_TYPE,   /* a body that is not said to be JSON: 415 */
	HTTP_REFUSED_FORM,   /* not a request as it should be: 400 */
	HTTP_REFUSED_METHOD, /* 405 */
	HTTP_REFUSED_SIZE,   /* too large: 413 */
	HTTP_REFUSED_SLOW,   /* not complete in time: no answer */
	HTTP_REFUSED_BUSY,   /* too many at once: 503, or no answer */
	HTTP_REFUSALS
};

/* "host", ...: for /metrics. Static storage. */
const char *http_refusal_name(enum http_refusal refusal);
/* RFC 9110 §15; 0: it is not answered. */
int http_refusal_status(enum http_refusal refusal);

/* What is known of the daemon. Borrowed. */
struct http_self {
	const char *host;  /* NULL: not registered; then every name is refused */
	const char *url;   /* "https://devmesh.dev.localhost:8443"; NULL: unknown */
	const char *token; /* in hexadecimal */
	/* Whether an address is this machine's; NULL: only loopback addresses are. */
	bool (*is_ours)(const struct dns_address *address);
};

/* What a request says. Borrowed; NULL: it has no such header. */
struct http_ask {
	const char *method, *path;
	const char *host;
	const char *origin;
	const char *token;	   /* X-Devmesh */
	bool logged_in, marked;	   /* by the cookie, and the mark in X-Devmesh: http_login.h */
	const char *forwarded_for; /* X-Forwarded-For, the last one */
	const char *content_type;
	const char *fetch_site, *fetch_mode; /* Sec-Fetch-Site, Sec-Fetch-Mode (W3C) */
};

/* Otherwise *err says what was wrong, and what to do. */
enum http_refusal
http_guard(const struct http_self *self, const struct http_ask *ask, struct dm_err *err) DM_MUST;

/* Whether the two are equal, in a time that does not tell where they differ. */
bool http_token_equal(const char *a, const char *b);

#endif
