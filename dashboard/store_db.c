/* SPDX-License-Identifier: MIT */
#include "store_db.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "store.h"
#include "store_db_impl.h"

enum {
	BUSY_MS = 20,		/* the loop waits no longer for another process */
	ROW_MAX = 1 << 20,	/* bytes; an event is much smaller */
	HEAP_MAX = 1 << 20,	/* SQLite gives back cache before it takes more */
	CHECKPOINT_PAGES = 256, /* written and synced at a time: the loop waits for it */
	MINUTE_MS = 60000,
	RUN_MAX = 1440, /* minutes; as in EXTEND_RUN */
};

/*
 * How a file becomes one of the present version: step n leads from version n to n + 1, and is never
 * changed once released. Rows are removed from the lowest rowid, which is why none has an index on
 * its time.
 */
static const char *const steps[] = {
    "CREATE TABLE event (seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, kind TEXT NOT NULL,"
    " id TEXT, data TEXT NOT NULL);"
    "CREATE INDEX event_id ON event (id, seq) WHERE id IS NOT NULL;",

    "CREATE TABLE heartbeat (no INTEGER PRIMARY KEY, id TEXT NOT NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL, state TEXT NOT NULL);"
    "CREATE INDEX heartbeat_id ON heartbeat (id, first);",
};

enum {
	VERSION = sizeof(steps) / sizeof(steps[0])
};

static const char *const statements[STATEMENTS] = {
    /* after the clock was set back a number may come twice: the later one stays */
    [INSERT_EVENT] = "INSERT OR REPLACE INTO event (seq, time_ms, kind, id, data)"
		     " VALUES (?1, ?2, ?3, ?4, ?5)",
    [EVENTS] = "SELECT seq, time_ms, kind, id, data FROM event WHERE seq > ?1"
	       " ORDER BY seq LIMIT ?2",
    [EVENTS_OF] = "SELECT seq, time_ms, kind, id, data FROM event WHERE seq > ?1 AND id = ?3"
		  " ORDER BY seq LIMIT ?2",
    [NEWEST_OF] = "SELECT seq, time_ms, kind, id, data FROM event WHERE id = ?1"
		  " ORDER BY seq DESC LIMIT ?2",
    [EXTEND_RUN] = "UPDATE heartbeat SET last = ?2 WHERE no = (SELECT no FROM heartbeat"
		   " WHERE id = ?1 ORDER BY first DESC LIMIT 1)"
		   " AND state = ?3 AND last BETWEEN ?2 - 1 AND ?2 AND first > ?2 - 1440",
    [INSERT_RUN] = "INSERT INTO heartbeat (id, first, last, state) VALUES (?1, ?2, ?2, ?3)",
    [RUNS] = "SELECT first, last, state FROM heartbeat WHERE id = ?1 AND last >= ?2"
	     " ORDER BY first",
};

/* ---- how calls end ------------------------------------------------------------------------ */

static enum db_status
status_of(int rc)
{
	if (rc == SQLITE_IOERR_SHORT_READ)
		return DB_BAD;
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return DB_OK;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return DB_BUSY;
	case SQLITE_FULL:
		return DB_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_ERROR: /* no such table, or column: somebody else's schema */
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG: /* what we write never is */
		return DB_BAD;
	default:
		return DB_UNWRITABLE;
	}
}

static int64_t
bytes_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

/* For a result that may be none: says what the connection says. */
static enum db_status
ended(const struct store_db *db, int rc, const char *doing, struct dm_err *err)
{
	enum db_status status = status_of(rc);
	int sys = db->sql != NULL ? sqlite3_system_errno(db->sql) : 0;

	if (status == DB_OK)
		return status;
	if (status != DB_UNWRITABLE)
		sys = 0;
	(void)dm_fail(err, DM_FAILED, "%s %s: %s%s%s", doing, db->path,
	    db->sql != NULL ? sqlite3_errmsg(db->sql) : sqlite3_errstr(rc), sys != 0 ? ": " : "",
	    sys != 0 ? strerror(sys) : "");
	if (status == DB_FULL)
		(void)dm_hint(err, "make room on the file system of %s", db->path);
	return status;
}

enum db_status
store_db_run(struct store_db *db, const char *sql, const char *doing, struct dm_err *err)
{
	return ended(db, sqlite3_exec(db->sql, sql, NULL, NULL, NULL), doing, err);
}

/* One number. */
enum db_status
store_db_ask(struct store_db *db, const char *sql, int64_t *out, struct dm_err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db->sql, sql, -1, &stmt, NULL);

	*out = 0;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*out = sqlite3_column_int64(stmt, 0);
	if (stmt != NULL && sqlite3_finalize(stmt) != SQLITE_OK)
		rc = sqlite3_extended_errcode(db->sql);
	return ended(db, rc, "reading", err);
}

/* Runs one that gives no rows, and makes it ready for its next use. */
static enum db_status
finish(struct store_db *db, sqlite3_stmt *stmt, const char *doing, struct dm_err *err)
{
	enum db_status status = ended(db, sqlite3_step(stmt), doing, err);

	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return status;
}

static void
bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	/* without memory the parameter stays NULL, which the table refuses; NULL binds NULL */
	(void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static const char *
column_text(sqlite3_stmt *stmt, int at)
{
	return (const char *)sqlite3_column_text(stmt, at);
}

/* ---- opening ------------------------------------------------------------------------------ */

static enum db_status
check_version(struct store_db *db, int64_t *version, struct dm_err *err)
{
	enum db_status status = store_db_ask(db, "PRAGMA user_version", version, err);

	if (status == DB_OK && (*version < 0 || *version > VERSION)) {
		(void)dm_fail(err, DM_CONFLICT,
		    "the history %s is of version %lld; this devmeshd knows up to %d", db->path,
		    (long long)*version, (int)VERSION);
		return DB_BAD;
	}
	return status;
}

static enum db_status
migrate(struct store_db *db, struct dm_err *err)
{
	int64_t version;
	enum db_status status = check_version(db, &version, err);

	if (status != DB_OK || version == VERSION)
		return status;
	status = store_db_begin(db, err);
	/* another process may have done it meanwhile */
	if (status == DB_OK)
		status = check_version(db, &version, err);
	while (status == DB_OK && version < VERSION) {
		DM_AUTO_FREE char *sql = dm_asprintf(
		    "%s PRAGMA user_version = %lld", steps[version], (long long)version + 1);

		status = store_db_run(db, sql, "migrating the history", err);
		version++;
	}
	if (status == DB_OK)
		status = store_db_commit(db, err);
	if (status != DB_OK)
		store_db_rollback(db);
	return status;
}

int64_t
store_db_at_least(int64_t value, int64_t least)
{
	return value > least ? value : least;
}

/*
 * A checkpoint at a 16th of the bound at the latest, and a file of three quarters of it at most,
 * leave room for the journal (sqlite.org/wal.html: it grows past that only while somebody reads,
 * which store_db_begin() sees to).
 */
static enum db_status
configure(struct store_db *db, struct dm_err *err)
{
	DM_AUTO_FREE char *sql = NULL;
	enum db_status status;
	int64_t version, pages;

	(void)sqlite3_extended_result_codes(db->sql, 1);
	(void)sqlite3_busy_timeout(db->sql, BUSY_MS);
	/* else a corrupt length could take a GiB */
	(void)sqlite3_limit(db->sql, SQLITE_LIMIT_LENGTH, ROW_MAX);
	(void)sqlite3_db_config(db->sql, SQLITE_DBCONFIG_LOOKASIDE, NULL, 256, 64);
	/* before anything is written: a later version's file stays as it is */
	status = check_version(db, &version, err);
	if (status == DB_OK)
		status = store_db_ask(db, "PRAGMA page_size", &db->page, err);
	if (status != DB_OK)
		return status;
	db->page = store_db_at_least(db->page, 512);
	pages = store_db_at_least(db->max_bytes / 16 / db->page, 16);
	pages = pages < CHECKPOINT_PAGES ? pages : CHECKPOINT_PAGES;
	/* the first one is for new files, and would wait for other writers */
	sql = dm_asprintf("%s PRAGMA journal_mode = WAL;"
			  "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -256;"
			  "PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;"
			  "PRAGMA wal_autocheckpoint = %lld; PRAGMA journal_size_limit = %" PRId64,
	    version == 0 ? "PRAGMA auto_vacuum = INCREMENTAL;" : "", (long long)pages,
	    pages * db->page);
	return store_db_run(db, sql, "opening the history", err);
}

static enum db_status
prepare(struct store_db *db, struct dm_err *err)
{
	for (int i = 0; i < STATEMENTS; i++) {
		int rc = sqlite3_prepare_v3(
		    db->sql, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &db->stmt[i], NULL);
		enum db_status status = ended(db, rc, "preparing to use the history", err);

		if (status != DB_OK)
			return status;
	}
	return DB_OK;
}

enum db_status
store_db_open(const char *path, int64_t max_bytes, struct store_db **out, struct dm_err *err)
{
	struct store_db *db = dm_calloc(1, sizeof(*db));
	enum db_status status;
	int rc;

	db->path = dm_strdup(path);
	db->journal = dm_asprintf("%s-wal", path);
	db->index = dm_asprintf("%s-shm", path);
	db->max_bytes = max_bytes;
	db->used = INT64_MAX;
	(void)sqlite3_soft_heap_limit64(HEAP_MAX);
	status = store_file_check(path, &db->file, err) ? DB_OK : DB_UNWRITABLE;
	if (status == DB_OK) {
		rc = sqlite3_open_v2(
		    path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
		status = ended(db, rc, "opening the history", err);
	}
	if (status == DB_OK)
		status = configure(db, err);
	if (status == DB_OK)
		status = migrate(db, err);
	if (status == DB_OK)
		status = prepare(db, err);
	if (status == DB_FULL && !store_db_is_sound(db, err))
		status = DB_BAD;
	if (status != DB_OK) {
		store_db_close(db);
		return status;
	}
	(void)store_file_look(db->journal, &db->journal_file);
	(void)store_file_look(db->index, &db->index_file);
	*out = db;
	return status;
}

void
store_db_close(struct store_db *db)
{
	bool moved;

	if (db == NULL)
		return;
	moved = db->sql != NULL && !store_db_in_place(db);
	for (int i = 0; i < STATEMENTS; i++)
		(void)sqlite3_finalize(db->stmt[i]);
	(void)sqlite3_close(db->sql);
	/* of a file that has moved SQLite leaves the journal, for whatever has its name now */
	if (moved && store_file_in_place(db->journal, &db->journal_file))
		(void)unlink(db->journal);
	if (moved && store_file_in_place(db->index, &db->index_file))
		(void)unlink(db->index);
	free(db->index);
	free(db->journal);
	free(db->path);
	free(db);
}

bool
store_db_in_place(const struct store_db *db)
{
	return store_file_in_place(db->path, &db->file);
}

/* ---- writing ------------------------------------------------------------------------------ */

enum db_status
store_db_begin(struct store_db *db, struct dm_err *err)
{
	int64_t most = db->max_bytes / 8, busy;

	db->added = 0;
	/* a reader of long standing keeps the journal from beginning anew, and it grows */
	if (bytes_of(db->journal) > most) {
		enum db_status status =
		    store_db_ask(db, "PRAGMA wal_checkpoint(TRUNCATE)", &busy, err);

		if (status != DB_OK)
			return status;
		if (bytes_of(db->journal) > most) {
			(void)dm_fail(err, DM_CONFLICT,
			    "writing %s: another process has been reading it for long", db->path);
			(void)dm_hint(err, "see which one with: fuser -v '%s'", db->path);
			return DB_BUSY;
		}
	}
	return store_db_run(db, "BEGIN IMMEDIATE", "writing", err);
}

enum db_status
store_db_commit(struct store_db *db, struct dm_err *err)
{
	return store_db_run(db, "COMMIT", "writing", err);
}

void
store_db_rollback(struct store_db *db)
{
	/* after some errors SQLite has done so already */
	if (!sqlite3_get_autocommit(db->sql))
		(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}

enum db_status
store_db_add_event(struct store_db *db, const struct store_event *event, struct dm_err *err)
{
	sqlite3_stmt *stmt = db->stmt[INSERT_EVENT];

	(void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)(event->seq & INT64_MAX));
	(void)sqlite3_bind_int64(stmt, 2, event->time_ms);
	bind_text(stmt, 3, event->kind);
	bind_text(stmt, 4, event->id);
	bind_text(stmt, 5, event->json);
	db->added += 2 * db->page + (int64_t)strlen(event->json);
	return finish(db, stmt, "writing", err);
}

enum db_status
store_db_add_minute(
    struct store_db *db, const char *id, int64_t minute, const char *state, struct dm_err *err)
{
	static const enum statement ways[] = {EXTEND_RUN, INSERT_RUN};
	enum db_status status = DB_OK;

	db->added += 2 * db->page;
	for (size_t i = 0; i < 2 && status == DB_OK; i++) {
		sqlite3_stmt *stmt = db->stmt[ways[i]];

		bind_text(stmt, 1, id);
		(void)sqlite3_bind_int64(stmt, 2, minute);
		bind_text(stmt, 3, state);
		status = finish(db, stmt, "writing", err);
		if (sqlite3_changes(db->sql) > 0)
			break;
	}
	return status;
}

int64_t
store_db_rows_enough(const struct store_db *db)
{
	/* each with its place in an index: in the worst case both change a page of their own */
	return store_db_at_least(db->max_bytes / 32 / (2 * db->page), 4);
}

bool
store_db_is_enough(const struct store_db *db)
{
	return db->added >= store_db_rows_enough(db) * 2 * db->page;
}

/* ---- reading ------------------------------------------------------------------------------ */

bool
store_db_is_sound(struct store_db *db, struct dm_err *err)
{
	int64_t there = bytes_of(db->path) + bytes_of(db->journal), pages;
	sqlite3_stmt *stmt = NULL;
	const char *answer = NULL;
	bool sound;

	if (store_db_ask(db, "PRAGMA page_count", &pages, err) != DB_OK)
		return false;
	/* else it would take very long to look at them all; a page has 512 bytes or more */
	if (pages > there / 512)
		return dm_fail(err, DM_FAILED, "%s: it says that it has %lld pages, in %lld bytes",
		    db->path, (long long)pages, (long long)there);
	if (sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(1)", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW)
		answer = column_text(stmt, 0);
	sound = answer != NULL && strcmp(answer, "ok") == 0;
	if (!sound)
		(void)dm_fail(err, DM_FAILED, "%s: %s", db->path,
		    answer != NULL ? answer : sqlite3_errmsg(db->sql));
	(void)sqlite3_finalize(stmt);
	return sound;
}

/* One row; false if there is not enough memory for it, or somebody has had a hand in it. */
static bool
event_of(sqlite3_stmt *stmt, struct store_event *out)
{
	*out = (struct store_event){
	    .seq = (uint64_t)sqlite3_column_int64(stmt, 0),
	    .time_ms = sqlite3_column_int64(stmt, 1),
	    .kind = column_text(stmt, 2),
	    .id = column_text(stmt, 3),
	    .json = column_text(stmt, 4),
	};
	return out->kind != NULL && out->json != NULL;
}

enum db_status
store_db_events(struct store_db *db, uint64_t since, const char *id, size_t max,
    void (*fn)(void *user, const struct store_event *event), void *user, size_t *count,
    struct dm_err *err)
{
	sqlite3_stmt *stmt = db->stmt[id == NULL ? EVENTS : EVENTS_OF];
	enum db_status status;
	int rc;

	*count = 0;
	if (since >= INT64_MAX)
		return DB_OK;
	(void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)since);
	(void)sqlite3_bind_int64(stmt, 2, max < INT32_MAX ? (sqlite3_int64)max : INT32_MAX);
	if (id != NULL)
		bind_text(stmt, 3, id);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct store_event event;

		/* a corrupt index may give them in another order */
		if (!event_of(stmt, &event) || event.seq <= since)
			continue;
		since = event.seq;
		(*count)++;
		fn(user, &event);
	}
	status = ended(db, rc, "reading", err);
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return status;
}

enum db_status
store_db_newest(struct store_db *db, const char *id, size_t max,
    bool (*fn)(void *user, const struct store_event *event), void *user, struct dm_err *err)
{
	sqlite3_stmt *stmt = db->stmt[NEWEST_OF];
	struct store_event event;
	enum db_status status;
	int rc;

	bind_text(stmt, 1, id);
	(void)sqlite3_bind_int64(stmt, 2, max < INT32_MAX ? (sqlite3_int64)max : INT32_MAX);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (event_of(stmt, &event) && !fn(user, &event))
			break;
	}
	status = ended(db, rc, "reading", err);
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return status;
}

enum db_status
store_db_minutes(struct store_db *db, const char *id, int64_t since,
    bool (*fn)(void *user, int64_t first, int64_t last, const char *state), void *user,
    struct dm_err *err)
{
	sqlite3_stmt *stmt = db->stmt[RUNS];
	enum db_status status;
	int rc;

	bind_text(stmt, 1, id);
	(void)sqlite3_bind_int64(stmt, 2, since);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		int64_t first = sqlite3_column_int64(stmt, 0), last = sqlite3_column_int64(stmt, 1);
		const char *state = column_text(stmt, 2);

		/* somebody may have had a hand in it: else it is a run of a day at most */
		if (state == NULL || first < 0 || first > last || last >= INT64_MAX / MINUTE_MS ||
		    last - first >= RUN_MAX)
			continue;
		if (!fn(user, first, last, state))
			break;
	}
	status = ended(db, rc, "reading", err);
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return status;
}
