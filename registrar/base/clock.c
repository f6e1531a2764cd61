/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>
#include <time.h>

int64_t
dm_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
dm_wall_seconds(void)
{
	return (int64_t)time(NULL);
}

void
dm_pause_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		continue;
}
