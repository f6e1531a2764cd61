/* SPDX-License-Identifier: MIT */
#include "init.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/paths.h"
#include "base/spawn.h"
#include "base/str.h"
#include "edit/block.h"
#include "edit/json.h"

enum {
	TEXT_MAX = JSON_TEXT_MAX,
	GIT_MS = 10000
};

const struct init_tool init_tools[] = {
    {"worktrunk", ".config/wt.toml", "starts the server of a new worktree; wt remove clears up",
	"wt", {".config/wt.toml"}, init_worktrunk},
    {"git", "hooks/post-checkout", "registers each new worktree", NULL, {".git"}, init_git},
    {"mise", "mise.toml", "DEVMESH_URL and DEVMESH_SOCKET in the shell", "mise",
	{"mise.toml", ".mise.toml", "mise.local.toml"}, init_mise},
    {"direnv", ".envrc", "the variables of devmesh env in the shell", "direnv", {".envrc"},
	init_direnv},
    {"claude", ".claude/settings.json", "tells each session of Claude Code its URL", "claude",
	{".claude", "CLAUDE.md"}, init_claude},
    {"conductor", "conductor.json", "registers each workspace, and takes it back", NULL,
	{"conductor.json", ".conductor"}, init_conductor},
    {"codex", ".codex/environments/environment.toml",
	"registers each worktree of the Codex app, and takes it back", "codex", {".codex"},
	init_codex},
    {"cursor", ".cursor/worktrees.json", "registers each worktree that Cursor makes", "cursor",
	{".cursor"}, init_cursor},
    {"npm", "package.json", "npm run dev goes through devmesh run", NULL, {"package.json"},
	init_npm},
    {"procfile", "Procfile.dev", "the web process goes through devmesh run", NULL,
	{"Procfile.dev", "Procfile"}, init_procfile},
    {"compose", "compose.override.yaml", "publishes a service on a free port of the loopback", NULL,
	{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"}, init_compose},
    {NULL, NULL, NULL, NULL, {NULL}, NULL},
};

const struct init_tool *
init_tool_find(const char *name)
{
	for (const struct init_tool *t = init_tools; t->name != NULL; t++) {
		if (strcmp(t->name, name) == 0)
			return t;
	}
	return NULL;
}

static bool
in_path(const char *program)
{
	const char *p = getenv("PATH");

	while (p != NULL && *p != '\0') {
		size_t n = strcspn(p, ":");
		DM_AUTO_FREE char *file = dm_asprintf("%.*s/%s", (int)n, p, program);

		if (access(file, X_OK) == 0)
			return true;
		p += n;
		p += *p == ':' ? 1 : 0;
	}
	return false;
}

bool
init_tool_detected(const struct init_tool *tool, const struct repo *repo)
{
	for (size_t i = 0; i < 5 && tool->traces[i] != NULL; i++) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/%s", repo->worktree, tool->traces[i]);

		if (access(path, F_OK) == 0)
			return true;
	}
	return tool->program != NULL && in_path(tool->program);
}

void
init_release(struct init *in)
{
	for (size_t i = 0; i < in->count; i++) {
		free(in->files[i].name);
		free(in->files[i].path);
		free(in->files[i].before);
		free(in->files[i].after);
	}
	for (size_t i = 0; i < in->hint_count; i++)
		free(in->hints[i]);
	in->count = in->hint_count = 0;
}

void
init_hint(struct init *in, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (in->hint_count == INIT_HINTS || in->remove)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	in->hints[in->hint_count++] = dm_strdup(text);
}

/* ---- files ------------------------------------------------------------------------------- */

static bool
is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	return strncmp(path, root, n) == 0 && path[n] == '/';
}

/* Fills in the file's text and mode. */
static bool
read_text(struct init_file *file, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(TEXT_MAX);
	struct stat st;

	if (stat(file->path, &st) != 0) {
		if (lstat(file->path, &st) == 0)
			return dm_fail(
			    err, DM_DENIED, "%s is a link that leads nowhere", file->path);
		file->mode = 0644;
		return errno == ENOENT || errno == ENOTDIR ||
		       dm_fail_errno(err, errno, "looking at %s", file->path);
	}
	if (!S_ISREG(st.st_mode))
		return dm_fail(err, DM_USAGE, "%s is not a regular file", file->path);
	if (!dm_read_file(file->path, &text, err))
		return false;
	if (text.overflow || strlen(text.data) != text.len)
		return dm_fail(
		    err, DM_USAGE, "%s is no text file of a size to be edited", file->path);
	file->mode = st.st_mode & 07777;
	file->before = dm_str_take(&text);
	file->after = dm_strdup(file->before);
	return true;
}

bool
init_read(
    struct init *in, const char *root, const char *name, struct init_file **out, struct dm_err *err)
{
	DM_AUTO_FREE char *wanted = dm_asprintf("%s/%s", root, name);
	DM_AUTO_FREE char *real_root = realpath(root, NULL);
	struct init_file *file = &in->files[in->count];

	*out = file;
	if (in->count == INIT_FILES)
		return dm_fail(err, DM_FAILED, "too many files to write");
	if (real_root == NULL)
		return dm_fail_errno(err, errno, "looking at %s", root);
	memset(file, 0, sizeof(*file));
	in->count++;
	file->name = dm_strdup(name);
	file->path = dm_resolve(wanted, err);
	if (file->path == NULL)
		return false;
	if (!is_below(file->path, real_root)) {
		(void)dm_fail(
		    err, DM_DENIED, "%s leads out of %s, to %s", wanted, real_root, file->path);
		return dm_hint(err, "edit that file by hand, if it is the one to change");
	}
	return read_text(file, err);
}

bool
init_read_here(struct init *in, const char *name, struct init_file **file, struct dm_err *err)
{
	return init_read(in, in->repo->worktree, name, file, err);
}

void
init_set(struct init_file *file, char *text)
{
	free(file->after);
	file->after = text;
}

static void
strip_block(struct init_file *file, const char *mark, const char *skeleton)
{
	unsigned count;
	bool made;
	char *rest = block_strip(file->after, mark, &count, &made);

	if (made && strcmp(rest, skeleton) == 0) {
		free(rest);
		rest = NULL;
	}
	init_set(file, rest);
}

void
init_block(struct init *in, struct init_file *file, const char *mark, const char *body, size_t at,
    const char *skeleton)
{
	unsigned count = 0;
	bool made = file->after == NULL;

	if (in->remove) {
		if (!made)
			strip_block(file, mark, skeleton);
		return;
	}
	if (made) {
		init_set(file, block_insert(skeleton, strlen(skeleton), mark, body, true));
		return;
	}
	if (block_has(file->after, mark, body))
		return;
	/* an older block of ours makes way, and the new one says the same of the file */
	init_set(file, block_strip(file->after, mark, &count, &made));
	if (at > strlen(file->after))
		at = strlen(file->after);
	init_set(file, block_insert(file->after, at, mark, body, made));
}

bool
init_refuse(struct dm_err *err, const struct init_file *file, const char *why, const char *snippet)
{
	(void)dm_fail(err, DM_CONFLICT, "%s: %s, so it is left alone", file->path, why);
	return dm_hint_lines(err, "add this by hand:\n%s", snippet);
}

bool
init_changes(const struct init *in)
{
	for (size_t i = 0; i < in->count; i++) {
		const struct init_file *f = &in->files[i];

		if ((f->before == NULL) != (f->after == NULL) ||
		    (f->before != NULL && strcmp(f->before, f->after) != 0))
			return true;
	}
	return false;
}

/* Whether the file still says what was read. */
static bool
is_unchanged(const struct init_file *file)
{
	struct init_file now = {.path = file->path};
	struct dm_err ignored;
	bool same = read_text(&now, &ignored) && (now.before == NULL) == (file->before == NULL) &&
		    (now.before == NULL || strcmp(now.before, file->before) == 0);

	free(now.before);
	free(now.after);
	return same;
}

/* Folders that are left empty by a file that was removed: those that init makes, no others. */
static void
remove_empty_folders(const struct init_file *file)
{
	DM_AUTO_FREE char *path = dm_strdup(file->path);

	for (const char *p = strchr(file->name, '/'); p != NULL; p = strchr(p + 1, '/')) {
		char *slash = strrchr(path, '/');

		*slash = '\0';
		if (rmdir(path) != 0)
			return;
	}
}

static bool
write_file(struct init_file *file, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = dm_path_dir(file->path);

	if (!is_unchanged(file)) {
		(void)dm_fail(err, DM_CONFLICT, "%s has changed since it was shown", file->path);
		return dm_hint(err, "run it again, and look again");
	}
	if (file->before != NULL && access(file->path, W_OK) != 0) {
		(void)dm_fail_errno(err, errno, "changing %s", file->path);
		return dm_hint(err, "chmod u+w '%s', if it is meant to be changed", file->path);
	}
	if (file->after == NULL) {
		if (unlink(file->path) != 0)
			return dm_fail_errno(err, errno, "removing %s", file->path);
		remove_empty_folders(file);
	} else if (!dm_make_dirs(dir, 0755, err) ||
		   !dm_write_file(file->path, file->after, strlen(file->after), file->mode, err)) {
		return false;
	}
	file->written = true;
	return true;
}

bool
init_write(struct init *in, struct dm_err *err)
{
	for (size_t i = 0; i < in->count; i++) {
		struct init_file *f = &in->files[i];
		bool same = f->before == NULL
				? f->after == NULL
				: f->after != NULL && strcmp(f->before, f->after) == 0;

		if (!same && !write_file(f, err))
			return false;
	}
	return true;
}

bool
init_tool_is_set_up(const struct init_tool *tool, const struct repo *repo)
{
	struct init in = {.repo = repo};
	struct dm_err ignored;
	bool done = tool->plan(&in, &ignored) && in.count > 0 && in.files[0].before != NULL &&
		    !init_changes(&in);

	init_release(&in);
	return done;
}

/* ---- .id --------------------------------------------------------------------------------- */

/* The exit status of a question to git in the worktree; -1 if it cannot be asked. */
static int
ask_git(const struct init *in, const char *verb, const char *option)
{
	const char *const argv[] = {
	    "git", "-C", in->repo->worktree, verb, option, "--", ".id", NULL};
	DM_AUTO_STR struct dm_str out = dm_str_make(4096);
	DM_AUTO_STR struct dm_str errout = dm_str_make(4096);
	struct dm_err ignored;
	int status;

	return dm_run(argv, "GIT_", GIT_MS, &out, &errout, &status, &ignored) ? status : -1;
}

static bool
others_are_set_up(const struct init *in, const struct init_tool *tool)
{
	for (const struct init_tool *t = init_tools; t->name != NULL; t++) {
		if (t != tool && init_tool_is_set_up(t, in->repo))
			return true;
	}
	return false;
}

/*
 * .id, which devmesh tells users to make, is nothing that git status should speak of; unless the
 * repository tracks it, or ignores it already. The last tool that is taken out takes it along.
 */
static bool
plan_exclude(struct init *in, const struct init_tool *tool, struct dm_err *err)
{
	static const char *const names[] = {"info/exclude", ".gitignore"};
	const char *roots[] = {in->repo->common_dir, in->repo->worktree};
	struct init_file *file;

	if (!in->repo->is_git || (in->remove && others_are_set_up(in, tool)))
		return true;
	for (size_t i = 0; i < 2; i++) {
		if (!in->remove && i != (in->gitignore ? 1 : 0))
			continue;
		if (!in->remove && (ask_git(in, "ls-files", "--error-unmatch") == 0 ||
				       ask_git(in, "check-ignore", "-q") != 1))
			return true;
		if (!init_read(in, roots[i], names[i], &file, err))
			return false;
		init_block(in, file, "ignore", "/.id\n", SIZE_MAX, "");
	}
	return true;
}

bool
init_plan(struct init *in, const struct init_tool *tool, struct dm_err *err)
{
	if (!tool->plan(in, err))
		return dm_wrap(err, in->remove ? "undoing init %s" : "init %s", tool->name);
	return plan_exclude(in, tool, err);
}
