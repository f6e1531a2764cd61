/* SPDX-License-Identifier: MIT */
/* Removing what is too old or too much. */
#include <sqlite3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store_db_impl.h"

enum {
	TRIM_MS = 10,	    /* the loop waits no longer for old rows to go */
	VACUUM_PAGES = 256, /* given back at a time */
};

struct pages {
	int64_t all, unused;
};

static enum db_status
count_pages(struct store_db *db, struct pages *out, struct dm_err *err)
{
	enum db_status status = store_db_ask(db, "PRAGMA page_count", &out->all, err);

	return status == DB_OK ? store_db_ask(db, "PRAGMA freelist_count", &out->unused, err)
			       : status;
}

static enum db_status
count_used(struct store_db *db, int64_t *used, struct dm_err *err)
{
	struct pages pages = {0, 0};
	enum db_status status = count_pages(db, &pages, err);

	*used = pages.all - pages.unused;
	return status;
}

/* The file only grows when no page is unused, so what is in use bounds it. */
static int64_t
most_pages(const struct store_db *db)
{
	return db->max_bytes / 4 * 3 / db->page;
}

enum db_status
store_db_is_over(struct store_db *db, bool *over, struct dm_err *err)
{
	int64_t used;
	enum db_status status = count_used(db, &used, err);

	*over = status == DB_OK && used > most_pages(db);
	if (status == DB_OK && !*over)
		db->used = most_pages(db);
	return status;
}

/* The oldest rows of a table, of these the ones that `also` is true of. */
static enum db_status
delete_oldest(struct store_db *db, const char *table, const char *key, const char *also,
    int64_t rows, int64_t *gone, struct dm_err *err)
{
	DM_AUTO_FREE char *sql =
	    dm_asprintf("DELETE FROM %s WHERE %s IN (SELECT %s FROM %s ORDER BY %s LIMIT %lld)%s",
		table, key, key, table, key, (long long)rows, also);
	enum db_status status = store_db_run(db, sql, "removing old entries from", err);

	if (status == DB_OK)
		*gone += sqlite3_changes(db->sql);
	return status;
}

/* Some rows; *gone is how many, *used the pages in use after that. */
static enum db_status
delete_some(struct store_db *db, int64_t cutoff_ms, int64_t target, int64_t *gone, int64_t *used,
    struct dm_err *err)
{
	DM_AUTO_FREE char *events = dm_asprintf(" AND time_ms < %lld", (long long)cutoff_ms);
	DM_AUTO_FREE char *beats = dm_asprintf(" AND last < %lld", (long long)(cutoff_ms / 60000));
	int64_t rows = store_db_rows_enough(db), events_older;
	enum db_status status;

	*gone = 0;
	status = delete_oldest(db, "event", "seq", events, rows, gone, err);
	if (status == DB_OK)
		status = delete_oldest(db, "heartbeat", "no", beats, rows, gone, err);
	if (status == DB_OK)
		status = count_used(db, used, err);
	if (status != DB_OK || *gone > 0 || *used <= target)
		return status;
	status = store_db_ask(db,
	    "SELECT coalesce((SELECT time_ms FROM event ORDER BY seq LIMIT 1)"
	    " <= (SELECT last * 60000 FROM heartbeat ORDER BY no LIMIT 1),"
	    " EXISTS (SELECT 1 FROM event))",
	    &events_older, err);
	if (status == DB_OK)
		status = events_older != 0
			     ? delete_oldest(db, "event", "seq", "", rows, gone, err)
			     : delete_oldest(db, "heartbeat", "no", "", rows, gone, err);
	return status == DB_OK ? count_used(db, used, err) : status;
}

/* A part of a file that was larger goes back to the file system, when it is worth the writing. */
static enum db_status
give_back(struct store_db *db, bool *more, struct dm_err *err)
{
	DM_AUTO_FREE char *sql = dm_asprintf("PRAGMA incremental_vacuum(%d)", (int)VACUUM_PAGES);
	struct pages before, after;
	enum db_status status = count_pages(db, &before, err);

	if (status != DB_OK ||
	    (before.all <= most_pages(db) && before.unused <= VACUUM_PAGES + before.all / 4))
		return status;
	status = store_db_run(db, sql, "shortening", err);
	if (status == DB_OK)
		status = count_pages(db, &after, err);
	if (status == DB_OK && after.all < before.all && after.unused > 0)
		*more = true;
	return status;
}

enum db_status
store_db_trim(struct store_db *db, int64_t cutoff_ms, bool *more, struct dm_err *err)
{
	int64_t end = dm_now_ms() + TRIM_MS, target = most_pages(db), gone = 0, used;
	enum db_status status = count_used(db, &used, err);

	*more = false;
	if (status != DB_OK)
		return status;
	/* once at it, a little more: the next time is not at once */
	if (used > target)
		target -= target / 16;
	do {
		status = store_db_begin(db, err);
		if (status == DB_OK)
			status = delete_some(db, cutoff_ms, target, &gone, &used, err);
		if (status == DB_OK)
			status = store_db_commit(db, err);
		if (status != DB_OK) {
			store_db_rollback(db);
			return status;
		}
		/* what was added since the last time has to go, however long it takes */
	} while (gone > 0 && (dm_now_ms() < end || used > db->used));
	db->used = store_db_at_least(used, most_pages(db));
	*more = gone > 0;
	return give_back(db, more, err);
}
