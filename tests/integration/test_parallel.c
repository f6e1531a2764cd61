/* SPDX-License-Identifier: MIT */
/*
 * Many devmesh at once: of different worktrees, of one, and beside routes of others and somebody
 * else who writes to Caddy at the same time.
 */
#include "harness_net.h"

#include <unistd.h>

#define MANY	   50
#define PAIRS	   20
#define ROUNDS	   2
#define BYSTANDERS 30

static void
make_worktrees(struct world *w, const char *repo, char *dirs[], int n)
{
	int i;

	for (i = 0; i < n; i++)
		dirs[i] = worktree_add(w, repo, fmt(w, "task/%d", i));
}

/* Runs `up` in all directories at once; every one must succeed. Their ids. */
static void
up_all(struct world *w, char *const dirs[], char *ids[], int n)
{
	struct proc *p[MANY];
	struct result r;
	int i;

	for (i = 0; i < n; i++)
		p[i] = DM_BG(w, dirs[i], "up");
	for (i = 0; i < n; i++) {
		r = finish(w, p[i]);
		assert_exit(w, r, 0);
		ids[i] = id_of_url(w, line_of(w, r));
	}
}

static void
assert_distinct(char *const ids[], int n)
{
	int i, j;

	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
}

TEST(different_worktrees_with_the_mesh_route)
{
	char *repo = repo_new(w, "shop"), *dirs[MANY], *ids[MANY];
	int i;

	caddy_mesh(w, "");
	make_worktrees(w, repo, dirs, MANY);
	up_all(w, dirs, ids, MANY);
	assert_int_equal(count_claims(w), MANY);
	for (i = 0; i < MANY; i++) {
		assert_string_equal(ids[i], fmt(w, "shop-task-%d", i));
		assert_string_equal(json_str(claim_of(w, ids[i]), "worktree"), dirs[i]);
	}
	assert_int_equal(cJSON_GetArraySize(routes(w)), 1);
}

TEST(different_worktrees_with_explicit_routes)
{
	char *repo = repo_new(w, "shop"), *dirs[MANY], *ids[MANY];
	int i;

	caddy_plain(w, bystanders(w, BYSTANDERS));
	make_worktrees(w, repo, dirs, MANY);
	up_all(w, dirs, ids, MANY);
	assert_int_equal(count_claims(w), MANY);
	for (i = 0; i < MANY; i++) {
		assert_string_equal(ids[i], fmt(w, "shop-task-%d", i));
		route_of(w, ids[i]);
	}
	assert_bystanders(w, BYSTANDERS);
	assert_int_equal(cJSON_GetArraySize(routes(w)), MANY + BYSTANDERS);
}

static void
one_worktree(struct world *w)
{
	char *repo = repo_new(w, "shop"), *dirs[MANY], *ids[MANY];
	int i;

	for (i = 0; i < MANY; i++)
		dirs[i] = repo;
	up_all(w, dirs, ids, MANY);
	for (i = 0; i < MANY; i++)
		assert_string_equal(ids[i], "shop-main");
	assert_int_equal(count_claims(w), 1);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

TEST(one_worktree_with_the_mesh_route)
{
	caddy_mesh(w, "");
	one_worktree(w);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 1);
}

TEST(one_worktree_with_an_explicit_route)
{
	caddy_plain(w, bystanders(w, BYSTANDERS));
	one_worktree(w);
	route_of(w, "shop-main");
	assert_bystanders(w, BYSTANDERS);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 1 + BYSTANDERS);
}

TEST(names_that_collide_are_dealt_out_once)
{
	static const char *const branches[] = {
	    "x/y/z", "x-y-z", "x/y-z", "x-y/z", "X/y/z", "x_y_z", "x.y.z", "x--y-z"};
	enum {
		N = sizeof branches / sizeof branches[0]
	};
	char *repo = repo_new(w, "shop"), *dirs[N], *ids[N], *again[N];
	int i, plain = 0;

	caddy_plain(w, bystanders(w, 3));
	for (i = 0; i < N; i++)
		dirs[i] = worktree_add(w, repo, branches[i]);

	up_all(w, dirs, ids, N);
	assert_distinct(ids, N);
	assert_int_equal(count_claims(w), N);
	for (i = 0; i < N; i++) {
		plain += strcmp(ids[i], "shop-x-y-z") == 0;
		route_of(w, ids[i]);
	}
	assert_int_equal(plain, 1);
	up_all(w, dirs, again, N);
	for (i = 0; i < N; i++)
		assert_string_equal(again[i], ids[i]);
}

/* Posts foreign routes one by one, as any other tool on the machine may at any time. */
static void
post_forever(struct world *w)
{
	int i;

	for (i = 0;; i++) {
		if (admin(w, "POST", "/config/apps/http/servers/srv0/routes",
			fmt(w, "{\"@id\":\"tool-%d\",\"match\":[{\"host\":[\"tool-%d.example\"]}]}",
			    i, i))
			.status != 200)
			_exit(1);
		printf("%d\n", i);
		fflush(stdout);
		nap_us(50000);
	}
}

static int
posted(struct world *w, struct proc *tool)
{
	const char *s = read_text(w, tool->out);
	int n = 0;

	for (; s != NULL && *s != '\0'; s++)
		n += *s == '\n';
	return n;
}

static bool
has_posted_one(struct world *w, const void *tool)
{
	struct proc *p = w->procs;

	while (p != tool)
		p = p->next;
	return posted(w, p) > 0;
}

/* PAIRS worktrees go up and down at once, ROUNDS times, and up at last. */
static void
up_and_down(struct world *w, char *const dirs[])
{
	struct proc *p[PAIRS * 2];
	char *ids[PAIRS];
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		up_all(w, dirs, ids, PAIRS);
		for (i = 0; i < PAIRS; i++) {
			p[2 * i] = DM_BG(w, dirs[i], "down");
			p[2 * i + 1] = DM_BG(w, dirs[(i + 7) % PAIRS], "up");
		}
		for (i = 0; i < PAIRS; i++) {
			assert_exit(w, finish(w, p[2 * i]), 0);
			assert_exit(w, finish(w, p[2 * i + 1]), 0);
		}
		assert_bystanders(w, BYSTANDERS);
	}
	up_all(w, dirs, ids, PAIRS);
	for (i = 0; i < PAIRS; i++)
		route_of(w, ids[i]);
	assert_int_equal(count_claims(w), PAIRS);
}

static void
all_down(struct world *w, char *const dirs[])
{
	struct proc *p[PAIRS];
	int i;

	for (i = 0; i < PAIRS; i++)
		p[i] = DM_BG(w, dirs[i], "down");
	for (i = 0; i < PAIRS; i++)
		assert_exit(w, finish(w, p[i]), 0);
	assert_int_equal(count_claims(w), 0);
}

TEST(up_and_down_beside_routes_of_others)
{
	char *repo = repo_new(w, "shop"), *dirs[PAIRS];

	caddy_plain(w, bystanders(w, BYSTANDERS));
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "route");
	make_worktrees(w, repo, dirs, PAIRS);
	up_and_down(w, dirs);
	assert_int_equal(cJSON_GetArraySize(routes(w)), PAIRS + BYSTANDERS);
	all_down(w, dirs);
	assert_bystanders(w, BYSTANDERS);
	assert_int_equal(cJSON_GetArraySize(routes(w)), BYSTANDERS);
}

TEST(up_and_down_by_tcp_where_reloads_reset_connections)
{
	char *repo = repo_new(w, "shop"), *dirs[PAIRS];

	caddy_plain_tcp(w, bystanders(w, BYSTANDERS));
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "route");
	make_worktrees(w, repo, dirs, PAIRS);
	up_and_down(w, dirs);
	assert_int_equal(cJSON_GetArraySize(routes(w)), PAIRS + BYSTANDERS);
}

TEST(up_and_down_beside_another_writer)
{
	char *repo = repo_new(w, "shop"), *dirs[PAIRS];
	struct proc *tool;
	int i, n;

	caddy_plain(w, bystanders(w, BYSTANDERS));
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "route");
	make_worktrees(w, repo, dirs, PAIRS);
	tool = start_child(w);
	if (tool == NULL)
		post_forever(w);
	assert_true(wait_until(w, has_posted_one, tool, DEADLINE_MS));
	up_and_down(w, dirs);
	assert_false(tool->ended);
	end_proc(w, tool);
	n = posted(w, tool);
	for (i = 0; i < n; i++)
		route_of(w, fmt(w, "tool-%d", i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(different_worktrees_with_the_mesh_route),
	    WORLD_TEST(different_worktrees_with_explicit_routes),
	    WORLD_TEST(one_worktree_with_the_mesh_route),
	    WORLD_TEST(one_worktree_with_an_explicit_route),
	    WORLD_TEST(names_that_collide_are_dealt_out_once),
	    WORLD_TEST(up_and_down_beside_routes_of_others),
	    WORLD_TEST(up_and_down_by_tcp_where_reloads_reset_connections),
	    WORLD_TEST(up_and_down_beside_another_writer),
	};

	return RUN_TESTS(tests);
}
