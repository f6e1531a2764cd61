/* SPDX-License-Identifier: MIT */
/* The scripts of a package.json. The file is the repository's: hostile until parsed. */
#include "run/tools_impl.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	PACKAGE_MAX = 1 << 20, /* bytes of a package.json */
	SCRIPT_MAX = 4096,     /* bytes of a script */
	SCRIPT_WORDS = 256,
	PARENTS_MAX = 64, /* directories that are looked into, upwards */
};

void
words_add(struct words *w, const char *word, size_t n)
{
	w->list = dm_reallocarray(w->list, w->count + 2, sizeof(*w->list));
	w->list[w->count++] = dm_strndup(word, n);
	w->list[w->count] = NULL;
}

void
words_release(struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->list[i]);
	free(w->list);
	*w = (struct words){0};
}

static char *
script_in(const char *file, const char *name)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(PACKAGE_MAX);
	struct dm_err ignored;
	const cJSON *script;
	cJSON *package;
	char *found = NULL;

	if (!dm_read_file(file, &text, &ignored) || text.overflow)
		return NULL;
	package = cJSON_ParseWithLength(text.data, text.len);
	script = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(package, "scripts"), name);
	if (cJSON_IsString(script) && strlen(script->valuestring) <= SCRIPT_MAX)
		found = dm_strdup(script->valuestring);
	cJSON_Delete(package);
	return found;
}

char *
script_text(const char *dir, const char *name)
{
	DM_AUTO_FREE char *at = dm_strdup(dir);

	for (unsigned i = 0; i < PARENTS_MAX; i++) {
		DM_AUTO_FREE char *file = dm_asprintf("%s/package.json", at);
		char *up;

		/* the nearest one counts, even if it is of no use */
		if (access(file, F_OK) == 0)
			return script_in(file, name);
		if (at[0] != '/' || at[1] == '\0')
			return NULL;
		up = dm_path_dir(at);
		free(at);
		at = up;
	}
	return NULL;
}

/* Reads a word behind blanks; false at what only a shell can understand. */
static bool
read_word(const char **text, struct dm_str *word)
{
	const char *p = *text;
	char quote = '\0';

	for (; *p != '\0'; p++) {
		/* what may be a variable is taken as it stands: its place is what counts */
		if (*p == '`' || (*p == '$' && p[1] == '(' && quote != '\'') ||
		    (unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
		if (quote != '\0') {
			if (*p == quote) {
				quote = '\0';
				continue;
			}
			if (*p == '\\' && quote == '"')
				return false;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
			continue;
		} else if (*p == ' ' || *p == '&') {
			break;
		} else if (strchr("|;<>()\\#", *p) != NULL) {
			return false;
		}
		(void)dm_str_add(word, p, 1);
	}
	*text = p;
	return quote == '\0';
}

bool
script_words(const char *text, struct words *out)
{
	bool moved = false; /* an earlier command went to another directory */

	while (true) {
		DM_AUTO_STR struct dm_str word = dm_str_make(SCRIPT_MAX);

		text += strspn(text, " ");
		if (*text == '\0')
			return out->count > 0 && !moved;
		if (*text == '&') {
			if (text[1] != '&' || out->count == 0)
				return false;
			text += 2;
			moved = moved || strcmp(out->list[0], "cd") == 0;
			words_release(out);
			continue;
		}
		if (!read_word(&text, &word) || out->count == SCRIPT_WORDS)
			return false;
		words_add(out, word.data, word.len);
	}
}
