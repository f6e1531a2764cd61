/* SPDX-License-Identifier: MIT */
/* One service's route as Caddy's JSON, and back. Pure. */
#ifndef DEVMESH_ROUTE_H
#define DEVMESH_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

struct cJSON;
struct gate_account;

/* The response header that tells whose answer it is, and that a route is of our making. */
#define ROUTE_ID_HEADER "X-Devmesh-Id"

/* Where a service says which checkout it is (RFC 8615). */
#define ROUTE_IDENTITY_PATH "/.well-known/devmesh"
/*
 * flush_interval of our proxies: else an answer with a Content-Length is held back, head and all,
 * while its server pauses. Not -1: that would let requests go on whose client has gone.
 */
#define ROUTE_FLUSH_NS (20 * 1000 * 1000)

/* Everything is borrowed. */
struct route_spec {
	const char *id; /* the route's @id */
	const char *hosts[2];
	size_t host_count;
	const char *dial;	  /* "unix//path" or "host:port" */
	const char *identity_dir; /* of identity documents; NULL: the route serves none */
	bool gate;
	const char *gate_dir;
	const struct gate_account *account;
};

/*
 * The route. `stream_close_delay` (Caddy 2.7 and later) keeps its WebSockets open over reloads.
 * Connections to a Unix socket are not kept alive: a pooled one would lead to the old server
 * after a new one has bound the path. The caller owns it (cJSON_Delete).
 */
struct cJSON *route_build(const struct route_spec *spec, bool stream_close_delay);

/*
 * A handler that answers ROUTE_IDENTITY_PATH, asked from this machine (gate_inside()), with the
 * file <dir>/<name>.json. Every other request is passed on to what comes behind it, and so is this
 * one while there is no such file. `name` is an id, or Caddy's placeholder for one. `first`, if it
 * is not NULL, is a handler that belongs to the answer; it is taken over. The caller owns the
 * result.
 */
struct cJSON *route_identity(const char *dir, const char *name, struct cJSON *first);

/*
 * The directory whose documents the route serves at ROUTE_IDENTITY_PATH, whoever wrote the route:
 * NULL if it does not, or the path holds a placeholder. Borrowed.
 */
const char *route_identity_dir(const struct cJSON *route);

/* Whether `route` is what route_build() gives, with or without stream_close_delay. */
bool route_equals(const struct cJSON *route, const struct route_spec *spec);

/* The @id as text; NULL if it has none or another type. Borrowed. */
const char *route_id(const struct cJSON *route);

/* Whether the route bears our header: it was made by devmesh, for this id. */
bool route_is_ours(const struct cJSON *route, const char *id);

/* Whether the route, one of ours, was made for a Caddy that knows stream_close_delay. */
bool route_has_close_delay(const struct cJSON *route);

/* The dial address of the first upstream anywhere in the route; NULL if there is none. Borrowed. */
const char *route_dial(const struct cJSON *route);

/* Whether the route serves many names: its dial holds a placeholder. Never one service's own. */
bool route_is_shared(const struct cJSON *route);

/*
 * Whether no request for `host` gets past this route: its matchers let every such request in,
 * and its handlers answer.
 */
bool route_catches(const struct cJSON *route, const char *host);

/* Whether a list of host patterns covers `host`; anything but texts in it is passed over. */
bool route_hosts_match(const struct cJSON *patterns, const char *host);

/* Whether a host matcher of the route names or covers `host`, whatever else it matches on. */
bool route_names_host(const struct cJSON *route, const char *host);

/*
 * Whether this is a mesh route: a host matcher for "*.<domain>" and an upstream whose dial is a
 * placeholder below unix/<dir>/.
 */
bool route_is_mesh(const struct cJSON *route, const char *domain, const char *dir);

#endif
