/* SPDX-License-Identifier: MIT */
/*
 * What Caddy is configured to do: one read of /config/apps, and what a registrar needs to know
 * of it. Caddy's configuration is not ours: everything may be missing or of another shape.
 */
#ifndef DEVMESH_VIEW_H
#define DEVMESH_VIEW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/dns.h"
#include "base/err.h"
#include "base/mem.h"
#include "caddy/admin.h"
#include "model/host.h"

struct cJSON;
struct caddy_view;

/* Asks Caddy. The caller owns the result. */
struct caddy_view *caddy_view_read(struct caddy_admin *admin, struct dm_err *err) DM_MUST;
/* The same from the text of /config/apps. */
struct caddy_view *caddy_view_parse(const char *json, size_t len, struct dm_err *err) DM_MUST;
void caddy_view_free(struct caddy_view *view);
DM_DEFINE_FREEP(caddy_view)

/*
 * The domain that Caddy has certificates or a mesh route for: the first "*.<domain>" of
 * tls.certificates.automate, of the automation policies, or of a route's host matchers. NULL if
 * there is none. Borrowed.
 */
const char *caddy_view_domain(const struct caddy_view *view);

/* One of Caddy's HTTP servers. Everything is borrowed from the view. */
struct caddy_server {
	const char *name;
	const struct cJSON *routes; /* NULL: it has no list yet */
	struct front front;	    /* how clients reach it once it serves our host */
	bool lan; /* other devices can connect: it listens on more than the loopback */
	const char *identity_dir; /* of its mesh route (route_identity_dir()); NULL: none */
	const char *gate_dir;	  /* of its mesh route (gate_find_dir()); NULL: it has no gate */
};

/*
 * The server to register `host` with: the one named `wanted` if that is not NULL, else the one
 * whose listen addresses suit best (port 443, then HTTPS, then port 80, then any TCP port).
 */
bool caddy_view_server(const struct caddy_view *view, const char *wanted, const char *host,
    struct caddy_server *out, struct dm_err *err) DM_MUST;

/*
 * Whether adding a route for `host` leaves the server as it is. It does not when automatic HTTPS
 * is on and nothing covers the host yet: the port would turn from HTTP to HTTPS, Caddy would ask
 * a public CA for a certificate, or install its own root. The message says which.
 */
bool caddy_view_settled(const struct caddy_view *view, const struct caddy_server *server,
    const char *host, struct dm_err *err) DM_MUST;

/*
 * The server with a mesh route for "*.<domain>" and sockets in `dir`, if requests for `host`
 * reach that route; false if there is none. Routes with the @id `own_id` are looked through: the
 * caller will remove them.
 */
bool caddy_view_mesh(const struct caddy_view *view, const char *domain, const char *dir,
    const char *host, const char *own_id, struct caddy_server *out) DM_MUST;

/* Whether requests for `host` reach the route with this @id: none in front of it keeps them. */
bool caddy_view_reaches(const struct caddy_view *view, const char *id, const char *host);

/* The first object with this @id anywhere in the configuration; NULL if there is none. Borrowed. */
const struct cJSON *caddy_view_object(const struct caddy_view *view, const char *id);

/* How many objects have it. */
unsigned caddy_view_count(const struct caddy_view *view, const char *id);

/* Whether a server listens on this address, or on all: one that is reached there. */
bool caddy_view_listens(const struct caddy_view *view, const struct dns_address *address);

/* Calls fn for every server that listens on a TCP port; `server` is valid during the call. */
void caddy_view_each_server(const struct caddy_view *view,
    void (*fn)(const struct caddy_server *server, void *user), void *user);

/* Calls fn for every route of every server. */
void caddy_view_each_route(
    const struct caddy_view *view, void (*fn)(const struct cJSON *route, void *user), void *user);

#endif
