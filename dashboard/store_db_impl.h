/* SPDX-License-Identifier: MIT */
/* What store_db.c and store_trim.c share. */
#ifndef DEVMESH_STORE_DB_IMPL_H
#define DEVMESH_STORE_DB_IMPL_H

#include <sqlite3.h>

#include "store_db.h"
#include "store_file.h"

enum statement {
	INSERT_EVENT,
	EVENTS,
	EVENTS_OF,
	NEWEST_OF,
	EXTEND_RUN,
	INSERT_RUN,
	RUNS,
	STATEMENTS
};

struct store_db {
	char *path, *journal, *index; /* of the "-wal" and its "-shm" */
	sqlite3 *sql;
	sqlite3_stmt *stmt[STATEMENTS];
	struct store_file file, journal_file, index_file;
	int64_t max_bytes;
	int64_t page;  /* bytes */
	int64_t added; /* bytes since the transaction's begin, at most */
	int64_t used;  /* pages that the next trim has to come down to, in whatever time */
};

/* Runs statements that give no rows. `doing` is said with the file's name behind it. */
enum db_status
store_db_run(struct store_db *db, const char *sql, const char *doing, struct dm_err *err) DM_MUST;
/* One number: the first column of the first row, or 0. */
enum db_status
store_db_ask(struct store_db *db, const char *sql, int64_t *out, struct dm_err *err) DM_MUST;
/* How many rows may be added or removed in one transaction. */
int64_t store_db_rows_enough(const struct store_db *db);
int64_t store_db_at_least(int64_t value, int64_t least);

#endif
