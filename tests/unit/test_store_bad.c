/* SPDX-License-Identifier: MIT */
/*
 * The history in a file that is corrupt, wherever: it is noticed at the latest when that part is
 * needed, set aside with a warning, and the store goes on with a new one.
 */
#include "store_look.h"

#include "base/clock.h"

/* Overwrites a part of the file; the store must not have it open: see store_file.h. */
static void
spoil(const char *path, int64_t at, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, (off_t)at), n);
	(void)close(fd);
}

/* A history of some hundred KiB, closed. */
static void
make_history(struct rig *r)
{
	rig_open(r);
	for (int i = 0; i < 2000; i++) {
		DM_AUTO_FREE char *id = dm_asprintf("service-%d", i % 100);

		rig_event(r, id, "{\"from\":\"up\",\"to\":\"stale\",\"reason\":\"it has ended\"}");
		store_heartbeat(r->store, r->now, id, i % 2 == 0 ? "up" : "stale");
		r->now += 10000;
		if (i % 100 == 0)
			rig_flush(r);
	}
	rig_close(r);
	assert_in_range(rig_bytes(r), 200 << 10, 1 << 20);
}

/*
 * Opens it and does everything that can be done; then the store has to work, and what it has
 * warned of, if anything, is a file that was set aside.
 */
static void
use(struct rig *r)
{
	DM_AUTO_FREE char *want = NULL;
	size_t warned = rig_warnings(r);

	rig_open(r);
	for (int i = 0; i < 10; i++) {
		free(rig_events(r, 0, "service-7", 100));
		free(rig_minutes(r, "service-7", 0, 10000));
		(void)rig_count(r, NULL, NULL);
		rig_event(r, "service-7", "{}");
		store_heartbeat(r->store, r->now, "service-7", "down");
		r->now += 2 * 3600 * INT64_C(1000);
		rig_flush(r);
	}
	assert_stores(r);
	rig_event(r, "the last one", "{\"a\":1}");
	r->now += 20000;
	rig_flush(r);
	assert_stores(r);
	want = dm_asprintf("%llu service the last one {\"a\":1}\n", (unsigned long long)r->seq);
	assert_text(rig_events(r, r->seq - 1, NULL, 9), want);
	rig_open(r);
	assert_stores(r);
	assert_text(rig_events(r, r->seq - 1, NULL, 9), want);
	rig_close(r);
	if (rig_warnings(r) > warned && !rig_has(r, "history.db.bad")) {
		DM_AUTO_FREE char *said = rig_said(r);

		fail_msg("warned of something else: %s", said);
	}
}

static void
assert_set_aside(struct rig *r, const char *why)
{
	DM_AUTO_FREE char *said = rig_said(r);

	assert_true(rig_has(r, "history.db.bad"));
	assert_int_equal(rig_warnings(r), 1);
	assert_holds(said, why);
	assert_holds(said, "a new history is begun");
}

static void
a_spoilt_header(void **state)
{
	struct rig *r = *state;
	char junk[100];

	memset(junk, 0xa5, sizeof(junk));
	make_history(r);
	spoil(r->path, 0, junk, sizeof(junk));
	use(r);
	assert_set_aside(r, "not a database");
}

static void
a_text(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *bad = in_dir(r->dir, "history.db.bad");
	DM_AUTO_STR struct dm_str text = dm_str_make(100000);
	DM_AUTO_FREE char *lines = dm_calloc(5001, 1);
	struct dm_err err;

	memset(lines, '\n', 5000);
	put_file(r->path, lines);
	use(r);
	assert_set_aside(r, "not a database");
	/* as it was */
	assert_ok(dm_read_file(bad, &text, &err), &err);
	assert_string_equal(text.data, lines);
}

static void
a_page_in_the_middle(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *junk = dm_calloc(3 * 4096, 1);

	memset(junk, 0xff, 3 * 4096);
	make_history(r);
	for (int64_t at = 16; at < 19; at += 3)
		spoil(r->path, at * 4096, junk, 3 * 4096);
	use(r);
	assert_set_aside(r, "malformed");
}

static void
a_file_cut_short(void **state)
{
	struct rig *r = *state;

	make_history(r);
	assert_int_equal(truncate(r->path, 40000), 0);
	use(r);
	assert_set_aside(r, "malformed");
}

static void
less_than_a_header(void **state)
{
	struct rig *r = *state;

	put_file(r->path, "SQLite format 3");
	use(r);
	assert_set_aside(r, "not a database");
}

static void
an_empty_file_is_a_new_one(void **state)
{
	struct rig *r = *state;

	put_file(r->path, "");
	use(r);
	assert_int_equal(rig_warnings(r), 0);
	assert_false(rig_has(r, "history.db.bad"));
}

static void
a_journal_of_another_file(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *journal = dm_asprintf("%s-wal", r->path);
	DM_AUTO_FREE char *junk = dm_calloc(100001, 1);

	make_history(r);
	memset(junk, 0x37, 100000);
	put_file(journal, junk);
	/* what is not this file's is not used (sqlite.org/fileformat2.html, 4.4) */
	use(r);
	assert_int_equal(rig_warnings(r), 0);
	/* nor one that a file has left that is gone */
	assert_int_equal(unlink(r->path), 0);
	put_file(journal, junk);
	use(r);
	assert_int_equal(rig_warnings(r), 0);
}

static void
a_pause_between_two(void **state)
{
	struct rig *r = *state;
	uint64_t last = 0;

	put_file(r->path, "this is not a history, and it comes back as soon as it is gone");
	rig_open(r);
	assert_stores(r);
	for (int i = 0; i < 30; i++) {
		/* by a rename, as a restore would do */
		put_file(r->path, "this is not a history, and it comes back as soon as it is gone");
		rig_event(r, "a", "{}");
		r->now += 1000;
		rig_flush(r);
		(void)rig_count(r, NULL, &last);
		assert_int_equal(last, r->seq);
	}
	/* of the 31 files a few only were looked at */
	assert_in_range(rig_warnings(r), 2, 14);
	r->now += 20000;
	rig_flush(r);
	r->now += 20000;
	rig_flush(r);
	assert_stores(r);
}

static void
what_was_set_aside_goes_in_time(void **state)
{
	struct rig *r = *state;
	int64_t deadline = dm_now_ms() + 5000;

	r->limits.max_age_s = 0;
	put_file(r->path, "no history");
	rig_open(r);
	assert_true(rig_has(r, "history.db.bad"));
	/* looked for hourly; the file's time may be a little ahead of ours, by another clock */
	do {
		r->now += 3600 * INT64_C(1000);
		rig_event(r, "a", "{}");
		rig_flush(r);
	} while (rig_has(r, "history.db.bad") && dm_now_ms() < deadline);
	assert_stores(r);
	assert_false(rig_has(r, "history.db.bad"));
	assert_true(rig_has(r, "history.db"));
}

static void
aside_is_in_the_way(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *bad = in_dir(r->dir, "history.db.bad");
	DM_AUTO_FREE char *in_it = in_dir(r->dir, "history.db.bad/x");

	assert_int_equal(mkdir(bad, 0700), 0);
	put_file(in_it, "x");
	put_file(r->path, "no history");
	rig_open(r);
	assert_holds(store_problem(r->store), "setting");
	assert_holds(store_problem(r->store), "not a database");
	for (int i = 0; i < 5; i++) {
		rig_event(r, "a", "{}");
		r->now += 20000;
		rig_flush(r);
	}
	assert_int_equal(rig_warnings(r), 1);
	assert_int_equal(unlink(in_it), 0);
	assert_int_equal(rmdir(bad), 0);
	r->now += 20000;
	rig_flush(r);
	assert_stores(r);
	assert_int_equal(rig_count(r, NULL, NULL), 5);
}

static void
bytes_anywhere(void **state)
{
	struct rig *r = *state;
	struct prng p = prng_new();
	DM_AUTO_STR struct dm_str text = dm_str_make(4 * MIB);
	struct dm_err err;
	unsigned char junk[64];

	make_history(r);
	assert_ok(dm_read_file(r->path, &text, &err), &err);
	for (int round = 0; round < 60; round++) {
		size_t spots = 1 + prng_below(&p, 8);

		assert_ok(dm_write_file(r->path, text.data, text.len, 0600, &err), &err);
		while (spots-- > 0) {
			size_t n = 1 + prng_below(&p, sizeof(junk));
			/* the first page, which says most, as often as all others */
			size_t range = prng_below(&p, 2) == 0 ? 4096 : text.len;

			for (size_t i = 0; i < n; i++)
				junk[i] = (unsigned char)prng_below(&p, 256);
			spoil(r->path, (int64_t)prng_below(&p, range - n), junk, n);
		}
		r->seq = 1000000;
		use(r);
	}
}

static void
a_copy_put_back_in_use(void **state)
{
	struct rig *r = *state;
	DM_AUTO_STR struct dm_str copy = dm_str_make(4 * MIB);
	DM_AUTO_FREE char *check = NULL;
	struct dm_err err;
	sqlite3 *sql;

	make_history(r);
	assert_ok(dm_read_file(r->path, &copy, &err), &err);
	rig_open(r);
	for (int i = 0; i < 500; i++)
		rig_event(r, "shop", "{\"in\":\"the journal\"}");
	rig_flush(r);
	/* the journal of the one must not get into the other */
	assert_ok(dm_write_file(r->path, copy.data, copy.len, 0600, &err), &err);
	rig_event(r, "shop", "{}");
	rig_flush(r);
	assert_stores(r);
	assert_int_equal(rig_count(r, NULL, NULL), 2001);
	rig_close(r);
	sql = rig_sql(r->path);
	check = rig_ask(sql, "PRAGMA integrity_check");
	sqlite3_close(sql);
	assert_string_equal(check, "ok");
	assert_int_equal(rig_warnings(r), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_RIG(a_spoilt_header),
	    WITH_RIG(a_text),
	    WITH_RIG(a_page_in_the_middle),
	    WITH_RIG(a_file_cut_short),
	    WITH_RIG(less_than_a_header),
	    WITH_RIG(an_empty_file_is_a_new_one),
	    WITH_RIG(a_journal_of_another_file),
	    WITH_RIG(a_pause_between_two),
	    WITH_RIG(what_was_set_aside_goes_in_time),
	    WITH_RIG(aside_is_in_the_way),
	    WITH_RIG(a_copy_put_back_in_use),
	    WITH_RIG(bytes_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
