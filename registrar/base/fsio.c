/* SPDX-License-Identifier: MIT */
#include "base/fsio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

bool
dm_read_fd(int fd, struct dm_str *out, struct dm_err *err)
{
	char buf[16384];

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return dm_fail_errno(err, errno, "reading");
		if (n == 0)
			return true;
		if (!dm_str_add(out, buf, (size_t)n)) {
			/* keep what fits: the caller may want to look at the beginning */
			(void)dm_str_add(out, buf, out->max - out->len);
			out->overflow = true;
			return true;
		}
	}
}

bool
dm_read_file(const char *path, struct dm_str *out, struct dm_err *err)
{
	DM_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return dm_fail_errno(err, errno, "opening %s", path);
	if (!dm_read_fd(fd, out, err))
		return dm_wrap(err, "%s", path);
	return true;
}

enum {
	FDS_LEFT_MAX = 16
};

bool
dm_fds_left(unsigned count)
{
	int fds[FDS_LEFT_MAX];
	unsigned n = 0;
	bool ok = true;

	while (n < count && n < FDS_LEFT_MAX) {
		fds[n] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fds[n] < 0) {
			ok = !dm_is_shortage(errno);
			break;
		}
		n++;
	}
	while (n > 0)
		(void)close(fds[--n]);
	return ok;
}

bool
dm_is_shortage(int errno_value)
{
	return errno_value == EMFILE || errno_value == ENFILE || errno_value == ENOMEM ||
	       errno_value == ENOBUFS;
}

bool
dm_write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

/* Written by root, in a container or with sudo, a user's file stays that user's. */
static bool
keep_owner(const char *path, int fd)
{
	struct stat st;

	return geteuid() != 0 || lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid == 0 ||
	       fchown(fd, st.st_uid, st.st_gid) == 0;
}

bool
dm_write_file(const char *path, const void *data, size_t len, mode_t mode, struct dm_err *err)
{
	DM_AUTO_FREE char *tmp = dm_asprintf("%s.XXXXXX", path);
	DM_AUTO_CLOSE int fd = mkstemp(tmp);
	int saved;

	if (fd < 0)
		return dm_fail_errno(err, errno, "creating a file beside %s", path);
	if (keep_owner(path, fd) && fchmod(fd, mode) == 0 && dm_write_all(fd, data, len) &&
	    fsync(fd) == 0 && rename(tmp, path) == 0)
		return true;
	saved = errno;
	(void)unlink(tmp);
	return dm_fail_errno(err, saved, "writing %s", path);
}

bool
dm_make_dirs(const char *path, mode_t mode, struct dm_err *err)
{
	DM_AUTO_FREE char *part = dm_strdup(path);
	struct stat st;

	if (path[0] == '\0')
		return dm_fail(err, DM_USAGE, "making a directory: its path is empty");
	for (char *p = part + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, mode) != 0 && errno != EEXIST)
			return dm_fail_errno(err, errno, "making the directory %s", part);
		*p = c;
		if (c == '\0')
			break;
	}
	if (stat(path, &st) != 0)
		return dm_fail_errno(err, errno, "making the directory %s", path);
	if (!S_ISDIR(st.st_mode))
		return dm_fail(err, DM_CONFLICT, "%s is in the way: not a directory", path);
	return true;
}

void
dm_remove_below(const char *path, int depth)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (fd >= 0 && d == NULL)
		(void)close(fd);
	if (d == NULL)
		return;
	while ((entry = readdir(d)) != NULL) {
		DM_AUTO_FREE char *below = dm_asprintf("%s/%s", path, entry->d_name);

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(fd, entry->d_name, 0) != 0 && depth > 0)
			dm_remove_below(below, depth - 1);
	}
	(void)closedir(d);
	(void)rmdir(path);
}

/* Opens the lock file; without O_CREAT first, because of fs.protected_regular in sticky dirs. */
static int
open_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd;
}

bool
dm_lock(const char *path, int64_t wait_ms, int *out, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + wait_ms, nap = 1;
	DM_AUTO_CLOSE int fd = open_lock(path);
	struct stat st, now;

	if (fd < 0)
		return dm_fail_errno(err, errno, "opening the lock file %s", path);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return dm_fail(
		    err, DM_DENIED, "the lock file %s is not a regular file of yours", path);
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return dm_fail_errno(err, errno, "locking %s", path);
		if (dm_now_ms() >= deadline) {
			(void)dm_fail(err, DM_TIMEOUT,
			    "another devmesh has held the lock %s for over %lld ms", path,
			    (long long)wait_ms);
			return dm_hint(err, "see which one with: fuser -v %s", path);
		}
		dm_pause_ms(nap);
		nap = nap < 16 ? nap * 2 : 16;
	}
	/* a cleaner of /tmp may have removed the file meanwhile: then others lock a new one */
	if (stat(path, &now) != 0 || now.st_ino != st.st_ino || now.st_dev != st.st_dev)
		return dm_lock(path, wait_ms, out, err);
	*out = fd;
	fd = -1;
	return true;
}

bool
dm_read_tail(const char *path, int64_t from, struct dm_str *out, struct dm_err *err)
{
	DM_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int64_t room = (int64_t)(out->max - out->len);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return dm_fail_errno(err, errno, "reading %s", path);
	if (from > st.st_size)
		from = 0;
	if (st.st_size - from > room)
		from = st.st_size - room;
	if (lseek(fd, (off_t)from, SEEK_SET) < 0)
		return dm_fail_errno(err, errno, "reading %s", path);
	return dm_read_fd(fd, out, err);
}

void
dm_open_standard_fds(void)
{
	for (int fd = 0; fd >= 0 && fd <= STDERR_FILENO;) {
		fd = open("/dev/null", O_RDWR);
		if (fd > STDERR_FILENO)
			(void)close(fd);
	}
}
