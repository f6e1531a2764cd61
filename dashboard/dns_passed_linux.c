/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
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
	size_t taken;

	/* they may be a parent's, which has not taken them out of its environment */
	if (pid == NULL || number == NULL || !dm_parse_uint(pid, 1, INT32_MAX, &whose) ||
	    (pid_t)whose != getpid() || !dm_parse_uint(number, 1, INT32_MAX, &count))
		count = 0;
	taken = count < DNS_PASSED_FDS_MAX ? (size_t)count : DNS_PASSED_FDS_MAX;
	for (size_t i = 0; i < taken; i++)
		fds[i] = FIRST + (int)i;
	/* nobody else is to have them open, nor to inherit them; a count that is too high ends
	 * where there are no more */
	for (size_t i = taken; i < count && fcntl(FIRST + (int)i, F_GETFD) >= 0; i++)
		(void)close(FIRST + (int)i);
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return taken;
}
