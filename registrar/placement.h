/* SPDX-License-Identifier: MIT */
/*
 * How Caddy leads a claim's URL to its upstream: by the mesh route, or by a route of its own, and
 * on which of its servers. Decided from the session's view, the same way for whoever registers a
 * service, does so again, or mends what Caddy has lost.
 */
#ifndef DEVMESH_PLACEMENT_H
#define DEVMESH_PLACEMENT_H

#include <stdbool.h>

#include "base/err.h"
#include "caddy/route.h"
#include "session.h"

struct placement {
	char domain[HOST_MAX + 1];
	struct caddy_server server; /* borrowed from the view */
	enum claim_registration how;
	char alias_host[HOST_MAX + 1];
	bool has_alias; /* the bare app name leads to the claim as well */
};

/* Whether the claim's upstream is the socket that the mesh route leads to. */
bool placement_conventional(const struct session *s, const struct claim *claim);

/*
 * Chooses server and registration; `out->domain` has been set. `auto` writes nothing where nothing
 * has to be written. Needs the view.
 */
bool placement_choose(struct session *s, const struct claim *claim, struct placement *out,
    struct dm_err *err) DM_MUST;

/* All of it for a claim that there is: domain and alias are those that it has. */
bool placement_of(struct session *s, const struct claim *claim, struct placement *out,
    struct dm_err *err) DM_MUST;

/* What the route has to be; borrows from all three (`dial`: claim_dial()). */
struct route_spec
placement_spec(const struct placement *place, const struct claim *claim, const char *dial);

/*
 * The service's own route in Caddy, or NULL. A hand-made mesh route may bear any @id, also that
 * of a service ("devmesh"): it is nobody's own. Borrowed from the view.
 */
const struct cJSON *placement_own_route(const struct session *s, const char *id);
/* Whether the claim's @id is free for a route of its own: no mesh route bears it. */
bool placement_id_is_free(
    const struct session *s, const struct claim *claim, struct dm_err *err) DM_MUST;

/*
 * Sees to it that the route is there, alone and effective. *wrote: Caddy's configuration was, or
 * with dry_run would be, changed.
 */
bool placement_write(struct session *s, const struct placement *place, const struct claim *claim,
    bool dry_run, bool *wrote, struct dm_err *err) DM_MUST;

/*
 * The writers of one user take turns: a descriptor to close. When one hangs the others go on, safe
 * by If-Match: -1, with a warning.
 */
int placement_lock(struct session *s);

#endif
