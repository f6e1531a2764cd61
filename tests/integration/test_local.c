/* SPDX-License-Identifier: MIT */
/*
 * The private mesh: start, stop, its page for what does not run, its certificates, and the truth
 * about why it cannot start. No Caddy is configured here; devmesh runs its own.
 */
#include "harness_net.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct local {
	int http, https;
};

/* An environment in which only the private mesh is to be found. */
static struct local
local_setup(struct world *w)
{
	struct local l = {free_port(w), free_port(w)};

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", l.http));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", l.https));
	snprintf(w->admin, sizeof w->admin, "unix://%.60s/admin.sock", w->state);
	snprintf(w->ca, sizeof w->ca, "%.60s/data/pki/authorities/local/root.crt", w->state);
	return l;
}

static struct local
local_start(struct world *w)
{
	struct local l = local_setup(w);

	assert_exit(w, DM(w, NULL, "start"), 0);
	return l;
}

/* The pid of the Caddy that runs on our state directory: 0 for none, -1 for several. */
static pid_t
private_caddy(struct world *w)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	char path[300], args[4096];
	ssize_t n;
	int fd;
	pid_t pid, found = 0;

	reap(w);
	if (d == NULL)
		world_skip(w, "no /proc to find processes in");
	while ((e = readdir(d)) != NULL) {
		pid = (pid_t)strtol(e->d_name, NULL, 10);
		snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
		if (pid <= 0 || (fd = open(path, O_RDONLY)) < 0)
			continue;
		n = read(fd, args, sizeof args - 1);
		close(fd);
		for (ssize_t i = 0; i < n; i++)
			args[i] = args[i] == '\0' ? ' ' : args[i];
		args[n > 0 ? n : 0] = '\0';
		if (strstr(args, "caddy") != NULL && strstr(args, " run") != NULL &&
		    strstr(args, w->state) != NULL)
			found = found == 0 ? pid : -1;
	}
	closedir(d);
	return found;
}

TEST(start_up_and_the_url_answers)
{
	char *repo = repo_new(w, "shop"), *url;
	struct local l = local_start(w);
	struct result r;

	r = DM(w, repo, "up");
	assert_exit(w, r, 0);
	url = line_of(w, r);
	assert_string_equal(url, fmt(w, "https://shop-main.dev.localhost:%d", l.https));
	serve_id(w, "shop-main");
	assert_url_answers(w, url, "shop-main"); /* with the certificate checked */
	assert_url_answers(w, fmt(w, "https://shop.dev.localhost:%d", l.https), "shop-main");
	assert_int_equal(count_routes(w, "shop-main"), 0); /* no write was needed */
}

/* Each time with a new CA: nothing that Caddy does at its first start may race. */
TEST(first_start_serves_every_time)
{
	char *repo = repo_new(w, "shop"), *url;
	int i;

	local_setup(w);
	serve_id(w, "shop-main");
	for (i = 0; i < 15; i++) {
		assert_exit(w, DM(w, NULL, "start"), 0);
		url = line_of(w, DM(w, repo, "up"));
		assert_url_answers(w, url, "shop-main");
		assert_exit(w, DM(w, NULL, "stop"), 0);
		remove_tree(w->state);
	}
}

TEST(plain_http_leads_there_too)
{
	char *repo = repo_new(w, "shop");
	struct local l = local_start(w);
	struct reply r;
	const char *to;

	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_url_answers(w, fmt(w, "https://shop-main.dev.localhost:%d/", l.https), "shop-main");
	r = fetch(w, fmt(w, "http://shop-main.dev.localhost:%d/a?b=c", l.http), NULL);
	assert_true(r.status >= 301 && r.status <= 308);
	to = reply_header(w, r, "Location");
	assert_non_null(to);
	assert_string_equal(to, fmt(w, "https://shop-main.dev.localhost:%d/a?b=c", l.https));
}

TEST(page_for_what_does_not_run)
{
	char *repo = repo_new(w, "shop"), *url, *sock;
	struct local l = local_start(w);
	struct reply r;

	(void)l;
	url = line_of(w, DM(w, repo, "up"));
	sock = fmt(w, "%s/shop-main.sock", w->sockets);
	r = fetch(w, url, NULL);
	assert_int_equal(r.status, 503);
	assert_non_null(reply_header(w, r, "X-Devmesh-State"));
	assert_string_equal(reply_header(w, r, "X-Devmesh-State"), "not-running");
	assert_non_null(reply_header(w, r, "Content-Type"));
	assert_non_null(strstr(reply_header(w, r, "Content-Type"), "text/plain"));
	assert_non_null(strstr(r.body, "shop-main"));
	assert_non_null(strstr(r.body, sock)); /* where the server has to listen */
	r = fetch(w, url, ARGV("Accept: text/html,application/xhtml+xml"));
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(reply_header(w, r, "Content-Type"), "text/html"));
	assert_non_null(strstr(r.body, "shop-main"));
	/* The same for the socket that a killed server left. */
	end_proc(w, serve_id(w, "shop-main"));
	r = fetch(w, url, NULL);
	assert_int_equal(r.status, 503);
	assert_string_equal(reply_header(w, r, "X-Devmesh-State"), "not-running");
}

TEST(page_escapes_what_it_shows)
{
	struct local l = local_start(w);
	struct reply r;

	r = fetch(w, fmt(w, "https://x.dev.localhost:%d/<script>alert(1)</script>", l.https),
	    ARGV("Accept: text/html"));
	assert_true(r.status == 404 || r.status == 503);
	assert_null(strstr(r.body, "<script>alert"));
	r = fetch(w, fmt(w, "https://x.dev.localhost:%d/", l.https),
	    ARGV("Accept: text/html", "Host: a<b>.dev.localhost"));
	assert_true(r.status >= 400 && r.status < 600);
	assert_null(strstr(r.body, "a<b>"));
}

TEST(unknown_names_are_never_a_blank_200)
{
	struct local l = local_start(w);
	struct reply r;

	r = fetch(w, fmt(w, "https://nobody.dev.localhost:%d/", l.https), NULL);
	assert_true(r.status == 404 || r.status == 503);
	assert_string_not_equal(r.body, "");
	r = fetch(w, fmt(w, "https://nobody.dev.localhost:%d/", l.https),
	    ARGV("Host: elsewhere.example"));
	assert_int_equal(r.status, 404);
	r = http_get(w, l.http, "elsewhere.example", "/");
	assert_int_equal(r.status, 404);
}

TEST(label_cannot_leave_the_directory)
{
	char *outside = fmt(w, "%s/outside.sock", w->dir);
	struct local l = local_start(w);
	struct reply r;
	size_t i;
	static const char *const hosts[] = {"..%2foutside.dev.localhost",
	    "%2e%2e/outside.dev.localhost", "../outside.dev.localhost",
	    "a/../../outside.dev.localhost", ".dev.localhost",
	    "{http.request.uri.path}.dev.localhost"};

	serve_unix(w, outside, "outside");
	for (i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		r = fetch(w, fmt(w, "https://x.dev.localhost:%d/../outside", l.https),
		    ARGV(fmt(w, "Host: %s", hosts[i])));
		assert_int_not_equal(r.status, 200);
		assert_null(strstr(r.body, "outside\n"));
	}
}

TEST(tcp_upstream_in_the_private_mesh)
{
	char *repo = repo_new(w, "shop"), *url;
	struct result r;
	int port;

	local_start(w);
	serve_tcp(w, 200, "by tcp", &port);
	r = DM(w, repo, "up", "--port", fmt(w, "%d", port));
	assert_exit(w, r, 0);
	url = line_of(w, r);
	assert_url_answers(w, url, "by tcp");
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 0);
}

TEST(start_twice_is_harmless)
{
	char *repo = repo_new(w, "shop"), *url;
	pid_t pid;

	local_start(w);
	pid = private_caddy(w);
	assert_true(pid > 0);
	assert_int_not_equal(getsid(pid), getsid(0)); /* a closed terminal does not end it */
	url = line_of(w, DM(w, repo, "up"));
	serve_id(w, "shop-main");
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_int_equal(private_caddy(w), pid);
	assert_url_answers(w, url, "shop-main");
}

TEST(five_starts_at_once_are_one)
{
	struct proc *p[5];
	char *repo = repo_new(w, "shop");
	int i;

	local_setup(w);
	for (i = 0; i < 5; i++)
		p[i] = DM_BG(w, NULL, "start");
	for (i = 0; i < 5; i++)
		assert_exit(w, finish(w, p[i]), 0);
	assert_true(private_caddy(w) > 0);
	up_ok(w, repo);
}

TEST(stop_ends_it_and_only_it)
{
	char *other = fmt(w, "unix://%s/other.sock", w->dir), *mine = NULL;
	struct local l;

	snprintf(w->admin, sizeof w->admin, "%s", other);
	caddy_plain(w, bystanders(w, 1));
	l = local_start(w);
	mine = fmt(w, "%s", w->admin);
	assert_true(private_caddy(w) > 0);
	assert_exit(w, DM(w, NULL, "stop"), 0);
	assert_int_equal(private_caddy(w), 0);
	assert_int_equal(http_get(w, l.http, "x.dev.localhost", "/").status, 0);
	assert_int_equal(admin(w, "GET", "/config/", NULL).status, 0);
	snprintf(w->admin, sizeof w->admin, "%s", other);
	assert_bystanders(w, 1);
	/* Stopping what does not run hurts nobody either. */
	DM(w, NULL, "stop");
	assert_bystanders(w, 1);
	snprintf(w->admin, sizeof w->admin, "%s", mine);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_true(private_caddy(w) > 0);
}

TEST(certificates_survive_a_restart)
{
	char *repo = repo_new(w, "shop"), *url, *root;

	local_start(w);
	url = line_of(w, DM(w, repo, "up"));
	serve_id(w, "shop-main");
	assert_url_answers(w, url, "shop-main");
	root = read_text(w, w->ca);
	assert_non_null(root);
	assert_exit(w, DM(w, NULL, "stop"), 0);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_string_equal(read_text(w, w->ca), root);
	assert_url_answers(w, url, "shop-main");
	assert_string_equal(line_of(w, DM(w, repo, "up")), url);
}

TEST(killed_caddy_is_started_again)
{
	char *repo = repo_new(w, "shop"), *url;
	pid_t pid;

	local_start(w);
	url = line_of(w, DM(w, repo, "up"));
	serve_id(w, "shop-main");
	pid = private_caddy(w);
	assert_true(pid > 0);
	kill(pid, SIGKILL);
	while (private_caddy(w) == pid)
		nap_us(1000);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_true(private_caddy(w) > 0);
	assert_url_answers(w, url, "shop-main");
}

TEST(taken_port_is_named)
{
	int port;

	local_setup(w);
	serve_tcp(w, 200, "first", &port);
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", port));
	assert_error(w, DM(w, NULL, "start"), ANY_ERROR, fmt(w, "%d", port));
	assert_int_equal(private_caddy(w), 0);
	assert_string_equal(http_get(w, port, "x", "/").body, "first");
}

/* Two Caddys would share the port without an error and answer in turn. */
TEST(port_taken_by_another_caddy_is_named)
{
	snprintf(w->admin, sizeof w->admin, "unix://%.40s/other.sock", w->dir);
	caddy_plain(w, bystanders(w, 1));
	local_setup(w);
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", w->port));
	assert_error(w, DM(w, NULL, "start"), ANY_ERROR, fmt(w, "%d", w->port));
	assert_int_equal(private_caddy(w), 0);
}

TEST(missing_caddy_is_said)
{
	local_setup(w);
	world_env(w, "DEVMESH_LOCAL_CADDY", "/nonexistent/caddy");
	assert_error(w, DM(w, NULL, "start"), ANY_ERROR, "/nonexistent/caddy");
	assert_non_null(strstr(w->last_err, "\n  try: "));
	world_env(w, "DEVMESH_LOCAL_CADDY", "no-such-caddy");
	assert_error(w, DM(w, NULL, "start"), ANY_ERROR, "no-such-caddy");
}

TEST(caddy_that_ends_at_once_is_said)
{
	local_setup(w);
	world_env(w, "DEVMESH_LOCAL_CADDY", "/bin/false");
	assert_error(w, DM(w, NULL, "start"), ANY_ERROR, NULL);
	/* And the next attempt with a real one works. */
	world_env(w, "DEVMESH_LOCAL_CADDY", NULL);
	assert_exit(w, DM(w, NULL, "start"), 0);
}

TEST(state_that_cannot_be_written_is_said)
{
	local_setup(w);
	write_text(fmt(w, "%s/file", w->dir), "");
	world_env(w, "DEVMESH_LOCAL_STATE_DIR", fmt(w, "%s/file/state", w->dir));
	assert_error(w, DM(w, NULL, "start"), ANY_ERROR, "file/state");
}

TEST(state_is_private)
{
	struct stat st;

	local_start(w);
	assert_int_equal(stat(w->state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_true(exists(fmt(w, "%s/caddy.json", w->state)));
	assert_true(exists(fmt(w, "%s/caddy.log", w->state)));
	assert_null(strstr(read_text(w, fmt(w, "%s/caddy.json", w->state)), "acme"));
}

TEST(start_does_not_hold_its_callers_pipe)
{
	int fds[2];
	char buf[256];
	struct proc *p;
	ssize_t n;

	local_setup(w);
	assert_int_equal(pipe(fds), 0);
	p = start_child(w);
	if (p == NULL) {
		/* Both streams into the pipe, as `x=$(devmesh start 2>&1)` has it. */
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		execve(
		    w->devmesh, (char *[]){(char[]){"devmesh"}, (char[]){"start"}, NULL}, w->env);
		_exit(127);
	}
	close(fds[1]);
	/* Ends only when nobody has the other end any more: not even the Caddy it left. */
	alarm(DEADLINE_MS / 1000);
	do
		n = read(fds[0], buf, sizeof buf);
	while (n > 0);
	alarm(0);
	close(fds[0]);
	assert_exit(w, finish(w, p), 0);
	assert_true(private_caddy(w) > 0);
}

/* `exec 9>lock; flock 9; devmesh start`: the lock ends with its caller, not with Caddy. */
TEST(start_does_not_hold_its_callers_descriptors)
{
	static const int numbers[] = {9, 200};
	char *path = fmt(w, "%s/lock", w->dir);
	int fd, fds[2], again;

	local_setup(w);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	for (int i = 0; i < 2; i++) /* at least this number, and without close-on-exec */
		assert_true((fds[i] = fcntl(fd, F_DUPFD, numbers[i])) >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_true(private_caddy(w) > 0);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_true(again >= 0);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), -1); /* we have it still */
	close(fd);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(flock(again, LOCK_EX | LOCK_NB), 0);
	assert_true(private_caddy(w) > 0);
	close(again);
}

TEST(wait_is_not_fooled_by_the_page)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	local_start(w);
	up_ok(w, repo);
	assert_error(w, DM(w, repo, "wait", "--timeout", "1"), 7, "shop-main");
	p = DM_BG(w, repo, "wait", "--timeout", "60");
	nap_us(20000);
	reap(w);
	assert_false(p->ended);
	serve_id(w, "shop-main");
	assert_exit(w, finish(w, p), 0);
}

TEST(trust_tells_of_the_root_certificate)
{
	struct result r;

	local_start(w);
	r = DM(w, NULL, "trust");
	assert_exit(w, r, 0);
	assert_true(strstr(r.out, "root.crt") != NULL || strstr(r.err, "root.crt") != NULL);
	assert_true(exists(w->ca));
}

/* Names that are not for us to give, each with why. */
TEST(domains_that_cannot_be)
{
	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_MESH_DOMAIN", "com");
	assert_error(w, DM(w, NULL, "start"), 2, "top-level domain");
	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.local");
	assert_error(w, DM(w, NULL, "start"), 2, "multicast DNS");
	world_env(w, "DEVMESH_MESH_DOMAIN", "192.168.1.1");
	assert_error(w, DM(w, NULL, "start"), 2, "ends in a number");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(start_up_and_the_url_answers),
	    WORLD_TEST(first_start_serves_every_time),
	    WORLD_TEST(plain_http_leads_there_too),
	    WORLD_TEST(page_for_what_does_not_run),
	    WORLD_TEST(page_escapes_what_it_shows),
	    WORLD_TEST(unknown_names_are_never_a_blank_200),
	    WORLD_TEST(label_cannot_leave_the_directory),
	    WORLD_TEST(tcp_upstream_in_the_private_mesh),
	    WORLD_TEST(start_twice_is_harmless),
	    WORLD_TEST(five_starts_at_once_are_one),
	    WORLD_TEST(stop_ends_it_and_only_it),
	    WORLD_TEST(certificates_survive_a_restart),
	    WORLD_TEST(killed_caddy_is_started_again),
	    WORLD_TEST(taken_port_is_named),
	    WORLD_TEST(port_taken_by_another_caddy_is_named),
	    WORLD_TEST(missing_caddy_is_said),
	    WORLD_TEST(caddy_that_ends_at_once_is_said),
	    WORLD_TEST(state_that_cannot_be_written_is_said),
	    WORLD_TEST(state_is_private),
	    WORLD_TEST(start_does_not_hold_its_callers_pipe),
	    WORLD_TEST(start_does_not_hold_its_callers_descriptors),
	    WORLD_TEST(wait_is_not_fooled_by_the_page),
	    WORLD_TEST(trust_tells_of_the_root_certificate),
	    WORLD_TEST(domains_that_cannot_be),
	};

	return RUN_TESTS(tests);
}
