/* SPDX-License-Identifier: MIT */
#include "timer.h"

#include <event2/event.h>

void
timer_in(struct event *timer, int64_t ms)
{
	struct timeval t = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	(void)event_add(timer, &t);
}
