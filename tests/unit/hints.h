/* SPDX-License-Identifier: MIT */
/* Waiting for the hints of watch.h, in the rig of its tests. */
#ifndef DEVMESH_HINTS_H
#define DEVMESH_HINTS_H

#include "rig_watch.h"

static inline bool
is_name(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* How often there was a hint at it. */
static inline size_t
hints_at(const struct rig *r, const char *dir, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += strcmp(r->hints[i].dir, dir) == 0 && is_name(r->hints[i].name, name);
	return n;
}

/* How often there was a hint at anything in it. */
static inline size_t
hints_in(const struct rig *r, const char *dir)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += strcmp(r->hints[i].dir, dir) == 0;
	return n;
}

static inline bool
is_hinted_at(void *user)
{
	const struct rig *r = user;

	return hints_at(r, r->waited.dir, r->waited.name) > 0;
}

static inline void
wait_hint(struct rig *r, const char *dir, const char *name)
{
	r->waited = (struct hint){(char *)(uintptr_t)dir, (char *)(uintptr_t)name};
	if (!run_until(r->base, is_hinted_at, r))
		fail_msg("no hint came at %s in %s", name != NULL ? name : "anything", dir);
}

static inline bool
is_any_hinted_at(void *user)
{
	const struct rig *r = user;

	return hints_in(r, r->waited.dir) > 0;
}

static inline void
wait_any_hint(struct rig *r, const char *dir)
{
	r->waited.dir = (char *)(uintptr_t)dir;
	assert_true(run_until(r->base, is_any_hinted_at, r));
}

/* A file, made in place. */
static inline void
make_file(const char *dir, const char *name)
{
	DM_AUTO_FREE char *path = in_dir(dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	(void)close(fd);
}

/* Makes a file and waits for the hint: the directory is watched, and all before has come. */
static inline void
assert_watched(struct rig *r, const char *dir, const char *name)
{
	make_file(dir, name);
	wait_hint(r, dir, name);
}

#endif
