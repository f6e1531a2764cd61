/* SPDX-License-Identifier: MIT */
#include "edit/toml.h"

#include <string.h>

/* Behind the string that begins at p, of whichever of the four kinds; never behind the end. */
static const char *
skip_string(const char *p)
{
	char quote = *p;
	bool multi = p[1] == quote && p[2] == quote;

	p += multi ? 3 : 1;
	for (; *p != '\0'; p++) {
		if (quote == '"' && *p == '\\' && p[1] != '\0')
			p++;
		else if (!multi && (*p == quote || *p == '\n'))
			return *p == quote ? p + 1 : p;
		else if (multi && *p == quote && p[1] == quote && p[2] == quote) {
			p += 3;
			/* one or two quotes may stand right before the closing three */
			while (*p == quote)
				p++;
			return p;
		}
	}
	return p;
}

/* Behind the statement that begins at p: its line, or all lines that its strings and arrays take.
 */
static const char *
skip_statement(const char *p)
{
	int depth = 0;
	bool header = *p == '[';

	while (*p != '\0') {
		if (*p == '"' || *p == '\'') {
			p = skip_string(p);
			continue;
		}
		if (*p == '#') {
			p += strcspn(p, "\n");
			continue;
		}
		if (*p == '[' || *p == '{')
			depth++;
		else if (*p == ']' || *p == '}')
			depth--;
		else if (*p == '\n' && (depth <= 0 || header))
			return p + 1;
		p++;
	}
	return p;
}

static const char *
skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* Reads one key at p, bare or quoted, and compares; *end is behind it and its blanks. */
static bool
is_key(const char *p, const char *name, const char **end)
{
	const char *start = p, *stop;

	if (*p == '"' || *p == '\'') {
		p = skip_string(p);
		stop = p > start + 1 ? p - 1 : p;
		start++;
	} else {
		p += strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
		stop = p;
	}
	*end = skip_blanks(p);
	return stop > start && (size_t)(stop - start) == strlen(name) &&
	       memcmp(start, name, strlen(name)) == 0;
}

enum toml_kind
toml_find(const char *text, const char *name, size_t *after)
{
	enum toml_kind found = TOML_NONE;
	/* some editors put a byte order mark in front, and parsers pass over it */
	const char *first = text + (strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
	bool top = true;

	for (const char *p = first, *next; *p != '\0' && found == TOML_NONE; p = next) {
		const char *line = skip_blanks(p), *end;

		next = skip_statement(line);
		if (*line == '[') {
			bool array = line[1] == '[';

			top = false;
			if (is_key(skip_blanks(line + (array ? 2 : 1)), name, &end) && *end == ']')
				found = array ? TOML_ARRAY : TOML_TABLE;
			*after = (size_t)(next - text);
		} else if (top && is_key(line, name, &end) && (*end == '=' || *end == '.')) {
			found = TOML_KEY;
		}
	}
	return found;
}

bool
toml_has_key(const char *text, size_t after, const char *key)
{
	for (const char *p = text + after, *next; *p != '\0'; p = next) {
		const char *line = skip_blanks(p), *end;

		next = skip_statement(line);
		if (*line == '[')
			return false;
		if (is_key(line, key, &end) && (*end == '=' || *end == '.'))
			return true;
	}
	return false;
}
