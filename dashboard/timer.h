/* SPDX-License-Identifier: MIT */
/* Timers of the loop, in milliseconds. */
#ifndef DEVMESH_TIMER_H
#define DEVMESH_TIMER_H

#include <stdint.h>

struct event;

/* The timer (evtimer_new) fires in so many milliseconds, and not when it was to before. */
void timer_in(struct event *timer, int64_t ms);

#endif
