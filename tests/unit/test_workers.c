/* SPDX-License-Identifier: MIT */
/* Jobs in processes of their own: what comes back of them, and what does not stay behind. */
#include "unit.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>

#include "base/clock.h"
#include "workers.h"

struct run {
	struct event_base *base;
	struct workers *workers;
	unsigned ended, wanted;
	int status;
	size_t len;
	char out[256];
};

static void
done(void *user, const struct worker_result *result)
{
	struct run *r = user;

	r->status = result->status;
	r->len = result->len;
	(void)snprintf(r->out, sizeof(r->out), "%.200s", result->out);
	if (++r->ended == r->wanted)
		(void)event_base_loopbreak(r->base);
}

static void
on_deadline(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	fail_msg("%u of %u jobs have ended in 30 s", ((struct run *)user)->ended,
	    ((struct run *)user)->wanted);
}

/* Runs the loop until `wanted` jobs have ended. */
static void
wait_for(struct run *r, unsigned wanted)
{
	const struct timeval limit = {.tv_sec = 30};
	struct event *deadline = evtimer_new(r->base, on_deadline, r);

	r->wanted = wanted;
	(void)event_add(deadline, &limit);
	(void)event_base_dispatch(r->base);
	event_free(deadline);
}

static int
set_up(void **state)
{
	struct run *r = dm_calloc(1, sizeof(*r));

	r->base = event_base_new();
	r->workers = workers_new(r->base);
	*state = r;
	return 0;
}

static int
tear_down(void **state)
{
	struct run *r = *state;

	workers_free(r->workers);
	event_base_free(r->base);
	free(r);
	return 0;
}

static int
greet(void *arg)
{
	(void)printf("hello %s", (const char *)arg);
	return 7;
}

static void
output_and_code(void **state)
{
	struct run *r = *state;
	char name[] = "you";

	workers_run(r->workers, greet, name, 10000, done, r);
	assert_int_equal(workers_busy(r->workers), 1);
	wait_for(r, 1);
	assert_int_equal(r->status, 7);
	assert_string_equal(r->out, "hello you");
	assert_int_equal(workers_busy(r->workers), 0);
}

static int
kill_itself(void *arg)
{
	(void)arg;
	(void)raise(SIGKILL);
	return 0;
}

static void
a_signal(void **state)
{
	struct run *r = *state;

	workers_run(r->workers, kill_itself, NULL, 10000, done, r);
	wait_for(r, 1);
	assert_int_equal(r->status, 128 + SIGKILL);
}

/* Says its pid and that of a process it has started, and hangs with it. */
static int
hang(void *arg)
{
	pid_t pid = fork();

	(void)arg;
	while (pid == 0)
		(void)pause();
	(void)printf("%ld %ld\n", (long)getpid(), (long)pid);
	(void)fflush(stdout);
	while (pause() < 0)
		continue;
	return 0;
}

static void
gone(long pid)
{
	int64_t deadline = dm_now_ms() + 10000;

	while (kill((pid_t)pid, 0) == 0 || errno != ESRCH) {
		if (dm_now_ms() > deadline)
			fail_msg("process %ld still lives", pid);
		dm_pause_ms(5);
	}
}

static void
time_is_over(void **state)
{
	struct run *r = *state;
	long job = 0, child = 0;

	workers_run(r->workers, hang, NULL, 300, done, r);
	wait_for(r, 1);
	assert_int_equal(r->status, 124);
	assert_int_equal(sscanf(r->out, "%ld %ld", &job, &child), 2);
	gone(job);
	gone(child);
}

static int
count_descriptors(void *arg)
{
	int open_ones = 0;

	(void)arg;
	for (int fd = 3; fd < 1024; fd++)
		open_ones += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
	(void)printf("%d", open_ones);
	return 0;
}

/* A lock or a listening socket of the daemon must not outlive it in a job. */
static void
nothing_is_inherited(void **state)
{
	struct run *r = *state;
	int fd = open("/dev/null", O_RDONLY);

	workers_run(r->workers, count_descriptors, NULL, 10000, done, r);
	wait_for(r, 1);
	assert_string_equal(r->out, "0");
	(void)close(fd);
}

static int
sleepy(void *arg)
{
	(void)arg;
	dm_pause_ms(20);
	return 0;
}

static void
many(void **state)
{
	struct run *r = *state;

	for (int i = 0; i < 20; i++)
		workers_run(r->workers, sleepy, NULL, 10000, done, r);
	assert_int_equal(workers_busy(r->workers), 20);
	wait_for(r, 20);
	assert_int_equal(workers_busy(r->workers), 0);
}

static int
flood(void *arg)
{
	static char block[1 << 16];

	(void)arg;
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 1024; i++) {
		if (fwrite(block, 1, sizeof(block), stdout) != sizeof(block))
			return 1;
	}
	return 0;
}

static void
too_much_output(void **state)
{
	struct run *r = *state;

	workers_run(r->workers, flood, NULL, 20000, done, r);
	wait_for(r, 1);
	assert_true(r->status != 0);
	assert_true(r->len <= 16 << 20);
}

static void
a_verb(void **state)
{
	static const char *const good[] = {"devmesh", "--version", "--json", NULL};
	static const char *const bad[] = {"devmesh", "nosuchverb", "--json", NULL};
	struct run *r = *state;

	workers_run_verb(r->workers, good, 10000, done, r);
	wait_for(r, 1);
	assert_int_equal(r->status, 0);
	assert_holds(r->out, "\"version\":");
	workers_run_verb(r->workers, bad, 10000, done, r);
	wait_for(r, 2);
	assert_int_equal(r->status, DM_USAGE);
	assert_holds(r->out, "\"error\":");
}

/* Those that still run when the daemon ends, end with it, untold. */
static void
freed_while_running(void **state)
{
	struct run *r = *state;

	workers_run(r->workers, hang, NULL, 60000, done, r);
	(void)event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	workers_free(r->workers);
	r->workers = workers_new(r->base);
	(void)event_base_loop(r->base, EVLOOP_NONBLOCK);
	assert_int_equal(r->ended, 0);
}

int
main(void)
{
#define IN_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    IN_LOOP(output_and_code),
	    IN_LOOP(a_signal),
	    IN_LOOP(time_is_over),
	    IN_LOOP(nothing_is_inherited),
	    IN_LOOP(many),
	    IN_LOOP(too_much_output),
	    IN_LOOP(a_verb),
	    IN_LOOP(freed_while_running),
	};

	return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
