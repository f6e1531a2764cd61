/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "store_db.h"
#include "store_file.h"

enum {
	WAITING_MAX = 1000, /* events */
	WAITING_BYTES_MAX = 1 << 20,
	MINUTES_MAX = 4000,
	MANY = 256,	      /* events that are written without waiting for store_flush() */
	EVENT_MAX = 64 << 10, /* bytes */
	ID_MAX = 255,	      /* bytes */
	PAUSE_MS = 15 * 1000, /* after a failure */
	BUSY_PAUSE_MS = 1000,
	TRIM_MS = 3600 * 1000,
	BYTES_MIN = 1 << 20, /* less is no bound that could be kept */
};

/* An event that waits; `text` holds kind, id and data, each with its NUL. */
struct waiting {
	struct waiting *next;
	struct store_event event;
	size_t bytes;
	char text[];
};

/* How a service was in a minute. */
struct minute {
	char *id;
	int64_t minute; /* since the epoch */
	char state[24];
};

struct store {
	char *path;
	struct store_limits limits;
	struct store_db *db; /* NULL: not open */
	bool failing;
	struct dm_err problem; /* while failing */
	bool warned;	       /* since it last went well */
	int64_t tried_ms;      /* when it last failed */
	int64_t pause_ms;      /* how long to leave it alone then */
	int64_t aside_ms;      /* when a file was last set aside; 0: never */
	int64_t trimmed_ms;    /* when what is too old was last looked for; 0: never */
	bool trimming;	       /* there is more to remove */
	bool reading;	       /* a callback runs: the file has to stay as it is */
	uint64_t lost, lost_told;

	struct waiting *first, **last;
	size_t count, bytes;

	struct minute *minutes;
	size_t minute_count, minute_cap;
	size_t cursor; /* sweeps come in the same order: where the next one is likely to be */
};

/* ---- what waits --------------------------------------------------------------------------- */

static void
forget_first(struct store *s)
{
	struct waiting *w = s->first;

	s->first = w->next;
	if (s->first == NULL)
		s->last = &s->first;
	s->count--;
	s->bytes -= w->bytes;
	free(w);
}

static char *
put_text(char **to, const char *text)
{
	size_t n = strlen(text) + 1;
	char *at = *to;

	memcpy(at, text, n);
	*to += n;
	return at;
}

static void
append(struct store *s, const struct store_event *event, size_t bytes)
{
	struct waiting *w = dm_calloc(1, sizeof(*w) + bytes);
	char *to = w->text;

	w->event = *event;
	w->event.kind = put_text(&to, event->kind);
	w->event.id = event->id != NULL ? put_text(&to, event->id) : NULL;
	w->event.json = put_text(&to, event->json);
	w->bytes = bytes;
	*s->last = w;
	s->last = &w->next;
	s->count++;
	s->bytes += bytes;
}

static void
forget_minutes(struct store *s, size_t n)
{
	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		free(s->minutes[i].id);
	s->minute_count -= n;
	memmove(s->minutes, s->minutes + n, s->minute_count * sizeof(*s->minutes));
	s->cursor = 0;
}

static bool
is_minute(const struct minute *m, const char *id, int64_t minute)
{
	return m->minute == minute && strcmp(m->id, id) == 0;
}

/* The entry of the service for this minute, made if need be. */
static struct minute *
minute_of(struct store *s, const char *id, int64_t minute)
{
	struct minute *m;

	for (size_t i = 0; i < s->minute_count; i++) {
		size_t at = (s->cursor + i) % s->minute_count;

		if (is_minute(&s->minutes[at], id, minute)) {
			s->cursor = at + 1;
			return &s->minutes[at];
		}
	}
	if (s->minute_count == MINUTES_MAX) {
		/* some at a time: the others have to be moved */
		forget_minutes(s, MINUTES_MAX / 8);
		s->lost += MINUTES_MAX / 8;
	}
	if (s->minute_count == s->minute_cap) {
		s->minute_cap = s->minute_cap == 0 ? 16 : s->minute_cap * 2;
		s->minutes = dm_reallocarray(s->minutes, s->minute_cap, sizeof(*s->minutes));
	}
	m = &s->minutes[s->minute_count++];
	*m = (struct minute){.id = dm_strdup(id), .minute = minute};
	return m;
}

/* ---- the file, or none -------------------------------------------------------------------- */

static void
close_db(struct store *s)
{
	store_db_close(s->db);
	s->db = NULL;
}

static void
set_problem(struct store *s, int64_t now_ms, int64_t pause_ms, bool warn)
{
	s->failing = true;
	s->tried_ms = now_ms;
	s->pause_ms = pause_ms;
	if (!warn || s->warned)
		return;
	s->warned = true;
	dm_warn("no history is kept: %s", s->problem.msg);
	if (s->problem.hint[0] != '\0')
		dm_note("try: %s", s->problem.hint);
}

/* It went well. */
static void
clear_problem(struct store *s)
{
	if (s->warned)
		dm_note("the history %s is kept again; %llu entries are lost", s->path,
		    (unsigned long long)(s->lost - s->lost_told));
	s->lost_told = s->lost;
	s->failing = s->warned = false;
}

static bool
is_due(int64_t now_ms, int64_t last_ms, int64_t pause_ms)
{
	/* the clock may have been set back */
	return now_ms < last_ms || now_ms - last_ms >= pause_ms;
}

static bool
is_pausing(const struct store *s, int64_t now_ms)
{
	return s->failing && !is_due(now_ms, s->tried_ms, s->pause_ms);
}

/* What s->problem says has happened; true if it is worth going on at once, with a new file. */
static bool
fail(struct store *s, enum db_status status, int64_t now_ms)
{
	struct dm_err reason;
	bool again;

	if (status == DB_FULL && !s->failing && s->db != NULL &&
	    !store_db_is_sound(s->db, &s->problem))
		status = DB_BAD;
	reason = s->problem;
	if (status == DB_BUSY) {
		/* that somebody else writes is no news, unless it lasts */
		set_problem(s, now_ms, BUSY_PAUSE_MS, s->lost > s->lost_told);
		return false;
	}
	if (status != DB_FULL)
		close_db(s);
	if (status != DB_BAD) {
		set_problem(s, now_ms, PAUSE_MS, true);
		return false;
	}
	if (!store_file_set_aside(s->path, &s->problem)) {
		(void)dm_wrap(&s->problem, "%.300s", reason.msg);
		set_problem(s, now_ms, PAUSE_MS, true);
		return false;
	}
	dm_warn("%s: set aside as %s.bad; a new history is begun", reason.msg, s->path);
	/* twice within a short time the fault is not in the file */
	again = s->aside_ms != 0 && !is_due(now_ms, s->aside_ms, PAUSE_MS);
	s->aside_ms = now_ms;
	if (again)
		set_problem(s, now_ms, PAUSE_MS, true);
	return !again;
}

static bool
is_open(struct store *s, int64_t now_ms)
{
	enum db_status status;

	if (s->db != NULL && !store_db_in_place(s->db)) {
		dm_warn("the history %s was removed or replaced: it is opened anew", s->path);
		close_db(s);
	}
	while (s->db == NULL) {
		if (is_pausing(s, now_ms))
			return false;
		status = store_db_open(s->path, s->limits.max_bytes, &s->db, &s->problem);
		if (status == DB_OK)
			s->trimmed_ms = 0;
		else if (!fail(s, status, now_ms))
			return false;
	}
	return true;
}

struct store *
store_open(const char *path, const struct store_limits *limits)
{
	struct store *s = dm_calloc(1, sizeof(*s));

	s->path = dm_strdup(path);
	s->limits = *limits;
	if (s->limits.max_bytes < BYTES_MIN)
		s->limits.max_bytes = BYTES_MIN;
	s->last = &s->first;
	(void)is_open(s, dm_wall_seconds() * 1000);
	return s;
}

const char *
store_problem(const struct store *store)
{
	return store->failing ? store->problem.msg : NULL;
}

uint64_t
store_lost(const struct store *store)
{
	return store->lost;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Adds events, as many as one transaction should have; *count is how many. */
static enum db_status
add_events(struct store *s, size_t *count)
{
	enum db_status status = DB_OK;

	*count = 0;
	for (struct waiting *w = s->first;
	     w != NULL && status == DB_OK && !store_db_is_enough(s->db); w = w->next) {
		status = store_db_add_event(s->db, &w->event, &s->problem);
		(*count)++;
	}
	return status;
}

/* The same with minutes that are over, or, with `all`, every one. */
static enum db_status
add_minutes(struct store *s, int64_t now_minute, bool all, size_t *count)
{
	enum db_status status = DB_OK;

	*count = 0;
	for (size_t i = 0; i < s->minute_count && status == DB_OK && !store_db_is_enough(s->db);
	     i++) {
		const struct minute *m = &s->minutes[i];

		/* entries are in the order of time: the present minute's are at the end */
		if (!all && m->minute == now_minute)
			break;
		status = store_db_add_minute(s->db, m->id, m->minute, m->state, &s->problem);
		(*count)++;
	}
	return status;
}

/* One transaction with what waits, or a part of it; *some if there was anything. */
static enum db_status
write_some(struct store *s, int64_t now_ms, bool all, bool *some)
{
	int64_t now_minute = now_ms / 60000;
	size_t events = 0, minutes = 0;
	enum db_status status;

	*some = s->first != NULL ||
		(s->minute_count > 0 && (all || s->minutes[0].minute != now_minute));
	if (!*some)
		return DB_OK;
	status = store_db_begin(s->db, &s->problem);
	if (status == DB_OK)
		status = add_events(s, &events);
	if (status == DB_OK)
		status = add_minutes(s, now_minute, all, &minutes);
	if (status == DB_OK)
		status = store_db_commit(s->db, &s->problem);
	if (status != DB_OK) {
		store_db_rollback(s->db);
		return status;
	}
	while (events-- > 0)
		forget_first(s);
	forget_minutes(s, minutes);
	return DB_OK;
}

static enum db_status
trim(struct store *s, int64_t now_ms, bool written)
{
	bool over = false, hourly = s->trimmed_ms == 0 || is_due(now_ms, s->trimmed_ms, TRIM_MS);
	enum db_status status = DB_OK;

	if (written)
		status = store_db_is_over(s->db, &over, &s->problem);
	if (status != DB_OK || (!over && !hourly && !s->trimming))
		return status;
	if (hourly)
		store_file_forget_aside(s->path, s->limits.max_age_s);
	s->trimmed_ms = hourly ? now_ms : s->trimmed_ms;
	return store_db_trim(s->db, now_ms - s->limits.max_age_s * 1000, &s->trimming, &s->problem);
}

/* Writes all that waits, and makes room; after a failure nothing, before the pause is over. */
static void
write_waiting(struct store *s, int64_t now_ms)
{
	enum db_status status;
	bool some;

	if (s->reading)
		return;
	do {
		if (!is_open(s, now_ms) || is_pausing(s, now_ms))
			return;
		do {
			status = write_some(s, now_ms, false, &some);
			if (status == DB_OK)
				status = trim(s, now_ms, some);
		} while (status == DB_OK && some);
		if (status == DB_OK) {
			clear_problem(s);
			return;
		}
	} while (fail(s, status, now_ms));
}

void
store_event(struct store *s, const struct store_event *event)
{
	size_t bytes = strlen(event->kind) + strlen(event->json) + 3;

	if (event->id != NULL)
		bytes += strlen(event->id);
	if (bytes > EVENT_MAX) {
		s->lost++;
		return;
	}
	if (s->count >= MANY && !s->failing)
		write_waiting(s, event->time_ms);
	while (s->count >= WAITING_MAX || (s->count > 0 && s->bytes + bytes > WAITING_BYTES_MAX)) {
		forget_first(s);
		s->lost++;
	}
	append(s, event, bytes);
}

void
store_heartbeat(struct store *s, int64_t time_ms, const char *id, const char *state)
{
	struct minute *m;

	if (strlen(id) > ID_MAX) {
		s->lost++;
		return;
	}
	m = minute_of(s, id, time_ms / 60000);
	/* a longer state is cut */
	if (!dm_snprintf(m->state, sizeof(m->state), "%s", state))
		return;
}

void
store_flush(struct store *s, int64_t now_ms)
{
	write_waiting(s, now_ms);
}

/* The last chance: also the minute that is not over, and without a pause. */
static void
write_rest(struct store *s)
{
	int64_t now_ms = dm_wall_seconds() * 1000;
	bool some;

	s->pause_ms = 0;
	if (!is_open(s, now_ms))
		return;
	while (write_some(s, now_ms, true, &some) == DB_OK && some)
		;
}

void
store_close(struct store *s)
{
	if (s == NULL)
		return;
	write_rest(s);
	close_db(s);
	while (s->first != NULL)
		forget_first(s);
	forget_minutes(s, s->minute_count);
	free(s->minutes);
	free(s->path);
	free(s);
}

/* ---- reading ------------------------------------------------------------------------------ */

/* A file that cannot be read is not kept open. */
static void
check_read(struct store *s, enum db_status status)
{
	if (status == DB_BAD || status == DB_UNWRITABLE)
		(void)fail(s, status, dm_wall_seconds() * 1000);
}

struct event_reader {
	void (*fn)(void *user, const struct store_event *event);
	void *user;
	uint64_t seq; /* of the last one */
};

static void
give_event(void *user, const struct store_event *event)
{
	struct event_reader *r = user;

	r->seq = event->seq;
	r->fn(r->user, event);
}

size_t
store_events(struct store *s, uint64_t since, const char *id, size_t max,
    void (*fn)(void *user, const struct store_event *event), void *user)
{
	struct event_reader r = {fn, user, since};
	enum db_status status = DB_OK;
	size_t count = 0;

	if (s->reading)
		return 0;
	s->reading = true;
	if (s->db != NULL)
		status =
		    store_db_events(s->db, since, id, max, give_event, &r, &count, &s->problem);
	for (const struct waiting *w = s->first; w != NULL && count < max; w = w->next) {
		if (w->event.seq <= r.seq ||
		    (id != NULL && (w->event.id == NULL || strcmp(w->event.id, id) != 0)))
			continue;
		give_event(&r, &w->event);
		count++;
	}
	s->reading = false;
	check_read(s, status);
	return count;
}

struct newest_reader {
	bool (*fn)(void *user, const struct store_event *event);
	void *user;
	uint64_t seq; /* events from here on were given already; 0: none were */
	size_t count, max;
	bool enough;
};

static bool
give_newest(void *user, const struct store_event *event)
{
	struct newest_reader *r = user;

	if (r->seq != 0 && event->seq >= r->seq)
		return true;
	r->seq = event->seq;
	r->enough = !r->fn(r->user, event) || r->count + 1 >= r->max;
	r->count++;
	return !r->enough;
}

size_t
store_newest(struct store *s, const char *id, size_t max,
    bool (*fn)(void *user, const struct store_event *event), void *user)
{
	struct newest_reader r = {.fn = fn, .user = user, .max = max};
	DM_AUTO_FREE const struct store_event **waiting = dm_calloc(s->count + 1, sizeof(void *));
	enum db_status status = DB_OK;
	size_t n = 0;

	if (s->reading || max == 0)
		return 0;
	s->reading = true;
	for (const struct waiting *w = s->first; w != NULL; w = w->next) {
		if (w->event.id != NULL && strcmp(w->event.id, id) == 0)
			waiting[n++] = &w->event;
	}
	while (n > 0 && !r.enough)
		(void)give_newest(&r, waiting[--n]);
	if (s->db != NULL && !r.enough)
		status = store_db_newest(s->db, id, max, give_newest, &r, &s->problem);
	s->reading = false;
	check_read(s, status);
	return r.count;
}

struct minute_reader {
	void (*fn)(void *user, int64_t time_ms, const char *state);
	void *user;
	int64_t next; /* minutes before it are done, or not asked for */
	size_t count, max;
};

/* Runs may overlap after the clock was set back. */
static bool
give_run(void *user, int64_t first, int64_t last, const char *state)
{
	struct minute_reader *r = user;

	for (int64_t m = first > r->next ? first : r->next; m <= last && r->count < r->max; m++) {
		r->fn(r->user, m * 60000, state);
		r->count++;
		r->next = m + 1;
	}
	return r->count < r->max;
}

size_t
store_heartbeats(struct store *s, const char *id, int64_t since_ms, size_t max,
    void (*fn)(void *user, int64_t time_ms, const char *state), void *user)
{
	struct minute_reader r = {.fn = fn, .user = user, .max = max};
	enum db_status status = DB_OK;

	if (s->reading)
		return 0;
	r.next = since_ms > 0 ? (since_ms + 59999) / 60000 : 0;
	s->reading = true;
	if (s->db != NULL)
		status = store_db_minutes(s->db, id, r.next, give_run, &r, &s->problem);
	for (size_t i = 0; i < s->minute_count && r.count < max; i++) {
		const struct minute *m = &s->minutes[i];

		if (strcmp(m->id, id) == 0)
			(void)give_run(&r, m->minute, m->minute, m->state);
	}
	s->reading = false;
	check_read(s, status);
	return r.count;
}
