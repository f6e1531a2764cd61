/* SPDX-License-Identifier: MIT */
#include "repo/git.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/spawn.h"
#include "base/str.h"

enum {
	GIT_OUTPUT_MAX = 1 << 20
};

bool
git_run(const char *dir, const char *const args[], int64_t timeout_ms, char **out, char **errout,
    int *status, struct dm_err *err)
{
	const char *argv[12] = {"git", "-C", dir};
	DM_AUTO_STR struct dm_str o = dm_str_make(GIT_OUTPUT_MAX);
	DM_AUTO_STR struct dm_str e = dm_str_make(1024);
	bool ok;

	for (size_t i = 0; i < 8 && args[i] != NULL; i++)
		argv[3 + i] = args[i];
	ok = dm_run(argv, "GIT_", timeout_ms, &o, &e, status, err);
	if (!ok)
		return false;
	if (o.len > 0 && o.data[o.len - 1] == '\n')
		o.data[--o.len] = '\0';
	*out = dm_str_take(&o);
	if (errout != NULL)
		*errout = dm_str_take(&e);
	return true;
}

char *
git_line(const char *dir, const char *const args[])
{
	char *out = NULL;
	int status = 0;
	struct dm_err ignored;

	if (!git_run(dir, args, GIT_TIMEOUT_MS, &out, NULL, &status, &ignored))
		return NULL;
	if (status == 0 && out[0] != '\0')
		return out;
	free(out);
	return NULL;
}
