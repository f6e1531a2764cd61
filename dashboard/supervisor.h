/* SPDX-License-Identifier: MIT */
/*
 * The services that devmeshd itself starts (`devmesh run -d`, commands.h): each is a `devmesh run`
 * of its own, started again when it fails, later each time, and given up when it never lasts.
 *
 * These runs outlive the daemon: one that is started anew finds them again by their claims.
 */
#ifndef DEVMESH_SUPERVISOR_H
#define DEVMESH_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/proc.h"
#include "model/slug.h"

struct cJSON;
struct daemon;
struct supervisor;

enum supervised_state {
	SUPERVISED_RUNNING,
	SUPERVISED_WAITING,  /* it has failed, and is started again */
	SUPERVISED_STOPPING, /* it was told to end */
	SUPERVISED_STOPPED,  /* by somebody, or it has ended by itself */
	SUPERVISED_IDLE,     /* nobody has asked it for anything for long enough */
	SUPERVISED_FAILED,   /* too often: nobody starts it again */
};

/* "running", ...: as in the API. Static storage. */
const char *supervised_state_name(enum supervised_state state);

/* One of them; owned by the supervisor, borrowed until the loop's next turn. */
struct supervised {
	struct slug id;
	char *command; /* as a person would type it */
	enum supervised_state state;
	struct dm_proc_id runner; /* the devmesh run; pid 0: none */
	int status;	     /* exit code of the last one, 128 + n after signal n; -1: unknown */
	unsigned restarts;   /* since somebody has started it */
	char *problem;	     /* why it waits or has failed; NULL: it has not */
	bool on_request;     /* who opens its URL starts it */
	int64_t idle_stop_s; /* 0: it is never ended for want of requests */

	/* Of supervisor.c alone. By the monotonic clock, in milliseconds. */
	int64_t started_ms, due_ms, busy_ms;
	unsigned failures; /* one soon after the other */
	bool again;	   /* start it when it has stopped */
	bool idle;	   /* it stops for want of requests */
};

/* The caller owns it. */
struct supervisor *supervisor_open(struct daemon *d);
/* What runs goes on to run. */
void supervisor_close(struct supervisor *supervisor);

/* Once the claims are known: finds again what runs, and starts what is to ([run] restore). */
void supervisor_resume(struct supervisor *supervisor);

/* Starts it, by the record of today; nothing if it runs. DM_NOT_FOUND if how is not known. */
bool supervisor_start(struct supervisor *supervisor, const char *id, struct dm_err *err) DM_MUST;
/* Tells it to end, and to stay so. DM_NOT_FOUND if it is none of these services. */
bool supervisor_stop(struct supervisor *supervisor, const char *id, struct dm_err *err) DM_MUST;
/* The two together; one that does not run is only started. */
bool supervisor_restart(struct supervisor *supervisor, const char *id, struct dm_err *err) DM_MUST;

/* Somebody has opened its URL, and nobody answers: whether it is being started. */
bool supervisor_wake(struct supervisor *supervisor, const char *id);

/* Reads again whether there is a record: a verb may have removed it. */
void supervisor_recheck(struct supervisor *supervisor, const char *id);
/* The process has ended. */
void supervisor_process_ended(struct supervisor *supervisor, const struct dm_proc_id *id);

/* NULL: it is none of these services. */
const struct supervised *supervisor_find(const struct supervisor *supervisor, const char *id);
/* As in the API ("Supervised" in openapi.json); null if `s` is NULL. The caller owns it. */
struct cJSON *supervised_json(const struct supervised *s);

#endif
