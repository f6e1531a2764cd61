/* SPDX-License-Identifier: MIT */
#include "history.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	SECOND_MS = 1000,
	MINUTE_MS = 60000,
	STATE_MAX = 16, /* bytes of a state, with its NUL; a longer one is cut */
	ROOM = 256,
};

struct segment {
	int64_t from, to;
	char state[STATE_MAX]; /* "": unknown */
};

struct change {
	int64_t at;
	char was[STATE_MAX], state[STATE_MAX]; /* was "": unknown */
};

struct list {
	struct segment *list;
	size_t count;
};

struct history {
	int64_t from, to, gap;
	struct list looks;	/* what heartbeats show, in order, without overlaps */
	struct change *changes; /* newest first */
	size_t change_count;
	int64_t watched_since; /* with now[0] != '\0' */
	char now[STATE_MAX];
	struct list told; /* the result, in order */
};

struct history *
history_new(int64_t from_ms, int64_t to_ms)
{
	struct history *h = dm_calloc(1, sizeof(*h));

	h->from = from_ms;
	h->to = to_ms;
	h->gap = HISTORY_GAP_MS;
	return h;
}

void
history_free(struct history *h)
{
	if (h == NULL)
		return;
	free(h->looks.list);
	free(h->changes);
	free(h->told.list);
	free(h);
}

void
history_set_gap(struct history *h, int64_t gap_ms)
{
	h->gap = gap_ms;
}

static void
set_state(char out[STATE_MAX], const char *state)
{
	if (!dm_snprintf(out, STATE_MAX, "%s", state == NULL ? "" : state))
		out[STATE_MAX - 1] = '\0';
}

/* At the end of the list; what follows the last one in the same state makes that longer. */
static void
append(struct list *l, int64_t from, int64_t to, const char *state)
{
	struct segment *last = l->count == 0 ? NULL : &l->list[l->count - 1];

	if (from >= to)
		return;
	if (last != NULL && last->to == from && strcmp(last->state, state) == 0) {
		last->to = to;
		return;
	}
	if (l->list == NULL || l->count % ROOM == 0)
		l->list = dm_reallocarray(l->list, l->count + ROOM, sizeof(*l->list));
	last = &l->list[l->count++];
	last->from = from;
	last->to = to;
	set_state(last->state, state);
}

void
history_add_minute(struct history *h, int64_t time_ms, const char *state)
{
	struct segment *last = h->looks.count == 0 ? NULL : &h->looks.list[h->looks.count - 1];
	char cut[STATE_MAX];

	set_state(cut, state);
	/* looks that are less often than once a minute leave gaps that are none */
	if (last != NULL && time_ms > last->to && time_ms - last->to <= h->gap)
		last->to = time_ms;
	if (last != NULL && time_ms < last->to)
		time_ms = last->to; /* the clock was set back */
	append(&h->looks, time_ms, time_ms + MINUTE_MS, cut);
}

bool
history_add_change(struct history *h, int64_t time_ms, const char *was, const char *state)
{
	struct change *c;

	/* the clock was set back: what was later is later */
	if (h->change_count > 0 && time_ms > h->changes[h->change_count - 1].at)
		time_ms = h->changes[h->change_count - 1].at;
	if (h->change_count % ROOM == 0)
		h->changes =
		    dm_reallocarray(h->changes, h->change_count + ROOM, sizeof(*h->changes));
	c = &h->changes[h->change_count++];
	c->at = time_ms;
	set_state(c->was, was);
	set_state(c->state, state);
	/* the state at the begin of the window is the one that was there before */
	return time_ms > h->from && h->change_count < HISTORY_EVENTS;
}

void
history_set_now(struct history *h, int64_t watched_since_ms, const char *state)
{
	h->watched_since = watched_since_ms;
	set_state(h->now, state);
}

bool
history_is_empty(const struct history *h)
{
	return h->looks.count == 0 && h->change_count == 0 && h->now[0] == '\0';
}

/* ---- put together -------------------------------------------------------------------------- */

/* The first look that ends behind the time. */
static size_t
look_at(const struct history *h, int64_t time)
{
	size_t low = 0, high = h->looks.count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (h->looks.list[middle].to <= time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * [from, to) by looks alone. It has changed then, unless `was` is NULL: so it was in the last
 * minute, or, with "", nobody knows.
 */
static void
tell_looks(struct history *h, int64_t from, int64_t to, const char *was)
{
	int64_t minute = was == NULL ? to : to - to % MINUTE_MS;

	for (size_t i = look_at(h, from); i < h->looks.count && h->looks.list[i].from < to; i++) {
		const struct segment *s = &h->looks.list[i];
		int64_t begin = s->from > from ? s->from : from, end = s->to < to ? s->to : to;
		int64_t cut = end < minute ? end : minute > begin ? minute : begin;

		append(&h->told, begin, cut, s->state);
		/* the minute's heartbeat tells how it was at its end */
		if (was != NULL && was[0] != '\0')
			append(&h->told, cut, end, was);
	}
}

/* [from, to), in which nothing has changed since that one, where anybody looked. */
static void
tell_state(struct history *h, int64_t from, int64_t to, const struct change *since)
{
	/* who has seen the change was there for a moment */
	int64_t known = since->at + h->gap < to ? since->at + h->gap : to;
	const char *state = since->state;

	if (strcmp(state, HISTORY_GONE) == 0) {
		append(&h->told, from, to, state);
		return;
	}
	if (known < from)
		known = from;
	for (size_t i = look_at(h, from); i < h->looks.count && h->looks.list[i].from < to; i++) {
		const struct segment *s = &h->looks.list[i];
		int64_t end = s->to < to ? s->to : to;

		if (s->from > known) {
			append(&h->told, from, known, state);
			from = s->from;
		}
		if (end > known)
			known = end;
	}
	append(&h->told, from, known, state);
}

/* Everything up to `end`, without what is known of the present. */
static void
tell_past(struct history *h, int64_t end)
{
	int64_t from = h->from;
	const struct change *since = NULL;

	for (size_t i = h->change_count; i-- > 0;) {
		const struct change *c = &h->changes[i];
		int64_t at = c->at < from ? from : c->at > end ? end : c->at;

		if (since == NULL)
			tell_looks(h, from, at, c->was);
		else
			tell_state(h, from, at, since);
		from = at;
		since = c;
	}
	if (since == NULL)
		tell_looks(h, from, end, NULL);
	else
		tell_state(h, from, end, since);
}

/* What came and went within a millisecond is told all the same. */
static void
spread(struct history *h)
{
	for (size_t i = h->change_count; i-- > 1;) {
		if (h->changes[i - 1].at <= h->changes[i].at)
			h->changes[i - 1].at = h->changes[i].at + 1;
	}
	if (h->change_count > 0 && h->changes[0].at >= h->to &&
	    h->changes[0].at - h->to < SECOND_MS)
		h->to = h->changes[0].at + 1;
}

/* The time, or what is nearest to it in the window. */
static int64_t
within(const struct history *h, int64_t time)
{
	return time < h->from ? h->from : time > h->to ? h->to : time;
}

static void
tell(struct history *h)
{
	struct change now = {.at = h->watched_since};
	int64_t since, last;

	spread(h);
	h->told.count = 0;
	if (h->now[0] == '\0') {
		tell_past(h, h->to);
		return;
	}
	if (h->change_count > 0 && h->changes[0].at > now.at)
		now.at = h->changes[0].at;
	set_state(now.state, h->now);
	since = within(h, now.at);
	tell_past(h, since);
	/* what it is now was seen just now; before, the machine may have slept */
	last = within(h, h->to - h->gap > since ? h->to - h->gap : since);
	tell_state(h, since, last, &now);
	append(&h->told, last, h->to, h->now);
}

/* ---- figures ------------------------------------------------------------------------------- */

static double
seconds(int64_t ms)
{
	return (double)ms / 1000;
}

/* The share of the time in [from, to) that it was up; -1: nothing is known. */
static double
share_of(const struct history *h, int64_t from, int64_t to, size_t *at)
{
	int64_t up = 0, known = 0;

	while (*at < h->told.count && h->told.list[*at].to <= from)
		(*at)++;
	for (size_t i = *at; i < h->told.count && h->told.list[i].from < to; i++) {
		const struct segment *s = &h->told.list[i];
		int64_t begin = s->from > from ? s->from : from, end = s->to < to ? s->to : to;

		/* a name that was given back is not down */
		if (strcmp(s->state, HISTORY_GONE) == 0)
			continue;
		known += end - begin;
		up += strcmp(s->state, "up") == 0 ? end - begin : 0;
	}
	return known == 0 ? -1 : (double)up / (double)known;
}

static cJSON *
share(double value)
{
	return value < 0 ? cJSON_CreateNull()
			 : cJSON_CreateNumber((double)(int64_t)(value * 10000 + 0.5) / 10000);
}

void
history_add_to(struct history *h, struct cJSON *object)
{
	int64_t length = h->to - h->from;
	size_t first, at = 0;
	cJSON *list;

	tell(h);
	(void)cJSON_AddNumberToObject(object, "from", seconds(h->from));
	(void)cJSON_AddNumberToObject(object, "to", seconds(h->to));
	list = cJSON_AddArrayToObject(object, "segments");
	first = h->told.count > HISTORY_SEGMENTS ? h->told.count - HISTORY_SEGMENTS : 0;
	for (size_t i = first; i < h->told.count; i++) {
		cJSON *o = cJSON_CreateObject();

		(void)cJSON_AddNumberToObject(o, "from", seconds(h->told.list[i].from));
		(void)cJSON_AddNumberToObject(o, "to", seconds(h->told.list[i].to));
		(void)cJSON_AddStringToObject(o, "state", h->told.list[i].state);
		(void)cJSON_AddItemToArray(list, o);
	}
	(void)cJSON_AddItemToObject(object, "uptime", share(share_of(h, h->from, h->to, &at)));
	list = cJSON_AddArrayToObject(object, "bars");
	at = 0;
	for (int64_t i = 0; i < HISTORY_BARS; i++)
		(void)cJSON_AddItemToArray(
		    list, share(share_of(h, h->from + length * i / HISTORY_BARS,
			      h->from + length * (i + 1) / HISTORY_BARS, &at)));
}
