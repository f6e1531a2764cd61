/* SPDX-License-Identifier: MIT */
/* Waiting until a service answers through Caddy. */
#ifndef DEVMESH_WAIT_H
#define DEVMESH_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "claim/claim.h"

/*
 * Returns when a request for the claim's URL, sent to Caddy on this machine, was answered by the
 * service (whatever the status). DM_TIMEOUT says what was missing: a listener, or the way there.
 * Another thread may set *cancel (NULL: nobody does): then it fails within two seconds.
 */
bool wait_for_service(const struct claim *claim, int64_t timeout_ms, const atomic_bool *cancel,
    struct dm_err *err) DM_MUST;

/* Who has answered a request. */
enum wait_answer {
	WAIT_SERVICE,  /* the service: Caddy's answer bears its id */
	WAIT_UNMARKED, /* somebody, without an id: a mesh route that was written by hand, say */
	WAIT_OTHER,    /* another service */
	WAIT_NOBODY,   /* Caddy's own page or error, or no answer at all */
};

struct http;

/*
 * One request for the URL of a claim, or of an alias, sent to Caddy on this machine; *err says who
 * answered, unless it was the service.
 */
enum wait_answer wait_ask(
    struct http *http, const struct claim *claim, int64_t timeout_ms, struct dm_err *err) DM_MUST;

#endif
