/* SPDX-License-Identifier: MIT */
#include "repo/worktrees.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/paths.h"
#include "base/str.h"
#include "repo/checkout.h"
#include "repo/git.h"
#include "repo/layout.h"

enum {
	WORKTREES_MAX = 1000,
	GITDIR_MAX = 4096,
	ENTRIES_MAX = 200000, /* of a worktree that is measured */
	DEPTH_MAX = 64,
	LIST_FDS = 12,	     /* that a list takes at most at a time: git's pipes, files */
	LOOK_AT_CLOCK = 256, /* entries between two looks */
	BLOCK = 512 /* the unit of st_blocks: POSIX.1-2017, <sys/stat.h>, on both systems */
};

void
worktrees_release(struct worktree_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->list[i].path);
		free(list->list[i].git_dir);
		free(list->list[i].branch);
		free(list->list[i].head);
	}
	free(list->list);
	memset(list, 0, sizeof(*list));
}

static bool
is_gone(const char *path)
{
	struct stat st;

	return stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* Takes `path` over; links in it are resolved as far as it exists. */
static void
add(struct worktree_list *out, char *path, const char *git_dir, const char *common_dir,
    bool is_main)
{
	struct dm_err ignored;
	char *real = dm_resolve(path, &ignored);
	struct worktree one = {
	    .path = real != NULL ? real : dm_strdup(path), .git_dir = dm_strdup(git_dir)};
	struct layout layout;
	const char *dir;

	free(path);
	one.is_main = is_main;
	one.gone = is_gone(one.path);
	dir = one.gone ? git_dir : one.path;
	layout = (struct layout){.worktree = one.path, .git_dir = one.git_dir};
	layout.common_dir = dm_strdup(common_dir);
	one.branch = checkout_branch(dir, git_dir);
	one.head = checkout_head(dir, &layout);
	free(layout.common_dir);
	out->list = dm_reallocarray(out->list, out->count + 1, sizeof(*out->list));
	out->list[out->count++] = one;
}

/* A setting of the repository: as its file says, or as git does where that is not plain. */
static char *
core_setting(const char *common_dir, const char *name)
{
	DM_AUTO_FREE char *key = dm_asprintf("core.%s", name);
	const char *const args[] = {"config", "--get", key, NULL};
	char *value;

	if (layout_config(common_dir, "core", name, &value) != LAYOUT_UNUSUAL)
		return value;
	return git_line(common_dir, args);
}

/* gitrepository-layout(5), git-config(1): core.bare, core.worktree. NULL: there is none. */
static char *
main_path(const char *common_dir)
{
	DM_AUTO_FREE char *bare = core_setting(common_dir, "bare");
	DM_AUTO_FREE char *elsewhere = core_setting(common_dir, "worktree");
	DM_AUTO_FREE char *base = dm_path_base(common_dir);

	if (bare != NULL && (strcasecmp(bare, "true") == 0 || strcasecmp(bare, "yes") == 0 ||
				strcasecmp(bare, "on") == 0 || strcmp(bare, "1") == 0))
		return NULL;
	if (elsewhere != NULL)
		return elsewhere[0] == '/' ? dm_steal_pointer(&elsewhere)
					   : dm_asprintf("%s/%s", common_dir, elsewhere);
	return strcmp(base, ".git") == 0 ? dm_path_dir(common_dir) : NULL;
}

/*
 * The directory of <common>/worktrees/<name>/gitdir: that file holds the path of the worktree's
 * .git, which is relative to its own directory with worktree.useRelativePaths.
 */
static bool
add_linked(struct worktree_list *out, const char *common_dir, const char *name, struct dm_err *err)
{
	DM_AUTO_FREE char *git_dir = dm_asprintf("%s/worktrees/%s", common_dir, name);
	DM_AUTO_FREE char *path = dm_asprintf("%s/gitdir", git_dir);
	DM_AUTO_FREE char *dot = NULL;
	DM_AUTO_STR struct dm_str line = dm_str_make(GITDIR_MAX);
	struct dm_err why;

	if (!dm_read_file(path, &line, &why)) {
		/* for want of descriptors it would look like a worktree less */
		if (!dm_is_shortage(why.sys))
			return true;
		*err = why;
		return dm_wrap(err, "listing the worktrees of %s", common_dir);
	}
	line.data[strcspn(line.data, "\r\n")] = '\0';
	dot = line.data[0] == '/' ? dm_strdup(line.data) : dm_asprintf("%s/%s", git_dir, line.data);
	if (dm_ends_with(dot, "/.git"))
		add(out, dm_path_dir(dot), git_dir, common_dir, false);
	return true;
}

static int
main_first_then_by_path(const void *a, const void *b)
{
	const struct worktree *x = a, *y = b;

	if (x->is_main != y->is_main)
		return x->is_main ? -1 : 1;
	return strcmp(x->path, y->path);
}

static bool
list_linked(struct worktree_list *out, const char *common_dir, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = dm_asprintf("%s/worktrees", common_dir);
	DIR *d = opendir(dir);
	const struct dirent *e;
	bool ok = true;
	int error;

	if (d == NULL)
		return errno == ENOENT || errno == ENOTDIR ||
		       dm_fail_errno(err, errno, "listing the worktrees in %s", dir);
	while (ok && (errno = 0, (e = readdir(d)) != NULL) && out->count < WORKTREES_MAX) {
		if (e->d_name[0] != '.')
			ok = add_linked(out, common_dir, e->d_name, err);
	}
	error = e == NULL ? errno : 0;
	(void)closedir(d);
	if (!ok)
		return false;
	return error == 0 || error == ENOENT ||
	       dm_fail_errno(err, error, "listing the worktrees in %s", dir);
}

bool
worktrees_list(const char *common_dir, struct worktree_list *out, struct dm_err *err)
{
	DM_AUTO_FREE char *head = dm_asprintf("%s/HEAD", common_dir);
	char *top;

	memset(out, 0, sizeof(*out));
	if (access(head, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return dm_fail(err, DM_NOT_FOUND,
		    "listing the worktrees of %s: it is no git directory", common_dir);
	if (access(head, F_OK) != 0)
		return dm_fail_errno(err, errno, "listing the worktrees of %s", common_dir);
	/* a file that cannot be opened for want of them would look like a branch less */
	if (!dm_fds_left(LIST_FDS))
		return dm_fail_errno(err, EMFILE, "listing the worktrees of %s", common_dir);
	if ((top = main_path(common_dir)) != NULL)
		add(out, top, common_dir, common_dir, true);
	if (!list_linked(out, common_dir, err)) {
		worktrees_release(out);
		return false;
	}
	/* others may have taken the last ones meanwhile */
	if (!dm_fds_left(LIST_FDS)) {
		worktrees_release(out);
		return dm_fail_errno(err, EMFILE, "listing the worktrees of %s", common_dir);
	}
	if (out->count > 0)
		qsort(out->list, out->count, sizeof(*out->list), main_first_then_by_path);
	return true;
}

/* ---- one of them --------------------------------------------------------------------------- */

/* A walk through a worktree's files. */
struct measure {
	int64_t bytes, deadline;
	unsigned entries;
	dev_t dev;
};

static bool is_measured(struct measure *m, int fd, unsigned depth);

/* A linked worktree below another one: not its files. A submodule's .git leads elsewhere. */
static bool
is_other_worktree(int dir)
{
	DM_AUTO_CLOSE int fd = openat(dir, ".git", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	DM_AUTO_STR struct dm_str text = dm_str_make(4096);
	struct dm_err ignored;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       dm_read_fd(fd, &text, &ignored) && dm_starts_with(text.data, "gitdir: ") &&
	       strstr(text.data, "/worktrees/") != NULL;
}

static bool
add_entry(struct measure *m, int dir, const char *name, unsigned depth)
{
	DM_AUTO_CLOSE int fd = -1;
	struct stat st;

	if (++m->entries > ENTRIES_MAX || depth > DEPTH_MAX ||
	    (m->entries % LOOK_AT_CLOCK == 0 && dm_now_ms() >= m->deadline))
		return false;
	/* what has gone meanwhile, or may not be looked at, takes no room that is ours to tell */
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_dev != m->dev)
		return true;
	if (S_ISDIR(st.st_mode)) {
		fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && is_other_worktree(fd))
			return true;
	}
	m->bytes += (int64_t)st.st_blocks * BLOCK;
	return fd < 0 || is_measured(m, fd, depth + 1);
}

/* Adds what is below an open directory; false if that would take too long. */
static bool
is_measured(struct measure *m, int dir, unsigned depth)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool ok = true;

	if (d == NULL) {
		dm_closep(&fd);
		return true;
	}
	while (ok && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, ".git") != 0)
			ok = add_entry(m, fd, e->d_name, depth);
	}
	(void)closedir(d);
	return ok;
}

static int64_t
measure(const char *path, int64_t deadline)
{
	DM_AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct measure m = {.deadline = deadline};
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return -1;
	m.dev = st.st_dev;
	m.bytes = (int64_t)st.st_blocks * BLOCK;
	return is_measured(&m, fd, 0) ? m.bytes : -1;
}

/* The newest of what git touches when somebody works there. */
static int64_t
newest(const char *git_dir)
{
	static const char *const names[] = {"index", "HEAD", "logs/HEAD"};
	int64_t out = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/%s", git_dir, names[i]);
		struct stat st;

		if (stat(path, &st) == 0 && (int64_t)st.st_mtime > out)
			out = (int64_t)st.st_mtime;
	}
	return out;
}

/* A line of git's within what is left of the time; NULL without one. The caller owns it. */
static char *
ask(const char *dir, const char *const args[], int64_t deadline)
{
	int64_t left = deadline - dm_now_ms();
	char *out = NULL;
	struct dm_err ignored;
	int status = 0;

	if (left <= 0 || !git_run(dir, args, left, &out, NULL, &status, &ignored))
		return NULL;
	if (status == 0 && out[0] != '\0')
		return out;
	free(out);
	return NULL;
}

/* "2\t5": on the upstream branch alone, and on HEAD alone (git-rev-list(1), --left-right). */
static void
count_commits(const char *text, struct worktree_detail *out)
{
	char behind[16], ahead[16];
	uint64_t b, a;
	size_t n = strcspn(text, "\t");

	if (text[n] != '\t' || !dm_snprintf(behind, sizeof(behind), "%.*s", (int)n, text) ||
	    !dm_snprintf(ahead, sizeof(ahead), "%s", text + n + 1) ||
	    !dm_parse_uint(behind, 0, INT32_MAX, &b) || !dm_parse_uint(ahead, 0, INT32_MAX, &a))
		return;
	out->behind = (int)b;
	out->ahead = (int)a;
}

void
worktree_look(const struct worktree *worktree, int64_t timeout_ms, struct worktree_detail *out)
{
	static const char *const last[] = {
	    "log", "-1", "--no-show-signature", "--format=%ct", NULL};
	static const char *const both[] = {
	    "rev-list", "--left-right", "--count", "@{upstream}...HEAD", NULL};
	int64_t deadline = dm_now_ms() + timeout_ms;
	const char *dir = worktree->gone ? worktree->git_dir : worktree->path;
	DM_AUTO_FREE char *commit = NULL;
	DM_AUTO_FREE char *commits = NULL;
	uint64_t seconds;

	*out = (struct worktree_detail){.dirty = -1, .ahead = -1, .behind = -1, .bytes = -1};
	out->last_access = newest(worktree->git_dir);
	if (worktree->head != NULL && (commit = ask(dir, last, deadline)) != NULL &&
	    dm_parse_uint(commit, 0, INT64_MAX, &seconds))
		out->last_commit = (int64_t)seconds;
	if (worktree->head != NULL && worktree->branch != NULL &&
	    (commits = ask(dir, both, deadline)) != NULL)
		count_commits(commits, out);
	if (worktree->gone)
		return;
	if (dm_now_ms() < deadline)
		out->dirty = checkout_count_changes(worktree->path, deadline - dm_now_ms());
	if (dm_now_ms() < deadline)
		out->bytes = measure(worktree->path, deadline);
}
