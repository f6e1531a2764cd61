/* SPDX-License-Identifier: MIT */
#include "repo/checkout.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/str.h"
#include "repo/git.h"
#include "repo/layout.h"

enum {
	PACKED_MAX = 8 << 20,
	SUBMODULES_MAX = 16, /* one inside the other */
};

/* A full object name: SHA-1 or SHA-256 in hexadecimal. */
static bool
is_commit(const char *text, size_t len)
{
	return (len == 40 || len == 64) && strspn(text, "0123456789abcdef") >= len;
}

/* The line "<commit> <ref>" of packed-refs (gitrepository-layout(5)); NULL if there is none. */
static char *
packed_commit(const char *text, const char *ref)
{
	size_t length = strlen(ref);

	for (const char *line = text; *line != '\0'; line += strspn(line, "\n")) {
		size_t n = strcspn(line, "\n"), hash = strcspn(line, " \n");

		if (n == hash + 1 + length && is_commit(line, hash) &&
		    memcmp(line + hash + 1, ref, length) == 0)
			return dm_strndup(line, hash);
		line += n;
	}
	return NULL;
}

/* *sure is false where git's files leave it open. */
static char *
commit_by_files(const struct layout *layout, bool *sure)
{
	DM_AUTO_FREE char *head = layout_read_line(layout->git_dir, "HEAD");
	DM_AUTO_FREE char *loose = NULL;
	DM_AUTO_FREE char *packed = dm_asprintf("%s/packed-refs", layout->common_dir);
	DM_AUTO_STR struct dm_str text = dm_str_make(PACKED_MAX);
	const char *ref;
	struct dm_err err = {.sys = 0};

	*sure = true;
	if (head != NULL && is_commit(head, strlen(head)))
		return dm_steal_pointer(&head);
	/* with reftable HEAD is only a placeholder; and refs of one worktree are kept elsewhere */
	if (head == NULL || !dm_starts_with(head, "ref: refs/heads/") ||
	    strstr(head, ".invalid") != NULL) {
		*sure = false;
		return NULL;
	}
	ref = head + strlen("ref: ");
	if ((loose = layout_read_line(layout->common_dir, ref)) != NULL) {
		*sure = is_commit(loose, strlen(loose));
		return *sure ? dm_steal_pointer(&loose) : NULL;
	}
	if (!dm_read_file(packed, &text, &err))
		return NULL; /* no commit yet */
	*sure = !text.overflow;
	return *sure ? packed_commit(text.data, ref) : NULL;
}

/* The same by git itself. */
static char *
commit_by_git(const char *dir)
{
	const char *const args[] = {"rev-parse", "-q", "--verify", "HEAD^{commit}", NULL};
	DM_AUTO_FREE char *commit = git_line(dir, args);

	return commit != NULL && is_commit(commit, strlen(commit)) ? dm_steal_pointer(&commit)
								   : NULL;
}

char *
checkout_head(const char *dir, const struct layout *layout)
{
	bool sure;
	char *commit = commit_by_files(layout, &sure);

	return sure ? commit : commit_by_git(dir);
}

char *
checkout_commit(const char *worktree)
{
	struct layout layout;
	enum layout_kind kind = layout_find(worktree, &layout);
	char *commit = NULL;

	if (kind == LAYOUT_FOUND)
		commit = checkout_head(worktree, &layout);
	else if (kind == LAYOUT_UNUSUAL)
		commit = commit_by_git(worktree);
	layout_release(&layout);
	return commit;
}

char *
checkout_symbolic_ref(const char *dir, const char *git_dir, const char *name)
{
	DM_AUTO_FREE char *line = layout_read_line(git_dir, name);
	const char *const args[] = {"symbolic-ref", "-q", name, NULL};
	DM_AUTO_FREE char *reftable = dm_asprintf("%s/reftable", git_dir);

	if (line != NULL && strstr(line, ".invalid") == NULL)
		return dm_starts_with(line, "ref: ") ? dm_strdup(line + 5) : NULL;
	if (line == NULL && access(reftable, F_OK) != 0)
		return NULL;
	return git_line(dir, args);
}

char *
checkout_branch(const char *dir, const char *git_dir)
{
	DM_AUTO_FREE char *head = checkout_symbolic_ref(dir, git_dir, "HEAD");

	if (head != NULL && dm_starts_with(head, "refs/heads/"))
		return dm_strdup(head + strlen("refs/heads/"));
	return layout_interrupted_branch(git_dir);
}

int
checkout_count_changes(const char *worktree, int64_t timeout_ms)
{
	const char *const args[] = {/* no daemon of git's is to be started for a look in passing */
	    "--no-optional-locks", "-c", "core.fsmonitor=false", "status", "--porcelain", "-uno",
	    "--no-renames", NULL};
	DM_AUTO_FREE char *top = checkout_top(worktree);
	DM_AUTO_FREE char *out = NULL;
	struct dm_err ignored;
	int status = 0, lines = 0;

	if (top == NULL || !git_run(worktree, args, timeout_ms, &out, NULL, &status, &ignored) ||
	    status != 0)
		return -1;
	for (const char *line = out; *line != '\0'; lines++) {
		line += strcspn(line, "\n");
		line += *line == '\n' ? 1 : 0;
	}
	return lines;
}

enum checkout_changes
checkout_changes(const char *worktree, int64_t timeout_ms)
{
	int count = checkout_count_changes(worktree, timeout_ms);

	return count < 0 ? CHECKOUT_UNKNOWN : count == 0 ? CHECKOUT_CLEAN : CHECKOUT_DIRTY;
}

/* Whether the directory is the top of a worktree: its .git is a git directory or leads to one. */
static bool
is_top(const char *dir)
{
	DM_AUTO_FREE char *dot = dm_asprintf("%s/.git", dir);
	DM_AUTO_FREE char *head = dm_asprintf("%s/HEAD", dot);
	DM_AUTO_FREE char *line = NULL;
	struct stat st;

	if (stat(dot, &st) != 0)
		return false;
	if (S_ISDIR(st.st_mode))
		return access(head, F_OK) == 0;
	line = S_ISREG(st.st_mode) ? layout_read_line(dir, ".git") : NULL;
	return line != NULL && dm_starts_with(line, "gitdir: ");
}

char *
checkout_top(const char *dir)
{
	DM_AUTO_FREE char *at = dm_strdup(dir);

	while (!is_top(at)) {
		char *up;

		if (strcmp(at, "/") == 0 || at[0] != '/')
			return NULL;
		up = dm_path_dir(at);
		free(at);
		at = up;
	}
	return dm_steal_pointer(&at);
}

bool
checkout_contains(const char *worktree, const char *dir)
{
	const char *const args[] = {"rev-parse", "--show-superproject-working-tree", NULL};
	DM_AUTO_FREE char *top = NULL;

	if (!dm_path_inside(worktree, dir))
		return false;
	if (!is_top(worktree))
		return true;
	top = checkout_top(dir);
	for (int i = 0; i < SUBMODULES_MAX && top != NULL; i++) {
		char *outer;

		if (strcmp(top, worktree) == 0)
			return true;
		outer = git_line(top, args);
		free(top);
		top = outer;
	}
	return false;
}
