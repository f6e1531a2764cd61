/* SPDX-License-Identifier: MIT */
/* Directories watched: real files, told by the kernel and found by looking. */
#include "hints.h"

static void
entries_change(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *one = in_dir(r->a, "one");
	DM_AUTO_FREE char *two = in_dir(r->a, "two");
	int fd;

	assert_int_equal(r->count, 0); /* watch_add() gives none */
	assert_watched(r, r->a, "one");

	forget_hints(r);
	assert_int_equal(chmod(one, 0666), 0);
	wait_hint(r, r->a, "one");

	forget_hints(r);
	fd = open(one, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, "text", 4), 4);
	(void)close(fd);
	wait_hint(r, r->a, "one");

	forget_hints(r);
	assert_int_equal(rename(one, two), 0);
	wait_hint(r, r->a, "one");
	wait_hint(r, r->a, "two");

	forget_hints(r);
	assert_int_equal(unlink(two), 0);
	wait_hint(r, r->a, "two");

	forget_hints(r);
	free(make_dir(r->a, "sub"));
	wait_hint(r, r->a, "sub");
	assert_int_equal(hints_in(r, r->b), 0);
}

/* As editors and git write: a new file takes the place of the old one. */
static void
a_file_is_replaced(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *head = in_dir(r->a, "HEAD");

	put_file(head, "ref: refs/heads/main\n");
	wait_hint(r, r->a, "HEAD");
	forget_hints(r);
	put_file(head, "ref: refs/heads/next\n");
	wait_hint(r, r->a, "HEAD");
}

static void
the_directory_itself_changes(void **state)
{
	struct rig *r = *state;

	assert_int_equal(chmod(r->a, 0755), 0);
	wait_hint(r, r->a, NULL);
	assert_int_equal(hints_in(r, r->b), 0);
}

static void
names_may_be_anything(void **state)
{
	struct rig *r = *state;
	char longest[256];
	const char *const names[] = {
	    "a\nb", "\x1b[31m", "\xff\xfe", "-rf", "...", " ", "%s%n", "\"'\\", longest};

	memset(longest, 'x', 255);
	longest[255] = '\0';
	for (size_t i = 0; i < COUNT(names); i++)
		assert_watched(r, r->a, names[i]);
}

static void
removed_is_not_watched(void **state)
{
	struct rig *r = *state;

	make_file(r->a, "before");
	watch_remove(r->watch, r->a);
	watch_remove(r->watch, r->a); /* one too many */
	watch_remove(r->watch, r->c);
	make_file(r->a, "one");
	assert_watched(r, r->b, "one");
	assert_watched(r, r->b, "two");
	assert_int_equal(hints_in(r, r->a), 0);
	watch_add(r->watch, r->a);
	assert_watched(r, r->a, "two");
	assert_int_equal(hints_at(r, r->a, "one"), 0);
}

/* As a worktree's git directory is when the worktree is moved: added again, then removed once. */
static void
wanted_twice_it_stays_until_removed_twice(void **state)
{
	struct rig *r = *state;

	watch_add(r->watch, r->a);
	watch_remove(r->watch, r->a);
	assert_watched(r, r->a, "one");
	watch_remove(r->watch, r->a);
	make_file(r->a, "two");
	assert_watched(r, r->b, "three");
	assert_int_equal(hints_at(r, r->a, "two"), 0);
}

/* ---- directories come and go -------------------------------------------------------------- */

static void
one_that_comes_later(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *later = in_dir(r->dir, "later");
	DM_AUTO_FREE char *below = in_dir(later, "below");

	watch_add(r->watch, below);
	watch_add(r->watch, later);
	assert_watched(r, r->a, "one");
	assert_int_equal(hints_in(r, later) + hints_in(r, below), 0);
	free(make_dir(r->dir, "later"));
	wait_hint(r, later, NULL);
	free(make_dir(later, "below"));
	wait_hint(r, below, NULL);
	assert_watched(r, below, "two");
}

static void
one_that_goes_and_comes_back(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < 3; i++) {
		forget_hints(r);
		remove_below(r->a);
		wait_hint(r, r->a, NULL);
		forget_hints(r);
		assert_int_equal(mkdir(r->a, 0700), 0);
		wait_hint(r, r->a, NULL);
		assert_watched(r, r->a, "one");
		assert_int_equal(watch_count_looked_at(r->watch), r->how->by_looking ? 2 : 0);
	}
}

/*
 * Before anybody has looked there is another one in its place. If it has got the same inode, a look
 * sees only that what was in it is gone.
 */
static void
one_that_is_made_anew_at_once(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < 3; i++) {
		assert_watched(r, r->a, "one");
		forget_hints(r);
		remove_below(r->a);
		assert_int_equal(mkdir(r->a, 0700), 0);
		if (r->exact)
			wait_hint(r, r->a, NULL);
		else
			wait_any_hint(r, r->a);
		assert_watched(r, r->a, "two");
		forget_hints(r);
	}
}

static void
one_that_is_moved_away(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *away = in_dir(r->dir, "away");
	DM_AUTO_FREE char *in_away = in_dir(away, "theirs");

	assert_int_equal(rename(r->a, away), 0);
	wait_hint(r, r->a, NULL);
	make_file(away, "theirs");
	assert_watched(r, r->b, "one");
	assert_int_equal(hints_at(r, r->a, "theirs"), 0);
	forget_hints(r);
	assert_int_equal(unlink(in_away), 0);
	assert_int_equal(rename(away, r->a), 0);
	wait_hint(r, r->a, NULL);
	assert_watched(r, r->a, "ours");
}

/* Of this the directory itself has no event. */
static void
a_parent_is_replaced(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *parent = make_dir(r->dir, "parent");
	DM_AUTO_FREE char *child = make_dir(parent, "child");
	DM_AUTO_FREE char *away = in_dir(r->dir, "away");
	DM_AUTO_FREE char *child_away = in_dir(away, "child");

	watch_add(r->watch, child);
	assert_watched(r, child, "one");
	forget_hints(r);
	assert_int_equal(rename(parent, away), 0);
	free(make_dir(r->dir, "parent"));
	free(make_dir(parent, "child"));
	wait_hint(r, child, NULL);
	make_file(child_away, "theirs");
	assert_watched(r, child, "ours");
	assert_int_equal(hints_at(r, child, "theirs"), 0);
}

/* inotify says nothing about the removal as long as a process has its working directory there. */
static void
one_that_is_removed_with_somebody_in_it(void **state)
{
	struct rig *r = *state;
	int lifeline[2], ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(lifeline), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(lifeline[1]);
		if (chdir(r->a) != 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		_exit(read(lifeline[0], &byte, 1) == 0 ? 0 : 1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(rmdir(r->a), 0);
	wait_hint(r, r->a, NULL);
	forget_hints(r);
	assert_int_equal(mkdir(r->a, 0700), 0);
	wait_hint(r, r->a, NULL);
	assert_watched(r, r->a, "one");
	(void)close(lifeline[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	(void)close(lifeline[0]);
	(void)close(ready[0]);
	(void)close(ready[1]);
	forget_hints(r);
	assert_watched(r, r->a, "two");
}

static void
a_link_to_a_directory(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *link = in_dir(r->dir, "link");

	assert_int_equal(symlink(r->a, link), 0);
	watch_add(r->watch, link);
	assert_watched(r, link, "one");
	wait_hint(r, r->a, "one"); /* it is watched by both names */
	watch_remove(r->watch, r->a);
	forget_hints(r);
	assert_watched(r, link, "two");
	assert_int_equal(hints_in(r, r->a), 0);
	/* now it leads elsewhere */
	forget_hints(r);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(r->c, link), 0);
	wait_hint(r, link, NULL);
	make_file(r->a, "three");
	assert_watched(r, link, "four");
	assert_int_equal(hints_at(r, link, "three"), 0);
	/* and nowhere */
	forget_hints(r);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("nowhere", link), 0);
	wait_hint(r, link, NULL);
	assert_int_equal(unlink(link), 0);
}

static void
something_else_is_in_the_way(void **state)
{
	struct rig *r = *state;
	DM_AUTO_FREE char *path = in_dir(r->dir, "x");

	put_file(path, "no directory");
	watch_add(r->watch, path);
	assert_watched(r, r->a, "one");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_watched(r, r->a, "two");
	assert_int_equal(hints_in(r, path), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	wait_hint(r, path, NULL);
	assert_watched(r, path, "three");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    BOTH(entries_change),
	    BOTH(a_file_is_replaced),
	    BOTH(the_directory_itself_changes),
	    BOTH(names_may_be_anything),
	    BOTH(removed_is_not_watched),
	    BOTH(wanted_twice_it_stays_until_removed_twice),
	    TICKING(one_that_comes_later),
	    TICKING(one_that_goes_and_comes_back),
	    BOTH(one_that_is_made_anew_at_once),
	    TICKING(one_that_is_moved_away),
	    TICKING(a_parent_is_replaced),
	    TICKING(one_that_is_removed_with_somebody_in_it),
	    TICKING(a_link_to_a_directory),
	    TICKING(something_else_is_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
