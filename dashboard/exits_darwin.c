/* SPDX-License-Identifier: MIT */
/* kqueue(2), EVFILT_PROC: one queue for all processes. Not yet run on a Mac. */
#include <errno.h>
#include <stdlib.h>
#include <sys/event.h>

#include "base/mem.h"
#include "exits_impl.h"
#include "kqueue_darwin.h"

struct exits_kernel {
	struct kqueue *queue;
};

/* An entry is not freed before the batch is through: exits_told() only marks it. */
static void
on_event(void *user, const struct kevent *event)
{
	(void)user;
	if (event->filter == EVFILT_PROC && (event->fflags & NOTE_EXIT) != 0)
		exits_told(event->udata);
}

struct exits_kernel *
exits_kernel_open(struct event_base *base, struct exits *exits)
{
	struct exits_kernel *k = dm_calloc(1, sizeof(*k));

	k->queue = kqueue_open(base, on_event, exits);
	if (k->queue != NULL)
		return k;
	free(k);
	return NULL;
}

void
exits_kernel_close(struct exits_kernel *kernel)
{
	kqueue_close(kernel->queue);
	free(kernel);
}

int
exits_kernel_attach(struct exits_kernel *kernel, struct exits_entry *entry)
{
	return kqueue_change(kernel->queue, (uintptr_t)entry->id.pid, EVFILT_PROC,
	    EV_ADD | EV_ONESHOT, NOTE_EXIT, entry);
}

/* Of one that has been told of there is nothing left to delete: no error. */
void
exits_kernel_detach(struct exits_kernel *kernel, struct exits_entry *entry)
{
	(void)kqueue_change(
	    kernel->queue, (uintptr_t)entry->id.pid, EVFILT_PROC, EV_DELETE, 0, NULL);
}
