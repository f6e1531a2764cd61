/* SPDX-License-Identifier: MIT */
/* The writer; reading is output_read.c. */
#include "run/output_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	HEAD_MAX = 64, /* number, time and stream */
	BATCH = 16384, /* more than a line: short ones are written many at once */
	STREAMS = 2,
	SECOND_MS = 1000
};

struct pending {
	char text[OUTPUT_LINE_MAX]; /* what has no newline yet */
	size_t len;
	/* What came after it, faster than is written: a quarter of the ring. NULL: nothing ever
	 * did. */
	char *late;
	size_t late_len;
	uint64_t lost; /* bytes, before `late` */
};

struct output_log {
	pthread_mutex_t lock;
	char *path, *old;
	int fd;
	size_t size, max;
	char batch[BATCH]; /* lines on their way into the file; empty while the lock is free */
	size_t batch_len;
	uint64_t number; /* of the last line */
	bool told;	 /* that lines are lost */
	int failure;	 /* errno of what is to be told, when the lock is free; 0: nothing */
	bool cut;	 /* the last one may have been written in part */
	/* A flood (a gigabyte in a second) is not written to the disk: its end is. */
	int64_t second; /* in which `written` bytes were added to the file */
	size_t written;
	struct pending pending[STREAMS];
};

static bool
open_file(struct output_log *log, struct dm_err *err)
{
	struct stat st;

	log->fd = open(
	    log->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (log->fd < 0)
		return dm_fail_errno(err, errno, "opening %s", log->path);
	if (fstat(log->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return dm_fail(err, DM_FAILED, "opening %s: it is no file", log->path);
	log->size = (size_t)st.st_size;
	return true;
}

static void
note_number(void *user, const struct output_line *line)
{
	struct output_log *log = user;

	log->number = line->number;
}

/* A line that was cut by a full disk, or a power cut, must not take the next one along. */
static void
note_cut_line(struct output_log *log)
{
	DM_AUTO_CLOSE int fd = open(log->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char last;

	log->cut = fd >= 0 && log->size > 0 && pread(fd, &last, 1, (off_t)log->size - 1) == 1 &&
		   last != '\n';
}

struct output_log *
output_log_open(const char *dir, const char *id, size_t max_bytes, struct dm_err *err)
{
	struct output_log *log = dm_calloc(1, sizeof(*log));
	struct dm_err ignored;

	(void)pthread_mutex_init(&log->lock, NULL);
	log->fd = -1;
	log->max = max_bytes;
	log->path = dm_asprintf("%s/%s.log", dir, id);
	log->old = dm_asprintf("%s.1", log->path);
	if (!dm_make_dirs(dir, 0700, err) || !open_file(log, err)) {
		output_log_close(log);
		return NULL;
	}
	/* none is kept yet, most likely */
	if (!output_log_read(dir, id, 0, 0, 1, note_number, log, &ignored))
		dm_debug("%s", ignored.msg);
	note_cut_line(log);
	if (log->cut)
		log->number++;
	return log;
}

static void
write_batch(struct output_log *log)
{
	if (log->batch_len > 0 && !dm_write_all(log->fd, log->batch, log->batch_len)) {
		if (!log->told)
			log->failure = errno;
		log->told = log->cut = true;
		log->size -= log->batch_len;
	}
	log->batch_len = 0;
}

static void
add_to_batch(struct output_log *log, const char *bytes, size_t len)
{
	memcpy(log->batch + log->batch_len, bytes, len);
	log->batch_len += len;
	log->size += len;
	log->written += len;
}

/* Begins another file when this one is full. */
static void
roll(struct output_log *log)
{
	struct dm_err err;

	if (log->size < log->max / 2)
		return;
	write_batch(log);
	if (rename(log->path, log->old) != 0)
		return;
	(void)close(log->fd);
	if (!open_file(log, &err) && !log->told) {
		log->failure = err.sys != 0 ? err.sys : EIO;
		log->told = true;
	}
}

static void
write_line(struct output_log *log, enum output_stream stream, const char *text, size_t len)
{
	char head[HEAD_MAX];
	struct timespec now;
	int n;

	if (log->fd < 0)
		return;
	roll(log);
	if (log->fd < 0)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	n = snprintf(head, sizeof(head), "%llu %lld %c ", (unsigned long long)++log->number,
	    (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000, (char)stream);
	/* with the newlines of a line that was cut, and of this one */
	if (log->batch_len + (size_t)n + len + 2 > BATCH)
		write_batch(log);
	if (log->cut)
		add_to_batch(log, "\n", 1);
	log->cut = false;
	add_to_batch(log, head, (size_t)n);
	add_to_batch(log, text, len);
	add_to_batch(log, "\n", 1);
}

/* To say it under the lock would be to wait for ourselves: what is said is kept here, too. */
static void
unlock(struct output_log *log)
{
	int failure;

	write_batch(log);
	failure = log->failure;
	log->failure = 0;
	(void)pthread_mutex_unlock(&log->lock);
	if (failure != 0)
		dm_warn(
		    "writing %s: %s; lines of its output are lost", log->path, strerror(failure));
}

static struct pending *
pending_of(struct output_log *log, enum output_stream stream)
{
	return &log->pending[stream == OUTPUT_STDERR ? 1 : 0];
}

static void
write_pending(struct output_log *log, enum output_stream stream)
{
	struct pending *p = pending_of(log, stream);
	size_t len = p->len;

	if (len > 0 && p->text[len - 1] == '\r')
		len--;
	write_line(log, stream, p->text, len);
	p->len = 0;
}

static void
take_lines(struct output_log *log, enum output_stream stream, const char *bytes, size_t len)
{
	struct pending *p = pending_of(log, stream);
	const char *end = bytes + len;

	while (bytes < end) {
		const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
		size_t n = (size_t)((newline == NULL ? end : newline) - bytes);

		if (n > OUTPUT_LINE_MAX - p->len)
			n = OUTPUT_LINE_MAX - p->len;
		memcpy(p->text + p->len, bytes, n);
		p->len += n;
		bytes += n;
		if (bytes == newline || p->len == OUTPUT_LINE_MAX)
			write_pending(log, stream);
		if (bytes == newline)
			bytes++;
	}
}

/* Keeps the end of what comes too fast. */
static void
take_late(const struct output_log *log, struct pending *p, const char *bytes, size_t len)
{
	size_t half = log->max / 8;

	if (p->late == NULL)
		p->late = dm_calloc(2, half);
	while (len > 0) {
		size_t n = len < 2 * half - p->late_len ? len : 2 * half - p->late_len;

		if (n == 0) {
			p->late_len = half;
			p->lost += half;
			memmove(p->late, p->late + half, half);
			continue;
		}
		memcpy(p->late + p->late_len, bytes, n);
		p->late_len += n;
		bytes += n;
		len -= n;
	}
}

static void
write_late(struct output_log *log, enum output_stream stream)
{
	struct pending *p = pending_of(log, stream);
	char text[96];
	size_t len = p->late_len;

	if (p->lost > 0) {
		(void)snprintf(text, sizeof(text), "%llu bytes came too fast to be kept",
		    (unsigned long long)p->lost);
		write_line(log, OUTPUT_NOTE, text, strlen(text));
	}
	p->lost = 0;
	p->late_len = 0;
	if (len > 0)
		take_lines(log, stream, p->late, len);
}

/* Whether this second has taken no more than all that is kept. */
static bool
has_time(struct output_log *log, size_t len)
{
	int64_t second = dm_now_ms() / SECOND_MS;

	if (second != log->second) {
		log->second = second;
		log->written = 0;
	}
	return log->written + len <= log->max;
}

bool
output_log_add(struct output_log *log, enum output_stream stream, const char *bytes, size_t len)
{
	struct pending *p = pending_of(log, stream);
	bool waits;

	(void)pthread_mutex_lock(&log->lock);
	if (has_time(log, len)) {
		write_late(log, stream);
		take_lines(log, stream, bytes, len);
	} else {
		take_late(log, p, bytes, len);
	}
	waits = p->len > 0 || p->late_len > 0;
	unlock(log);
	return waits;
}

void
output_log_flush(struct output_log *log, enum output_stream stream)
{
	(void)pthread_mutex_lock(&log->lock);
	write_late(log, stream);
	if (pending_of(log, stream)->len > 0)
		write_pending(log, stream);
	unlock(log);
}

void
output_log_note(struct output_log *log, const char *fmt, ...)
{
	char text[OUTPUT_LINE_MAX];
	va_list args;
	int n;

	if (log == NULL)
		return;
	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *p = text; (p = strchr(p, '\n')) != NULL;)
		*p = ' ';
	(void)pthread_mutex_lock(&log->lock);
	if (n > 0)
		write_line(log, OUTPUT_NOTE, text, strlen(text));
	unlock(log);
}

void
output_log_mute(struct output_log *log)
{
	if (log == NULL)
		return;
	(void)pthread_mutex_lock(&log->lock);
	if (log->fd >= 0)
		(void)close(log->fd);
	log->fd = -1;
	unlock(log);
}

void
output_log_close(struct output_log *log)
{
	if (log == NULL)
		return;
	output_log_flush(log, OUTPUT_STDOUT);
	output_log_flush(log, OUTPUT_STDERR);
	if (log->fd >= 0)
		(void)close(log->fd);
	for (size_t s = 0; s < STREAMS; s++)
		free(log->pending[s].late);
	(void)pthread_mutex_destroy(&log->lock);
	free(log->path);
	free(log->old);
	free(log);
}
