/* SPDX-License-Identifier: MIT */
#include "edit/block.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	TEXT_MAX = 1 << 22
};

#define MADE " (made this file)"

static bool
has_crlf(const char *text)
{
	const char *nl = strchr(text, '\n');

	return nl != NULL && nl > text && nl[-1] == '\r';
}

/* The block's text, ended by a newline; the caller owns it. */
static char *
compose(const char *tool, const char *body, bool made, bool crlf)
{
	DM_AUTO_FREE char *plain =
	    dm_asprintf("# >>> devmesh init %s%s >>>\n%s# <<< devmesh init %s <<<\n", tool,
		made ? MADE : "", body, tool);
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);

	if (!crlf)
		return dm_steal_pointer(&plain);
	for (const char *p = plain; *p != '\0'; p++) {
		if (*p == '\n')
			(void)dm_str_add(&out, "\r", 1);
		(void)dm_str_add(&out, p, 1);
	}
	return dm_str_take(&out);
}

char *
block_insert(const char *text, size_t at, const char *tool, const char *body, bool made)
{
	bool crlf = has_crlf(text), open_line = at > 0 && text[at - 1] != '\n';
	DM_AUTO_FREE char *block = compose(tool, body, made, crlf);
	const char *eol = crlf ? "\r\n" : "\n";

	if (open_line) {
		block[strlen(block) - strlen(eol)] = '\0';
		return dm_asprintf("%.*s%s%s%s", (int)at, text, eol, block, text + at);
	}
	return dm_asprintf("%.*s%s%s", (int)at, text, block, text + at);
}

bool
block_has(const char *text, const char *tool, const char *body)
{
	for (int way = 0; way < 4; way++) {
		DM_AUTO_FREE char *block = compose(tool, body, (way & 1) != 0, (way & 2) != 0);
		const char *at;

		/* the last newline may be missing */
		block[strlen(block) - ((way & 2) != 0 ? 2 : 1)] = '\0';
		at = strstr(text, block);
		if (at != NULL && (at == text || at[-1] == '\n'))
			return true;
	}
	return false;
}

/* The line that begins at or after `from` and is `want`, but for a CR; NULL: none. */
static const char *
find_line(const char *from, const char *want)
{
	size_t n = strlen(want);

	for (const char *p = from; p != NULL && *p != '\0';) {
		size_t len = strcspn(p, "\n");
		const char *next = p[len] == '\n' ? p + len + 1 : NULL;

		if (len > 0 && p[len - 1] == '\r')
			len--;
		if (len == n && memcmp(p, want, n) == 0)
			return p;
		p = next;
	}
	return NULL;
}

/* The first block at or after `from`: where its lines begin and end. */
static bool
find_block(const char *from, const char *tool, const char **start, const char **end, bool *made)
{
	DM_AUTO_FREE char *begin = dm_asprintf("# >>> devmesh init %s >>>", tool);
	DM_AUTO_FREE char *begin_made = dm_asprintf("# >>> devmesh init %s" MADE " >>>", tool);
	DM_AUTO_FREE char *finish = dm_asprintf("# <<< devmesh init %s <<<", tool);
	const char *a = find_line(from, begin), *b = find_line(from, begin_made), *last;

	*made = b != NULL && (a == NULL || b < a);
	*start = *made ? b : a;
	if (*start == NULL || (last = find_line(*start, finish)) == NULL)
		return false;
	*end = last + strcspn(last, "\n");
	if (**end == '\n')
		(*end)++;
	return true;
}

char *
block_strip(const char *text, const char *tool, unsigned *count, bool *made)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);
	const char *from = text, *start, *end;
	bool one;

	*count = 0;
	*made = false;
	while (find_block(from, tool, &start, &end, &one)) {
		size_t keep = (size_t)(start - from);

		/* no newline at its end: the one in front of it is the block's */
		if (end[-1] != '\n' && keep > 0)
			keep -= start[strcspn(start, "\n") - 1] == '\r' ? 2 : 1;
		(void)dm_str_add(&out, from, keep);
		*made = *made || one;
		(*count)++;
		from = end;
	}
	(void)dm_str_add(&out, from, strlen(from));
	return dm_str_take(&out);
}

size_t
block_after_first_line(const char *text)
{
	size_t n = strcspn(text, "\n");

	return text[n] == '\n' ? n + 1 : n;
}
