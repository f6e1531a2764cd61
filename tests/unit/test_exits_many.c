/* SPDX-License-Identifier: MIT */
/* The ends of many processes, and of descriptors. */
#include "rig_exits.h"

static struct exits_how by_both = {.look_ms = OFTEN_MS};

static void
start_many(const struct rig *r, struct dm_proc_id ids[MANY])
{
	for (int i = 0; i < MANY; i++)
		ids[i] = start_child(r->lifeline);
}

static void
many_end_at_once(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id ids[MANY];
	int64_t began;

	start_many(r, ids);
	for (int i = 0; i < MANY; i++)
		exits_add(r->exits, &ids[i]);
	began = now_us();
	for (int i = 0; i < MANY; i++)
		kill_it(&ids[i]);
	wait_count(r, MANY);
	print_message("%d processes killed and reported within %.2f ms\n", MANY,
	    (double)(r->last_us - began) / 1000);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(ends_of(r, &ids[i]), 1);
}

/* There are fewer descriptors than processes: the rest is looked at, and some are left. */
static void
descriptors_run_out(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id ids[MANY];
	size_t looked_at, before, used, left = 0;
	int spare[MANY];
	rlim_t limit;

	if (!kernel_can())
		skip();
	start_many(r, ids);
	before = count_fds(NULL);
	limit = limit_fds(MANY / 2);
	for (int i = 0; i < MANY; i++)
		exits_add(r->exits, &ids[i]);
	looked_at = exits_count_looked_at(r->exits);
	used = count_fds(NULL) - before;
	while (left < MANY && (spare[left] = dup(STDIN_FILENO)) >= 0)
		left++;
	for (size_t i = 0; i < left; i++)
		(void)close(spare[i]);
	unlimit_fds(limit);
	/* kqueue needs none for a process */
	assert_int_equal(used + looked_at, used > 0 ? MANY : 0);
	assert_in_range(left, 10, MANY / 2);
	for (int i = 0; i < MANY; i++)
		kill_it(&ids[i]);
	wait_count(r, MANY);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(ends_of(r, &ids[i]), 1);
}

static bool
nothing_is_looked_at(void *user)
{
	const struct rig *r = user;

	return exits_count_looked_at(r->exits) == 0;
}

/* Then nothing can be seen in /proc either, which does not mean that all have ended. */
static void
there_is_no_descriptor_at_all(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id id = start_child(r->lifeline);
	struct timeval later = {.tv_usec = 5 * OFTEN_MS * 1000};
	rlim_t limit = limit_fds(0);
	bool noted = false;
	struct event *timer = evtimer_new(r->base, note, &noted);

	assert_non_null(timer);
	(void)event_add(timer, &later);
	exits_add(r->exits, &id);
	assert_true(run_until(r->base, is_noted, &noted));
	unlimit_fds(limit);
	event_free(timer);
	assert_int_equal(r->count, 0);
	assert_int_equal(exits_count_looked_at(r->exits), 1);
	if (kernel_can())
		assert_true(run_until(r->base, nothing_is_looked_at, r));
	assert_int_equal(exits_count(r->exits), 1);
	kill_it(&id);
	wait_end(r, &id);
}

static void
no_descriptor_is_left_over(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id killed = start_child(r->lifeline), removed = start_child(r->lifeline),
			  left = start_child(r->lifeline);
	bool before[FDS_MAX];
	size_t count = count_fds(before);

	if (!kernel_can())
		skip();
	exits_add(r->exits, &killed);
	exits_add(r->exits, &removed);
	exits_add(r->exits, &left);
	assert_new_fds_close_on_exec(before);
	assert_true(count_fds(NULL) <= count + 3);
	kill_it(&killed);
	wait_end(r, &killed);
	exits_remove(r->exits, &removed);
	assert_true(count_fds(NULL) <= count + 1);
	exits_close(r->exits);
	r->exits = NULL;
	assert_true(count_fds(NULL) <= count);
}

static void
closing_reports_nothing(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id gone = start_child(r->lifeline), alive = start_child(r->lifeline);
	struct timeval soon = {.tv_usec = 50000};
	bool noted = false;
	struct event *timer = evtimer_new(r->base, note, &noted);

	kill_it(&gone);
	reap(&gone);
	exits_add(r->exits, &gone);
	exits_add(r->exits, &alive);
	exits_close(r->exits);
	r->exits = NULL;
	kill_it(&alive);
	assert_non_null(timer);
	(void)event_add(timer, &soon);
	assert_true(run_until(r->base, is_noted, &noted));
	assert_int_equal(r->count, 0);
	event_free(timer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(many_end_at_once),
	    WITH(descriptors_run_out, by_both),
	    WITH(there_is_no_descriptor_at_all, by_both),
	    WITH(no_descriptor_is_left_over, by_kernel),
	    BOTH(closing_reports_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
