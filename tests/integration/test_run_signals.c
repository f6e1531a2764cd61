/* SPDX-License-Identifier: MIT */
/* `devmesh run`: signals, what a killed run leaves, and the terminal. */
#include "harness_run.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

/* ---- signals ------------------------------------------------------------------------------- */

TEST(signals_are_passed_on)
{
	static const struct {
		int number;
		const char *name;
	} signals[] = {{SIGINT, "SIGINT\n"}, {SIGTERM, "SIGTERM\n"}, {SIGHUP, "SIGHUP\n"},
	    {SIGQUIT, "SIGQUIT\n"}};
	char *repo = repo_new(w, "shop");
	struct proc *p;
	struct result r;
	size_t i;

	caddy_mesh(w, "");
	for (i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		(void)RUN_URL(w, repo, &p, "trap=7");
		signal_proc(p, signals[i].number);
		r = finish(w, p);
		assert_exit(w, r, 7);
		assert_string_equal(r.out, fmt(w, "listening\n%s", signals[i].name));
		assert_nothing_left(w, "shop-main");
	}
}

/* nohup(1) means the server as well. */
TEST(ignored_hangup_stays_ignored)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV("sh", "-c", "trap '' HUP; exec \"$0\" run -- python3 \"$1\"", w->devmesh,
		run_server(w)));
	url = run_url(w, p);
	signal_proc(p, SIGHUP);
	kill((pid_t)pid_of_server(w, url), SIGHUP);
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

TEST(what_ignores_signals_is_killed_in_time)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	int64_t began;

	caddy_mesh(w, "");
	(void)RUN_URL(w, repo, &p, "ignore");
	began = now_ms();
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGKILL);
	assert_true(now_ms() - began >= 9500);
	assert_nothing_left(w, "shop-main");
}

static bool
ends_when_signalled(struct world *w, const void *arg)
{
	struct proc *p;

	(void)w;
	memcpy(&p, arg, sizeof p);
	for (int i = 0; i < 100; i++) {
		signal_proc(p, SIGINT); /* also while it cleans up */
		nap_us(500);
	}
	return p->ended;
}

TEST(impatience_kills)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	int64_t began;

	caddy_mesh(w, "");
	(void)RUN_URL(w, repo, &p, "ignore");
	began = now_ms();
	assert_true(wait_until(w, ends_when_signalled, &p, ANSWER_MS));
	assert_true(now_ms() - began < 8000);
	assert_ends(w, p, 128 + SIGKILL);
	assert_nothing_left(w, "shop-main");
}

static bool
ends_by_quit(struct world *w, const void *arg)
{
	struct proc *p;

	(void)w;
	memcpy(&p, arg, sizeof p);
	signal_proc(p, SIGQUIT);
	return p->ended;
}

/* Where Caddy keeps it waiting for a minute, one signal does not wait. */
TEST(quit_ends_the_clean_up)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_plain(w, bystanders(w, 1));
	(void)RUN_URL(w, repo, &p, NULL);
	signal_proc(w->caddy, SIGSTOP);
	signal_proc(p, SIGTERM);
	wait_servers(w, 0);
	assert_true(wait_until(w, ends_by_quit, &p, ANSWER_MS));
	assert_ends(w, p, 128 + SIGQUIT);
	signal_proc(w->caddy, SIGCONT);
	assert_non_null(claim_of(w, "shop-main"));
	assert_exit(w, DM(w, repo, "gc"), 0);
	assert_nothing_left(w, "shop-main");
}

/*
 * timeout(1) signals its child, and then the group that the child is in: one wish, heard twice. The
 * server still has the time that it needs.
 */
TEST(one_wish_may_come_twice)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	struct result r;

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV("timeout", "600", w->devmesh, "run", "--", "sh", "-c",
		"trap 'sleep 0.7; echo saved; exit 5' TERM; python3 \"$0\" & wait", run_server(w)));
	(void)run_url(w, p);
	signal_proc(p, SIGTERM);
	nap_us(30000);
	kill(-p->pid, SIGTERM);
	r = finish(w, p);
	assert_non_null(strstr(r.out, "saved\n"));
	wait_gone(w, socket_of(w, "shop-main"));
	wait_servers(w, 0);
}

/* ---- after SIGKILL ------------------------------------------------------------------------- */

/* A server in the group, one in a session of its own, and the run of another worktree beside. */
static struct proc *
kill_a_run(struct world *w, const char *shop, const char *other, char **url)
{
	struct proc *p, *q;

	caddy_mesh(w, "");
	p = start(w, shop,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"python3 \"$0\" daemon \"$1\" delay=0.2; exec python3 \"$0\"", run_server(w),
		fmt(w, "listen=127.0.0.1,%d", free_port(w))));
	*url = RUN_URL(w, other, &q, NULL);
	(void)run_url(w, p);
	wait_servers(w, 3);
	end_proc(w, p);
	assert_int_equal(count_servers(w), 3);
	return q;
}

/* The other one has not noticed anything. */
static void
other_is_well(struct world *w, struct proc *q, const char *url, long pid)
{
	assert_int_equal(pid_of_server(w, url), pid);
	signal_proc(q, SIGTERM);
	assert_ends(w, q, 128 + SIGTERM);
	assert_nothing_left(w, "other-main");
}

TEST(killed_and_then_up)
{
	char *shop = repo_new(w, "shop"), *other = repo_new(w, "other"), *url;
	struct proc *q = kill_a_run(w, shop, other, &url);
	long pid = pid_of_server(w, url);

	assert_exit(w, DM(w, shop, "up"), 0);
	wait_servers(w, 1);
	assert_false(exists(socket_of(w, "shop-main")));
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	other_is_well(w, q, url, pid);
}

TEST(killed_and_then_run)
{
	char *shop = repo_new(w, "shop"), *other = repo_new(w, "other"), *url;
	struct proc *q = kill_a_run(w, shop, other, &url), *p;
	long pid = pid_of_server(w, url);

	(void)RUN_URL(w, shop, &p, NULL);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	wait_servers(w, 2);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	other_is_well(w, q, url, pid);
	assert_nothing_left(w, "shop-main");
}

TEST(killed_and_then_down)
{
	char *shop = repo_new(w, "shop"), *other = repo_new(w, "other"), *url;
	struct proc *q = kill_a_run(w, shop, other, &url);
	long pid = pid_of_server(w, url);

	assert_exit(w, DM(w, shop, "down"), 0);
	other_is_well(w, q, url, pid);
	assert_nothing_left(w, "shop-main");
}

TEST(killed_and_then_gc)
{
	char *shop = repo_new(w, "shop"), *other = repo_new(w, "other"), *url;
	struct proc *q = kill_a_run(w, shop, other, &url);
	long pid = pid_of_server(w, url);

	assert_exit(w, DM(w, other, "gc", "--dry-run"), 0);
	assert_int_equal(count_servers(w), 3);
	assert_exit(w, DM(w, other, "gc"), 0);
	other_is_well(w, q, url, pid);
	assert_nothing_left(w, "shop-main");
}

/* ---- the terminal -------------------------------------------------------------------------- */

TEST(command_has_the_terminal)
{
	char *repo = repo_new(w, "shop");
	struct terminal *t;

	caddy_mesh(w, "");
	t = open_terminal(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"test -t 0 && test -t 1 && test -t 2 && echo ask; read x; echo got-$x; stty size"));
	wait_shown(w, t, "ask");
	type(t, "hello\n");
	wait_shown(w, t, "got-hello");
	wait_shown(w, t, "50 200");
	assert_ends(w, t->p, 0);
	assert_nothing_left(w, "shop-main");
}

TEST(control_c_reaches_the_command)
{
	char *repo = repo_new(w, "shop");
	struct terminal *t;

	caddy_mesh(w, "");
	t = open_terminal(
	    w, repo, ARGV(w->devmesh, "run", "--", "python3", run_server(w), "trap=9"));
	wait_shown(w, t, " after ");
	type(t, "\003");
	wait_shown(w, t, "SIGINT");
	assert_ends(w, t->p, 9);
	assert_nothing_left(w, "shop-main");
}

TEST(terminal_goes_away)
{
	char *repo = repo_new(w, "shop");
	struct terminal *t;

	caddy_mesh(w, "");
	t = open_terminal(w, repo, ARGV(w->devmesh, "run", "--", "python3", run_server(w)));
	wait_shown(w, t, " after ");
	close(t->fd);
	t->fd = -1;
	assert_ends(w, t->p, 128 + SIGHUP);
	assert_nothing_left(w, "shop-main");
}

TEST(command_closes_its_terminal)
{
	char *repo = repo_new(w, "shop");
	struct terminal *t;

	caddy_mesh(w, "");
	t = open_terminal(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c", "exec setsid python3 \"$0\" <&- >&- 2>&-",
		run_server(w)));
	wait_shown(w, t, " after ");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	type(t, "\003");
	(void)finish(w, t->p);
	assert_nothing_left(w, "shop-main");
}

/* The next program finds the terminal as it was before. */
TEST(modes_are_put_back)
{
	char *repo = repo_new(w, "shop");
	struct terminal *t;
	const char *modes;

	caddy_mesh(w, "");
	t = open_terminal(w, repo,
	    ARGV("sh", "-c",
		"\"$0\" run -- python3 \"$1\" raw; echo code-$?; stty -a; echo the-end", w->devmesh,
		run_server(w)));
	wait_shown(w, t, " after ");
	kill((pid_t)pid_of_server(w, fmt(w, "http://shop-main.dev.test:%d", w->port)), SIGKILL);
	wait_shown(w, t, "code-137");
	modes = t->text + t->seen;
	wait_shown(w, t, "the-end");
	assert_non_null(strstr(modes, "icanon"));
	assert_null(strstr(modes, "-icanon"));
	assert_null(strstr(modes, "-isig"));
	assert_null(strstr(modes, "-echo "));
	assert_ends(w, t->p, 0);
}

/* ---- job control --------------------------------------------------------------------------- */

/* A shell in which the command line has been typed, and its server answers. */
static struct terminal *
shell_running(struct world *w, const char *line)
{
	char *repo = repo_new(w, "shop");
	struct terminal *t;

	caddy_mesh(w, "");
	world_env(w, "D", w->devmesh);
	world_env(w, "S", run_server(w));
	world_env(w, "PS1", "ready> ");
	t = open_terminal(w, repo, ARGV("bash", "--norc", "--noprofile", "-i"));
	wait_shown(w, t, "ready> ");
	type(t, line);
	wait_shown(w, t, " after ");
	return t;
}

static char *
shop_url(struct world *w)
{
	return fmt(w, "http://shop-main.dev.test:%d", w->port);
}

static char
state_of(struct world *w, long pid)
{
	const char *stat = read_text(w, fmt(w, "/proc/%ld/stat", pid));
	const char *name = stat != NULL ? strrchr(stat, ')') : NULL;

	return (char)(name != NULL && strlen(name) > 2 ? name[2] : '-');
}

struct state {
	long pid;
	bool stopped;
};

static bool
is_in_state(struct world *w, const void *arg)
{
	const struct state *s = arg;

	return (state_of(w, s->pid) == 'T') == s->stopped;
}

static void
wait_stopped(struct world *w, long pid, bool stopped)
{
	assert_true(wait_until(w, is_in_state, &(struct state){pid, stopped}, ANSWER_MS));
}

/* The shell answers, and has the terminal. */
static void
shell_is_well(struct world *w, struct terminal *t)
{
	type(t, "echo well-$((20+3))\n");
	wait_shown(w, t, "well-23");
	assert_int_equal(tcgetpgrp(t->fd), t->p->pid);
}

static void
leave_shell(struct world *w, struct terminal *t)
{
	type(t, "exit 0\n");
	assert_ends(w, t->p, 0);
	assert_nothing_left(w, "shop-main");
}

TEST(control_z_and_fg)
{
	struct terminal *t = shell_running(w, "$D run -- python3 $S\n");
	long server = pid_of_server(w, shop_url(w));
	int i;

	for (i = 0; i < 3; i++) {
		type(t, "\032");
		wait_shown(w, t, "Stopped");
		wait_stopped(w, server, true);
		shell_is_well(w, t);
		type(t, "fg\n");
		wait_stopped(w, server, false);
		assert_answers(w, "shop-main.dev.test", "shop-main");
	}
	type(t, "\003");
	type(t, "echo code-$?\n");
	wait_shown(w, t, "code-130");
	shell_is_well(w, t);
	leave_shell(w, t);
}

TEST(control_z_and_bg)
{
	struct terminal *t = shell_running(w, "$D run -- python3 $S\n");
	long server = pid_of_server(w, shop_url(w));

	type(t, "\032");
	wait_shown(w, t, "Stopped");
	type(t, "bg\n");
	wait_stopped(w, server, false);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	shell_is_well(w, t);
	/* it ends in the background: the terminal is the shell's, and stays so */
	kill((pid_t)server, SIGKILL);
	wait_gone(w, socket_of(w, "shop-main"));
	wait_processes(w, fmt(w, "run -- python3 %s", run_server(w)), 0);
	shell_is_well(w, t);
	type(t, "\n");
	leave_shell(w, t);
}

TEST(back_to_the_foreground)
{
	struct terminal *t = shell_running(w, "$D run -- python3 $S trap=9\n");
	long server = pid_of_server(w, shop_url(w));

	type(t, "\032");
	wait_shown(w, t, "Stopped");
	type(t, "bg\n");
	wait_stopped(w, server, false);
	shell_is_well(w, t);
	type(t, "fg\n");
	wait_shown(w, t, "run -- python3"); /* the shell says what it brings back */
	assert_answers(w, "shop-main.dev.test", "shop-main");
	type(t, "\003");
	wait_shown(w, t, "SIGINT");
	shell_is_well(w, t);
	leave_shell(w, t);
}

/* "npm run dev": the job is more than us, and all of it stops. */
TEST(control_z_of_a_script)
{
	struct terminal *t = shell_running(w, "sh -c '$D run -- python3 $S; true'\n");
	long server = pid_of_server(w, shop_url(w));

	type(t, "\032");
	wait_shown(w, t, "Stopped");
	wait_stopped(w, server, true);
	shell_is_well(w, t);
	type(t, "fg\n");
	wait_stopped(w, server, false);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	type(t, "\003");
	shell_is_well(w, t);
	leave_shell(w, t);
}

/* What we say, we say from behind: a terminal may stop those who do. */
TEST(terminal_that_stops_background_output)
{
	struct terminal *t = shell_running(w, "stty tostop; $D run -- python3 $S\n");

	assert_answers(w, "shop-main.dev.test", "shop-main");
	type(t, "\003");
	shell_is_well(w, t);
	leave_shell(w, t);
}

/* Started in the background, it leaves the terminal to the shell. */
TEST(started_in_the_background)
{
	struct terminal *t = shell_running(w, "$D run -- python3 $S &\n");

	shell_is_well(w, t);
	type(t, "kill %1; wait %1; echo code-$?\n");
	wait_shown(w, t, "code-143");
	shell_is_well(w, t);
	leave_shell(w, t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(signals_are_passed_on),
	    WORLD_TEST(ignored_hangup_stays_ignored),
	    WORLD_TEST(what_ignores_signals_is_killed_in_time),
	    WORLD_TEST(impatience_kills),
	    WORLD_TEST(quit_ends_the_clean_up),
	    WORLD_TEST(one_wish_may_come_twice),
	    WORLD_TEST(killed_and_then_up),
	    WORLD_TEST(killed_and_then_run),
	    WORLD_TEST(killed_and_then_down),
	    WORLD_TEST(killed_and_then_gc),
	    WORLD_TEST(command_has_the_terminal),
	    WORLD_TEST(control_c_reaches_the_command),
	    WORLD_TEST(terminal_goes_away),
	    WORLD_TEST(command_closes_its_terminal),
	    WORLD_TEST(modes_are_put_back),
	    WORLD_TEST(control_z_and_fg),
	    WORLD_TEST(control_z_and_bg),
	    WORLD_TEST(back_to_the_foreground),
	    WORLD_TEST(control_z_of_a_script),
	    WORLD_TEST(terminal_that_stops_background_output),
	    WORLD_TEST(started_in_the_background),
	};

	return RUN_TESTS(tests);
}
