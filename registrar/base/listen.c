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

void
dm_sockets_sort(struct dm_sockets *sockets)
{
	if (sockets->count > 0)
		qsort(sockets->list, sockets->count, sizeof(*sockets->list), by_inode);
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

void
dm_searched_release(struct dm_searched *searched)
{
	free(searched->list);
	memset(searched, 0, sizeof(*searched));
}

static int
by_pid_of_view(const void *a, const void *b)
{
	const struct dm_view *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

struct dm_view *
dm_searched_find(const struct dm_searched *searched, pid_t pid)
{
	const struct dm_view key = {.pid = pid};

	if (searched->count == 0)
		return NULL;
	return bsearch(&key, searched->list, searched->count, sizeof(key), by_pid_of_view);
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

/* Gives every socket its owner, as far as one was found. */
static void
choose(const struct dm_sockets *sockets, struct dm_holders *holders)
{
	if (holders->count > 0)
		qsort(holders->list, holders->count, sizeof(*holders->list), by_inode_and_pid);
	for (size_t at = 0; at < holders->count;) {
		const struct dm_holder *first = &holders->list[at];
		struct dm_socket *s = dm_sockets_find(sockets, first->inode);

		while (at < holders->count && holders->list[at].inode == first->inode)
			at++;
		s->listener.pid = first_of(first, (size_t)(&holders->list[at] - first));
	}
}

/* One that was not looked at in this search may have started the one that was found. */
static void
climb(struct dm_socket *s, const struct dm_searched *searched)
{
	const struct dm_sockets one = {.list = s, .count = 1};
	const struct dm_view *parent;

	while (s->listener.pid != 0 &&
	       (parent = dm_searched_find(searched, dm_proc_parent(s->listener.pid))) != NULL &&
	       !parent->now) {
		struct dm_holders holders = {.count = 0};

		(void)dm_listen_held(parent->pid, &one, &holders);
		free(holders.list);
		if (holders.count == 0)
			return;
		s->listener.pid = parent->pid;
	}
}

/* The processes of now, with what is known of them from last time. */
static void
begin(struct dm_searched *searched)
{
	struct dm_pids pids = {.count = 0};
	struct dm_searched now;

	dm_listen_processes(searched, &pids);
	now = (struct dm_searched){
	    .list = dm_calloc(pids.count + 1, sizeof(*now.list)), .count = pids.count};
	for (size_t i = 0; i < pids.count; i++) {
		const struct dm_view *before = dm_searched_find(searched, pids.list[i]);

		now.list[i].pid = pids.list[i];
		now.list[i].descriptors = before == NULL ? 0 : before->descriptors;
	}
	qsort(now.list, now.count, sizeof(*now.list), by_pid_of_view);
	dm_pids_release(&pids);
	dm_searched_release(searched);
	*searched = now;
}

struct search {
	struct dm_sockets *sockets;
	struct dm_holders holders;
	size_t missing; /* sockets without a holder */
	size_t looked;	/* processes */
};

static void
look_at(struct search *search, struct dm_view *view)
{
	size_t before = search->holders.count;

	view->descriptors = dm_listen_held(view->pid, search->sockets, &search->holders);
	view->now = true;
	search->looked++;
	for (size_t i = before; i < search->holders.count; i++) {
		struct dm_socket *s =
		    dm_sockets_find(search->sockets, search->holders.list[i].inode);

		search->missing -= s->listener.pid == 0 ? 1 : 0;
		s->listener.pid = view->pid;
	}
}

void
dm_listen_owners(struct dm_sockets *sockets, struct dm_searched *searched)
{
	struct search search = {.sockets = sockets, .missing = sockets->count};

	for (size_t i = 0; i < sockets->count; i++)
		sockets->list[i].listener.pid = 0;
	begin(searched);
	for (size_t i = 0; i < searched->count; i++) {
		if (searched->list[i].descriptors == 0)
			look_at(&search, &searched->list[i]);
	}
	for (size_t i = 0; i < searched->count && search.missing > 0; i++) {
		struct dm_view *view = &searched->list[i];

		if (!view->now && dm_listen_count(view->pid) != view->descriptors)
			look_at(&search, view);
	}
	/* servers are younger than most */
	for (size_t i = searched->count; i-- > 0 && search.missing > 0;) {
		if (!searched->list[i].now)
			look_at(&search, &searched->list[i]);
	}
	choose(sockets, &search.holders);
	for (size_t i = 0; i < sockets->count && search.looked < searched->count; i++)
		climb(&sockets->list[i], searched);
	free(search.holders.list);
}
