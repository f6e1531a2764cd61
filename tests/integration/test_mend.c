/* SPDX-License-Identifier: MIT */
/*
 * Putting Caddy right: what it has lost comes back, what is dead or there twice goes, all of it in
 * one change of its configuration, and with nothing of others touched.
 */
#include "harness_mend.h"
#include "harness_run.h"

#include <signal.h>
#include <unistd.h>

#define MANY 30

/* ---- what Caddy has lost ------------------------------------------------------------------- */

TEST(lost_routes_come_back_in_one_change)
{
	char *repo = repo_new(w, "shop"), *before[MANY], *after;
	struct result r;
	int i, n;

	caddy_plain(w, strangers(w, 5));
	claim_many(w, repo, MANY);
	/* the bare name as well, which is an alias of another one */
	assert_string_equal(up_ok(w, repo), "shop-main");
	for (i = 0; i < MANY; i++)
		before[i] = text_of_route(w, fmt(w, "s-%d", i));
	after = text_of_route(w, "shop-main");
	assert_int_equal(count_of(after, "\"shop.dev.test\""), 1);
	serve_id(w, "s-1");
	crash(w);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 6);
	assert_string_equal(state_of(w, "s-1"), "degraded");
	n = loads(w);
	r = DM(w, w->dir, "up", "--all");
	assert_exit(w, r, 0);
	assert_int_equal(loads_since(w, &n), 1);
	assert_int_equal(count_of(r.out, " restored: "), MANY + 1);
	for (i = 0; i < MANY; i++)
		assert_string_equal(text_of_route(w, fmt(w, "s-%d", i)), before[i]);
	assert_string_equal(text_of_route(w, "shop-main"), after);
	assert_strangers(w, 5);
	assert_answers(w, "s-1.dev.test", "s-1");
	assert_string_equal(state_of(w, "s-1"), "up");
	/* it is what up makes of each, and doing it again does nothing */
	after = routes_text(w);
	claim_many(w, repo, MANY);
	r = DM(w, w->dir, "up", "--all");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "");
	assert_int_equal(loads_since(w, &n), 0);
	assert_string_equal(routes_text(w), after);
}

/* In front of what would catch it, on a server that has no list of routes, and by TCP. */
TEST(lost_routes_come_back_where_they_belong)
{
	char *repo = repo_new(w, "shop"), *config;
	int n;

	caddy_plain_tcp(w, "[{\"handle\":[{\"handler\":\"static_response\",\"body\":\"all\"}]}]");
	claim_many(w, repo, 5);
	serve_id(w, "s-1");
	crash(w);
	assert_answers(w, "s-1.dev.test", "all");
	n = loads(w);
	restore(w);
	assert_int_equal(loads_since(w, &n), 1);
	assert_answers(w, "s-1.dev.test", "s-1");
	assert_answers(w, "x.dev.test", "all");
	config = read_text(w, w->caddy_config);
	end_proc(w, w->caddy);
	*strstr(config, ",\"routes\":") = '\0';
	caddy_start(w, fmt(w, "%s}}}}}", config));
	n = loads(w);
	restore(w);
	assert_int_equal(loads_since(w, &n), 1);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 5);
	assert_answers(w, "s-1.dev.test", "s-1");
}

TEST(dry_run_and_json_tell)
{
	char *repo = repo_new(w, "shop"), *before;
	struct result r;
	cJSON *o;

	caddy_plain(w, strangers(w, 1));
	up_ok(w, repo);
	crash(w);
	before = routes_text(w);
	r = DM(w, w->dir, "up", "--all", "--dry-run");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "route shop-main would be restored: Caddy has lost it\n");
	assert_string_equal(routes_text(w), before);
	r = DM(w, w->dir, "up", "--all", "--json");
	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "dry_run")));
	o = cJSON_GetObjectItem(o, "changes");
	assert_int_equal(cJSON_GetArraySize(o), 1);
	assert_string_equal(json_str(o->child, "what"), "restored");
	assert_string_equal(json_str(o->child, "kind"), "route");
	assert_string_equal(json_str(o->child, "name"), "shop-main");
	assert_string_not_equal(json_str(o->child, "reason"), "");
	route_of(w, "shop-main");
}

TEST(all_is_for_itself)
{
	static const char *const others[] = {
	    "-C.", "--app=x", "--id=x", "--socket=/x", "--port=1", "--wait", "--force"};
	size_t i;

	caddy_plain(w, "[]");
	for (i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_error(w, DM(w, w->dir, "up", "--all", others[i]), 2, "--all");
	restore(w);
	end_proc(w, w->caddy);
	assert_error(w, DM(w, w->dir, "up", "--all"), 5, "Caddy");
}

/* ---- what is not to come back -------------------------------------------------------------- */

TEST(gone_worktrees_and_killed_runs_stay_away)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone");
	char *run_dir = worktree_add(w, repo, "run");
	struct proc *p;

	caddy_plain(w, strangers(w, 2));
	up_ok(w, repo);
	up_ok(w, wt);
	RUN_URL(w, run_dir, &p, NULL);
	route_of(w, "shop-run");
	signal_proc(p, SIGKILL);
	finish(w, p);
	remove_tree(wt);
	crash(w);
	restore(w);
	route_of(w, "shop-main");
	assert_int_equal(count_routes(w, "shop-gone"), 0);
	assert_int_equal(count_routes(w, "shop-run"), 0);
	/* they are for gc */
	assert_non_null(claim_of(w, "shop-gone"));
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_null(claim_of(w, "shop-gone"));
	assert_null(claim_of(w, "shop-run"));
	wait_servers(w, 0);
	assert_strangers(w, 2);
}

/* Where a server was started by other means since, the claim of the killed run is that one's. */
TEST(killed_run_that_was_followed_comes_back)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	const char *url;
	long server;

	caddy_plain(w, "[]");
	url = RUN_URL(w, repo, &p, NULL);
	server = pid_of_server(w, url);
	signal_proc(p, SIGKILL);
	finish(w, p);
	/* what the run has left is for whoever cleans up, unless it ends by itself */
	assert_int_equal(kill((pid_t)server, SIGKILL), 0);
	wait_servers(w, 0);
	unlink(socket_of(w, "shop-main"));
	serve_id(w, "shop-main");
	crash(w);
	restore(w);
	route_of(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

/* Whether a claim is pinned is in its record. */
static void
pin(struct world *w, const char *id)
{
	cJSON *o = claim_of(w, id);

	assert_non_null(cJSON_AddTrueToObject(o, "pinned"));
	write_text(
	    fmt(w, "%s/%s.json", w->sockets, id), world_keep(w, cJSON_PrintUnformatted(o), free));
}

TEST(pinned_claim_stays_until_it_is_taken_down)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone");
	struct result r;

	caddy_plain(w, strangers(w, 1));
	up_ok(w, wt);
	pin(w, "shop-gone");
	r = DM(w, wt, "up", "--json");
	assert_exit(w, r, 0);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json_of(w, r.out), "pinned")));
	remove_tree(wt);
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_exit(w, DM(w, w->dir, "gc", "--worktree", wt), 0);
	r = DM(w, w->dir, "status", "--json");
	assert_int_equal(count_of(r.out, "\"pinned\":true"), 1);
	crash(w);
	restore(w);
	route_of(w, "shop-gone");
	assert_exit(w, DM(w, w->dir, "down", "shop-gone"), 0);
	assert_null(claim_of(w, "shop-gone"));
	assert_int_equal(count_routes(w, "shop-gone"), 0);
}

/* ---- what is there twice, or otherwise ----------------------------------------------------- */

TEST(duplicates_go)
{
	char *repo = repo_new(w, "shop"), *route;
	int n;

	caddy_plain(w, strangers(w, 3));
	claim_many(w, repo, 3);
	route = text_of_route(w, "s-1");
	if (admin(w, "POST", ROUTES, route).status != 200)
		world_skip(w, "this Caddy refuses a second object with an @id (2.11.2)");
	post(w, text_of_route(w, "s-0"));
	post(w, route);
	assert_int_equal(count_routes(w, "s-1"), 3);
	n = loads(w);
	restore(w);
	assert_int_equal(loads_since(w, &n), 1);
	assert_string_equal(text_of_route(w, "s-1"), route);
	route_of(w, "s-0");
	assert_strangers(w, 3);
	restore(w);
	assert_int_equal(loads_since(w, &n), 0);
}

/* A copy on another server of Caddy's goes; what merely has the @id there stays. */
TEST(copies_on_another_server_go)
{
	char *repo = repo_new(w, "shop"), *others;
	int n;

	caddy_plain(w, "[]");
	world_env(w, "DEVMESH_CADDY_SERVER", "srv0");
	claim_many(w, repo, 2);
	if (admin(w, "PUT", "/config/apps/http/servers/other",
		fmt(w,
		    "{\"listen\":[\"127.0.0.1:%d\"],\"automatic_https\":{\"disable\":true},"
		    "\"routes\":[%s,{\"@id\":\"s-1\",\"handle\":[]},%s]}",
		    free_port(w), DELICATE, text_of_route(w, "s-0")))
		.status != 200)
		world_skip(w, "this Caddy refuses a second object with an @id (2.11.2)");
	others = fmt(w, "[%s,{\"@id\":\"s-1\",\"handle\":[]}]\n", DELICATE);
	n = loads(w);
	restore(w);
	assert_int_equal(loads_since(w, &n), 1);
	assert_string_equal(
	    admin(w, "GET", "/config/apps/http/servers/other/routes", NULL).body, others);
	route_of(w, "s-0");
	route_of(w, "s-1");
}

/* A registration made by hand is replaced, as up does; an object that is no route never is. */
TEST(hand_made_routes_are_replaced_as_by_up)
{
	char *repo = repo_new(w, "shop"), *route, *before;
	struct result r;

	caddy_plain(w, strangers(w, 1));
	claim_many(w, repo, 2);
	route = text_of_route(w, "s-1");
	crash(w);
	post(w,
	    "{\"@id\":\"s-1\",\"match\":[{\"host\":[\"s-1.dev.test\"]}],\"handle\":[{\"handler\":"
	    "\"static_response\",\"body\":\"by hand\"}]}");
	post(w, "{\"@id\":\"mine\",\"match\":[{\"host\":[\"mine.dev.test\"]}]}");
	r = DM(w, w->dir, "up", "--all");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "route s-0 restored: "));
	assert_non_null(strstr(r.out, "route s-1 replaced: "));
	assert_string_equal(text_of_route(w, "s-1"), route);
	route_of(w, "mine");
	crash(w);
	post(w, "{\"match\":[{\"host\":[\"x.example\"]}],\"handle\":[{\"@id\":\"s-1\",\"handler\":"
		"\"static_response\",\"body\":\"other\"}]}");
	before = fmt(w, "%s", admin(w, "GET", "/id/s-1", NULL).body);
	r = DM(w, w->dir, "up", "--all");
	assert_int_equal(r.code, 4);
	assert_non_null(strstr(r.err, "\"s-1\""));
	assert_string_equal(admin(w, "GET", "/id/s-1", NULL).body, before);
	/* the others are not kept waiting */
	assert_non_null(strstr(r.out, "route s-0 restored: "));
	route_of(w, "s-0");
	assert_strangers(w, 1);
}

/* ---- what is dead -------------------------------------------------------------------------- */

TEST(dead_routes_go_in_one_change)
{
	char *repo = repo_new(w, "shop"), *before;
	struct result r;
	int i, n;

	caddy_plain(w, strangers(w, 3));
	claim_many(w, repo, 9);
	for (i = 0; i < 9; i++)
		unlink(fmt(w, "%s/s-%d.json", w->sockets, i));
	/* made by hand, for a socket of this registry: without our header it is not ours to judge
	 */
	post(w, fmt(w,
		    "{\"@id\":\"x\",\"handle\":[{\"handler\":\"reverse_proxy\",\"upstreams\":"
		    "[{\"dial\":\"unix/%s/x.sock\"}]}]}",
		    w->sockets));
	n = loads(w);
	r = DM(w, w->dir, "gc", "--dry-run");
	assert_int_equal(count_of(r.out, "would remove route s-"), 6);
	before = routes_text(w);
	r = DM(w, w->dir, "gc");
	assert_exit(w, r, 0);
	assert_int_equal(count_of(r.out, "removed route s-"), 6);
	assert_int_equal(loads_since(w, &n), 1);
	assert_strangers(w, 3);
	route_of(w, "x");
	/* those to ports may be another registry's */
	assert_int_equal(cJSON_GetArraySize(routes(w)), 4 + 1 + 3);
	assert_string_not_equal(routes_text(w), before);
}

/* As many worktrees as there are: their claims and routes go, with one reload. */
TEST(gone_worktrees_go_in_one_change)
{
	char *repo = repo_new(w, "shop"), *wt[8];
	int i, n;

	caddy_plain(w, strangers(w, 3));
	up_ok(w, repo);
	for (i = 0; i < 8; i++) {
		wt[i] = worktree_add(w, repo, fmt(w, "b%d", i));
		up_ok(w, wt[i]);
	}
	for (i = 0; i < 8; i++)
		GIT(w, repo, "worktree", "remove", "--force", wt[i]);
	n = loads(w);
	assert_exit(w, DM(w, w->dir, "gc", "--worktree", wt[0]), 0);
	assert_int_equal(loads_since(w, &n), 1);
	assert_int_equal(count_claims(w), 8);
	assert_int_equal(count_routes(w, "shop-b0"), 0);
	route_of(w, "shop-b1");
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_int_equal(loads_since(w, &n), 1);
	assert_int_equal(count_claims(w), 1);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 5);
	assert_strangers(w, 3);
}

/* up --all takes what is dead along, in the same write. */
TEST(dead_and_lost_in_one_change)
{
	char *repo = repo_new(w, "shop"), *dead;
	struct result r;
	int n;

	caddy_plain(w, strangers(w, 2));
	claim_many(w, repo, 5);
	dead = text_of_route(w, "s-2");
	unlink(fmt(w, "%s/s-2.json", w->sockets));
	crash(w);
	post(w, dead);
	n = loads(w);
	r = DM(w, w->dir, "up", "--all");
	assert_exit(w, r, 0);
	assert_int_equal(loads_since(w, &n), 1);
	assert_non_null(strstr(r.out, "route s-2 removed: "));
	assert_int_equal(count_routes(w, "s-2"), 0);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 4 + 3);
	assert_strangers(w, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(lost_routes_come_back_in_one_change),
	    WORLD_TEST(lost_routes_come_back_where_they_belong),
	    WORLD_TEST(dry_run_and_json_tell),
	    WORLD_TEST(all_is_for_itself),
	    WORLD_TEST(gone_worktrees_and_killed_runs_stay_away),
	    WORLD_TEST(killed_run_that_was_followed_comes_back),
	    WORLD_TEST(pinned_claim_stays_until_it_is_taken_down),
	    WORLD_TEST(duplicates_go),
	    WORLD_TEST(copies_on_another_server_go),
	    WORLD_TEST(hand_made_routes_are_replaced_as_by_up),
	    WORLD_TEST(dead_routes_go_in_one_change),
	    WORLD_TEST(gone_worktrees_go_in_one_change),
	    WORLD_TEST(dead_and_lost_in_one_change),
	};

	return RUN_TESTS(tests);
}
