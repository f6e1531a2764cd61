/* SPDX-License-Identifier: MIT */
/* The state of a service, for every combination of evidence. */
#include "unit.h"

#include "model/service.h"

/* The rules of design §5 written another way round: the first that holds. */
static enum service_state
expected(const struct service_evidence *e)
{
	if (!e->worktree_exists)
		return SERVICE_ORPHAN;
	if (e->foreign)
		return SERVICE_FOREIGN;
	if (e->listening && e->no_server)
		return SERVICE_STARTING;
	if (e->listening && e->route_ok)
		return SERVICE_UP;
	if (e->listening)
		return SERVICE_DEGRADED;
	if (!e->is_tcp && e->socket_exists)
		return SERVICE_STALE;
	return e->is_tcp || e->resting ? SERVICE_DOWN : SERVICE_STARTING;
}

static void
every_combination(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (unsigned bits = 0; bits < 256; bits++) {
		struct service_evidence e = {.worktree_exists = (bits & 1) != 0,
		    .socket_exists = (bits & 2) != 0,
		    .listening = (bits & 4) != 0,
		    .is_tcp = (bits & 8) != 0,
		    .route_ok = (bits & 16) != 0,
		    .foreign = (bits & 32) != 0,
		    .no_server = (bits & 64) != 0,
		    .resting = (bits & 128) != 0};

		assert_int_equal(service_state_of(&e), expected(&e));
		seen |= 1U << service_state_of(&e);
	}
	assert_int_equal(seen, 0x7f);
}

/* A claim whose server has not been started yet is never called stale. */
static void
never_stale_before_it_ran(void **state)
{
	struct service_evidence e = {.worktree_exists = true};

	(void)state;
	assert_int_equal(service_state_of(&e), SERVICE_STARTING);
	e.route_ok = true;
	assert_int_equal(service_state_of(&e), SERVICE_STARTING);
	e.socket_exists = true;
	assert_int_equal(service_state_of(&e), SERVICE_STALE);
}

/* A bridge without a server behind it is a service that starts, whatever Caddy says. */
static void
bridge_without_a_server(void **state)
{
	struct service_evidence e = {.worktree_exists = true,
	    .socket_exists = true,
	    .listening = true,
	    .route_ok = true,
	    .no_server = true};

	(void)state;
	assert_int_equal(service_state_of(&e), SERVICE_STARTING);
	e.no_server = false;
	assert_int_equal(service_state_of(&e), SERVICE_UP);
}

/* A port may have gone to another checkout's server; a socket of the service's name may not. */
static void
answers(void **state)
{
	struct service_evidence e = {.listening = true, .is_tcp = true};

	(void)state;
	assert_true(service_answers(&e));
	e.foreign = true;
	assert_false(service_answers(&e));
	e.is_tcp = false;
	assert_true(service_answers(&e));
	e.listening = false;
	assert_false(service_answers(&e));
}

static void
names(void **state)
{
	static const char *const words[] = {
	    [SERVICE_STARTING] = "starting",
	    [SERVICE_UP] = "up",
	    [SERVICE_DEGRADED] = "degraded",
	    [SERVICE_STALE] = "stale",
	    [SERVICE_DOWN] = "down",
	    [SERVICE_ORPHAN] = "orphan",
	    [SERVICE_FOREIGN] = "foreign",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(words); i++)
		assert_string_equal(service_state_name((enum service_state)i), words[i]);
}

/* Every state can be reached from every other, but for what there is not behind a port. */
static void
moves(void **state)
{
	(void)state;
	for (int from = 0; from < SERVICE_STATES; from++) {
		for (int to = 0; to < SERVICE_STATES; to++) {
			bool file = to == SERVICE_STALE;
			bool begins = from == SERVICE_DOWN && to == SERVICE_STARTING;

			assert_int_equal(service_may_become((enum service_state)from,
					     (enum service_state)to, false),
			    from != to);
			assert_int_equal(service_may_become((enum service_state)from,
					     (enum service_state)to, true),
			    from != to && !file && !begins);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_combination),
	    cmocka_unit_test(never_stale_before_it_ran),
	    cmocka_unit_test(moves),
	    cmocka_unit_test(bridge_without_a_server),
	    cmocka_unit_test(answers),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests_name("service", tests, NULL, NULL);
}
