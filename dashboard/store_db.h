/* SPDX-License-Identifier: MIT */
/*
 * The history's file: one SQLite connection (https://www.sqlite.org/c3ref/intro.html) with its
 * statements. It says how a call has ended; what to do about it is store.c's.
 */
#ifndef DEVMESH_STORE_DB_H
#define DEVMESH_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct store_db;
struct store_event;

enum db_status {
	DB_OK,
	DB_BUSY,       /* another process writes, or has been reading for long: try again */
	DB_FULL,       /* no room on the file system; what is there can still be read */
	DB_UNWRITABLE, /* not allowed, not safe, or the device fails: close it */
	DB_BAD,	       /* corrupt, of a later version, or not a history: set it aside */
};

/*
 * Opens the file, made if need be (store_file.h), and brings it to the present version. `max_bytes`
 * bounds it, with its journal. The caller owns *db.
 */
enum db_status store_db_open(
    const char *path, int64_t max_bytes, struct store_db **db, struct dm_err *err) DM_MUST;
void store_db_close(struct store_db *db);

/* Whether the path still names the file that is open. */
bool store_db_in_place(const struct store_db *db);

/* One transaction; after a failure store_db_rollback() is due. */
enum db_status store_db_begin(struct store_db *db, struct dm_err *err) DM_MUST;
enum db_status store_db_commit(struct store_db *db, struct dm_err *err) DM_MUST;
void store_db_rollback(struct store_db *db);
/* Whether the rows added since store_db_begin() are enough for one: the bound would suffer. */
bool store_db_is_enough(const struct store_db *db);

enum db_status store_db_add_event(
    struct store_db *db, const struct store_event *event, struct dm_err *err) DM_MUST;

/*
 * A service's state in one minute (since the epoch). Minutes in a row with the same state, up to a
 * day's, are one row. To be added in order; of two for one minute the first is read.
 */
enum db_status store_db_add_minute(struct store_db *db, const char *id, int64_t minute,
    const char *state, struct dm_err *err) DM_MUST;

/*
 * Removes, oldest first, what is before `cutoff_ms`, and what is too much for `max_bytes`; gives
 * unused pages back. Takes a few milliseconds, or as long as the writing took: *more if there is
 * more to do.
 */
enum db_status
store_db_trim(struct store_db *db, int64_t cutoff_ms, bool *more, struct dm_err *err) DM_MUST;

/* Whether there is too much. */
enum db_status store_db_is_over(struct store_db *db, bool *over, struct dm_err *err) DM_MUST;

/*
 * Looks at the whole file, when no transaction is open. A corrupt number of a page can look like
 * DB_FULL: SQLite finds it too large.
 */
bool store_db_is_sound(struct store_db *db, struct dm_err *err) DM_MUST;

/* At most `max` rows, oldest first; *count is how many. */
enum db_status store_db_events(struct store_db *db, uint64_t since, const char *id, size_t max,
    void (*fn)(void *user, const struct store_event *event), void *user, size_t *count,
    struct dm_err *err) DM_MUST;

/* At most `max` events of one id, newest first, until fn returns false. */
enum db_status store_db_newest(struct store_db *db, const char *id, size_t max,
    bool (*fn)(void *user, const struct store_event *event), void *user,
    struct dm_err *err) DM_MUST;

/*
 * Runs of minutes, both included, that end at or after `since`, by their first; false from fn ends
 * it.
 */
enum db_status store_db_minutes(struct store_db *db, const char *id, int64_t since,
    bool (*fn)(void *user, int64_t first, int64_t last, const char *state), void *user,
    struct dm_err *err) DM_MUST;

#endif
