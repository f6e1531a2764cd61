/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* struct ucred, O_PATH */
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

bool
dm_os_peer(int fd, pid_t *pid, uid_t *uid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	*pid = cred.pid;
	*uid = cred.uid;
	return true;
}

bool
dm_os_socket_is_bound(const char *path)
{
	FILE *f = fopen("/proc/net/unix", "re");
	char line[512];
	bool bound = false;

	if (f == NULL)
		return false;
	while (!bound && fgets(line, sizeof(line), f) != NULL) {
		const char *found = strchr(line, '/');

		line[strcspn(line, "\n")] = '\0';
		bound = found != NULL && strcmp(found, path) == 0;
	}
	(void)fclose(f);
	return bound;
}

int
dm_os_socket_clients(const char *path)
{
	enum {
		STATE_FIELD = 5
	};
	static const char connected[] = "03 "; /* SS_CONNECTED of <linux/net.h> */
	FILE *f = fopen("/proc/net/unix", "re");
	char line[512];
	int count = 0;

	/* Num RefCount Protocol Flags Type St Inode Path: one that was accepted has the path as
	 * well */
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		const char *found = strchr(line, '/'), *field = line;

		line[strcspn(line, "\n")] = '\0';
		if (found == NULL || strcmp(found, path) != 0)
			continue;
		for (int i = 0; i < STATE_FIELD; i++) {
			field += strcspn(field, " ");
			field += strspn(field, " ");
		}
		if (dm_starts_with(field, connected))
			count++;
	}
	if (f == NULL)
		return -1;
	(void)fclose(f);
	return count;
}

bool
dm_os_chmod_same(const char *path, dev_t dev, ino_t ino, mode_t mode)
{
	DM_AUTO_CLOSE int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char self[64];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	if (st.st_dev != dev || st.st_ino != ino) {
		errno = ESTALE;
		return false;
	}
	/* fchmod(2) takes no such descriptor, a socket has no other; this leads to its file */
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return chmod(self, mode) == 0;
}

char *
dm_os_self_exe(void)
{
	static const char deleted[] = " (deleted)";
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0 || path[0] != '/')
		return NULL;
	path[n] = '\0';
	if (dm_ends_with(path, deleted))
		path[(size_t)n - strlen(deleted)] = '\0';
	return dm_strdup(path);
}

const char *
dm_os_state_subdir(void)
{
	return ".local/state";
}

bool
dm_os_has_launchd(void)
{
	return false;
}

long
dm_os_ctime_nsec(const struct stat *st)
{
	return st->st_ctim.tv_nsec;
}

const char *
dm_os_loopback(void)
{
	return "lo";
}

const char *
dm_os_libcurl(void)
{
	return "libcurl.so.4";
}

const char *
dm_os_libcrypto(void)
{
	return "libcrypto.so.3";
}

const char *
dm_os_opener(void)
{
	return getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL ? "xdg-open" : NULL;
}

void
dm_os_getopt_reset(void)
{
	optind = 0;
}

const char *const *
dm_os_trust_command(const char *path, const char *name)
{
	static const char *argv[8];

	/* Debian's and Fedora's tools differ; each is where its family keeps it. */
	if (access("/usr/sbin/update-ca-certificates", X_OK) == 0) {
		argv[0] = "sh";
		argv[1] = "-c";
		argv[2] = "install -m 644 -- \"$1\" \"/usr/local/share/ca-certificates/$2.crt\" && "
			  "/usr/sbin/update-ca-certificates";
		argv[3] = "sh";
		argv[4] = path;
		argv[5] = name;
		argv[6] = NULL;
		return argv;
	}
	if (access("/usr/bin/trust", X_OK) == 0) {
		argv[0] = "/usr/bin/trust";
		argv[1] = "anchor";
		argv[2] = "--store";
		argv[3] = path;
		argv[4] = NULL;
		return argv;
	}
	return NULL;
}
