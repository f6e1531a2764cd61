/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"

static enum dm_level current = DM_LOG_NOTE;
static const char *program = "devmesh";
static bool timed;
static void (*also)(void *user, const char *line);
static void *also_user;

void
dm_log_level(enum dm_level level)
{
	current = level;
}

void
dm_log_program(const char *name, bool with_time)
{
	program = name;
	timed = with_time;
}

void
dm_log_also(void (*fn)(void *user, const char *line), void *user)
{
	also = fn;
	also_user = user;
}

/* One write for the whole line, so that lines of parallel processes do not mix. */
static void
emit(const char *prefix, const char *text)
{
	DM_AUTO_FREE char *shown = dm_printable(text);
	DM_AUTO_FREE char *line = NULL;
	char when[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	/* ISO 8601, local time with its offset from UTC */
	if (timed && localtime_r(&now, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S%z ", &tm);
	line = dm_asprintf("%s%s%s%s\n", when, program, prefix, shown);

	(void)fwrite(line, 1, strlen(line), stderr);
}

static void
say(enum dm_level level, const char *prefix, const char *fmt, va_list ap) DM_PRINTF(3, 0);

static void
say(enum dm_level level, const char *prefix, const char *fmt, va_list ap)
{
	char text[1600];

	if (current < level)
		return;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	emit(prefix, text);
	if (also != NULL && level == DM_LOG_NOTE) {
		DM_AUTO_FREE char *shown = dm_printable(text);
		DM_AUTO_FREE char *line = dm_asprintf("%s%s", prefix + strlen(": "), shown);

		also(also_user, line);
	}
}

void
dm_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(DM_LOG_NOTE, ": warning: ", fmt, ap);
	va_end(ap);
}

void
dm_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(DM_LOG_NOTE, ": ", fmt, ap);
	va_end(ap);
}

void
dm_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(DM_LOG_DEBUG, ": debug: ", fmt, ap);
	va_end(ap);
}

void
dm_print_error(const struct dm_err *err)
{
	emit(": error: ", err->msg);
	if (err->hint[0] != '\0' && !err->lines) {
		DM_AUTO_FREE char *hint = dm_printable(err->hint);

		(void)fprintf(stderr, "  try: %s\n", hint);
	}
	if (err->lines) {
		DM_AUTO_FREE char *text = dm_printable_lines(err->hint);

		(void)fprintf(stderr, "  try: %s%s", text, dm_ends_with(text, "\n") ? "" : "\n");
	}
}
