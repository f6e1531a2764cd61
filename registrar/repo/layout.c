/* SPDX-License-Identifier: MIT */
#include "repo/layout.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	LINE_MAX_BYTES = 4096,
	CONFIG_MAX = 65536,
};

void
layout_release(struct layout *layout)
{
	free(layout->worktree);
	free(layout->git_dir);
	free(layout->common_dir);
	memset(layout, 0, sizeof(*layout));
}

char *
layout_read_line(const char *dir, const char *name)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", dir, name);
	DM_AUTO_STR struct dm_str text = dm_str_make(LINE_MAX_BYTES);
	struct dm_err ignored;

	if (!dm_read_file(path, &text, &ignored) || text.len == 0)
		return NULL;
	text.data[strcspn(text.data, "\r\n")] = '\0';
	return dm_str_take(&text);
}

/* `path` as seen from `dir`, links resolved; NULL if it does not exist. The caller owns it. */
static char *
resolve(const char *dir, const char *path)
{
	DM_AUTO_FREE char *joined =
	    path[0] == '/' ? dm_strdup(path) : dm_asprintf("%s/%s", dir, path);

	return realpath(joined, NULL);
}

/* A .git file: that of a linked worktree leads to a directory with a "commondir". */
static enum layout_kind
follow_file(const char *top, struct layout *out)
{
	DM_AUTO_FREE char *line = layout_read_line(top, ".git");
	DM_AUTO_FREE char *git_dir = NULL;
	DM_AUTO_FREE char *common = NULL;

	if (line == NULL || !dm_starts_with(line, "gitdir: "))
		return LAYOUT_UNUSUAL;
	git_dir = resolve(top, line + strlen("gitdir: "));
	common = git_dir == NULL ? NULL : layout_read_line(git_dir, "commondir");
	if (common == NULL || (out->common_dir = resolve(git_dir, common)) == NULL)
		return LAYOUT_UNUSUAL;
	out->worktree = dm_strdup(top);
	out->git_dir = dm_steal_pointer(&git_dir);
	return LAYOUT_FOUND;
}

char *
layout_common_dir(const char *top)
{
	DM_AUTO_FREE char *line = layout_read_line(top, ".git");
	DM_AUTO_FREE char *git_dir = NULL;
	DM_AUTO_FREE char *common = NULL;

	if (line == NULL)
		return resolve(top, ".git");
	if (!dm_starts_with(line, "gitdir: ") ||
	    (git_dir = resolve(top, line + strlen("gitdir: "))) == NULL)
		return NULL;
	common = layout_read_line(git_dir, "commondir");
	return common == NULL ? dm_steal_pointer(&git_dir) : resolve(git_dir, common);
}

/* Whether `dir` itself is a git directory: bare, or inside of .git. */
static bool
is_git_dir(const char *dir)
{
	DM_AUTO_FREE char *head = dm_asprintf("%s/HEAD", dir);
	DM_AUTO_FREE char *objects = dm_asprintf("%s/objects", dir);
	DM_AUTO_FREE char *common = dm_asprintf("%s/commondir", dir);

	return access(head, F_OK) == 0 && (access(objects, F_OK) == 0 || access(common, F_OK) == 0);
}

enum layout_kind
layout_find(const char *dir, struct layout *out)
{
	DM_AUTO_FREE char *at = dm_strdup(dir);

	memset(out, 0, sizeof(*out));
	for (;;) {
		DM_AUTO_FREE char *dot = dm_asprintf("%s/.git", at);
		struct stat st;
		char *up;

		if (stat(dot, &st) == 0 && S_ISREG(st.st_mode))
			return follow_file(at, out);
		if (stat(dot, &st) == 0 && is_git_dir(dot)) {
			out->worktree = dm_strdup(at);
			out->git_dir = dm_strdup(dot);
			out->common_dir = dm_strdup(dot);
			return LAYOUT_FOUND;
		}
		if (is_git_dir(at))
			return LAYOUT_UNUSUAL;
		if (strcmp(at, "/") == 0)
			return LAYOUT_NONE;
		up = dm_path_dir(at);
		free(at);
		at = up;
	}
}

/* The value of a line "key = value", trimmed; NULL if the line sets something else. */
static char *
value_of(const char *line, size_t len, const char *key)
{
	size_t i = strlen(key);

	if (len <= i || strncasecmp(line, key, i) != 0)
		return NULL;
	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	if (i == len || line[i] != '=')
		return NULL;
	for (i++; i < len && (line[i] == ' ' || line[i] == '\t'); i++)
		continue;
	while (len > i && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r'))
		len--;
	return dm_strndup(line + i, len - i);
}

enum layout_kind
layout_config(const char *common_dir, const char *section, const char *key, char **value)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/config", common_dir);
	DM_AUTO_FREE char *heading = dm_asprintf("[%s]", section);
	DM_AUTO_STR struct dm_str text = dm_str_make(CONFIG_MAX);
	struct dm_err ignored;
	bool inside = false;

	*value = NULL;
	if (!dm_read_file(path, &text, &ignored) || text.overflow ||
	    strstr(text.data, "nclude") != NULL || strstr(text.data, "worktreeConfig") != NULL)
		return LAYOUT_UNUSUAL;
	for (const char *line = text.data; *line != '\0'; line += strspn(line, "\n")) {
		size_t len;

		line += strspn(line, " \t");
		len = strcspn(line, "\n");
		if (line[0] == '[')
			inside = dm_starts_with(line, heading);
		if (inside) {
			char *found = value_of(line, len, key);

			/* as in git, the last one counts */
			if (found != NULL) {
				free(*value);
				*value = found;
			}
		}
		line += len;
	}
	if (*value == NULL)
		return LAYOUT_NONE;
	if (strpbrk(*value, "\"\\#;") == NULL && (*value)[0] != '\0')
		return LAYOUT_FOUND;
	free(*value);
	*value = NULL;
	return LAYOUT_UNUSUAL;
}

char *
layout_interrupted_branch(const char *git_dir)
{
	static const char *const files[] = {
	    "rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		DM_AUTO_FREE char *line = layout_read_line(git_dir, files[i]);

		if (line == NULL || strcmp(line, "detached HEAD") == 0)
			continue;
		if (dm_starts_with(line, "refs/heads/"))
			return dm_strdup(line + strlen("refs/heads/"));
		/* BISECT_START holds the bare name, or a commit when it began detached */
		if (i == 2 && strspn(line, "0123456789abcdef") != strlen(line))
			return dm_strdup(line);
	}
	return NULL;
}
