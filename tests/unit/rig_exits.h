/* SPDX-License-Identifier: MIT */
/* What the tests of exits.h share: processes, and the ends that were reported. */
#ifndef DEVMESH_RIG_EXITS_H
#define DEVMESH_RIG_EXITS_H

#include "until.h"

#include <sys/syscall.h>

#include "exits_impl.h"
#include "procs.h"

enum {
	MANY = 200,
	ENDS_MAX = 2 * MANY
};

/* So seldom that only the kernel can have told. */
static struct exits_how by_kernel = {.look_ms = NEVER_MS};
static struct exits_how by_looking = {.by_looking = true, .look_ms = OFTEN_MS};

struct rig {
	struct event_base *base;
	struct exits *exits;
	int lifeline[2];
	struct dm_proc_id ends[ENDS_MAX];
	size_t count;
	int64_t last_us;
	const struct dm_proc_id *waited;
	size_t waited_count;

	/* what the callback does */
	const struct dm_proc_id *remove, *add;
	bool again;
};

static inline void
on_end(void *user, const struct dm_proc_id *id)
{
	struct rig *r = user;

	assert_true(r->count < ENDS_MAX);
	r->ends[r->count++] = *id;
	r->last_us = now_us();
	if (r->remove != NULL)
		exits_remove(r->exits, r->remove);
	if (r->add != NULL)
		exits_add(r->exits, r->add);
	if (r->again && r->count < ENDS_MAX)
		exits_add(r->exits, id);
	r->remove = r->add = NULL;
}

/* Linux before 5.3, and valgrind: then all is looked at. */
static inline bool
kernel_can(void)
{
#ifdef SYS_pidfd_open
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0U);

	if (fd < 0)
		return false;
	(void)close(fd);
#endif
	return true;
}

static inline int
setup(void **state)
{
	struct rig *r = dm_calloc(1, sizeof(*r));
	struct dm_err err;

	if (!kernel_can())
		*state = &by_looking;
	r->base = event_base_new();
	assert_non_null(r->base);
	r->exits = exits_open_with(r->base, *state, on_end, r, &err);
	assert_ok(r->exits != NULL, &err);
	assert_int_equal(pipe(r->lifeline), 0);
	*state = r;
	return 0;
}

static inline int
teardown(void **state)
{
	struct rig *r = *state;
	int status;
	pid_t pid;

	exits_close(r->exits);
	(void)close(r->lifeline[1]);
	while ((pid = waitpid(-1, &status, WUNTRACED)) > 0) {
		if (WIFSTOPPED(status))
			(void)kill(pid, SIGKILL);
	}
	(void)close(r->lifeline[0]);
	event_base_free(r->base);
	free(r);
	return 0;
}

/* How often its end was reported. */
static inline size_t
ends_of(const struct rig *r, const struct dm_proc_id *id)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->ends[i].pid == id->pid && r->ends[i].start == id->start;
	return n;
}

static inline bool
has_ended(void *user)
{
	const struct rig *r = user;

	return ends_of(r, r->waited) > 0;
}

static inline void
wait_end(struct rig *r, const struct dm_proc_id *id)
{
	r->waited = id;
	assert_true(run_until(r->base, has_ended, r));
	assert_int_equal(ends_of(r, id), 1);
}

static inline bool
count_is_reached(void *user)
{
	const struct rig *r = user;

	return r->count >= r->waited_count;
}

static inline void
wait_count(struct rig *r, size_t n)
{
	r->waited_count = n;
	assert_true(run_until(r->base, count_is_reached, r));
}

#endif
