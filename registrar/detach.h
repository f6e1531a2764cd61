/* SPDX-License-Identifier: MIT */
/* Runs that devmeshd looks after: `devmesh run -d`, and start, stop and restart of a service. */
#ifndef DEVMESH_DETACH_H
#define DEVMESH_DETACH_H

#include <stdint.h>

#include "base/err.h"
#include "commands.h"
#include "runner.h"
#include "session.h"

struct cJSON;
struct ctl;

/* Borrowed. */
struct detach_request {
	const struct runner_options *run;
	const char *config_file; /* --config; NULL: none */
	int on_request;		 /* as in struct command */
	int64_t idle_stop_s;
};

/*
 * Claims the name, keeps the command, has devmeshd (which is started if it does not run) start it,
 * in place of one that it runs already, and returns when it answers through Caddy. If it ends
 * before that, the error is what it has said. The caller owns *claim.
 */
bool detach_run(struct session *s, const struct detach_request *request, struct claim **claim,
    struct dm_err *err) DM_MUST;

/* "start", "stop" or "restart" of the service, by devmeshd. */
bool detach_tell(struct session *s, const char *id, const char *verb, struct dm_err *err) DM_MUST;

/*
 * Returns when the service, which devmeshd is starting, answers through Caddy; DM_TIMEOUT after so
 * many milliseconds. As soon as it is known that it will not, the error is why. The caller owns
 * *claim.
 */
bool detach_wait(struct session *s, const char *id, int64_t wait_ms, struct claim **claim,
    struct dm_err *err) DM_MUST;

#endif
