/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool
dm_fail(struct dm_err *err, enum dm_code code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	err->sys = 0;
	err->hint[0] = '\0';
	err->lines = false;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	return false;
}

bool
dm_fail_errno(struct dm_err *err, int errno_value, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	err->code = errno_value == EACCES || errno_value == EPERM ? DM_DENIED : DM_FAILED;
	err->sys = errno_value;
	err->hint[0] = '\0';
	err->lines = false;
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", strerror(errno_value));
	return false;
}

bool
dm_wrap(struct dm_err *err, const char *fmt, ...)
{
	char old[sizeof(err->msg)];
	va_list ap;
	size_t n;

	memcpy(old, err->msg, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", old);
	return false;
}

bool
dm_hint(struct dm_err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	err->lines = false;
	return false;
}

bool
dm_hint_lines(struct dm_err *err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
	err->lines = true;
	return false;
}

const char *
dm_code_name(enum dm_code code)
{
	switch (code) {
	case DM_OK:
		return "ok";
	case DM_FAILED:
		return "failed";
	case DM_USAGE:
		return "usage";
	case DM_NOT_FOUND:
		return "not_found";
	case DM_CONFLICT:
		return "conflict";
	case DM_UNREACHABLE:
		return "unreachable";
	case DM_DENIED:
		return "denied";
	case DM_TIMEOUT:
		return "timeout";
	}
	return "failed";
}
