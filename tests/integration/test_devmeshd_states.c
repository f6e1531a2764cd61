/* SPDX-License-Identifier: MIT */
/*
 * The states of services as devmeshd sees them, with the way into each; who is alive stays "up",
 * however little it answers. The moves between them are in test_devmeshd_moves.c.
 */
#include "harness_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* What a tenth of this is promised for; the machine may be busy with other things. */
#define AT_ONCE_MS 1000
#define NO_SWEEP   "3600"

static void
measured(const char *what, int64_t ms)
{
	printf("           %s: %lld ms\n", what, (long long)ms);
}

/* ---- single states ------------------------------------------------------------------------- */

TEST(a_new_claim_is_starting_and_never_stale)
{
	char *repo = repo_new(w, "shop"), *sock = socket_of(w, "shop-main");
	struct devmeshd *d;
	const struct happened *e;
	int fd;

	caddy_mesh(w, "");
	daemon_conf(w, "GRACE", "1");
	daemon_conf(w, "PROBE_INTERVAL", "1");
	d = daemon_start(w);
	up_ok(w, repo);
	e = wait_move(w, d, "shop-main", "", "starting", "it was claimed");
	assert_true(json_null(e->data, "was"));
	assert_string_equal(json_str(e->data, "worktree"), repo);
	/* bound, and not listening yet: for longer than the grace period, and several sweeps */
	fd = bound_socket(sock);
	assert_probed(w, d, "shop-main", "starting");
	outlast_grace(w, d);
	assert_probed(w, d, "shop-main", "starting");
	assert_true(exists(sock));
	serve_bound(w, fd, "shop-main");
	(void)wait_move(w, d, "shop-main", "starting", "up", NULL);
	assert_never(w, d, "shop-main", "stale");
	assert_no_mends(w, d);
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

/* A daemon that has just started knows nothing of the past but what the files say. */
TEST(how_long_it_is_up_is_known_to_a_new_daemon)
{
	char *repo = repo_new(w, "shop"), *sock = socket_of(w, "shop-main");
	struct timespec before[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
	struct devmeshd *d;

	caddy_mesh(w, "");
	up_ok(w, repo);
	(void)serve_in(w, repo, sock, "shop-main");
	assert_int_equal(utimensat(AT_FDCWD, sock, before, 0), 0);
	d = daemon_start(w);
	assert_int_equal(
	    json_number(service_of(w, d, "shop-main"), "since"), (double)before[0].tv_sec);
	/* the time of a file may be any */
	before[1].tv_sec = time(NULL) + 3600;
	assert_int_equal(utimensat(AT_FDCWD, sock, before, 0), 0);
	daemon_end(w, d);
	d = daemon_start(w);
	assert_true(json_number(service_of(w, d, "shop-main"), "since") <= (double)time(NULL));
}

TEST(a_released_claim_is_gone)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	struct devmeshd *d;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	d = daemon_start(w);
	assert_exit(w, DM(w, wt, "down"), 0);
	assert_string_equal(
	    json_str(
		wait_event(w, d, "service-gone", "shop-x", "its claim was released")->data, "was"),
	    "starting");
	assert_null(service_of(w, d, "shop-x"));
	assert_non_null(service_of(w, d, "shop-main"));
}

TEST(a_killed_server_is_seen_at_once)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	struct devmeshd *d;
	const struct happened *e;
	struct proc *p;
	int64_t then;
	int port;

	caddy_mesh(w, "");
	up_ok(w, repo);
	p = serve_tcp_in(w, wt, "shop-x", &port);
	assert_exit(w, DM(w, wt, "up", "--port", fmt(w, "%d", port)), 0);
	daemon_conf(w, "GRACE", "3600");
	daemon_conf(w, "PROBE_INTERVAL", NO_SWEEP);
	d = daemon_start(w);
	wait_state(w, d, "shop-x", "up");
	then = now_ms();
	signal_proc(p, SIGKILL);
	e = wait_move(w, d, "shop-x", "up", "down", "its process has ended");
	measured("kill -9 of the server on a port to the event", e->at_ms - then);
	assert_true(e->at_ms - then < AT_ONCE_MS);
	for (int i = 0; i < 5; i++) {
		p = serve_in(w, repo, socket_of(w, "shop-main"), "shop-main");
		(void)wait_move(w, d, "shop-main", NULL, "up", NULL);
		assert_int_equal(json_number(service_of(w, d, "shop-main"), "pid"), (double)p->pid);
		then = now_ms();
		signal_proc(p, SIGKILL);
		e = wait_move(w, d, "shop-main", "up", "stale", "its process has ended");
		measured("kill -9 of the server on a socket to the event", e->at_ms - then);
		assert_true(e->at_ms - then < AT_ONCE_MS);
		assert_true(json_null(service_of(w, d, "shop-main"), "pid"));
		assert_int_equal(unlink(socket_of(w, "shop-main")), 0);
		(void)wait_move(w, d, "shop-main", "stale", "starting", "its socket has changed");
	}
}

TEST(a_server_that_comes_is_seen_at_once)
{
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;
	const struct happened *e;
	struct proc *p;
	int64_t then;

	caddy_mesh(w, "");
	up_ok(w, repo);
	daemon_conf(w, "PROBE_INTERVAL", NO_SWEEP);
	d = daemon_start(w);
	then = now_ms();
	p = serve_in(w, repo, socket_of(w, "shop-main"), "shop-main");
	e = wait_move(w, d, "shop-main", "starting", "up", NULL);
	measured("bind of a socket to the event", e->at_ms - then);
	assert_true(e->at_ms - then < AT_ONCE_MS);
	/* its successor takes the path over while it still runs */
	assert_int_equal(unlink(socket_of(w, "shop-main")), 0);
	(void)wait_move(w, d, "shop-main", "up", "starting", "its socket has changed");
	(void)serve_in(w, repo, socket_of(w, "shop-main"), "second");
	(void)wait_move(w, d, "shop-main", "starting", "up", NULL);
	end_proc(w, p);
	assert_probed(w, d, "shop-main", "up");
}

TEST(a_foreign_server_is_told_with_its_place)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	struct devmeshd *d;
	const struct happened *e;
	struct proc *p;

	caddy_mesh(w, "");
	up_ok(w, repo);
	daemon_conf(w, "PROBE_INTERVAL", NO_SWEEP);
	d = daemon_start(w);
	p = serve_in(w, wt, socket_of(w, "shop-main"), "wrong");
	e = wait_move(w, d, "shop-main", "starting", "foreign", NULL);
	assert_string_equal(json_str(e->data, "other_worktree"), wt);
	assert_int_equal(json_number(e->data, "pid"), (double)p->pid);
	end_proc(w, p);
	(void)wait_move(w, d, "shop-main", "foreign", "stale", "its process has ended");
	assert_true(json_null(service_of(w, d, "shop-main"), "other_worktree"));
}

TEST(another_users_socket_is_foreign)
{
	char *repo = repo_new(w, "shop"), *sock = socket_of(w, "shop-main");
	struct devmeshd *d;
	struct proc *p;

	if (geteuid() != 0)
		world_skip(w, "needs root, to play another user");
	caddy_mesh(w, "");
	up_ok(w, repo);
	daemon_conf(w, "GRACE", "0");
	daemon_conf(w, "PROBE_INTERVAL", "1");
	d = daemon_start(w);
	p = serve_in(w, repo, fmt(w, "%s.next", sock), "theirs");
	assert_int_equal(lchown(fmt(w, "%s.next", sock), NOBODY, NOBODY), 0);
	assert_int_equal(rename(fmt(w, "%s.next", sock), sock), 0);
	(void)wait_move(w, d, "shop-main", "starting", "foreign", NULL);
	/* dead, it is still theirs: neither ours to remove, nor our service's state */
	end_proc(w, p);
	assert_probed(w, d, "shop-main", "foreign");
	outlast_grace(w, d);
	assert_probed(w, d, "shop-main", "foreign");
	assert_true(exists(sock));
	assert_no_mends(w, d);
}

TEST(a_claim_goes_from_its_socket_to_a_port_and_back)
{
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;
	struct proc *p;
	int port = free_port(w);

	caddy_mesh(w, "");
	up_ok(w, repo);
	daemon_conf(w, "GRACE", "3600");
	daemon_conf(w, "PROBE_INTERVAL", NO_SWEEP);
	d = daemon_start(w);
	/* starting, and nobody is at the port yet */
	assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", port)), 0);
	(void)wait_move(w, d, "shop-main", "starting", "down", "its claim has changed");
	p = serve_port_in(w, repo, "shop-main", port);
	(void)wait_move(w, d, "shop-main", "down", NULL, NULL);
	wait_state(w, d, "shop-main", "up");
	/* back to the socket, while the other one still listens on the port */
	assert_exit(w, DM(w, repo, "up", "--socket", socket_of(w, "shop-main")), 0);
	(void)wait_move(w, d, "shop-main", "up", "starting", "its claim has changed");
	(void)serve_in(w, repo, socket_of(w, "shop-main"), "shop-main");
	(void)wait_move(w, d, "shop-main", "starting", NULL, NULL);
	wait_state(w, d, "shop-main", "up");
	/* from a stale socket to a port that answers */
	end_proc(w, p);
	assert_probed(w, d, "shop-main", "up");
}

TEST(a_stale_socket_is_forgotten_with_its_claim_on_a_port)
{
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;
	int port;

	caddy_mesh(w, "");
	up_ok(w, repo);
	stale_socket(socket_of(w, "shop-main"));
	(void)serve_tcp_in(w, repo, "shop-main", &port);
	daemon_conf(w, "GRACE", "3600");
	d = daemon_start(w);
	assert_string_equal(json_str(service_of(w, d, "shop-main"), "state"), "stale");
	assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", port)), 0);
	(void)wait_move(w, d, "shop-main", "stale", NULL, "its claim has changed");
	wait_state(w, d, "shop-main", "up");
}

/* ---- who is alive stays up ----------------------------------------------------------------- */

static struct devmeshd *
strict_daemon(struct world *w)
{
	daemon_conf(w, "GRACE", "0");
	daemon_conf(w, "PROBE_INTERVAL", "1");
	return daemon_start(w);
}

/* Looked at when asked for, and by several sweeps. */
static void
assert_stays_up(struct world *w, struct devmeshd *d, const char *id)
{
	int before = count_events(w, d, "service", id);

	assert_probed(w, d, id, "up");
	outlast_grace(w, d);
	assert_probed(w, d, id, "up");
	assert_int_equal(count_events(w, d, "service", id), before);
	assert_no_mends(w, d);
	assert_non_null(claim_of(w, id));
}

TEST(a_stopped_server_stays_up)
{
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;
	struct proc *p;

	caddy_mesh(w, "");
	up_ok(w, repo);
	p = serve_in(w, repo, socket_of(w, "shop-main"), "shop-main");
	d = strict_daemon(w);
	signal_proc(p, SIGSTOP);
	assert_stays_up(w, d, "shop-main");
	signal_proc(p, SIGCONT);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	/* and ends like any other */
	signal_proc(p, SIGSTOP);
	signal_proc(p, SIGKILL);
	(void)wait_move(w, d, "shop-main", "up", "stale", NULL);
}

/* Looks must not fill the queue of one that does not accept, however many there are. */
TEST(a_stopped_server_on_a_port_stays_up)
{
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;
	struct proc *p;
	int port;

	caddy_mesh(w, "");
	p = serve_tcp_in(w, repo, "shop-main", &port);
	assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", port)), 0);
	d = strict_daemon(w);
	wait_state(w, d, "shop-main", "up");
	signal_proc(p, SIGSTOP);
	for (int i = 0; i < 200; i++)
		assert_probed(w, d, "shop-main", "up");
	assert_stays_up(w, d, "shop-main");
	signal_proc(p, SIGKILL);
	(void)wait_move(w, d, "shop-main", "up", "down", NULL);
}

TEST(a_server_with_a_full_backlog_stays_up)
{
	char *repo = repo_new(w, "shop"), *sock = socket_of(w, "shop-main");
	struct devmeshd *d;
	int fd, pending[2];

	caddy_mesh(w, "");
	up_ok(w, repo);
	fd = full_socket(sock, pending);
	d = strict_daemon(w);
	assert_string_equal(json_str(service_of(w, d, "shop-main"), "state"), "up");
	assert_stays_up(w, d, "shop-main");
	assert_true(exists(sock));
	close(fd);
	close(pending[0]);
	if (pending[1] >= 0)
		close(pending[1]);
}

static bool
listens(struct world *w, const void *arg)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	(void)w;
	snprintf(a.sun_path, sizeof a.sun_path, "%s", (const char *)arg);
	ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
	close(fd);
	return ok;
}

/* One process has called listen(2), and others answer: they go on when it dies. */
TEST(a_server_whose_first_process_dies_stays_up)
{
	char *repo = repo_new(w, "shop"), *sock = socket_of(w, "shop-main");
	struct devmeshd *d;
	const struct happened *e;
	struct proc *first, *second;
	int64_t then;
	int fd;

	caddy_mesh(w, "");
	up_ok(w, repo);
	fd = bound_socket(sock);
	first = start_child(w);
	if (first == NULL) {
		/* it listens, and leaves the answers to the others */
		if (chdir(repo) != 0 || listen(fd, 128) != 0)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_true(wait_until(w, listens, sock, ANSWER_MS));
	second = serve_listening(w, fd, "shop-main");
	d = strict_daemon(w);
	assert_string_equal(json_str(service_of(w, d, "shop-main"), "state"), "up");
	assert_int_equal(json_number(service_of(w, d, "shop-main"), "pid"), (double)first->pid);
	end_proc(w, first);
	e = wait_event(w, d, "service", "shop-main", NULL);
	assert_string_equal(json_str(e->data, "state"), "up");
	assert_true(json_null(e->data, "pid"));
	assert_stays_up(w, d, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	daemon_conf(w, "PROBE_INTERVAL", NO_SWEEP);
	daemon_end(w, d);
	d = daemon_start(w);
	then = now_ms();
	end_proc(w, second);
	e = wait_move(w, d, "shop-main", "up", "stale", "it was looked at again");
	measured("end of the last of several processes to the event", e->at_ms - then);
}

/* ---- devmesh run --------------------------------------------------------------------------- */

TEST(the_bridge_of_a_run_whose_server_does_not_listen_yet)
{
	char *repo = repo_new(w, "shop");
	struct devmeshd *d;
	struct proc *p;

	caddy_mesh(w, "");
	d = strict_daemon(w);
	p = run_bg(w, repo, ARGV("--wait=600"), ARGV("delay=3600"));
	(void)wait_event(w, d, "service", "shop-main", "it was claimed");
	assert_true(wait_until(w, listens, socket_of(w, "shop-main"), ANSWER_MS));
	assert_probed(w, d, "shop-main", "starting");
	outlast_grace(w, d);
	assert_probed(w, d, "shop-main", "starting");
	assert_never(w, d, "shop-main", "stale");
	assert_never(w, d, "shop-main", "up");
	assert_no_mends(w, d);
	signal_proc(p, SIGTERM);
	(void)wait_event(w, d, "service-gone", "shop-main", "its claim was released");
}

/* No request is sent: a server that closes its port just then might keep it, and not answer. */
static bool
is_refused(struct world *w, const void *arg)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*(const uint16_t *)arg)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool refused;

	(void)w;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	refused = connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

TEST(the_bridge_of_a_run_whose_server_listens_no_more)
{
	char *repo = repo_new(w, "shop"), *next = fmt(w, "%d", free_port(w)), *url;
	struct devmeshd *d;
	struct proc *p;
	uint16_t port;
	pid_t server;

	caddy_mesh(w, "");
	d = strict_daemon(w);
	url = RUN_URL(w, repo, &p, fmt(w, "move=%s", next));
	wait_state(w, d, "shop-main", "up");
	assert_never(w, d, "shop-main", "stale");
	server = (pid_t)pid_of_server(w, url);
	port = (uint16_t)strtoul(env_of(w, url, "PORT"), NULL, 10);
	/* it closes its port, and is stopped before it has another */
	assert_int_equal(kill(server, SIGUSR1), 0);
	assert_true(wait_until(w, is_refused, &port, ANSWER_MS));
	assert_int_equal(kill(server, SIGSTOP), 0);
	(void)wait_move(w, d, "shop-main", "up", "starting", NULL);
	assert_int_equal(kill(server, SIGCONT), 0);
	(void)wait_move(w, d, "shop-main", "starting", "up", NULL);
	assert_never(w, d, "shop-main", "stale");
	assert_no_mends(w, d);
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	(void)wait_event(w, d, "service-gone", "shop-main", "its claim was released");
	assert_nothing_left(w, "shop-main");
}

TEST(a_run_in_a_debugger_stays_up)
{
	char *repo = repo_new(w, "shop"), *url;
	struct devmeshd *d;
	struct proc *p;
	pid_t server;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, NULL);
	server = (pid_t)pid_of_server(w, url);
	d = strict_daemon(w);
	wait_state(w, d, "shop-main", "up");
	signal_proc(p, SIGSTOP);
	assert_stays_up(w, d, "shop-main");
	assert_int_equal(kill(server, SIGSTOP), 0);
	assert_stays_up(w, d, "shop-main");
	assert_int_equal(kill(server, SIGCONT), 0);
	signal_proc(p, SIGCONT);
	assert_url_answers(w, url, "shop-main");
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	(void)wait_event(w, d, "service-gone", "shop-main", "its claim was released");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(a_new_claim_is_starting_and_never_stale),
	    DAEMON_TEST(how_long_it_is_up_is_known_to_a_new_daemon),
	    DAEMON_TEST(a_released_claim_is_gone),
	    DAEMON_TEST(a_killed_server_is_seen_at_once),
	    DAEMON_TEST(a_server_that_comes_is_seen_at_once),
	    DAEMON_TEST(a_foreign_server_is_told_with_its_place),
	    DAEMON_TEST(another_users_socket_is_foreign),
	    DAEMON_TEST(a_claim_goes_from_its_socket_to_a_port_and_back),
	    DAEMON_TEST(a_stale_socket_is_forgotten_with_its_claim_on_a_port),
	    DAEMON_TEST(a_stopped_server_stays_up),
	    DAEMON_TEST(a_stopped_server_on_a_port_stays_up),
	    DAEMON_TEST(a_server_with_a_full_backlog_stays_up),
	    DAEMON_TEST(a_server_whose_first_process_dies_stays_up),
	    DAEMON_TEST(the_bridge_of_a_run_whose_server_does_not_listen_yet),
	    DAEMON_TEST(the_bridge_of_a_run_whose_server_listens_no_more),
	    DAEMON_TEST(a_run_in_a_debugger_stays_up),
	};

	return RUN_TESTS(tests);
}
