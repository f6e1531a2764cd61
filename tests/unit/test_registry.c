/* SPDX-License-Identifier: MIT */
/* The registry: which worktree gets which name, keeps it, and gives it back. */
#include "place.h"

#include "few_fds.h"

static void
takes_and_releases(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	DM_AUTO_FREE char *socket = in_dir(p->path, "shop-main.sock");
	DM_AUTO_FREE char *record = in_dir(p->path, "shop-main.json");
	dm_auto(claim) claim = NULL;
	dm_auto(claim) again = NULL;
	struct dm_err err = {.code = DM_OK};
	struct stat st;
	bool held = true;

	assert_holder(p, "shop-main", -1);
	claim = take(p, &name, p->worktree[0], false, &held, &err);
	assert_ok(claim != NULL, &err);
	assert_false(held);
	assert_string_equal(claim->id.s, "shop-main");
	assert_string_equal(claim->socket, socket);
	assert_holder(p, "shop-main", 0);
	/* others may read it, and nothing else is left behind */
	assert_int_equal(stat(record, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(count_entries(p->path), 1);
	again = take(p, &name, p->worktree[0], false, &held, &err);
	assert_ok(again != NULL, &err);
	assert_true(held);
	assert_ok(registry_release(p->reg, claim, &err), &err);
	assert_ok(registry_release(p->reg, claim, &err), &err);
	assert_int_equal(count_entries(p->path), 0);
}

/* A record that says the same is not written again, and keeps the time of the claim. */
static void
unchanged_records_stay(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	DM_AUTO_FREE char *record = in_dir(p->path, "shop-main.json");
	struct stat before, after;
	dm_auto(claim) claim = wish(&name, p->worktree[0]);
	dm_auto(claim) found = NULL;
	struct dm_err err;
	bool held;

	take_as(p, &name, 0, "shop-main");
	assert_int_equal(stat(record, &before), 0);
	claim->created = 1800000000;
	assert_ok(registry_take(p->reg, &name, false, claim, complete, NULL, &held, &err), &err);
	assert_int_equal(stat(record, &after), 0);
	assert_true(before.st_ino == after.st_ino && before.st_mtime == after.st_mtime);
	/* another port: written, but the time stays */
	free(claim->socket);
	claim->socket = NULL;
	claim->port = 3000;
	claim->created = 1800000000;
	assert_ok(registry_take(p->reg, &name, false, claim, complete, NULL, &held, &err), &err);
	found = find(p, "shop-main");
	assert_int_equal(found->port, 3000);
	assert_null(found->socket);
	assert_true(found->created == 1700000000);
}

static void
second_worktree_gets_a_suffix_and_keeps_it(void **state)
{
	struct place *p = *state;
	struct name slash = name_of("shop", "feature/auth"), dash = name_of("shop", "feature-auth");
	struct slug other = name_alternative(&dash), id;
	dm_auto(claim) first = NULL;
	struct dm_err err;
	bool held;

	take_as(p, &slash, 0, "shop-feature-auth");
	take_as(p, &dash, 1, other.s);
	take_as(p, &dash, 1, other.s);
	take_as(p, &slash, 0, "shop-feature-auth");
	/* also when the first one has gone */
	first = find(p, "shop-feature-auth");
	assert_ok(registry_release(p->reg, first, &err), &err);
	take_as(p, &dash, 1, other.s);
	assert_ok(registry_resolve(p->reg, &dash, p->worktree[1], false, &id, &held, &err), &err);
	assert_true(held);
	assert_string_equal(id.s, other.s);
	/* and the free name is for whoever comes next */
	take_as(p, &slash, 2, "shop-feature-auth");
}

/* Two clones with the same app and branch, and more of them. */
static void
clones(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	char ids[10][SLUG_MAX + 1];

	take_as(p, &name, 0, "shop-main");
	take_as(p, &name, 1, name_alternative(&name).s);
	for (int i = 2; i < 10; i++)
		take_as(p, &name, i, name_last_resort(&name, p->worktree[i]).s);
	for (int i = 0; i < 10; i++) {
		struct dm_err err;
		struct slug id;
		bool held;

		assert_ok(
		    registry_resolve(p->reg, &name, p->worktree[i], false, &id, &held, &err), &err);
		assert_true(held);
		memcpy(ids[i], id.s, sizeof(ids[i]));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
}

static void
long_clones(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "feature/a-branch-with-a-name-that-is-much-too-long");

	assert_int_equal(strlen(name.id.s), SLUG_MAX);
	take_as(p, &name, 0, name.id.s);
	take_as(p, &name, 1, name_last_resort(&name, p->worktree[1]).s);
	take_as(p, &name, 2, name_last_resort(&name, p->worktree[2]).s);
}

static void
resolving_changes_nothing(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	struct slug id;
	struct dm_err err;
	bool held = true;

	assert_ok(registry_resolve(p->reg, &name, p->worktree[0], false, &id, &held, &err), &err);
	assert_string_equal(id.s, "shop-main");
	assert_false(held);
	assert_int_equal(count_entries(p->path), 0);
	take_as(p, &name, 0, "shop-main");
	assert_ok(registry_resolve(p->reg, &name, p->worktree[1], false, &id, &held, &err), &err);
	assert_string_equal(id.s, name_alternative(&name).s);
	assert_false(held);
}

static void
gone_worktree_frees_its_name(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main"), exact = exact_name("shop-demo");

	take_as(p, &name, 0, "shop-main");
	take_as(p, &exact, 0, "shop-demo");
	assert_int_equal(rmdir(p->worktree[0]), 0);
	take_as(p, &name, 1, "shop-main");
	take_as(p, &exact, 1, "shop-demo");
	assert_holder(p, "shop-main", 1);
	assert_int_equal(mkdir(p->worktree[0], 0700), 0);
	take_as(p, &name, 0, name_alternative(&name).s);
}

static void
exact_names_conflict(void **state)
{
	struct place *p = *state;
	struct name exact = exact_name("shop-demo");
	dm_auto(claim) claim = NULL;
	struct slug id;
	struct dm_err err;
	bool held;

	take_as(p, &exact, 0, "shop-demo");
	take_as(p, &exact, 0, "shop-demo");
	claim = take(p, &exact, p->worktree[1], false, &held, &err);
	assert_null(claim);
	assert_int_equal(err.code, DM_CONFLICT);
	assert_holds(err.msg, p->worktree[0]);
	assert_holds(err.msg, "shop-demo");
	assert_holds(err.hint, "--force");
	assert_fails(registry_resolve(p->reg, &exact, p->worktree[1], false, &id, &held, &err),
	    &err, DM_CONFLICT, p->worktree[0]);
	assert_holder(p, "shop-demo", 0);
	/* by force, and then it is the other one's turn to hear of it */
	claim = take(p, &exact, p->worktree[1], true, &held, &err);
	assert_ok(claim != NULL, &err);
	assert_false(held);
	assert_holder(p, "shop-demo", 1);
	assert_fails(registry_resolve(p->reg, &exact, p->worktree[0], false, &id, &held, &err),
	    &err, DM_CONFLICT, p->worktree[1]);
}

static void
force_takes_the_names_own_id(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	dm_auto(claim) claim = NULL;
	dm_auto(claim) old = NULL;
	struct dm_err err;
	bool held;

	take_as(p, &name, 0, "shop-main");
	old = find(p, "shop-main");
	claim = take(p, &name, p->worktree[1], true, &held, &err);
	assert_ok(claim != NULL, &err);
	assert_string_equal(claim->id.s, "shop-main");
	assert_holder(p, "shop-main", 1);
	/* whoever has lost it cannot release it any more */
	assert_ok(registry_release(p->reg, old, &err), &err);
	assert_holder(p, "shop-main", 1);
}

static void
refusal_writes_nothing(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	dm_auto(claim) claim = wish(&name, p->worktree[0]);
	char refusal[] = "Caddy is down";
	struct dm_err err;
	bool held;

	assert_fails(registry_take(p->reg, &name, false, claim, complete, refusal, &held, &err),
	    &err, DM_UNREACHABLE, refusal);
	assert_int_equal(count_entries(p->path), 0);
}

/* The bare app name: a record and a link beside the socket. */
static void
aliases(void **state)
{
	struct place *p = *state;
	struct name main_name = name_of("shop", "main"), trunk = name_of("shop", "trunk");
	DM_AUTO_FREE char *link = in_dir(p->path, "shop.sock");
	dm_auto(claim) alias = NULL;
	dm_auto(claim) one = NULL;
	dm_auto(claim) two = NULL;
	char target[100];
	struct dm_err err;
	bool held, taken = false;
	ssize_t n;

	one = take(p, &main_name, p->worktree[0], false, &held, &err);
	two = take(p, &trunk, p->worktree[1], false, &held, &err);
	for (int i = 0; i < 2; i++) {
		assert_ok(
		    registry_take_alias(p->reg, one, "shop.dev", "https://shop.dev", &taken, &err),
		    &err);
		assert_true(taken);
	}
	alias = find(p, "shop");
	assert_non_null(alias);
	assert_true(alias->is_alias);
	assert_string_equal(alias->alias_of.s, "shop-main");
	assert_string_equal(alias->host, "shop.dev");
	assert_string_equal(alias->url, "https://shop.dev");
	n = readlink(link, target, sizeof(target) - 1);
	assert_true(n > 0);
	target[n] = '\0';
	assert_string_equal(target, "shop-main.sock");
	/* somebody else has it */
	assert_ok(
	    registry_take_alias(p->reg, two, "shop.dev", "https://shop.dev", &taken, &err), &err);
	assert_false(taken);
	/* it goes with its claim */
	assert_ok(registry_release(p->reg, two, &err), &err);
	assert_int_equal(lstat(link, &(struct stat){0}), 0);
	assert_ok(registry_release(p->reg, one, &err), &err);
	assert_int_equal(count_entries(p->path), 0);
}

/* A claim comes before an alias; a socket that somebody made there is left alone. */
static void
aliases_give_way(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main"), bare = exact_name("shop");
	DM_AUTO_FREE char *link = in_dir(p->path, "shop.sock");
	dm_auto(claim) one = NULL;
	dm_auto(claim) found = NULL;
	struct dm_err err;
	bool held, taken = true;
	struct stat st;

	one = take(p, &name, p->worktree[0], false, &held, &err);
	assert_ok(registry_take_alias(p->reg, one, "h", "u", &taken, &err), &err);
	assert_true(taken);
	take_as(p, &bare, 1, "shop");
	assert_int_not_equal(lstat(link, &st), 0);
	found = find(p, "shop");
	assert_false(found->is_alias);
	assert_ok(registry_take_alias(p->reg, one, "h", "u", &taken, &err), &err);
	assert_false(taken);
	assert_ok(registry_release(p->reg, one, &err), &err);
	assert_holder(p, "shop", 1);
	assert_ok(registry_release(p->reg, found, &err), &err);
	put_file(link, "not a link");
	assert_ok(registry_take_alias(p->reg, one, "h", "u", &taken, &err), &err);
	assert_false(taken);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

/* Whether the bare app name may be had, without taking it. */
static void
alias_is_free(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main"), trunk = name_of("shop", "trunk");
	struct name bare = exact_name("shop");
	DM_AUTO_FREE char *record = in_dir(p->path, "shop.json");
	dm_auto(claim) one = NULL;
	dm_auto(claim) two = NULL;
	dm_auto(claim) direct = NULL;
	struct dm_err err;
	bool held, taken;

	one = take(p, &name, p->worktree[0], false, &held, &err);
	two = take(p, &trunk, p->worktree[1], false, &held, &err);
	assert_true(registry_alias_is_free(p->reg, one));
	assert_true(registry_alias_is_free(p->reg, two));
	assert_int_not_equal(access(record, F_OK), 0);
	/* taken: free for the claim that has it, and for nobody else */
	assert_ok(registry_take_alias(p->reg, one, "h", "u", &taken, &err), &err);
	assert_true(registry_alias_is_free(p->reg, one));
	assert_false(registry_alias_is_free(p->reg, two));
	/* until its worktree is gone */
	assert_int_equal(rmdir(p->worktree[0]), 0);
	assert_true(registry_alias_is_free(p->reg, two));
	assert_int_equal(mkdir(p->worktree[0], 0700), 0);
	assert_ok(registry_release(p->reg, one, &err), &err);
	assert_true(registry_alias_is_free(p->reg, two));
	/* a claim of that very name comes first, the claim's own worktree included */
	direct = take(p, &bare, p->worktree[1], false, &held, &err);
	assert_non_null(direct);
	assert_false(registry_alias_is_free(p->reg, one));
	assert_false(registry_alias_is_free(p->reg, two));
	assert_ok(registry_release(p->reg, direct, &err), &err);
	/* a damaged record of ours is none */
	put_file(record, "{");
	assert_true(registry_alias_is_free(p->reg, one));
}

/* Another user's record, readable or not, keeps the name. */
static void
alias_of_another_user(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	DM_AUTO_FREE char *record = in_dir(p->path, "shop.json");
	dm_auto(claim) one = NULL;
	struct dm_err err;
	bool held, taken = true;

	if (geteuid() != 0)
		skip();
	one = take(p, &name, p->worktree[0], false, &held, &err);
	put_file(record,
	    "{\"id\":\"shop\",\"app\":\"shop\",\"worktree\":\"/nonexistent\",\"port\":1,"
	    "\"registration\":\"mesh\"}");
	assert_int_equal(lchown(record, 65534, 65534), 0);
	assert_false(registry_alias_is_free(p->reg, one));
	assert_ok(registry_take_alias(p->reg, one, "h", "u", &taken, &err), &err);
	assert_false(taken);
	put_file(record, "{");
	assert_int_equal(lchown(record, 65534, 65534), 0);
	assert_false(registry_alias_is_free(p->reg, one));
}

/* A pin stays over whatever else is written down, and goes with the claim. */
static void
pins(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	dm_auto(claim) claim = wish(&name, p->worktree[0]);
	dm_auto(claim) pinned = NULL;
	dm_auto(claim) bare = NULL;
	dm_auto(claim) again = NULL;
	dm_auto(claim) other = NULL;
	struct claim_run run = {.runner = {.pid = getpid(), .start = 1}};
	struct dm_err err = {.code = DM_OK};
	bool held, ours = false, taken;

	assert_ok(registry_take(p->reg, &name, false, claim, complete, NULL, &held, &err), &err);
	assert_ok(registry_set_pinned(p->reg, claim, true, &ours, &err), &err);
	assert_true(ours);
	pinned = find(p, "shop-main");
	assert_true(pinned->pinned);
	assert_true(pinned->created == 1700000000);
	/* registered again, served by a run, led to by an alias */
	take_as(p, &name, 0, "shop-main");
	assert_ok(registry_set_run(p->reg, claim, &run, &ours, &err), &err);
	assert_ok(registry_take_alias(p->reg, pinned, "h", "u", &taken, &err), &err);
	assert_true(taken);
	again = find(p, "shop-main");
	assert_true(again->pinned);
	assert_int_equal(again->run.runner.pid, getpid());
	bare = find(p, "shop");
	assert_false(bare->pinned);
	/* an alias is not pinned, nor what another worktree has */
	assert_ok(registry_set_pinned(p->reg, bare, true, &ours, &err), &err);
	assert_false(ours);
	free(pinned->worktree);
	pinned->worktree = dm_strdup(p->worktree[1]);
	assert_ok(registry_set_pinned(p->reg, pinned, false, &ours, &err), &err);
	assert_false(ours);
	claim_free(again);
	again = find(p, "shop-main");
	assert_true(again->pinned);
	/* the next one has it anew */
	assert_ok(registry_release(p->reg, again, &err), &err);
	assert_ok(registry_set_pinned(p->reg, again, true, &ours, &err), &err);
	assert_false(ours);
	assert_holder(p, "shop-main", -1);
	take_as(p, &name, 0, "shop-main");
	other = find(p, "shop-main");
	assert_false(other->pinned);
	assert_ok(registry_set_pinned(p->reg, other, true, &ours, &err), &err);
	assert_ok(registry_set_pinned(p->reg, other, false, &ours, &err), &err);
	claim_free(other);
	other = find(p, "shop-main");
	assert_false(other->pinned);
}

static void
without_descriptors_no_record_is_damaged(void **state)
{
	struct place *p = *state;
	struct name name = name_of("shop", "main");
	struct registry_claims claims;
	struct claim *claim;
	struct dm_err err;
	rlim_t before;

	take_as(p, &name, 0, "shop-main");
	before = limit_fds(0);
	assert_false(registry_find(p->reg, "shop-main", &claim, &err));
	assert_null(claim);
	assert_int_equal(err.sys, EMFILE);
	assert_false(registry_scan(p->reg, &claims, &err));
	assert_int_equal(claims.count, 0);
	unlimit_fds(before);
	/* enough to list the directory, not to read what is in it */
	before = limit_fds(1);
	assert_false(registry_scan(p->reg, &claims, &err));
	assert_int_equal(claims.count, 0);
	assert_int_equal(err.sys, EMFILE);
	unlimit_fds(before);
	assert_ok(registry_scan(p->reg, &claims, &err), &err);
	assert_int_equal(claims.count, 1);
	registry_claims_free(&claims);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(takes_and_releases),
	    IN_PLACE(unchanged_records_stay),
	    IN_PLACE(second_worktree_gets_a_suffix_and_keeps_it),
	    IN_PLACE(clones),
	    IN_PLACE(long_clones),
	    IN_PLACE(resolving_changes_nothing),
	    IN_PLACE(gone_worktree_frees_its_name),
	    IN_PLACE(exact_names_conflict),
	    IN_PLACE(force_takes_the_names_own_id),
	    IN_PLACE(refusal_writes_nothing),
	    IN_PLACE(aliases),
	    IN_PLACE(aliases_give_way),
	    IN_PLACE(alias_is_free),
	    IN_PLACE(alias_of_another_user),
	    IN_PLACE(pins),
	    IN_PLACE(without_descriptors_no_record_is_damaged),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
