/* SPDX-License-Identifier: MIT */
/*
 * Any two lines, as app and branch: labels are valid, stable and short, and the name made of them
 * is one as well, with alternatives that are others.
 */
#include "fuzz.h"

#include <string.h>

#include "base/mem.h"
#include "model/name.h"

static void
check_slug(const char *text)
{
	struct slug s = slug_make(text), parsed;
	struct dm_err err;

	MUST(slug_valid(s.s) && strlen(s.s) <= SLUG_MAX);
	MUST(strcmp(slug_make(text).s, s.s) == 0);
	MUST(strcmp(slug_make(s.s).s, s.s) == 0);
	MUST(slug_parse(text, &parsed, &err) == slug_valid(text));
	if (slug_valid(text))
		MUST(strcmp(text, s.s) == 0 && strcmp(text, parsed.s) == 0);
}

static void
check_name(const char *app, const char *branch, bool is_id_file)
{
	struct name_input in = {.app_flag = is_id_file ? NULL : app,
	    .id_file = is_id_file ? app : NULL,
	    .branch = branch};
	struct name name, again;
	struct slug other, last;
	struct dm_err err;

	if (!name_compose(&in, &name, &err)) {
		MUST(err.code == DM_USAGE && err.msg[0] != '\0');
		return;
	}
	MUST(name_compose(&in, &again, &err) && strcmp(name.id.s, again.id.s) == 0);
	other = name_alternative(&name);
	last = name_last_resort(&name, "/home/me/worktree");
	MUST(slug_valid(name.id.s) && slug_valid(name.app.s));
	MUST(name.exact || (slug_valid(other.s) && slug_valid(last.s)));
	MUST(name.exact || (strcmp(last.s, other.s) != 0 && strcmp(last.s, name.id.s) != 0));
	MUST(!name.has_alias || strcmp(name.app.s, name.id.s) != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_calloc(size + 1, 1);
	char *branch;
	char remote[2 * SLUG_MAX];

	if (size > 0)
		memcpy(text, data, size);
	branch = strchr(text, '\n');
	if (branch != NULL)
		*branch++ = '\0';
	check_slug(text);
	if (name_from_remote(text, remote, sizeof(remote)))
		MUST(remote[0] != '\0' && strchr(remote, '/') == NULL);
	if (branch != NULL)
		check_slug(branch);
	check_name(text, branch, false);
	check_name(text, branch, true);
	return 0;
}
