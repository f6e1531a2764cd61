/* SPDX-License-Identifier: MIT */
/* An event loop that runs until something is so, and what else the tests of watching share. */
#ifndef DEVMESH_UNTIL_H
#define DEVMESH_UNTIL_H

#include "unit.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "few_fds.h"

enum {
	UNTIL_MS = 20000, /* what takes longer is taken for never */
	FDS_MAX = 1024,
	NEVER_MS = 3600000, /* between two looks: what is seen has been told by the kernel */
	OFTEN_MS = 20
};

/* What is measured is printed, and asserts nothing. */
static inline int64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

typedef bool condition(void *user);

static inline void
on_deadline(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	*(bool *)user = true;
}

/* Runs the loop, event by event, until `is_so`; false if it does not come true. */
static inline bool
run_until(struct event_base *base, condition *is_so, void *user)
{
	struct timeval t = {.tv_sec = UNTIL_MS / 1000};
	bool late = false, so;
	struct event *deadline = evtimer_new(base, on_deadline, &late);

	assert_non_null(deadline);
	assert_int_equal(event_add(deadline, &t), 0);
	while (!(so = is_so(user)) && !late)
		assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
	event_free(deadline);
	return so;
}

/* The open descriptors of this process: a flag for each, and whether all from `from` are
 * close-on-exec. */
static inline size_t
count_fds(bool open[FDS_MAX])
{
	size_t n = 0;

	for (int fd = 0; fd < FDS_MAX; fd++) {
		bool is_open = fcntl(fd, F_GETFD) >= 0;

		if (open != NULL)
			open[fd] = is_open;
		n += is_open;
	}
	return n;
}

/* Every descriptor that is open now, and was not before, is closed by exec. */
static inline void
assert_new_fds_close_on_exec(const bool before[FDS_MAX])
{
	for (int fd = 0; fd < FDS_MAX; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && !before[fd] && (flags & FD_CLOEXEC) == 0)
			fail_msg("descriptor %d would be passed on by exec", fd);
	}
}

static inline void
note(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	*(bool *)user = true;
}

static inline bool
is_noted(void *user)
{
	return *(bool *)user;
}

/* The test, with a way of watching that the setup gets as its initial state. */
#define WITH(test, how) \
	{ \
#test ", " #how, test, setup, teardown, &(how) \
	}
#define BOTH(test) WITH(test, by_kernel), WITH(test, by_looking)

#endif
