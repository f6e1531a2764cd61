/* SPDX-License-Identifier: MIT */
/* Reads what output_log.c has written; without a lock: a line is written at once. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/slug.h"
#include "run/output_log.h"

enum {
	FIRST_BITE = 64 << 10, /* enough for who follows, and for a screenful */
	READ_MAX = 128 << 20,
	DAY_S = 86400
};

/* Opens "<dir>/<id>.log", or with `old` what came before it; -1. */
static int
open_log(const char *dir, const char *id, bool old, struct stat *st)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s.log%s", dir, id, old ? ".1" : "");
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, st) != 0 || !S_ISREG(st->st_mode))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Appends at most the last `want` bytes; true if that is all of it. */
static bool
add_tail(int fd, off_t size, size_t want, struct dm_str *out)
{
	off_t at = size > (off_t)want ? size - (off_t)want : 0;
	bool whole = at == 0;
	char buffer[16384];

	while (at < size) {
		off_t left = size - at;
		size_t n = left < (off_t)sizeof(buffer) ? (size_t)left : sizeof(buffer);
		ssize_t got = pread(fd, buffer, n, at);

		if (got <= 0)
			break;
		(void)dm_str_add(out, buffer, (size_t)got);
		at += got;
	}
	return whole;
}

/* The last `want` bytes of both files together; *whole: there are no more. False: no log. */
static bool
read_ring(const char *dir, const char *id, size_t want, struct dm_str *out, bool *whole)
{
	struct stat now, old;
	DM_AUTO_CLOSE int fd = open_log(dir, id, false, &now);
	DM_AUTO_CLOSE int before = open_log(dir, id, true, &old);
	size_t have = fd < 0 ? 0 : (size_t)now.st_size;

	*whole = true;
	if (fd < 0 && before < 0)
		return false;
	if (before >= 0 && have < want)
		*whole = add_tail(before, old.st_size, want - have, out);
	else if (before >= 0)
		*whole = false;
	if (fd >= 0)
		*whole = add_tail(fd, now.st_size, want, out) && *whole;
	return true;
}

static bool
take_number(const char **p, const char *end, uint64_t *out)
{
	char digits[24];
	const char *blank = memchr(*p, ' ', (size_t)(end - *p));
	size_t n = blank == NULL ? 0 : (size_t)(blank - *p);

	if (n == 0 || n >= sizeof(digits))
		return false;
	memcpy(digits, *p, n);
	digits[n] = '\0';
	*p = blank + 1;
	return dm_parse_uint(digits, 0, INT64_MAX, out);
}

/* False: it is none, for instance the rest of one that was begun before what was read. */
static bool
parse_line(const char *p, const char *end, struct output_line *line)
{
	uint64_t time_ms;

	if (!take_number(&p, end, &line->number) || !take_number(&p, end, &time_ms) ||
	    end - p < 2 || p[1] != ' ')
		return false;
	switch (*p) {
	case OUTPUT_STDOUT:
		line->stream = OUTPUT_STDOUT;
		break;
	case OUTPUT_STDERR:
		line->stream = OUTPUT_STDERR;
		break;
	case OUTPUT_NOTE:
		line->stream = OUTPUT_NOTE;
		break;
	default:
		return false;
	}
	line->time_ms = (int64_t)time_ms;
	line->text = p + 2;
	line->len = (size_t)(end - line->text);
	return true;
}

/* What lines are wanted, and how many there are. */
struct selection {
	uint64_t after;
	int64_t since_ms;
	size_t count, skip;
	bool reached; /* one that is not wanted any more came first: reading more brings nothing */
	output_line_fn *fn;
	void *user;
};

/* Every whole line; the first one of a bite may have lost its beginning. */
static void
go_over(struct selection *s, const struct dm_str *text, bool tell)
{
	const char *p = text->data, *all = text->data + text->len, *newline;
	struct output_line line;
	size_t count = 0;

	for (; (newline = memchr(p, '\n', (size_t)(all - p))) != NULL; p = newline + 1) {
		if (!parse_line(p, newline, &line))
			continue;
		if (line.number <= s->after || line.time_ms < s->since_ms) {
			s->reached = true;
			continue;
		}
		if (tell && count >= s->skip)
			s->fn(s->user, &line);
		count++;
	}
	s->count = count;
}

bool
output_log_read(const char *dir, const char *id, uint64_t after, int64_t since_ms, size_t max,
    output_line_fn *fn, void *user, struct dm_err *err)
{
	struct selection s = {.after = after, .since_ms = since_ms, .fn = fn, .user = user};

	for (size_t want = FIRST_BITE;; want *= 8) {
		DM_AUTO_STR struct dm_str text = dm_str_make(READ_MAX);
		bool whole;

		if (!read_ring(dir, id, want, &text, &whole))
			return dm_fail(err, DM_NOT_FOUND, "no output of %s is kept", id);
		go_over(&s, &text, false);
		if (!whole && !s.reached && s.count < max && want < READ_MAX)
			continue;
		s.skip = s.count > max ? s.count - max : 0;
		go_over(&s, &text, true);
		return true;
	}
}

uint64_t
output_log_mark(const char *dir, const char *id)
{
	struct stat st;
	DM_AUTO_CLOSE int fd = open_log(dir, id, false, &st);

	return fd < 0 ? 0 : (uint64_t)st.st_ino << 40 ^ (uint64_t)st.st_size ^ 1;
}

/* The id, if it is the name of a log; with `old` also of what came before one, or of what devmeshd
 * was told. */
static bool
id_of(const char *name, bool old, char id[SLUG_MAX + 1])
{
	const char *end = old && dm_ends_with(name, ".log.1")	? ".log.1"
			  : old && dm_ends_with(name, ".start") ? ".start"
								: ".log";

	return dm_ends_with(name, end) &&
	       dm_snprintf(id, SLUG_MAX + 1, "%.*s", (int)(strlen(name) - strlen(end)), name) &&
	       slug_valid(id);
}

void
output_log_each(
    const char *dir, int64_t since_ms, void (*fn)(void *user, const char *id), void *user)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	char id[SLUG_MAX + 1];
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		/* by the second, as the file system may count */
		if (id_of(entry->d_name, false, id) &&
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && (int64_t)st.st_mtime >= since_ms / 1000 - 1)
			fn(user, id);
	}
	if (d != NULL)
		(void)closedir(d);
}

void
output_log_sweep(const char *dir, unsigned days)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	int64_t oldest = dm_wall_seconds() - (int64_t)days * DAY_S;
	char id[SLUG_MAX + 1];
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		if (id_of(entry->d_name, true, id) &&
		    fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && (int64_t)st.st_mtime < oldest)
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	}
	if (d != NULL)
		(void)closedir(d);
}
