/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *
checked(void *p)
{
	if (p == NULL) {
		(void)fputs("devmesh: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
dm_calloc(size_t count, size_t size)
{
	return checked(calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *
dm_reallocarray(void *old, size_t count, size_t size)
{
	if (size != 0 && count > SIZE_MAX / size)
		(void)checked(NULL);
	return checked(realloc(old, count * size == 0 ? 1 : count * size));
}

char *
dm_strdup(const char *s)
{
	return s == NULL ? NULL : checked(strdup(s));
}

char *
dm_strndup(const char *s, size_t n)
{
	return checked(strndup(s, n));
}

char *
dm_asprintf(const char *fmt, ...)
{
	va_list ap, again;
	char *out;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	out = dm_calloc((size_t)(n < 0 ? 0 : n) + 1, 1);
	if (n > 0)
		(void)vsnprintf(out, (size_t)n + 1, fmt, again);
	va_end(again);
	return out;
}

void
dm_freep(void *p)
{
	void *owned;

	memcpy(&owned, p, sizeof(owned));
	free(owned);
}

void
dm_closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

void *
dm_steal_pointer(void *pp)
{
	void *owned, *none = NULL;

	memcpy(&owned, pp, sizeof(owned));
	memcpy(pp, &none, sizeof(none));
	return owned;
}
