/* SPDX-License-Identifier: MIT */
/* Whether what Caddy runs is what was written for it. Pure. */
#ifndef DEVMESH_DRIFT_H
#define DEVMESH_DRIFT_H

#include <stdbool.h>

struct cJSON;

/* Whether a route is one that the admin API was asked for since, on purpose: a service's own. */
typedef bool drift_own(void *user, const struct cJSON *route);

/*
 * Where the two configurations differ first, as "apps.http.servers.srv0.listen: changed", routes
 * that are `own` left out of both; NULL: nowhere. Values are not told: there may be secrets. The
 * caller owns it.
 */
char *
drift_find(const struct cJSON *written, const struct cJSON *running, drift_own *own, void *user);

#endif
