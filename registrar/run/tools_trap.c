/* SPDX-License-Identifier: MIT */
/* Whether the project has done already what a trap asks for. */
#include "run/tools_impl.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	CONFIG_MAX = 1 << 18, /* bytes of a configuration file that are looked at */
	ENTRIES_MAX = 256,    /* of a directory, for a file of any directory in it */
};

static bool
file_mentions(const char *dir, const char *file, const char *word)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", dir, file);
	DM_AUTO_STR struct dm_str text = dm_str_make(CONFIG_MAX);
	struct dm_err ignored;

	return dm_read_file(path, &text, &ignored) && strstr(text.data, word) != NULL;
}

static bool
any_mentions(const char *dir, const char *file, const char *word)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	bool found = false;

	for (unsigned i = 0; d != NULL && !found && i < ENTRIES_MAX; i++) {
		DM_AUTO_FREE char *path = NULL;

		e = readdir(d);
		if (e == NULL)
			break;
		path = dm_asprintf("%s/%s", dir, e->d_name);
		found = e->d_name[0] != '.' && file_mentions(path, file, word);
	}
	if (d != NULL)
		(void)closedir(d);
	return found;
}

bool
trap_settled(const struct tool *tool, const char *dir)
{
	const char *list = tool->settled_in;

	while (list != NULL && *list != '\0') {
		size_t n = strcspn(list, " ");
		DM_AUTO_FREE char *file = dm_strndup(list, n);

		if (dm_starts_with(file, "*/") ? any_mentions(dir, file + 2, tool->settled_by)
					       : file_mentions(dir, file, tool->settled_by))
			return true;
		list += n + strspn(list + n, " ");
	}
	return false;
}
