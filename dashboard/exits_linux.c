/* SPDX-License-Identifier: MIT */
/* pidfd_open(2), Linux 5.3: a descriptor for each process, readable when that has ended. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "exits_impl.h"
#include "fds.h"

/* A C library may not know the call yet. Its number is the same on every architecture but alpha. */
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

struct exits_kernel {
	struct event_base *base;
};

struct exits_kernel *
exits_kernel_open(struct event_base *base, struct exits *exits)
{
	struct exits_kernel *k = dm_calloc(1, sizeof(*k));

	(void)exits;
	k->base = base;
	return k;
}

void
exits_kernel_close(struct exits_kernel *kernel)
{
	free(kernel);
}

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	exits_told(user);
}

int
exits_kernel_attach(struct exits_kernel *kernel, struct exits_entry *entry)
{
	/* close-on-exec by itself */
	int fd = (int)syscall(SYS_pidfd_open, entry->id.pid, 0U);

	if (!fds_afford(fd))
		return errno;
	entry->event = event_new(kernel->base, fd, EV_READ, on_readable, entry);
	if (entry->event != NULL && event_add(entry->event, NULL) == 0)
		return 0;
	if (entry->event != NULL)
		event_free(entry->event);
	entry->event = NULL;
	(void)close(fd);
	return ENOMEM;
}

void
exits_kernel_detach(struct exits_kernel *kernel, struct exits_entry *entry)
{
	int fd = (int)event_get_fd(entry->event);

	(void)kernel;
	event_free(entry->event);
	entry->event = NULL;
	(void)close(fd);
}
