/* SPDX-License-Identifier: MIT */
/* The worktree of a run: whether it is still there, or has another path (git worktree move). */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "runner_impl.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

void
runner_tree_remember(struct runner *r)
{
	struct stat st;

	layout_release(&r->git);
	(void)layout_find(r->worktree, &r->git);
	if (stat(r->worktree, &st) != 0)
		return;
	r->tree_dev = st.st_dev;
	r->tree_ino = st.st_ino;
}

static int64_t
changed_at(const char *dir, const char *name)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", dir, name);
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_mtime * 31 + (int64_t)st.st_size : 0;
}

int64_t
runner_tree_state(const struct runner *r)
{
	if (r->git.git_dir == NULL)
		return 0;
	return changed_at(r->git.git_dir, "HEAD") * 7 + changed_at(r->git.git_dir, "index");
}

/* Thrown away with a file manager: moved, but not to be worked in any more. */
static bool
is_in_trash(const char *path)
{
	return strstr(path, "/Trash/files/") != NULL || strstr(path, "/.Trash") != NULL;
}

/*
 * The worktree's directory under its path of now: whatever that is, we are in it, or below it. NULL
 * if it was removed. The caller owns it.
 */
static char *
find_again(const struct runner *r)
{
	char cwd[PATH_MAX];
	DM_AUTO_FREE char *at = getcwd(cwd, sizeof(cwd)) == NULL ? NULL : dm_strdup(cwd);
	struct stat st;

	while (at != NULL && at[0] == '/' && strcmp(at, "/") != 0) {
		char *up;

		if (stat(at, &st) == 0 && st.st_dev == r->tree_dev && st.st_ino == r->tree_ino)
			return is_in_trash(at) ? NULL : dm_steal_pointer(&at);
		up = dm_path_dir(at);
		free(at);
		at = up;
	}
	return NULL;
}

/* The claim goes along. Whether another one has it by now is seen when it is looked at next. */
static bool
move_claim(struct runner *r, const char *worktree)
{
	struct dm_err err;
	bool ours = true;

	if (r->claim == NULL)
		return true;
	if (!registry_move(r->s->registry, r->claim, worktree, &ours, &err)) {
		dm_warn("%s", err.msg);
		return false;
	}
	free(r->claim->worktree);
	r->claim->worktree = dm_strdup(worktree);
	/* `devmesh up` may have registered it there meanwhile */
	if (ours && !registry_set_run(r->s->registry, r->claim, &r->run, &ours, &err))
		dm_warn("%s", err.msg);
	return true;
}

enum runner_tree
runner_tree_look(struct runner *r)
{
	DM_AUTO_FREE char *now = NULL;
	struct stat st;

	if (stat(r->worktree, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
		return RUNNER_TREE_THERE;
	if ((now = find_again(r)) == NULL)
		return RUNNER_TREE_GONE;
	if (!move_claim(r, now))
		return RUNNER_TREE_THERE; /* as far as anybody can tell: at the next look again */
	dm_note("the worktree %s was moved: it is %s now", r->worktree, now);
	free(r->worktree);
	r->worktree = dm_steal_pointer(&now);
	runner_tree_remember(r);
	return RUNNER_TREE_MOVED;
}
