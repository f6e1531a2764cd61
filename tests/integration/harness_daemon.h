/* SPDX-License-Identifier: MIT */
/*
 * The real devmeshd in a test's world, watched from outside by its control socket: what it says is
 * so (GET), and what it says has happened (its events, each with the time it came).
 *
 * Everything belongs to the world. A daemon that still runs when its test has passed has to end
 * properly at SIGTERM, without a word of a bug (nor of a sanitizer) in its log.
 */
#ifndef DEVMESH_HARNESS_DAEMON_H
#define DEVMESH_HARNESS_DAEMON_H

#include "harness_mend.h"
#include "harness_net.h"
#include "harness_run.h"

#define NOBODY 65534

struct devmeshd {
	struct proc *p;
	uid_t uid; /* who it runs as */
	char state[WORLD_PATH];
	int fd;	      /* its event stream; -1: ended */
	cJSON *hello; /* the state that the stream began with */
	double seq;   /* of the last event that came */
	char *buf;
	size_t len, cap;
	struct happened *events;
	size_t count, room;
	struct devmeshd *next;
};

/* One event. A wait takes it: the next wait for the same finds the next one. */
struct happened {
	const char *kind;
	const char *id; /* "" for none */
	const cJSON *data;
	int64_t at_ms; /* when it came: now_ms() */
	bool taken;
};

/* Times of two events are told apart no better than this, and timers are no more exact. */
#define INEXACT_MS 50

#define DAEMON_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, daemon_teardown)
int daemon_teardown(void **state);

/* DEVMESH_DAEMON_<KEY>, for those that are started afterwards. */
void daemon_conf(struct world *w, const char *key, const char *value);
/*
 * Starts one as w->uid and waits until it has looked at everything; DEVMESHD_WRAP (a debugger, say)
 * stands in front of its command line.
 */
struct devmeshd *daemon_start(struct world *w);
void daemon_end(struct world *w, struct devmeshd *d); /* SIGTERM; it must end with exit code 0 */
void daemon_kill(struct world *w, struct devmeshd *d);
const char *daemon_log(struct world *w, const struct devmeshd *d);

/* The body of its answer to one request, which must have status 200. `body` NULL: none. */
cJSON *daemon_ask(struct world *w, const struct devmeshd *d, const char *method, const char *path,
    const char *body);
cJSON *service_of(struct world *w, const struct devmeshd *d, const char *id); /* NULL: none */
/* Has it look at once, and checks the state that this leads to. */
void assert_probed(struct world *w, const struct devmeshd *d, const char *id, const char *state);

/* Takes what has come. Fails when the daemon has gone. */
void pump(struct world *w, struct devmeshd *d);
/* Each waits for an event that was not taken yet; NULL stands for anything, reasons may be parts.
 */
const struct happened *wait_event(
    struct world *w, struct devmeshd *d, const char *kind, const char *id, const char *reason);
/*
 * A state that has changed (`was` "": it is new); GET says the same. A regular look that was
 * quicker than any hint is a reason as well.
 */
const struct happened *wait_move(struct world *w, struct devmeshd *d, const char *id,
    const char *was, const char *state, const char *reason);
const struct happened *wait_mend(struct world *w, struct devmeshd *d, const char *what,
    const char *kind, const char *name, const char *reason);
/* How many there were until now, taken or not. */
int count_events(struct world *w, struct devmeshd *d, const char *kind, const char *id);
/* There were none until now. */
void assert_no_event(struct world *w, struct devmeshd *d, const char *kind, const char *id);
/* No event has shown the service in this state. */
void assert_never(struct world *w, struct devmeshd *d, const char *id, const char *state);
void wait_state(struct world *w, struct devmeshd *d, const char *id, const char *state);
/*
 * Long enough for whatever is dead by now to have been removed: until that has happened to a claim
 * and a socket that died just now. Its names begin with "canary-".
 */
void outlast_grace(struct world *w, struct devmeshd *d);
/* The same by a socket alone, for where nothing can be registered. */
void outlast_socket(struct world *w, struct devmeshd *d);
/* Nothing was mended but canaries, and the daemon's own route; that Caddy hangs may be told. */
void assert_no_mends(struct world *w, struct devmeshd *d);

#endif
