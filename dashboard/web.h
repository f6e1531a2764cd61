/* SPDX-License-Identifier: MIT */
/*
 * The files of dashboard/web/, which are part of the program, as they are and compressed. The
 * Makefile makes the table of them.
 */
#ifndef DEVMESH_WEB_H
#define DEVMESH_WEB_H

#include <stddef.h>

struct web_file {
	const char *name; /* "app.js" */
	const char *etag; /* strong (RFC 9110 §8.8.3), with its quotes; of the compressed one: */
	const char *gzip_etag;
	const unsigned char *data;
	size_t len;
	const unsigned char *gzip; /* RFC 1952 */
	size_t gzip_len;
};

/* By name; without a name at its end. */
extern const struct web_file web_files[];

/* NULL: there is none of that name. */
const struct web_file *web_find(const char *name);
/* For Content-Type, by the name's end. Static storage. */
const char *web_type(const struct web_file *file);

#endif
