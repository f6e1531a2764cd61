/* SPDX-License-Identifier: MIT */
/*
 * What a service writes, kept on disk, so that it can be read while it runs and afterwards: a ring
 * of two files, "<dir>/<id>.log" and, with what came before it, "<id>.log.1". One line each:
 *
 *     <number> <milliseconds since the epoch> <stream> <text as it was written>
 *
 * The numbers grow over restarts. The directory is the user's own, mode 0700, and so is what
 * services write; a line may hold any bytes but '\n'.
 */
#ifndef DEVMESH_OUTPUT_LOG_H
#define DEVMESH_OUTPUT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	OUTPUT_LINE_MAX = 8192 /* bytes; a longer one becomes several */
};

enum output_stream {
	OUTPUT_STDOUT = 'o',
	OUTPUT_STDERR = 'e',
	OUTPUT_NOTE = '-' /* of devmesh: it was started, it ended */
};

struct output_log;

/*
 * Makes the directory, mode 0700, if it is missing; both files together keep about `max_bytes`. The
 * caller owns the result. All calls may come from several threads.
 */
struct output_log *
output_log_open(const char *dir, const char *id, size_t max_bytes, struct dm_err *err) DM_MUST;
/* What has no newline yet is written as a line. NULL is nothing. */
void output_log_close(struct output_log *log);

/*
 * Adds what came by a stream; a line is written when it is complete, or too long. True if something
 * waits: for its newline, or for a second in which less comes than could be kept (of a flood only
 * the end is kept). A disk that is full loses lines, and says so once: whoever writes them is not
 * to suffer.
 */
bool
output_log_add(struct output_log *log, enum output_stream stream, const char *bytes, size_t len);
/* Writes what waits; what has no newline, as a line: a prompt, say. */
void output_log_flush(struct output_log *log, enum output_stream stream);
/* A line of devmesh's own. */
void output_log_note(struct output_log *log, const char *fmt, ...) DM_PRINTF(2, 3);

/* Nothing more is kept: the name is another one's now. NULL is nothing. */
void output_log_mute(struct output_log *log);

/* ---- reading ------------------------------------------------------------------------------ */

/* Borrowed during the call. */
struct output_line {
	uint64_t number;
	int64_t time_ms;
	enum output_stream stream;
	const char *text; /* may hold any bytes, also NUL */
	size_t len;
};

typedef void output_line_fn(void *user, const struct output_line *line);

/*
 * Calls fn, oldest first, for those of the last `max` lines that have a number above `after` and
 * are not older than `since_ms` (0: any). DM_NOT_FOUND if nothing is kept of this id.
 */
bool output_log_read(const char *dir, const char *id, uint64_t after, int64_t since_ms, size_t max,
    output_line_fn *fn, void *user, struct dm_err *err) DM_MUST;

/* Another value whenever something was added: to look whether reading is worth it. 0: no log. */
uint64_t output_log_mark(const char *dir, const char *id);

/* Calls fn for every id of which something is kept that was written since then, in no order. */
void output_log_each(
    const char *dir, int64_t since_ms, void (*fn)(void *user, const char *id), void *user);

/* Removes what has not been added to for so many days. */
void output_log_sweep(const char *dir, unsigned days);

#endif
