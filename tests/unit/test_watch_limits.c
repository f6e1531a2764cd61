/* SPDX-License-Identifier: MIT */
/* Watching, where it gets tight: callbacks that change what is watched, and the kernel's limits. */
#include "hints.h"

#include <limits.h>

enum {
	NOT_HERE = 77
};

/* ---- the callback ------------------------------------------------------------------------- */

static void
the_callback_adds_and_removes(void **state)
{
	struct rig *r = *state;
	struct dm_err err;

	r->remove = r->b;
	r->add = r->c;
	r->close = watch_open_with(r->base, r->how, on_hint, r, &err);
	assert_ok(r->close != NULL, &err);
	watch_add(r->close, r->b);
	for (int i = 0; i < 20; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%d", i);
		make_file(r->a, name);
		make_file(r->b, name);
	}
	wait_hint(r, r->a, "f19");
	assert_watched(r, r->c, "one");
	assert_int_equal(hints_in(r, r->b), 0);
}

/* The first of many hints at a directory is the last. */
static void
the_callback_removes_its_own(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < 20; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%d", i);
		make_file(r->a, name);
	}
	r->remove = r->a;
	wait_hint(r, r->a, "f0");
	assert_watched(r, r->b, "one");
	assert_int_equal(hints_in(r, r->a), 1);
	watch_add(r->watch, r->a);
	assert_watched(r, r->a, "one");
}

/* ---- limits ------------------------------------------------------------------------------- */

static uint64_t
number_in(const char *path)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(64);
	struct dm_err err;
	uint64_t number;

	if (!dm_read_file(path, &text, &err))
		return 0;
	text.data[strcspn(text.data, "\n")] = '\0';
	return dm_parse_uint(text.data, 1, UINT64_MAX, &number) ? number : 0;
}

/* More happens than the kernel's queue can hold; what was lost may be anything. */
static void
the_queue_overflows(void **state)
{
	struct rig *r = *state;
	uint64_t size = number_in("/proc/sys/fs/inotify/max_queued_events");
	DM_AUTO_FREE char *one = in_dir(r->a, "one");

	if (size == 0 || size > HINTS_MAX / 2)
		skip();
	for (uint64_t i = 0; i < size / 2; i++) {
		make_file(r->a, "one");
		assert_int_equal(unlink(one), 0);
	}
	/* this has no place in it any more */
	remove_below(r->b);
	assert_int_equal(mkdir(r->b, 0700), 0);
	wait_hint(r, r->b, NULL);
	assert_true(hints_at(r, r->a, NULL) > 0);
	assert_watched(r, r->b, "two");
	assert_watched(r, r->a, "two");
}

static bool
nothing_is_looked_at(void *user)
{
	const struct rig *r = user;

	return watch_count_looked_at(r->watch) == 0;
}

static bool
put_number(const char *path, const char *number)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, number, strlen(number)) == (ssize_t)strlen(number);

	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/*
 * This program again, in a user namespace, which has limits of its own (user_namespaces(7)). A
 * failed check ends it with a status that is not 0.
 */
static int
be_in_namespace(void)
{
	void *state = &by_both;
	struct rig *r;

	if (!put_number("/proc/sys/user/max_inotify_watches", "2"))
		return NOT_HERE;
	(void)setup(&state);
	r = state;
	watch_add(r->watch, r->c);
	assert_int_equal(watch_count_looked_at(r->watch), 1);
	assert_watched(r, r->a, "one");
	assert_watched(r, r->c, "one");
	/* there is room for the third, once one is given up */
	watch_remove(r->watch, r->b);
	assert_true(run_until(r->base, nothing_is_looked_at, r));
	assert_watched(r, r->c, "two");
	assert_int_equal(hints_in(r, r->b), 0);
	return teardown(&state);
}

/* The exit status of a program that is run in a user namespace. */
static int
run_in_namespace(const char *program, const char *argument)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)execlp("unshare", "unshare", "-Ur", program, argument, (char *)NULL);
		_exit(NOT_HERE);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
the_kernel_has_too_few_watches(void **state)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int status;

	(void)state;
	if (n <= 0 || run_in_namespace("true", NULL) != 0)
		skip();
	self[n] = '\0';
	status = run_in_namespace(self, "in-namespace");
	if (status == NOT_HERE)
		skip();
	assert_int_equal(status, 0);
}

/* Without a descriptor there is neither inotify nor a list of entries. */
static void
there_is_no_descriptor_at_all(void **state)
{
	struct rig *r = *state;
	rlim_t limit;

	watch_close(r->watch);
	limit = limit_fds(0);
	open_watch(r);
	watch_add(r->watch, r->a);
	free(make_dir(r->a, "sub"));
	wait_hint(r, r->a, NULL);
	assert_int_equal(watch_count_looked_at(r->watch), 1);
	unlimit_fds(limit);
	/* the kernel is asked again */
	assert_true(run_until(r->base, nothing_is_looked_at, r));
	assert_watched(r, r->a, "one");
}

static void
a_large_directory(void **state)
{
	struct rig *r = *state;
	for (int i = 0; i <= WATCH_ENTRIES_MAX; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "f%d", i);
		make_file(r->c, name);
	}
	watch_add(r->watch, r->c);
	assert_watched(r, r->a, "one");
	assert_int_equal(hints_in(r, r->c), 0);
	make_file(r->c, "more");
	wait_hint(r, r->c, r->exact ? "more" : NULL);
	/* small enough again */
	forget_hints(r);
	for (int i = 0; i <= WATCH_ENTRIES_MAX; i++) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/f%d", r->c, i);

		assert_int_equal(unlink(path), 0);
	}
	wait_any_hint(r, r->c);
	assert_watched(r, r->c, "last");
}

static void
no_descriptor_is_left_over(void **state)
{
	struct rig *r = *state;
	bool before[FDS_MAX];
	size_t count;

	watch_close(r->watch);
	r->watch = NULL;
	count = count_fds(before);
	for (int i = 0; i < 10; i++) {
		open_watch(r);
		watch_add(r->watch, r->a);
		watch_add(r->watch, r->b);
		watch_remove(r->watch, r->b);
		assert_new_fds_close_on_exec(before);
		forget_hints(r);
		remove_below(r->a);
		assert_int_equal(mkdir(r->a, 0700), 0);
		wait_hint(r, r->a, NULL);
		watch_close(r->watch);
		r->watch = NULL;
		assert_int_equal(count_fds(NULL), count);
	}
}

/* ---- measuring ---------------------------------------------------------------------------- */

enum {
	ROUNDS = 50
};

/* In another process, as servers are: makes a file for each byte it is sent, and says when. */
static _Noreturn void
make_files(const char *dir, int orders, int answers)
{
	char byte;

	for (int i = 0; read(orders, &byte, 1) == 1; i++) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/f%d", dir, i);
		int64_t now = now_us();
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

		if (fd < 0 || close(fd) != 0 ||
		    write(answers, &now, sizeof(now)) != (ssize_t)sizeof(now))
			_exit(1);
	}
	_exit(0);
}

static void
how_long_it_takes(void **state)
{
	struct rig *r = *state;
	int64_t sum = 0, most = 0;
	int orders[2], answers[2];
	pid_t pid;

	assert_int_equal(pipe(orders), 0);
	assert_int_equal(pipe(answers), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(orders[1]);
		make_files(r->a, orders[0], answers[1]);
	}
	for (int i = 0; i < ROUNDS; i++) {
		char name[16];
		int64_t made;

		(void)snprintf(name, sizeof(name), "f%d", i);
		forget_hints(r);
		assert_int_equal(write(orders[1], "", 1), 1);
		wait_hint(r, r->a, name);
		assert_int_equal(read(answers[0], &made, sizeof(made)), sizeof(made));
		sum += r->last_us - made;
		most = r->last_us - made > most ? r->last_us - made : most;
	}
	print_message("a file made to hint: %.2f ms on average, %.2f ms at most\n",
	    (double)sum / ROUNDS / 1000, (double)most / 1000);
	(void)close(orders[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(orders[0]);
	(void)close(answers[0]);
	(void)close(answers[1]);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    BOTH(the_callback_adds_and_removes),
	    BOTH(the_callback_removes_its_own),
	    WITH(the_queue_overflows, by_kernel),
	    WITH(the_kernel_has_too_few_watches, by_both),
	    WITH(there_is_no_descriptor_at_all, by_both),
	    BOTH(a_large_directory),
	    BOTH(no_descriptor_is_left_over),
	    BOTH(how_long_it_takes),
	};

	if (argc == 2 && strcmp(argv[1], "in-namespace") == 0)
		return be_in_namespace();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
