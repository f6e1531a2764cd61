/* SPDX-License-Identifier: MIT */
/* Written from kqueue(2) and the kernel's source; not yet run on a Mac. */
#include "kqueue_darwin.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"

enum {
	BATCH = 64 /* the rest waits for the loop's next turn, so that others get theirs */
};

struct kqueue {
	int fd;
	struct event *readable;
	kqueue_event *fn;
	void *user;
};

static const struct timespec at_once = {.tv_sec = 0};

static int
new_queue(void)
{
	int fd = kqueue();

	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/* Whether one that has an event makes another one have an event. */
static bool
can_nest(void)
{
	DM_AUTO_CLOSE int inner = new_queue();
	DM_AUTO_CLOSE int outer = new_queue();
	struct kevent change, got;

	if (inner < 0 || outer < 0)
		return false;
	EV_SET(&change, (uintptr_t)inner, EVFILT_READ, EV_ADD, 0, 0, NULL);
	if (kevent(outer, &change, 1, NULL, 0, &at_once) != 0)
		return false;
	EV_SET(&change, 1, EVFILT_USER, EV_ADD, 0, 0, NULL);
	if (kevent(inner, &change, 1, NULL, 0, &at_once) != 0)
		return false;
	EV_SET(&change, 1, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
	return kevent(inner, &change, 1, NULL, 0, &at_once) == 0 &&
	       kevent(outer, NULL, 0, &got, 1, &at_once) == 1;
}

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	const struct kqueue *k = user;
	struct kevent events[BATCH];
	int n = kevent((int)fd, NULL, 0, events, BATCH, &at_once);

	(void)what;
	for (int i = 0; i < n; i++)
		k->fn(k->user, &events[i]);
}

struct kqueue *
kqueue_open(struct event_base *base, kqueue_event *fn, void *user)
{
	struct kqueue *k;
	int fd;

	if (!can_nest()) {
		errno = ENOTSUP;
		return NULL;
	}
	fd = new_queue();
	if (fd < 0)
		return NULL;
	k = dm_calloc(1, sizeof(*k));
	*k = (struct kqueue){.fd = fd, .fn = fn, .user = user};
	k->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, k);
	if (k->readable != NULL && event_add(k->readable, NULL) == 0)
		return k;
	kqueue_close(k);
	errno = ENOMEM;
	return NULL;
}

void
kqueue_close(struct kqueue *kqueue)
{
	if (kqueue->readable != NULL)
		event_free(kqueue->readable);
	(void)close(kqueue->fd);
	free(kqueue);
}

int
kqueue_change(struct kqueue *kqueue, uintptr_t ident, int16_t filter, uint16_t flags,
    uint32_t fflags, void *udata)
{
	struct kevent change;

	EV_SET(&change, ident, filter, flags, fflags, 0, udata);
	return kevent(kqueue->fd, &change, 1, NULL, 0, &at_once) == 0 ? 0 : errno;
}
