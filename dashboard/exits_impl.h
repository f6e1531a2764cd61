/* SPDX-License-Identifier: MIT */
/*
 * The parts of exits.h: exits.c knows the processes, reports, and looks where it must;
 * exits_linux.c and exits_darwin.c have the kernel tell.
 */
#ifndef DEVMESH_EXITS_IMPL_H
#define DEVMESH_EXITS_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exits.h"

struct event;

struct exits_how {
	bool by_looking; /* never ask the kernel */
	int64_t look_ms; /* between two looks at those of whom the kernel does not tell */
};

/* exits_open() with another way of waiting than the best one there is; for tests. */
struct exits *exits_open_with(struct event_base *base, const struct exits_how *how,
    exits_ended *ended, void *user, struct dm_err *err) DM_MUST;

/* How many processes are waited for without the kernel's help. */
size_t exits_count_looked_at(const struct exits *exits);

/* A process that is waited for; at the same address until it has been detached. */
struct exits_entry {
	struct exits *exits;
	struct dm_proc_id id;
	size_t wanted;	     /* how often it was added; 0: to be freed */
	bool ended;	     /* to be reported */
	bool attached;	     /* the kernel will tell */
	struct event *event; /* for exits_linux.c */
};

/* ---- the kernel: exits_linux.c, exits_darwin.c -------------------------------------------- */

struct exits_kernel;

/* NULL with errno set if it cannot be had. The caller owns it. */
struct exits_kernel *exits_kernel_open(struct event_base *base, struct exits *exits);
void exits_kernel_close(struct exits_kernel *kernel);

/*
 * Asks to be told of the end of whoever has the entry's pid now; 0, or an errno value: ESRCH if
 * nobody has it.
 */
int exits_kernel_attach(struct exits_kernel *kernel, struct exits_entry *entry) DM_MUST;
void exits_kernel_detach(struct exits_kernel *kernel, struct exits_entry *entry);

/* To be called from the loop: the entry's process has ended. */
void exits_told(struct exits_entry *entry);

#endif
