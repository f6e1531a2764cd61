/* SPDX-License-Identifier: MIT */
/* All services of this user with their evidence: what `status` shows and `gc` acts on. */
#ifndef DEVMESH_SURVEY_H
#define DEVMESH_SURVEY_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/proc.h"
#include "base/sock.h"
#include "model/service.h"
#include "session.h"

struct survey_row {
	const struct claim *claim; /* borrowed from the survey */
	struct service_evidence evidence;
	enum service_state state;
	pid_t pid;	      /* of the server that listens, behind a bridge too; 0 if unknown */
	char *other_worktree; /* with SERVICE_FOREIGN: where it runs; NULL: unknown. Owned */
};

struct survey {
	struct registry_claims claims;
	struct survey_row *rows; /* one for each claim that is no alias */
	size_t count;
	struct dm_err caddy; /* why Caddy could not be asked; code DM_OK if it was */
};

/*
 * Looks at one claim; Caddy is not asked, its view is the session's (NULL: no route leads
 * anywhere). `listeners` as in answerer_find(). `socket` (may be NULL) is what was found at its
 * socket. The row borrows the claim; survey_row_release().
 */
void survey_look(const struct session *s, const struct claim *claim,
    const struct dm_listeners *listeners, struct survey_row *row, struct dm_sock_info *socket);
void survey_row_release(struct survey_row *row);

/* Whether Caddy, as the session's view says, leads the claim's host to its upstream. */
bool survey_route_ok(const struct session *s, const struct claim *claim);

/* Who listens on the ports of all claims that have one: one look for all of them. */
void survey_listeners(const struct registry_claims *claims, struct dm_listeners *out);

/* Looks at everything once; a Caddy that does not answer is part of the result, no failure. */
bool survey_take(struct session *s, struct survey *out, struct dm_err *err) DM_MUST;
void survey_release(struct survey *survey);

#endif
