/* SPDX-License-Identifier: MIT */
/* proc(5): /proc/net is that of the process's own network namespace. */
#include <stdio.h>

#include "base/fsio.h"
#include "base/netif.h"

enum {
	TABLE_MAX = 256 << 10
};

static bool
read_table(const char *path, struct dm_str *text)
{
	struct dm_err ignored;

	return dm_read_file(path, text, &ignored);
}

void
netif_ask_kernel(struct netif_list *list)
{
	DM_AUTO_STR struct dm_str routes = dm_str_make(TABLE_MAX), inet6 = dm_str_make(TABLE_MAX);
	const char *line;

	if (read_table("/proc/net/route", &routes))
		netif_routes_parse(routes.data, list);
	/* there is none where IPv6 is turned off */
	if (!read_table("/proc/net/if_inet6", &inet6))
		return;
	for (line = inet6.data; *line != '\0'; line += *line == '\n') {
		netif_inet6_parse(line, list);
		while (*line != '\0' && *line != '\n')
			line++;
	}
}
