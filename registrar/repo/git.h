/* SPDX-License-Identifier: MIT */
/* The git program, for what its documented files do not say. */
#ifndef DEVMESH_GIT_H
#define DEVMESH_GIT_H

#include <stdint.h>

#include "base/err.h"

/* Long enough for anything but a hung file system. */
#define GIT_TIMEOUT_MS 10000

/*
 * Runs git in `dir` with at most 8 arguments (NULL-terminated), without the GIT_* variables of the
 * environment: the directory decides. On any exit code *out is its stdout without the last
 * newline, and *errout (may be NULL) the beginning of its stderr; the caller owns both. DM_TIMEOUT
 * when it takes longer.
 */
bool git_run(const char *dir, const char *const args[], int64_t timeout_ms, char **out,
    char **errout, int *status, struct dm_err *err) DM_MUST;

/* The same for one line of output: NULL if git fails or says nothing. The caller owns it. */
char *git_line(const char *dir, const char *const args[]);

#endif
