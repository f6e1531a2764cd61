/* SPDX-License-Identifier: MIT */
#include "exits.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "exits_impl.h"

enum {
	LOOK_MS = 1000
};

struct exits {
	struct exits_how how;
	exits_ended *ended;
	void *user;
	struct exits_kernel *kernel; /* NULL: none */
	struct event *tick;
	struct event *turn; /* the loop's next one */
	struct exits_entry **list;
	size_t count;
	size_t wanted;	 /* those of the list that are */
	bool walking;	 /* over the list: nothing is taken out of it */
	bool complained; /* about a shortage */
};

static bool
is_same(const struct dm_proc_id *a, const struct dm_proc_id *b)
{
	return a->pid == b->pid && a->start == b->start;
}

static struct exits_entry *
find(const struct exits *x, const struct dm_proc_id *id)
{
	for (size_t i = 0; i < x->count; i++) {
		if (x->list[i]->wanted > 0 && is_same(&x->list[i]->id, id))
			return x->list[i];
	}
	return NULL;
}

static void
detach(struct exits_entry *e)
{
	if (e->attached)
		exits_kernel_detach(e->exits->kernel, e);
	e->attached = false;
}

static void
free_unwanted(struct exits *x)
{
	size_t kept = 0;

	for (size_t i = 0; i < x->count; i++) {
		if (x->list[i]->wanted == 0)
			free(x->list[i]);
		else
			x->list[kept++] = x->list[i];
	}
	x->count = kept;
}

/* It stays in the list until nobody walks over that. */
static void
let_go(struct exits_entry *e)
{
	struct exits *x = e->exits;

	detach(e);
	e->wanted = 0;
	x->wanted--;
	if (!x->walking)
		free_unwanted(x);
}

/*
 * Whether it has ended for sure. A look that fails for want of a descriptor says the same as one at
 * a process that is gone, so it counts only if this very process can be seen.
 */
static bool
has_ended(const struct dm_proc_id *id)
{
	struct dm_proc_id self;

	return !dm_proc_alive(id) && dm_proc_id(getpid(), &self) && !dm_proc_alive(id);
}

static void
complain(struct exits *x, const struct dm_proc_id *id, int error)
{
	if (x->complained)
		return;
	x->complained = true;
	dm_warn("waiting for the end of process %ld: %s; what cannot be waited for is looked at "
		"every second instead%s",
	    (long)id->pid, strerror(error), error == EMFILE ? "; try: a higher `ulimit -n`" : "");
}

/*
 * Has the kernel tell of its end, if it can. Who has the pid may change between any two calls:
 * only one that is still itself after it has been attached is the one that is attached.
 */
static void
attach(struct exits_entry *e)
{
	struct exits *x = e->exits;
	int error;

	if (x->kernel != NULL) {
		error = exits_kernel_attach(x->kernel, e);
		e->attached = error == 0;
		if (error != 0 && error != ESRCH)
			complain(x, &e->id, error);
	}
	if (has_ended(&e->id)) {
		detach(e);
		e->ended = true;
	}
}

/* Whatever it still takes to report it. */
static void
see_to(const struct exits_entry *e)
{
	const struct exits *x = e->exits;
	struct timeval now = {.tv_sec = 0};
	struct timeval later = {
	    .tv_sec = x->how.look_ms / 1000, .tv_usec = x->how.look_ms % 1000 * 1000};

	if (e->ended)
		(void)event_add(x->turn, &now);
	else if (!e->attached && !event_pending(x->tick, EV_TIMEOUT, NULL))
		(void)event_add(x->tick, &later);
}

/* Others that had the pid of one that is alive have ended. */
static void
end_namesakes(const struct exits_entry *alive)
{
	const struct exits *x = alive->exits;

	for (size_t i = 0; i < x->count; i++) {
		struct exits_entry *e = x->list[i];

		if (e != alive && e->wanted > 0 && e->id.pid == alive->id.pid) {
			detach(e);
			e->ended = true;
			see_to(e);
		}
	}
}

/* Looks at those of whom the kernel does not tell; perhaps it now can. */
static void
on_tick(evutil_socket_t fd, short what, void *user)
{
	const struct exits *x = user;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < x->count; i++) {
		if (!x->list[i]->attached && !x->list[i]->ended)
			attach(x->list[i]);
		see_to(x->list[i]);
	}
}

/* Reports those that have ended. */
static void
on_turn(evutil_socket_t fd, short what, void *user)
{
	struct exits *x = user;

	(void)fd;
	(void)what;
	x->walking = true;
	/* those that are added meanwhile come behind, and have their turn later */
	for (size_t i = 0, n = x->count; i < n; i++) {
		struct exits_entry *e = x->list[i];

		if (e->wanted == 0 || !e->ended)
			continue;
		let_go(e);
		x->ended(x->user, &e->id);
	}
	x->walking = false;
	free_unwanted(x);
}

/* Many that end together are reported in one go. */
void
exits_told(struct exits_entry *entry)
{
	entry->ended = true;
	event_active(entry->exits->turn, EV_TIMEOUT, 0);
}

/* ---- exits.h ------------------------------------------------------------------------------ */

struct exits *
exits_open(struct event_base *base, exits_ended *ended, void *user, struct dm_err *err)
{
	return exits_open_with(base, &(struct exits_how){.look_ms = LOOK_MS}, ended, user, err);
}

struct exits *
exits_open_with(struct event_base *base, const struct exits_how *how, exits_ended *ended,
    void *user, struct dm_err *err)
{
	struct exits *x = dm_calloc(1, sizeof(*x));

	x->how = *how;
	x->ended = ended;
	x->user = user;
	x->tick = evtimer_new(base, on_tick, x);
	x->turn = evtimer_new(base, on_turn, x);
	if (x->tick == NULL || x->turn == NULL) {
		exits_close(x);
		(void)dm_fail(err, DM_FAILED, "waiting for processes: no timer can be made");
		return NULL;
	}
	if (!how->by_looking)
		x->kernel = exits_kernel_open(base, x);
	return x;
}

void
exits_add(struct exits *exits, const struct dm_proc_id *id)
{
	struct exits_entry *e = find(exits, id);

	if (e != NULL) {
		e->wanted++;
		return;
	}
	e = dm_calloc(1, sizeof(*e));
	*e = (struct exits_entry){.exits = exits, .id = *id, .wanted = 1};
	if ((exits->count & (exits->count - 1)) == 0)
		exits->list = dm_reallocarray(exits->list, exits->count == 0 ? 1 : exits->count * 2,
		    sizeof(struct exits_entry *));
	exits->list[exits->count++] = e;
	exits->wanted++;
	/* a kernel may know one process for each pid only, so it is asked about live ones alone */
	e->ended = has_ended(id);
	if (!e->ended) {
		end_namesakes(e);
		attach(e);
	}
	see_to(e);
}

void
exits_remove(struct exits *exits, const struct dm_proc_id *id)
{
	struct exits_entry *e = find(exits, id);

	if (e != NULL && --e->wanted == 0) {
		e->wanted = 1;
		let_go(e);
	}
}

size_t
exits_count(const struct exits *exits)
{
	return exits->wanted;
}

size_t
exits_count_looked_at(const struct exits *exits)
{
	size_t n = 0;

	for (size_t i = 0; i < exits->count; i++)
		n += exits->list[i]->wanted > 0 && !exits->list[i]->attached;
	return n;
}

void
exits_close(struct exits *exits)
{
	if (exits == NULL)
		return;
	for (size_t i = 0; i < exits->count; i++) {
		detach(exits->list[i]);
		free(exits->list[i]);
	}
	if (exits->kernel != NULL)
		exits_kernel_close(exits->kernel);
	if (exits->tick != NULL)
		event_free(exits->tick);
	if (exits->turn != NULL)
		event_free(exits->turn);
	free(exits->list);
	free(exits);
}
