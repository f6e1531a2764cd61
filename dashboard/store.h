/* SPDX-License-Identifier: MIT */
/*
 * The history, and nothing but the history: events and heartbeats in an SQLite file that may be
 * lost without harm. What devmeshd knows of the present is found by looking.
 *
 * No call here fails: a file that is corrupt, of a later version, full or not writable is set aside
 * (renamed to "<path>.bad") or given up with one warning, and tried again later; the daemon goes
 * on.
 */
#ifndef DEVMESH_STORE_H
#define DEVMESH_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct store_limits {
	int64_t max_age_s; /* what is older goes; 14 days unless configured */
	int64_t max_bytes; /* of the file with its journal, 1 MiB or more; the oldest goes first; 50
			      MB */
};

/* Never NULL; a store that cannot be opened forgets what it is given. The caller owns it. */
struct store *store_open(const char *path, const struct store_limits *limits);
void store_close(struct store *store);

/* Why nothing is being stored; NULL while it is. Borrowed, until the next call. */
const char *store_problem(const struct store *store);
/*
 * How many events and minutes were forgotten since store_open(): what cannot be written waits in
 * memory, but only so much of it.
 */
uint64_t store_lost(const struct store *store);

/*
 * An event, as events.h has it: copied. Written together with others in store_flush(), or when
 * many have come: a burst costs one transaction.
 */
struct store_event {
	uint64_t seq;
	int64_t time_ms;  /* wall clock */
	const char *kind; /* "service", "mend", ... */
	const char *id;	  /* what it is about; NULL: the daemon */
	const char *json; /* its data; what is read may have been changed by anybody: parse it */
};
void store_event(struct store *store, const struct store_event *event);

/* One heartbeat of a service: how it was found at a sweep. One a minute is kept: the last. */
void store_heartbeat(struct store *store, int64_t time_ms, const char *id, const char *state);

/*
 * Writes what waits, removes what is too much and, once an hour, what is too old. To be called
 * every second or so; `now_ms` is the wall clock, as events have it.
 */
void store_flush(struct store *store, int64_t now_ms);

/*
 * Calls fn for events with seq > since, oldest first, at most `max` of them, of one id (NULL: all),
 * those that still wait included. fn may call store_event(), nothing else here. Returns how many.
 */
size_t store_events(struct store *store, uint64_t since, const char *id, size_t max,
    void (*fn)(void *user, const struct store_event *event), void *user);

/* The same for the newest events of one id, newest first, until fn returns false. */
size_t store_newest(struct store *store, const char *id, size_t max,
    bool (*fn)(void *user, const struct store_event *event), void *user);

/*
 * The same for heartbeats of one service since a time, each with the begin of its minute: for
 * uptime bars.
 */
size_t store_heartbeats(struct store *store, const char *id, int64_t since_ms, size_t max,
    void (*fn)(void *user, int64_t time_ms, const char *state), void *user);

#endif
