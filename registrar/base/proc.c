/* SPDX-License-Identifier: MIT */
/* What proc.h promises and no kernel has a say in. */
#include "base/proc.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

bool
dm_proc_alive(const struct dm_proc_id *id)
{
	struct dm_proc_id now;

	return id->pid > 0 && dm_proc_id(id->pid, &now) && now.start == id->start;
}

void
dm_pids_add(struct dm_pids *pids, pid_t pid)
{
	/* sizes are powers of two */
	if ((pids->count & (pids->count - 1)) == 0)
		pids->list = dm_reallocarray(
		    pids->list, pids->count == 0 ? 1 : pids->count * 2, sizeof(*pids->list));
	pids->list[pids->count++] = pid;
}

bool
dm_pids_have(const struct dm_pids *pids, pid_t pid)
{
	for (size_t i = 0; i < pids->count; i++) {
		if (pids->list[i] == pid)
			return true;
	}
	return false;
}

void
dm_pids_release(struct dm_pids *pids)
{
	free(pids->list);
	memset(pids, 0, sizeof(*pids));
}

void
dm_listeners_add(struct dm_listeners *l, const struct dm_listener *one)
{
	if ((l->count & (l->count - 1)) == 0)
		l->list =
		    dm_reallocarray(l->list, l->count == 0 ? 1 : l->count * 2, sizeof(*l->list));
	l->list[l->count++] = *one;
}

void
dm_listeners_release(struct dm_listeners *l)
{
	free(l->list);
	memset(l, 0, sizeof(*l));
}
