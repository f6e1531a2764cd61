/* SPDX-License-Identifier: MIT */
/* The registry as a directory: opening it safely, its locks, what lies in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/paths.h"
#include "base/sock.h"
#include "base/str.h"
#include "claim/registry_impl.h"

void
registry_free(struct registry *reg)
{
	if (reg == NULL)
		return;
	dm_closep(&reg->fd);
	free(reg->dir);
	free(reg);
}

const char *
registry_dir(const struct registry *reg)
{
	return reg->dir;
}

char *
registry_socket(const struct registry *reg, const char *id)
{
	return dm_asprintf("%s/%s.sock", reg->dir, id);
}

/* Makes the directory 1777, whatever the umask. Losing a race is fine. */
static bool
make_directory(const char *dir, struct dm_err *err)
{
	DM_AUTO_FREE char *parent = dm_path_dir(dir);
	mode_t mask;
	bool made;
	int error;

	if (access(dir, F_OK) == 0)
		return true;
	if (!dm_make_dirs(parent, 0755, err))
		return false;
	/* in one step, so that being killed in between leaves no directory of another mode */
	mask = umask(0);
	made = mkdir(dir, 01777) == 0;
	error = errno;
	(void)umask(mask);
	if (!made)
		return error == EEXIST || dm_fail_errno(err, error, "making the directory %s", dir);
	/* some systems leave the sticky bit to chmod(2) */
	if (chmod(dir, 01777) != 0)
		return dm_fail_errno(err, errno, "setting the mode of %s", dir);
	return true;
}

static bool
check_directory(const char *dir, int fd, struct dm_err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return dm_fail_errno(err, errno, "looking at %s", dir);
	if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0) {
		(void)dm_fail(err, DM_DENIED,
		    "%s may be written to by everybody without being sticky: others could replace "
		    "your sockets",
		    dir);
		return dm_hint(err, "chmod 1777 %s", dir);
	}
	if (st.st_uid != geteuid() && st.st_uid != 0 && (st.st_mode & S_ISVTX) == 0) {
		(void)dm_fail(err, DM_DENIED, "%s belongs to uid %u and is not sticky", dir,
		    (unsigned)st.st_uid);
		return dm_hint(err, "use a directory of your own: [sockets] dir");
	}
	return true;
}

struct registry *
registry_open(const char *dir, struct dm_err *err)
{
	dm_auto(registry) reg = dm_calloc(1, sizeof(*reg));

	reg->fd = -1;
	reg->dir = dm_strdup(dir);
	if (strlen(dir) + 1 + SLUG_MAX + strlen(".sock") > dm_sock_path_max()) {
		(void)dm_fail(err, DM_USAGE, "%s is too long a directory for Unix sockets", dir);
		(void)dm_hint(err, "at most %zu bytes; set [sockets] dir to a shorter path",
		    dm_sock_path_max() - SLUG_MAX - strlen("/.sock"));
		return NULL;
	}
	if (!make_directory(dir, err))
		return NULL;
	reg->fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (reg->fd < 0) {
		int error = errno;
		struct stat st;

		(void)dm_fail_errno(err, error, "opening the directory %s", dir);
		if (lstat(dir, &st) == 0 && S_ISLNK(st.st_mode))
			(void)dm_fail(err, DM_DENIED,
			    "%s is a symbolic link: whoever made it decides where your sockets go",
			    dir);
		(void)dm_hint(err, "remove it, or use another directory: [sockets] dir");
		return NULL;
	}
	if (!check_directory(dir, reg->fd, err))
		return NULL;
	return DM_STEAL(&reg);
}

/*
 * The lock file: in the registry, or, if somebody else has made a file of that name there, in the
 * user's state directory. All processes of the user see the same file and come to the same end.
 */
static char *
lock_path(const struct registry *reg, const char *kind, struct dm_err *err)
{
	DM_AUTO_FREE char *name = dm_asprintf(".%s.%u.lock", kind, (unsigned)geteuid());
	DM_AUTO_FREE char *state = NULL;
	struct stat st, dir;

	if (fstatat(reg->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (S_ISREG(st.st_mode) && st.st_uid == geteuid()))
		return dm_asprintf("%s/%s", reg->dir, name);
	state = dm_state_dir(err);
	if (state == NULL || !dm_make_dirs(state, 0700, err) || fstat(reg->fd, &dir) != 0)
		return NULL;
	return dm_asprintf("%s/%s.%llu-%llu.lock", state, kind, (unsigned long long)dir.st_dev,
	    (unsigned long long)dir.st_ino);
}

bool
registry_lock(const struct registry *reg, enum registry_lock which, int64_t wait_ms, int *fd,
    struct dm_err *err)
{
	DM_AUTO_FREE char *path =
	    lock_path(reg, which == REGISTRY_LOCK_CLAIMS ? "claims" : "caddy", err);

	return path != NULL && dm_lock(path, wait_ms, fd, err);
}

bool
registry_each_entry(const struct registry *reg, const char *suffix,
    void (*fn)(const struct registry *, const char *id, const struct stat *, void *), void *user,
    struct dm_err *err)
{
	int fd = openat(reg->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (d == NULL) {
		dm_closep(&fd);
		return dm_fail_errno(err, errno, "listing %s", reg->dir);
	}
	while ((e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name), m = strlen(suffix);
		struct stat st;
		struct slug id;

		if (n <= m || n - m > SLUG_MAX || !dm_ends_with(e->d_name, suffix))
			continue;
		memcpy(id.s, e->d_name, n - m);
		id.s[n - m] = '\0';
		if (slug_valid(id.s) &&
		    fstatat(reg->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_uid == geteuid())
			fn(reg, id.s, &st, user);
	}
	(void)closedir(d);
	return true;
}

struct id_list {
	char **ids;
	size_t count;
};

static void
add_id(const struct registry *reg, const char *id, const struct stat *st, void *user)
{
	struct id_list *list = user;

	(void)reg;
	(void)st;
	list->ids = dm_reallocarray(list->ids, list->count + 1, sizeof(char *));
	list->ids[list->count++] = dm_strdup(id);
}

bool
registry_sockets(const struct registry *reg, char ***ids, size_t *count, struct dm_err *err)
{
	struct id_list list = {NULL, 0};

	if (!registry_each_entry(reg, ".sock", add_id, &list, err))
		return false;
	*ids = list.ids;
	*count = list.count;
	return true;
}

/* Whether `name` is ".<id>.<pid>.<number>.tmp" of a process that is no more. */
static bool
left_over(const char *name)
{
	DM_AUTO_FREE char *text = NULL;
	char *dot;
	uint64_t pid;

	if (name[0] != '.' || !dm_ends_with(name, ".tmp"))
		return false;
	text = dm_strndup(name, strlen(name) - strlen(".tmp"));
	if ((dot = strrchr(text, '.')) == NULL || dot == text)
		return false;
	*dot = '\0';
	dot = strrchr(text, '.');
	return dot != NULL && dot != text && dm_parse_uint(dot + 1, 1, INT32_MAX, &pid) &&
	       kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

unsigned
registry_sweep_temporary(struct registry *reg, bool dry_run)
{
	int fd = openat(reg->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	unsigned count = 0;

	if (d == NULL) {
		dm_closep(&fd);
		return 0;
	}
	while ((e = readdir(d)) != NULL) {
		struct stat st;

		if (!left_over(e->d_name) ||
		    fstatat(reg->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    st.st_uid != geteuid())
			continue;
		if (dry_run || unlinkat(reg->fd, e->d_name, 0) == 0)
			count++;
	}
	(void)closedir(d);
	return count;
}
