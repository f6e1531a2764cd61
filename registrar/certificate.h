/* SPDX-License-Identifier: MIT */
/* The certificate that Caddy presents to a browser on this machine. */
#ifndef DEVMESH_CERTIFICATE_H
#define DEVMESH_CERTIFICATE_H

#include <stdint.h>

#include "caddy/http.h"

enum {
	CERTIFICATE_TEXT = 1024
};

/* As its fields read; "" where one is missing. */
struct certificate {
	char names[CERTIFICATE_TEXT]; /* "DNS:*.dev.test, DNS:dev.test" */
	char issuer[CERTIFICATE_TEXT];
	char usage[CERTIFICATE_TEXT]; /* "TLS Web Server Authentication, ..." */
	char from[64], until[64];
	int64_t begin, end; /* the same, in seconds since the epoch; -1: unknown */
};

/* Takes libcurl's lines apart (http_reply's `certificate`). Pure. */
void certificate_parse(const char *lines, struct certificate *out);

/*
 * One HTTPS request for `host` to this machine, with what is presented in reply->certificate. It is
 * checked against the roots in `ca_file` (NULL: the system's), or not at all with `any`; as
 * http_perform() otherwise.
 */
enum http_outcome
certificate_ask(struct http *http, const char *host, uint16_t port, const char *ca_file, bool any,
    int64_t timeout_ms, struct http_reply *reply, struct dm_err *err) DM_MUST;

#endif
