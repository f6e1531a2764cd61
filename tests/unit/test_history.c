/* SPDX-License-Identifier: MIT */
/* How a service has been, put together of what a history may hold. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "history.h"

/* An hour of a day in 2026 that begins at minute 0. */
#define AT(minute) ((INT64_C(29600000) + (minute)) * 60000)
#define HOUR	   60

static struct history *
one_hour(void)
{
	return history_new(AT(0), AT(HOUR));
}

static void
minutes(struct history *h, int first, int last, const char *state)
{
	for (int m = first; m <= last; m++)
		history_add_minute(h, AT(m), state);
}

/* "up 0-30 stale 30-60": seconds from the begin of the hour; the caller owns it. */
static char *
segments(const cJSON *o)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(65536);
	double begin = (double)AT(0) / 1000;
	const cJSON *s;

	cJSON_ArrayForEach (s, cJSON_GetObjectItem(o, "segments"))
		(void)dm_str_addf(&out, "%s%s %.1f-%.1f", out.len > 0 ? " " : "",
		    cJSON_GetStringValue(cJSON_GetObjectItem(s, "state")),
		    cJSON_GetObjectItem(s, "from")->valuedouble - begin,
		    cJSON_GetObjectItem(s, "to")->valuedouble - begin);
	return dm_str_take(&out);
}

/* -1: null. */
static double
bar(const cJSON *o, int i)
{
	const cJSON *b = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "bars"), i);

	assert_true(cJSON_IsNumber(b) || cJSON_IsNull(b));
	return cJSON_IsNumber(b) ? b->valuedouble : -1;
}

/* Takes the history. */
static cJSON *
result_of(struct history *h)
{
	cJSON *o = cJSON_CreateObject();

	history_add_to(h, o);
	history_free(h);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "bars")), HISTORY_BARS);
	return o;
}

static void
assert_segments(struct history *h, const char *want)
{
	cJSON *o = result_of(h);
	DM_AUTO_FREE char *got = segments(o);

	assert_string_equal(got, want);
	cJSON_Delete(o);
}

static void
nothing_is_known(void **state)
{
	struct history *h = one_hour();
	cJSON *o;

	(void)state;
	assert_true(history_is_empty(h));
	o = result_of(h);
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(o, "uptime")));
	for (int i = 0; i < HISTORY_BARS; i++)
		assert_true(bar(o, i) < 0);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "segments")), 0);
	cJSON_Delete(o);
}

static void
heartbeats_alone(void **state)
{
	struct history *h = one_hour();
	cJSON *o;

	(void)state;
	minutes(h, 0, 9, "up");
	minutes(h, 10, 14, "stale");
	minutes(h, 30, 44, "up"); /* it was away before */
	o = result_of(h);
	{
		DM_AUTO_FREE char *got = segments(o);

		assert_string_equal(got, "up 0.0-600.0 stale 600.0-900.0 up 1800.0-2700.0");
	}
	assert_true(bar(o, 0) > 0.999 && bar(o, 9) > 0.999);
	assert_true(bar(o, 10) == 0 && bar(o, 14) == 0);
	assert_true(bar(o, 15) < 0 && bar(o, 29) < 0 && bar(o, 30) > 0.999 && bar(o, 45) < 0);
	assert_float_equal(
	    (float)cJSON_GetObjectItem(o, "uptime")->valuedouble, 25.0F / 30, 0.001F);
	cJSON_Delete(o);
}

/* Changes are exact; the heartbeat of their minute tells only what came of it. */
static void
changes_within_minutes(void **state)
{
	struct history *h = one_hour();

	(void)state;
	minutes(h, 0, 19, "up");
	minutes(h, 20, 29, "stale");
	minutes(h, 30, 59, "up");
	assert_true(history_add_change(h, AT(30) + 15000, "stale", "up"));
	assert_true(history_add_change(h, AT(20) + 30500, "up", "stale"));
	assert_false(history_add_change(h, AT(-60), NULL, "up"));
	assert_segments(h, "up 0.0-1230.5 stale 1230.5-1815.0 up 1815.0-3600.0");
	/* those before are not kept any more */
	h = one_hour();
	minutes(h, 0, 19, "up");
	minutes(h, 20, 29, "stale");
	(void)history_add_change(h, AT(20) + 30500, "up", "stale");
	assert_segments(h, "up 0.0-1230.5 stale 1230.5-1800.0");
}

/* A server that is killed and comes back within the second leaves its mark. */
static void
a_short_end_is_told(void **state)
{
	struct history *h = one_hour();

	(void)state;
	minutes(h, 0, 58, "up");
	history_set_now(h, AT(-10), "up");
	(void)history_add_change(h, AT(10) + 300, "stale", "up");
	(void)history_add_change(h, AT(10) + 100, "up", "stale");
	(void)history_add_change(h, AT(-5), NULL, "up");
	assert_segments(h, "up 0.0-600.1 stale 600.1-600.3 up 600.3-3600.0");
	/* nor does one vanish that takes no time at all, just now */
	h = history_new(AT(0), AT(0) + 2);
	history_set_now(h, AT(-10), "up");
	(void)history_add_change(h, AT(0) + 1, "stale", "up");
	(void)history_add_change(h, AT(0) + 1, "up", "stale");
	(void)history_add_change(h, AT(0) + 1, NULL, "up");
	{
		cJSON *o = result_of(h);

		assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "segments")), 3);
		cJSON_Delete(o);
	}
}

static void
nobody_looked(void **state)
{
	struct history *h = one_hour();

	(void)state;
	/* it was away from the 10th to the 30th minute, and found it so when it came back */
	minutes(h, 0, 9, "up");
	minutes(h, 30, 58, "up");
	history_set_now(h, AT(30) + 5000, "up");
	(void)history_add_change(h, AT(30) + 5000, NULL, "up");
	(void)history_add_change(h, AT(-5), NULL, "up");
	/* to the minute: that is what heartbeats are */
	assert_segments(h, "up 0.0-600.0 up 1800.0-3600.0");
	/* it saw a change, and was killed before the minute was over */
	h = one_hour();
	minutes(h, 0, 3, "up");
	(void)history_add_change(h, AT(5), "up", "stale");
	(void)history_add_change(h, AT(-5), NULL, "up");
	assert_segments(h, "up 0.0-240.0 stale 300.0-390.0");
	/* its looks are five minutes apart */
	h = one_hour();
	history_set_gap(h, 600000);
	for (int m = 0; m < 60; m += 5)
		history_add_minute(h, AT(m), "up");
	assert_segments(h, "up 0.0-3360.0");
}

/* The machine slept: the daemon runs on, and nothing has changed, but nobody looked. */
static void
nobody_looked_while_it_slept(void **state)
{
	struct history *h = one_hour();

	(void)state;
	minutes(h, 0, 9, "up");
	minutes(h, 50, 58, "up");
	history_set_now(h, AT(-30), "up");
	(void)history_add_change(h, AT(-30), NULL, "up");
	assert_segments(h, "up 0.0-600.0 up 3000.0-3600.0");
	/* it has just awoken */
	h = one_hour();
	minutes(h, 0, 9, "up");
	history_set_now(h, AT(-30), "up");
	(void)history_add_change(h, AT(5), "down", "up");
	(void)history_add_change(h, AT(-30), NULL, "down");
	assert_segments(h, "down 0.0-300.0 up 300.0-600.0 up 3510.0-3600.0");
}

/* The heartbeat of its first minute is of the time since it is there. */
static void
nothing_is_told_before_it_was_there(void **state)
{
	struct history *h = one_hour();

	(void)state;
	minutes(h, 50, 58, "up");
	history_set_now(h, AT(-30), "up");
	(void)history_add_change(h, AT(50) + 10000, NULL, "up");
	assert_segments(h, "up 3010.0-3600.0");
}

/* Nobody had the name: it was neither up nor down. */
static void
a_name_that_was_given_back(void **state)
{
	struct history *h = one_hour();
	cJSON *o;

	(void)state;
	minutes(h, 0, 9, "up");
	minutes(h, 40, 59, "up");
	history_set_now(h, AT(-99), "up");
	(void)history_add_change(h, AT(40), NULL, "up");
	(void)history_add_change(h, AT(10), "up", HISTORY_GONE);
	(void)history_add_change(h, AT(-5), NULL, "up");
	o = result_of(h);
	{
		DM_AUTO_FREE char *got = segments(o);

		assert_string_equal(got, "up 0.0-600.0 gone 600.0-2400.0 up 2400.0-3600.0");
	}
	assert_float_equal((float)cJSON_GetObjectItem(o, "uptime")->valuedouble, 1, 0.001F);
	assert_true(bar(o, 20) < 0);
	cJSON_Delete(o);
}

/* Clocks are set, files are edited: the result stays in order, and within the window. */
static void
nonsense(void **state)
{
	struct history *h = one_hour();
	cJSON *o;
	const cJSON *s;
	double last;

	(void)state;
	minutes(h, 5, 9, "a-state-with-a-name-that-is-much-too-long");
	minutes(h, 2, 7, "up");
	minutes(h, -9, -5, "up");
	minutes(h, 70, 75, "up");
	(void)history_add_change(h, AT(90), NULL, "stale");
	(void)history_add_change(h, AT(30), "up", "");
	(void)history_add_change(h, AT(40), "", "up");
	history_set_now(h, AT(500), "up");
	o = result_of(h);
	last = cJSON_GetObjectItem(o, "from")->valuedouble;
	cJSON_ArrayForEach (s, cJSON_GetObjectItem(o, "segments")) {
		assert_true(cJSON_GetObjectItem(s, "from")->valuedouble >= last);
		last = cJSON_GetObjectItem(s, "to")->valuedouble;
		assert_true(last > cJSON_GetObjectItem(s, "from")->valuedouble);
	}
	assert_true(last <= cJSON_GetObjectItem(o, "to")->valuedouble);
	for (int i = 0; i < HISTORY_BARS; i++)
		assert_true(bar(o, i) <= 1);
	cJSON_Delete(o);
}

/* One that comes and goes all the time: the newest part is told, the figures are of all of it. */
static void
many_changes(void **state)
{
	struct history *h = history_new(AT(0), AT(14 * 24 * 60));
	int64_t at = AT(14 * 24 * 60);
	cJSON *o;

	(void)state;
	for (int m = 0; m < 14 * 24 * 60; m++)
		history_add_minute(h, AT(m), m % 2 == 0 ? "up" : "stale");
	for (bool up = true;
	     history_add_change(h, at -= 1000, up ? "stale" : "up", up ? "up" : "stale"); up = !up)
		continue;
	o = result_of(h);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "segments")), HISTORY_SEGMENTS);
	assert_float_equal((float)cJSON_GetObjectItem(o, "uptime")->valuedouble, 0.5F, 0.01F);
	cJSON_Delete(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_known),
	    cmocka_unit_test(heartbeats_alone),
	    cmocka_unit_test(changes_within_minutes),
	    cmocka_unit_test(a_short_end_is_told),
	    cmocka_unit_test(nobody_looked),
	    cmocka_unit_test(nobody_looked_while_it_slept),
	    cmocka_unit_test(nothing_is_told_before_it_was_there),
	    cmocka_unit_test(a_name_that_was_given_back),
	    cmocka_unit_test(nonsense),
	    cmocka_unit_test(many_changes),
	};

	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
