/* SPDX-License-Identifier: MIT */
/*
 * What the services are asked for, as Caddy's access log tells (access_log.h), put into the model
 * (requests.h): that of the private mesh, and that of `devmesh setup --user`. Looked at every 2
 * seconds, and oftener while somebody looks at us.
 */
#ifndef DEVMESH_REQUEST_WATCH_H
#define DEVMESH_REQUEST_WATCH_H

struct cJSON;
struct daemon;
struct request_watch;

/* Begins with what is in the log already; the services have to be known. The caller owns it. */
struct request_watch *request_watch_new(struct daemon *d);
void request_watch_free(struct request_watch *watch);

/* Somebody wants to know: looks now. */
void request_watch_look(struct request_watch *watch);

/* "on"; "off": it is turned off; "none": there is no log to read. Static storage. */
const char *request_watch_state(const struct request_watch *watch);

/* The figures of a service (requests.h), as openapi.json has them; null: there is no log. */
struct cJSON *request_watch_figures(const struct request_watch *watch, const char *id);

#endif
