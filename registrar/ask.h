/* SPDX-License-Identifier: MIT */
/* Verbs that ask devmeshd (ctl/ctl.h). None of them starts it. */
#ifndef DEVMESH_ASK_H
#define DEVMESH_ASK_H

#include <stdint.h>

#include "base/err.h"
#include "ctl/ctl.h"
#include "session.h"

/* How it is: its answer to GET /control/status. */
struct ask_status {
	uint64_t seq;	     /* of its newest event */
	uint64_t kept_since; /* all events after this one are kept */
};

/*
 * Connects, and asks how it is; one of another version than devmesh is warned about. DM_UNREACHABLE
 * with a hint if none runs. The caller owns the result.
 */
struct ctl *ask_open(struct session *s, struct ask_status *status, struct dm_err *err) DM_MUST;

/* GETs the path; a status of 400 or more is an error, in the daemon's words. Release the reply. */
bool
ask_get(struct ctl *ctl, const char *path, struct ctl_reply *reply, struct dm_err *err) DM_MUST;

/*
 * devmeshd has gone, as *why says: says so, and calls `connect` until it succeeds, or fails for
 * another reason than that nobody is there yet.
 */
typedef bool ask_connect(void *user, struct dm_err *err);
bool
ask_again(ask_connect *connect, void *user, const struct dm_err *why, struct dm_err *err) DM_MUST;

/*
 * From now on ctl_next() gives the events: first those after *since; or, if since is NULL or not
 * kept any more, "hello" with the whole state.
 */
bool ask_events(struct ctl *ctl, const uint64_t *since, struct dm_err *err) DM_MUST;

#endif
