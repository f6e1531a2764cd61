/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

int64_t
dm_now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
dm_now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
dm_wall_seconds(void)
{
	return (int64_t)time(NULL);
}

int64_t
dm_wall_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

uint64_t
dm_random(void)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	uint64_t bits = 0;

	if (fd < 0 || read(fd, &bits, sizeof(bits)) != (ssize_t)sizeof(bits)) {
		struct timespec t;

		(void)clock_gettime(CLOCK_MONOTONIC, &t);
		bits = (uint64_t)t.tv_nsec ^ ((uint64_t)getpid() << 32);
	}
	if (fd >= 0)
		(void)close(fd);
	return bits;
}

void
dm_pause_ms(int64_t ms)
{
	struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		continue;
}
