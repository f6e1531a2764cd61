/* SPDX-License-Identifier: MIT */
/* http.c: calls of Caddy's admin API, a client on a connection that stays, and WebSockets. */
#ifndef DEVMESH_CLIENT_H
#define DEVMESH_CLIENT_H

#include <stdbool.h>

/* One request to the admin API on a Unix socket. Returns the HTTP status, or 0. *out may be NULL;
 * else the body, which the caller frees. */
long
admin_call(const char *sock, const char *method, const char *path, const char *body, char **out);
/* How many routes of srv0 there are with this "@id" (NULL: all). -1 when Caddy does not answer. */
int admin_count(const char *sock, const char *id);

struct target {
	const char *name;
	char host[128];
	int port;
	bool tls;
	const char *ca; /* PEM file for tls */
	bool usable;	/* answered 200 when the world was set up */
};

struct client;
struct client *client_new(const struct target *t);
/* One GET / on the kept-alive connection; false unless 200. */
bool client_get(struct client *c, double *ms);
/* The start of the last answer's body, as text. Borrowed. */
const char *client_body(const struct client *c);
/*
 * Sends `up` bytes (PUT /), or, where that is 0, fetches /bytes/<down>, on a connection of its own.
 * How many MB a second; NAN if not all of it came through.
 */
double transfer_rate(const struct target *t, long long up, long long down);
/* Why the last one was not 200. Borrowed. */
const char *client_error(const struct client *c);
void client_free(struct client *c);

struct ws;
struct ws *ws_open(const struct target *t);
/* Sends a message and waits for the echo. */
bool ws_alive(struct ws *w);
void ws_free(struct ws *w);

#endif
