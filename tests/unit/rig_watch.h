/* SPDX-License-Identifier: MIT */
/* Two watched directories, and the hints that have come; see hints.h. */
#ifndef DEVMESH_RIG_WATCH_H
#define DEVMESH_RIG_WATCH_H

#include "until.h"

#include "base/log.h"
#include "watch_impl.h"

enum {
	HINTS_MAX = 1 << 16
};

/* So seldom that only the kernel can have told. */
static struct watch_how by_kernel = {.look_ms = NEVER_MS};
static struct watch_how by_looking = {.by_looking = true, .look_ms = OFTEN_MS};
static struct watch_how by_both = {.look_ms = OFTEN_MS};

struct hint {
	char *dir, *name; /* name NULL: anything */
};

struct rig {
	const struct watch_how *how;
	bool exact; /* the kernel tells of everything, with the name */
	struct event_base *base;
	struct watch *watch;
	char *dir; /* of the test; a, b and c are in it, a and b are watched */
	char *a, *b, *c;
	struct hint *hints;
	size_t count;
	struct hint waited;
	int64_t last_us;

	/* what the callback does at the first hint */
	const char *remove, *add;
	struct watch *close;
};

static inline void
on_hint(void *user, const char *dir, const char *name)
{
	struct rig *r = user;

	assert_true(r->count < HINTS_MAX);
	r->hints[r->count++] = (struct hint){dm_strdup(dir), dm_strdup(name)};
	r->last_us = now_us();
	if (r->remove != NULL)
		watch_remove(r->watch, r->remove);
	if (r->add != NULL)
		watch_add(r->watch, r->add);
	watch_close(r->close);
	r->remove = r->add = NULL;
	r->close = NULL;
}

static inline void
forget_hints(struct rig *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->hints[i].dir);
		free(r->hints[i].name);
	}
	r->count = 0;
}

static inline char *
make_dir(const char *parent, const char *name)
{
	char *path = in_dir(parent, name);

	assert_int_equal(mkdir(path, 0700), 0);
	return path;
}

static inline void
open_watch(struct rig *r)
{
	struct dm_err err;

	r->watch = watch_open_with(r->base, r->how, on_hint, r, &err);
	assert_ok(r->watch != NULL, &err);
}

static inline int
setup(void **state)
{
	struct rig *r = dm_calloc(1, sizeof(*r));

	dm_log_level(DM_LOG_QUIET);
	r->how = *state;
	r->exact = !r->how->by_looking && watch_kernel_tells_all();
	if (!r->how->by_looking && !r->exact)
		r->how = &by_both;
	r->hints = dm_calloc(HINTS_MAX, sizeof(*r->hints));
	r->base = event_base_new();
	assert_non_null(r->base);
	r->dir = temp_dir();
	r->a = make_dir(r->dir, "a");
	r->b = make_dir(r->dir, "b");
	r->c = make_dir(r->dir, "c");
	open_watch(r);
	watch_add(r->watch, r->a);
	watch_add(r->watch, r->b);
	*state = r;
	return 0;
}

static inline int
teardown(void **state)
{
	struct rig *r = *state;

	watch_close(r->watch);
	forget_hints(r);
	free(r->hints);
	free(r->a);
	free(r->b);
	free(r->c);
	remove_tree(r->dir);
	event_base_free(r->base);
	free(r);
	return 0;
}

/* What the kernel has no event for, the tick finds. */
#define TICKING(test) WITH(test, by_both), WITH(test, by_looking)

#endif
