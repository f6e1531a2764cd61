/* SPDX-License-Identifier: MIT */
#include "base/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

/* An environment variable that holds an absolute path, or NULL (XDG: relative ones are invalid). */
static const char *
absolute_env(const char *name)
{
	const char *v = getenv(name);

	return v != NULL && v[0] == '/' ? v : NULL;
}

char *
dm_state_dir(struct dm_err *err)
{
	const char *xdg = absolute_env("XDG_STATE_HOME"), *home = absolute_env("HOME");

	if (xdg != NULL)
		return dm_asprintf("%s/devmesh", xdg);
	if (home != NULL)
		return dm_asprintf("%s/%s/devmesh", home, dm_os_state_subdir());
	(void)dm_fail(err, DM_USAGE, "finding the state directory: HOME is not set");
	(void)dm_hint(err, "set HOME, or DEVMESH_LOCAL_STATE_DIR");
	return NULL;
}

char *
dm_user_config_file(void)
{
	const char *xdg = absolute_env("XDG_CONFIG_HOME"), *home = absolute_env("HOME");

	if (xdg != NULL)
		return dm_asprintf("%s/devmesh/config.ini", xdg);
	if (home != NULL)
		return dm_asprintf("%s/.config/devmesh/config.ini", home);
	return NULL;
}

char *
dm_find_program(const char *name)
{
	const char *path = getenv("PATH");
	struct dm_err ignored;

	if (strchr(name, '/') != NULL)
		return access(name, X_OK) == 0 ? dm_absolute(name, &ignored) : NULL;
	while (path != NULL && *path != '\0') {
		size_t n = strcspn(path, ":");
		DM_AUTO_FREE char *full = dm_asprintf("%.*s/%s", (int)n, path, name);

		if (full[0] == '/' && access(full, X_OK) == 0)
			return DM_STEAL(&full);
		path += n + (path[n] == ':' ? 1 : 0);
	}
	return NULL;
}

char *
dm_absolute(const char *path, struct dm_err *err)
{
	char cwd[PATH_MAX];

	if (path[0] == '/')
		return dm_strdup(path);
	if (getcwd(cwd, sizeof(cwd)) == NULL) {
		(void)dm_fail_errno(err, errno, "finding the working directory");
		return NULL;
	}
	return dm_asprintf("%s/%s", cwd, path);
}

/* Appends the components of `rest` to *path. */
static void
append_lexically(char **path, const char *rest)
{
	while (*rest != '\0') {
		size_t n = strcspn(rest, "/");
		char *old = *path;

		if (n == 2 && strncmp(rest, "..", 2) == 0)
			*path = dm_path_dir(old);
		else if (n > 0 && !(n == 1 && rest[0] == '.'))
			*path =
			    dm_asprintf("%s/%.*s", strcmp(old, "/") == 0 ? "" : old, (int)n, rest);
		if (*path != old)
			free(old);
		rest += n;
		rest += *rest == '/' ? 1 : 0;
	}
}

char *
dm_resolve(const char *path, struct dm_err *err)
{
	DM_AUTO_FREE char *whole = dm_absolute(path, err);
	DM_AUTO_FREE char *head = dm_strdup(whole);
	char *real;

	if (whole == NULL)
		return NULL;
	while ((real = realpath(head, NULL)) == NULL) {
		char *slash = strrchr(head, '/');

		if (slash == NULL || strcmp(head, "/") == 0) {
			(void)dm_fail_errno(err, errno, "resolving %s", path);
			return NULL;
		}
		/* "/" itself is left of "/gone" */
		slash[slash == head ? 1 : 0] = '\0';
	}
	append_lexically(&real, whole + strlen(head));
	return real;
}
