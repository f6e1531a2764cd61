/* SPDX-License-Identifier: MIT */
/* The lists of listen.h. */
#include "base/listen.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
dm_sockets_add(struct dm_sockets *sockets, const struct dm_socket *one)
{
	/* sizes are powers of two */
	if ((sockets->count & (sockets->count - 1)) == 0)
		sockets->list = dm_reallocarray(sockets->list,
		    sockets->count == 0 ? 1 : sockets->count * 2, sizeof(*sockets->list));
	sockets->list[sockets->count++] = *one;
}

void
dm_sockets_release(struct dm_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		free(sockets->list[i].path);
	free(sockets->list);
	memset(sockets, 0, sizeof(*sockets));
}

void
dm_holders_add(struct dm_holders *holders, uint64_t inode, pid_t pid)
{
	if ((holders->count & (holders->count - 1)) == 0)
		holders->list = dm_reallocarray(holders->list,
		    holders->count == 0 ? 1 : holders->count * 2, sizeof(*holders->list));
	holders->list[holders->count++] = (struct dm_holder){.inode = inode, .pid = pid};
}

void
dm_holders_release(struct dm_holders *holders)
{
	free(holders->list);
	memset(holders, 0, sizeof(*holders));
}
