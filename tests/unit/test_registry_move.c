/* SPDX-License-Identifier: MIT */
/* Claims that follow their worktree to another path. */
#include "place.h"

#include "claim/registry.h"

/* The worktree gets another name; the caller owns it. */
static char *
moved(const struct place *p, int worktree)
{
	char *to = dm_asprintf("%s-moved", p->worktree[worktree]);

	assert_int_equal(rename(p->worktree[worktree], to), 0);
	return to;
}

static bool
move(const struct place *p, const struct claim *claim, const char *to)
{
	struct dm_err err = {.code = DM_OK};
	bool ours;

	assert_ok(registry_move(p->reg, claim, to, &ours, &err), &err);
	return ours;
}

static struct claim *
taken(const struct place *p, const char *app, const char *branch, int worktree)
{
	struct name name = name_of(app, branch);
	struct dm_err err = {.code = DM_OK};
	bool held;
	struct claim *claim = take(p, &name, p->worktree[worktree], false, &held, &err);

	assert_ok(claim != NULL, &err);
	return claim;
}

static void
the_claim_follows(void **state)
{
	const struct place *p = *state;
	dm_auto(claim) claim = taken(p, "shop", "x", 0);
	DM_AUTO_FREE char *to = moved(p, 0);
	dm_auto(claim) now = NULL;

	assert_true(move(p, claim, to));
	now = find(p, "shop-x");
	assert_string_equal(now->worktree, to);
	/* all else is as it was */
	assert_string_equal(now->socket, claim->socket);
	assert_string_equal(now->url, claim->url);
	assert_true(now->created == claim->created);
	assert_holder(p, "shop-x-moved", -1);
	/* again, by somebody who has read it before or after that */
	assert_true(move(p, claim, to));
	assert_true(move(p, now, to));
}

static void
its_alias_follows(void **state)
{
	const struct place *p = *state;
	dm_auto(claim) claim = taken(p, "shop", "x", 0);
	DM_AUTO_FREE char *to = NULL;
	dm_auto(claim) alias = NULL;
	struct dm_err err;
	bool alias_taken;

	assert_ok(registry_take_alias(p->reg, claim, "shop.dev.localhost",
		      "https://shop.dev.localhost", &alias_taken, &err),
	    &err);
	assert_true(alias_taken);
	to = moved(p, 0);
	assert_true(move(p, claim, to));
	alias = find(p, "shop");
	assert_true(alias->is_alias);
	assert_string_equal(alias->worktree, to);
	assert_string_equal(alias->alias_of.s, "shop-x");
	/* so that it is released with its claim */
	free(claim->worktree);
	claim->worktree = dm_strdup(to);
	assert_ok(registry_release(p->reg, claim, &err), &err);
	assert_holder(p, "shop", -1);
	assert_holder(p, "shop-x", -1);
}

static void
an_app_of_that_name_that_is_no_alias_stays(void **state)
{
	const struct place *p = *state;
	struct name bare = exact_name("shop");
	struct dm_err err = {.code = DM_OK};
	bool held;
	dm_auto(claim) other = take(p, &bare, p->worktree[1], false, &held, &err);
	dm_auto(claim) claim = taken(p, "shop", "x", 0);
	DM_AUTO_FREE char *to = moved(p, 0);

	assert_non_null(other);
	assert_true(move(p, claim, to));
	assert_holder(p, "shop", 1);
}

static void
a_socket_inside_follows(void **state)
{
	const struct place *p = *state;
	struct name name = name_of("shop", "x");
	DM_AUTO_FREE char *inside = in_dir(p->worktree[0], "tmp/x.sock");
	DM_AUTO_FREE char *beside = dm_asprintf("%s0/x.sock", p->worktree[0]);
	const char *const sockets[] = {"/tmp/x.sock", inside, beside};
	DM_AUTO_FREE char *to = dm_asprintf("%s-moved", p->worktree[0]);

	for (size_t i = 0; i < COUNT(sockets); i++) {
		dm_auto(claim) claim = wish(&name, p->worktree[0]);
		dm_auto(claim) now = NULL;
		DM_AUTO_FREE char *want = i == 1 ? in_dir(to, "tmp/x.sock") : dm_strdup(sockets[i]);
		struct dm_err err = {.code = DM_OK};
		bool held;

		claim->socket = dm_strdup(sockets[i]);
		assert_ok(
		    registry_take(p->reg, &name, false, claim, complete, NULL, &held, &err), &err);
		assert_int_equal(rename(p->worktree[0], to), 0);
		assert_true(move(p, claim, to));
		now = find(p, "shop-x");
		assert_string_equal(now->socket, want);
		assert_ok(registry_release(p->reg, now, &err), &err);
		assert_int_equal(rename(to, p->worktree[0]), 0);
	}
}

static void
not_while_the_old_path_is_there(void **state)
{
	const struct place *p = *state;
	dm_auto(claim) claim = taken(p, "shop", "x", 0);

	assert_false(move(p, claim, p->worktree[1]));
	assert_holder(p, "shop-x", 0);
}

static void
not_if_it_is_another_ones_by_now(void **state)
{
	const struct place *p = *state;
	dm_auto(claim) claim = taken(p, "shop", "x", 0);
	DM_AUTO_FREE char *to = moved(p, 0);
	dm_auto(claim) heir = taken(p, "shop", "x", 1);
	struct dm_err err;

	/* a worktree that is gone holds no name */
	assert_string_equal(heir->id.s, "shop-x");
	assert_false(move(p, claim, to));
	assert_holder(p, "shop-x", 1);
	assert_ok(registry_release(p->reg, heir, &err), &err);
	assert_false(move(p, claim, to));
	assert_holder(p, "shop-x", -1);
}

static void
another_users_claim_stays(void **state)
{
	const struct place *p = *state;
	dm_auto(claim) claim = taken(p, "shop", "x", 0);
	DM_AUTO_FREE char *to = moved(p, 0), *file = in_dir(p->path, "shop-x.json");
	dm_auto(claim) now = NULL;

	if (geteuid() != 0)
		skip();
	assert_int_equal(lchown(file, 65534, 65534), 0);
	assert_false(move(p, claim, to));
	now = find(p, "shop-x");
	assert_string_equal(now->worktree, p->worktree[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(the_claim_follows),
	    IN_PLACE(its_alias_follows),
	    IN_PLACE(an_app_of_that_name_that_is_no_alias_stays),
	    IN_PLACE(a_socket_inside_follows),
	    IN_PLACE(not_while_the_old_path_is_there),
	    IN_PLACE(not_if_it_is_another_ones_by_now),
	    IN_PLACE(another_users_claim_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
