/* SPDX-License-Identifier: MIT */
/* What services write: kept by `devmesh run`, shown by `devmesh logs` and the daemon. */
#include "harness_api.h"
#include "harness_run.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *
logs(struct world *w, const char *dir, const char *const *args)
{
	const char *argv[8] = {w->devmesh, "logs"};

	for (int i = 0; args[i] != NULL; i++)
		argv[i + 2] = args[i];
	return run_ok(w, dir, argv).out;
}

/* Runs a shell script under devmesh run until it ends. */
static void
run_script(struct world *w, const char *dir, const char *script)
{
	(void)DM(w, dir, "run", "--", "sh", "-c", script);
}

TEST(output_is_kept_and_shown)
{
	char *repo = repo_new(w, "shop");
	const char *out;

	caddy_mesh(w, "");
	run_script(w, repo,
	    "printf 'one\\n\\033[31mred\\033[0m\\033]0;title\\007\\n'; echo oops >&2; sleep 0.1; "
	    "printf unended; exit 3");
	out = logs(w, repo, ARGV(NULL));
	assert_non_null(strstr(out, "-- starting sh -c "));
	assert_non_null(strstr(out, "\none\nred\n"));
	assert_non_null(strstr(out, "\noops\n"));
	assert_non_null(strstr(out, "unended\n-- ended with status 3\n"));
	/* by its name from anywhere, and only as much as is wanted */
	assert_string_equal(
	    logs(w, w->dir, ARGV("shop-main", "-n", "1")), "-- ended with status 3\n");
	/* the next run is added */
	run_script(w, repo, "echo again; kill -9 $$");
	assert_non_null(strstr(logs(w, repo, ARGV(NULL)), "\none\n"));
	assert_string_equal(logs(w, repo, ARGV("-n", "2")), "again\n-- ended by signal 9\n");
}

TEST(of_all_services_by_time)
{
	char *shop = repo_new(w, "shop"), *blog = repo_new(w, "blog");
	const char *out, *first, *second, *third;

	caddy_mesh(w, "");
	run_script(w, shop, "echo first");
	run_script(w, blog, "echo second");
	run_script(w, shop, "echo third");
	out = logs(w, w->dir, ARGV("--all"));
	first = strstr(out, "shop-main                | first\n");
	second = strstr(out, "blog-main                | second\n");
	third = strstr(out, "shop-main                | third\n");
	assert_true(first != NULL && first < second && second < third);
	out = logs(w, w->dir, ARGV("--all", "--json", "-n", "1"));
	assert_string_equal(json_str(json_of(w, out), "text"), "ended with status 0");
	assert_string_equal(json_str(json_of(w, out), "stream"), "note");
	assert_exit(w, DM(w, shop, "logs", "--all", "shop-main"), 2);
	assert_exit(w, DM(w, shop, "logs", "-n", "0"), 2);
}

TEST(nothing_is_kept_of_what_devmesh_has_not_started)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	(void)up_ok(w, repo);
	r = DM(w, repo, "logs");
	assert_exit(w, r, 3);
	assert_non_null(strstr(r.err, "no output of shop-main is kept"));
	assert_non_null(strstr(r.err, "devmesh run"));
	assert_string_equal(logs(w, repo, ARGV("--all")), "");
	assert_exit(w, DM(w, repo, "logs", "../../etc/passwd"), 2);
}

TEST(it_can_be_followed)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *viewer, *server;

	caddy_mesh(w, "");
	/* before there is any */
	viewer = start(w, repo, ARGV(w->devmesh, "logs", "-f"));
	url = RUN_URL(w, repo, &server, "trap=7");
	assert_non_null(url);
	wait_printed(w, viewer, "listening\n");
	wait_printed(w, viewer, "-- http://shop-main.");
	signal_proc(server, SIGTERM);
	assert_ends(w, server, 7);
	wait_printed(w, viewer, "SIGTERM\n-- ended with status 7\n");
	/* over a restart */
	run_script(w, repo, "echo anew");
	wait_printed(w, viewer, "\nanew\n");
	signal_proc(viewer, SIGTERM);
	(void)finish(w, viewer);
}

TEST(without_a_ring_the_streams_are_its_own)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	r = run(w, repo,
	    ARGV("env", "DEVMESH_RUN_LOG_KB=0", w->devmesh, "run", "--", "readlink",
		"/proc/self/fd/1"));
	assert_exit(w, r, 0);
	assert_null(strstr(r.out, "pipe:"));
	assert_exit(w, DM(w, repo, "logs"), 3);
}

/* What has a terminal goes on to have one, of the same size, and hears when that changes. */
TEST(on_a_terminal_it_has_one)
{
	char *repo = repo_new(w, "shop");
	struct winsize size = {.ws_row = 33, .ws_col = 111};
	struct terminal *t;

	caddy_mesh(w, "");
	t = open_terminal(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"trap 'stty size <&1' WINCH; test -t 1 && test -t 2 && stty size <&1; "
		"echo ready; while :; do sleep 0.05; done"));
	wait_shown(w, t, "50 200");
	wait_shown(w, t, "ready");
	assert_int_equal(ioctl(t->fd, TIOCSWINSZ, &size), 0);
	wait_shown(w, t, "33 111");
	signal_proc(t->p, SIGTERM);
	assert_ends(w, t->p, 128 + SIGTERM);
	assert_non_null(strstr(logs(w, repo, ARGV(NULL)), "\n50 200\nready\n"));
}

/* A terminal on which nobody presses Ctrl-Q must not keep the command from being ended. */
TEST(a_terminal_that_is_stopped_keeps_nothing_up)
{
	char *repo = repo_new(w, "shop");
	struct terminal *t;

	caddy_mesh(w, "");
	t = open_terminal(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c", "echo ready; read x; yes a line of many"));
	wait_shown(w, t, "ready");
	type(t, "\x13\n"); /* Ctrl-S */
	wait_processes(w, "yes a line of many", 3);
	signal_proc(t->p, SIGTERM);
	assert_ends(w, t->p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

/* A disk that is full takes lines, and nothing else. */
TEST(a_full_disk_stops_nobody)
{
	char *repo = repo_new(w, "shop"), *logs_dir = fmt(w, "%s/logs", w->state);
	struct result r;

	if (geteuid() != 0)
		skip(); /* only root can make a small disk */
	caddy_mesh(w, "");
	run_ok(w, w->dir, ARGV("mkdir", "-p", logs_dir));
	run_ok(
	    w, w->dir, ARGV("mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", logs_dir));
	r = DM(w, repo, "run", "--", "sh", "-c",
	    "i=0; while [ $i -lt 20000 ]; do echo a line that fills the disk $i; i=$((i+1)); done; "
	    "sleep 0.5; echo the end");
	run_ok(w, w->dir, ARGV("umount", logs_dir));
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "the disk 19999\n"));
	assert_non_null(strstr(r.out, "the end\n"));
	assert_non_null(strstr(r.err, "lines of its output are lost"));
}

/* ---- by the daemon ------------------------------------------------------------------------ */

TEST(only_who_may_change_reads_it)
{
	char *repo = repo_new(w, "shop");
	const cJSON *lines;
	struct reply r;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	run_script(w, repo, "echo a secret of mine; printf '<b>\\033[1mbold\\033[0m\\n'");
	r = api(w, "GET", "/api/v1/services/shop-main/logs", NULL, NULL);
	assert_int_equal(r.status, 403);
	assert_null(strstr(r.body, "secret"));
	assert_int_equal(api(w, "GET", "/api/v1/logs", NULL, NULL).status, 403);
	r = api_get_private(w, "/api/v1/services/shop-main/logs?lines=2");
	assert_int_equal(r.status, 200);
	lines = cJSON_GetObjectItem(json_of(w, r.body), "lines");
	assert_int_equal(cJSON_GetArraySize(lines), 2);
	assert_string_equal(
	    json_str(cJSON_GetArrayItem(lines, 0), "text"), "<b>\x1b[1mbold\x1b[0m");
	assert_non_null(strstr(api_get_private(w, "/api/v1/logs").body, "a secret of mine"));
	assert_int_equal(api_get_private(w, "/api/v1/services/nobody/logs").status, 404);
	assert_int_equal(api_get_private(w, "/api/v1/logs?lines=x").status, 400);
	assert_int_equal(api_get_private(w, "/api/v1/logs?wait=21").status, 400);
}

TEST(who_waits_hears_of_it)
{
	char *repo = repo_new(w, "shop");
	const cJSON *lines;
	int64_t began;
	struct reply r;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	run_script(w, repo, "echo one");
	(void)start(
	    w, repo, ARGV("sh", "-c", "sleep 0.5; exec \"$0\" run -- echo two", w->devmesh));
	began = now_ms();
	/* one, and what was said of it */
	r = api_get_private(w, "/api/v1/services/shop-main/logs?after=3&wait=20");
	assert_int_equal(r.status, 200);
	assert_true(now_ms() - began < 15000);
	lines = cJSON_GetObjectItem(json_of(w, r.body), "lines");
	assert_true(cJSON_GetArraySize(lines) >= 1);
	assert_non_null(
	    strstr(json_str(cJSON_GetArrayItem(lines, 0), "text"), "starting echo two"));
	/* and is let go when it ends meanwhile */
	r = api_get_private(w, "/api/v1/services/shop-main/logs?after=1000&wait=1");
	assert_int_equal(r.status, 200);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json_of(w, r.body), "lines")), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(output_is_kept_and_shown),
	    WORLD_TEST(of_all_services_by_time),
	    WORLD_TEST(nothing_is_kept_of_what_devmesh_has_not_started),
	    WORLD_TEST(it_can_be_followed),
	    WORLD_TEST(without_a_ring_the_streams_are_its_own),
	    WORLD_TEST(on_a_terminal_it_has_one),
	    WORLD_TEST(a_terminal_that_is_stopped_keeps_nothing_up),
	    WORLD_TEST(a_full_disk_stops_nobody),
	    WORLD_TEST(only_who_may_change_reads_it),
	    WORLD_TEST(who_waits_hears_of_it),
	};

	(void)argc;
	(void)argv;
	return RUN_TESTS(tests);
}
