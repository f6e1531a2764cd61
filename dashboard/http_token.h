/* SPDX-License-Identifier: MIT */
/* What a program has to show that wants to change something over HTTP, and no web page has. */
#ifndef DEVMESH_HTTP_TOKEN_H
#define DEVMESH_HTTP_TOKEN_H

#include "base/err.h"

enum {
	HTTP_TOKEN_BYTES = 32
};

struct http_token {
	char text[2 * HTTP_TOKEN_BYTES + 1]; /* in hexadecimal */
};

/* A new one. */
bool http_token_random(struct http_token *out, struct dm_err *err) DM_MUST;
/* The same, and writes it to "<state_dir>/api-token", mode 0600. */
bool http_token_make(const char *state_dir, struct http_token *out, struct dm_err *err) DM_MUST;

#endif
