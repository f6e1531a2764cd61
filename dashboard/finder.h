/* SPDX-License-Identifier: MIT */
/* What nobody has told us: listening processes, registered or not (discover.h). */
#ifndef DEVMESH_FINDER_H
#define DEVMESH_FINDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "discover.h"

struct daemon;
struct finder;

struct finder *finder_open(struct daemon *d, struct dm_err *err) DM_MUST;
void finder_close(struct finder *finder);
/* Looks now; afterwards it does so by itself. */
void finder_scan(struct finder *finder);
/* A worktree was removed or moved: where every process is has to be seen anew. */
void finder_doubt(struct finder *finder);
/* How long the last look has taken, in microseconds. */
int64_t finder_scan_us(const struct finder *finder);
/* Looks again soon: claims have changed, or somebody looks. */
void finder_hint(struct finder *finder);

/* Listening processes of the last look, registered ones included. Borrowed. */
const struct found_list *finder_found(const struct finder *finder);

#endif
