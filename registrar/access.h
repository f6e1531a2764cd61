/* SPDX-License-Identifier: MIT */
/* What another user, the one that Caddy runs as, may do with files: by their modes (no ACLs). */
#ifndef DEVMESH_ACCESS_H
#define DEVMESH_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
	ACCESS_GROUPS_MAX = 64
};

struct access_user {
	uid_t uid;
	gid_t groups[ACCESS_GROUPS_MAX];
	size_t count;
};

/*
 * The user of a process, with the groups that it has (proc(5)) or, where it cannot be seen (pid 0)
 * or the kernel does not say, those that the user has (group(5)).
 */
void access_user_of(uid_t uid, pid_t pid, struct access_user *out);

/* Whether the user has these of the rights "rwx" (as a number from 1 to 7) to the file. */
bool access_may(const struct access_user *user, const struct stat *st, unsigned rights);

#endif
