/* SPDX-License-Identifier: MIT */
/*
 * What a tool tells its hooks on standard input: a JSON object. It is whatever the tool, or anyone,
 * wrote: bounded, parsed, and each member taken only if it has the form it must have.
 */
#ifndef DEVMESH_HOOK_INPUT_H
#define DEVMESH_HOOK_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HOOK_INPUT_MAX 1048576

/* NULL where there is nothing, or nothing usable. Owned: hook_input_release. */
struct hook_input {
	char *event;	/* hook_type or hook_event_name: [A-Za-z-], at most 64 */
	char *worktree; /* worktree_path, absolute */
	char *cwd;	/* absolute */
};

/* Nothing at all is no error, and leaves everything NULL; text that is no JSON object is. */
bool
hook_input_parse(const char *text, size_t len, struct hook_input *out, struct dm_err *err) DM_MUST;
void hook_input_release(struct hook_input *in);

/*
 * Reads and parses descriptor `fd`, for at most wait_ms: a tool may leave it open and say nothing.
 * A terminal is not read.
 */
bool hook_input_read(int fd, int64_t wait_ms, struct hook_input *out, struct dm_err *err) DM_MUST;

#endif
