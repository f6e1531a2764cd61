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
#include "share.h"

enum {
	PLACEMENT_DIR_MAX = 1024
};

/* It points into itself: not to be copied. */
struct placement {
	char domain[HOST_MAX + 1];
	struct caddy_server server; /* borrowed from the view */
	enum claim_registration how;
	char alias_host[HOST_MAX + 1];
	bool has_alias; /* the bare app name leads to the claim as well */
	/* Where the claim's identity document and its share are; "": there can be none. */
	char identity_dir[PLACEMENT_DIR_MAX];
	char gate_dir[PLACEMENT_DIR_MAX];
	bool shared; /* with other devices: */
	struct share share;
	struct gate_account account; /* within it */
};

/* Whether the claim's upstream is the socket that the mesh route leads to. */
bool placement_conventional(const struct session *s, const struct claim *claim);

/*
 * Chooses server and registration; `out->domain` has been set. `auto` writes nothing where nothing
 * has to be written: that a share asks for a password has to be. Needs the view.
 */
bool placement_choose(struct session *s, const struct claim *claim, struct placement *out,
    struct dm_err *err) DM_MUST;

/* All of it for a claim that there is: domain and alias are those that it has. */
bool placement_of(struct session *s, const struct claim *claim, struct placement *out,
    struct dm_err *err) DM_MUST;

/* Whether other devices have to log in: the mesh route cannot ask for a password. */
bool placement_needs_login(const struct placement *place);

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
