/* SPDX-License-Identifier: MIT */
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

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

bool
dm_parse_period(const char *text, int64_t max, int64_t *seconds)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t n = strlen(text);
	int64_t factor = 0;
	char digits[16];
	uint64_t number;

	for (size_t i = 0; n > 1 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (text[n - 1] == units[i].unit) {
			factor = units[i].s;
			n--;
			break;
		}
	}
	if (factor == 0 || !dm_snprintf(digits, sizeof(digits), "%.*s", (int)n, text) ||
	    !dm_parse_uint(digits, 1, (uint64_t)(max / factor), &number))
		return false;
	*seconds = (int64_t)number * factor;
	return true;
}
