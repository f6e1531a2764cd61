/* SPDX-License-Identifier: MIT */
#include "usage_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Of owners, while they are looked for. */
#define UNSEEN (SIZE_MAX - 1)
#define ON_WAY (SIZE_MAX - 2)

enum {
	ROOM = 256
};

void
usage_add(struct usage_snapshot *s, const struct usage_process *process)
{
	/* room for more whenever the last is full */
	if (s->count % ROOM == 0)
		s->list = dm_reallocarray(s->list, s->count + ROOM, sizeof(*s->list));
	s->list[s->count++] = *process;
}

void
usage_release(struct usage_snapshot *s)
{
	free(s->list);
	memset(s, 0, sizeof(*s));
}

static int
compare(const void *a, const void *b)
{
	const struct usage_process *x = a, *y = b;

	if (x->id.pid != y->id.pid)
		return x->id.pid < y->id.pid ? -1 : 1;
	return x->id.start < y->id.start ? -1 : x->id.start > y->id.start;
}

void
usage_order(struct usage_snapshot *s)
{
	if (s->count > 0)
		qsort(s->list, s->count, sizeof(*s->list), compare);
	for (size_t i = 0; i < s->count; i++) {
		s->list[i].owner = UNSEEN;
		s->list[i].debt = 0;
	}
}

size_t
usage_find(const struct usage_snapshot *s, const struct dm_proc_id *id)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (s->list[middle].id.pid < id->pid)
			low = middle + 1;
		else
			high = middle;
	}
	/* one pid is there once, unless it was given anew while the list was read */
	for (; low < s->count && s->list[low].id.pid == id->pid; low++) {
		if (id->start == 0 || s->list[low].id.start == id->start)
			return low;
	}
	return USAGE_NOBODY;
}

bool
usage_make_root(
    struct usage_snapshot *s, const struct dm_proc_id *root, const struct dm_proc_id *also)
{
	size_t first = root->pid == 0 ? USAGE_NOBODY : usage_find(s, root);
	size_t second = also->pid == 0 ? USAGE_NOBODY : usage_find(s, also);

	if (first == USAGE_NOBODY)
		first = second;
	if (first == USAGE_NOBODY)
		return false;
	if (s->list[first].owner == UNSEEN)
		s->list[first].owner = first;
	if (second != USAGE_NOBODY && s->list[second].owner == UNSEEN)
		s->list[second].owner = s->list[first].owner;
	return true;
}

/* A parent is older than its child: another one has its pid by now. */
static size_t
parent_of(const struct usage_snapshot *s, size_t i)
{
	const struct dm_proc_id id = {.pid = s->list[i].parent};
	size_t parent = id.pid == 0 ? USAGE_NOBODY : usage_find(s, &id);

	return parent == USAGE_NOBODY || s->list[parent].id.start > s->list[i].id.start
		   ? USAGE_NOBODY
		   : parent;
}

void
usage_grow(struct usage_snapshot *s)
{
	for (size_t i = 0; i < s->count; i++) {
		size_t owner, at = i;

		while (at != USAGE_NOBODY && s->list[at].owner == UNSEEN) {
			s->list[at].owner = ON_WAY;
			at = parent_of(s, at);
		}
		/* a circle, which is read when pids change hands meanwhile, has no root */
		owner = at == USAGE_NOBODY || s->list[at].owner == ON_WAY ? USAGE_NOBODY
									  : s->list[at].owner;
		for (at = i; at != USAGE_NOBODY && s->list[at].owner == ON_WAY;
		     at = parent_of(s, at))
			s->list[at].owner = owner;
	}
}

struct change {
	int64_t own, whole; /* microseconds: of those that are there; with those that are not */
};

static int64_t
whole_of(const struct usage_process *p)
{
	return p->own + p->ended_children;
}

/* What those who have ended since had used before: it is in their parents' time by now. */
static void
take_off_ended(
    const struct usage_snapshot *now, const struct usage_snapshot *before, struct change *changes)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct usage_process *was = &before->list[i];
		size_t root;

		if (was->owner == USAGE_NOBODY || usage_find(now, &was->id) != USAGE_NOBODY)
			continue;
		root = usage_find(now, &before->list[was->owner].id);
		if (root != USAGE_NOBODY && now->list[root].owner == root)
			changes[root].whole -= whole_of(was);
	}
}

/* What the roots owe from the last time. */
static void
take_off_debts(
    const struct usage_snapshot *now, const struct usage_snapshot *before, struct change *changes)
{
	for (size_t i = 0; i < before->count; i++) {
		size_t root =
		    before->list[i].debt == 0 ? USAGE_NOBODY : usage_find(now, &before->list[i].id);

		if (root != USAGE_NOBODY)
			changes[root].whole -= before->list[i].debt;
	}
}

struct usage_sum *
usage_compare(struct usage_snapshot *now, const struct usage_snapshot *before)
{
	struct usage_sum *sums = dm_calloc(now->count + 1, sizeof(*sums));
	DM_AUTO_FREE struct change *changes = dm_calloc(now->count + 1, sizeof(*changes));
	int64_t elapsed = now->at_us - before->at_us;

	for (size_t i = 0; i < now->count; i++) {
		const struct usage_process *p = &now->list[i];
		size_t then = p->owner == USAGE_NOBODY ? USAGE_NOBODY : usage_find(before, &p->id);

		if (p->owner == USAGE_NOBODY)
			continue;
		sums[p->owner].rss += p->rss;
		sums[p->owner].processes += !p->ended;
		changes[p->owner].own += p->own;
		changes[p->owner].whole += whole_of(p);
		if (then != USAGE_NOBODY) {
			changes[p->owner].own -= before->list[then].own;
			changes[p->owner].whole -= whole_of(&before->list[then]);
		}
	}
	take_off_ended(now, before, changes);
	for (size_t i = 0; i < now->count; i++) {
		if (now->list[i].owner == i && changes[i].whole < changes[i].own)
			now->list[i].debt = changes[i].own - changes[i].whole;
	}
	take_off_debts(now, before, changes);
	for (size_t i = 0; i < now->count; i++) {
		int64_t used =
		    changes[i].whole > changes[i].own ? changes[i].whole : changes[i].own;

		sums[i].cpu = before->at_us == 0 || elapsed <= 0 ? -1
			      : used <= 0			 ? 0
								 : (double)used / (double)elapsed;
	}
	return sums;
}
