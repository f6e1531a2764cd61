/* SPDX-License-Identifier: MIT */
/* What can be said about a service, from evidence. Pure. */
#ifndef DEVMESH_SERVICE_H
#define DEVMESH_SERVICE_H

#include <stdbool.h>

enum service_state {
	SERVICE_STARTING, /* claimed, and no socket, or no server behind it, (yet): never "stale" */
	SERVICE_UP,	  /* something listens and the route leads to it */
	SERVICE_DEGRADED, /* something listens, but Caddy is down or has lost the route */
	SERVICE_STALE,	  /* a socket file that nobody listens on */
	SERVICE_DOWN,	  /* nobody listens on its TCP port, or devmeshd has ended it */
	SERVICE_ORPHAN,	  /* its worktree is gone */
	SERVICE_FOREIGN,  /* what listens there belongs to another user, or another checkout */
	SERVICE_STATES	  /* how many there are */
};

struct service_evidence {
	bool worktree_exists;
	bool socket_exists; /* a Unix socket's file is there */
	bool listening;
	bool no_server; /* what listens is a bridge, and nothing is behind it */
	bool foreign;	/* the socket belongs to another user (root aside), or who answers works
			   outside of the worktree */
	bool is_tcp;	/* the upstream is a port */
	bool resting;	/* devmeshd is to run it, and does not */
	bool route_ok;	/* Caddy answers and leads the URL to the upstream */
};

enum service_state service_state_of(const struct service_evidence *e);

/*
 * Whether somebody listens who may be its server. On a port whose number another checkout's server
 * has by now, that is nobody; a socket of the service's name is never anybody else's.
 */
bool service_answers(const struct service_evidence *e);

/*
 * Whether a service, behind a TCP port or a socket, can get from one state to the other while its
 * claim stays the same: the one rule of legal moves. A move that is not is a bug of whoever
 * observed it.
 */
bool service_may_become(enum service_state from, enum service_state to, bool is_tcp);

/* "starting", "up", ... Static storage. */
const char *service_state_name(enum service_state state);

#endif
