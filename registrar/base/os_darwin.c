/* SPDX-License-Identifier: MIT */
/* Written from Apple's headers and manuals; not yet run on a Mac. */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <mach-o/dyld.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool
dm_os_peer(int fd, pid_t *pid, uid_t *uid)
{
	socklen_t len = sizeof(*pid);
	gid_t gid;

	if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, pid, &len) != 0)
		*pid = 0;
	return getpeereid(fd, uid, &gid) == 0;
}

bool
dm_os_socket_is_bound(const char *path)
{
	(void)path; /* no table of bound sockets that an ordinary program may read */
	return false;
}

int
dm_os_socket_clients(const char *path)
{
	(void)path; /* no table of them that an ordinary program may read */
	return -1;
}

bool
dm_os_chmod_same(const char *path, dev_t dev, ino_t ino, mode_t mode)
{
	struct stat before, after;

	if (lstat(path, &before) != 0)
		return false;
	if (before.st_dev == dev && before.st_ino == ino &&
	    fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) == 0 && lstat(path, &after) == 0 &&
	    after.st_dev == dev && after.st_ino == ino)
		return true;
	errno = ESTALE;
	return false;
}

char *
dm_os_self_exe(void)
{
	char path[4096];
	uint32_t size = sizeof(path);

	return _NSGetExecutablePath(path, &size) == 0 ? realpath(path, NULL) : NULL;
}

const char *
dm_os_state_subdir(void)
{
	return "Library/Application Support";
}

bool
dm_os_has_launchd(void)
{
	return true;
}

long
dm_os_ctime_nsec(const struct stat *st)
{
	return st->st_ctimespec.tv_nsec;
}

const char *
dm_os_loopback(void)
{
	return "lo0";
}

const char *
dm_os_libcurl(void)
{
	return "/usr/lib/libcurl.4.dylib";
}

/* The system's own is LibreSSL, and refuses to be loaded by others. */
const char *
dm_os_libcrypto(void)
{
	static const char arm[] = "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib";

	return access(arm, R_OK) == 0 ? arm : "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib";
}

const char *
dm_os_opener(void)
{
	return "open";
}

void
dm_os_getopt_reset(void)
{
	optreset = 1;
	optind = 1;
}

const char *const *
dm_os_trust_command(const char *path, const char *name)
{
	static const char *argv[] = {"/usr/bin/security", "add-trusted-cert", "-d", "-r",
	    "trustRoot", "-k", "/Library/Keychains/System.keychain", NULL, NULL};

	(void)name;
	argv[7] = path;
	return argv;
}
