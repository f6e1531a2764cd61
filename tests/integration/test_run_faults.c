/* SPDX-License-Identifier: MIT */
/* `devmesh run`: Caddy that is not there, claims that others want, worktrees that go away. */
#include "harness_run.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static void
end_run(struct world *w, struct proc *p, const char *id)
{
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, id);
}

static int
count_of(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

/* ---- Caddy --------------------------------------------------------------------------------- */

/* The plain URL, and a server that answers there. */
static void
runs_without_caddy(struct world *w, const char *repo)
{
	const char *url;
	struct proc *p = run_bg(w, repo, ARGV("--wait=60"), ARGV(NULL));

	wait_said(w, p, "(without Caddy)");
	assert_non_null(strstr(read_text(w, p->err), "it runs without a URL"));
	url = strstr(read_text(w, p->err), "http://localhost:");
	assert_non_null(url);
	url = fmt(w, "%.*s", (int)strcspn(url, " "), url);
	assert_string_equal(fetch(w, url, NULL).body, "no id");
	assert_string_equal(env_of(w, url, "HOST"), "127.0.0.1");
	assert_string_equal(env_of(w, url, "DEVMESH_URL"), "");
	assert_int_equal(count_claims(w), 0);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_int_equal(count_servers(w), 0);
}

TEST(there_is_no_caddy)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	cJSON *o;

	runs_without_caddy(w, repo);
	assert_exit(w, DM(w, repo, "run", "sh", "-c", "exit 9"), 9);
	p = run_bg(w, repo, ARGV("--json"), ARGV(NULL));
	wait_printed(w, p, "}\n");
	o = json_of(w, read_text(w, p->out));
	assert_string_equal(fetch(w, json_str(o, "url"), NULL).body, "no id");
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "bridged")));
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
}

TEST(caddy_hangs)
{
	char *repo = repo_new(w, "shop");

	caddy_mesh(w, "");
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "500");
	signal_proc(w->caddy, SIGSTOP);
	runs_without_caddy(w, repo);
	signal_proc(w->caddy, SIGCONT);
	assert_nothing_left(w, "shop-main");
}

/* Restarted from its file, it has forgotten the route. */
TEST(caddy_comes_back_without_the_route)
{
	char *repo = repo_new(w, "shop"), *url;
	const char *said;
	struct proc *p;
	int i;

	caddy_plain(w, "[]");
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "2000");
	url = RUN_URL(w, repo, &p, NULL);
	for (i = 1; i <= 2; i++) {
		signal_proc(w->caddy, SIGKILL);
		(void)finish(w, w->caddy);
		if (i == 1)
			wait_said(w, p, "dead until it is back");
		caddy_restart(w);
		assert_url_answers(w, url, "shop-main");
	}
	wait_said(w, p, "is registered again");
	said = read_text(w, p->err);
	assert_true(count_of(said, "dead until it is back") <= 2);
	assert_true(count_of(said, "is registered again") <= 2);
	end_run(w, p, "shop-main");
}

/* The mesh route comes back with Caddy: nothing is to be done or said. */
TEST(caddy_comes_back_with_the_mesh_route)
{
	char *repo = repo_new(w, "shop"), *url;
	const char *said;
	struct proc *p;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, NULL);
	said = read_text(w, p->err);
	caddy_restart(w);
	assert_url_answers(w, url, "shop-main");
	assert_string_equal(read_text(w, p->err), said);
	end_run(w, p, "shop-main");
}

/* It ends while Caddy is away: the mesh claim goes all the same. */
TEST(ends_while_caddy_is_away)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_mesh(w, "");
	(void)RUN_URL(w, repo, &p, NULL);
	signal_proc(w->caddy, SIGKILL);
	(void)finish(w, w->caddy);
	end_run(w, p, "shop-main");
}

/* With a route of its own that cannot be: said, with how to do it later. */
TEST(ends_while_caddy_with_its_route_is_away)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	struct result r;

	caddy_plain(w, "[]");
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "2000");
	(void)RUN_URL(w, repo, &p, NULL);
	signal_proc(w->caddy, SIGKILL);
	(void)finish(w, w->caddy);
	signal_proc(p, SIGTERM);
	r = finish(w, p);
	assert_exit(w, r, 128 + SIGTERM);
	assert_non_null(strstr(r.err, "devmesh down shop-main"));
	assert_int_equal(count_servers(w), 0);
	assert_false(exists(socket_of(w, "shop-main")));
	caddy_restart(w);
	assert_exit(w, DM(w, repo, "down", "shop-main"), 0);
	assert_nothing_left(w, "shop-main");
}

/* ---- one name, several runs ---------------------------------------------------------------- */

TEST(second_run_of_a_worktree)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p, *q;
	struct result r;
	long first;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, NULL);
	first = pid_of_server(w, url);
	r = DM(w, repo, "run", "true");
	assert_error(w, r, 4, fmt(w, "pid %d", p->pid));
	assert_int_equal(pid_of_server(w, url), first);
	assert_non_null(claim_of(w, "shop-main"));
	q = run_bg(w, repo, ARGV("--force"), ARGV(NULL));
	assert_ends(w, p, 128 + SIGTERM);
	(void)run_url(w, q);
	assert_true(pid_of_server(w, url) != first);
	end_run(w, q, "shop-main");
}

TEST(down_ends_the_run)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_mesh(w, "");
	(void)RUN_URL(w, repo, &p, NULL);
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
	(void)RUN_URL(w, repo, &p, "daemon");
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_ends(w, p, 0);
	assert_nothing_left(w, "shop-main");
}

/* `up` of the same worktree beside it changes nothing. */
TEST(up_beside_a_run)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	long server;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, NULL);
	server = pid_of_server(w, url);
	up_ok(w, repo);
	assert_exit(w, DM(w, repo, "gc"), 0);
	assert_int_equal(pid_of_server(w, url), server);
	end_run(w, p, "shop-main");
}

/* The name has been taken before by hand: a run that fails must not take it down. */
TEST(server_that_was_started_by_hand)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, "[]");
	up_ok(w, repo);
	serve_in(w, repo, socket_of(w, "shop-main"), "by hand");
	assert_answers(w, "shop-main.dev.test", "by hand");
	assert_error(w, DM(w, repo, "run", "true"), 4, "already listens");
	assert_non_null(claim_of(w, "shop-main"));
	assert_answers(w, "shop-main.dev.test", "by hand");
	assert_exit(w, DM(w, repo, "status"), 0);
	assert_answers(w, "shop-main.dev.test", "by hand");
}

/* It had been registered for a server on a port: from now on it is the run's. */
TEST(registered_for_a_port_before)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	int port;

	caddy_mesh(w, "");
	serve_tcp(w, 200, "by hand", &port);
	assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", port)), 0);
	assert_answers(w, "shop-main.dev.test", "by hand");
	url = RUN_URL(w, repo, &p, NULL);
	assert_url_answers(w, url, "shop-main");
	end_run(w, p, "shop-main");
}

/* Another worktree takes the name by `up --force`, and its server the socket. */
static void
name_is_stolen(struct world *w, const char *flag)
{
	char *shop = repo_new(w, "shop"), *thief = repo_new(w, "thief"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	p = run_bg(w, shop, ARGV("--id=mine", flag), ARGV(NULL));
	url = run_url(w, p);
	assert_error(w, DM(w, thief, "up", "--id", "mine"), 4, shop);
	assert_exit(w, DM(w, thief, "up", "--force", "--id", "mine"), 0);
	wait_said(w, p, "now belongs to the worktree");
	wait_gone(w, socket_of(w, "mine"));
	serve_in(w, thief, socket_of(w, "mine"), "the thief");
	assert_url_answers(w, url, "the thief");
	assert_false(p->ended);
	assert_int_equal(count_servers(w), 1);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_int_equal(count_servers(w), 0);
	/* what is not ours any more is left alone */
	assert_url_answers(w, url, "the thief");
	assert_string_equal(json_str(claim_of(w, "mine"), "worktree"), thief);
}

TEST(name_of_a_bridged_run_is_stolen)
{
	name_is_stolen(w, "--bridge");
}
TEST(name_of_a_run_on_its_socket_is_stolen)
{
	name_is_stolen(w, "--socket");
}

TEST(name_is_stolen_by_a_run)
{
	char *shop = repo_new(w, "shop"), *thief = repo_new(w, "thief"), *url;
	struct proc *p, *q;

	caddy_mesh(w, "");
	p = run_bg(w, shop, ARGV("--id=mine"), ARGV(NULL));
	url = run_url(w, p);
	q = run_bg(w, thief, ARGV("--id=mine"), ARGV(NULL));
	assert_ends(w, q, 4);
	q = run_bg(w, thief, ARGV("--id=mine", "--force"), ARGV(NULL));
	(void)run_url(w, q);
	assert_string_equal(env_of(w, url, "DEVMESH_WORKTREE"), thief);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_string_equal(env_of(w, url, "DEVMESH_WORKTREE"), thief);
	end_run(w, q, "mine");
}

/* ---- worktrees ----------------------------------------------------------------------------- */

TEST(worktree_is_deleted)
{
	char *repo = repo_new(w, "shop"), *tree = worktree_add(w, repo, "feature"), *url;
	struct proc *p, *q;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &q, NULL);
	(void)RUN_URL(w, tree, &p, NULL);
	remove_tree(tree);
	assert_ends(w, p, 128 + SIGTERM);
	assert_non_null(strstr(read_text(w, p->err), "is gone"));
	assert_int_equal(count_servers(w), 1);
	assert_null(claim_of(w, "shop-feature"));
	assert_false(exists(socket_of(w, "shop-feature")));
	assert_url_answers(w, url, "shop-main");
	end_run(w, q, "shop-main");
}

static bool
is_orphan(struct world *w, const void *arg)
{
	cJSON *all = json_of(w, DM(w, w->dir, "status", "--json").out), *s;

	(void)arg;
	cJSON_ArrayForEach (s, cJSON_GetObjectItem(all, "services"))
		if (strcmp(json_str(s, "id"), "shop-feature") == 0)
			return strcmp(json_str(s, "state"), "orphan") == 0;
	return false;
}

TEST(worktree_is_deleted_and_its_server_kept)
{
	char *repo = repo_new(w, "shop"), *tree = worktree_add(w, repo, "feature"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	world_env(w, "DEVMESH_RUN_WORKTREE_GONE", "keep");
	url = RUN_URL(w, tree, &p, NULL);
	remove_tree(tree);
	assert_true(wait_until(w, is_orphan, NULL, ANSWER_MS));
	nap_us(2500000); /* as long as it takes to be noticed */
	assert_false(p->ended);
	assert_url_answers(w, url, "shop-feature");
	end_run(w, p, "shop-feature");
}

/* What a commit changes is in the identity, with a route of its own as well. */
struct identity {
	const char *url, *commit;
};

static bool
has_commit(struct world *w, const void *arg)
{
	const struct identity *i = arg;
	struct reply r = fetch(w, fmt(w, "%s/.well-known/devmesh", i->url), NULL);

	return r.status == 200 && strcmp(json_str(json_of(w, r.body), "commit"), i->commit) == 0;
}

static void
commit_is_noticed(struct world *w)
{
	char *repo = repo_new(w, "shop");
	struct identity i = {0};
	struct proc *p;
	const char *head;

	i.url = RUN_URL(w, repo, &p, NULL);
	GIT(w, repo, "commit", "-q", "--allow-empty", "-m", "second");
	head = GIT(w, repo, "rev-parse", "HEAD").out;
	i.commit = fmt(w, "%.40s", head);
	assert_true(wait_until(w, has_commit, &i, ANSWER_MS));
	end_run(w, p, "shop-main");
}

TEST(commit_is_noticed_with_the_mesh_route)
{
	caddy_mesh(w, "");
	commit_is_noticed(w);
}

TEST(commit_is_noticed_with_a_route_of_its_own)
{
	caddy_plain(w, "[]");
	commit_is_noticed(w);
}

#define TREES 20

/* Each answers with its own id, and each takes back only its own. */
static void
many_worktrees(struct world *w)
{
	char *repo = repo_new(w, "shop"), *trees[TREES], *urls[TREES];
	struct proc *p[TREES];
	int i;

	for (i = 0; i < TREES; i++)
		trees[i] = worktree_add(w, repo, fmt(w, "b%d", i));
	for (i = 0; i < TREES; i++)
		p[i] = run_bg(w, trees[i], ARGV("--wait=80"), ARGV(NULL));
	for (i = 0; i < TREES; i++)
		urls[i] = run_url(w, p[i]);
	for (i = 0; i < TREES; i++) {
		assert_string_equal(fetch(w, urls[i], NULL).body, fmt(w, "shop-b%d", i));
		assert_string_equal(env_of(w, urls[i], "DEVMESH_WORKTREE"), trees[i]);
	}
	for (i = 0; i < TREES; i += 2)
		signal_proc(p[i], SIGTERM);
	for (i = 0; i < TREES; i += 2)
		assert_ends(w, p[i], 128 + SIGTERM);
	for (i = 1; i < TREES; i += 2)
		assert_url_answers(w, urls[i], fmt(w, "shop-b%d", i));
	for (i = 1; i < TREES; i += 2)
		signal_proc(p[i], SIGTERM);
	for (i = 1; i < TREES; i += 2)
		assert_ends(w, p[i], 128 + SIGTERM);
	for (i = 0; i < TREES; i++)
		assert_nothing_left(w, fmt(w, "shop-b%d", i));
	assert_int_equal(count_claims(w), 0);
}

TEST(twenty_worktrees_at_once)
{
	caddy_mesh(w, "");
	many_worktrees(w);
}

TEST(twenty_routes_at_once)
{
	caddy_plain(w, bystanders(w, 3));
	many_worktrees(w);
	assert_bystanders(w, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(there_is_no_caddy),
	    WORLD_TEST(caddy_hangs),
	    WORLD_TEST(caddy_comes_back_without_the_route),
	    WORLD_TEST(caddy_comes_back_with_the_mesh_route),
	    WORLD_TEST(ends_while_caddy_is_away),
	    WORLD_TEST(ends_while_caddy_with_its_route_is_away),
	    WORLD_TEST(second_run_of_a_worktree),
	    WORLD_TEST(down_ends_the_run),
	    WORLD_TEST(up_beside_a_run),
	    WORLD_TEST(server_that_was_started_by_hand),
	    WORLD_TEST(registered_for_a_port_before),
	    WORLD_TEST(name_of_a_bridged_run_is_stolen),
	    WORLD_TEST(name_of_a_run_on_its_socket_is_stolen),
	    WORLD_TEST(name_is_stolen_by_a_run),
	    WORLD_TEST(worktree_is_deleted),
	    WORLD_TEST(worktree_is_deleted_and_its_server_kept),
	    WORLD_TEST(commit_is_noticed_with_the_mesh_route),
	    WORLD_TEST(commit_is_noticed_with_a_route_of_its_own),
	    WORLD_TEST(twenty_worktrees_at_once),
	    WORLD_TEST(twenty_routes_at_once),
	};

	return RUN_TESTS(tests);
}
