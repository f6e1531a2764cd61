/* SPDX-License-Identifier: MIT */
/*
 * The services of this user: every claim in the registry, with the evidence of the last look and
 * the state that follows from it (survey.h and model/service.h: the same as the `status` verb's).
 *
 * A hint (watch.h, exits.h, a changed Caddy) leads to a look, never to a change of state by itself;
 * a sweep over all of them every probe_interval is the truth. services.c alone moves a state, along
 * the table of legal moves (service_may_become), and every move is an event.
 */
#ifndef DEVMESH_SERVICES_H
#define DEVMESH_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/sock.h"
#include "claim/claim.h"
#include "model/service.h"

struct daemon;
struct services;

/* One service; owned by the table, borrowed until the loop's next turn. */
struct service {
	struct claim *claim;
	struct service_evidence evidence;
	enum service_state state;
	const char *reason; /* why it got there; static */
	int64_t since;	    /* when, in seconds since the epoch */
	int64_t state_ms;   /* the same by the monotonic clock */
	int64_t seen_ms;    /* the last look */
	struct dm_sock_info socket;
	pid_t pid;		      /* of the server; 0: unknown */
	char *command;		      /* its short name; NULL: unknown */
	char *other_worktree;	      /* with SERVICE_FOREIGN */
	char *alias_url;	      /* the bare app name leads here as well; NULL: it does not */
	struct dm_proc_id watched[3]; /* whose end is waited for: runner, listener, server */
	bool counted;		      /* at a scan: the claim is still there */
};

struct services *services_open(struct daemon *d, struct dm_err *err) DM_MUST;
void services_close(struct services *services);

/* Reads the registry again, and looks at everything (`why`: static text). */
void services_sweep(struct services *services, const char *why);
/* Looks at one; a name that is no service's is no error. */
void services_look(struct services *services, const char *id, const char *why);
/* Caddy's view has changed: whether the routes lead to the services. */
void services_routes_changed(struct services *services, const char *why);
/* The intervals of the configuration have changed. */
void services_reload(struct services *services);

const struct service *services_find(const struct services *services, const char *id);
size_t services_count(const struct services *services);
/* By id. */
const struct service *services_at(const struct services *services, size_t i);

#endif
