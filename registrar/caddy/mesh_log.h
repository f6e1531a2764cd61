/* SPDX-License-Identifier: MIT */
/*
 * Caddy's access log, from which devmeshd learns what the services are asked for: a file that Caddy
 * rolls by itself, so that it starts and serves whether or not anybody reads it. Pure.
 *
 * Neither headers nor the query of a URL get to the disk: they hold what logs a user in. What a
 * line has is the time, the method, host, path and protocol, the status, the bytes and how long it
 * took. That goes for Caddy's own log of what went wrong as well.
 */
#ifndef DEVMESH_MESH_LOG_H
#define DEVMESH_MESH_LOG_H

struct cJSON;

/* The file's name, in the directory that devmesh gives it. */
#define MESH_LOG_FILE "access.log"

/*
 * The part of a configuration that is "logging": Caddy's own log, from `level` on, and the
 * access log in the file `path`; NULL: there is none. The caller owns it.
 */
struct cJSON *mesh_logging(const char *level, const char *path);

/* A server's "logs": its requests go to that access log. The caller owns it. */
struct cJSON *mesh_server_logs(void);

/*
 * The handler behind which a request is not logged: one that the mesh answers for nobody is no
 * service's, and its page asks once a second. The caller owns it.
 */
struct cJSON *mesh_unlogged(void);

#endif
