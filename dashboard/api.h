/* SPDX-License-Identifier: MIT */
/*
 * The API: one table of routes (api.c) behind both transports, HTTP (http_server.h) and the control
 * socket (ctl_server.h). What a transport has let through is trusted to be who it says; what it
 * asks for is checked here.
 *
 * To add a route: a row in api.c, its handler, its description in openapi.json.
 */
#ifndef DEVMESH_API_H
#define DEVMESH_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct api;
struct api_call;
struct cJSON;
struct daemon;

enum {
	API_BODY_MAX = 64 << 10, /* bytes of a request's body */
	API_WAITING_MAX = 16	 /* answers that workers are busy with; more are refused */
};

/* Borrowed during api_ask(). */
struct api_request {
	const char *method;
	const char *path;	   /* without the query */
	const char *query;	   /* NULL: none */
	const struct cJSON *body;  /* NULL: none */
	bool trusted;		   /* by the control socket: it may also stop the daemon */
	bool may_change;	   /* by HTTP: it bears the token, or is logged in */
	bool gzip;		   /* the answer may be compressed */
	const char *if_none_match; /* RFC 9110 §13.1.2; NULL: none */
};

/* Borrowed during the callback. */
struct api_reply {
	int status;	  /* RFC 9110 §15 */
	const char *type; /* of the text, as in Content-Type */
	const char *text; /* one line, if it is JSON */
	size_t len;
	const char *allow; /* with status 405: the methods that there are; else NULL */
	const char *etag;  /* it may be kept, and asked for again by this; NULL: it may not */
	bool gzip;	   /* the text is compressed */
	/* HTML that loads what is below /web/, asks the API, and has a style sheet with this nonce;
	 * NULL: it is not. */
	const char *nonce;
	bool styled;	      /* HTML with a style sheet in it, and nothing else that loads */
	const char *location; /* with status 303 */
	const char *cookie;   /* for Set-Cookie; NULL: none */
	/* With status 200: the event stream is wanted, and `text` is empty. */
	bool stream;
	bool has_since; /* events after that one; else the whole state first */
	uint64_t since;
};
typedef void api_done(void *user, const struct api_reply *reply);

/* The caller owns it. */
struct api *api_new(struct daemon *d);
/* Calls that still wait are forgotten: nobody is told. */
void api_free(struct api *api);

/*
 * Answers, at once (then the result is NULL) or later by the loop. A call that waits is borrowed
 * until `done`, which is called exactly once, unless api_cancel() comes first.
 */
struct api_call *
api_ask(struct api *api, const struct api_request *request, api_done *done, void *user);
/* Whoever asked has gone; what a worker does for it is done all the same. */
void api_cancel(struct api_call *call);

/* The same answer as api_ask() gives for a failure; for what a transport refuses by itself. */
void api_refuse(int status, const struct dm_err *why, api_done *done, void *user);

/* Somebody listens to the events, by whichever transport: the scans are quicker while they do. */
void api_stream_begins(struct api *api);
void api_stream_ends(struct api *api);
size_t api_streams(const struct api *api);

/* The value of `key` in a query, copied to `out`: false if it is not there, or too long. */
bool api_query(const char *query, const char *key, char *out, size_t size);

/* Parses a body of at most API_BODY_MAX bytes: one JSON object. The caller owns it. */
struct cJSON *api_body_parse(const char *text, size_t len, struct dm_err *err) DM_MUST;

#endif
