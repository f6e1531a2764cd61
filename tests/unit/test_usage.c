/* SPDX-License-Identifier: MIT */
/* Whose a process is, and what a tree of them costs, from the kernel's texts on. */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>

#include "usage_os.h"
#include "usage_tree.h"

static const struct usage_units units = {.tick_us = 10000, .page = 4096};

/* ---- texts --------------------------------------------------------------------------------- */

static void
process_line(void **state)
{
	static const char *const tail = " S 12 77 77 0 -1 4194560 1 0 0 0 150 50 7 3 20 0 4 0 "
					"98765 1000000 300 18446744073709551615";
	/* the name is the process's own choice */
	static const char *const names[] = {"node", "a b", "evil) 1 2", ")", "", "a) S 1 1 1 (b",
	    "x) R 9 9 9 0 -1 1 1 1 1 1 9 9 9 9 1 1 1 1 9 9 9"};

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		DM_AUTO_FREE char *line = dm_asprintf("4711 (%s)%s", names[i], tail);
		struct usage_process p;

		assert_true(usage_text_process(line, &units, &p));
		assert_int_equal(p.id.pid, 4711);
		assert_int_equal(p.id.start, 98766);
		assert_int_equal(p.parent, 12);
		assert_false(p.ended);
		assert_int_equal(p.own, 2000000);
		assert_int_equal(p.ended_children, 100000);
		assert_int_equal(p.rss, 300 * 4096);
	}
}

static void
process_line_that_is_none(void **state)
{
	static const char *const lines[] = {"", "4711", "4711 (x)", "4711 (x) ", "4711 (x) S",
	    "4711 (x) S 1 2", "0 (x) S 12 77 77 0 -1 1 1 0 0 0 1 5 7 3 20 0 4 0 98765 1 3",
	    "x (x) S 12 77 77 0 -1 1 1 0 0 0 1 5 7 3 20 0 4 0 98765 1 3",
	    /* without a parent */
	    "4711 (x) S 77 77 0 -1 1 1 0 0 0 1 5 7 3 20 0 4 0 98765 1",
	    "4711 (x) S -1 77 77 0 -1 1 1 0 0 0 1 5 7 3 20 0 4 0 98765 1 3",
	    "4711 (x) S a 77 77 0 -1 1 1 0 0 0 1 5 7 3 20 0 4 0 98765 1 3",
	    /* times and sizes that cannot be */
	    "4711 (x) S 12 77 77 0 -1 1 1 0 0 0 -1 5 7 3 20 0 4 0 98765 1 3",
	    "4711 (x) S 12 77 77 0 -1 1 1 0 0 0 9223372036854775807 5 7 3 20 0 4 0 98765 1 3",
	    "4711 (x) S 12 77 77 0 -1 1 1 0 0 0 1 5 7 3 20 0 4 0 98765 1 9223372036854775807",
	    "4711 (x) S 12 77 77 0 -1 1 1 0 0 0 1 5 7 3 20 0 4 0 -5 1 3"};
	struct usage_process p;

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		if (usage_text_process(lines[i], &units, &p))
			fail_msg("taken: %s", lines[i]);
	}
	assert_true(usage_text_process(
	    "4711 (x) Z 12 77 77 0 -1 1 1 0 0 0 1 5 7 3 20 0 4 0 98765 1 0", &units, &p));
	assert_true(p.ended);
}

static void
machine_texts(void **state)
{
	struct usage_machine m = {.total = 0};

	(void)state;
	assert_true(usage_text_processors("cpu  100 20 30 1000 50 1 2 3 40 0\ncpu0 1 2\n", &m));
	assert_int_equal(m.total, 1206);
	assert_int_equal(m.busy, 156);
	assert_true(usage_text_processors("cpu  1 2 3 4\n", &m)); /* Linux 2.4 */
	assert_int_equal(m.busy, 6);
	assert_false(usage_text_processors("", &m));
	assert_false(usage_text_processors("cpu0 1 2 3 4\n", &m));
	assert_false(usage_text_processors("cpu  1 2 x\n", &m));

	assert_true(usage_text_memory("MemTotal:       16384 kB\nMemFree: 1 kB\n"
				      "MemAvailable:    8192 kB\n",
	    &m));
	assert_int_equal(m.memory_total, 16 << 20);
	assert_int_equal(m.memory_available, 8 << 20);
	assert_false(usage_text_memory("MemTotal: 1 kB\nXMemAvailable: 1 kB\n", &m));
	assert_int_equal(m.memory_available, -1);
	assert_false(usage_text_memory("MemTotal: -1 kB\nMemAvailable: 1 kB\n", &m));
}

/* ---- trees --------------------------------------------------------------------------------- */

#define P(pid_, parent_, start_) \
	{ \
		.id = {.pid = (pid_), .start = (start_)}, .parent = (parent_) \
	}

static struct usage_snapshot
snapshot(const struct usage_process *list, size_t count)
{
	struct usage_snapshot s = {.at_us = 1000000};

	/* as readdir(3) may give them */
	for (size_t i = count; i-- > 0;)
		usage_add(&s, &list[i]);
	usage_order(&s);
	return s;
}

static bool
make_root(struct usage_snapshot *s, pid_t root, pid_t also)
{
	const struct dm_proc_id a = {.pid = root}, b = {.pid = also};

	return usage_make_root(s, &a, &b);
}

/* The pid of whoever owns the process; 0: nobody. */
static pid_t
owner(const struct usage_snapshot *s, pid_t pid)
{
	const struct dm_proc_id id = {.pid = pid};
	size_t at = usage_find(s, &id);

	assert_true(at != USAGE_NOBODY);
	at = s->list[at].owner;
	return at == USAGE_NOBODY ? 0 : s->list[at].id.pid;
}

static void
nearest_root_has_it(void **state)
{
	static const struct usage_process list[] = {P(1, 0, 1), P(10, 1, 5), P(11, 10, 6),
	    P(12, 11, 7), P(13, 12, 8), P(20, 1, 5), P(30, 1, 9), P(31, 30, 9)};
	struct usage_snapshot s = snapshot(list, COUNT(list));
	const struct dm_proc_id gone = {.pid = 20, .start = 4}, none = {.pid = 0};

	(void)state;
	assert_true(make_root(&s, 10, 30)); /* a devmesh run, and its server elsewhere */
	assert_true(make_root(&s, 12, 0));  /* another one started from within */
	assert_true(make_root(&s, 99, 20)); /* no run any more: the server alone */
	assert_false(make_root(&s, 99, 98));
	assert_false(usage_make_root(&s, &gone, &none)); /* that pid is another process's by now */
	usage_grow(&s);
	assert_int_equal(owner(&s, 1), 0);
	assert_int_equal(owner(&s, 10), 10);
	assert_int_equal(owner(&s, 11), 10);
	assert_int_equal(owner(&s, 12), 12);
	assert_int_equal(owner(&s, 13), 12);
	assert_int_equal(owner(&s, 20), 20);
	assert_int_equal(owner(&s, 31), 10);
	usage_release(&s);
}

/* While the list is read processes end, and their pids are given anew. */
static void
parents_that_are_none(void **state)
{
	static const struct usage_process list[] = {/* a circle, and one that hangs on it */
	    P(10, 11, 5), P(11, 12, 5), P(12, 10, 5), P(13, 12, 5),
	    /* its own parent; one that is not there; a parent younger than its child */
	    P(20, 20, 5), P(21, 999, 5), P(30, 1, 9), P(31, 30, 8)};
	struct usage_snapshot s = snapshot(list, COUNT(list)), empty = snapshot(NULL, 0);

	(void)state;
	assert_true(make_root(&s, 30, 0));
	usage_grow(&s);
	for (size_t i = 0; i < COUNT(list); i++)
		assert_int_equal(owner(&s, list[i].id.pid), list[i].id.pid == 30 ? 30 : 0);
	usage_release(&s);
	/* a root within a circle has those below it */
	s = snapshot(list, COUNT(list));
	assert_true(make_root(&s, 11, 0));
	usage_grow(&s);
	assert_int_equal(owner(&s, 10), 11);
	assert_int_equal(owner(&s, 13), 11);
	usage_release(&s);
	assert_false(make_root(&empty, 1, 2));
	usage_grow(&empty);
	usage_release(&empty);
}

/* ---- what it costs ------------------------------------------------------------------------- */

/* The sum of the tree of pid 10, which is the only root. */
static struct usage_sum
sum_of_10(struct usage_snapshot *before, const struct usage_process *list, size_t count)
{
	const struct dm_proc_id id = {.pid = 10};
	struct usage_snapshot now = snapshot(list, count);
	struct usage_sum *sums, sum;

	now.at_us = before->at_us + 1000000;
	assert_true(make_root(&now, 10, 0));
	usage_grow(&now);
	sums = usage_compare(&now, before);
	sum = sums[usage_find(&now, &id)];
	free(sums);
	usage_release(before);
	*before = now;
	return sum;
}

#define C(pid_, parent_, start_, own_, waited_) \
	{ \
		.id = {.pid = (pid_), .start = (start_)}, .parent = (parent_), .own = (own_), \
		.ended_children = (waited_), .rss = 4096 \
	}
#define SUM(before, ...) \
	sum_of_10(before, (const struct usage_process[]){__VA_ARGS__}, \
	    COUNT(((const struct usage_process[]){__VA_ARGS__})))

static void
processor_time(void **state)
{
	struct usage_snapshot then = {.count = 0};
	struct usage_sum sum;

	(void)state;
	sum = SUM(&then, C(10, 1, 5, 1000, 0), C(11, 10, 6, 5000000, 0), C(99, 1, 1, 7000000, 0));
	assert_true(sum.cpu < 0);
	assert_int_equal(sum.processes, 2);
	assert_int_equal(sum.rss, 8192);
	/* half a core in the child; what others do is none of it */
	sum = SUM(&then, C(10, 1, 5, 1000, 0), C(11, 10, 6, 5500000, 0), C(99, 1, 1, 8000000, 0));
	assert_true(sum.cpu > 0.49 && sum.cpu < 0.51);
	/* the child ends, and its parent waits for it: only what is new counts */
	sum = SUM(&then, C(10, 1, 5, 1000, 5600000));
	assert_true(sum.cpu > 0.09 && sum.cpu < 0.11);
	/* one that came and went in between is seen in its parent's time */
	sum = SUM(&then, C(10, 1, 5, 1000, 6600000));
	assert_true(sum.cpu > 0.99 && sum.cpu < 1.01);
	/* a new one brings all that it has used */
	sum = SUM(&then, C(10, 1, 5, 1000, 6600000), C(12, 10, 9, 250000, 0));
	assert_true(sum.cpu > 0.24 && sum.cpu < 0.26);
	/* another process by the same pid is a new one */
	sum = SUM(&then, C(10, 1, 5, 1000, 6850000), C(12, 10, 11, 300000, 0));
	assert_true(sum.cpu > 0.29 && sum.cpu < 0.31);
	usage_release(&then);
}

/* It ended after its parent was read: gone from the list, and in nobody's time until the next. */
static void
processor_time_that_was_missed(void **state)
{
	struct usage_snapshot then = {.count = 0};
	struct usage_sum sum;

	(void)state;
	(void)SUM(&then, C(10, 1, 5, 0, 0), C(11, 10, 6, 90000000, 0));
	sum = SUM(&then, C(10, 1, 5, 100000, 0));
	assert_true(sum.cpu > 0.09 && sum.cpu < 0.11);
	sum = SUM(&then, C(10, 1, 5, 100000, 90200000));
	assert_true(sum.cpu > 0.09 && sum.cpu < 0.31);
	/* nobody ever waits for this one (SIGCHLD ignored): it is forgotten */
	(void)SUM(&then, C(10, 1, 5, 100000, 90200000), C(12, 10, 9, 50000000, 0));
	(void)SUM(&then, C(10, 1, 5, 100000, 90200000));
	sum = SUM(&then, C(10, 1, 5, 600000, 90200000));
	assert_true(sum.cpu > 0.49 && sum.cpu < 0.51);
	sum = SUM(&then, C(10, 1, 5, 600000, 90700000));
	assert_true(sum.cpu > 0.49 && sum.cpu < 0.51);
	usage_release(&then);
}

/* ---- this machine -------------------------------------------------------------------------- */

static void
this_process_is_seen(void **state)
{
	const struct dm_proc_id self = {.pid = getpid()}, init = {.pid = 1};
	struct usage_snapshot s = {.at_us = 1};
	struct usage_machine m;
	size_t at;
	pid_t child = fork(), other;
	int was_read = 0;

	(void)state;
	if (child == 0) {
		(void)pause();
		_exit(0);
	}
	assert_true(child > 0);
	assert_true(usage_read_processes(&s, NULL, 0));
	usage_order(&s);
	at = usage_find(&s, &self);
	assert_true(at != USAGE_NOBODY);
	assert_int_equal(s.list[at].parent, getppid());
	assert_true(s.list[at].rss > 100000);
	assert_true(make_root(&s, getpid(), 0));
	usage_grow(&s);
	assert_int_equal(owner(&s, child), getpid());
	/* those that are nobody's are not read each time, but for their turn; new ones are */
	for (size_t i = 0; i < s.count; i++)
		s.list[i].rss = -7;
	other = fork();
	if (other == 0) {
		(void)pause();
		_exit(0);
	}
	for (unsigned turn = 0; turn < USAGE_TURNS; turn++) {
		struct usage_snapshot next = {.at_us = 2};

		assert_true(usage_read_processes(&next, &s, turn));
		usage_order(&next);
		assert_true(make_root(&next, getpid(), 0));
		usage_grow(&next);
		assert_int_equal(owner(&next, other), getpid());
		assert_true(next.list[usage_find(&next, &self)].rss > 0);
		was_read += next.list[usage_find(&next, &init)].rss != -7;
		usage_release(&next);
	}
	assert_int_equal(was_read, 1);
	usage_release(&s);
	(void)kill(child, SIGKILL);
	(void)kill(other, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(waitpid(other, NULL, 0), other);
	usage_read_machine(&m);
	assert_true(m.cores > 0 && m.total > 0 && m.busy >= 0 && m.busy <= m.total);
	assert_true(m.memory_total > m.memory_available && m.memory_available > 0);
	assert_true(m.load1 >= 0 && m.uptime_s > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(process_line),
	    cmocka_unit_test(process_line_that_is_none),
	    cmocka_unit_test(machine_texts),
	    cmocka_unit_test(nearest_root_has_it),
	    cmocka_unit_test(parents_that_are_none),
	    cmocka_unit_test(processor_time),
	    cmocka_unit_test(processor_time_that_was_missed),
	    cmocka_unit_test(this_process_is_seen),
	};

	return cmocka_run_group_tests_name("usage", tests, NULL, NULL);
}
