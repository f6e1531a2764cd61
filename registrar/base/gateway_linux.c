/* SPDX-License-Identifier: MIT */
/* /proc/net/route: proc(5). Addresses are hexadecimal, in this machine's order of bytes. */
#include "base/gateway.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/fsio.h"
#include "base/str.h"

enum {
	TABLE_MAX = 256 << 10,
	ROUTE_GATEWAY = 0x2, /* linux/route.h */
};

bool
dm_gateway(struct dns_address *out)
{
	DM_AUTO_STR struct dm_str table = dm_str_make(TABLE_MAX);
	unsigned best = 0;
	struct dm_err ignored;
	bool found = false;

	if (!dm_read_file("/proc/net/route", &table, &ignored))
		return false;
	for (const char *line = strchr(table.data, '\n'); line != NULL; line = strchr(line, '\n')) {
		unsigned destination, gateway, flags, metric, mask;

		/* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
		if (sscanf(++line, "%*15s %8x %8x %8x %*u %*u %u %8x", &destination, &gateway,
			&flags, &metric, &mask) != 5 ||
		    destination != 0 || mask != 0 || (flags & ROUTE_GATEWAY) == 0 ||
		    (found && metric >= best))
			continue;
		memset(out, 0, sizeof(*out));
		memcpy(out->bytes, &(uint32_t){gateway}, 4);
		best = metric;
		found = true;
	}
	return found;
}
