/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the history share: a store in a private directory, and what it has said on
 * stderr. Times are minutes of a day in 2026.
 */
#ifndef DEVMESH_STORE_RIG_H
#define DEVMESH_STORE_RIG_H

#include "unit.h"

#include <fcntl.h>

#include "store.h"

#define MINUTE INT64_C(60000)
/* The time of a minute, in milliseconds. */
#define AT(minute) ((INT64_C(29600000) + (minute)) * MINUTE)

enum {
	DAY_S = 86400,
	MIB = 1 << 20,
};

struct rig {
	char *dir, *path, *said; /* the directory, the database, what goes to stderr */
	struct store_limits limits;
	struct store *store; /* NULL: not open */
	int64_t now;	     /* of the next flush */
	uint64_t seq;	     /* of the newest event */
	int err;	     /* the true stderr */
};

static inline int
rig_setup(void **state)
{
	struct rig *r = dm_calloc(1, sizeof(*r));
	int fd;

	r->dir = temp_dir();
	r->path = in_dir(r->dir, "history.db");
	r->said = dm_asprintf("%s.said", r->dir);
	r->limits = (struct store_limits){14 * DAY_S, 50 * (int64_t)MIB};
	r->now = AT(0);
	r->err = dup(STDERR_FILENO);
	fd = open(r->said, O_CREAT | O_EXCL | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		return -1;
	(void)close(fd);
	*state = r;
	return 0;
}

/* What it has said so far; the caller owns it. */
static inline char *
rig_said(const struct rig *r)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(MIB);
	struct dm_err err;

	assert_ok(dm_read_file(r->said, &text, &err), &err);
	return dm_str_take(&text);
}

static inline size_t
rig_warnings(const struct rig *r)
{
	DM_AUTO_FREE char *said = rig_said(r);
	size_t n = 0;

	for (const char *p = said; (p = strstr(p, "warning: ")) != NULL; p++)
		n++;
	return n;
}

static inline void
rig_close(struct rig *r)
{
	store_close(r->store);
	r->store = NULL;
}

static inline void
rig_open(struct rig *r)
{
	rig_close(r);
	r->store = store_open(r->path, &r->limits);
	assert_non_null(r->store);
}

/* An event at r->now, with the next number. */
static inline void
rig_event(struct rig *r, const char *id, const char *json)
{
	struct store_event event = {++r->seq, r->now, "service", id, json};

	store_event(r->store, &event);
}

static inline void
rig_flush(struct rig *r)
{
	store_flush(r->store, r->now);
}

/* Nothing is wrong; else the test fails with the store's own words. */
#define assert_stores(r) \
	do { \
		if (store_problem((r)->store) != NULL) \
			fail_msg("%s", store_problem((r)->store)); \
	} while (0)

/* What cmocka, or a sanitizer, has said of a failure, it has said to the file. */
static inline void
rig_tell(const struct rig *r)
{
	FILE *f = fopen(r->said, "re");
	char line[2048];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (!dm_starts_with(line, "devmesh: ") && !dm_starts_with(line, "  "))
			(void)fputs(line, stderr);
	if (f != NULL)
		(void)fclose(f);
}

static inline int
rig_teardown(void **state)
{
	struct rig *r = *state;

	/* a test may have ended as somebody else */
	if (getuid() == 0 && seteuid(0) != 0)
		return -1;
	rig_close(r);
	(void)dup2(r->err, STDERR_FILENO);
	(void)close(r->err);
	rig_tell(r);
	remove_tree(r->dir);
	(void)unlink(r->said);
	free(r->said);
	free(r->path);
	free(r);
	return 0;
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

#endif
