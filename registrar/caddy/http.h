/* SPDX-License-Identifier: MIT */
/*
 * HTTP requests by libcurl, one fresh connection each (a config reload resets kept-alive ones).
 *
 * libcurl is loaded when the first request is made (dlopen(3)): loading it takes 6 ms, more than
 * all the rest of a verb that has nothing to write. For the one read that every `up` needs there
 * is http_get().
 */
#ifndef DEVMESH_HTTP_H
#define DEVMESH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

/* A client: the loaded library. Not for several threads. */
struct http;

struct http *http_new(struct dm_err *err) DM_MUST;
void http_free(struct http *http);
DM_DEFINE_FREEP(http)

/* Everything is borrowed. */
struct http_request {
	const char *method;
	const char *url;
	const char *unix_path;	/* connect to this socket instead; NULL: as the URL says */
	const char *connect_to; /* "host:port" to connect to instead (CURLOPT_CONNECT_TO) */
	const char *headers[5]; /* "Name: value", or "Name;" for an empty one; NULL-terminated */
	const char *body;	/* NULL: none */
	bool outside;		/* of the Internet: by the environment's proxy, if it names one,
				 * and connecting may take all of the time */
	bool any_certificate;	/* do not check the TLS certificate */
	bool want_certificate;	/* fill in reply->certificate */
	const char *ca_file;	/* check it against the roots in this file; NULL: the system's */
	int64_t timeout_ms;	/* for the whole request; connecting may take 1 s of it */
	size_t max_body;	/* a longer answer fails; 0: 16 MiB */
};

struct http_reply {
	int status;
	struct dm_str body;
	struct dm_str headers; /* header lines, then trailer lines, separated by LF */
	size_t trailers_begin; /* where in `headers` the trailers begin */
	/* The server's own certificate as libcurl tells it (CURLINFO_CERTINFO), lines of
	 * "Field:value", without the PEM text; empty where libcurl cannot. */
	struct dm_str certificate;
};

void http_reply_init(struct http_reply *reply);
void http_reply_release(struct http_reply *reply);
#define HTTP_AUTO_REPLY __attribute__((cleanup(http_reply_release)))

/* What is known about a request's effect. */
enum http_outcome {
	HTTP_ANSWERED, /* reply is filled in */
	HTTP_NOT_SENT, /* no connection: nothing happened */
	HTTP_UNKNOWN,  /* sent, but no answer: it may have been, or still be, carried out */
};

/*
 * Performs the request; *err is set unless answered: DM_UNREACHABLE, DM_TIMEOUT, or DM_DENIED for a
 * certificate that was checked and not trusted.
 */
enum http_outcome http_perform(struct http *http, const struct http_request *request,
    struct http_reply *reply, struct dm_err *err) DM_MUST;

/*
 * Copies the value of the header or trailer `name` to `out`; false if it is missing or does not
 * fit. *in_trailer (may be NULL) tells where it was.
 */
bool http_reply_field(const struct http_reply *reply, const char *name, char *out, size_t size,
    bool *in_trailer) DM_MUST;

/*
 * One GET in HTTP/1.0 (RFC 1945: no chunks, no trailers, the answer ends with the connection) on
 * the connected socket `fd`, which stays the caller's. `host` is the Host header's value; NULL
 * for none. The body is appended to `body` up to its maximum.
 */
bool http_get(int fd, const char *host, const char *path, int64_t timeout_ms, int *status,
    struct dm_str *body, struct dm_err *err) DM_MUST;

/* The two ends of http_get(), for whoever has a loop of its own. The request: the caller owns it.
 */
char *http_get_request(const char *host, const char *path);
/* The whole answer, as it came until the connection ended: where its body begins. */
bool
http_get_answer(const struct dm_str *all, int *status, size_t *body, struct dm_err *err) DM_MUST;

#endif
