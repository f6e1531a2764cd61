/* SPDX-License-Identifier: MIT */
/*
 * Caddy's ETag: "<config path> <hash>" (admin.go). It names the path that `/id/...` resolved to,
 * and is what If-Match takes back. A trailer before Caddy 2.8, a header since. Pure.
 */
#ifndef DEVMESH_ETAG_H
#define DEVMESH_ETAG_H

#include "base/err.h"

#define ETAG_MAX 512

/*
 * Takes the path out of an ETag. Only a path below /config/ of characters that need no escaping
 * in a URL is accepted: a write will be sent there.
 */
bool etag_path(const char *etag, char path[ETAG_MAX], struct dm_err *err) DM_MUST;

/* Whether such a path is that of a route in a list of routes: ".../routes/<n>". */
bool etag_path_is_route(const char *path);

#endif
