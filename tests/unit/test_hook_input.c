/* SPDX-License-Identifier: MIT */
/* What tools say to their hooks, and where directories are that may be gone. */
#include "unit.h"

#include <unistd.h>

#include "base/paths.h"
#include "hook_input.h"

static void
members_are_taken(void **state)
{
	static const char text[] =
	    "{\"hook_type\":\"post-start\",\"worktree_path\":\"/w t/it's\",\"branch\":\"a/b\","
	    "\"cwd\":\"/c\",\"vars\":{\"x\":[1]},\"unknown\":null}\n";
	struct hook_input in;
	struct dm_err err;

	(void)state;
	assert_ok(hook_input_parse(text, strlen(text), &in, &err), &err);
	assert_string_equal(in.event, "post-start");
	assert_string_equal(in.worktree, "/w t/it's");
	assert_string_equal(in.cwd, "/c");
	hook_input_release(&in);
}

static void
what_is_unusable_is_none(void **state)
{
	static const char *const texts[] = {"", " \n", "{}",
	    "{\"hook_type\":1,\"worktree_path\":null,\"branch\":[],\"cwd\":{}}",
	    ("{\"hook_type\":\"a "
	     "b\",\"worktree_path\":\"relative\",\"branch\":\"x\\ny\",\"cwd\":\"\"}"),
	    "{\"hook_event_name\":\"$(x)\",\"worktree_path\":\"\"}"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct hook_input in;
		struct dm_err err;

		assert_ok(hook_input_parse(texts[i], strlen(texts[i]), &in, &err), &err);
		assert_true(in.event == NULL && in.worktree == NULL && in.cwd == NULL);
		hook_input_release(&in);
	}
}

static void
no_object_is_an_error(void **state)
{
	static const char *const texts[] = {"x", "[]", "\"s\"", "{", "1"};
	struct hook_input in;
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_fails(hook_input_parse(texts[i], strlen(texts[i]), &in, &err), &err,
		    DM_USAGE, "no JSON object");
}

static void
reading_ends(void **state)
{
	struct hook_input in;
	struct dm_err err;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	/* left open, and nothing is said: it is given up */
	assert_ok(hook_input_read(fds[0], 50, &in, &err), &err);
	assert_null(in.event);
	assert_int_equal(write(fds[1], "{\"hook_type\":\"pre-remove\"}", 26), 26);
	assert_ok(hook_input_read(fds[0], 50, &in, &err), &err);
	assert_string_equal(in.event, "pre-remove");
	hook_input_release(&in);
	close(fds[1]);
	assert_ok(hook_input_read(fds[0], 60000, &in, &err), &err);
	close(fds[0]);
}

static void
paths_of_what_is_gone(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *real = realpath(dir, NULL), *link_path = in_dir(dir, "link");
	const struct {
		char *path, *want;
	} rows[] = {
	    {dm_asprintf("%s", dir), dm_asprintf("%s", real)},
	    {dm_asprintf("%s/", dir), dm_asprintf("%s", real)},
	    {dm_asprintf("%s/link/gone", dir), dm_asprintf("%s/gone", real)},
	    {dm_asprintf("%s/gone/./a//b/../c/", dir), dm_asprintf("%s/gone/a/c", real)},
	    {dm_strdup("/no-such-directory/x"), dm_strdup("/no-such-directory/x")},
	    {dm_strdup("/"), dm_strdup("/")},
	    {dm_strdup("/no-such-directory/../.."), dm_strdup("/")},
	};

	(void)state;
	assert_int_equal(symlink(".", link_path), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct dm_err err;
		DM_AUTO_FREE char *got = dm_resolve(rows[i].path, &err);

		assert_ok(got != NULL, &err);
		assert_string_equal(got, rows[i].want);
		free(rows[i].path);
		free(rows[i].want);
	}
	remove_tree(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(members_are_taken),
	    cmocka_unit_test(what_is_unusable_is_none),
	    cmocka_unit_test(no_object_is_an_error),
	    cmocka_unit_test(reading_ends),
	    cmocka_unit_test(paths_of_what_is_gone),
	};

	return cmocka_run_group_tests_name("hook_input", tests, NULL, NULL);
}
