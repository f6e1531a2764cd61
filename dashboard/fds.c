/* SPDX-License-Identifier: MIT */
#include "fds.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	SPARE = 64, /* for connections, files, pipes to jobs */
	SPARE_SHARE = 4
};

/* The kernel gives the lowest free number, so a high one tells how many are in use. */
bool
fds_afford(int fd)
{
	struct rlimit limit;
	rlim_t spare;

	if (fd < 0)
		return false;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return true;
	spare = limit.rlim_cur / SPARE_SHARE < SPARE ? limit.rlim_cur / SPARE_SHARE : SPARE;
	if ((rlim_t)fd < limit.rlim_cur - spare)
		return true;
	(void)close(fd);
	errno = EMFILE;
	return false;
}
