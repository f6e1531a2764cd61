/* SPDX-License-Identifier: MIT */
/* The newest of the history, of one name: what lies behind is not read. */
#include "store_rig.h"

struct newest {
	char text[256];
	size_t want; /* so many are enough */
};

static bool
note_newest(void *user, const struct store_event *event)
{
	struct newest *n = user;

	(void)snprintf(n->text + strlen(n->text), sizeof(n->text) - strlen(n->text), "%s%s",
	    n->text[0] == '\0' ? "" : " ", event->json);
	return --n->want > 0;
}

static void
gives_the_newest_first(void **state)
{
	struct rig *r = *state;
	struct newest n = {.want = 9};

	rig_open(r);
	rig_event(r, "a", "1");
	rig_event(r, "b", "2");
	rig_event(r, "a", "3");
	rig_flush(r);
	/* these still wait */
	rig_event(r, "a", "4");
	rig_event(r, NULL, "5");
	rig_event(r, "a", "6");
	assert_int_equal(store_newest(r->store, "a", 9, note_newest, &n), 4);
	assert_string_equal(n.text, "6 4 3 1");
	n = (struct newest){.want = 3};
	assert_int_equal(store_newest(r->store, "a", 9, note_newest, &n), 3);
	assert_string_equal(n.text, "6 4 3");
	n = (struct newest){.want = 9};
	assert_int_equal(store_newest(r->store, "a", 1, note_newest, &n), 1);
	assert_int_equal(store_newest(r->store, "none", 9, note_newest, &n), 0);
	assert_string_equal(n.text, "6");
	assert_stores(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_RIG(gives_the_newest_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
