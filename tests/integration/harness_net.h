/* SPDX-License-Identifier: MIT */
/*
 * The network of a test world: HTTP, the real Caddy, and the servers and clients around it.
 */
#ifndef DEVMESH_HARNESS_NET_H
#define DEVMESH_HARNESS_NET_H

#include "harness.h"

struct reply {
	long status; /* 0: no answer, and `error` says why */
	const char *body, *headers, *error;
};

/* harness_http.c: HTTP and Caddy */
struct reply http_get(struct world *w, int port, const char *host, const char *path);
struct reply http_unix(struct world *w, const char *socket, const char *method, const char *url,
    const char *const headers[], const char *body); /* by that socket, whatever the URL's host */
struct reply fetch(struct world *w, const char *url, const char *const headers[]);
struct reply admin(struct world *w, const char *method, const char *path, const char *body);
const char *reply_header(struct world *w, struct reply r, const char *name); /* NULL: absent */
void assert_answers(struct world *w, const char *host, const char *body);
void assert_url_answers(struct world *w, const char *url, const char *body);
void caddy_start(struct world *w, const char *config); /* on w->admin, which the config names */
void caddy_restart(struct world *w);		       /* from its file, without API changes */
void caddy_plain(struct world *w, const char *routes); /* srv0, plain HTTP, these routes */
void caddy_plain_tcp(struct world *w, const char *routes);
void caddy_mesh(struct world *w, const char *more_routes); /* with the mesh route */
int private_mesh(struct world *w);	  /* `devmesh start`; the port of its https server */
int private_mesh_as_set(struct world *w); /* the same, of the domain that is set */
char *routes_text(struct world *w);
cJSON *routes(struct world *w);
int count_routes(struct world *w, const char *id);
cJSON *route_of(struct world *w, const char *id); /* fails unless there is exactly one */
char *bystanders(struct world *w, int n);	  /* JSON array of n routes of others */
void assert_bystanders(struct world *w, int n);

/* harness_peer.c: servers and clients the tests play themselves */
struct proc *serve_unix(struct world *w, const char *path, const char *name);
struct proc *serve_id(struct world *w, const char *id); /* on the conventional socket of id */
/* By a process of its own whose working directory is `dir`; returns when it listens. */
struct proc *serve_in(struct world *w, const char *dir, const char *path, const char *name);
struct proc *serve_tcp_in(struct world *w, const char *dir, const char *name, int *port);
struct proc *serve_port_in(struct world *w, const char *dir, const char *name, int port);
struct proc *serve_tcp(struct world *w, int status, const char *name, int *port);
void stale_socket(const char *path);
int bound_socket(const char *path); /* bound, and nobody listens yet */
struct proc *serve_bound(struct world *w, int fd, const char *name); /* now; closes our fd */
struct proc *
serve_listening(struct world *w, int fd, const char *name); /* the same, made already */
int full_socket(const char *path, int pending[2]); /* listens, backlog full; close them yourself */
struct proc *serve_ws(struct world *w, const char *path);
int ws_open(struct world *w, const char *host);
bool ws_closed(int fd); /* it ended, or sent something nobody asked for */
bool ws_ping(int fd);	/* a ping is answered by its pong */

#endif
