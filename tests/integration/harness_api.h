/* SPDX-License-Identifier: MIT */
/* The real devmeshd in a test world, and clients of its API that may misbehave. */
#ifndef DEVMESH_HARNESS_API_H
#define DEVMESH_HARNESS_API_H

#include "harness_net.h"

#define DAEMON_HOST "devmesh.dev.test"

/* Starts it; it is ready, with a name if Caddy runs. Its output goes to p->err. */
struct proc *api_daemon(struct world *w);
/* With that file, which may be relative to the world's directory. */
struct proc *api_daemon_with(struct world *w, const char *config);
const char *daemon_socket(struct world *w); /* of its own service */
const char *daemon_control(struct world *w);
const char *daemon_token(struct world *w);

/* One request on the control socket; `body` is JSON or NULL. The answer's body, NULL if none. */
cJSON *ctl(struct world *w, const char *method, const char *path, const char *body, int *status);
/* The same, which must be answered with 200. */
cJSON *ctl_ok(struct world *w, const char *method, const char *path, const char *body);
cJSON *api_service(struct world *w, const char *id); /* as the daemon sees it; NULL: it does not */
void api_wait_state(struct world *w, const char *id, const char *state);

/*
 * One request at the daemon's own socket, as Caddy would pass it on. `headers` may be NULL; a Host
 * among them replaces the right one.
 */
struct reply api(struct world *w, const char *method, const char *path, const char *const headers[],
    const char *body);
/* With the token, and a body of JSON. */
/* With the token. */
struct reply api_get_private(struct world *w, const char *path);
struct reply api_post(struct world *w, const char *path, const char *body);

/* A connection by hand. */
struct raw {
	int fd;
	char *text; /* all that has come */
	size_t length, seen;
	bool ended;
};

struct raw *raw_unix(struct world *w, const char *path);
struct raw *raw_tcp(struct world *w, int port);
void raw_send(struct raw *r, const char *text);
/* Waits until the text has come, behind what was waited for before. */
void raw_wait(struct raw *r, const char *text);
void raw_wait_end(struct raw *r); /* the other side has closed it */
void raw_close(struct raw *r);
/* An event stream that has begun: at the daemon's socket, or by Caddy. */
struct raw *stream_open(struct world *w, const char *path, const char *headers);
struct raw *stream_open_by_caddy(struct world *w, const char *path, const char *headers);

/* Fails unless the answer is one that openapi.json describes for the method and path. */
void assert_described(
    struct world *w, const cJSON *openapi, const char *method, const char *path, struct reply r);
/* The same for an event's data. */
void assert_event_described(const cJSON *openapi, const char *kind, const cJSON *data);
/* Fails unless the value fits the schema of that name in openapi.json. */
void assert_fits(const cJSON *openapi, const char *schema, const cJSON *value);
/* Fails if the file uses what the above does not understand, or refers to what is not there. */
void assert_schemas_sound(const cJSON *openapi);

#endif
