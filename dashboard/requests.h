/* SPDX-License-Identifier: MIT */
/*
 * What the services were asked for lately, and how it went: the last requests of each, and figures
 * of them. Only in memory, and bounded. Pure: `now_ms` is the wall clock, in milliseconds since the
 * epoch, as are the times of requests.
 */
#ifndef DEVMESH_REQUESTS_H
#define DEVMESH_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request_line.h"

struct requests;

enum {
	REQUESTS_PER_SERVICE = 500,
	REQUESTS_MAX = 20000,	  /* of all services; the oldest go first */
	REQUESTS_SERVICES = 2048, /* the one that was asked longest ago goes */
	REQUESTS_POINTS = 60,
	REQUESTS_POINT_MS = 10000, /* so the history is of ten minutes */
	REQUESTS_CLASSES = 5,	   /* 1xx to 5xx */
};

/* One that was answered. Texts are borrowed until the next requests_add(). */
struct request {
	/*
	 * Growing, over all services: the time, in ten microseconds (15 digits, which any JSON
	 * has), or one more than the one before. A daemon that reads the log again gives the same
	 * numbers as the one before it.
	 */
	uint64_t seq;
	int64_t time_ms;
	int status; /* 0: it was not answered */
	uint32_t duration_us;
	uint64_t bytes;
	const char *method, *proto, *path;
	const char *from; /* address of the device that asked; "": this machine */
};

/* Which requests are wanted. */
struct requests_filter {
	uint64_t after; /* with a greater seq */
	int low, high;	/* with a status from low to high; 0 and 0: with any */
};

/* Of the last ten minutes, but for `rate` and `last_ms`. */
struct requests_figures {
	unsigned rate; /* requests in the last minute */
	double errors; /* share of them with a status of 5xx, from 0 to 1 */
	uint32_t p50_us,
	    p95_us;	 /* how long answers took, whole, of those kept; 0: there are none */
	int64_t last_ms; /* the last one; 0: never */
	unsigned points[REQUESTS_POINTS]; /* requests in 10 s each, oldest first */
};

/* The caller owns it. */
struct requests *requests_new(void);
void requests_free(struct requests *r);

/* Totals are of requests from then on: what a log still has of before was counted before. */
void requests_count_from(struct requests *r, int64_t time_ms);

/* Adds one to the service `id`, a valid name. One of the future is taken as of now. */
void
requests_add(struct requests *r, const char *id, const struct request_line *line, int64_t now_ms);

/* The seq of the newest one of any service; 0: there is none. */
uint64_t requests_seq(const struct requests *r);

/*
 * Calls fn for the newest `max` of the service's requests that fit, oldest first. How many there
 * were.
 */
typedef void requests_fn(void *user, const struct request *request);
size_t requests_each(const struct requests *r, const char *id, const struct requests_filter *filter,
    size_t max, requests_fn *fn, void *user);
/* Whether there is any that fits. */
bool requests_any(const struct requests *r, const char *id, const struct requests_filter *filter);

/* Zeros for a service that was never asked. */
void
requests_figures(struct requests *r, const char *id, int64_t now_ms, struct requests_figures *out);

/*
 * When the service was last asked for something, by the wall clock in milliseconds; 0: unknown.
 * Answers that the mesh itself has given, because the service was not running, do not count: Caddy
 * does not log them (caddy/mesh_log.h).
 */
int64_t requests_last_access_ms(const struct requests *r, const char *id);

/* Calls fn for every service: how often it has answered with 1xx, ..., 5xx since the start. */
typedef void
requests_totals_fn(void *user, const char *id, const uint64_t classes[REQUESTS_CLASSES]);
void requests_totals(const struct requests *r, requests_totals_fn *fn, void *user);

/* As milliseconds, to a tenth. */
double requests_ms(uint32_t us);

/* "2xx" to "5xx", or an exact status, as a filter's low and high; false if it is none of these. */
bool requests_parse_status(const char *text, struct requests_filter *out);

#endif
