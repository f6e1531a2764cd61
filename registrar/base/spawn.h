/* SPDX-License-Identifier: MIT */
/* Other programs: always an argument vector, never a shell line. */
#ifndef DEVMESH_SPAWN_H
#define DEVMESH_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/*
 * Runs argv[0] (searched in PATH) and waits for it. Its stdout goes to `out` and its stderr to
 * `errout`, each up to its maximum; stdin is /dev/null. Environment variables whose names begin
 * with `drop_env` (NULL: none) are not passed on. *status is its exit code, 128 + n after
 * signal n. A program that runs longer than timeout_ms is killed: DM_TIMEOUT. A missing program
 * is DM_NOT_FOUND.
 */
bool dm_run(const char *const argv[], const char *drop_env, int64_t timeout_ms, struct dm_str *out,
    struct dm_str *errout, int *status, struct dm_err *err) DM_MUST;

/* The same with at most 4096 bytes for its stdin: a secret is not to be among the arguments. */
bool dm_run_with_input(const char *const argv[], const char *input, int64_t timeout_ms,
    struct dm_str *out, struct dm_str *errout, int *status, struct dm_err *err) DM_MUST;

/*
 * Starts argv[0] in a session of its own, working directory "/", stdin /dev/null, stdout and
 * stderr appended to log_path (made 0600). *pid is a direct child: dm_child_ended() tells if it
 * has ended since.
 */
bool dm_start_background(
    const char *const argv[], const char *log_path, pid_t *pid, struct dm_err *err) DM_MUST;

/* The same with an environment and a working directory of its own. Borrowed. */
struct dm_background {
	const char *const *argv;
	char *const *env; /* "NAME=value", NULL-terminated: all of it */
	const char *dir;
	const char *log_path;
};
bool
dm_start_background_in(const struct dm_background *request, pid_t *pid, struct dm_err *err) DM_MUST;

/*
 * A function of ours that is called in a child, since it waits as long as it likes. It makes the
 * answer out of its argument, which is `size` bytes without pointers to anything new; no more than
 * one write to a pipe keeps together (PIPE_BUF).
 */
struct dm_child_call {
	pid_t pid;
	int fd;
};
bool dm_child_call_begin(struct dm_child_call *call, void (*fn)(void *arg), void *arg, size_t size,
    struct dm_err *err) DM_MUST;
/*
 * Waits at most that long for the answer, which is written over `arg`, and ends the child. Else
 * `arg` is as it was: DM_TIMEOUT, or DM_FAILED if the child has ended without one.
 */
bool dm_child_call_end(struct dm_child_call *call, void *arg, size_t size, int64_t timeout_ms,
    struct dm_err *err) DM_MUST;

/* Closes every descriptor above stderr but `keep` (-1: none), in a child about to go its own way.
 */
void dm_close_others(int keep);

/* What waitpid(2) has said, as a shell has it: the exit code, or 128 + n after signal n. */
int dm_exit_status(int wstatus);

/* Whether our child has ended (it is reaped then); *status as in dm_run. */
bool dm_child_ended(pid_t pid, int *status);

#endif
