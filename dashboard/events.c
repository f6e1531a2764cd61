/* SPDX-License-Identifier: MIT */
#include "events.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

struct events_listener {
	events_fn *fn; /* NULL: unsubscribed while somebody was being told */
	void *user;
	struct events_listener *next;
};

/* A copy of an event. */
struct kept {
	struct event event;
	char *id, *json;
};

struct events {
	struct kept ring[EVENTS_KEPT]; /* by seq modulo its size */
	uint64_t seq;		       /* of the newest; 0: none yet */
	uint64_t published;
	size_t count;
	struct events_listener *listeners;
	unsigned telling; /* depth of events_publish() */
};

const char *
event_kind_name(enum event_kind kind)
{
	static const char *const names[] = {
	    [EVENT_DAEMON] = "daemon",
	    [EVENT_SERVICE] = "service",
	    [EVENT_SERVICE_GONE] = "service-gone",
	    [EVENT_CADDY] = "caddy",
	    [EVENT_FOUND] = "found",
	    [EVENT_FOUND_GONE] = "found-gone",
	    [EVENT_WORKTREE] = "worktree",
	    [EVENT_WORKTREE_GONE] = "worktree-gone",
	    [EVENT_MEND] = "mend",
	    [EVENT_NETWORK] = "network",
	    [EVENT_RECORD] = "record",
	};

	return names[kind];
}

struct events *
events_new(void)
{
	struct events *events = dm_calloc(1, sizeof(*events));

	events->seq = (uint64_t)dm_wall_ms();
	return events;
}

/* Those that unsubscribed while others were being told. */
static void
remove_dead(struct events *events)
{
	struct events_listener **p = &events->listeners;

	while (*p != NULL) {
		struct events_listener *listener = *p;

		if (listener->fn != NULL) {
			p = &listener->next;
			continue;
		}
		*p = listener->next;
		free(listener);
	}
}

void
events_free(struct events *events)
{
	if (events == NULL)
		return;
	for (struct events_listener *l = events->listeners; l != NULL; l = l->next)
		l->fn = NULL;
	remove_dead(events);
	for (size_t i = 0; i < EVENTS_KEPT; i++) {
		free(events->ring[i].id);
		free(events->ring[i].json);
	}
	free(events);
}

void
events_publish(struct events *events, enum event_kind kind, const char *id, struct cJSON *data)
{
	uint64_t seq = ++events->seq;
	struct kept *kept = &events->ring[seq % EVENTS_KEPT];
	int64_t now = dm_wall_ms();

	if (cJSON_GetObjectItemCaseSensitive(data, "id") == NULL)
		(void)cJSON_AddItemToObject(
		    data, "id", id == NULL ? cJSON_CreateNull() : cJSON_CreateString(id));
	(void)cJSON_AddNumberToObject(data, "time", (double)now / 1000);
	free(kept->id);
	free(kept->json);
	kept->id = dm_strdup(id);
	kept->json = cJSON_PrintUnformatted(data);
	cJSON_Delete(data);
	kept->event = (struct event){
	    .seq = seq, .time_ms = now, .kind = kind, .id = kept->id, .json = kept->json};
	events->published++;
	if (events->count < EVENTS_KEPT)
		events->count++;
	events->telling++;
	for (struct events_listener *l = events->listeners; l != NULL; l = l->next) {
		if (l->fn != NULL)
			l->fn(l->user, &kept->event);
	}
	if (--events->telling == 0)
		remove_dead(events);
}

uint64_t
events_seq(const struct events *events)
{
	return events->seq;
}

uint64_t
events_published(const struct events *events)
{
	return events->published;
}

uint64_t
events_kept_since(const struct events *events)
{
	return events->seq - events->count;
}

struct events_listener *
events_subscribe(struct events *events, events_fn *fn, void *user)
{
	struct events_listener *listener = dm_calloc(1, sizeof(*listener));

	*listener = (struct events_listener){.fn = fn, .user = user, .next = events->listeners};
	events->listeners = listener;
	return listener;
}

void
events_unsubscribe(struct events *events, struct events_listener *listener)
{
	listener->fn = NULL;
	if (events->telling == 0)
		remove_dead(events);
}

size_t
events_listeners(const struct events *events)
{
	size_t n = 0;

	for (const struct events_listener *l = events->listeners; l != NULL; l = l->next)
		n += l->fn != NULL ? 1 : 0;
	return n;
}

bool
events_replay(const struct events *events, uint64_t since, events_fn *fn, void *user)
{
	if (since > events->seq || since < events_kept_since(events))
		return false;
	for (uint64_t seq = since + 1; seq <= events->seq; seq++)
		fn(user, &events->ring[seq % EVENTS_KEPT].event);
	return true;
}
