/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "dns_sockets.h"

enum {
	FIRST = 3 /* SD_LISTEN_FDS_START */
};

size_t
dns_passed_fds(int fds[DNS_PASSED_FDS_MAX])
{
	const char *pid = getenv("LISTEN_PID"), *number = getenv("LISTEN_FDS");
	uint64_t whose, count = 0;

	/* they may be a parent's, which has not taken them out of its environment */
	if (pid == NULL || number == NULL || !dm_parse_uint(pid, 1, INT32_MAX, &whose) ||
	    (pid_t)whose != getpid() || !dm_parse_uint(number, 1, DNS_PASSED_FDS_MAX, &count))
		count = 0;
	for (size_t i = 0; i < count; i++)
		fds[i] = FIRST + (int)i;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return (size_t)count;
}
