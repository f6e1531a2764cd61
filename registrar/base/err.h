/* SPDX-License-Identifier: MIT */
/*
 * Errors: a code, a message and a hint, in a struct on the caller's stack.
 *
 * A fallible function returns bool (or a pointer) and takes `struct dm_err *err` last. Success
 * leaves *err alone; failure fills it. On the way up each layer may say what it was attempting
 * with dm_wrap(). Only main() prints. Nothing here allocates, so nothing has to be freed.
 */
#ifndef DEVMESH_ERR_H
#define DEVMESH_ERR_H

#include <stdbool.h>

#define DM_MUST		__attribute__((warn_unused_result))
#define DM_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* What kind of failure. The number is the exit status of `devmesh`, listed in devmesh(1). */
enum dm_code {
	DM_OK = 0,
	DM_FAILED = 1,	    /* anything without a better word */
	DM_USAGE = 2,	    /* the command line or the configuration is wrong */
	DM_NOT_FOUND = 3,   /* no such name, directory or route */
	DM_CONFLICT = 4,    /* somebody else holds it */
	DM_UNREACHABLE = 5, /* Caddy, the daemon or a peer does not answer at all */
	DM_DENIED = 6,	    /* permissions, or refused for safety */
	DM_TIMEOUT = 7,	    /* it accepted the question but did not answer in time */
};

struct dm_err {
	enum dm_code code;
	int sys;	/* the errno value behind it; 0: none */
	char msg[768];	/* what was attempted, on what, and why it failed */
	char hint[384]; /* what to try; may be empty */
	bool lines;	/* the hint is a text of ours in several lines: dm_hint_lines */
};

/* Sets code and message, and clears the hint. Always returns false. */
bool dm_fail(struct dm_err *err, enum dm_code code, const char *fmt, ...) DM_PRINTF(3, 4);

/* As dm_fail, with ": <strerror(errno_value)>" appended; EACCES and EPERM become DM_DENIED. */
bool dm_fail_errno(struct dm_err *err, int errno_value, const char *fmt, ...) DM_PRINTF(3, 4);

/* Puts "<text>: " in front of the message; keeps code and hint. Always returns false. */
bool dm_wrap(struct dm_err *err, const char *fmt, ...) DM_PRINTF(2, 3);

/* Sets the hint of a failure already recorded. Always returns false. */
bool dm_hint(struct dm_err *err, const char *fmt, ...) DM_PRINTF(2, 3);

/*
 * The same with a text in several lines, to be shown as such. Whatever comes from outside must
 * have been freed of control characters: in other hints a newline is made visible.
 */
bool dm_hint_lines(struct dm_err *err, const char *fmt, ...) DM_PRINTF(2, 3);

/* The code's word in JSON output: "not_found", "conflict", ... Static storage. */
const char *dm_code_name(enum dm_code code);

#endif
