/* SPDX-License-Identifier: MIT */
/*
 * The ends of processes that are nobody's children here: pidfd_open(2) on Linux, kqueue(2) with
 * EVFILT_PROC on macOS (exits_linux.c, exits_darwin.c), and looking every second where these
 * cannot be had. A kill -9 is seen within milliseconds, without polling.
 */
#ifndef DEVMESH_EXITS_H
#define DEVMESH_EXITS_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/proc.h"

struct event_base;
struct exits;

/* The process has ended, and is no longer waited for. Called from the loop, never from exits_add().
 */
typedef void exits_ended(void *user, const struct dm_proc_id *id);

/* The caller owns the result; `base` must outlive it. */
struct exits *
exits_open(struct event_base *base, exits_ended *ended, void *user, struct dm_err *err) DM_MUST;

/*
 * Waits for the end of that very process (a recycled pid is another one: then it has ended
 * already, which is reported as any end). Counted: it is waited for until exits_remove() has been
 * called as often as this.
 */
void exits_add(struct exits *exits, const struct dm_proc_id *id);
void exits_remove(struct exits *exits, const struct dm_proc_id *id);
/* How many processes are waited for. */
size_t exits_count(const struct exits *exits);
void exits_close(struct exits *exits);

#endif
