/* SPDX-License-Identifier: MIT */
/*
 * What can be counted, as Prometheus reads it: the text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure, but for
 * metrics_resident_bytes().
 */
#ifndef DEVMESH_METRICS_H
#define DEVMESH_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For Content-Type. */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* One value of a metric with a label: of services by their state, ... Borrowed. */
struct metrics_count {
	const char *label;
	uint64_t value;
};

struct metrics_counts {
	const struct metrics_count *list;
	size_t count;
};

/* What one service has answered, by the class of the status: 1xx to 5xx. Borrowed. */
struct metrics_answers {
	const char *service;
	uint64_t classes[5];
};

struct metrics_input {
	const char *version;
	int64_t started;		       /* seconds since the epoch */
	int64_t resident_bytes;		       /* 0: unknown, and left out */
	bool ready;			       /* the first full scan is done */
	bool caddy_up;			       /* its admin API answers */
	bool history_ok;		       /* it is being stored */
	uint64_t history_lost;		       /* entries that were not */
	struct metrics_counts services;	       /* by state; those of 0 as well */
	struct metrics_counts http_requests;   /* answered, by status */
	struct metrics_counts http_refused;    /* by reason */
	struct metrics_counts dns;	       /* questions, by what became of them */
	const struct metrics_answers *answers; /* of the services that were asked */
	size_t answers_count;
	uint64_t mends, mend_failures, events;
	uint64_t listeners; /* to events, now */
	int64_t scan_us;    /* what the last scan for processes took; -1: there was none */
	uint64_t found;	    /* processes that listen and are not registered */
};

/* All of it, each with HELP and TYPE. The caller owns it. */
char *metrics_render(const struct metrics_input *in);

/* What this process has in memory; 0 where proc(5) is not. */
int64_t metrics_resident_bytes(void);

#endif
