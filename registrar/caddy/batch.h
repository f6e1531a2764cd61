/* SPDX-License-Identifier: MIT */
/*
 * Many changes of one server's routes in one write: one reload of Caddy instead of one each (every
 * reload closes the WebSockets of all services). The list is read with its ETag, changed, and put
 * back with If-Match, so that a change made by anybody else in between is never lost: then (412) it
 * is read and changed again.
 */
#ifndef DEVMESH_BATCH_H
#define DEVMESH_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "caddy/admin.h"
#include "caddy/route.h"

/* What mesh_route() makes a route of; borrowed. */
struct mesh_spec {
	const char *domain;
	const char *sockets_dir;
	const char *identity_dir; /* NULL: it serves no identity documents */
};

/* What to do; everything is borrowed. */
struct route_batch {
	const struct route_spec *put; /* each as caddy_route_put() would */
	size_t put_count;
	const char *const *remove; /* @ids of routes that bear our header, all of each */
	size_t remove_count;
	const struct mesh_spec *mesh; /* in place of any with MESH_ROUTE_ID; NULL: leave it */
};

struct route_batch_result {
	unsigned added, replaced, removed;
	bool wrote; /* false: everything was as it should be */
};

/*
 * What the list of routes (the text of a JSON array) becomes: *out, owned by the caller; NULL if it
 * stays as it is. Routes that are not named in the batch are kept byte for byte, in their order: no
 * number or text of somebody else's passes through a parser. Applied to *out again it gives NULL.
 * Pure.
 */
bool route_batch_apply(const char *routes, size_t len, const struct route_batch *batch,
    bool stream_close_delay, char **out, struct route_batch_result *result,
    struct dm_err *err) DM_MUST;

/*
 * Does it to the server's routes, and reads them back. After a timeout the outcome is read back
 * before anything else. The caller holds REGISTRY_LOCK_CADDY.
 */
bool caddy_routes_change(struct caddy_admin *admin, const char *server,
    const struct route_batch *batch, struct route_batch_result *result, struct dm_err *err) DM_MUST;

#endif
