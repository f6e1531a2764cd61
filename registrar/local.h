/* SPDX-License-Identifier: MIT */
/*
 * The private mesh: a Caddy of the user's own, in the background, with a configuration that
 * devmesh writes. No root, no domain, no account; nothing outside the state directory is touched.
 */
#ifndef DEVMESH_LOCAL_H
#define DEVMESH_LOCAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "session.h"

struct local_mesh {
	char domain[HOST_MAX + 1];
	uint16_t https_port, http_port;
	pid_t pid;
	bool lan;	  /* it listens for other devices; told of one that runs already */
	bool was_running; /* nothing had to be started */
};

/*
 * Makes the state directory if it is missing, and private to this user: it holds the admin socket
 * of Caddy, and the control socket of devmeshd, whose paths must be short enough.
 */
bool local_prepare(struct session *s, struct dm_err *err) DM_MUST;

/*
 * Starts it, and returns when it has answered an HTTPS request. One that runs already is left
 * alone, with a warning if its settings differ from the configuration. When Caddy does not come
 * up, the error holds what it said.
 */
bool local_start(struct session *s, struct local_mesh *mesh, struct dm_err *err) DM_MUST;

/*
 * Ends it: by its admin API, then, if it hangs, by signals to the process that listens on its
 * admin socket. *pid is 0 if none ran.
 */
bool local_stop(struct session *s, pid_t *pid, struct dm_err *err) DM_MUST;

/*
 * The access log of its Caddy (caddy/mesh_log.h), whether or not it exists yet; NULL: it is turned
 * off. The caller owns the path.
 */
char *local_access_log(const struct session *s);

/* The CA's root certificate, whether or not it exists yet; the caller owns the path. */
char *local_root_certificate(const struct session *s);

#endif
