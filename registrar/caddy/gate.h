/* SPDX-License-Identifier: MIT */
/*
 * The gate in front of services: what comes from this machine may pass, what comes from elsewhere
 * only to a service that was shared. Caddy decides that for each request by the names of files in a
 * directory (../share.h writes them), so that neither a share nor its end changes Caddy's
 * configuration, and an end is kept whether or not anything of devmesh runs:
 *
 *   <id>.<reach>.<until>     the service is shared
 *   @<address>.<until>       the address is this machine's own
 *
 * `until` is in seconds since the epoch, with ten digits. Pure.
 */
#ifndef DEVMESH_GATE_H
#define DEVMESH_GATE_H

#include <stdbool.h>

struct cJSON;

/* The directory, within that of the identity documents. */
#define GATE_SUBDIR "access"
/* The `until` of what has no end. */
#define GATE_FOREVER 9999999999
/* The @id-like mark of an answer that the gate has given: MESH_STATE_HEADER. */
#define GATE_STATE "not-shared"

enum gate_reach {
	GATE_LAN,      /* devices with a private address */
	GATE_PASSWORD, /* whoever knows the password */
	GATE_PUBLIC,   /* everybody */
	GATE_REACHES
};

/* "lan", "password", "public": as in the files' names. */
const char *gate_reach_name(enum gate_reach reach);
bool gate_reach_parse(const char *name, enum gate_reach *out);

/* Who has to log in, for GATE_PASSWORD: Caddy's http_basic. Borrowed. */
struct gate_account {
	const char *user;
	const char *hash; /* by `caddy hash-password`: bcrypt */
};

/*
 * The handler. It answers 403, or passes the request on. `name` is the service's id, or Caddy's
 * placeholder for it. `dir` NULL: nothing is ever shared. `account` NULL: what is shared with
 * GATE_PASSWORD does not pass. The caller owns it.
 */
struct cJSON *gate_build(const char *dir, const char *name, const struct gate_account *account);

/* A matcher, behind the gate, for what comes from this machine. The caller owns it. */
struct cJSON *gate_inside(void);
/* And one for what comes from elsewhere. */
struct cJSON *gate_outside(void);

/*
 * The directory of the gate that is part of `route`, whoever wrote the route; NULL: there is none,
 * or it lets nobody in. Borrowed.
 */
const char *gate_find_dir(const struct cJSON *route);
/* Whether the route has a gate at all. */
bool gate_is_in(const struct cJSON *route);

#endif
