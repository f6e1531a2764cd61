/* SPDX-License-Identifier: MIT */
/* What services write: kept in a ring on disk, and made safe to show. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "base/log.h"
#include "model/ansi.h"
#include "run/output_log.h"

enum {
	RING = 64 << 10
};

/* ---- on a terminal ------------------------------------------------------------------------ */

static void
assert_clean(const char *in, size_t len, bool colours, const char *wanted)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(65536);

	ansi_clean(in, len, colours, &out);
	assert_string_equal(out.data, wanted);
}

#define CLEAN(in, wanted) assert_clean((in), sizeof(in) - 1, true, (wanted))

static void
colours_stay_and_nothing_else(void **state)
{
	(void)state;
	CLEAN("plain", "plain");
	CLEAN("", "");
	CLEAN("\x1b[1;32mok\x1b[0m done", "\x1b[1;32mok\x1b[0m done");
	CLEAN("\x1b[31mred", "\x1b[31mred\x1b[0m");
	CLEAN("\x1b[31mred\x1b[m", "\x1b[31mred\x1b[m");
	CLEAN("\x1b[38;2;1;2;3mx\x1b[0m", "\x1b[38;2;1;2;3mx\x1b[0m");
	/* a screen that is cleared, a cursor that moves, a mode, a question to the terminal */
	CLEAN("\x1b[2J\x1b[Hhome\x1b[10;5Hthere\x1b[?25l\x1b[6n\x1b[c", "homethere");
	CLEAN("\x1b[?1;2m\x1b[>4mx", "x");
	CLEAN("\x1b"
	      "cx\x1b(By\x1b=z\x1b#8",
	    "xyz");
	/* a title, a clipboard, a link, a device control string; each with both ends */
	CLEAN("a\x1b]0;title\x07"
	      "b\x1b]52;c;ZXZpbA==\x1b\\c",
	    "abc");
	CLEAN("\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\", "link");
	CLEAN("a\x1bP1$r\x1b\\b\x1b_x\x1b\\c\x1b^y\x1b\\d\x1bXz\x1b\\e", "abcde");
	/* what does not end takes the rest along */
	CLEAN("a\x1b]0;never ends", "a");
	CLEAN("a\x1b[31", "a");
	CLEAN("a\x1b", "a");
	CLEAN("a\x1b[", "a");
	CLEAN("a\x1b(", "a");
	assert_clean("\x1b[31mred\x1b[0m", 12, false, "red");
}

static void
what_is_no_text_is_marked(void **state)
{
	(void)state;
	CLEAN("a\0b", "a b");
	CLEAN("\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd");
	CLEAN("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	/* C1, as UTF-8: a terminal may take it for ESC [ */
	CLEAN("\xc2\x9b"
	      "31mx",
	    "\xef\xbf\xbd\xef\xbf\xbd"
	    "31mx");
	CLEAN("a\tb", "a    b");
	CLEAN("10%\r20%\r100%\r", "100%");
	CLEAN("\r\r", "");
}

/* ---- the ring ----------------------------------------------------------------------------- */

struct lines {
	size_t count;
	uint64_t first, last;
	int64_t time_ms;
	char text[200000]; /* "o:text|" of each */
	size_t len;
};

static void
take(void *user, const struct output_line *line)
{
	struct lines *l = user;

	if (l->count++ == 0)
		l->first = line->number;
	else
		assert_int_equal(line->number, l->last + 1);
	assert_true(line->time_ms >= l->time_ms);
	l->last = line->number;
	l->time_ms = line->time_ms;
	if (l->len + line->len + 4 > sizeof(l->text))
		return;
	l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%c:%.*s|",
	    (char)line->stream, (int)line->len, line->text);
}

static struct lines *
lines_of(const char *dir, uint64_t after, size_t max)
{
	static struct lines l;
	struct dm_err err;

	memset(&l, 0, sizeof(l));
	assert_ok(output_log_read(dir, "shop-main", after, 0, max, take, &l, &err), &err);
	return &l;
}

static struct output_log *
open_log(const char *dir)
{
	struct dm_err err;
	struct output_log *log = output_log_open(dir, "shop-main", RING, &err);

	assert_ok(log != NULL, &err);
	return log;
}

static void
add(struct output_log *log, enum output_stream stream, const char *text)
{
	(void)output_log_add(log, stream, text, strlen(text));
}

static void
lines_are_numbered_over_restarts(void **state)
{
	char *root = temp_dir(), *dir = in_dir(root, "logs");
	struct output_log *log = open_log(dir);
	struct stat st;

	(void)state;
	output_log_note(log, "starting %s", "x\ny");
	add(log, OUTPUT_STDOUT, "one\ntw");
	add(log, OUTPUT_STDERR, "err\r\n");
	add(log, OUTPUT_STDOUT, "o\n\nprompt: ");
	output_log_close(log);
	assert_string_equal(
	    lines_of(dir, 0, 100)->text, "-:starting x y|o:one|e:err|o:two|o:|o:prompt: |");
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	log = open_log(dir);
	assert_true(output_log_add(log, OUTPUT_STDOUT, "ask", 3));
	output_log_flush(log, OUTPUT_STDOUT);
	assert_false(output_log_add(log, OUTPUT_STDOUT, "again\n", 6));
	output_log_close(log);
	assert_string_equal(lines_of(dir, 6, 100)->text, "o:ask|o:again|");
	assert_string_equal(lines_of(dir, 0, 1)->text, "o:again|");
	assert_int_equal(lines_of(dir, 0, 1)->last, 8);
	assert_int_equal(lines_of(dir, 8, 100)->count, 0);
	free(dir);
	remove_tree(root);
}

static void
the_ring_keeps_the_end(void **state)
{
	char *root = temp_dir(), *dir = in_dir(root, "logs");
	char *file = in_dir(dir, "shop-main.log"), *old = in_dir(dir, "shop-main.log.1");
	struct output_log *log = open_log(dir);
	struct lines *l;
	struct stat a, b;
	char line[64];

	(void)state;
	/* slower than a flood would be */
	for (int i = 1; i <= 4000; i++) {
		if (i % 1000 == 1) {
			output_log_close(log);
			log = open_log(dir);
		}
		(void)snprintf(line, sizeof(line), "line %d of a server that talks\n", i);
		add(log, OUTPUT_STDOUT, line);
	}
	output_log_close(log);
	assert_int_equal(stat(file, &a), 0);
	assert_int_equal(stat(old, &b), 0);
	assert_in_range(a.st_size + b.st_size, RING / 2, RING + OUTPUT_LINE_MAX);
	l = lines_of(dir, 0, 1000000);
	assert_int_equal(l->last, 4000);
	assert_true(l->count > 500 && l->count < 4000);
	assert_int_equal(l->count, 4000 - l->first + 1);
	assert_string_equal(lines_of(dir, 3999, 10)->text, "o:line 4000 of a server that talks|");
	assert_int_equal(lines_of(dir, 0, 7)->first, 3994);
	assert_int_equal(lines_of(dir, 3500, 5000)->first, 3501);
	free(old);
	free(file);
	free(dir);
	remove_tree(root);
}

static void
of_a_flood_the_end_is_kept(void **state)
{
	char *root = temp_dir(), *dir = in_dir(root, "logs"), *file = in_dir(dir, "shop-main.log");
	struct output_log *log = open_log(dir);
	struct lines *l;
	bool waits = false;

	(void)state;
	for (int i = 0; i < 200000; i++)
		waits = output_log_add(log, OUTPUT_STDOUT, "a line that comes too fast\n", 27);
	assert_true(waits);
	add(log, OUTPUT_STDOUT, "the error that matters\n");
	output_log_close(log);
	l = lines_of(dir, 0, 1);
	assert_string_equal(l->text, "o:the error that matters|");
	l = lines_of(dir, 0, 1000000);
	assert_non_null(strstr(l->text, " bytes came too fast to be kept|"));
	assert_true(l->last < 100000);
	free(file);
	free(dir);
	remove_tree(root);
}

static void
long_lines_are_cut_into_several(void **state)
{
	char *root = temp_dir(), *dir = in_dir(root, "logs");
	struct output_log *log = open_log(dir);
	static char text[OUTPUT_LINE_MAX * 2 + 11];
	struct lines *l;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 2] = '\n';
	add(log, OUTPUT_STDOUT, text);
	output_log_close(log);
	l = lines_of(dir, 0, 100);
	assert_int_equal(l->count, 3);
	assert_int_equal(l->len, OUTPUT_LINE_MAX * 2 + 9 + 3 * 3);
	free(dir);
	remove_tree(root);
}

/* Half a line at the end of a full disk, and whatever somebody has done to the file. */
static void
what_is_no_line_is_passed_over(void **state)
{
	char *root = temp_dir(), *dir = in_dir(root, "logs"), *file = in_dir(dir, "shop-main.log");
	static const char text[] = "1 1 o one\nnonsense\n\n2 2\n2 2 o\n2 2 x no\n-3 1 o no\n"
				   "99999999999999999999999 1 o no\n2 2 e two\n3 3 o half";
	struct output_log *log;
	int fd;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	fd = open(file, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_string_equal(lines_of(dir, 0, 100)->text, "o:one|e:two|");
	log = open_log(dir);
	add(log, OUTPUT_STDOUT, "three\n");
	output_log_close(log);
	assert_string_equal(lines_of(dir, 2, 100)->text, "o:half|o:three|");
	free(file);
	free(dir);
	remove_tree(root);
}

static void
links_are_not_followed(void **state)
{
	char *root = temp_dir(), *dir = in_dir(root, "logs"), *file = in_dir(dir, "shop-main.log");
	char *target = in_dir(root, "target");
	struct dm_err err;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(symlink(target, file), 0);
	assert_null(output_log_open(dir, "shop-main", RING, &err));
	assert_int_not_equal(access(target, F_OK), 0);
	assert_false(output_log_read(dir, "shop-main", 0, 0, 1, take, NULL, &err));
	assert_int_equal(err.code, DM_NOT_FOUND);
	assert_int_equal(output_log_mark(dir, "shop-main"), 0);
	free(target);
	free(file);
	free(dir);
	remove_tree(root);
}

static void
note_id(void *user, const char *id)
{
	assert_string_equal(id, "shop-main");
	++*(int *)user;
}

static void
old_ones_are_swept(void **state)
{
	char *root = temp_dir(), *dir = in_dir(root, "logs");
	char *old = in_dir(dir, "gone-main.log"), *other = in_dir(dir, "notes.txt");
	const struct utimbuf long_ago = {.actime = 1000, .modtime = 1000};
	struct output_log *log = open_log(dir);
	uint64_t mark;
	int count = 0;

	(void)state;
	add(log, OUTPUT_STDOUT, "x\n");
	mark = output_log_mark(dir, "shop-main");
	add(log, OUTPUT_STDOUT, "y\n");
	assert_int_not_equal(output_log_mark(dir, "shop-main"), mark);
	output_log_close(log);
	for (int i = 0; i < 2; i++) {
		close(open(i == 0 ? old : other, O_WRONLY | O_CREAT, 0600));
		assert_int_equal(utime(i == 0 ? old : other, &long_ago), 0);
	}
	output_log_each(dir, 1000000000000, note_id, &count);
	assert_int_equal(count, 1);
	output_log_sweep(dir, 30);
	assert_int_not_equal(access(old, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(lines_of(dir, 0, 100)->count, 2);
	free(other);
	free(old);
	free(dir);
	remove_tree(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(colours_stay_and_nothing_else),
	    cmocka_unit_test(what_is_no_text_is_marked),
	    cmocka_unit_test(lines_are_numbered_over_restarts),
	    cmocka_unit_test(the_ring_keeps_the_end),
	    cmocka_unit_test(of_a_flood_the_end_is_kept),
	    cmocka_unit_test(long_lines_are_cut_into_several),
	    cmocka_unit_test(what_is_no_line_is_passed_over),
	    cmocka_unit_test(links_are_not_followed),
	    cmocka_unit_test(old_ones_are_swept),
	};

	dm_log_level(DM_LOG_QUIET);
	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
