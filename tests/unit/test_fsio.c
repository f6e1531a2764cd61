/* SPDX-License-Identifier: MIT */
/* Bounded reads, atomic writes, directories, and locks that die with their owner. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/os.h"
#include "base/paths.h"

/* A test with a private directory as its state. */
#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static int
setup(void **state)
{
	*state = temp_dir();
	return 0;
}

static int
teardown(void **state)
{
	remove_tree(*state);
	return 0;
}

static size_t
count_files(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
	(void)closedir(d);
	return n;
}

static void
reads_up_to_the_maximum(void **state)
{
	DM_AUTO_FREE char *path = in_dir(*state, "f");
	DM_AUTO_FREE char *big = dm_calloc(40000, 1);
	struct dm_str text;
	struct dm_err err;

	memset(big, 'x', 40000);
	assert_ok(dm_write_file(path, big, 40000, 0600, &err), &err);
	dm_str_init(&text, 40000);
	assert_ok(dm_read_file(path, &text, &err), &err);
	assert_int_equal(text.len, 40000);
	assert_false(text.overflow);
	dm_str_release(&text);
	/* the beginning is kept */
	dm_str_init(&text, 20000);
	assert_ok(dm_read_file(path, &text, &err), &err);
	assert_int_equal(text.len, 20000);
	assert_true(text.overflow);
	dm_str_release(&text);
}

static void
unreadable_files(void **state)
{
	DM_AUTO_FREE char *path = in_dir(*state, "no such file");
	DM_AUTO_FREE char *fifo = in_dir(*state, "fifo");
	DM_AUTO_STR struct dm_str text;
	struct dm_err err;

	dm_str_init(&text, 100);
	assert_fails(dm_read_file(path, &text, &err), &err, DM_FAILED, path);
	assert_fails(dm_read_file(*state, &text, &err), &err, DM_FAILED, *state);
	/* a FIFO without a writer must not block */
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_ok(dm_read_file(fifo, &text, &err), &err);
	assert_int_equal(text.len, 0);
}

static void
writes_whole_files(void **state)
{
	DM_AUTO_FREE char *path = in_dir(*state, "f");
	DM_AUTO_FREE char *other = in_dir(*state, "other");
	DM_AUTO_STR struct dm_str text;
	struct dm_err err;
	struct stat st;

	assert_ok(dm_write_file(path, "one", 3, 0640, &err), &err);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	/* replaced, not written into: a hard link keeps the old text */
	assert_int_equal(link(path, other), 0);
	assert_ok(dm_write_file(path, "two!", 4, 0600, &err), &err);
	dm_str_init(&text, 100);
	assert_ok(dm_read_file(other, &text, &err), &err);
	assert_ok(dm_read_file(path, &text, &err), &err);
	assert_string_equal(text.data, "onetwo!");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(count_files(*state), 2);
}

static void
failed_writes_leave_nothing(void **state)
{
	DM_AUTO_FREE char *dir = in_dir(*state, "d");
	DM_AUTO_FREE char *missing = in_dir(*state, "missing/f");
	struct dm_err err;

	assert_int_equal(mkdir(dir, 0700), 0);
	assert_fails(dm_write_file(dir, "x", 1, 0600, &err), &err, DM_FAILED, dir);
	assert_fails(dm_write_file(missing, "x", 1, 0600, &err), &err, DM_FAILED, missing);
	assert_int_equal(count_files(*state), 1);
}

static void
makes_directories(void **state)
{
	DM_AUTO_FREE char *deep = in_dir(*state, "a/b//c/");
	DM_AUTO_FREE char *file = in_dir(*state, "f");
	DM_AUTO_FREE char *below = in_dir(*state, "f/x");
	struct dm_err err;
	struct stat st;

	assert_ok(dm_make_dirs(deep, 0700, &err), &err);
	assert_ok(dm_make_dirs(deep, 0755, &err), &err);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	put_file(file, "");
	assert_fails(dm_make_dirs(file, 0700, &err), &err, DM_CONFLICT, "not a directory");
	assert_fails(dm_make_dirs(below, 0700, &err), &err, DM_FAILED, below);
}

static void
lock_excludes(void **state)
{
	DM_AUTO_FREE char *path = in_dir(*state, "lock");
	struct dm_err err;
	struct stat st;
	int fd = -1, second = -1;
	int64_t begun;

	assert_ok(dm_lock(path, 0, &fd, &err), &err);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	begun = dm_now_ms();
	assert_fails(dm_lock(path, 50, &second, &err), &err, DM_TIMEOUT, path);
	assert_true(dm_now_ms() - begun >= 50);
	assert_true(err.hint[0] != '\0');
	assert_int_equal(second, -1);
	(void)close(fd);
	assert_ok(dm_lock(path, 0, &second, &err), &err);
	(void)close(second);
}

/* A process that is killed holds nothing any more. */
static void
lock_dies_with_its_owner(void **state)
{
	DM_AUTO_FREE char *path = in_dir(*state, "lock");
	struct dm_err err;
	int fds[2], fd = -1;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (dm_lock(path, 1000, &fd, &err) && write(fds[1], "x", 1) == 1)
			(void)pause();
		_exit(1);
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_fails(dm_lock(path, 1, &fd, &err), &err, DM_TIMEOUT, "held");
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_ok(dm_lock(path, 5000, &fd, &err), &err);
	(void)close(fd);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
lock_waits_its_turn(void **state)
{
	enum {
		N = 8
	};
	DM_AUTO_FREE char *path = in_dir(*state, "lock");
	DM_AUTO_FREE char *file = in_dir(*state, "count");
	DM_AUTO_STR struct dm_str text;
	struct dm_err err;

	put_file(file, "");
	for (int i = 0; i < N; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			struct stat st;
			int lock, fd;

			/* without the lock, several would see the same size */
			if (!dm_lock(path, 20000, &lock, &err) || stat(file, &st) != 0)
				_exit(1);
			dm_pause_ms(2);
			fd = open(file, O_WRONLY);
			if (fd < 0 || pwrite(fd, "x", 1, st.st_size) != 1)
				_exit(1);
			_exit(0);
		}
	}
	for (int i = 0; i < N; i++) {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	dm_str_init(&text, 100);
	assert_ok(dm_read_file(file, &text, &err), &err);
	assert_int_equal(text.len, N);
}

static void
lock_refuses_what_is_no_file_of_ours(void **state)
{
	DM_AUTO_FREE char *target = in_dir(*state, "target");
	DM_AUTO_FREE char *path = in_dir(*state, "link");
	DM_AUTO_FREE char *fifo = in_dir(*state, "fifo");
	struct dm_err err;
	int fd = -1;

	put_file(target, "");
	assert_int_equal(symlink(target, path), 0);
	assert_false(dm_lock(path, 0, &fd, &err));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_fails(dm_lock(fifo, 0, &fd, &err), &err, DM_DENIED, "not a regular file");
	assert_false(dm_lock(*state, 0, &fd, &err));
	assert_int_equal(fd, -1);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(target, 65534, 65534), 0);
	assert_fails(dm_lock(target, 0, &fd, &err), &err, DM_DENIED, "of yours");
}

/* What was written since the file had so many bytes, and never more than there is room for. */
static void
tail_of_a_file(void **state)
{
	DM_AUTO_FREE char *path = in_dir(*state, "log");
	static const struct {
		int64_t from;
		size_t room;
		const char *want;
	} rows[] = {{0, 100, "one\ntwo\nthree\n"}, {4, 100, "two\nthree\n"}, {14, 100, ""},
	    {0, 6, "three\n"}, {4, 6, "three\n"}, {99, 100, "one\ntwo\nthree\n"}, {99, 4, "ree\n"}};
	struct dm_err err;

	put_file(path, "one\ntwo\nthree\n");
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_STR struct dm_str out = dm_str_make(rows[i].room);

		assert_ok(dm_read_tail(path, rows[i].from, &out, &err), &err);
		assert_string_equal(out.data, rows[i].want);
	}
	assert_int_equal(unlink(path), 0);
	DM_AUTO_STR struct dm_str out = dm_str_make(10);
	assert_fails(dm_read_tail(path, 0, &out, &err), &err, DM_FAILED, path);
	assert_int_equal(err.sys, ENOENT);
}

static void
programs_are_found(void **state)
{
	DM_AUTO_FREE char *first = in_dir(*state, "first"), *second = in_dir(*state, "second");
	DM_AUTO_FREE char *plain = dm_asprintf("%s/tool", first);
	DM_AUTO_FREE char *tool = dm_asprintf("%s/tool", second);
	DM_AUTO_FREE char *path = dm_asprintf("relative::%s:%s", first, second);
	DM_AUTO_FREE char *old = dm_strdup(getenv("PATH")), *found = NULL, *none = NULL;
	DM_AUTO_FREE char *by_path = NULL, *self = dm_os_self_exe();

	assert_int_equal(mkdir(first, 0755) | mkdir(second, 0755), 0);
	put_file(plain, "not executable");
	put_file(tool, "#!/bin/sh\n");
	assert_int_equal(chmod(plain, 0644) | chmod(tool, 0755), 0);
	assert_int_equal(setenv("PATH", path, 1), 0);
	found = dm_find_program("tool");
	none = dm_find_program("no-such-tool");
	by_path = dm_find_program(tool);
	assert_int_equal(setenv("PATH", old, 1), 0);
	/* root may do everything but run what nobody may */
	assert_string_equal(found, tool);
	assert_string_equal(by_path, tool);
	assert_null(none);
	assert_non_null(self);
	assert_true(dm_ends_with(self, "/test_fsio"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_DIR(reads_up_to_the_maximum),
	    IN_DIR(unreadable_files),
	    IN_DIR(writes_whole_files),
	    IN_DIR(failed_writes_leave_nothing),
	    IN_DIR(makes_directories),
	    IN_DIR(lock_excludes),
	    IN_DIR(lock_dies_with_its_owner),
	    IN_DIR(lock_waits_its_turn),
	    IN_DIR(lock_refuses_what_is_no_file_of_ours),
	    IN_DIR(tail_of_a_file),
	    IN_DIR(programs_are_found),
	};

	return cmocka_run_group_tests_name("fsio", tests, NULL, NULL);
}
