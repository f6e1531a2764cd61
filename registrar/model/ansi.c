/* SPDX-License-Identifier: MIT */
#include "model/ansi.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	ESC = 0x1b,
	BEL = 0x07,
	SGR_MAX = 64 /* bytes; longer ones are no colours that anybody needs */
};

struct cleaner {
	struct dm_str *out;
	bool colours;
	bool coloured; /* an SGR was kept, and not reset since */
};

static void
add_text(const struct cleaner *c, const char *from, const char *to)
{
	DM_AUTO_FREE char *text = NULL, *shown = NULL;

	if (from == to)
		return;
	/* a NUL would end it early */
	text = dm_calloc(1, (size_t)(to - from) + 1);
	memcpy(text, from, (size_t)(to - from));
	for (char *p = text; p < text + (to - from); p++) {
		if (*p == '\0' || *p == '\n')
			*p = ' ';
	}
	shown = dm_printable_lines(text);
	(void)dm_str_add(c->out, shown, strlen(shown));
}

static void
add_sgr(struct cleaner *c, const char *from, const char *to)
{
	size_t len = (size_t)(to - from);

	if (!c->colours || len > SGR_MAX || strspn(from + 2, "0123456789;:") != len - 3)
		return;
	(void)dm_str_add(c->out, from, len);
	c->coloured = !(len == 3 || (len == 4 && from[2] == '0'));
}

/* Behind the string that an OSC, DCS, SOS, PM or APC is (ECMA-48 §8.3). */
static const char *
skip_string(const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == BEL)
			return p + 1;
		if (*p == ESC && p + 1 < end && p[1] == '\\')
			return p + 2;
	}
	return end;
}

static bool
is_between(char byte, int low, int high)
{
	return (unsigned char)byte >= low && (unsigned char)byte <= high;
}

/* Behind the sequence that begins at `p` with ESC (ECMA-48 §5.4 and ECMA-35 §13). */
static const char *
take_sequence(struct cleaner *c, const char *p, const char *end)
{
	const char *from = p++;

	if (p == end)
		return end;
	if (strchr("]PX^_", *p) != NULL && *p != '\0')
		return skip_string(p + 1, end);
	if (*p != '[') {
		while (p < end && is_between(*p, 0x20, 0x2f))
			p++;
		return p < end && is_between(*p, 0x30, 0x7e) ? p + 1 : p;
	}
	for (p++; p < end && is_between(*p, 0x20, 0x3f);)
		p++;
	if (p == end || !is_between(*p, 0x40, 0x7e))
		return p;
	if (*p == 'm')
		add_sgr(c, from, p + 1);
	return p + 1;
}

/* Where what a terminal would show begins: behind the last carriage return but the final ones. */
static const char *
last_overwrite(const char *line, const char *end)
{
	for (const char *p = end; p > line; p--) {
		if (p[-1] == '\r')
			return p;
	}
	return line;
}

void
ansi_clean(const char *line, size_t len, bool colours, struct dm_str *out)
{
	struct cleaner c = {.out = out, .colours = colours};
	const char *end = line + len, *p, *text;

	while (end > line && end[-1] == '\r')
		end--;
	p = text = last_overwrite(line, end);
	while (p < end) {
		if (*p != ESC) {
			p++;
			continue;
		}
		add_text(&c, text, p);
		text = p = take_sequence(&c, p, end);
	}
	add_text(&c, text, end);
	if (c.coloured)
		(void)dm_str_add(out, "\x1b[0m", 4);
}
