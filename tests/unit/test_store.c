/* SPDX-License-Identifier: MIT */
/* The history: what is given back, how long and how much of it is kept, and in which files. */
#include "store_look.h"

/* ---- events and minutes ------------------------------------------------------------------- */

static void
gives_events_back(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	rig_event(r, "shop-main", "{\"a\":1}");
	rig_event(r, NULL, "{}");
	rig_event(r, "shop-auth", "{\"b\":\"\xc3\xa9\"}");
	/* before they are written, and behind those that are */
	assert_text(rig_events(r, 0, NULL, 9), "1 service shop-main {\"a\":1}\n2 service - {}\n"
					       "3 service shop-auth {\"b\":\"\xc3\xa9\"}\n");
	rig_flush(r);
	assert_stores(r);
	rig_event(r, "shop-main", "{\"a\":2}");
	assert_text(rig_events(r, 0, "shop-main", 9),
	    "1 service shop-main {\"a\":1}\n4 service shop-main {\"a\":2}\n");
	assert_text(rig_events(r, 1, NULL, 2),
	    "2 service - {}\n3 service shop-auth {\"b\":\"\xc3\xa9\"}\n");
	assert_text(rig_events(r, 2, NULL, 2),
	    "3 service shop-auth {\"b\":\"\xc3\xa9\"}\n4 service shop-main {\"a\":2}\n");
	assert_text(rig_events(r, 4, NULL, 9), "");
	assert_text(rig_events(r, UINT64_MAX, NULL, 9), "");
	assert_text(rig_events(r, 0, "no such", 9), "");
	assert_text(rig_events(r, 0, NULL, 0), "");
	/* what was given is there after a restart, written or not */
	rig_open(r);
	assert_text(rig_events(r, 0, "shop-main", 9),
	    "1 service shop-main {\"a\":1}\n4 service shop-main {\"a\":2}\n");
	assert_int_equal(store_lost(r->store), 0);
	assert_int_equal(rig_warnings(r), 0);
}

static void
keeps_times(void *user, const struct store_event *e)
{
	*(int64_t *)user = e->time_ms;
}

static void
gives_times_back(void **state)
{
	struct rig *r = *state;
	int64_t time_ms = 0;

	rig_open(r);
	r->now = AT(3) + 1234;
	rig_event(r, "a", "{}");
	rig_open(r);
	assert_int_equal(store_events(r->store, 0, NULL, 9, keeps_times, &time_ms), 1);
	assert_int_equal(time_ms, AT(3) + 1234);
}

static void
keeps_the_last_of_a_minute(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	store_heartbeat(r->store, AT(0) + 1, "a", "starting");
	store_heartbeat(r->store, AT(0) + 10001, "a", "up");
	store_heartbeat(r->store, AT(0) + 10002, "b", "down");
	/* the present minute is not over, and not yet written; it can be read */
	rig_flush(r);
	assert_text(rig_minutes(r, "a", 0, 9), "0 up\n");
	for (int64_t m = 1; m <= 5; m++) {
		/* a gap at 3, and another state at 5 */
		if (m != 3)
			store_heartbeat(r->store, AT(m), "a", m == 5 ? "stale" : "up");
		r->now = AT(m);
		rig_flush(r);
	}
	assert_text(rig_minutes(r, "a", 0, 9), "0 up\n1 up\n2 up\n4 up\n5 stale\n");
	assert_text(rig_minutes(r, "a", AT(1), 2), "1 up\n2 up\n");
	assert_text(rig_minutes(r, "a", AT(1) + 1, 2), "2 up\n4 up\n");
	assert_text(rig_minutes(r, "b", 0, 9), "0 down\n");
	assert_text(rig_minutes(r, "c", 0, 9), "");
	/* closed in the middle of a minute, and going on in it */
	rig_open(r);
	assert_text(rig_minutes(r, "a", 0, 9), "0 up\n1 up\n2 up\n4 up\n5 stale\n");
	store_heartbeat(r->store, AT(5) + 30000, "a", "stale");
	store_heartbeat(r->store, AT(6), "a", "stale");
	r->now = AT(7);
	rig_flush(r);
	assert_text(rig_minutes(r, "a", AT(4), 9), "4 up\n5 stale\n6 stale\n");
}

static void
minutes_in_a_row_are_few_rows(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *all = NULL, *rows = NULL;
	sqlite3 *sql;
	size_t n = 0;

	rig_open(r);
	for (int64_t m = 0; m < 3000; m++) {
		store_heartbeat(r->store, AT(m), "a", "up");
		store_heartbeat(r->store, AT(m), "b", "down");
		r->now = AT(m);
		rig_flush(r);
	}
	all = rig_minutes(r, "a", 0, SIZE_MAX);
	for (const char *p = all; (p = strstr(p, " up\n")) != NULL; p++)
		n++;
	assert_int_equal(n, 3000);
	rig_close(r);
	sql = rig_sql(r->path);
	/* two days and a bit */
	rows = rig_ask(sql, "SELECT count(*) FROM heartbeat WHERE id = 'a'");
	sqlite3_close(sql);
	assert_string_equal(rows, "3");
}

static void
a_clock_set_back_gives_no_minute_twice(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	for (int64_t m = 0; m < 8; m++) {
		/* 10, 11, 12, 13, then 11, 12, 13, 14 */
		int64_t at = m < 4 ? 10 + m : 7 + m;

		store_heartbeat(r->store, AT(at), "a", m < 4 ? "up" : "down");
		r->now = AT(at + 1);
		rig_flush(r);
	}
	assert_stores(r);
	assert_text(rig_minutes(r, "a", 0, 99), "10 up\n11 up\n12 up\n13 up\n14 down\n");
	/* and a number that comes again is the newer event's */
	r->seq = 0;
	rig_event(r, "a", "1");
	rig_flush(r);
	r->seq = 0;
	rig_event(r, "b", "2");
	rig_flush(r);
	assert_text(rig_events(r, 0, NULL, 9), "1 service b 2\n");
}

static void
hostile_texts_stay_what_they_are(void **state)
{
	struct rig *r = *state;
	static const char *const ids[] = {"'; DROP TABLE event; --", "\"\\\n\r\t", "\xff\xfe", "",
	    "%s%n", "\xed\xa0\x80", "a' OR '1'='1"};
	DM_AUTO_FREE char *long_id = dm_calloc(1001, 1);

	memset(long_id, 'x', 1000);
	rig_open(r);
	for (size_t i = 0; i < COUNT(ids); i++) {
		rig_event(r, ids[i], ids[i]);
		store_heartbeat(r->store, r->now, ids[i], "a state that is longer than any is");
	}
	store_heartbeat(r->store, r->now, long_id, "up");
	assert_int_equal(store_lost(r->store), 1);
	rig_open(r);
	for (size_t i = 0; i < COUNT(ids); i++) {
		DM_AUTO_FREE char *want = dm_asprintf("%zu service %s %s\n", i + 1, ids[i], ids[i]);

		assert_text(rig_events(r, 0, ids[i], 9), want);
		assert_text(rig_minutes(r, ids[i], 0, 9), "0 a state that is longer \n");
	}
}

static void
an_event_that_is_too_large_is_left_out(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *large = dm_calloc((1 << 16) + 1, 1);

	memset(large, 'x', 1 << 16);
	rig_open(r);
	rig_event(r, "a", "1");
	rig_event(r, "a", large);
	rig_event(r, "a", "3");
	rig_flush(r);
	assert_text(rig_events(r, 0, NULL, 9), "1 service a 1\n3 service a 3\n");
	assert_int_equal(store_lost(r->store), 1);
	/* what waits is bounded in bytes also */
	large[60000] = '\0';
	for (int i = 0; i < 200; i++)
		rig_event(r, "a", large);
	assert_int_equal(rig_count(r, NULL, NULL) + store_lost(r->store), 203);
	assert_true(rig_count(r, NULL, NULL) >= 17);
}

static void
publish_another(void *user, const struct store_event *e)
{
	struct rig *r = user;

	/* many of them, so that they would be written if that could be now */
	if (e->seq <= 3)
		for (int i = 0; i < 300; i++)
			rig_event(r, "b", "{}");
	store_flush(r->store, r->now + 1);
	assert_int_equal(store_events(r->store, 0, NULL, 9, keeps_times, NULL), 0);
}

static void
events_may_come_while_events_are_read(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	for (int i = 0; i < 3; i++)
		rig_event(r, "a", "{}");
	rig_flush(r);
	assert_int_equal(store_events(r->store, 0, "a", 9, publish_another, r), 3);
	rig_flush(r);
	assert_int_equal(rig_count(r, NULL, NULL), 903);
	assert_int_equal(store_lost(r->store), 0);
}

/* ---- bounds ------------------------------------------------------------------------------- */

static void
what_is_too_old_goes(void **state)
{
	struct rig *r = *state;
	uint64_t first = 0;

	r->limits.max_age_s = DAY_S;
	rig_open(r);
	for (int64_t m = 0; m < 3 * 1440; m += 10) {
		r->now = AT(m);
		rig_event(r, "a", "{}");
		store_heartbeat(r->store, AT(m), "a", m % 20 == 0 ? "up" : "down");
		rig_flush(r);
	}
	/* hourly: between a day's and a day and an hour's */
	assert_in_range(rig_count(r, &first, NULL), 144, 151);
	assert_in_range(first, 3 * 144 - 150, 3 * 144 - 143);
	{
		DM_AUTO_FREE char *minutes = rig_minutes(r, "a", 0, 1);
		long from = strtol(minutes, NULL, 10);

		assert_in_range(from, 2 * 1440 - 10 - 60, 2 * 1440);
	}
	/* after a long sleep all of it goes, in a few goes */
	r->now = AT(20 * 1440);
	for (int i = 0; i < 1000 && rig_count(r, NULL, NULL) > 0; i++)
		rig_flush(r);
	assert_int_equal(rig_count(r, NULL, NULL), 0);
	assert_text(rig_minutes(r, "a", 0, 9), "");
	assert_stores(r);
}

/* Writes `n` events of about a KiB, with a flush after every `each`. */
static void
fill(struct rig *r, int n, int each)
{
	char json[1000];

	memset(json, 'j', sizeof(json) - 1);
	json[sizeof(json) - 1] = '\0';
	for (int i = 0; i < n; i++) {
		DM_AUTO_FREE char *id = dm_asprintf("service-%d", i % 50);

		rig_event(r, id, json);
		if (i % each != 0)
			continue;
		rig_flush(r);
		r->now += 1000;
		if (rig_bytes(r) > r->limits.max_bytes)
			fail_msg(
			    "after %d events there are %lld bytes", i, (long long)rig_bytes(r));
	}
}

static void
what_is_too_much_goes(void **state)
{
	struct rig *r = *state;
	uint64_t first = 0, last = 0;
	size_t n;

	r->limits.max_bytes = 4 * MIB;
	rig_open(r);
	fill(r, 9000, 40);
	assert_stores(r);
	assert_int_equal(store_lost(r->store), 0);
	/* the newest are there, without a gap, and the room is used */
	n = rig_count(r, &first, &last);
	assert_int_equal(last, 9000);
	assert_int_equal(n, last - first + 1);
	assert_true(n > 1600);
	/* minutes count as well, and the oldest goes first whichever it is */
	for (int64_t m = 0; m < 400; m++) {
		r->now += MINUTE;
		for (int i = 0; i < 60; i++) {
			DM_AUTO_FREE char *id = dm_asprintf("a service with a long name, %d", i);

			store_heartbeat(r->store, r->now, id, m % 2 == 0 ? "up" : "stale");
		}
		rig_flush(r);
		assert_true(rig_bytes(r) <= r->limits.max_bytes);
	}
	assert_stores(r);
	assert_true(rig_count(r, NULL, NULL) < n);
	fill(r, 4000, 40);
	assert_text(rig_minutes(r, "a service with a long name, 1", 0, 9), "");
	/* a burst between two flushes */
	fill(r, 3000, 3000);
	rig_flush(r);
	assert_true(rig_bytes(r) <= r->limits.max_bytes);
}

static void
a_lower_bound_makes_the_file_shorter(void **state)
{
	struct rig *r = *state;
	uint64_t last = 0;
	int i;

	r->limits.max_bytes = 16 * MIB;
	rig_open(r);
	fill(r, 9000, 200);
	rig_close(r);
	assert_true(rig_bytes(r) > 8 * MIB);
	r->limits.max_bytes = 2 * MIB;
	rig_open(r);
	for (i = 0; i < 1000 && rig_bytes(r) > r->limits.max_bytes; i++) {
		r->now += 1000;
		rig_event(r, "a", "{}");
		rig_flush(r);
	}
	assert_true(rig_bytes(r) <= r->limits.max_bytes);
	assert_true(rig_count(r, NULL, &last) > 500);
	assert_int_equal(last, r->seq);
	assert_stores(r);
}

/* ---- versions ----------------------------------------------------------------------------- */

static void
an_older_file_is_migrated(void **state)
{
	struct rig *r = *state;
	sqlite3 *sql = rig_sql(r->path);
	DM_AUTO_FREE char *version = NULL, *check = NULL;

	/* as the first version made it */
	rig_exec(sql,
	    "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
	    "CREATE TABLE event (seq INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL,"
	    " kind TEXT NOT NULL, id TEXT, data TEXT NOT NULL);"
	    "CREATE INDEX event_id ON event (id, seq) WHERE id IS NOT NULL;"
	    "INSERT INTO event VALUES (7, 1776000000000, 'mend', 'shop', '{\"old\":true}');"
	    "PRAGMA user_version = 1");
	sqlite3_close(sql);
	r->seq = 7;
	rig_open(r);
	assert_stores(r);
	rig_event(r, "shop", "{}");
	store_heartbeat(r->store, r->now, "shop", "up");
	assert_text(rig_events(r, 0, "shop", 9), "7 mend shop {\"old\":true}\n8 service shop {}\n");
	rig_open(r);
	assert_text(rig_minutes(r, "shop", 0, 9), "0 up\n");
	rig_close(r);
	sql = rig_sql(r->path);
	version = rig_ask(sql, "PRAGMA user_version");
	check = rig_ask(sql, "PRAGMA integrity_check");
	sqlite3_close(sql);
	assert_string_equal(version, "2");
	assert_string_equal(check, "ok");
	assert_false(rig_has(r, "history.db.bad"));
	assert_int_equal(rig_warnings(r), 0);
}

static void
a_later_file_is_set_aside(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *bad = in_dir(r->dir, "history.db.bad"), *said = NULL, *left = NULL;
	sqlite3 *sql = rig_sql(r->path);

	rig_exec(sql, "PRAGMA journal_mode = WAL; CREATE TABLE future (x);"
		      "INSERT INTO future VALUES ('kept'); PRAGMA user_version = 99");
	sqlite3_close(sql);
	rig_open(r);
	assert_stores(r);
	rig_event(r, "a", "{}");
	rig_open(r);
	assert_text(rig_events(r, 0, NULL, 9), "1 service a {}\n");
	rig_close(r);
	said = rig_said(r);
	assert_int_equal(rig_warnings(r), 1);
	assert_holds(said, "is of version 99");
	assert_holds(said, bad);
	sql = rig_sql(bad);
	left = rig_ask(sql, "SELECT x FROM future");
	sqlite3_close(sql);
	assert_string_equal(left, "kept");
}

static void
somebody_elses_tables_are_set_aside(void **state)
{
	static const char *const schemas[] = {
	    "CREATE TABLE event (other)",
	    "CREATE TABLE event (other); PRAGMA user_version = 1",
	    "CREATE TABLE other (x); PRAGMA user_version = 2",
	    "CREATE VIEW event AS SELECT 1 AS seq; PRAGMA user_version = 2",
	    "PRAGMA user_version = -1",
	};
	struct rig *r = *state;

	for (size_t i = 0; i < COUNT(schemas); i++) {
		sqlite3 *sql = rig_sql(r->path);

		rig_exec(sql, schemas[i]);
		sqlite3_close(sql);
		rig_open(r);
		assert_stores(r);
		rig_event(r, "a", "{}");
		rig_flush(r);
		assert_int_equal(rig_count(r, NULL, NULL), 1);
		rig_close(r);
		assert_int_equal(rig_warnings(r), i + 1);
		assert_int_equal(unlink(r->path), 0);
	}
	/* the last one only is kept */
	assert_true(rig_has(r, "history.db.bad"));
}

/* ---- files -------------------------------------------------------------------------------- */

static void
the_files_are_private(void **state)
{
	static const char *const names[] = {
	    "a/b/history.db", "a/b/history.db-wal", "a/b/history.db-shm"};
	struct rig *r = *state;
	mode_t old = umask(0);
	struct stat st;

	free(r->path);
	r->path = in_dir(r->dir, names[0]);
	rig_open(r);
	rig_event(r, "a", "{}");
	rig_flush(r);
	(void)umask(old);
	assert_stores(r);
	for (size_t i = 0; i < COUNT(names); i++) {
		DM_AUTO_FREE char *path = in_dir(r->dir, names[i]);

		assert_int_equal(lstat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	{
		DM_AUTO_FREE char *dir = in_dir(r->dir, "a/b");

		assert_int_equal(lstat(dir, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700);
	}
	/* one that was open to others is closed */
	rig_close(r);
	assert_int_equal(chmod(r->path, 0666), 0);
	rig_open(r);
	assert_stores(r);
	assert_int_equal(lstat(r->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* It is refused, with one warning, stays as it is, and the events wait. */
static void
refused(struct rig *r, const char *why)
{
	DM_AUTO_FREE char *said = NULL;
	size_t before = rig_warnings(r);

	rig_open(r);
	assert_non_null(store_problem(r->store));
	assert_holds(store_problem(r->store), why);
	rig_event(r, "a", "{}");
	for (int i = 0; i < 9; i++) {
		r->now += 20000;
		rig_flush(r);
	}
	assert_int_equal(rig_count(r, NULL, NULL), 1);
	assert_int_equal(rig_warnings(r), before + 1);
	said = rig_said(r);
	assert_holds(said, "try: ");
	rig_close(r);
}

static void
what_is_not_a_plain_file_of_ours_is_refused(void **state)
{
	static const char *const names[] = {
	    "history.db", "history.db-wal", "history.db-shm", "history.db-journal"};
	struct rig *r = *state;
	DM_AUTO_FREE char *victim = in_dir(r->dir, "victim");
	DM_AUTO_STR struct dm_str text = dm_str_make(100);
	struct dm_err err;

	put_file(victim, "precious");
	for (size_t i = 0; i < COUNT(names); i++) {
		DM_AUTO_FREE char *path = in_dir(r->dir, names[i]);

		assert_int_equal(symlink(victim, path), 0);
		refused(r, names[i]);
		assert_int_equal(unlink(path), 0);
		assert_int_equal(link(victim, path), 0);
		refused(r, "not a plain file of yours");
		assert_int_equal(unlink(path), 0);
		assert_int_equal(mkfifo(path, 0600), 0);
		refused(r, "not a plain file of yours");
		assert_int_equal(unlink(path), 0);
		assert_int_equal(mkdir(path, 0700), 0);
		refused(r, "not a plain file of yours");
		assert_int_equal(rmdir(path), 0);
		if (geteuid() == 0) {
			put_file(path, "");
			assert_int_equal(chown(path, 65534, 65534), 0);
			refused(r, "not a plain file of yours");
			assert_int_equal(unlink(path), 0);
		}
		(void)unlink(r->path);
	}
	assert_ok(dm_read_file(victim, &text, &err), &err);
	assert_string_equal(text.data, "precious");
	/* and when all is well again, so is the store */
	rig_open(r);
	assert_stores(r);
}

static void
a_directory_of_others_is_refused(void **state)
{
	struct rig *r = *state;

	assert_int_equal(chmod(r->dir, 01777), 0);
	refused(r, "others may write to that directory");
	assert_int_equal(chmod(r->dir, 0720), 0);
	refused(r, "others may write to that directory");
	assert_int_equal(chmod(r->dir, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(r->dir, 65534, 65534), 0);
		refused(r, "others may write to that directory");
		assert_int_equal(chown(r->dir, 0, 0), 0);
	}
	assert_false(rig_has(r, "history.db"));
	rig_open(r);
	assert_stores(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_RIG(gives_events_back),
	    WITH_RIG(gives_times_back),
	    WITH_RIG(keeps_the_last_of_a_minute),
	    WITH_RIG(minutes_in_a_row_are_few_rows),
	    WITH_RIG(a_clock_set_back_gives_no_minute_twice),
	    WITH_RIG(hostile_texts_stay_what_they_are),
	    WITH_RIG(an_event_that_is_too_large_is_left_out),
	    WITH_RIG(events_may_come_while_events_are_read),
	    WITH_RIG(what_is_too_old_goes),
	    WITH_RIG(what_is_too_much_goes),
	    WITH_RIG(a_lower_bound_makes_the_file_shorter),
	    WITH_RIG(an_older_file_is_migrated),
	    WITH_RIG(a_later_file_is_set_aside),
	    WITH_RIG(somebody_elses_tables_are_set_aside),
	    WITH_RIG(the_files_are_private),
	    WITH_RIG(what_is_not_a_plain_file_of_ours_is_refused),
	    WITH_RIG(a_directory_of_others_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
