/* SPDX-License-Identifier: MIT */
/* One blocking job beside an event loop, on a thread of its own. */
#ifndef DEVMESH_ERRAND_H
#define DEVMESH_ERRAND_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"

struct errand;

/* The job returns as any fallible function; it should end soon after *cancel is set. */
typedef bool errand_job(void *arg, const atomic_bool *cancel, struct dm_err *err);

/*
 * Starts the job. `arg` must live until errand_join(), and belongs to the job alone until then.
 * NULL with *err set if there is no thread to be had. End it with errand_join().
 */
struct errand *errand_start(errand_job *job, void *arg, struct dm_err *err) DM_MUST;

/* A descriptor that becomes readable when the job has ended; the errand's own. */
int errand_fd(const struct errand *errand);

/* Asks it to end if it has not yet, waits until it has, and frees it. The job's result. */
bool errand_join(struct errand *errand, struct dm_err *err);

#endif
