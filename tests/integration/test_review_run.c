/* SPDX-License-Identifier: MIT */
/* `devmesh run` among other things: servers of one's own, commits, the terminal. */
#include "harness_run.h"

#include <signal.h>
#include <unistd.h>

TEST(registered_server_of_ones_own_stays_registered)
{
	char *repo = repo_new(w, "shop"), *url;

	caddy_mesh(w, "");
	assert_string_equal(up_ok(w, repo), "shop-main");
	url = fmt(w, "http://shop-main.dev.test:%d", w->port);
	serve_id(w, "shop-main");
	assert_url_answers(w, url, "shop-main");
	assert_error(w, DM(w, repo, "run", "--", "sleep", "60"), 4, "already listens");
	assert_non_null(claim_of(w, "shop-main"));
	assert_null(cJSON_GetObjectItem(claim_of(w, "shop-main"), "run"));
	assert_url_answers(w, url, "shop-main");
}

struct commit {
	const char *url, *hash;
};

static bool
says_commit(struct world *w, const void *arg)
{
	const struct commit *c = arg;

	return strstr(fetch(w, fmt(w, "%s/.well-known/devmesh", c->url), NULL).body, c->hash) !=
	       NULL;
}

TEST(document_of_a_route_of_its_own_follows_commits)
{
	char *repo = repo_new(w, "shop");
	struct commit c;
	struct proc *p;

	caddy_plain(w, bystanders(w, 1));
	c.url = RUN_URL(w, repo, &p, NULL);
	write_text(fmt(w, "%s/new", repo), "new");
	GIT(w, repo, "add", "new");
	GIT(w, repo, "commit", "-qm", "new");
	c.hash = line_of(w, GIT(w, repo, "rev-parse", "HEAD"));
	assert_true(wait_until(w, says_commit, &c, ANSWER_MS));
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

/* Like any other command of the shell's: stopped, in the background, in the foreground. */
TEST(job_of_a_shell)
{
	char *repo = repo_new(w, "shop"), *words = fmt(w, "%s/empty -", w->dir);
	struct terminal *t;

	caddy_mesh(w, "");
	write_text(fmt(w, "%s/empty", w->dir), "");
	world_env(w, "PS1", "$ ");
	/* -b: it says at once what has become of a job */
	t = open_terminal(w, repo, ARGV("bash", "--norc", "-b", "-i"));
	/* the wrapper is stopped as well, as npm would have to be */
	type(t, fmt(w, "sh -c '%s run -- cat %s; true'\n", w->devmesh, words));
	wait_processes(w, words, 3);
	type(t, "one\n");
	wait_shown(w, t, "one");
	wait_shown(w, t, "one");
	type(t, "\032");
	wait_shown(w, t, "Stopped");
	type(t, "bg\n");
	wait_shown(w, t, "&\r\n");
	/* it wants to read, so it cannot go on there; only then does the shell's fg continue it */
	wait_shown(w, t, "Stopped");
	type(t, "fg\n");
	wait_shown(w, t, "fg\r\nsh -c");
	type(t, "two\n");
	wait_shown(w, t, "two");
	wait_shown(w, t, "two");
	type(t, "\004");
	wait_processes(w, words, 0);
	assert_nothing_left(w, "shop-main");
	type(t, "exit\n");
}

/* A stop from behind, as a process that was late for it gets it: the terminal is its own by now. */
TEST(job_that_was_stopped_too_late)
{
	char *repo = repo_new(w, "shop"), *words = fmt(w, "%s/empty -", w->dir);
	struct terminal *t;
	pid_t command;

	caddy_mesh(w, "");
	write_text(fmt(w, "%s/empty", w->dir), "");
	world_env(w, "PS1", "$ ");
	t = open_terminal(w, repo, ARGV("bash", "--norc", "-b", "-i"));
	type(t, fmt(w, "%s run -- cat %s\n", w->devmesh, words));
	wait_processes(w, words, 2);
	type(t, "one\n");
	wait_shown(w, t, "one");
	wait_shown(w, t, "one");
	command = tcgetpgrp(t->fd);
	assert_true(command > 0);
	assert_int_equal(kill(-command, SIGTTIN), 0);
	type(t, "two\n");
	wait_shown(w, t, "two");
	wait_shown(w, t, "two");
	assert_null(strstr(t->text, "Stopped"));
	type(t, "\004");
	wait_processes(w, words, 0);
	assert_nothing_left(w, "shop-main");
	type(t, "exit\n");
}

TEST(terminal_that_stops_background_output)
{
	char *repo = repo_new(w, "shop");
	struct terminal *t;

	caddy_mesh(w, "");
	world_env(w, "PS1", "$ ");
	t = open_terminal(w, repo, ARGV("bash", "--norc", "-i"));
	type(t, fmt(w, "stty tostop; %s run -- python3 %s\n", w->devmesh, run_server(w)));
	wait_shown(w, t, "http://shop-main.dev.test");
	type(t, "\003");
	wait_processes(w, run_server(w), 0);
	assert_nothing_left(w, "shop-main");
	type(t, "exit\n");
}

TEST(assert_finds_a_server_on_a_socket_of_its_own)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	cJSON *o;

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"exec python3 \"$0\" unix=\"$DEVMESH_SOCKET\"", run_server(w)));
	url = run_url(w, p);
	o = json_of(w, run_ok(w, repo, ARGV(w->devmesh, "assert", "--json")).out);
	assert_int_equal(cJSON_GetObjectItem(o, "pid")->valueint, pid_of_server(w, url));
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

TEST(name_is_taken_from_a_server_on_the_socket_itself)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "other"), *url;
	struct proc *p, *q;

	caddy_mesh(w, "");
	p = run_bg(w, repo, ARGV("--id", "zz", "--socket"), ARGV(NULL));
	(void)run_url(w, p);
	q = run_bg(w, wt, ARGV("--id", "zz", "--socket", "--force"), ARGV(NULL));
	url = run_url(w, q);
	assert_string_equal(env_of(w, url, "DEVMESH_WORKTREE"), wt);
	wait_said(w, p, wt);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_non_null(claim_of(w, "zz"));
	signal_proc(q, SIGTERM);
	assert_ends(w, q, 128 + SIGTERM);
	assert_nothing_left(w, "zz");
}

/* Whether the process has a child that has become tail(1). */
static bool
has_become(struct world *w, const void *arg)
{
	const struct proc *p = arg;
	const char *children =
	    read_text(w, fmt(w, "/proc/%d/task/%d/children", (int)p->pid, (int)p->pid));
	const char *args =
	    children == NULL
		? NULL
		: read_text(w, fmt(w, "/proc/%ld/cmdline", strtol(children, NULL, 10)));

	return args != NULL && strcmp(args, "tail") == 0;
}

/* As soon as there is a command, a signal is for both. */
static bool
has_begun(struct world *w, const void *arg)
{
	const struct proc *p = arg;
	const char *name = read_text(w, fmt(w, "/proc/%ld/comm", (long)p->pid));

	return name != NULL && strcmp(name, "devmesh\n") == 0;
}

/* At every moment from the claim to the command: with a route of its own there are many. */
TEST(signal_while_it_registers)
{
	char *repo = repo_new(w, "shop"), *file = fmt(w, "%s/empty", w->dir);
	int i;

	caddy_plain(w, "[]");
	write_text(file, "");
	for (i = 0; i < 30; i++) {
		struct proc *p = start(w, repo, ARGV(w->devmesh, "run", "tail", "-f", file));

		assert_true(wait_until(w, has_begun, p, ANSWER_MS));
		nap_us(i * 500L);
		signal_proc(p, SIGTERM);
		assert_ends(w, p, 128 + SIGTERM);
		assert_int_equal(count_processes(w, file), 0);
		assert_nothing_left(w, "shop-main");
	}
}

TEST(signal_while_the_command_starts)
{
	char *repo = repo_new(w, "shop"), *file = fmt(w, "%s/empty", w->dir);
	int i;

	caddy_mesh(w, "");
	write_text(file, "");
	for (i = 0; i < 20; i++) {
		struct proc *p = start(w, repo, ARGV(w->devmesh, "run", "tail", "-f", file));

		assert_true(wait_until(w, has_become, p, ANSWER_MS));
		signal_proc(p, SIGTERM);
		assert_ends(w, p, 128 + SIGTERM);
		assert_int_equal(count_processes(w, file), 0);
		assert_nothing_left(w, "shop-main");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(registered_server_of_ones_own_stays_registered),
	    WORLD_TEST(document_of_a_route_of_its_own_follows_commits),
	    WORLD_TEST(job_of_a_shell),
	    WORLD_TEST(job_that_was_stopped_too_late),
	    WORLD_TEST(terminal_that_stops_background_output),
	    WORLD_TEST(assert_finds_a_server_on_a_socket_of_its_own),
	    WORLD_TEST(name_is_taken_from_a_server_on_the_socket_itself),
	    WORLD_TEST(signal_while_it_registers),
	    WORLD_TEST(signal_while_the_command_starts),
	};

	return RUN_TESTS(tests);
}
