/* SPDX-License-Identifier: MIT */
/* Real repositories for the unit tests. */
#ifndef DEVMESH_REPOS_H
#define DEVMESH_REPOS_H

#include "unit.h"

#include "repo/git.h"

/* git, as in a user's own repository; its output is of no interest. */
#define GIT(dir, ...) run_git(dir, (const char *const[]){__VA_ARGS__, NULL})

static inline void
run_git(const char *dir, const char *const args[])
{
	DM_AUTO_FREE char *out = NULL;
	DM_AUTO_FREE char *errout = NULL;
	struct dm_err err;
	int status = 0;

	assert_ok(git_run(dir, args, GIT_TIMEOUT_MS, &out, &errout, &status, &err), &err);
	if (status != 0)
		fail_msg("git %s: %s", args[0], errout);
}

static inline void
commit_in(const char *dir)
{
	GIT(dir, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-aqm", "x");
}

/* A repository with a commit of the file "f" on main; the caller owns the path. */
static inline char *
repo_in(const char *parent, const char *name)
{
	char *dir = in_dir(parent, name);
	DM_AUTO_FREE char *file = in_dir(dir, "f");

	assert_int_equal(mkdir(dir, 0700), 0);
	GIT(dir, "init", "-q", "-b", "main");
	put_file(file, "one\n");
	GIT(dir, "add", "f");
	commit_in(dir);
	return dir;
}

#endif
