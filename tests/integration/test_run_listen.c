/* SPDX-License-Identifier: MIT */
/* `devmesh run`: wherever the server listens, the URL leads there, also while it moves. */
#include "harness_run.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void
end_run(struct world *w, struct proc *p)
{
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
	assert_nothing_left(w, "shop-main");
}

/* ---- many requests at once ----------------------------------------------------------------- */

struct volley {
	const char *url;
	char *resolve;
	int count, good;
	pthread_t *threads;
	pthread_mutex_t mutex;
};

static size_t
check_body(char *bytes, size_t size, size_t n, void *user)
{
	size_t *matched = user;

	if (size * n == 9 && memcmp(bytes, "shop-main", 9) == 0)
		*matched = 9;
	return size * n;
}

static void *
ask(void *user)
{
	struct volley *v = user;
	struct curl_slist *hosts = curl_slist_append(NULL, v->resolve);
	CURL *c = curl_easy_init();
	size_t matched = 0;
	long status = 0;

	curl_easy_setopt(c, CURLOPT_URL, v->url);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 60000L);
	curl_easy_setopt(c, CURLOPT_RESOLVE, hosts);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, check_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &matched);
	if (curl_easy_perform(c) == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	curl_slist_free_all(hosts);
	pthread_mutex_lock(&v->mutex);
	v->good += status == 200 && matched == 9;
	pthread_mutex_unlock(&v->mutex);
	return NULL;
}

/* Sends them, and does not wait. */
static struct volley *
volley_start(struct world *w, int count, const char *path)
{
	struct volley *v = world_keep(w, calloc(1, sizeof *v), free);
	int i;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	v->count = count;
	v->url = fmt(w, "http://shop-main.dev.test:%d%s", w->port, path);
	v->resolve = fmt(w, "shop-main.dev.test:%d:127.0.0.1", w->port);
	v->threads = world_keep(w, calloc((size_t)count, sizeof *v->threads), free);
	pthread_mutex_init(&v->mutex, NULL);
	for (i = 0; i < count; i++)
		assert_int_equal(pthread_create(&v->threads[i], NULL, ask, v), 0);
	return v;
}

/* All of them got a 200 from the right server. */
static void
volley_end(struct volley *v)
{
	int i;

	for (i = 0; i < v->count; i++)
		pthread_join(v->threads[i], NULL);
	assert_int_equal(v->good, v->count);
}

TEST(requests_wait_while_it_starts)
{
	char *repo = repo_new(w, "shop");
	struct volley *v;
	struct proc *p;

	caddy_mesh(w, "");
	p = run_bg(w, repo, ARGV("--wait=60"), ARGV("delay=2"));
	wait_exists(w, socket_of(w, "shop-main"));
	v = volley_start(w, 20, "/");
	volley_end(v);
	(void)run_url(w, p);
	end_run(w, p);
}

TEST(five_hundred_at_once)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_mesh(w, "");
	(void)RUN_URL(w, repo, &p, NULL);
	volley_end(volley_start(w, 500, "/slow"));
	volley_end(volley_start(w, 500, "/"));
	end_run(w, p);
}

/* ---- addresses ----------------------------------------------------------------------------- */

static void
listens_at(struct world *w, const char *address)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, fmt(w, "listen=%s,", address));
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	end_run(w, p);
}

TEST(on_every_address)
{
	listens_at(w, "0.0.0.0");
}
TEST(on_the_ipv6_loopback_only)
{
	listens_at(w, "::1");
}
TEST(on_every_ipv6_address)
{
	listens_at(w, "::");
}
TEST(on_another_loopback_address)
{
	listens_at(w, "127.0.0.7");
}

/* Where services are shared, a script's log has it too that one is reached without that. */
TEST(open_to_the_network)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_mesh(w, "");
	for (int i = 0; i < 3; i++) {
		world_env(w, "DEVMESH_LAN_ENABLED", i < 2 ? "yes" : "no");
		(void)RUN_URL(w, repo, &p, i == 1 ? "listen=127.0.0.1," : "listen=0.0.0.0,");
		assert_int_equal(strstr(read_text(w, p->err),
				     "is open to the whole network, past Caddy") != NULL,
		    i == 0);
		end_run(w, p);
	}
}

TEST(a_port_of_its_own_choice)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	int port = free_port(w);

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, fmt(w, "listen=127.0.0.1,%d", port));
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	assert_non_null(strstr(read_text(w, p->err), fmt(w, "port %d", port)));
	end_run(w, p);
}

static int
occupy(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* connections of earlier tests may linger there (TIME_WAIT) */
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Taken between the choice and the server's own bind: it takes the next one that is free. */
TEST(offered_port_is_taken_meanwhile)
{
	char *repo = repo_new(w, "shop"), *url, *gate = fmt(w, "%s/gate", w->dir);
	struct proc *p;
	int fd, port;

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"echo \"PORT=$PORT.\"; while ! test -e \"$1\"; do sleep 0.01; done;"
		"exec python3 \"$0\" next",
		run_server(w), gate));
	wait_printed(w, p, ".\n");
	port = (int)strtol(read_text(w, p->out) + 5, NULL, 10);
	fd = occupy(port);
	write_text(gate, "");
	url = run_url(w, p);
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	assert_null(strstr(read_text(w, p->err), fmt(w, "port %d,", port)));
	close(fd);
	end_run(w, p);
}

/* The user's own PORT is taken: somebody else's server there is never led to. */
TEST(port_of_another_server_is_never_taken_for_ours)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p, *other;
	int port;

	caddy_mesh(w, "");
	other = serve_tcp(w, 200, "somebody else", &port);
	world_env(w, "PORT", fmt(w, "%d", port));
	url = RUN_URL(w, repo, &p, "next");
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	end_run(w, p);
	(void)other;
}

static bool
nobody_listens(struct world *w, const void *arg)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(*(const uint16_t *)arg)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	(void)w;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rc = connect(fd, (struct sockaddr *)&a, sizeof a);
	close(fd);
	return rc != 0;
}

static uint16_t
server_port(struct world *w)
{
	const cJSON *run = cJSON_GetObjectItem(claim_of(w, "shop-main"), "run");

	return (uint16_t)cJSON_GetObjectItem(run, "port")->valueint;
}

/* What the kernel had taken for the old listener when that was closed is lost with it: no matter.
 */
TEST(moves_to_another_port)
{
	char *repo = repo_new(w, "shop"), *url;
	struct volley *v;
	struct proc *p;
	int port = free_port(w);
	uint16_t before;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, fmt(w, "move=%d", port));
	v = volley_start(w, 20, "/slow"); /* those that are under way are served to the end */
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	before = server_port(w);
	signal_proc(p, SIGUSR1);
	assert_true(wait_until(w, nobody_listens, &before, ANSWER_MS));
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	volley_end(v);
	volley_end(volley_start(w, 20, "/"));
	assert_int_equal(server_port(w), port);
	end_run(w, p);
}

/* A restart on the same port: as `nodemon` does it, the old process ends before the new one. */
TEST(restarts_on_its_port)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	long before;
	int i;

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"trap 'exit 0' TERM; while :; do python3 \"$0\" & wait $!; sleep 0.3; done",
		run_server(w)));
	url = run_url(w, p);
	for (i = 0; i < 3; i++) {
		before = pid_of_server(w, url);
		kill((pid_t)before, SIGKILL);
		assert_true(pid_of_server(w, url) != before);
	}
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 0);
	assert_nothing_left(w, "shop-main");
}

TEST(only_the_port_that_was_named)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	int first = free_port(w), second = free_port(w);

	caddy_mesh(w, "");
	p = run_bg(w, repo, ARGV("--port", fmt(w, "%d", second)),
	    ARGV(fmt(w, "listen=127.0.0.1,%d", first), fmt(w, "listen=127.0.0.1,%d", second)));
	url = run_url(w, p);
	assert_non_null(strstr(read_text(w, p->err), fmt(w, "port %d", second)));
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	end_run(w, p);
	p = run_bg(w, repo, ARGV("--wait=5", "--port", fmt(w, "%d", second)),
	    ARGV(fmt(w, "listen=127.0.0.1,%d", first)));
	wait_said(w, p, fmt(w, "nothing listens on port %d", second));
	wait_said(w, p, fmt(w, "127.0.0.1:%d (pid", first));
	assert_null(strstr(read_text(w, p->err), "http://"));
	end_run(w, p);
}

/* Two services in one tree: the one that was offered the port is ours. */
TEST(two_listeners)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	int low = free_port(w);

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"NAME=wrong python3 \"$0\" \"$1\" & exec python3 \"$0\" delay=0.7", run_server(w),
		fmt(w, "listen=127.0.0.1,%d", low)));
	(void)run_url(w, p);
	url = fmt(w, "http://shop-main.dev.test:%d", w->port);
	assert_url_answers(w, url, "shop-main");
	end_run(w, p);
	assert_int_equal(count_processes(w, fmt(w, "%s listen=127.0.0.1", run_server(w))), 0);
}

/* ---- forks --------------------------------------------------------------------------------- */

TEST(puts_itself_into_the_background)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	long server;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, "daemon", "delay=0.5");
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	server = pid_of_server(w, url);
	assert_int_equal(getsid((pid_t)server), getpgid((pid_t)server));
	assert_false(p->ended);
	signal_proc(p, SIGINT);
	assert_ends(w, p, 0); /* the command itself had ended well */
	assert_nothing_left(w, "shop-main");
}

/* The background server ends by itself: so do we. */
TEST(background_server_ends)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	url = RUN_URL(w, repo, &p, "daemon");
	kill((pid_t)pid_of_server(w, url), SIGKILL);
	assert_ends(w, p, 0);
	assert_nothing_left(w, "shop-main");
}

/* What a failed command leaves running goes with it, also in another session. */
TEST(failed_command_leaves_nothing)
{
	char *repo = repo_new(w, "shop");
	struct result r;

	caddy_mesh(w, "");
	r = run(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"python3 \"$0\" daemon & python3 \"$0\" ignore & "
		"sleep 0.5; exit 3",
		run_server(w)));
	assert_exit(w, r, 3);
	assert_nothing_left(w, "shop-main");
}

/* Hundreds of children that leave their parents are reaped by us. */
TEST(orphans_are_reaped)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	struct result r;

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"i=0; while test $i -lt 50; do (setsid true &) ; i=$((i+1)); done; "
		"exec python3 \"$0\"",
		run_server(w)));
	(void)run_url(w, p);
	r = run(w, repo,
	    ARGV("sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null | grep -c \") Z $0 \"",
		fmt(w, "%d", p->pid)));
	assert_int_equal(strtol(r.out, NULL, 10), 0);
	end_run(w, p);
}

/* ---- sockets ------------------------------------------------------------------------------- */

/* It knows DEVMESH_SOCKET, as for `devmesh env`; a port was offered to it as well. */
TEST(listens_on_devmesh_socket)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	p = start(w, repo,
	    ARGV(w->devmesh, "run", "--", "sh", "-c",
		"exec python3 \"$0\" unix=\"$DEVMESH_SOCKET\"", run_server(w)));
	url = run_url(w, p);
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	end_run(w, p);
}

static bool
is_open_to_all(struct world *w, const void *arg)
{
	struct stat st;

	(void)w;
	return lstat(arg, &st) == 0 && (st.st_mode & 0666) == 0666;
}

TEST(socket_itself)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;

	caddy_mesh(w, "");
	p = run_bg(w, repo, ARGV("--socket"), ARGV("mode=755"));
	url = run_url(w, p);
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	assert_true(wait_until(w, is_open_to_all, socket_of(w, "shop-main"), ANSWER_MS));
	assert_string_equal(env_of(w, url, "PORT"), socket_of(w, "shop-main"));
	assert_string_equal(env_of(w, url, "DEVMESH_SOCKET"), socket_of(w, "shop-main"));
	assert_string_equal(env_of(w, url, "FORWARDED_ALLOW_IPS"), "*");
	end_run(w, p);
}

/* Asked for a socket, it takes a port: the URL leads there all the same. */
TEST(socket_was_meant_but_a_port_taken)
{
	char *repo = repo_new(w, "shop"), *url;
	struct proc *p;
	int port = free_port(w);

	caddy_mesh(w, "");
	p = run_bg(w, repo, ARGV("--socket"), ARGV(fmt(w, "listen=127.0.0.1,%d", port)));
	url = run_url(w, p);
	assert_string_equal(fetch(w, url, NULL).body, "shop-main");
	end_run(w, p);
}

/* ---- streams ------------------------------------------------------------------------------- */

TEST(web_sockets_outlive_runs_of_others)
{
	char *repo = repo_new(w, "shop"), *other = repo_new(w, "other");
	struct proc *p;
	int fds[10], i, k;

	caddy_mesh(w, "");
	(void)RUN_URL(w, repo, &p, NULL);
	for (i = 0; i < 10; i++)
		fds[i] = ws_open(w, "shop-main.dev.test");
	for (i = 0; i < 100; i++) {
		if (i % 2 == 0) {
			up_ok(w, other);
			assert_exit(w, DM(w, other, "down"), 0);
		} else {
			assert_exit(w, DM(w, other, "run", "true"), 0);
		}
		for (k = 0; k < 10; k++)
			assert_false(ws_closed(fds[k]));
	}
	for (i = 0; i < 10; i++) {
		assert_true(ws_ping(fds[i]));
		close(fds[i]);
	}
	end_run(w, p);
}

TEST(never_listens)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_mesh(w, "");
	p = start(w, repo, ARGV(w->devmesh, "run", "--wait=1", "--", "sleep", "600"));
	wait_said(w, p, "after 1 s the command listens on: nothing; it was offered PORT=");
	signal_proc(p, SIGINT);
	assert_ends(w, p, 128 + SIGINT);
	assert_nothing_left(w, "shop-main");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(requests_wait_while_it_starts),
	    WORLD_TEST(five_hundred_at_once),
	    WORLD_TEST(on_every_address),
	    WORLD_TEST(on_the_ipv6_loopback_only),
	    WORLD_TEST(on_every_ipv6_address),
	    WORLD_TEST(on_another_loopback_address),
	    WORLD_TEST(open_to_the_network),
	    WORLD_TEST(a_port_of_its_own_choice),
	    WORLD_TEST(offered_port_is_taken_meanwhile),
	    WORLD_TEST(port_of_another_server_is_never_taken_for_ours),
	    WORLD_TEST(moves_to_another_port),
	    WORLD_TEST(restarts_on_its_port),
	    WORLD_TEST(only_the_port_that_was_named),
	    WORLD_TEST(two_listeners),
	    WORLD_TEST(puts_itself_into_the_background),
	    WORLD_TEST(background_server_ends),
	    WORLD_TEST(failed_command_leaves_nothing),
	    WORLD_TEST(orphans_are_reaped),
	    WORLD_TEST(listens_on_devmesh_socket),
	    WORLD_TEST(socket_itself),
	    WORLD_TEST(socket_was_meant_but_a_port_taken),
	    WORLD_TEST(web_sockets_outlive_runs_of_others),
	    WORLD_TEST(never_listens),
	};

	return RUN_TESTS(tests);
}
