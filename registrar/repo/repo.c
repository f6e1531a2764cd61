/* SPDX-License-Identifier: MIT */
#include "repo/repo.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/str.h"
#include "model/name.h"
#include "repo/checkout.h"
#include "repo/git.h"
#include "repo/layout.h"

enum {
	REF_MAX = 4096,
};

void
repo_free(struct repo *repo)
{
	if (repo == NULL)
		return;
	free(repo->worktree);
	free(repo->common_dir);
	free(repo->main_dir);
	free(repo->dir_name);
	free(repo->branch);
	free(repo->commit);
	free(repo->id_line);
	free(repo);
}

static char *
short_commit(const char *dir)
{
	const char *const args[] = {"rev-parse", "-q", "--verify", "--short=7", "HEAD", NULL};

	return git_line(dir, args);
}

static void
find_branch(struct repo *repo, const char *git_dir, const char *common_dir)
{
	DM_AUTO_FREE char *origin = NULL;

	repo->branch = checkout_branch(repo->worktree, git_dir);
	if (repo->branch == NULL) {
		repo->commit = short_commit(repo->worktree);
		return;
	}
	if (strcmp(repo->branch, "main") == 0 || strcmp(repo->branch, "master") == 0) {
		repo->is_default_branch = true;
		return;
	}
	origin = checkout_symbolic_ref(repo->worktree, common_dir, "refs/remotes/origin/HEAD");
	repo->is_default_branch =
	    origin != NULL && dm_starts_with(origin, "refs/remotes/origin/") &&
	    strcmp(origin + strlen("refs/remotes/origin/"), repo->branch) == 0;
}

/* The name by which people know the repository that a linked worktree belongs to. */
static char *
main_dir_of(const char *common_dir)
{
	char *base = dm_path_base(common_dir);
	size_t n = strlen(base);

	if (base[0] == '.') { /* shop/.git, shop/.bare */
		DM_AUTO_FREE char *parent = dm_path_dir(common_dir);

		free(base);
		return dm_path_base(parent);
	}
	if (n > 4 && dm_ends_with(base, ".git"))
		base[n - 4] = '\0';
	return base;
}

static bool
fail_bare(const char *dir, struct dm_err *err)
{
	(void)dm_fail(err, DM_NOT_FOUND,
	    "%s is a bare repository or a .git directory: there is no worktree to serve", dir);
	return dm_hint(
	    err, "go into a worktree (git worktree list), or make one: git worktree add");
}

/* Cuts the text up in place; how many lines there were. */
static size_t
split_lines(char *text, char *lines[], size_t max)
{
	size_t n = 0;

	for (char *p = text; *p != '\0' && n < max; n++) {
		size_t len = strcspn(p, "\n");

		lines[n] = p;
		p += len;
		if (*p == '\n')
			*p++ = '\0';
	}
	return n;
}

/* Submodules, separate and bare git directories: only git itself knows. */
static bool
ask_git(const char *dir, struct layout *out, struct dm_err *err)
{
	const char *const args[] = {"rev-parse", "--path-format=absolute", "--absolute-git-dir",
	    "--git-common-dir", "--show-toplevel", NULL};
	DM_AUTO_FREE char *text = NULL, *errout = NULL;
	char *lines[4];
	size_t n;
	int status = 0;

	if (!git_run(dir, args, GIT_TIMEOUT_MS, &text, &errout, &status, err))
		return dm_wrap(err, "asking git about %s", dir);
	n = split_lines(text, lines, 4);
	if (status != 0 && n >= 2)
		return fail_bare(dir, err);
	if (status != 0 || n != 3) {
		errout[strcspn(errout, "\n")] = '\0';
		(void)dm_fail(err, DM_FAILED, "asking git about %s: %s", dir,
		    errout[0] != '\0' ? errout : "its answer cannot be understood");
		return dm_hint(err, "see what git itself says there: git -C '%s' status", dir);
	}
	out->git_dir = dm_strdup(lines[0]);
	out->common_dir = dm_strdup(lines[1]);
	out->worktree = dm_strdup(lines[2]);
	return true;
}

/* Fills in the git part; leaves is_git false for a plain directory. */
static bool
look_at_git(struct repo *repo, struct dm_err *err)
{
	struct layout layout;
	enum layout_kind kind = layout_find(repo->worktree, &layout);

	if (kind == LAYOUT_NONE)
		return true;
	if (kind == LAYOUT_UNUSUAL && !ask_git(repo->worktree, &layout, err))
		return false;
	repo->is_git = true;
	repo->is_linked = strcmp(layout.git_dir, layout.common_dir) != 0;
	free(repo->worktree);
	repo->worktree = dm_strdup(layout.worktree);
	repo->main_dir =
	    repo->is_linked ? main_dir_of(layout.common_dir) : dm_path_base(repo->worktree);
	repo->common_dir = dm_strdup(layout.common_dir);
	find_branch(repo, layout.git_dir, layout.common_dir);
	layout_release(&layout);
	return true;
}

/* The file that .id is, links resolved; *path stays NULL if there is none. */
static bool
locate_id_file(const char *worktree, char **path, struct dm_err *err)
{
	DM_AUTO_FREE char *link = dm_asprintf("%s/.id", worktree);
	struct stat st;

	if (lstat(link, &st) != 0) {
		if (errno == ENOENT)
			return true;
		return dm_fail_errno(err, errno, "looking at %s", link);
	}
	if (S_ISLNK(st.st_mode)) {
		DM_AUTO_FREE char *target = realpath(link, NULL);
		size_t n = strlen(worktree);

		if (target == NULL)
			return dm_fail_errno(err, errno, "following the link %s", link);
		/* an untrusted checkout must not make us read, and publish, a file elsewhere */
		if (strncmp(target, worktree, n) != 0 || target[n] != '/')
			return dm_fail(
			    err, DM_DENIED, "%s leads out of the worktree, to %s", link, target);
		if (stat(target, &st) != 0)
			return dm_fail_errno(err, errno, "looking at %s", target);
		free(link);
		link = dm_steal_pointer(&target);
	}
	if (!S_ISREG(st.st_mode))
		return dm_fail(err, DM_USAGE, "%s is not a regular file", link);
	*path = dm_steal_pointer(&link);
	return true;
}

static bool
read_id_file(struct repo *repo, struct dm_err *err)
{
	DM_AUTO_FREE char *path = NULL;
	DM_AUTO_STR struct dm_str text = dm_str_make(REF_MAX);
	char line[NAME_ID_LINE_MAX + 1];

	if (!locate_id_file(repo->worktree, &path, err))
		return dm_hint(err, ".id is one line: the name of the app");
	if (path == NULL)
		return true;
	if (!dm_read_file(path, &text, err) || !name_parse_id_file(text.data, text.len, line, err))
		return dm_wrap(err, "reading %s", path);
	repo->id_line = dm_strdup(line);
	return true;
}

struct repo *
repo_open(const char *dir, struct dm_err *err)
{
	dm_auto(repo) repo = dm_calloc(1, sizeof(*repo));
	struct stat st;

	repo->worktree = realpath(dir, NULL);
	if (repo->worktree == NULL || stat(repo->worktree, &st) != 0) {
		(void)dm_fail_errno(err, errno, "looking at the directory %s", dir);
		err->code = err->code == DM_DENIED ? DM_DENIED : DM_NOT_FOUND;
		return NULL;
	}
	if (!S_ISDIR(st.st_mode)) {
		(void)dm_fail(err, DM_USAGE, "%s is not a directory", dir);
		return NULL;
	}
	if (!look_at_git(repo, err) || !read_id_file(repo, err))
		return NULL;
	repo->dir_name = dm_path_base(repo->worktree);
	if (repo->main_dir == NULL)
		repo->main_dir = dm_strdup(repo->dir_name);
	return DM_STEAL(&repo);
}

char *
repo_remote_url(const struct repo *repo)
{
	const char *const args[] = {"config", "--get", "remote.origin.url", NULL};
	char *out = NULL;

	if (!repo->is_git ||
	    layout_config(repo->common_dir, "remote \"origin\"", "url", &out) != LAYOUT_UNUSUAL)
		return out;
	return git_line(repo->worktree, args);
}
