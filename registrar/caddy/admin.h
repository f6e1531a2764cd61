/* SPDX-License-Identifier: MIT */
/*
 * Caddy's admin API: where it is, and single requests to it (caddyserver.com/docs/api).
 */
#ifndef DEVMESH_ADMIN_H
#define DEVMESH_ADMIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/sock.h"
#include "caddy/http.h"

struct caddy_admin;

/*
 * `address` is "http://host[:2019]" or "unix:///path"; `timeout_ms` bounds each request.
 * Nothing is sent yet. The caller owns the result.
 */
struct caddy_admin *
caddy_admin_new(const char *address, int64_t timeout_ms, struct dm_err *err) DM_MUST;
void caddy_admin_free(struct caddy_admin *admin);
DM_DEFINE_FREEP(caddy_admin)

/* The address as given; borrowed. */
const char *caddy_admin_address(const struct caddy_admin *admin);
int64_t caddy_admin_timeout(const struct caddy_admin *admin);

/*
 * Who serves it: asked of the kernel (peer credentials of a Unix socket; the owner of the listening
 * TCP socket of this machine), not of Caddy. *pid is 0 if the process cannot be seen. False if it
 * cannot be told, or Caddy is not on this machine.
 */
bool caddy_admin_owner(const struct caddy_admin *admin, uid_t *uid, pid_t *pid);

/*
 * GET without ETag, the quick way. Connections that a reload resets are tried again. A status
 * other than 200 is not an error. DM_UNREACHABLE when nobody listens, DM_TIMEOUT when Caddy
 * accepts but does not answer.
 */
bool caddy_admin_get(struct caddy_admin *admin, const char *path, int *status, struct dm_str *body,
    struct dm_err *err) DM_MUST;

/* For whoever has a loop of its own: the text of that GET. The caller owns it. */
char *caddy_admin_get_request(const struct caddy_admin *admin, const char *path);

/*
 * The addresses to try for it, one after the other: how many, at most `max`; 0: there is none. A
 * host name other than "localhost" is looked up, which may take a while.
 */
size_t
caddy_admin_addresses(const struct caddy_admin *admin, struct dm_sock_address *out, size_t max);
/* The TCP port; 0 with a Unix socket. */
uint16_t caddy_admin_port(const struct caddy_admin *admin);

/* Any request, by libcurl; body is JSON unless content_type says otherwise. NULL: none. */
enum http_outcome caddy_admin_send(struct caddy_admin *admin, const char *method, const char *path,
    const char *content_type, const char *body, const char *if_match, struct http_reply *reply,
    struct dm_err *err) DM_MUST;

/* Sets *err to what Caddy said in a reply that reports a failure. Always returns false. */
bool caddy_admin_refused(const struct http_reply *reply, const char *what, struct dm_err *err);

#endif
