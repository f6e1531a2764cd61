/* SPDX-License-Identifier: MIT */
/*
 * One line of Caddy's access log (caddy/mesh_log.h), as JSON. What is in it was sent by anybody who
 * can reach a service, so all of it is bounded here, and only what is understood is kept. Pure.
 */
#ifndef DEVMESH_REQUEST_LINE_H
#define DEVMESH_REQUEST_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/host.h"

enum {
	REQUEST_METHOD_MAX = 24,
	REQUEST_PROTO_MAX = 15,
	REQUEST_PATH_MAX = 512,
	REQUEST_FROM_MAX = 45, /* an address of IPv6 */
};

/* Texts are printable (dm_printable), and cut to their size. */
struct request_line {
	int64_t time_us; /* when it was answered; since the epoch */
	char method[REQUEST_METHOD_MAX + 1];
	char host[HOST_MAX + 1];	   /* lower case, without a port or a final dot */
	char path[REQUEST_PATH_MAX + 1];   /* without a query; "*" and such as they are */
	char proto[REQUEST_PROTO_MAX + 1]; /* "HTTP/2.0" */
	char from[REQUEST_FROM_MAX + 1];   /* address of another device; "": this machine */
	int status;			   /* 100 to 599; 0: it was not answered */
	uint32_t duration_us;
	uint64_t bytes; /* of the answer's body */
};

/* False: it is no line about a request. */
bool request_line_parse(const char *text, size_t len, struct request_line *out);

#endif
