/* SPDX-License-Identifier: MIT */
/* Servers whose worktree was removed or moved, and what can be done about those that are found. */
#include "looks.h"

/* ---- worktrees that go --------------------------------------------------------------------- */

static void
a_worktree_is_removed(void **state)
{
	struct place *p = *state;
	struct server s = START(p, p->tree, "tcp");
	const struct found *f;
	DM_AUTO_FREE char *common = in_dir(p->repo, ".git");

	look(p);
	assert_false(row_of(p, s.pid)->orphan);
	GIT(p->repo, "worktree", "remove", "--force", p->tree);
	look(p);
	f = row_of(p, s.pid);
	assert_true(f->orphan);
	/* as it was */
	assert_string_equal(f->cwd, p->tree);
	assert_string_equal(f->worktree, p->tree);
	assert_string_equal(f->repo, common);
	/* somebody who comes later cannot know */
	look_for_the_first_time(p);
	f = row_of(p, s.pid);
	assert_true(f->orphan);
	assert_string_equal(f->cwd, p->tree);
	assert_null(f->worktree);
	/* but a claim may tell */
	(void)claim(p, "shop-x", p->tree);
	look_for_the_first_time(p);
	assert_string_equal(row_of(p, s.pid)->worktree, p->tree);
}

static void
git_may_remember_a_removed_worktree(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *sub = sub_dir(p->tree, "sub");
	struct server s = START(p, sub, "tcp"), other = START(p, p->repo, "tcp");

	remove_below(p->tree);
	look(p);
	(void)row_of(p, other.pid);
	assert_true(row_of(p, s.pid)->orphan);
	assert_string_equal(row_of(p, s.pid)->worktree, p->tree);
	assert_string_equal(row_of(p, s.pid)->repo, row_of(p, other.pid)->repo);
}

static void
a_directory_in_a_worktree_is_removed(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *sub = sub_dir(p->tree, "dist");
	struct server s = START(p, sub, "tcp");

	remove_below(sub);
	look(p);
	assert_true(row_of(p, s.pid)->orphan);
	assert_string_equal(row_of(p, s.pid)->worktree, p->tree);
	/* a new one of the same name is another one */
	assert_int_equal(mkdir(sub, 0700), 0);
	look(p);
	assert_true(row_of(p, s.pid)->orphan);
}

/* No directory is taken for removed because it is called so. */
static void
a_directory_called_deleted(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *odd = sub_dir(p->tree, "x (deleted)");
	struct server s = START(p, odd, "tcp");

	look(p);
	assert_false(row_of(p, s.pid)->orphan);
	assert_string_equal(row_of(p, s.pid)->cwd, odd);
}

static void
a_worktree_is_moved(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *to = in_dir(p->dir, "elsewhere");
	struct server s = START(p, p->tree, "tcp");

	look(p);
	assert_string_equal(row_of(p, s.pid)->worktree, p->tree);
	GIT(p->repo, "worktree", "move", p->tree, to);
	discovery_doubt(p->discovery);
	look(p);
	assert_string_equal(row_of(p, s.pid)->worktree, to);
	assert_string_equal(row_of(p, s.pid)->cwd, to);
	assert_false(row_of(p, s.pid)->orphan);
}

static void
a_directory_becomes_a_repository(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *plain = sub_dir(p->dir, "plain");
	struct server s = START(p, plain, "tcp");

	look(p);
	assert_not_found(p, s.pid);
	GIT(plain, "init", "-q");
	discovery_doubt(p->discovery);
	look(p);
	assert_string_equal(row_of(p, s.pid)->worktree, plain);
}

/* ---- what can be done ---------------------------------------------------------------------- */

static void
assert_publish(const struct place *p, const struct found *f, const char *want)
{
	DM_AUTO_FREE char *got = found_publish(f, &p->claims);

	assert_string_equal(got, want);
}

static void
how_to_publish(void **state)
{
	struct place *p = *state;
	char command[] = "x", top[] = "/w/shop", api[] = "/w/shop/packages/api";
	char odd[] = "/w/it's", path[] = "/w/shop/tmp/web.sock", gone[] = "shop";
	struct found f = {.command = command, .port = 3000, .cwd = top, .worktree = top};
	struct dm_err err;

	assert_publish(p, &f, "devmesh up -C /w/shop --port 3000");
	(void)claim(p, "shop-main", top);
	assert_ok(slug_parse("shop", &p->list[0]->app, &err), &err);
	assert_publish(p, &f, "devmesh up -C /w/shop --port 3000 --app shop-3000");
	f.cwd = api;
	assert_publish(p, &f, "devmesh up -C /w/shop --port 3000 --app api");
	(void)claim(p, "api", top);
	assert_publish(p, &f, "devmesh up -C /w/shop --port 3000 --app shop-3000");
	f.socket = path;
	f.port = 0;
	assert_publish(p, &f, "devmesh up -C /w/shop --socket /w/shop/tmp/web.sock --app shop-web");
	f = (struct found){.command = command, .port = 80, .cwd = odd, .worktree = odd};
	assert_publish(p, &f, "devmesh up -C '/w/it'\\''s' --port 80");
	/* there is nothing to register */
	f.claim = gone;
	assert_null(found_publish(&f, &p->claims));
	f.claim = NULL;
	f.orphan = true;
	assert_null(found_publish(&f, &p->claims));
	f.orphan = false;
	f.worktree = NULL;
	assert_null(found_publish(&f, &p->claims));
}

static void
how_to_end_an_orphan(void **state)
{
	struct place *p = *state;
	struct server runner = START(p, p->tree, "idle"), s;
	struct claim *c = claim(p, "shop", p->tree);
	DM_AUTO_FREE char *mark = NULL, *plain = NULL, *by_gc = NULL, *kill_it = NULL;

	assert_true(dm_proc_id(runner.pid, &c->run.runner));
	mark = runner_mark(&c->run.runner);
	s = START_MARKED(p, p->tree, mark, "tcp");
	look(p);
	assert_null(found_end(row_of(p, s.pid), &p->claims));
	end(p, runner.pid);
	look(p);
	by_gc = found_end(row_of(p, s.pid), &p->claims);
	assert_string_equal(by_gc, "devmesh gc");
	/* without its record gc knows nothing of it */
	memset(&c->run, 0, sizeof(c->run));
	plain = found_end(row_of(p, s.pid), &p->claims);
	kill_it = dm_asprintf("kill %ld", (long)s.pid);
	assert_string_equal(plain, kill_it);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(a_worktree_is_removed),
	    IN_PLACE(git_may_remember_a_removed_worktree),
	    IN_PLACE(a_directory_in_a_worktree_is_removed),
	    IN_PLACE(a_directory_called_deleted),
	    IN_PLACE(a_worktree_is_moved),
	    IN_PLACE(a_directory_becomes_a_repository),
	    IN_PLACE(how_to_publish),
	    IN_PLACE(how_to_end_an_orphan),
	};

	return SERVE_OR_TEST(argc, argv, tests);
}
