/* SPDX-License-Identifier: MIT */
/*
 * What the services stand on, as `devmesh system` finds it out: by a worker, when somebody asks,
 * and kept for a while.
 */
#ifndef DEVMESH_FACTS_H
#define DEVMESH_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct cJSON;
struct daemon;
struct facts;

enum {
	FACTS_KEPT_MS = 60000, /* what is younger is good enough */
	FACTS_FRESH_MS = 2000  /* the same for who wants it as it is now */
};

/* The caller owns it. */
struct facts *facts_new(struct daemon *d);
/* After the workers have ended. */
void facts_free(struct facts *facts);

/* Whether they are younger than that; if not, a look begins, unless one is under way. */
bool facts_want(struct facts *facts, int64_t max_age_ms);
/* A look is under way. */
bool facts_busy(const struct facts *facts);
/*
 * A document "System" of openapi.json, which the caller owns; NULL: the last look has failed, and
 * *err says why.
 */
struct cJSON *facts_document(const struct facts *facts, struct dm_err *err) DM_MUST;

#endif
