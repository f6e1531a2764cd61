/* SPDX-License-Identifier: MIT */
#include <launch.h>
#include <stdlib.h>
#include <unistd.h>

#include "dns_sockets.h"

size_t
dns_passed_fds(int fds[DNS_PASSED_FDS_MAX])
{
	int *list = NULL;
	size_t count = 0, taken = 0;

	/* not started by launchd, or without such sockets: an error that is none */
	if (launch_activate_socket("DNS", &list, &count) != 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (taken < DNS_PASSED_FDS_MAX)
			fds[taken++] = list[i];
		else
			(void)close(list[i]);
	}
	free(list);
	return taken;
}
