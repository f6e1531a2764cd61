/* SPDX-License-Identifier: MIT */
#include "setup_ini.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	TEXT_MAX = 131072
};
static const char mark[] = "; written by devmesh setup";

struct line {
	const char *at; /* in the text */
	size_t len;	/* with its newline */
	const char *s;	/* without indentation */
	size_t n;	/* of s, without blanks and newline at the end */
};

/* The next line; false at the end of the text. */
static bool
next_line(const char **text, struct line *line)
{
	if (**text == '\0')
		return false;
	line->at = *text;
	line->len = strcspn(*text, "\n");
	line->len += line->at[line->len] == '\n' ? 1 : 0;
	line->s = line->at + strspn(line->at, " \t");
	line->n = strcspn(line->s, "\n");
	while (line->n > 0 && strchr(" \t\r", line->s[line->n - 1]) != NULL)
		line->n--;
	*text += line->len;
	return true;
}

static bool
is(const struct line *line, const char *text)
{
	return line->n == strlen(text) && strncmp(line->s, text, line->n) == 0;
}

/* Whether the line is "<key> = ..."; *value and *n are what follows. */
static bool
is_key(const struct line *line, const char *key, const char **value, size_t *n)
{
	size_t used = strlen(key);

	if (line->n < used || strncmp(line->s, key, used) != 0)
		return false;
	used += strspn(line->s + used, " \t");
	if (used >= line->n || (line->s[used] != '=' && line->s[used] != ':'))
		return false;
	used++;
	used += strspn(line->s + used, " \t");
	*value = line->s + used;
	*n = used < line->n ? line->n - used : 0;
	return true;
}

/* What the lines of a text say about one key. */
struct place {
	const char *section_end; /* behind the line "[section]"; NULL: there is none */
	struct line line;	 /* of the key; at NULL: not set */
	const char *value;
	size_t value_len;
	bool marked;
};

static void
find(const char *text, const char *section, const char *key, struct place *out)
{
	DM_AUTO_FREE char *head = dm_asprintf("[%s]", section);
	struct line line;
	bool inside = false, marked = false;

	memset(out, 0, sizeof(*out));
	while (next_line(&text, &line)) {
		if (line.n > 0 && line.s[0] == '[') {
			inside = is(&line, head);
			if (inside && out->section_end == NULL)
				out->section_end = line.at + line.len;
		} else if (inside && out->line.at == NULL &&
			   is_key(&line, key, &out->value, &out->value_len)) {
			out->line = line;
			out->marked = marked;
		}
		marked = is(&line, mark);
	}
}

char *
setup_ini_set(
    const char *text, const char *section, const char *key, const char *value, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);
	struct place at;
	size_t head = strlen(text);

	find(text, section, key, &at);
	if (at.line.at != NULL) {
		if (at.value_len == strlen(value) && strncmp(at.value, value, at.value_len) == 0)
			return dm_strdup(text);
		if (!at.marked) {
			(void)dm_fail(err, DM_CONFLICT, "[%s] %s is set to %.*s", section, key,
			    (int)at.value_len, at.value);
			(void)dm_hint(err, "change or delete that line yourself");
			return NULL;
		}
		head = (size_t)(at.line.at - text);
		(void)dm_str_add(&out, text, head);
		(void)dm_str_addf(&out, "%s = %s\n", key, value);
		(void)dm_str_addf(&out, "%s", at.line.at + at.line.len);
		return dm_str_take(&out);
	}
	if (at.section_end != NULL)
		head = (size_t)(at.section_end - text);
	(void)dm_str_add(&out, text, head);
	if (head > 0 && text[head - 1] != '\n')
		(void)dm_str_addf(&out, "\n");
	if (at.section_end == NULL)
		(void)dm_str_addf(&out, "%s[%s]\n", head > 0 ? "\n" : "", section);
	(void)dm_str_addf(&out, "%s\n%s = %s\n%s", mark, key, value, text + head);
	return dm_str_take(&out);
}

char *
setup_ini_clear(const char *text)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);
	struct line line;
	bool skip = false;

	while (next_line(&text, &line)) {
		if (is(&line, mark)) {
			skip = true;
			continue;
		}
		if (!skip)
			(void)dm_str_add(&out, line.at, line.len);
		skip = false;
	}
	return dm_str_take(&out);
}

bool
setup_ini_is_empty(const char *text)
{
	struct line line;

	while (next_line(&text, &line)) {
		if (line.n > 0 && line.s[0] != '[')
			return false;
	}
	return true;
}
