/* SPDX-License-Identifier: MIT */
#include "access_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

#define SUFFIX ".log"

enum {
	CHUNK = 32 << 10
};

struct access_log {
	char *path;
	access_log_fn *fn;
	void *user;
	int fd; /* -1: there is no file */
	dev_t dev;
	ino_t ino;
	off_t at;
	bool skipping;	    /* up to the next newline */
	struct dm_str line; /* the beginning of one whose end is not written yet */
};

struct access_log *
access_log_new(const char *path, access_log_fn *fn, void *user)
{
	struct access_log *log = dm_calloc(1, sizeof(*log));

	log->path = dm_strdup(path);
	log->fn = fn;
	log->user = user;
	log->fd = -1;
	dm_str_init(&log->line, ACCESS_LOG_LINE_MAX);
	return log;
}

void
access_log_free(struct access_log *log)
{
	if (log == NULL)
		return;
	dm_closep(&log->fd);
	dm_str_release(&log->line);
	free(log->path);
	free(log);
}

bool
access_log_is_there(const struct access_log *log)
{
	return log->fd >= 0;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Its descriptor; -1: there is none, or it is not to be trusted. */
static int
open_file(const char *path, struct stat *st)
{
	/* without O_NONBLOCK the open of a FIFO would wait for a writer */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) &&
	    (st->st_uid == geteuid() || st->st_uid == 0))
		return fd;
	(void)close(fd);
	return -1;
}

static void
begin_line(struct access_log *log, bool skip)
{
	log->skipping = skip;
	log->line.len = 0;
	log->line.overflow = false;
}

/* Goes on with another file, from `from` on; it takes the descriptor. */
static void
begin(struct access_log *log, int fd, const struct stat *st, off_t from)
{
	dm_closep(&log->fd);
	log->fd = fd;
	log->dev = st->st_dev;
	log->ino = st->st_ino;
	log->at = from;
	/* the first line is whole only at the beginning of a file */
	begin_line(log, from > 0);
}

/* The newest file that this one was rolled to; NULL: none. The caller owns it. */
static char *
rolled(const char *path)
{
	DM_AUTO_FREE char *dir_path = dm_path_dir(path), *base = dm_path_base(path);
	DM_AUTO_FREE char *newest = NULL, *prefix = NULL;
	const struct dirent *entry;
	DIR *dir;

	if (!dm_ends_with(base, SUFFIX) || (dir = opendir(dir_path)) == NULL)
		return NULL;
	base[strlen(base) - strlen(SUFFIX)] = '\0';
	prefix = dm_asprintf("%s-", base);
	/* what follows is the time, in an order that can be compared */
	while ((entry = readdir(dir)) != NULL) {
		if (!dm_starts_with(entry->d_name, prefix) ||
		    !dm_ends_with(entry->d_name, SUFFIX) ||
		    (newest != NULL && strcmp(entry->d_name, newest) < 0))
			continue;
		free(newest);
		newest = dm_strdup(entry->d_name);
	}
	(void)closedir(dir);
	return newest == NULL ? NULL : dm_asprintf("%s/%s", dir_path, newest);
}

/* Where the last `bytes` of a file of this size begin. */
static off_t
tail_of(off_t size, off_t bytes)
{
	return size > bytes ? size - bytes : 0;
}

static void
open_first(struct access_log *log)
{
	DM_AUTO_FREE char *before = NULL;
	struct stat st, old;
	int fd = open_file(log->path, &st), old_fd;

	if (fd < 0)
		return;
	begin(log, fd, &st, tail_of(st.st_size, ACCESS_LOG_TAIL));
	if (st.st_size >= ACCESS_LOG_TAIL || (before = rolled(log->path)) == NULL ||
	    (old_fd = open_file(before, &old)) < 0)
		return;
	/* the file itself has its turn when this one is at its end */
	begin(log, old_fd, &old, tail_of(old.st_size, ACCESS_LOG_TAIL - st.st_size));
}

/* At the end of what can be read: is there another file by now? */
static bool
another(struct access_log *log)
{
	struct stat st;
	int fd;

	if (lstat(log->path, &st) != 0) {
		/* it was removed; or is just being rolled, and the old one may still grow */
		if (errno == ENOENT && fstat(log->fd, &st) == 0 && st.st_nlink == 0) {
			dm_closep(&log->fd);
			log->fd = -1;
		}
		return false;
	}
	if (st.st_dev == log->dev && st.st_ino == log->ino)
		return false;
	if ((fd = open_file(log->path, &st)) < 0)
		return false;
	begin(log, fd, &st, 0);
	return true;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void
take(struct access_log *log, const char *text, size_t len)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end == NULL ? len : (size_t)(end - text);

		if (!log->skipping && !dm_str_add(&log->line, text, n))
			log->skipping = true;
		if (end == NULL)
			break;
		if (!log->skipping && log->line.len > 0)
			log->fn(log->user, log->line.data, log->line.len);
		begin_line(log, false);
		text += n + 1;
		len -= n + 1;
	}
}

/* Reads up to `max` bytes; how many there were. */
static size_t
read_some(struct access_log *log, size_t max)
{
	char chunk[CHUNK];
	size_t total = 0;

	while (total < max) {
		ssize_t n = pread(log->fd, chunk, sizeof(chunk), log->at);

		if (n <= 0)
			break;
		log->at += n;
		total += (size_t)n;
		take(log, chunk, (size_t)n);
	}
	return total;
}

bool
access_log_look(struct access_log *log)
{
	struct stat st;
	bool replaced;

	if (log->fd < 0)
		open_first(log);
	if (log->fd < 0)
		return false;
	/* before what is read: nothing is written to the old one any more when another is there */
	replaced = lstat(log->path, &st) != 0 || st.st_dev != log->dev || st.st_ino != log->ino;
	if (fstat(log->fd, &st) == 0 && st.st_size < log->at) {
		log->at = 0;
		begin_line(log, false);
	}
	if (read_some(log, ACCESS_LOG_BITE) >= ACCESS_LOG_BITE)
		return true;
	return replaced && another(log);
}
