/* SPDX-License-Identifier: MIT */
/* The two clocks. Pure code takes times as arguments instead of calling these. */
#ifndef DEVMESH_CLOCK_H
#define DEVMESH_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Monotonic milliseconds since some fixed point; for deadlines and intervals. */
int64_t dm_now_ms(void);
/* The same in microseconds; for measuring. */
int64_t dm_now_us(void);
/* Seconds since the epoch; for what is written down. */
int64_t dm_wall_seconds(void);
/* The same in milliseconds. */
int64_t dm_wall_ms(void);
/* A number that other users cannot foresee, for names in shared directories. Not for keys. */
uint64_t dm_random(void);
/* Sleeps at least `ms` milliseconds, signals notwithstanding. For polling with a deadline only. */
void dm_pause_ms(int64_t ms);

/* "90s", "30m", "24h" or "7d" as seconds, from 1 to `max`; false if it is none of these. */
bool dm_parse_period(const char *text, int64_t max, int64_t *seconds);

#endif
