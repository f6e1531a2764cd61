/* SPDX-License-Identifier: MIT */
/* The ends of real processes, told by the kernel and found by looking. */
#include "until.h"

#include <signal.h>

#include "exits_impl.h"

enum {
	NEVER_MS = 3600000,
	OFTEN_MS = 20,
	MANY = 200,
	ENDS_MAX = 2 * MANY
};

/* So seldom that only the kernel can have told. */
static struct exits_how by_kernel = {.look_ms = NEVER_MS};
static struct exits_how by_looking = {.by_looking = true, .look_ms = OFTEN_MS};
static struct exits_how by_both = {.look_ms = OFTEN_MS};

struct rig {
	struct event_base *base;
	struct exits *exits;
	int lifeline[2]; /* processes of the test end when its writing end is closed */
	struct dm_proc_id ends[ENDS_MAX];
	size_t count;
	int64_t last_us;
	const struct dm_proc_id *waited;
	size_t waited_count;

	/* what the callback does */
	const struct dm_proc_id *remove, *add;
	bool again;
};

static void
on_end(void *user, const struct dm_proc_id *id)
{
	struct rig *r = user;

	assert_true(r->count < ENDS_MAX);
	r->ends[r->count++] = *id;
	r->last_us = now_us();
	if (r->remove != NULL)
		exits_remove(r->exits, r->remove);
	if (r->add != NULL)
		exits_add(r->exits, r->add);
	if (r->again && r->count < ENDS_MAX)
		exits_add(r->exits, id);
	r->remove = r->add = NULL;
}

static int
setup(void **state)
{
	struct rig *r = dm_calloc(1, sizeof(*r));
	struct dm_err err;

	r->base = event_base_new();
	assert_non_null(r->base);
	r->exits = exits_open_with(r->base, *state, on_end, r, &err);
	assert_ok(r->exits != NULL, &err);
	assert_int_equal(pipe(r->lifeline), 0);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	exits_close(r->exits);
	(void)close(r->lifeline[1]);
	while (waitpid(-1, NULL, 0) > 0)
		continue;
	(void)close(r->lifeline[0]);
	event_base_free(r->base);
	free(r);
	return 0;
}

/* Lives until it is killed, or the test is over. */
static _Noreturn void
live(const struct rig *r)
{
	char byte;

	(void)close(r->lifeline[1]);
	_exit(read(r->lifeline[0], &byte, 1) == 0 ? 0 : 1);
}

static struct dm_proc_id
identify(pid_t pid)
{
	struct dm_proc_id id;

	assert_true(pid > 0);
	assert_true(dm_proc_id(pid, &id));
	return id;
}

static struct dm_proc_id
start_child(const struct rig *r)
{
	pid_t pid = fork();

	if (pid == 0)
		live(r);
	return identify(pid);
}

/* One that is nobody's child here, as servers are. */
static struct dm_proc_id
start_stranger(const struct rig *r)
{
	int answer[2];
	pid_t pid, middle;

	assert_int_equal(pipe(answer), 0);
	middle = fork();
	assert_true(middle >= 0);
	if (middle == 0) {
		pid = fork();
		if (pid == 0)
			live(r);
		_exit(write(answer[1], &pid, sizeof(pid)) == (ssize_t)sizeof(pid) ? 0 : 1);
	}
	assert_int_equal(read(answer[0], &pid, sizeof(pid)), sizeof(pid));
	(void)close(answer[0]);
	(void)close(answer[1]);
	assert_int_equal(waitpid(middle, NULL, 0), middle);
	return identify(pid);
}

static void
kill_it(const struct dm_proc_id *id)
{
	assert_int_equal(kill(id->pid, SIGKILL), 0);
}

static void
reap(const struct dm_proc_id *id)
{
	assert_int_equal(waitpid(id->pid, NULL, 0), id->pid);
}

/* How often its end was reported. */
static size_t
ends_of(const struct rig *r, const struct dm_proc_id *id)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++)
		n += r->ends[i].pid == id->pid && r->ends[i].start == id->start;
	return n;
}

static bool
has_ended(void *user)
{
	const struct rig *r = user;

	return ends_of(r, r->waited) > 0;
}

static void
wait_end(struct rig *r, const struct dm_proc_id *id)
{
	r->waited = id;
	assert_true(run_until(r->base, has_ended, r));
	assert_int_equal(ends_of(r, id), 1);
}

static bool
count_is_reached(void *user)
{
	const struct rig *r = user;

	return r->count >= r->waited_count;
}

static void
wait_count(struct rig *r, size_t n)
{
	r->waited_count = n;
	assert_true(run_until(r->base, count_is_reached, r));
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
		struct dm_proc_id id = start_stranger(r);
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
	struct dm_proc_id id = start_child(r);
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
	struct dm_proc_id stopped = start_child(r), other = start_child(r);
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
	struct dm_proc_id id = start_child(r);

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
	id = start_child(r);
	kill_it(&id);
	exits_add(r->exits, &id);
	wait_end(r, &id);
	assert_int_equal(r->count, 2);
}

static void
another_with_that_pid_is_not_it(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id id = start_child(r), earlier = id;

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
		*out = start_child(r);
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
	struct dm_proc_id old = start_child(r), new;

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
	struct dm_proc_id kept = start_child(r), left = start_child(r), last = start_child(r);

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
	struct dm_proc_id first = start_child(r), second = start_child(r), gone = start_child(r);

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

static void
note(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	*(bool *)user = true;
}

static bool
is_noted(void *user)
{
	return *(bool *)user;
}

/* Even a callback that asks again and again leaves the loop its turns. */
static void
asking_again_is_no_endless_loop(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id gone = start_child(r);
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

/* ---- many --------------------------------------------------------------------------------- */

static void
start_many(const struct rig *r, struct dm_proc_id ids[MANY])
{
	for (int i = 0; i < MANY; i++)
		ids[i] = start_child(r);
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
	size_t looked_at, left = 0;
	int spare[MANY];
	rlim_t limit;

	start_many(r, ids);
	limit = limit_fds(MANY / 2);
	for (int i = 0; i < MANY; i++)
		exits_add(r->exits, &ids[i]);
	looked_at = exits_count_looked_at(r->exits);
	while (left < MANY && (spare[left] = dup(STDIN_FILENO)) >= 0)
		left++;
	for (size_t i = 0; i < left; i++)
		(void)close(spare[i]);
	unlimit_fds(limit);
	assert_in_range(looked_at, 1, MANY - 1);
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
	struct dm_proc_id id = start_child(r);
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
	assert_true(run_until(r->base, nothing_is_looked_at, r));
	assert_int_equal(exits_count(r->exits), 1);
	kill_it(&id);
	wait_end(r, &id);
}

static void
no_descriptor_is_left_over(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id killed = start_child(r), removed = start_child(r), left = start_child(r);
	bool before[FDS_MAX];
	size_t count = count_fds(before);

	exits_add(r->exits, &killed);
	exits_add(r->exits, &removed);
	exits_add(r->exits, &left);
	assert_new_fds_close_on_exec(before);
	assert_int_equal(count_fds(NULL), count + 3);
	kill_it(&killed);
	wait_end(r, &killed);
	exits_remove(r->exits, &removed);
	assert_int_equal(count_fds(NULL), count + 1);
	exits_close(r->exits);
	r->exits = NULL;
	assert_int_equal(count_fds(NULL), count);
}

static void
closing_reports_nothing(void **state)
{
	struct rig *r = *state;
	struct dm_proc_id gone = start_child(r), alive = start_child(r);
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

#define WITH(test, how) \
	{ \
#test ", " #how, test, setup, teardown, &(how) \
	}
#define BOTH(test) WITH(test, by_kernel), WITH(test, by_looking)

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
	    BOTH(many_end_at_once),
	    WITH(descriptors_run_out, by_both),
	    WITH(there_is_no_descriptor_at_all, by_both),
	    WITH(no_descriptor_is_left_over, by_kernel),
	    BOTH(closing_reports_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
