/* SPDX-License-Identifier: MIT */
/* Any bytes as a datagram of sock_diag(7): a socket has a port or a path, never both. */
#include "fuzz.h"

#include <string.h>

#include "base/diag.h"
#include "base/mem.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of its very size, so that a byte too many is noticed */
	DM_AUTO_FREE char *datagram = dm_calloc(size + (size == 0 ? 1 : 0), 1);
	struct dm_sockets sockets = {.count = 0};
	bool done = false, ok;

	if (size > 0)
		memcpy(datagram, data, size);
	ok = dm_diag_parse(datagram, size, &sockets, &done);
	MUST(ok || !done);
	for (size_t i = 0; i < sockets.count; i++) {
		const struct dm_socket *s = &sockets.list[i];

		MUST(s->listener.pid == 0);
		MUST(s->path == NULL || (s->path[0] != '\0' && s->listener.port == 0));
	}
	dm_sockets_release(&sockets);
	return 0;
}
