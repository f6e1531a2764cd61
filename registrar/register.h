/* SPDX-License-Identifier: MIT */
/*
 * Registering a worktree's service and taking it back: claims and Caddy together. What `up` and
 * `down` do, for every program that needs it.
 */
#ifndef DEVMESH_REGISTER_H
#define DEVMESH_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "session.h"

/* Borrowed. */
struct register_request {
	struct name_flags name;
	const char *socket;	     /* another Unix socket than the conventional one; NULL: that */
	uint16_t port;		     /* a TCP port instead; 0: none */
	const struct claim_run *run; /* who serves it; NULL: as it is, while that one lives */
	bool force;		     /* take the name over from another worktree of the same user */
	bool dry_run;		     /* change nothing: only fill in the result */
};

struct register_result {
	struct claim *claim;
	char *alias_url; /* the same service under the bare app name; NULL: none */
	/* What was, or with dry_run would be, done. */
	bool claimed;	     /* the name was not ours before */
	bool wrote_route;    /* Caddy's configuration was changed */
	bool removed_socket; /* a stale socket was in the way of the server */
};

/*
 * Claims the name, sees to it that Caddy leads its URL to the upstream, and removes a stale
 * socket of ours. Idempotent. When it fails, a name that was not held before is given back,
 * unless Caddy may still carry out what it was asked to.
 */
bool register_service(struct session *s, const struct register_request *request,
    struct register_result *result, struct dm_err *err) DM_MUST;

/*
 * Sees to it that Caddy still leads the claim's URL to its upstream, and writes its route again if
 * it has lost it, or what is shared has changed it (*wrote). The claim is not touched. For services
 * that outlive a Caddy.
 */
bool register_again(
    struct session *s, const struct claim *claim, bool *wrote, struct dm_err *err) DM_MUST;

/*
 * Lets a claim follow its worktree, which was moved (git worktree move), with its alias, its
 * identity documents and, where the socket was inside, its route: registry_move() says when *moved
 * is false. Not for one that a living devmesh run serves: that follows by itself.
 */
bool register_moved(struct session *s, const struct claim *claim, const char *worktree, bool *moved,
    struct dm_err *err) DM_MUST;

void register_result_release(struct register_result *result);

struct unregister_result {
	bool removed_route;
	bool removed_socket;
	pid_t still_listening; /* a live server is left alone; 0: none */
	pid_t ended_run;       /* the devmesh run that served it, or its leftovers; 0: none */
};

/*
 * Takes back a claim of ours: its route, a stale socket, the record, in this order, so that the
 * record outlives what it describes. A devmesh run that serves it is ended first, and so is what
 * a killed one has left; a server that was started by other means is not.
 */
bool unregister_service(struct session *s, const struct claim *claim,
    struct unregister_result *result, struct dm_err *err) DM_MUST;

#endif
