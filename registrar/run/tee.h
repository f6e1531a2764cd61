/* SPDX-License-Identifier: MIT */
/*
 * What a command writes, passed on to where it would have gone, and kept (output_log.h). Where that
 * is a terminal the command gets one as well, a pseudo-terminal (pty(7)) of the same size: so it
 * writes colours, and as often. Its input, its controlling terminal and its keys stay as they are.
 *
 * What is passed on is not touched. Nothing here blocks the caller: each stream has a thread, and
 * when nobody takes what it passes on (Ctrl-S, a full pipe), the command waits, as it would have.
 */
#ifndef DEVMESH_TEE_H
#define DEVMESH_TEE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "run/output_log.h"

struct tee;

enum tee_way {
	TEE_STREAMS,	      /* to our own streams */
	TEE_STDOUT_TO_STDERR, /* both to our stderr */
	TEE_KEEP, /* to nobody: it is only kept. The command has a terminal for each stream, so that
		     it writes at once, and in colours */
};

/* Makes the ends for the command; the log is borrowed. The caller owns the result. */
struct tee *tee_open(struct output_log *log, enum tee_way way, struct dm_err *err) DM_MUST;

/* For the command to have as its own; ours are closed by tee_begin(). */
int tee_stdout(const struct tee *tee);
int tee_stderr(const struct tee *tee);

/* The command has been started, or could not be: begins to pass on. Not before fork(2). */
bool tee_begin(struct tee *tee, struct dm_err *err) DM_MUST;

/* Whether the command has a terminal instead of ours. */
bool tee_has_terminal(const struct tee *tee);
/* Our terminal may have another size by now: true if it has, and the command is to hear of it. */
bool tee_resize(struct tee *tee);

/*
 * Passes on what is still there, for at most so many milliseconds, and ends: a process that has
 * outlived the command finds nobody to write to. False: a terminal that takes nothing holds it up,
 * and it needs itself and its log until this process ends. NULL is nothing.
 */
bool tee_end(struct tee *tee, int64_t wait_ms);

#endif
