/* SPDX-License-Identifier: MIT */
/* inotify(7). A handle is a watch descriptor. */
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"
#include "watch_impl.h"

enum {
	/* One read; what does not fit waits for the loop's next turn, so that others get theirs. */
	BUFFER = 64 * (sizeof(struct inotify_event) + NAME_MAX + 1),
	MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB |
	       IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK,
	ENDS = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT
};

struct watch_kernel {
	struct watch *watch;
	int fd;
	struct event *readable;
};

static void
tell(struct watch *watch, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW)
		watch_told_overflow(watch);
	else if (e->mask & ENDS)
		watch_told_end(watch, e->wd);
	else if (e->len > 0 && memchr(e->name, '\0', e->len) != NULL)
		watch_told(watch, e->wd, e->name);
	else
		watch_told(watch, e->wd, NULL);
}

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	struct watch_kernel *k = user;
	_Alignas(struct inotify_event) char buffer[BUFFER];
	ssize_t n = read((int)fd, buffer, sizeof(buffer));
	size_t size = n > 0 ? (size_t)n : 0, at = 0;

	(void)what;
	while (size - at >= sizeof(struct inotify_event)) {
		const struct inotify_event *e = (const void *)(buffer + at);

		at += sizeof(*e);
		if (e->len > size - at)
			break; /* inotify never does that */
		at += e->len;
		tell(k->watch, e);
	}
}

bool
watch_kernel_tells_all(void)
{
	return true;
}

struct watch_kernel *
watch_kernel_open(struct event_base *base, struct watch *watch)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct watch_kernel *k;

	if (fd < 0)
		return NULL;
	k = dm_calloc(1, sizeof(*k));
	*k = (struct watch_kernel){.watch = watch, .fd = fd};
	k->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, k);
	if (k->readable != NULL && event_add(k->readable, NULL) == 0)
		return k;
	watch_kernel_close(k);
	errno = ENOMEM;
	return NULL;
}

void
watch_kernel_close(struct watch_kernel *kernel)
{
	if (kernel->readable != NULL)
		event_free(kernel->readable);
	(void)close(kernel->fd);
	free(kernel);
}

/* For a directory that is watched already the kernel gives the descriptor it has. */
int
watch_kernel_attach(struct watch_kernel *kernel, const char *path, int handle)
{
	(void)handle;
	return inotify_add_watch(kernel->fd, path, MASK);
}

void
watch_kernel_detach(struct watch_kernel *kernel, int handle)
{
	(void)inotify_rm_watch(kernel->fd, handle);
}

const char *
watch_kernel_shortage(int error)
{
	switch (error) {
	case ENOSPC:
		return "sysctl fs.inotify.max_user_watches=524288";
	case EMFILE:
		return "sysctl fs.inotify.max_user_instances=1024, or a higher `ulimit -n`";
	case ENFILE:
		return "sysctl fs.file-max with a higher number";
	case ENOMEM:
		return "ending what uses much memory";
	case ENOSYS:
		return "a kernel with inotify";
	default:
		return NULL;
	}
}
