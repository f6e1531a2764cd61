/* SPDX-License-Identifier: MIT */
/*
 * kqueue(2), EVFILT_VNODE: a handle is a descriptor of the directory. It tells at once that entries
 * were made, removed or renamed, but not which; and nothing about what is written into them. Not
 * yet run on a Mac.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/event.h>
#include <unistd.h>

#include "base/mem.h"
#include "fds.h"
#include "kqueue_darwin.h"
#include "watch_impl.h"

enum {
	ENDS = NOTE_DELETE | NOTE_RENAME | NOTE_REVOKE,
	NOTES = NOTE_WRITE | NOTE_EXTEND | NOTE_ATTRIB | NOTE_LINK | ENDS
};

struct watch_kernel {
	struct watch *watch;
	struct kqueue *queue;
};

static void
on_event(void *user, const struct kevent *event)
{
	const struct watch_kernel *k = user;

	if (event->filter != EVFILT_VNODE)
		return;
	if ((event->fflags & ENDS) != 0)
		watch_told_end(k->watch, (int)event->ident);
	else
		watch_told(k->watch, (int)event->ident, NULL);
}

bool
watch_kernel_tells_all(void)
{
	return false;
}

struct watch_kernel *
watch_kernel_open(struct event_base *base, struct watch *watch)
{
	struct watch_kernel *k = dm_calloc(1, sizeof(*k));

	k->watch = watch;
	k->queue = kqueue_open(base, on_event, k);
	if (k->queue != NULL)
		return k;
	free(k);
	return NULL;
}

void
watch_kernel_close(struct watch_kernel *kernel)
{
	kqueue_close(kernel->queue);
	free(kernel);
}

/* Whether the descriptor is that of what is at the path now. */
static bool
is_current(int handle, const char *path)
{
	struct stat own, there;

	return handle >= 0 && fstat(handle, &own) == 0 && stat(path, &there) == 0 &&
	       own.st_dev == there.st_dev && own.st_ino == there.st_ino;
}

int
watch_kernel_attach(struct watch_kernel *kernel, const char *path, int handle)
{
	int fd, error;

	if (is_current(handle, path))
		return handle;
	fd = open(path, O_EVTONLY | O_DIRECTORY | O_CLOEXEC);
	if (!fds_afford(fd))
		return -1;
	error = kqueue_change(
	    kernel->queue, (uintptr_t)fd, EVFILT_VNODE, EV_ADD | EV_CLEAR, NOTES, NULL);
	if (error == 0)
		return fd;
	(void)close(fd);
	errno = error;
	return -1;
}

/* The kernel takes the events of a descriptor away with it. */
void
watch_kernel_detach(struct watch_kernel *kernel, int handle)
{
	(void)kernel;
	(void)close(handle);
}

const char *
watch_kernel_shortage(int error)
{
	switch (error) {
	case EMFILE:
		return "a higher `ulimit -n`";
	case ENFILE:
		return "sysctl kern.maxfiles with a higher number";
	case ENOMEM:
		return "ending what uses much memory";
	case ENOTSUP:
		return "nothing: this kernel cannot do better";
	default:
		return NULL;
	}
}
