/* SPDX-License-Identifier: MIT */
/* What the tests of the registry share: a registry with worktrees, and claims taken in it. */
#ifndef DEVMESH_PLACE_H
#define DEVMESH_PLACE_H

#include "unit.h"

#include "base/log.h"
#include "claim/registry.h"

/* A private directory with worktrees w0..w9 in it, and an open registry in reg/. */
struct place {
	char *dir;
	char *path; /* of the registry */
	char *worktree[10];
	struct registry *reg;
};

static inline int
setup(void **state)
{
	struct place *p = dm_calloc(1, sizeof(*p));
	struct dm_err err;

	dm_log_level(DM_LOG_QUIET);
	p->dir = temp_dir();
	p->path = in_dir(p->dir, "reg");
	for (int i = 0; i < 10; i++) {
		p->worktree[i] = dm_asprintf("%s/w%d", p->dir, i);
		assert_int_equal(mkdir(p->worktree[i], 0700), 0);
	}
	p->reg = registry_open(p->path, &err);
	assert_ok(p->reg != NULL, &err);
	*state = p;
	return 0;
}

static inline int
teardown(void **state)
{
	struct place *p = *state;

	registry_free(p->reg);
	for (int i = 0; i < 10; i++)
		free(p->worktree[i]);
	free(p->path);
	remove_tree(p->dir);
	free(p);
	return 0;
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static inline struct name
name_of(const char *app, const char *branch)
{
	struct name_input in = {.app_flag = app, .branch = branch};
	struct name name;
	struct dm_err err;

	assert_ok(name_compose(&in, &name, &err), &err);
	return name;
}

static inline struct name
exact_name(const char *id)
{
	struct name_input in = {.id = id};
	struct name name;
	struct dm_err err;

	assert_ok(name_compose(&in, &name, &err), &err);
	return name;
}

static inline bool
complete(struct claim *claim, void *user, struct dm_err *err)
{
	const char *refusal = user;

	if (refusal != NULL)
		return dm_fail(err, DM_UNREACHABLE, "%s", refusal);
	free(claim->url);
	claim->url = dm_asprintf("https://%s.dev.localhost", claim->id.s);
	return true;
}

static inline struct claim *
wish(const struct name *name, const char *worktree)
{
	struct claim *claim = claim_new();

	claim->app = name->app;
	claim->worktree = dm_strdup(worktree);
	claim->created = 1700000000;
	return claim;
}

/* Takes a name for a worktree; the caller owns the claim, NULL with *err set. */
static inline struct claim *
take(const struct place *p, const struct name *name, const char *worktree, bool force, bool *held,
    struct dm_err *err)
{
	dm_auto(claim) claim = wish(name, worktree);

	return registry_take(p->reg, name, force, claim, complete, NULL, held, err)
		   ? DM_STEAL(&claim)
		   : NULL;
}

/* Takes it, and fails the test if it is not this id. */
static inline void
take_as(const struct place *p, const struct name *name, int worktree, const char *id)
{
	struct dm_err err = {.code = DM_OK};
	bool held;
	dm_auto(claim) claim = take(p, name, p->worktree[worktree], false, &held, &err);

	assert_ok(claim != NULL, &err);
	assert_string_equal(claim->id.s, id);
}

/* The record of an id, or NULL; the caller owns it. */
static inline struct claim *
find(const struct place *p, const char *id)
{
	struct claim *claim;
	struct dm_err err;

	assert_ok(registry_find(p->reg, id, &claim, &err), &err);
	return claim;
}

static inline void
assert_holder(const struct place *p, const char *id, int worktree)
{
	dm_auto(claim) claim = find(p, id);

	if (worktree < 0) {
		assert_null(claim);
		return;
	}
	assert_non_null(claim);
	assert_string_equal(claim->worktree, p->worktree[worktree]);
}

static inline size_t
count_entries(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += !dm_ends_with(e->d_name, ".lock") && strcmp(e->d_name, ".") != 0 &&
		     strcmp(e->d_name, "..") != 0;
	(void)closedir(d);
	return n;
}

#endif
