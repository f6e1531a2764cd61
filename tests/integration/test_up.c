/* SPDX-License-Identifier: MIT */
/*
 * `up` and `down` of worktrees beside a Caddy that holds the mesh route: the main job, and what
 * url, env, list, status and wait say about it.
 */
#include "harness_net.h"

#include <sys/stat.h>
#include <unistd.h>

TEST(up_prints_the_url_and_the_service_answers_there)
{
	char *repo = repo_new(w, "shop"), *url;
	struct result r;

	caddy_mesh(w, "");
	r = DM(w, repo, "up");
	assert_exit(w, r, 0);
	url = line_of(w, r);
	assert_string_equal(url, fmt(w, "http://shop-main.dev.test:%d", w->port));
	serve_id(w, "shop-main");
	assert_url_answers(w, url, "shop-main");
}

TEST(up_writes_nothing_to_caddy_where_the_mesh_route_is)
{
	char *repo = repo_new(w, "shop"), *before;
	cJSON *claim;

	caddy_mesh(w, "");
	before = routes_text(w);
	assert_string_equal(up_ok(w, repo), "shop-main");
	assert_string_equal(routes_text(w), before);
	claim = claim_of(w, "shop-main");
	assert_non_null(claim);
	assert_string_equal(json_str(claim, "registration"), "mesh");
}

TEST(up_is_idempotent)
{
	char *repo = repo_new(w, "shop"), *url, *claim, *path;

	caddy_mesh(w, "");
	url = line_of(w, DM(w, repo, "up"));
	path = fmt(w, "%s/shop-main.json", w->sockets);
	claim = read_text(w, path);
	assert_non_null(claim);
	assert_string_equal(line_of(w, DM(w, repo, "up")), url);
	assert_string_equal(read_text(w, path), claim);
	assert_int_equal(count_claims(w), 1);
}

TEST(claim_records_what_the_contract_says)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "feature/auth");
	cJSON *c;

	caddy_mesh(w, "");
	up_ok(w, wt);
	c = claim_of(w, "shop-feature-auth");
	assert_non_null(c);
	assert_int_equal(cJSON_GetObjectItem(c, "schema_version")->valueint, 1);
	assert_string_equal(json_str(c, "id"), "shop-feature-auth");
	assert_string_equal(json_str(c, "app"), "shop");
	assert_string_equal(json_str(c, "branch"), "feature/auth");
	assert_string_equal(json_str(c, "worktree"), wt);
	assert_string_equal(json_str(c, "socket"), fmt(w, "%s/shop-feature-auth.sock", w->sockets));
	assert_string_equal(json_str(c, "host"), "shop-feature-auth.dev.test");
	assert_true(cJSON_GetObjectItem(c, "created")->valuedouble > 1.6e9);
}

TEST(second_worktree_leaves_the_first_alone)
{
	char *repo = repo_new(w, "shop"), *wt, *first;

	caddy_mesh(w, "");
	up_ok(w, repo);
	serve_id(w, "shop-main");
	first = read_text(w, fmt(w, "%s/shop-main.json", w->sockets));
	wt = worktree_add(w, repo, "feature/auth");
	assert_string_equal(up_ok(w, wt), "shop-feature-auth");
	serve_id(w, "shop-feature-auth");
	assert_answers(w, "shop-feature-auth.dev.test", "shop-feature-auth");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_string_equal(read_text(w, fmt(w, "%s/shop-main.json", w->sockets)), first);
}

TEST(down_removes_claim_and_leftover_socket)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "feature/x");
	char *sock = fmt(w, "%s/shop-main.sock", w->sockets);

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	end_proc(w, serve_id(w, "shop-main"));
	assert_true(exists(sock));
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_null(claim_of(w, "shop-main"));
	assert_false(exists(sock));
	assert_int_equal(count_claims(w), 1);
	/* The alias of the default branch went with it. */
	assert_false(exists(fmt(w, "%s/shop.json", w->sockets)));
	assert_false(exists(fmt(w, "%s/shop.sock", w->sockets)));
}

TEST(down_of_nothing_is_harmless_and_by_id_and_all)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	assert_error(w, DM(w, repo, "down", "no-such-service"), 3, "no-such-service");
	assert_exit(w, DM(w, w->dir, "down", "shop-x"), 0);
	assert_null(claim_of(w, "shop-x"));
	assert_int_equal(count_claims(w), 1);
	up_ok(w, wt);
	assert_exit(w, DM(w, w->dir, "down", "--all"), 0);
	assert_int_equal(count_claims(w), 0);
}

TEST(dry_run_changes_nothing)
{
	char *repo = repo_new(w, "shop"), *before;

	caddy_plain(w, bystanders(w, 2));
	before = routes_text(w);
	assert_exit(w, DM(w, repo, "up", "--dry-run"), 0);
	assert_string_equal(routes_text(w), before);
	assert_int_equal(count_claims(w), 0);
}

TEST(default_branch_also_answers_at_the_bare_name)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "feature");

	caddy_mesh(w, "");
	up_ok(w, wt);
	assert_false(exists(fmt(w, "%s/shop.json", w->sockets)));
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_answers(w, "shop.dev.test", "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

TEST(bare_name_claimed_by_somebody_is_theirs)
{
	char *site = repo_new(w, "site"), *shop = repo_new(w, "shop");

	caddy_mesh(w, "");
	assert_exit(w, DM(w, site, "up", "--id", "shop"), 0);
	serve_id(w, "shop");
	assert_string_equal(up_ok(w, shop), "shop-main");
	serve_id(w, "shop-main");
	assert_answers(w, "shop.dev.test", "shop");
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

TEST(tcp_upstream_wins_over_the_mesh_route)
{
	char *repo = repo_new(w, "shop");
	struct result r;
	int port;

	caddy_mesh(w, "");
	serve_tcp(w, 200, "by tcp", &port);
	r = DM(w, repo, "up", "--port", fmt(w, "%d", port));
	assert_exit(w, r, 0);
	assert_answers(w, "shop-main.dev.test", "by tcp");
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	assert_int_equal(count_routes(w, "devmesh"), 1);
}

TEST(own_socket_path_is_proxied_to)
{
	char *repo = repo_new(w, "shop"), *path = fmt(w, "%s/own.sock", w->dir);

	caddy_mesh(w, "");
	assert_exit(w, DM(w, repo, "up", "--socket", path), 0);
	serve_unix(w, path, "own");
	assert_answers(w, "shop-main.dev.test", "own");
}

TEST(up_waits_until_the_service_answers)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	struct result r;

	caddy_mesh(w, "");
	p = DM_BG(w, repo, "up", "--wait=60");
	while (claim_of(w, "shop-main") == NULL && !p->ended) {
		reap(w);
		nap_us(1000);
	}
	assert_false(p->ended);
	serve_id(w, "shop-main");
	r = finish(w, p);
	assert_exit(w, r, 0);
	assert_string_equal(id_of_url(w, line_of(w, r)), "shop-main");
	assert_exit(w, DM(w, repo, "wait", "--timeout", "60"), 0);
	assert_exit(w, DM(w, w->dir, "wait", "shop-main", "--timeout", "60"), 0);
}

TEST(waiting_has_an_end)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	r = DM(w, repo, "up", "--wait=1");
	assert_int_equal(r.code, 7);
	r = DM(w, repo, "wait", "--timeout", "1");
	assert_error(w, r, 7, "shop-main");
	assert_error(
	    w, DM(w, repo, "wait", "no-such-service", "--timeout", "1"), 3, "no-such-service");
}

TEST(env_survives_eval_by_a_shell)
{
	char *repo = repo_new(w, "it's $HOME `x`");
	struct result r;

	caddy_mesh(w, "");
	assert_exit(w, DM(w, repo, "up", "--id", "odd"), 0);
	r = run_ok(w, repo,
	    ARGV("sh", "-c",
		"e=$(\"$0\" env odd) && eval \"$e\" && "
		"env | grep -c '^DEVMESH_URL=\\|^DEVMESH_SOCKET=\\|^DEVMESH_ID=\\|^DEVMESH_HOST='; "
		"printf '%s|%s|%s|%s|%s\\n' \"$DEVMESH_ID\" \"$DEVMESH_HOST\" \"$DEVMESH_SOCKET\" "
		"\"$DEVMESH_BRANCH\" \"$DEVMESH_WORKTREE\"",
		w->devmesh));
	assert_string_equal(
	    r.out, fmt(w, "4\nodd|odd.dev.test|%s/odd.sock|main|%s\n", w->sockets, repo));
}

TEST(url_and_env_of_what_is_not_up)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	assert_error(w, DM(w, repo, "url", "no-such-service"), 3, "no-such-service");
	assert_error(w, DM(w, repo, "env", "no-such-service"), 3, "no-such-service");
	up_ok(w, repo);
	r = DM(w, w->dir, "url", "shop-main");
	assert_exit(w, r, 0);
	assert_string_equal(id_of_url(w, line_of(w, r)), "shop-main");
}

/* The service `id` in what `status --json` or `list --json` says; fails unless there is one. */
static const cJSON *
service_of(struct world *w, const char *verb, const char *id)
{
	struct result r = DM(w, w->dir, verb, "--json");
	const cJSON *list, *s, *found = NULL;

	assert_exit(w, r, 0);
	list = cJSON_GetObjectItem(json_of(w, r.out), "services");
	assert_true(cJSON_IsArray(list));
	cJSON_ArrayForEach (s, list)
		if (strcmp(json_str(s, "id"), id) == 0)
			found = s;
	if (found == NULL)
		fail_msg("%s --json has no service %s: %s", verb, id, r.out);
	return found;
}

static void
assert_state(struct world *w, const char *id, const char *state)
{
	assert_string_equal(json_str(service_of(w, "status", id), "state"), state);
}

TEST(status_tells_the_states)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone");
	struct proc *p;
	const cJSON *s;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	assert_state(w, "shop-main", "starting");
	p = serve_id(w, "shop-main");
	assert_state(w, "shop-main", "up");
	s = service_of(w, "status", "shop-main");
	assert_string_equal(json_str(s, "branch"), "main");
	assert_string_equal(json_str(s, "worktree"), repo);
	end_proc(w, p);
	assert_state(w, "shop-main", "stale");
	remove_tree(wt);
	assert_state(w, "shop-gone", "orphan");
	s = service_of(w, "list", "shop-main");
	assert_string_equal(json_str(s, "url"), line_of(w, DM(w, repo, "url")));
}

TEST(status_table_shows_every_service)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "feature/auth");
	struct result r;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	r = DM(w, w->dir, "status");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "shop-main"));
	assert_non_null(strstr(r.out, "shop-feature-auth"));
	assert_non_null(strstr(r.out, "starting"));
	assert_non_null(strstr(r.out, "feature/auth"));
	r = DM(w, w->dir, "list");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "shop-feature-auth"));
}

TEST(plain_directory_comes_up_too)
{
	char *dir = make_dir(w, "notes");

	caddy_mesh(w, "");
	assert_string_equal(up_ok(w, dir), "notes");
	serve_id(w, "notes");
	assert_answers(w, "notes.dev.test", "notes");
}

TEST(sockets_path_that_is_too_long_is_said)
{
	char *repo = repo_new(w, "shop"), *dir = make_dir(w, "deep");
	char *deep = fmt(w, "%s/%0100d", dir, 0);

	caddy_plain(w, "[]");
	world_env(w, "DEVMESH_SOCKETS_DIR", deep);
	assert_error(w, DM(w, repo, "up"), 2, "too long");
	assert_int_equal(cJSON_GetArraySize(routes(w)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(up_prints_the_url_and_the_service_answers_there),
	    WORLD_TEST(up_writes_nothing_to_caddy_where_the_mesh_route_is),
	    WORLD_TEST(up_is_idempotent),
	    WORLD_TEST(claim_records_what_the_contract_says),
	    WORLD_TEST(second_worktree_leaves_the_first_alone),
	    WORLD_TEST(down_removes_claim_and_leftover_socket),
	    WORLD_TEST(down_of_nothing_is_harmless_and_by_id_and_all),
	    WORLD_TEST(dry_run_changes_nothing),
	    WORLD_TEST(default_branch_also_answers_at_the_bare_name),
	    WORLD_TEST(bare_name_claimed_by_somebody_is_theirs),
	    WORLD_TEST(tcp_upstream_wins_over_the_mesh_route),
	    WORLD_TEST(own_socket_path_is_proxied_to),
	    WORLD_TEST(up_waits_until_the_service_answers),
	    WORLD_TEST(waiting_has_an_end),
	    WORLD_TEST(env_survives_eval_by_a_shell),
	    WORLD_TEST(url_and_env_of_what_is_not_up),
	    WORLD_TEST(status_tells_the_states),
	    WORLD_TEST(status_table_shows_every_service),
	    WORLD_TEST(plain_directory_comes_up_too),
	    WORLD_TEST(sockets_path_that_is_too_long_is_said),
	};

	return RUN_TESTS(tests);
}
