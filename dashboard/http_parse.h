/* SPDX-License-Identifier: MIT */
/*
 * The head of an HTTP/1 request (RFC 9112), read strictly: what could be read in two ways is
 * refused. Pure.
 */
#ifndef DEVMESH_HTTP_PARSE_H
#define DEVMESH_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	HTTP_HEAD_MAX = 16 << 10, /* bytes, with the empty line at its end */
	HTTP_HEADERS_MAX = 64
};

/* Texts are in the caller's buffer. */
struct http_head {
	char *method;
	char *path;  /* begins with a slash; nothing in it is decoded */
	char *query; /* NULL: none */
	struct {
		const char *name, *value;
	} headers[HTTP_HEADERS_MAX];
	size_t count;
	uint64_t body_len; /* Content-Length; 0: none */
};

/*
 * Parses `len` bytes, the last four of which are the empty line; the text is cut up in place.
 * False: *err says what is wrong with it (status 400).
 */
bool http_head_parse(char *text, size_t len, struct http_head *out, struct dm_err *err) DM_MUST;

/* The value of a header, by its name in whatever case; NULL: none. Of several the last one. */
const char *http_header(const struct http_head *head, const char *name);

#endif
