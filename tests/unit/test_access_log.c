/* SPDX-License-Identifier: MIT */
/* A log that is followed: half lines, long ones, rolling, truncation, and files that are none. */
#include "unit.h"

#include <fcntl.h>
#include <sys/un.h>

#include "access_log.h"

/* A log below a private directory, and what was read of it. */
struct rig {
	char *dir, *path;
	struct access_log *log;
	struct dm_str seen; /* each line in brackets */
};

static void
on_line(void *user, const char *line, size_t len)
{
	struct rig *rig = user;

	assert_int_equal(line[len], '\0');
	(void)dm_str_addf(&rig->seen, "[%.40s]", line);
}

static void
begin(struct rig *rig)
{
	access_log_free(rig->log);
	rig->log = access_log_new(rig->path, on_line, rig);
}

static int
setup(void **state)
{
	struct rig *rig = dm_calloc(1, sizeof(*rig));

	rig->dir = temp_dir();
	rig->path = in_dir(rig->dir, "access.log");
	dm_str_init(&rig->seen, 1 << 20);
	begin(rig);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	access_log_free(rig->log);
	dm_str_release(&rig->seen);
	remove_tree(rig->dir);
	free(rig->path);
	free(rig);
	return 0;
}

static void
write_to(const char *path, int flags, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	assert_true(fd >= 0);
	assert_true(dm_write_all(fd, text, len));
	assert_int_equal(close(fd), 0);
}

static void
append(struct rig *rig, const char *text)
{
	write_to(rig->path, O_APPEND, text, strlen(text));
}

/* Looks until nothing is new; what there was is these lines. */
static void
expect(struct rig *rig, const char *lines)
{
	while (access_log_look(rig->log))
		continue;
	assert_string_equal(rig->seen.data, lines);
	free(dm_str_take(&rig->seen));
}

static void
lines_come_when_they_are_whole(void **state)
{
	struct rig *rig = *state;

	expect(rig, "");
	assert_false(access_log_is_there(rig->log));
	append(rig, "one\ntw");
	expect(rig, "[one]");
	assert_true(access_log_is_there(rig->log));
	expect(rig, "");
	append(rig, "o\n\n\nthree");
	expect(rig, "[two]");
	append(rig, "\n");
	expect(rig, "[three]");
}

static void
a_line_that_is_too_long_is_left_out(void **state)
{
	struct rig *rig = *state;
	DM_AUTO_FREE char *most = dm_calloc(ACCESS_LOG_LINE_MAX + 2, 1);
	DM_AUTO_FREE char *huge = dm_calloc(5 << 20, 1);

	memset(most, 'm', ACCESS_LOG_LINE_MAX);
	memset(huge, 'h', (5 << 20) - 1);
	append(rig, "a\n");
	append(rig, most);
	append(rig, "\n");
	append(rig, most);
	append(rig, "m\nb\n");
	expect(rig, "[a][mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm][b]");
	append(rig, huge);
	expect(rig, "");
	append(rig, "\nc\n");
	expect(rig, "[c]");
}

/* One look does not take for ever. */
static void
a_look_is_bounded(void **state)
{
	struct rig *rig = *state;
	DM_AUTO_FREE char *text = dm_calloc(ACCESS_LOG_BITE, 1);

	expect(rig, "");
	append(rig, "first\n");
	expect(rig, "[first]");
	for (size_t i = 0; i + 1 < ACCESS_LOG_BITE; i++)
		text[i] = i % 1024 == 1023 ? '\n' : 'x';
	for (int i = 0; i < 3; i++)
		append(rig, text);
	append(rig, "\nlast\n");
	assert_true(access_log_look(rig->log));
	assert_null(strstr(rig->seen.data, "last"));
	while (access_log_look(rig->log))
		continue;
	assert_true(dm_ends_with(rig->seen.data, "[last]"));
}

/* As Caddy does it: the file gets another name, and another file its name. */
static void
roll(struct rig *rig, const char *to)
{
	DM_AUTO_FREE char *path = in_dir(rig->dir, to);

	assert_int_equal(rename(rig->path, path), 0);
}

static void
a_rolled_file_is_finished_first(void **state)
{
	struct rig *rig = *state;

	append(rig, "a\n");
	expect(rig, "[a]");
	append(rig, "b\nhalf");
	roll(rig, "access-2026-11-28T07-51-30.411.log");
	/* there is none for a moment */
	expect(rig, "[b]");
	assert_true(access_log_is_there(rig->log));
	append(rig, "c\n");
	expect(rig, "[c]");
	append(rig, "d\n");
	roll(rig, "access-2026-11-28T07-51-31.411.log");
	append(rig, "e\n");
	expect(rig, "[d][e]");
}

static void
a_truncated_file_is_read_from_its_beginning(void **state)
{
	struct rig *rig = *state;

	append(rig, "a\nb\nc");
	expect(rig, "[a][b]");
	write_to(rig->path, O_TRUNC, "d\n", 2);
	expect(rig, "[d]");
}

static void
a_removed_file_is_none(void **state)
{
	struct rig *rig = *state;

	append(rig, "a\n");
	expect(rig, "[a]");
	assert_int_equal(unlink(rig->path), 0);
	expect(rig, "");
	assert_false(access_log_is_there(rig->log));
	append(rig, "b\n");
	expect(rig, "[b]");
}

/* Of what is there already no more than the end is read, from the beginning of a line. */
static void
begins_near_the_end(void **state)
{
	struct rig *rig = *state;
	DM_AUTO_FREE char *text = dm_calloc(ACCESS_LOG_TAIL + 1, 1);
	size_t n;

	append(rig, "old\n");
	memset(text, 'x', ACCESS_LOG_TAIL);
	for (size_t i = 999; i < ACCESS_LOG_TAIL; i += 1000)
		text[i] = '\n';
	append(rig, text);
	append(rig, "\nnew\n");
	begin(rig);
	while (access_log_look(rig->log))
		continue;
	assert_null(strstr(rig->seen.data, "[old]"));
	assert_true(dm_ends_with(rig->seen.data, "[new]"));
	n = strcspn(rig->seen.data, "]");
	assert_int_equal(n, 41); /* a whole line, as it is shown here */
	free(dm_str_take(&rig->seen));
	/* a small one: with the end of the file that it was rolled from, and not an older one */
	roll(rig, "access-2026-11-28T07-51-31.411.log");
	append(rig, "newest\n");
	roll(rig, "access-2026-11-28T07-51-32.411.log");
	append(rig, "now\n");
	begin(rig);
	expect(rig, "[newest][now]");
}

static void
only_a_file_is_read(void **state)
{
	struct rig *rig = *state;
	DM_AUTO_FREE char *other = in_dir(rig->dir, "other");

	write_to(other, 0, "secret\n", 7);
	assert_int_equal(symlink(other, rig->path), 0);
	expect(rig, "");
	assert_int_equal(unlink(rig->path), 0);
	assert_int_equal(mkfifo(rig->path, 0600), 0);
	expect(rig, "");
	assert_int_equal(unlink(rig->path), 0);
	assert_int_equal(mkdir(rig->path, 0700), 0);
	expect(rig, "");
	assert_int_equal(rmdir(rig->path), 0);
	assert_false(access_log_is_there(rig->log));
	/* in the place of one that is followed, either */
	append(rig, "a\n");
	expect(rig, "[a]");
	assert_int_equal(unlink(rig->path), 0);
	assert_int_equal(symlink(other, rig->path), 0);
	expect(rig, "");
	if (geteuid() == 0) {
		assert_int_equal(unlink(rig->path), 0);
		append(rig, "of another user\n");
		assert_int_equal(chown(rig->path, 65534, 65534), 0);
		begin(rig);
		expect(rig, "");
	}
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_RIG(lines_come_when_they_are_whole),
	    IN_RIG(a_line_that_is_too_long_is_left_out),
	    IN_RIG(a_look_is_bounded),
	    IN_RIG(a_rolled_file_is_finished_first),
	    IN_RIG(a_truncated_file_is_read_from_its_beginning),
	    IN_RIG(a_removed_file_is_none),
	    IN_RIG(begins_near_the_end),
	    IN_RIG(only_a_file_is_read),
	};

	return cmocka_run_group_tests_name("access_log", tests, NULL, NULL);
}
