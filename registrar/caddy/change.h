/* SPDX-License-Identifier: MIT */
/*
 * Changes of Caddy's routes that never hit somebody else's.
 *
 * Why this is not two lines: Caddy resolves /id/<id> to an array index before it takes the lock
 * for the write, so a plain DELETE /id/x can remove another route and answer 200. Here every
 * write goes to a path taken from an ETag whose body was checked for its @id, with If-Match, and
 * is read back. 412 means that somebody else was quicker: look again, after a growing pause.
 *
 * The callers hold REGISTRY_LOCK_CADDY, so that devmesh processes of one user do not compete;
 * correctness does not depend on it.
 */
#ifndef DEVMESH_CHANGE_H
#define DEVMESH_CHANGE_H

#include "base/err.h"
#include "caddy/admin.h"
#include "caddy/route.h"

enum route_change {
	ROUTE_UNCHANGED, /* it was there, equal and effective: nothing was written */
	ROUTE_ADDED,
	ROUTE_REPLACED, /* one or several routes with the @id were deleted first */
};

/*
 * Makes the server have exactly one route with the spec's @id, equal to the spec, in front of any
 * route that would catch its hosts: DELETE of what there was, then POST (or PUT at an index).
 * `known` is how many objects with the @id the caller has seen, anywhere in the configuration
 * (caddy_view_count). After a timeout or a reset the outcome is read back before anything else.
 */
bool caddy_route_put(struct caddy_admin *admin, const char *server, const struct route_spec *spec,
    unsigned known, enum route_change *change, struct dm_err *err) DM_MUST;

/* Whether the server's routes are already what caddy_route_put() would make of them. Pure. */
bool caddy_route_in_place(const struct cJSON *routes, const struct route_spec *spec);

/* Removes every route with this @id, wherever it is. *removed counts them. */
bool caddy_route_remove(
    struct caddy_admin *admin, const char *id, unsigned *removed, struct dm_err *err) DM_MUST;

#endif
