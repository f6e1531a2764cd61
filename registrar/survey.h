/* SPDX-License-Identifier: MIT */
/* All services of this user with their evidence: what `status` shows and `gc` acts on. */
#ifndef DEVMESH_SURVEY_H
#define DEVMESH_SURVEY_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
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

/* Looks at everything once; a Caddy that does not answer is part of the result, no failure. */
bool survey_take(struct session *s, struct survey *out, struct dm_err *err) DM_MUST;
void survey_release(struct survey *survey);

#endif
