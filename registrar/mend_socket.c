/* SPDX-License-Identifier: MIT */
/* Sockets that Caddy, running as another user, may not connect to. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "access.h"
#include "base/os.h"
#include "base/str.h"
#include "mend_impl.h"

enum {
	MAY_WRITE = 2, /* what connecting takes: unix(7) */
	OPEN_MODE = 0666
};

bool
mend_socket_mode(const char *path, const struct dm_sock_info *seen, const struct access_user *caddy,
    const struct mend_options *options, struct dm_err *err)
{
	const struct mend_run run = {.options = options};
	char reason[128];
	struct stat st;

	if (seen->state != DM_SOCK_LISTENING || seen->is_link || seen->owner != geteuid() ||
	    caddy->uid == geteuid() || lstat(path, &st) != 0 || st.st_dev != seen->dev ||
	    st.st_ino != seen->ino || access_may(caddy, &st, MAY_WRITE))
		return true;
	if (!options->dry_run && !dm_os_chmod_same(path, seen->dev, seen->ino, OPEN_MODE)) {
		/* it ended, and perhaps another has come: that one will be looked at as well */
		if (errno == ENOENT || errno == ESTALE || errno == ELOOP)
			return true;
		return dm_fail_errno(err, errno, "letting Caddy connect to %s", path);
	}
	if (!dm_snprintf(reason, sizeof(reason),
		"Caddy runs as uid %u, which could not connect to it (mode %04o)",
		(unsigned)caddy->uid, (unsigned)st.st_mode & 07777))
		reason[0] = '\0'; /* it always fits */
	mend_tell(&run, "changed", "socket", path, reason);
	return true;
}
