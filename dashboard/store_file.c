/* SPDX-License-Identifier: MIT */
#include "store_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/str.h"

/*
 * What SQLite has beside a file, and the file. In the order of setting aside: SQLite would write a
 * journal that is left into the next file.
 */
static const char *const parts[] = {"-wal", "-shm", "-journal", ""};

enum {
	PARTS = sizeof(parts) / sizeof(parts[0])
};

static bool
not_ours(const char *path, struct dm_err *err)
{
	(void)dm_fail(err, DM_DENIED, "the history %s is not a plain file of yours", path);
	return dm_hint(err, "see: ls -l '%s'", path);
}

static bool
is_ours(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1;
}

static bool
check_dir(const char *path, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = dm_path_dir(path);
	struct stat st;

	if (!dm_make_dirs(dir, 0700, err))
		return false;
	if (stat(dir, &st) != 0)
		return dm_fail_errno(err, errno, "looking at %s", dir);
	if (st.st_uid == geteuid() && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return true;
	(void)dm_fail(
	    err, DM_DENIED, "keeping a history in %s: others may write to that directory", dir);
	return dm_hint(err, "it must be yours, and: chmod go-w '%s'", dir);
}

bool
store_file_check(const char *path, struct store_file *out, struct dm_err *err)
{
	DM_AUTO_CLOSE int fd = -1;
	struct stat st;

	if (!check_dir(path, err))
		return false;
	for (size_t i = 0; i < PARTS; i++) {
		DM_AUTO_FREE char *name = dm_asprintf("%s%s", path, parts[i]);

		if (lstat(name, &st) == 0 && !is_ours(&st))
			return not_ours(name, err);
	}
	/* made here, as SQLite would make it by the umask; what it has beside gets the same mode */
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) != 0)
		return dm_fail_errno(err, errno, "opening the history %s", path);
	if (!is_ours(&st))
		return not_ours(path, err);
	if ((st.st_mode & 077) != 0 && fchmod(fd, 0600) != 0)
		return dm_fail_errno(err, errno, "making the history %s private", path);
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	return true;
}

bool
store_file_look(const char *path, struct store_file *out)
{
	struct stat st;

	*out = (struct store_file){0, 0};
	if (lstat(path, &st) != 0)
		return false;
	*out = (struct store_file){st.st_dev, st.st_ino};
	return true;
}

bool
store_file_in_place(const char *path, const struct store_file *file)
{
	struct store_file now;

	return store_file_look(path, &now) && now.dev == file->dev && now.ino == file->ino;
}

bool
store_file_set_aside(const char *path, struct dm_err *err)
{
	for (size_t i = 0; i < PARTS; i++) {
		DM_AUTO_FREE char *from = dm_asprintf("%s%s", path, parts[i]);
		DM_AUTO_FREE char *to = dm_asprintf("%s.bad%s", path, parts[i]);

		if (rename(from, to) == 0)
			continue;
		if (errno != ENOENT)
			return dm_fail_errno(err, errno, "setting %s aside", from);
		if (unlink(to) != 0 && errno != ENOENT)
			return dm_fail_errno(err, errno, "removing %s", to);
	}
	return true;
}

void
store_file_forget_aside(const char *path, int64_t max_age_s)
{
	DM_AUTO_FREE char *bad = dm_asprintf("%s.bad", path);
	struct stat st;

	/* its status was last changed by the renaming */
	if (lstat(bad, &st) != 0 || (int64_t)st.st_ctime > dm_wall_seconds() - max_age_s)
		return;
	for (size_t i = 0; i < PARTS; i++) {
		DM_AUTO_FREE char *name = dm_asprintf("%s%s", bad, parts[i]);

		(void)unlink(name);
	}
}
