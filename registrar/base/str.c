/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
dm_str_init(struct dm_str *s, size_t max)
{
	s->data = dm_calloc(1, 1);
	s->len = 0;
	s->cap = 1;
	s->max = max;
	s->overflow = false;
}

struct dm_str
dm_str_make(size_t max)
{
	struct dm_str s;

	dm_str_init(&s, max);
	return s;
}

void
dm_str_release(struct dm_str *s)
{
	free(s->data);
	s->data = NULL;
	s->len = s->cap = 0;
}

static bool
reserve(struct dm_str *s, size_t extra)
{
	size_t cap;

	if (extra > s->max - s->len) {
		s->overflow = true;
		return false;
	}
	if (s->len + extra < s->cap)
		return true;
	cap = s->cap < 64 ? 64 : s->cap;
	while (cap <= s->len + extra)
		cap *= 2;
	s->data = dm_reallocarray(s->data, cap, 1);
	s->cap = cap;
	return true;
}

bool
dm_str_add(struct dm_str *s, const void *bytes, size_t n)
{
	if (!reserve(s, n))
		return false;
	memcpy(s->data + s->len, bytes, n);
	s->len += n;
	s->data[s->len] = '\0';
	return true;
}

bool
dm_str_addf(struct dm_str *s, const char *fmt, ...)
{
	va_list ap, again;
	bool ok = false;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n >= 0 && reserve(s, (size_t)n)) {
		(void)vsnprintf(s->data + s->len, (size_t)n + 1, fmt, again);
		s->len += (size_t)n;
		ok = true;
	}
	va_end(again);
	return ok;
}

char *
dm_str_take(struct dm_str *s)
{
	char *data = s->data;
	size_t max = s->max;

	dm_str_init(s, max);
	return data;
}

bool
dm_snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n >= 0 && (size_t)n < size;
}

bool
dm_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		uint64_t digit;

		if (*s < '0' || *s > '9')
			return false;
		digit = (uint64_t)(*s - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool
dm_has_control(const char *s)
{
	for (; *s != '\0'; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	}
	return false;
}

/* Length of the UTF-8 character at `s` that may be shown; 0 if there is none. */
static size_t
printable_length(const unsigned char *s)
{
	/* by the first byte: 0 is a continuation byte, an overlong form, or beyond U+10FFFF */
	size_t n = 1;

	if (s[0] >= 0x80)
		n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	if (n == 1)
		return s[0] < 0x20 || s[0] == 0x7f ? 0 : 1;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	/* C1 controls; more overlong forms; surrogates; beyond U+10FFFF */
	if ((s[0] == 0xc2 && s[1] < 0xa0) || (s[0] == 0xe0 && s[1] < 0xa0) ||
	    (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return n;
}

char *
dm_printable(const char *s)
{
	char *out = dm_calloc(3 * strlen(s) + 1, 1), *to = out;
	size_t n;

	for (; *s != '\0'; s += n == 0 ? 1 : n) {
		n = printable_length((const unsigned char *)s);
		memcpy(to, n == 0 ? "\xef\xbf\xbd" : s, n == 0 ? 3 : n);
		to += n == 0 ? 3 : n;
	}
	return out;
}

bool
dm_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
dm_starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
dm_ends_with(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* Length of `path` without trailing slashes; "/" counts as 0. */
static size_t
trimmed(const char *path)
{
	size_t n = strlen(path);

	while (n > 0 && path[n - 1] == '/')
		n--;
	return n;
}

char *
dm_path_base(const char *path)
{
	size_t end = trimmed(path), start = end;

	while (start > 0 && path[start - 1] != '/')
		start--;
	return dm_strndup(path + start, end - start);
}

bool
dm_path_inside(const char *dir, const char *path)
{
	size_t n = strlen(dir);

	while (n > 0 && dir[n - 1] == '/')
		n--;
	return strncmp(dir, path, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

char *
dm_path_dir(const char *path)
{
	size_t end = trimmed(path);

	while (end > 0 && path[end - 1] != '/')
		end--;
	while (end > 1 && path[end - 1] == '/')
		end--;
	if (end == 0)
		return dm_strdup(path[0] == '/' ? "/" : ".");
	return dm_strndup(path, end);
}

unsigned
dm_edit_distance(const char *a, const char *b)
{
	enum {
		MAX = 64
	};
	unsigned row[3][MAX];
	size_t n = strlen(a), m = strlen(b);

	if (n >= MAX || m >= MAX)
		return UINT_MAX;
	for (size_t j = 0; j <= m; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *cur = row[i % 3];
		const unsigned *prev = row[(i - 1) % 3];

		cur[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned best = prev[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);

			if (prev[j] + 1 < best)
				best = prev[j] + 1;
			if (cur[j - 1] + 1 < best)
				best = cur[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    row[(i - 2) % 3][j - 2] + 1 < best)
				best = row[(i - 2) % 3][j - 2] + 1;
			cur[j] = best;
		}
	}
	return row[n % 3][m];
}

char *
dm_printable_lines(const char *s)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(12 * strlen(s) + 1);

	while (*s != '\0') {
		size_t n = strcspn(s, "\t\n");
		DM_AUTO_FREE char *part = dm_strndup(s, n), *shown = dm_printable(part);

		(void)dm_str_addf(&out, "%s%s", shown,
		    s[n] == '\t'   ? "    "
		    : s[n] == '\n' ? "\n"
				   : "");
		s += n + (s[n] != '\0' ? 1 : 0);
	}
	return dm_str_take(&out);
}

char *
dm_shell_word(const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_@%+=:,./-";
	char *out, *to;

	if (s[0] != '\0' && s[strspn(s, plain)] == '\0')
		return dm_strdup(s);
	out = to = dm_calloc(4 * strlen(s) + 3, 1);
	*to++ = '\'';
	for (; *s != '\0'; s++) {
		size_t n = *s == '\'' ? 4 : 1;

		memcpy(to, *s == '\'' ? "'\\''" : s, n);
		to += n;
	}
	*to = '\'';
	return out;
}
