/* SPDX-License-Identifier: MIT */
/* Events: their numbers, who hears of them, what is kept for those who come back. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "events.h"

struct heard {
	uint64_t first, last;
	size_t count;
	bool in_order;
	char text[512];
	struct events *events;
	struct events_listener *self, *other;
};

static void
hear(void *user, const struct event *event)
{
	struct heard *h = user;

	if (h->count == 0) {
		h->first = event->seq;
		h->in_order = true;
	} else {
		h->in_order = h->in_order && event->seq == h->last + 1;
	}
	h->last = event->seq;
	h->count++;
	(void)snprintf(h->text, sizeof(h->text), "%s %s %s", event_kind_name(event->kind),
	    event->id == NULL ? "-" : event->id, event->json);
}

static void
say(struct events *events, int n)
{
	for (int i = 0; i < n; i++)
		events_publish(events, EVENT_SERVICE, "a-main", cJSON_CreateObject());
}

static void
is_told(void **state)
{
	struct events *events = events_new();
	struct heard h = {.count = 0};
	cJSON *data = cJSON_CreateObject(), *seen;

	(void)state;
	(void)events_subscribe(events, hear, &h);
	assert_int_equal(events_listeners(events), 1);
	(void)cJSON_AddStringToObject(data, "what", "x");
	events_publish(events, EVENT_MEND, NULL, data);
	assert_int_equal(h.count, 1);
	assert_int_equal(h.last, events_seq(events));
	assert_true(dm_starts_with(h.text, "mend - {"));
	seen = cJSON_Parse(strchr(h.text, '{'));
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(seen, "what")), "x");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(seen, "id")));
	assert_true(cJSON_IsNumber(cJSON_GetObjectItem(seen, "time")));
	cJSON_Delete(seen);
	events_free(events);
}

/* What a listener does to the list while it is being told. */
static void
hear_and_leave(void *user, const struct event *event)
{
	struct heard *h = user;

	hear(user, event);
	if (h->other != NULL)
		events_unsubscribe(h->events, h->other);
	h->other = NULL;
	events_unsubscribe(h->events, h->self);
}

static void
leaving_while_told(void **state)
{
	struct events *events = events_new();
	struct heard a = {.count = 0}, b = {.count = 0}, c = {.count = 0};

	(void)state;
	(void)events_subscribe(events, hear, &c);
	b.events = events;
	b.self = events_subscribe(events, hear, &b);
	a.events = events;
	a.self = events_subscribe(events, hear_and_leave, &a);
	a.other = b.self;
	say(events, 3);
	assert_int_equal(a.count, 1);
	assert_int_equal(b.count, 0);
	assert_int_equal(c.count, 3);
	assert_int_equal(events_listeners(events), 1);
	events_free(events);
}

static void
replay(void **state)
{
	struct events *events = events_new();
	uint64_t zero = events_seq(events);
	struct heard h = {.count = 0};

	(void)state;
	/* nothing has happened: nothing was missed */
	assert_true(events_replay(events, zero, hear, &h));
	assert_int_equal(h.count, 0);
	say(events, 10);
	assert_true(events_replay(events, zero + 4, hear, &h));
	assert_int_equal(h.count, 6);
	assert_int_equal(h.first, zero + 5);
	assert_true(h.in_order);
	/* exactly as many as are kept */
	say(events, EVENTS_KEPT - 10);
	h.count = 0;
	assert_true(events_replay(events, zero, hear, &h));
	assert_int_equal(h.count, EVENTS_KEPT);
	assert_true(h.in_order);
	/* one more, and the first is no longer there */
	say(events, 1);
	h.count = 0;
	assert_false(events_replay(events, zero, hear, &h));
	assert_int_equal(h.count, 0);
	assert_true(events_replay(events, zero + 1, hear, &h));
	assert_int_equal(h.count, EVENTS_KEPT);
	/* of another life, or made up */
	assert_false(events_replay(events, events_seq(events) + 1, hear, &h));
	assert_false(events_replay(events, 0, hear, &h));
	assert_false(events_replay(events, UINT64_MAX, hear, &h));
	events_free(events);
}

/* The numbers of a later life begin above those of this one, unless it is very busy indeed. */
static void
numbers_grow(void **state)
{
	struct events *first = events_new(), *second;
	uint64_t last;

	(void)state;
	say(first, 1);
	last = events_seq(first);
	events_free(first);
	do
		second = events_new();
	while (events_seq(second) < last && (events_free(second), true));
	assert_true(events_seq(second) >= last);
	events_free(second);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(is_told),
	    cmocka_unit_test(leaving_while_told),
	    cmocka_unit_test(replay),
	    cmocka_unit_test(numbers_grow),
	};

	return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
