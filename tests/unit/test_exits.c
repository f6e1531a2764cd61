/* SPDX-License-Identifier: MIT */
/* The ends of real processes, told by the kernel and found by looking. */
#include "rig_exits.h"

/* One that is nobody's child here, as servers are. */
static struct dm_proc_id
start_stranger(const int lifeline[2])
{
	int answer[2];
	pid_t pid, middle;

	assert_int_equal(pipe(answer), 0);
	middle = fork();
	assert_true(middle >= 0);
	if (middle == 0) {
		pid = fork();
		if (pid == 0)
			live(lifeline);
		_exit(write(answer[1], &pid, sizeof(pid)) == (ssize_t)sizeof(pid) ? 0 : 1);
	}
	assert_int_equal(read(answer[0], &pid, sizeof(pid)), sizeof(pid));
	(void)close(answer[0]);
	(void)close(answer[1]);
	assert_int_equal(waitpid(middle, NULL, 0), middle);
	return identify(pid);
}

/* ---- one process -------------------------------------------------------------------------- */

static void
kill_of_a_stranger(void **state)
{
	struct rig *r = *state;
	int64_t sum = 0, most = 0;
	enum {
		ROUNDS = 20
	};

	for (int i = 0; i < ROUNDS; i++) {
		struct dm_proc_id id = start_stranger(r->lifeline);
		int64_t began;

		exits_add(r->exits, &id);
		assert_int_equal(exits_count(r->exits), 1);
		began = now_us();
		kill_it(&id);
		wait_end(r, &id);
		sum += r->last_us - began;
		most = r->last_us - began > most ? r->last_us - began : most;
		assert_int_equal(exits_count(r->exits), 0);
	}
	print_message("kill -9 to report: %.2f ms on average, %.2f ms at most\n",
	    (double)sum / ROUNDS / 1000, (double)most / 1000);
}

static void
a_zombie_has_ended(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id id = start_child(r->lifeline);
	siginfo_t info;

	exits_add(r->exits, &id);
	kill_it(&id);
	wait_end(r, &id);
	/* it is still there to be waited for */
	assert_int_equal(waitid(P_PID, (id_t)id.pid, &info, WEXITED | WNOWAIT), 0);
	/* and one that is a zombie from the beginning */
	exits_add(r->exits, &id);
	assert_int_equal(r->count, 1);
	wait_count(r, 2);
	assert_int_equal(ends_of(r, &id), 2);
	reap(&id);
}

static void
a_stopped_one_has_not_ended(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id stopped = start_child(r->lifeline), other = start_child(r->lifeline);
	siginfo_t info;

	exits_add(r->exits, &stopped);
	exits_add(r->exits, &other);
	assert_int_equal(kill(stopped.pid, SIGSTOP), 0);
	assert_int_equal(waitid(P_PID, (id_t)stopped.pid, &info, WSTOPPED | WNOWAIT), 0);
	kill_it(&other);
	wait_end(r, &other);
	assert_int_equal(ends_of(r, &stopped), 0);
	kill_it(&stopped);
	wait_end(r, &stopped);
}

static void
one_that_is_gone_already(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id id = start_child(r->lifeline);

	kill_it(&id);
	reap(&id);
	exits_add(r->exits, &id);
	/* not from exits_add() */
	assert_int_equal(r->count, 0);
	assert_int_equal(exits_count(r->exits), 1);
	wait_end(r, &id);
	assert_int_equal(exits_count(r->exits), 0);
	/* one that was taken back is not reported */
	exits_add(r->exits, &id);
	exits_remove(r->exits, &id);
	assert_int_equal(exits_count(r->exits), 0);
	id = start_child(r->lifeline);
	kill_it(&id);
	exits_add(r->exits, &id);
	wait_end(r, &id);
	assert_int_equal(r->count, 2);
}

static void
another_with_that_pid_is_not_it(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id id = start_child(r->lifeline), earlier = id;

	earlier.start--;
	exits_add(r->exits, &id);
	exits_add(r->exits, &earlier);
	wait_end(r, &earlier);
	assert_int_equal(r->count, 1);
	assert_int_equal(exits_count(r->exits), 1);
	assert_true(dm_proc_alive(&id));
	kill_it(&id);
	wait_end(r, &id);
	assert_int_equal(r->count, 2);
}

/* Starts processes until one gets this pid, which the kernel is asked to give out (proc(5)). */
static bool
start_with_pid(const struct rig *r, const struct dm_proc_id *old, struct dm_proc_id *out)
{
	for (int i = 0; i < 100; i++) {
		DM_AUTO_FREE char *last = dm_asprintf("%ld", (long)old->pid - 1);
		int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
		bool ok = fd >= 0 && write(fd, last, strlen(last)) == (ssize_t)strlen(last);

		if (fd >= 0)
			(void)close(fd);
		if (!ok)
			return false;
		*out = start_child(r->lifeline);
		/* the beginning is told in hundredths of a second */
		if (out->pid == old->pid && out->start != old->start)
			return true;
		kill_it(out);
		reap(out);
	}
	return false;
}

static void
a_pid_is_given_out_anew(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id old = start_child(r->lifeline), new;

	exits_add(r->exits, &old);
	kill_it(&old);
	reap(&old);
	if (!start_with_pid(r, &old, &new))
		skip();
	exits_add(r->exits, &new);
	wait_end(r, &old);
	assert_int_equal(r->count, 1);
	assert_int_equal(exits_count(r->exits), 1);
	kill_it(&new);
	wait_end(r, &new);
	assert_int_equal(r->count, 2);
}

/* ---- counting ----------------------------------------------------------------------------- */

static void
it_is_counted(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id kept = start_child(r->lifeline), left = start_child(r->lifeline),
			  last = start_child(r->lifeline);

	exits_add(r->exits, &kept);
	exits_add(r->exits, &kept);
	exits_add(r->exits, &left);
	exits_add(r->exits, &left);
	assert_int_equal(exits_count(r->exits), 2);
	exits_remove(r->exits, &kept);
	exits_remove(r->exits, &left);
	assert_int_equal(exits_count(r->exits), 2);
	exits_remove(r->exits, &left);
	assert_int_equal(exits_count(r->exits), 1);
	exits_remove(r->exits, &left);
	exits_remove(r->exits, &last);
	assert_int_equal(exits_count(r->exits), 1);
	kill_it(&left);
	kill_it(&kept);
	wait_end(r, &kept);
	exits_remove(r->exits, &kept);
	exits_add(r->exits, &last);
	kill_it(&last);
	wait_end(r, &last);
	assert_int_equal(ends_of(r, &left), 0);
	assert_int_equal(r->count, 2);
}

static void
the_callback_adds_and_removes(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id first = start_child(r->lifeline), second = start_child(r->lifeline),
			  gone = start_child(r->lifeline);

	kill_it(&gone);
	reap(&gone);
	exits_add(r->exits, &first);
	exits_add(r->exits, &second);
	kill_it(&first);
	kill_it(&second);
	reap(&first);
	reap(&second);
	/* whichever comes first takes the other one back: both are ready to be reported */
	r->remove = &second;
	r->add = &gone;
	wait_end(r, &gone);
	assert_int_equal(ends_of(r, &first), 1);
	assert_int_equal(ends_of(r, &second), 0);
	assert_int_equal(exits_count(r->exits), 0);
}

/* Even a callback that asks again and again leaves the loop its turns. */
static void
asking_again_is_no_endless_loop(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id gone = start_child(r->lifeline);
	struct timeval soon = {.tv_usec = 1000};
	bool noted = false;
	struct event *timer = evtimer_new(r->base, note, &noted);

	assert_non_null(timer);
	kill_it(&gone);
	reap(&gone);
	r->again = true;
	exits_add(r->exits, &gone);
	(void)event_add(timer, &soon);
	assert_true(run_until(r->base, is_noted, &noted));
	r->again = false;
	event_free(timer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(kill_of_a_stranger),
	    BOTH(a_zombie_has_ended),
	    BOTH(a_stopped_one_has_not_ended),
	    BOTH(one_that_is_gone_already),
	    BOTH(another_with_that_pid_is_not_it),
	    BOTH(a_pid_is_given_out_anew),
	    BOTH(it_is_counted),
	    BOTH(the_callback_adds_and_removes),
	    BOTH(asking_again_is_no_endless_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
