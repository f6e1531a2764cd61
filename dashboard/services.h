/* SPDX-License-Identifier: MIT */
/*
 * The services of this user: every claim in the registry, with the evidence of the last look and
 * the state that follows from it (survey.h and model/service.h: the same as the `status` verb's).
 *
 * A hint (watch.h, exits.h, a changed Caddy) leads to a look, never to a change of state by itself;
 * a sweep over all of them every probe_interval is the truth. services.c alone moves a state, by
 * the rule of legal moves (service_may_become), and every move is an event.
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

enum {
	SERVICE_WATCHED = 3 /* the devmesh run, whoever listens, the server behind it */
};

/* One service; owned by the table, borrowed until the loop's next turn. */
struct service {
	struct claim *claim;
	char *alias_url; /* the bare app name leads here as well; NULL: it does not */

	/* What the last look has shown. */
	struct service_evidence evidence;
	struct dm_sock_info socket;
	pid_t pid;	      /* of the server; 0: unknown */
	char *command;	      /* its short name; NULL: unknown */
	char *other_worktree; /* with SERVICE_FOREIGN; NULL: unknown */

	enum service_state state;
	const char *reason; /* why it got there. Static */
	int64_t since;	    /* when; seconds since the epoch */
	/* By the monotonic clock, in milliseconds; 0: not so. For whoever gives things time. */
	int64_t state_ms;	  /* it has been in this state since */
	int64_t not_answering_ms; /* nobody has listened since */
	int64_t route_missing_ms; /* Caddy has not led to it since */
	int64_t runner_gone_ms;	  /* its devmesh run has been dead since */
	struct dm_proc_id own;	  /* the last server that was seen in its worktree; pid 0: none */
	bool had_route;		  /* Caddy has led to it, as it is claimed now, before */

	/* Of services.c alone. */
	struct dm_proc_id watched[SERVICE_WATCHED]; /* pid 0: none */
	int64_t recheck_ms, recheck_step;
	bool searching; /* for whoever listens on its port */
	bool counted, alias_counted;
	struct slug alias_id; /* the record that alias_url is from */
};

struct services *services_open(struct daemon *d, struct dm_err *err) DM_MUST;
void services_close(struct services *services);

/* Reads the registry again, and looks at everything (`why`: static text). */
void services_sweep(struct services *services, const char *why);
/* Looks at one. False if there is no service of this name. */
bool services_look(struct services *services, const char *id, const char *why);
/* The entry `name` of the registry's directory may have changed; NULL: any. */
void services_hint(struct services *services, const char *name);
/* The process has ended. */
void services_process_ended(struct services *services, const struct dm_proc_id *id);
/* Caddy's view has changed: whether the routes lead to the services. */
void services_routes_changed(struct services *services, const char *why);
/* The intervals of the configuration have changed. */
void services_reload(struct services *services);

/*
 * What is said of it beside its state has changed: `change` is how ("private again"). Nothing if
 * there is no service of this name.
 */
void services_tell(struct services *services, const char *id, const char *change);

const struct service *services_find(const struct services *services, const char *id);
size_t services_count(const struct services *services);
/* By id. */
const struct service *services_at(const struct services *services, size_t i);

#endif
