/* SPDX-License-Identifier: MIT */
/*
 * What git says about a directory: which worktree, which branch, whose repository.
 *
 * For the usual layouts git's documented files are read (layout.h); for everything else, and for
 * configuration, the git program is asked. No library: libgit2 takes 8 ms to load and start where
 * a run of git takes 1, and older ones refuse repositories with newer extensions (worktreeConfig,
 * relativeWorktrees, reftable). GIT_* variables, as set inside hooks, are not passed on: the
 * directory decides.
 */
#ifndef DEVMESH_REPO_H
#define DEVMESH_REPO_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

/* All strings are owned by the struct. */
struct repo {
	char *worktree;	  /* top level of the worktree, absolute, links resolved */
	char *common_dir; /* of the repository: its config is there; NULL without git */
	char *main_dir;	  /* directory name of the main worktree (or of the bare repository) */
	char *dir_name;	  /* directory name of this worktree */
	char *branch;	  /* HEAD's branch or the one being rebased; NULL when detached */
	char *commit;	  /* 7 digits, only when detached */
	char *id_line;	  /* first line of .id; NULL if there is no such file */
	bool is_git;	  /* false: a plain directory, all of the above from its name */
	bool is_linked;	  /* made by git worktree add */
	bool is_default_branch;
};

/*
 * Looks at `dir` (borrowed). DM_NOT_FOUND if it does not exist or is a bare repository without a
 * worktree, DM_USAGE for an unusable .id. The caller owns the result.
 */
struct repo *repo_open(const char *dir, struct dm_err *err) DM_MUST;
void repo_free(struct repo *repo);
DM_DEFINE_FREEP(repo)

/* URL of the remote "origin"; NULL if there is none or git fails. The caller owns it. */
char *repo_remote_url(const struct repo *repo);

#endif
