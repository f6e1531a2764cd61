/* SPDX-License-Identifier: MIT */
/* Claims for the servers, looks at them, and what was found. */
#ifndef DEVMESH_LOOKS_H
#define DEVMESH_LOOKS_H

#include "servers.h"

static inline void
look(struct place *p)
{
	found_release(&p->found);
	discovery_look(p->discovery, &p->options, &p->claims, &p->found);
}

static inline void
look_for_the_first_time(struct place *p)
{
	discovery_free(p->discovery);
	p->discovery = discovery_new();
	look(p);
}

/* How many rows the process has; *out is the first. */
static inline size_t
rows_of(const struct place *p, pid_t pid, const struct found **out)
{
	size_t n = 0;

	for (size_t i = p->found.count; i-- > 0;) {
		if (p->found.list[i].process.pid == pid) {
			*out = &p->found.list[i];
			n++;
		}
	}
	return n;
}

static inline const struct found *
row_of(const struct place *p, pid_t pid)
{
	const struct found *f = NULL;

	assert_int_equal(rows_of(p, pid, &f), 1);
	return f;
}

static inline void
assert_not_found(const struct place *p, pid_t pid)
{
	const struct found *f;

	assert_int_equal(rows_of(p, pid, &f), 0);
}

static inline struct claim *
claim(struct place *p, const char *id, const char *worktree)
{
	struct claim *c = claim_new();
	struct dm_err err;

	assert_true(p->claims.count < CLAIMS_MAX);
	assert_ok(slug_parse(id, &c->id, &err), &err);
	c->app = c->id;
	c->worktree = dm_strdup(worktree);
	p->list[p->claims.count++] = c;
	return c;
}

static inline char *
sub_dir(const char *dir, const char *name)
{
	char *path = in_dir(dir, name);

	assert_int_equal(mkdir(path, 0700), 0);
	return path;
}

#endif
