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

struct cJSON;

/* What to do; everything is borrowed. */
struct route_batch {
	const struct route_spec *put; /* each as caddy_route_put() would */
	size_t put_count;
	const char *const *remove; /* @ids of routes that bear our header, all of each */
	size_t remove_count;
	const struct cJSON *mesh_route; /* put in place of any with its @id; NULL: leave it */
};

struct route_batch_result {
	unsigned added, replaced, removed;
	bool wrote; /* false: everything was as it should be */
};

/*
 * What the list `routes` (an array) becomes; NULL if it stays as it is. Routes that are not named
 * in the batch are kept as they are, in their order. The caller owns the result. Pure.
 */
struct cJSON *route_batch_apply(const struct cJSON *routes, const struct route_batch *batch,
    bool stream_close_delay, struct route_batch_result *result);

/*
 * Does it to the server's routes, and reads them back. After a timeout the outcome is read back
 * before anything else. The caller holds REGISTRY_LOCK_CADDY.
 */
bool caddy_routes_change(struct caddy_admin *admin, const char *server,
    const struct route_batch *batch, struct route_batch_result *result, struct dm_err *err) DM_MUST;

#endif
