/* SPDX-License-Identifier: MIT */
/*
 * What is said to a person, on stderr. stdout is for answers only.
 *
 * Everything goes through dm_printable(): a hostile branch or file name cannot drive a terminal.
 * The verbosity, the name in front and who else is told are the only mutable globals of the
 * project.
 */
#ifndef DEVMESH_LOG_H
#define DEVMESH_LOG_H

#include <stdbool.h>

#include "base/err.h"

enum dm_level {
	DM_LOG_QUIET, /* errors only */
	DM_LOG_NOTE,  /* the default */
	DM_LOG_DEBUG, /* -v */
};

void dm_log_level(enum dm_level level);

/*
 * What stands in front of every line instead of "devmesh" (static), and whether the time does: for
 * a program whose lines are kept.
 */
void dm_log_program(const char *name, bool with_time);

/*
 * Also tells `fn` whatever dm_warn() and dm_note() say from now on, as it is shown, without the
 * name in front; fn NULL: no more.
 */
void dm_log_also(void (*fn)(void *user, const char *line), void *user);

/* "devmesh: warning: ..." unless quiet. */
void dm_warn(const char *fmt, ...) DM_PRINTF(1, 2);
/* "devmesh: ..." unless quiet. */
void dm_note(const char *fmt, ...) DM_PRINTF(1, 2);
/* "devmesh: debug: ..." with -v. */
void dm_debug(const char *fmt, ...) DM_PRINTF(1, 2);
/* "devmesh: error: <msg>" and, on its own line, "  try: <hint>". Always printed. */
void dm_print_error(const struct dm_err *err);

#endif
