/* SPDX-License-Identifier: MIT */
/* Files: bounded reads, atomic writes, locks that die with their owner. */
#ifndef DEVMESH_FSIO_H
#define DEVMESH_FSIO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/*
 * Appends what can be read from fd to `out`, until end of file or until `out` is full; a full
 * `out` is not an error (out->overflow tells).
 */
bool dm_read_fd(int fd, struct dm_str *out, struct dm_err *err) DM_MUST;

/* Opens (following links, never blocking on a FIFO), reads as dm_read_fd, closes. */
bool dm_read_file(const char *path, struct dm_str *out, struct dm_err *err) DM_MUST;

/*
 * Appends the end of the file: what was written since it had `from` bytes, at most out->max of it.
 * One that has become shorter since then is read from its beginning.
 */
bool dm_read_tail(const char *path, int64_t from, struct dm_str *out, struct dm_err *err) DM_MUST;

/*
 * Descriptors 0 to 2 that are closed become /dev/null: else a socket or file that got such a number
 * would be written to.
 */
void dm_open_standard_fds(void);

/*
 * Whether `count` more descriptors can be had now. Without them nothing can be found out, and what
 * was not found proves nothing.
 */
bool dm_fds_left(unsigned count);

/* Whether it means that this process, or the system, had too little of something: it proves nothing
 * about what was looked at. */
bool dm_is_shortage(int errno_value);

bool dm_write_all(int fd, const void *data, size_t len) DM_MUST;

/*
 * Replaces the file: temporary file in the same directory, fsync, rename(2). Nothing is changed
 * on failure. Root leaves another user's file to that user.
 */
bool dm_write_file(
    const char *path, const void *data, size_t len, mode_t mode, struct dm_err *err) DM_MUST;

/* mkdir -p; directories that are made get `mode`. Existing ones are left as they are. */
bool dm_make_dirs(const char *path, mode_t mode, struct dm_err *err) DM_MUST;

/*
 * Removes a directory with what is in it, links not followed, and at most `depth` levels of
 * directories below it. What cannot be removed stays.
 */
void dm_remove_below(const char *path, int depth);

/*
 * Takes an exclusive flock(2) on `path` (created 0600 if missing; must be a regular file of ours)
 * and gives the descriptor: closing it, or dying, releases the lock. Gives up after `wait_ms`
 * milliseconds with DM_TIMEOUT.
 */
bool dm_lock(const char *path, int64_t wait_ms, int *fd, struct dm_err *err) DM_MUST;

#endif
