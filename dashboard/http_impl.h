/* SPDX-License-Identifier: MIT */
/* Between http_server.c, which has the connections, and http_conn.c, which reads and answers them.
 */
#ifndef DEVMESH_HTTP_IMPL_H
#define DEVMESH_HTTP_IMPL_H

#include <stdbool.h>
#include <sys/types.h>

#include "http_login.h"
#include "http_parse.h"
#include "http_server.h"
#include "http_token.h"

struct api_call;
struct bufferevent;
struct event;
struct doorway;
struct sse;

/* In this order. */
enum http_phase {
	HTTP_READING_HEAD,
	HTTP_READING_BODY,
	HTTP_ANSWERING, /* a worker is busy with it */
	HTTP_STREAMING,
	HTTP_SENDING,
	HTTP_LINGERING /* all is sent: its end is waited for, so that it reads all of it */
};

struct http_conn {
	struct http_server *server;
	struct bufferevent *bev;
	struct event *deadline; /* of the phase */
	enum http_phase phase;
	bool may_change; /* it bears the token, or is logged in */
	size_t searched; /* bytes in which the end of the head is not */
	char *text;	 /* the head, cut up */
	struct http_head head;
	struct api_call *call; /* HTTP_ANSWERING */
	struct sse *sse;       /* HTTP_STREAMING */
	struct http_conn *next, **back;
};

struct http_server {
	struct daemon *d;
	struct http_token token;
	struct http_login *login;
	struct doorway *doorway;
	struct http_conn *oldest, **newest; /* by arrival */
	struct http_counts counts;
};

/* http_server.c: a client has connected, on a non-blocking socket; it is gone. */
void http_server_take(struct http_server *server, int fd);
void http_conn_drop(struct http_conn *conn);

/* http_conn.c: a new connection begins; an event stream ends. */
void http_conn_start(struct http_conn *conn);
void http_conn_end_stream(struct http_conn *conn);

#endif
