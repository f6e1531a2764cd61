/* SPDX-License-Identifier: MIT */
/*
 * What happens, in order: one numbered event for each change, given to whoever listens, and the
 * last EVENTS_KEPT kept for those who come back.
 *
 * Numbers grow also over restarts of the daemon (the first one is the time in milliseconds), so a
 * number is never given to two events.
 *
 * To add a kind: a row in events.c, its data in openapi.json.
 */
#ifndef DEVMESH_EVENTS_H
#define DEVMESH_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct events;

enum {
	EVENTS_KEPT = 1024
};

enum event_kind {
	EVENT_DAEMON,	    /* it has started, reloaded, or stops */
	EVENT_SERVICE,	    /* a service as it is now, with what it was before, and why */
	EVENT_SERVICE_GONE, /* its claim was released */
	EVENT_CADDY,	    /* Caddy came, went, or was configured anew */
	EVENT_FOUND,	    /* a process that listens and is not registered */
	EVENT_FOUND_GONE,
	EVENT_WORKTREE, /* a worktree of a known repository as it is now */
	EVENT_WORKTREE_GONE,
	EVENT_MEND,    /* something was put right, and why */
	EVENT_NETWORK, /* others reach this machine by another address, or no more */
	EVENT_RECORD,  /* its public DNS record was written, or cannot be */
};

/* "service-gone": as in the API. Static storage. */
const char *event_kind_name(enum event_kind kind);

/* Valid during the call only. */
struct event {
	uint64_t seq;
	int64_t time_ms; /* wall clock, since the epoch */
	enum event_kind kind;
	const char *id;	  /* what it is about; NULL: the daemon or Caddy */
	const char *json; /* its data: one JSON object, one line, made once for all listeners */
};

struct events *events_new(void);
void events_free(struct events *events);

/* Takes `data` (an object; "time" and "id" are added to it), numbers it and tells everybody. */
void
events_publish(struct events *events, enum event_kind kind, const char *id, struct cJSON *data);

/* The number of the newest event. */
uint64_t events_seq(const struct events *events);
/* How many there were since the start. */
uint64_t events_published(const struct events *events);
/* The number after which all are kept. */
uint64_t events_kept_since(const struct events *events);

/* A listener; called within events_publish(). It may unsubscribe itself, or others. */
struct events_listener;
typedef void events_fn(void *user, const struct event *event);
struct events_listener *events_subscribe(struct events *events, events_fn *fn, void *user);
void events_unsubscribe(struct events *events, struct events_listener *listener);
/* How many there are. */
size_t events_listeners(const struct events *events);

/*
 * Calls fn for every event after `since`. False, without a call, if not all of them are kept any
 * more, or `since` was never given: then the whole state has to be sent.
 */
bool events_replay(const struct events *events, uint64_t since, events_fn *fn, void *user);

#endif
