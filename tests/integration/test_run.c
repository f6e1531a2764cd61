/* SPDX-License-Identifier: MIT */
/* `devmesh run`: the URL, what is passed through, the environment, and its modes. */
#include "harness_run.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

/* `sh -c SCRIPT`, with the program as $0 and the server as $1. */
static struct result
script(struct world *w, const char *dir, const char *text)
{
	return run(w, dir, ARGV("sh", "-c", text, w->devmesh, run_server(w)));
}

TEST(url_is_printed_once_it_answers)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	struct result r;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, "delay=0.5");
	assert_string_equal(url, fmt(w, "http://shop-main.dev.test:%d", w->port));
	/* at once, and without trying again */
	assert_int_equal(fetch(w, url, NULL).status, 200);
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	assert_string_equal(read_text(w, p->out), "listening\n");
	signal_proc(p, SIGTERM);
	r = finish(w, p);
	assert_exit(w, r, 128 + SIGTERM);
	assert_string_equal(r.out, "listening\n");
	assert_nothing_left(w, "shop-main");
}

TEST(url_is_not_printed_before)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_mesh(w, "");
	p = run_bg(w, repo, ARGV("--wait=1"), ARGV("delay=600"));
	wait_said(w, p, "listens on: nothing");
	assert_null(strstr(read_text(w, p->err), "http://"));
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

TEST(json_is_one_object_on_stdout)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	struct result r;
	cJSON *o;

	caddy_mesh(w, "");
	p = run_bg(w, repo, ARGV("--json"), ARGV(NULL));
	wait_printed(w, p, "}\n");
	wait_said(w, p, "listening\n"); /* what the command prints */
	o = json_of(w, read_text(w, p->out));
	assert_string_equal(json_str(o, "url"), fmt(w, "http://shop-main.dev.test:%d", w->port));
	assert_string_equal(json_str(o, "id"), "shop-main");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(o, "bridged")));
	assert_true(cJSON_GetObjectItem(o, "server_port")->valueint > 0);
	assert_true(cJSON_GetObjectItem(o, "ready_ms")->valuedouble > 0);
	assert_int_equal(
	    cJSON_GetObjectItem(o, "pid")->valueint, pid_of_server(w, json_str(o, "url")));
	signal_proc(p, SIGINT);
	r = finish(w, p);
	assert_exit(w, r, 128 + SIGINT);
	assert_non_null(json_of(w, r.out));
	assert_nothing_left(w, "shop-main");
}

TEST(exit_code_is_the_commands)
{
	static const int codes[] = {0, 1, 2, 7, 77, 127, 128, 255};
	char *repo = repo_new(w, "shop");
	size_t i;

	caddy_mesh(w, "");
	for (i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		assert_exit(
		    w, DM(w, repo, "run", "--", "sh", "-c", fmt(w, "exit %d", codes[i])), codes[i]);
		assert_nothing_left(w, "shop-main");
	}
	assert_exit(w, DM(w, repo, "run", "sh", "-c", "kill -9 $$"), 128 + SIGKILL);
	assert_exit(w, DM(w, repo, "run", "sh", "-c", "kill -HUP $$"), 128 + SIGHUP);
	assert_nothing_left(w, "shop-main");
}

TEST(command_that_cannot_be_run)
{
	char *repo = repo_new(w, "shop"), *file = fmt(w, "%s/data", repo);

	caddy_mesh(w, "");
	assert_error(w, DM(w, repo, "run", "--", "no-such-program-x"), 3, "no-such-program-x");
	assert_nothing_left(w, "shop-main");
	assert_error(w, DM(w, repo, "run", "--", "./nowhere/x"), 3, "./nowhere/x");
	write_text(file, "data");
	assert_int_equal(chmod(file, 0644), 0);
	assert_error(w, DM(w, repo, "run", "--", "./data"), 6, "./data");
	assert_nothing_left(w, "shop-main");
	assert_error(w, DM(w, repo, "run"), 2, "no command");
	assert_error(w, DM(w, repo, "run", "--socket", "--port", "1", "x"), 2, "--socket");
	assert_error(w, DM(w, repo, "run", "--port", "0", "x"), 2, "--port");
	assert_error(w, DM(w, repo, "run", "--port", "65536", "x"), 2, "--port");
	assert_error(w, DM(w, repo, "run", "-C", "/no/such/dir", "x"), 3, "/no/such/dir");
	assert_nothing_left(w, "shop-main");
}

TEST(standard_input_is_the_commands)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	r = script(w, repo, "printf 'one\\ntwo' | \"$0\" run -- cat");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "one\ntwo");
	r = script(w, repo, "\"$0\" run -- wc -c </dev/null");
	assert_int_equal(strtol(r.out, NULL, 10), 0);
	assert_nothing_left(w, "shop-main");
}

/* A gigabyte goes past us, not through us. */
TEST(a_gigabyte_of_output)
{
	char *repo = repo_new(w, "shop");
	struct result r;
	int64_t began = now_ms(), bare, ours;
	const char *peak;

	caddy_mesh(w, "");
	assert_exit(w, script(w, repo, "yes | head -c 1000000000 | wc -c"), 0);
	bare = now_ms() - began;
	began = now_ms();
	r = script(w, repo,
	    "\"$0\" run -- sh -c 'yes | head -c 1000000000; grep VmHWM /proc/$PPID/status >&2' |"
	    " wc -c");
	ours = now_ms() - began;
	assert_exit(w, r, 0);
	assert_int_equal(strtol(r.out, NULL, 10), 1000000000);
	peak = strstr(r.err, "VmHWM:");
	assert_non_null(peak);
#ifndef __SANITIZE_ADDRESS__
	if (strtol(peak + 6, NULL, 10) > 40000)
		fail_msg("devmesh run has grown: %s", peak);
#endif
	if (ours > bare * 4 + 5000)
		fail_msg("%lld ms instead of %lld", (long long)ours, (long long)bare);
	assert_nothing_left(w, "shop-main");
}

TEST(output_is_the_same_byte_for_byte)
{
	static const char make[] = "dd if=/dev/urandom of=data bs=65536 count=160 2>/dev/null";
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	assert_exit(w, script(w, repo, make), 0);
	r = script(w, repo,
	    "\"$0\" run -- cat data >copy && cmp data copy && "
	    "\"$0\" run -- sh -c 'cat data >&2; echo last >&2' 2>copy; "
	    "head -c $(wc -c <data) copy | cmp - data && "
	    "\"$0\" run --json -- cat data 2>copy >json && cmp data copy && "
	    "grep -q '\"error\".*before it answered' json && cat data | "
	    "\"$0\" run -- cat | cmp - data && echo equal");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "equal\n");
}

/* Nobody reads any more: the command hears of it as it would without us. */
TEST(output_that_nobody_reads)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	r = script(w, repo, "{ \"$0\" run -- yes; echo $? >code; } | head -n 1; cat code");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, fmt(w, "y\n%d\n", 128 + SIGPIPE));
	assert_nothing_left(w, "shop-main");
}

TEST(command_has_no_descriptors_of_ours)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	r = DM(w, repo, "run", "--", "sh", "-c", "ls /proc/$$/fd; ulimit -n");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, script(w, repo, "ls /proc/$$/fd; ulimit -n").out);
}

TEST(switched_off)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	world_env(w, "DEVMESH", "0");
	r = DM(
	    w, repo, "run", "--", "sh", "-c", "echo \"${PORT-none} ${DEVMESH_URL-none}\"; exit 9");
	assert_exit(w, r, 9);
	assert_string_equal(r.out, "none none\n");
	assert_string_equal(r.err, "");
	assert_error(w, DM(w, repo, "run", "--", "no-such-program-x"), 3, "no-such-program-x");
	/* also where there is neither a Caddy nor a worktree */
	signal_proc(w->caddy, SIGKILL);
	assert_exit(w, DM(w, "/", "run", "-C", repo, "--", "test", "-d", ".git"), 0);
	assert_int_equal(count_claims(w), 0);
}

/* "dev": "devmesh run -- server", started by devmesh run. */
TEST(inside_another_run)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV(w->devmesh, "run", "--", w->devmesh, "run", "--", "python3", run_server(w)));
	url = run_url(w, p);
	assert_url_answers(w, url, "shop-main");
	assert_int_equal(count_claims(w), 1);
	assert_null(strstr(strstr(read_text(w, p->err), " after ") + 1, " after "));
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

/* One of another worktree is a run of its own. */
TEST(inside_a_run_of_another_worktree)
{
	char *shop = repo_new(w, "shop"), *api = repo_new(w, "api");
	struct proc *p;

	caddy_mesh(w, "");
	p = start(w, shop,
	    ARGV("sh", "-c",
		"exec \"$0\" run -- sh -c '\"$0\" run -C \"$2\" -- python3 \"$1\" &"
		" exec python3 \"$1\"' \"$0\" \"$1\" \"$2\"",
		w->devmesh, run_server(w), api));
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_answers(w, "api-main.dev.test", "api-main");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
	assert_nothing_left(w, "api-main");
}

TEST(environment_of_the_command)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	const char *port;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, NULL);
	port = env_of(w, url, "PORT");
	assert_true(strtol(port, NULL, 10) >= 20000);
	assert_string_equal(env_of(w, url, "HOST"), "127.0.0.1");
	assert_string_equal(env_of(w, url, "DEVMESH_URL"), url);
	assert_string_equal(env_of(w, url, "DEVMESH_HOST"), "shop-main.dev.test");
	assert_string_equal(env_of(w, url, "DEVMESH_DOMAIN"), "dev.test");
	assert_string_equal(env_of(w, url, "DEVMESH_ID"), "shop-main");
	assert_string_equal(env_of(w, url, "DEVMESH_WORKTREE"), repo);
	assert_string_equal(env_of(w, url, "DEVMESH_PORT"), port);
	/* not the service's own: we listen there */
	assert_string_not_equal(env_of(w, url, "DEVMESH_SOCKET"), socket_of(w, "shop-main"));
	assert_string_equal(env_of(w, url, "FORWARDED_ALLOW_IPS"), "");
	assert_string_equal(env_of(w, url, "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"), ".dev.test");
	assert_string_equal(env_of(w, url, "RAILS_DEVELOPMENT_HOSTS"), ".dev.test");
	assert_string_equal(env_of(w, url, "HOME"), w->home);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

TEST(what_the_user_has_set_stays)
{
	static const char *const names[] = {"PORT", "HOST", "RAILS_DEVELOPMENT_HOSTS", "PHX_HOST",
	    "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS", "NODE_EXTRA_CA_CERTS", "FORWARDED_ALLOW_IPS"};
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	int port = free_port(w);
	size_t i;

	caddy_mesh(w, "");
	for (i = 1; i < sizeof names / sizeof names[0]; i++)
		world_env(w, names[i], fmt(w, "mine-%zu", i));
	world_env(w, "PORT", fmt(w, "%d", port));
	world_env(w, "DEVMESH_URL", "http://stale.example");
	world_env(w, "DEVMESH_SOCKET", "/nowhere/stale.sock");
	url = RUN_URL(w, repo, &p, NULL);
	assert_non_null(strstr(read_text(w, p->err), fmt(w, "port %d", port)));
	assert_string_equal(env_of(w, url, "PORT"), fmt(w, "%d", port));
	for (i = 1; i < sizeof names / sizeof names[0]; i++)
		assert_string_equal(env_of(w, url, names[i]), fmt(w, "mine-%zu", i));
	assert_string_equal(env_of(w, url, "DEVMESH_URL"), url);
	assert_string_not_equal(env_of(w, url, "DEVMESH_SOCKET"), "/nowhere/stale.sock");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
}

/* What a build script prints, and that is all: no URL, nothing left. */
TEST(command_that_ends_at_once)
{
	char *repo = repo_new(w, "shop");
	struct result r;
	int i;

	caddy_mesh(w, "");
	for (i = 0; i < 10; i++) {
		r = DM(w, repo, "run", "--", "echo", "built");
		assert_exit(w, r, 0);
		assert_string_equal(r.out, "built\n");
		assert_null(strstr(r.err, "http"));
		assert_nothing_left(w, "shop-main");
	}
}

/* What `up` had registered stays when a run ends by itself, and goes when it is taken down. */
TEST(down_takes_back_what_was_up_before_the_run)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	up_ok(w, repo);
	url = RUN_URL(w, repo, &p, NULL);
	assert_url_answers(w, url, "shop-main");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_non_null(claim_of(w, "shop-main"));
	(void)RUN_URL(w, repo, &p, NULL);
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
	assert_int_equal(count_claims(w), 0);
}

/* By the name that was asked for, not by what else this worktree has. */
TEST(second_service_beside_one_that_is_up)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	serve_id(w, up_ok(w, repo));
	url = run_url(w, p = run_bg(w, repo, ARGV("--id", "second"), ARGV(NULL)));
	assert_string_equal(url, fmt(w, "http://second.dev.test:%d", w->port));
	assert_string_equal(fetch(w, url, NULL).body, "second");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

TEST(directory_and_names)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p, *q;

	caddy_mesh(w, "");
	p = run_bg(w, w->dir, ARGV("-C", repo, "--name", "api"), ARGV(NULL));
	url = run_url(w, p);
	assert_string_equal(id_of_url(w, url), "api-main");
	assert_string_equal(env_of(w, url, "DEVMESH_WORKTREE"), repo);
	q = run_bg(w, repo, ARGV("--id", "x-1"), ARGV(NULL));
	assert_string_equal(id_of_url(w, run_url(w, q)), "x-1");
	assert_url_answers(w, url, "api-main");
	signal_proc(p, SIGTERM);
	signal_proc(q, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_ends(w, q, 128 + SIGTERM);
	assert_nothing_left(w, "api-main");
	assert_nothing_left(w, "x-1");
}

/* With a route of its own the route goes as well. */
TEST(route_of_its_own)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_plain(w, bystanders(w, 3));
	url = RUN_URL(w, repo, &p, NULL);
	assert_url_answers(w, url, "shop-main");
	(void)route_of(w, "shop-main");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
	assert_bystanders(w, 3);
}

TEST(over_the_private_mesh)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	int https = free_port(w);

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", free_port(w)));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", https));
	snprintf(w->admin, sizeof w->admin, "unix://%.60s/admin.sock", w->state);
	snprintf(w->ca, sizeof w->ca, "%.60s/data/pki/authorities/local/root.crt", w->state);
	assert_exit(w, DM(w, NULL, "start"), 0);
	url = RUN_URL(w, repo, &p, NULL);
	assert_string_equal(url, fmt(w, "https://shop-main.dev.localhost:%d", https));
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	assert_string_equal(env_of(w, url, "NODE_EXTRA_CA_CERTS"), w->ca);
	/* Caddy goes and comes, on the same ports */
	assert_exit(w, DM(w, NULL, "stop"), 0);
	assert_int_equal(fetch(w, url, NULL).status, 0);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_url_answers(w, url, "shop-main");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
	assert_exit(w, DM(w, NULL, "stop"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(url_is_printed_once_it_answers),
	    WORLD_TEST(url_is_not_printed_before),
	    WORLD_TEST(json_is_one_object_on_stdout),
	    WORLD_TEST(exit_code_is_the_commands),
	    WORLD_TEST(command_that_cannot_be_run),
	    WORLD_TEST(standard_input_is_the_commands),
	    WORLD_TEST(a_gigabyte_of_output),
	    WORLD_TEST(output_is_the_same_byte_for_byte),
	    WORLD_TEST(output_that_nobody_reads),
	    WORLD_TEST(command_has_no_descriptors_of_ours),
	    WORLD_TEST(switched_off),
	    WORLD_TEST(inside_another_run),
	    WORLD_TEST(inside_a_run_of_another_worktree),
	    WORLD_TEST(environment_of_the_command),
	    WORLD_TEST(what_the_user_has_set_stays),
	    WORLD_TEST(command_that_ends_at_once),
	    WORLD_TEST(down_takes_back_what_was_up_before_the_run),
	    WORLD_TEST(second_service_beside_one_that_is_up),
	    WORLD_TEST(directory_and_names),
	    WORLD_TEST(route_of_its_own),
	    WORLD_TEST(over_the_private_mesh),
	};

	return RUN_TESTS(tests);
}
