/* SPDX-License-Identifier: MIT */
/* Which process a listening socket belongs to. */
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

static int
by_inode(const void *a, const void *b)
{
	const struct dm_socket *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

struct dm_socket *
dm_sockets_find(const struct dm_sockets *sockets, uint64_t inode)
{
	const struct dm_socket key = {.inode = inode};

	if (sockets->count == 0)
		return NULL;
	return bsearch(&key, sockets->list, sockets->count, sizeof(key), by_inode);
}

void
dm_holders_add(struct dm_holders *holders, uint64_t inode, pid_t pid)
{
	if ((holders->count & (holders->count - 1)) == 0)
		holders->list = dm_reallocarray(holders->list,
		    holders->count == 0 ? 1 : holders->count * 2, sizeof(*holders->list));
	holders->list[holders->count++] = (struct dm_holder){.inode = inode, .pid = pid};
}

static int
by_inode_and_pid(const void *a, const void *b)
{
	const struct dm_holder *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int
by_pid(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* In a sorted list. */
static bool
has(const struct dm_pids *pids, pid_t pid)
{
	return pids->count > 0 &&
	       bsearch(&pid, pids->list, pids->count, sizeof(pid), by_pid) != NULL;
}

/* The one of those who share a socket whose parent does not; of several the lowest pid. */
static pid_t
first_of(const struct dm_holder *holders, size_t count)
{
	for (size_t i = 0; i < count && holders[0].pid != holders[count - 1].pid; i++) {
		pid_t parent = dm_proc_parent(holders[i].pid);
		bool inherited = false;

		for (size_t j = 0; j < count; j++)
			inherited = inherited || holders[j].pid == parent;
		if (!inherited)
			return holders[i].pid;
	}
	return holders[0].pid;
}

/* How many of the sockets have an owner now. */
static size_t
choose(struct dm_sockets *sockets, struct dm_holders *holders)
{
	size_t found = 0;

	if (holders->count > 0)
		qsort(holders->list, holders->count, sizeof(*holders->list), by_inode_and_pid);
	for (size_t at = 0; at < holders->count; found++) {
		const struct dm_holder *first = &holders->list[at];
		struct dm_socket *s = dm_sockets_find(sockets, first->inode);

		while (at < holders->count && holders->list[at].inode == first->inode)
			at++;
		s->listener.pid = first_of(first, (size_t)(&holders->list[at] - first));
	}
	return found;
}

/* Where only new processes were looked at: one that was there before may have started this one. */
static void
climb(struct dm_socket *s, const struct dm_pids *seen)
{
	struct dm_sockets one = {.list = s, .count = 1};
	pid_t parent;

	while ((parent = dm_proc_parent(s->listener.pid)) != 0 && has(seen, parent)) {
		struct dm_holders holders = {.count = 0};

		dm_listen_held(parent, &one, &holders);
		free(holders.list);
		if (holders.count == 0)
			return;
		s->listener.pid = parent;
	}
}

void
dm_listen_owners(struct dm_sockets *sockets, struct dm_pids *seen)
{
	struct dm_pids now = {.count = 0};
	struct dm_holders holders = {.count = 0};
	bool all;

	for (size_t i = 0; i < sockets->count; i++)
		sockets->list[i].listener.pid = 0;
	dm_listen_processes(seen, &now);
	if (now.count > 0)
		qsort(now.list, now.count, sizeof(*now.list), by_pid);
	for (size_t i = 0; i < now.count; i++) {
		if (!has(seen, now.list[i]))
			dm_listen_held(now.list[i], sockets, &holders);
	}
	all = choose(sockets, &holders) == sockets->count;
	for (size_t i = 0; i < now.count && !all; i++) {
		if (has(seen, now.list[i]))
			dm_listen_held(now.list[i], sockets, &holders);
	}
	if (!all)
		(void)choose(sockets, &holders);
	for (size_t i = 0; i < sockets->count && all; i++)
		climb(&sockets->list[i], seen);
	free(holders.list);
	dm_pids_release(seen);
	*seen = now;
}
