/* SPDX-License-Identifier: MIT */
/* What a store holds, as text; what its file takes; the file as any other program sees it. */
#ifndef DEVMESH_STORE_LOOK_H
#define DEVMESH_STORE_LOOK_H

#include <sqlite3.h>

#include "store_rig.h"

struct rig_list {
	struct dm_str text; /* "<seq> <kind> <id> <json>\n", or "<minute> <state>\n" */
	uint64_t first, last;
};

static inline void
rig_list_event(void *user, const struct store_event *e)
{
	struct rig_list *l = user;

	if (l->first == 0)
		l->first = e->seq;
	assert_true(e->seq > l->last);
	l->last = e->seq;
	(void)dm_str_addf(&l->text, "%llu %s %s %s\n", (unsigned long long)e->seq, e->kind,
	    e->id != NULL ? e->id : "-", e->json);
}

static inline void
rig_list_minute(void *user, int64_t time_ms, const char *state)
{
	struct rig_list *l = user;

	assert_int_equal(time_ms % MINUTE, 0);
	(void)dm_str_addf(&l->text, "%lld %s\n", (long long)(time_ms - AT(0)) / MINUTE, state);
}

/* Events as text; the caller owns it. */
static inline char *
rig_events(struct rig *r, uint64_t since, const char *id, size_t max)
{
	struct rig_list l = {.text = dm_str_make(16 * MIB)};

	(void)store_events(r->store, since, id, max, rig_list_event, &l);
	return l.text.data;
}

/* How many there are, and the numbers of the first and the last one. */
static inline size_t
rig_count(struct rig *r, uint64_t *first, uint64_t *last)
{
	struct rig_list l = {
	    .text = dm_str_make(64)}; /* too small for all of them, and it may be */
	size_t n = store_events(r->store, 0, NULL, SIZE_MAX, rig_list_event, &l);

	if (first != NULL)
		*first = l.first;
	if (last != NULL)
		*last = l.last;
	dm_str_release(&l.text);
	return n;
}

static inline char *
rig_minutes(struct rig *r, const char *id, int64_t since_ms, size_t max)
{
	struct rig_list l = {.text = dm_str_make(16 * MIB)};

	(void)store_heartbeats(r->store, id, since_ms, max, rig_list_minute, &l);
	return l.text.data;
}

#define assert_text(call, want) \
	do { \
		DM_AUTO_FREE char *got_ = (call); \
		assert_string_equal(got_, want); \
	} while (0)

static inline int64_t
file_bytes(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* Of the file with its journal. */
static inline int64_t
rig_bytes(const struct rig *r)
{
	DM_AUTO_FREE char *journal = dm_asprintf("%s-wal", r->path);

	return file_bytes(r->path) + file_bytes(journal);
}

static inline bool
rig_has(const struct rig *r, const char *name)
{
	DM_AUTO_FREE char *path = in_dir(r->dir, name);
	struct stat st;

	return lstat(path, &st) == 0;
}

/* The file, opened past the store, as another program would. */
static inline sqlite3 *
rig_sql(const char *path)
{
	sqlite3 *sql = NULL;

	assert_int_equal(
	    sqlite3_open_v2(path, &sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
	    SQLITE_OK);
	(void)sqlite3_busy_timeout(sql, 5000);
	return sql;
}

static inline void
rig_exec(sqlite3 *sql, const char *text)
{
	if (sqlite3_exec(sql, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(sql));
}

/* The first column of the first row; the caller owns it. */
static inline char *
rig_ask(sqlite3 *sql, const char *text)
{
	sqlite3_stmt *stmt = NULL;
	char *answer;

	assert_int_equal(sqlite3_prepare_v2(sql, text, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	answer = dm_strdup((const char *)sqlite3_column_text(stmt, 0));
	(void)sqlite3_finalize(stmt);
	return answer;
}

#endif
