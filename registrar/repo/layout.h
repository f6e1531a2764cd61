/* SPDX-License-Identifier: MIT */
/*
 * Git's files, as gitrepository-layout(5) and git-worktree(1) document them: read, never
 * interpreted further than needed to say which worktree and which branch this is.
 */
#ifndef DEVMESH_LAYOUT_H
#define DEVMESH_LAYOUT_H

#include <stdbool.h>

enum layout_kind {
	LAYOUT_NONE,	/* no repository here or above */
	LAYOUT_FOUND,	/* a worktree: all of struct layout is set */
	LAYOUT_UNUSUAL, /* there is one, of a kind for which git has to be asked */
};

/* Absolute paths; owned by the caller (layout_release). */
struct layout {
	char *worktree;	  /* its top level */
	char *git_dir;	  /* of this worktree: HEAD, a rebase's state */
	char *common_dir; /* of the repository: refs, config */
};

/*
 * Looks from `dir` (absolute, links resolved) upwards. Found are a .git directory and a linked
 * worktree's .git file; unusual are submodules, separate and bare git directories.
 */
enum layout_kind layout_find(const char *dir, struct layout *out);
void layout_release(struct layout *layout);

/*
 * The common git directory of the worktree, or submodule, with this top level, whatever its kind;
 * NULL if there is none. The caller owns it.
 */
char *layout_common_dir(const char *top);

/* First line of a small file, or NULL if it cannot be read or is empty. The caller owns it. */
char *layout_read_line(const char *dir, const char *name);

/*
 * A value in the repository's config file (git-config(1), CONFIGURATION FILE), of a section as it
 * stands in brackets: found or none where the file is plain; unusual if it includes others, or the
 * value is quoted or continued, so that git has to be asked. The caller owns *value.
 */
enum layout_kind
layout_config(const char *common_dir, const char *section, const char *key, char **value);

/*
 * The branch to which a rebase or a bisection under way will come back; NULL if there is none.
 * The caller owns it.
 */
char *layout_interrupted_branch(const char *git_dir);

#endif
