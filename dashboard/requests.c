/* SPDX-License-Identifier: MIT */
#include "requests.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	MINUTE_POINTS = 60000 / REQUESTS_POINT_MS
};

struct record {
	struct request request; /* its texts point into `texts` */
	struct asked *service;
	struct record *newer, *older; /* of the same service */
	struct record *next;	      /* the next newer one of all */
	struct record *previous;
	char texts[];
};

/* One service, as far as it was asked. */
struct asked {
	char *id;
	struct record *newest, *oldest;
	size_t count;
	int64_t last_ms;
	uint64_t totals[REQUESTS_CLASSES];
	/* How many in each of the last points, all and those with 5xx; point `p` is at p % 60. */
	int64_t point; /* the newest that is counted: ms / REQUESTS_POINT_MS */
	unsigned all[REQUESTS_POINTS], failed[REQUESTS_POINTS];
	/* What was worked out of the durations, while nothing has changed. */
	bool worked_out;
	int64_t worked_out_at; /* point */
	uint32_t p50_us, p95_us;
};

struct requests {
	struct asked **list; /* by id */
	size_t services;
	struct record *newest, *oldest;
	size_t count;
	uint64_t seq;
	int64_t counted_from_ms; /* totals */
};

struct requests *
requests_new(void)
{
	return dm_calloc(1, sizeof(struct requests));
}

/* ---- the lists ------------------------------------------------------------------------------ */

/* Of all requests, and of its service's. */
static void
record_free(struct requests *r, struct record *record)
{
	struct asked *a = record->service;

	*(record->next != NULL ? &record->next->previous : &r->newest) = record->previous;
	*(record->previous != NULL ? &record->previous->next : &r->oldest) = record->next;
	*(record->newer != NULL ? &record->newer->older : &a->newest) = record->older;
	*(record->older != NULL ? &record->older->newer : &a->oldest) = record->newer;
	r->count--;
	a->count--;
	free(record);
}

static void
forget_service(struct requests *r, size_t i)
{
	struct asked *a = r->list[i];

	while (a->oldest != NULL)
		record_free(r, a->oldest);
	memmove(&r->list[i], &r->list[i + 1], (r->services - i - 1) * sizeof(struct asked *));
	r->services--;
	free(a->id);
	free(a);
}

void
requests_free(struct requests *r)
{
	if (r == NULL)
		return;
	while (r->services > 0)
		forget_service(r, r->services - 1);
	free(r->list);
	free(r);
}

/* Where the id is, or would be. */
static size_t
position(const struct requests *r, const char *id)
{
	size_t low = 0, high = r->services;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(r->list[middle]->id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct asked *
find(const struct requests *r, const char *id)
{
	size_t i = position(r, id);

	return i < r->services && strcmp(r->list[i]->id, id) == 0 ? r->list[i] : NULL;
}

static void
forget_the_least_asked(struct requests *r)
{
	size_t least = 0;

	for (size_t i = 1; i < r->services; i++) {
		if (r->list[i]->last_ms < r->list[least]->last_ms)
			least = i;
	}
	forget_service(r, least);
}

static struct asked *
find_or_add(struct requests *r, const char *id)
{
	struct asked *a = find(r, id);
	size_t at;

	if (a != NULL)
		return a;
	if (r->services == REQUESTS_SERVICES)
		forget_the_least_asked(r);
	at = position(r, id);
	r->list = dm_reallocarray(r->list, r->services + 1, sizeof(struct asked *));
	memmove(&r->list[at + 1], &r->list[at], (r->services - at) * sizeof(struct asked *));
	r->services++;
	a = r->list[at] = dm_calloc(1, sizeof(*a));
	a->id = dm_strdup(id);
	return a;
}

/* ---- one more -------------------------------------------------------------------------------- */

/* The counts of the points that have begun since are zero. */
static void
move_on(struct asked *a, int64_t point)
{
	/* or the clock was set back, by more than it is when it is kept right */
	if (point - a->point >= REQUESTS_POINTS || point < a->point - 1) {
		memset(a->all, 0, sizeof(a->all));
		memset(a->failed, 0, sizeof(a->failed));
		a->point = point;
	}
	while (a->point < point) {
		a->point++;
		a->all[a->point % REQUESTS_POINTS] = a->failed[a->point % REQUESTS_POINTS] = 0;
	}
}

static void
count(struct asked *a, const struct request *request, int64_t now_ms)
{
	int64_t point = request->time_ms / REQUESTS_POINT_MS;

	move_on(a, now_ms / REQUESTS_POINT_MS);
	/* a clock that was set back by a little: the next point may have begun already */
	if (point > a->point || a->point - point >= REQUESTS_POINTS)
		return;
	a->all[point % REQUESTS_POINTS]++;
	if (request->status >= 500)
		a->failed[point % REQUESTS_POINTS]++;
}

/* A copy of the line; its texts lie behind it. */
static struct record *
record_of(const struct request_line *line)
{
	size_t method = strlen(line->method) + 1, proto = strlen(line->proto) + 1;
	size_t path = strlen(line->path) + 1, from = strlen(line->from) + 1;
	struct record *record = dm_calloc(1, sizeof(*record) + method + proto + path + from);
	char *texts = record->texts;

	memcpy(texts, line->method, method);
	memcpy(texts + method, line->proto, proto);
	memcpy(texts + method + proto, line->path, path);
	memcpy(texts + method + proto + path, line->from, from);
	record->request = (struct request){.status = line->status,
	    .duration_us = line->duration_us,
	    .bytes = line->bytes,
	    .method = texts,
	    .proto = texts + method,
	    .path = texts + method + proto,
	    .from = texts + method + proto + path};
	return record;
}

void
requests_count_from(struct requests *r, int64_t time_ms)
{
	r->counted_from_ms = time_ms;
}

void
requests_add(struct requests *r, const char *id, const struct request_line *line, int64_t now_ms)
{
	struct asked *a = find_or_add(r, id);
	struct record *record = record_of(line);
	/* not so exact: it may be of this very millisecond */
	int64_t time_us = line->time_us / 1000 <= now_ms ? line->time_us : now_ms * 1000;

	record->service = a;
	record->request.time_ms = time_us / 1000;
	r->seq = (uint64_t)time_us / 10 > r->seq ? (uint64_t)time_us / 10 : r->seq + 1;
	record->request.seq = r->seq;
	record->previous = r->newest;
	*(r->newest != NULL ? &r->newest->next : &r->oldest) = record;
	r->newest = record;
	record->older = a->newest;
	*(a->newest != NULL ? &a->newest->newer : &a->oldest) = record;
	a->newest = record;
	r->count++;
	a->count++;
	a->worked_out = false;
	if (record->request.time_ms > a->last_ms || a->last_ms > now_ms)
		a->last_ms = record->request.time_ms;
	count(a, &record->request, now_ms);
	if (line->status >= 100 && record->request.time_ms >= r->counted_from_ms)
		a->totals[line->status / 100 - 1]++;
	if (a->count > REQUESTS_PER_SERVICE)
		record_free(r, a->oldest);
	if (r->count > REQUESTS_MAX)
		record_free(r, r->oldest);
}

/* ---- what is asked of it ----------------------------------------------------------------------
 */

uint64_t
requests_seq(const struct requests *r)
{
	return r->seq;
}

static bool
fits(const struct request *request, const struct requests_filter *filter)
{
	return filter->high == 0 ||
	       (request->status >= filter->low && request->status <= filter->high);
}

size_t
requests_each(const struct requests *r, const char *id, const struct requests_filter *filter,
    size_t max, requests_fn *fn, void *user)
{
	const struct asked *a = find(r, id);
	const struct record *record = a == NULL ? NULL : a->newest, *first = NULL;
	size_t n = 0;

	for (; record != NULL && record->request.seq > filter->after && n < max;
	     record = record->older) {
		if (!fits(&record->request, filter))
			continue;
		first = record;
		n++;
	}
	for (record = first; record != NULL; record = record->newer) {
		if (fits(&record->request, filter))
			fn(user, &record->request);
	}
	return n;
}

bool
requests_any(const struct requests *r, const char *id, const struct requests_filter *filter)
{
	const struct asked *a = find(r, id);

	for (const struct record *record = a == NULL ? NULL : a->newest;
	     record != NULL && record->request.seq > filter->after; record = record->older) {
		if (fits(&record->request, filter))
			return true;
	}
	return false;
}

static int
compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The percentiles (nearest rank) of what is kept of the last ten minutes. */
static void
work_out(struct asked *a, int64_t point)
{
	uint32_t durations[REQUESTS_PER_SERVICE];
	size_t n = 0;

	for (const struct record *record = a->newest; record != NULL && n < REQUESTS_PER_SERVICE;
	     record = record->older) {
		/*
		 * A connection that was taken over, by a WebSocket, lasts as long as it likes, and
		 * one whose client has gone (0) as long as that one did.
		 */
		if (record->request.status != 101 && record->request.status != 0 &&
		    point - record->request.time_ms / REQUESTS_POINT_MS < REQUESTS_POINTS)
			durations[n++] = record->request.duration_us;
	}
	if (n > 0)
		qsort(durations, n, sizeof(durations[0]), compare);
	a->p50_us = n == 0 ? 0 : durations[(n * 50 + 99) / 100 - 1];
	a->p95_us = n == 0 ? 0 : durations[(n * 95 + 99) / 100 - 1];
	a->worked_out = true;
	a->worked_out_at = point;
}

void
requests_figures(struct requests *r, const char *id, int64_t now_ms, struct requests_figures *out)
{
	struct asked *a = find(r, id);
	int64_t point = now_ms / REQUESTS_POINT_MS;
	uint64_t all = 0, failed = 0;

	memset(out, 0, sizeof(*out));
	if (a == NULL)
		return;
	move_on(a, point);
	if (!a->worked_out || a->worked_out_at != a->point)
		work_out(a, a->point);
	out->p50_us = a->p50_us;
	out->p95_us = a->p95_us;
	if (a->last_ms > now_ms) /* the clock was set back */
		a->last_ms = now_ms;
	out->last_ms = a->last_ms;
	for (int i = 0; i < REQUESTS_POINTS; i++) {
		int64_t at = (a->point + 1 + i) % REQUESTS_POINTS;

		out->points[i] = a->all[at];
		all += a->all[at];
		failed += a->failed[at];
		if (i >= REQUESTS_POINTS - MINUTE_POINTS)
			out->rate += a->all[at];
	}
	out->errors = all == 0 ? 0 : (double)failed / (double)all;
}

int64_t
requests_last_access_ms(const struct requests *r, const char *id)
{
	const struct asked *a = find(r, id);

	return a == NULL ? 0 : a->last_ms;
}

void
requests_totals(const struct requests *r, requests_totals_fn *fn, void *user)
{
	for (size_t i = 0; i < r->services; i++)
		fn(user, r->list[i]->id, r->list[i]->totals);
}

double
requests_ms(uint32_t us)
{
	int64_t tenths = ((int64_t)us + 50) / 100;

	return (double)tenths / 10;
}

bool
requests_parse_status(const char *text, struct requests_filter *out)
{
	uint64_t code;

	if (text[0] >= '1' && text[0] <= '5' && strcmp(text + 1, "xx") == 0) {
		out->low = (text[0] - '0') * 100;
		out->high = out->low + 99;
		return true;
	}
	if (strlen(text) != 3 || !dm_parse_uint(text, 100, 599, &code))
		return false;
	out->low = out->high = (int)code;
	return true;
}
