/* SPDX-License-Identifier: MIT */
/*
 * The history among faults: other processes, kill -9 in the middle of writing, disks that are full
 * or read-only. It goes on; and what it costs.
 */
#include "store_look.h"

#include <errno.h>
#include <signal.h>
#ifdef __linux__
#include <sys/mount.h>
#endif
#include <sys/wait.h>

#include "base/clock.h"

/* ---- other processes ---------------------------------------------------------------------- */

struct child {
	pid_t pid;
	int from, to; /* pipes */
};

/*
 * Runs fn in a process of its own; it must not return by longjmp(3), so it asserts nothing. No
 * connection may be open: SQLite's are not for two processes (sqlite.org/howtocorrupt.html, 2.6).
 */
static struct child
child_start(struct rig *r, int (*fn)(struct rig *r, int from, int to))
{
	int there[2], back[2];
	struct child c;

	rig_close(r);
	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	c.pid = fork();
	if (c.pid == 0) {
		(void)close(there[1]);
		(void)close(back[0]);
		_exit(fn(r, there[0], back[1]));
	}
	assert_true(c.pid > 0);
	(void)close(there[0]);
	(void)close(back[1]);
	c.to = there[1];
	c.from = back[0];
	return c;
}

/* Tells it to end by closing its input; the wait status. */
static int
child_end(struct child *c)
{
	int status = -1;

	(void)close(c->to);
	while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)close(c->from);
	return status;
}

static void
child_wait_for_byte(const struct child *c)
{
	char byte;

	assert_int_equal(read(c->from, &byte, 1), 1);
}

/* Holds the database with `sql` until its input ends. */
static int
hold(const struct rig *r, const char *sql, int from, int to)
{
	sqlite3 *db = NULL;
	char byte;

	if (sqlite3_open_v2(r->path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
	    sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK || write(to, "x", 1) != 1)
		return 1;
	if (read(from, &byte, 1) != 0)
		return 2;
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return sqlite3_close(db) == SQLITE_OK ? 0 : 3;
}

static int
hold_by_writing(struct rig *r, int from, int to)
{
	return hold(r, "BEGIN IMMEDIATE", from, to);
}

static int
hold_by_reading(struct rig *r, int from, int to)
{
	return hold(r, "BEGIN; SELECT count(*) FROM event", from, to);
}

static void
waits_for_another_writer(void **state)
{
	struct rig *r = *state;
	struct child c;
	int64_t began;

	rig_open(r);
	c = child_start(r, hold_by_writing);
	child_wait_for_byte(&c);
	rig_open(r);
	assert_stores(r);
	began = dm_now_ms();
	for (int i = 0; i < 3; i++) {
		rig_event(r, "a", "{}");
		r->now += 1000;
		rig_flush(r);
	}
	/* the loop is not held up */
	assert_in_range(dm_now_ms() - began, 0, 3000);
	assert_holds(store_problem(r->store), "locked");
	assert_int_equal(rig_count(r, NULL, NULL), 3);
	assert_int_equal(child_end(&c), 0);
	r->now += 1000;
	rig_flush(r);
	assert_stores(r);
	rig_open(r);
	assert_int_equal(rig_count(r, NULL, NULL), 3);
	assert_int_equal(rig_warnings(r), 0);
}

/* Events of 300 bytes or so, with a flush after each 100; the file keeps its bound. */
static void
fill(struct rig *r, int n)
{
	static const char json[] =
	    "{\"from\":\"up\",\"to\":\"stale\",\"reason\":\"its process has ended\",\"url\":"
	    "\"https://shop-feature-auth.dev.localhost\",\"worktree\":\"/home/somebody/src/shop/"
	    "worktrees/feature-auth\",\"pid\":12345,\"since\":1776000000,\"socket\":"
	    "\"/tmp/caddy-dev/shop-feature-auth.sock\"}";

	for (int i = 1; i <= n; i++) {
		DM_AUTO_FREE char *id = dm_asprintf("service-%d", i % 100);

		rig_event(r, id, json);
		if (i % 100 != 0)
			continue;
		r->now += 1000;
		rig_flush(r);
		if (rig_bytes(r) > r->limits.max_bytes)
			fail_msg(
			    "after %d events there are %lld bytes", i, (long long)rig_bytes(r));
	}
}

static void
a_long_reader_does_not_break_the_bound(void **state)
{
	struct rig *r = *state;
	struct child c;
	uint64_t last = 0;

	r->limits.max_bytes = 2 * MIB;
	rig_open(r);
	fill(r, 1000);
	c = child_start(r, hold_by_reading);
	child_wait_for_byte(&c);
	rig_open(r);
	fill(r, 3000);
	assert_holds(store_problem(r->store), "another process has been reading it for long");
	assert_true(store_lost(r->store) > 0);
	assert_int_equal(rig_warnings(r), 1);
	assert_int_equal(child_end(&c), 0);
	fill(r, 1000);
	assert_stores(r);
	(void)rig_count(r, NULL, &last);
	assert_int_equal(last, r->seq);
	assert_int_equal(rig_warnings(r), 1);
}

enum {
	EACH = 2000
};

/* Events with every second number, in groups; a group that could not be written is tried again. */
static void
write_each(struct rig *r, uint64_t from, const char *id)
{
	for (uint64_t i = 0; i < EACH; i++) {
		struct store_event e = {from + 2 * i, r->now, "service", id, "{}"};

		store_event(r->store, &e);
		if (i % 10 != 9)
			continue;
		do
			store_flush(r->store, r->now += 1000);
		while (store_problem(r->store) != NULL);
	}
}

static int
write_even(struct rig *r, int from, int to)
{
	char byte;

	r->store = store_open(r->path, &r->limits);
	if (write(to, "x", 1) != 1)
		return 1;
	write_each(r, 2, "even");
	if (read(from, &byte, 1) != 0)
		return 2;
	if (store_lost(r->store) != 0)
		return 3;
	store_close(r->store);
	return 0;
}

static void
two_processes_may_write(void **state)
{
	struct rig *r = *state;
	struct child c = child_start(r, write_even);
	uint64_t last = 0;

	child_wait_for_byte(&c);
	rig_open(r);
	write_each(r, 1, "odd");
	assert_int_equal(child_end(&c), 0);
	assert_int_equal(store_lost(r->store), 0);
	rig_open(r);
	assert_stores(r);
	assert_int_equal(rig_count(r, NULL, &last), 2 * EACH);
	assert_int_equal(last, 2 * EACH);
	assert_false(rig_has(r, "history.db.bad"));
	assert_int_equal(rig_warnings(r), 0);
}

static int
write_until_killed(struct rig *r, int from, int to)
{
	(void)from;
	r->store = store_open(r->path, &r->limits);
	for (;;) {
		for (int i = 0; i < 7; i++) {
			store_heartbeat(r->store, r->now, "a", i % 2 == 0 ? "up" : "down");
			rig_event(r, "a",
			    "{\"text\":\"something to fill pages with, so that they "
			    "are written to the file, and rows go\"}");
		}
		r->now += 30000;
		store_flush(r->store, r->now);
		if (store_problem(r->store) != NULL)
			return 1;
		if (write(to, &r->seq, sizeof(r->seq)) != sizeof(r->seq))
			return 2;
	}
}

static void
survives_kill_9(void **state)
{
	struct rig *r = *state;
	struct prng p = prng_new();

	r->limits.max_bytes = MIB;
	for (int round = 0; round < 20; round++) {
		struct child c = child_start(r, write_until_killed);
		size_t flushes = 1 + prng_below(&p, 60);
		DM_AUTO_FREE char *check = NULL;
		uint64_t told = 0, seq, first = 0, last = 0;
		sqlite3 *sql;
		size_t n;

		while (flushes > 0 && read(c.from, &seq, sizeof(seq)) == sizeof(seq)) {
			told = seq;
			flushes--;
		}
		assert_int_equal(flushes, 0);
		assert_int_equal(kill(c.pid, SIGKILL), 0);
		while (read(c.from, &seq, sizeof(seq)) == sizeof(seq))
			told = seq;
		assert_int_equal(child_end(&c), SIGKILL);
		sql = rig_sql(r->path);
		check = rig_ask(sql, "PRAGMA integrity_check");
		sqlite3_close(sql);
		assert_string_equal(check, "ok");
		/* what it had written, and in order */
		rig_open(r);
		assert_stores(r);
		n = rig_count(r, &first, &last);
		assert_int_equal(n, last - first + 1);
		assert_true(last >= told);
		rig_close(r);
		r->seq = last;
		r->now += 3600 * 1000;
	}
	assert_false(rig_has(r, "history.db.bad"));
	assert_int_equal(rig_warnings(r), 0);
}

/* ---- disks -------------------------------------------------------------------------------- */

#ifdef __linux__

/* The directory becomes a small file system of its own, where that is allowed. */
static inline void
rig_mount(struct rig *r, const char *size, bool read_only)
{
	DM_AUTO_FREE char *options = dm_asprintf("size=%s,mode=700", size);

	if (mount("tmpfs", r->dir, "tmpfs", read_only ? MS_RDONLY : 0, options) != 0)
		skip();
}

static inline void
rig_unmount(const struct rig *r)
{
	(void)umount2(r->dir, MNT_DETACH);
}
#else
static inline void
rig_mount(struct rig *r, const char *size, bool read_only)
{
	(void)r;
	(void)size;
	(void)read_only;
	skip();
}

static inline void
rig_unmount(const struct rig *r)
{
	(void)r;
}
#endif

static int
teardown_mount(void **state)
{
	const struct rig *r = *state;

	rig_unmount(r);
	return rig_teardown(state);
}

#define WITH_MOUNT(test) cmocka_unit_test_setup_teardown(test, rig_setup, teardown_mount)

/* Takes what room there is, or `most` bytes. */
static void
take_room(const char *path, size_t most)
{
	static const char block[512] = "full";
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	for (size_t n = 0; n < most && write(fd, block, sizeof(block)) == sizeof(block);)
		n += sizeof(block);
	(void)close(fd);
}

static void
a_full_disk(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *filler = in_dir(r->dir, "filler");
	DM_AUTO_FREE char *said = NULL;
	uint64_t first = 0, last = 0;
	int i;

	rig_mount(r, "256k", false);
	take_room(filler, 96 << 10);
	rig_open(r);
	assert_stores(r);
	for (i = 0; i < 100 && store_problem(r->store) == NULL; i++)
		fill(r, 100);
	assert_holds(store_problem(r->store), "full");
	/* what is there can be read, and what waits; at last the oldest that waits is dropped */
	for (i = 0; i < 30; i++)
		fill(r, 100);
	assert_true(store_lost(r->store) >= 1900);
	assert_true(rig_count(r, &first, &last) > 1000);
	assert_int_equal(first, 1);
	assert_int_equal(last, r->seq);
	assert_int_equal(rig_warnings(r), 1);
	said = rig_said(r);
	assert_holds(said, "try: make room");
}

static void
room_again(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *filler = in_dir(r->dir, "filler");
	DM_AUTO_FREE char *said = NULL;
	uint64_t last = 0;

	rig_mount(r, "1m", false);
	take_room(filler, 800 << 10);
	rig_open(r);
	for (int i = 0; i < 100 && store_problem(r->store) == NULL; i++)
		fill(r, 100);
	assert_holds(store_problem(r->store), "full");
	assert_int_equal(unlink(filler), 0);
	/* not at once: there is a pause between two tries */
	rig_flush(r);
	assert_non_null(store_problem(r->store));
	r->now += 15000;
	rig_flush(r);
	assert_stores(r);
	assert_int_equal(store_lost(r->store), 0);
	said = rig_said(r);
	assert_holds(said, "is kept again; 0 entries are lost");
	/* and all of it is in the file */
	rig_open(r);
	assert_int_equal(rig_count(r, NULL, &last), r->seq);
	assert_int_equal(last, r->seq);
	assert_int_equal(rig_warnings(r), 1);
}

static void
full_from_the_beginning(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *filler = in_dir(r->dir, "filler");

	rig_mount(r, "256k", false);
	take_room(filler, SIZE_MAX);
	rig_open(r);
	assert_non_null(store_problem(r->store));
	for (int i = 0; i < 15; i++)
		fill(r, 100);
	assert_int_equal(store_lost(r->store), 500);
	assert_int_equal(rig_warnings(r), 1);
	assert_int_equal(unlink(filler), 0);
	/* closing is the last chance, and needs no pause; a part of it may find room */
	rig_open(r);
	assert_stores(r);
	assert_true(rig_count(r, NULL, NULL) > 0);
}

static void
a_read_only_disk(void **state)
{
	struct rig *r = *state;

	rig_mount(r, "256k", true);
	rig_open(r);
	assert_holds(store_problem(r->store), "Read-only file system");
	fill(r, 1500);
	assert_int_equal(store_lost(r->store), 500);
	assert_int_equal(rig_count(r, NULL, NULL), 1000);
	assert_int_equal(rig_warnings(r), 1);
}

/* Root may write anywhere, so another user has to try. */
static void
a_directory_that_may_not_be_written(void **state)
{
	struct rig *r = *state;
	bool root = geteuid() == 0;
	uint64_t first = 0;

	assert_int_equal(chmod(r->dir, 0500), 0);
	if (root) {
		assert_int_equal(chown(r->dir, 65534, 65534), 0);
		assert_int_equal(seteuid(65534), 0);
	}
	rig_open(r);
	assert_holds(store_problem(r->store), "Permission denied");
	fill(r, 1500);
	store_heartbeat(r->store, AT(0), "a", "up");
	assert_int_equal(chmod(r->dir, 0700), 0);
	r->now += 15000;
	rig_flush(r);
	assert_stores(r);
	assert_int_equal(rig_count(r, &first, NULL), 1000);
	assert_int_equal(first, 501);
	assert_text(rig_minutes(r, "a", 0, 9), "0 up\n");
	/* and it goes again, while open */
	assert_int_equal(chmod(r->dir, 0500), 0);
	assert_int_equal(chmod(r->path, 0400), 0);
	fill(r, 100);
	assert_int_equal(rig_count(r, NULL, NULL), 1100);
	assert_int_equal(chmod(r->dir, 0700), 0);
	rig_close(r);
	assert_int_equal(seteuid(getuid()), 0);
	assert_int_equal(rig_warnings(r), 1);
}

static void
a_file_that_is_removed_is_made_anew(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *journal = dm_asprintf("%s-wal", r->path);
	DM_AUTO_FREE char *index = dm_asprintf("%s-shm", r->path);

	rig_open(r);
	fill(r, 100);
	assert_int_equal(unlink(r->path), 0);
	assert_int_equal(unlink(journal), 0);
	assert_int_equal(unlink(index), 0);
	fill(r, 100);
	assert_stores(r);
	rig_open(r);
	assert_int_equal(rig_count(r, NULL, NULL), 100);
	assert_int_equal(rig_warnings(r), 1);
	/* with its directory */
	remove_below(r->dir);
	fill(r, 100);
	assert_stores(r);
	assert_int_equal(rig_count(r, NULL, NULL), 100);
}

/* ---- what it costs ------------------------------------------------------------------------ */

/* Memory of this process, in KiB; 0 where proc(5) is not. */
static int64_t
resident_kib(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long long all = 0, resident = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%lld %lld", &all, &resident) != 2)
		resident = 0;
	(void)fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void
costs_next_to_nothing(void **state)
{
	struct rig *r = *state;
	struct timespec begin, end;
	int64_t before, after;
	double us;

	rig_open(r);
	before = resident_kib();
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin), 0);
	/* five minutes of 50 events a second, and a sweep of 300 services every ten seconds */
	for (int second = 0; second < 300; second++) {
		for (int i = 0; second % 10 == 0 && i < 300; i++) {
			DM_AUTO_FREE char *id = dm_asprintf("service-%d", i);

			store_heartbeat(r->store, r->now, id, "up");
		}
		for (int i = 0; i < 50; i++)
			rig_event(r, "shop-feature-auth",
			    "{\"from\":\"up\",\"to\":\"stale\",\"reason\":\"its process has "
			    "ended\","
			    "\"url\":\"https://shop-feature-auth.dev.localhost\",\"worktree\":"
			    "\"/home/somebody/src/shop/worktrees/feature-auth\",\"pid\":12345}");
		r->now += 1000;
		rig_flush(r);
	}
	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end), 0);
	after = resident_kib();
	us = ((double)(end.tv_sec - begin.tv_sec) * 1e6 +
		 (double)(end.tv_nsec - begin.tv_nsec) / 1e3) /
	     (300 * 50);
	print_message(
	    "%.1f us of CPU an event; RSS grew by %lld KiB, SQLite's own at most %lld KiB\n", us,
	    (long long)(after - before), (long long)sqlite3_memory_highwater(0) / 1024);
	assert_int_equal(rig_count(r, NULL, NULL), 300 * 50);
	/* 50 of them a second: a twentieth of a core, where a hundredth of that is usual */
	assert_in_range((int64_t)us, 0, 1000);
	assert_in_range(sqlite3_memory_highwater(0), 1, MIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_RIG(costs_next_to_nothing),
	    WITH_RIG(waits_for_another_writer),
	    WITH_RIG(a_long_reader_does_not_break_the_bound),
	    WITH_RIG(two_processes_may_write),
	    WITH_RIG(survives_kill_9),
	    WITH_MOUNT(a_full_disk),
	    WITH_MOUNT(room_again),
	    WITH_MOUNT(full_from_the_beginning),
	    WITH_MOUNT(a_read_only_disk),
	    WITH_RIG(a_directory_that_may_not_be_written),
	    WITH_RIG(a_file_that_is_removed_is_made_anew),
	};

	/* a child's pipe may have no reader any more */
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
