/* SPDX-License-Identifier: MIT */
/* Which claim is served: a hash table, since hundreds of sockets are held against as many claims.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "discover_impl.h"

/* By what a claim is found. */
enum key {
	KEY_PORT, /* its own, or that of its devmesh run */
	KEY_PATH, /* the same for Unix sockets */
	KEY_RUNNER,
	KEYS_MAX = 5 /* of one claim */
};

struct entry {
	uint64_t hash;
	const struct claim *claim;
	const struct entry *next; /* in the same slot */
};

struct claim_index {
	const struct entry **slots;
	size_t mask;
	struct entry *entries;
	size_t count;
};

/* FNV-1a, 64 bit. */
static uint64_t
hash_of(enum key kind, const void *bytes, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)kind;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t
hash_of_number(enum key kind, uint64_t number)
{
	return hash_of(kind, &number, sizeof(number));
}

static void
put(struct claim_index *index, uint64_t hash, const struct claim *claim)
{
	struct entry *e = &index->entries[index->count++];
	const struct entry **slot = &index->slots[hash & index->mask];

	*e = (struct entry){.hash = hash, .claim = claim, .next = *slot};
	*slot = e;
}

struct claim_index *
claim_index_new(const struct registry_claims *claims)
{
	struct claim_index *index = dm_calloc(1, sizeof(*index));
	size_t slots = 16;

	while (slots < 2 * claims->count)
		slots *= 2;
	index->mask = slots - 1;
	index->slots = dm_calloc(slots, sizeof(struct entry *));
	index->entries = dm_calloc(KEYS_MAX * (claims->count + 1), sizeof(*index->entries));
	/* from behind: the first one is to be met first */
	for (size_t i = claims->count; i-- > 0;) {
		const struct claim *c = claims->list[i];
		const struct claim_run *run = &c->run;

		if (c->is_alias)
			continue;
		if (c->port != 0)
			put(index, hash_of_number(KEY_PORT, c->port), c);
		if (run->port != 0)
			put(index, hash_of_number(KEY_PORT, run->port), c);
		if (c->socket != NULL)
			put(index, hash_of(KEY_PATH, c->socket, strlen(c->socket)), c);
		if (run->socket[0] != '\0')
			put(index, hash_of(KEY_PATH, run->socket, strlen(run->socket)), c);
		if (run->runner.pid != 0)
			put(index, hash_of_number(KEY_RUNNER, (uint64_t)run->runner.pid), c);
	}
	return index;
}

void
claim_index_free(struct claim_index *index)
{
	free(index->slots);
	free(index->entries);
	free(index);
}

/* The next entry with that hash, from `e` on; NULL: none. */
static const struct entry *
entry_with(const struct entry *e, uint64_t hash)
{
	while (e != NULL && e->hash != hash)
		e = e->next;
	return e;
}

static const struct entry *
first_with(const struct claim_index *index, uint64_t hash)
{
	return entry_with(index->slots[hash & index->mask], hash);
}

const struct claim *
claim_of_path(const struct claim_index *index, const char *path)
{
	uint64_t hash = hash_of(KEY_PATH, path, strlen(path));

	for (const struct entry *e = first_with(index, hash); e != NULL;
	     e = entry_with(e->next, hash)) {
		if ((e->claim->socket != NULL && strcmp(e->claim->socket, path) == 0) ||
		    strcmp(e->claim->run.socket, path) == 0)
			return e->claim;
	}
	return NULL;
}

bool
claims_have_port(const struct claim_index *index, uint16_t port)
{
	uint64_t hash = hash_of_number(KEY_PORT, port);

	for (const struct entry *e = first_with(index, hash); e != NULL;
	     e = entry_with(e->next, hash)) {
		if (e->claim->port == port || e->claim->run.port == port)
			return true;
	}
	return false;
}

static bool
same_process(const struct dm_proc_id *a, const struct dm_proc_id *b)
{
	return a->pid != 0 && a->pid == b->pid && a->start == b->start;
}

bool
claims_have_runner(const struct claim_index *index, const struct dm_proc_id *id)
{
	uint64_t hash = hash_of_number(KEY_RUNNER, (uint64_t)id->pid);

	for (const struct entry *e = first_with(index, hash); e != NULL;
	     e = entry_with(e->next, hash)) {
		if (same_process(&e->claim->run.runner, id))
			return true;
	}
	return false;
}

static bool
is_in_worktree(const struct claim *c, const struct process *p)
{
	return p->worktree != NULL && strcmp(p->worktree, c->worktree) == 0;
}

/* Whether the `devmesh run` of the claim is the one that the process belongs to. */
static bool
is_behind_run(const struct claim *c, const struct process *p)
{
	if (c->run.runner.pid == 0)
		return false;
	if (p->runner.pid != 0)
		return same_process(&p->runner, &c->run.runner);
	/* one whose environment was cleared */
	return is_in_worktree(c, p) && dm_proc_alive(&c->run.runner);
}

const struct claim *
claim_of_port(const struct claim_index *index, const struct dm_listener *listener,
    const struct process *process)
{
	uint64_t hash = hash_of_number(KEY_PORT, listener->port);
	const struct claim *best = NULL;

	if (!dm_listener_is_local(listener))
		return NULL;
	for (const struct entry *e = first_with(index, hash); e != NULL;
	     e = entry_with(e->next, hash)) {
		const struct claim *c = e->claim;

		if (c->run.port == listener->port && is_behind_run(c, process))
			return c;
		/* of several claims of one port that of its own worktree */
		if (c->port == listener->port &&
		    (best == NULL ||
			(is_in_worktree(c, process) && !is_in_worktree(best, process))))
			best = c;
	}
	return best;
}
