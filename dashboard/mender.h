/* SPDX-License-Identifier: MIT */
/*
 * Puts right what the looks have shown to be wrong (mend.h says what), after the grace period, by a
 * worker, with a growing pause after a failure. Each mend is an event with its reason.
 */
#ifndef DEVMESH_MENDER_H
#define DEVMESH_MENDER_H

#include <stdint.h>

#include "base/err.h"

struct daemon;
struct mender;

/* Since the daemon's start. */
struct mender_counts {
	uint64_t mends;
	uint64_t failures;
	const char *problem; /* of the last try; NULL: it went well. Borrowed */
};

struct mender *mender_open(struct daemon *d, struct dm_err *err) DM_MUST;
void mender_close(struct mender *mender);
/* Something has changed: looks, a moment later, at what there is to mend. */
void mender_consider(struct mender *mender);
/* A worktree has moved: the claims of the old path follow (register_moved), before anything else.
 */
void mender_moved(struct mender *mender, const char *from, const char *to);
struct mender_counts mender_counts(const struct mender *mender);

#endif
