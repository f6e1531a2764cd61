/* SPDX-License-Identifier: MIT */
/* Records that are not any more what was read: a name that was taken anew, a file that changed. */
#include "place.h"

/* A process that is no more: its pid is somebody else's by now. */
static struct dm_proc_id
dead_runner(void)
{
	struct dm_proc_id id;

	assert_true(dm_proc_id(getppid(), &id));
	id.start++;
	return id;
}

/* The claim of a first worktree, as it is with that `devmesh run`. */
static struct claim *
served_by(const struct place *p, const struct dm_proc_id *runner)
{
	dm_auto(claim) claim = find(p, "shop-main");
	const struct claim_run run = {.runner = *runner};
	struct dm_err err;
	bool ours;

	assert_ok(registry_set_run(p->reg, claim, &run, &ours, &err), &err);
	assert_true(ours);
	return find(p, "shop-main");
}

static void
claim_it(const struct place *p)
{
	struct name name = name_of("shop", "main");

	take_as(p, &name, 0, "shop-main");
}

/* Whoever clears up after a killed run has read the record before the next one has taken it. */
static void
a_new_run_keeps_its_name(void **state)
{
	const struct place *p = *state;
	dm_auto(claim) killed = NULL;
	dm_auto(claim) now = NULL;
	struct dm_proc_id self, dead = dead_runner();
	struct dm_err err;

	claim_it(p);
	assert_true(dm_proc_id(getpid(), &self));
	killed = served_by(p, &dead);
	now = served_by(p, &self);
	assert_true(claim_taken_anew(killed, now));
	assert_ok(registry_release(p->reg, killed, &err), &err);
	assert_holder(p, "shop-main", 0);
	assert_false(claim_taken_anew(now, now));
	assert_ok(registry_release(p->reg, now, &err), &err);
	assert_holder(p, "shop-main", -1);
}

/* Registered without a run since: the same. */
static void
registered_again_it_stays(void **state)
{
	const struct place *p = *state;
	const struct dm_proc_id nobody = {.pid = 0}, dead = dead_runner();
	dm_auto(claim) killed = NULL;
	dm_auto(claim) now = NULL;
	struct dm_err err;

	claim_it(p);
	killed = served_by(p, &dead);
	now = served_by(p, &nobody);
	assert_ok(registry_release(p->reg, killed, &err), &err);
	assert_holder(p, "shop-main", 0);
}

/* Nobody has come since: what was read is true. */
static void
what_a_killed_run_left_is_released(void **state)
{
	const struct place *p = *state;
	dm_auto(claim) killed = NULL;
	dm_auto(claim) before = NULL;
	const struct dm_proc_id dead = dead_runner();
	struct dm_err err;

	claim_it(p);
	before = find(p, "shop-main");
	killed = served_by(p, &dead);
	/* a dead one has not taken anything */
	assert_false(claim_taken_anew(before, killed));
	assert_ok(registry_release(p->reg, killed, &err), &err);
	assert_holder(p, "shop-main", -1);
}

struct known {
	const struct claim *claim;
	unsigned asked;
};

static bool
is_known(const char *id, const struct claim_stamp *stamp, void *user)
{
	struct known *known = user;

	known->asked++;
	return strcmp(id, known->claim->id.s) == 0 &&
	       claim_stamps_equal(stamp, &known->claim->stamp);
}

static void
known_records_are_left_out(void **state)
{
	const struct place *p = *state;
	struct name other = name_of("shop", "other");
	dm_auto(claim) claim = NULL;
	struct known known = {.asked = 0};
	struct registry_claims claims;
	struct dm_err err;
	bool ours;

	claim_it(p);
	take_as(p, &other, 1, "shop-other");
	known.claim = claim = find(p, "shop-main");
	assert_ok(registry_scan_unknown(p->reg, is_known, &known, &claims, &err), &err);
	assert_int_equal(known.asked, 2);
	assert_int_equal(claims.count, 1);
	assert_string_equal(claims.list[0]->id.s, "shop-other");
	registry_claims_free(&claims);
	/* the very same size, in another file */
	assert_ok(registry_set_pinned(p->reg, claim, true, &ours, &err), &err);
	assert_ok(registry_set_pinned(p->reg, claim, false, &ours, &err), &err);
	assert_ok(registry_scan_unknown(p->reg, is_known, &known, &claims, &err), &err);
	assert_int_equal(claims.count, 2);
	registry_claims_free(&claims);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(a_new_run_keeps_its_name),
	    IN_PLACE(registered_again_it_stays),
	    IN_PLACE(what_a_killed_run_left_is_released),
	    IN_PLACE(known_records_are_left_out),
	};

	return cmocka_run_group_tests_name("registry, anew", tests, NULL, NULL);
}
