/* SPDX-License-Identifier: MIT */
/*
 * `ps`: servers that devmesh was never told of, and those that have outlived their worktree or
 * their `devmesh run`; the commands that it names do what it says. Other processes of this user on
 * this machine may be listed as well, so each test looks for its own.
 */
#include "harness_run.h"

#include <signal.h>
#include <unistd.h>

/* A process that is looked for in `ps`. */
struct wanted {
	long pid;
	const char *flag; /* of ps; NULL: none */
};

/* Its row; NULL: it is not listed. */
static cJSON *
row_of(struct world *w, const struct wanted *wanted)
{
	const char *const with[] = {w->devmesh, "ps", "--json", wanted->flag, NULL};
	struct result r = run_ok(w, w->dir, with);
	cJSON *row;

	cJSON_ArrayForEach (row, cJSON_GetObjectItem(json_of(w, r.out), "processes")) {
		if (json_number(row, "pid") == (double)wanted->pid)
			return row;
	}
	return NULL;
}

static bool
is_listed(struct world *w, const void *arg)
{
	return row_of(w, arg) != NULL;
}

static bool
is_not_listed(struct world *w, const void *arg)
{
	return row_of(w, arg) == NULL;
}

static cJSON *
listed(struct world *w, long pid)
{
	const struct wanted wanted = {.pid = pid};

	assert_true(wait_until(w, is_listed, &wanted, DEADLINE_MS));
	return row_of(w, &wanted);
}

static void
assert_not_listed(struct world *w, long pid, const char *flag)
{
	const struct wanted wanted = {.pid = pid, .flag = flag};

	assert_null(row_of(w, &wanted));
}

/* Runs a command line that `ps` has printed, as a person would. */
static struct result
run_line(struct world *w, const char *line)
{
	char *bin = fmt(w, "%s/bin", w->dir);

	if (!exists(bin)) {
		make_dir(w, "bin");
		assert_int_equal(symlink(w->devmesh, fmt(w, "%s/devmesh", bin)), 0);
	}
	return run_ok(w, w->dir, ARGV("sh", "-c", fmt(w, "PATH=%s:$PATH; %s", bin, line)));
}

/* python3 -m http.server, in a directory; *port is where. */
static struct proc *
http_server(struct world *w, const char *dir, int *port)
{
	*port = free_port(w);
	return start(w, dir,
	    ARGV("python3", "-m", "http.server", "--bind", "127.0.0.1", fmt(w, "%d", *port)));
}

/* ---- found --------------------------------------------------------------------------------- */

TEST(a_server_is_found_and_published)
{
	char *repo = repo_new(w, "shop"), *tree = worktree_add(w, repo, "x"), *url;
	struct proc *p;
	cJSON *row;
	int port;

	caddy_mesh(w, "");
	write_text(fmt(w, "%s/index.html", tree), "hello from x");
	p = http_server(w, tree, &port);
	row = listed(w, p->pid);
	assert_int_equal((int)json_number(row, "port"), port);
	assert_string_equal(json_str(row, "address"), "127.0.0.1");
	assert_string_equal(json_str(row, "worktree"), tree);
	assert_string_equal(json_str(row, "repository"), fmt(w, "%s/.git", repo));
	assert_non_null(strstr(json_str(row, "command"), "http.server"));
	assert_true(json_null(row, "id"));
	assert_true(json_null(row, "end"));
	assert_false(cJSON_IsTrue(cJSON_GetObjectItem(row, "orphan")));

	url = line_of(w, run_line(w, json_str(row, "publish")));
	assert_url_answers(w, url, "hello from x");
	row = listed(w, p->pid);
	assert_string_equal(json_str(row, "id"), "shop-x");
	assert_true(json_null(row, "publish"));
	assert_not_listed(w, p->pid, "--orphans");
}

TEST(a_second_one_gets_a_name_of_its_own)
{
	char *repo = repo_new(w, "shop"), *api = fmt(w, "%s/api", repo), *first, *second, *third;
	struct proc *p, *q, *r;
	int port;

	caddy_mesh(w, "");
	make_dir(w, "shop/api");
	p = http_server(w, repo, &port);
	q = http_server(w, api, &port);
	r = http_server(w, repo, &port);
	first = line_of(w, run_line(w, json_str(listed(w, p->pid), "publish")));
	assert_string_equal(id_of_url(w, first), "shop-main");
	assert_non_null(strstr(json_str(listed(w, q->pid), "publish"), " --app api"));
	second = line_of(w, run_line(w, json_str(listed(w, q->pid), "publish")));
	third = line_of(w, run_line(w, json_str(listed(w, r->pid), "publish")));
	assert_string_equal(id_of_url(w, second), "api-main");
	/* after the oldest one, be that within a second the one or the other */
	assert_non_null(strstr(id_of_url(w, third), fmt(w, "-%d-main", port)));
	assert_string_equal(json_str(listed(w, p->pid), "id"), "shop-main");
	assert_string_equal(json_str(listed(w, q->pid), "id"), "api-main");
	assert_int_equal(count_claims(w), 3);
}

TEST(a_unix_socket_is_found_and_published)
{
	char *repo = repo_new(w, "shop"), *path = fmt(w, "%s/web.sock", repo);
	struct proc *p;
	cJSON *row;

	caddy_plain(w, "[]");
	p = serve_in(w, repo, path, "by socket");
	row = listed(w, p->pid);
	assert_string_equal(json_str(row, "socket"), path);
	assert_true(json_null(row, "port"));
	assert_url_answers(w, line_of(w, run_line(w, json_str(row, "publish"))), "by socket");
	assert_string_equal(json_str(listed(w, p->pid), "id"), "shop-main");
}

/* A prefork server: five processes have the socket. */
TEST(workers_are_one_server)
{
	static const char script[] = "import os, signal, socket, sys\n"
				     "s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
				     "for _ in range(4):\n"
				     "    if os.fork() == 0:\n"
				     "        open(f'worker-{os.getpid()}', 'w').close()\n"
				     "        signal.pause()\n"
				     "signal.pause()\n";
	char *repo = repo_new(w, "shop");
	int port = free_port(w), rows = 0;
	struct proc *p;
	cJSON *row;

	write_text(fmt(w, "%s/prefork.py", repo), script);
	p = start(w, repo, ARGV("setsid", "python3", "prefork.py", fmt(w, "%d", port)));
	(void)listed(w, p->pid);
	cJSON_ArrayForEach (
	    row, cJSON_GetObjectItem(json_of(w, DM(w, w->dir, "ps", "--json").out), "processes"))
		rows += cJSON_GetObjectItem(row, "port")->valuedouble == (double)port ? 1 : 0;
	assert_int_equal(rows, 1);
	(void)kill(-p->pid, SIGKILL);
}

TEST(behind_a_run_the_server_is_listed)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	cJSON *row;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, NULL);
	row = listed(w, pid_of_server(w, url));
	assert_string_equal(json_str(row, "id"), "shop-main");
	assert_not_listed(w, p->pid, NULL);
	assert_not_listed(w, w->caddy->pid, NULL);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_not_listed(w, (long)json_number(row, "pid"), NULL);
}

TEST(ports_of_the_configuration)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	int port;

	p = http_server(w, repo, &port);
	(void)listed(w, p->pid);
	world_env(w, "DEVMESH_DAEMON_PORT_FROM", "1");
	world_env(w, "DEVMESH_DAEMON_PORT_TO", "1");
	assert_not_listed(w, p->pid, NULL);
	assert_non_null(row_of(w, &(struct wanted){.pid = p->pid, .flag = "--all"}));
}

TEST(for_people)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	struct result r;
	int port;

	p = http_server(w, repo, &port);
	(void)listed(w, p->pid);
	r = DM(w, w->dir, "ps");
	assert_exit(w, r, 0);
	assert_int_equal(strncmp(r.out, "PID ", 4), 0);
	assert_non_null(strstr(r.out, fmt(w, "devmesh up -C %s --port %d", repo, port)));
	/* a hostile directory cannot drive the terminal */
	assert_int_equal(rename(repo, fmt(w, "%s/a\033[31mb", w->dir)), 0);
	r = DM(w, w->dir, "ps");
	assert_non_null(strstr(r.out, fmt(w, "--port %d", port)));
	assert_null(strchr(r.out, '\033'));
}

/* ---- orphans ------------------------------------------------------------------------------- */

static bool
is_orphan(struct world *w, const void *arg)
{
	const struct wanted wanted = {.pid = ((const struct proc *)arg)->pid, .flag = "--orphans"};

	return row_of(w, &wanted) != NULL;
}

TEST(a_server_of_a_removed_worktree)
{
	char *repo = repo_new(w, "shop"), *tree = worktree_add(w, repo, "x");
	struct proc *p, *other;
	struct result r;
	cJSON *row;
	int port;

	caddy_mesh(w, "");
	p = http_server(w, tree, &port);
	(void)listed(w, p->pid);
	assert_false(is_orphan(w, p));
	other = http_server(w, repo, &port);
	(void)listed(w, other->pid);
	GIT(w, repo, "worktree", "remove", tree);
	assert_true(is_orphan(w, p));
	row = listed(w, p->pid);
	assert_string_equal(json_str(row, "cwd"), tree);
	assert_true(json_null(row, "publish"));
	assert_string_equal(json_str(row, "end"), fmt(w, "kill %ld", (long)p->pid));
	r = DM(w, w->dir, "ps", "--orphans");
	assert_non_null(strstr(r.out, fmt(w, "orphan: kill %ld", (long)p->pid)));
	assert_non_null(strstr(r.out, tree));
	assert_false(is_orphan(w, other));
	(void)run_line(w, json_str(row, "end"));
	assert_ends(w, p, 128 + SIGTERM);
	assert_not_listed(w, p->pid, NULL);
}

/* The worktree is still there: what was started there belongs to a claim whose run was killed. */
TEST(what_a_killed_run_has_left)
{
	char *repo = repo_new(w, "shop"), *url;
	struct wanted server = {.pid = 0};
	struct proc *p;
	cJSON *row;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, NULL);
	server.pid = pid_of_server(w, url);
	assert_false(cJSON_IsTrue(cJSON_GetObjectItem(listed(w, server.pid), "orphan")));
	end_proc(w, p);
	row = listed(w, server.pid);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(row, "orphan")));
	assert_string_equal(json_str(row, "id"), "shop-main");
	assert_string_equal(json_str(row, "end"), "devmesh gc");
	(void)run_line(w, json_str(row, "end"));
	assert_true(wait_until(w, is_not_listed, &server, DEADLINE_MS));
	assert_nothing_left(w, "shop-main");
}

/* ---- worktrees that are moved -------------------------------------------------------------- */

/* The claim says this worktree. */
struct claimed {
	const char *id, *worktree;
};

static bool
is_claimed(struct world *w, const void *arg)
{
	const struct claimed *c = arg;
	const cJSON *claim = claim_of(w, c->id);

	return claim != NULL && strcmp(json_str(claim, "worktree"), c->worktree) == 0;
}

static bool
document_says(struct world *w, const void *arg)
{
	const struct claimed *c = arg;
	const char *text = read_text(w, fmt(w, "%s/identity/%s.json", w->state, c->id));

	return text != NULL && strcmp(json_str(json_of(w, text), "worktree"), c->worktree) == 0;
}

static void
wait_followed(struct world *w, const char *id, const char *worktree)
{
	const struct claimed c = {id, worktree};

	assert_true(wait_until(w, is_claimed, &c, DEADLINE_MS));
	assert_true(wait_until(w, document_says, &c, DEADLINE_MS));
}

TEST(a_run_follows_its_worktree)
{
	char *repo = repo_new(w, "shop"), *tree = worktree_add(w, repo, "x"), *url;
	char *to = fmt(w, "%s/elsewhere", w->dir);
	struct proc *p;
	long pid;

	caddy_mesh(w, "");
	url = RUN_URL(w, tree, &p, NULL);
	pid = pid_of_server(w, url);
	GIT(w, repo, "worktree", "move", tree, to);
	wait_followed(w, "shop-x", to);
	/* the same server, under the same name */
	assert_url_answers(w, url, "shop-x");
	assert_int_equal(pid_of_server(w, url), pid);
	assert_string_equal(line_of(w, DM(w, to, "url")), url);
	assert_exit(w, DM(w, to, "assert"), 0);
	assert_string_equal(json_str(listed(w, pid), "worktree"), to);
	assert_non_null(strstr(read_text(w, p->err), to));
	/* nothing is removed that lives */
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_url_answers(w, url, "shop-x");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-x");
}

/* The main worktree, by hand, with an alias and from a directory inside it. */
TEST(a_run_follows_a_repository)
{
	char *repo = repo_new(w, "shop"), *to = fmt(w, "%s/renamed", w->dir), *url;
	struct proc *p;

	caddy_mesh(w, "");
	make_dir(w, "shop/web");
	url = RUN_URL(w, fmt(w, "%s/web", repo), &p, NULL);
	assert_non_null(claim_of(w, "shop"));
	assert_int_equal(rename(repo, to), 0);
	wait_followed(w, "shop-main", to);
	assert_string_equal(json_str(claim_of(w, "shop"), "worktree"), to);
	assert_url_answers(w, url, "shop-main");
	/* and once more */
	assert_int_equal(rename(to, repo), 0);
	wait_followed(w, "shop-main", repo);
	assert_url_answers(w, url, "shop-main");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
	assert_null(claim_of(w, "shop"));
}

/* Somebody registers the worktree at its new path before the run has noticed. */
TEST(up_where_the_worktree_is_now)
{
	char *repo = repo_new(w, "shop"), *tree = worktree_add(w, repo, "x"), *url;
	char *to = fmt(w, "%s/elsewhere", w->dir);
	struct proc *p;

	caddy_mesh(w, "");
	url = RUN_URL(w, tree, &p, NULL);
	GIT(w, repo, "worktree", "move", tree, to);
	assert_string_equal(up_ok(w, to), "shop-x");
	wait_said(w, p, "it is ");
	wait_followed(w, "shop-x", to);
	assert_url_answers(w, url, "shop-x");
	assert_string_equal(json_str(listed(w, pid_of_server(w, url)), "id"), "shop-x");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-x");
}

TEST(what_is_thrown_away_is_gone)
{
	char *repo = repo_new(w, "shop"), *tree = worktree_add(w, repo, "x");
	struct proc *p;

	caddy_mesh(w, "");
	(void)RUN_URL(w, tree, &p, NULL);
	make_dir(w, "Trash");
	make_dir(w, "Trash/files");
	assert_int_equal(rename(tree, fmt(w, "%s/Trash/files/x", w->dir)), 0);
	assert_ends(w, p, 128 + SIGTERM);
	assert_non_null(strstr(read_text(w, p->err), "is gone"));
	assert_nothing_left(w, "shop-x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(a_server_is_found_and_published),
	    WORLD_TEST(a_second_one_gets_a_name_of_its_own),
	    WORLD_TEST(a_unix_socket_is_found_and_published),
	    WORLD_TEST(workers_are_one_server),
	    WORLD_TEST(behind_a_run_the_server_is_listed),
	    WORLD_TEST(ports_of_the_configuration),
	    WORLD_TEST(for_people),
	    WORLD_TEST(a_server_of_a_removed_worktree),
	    WORLD_TEST(what_a_killed_run_has_left),
	    WORLD_TEST(a_run_follows_its_worktree),
	    WORLD_TEST(a_run_follows_a_repository),
	    WORLD_TEST(up_where_the_worktree_is_now),
	    WORLD_TEST(what_is_thrown_away_is_gone),
	};

	return RUN_TESTS(tests);
}
