/* SPDX-License-Identifier: MIT */
/*
 * How a service has been: what the history holds of it, put together. Pure.
 *
 * Changes of state are known to the millisecond, by events; that a state lasted, and that anybody
 * looked at all, is known by heartbeats, of which there is one for each minute. Where there are
 * none devmeshd did not run, and nothing is known.
 */
#ifndef DEVMESH_HISTORY_H
#define DEVMESH_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cJSON;
struct history;

enum {
	HISTORY_BARS = 60,
	HISTORY_GAP_MS = 90000,
	HISTORY_SEGMENTS = 300, /* that are told; the newest */
	HISTORY_EVENTS = 1000	/* that are of use */
};

/* The state of a service whose name was given back. */
#define HISTORY_GONE "gone"

/* From and to: milliseconds since the epoch, from < to. The caller owns it. */
struct history *history_new(int64_t from_ms, int64_t to_ms);
void history_free(struct history *history);

/* Looks further apart than this were made by a daemon that was away; HISTORY_GAP_MS unless said. */
void history_set_gap(struct history *history, int64_t gap_ms);

/* A heartbeat: the begin of its minute. In the order of time. Copied. */
void history_add_minute(struct history *history, int64_t time_ms, const char *state);
/*
 * A change, newest first. `was` may be NULL: it was new, or the daemon had just begun. False if
 * what is before it does not matter any more.
 */
bool
history_add_change(struct history *history, int64_t time_ms, const char *was, const char *state);
/* It is so now, and has been watched since. */
void history_set_now(struct history *history, int64_t watched_since_ms, const char *state);

/* Whether anything was added. */
bool history_is_empty(const struct history *history);

/*
 * "from", "to", "segments", "uptime" and "bars", as "History" in openapi.json has them, added to
 * the object.
 */
void history_add_to(struct history *history, struct cJSON *object);

#endif
