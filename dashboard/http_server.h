/* SPDX-License-Identifier: MIT */
/*
 * The API over HTTP/1.1, on the Unix socket of the daemon's own service, behind Caddy: one request
 * a connection. Every user of this machine can connect, and every web page can have a browser ask:
 * http_guard.h says who gets an answer.
 *
 * Not evhttp: it ends the process on a Unix socket on macOS (libevent 2.1), bounds neither how many
 * connections there are nor how long a whole request may take, and words its own refusals.
 */
#ifndef DEVMESH_HTTP_SERVER_H
#define DEVMESH_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "http_guard.h"

struct daemon;
struct http_server;

enum {
	HTTP_STREAMS_MAX = 64,
	HTTP_STATUS_FIRST = 200, /* of those that are answered */
	HTTP_STATUSES = 400
};

/*
 * Listens on `socket_path`, mode 0666; a stale socket there is replaced. Makes the token
 * (http_token.h). The caller owns the result.
 */
struct http_server *
http_server_open(struct daemon *d, const char *socket_path, struct dm_err *err) DM_MUST;
/* Takes no new connections, ends the event streams, goes on with what is being answered. */
void http_server_drain(struct http_server *server);
/* Ends what is left, and removes the socket. */
void http_server_close(struct http_server *server);

/* Who is logged in. Borrowed. */
struct http_login;
struct http_login *http_server_login(const struct http_server *server);

/* Since the start. */
struct http_counts {
	uint64_t requests;		  /* whole ones, refused or not */
	uint64_t answered[HTTP_STATUSES]; /* by status, less HTTP_STATUS_FIRST */
	uint64_t refused[HTTP_REFUSALS];
	uint64_t streams_dropped;    /* their clients did not read */
	size_t connections, streams; /* now */
};
/* Borrowed. */
const struct http_counts *http_server_counts(const struct http_server *server);

#endif
