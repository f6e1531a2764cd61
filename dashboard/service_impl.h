/* SPDX-License-Identifier: MIT */
/* Parts of services.c: what a service is given time for (service_times.c), whose ends are waited
 * for (service_watch.c). For nobody else. */
#ifndef DEVMESH_SERVICE_IMPL_H
#define DEVMESH_SERVICE_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/service.h"

struct dm_proc_id;
struct exits;
struct service;
struct survey_row;

enum {
	SERVICE_PORT_MS = 250 /* between two looks at a port that nobody listens on */
};

/* Whether its claim is so new that its route may be on its way. */
bool service_waits_for_route(const struct service *svc);

/* Its state is this now; only services.c, which has checked the move, calls it. */
void service_become(struct service *svc, enum service_state state, const char *why);
/*
 * Since when a service that is seen for the first time is as it is, in seconds since the epoch: the
 * daemon may be younger. A server that answers has made its socket; a claim that waits was written
 * then. What has died meanwhile has done so at an unknown time: now.
 */
int64_t service_first_since(const struct service *svc);

/* Notes since when things are missing, after a look. */
void service_note_times(struct service *svc);
/* All periods of the service begin now: the machine was asleep. */
void service_begin_anew(struct service *svc, int64_t now);

/* Before the look is taken over: whether who listens was missed only because it began just now. */
void service_note_search(struct service *svc, const struct survey_row *row);

/*
 * In how many milliseconds to look again at something whose next change makes no hint; 0: not
 * needed.
 */
int64_t service_recheck_step(struct service *svc);

/* After a look: word of the ends of those who matter now, and of nobody else's. */
void service_watch(struct exits *exits, struct service *svc);
/* No more word is wanted. */
void service_unwatch(struct exits *exits, struct service *svc);
bool service_same_process(const struct dm_proc_id *a, const struct dm_proc_id *b);

#endif
