/* SPDX-License-Identifier: MIT */
/*
 * devmesh doctor on servers that listen on every address, where other devices reach them past Caddy
 * and whatever is shared: real servers of Node.js and Python, however they were registered.
 */
#include "harness_doctor.h"
#include "harness_run.h"

#include <signal.h>
#include <unistd.h>

/* A server as many are written: at PORT, and unless it is told otherwise at all addresses. */
static const char script[] =
    "require('http').createServer((q, s) => s.end('here'))"
    ".listen(process.env.PORT, process.argv[2], () => console.log('ready'))\n";

static char *
node_repo(struct world *w, const char *name)
{
	char *repo = repo_new(w, name);

	if (run(w, NULL, ARGV("node", "--version")).code != 0)
		world_skip(w, "Node.js is not installed");
	write_text(fmt(w, "%s/server.js", repo), script);
	return repo;
}

/* `devmesh run FLAG -- node server.js [ADDRESS]`, and it answers. */
static struct proc *
run_node(struct world *w, const char *repo, const char *flag, const char *address)
{
	struct proc *p = start(w, repo,
	    ARGV(w->devmesh, "run", "--wait=60", flag, "--", "node", "server.js", address));

	assert_string_equal(fetch(w, run_url(w, p), NULL).body, "here");
	return p;
}

static void
end_run(struct world *w, struct proc *p)
{
	signal_proc(p, SIGTERM);
	assert_ends(w, p, 128 + SIGTERM);
}

static char *
open_at(struct world *w, const char *who, int port)
{
	return fmt(w, "%s) listens on port %d of every address", who, port);
}

TEST(server_of_a_run)
{
	char *repo = node_repo(w, "shop"), *elsewhere = repo_new(w, "other");
	int port = free_port(w);
	char *flag = fmt(w, "--port=%d", port);
	struct proc *p;
	cJSON *o, *f;

	caddy_mesh(w, "");
	assert_fine(report(w, repo, 0), "servers");
	p = run_node(w, repo, flag, NULL);
	/* of all services, wherever the doctor is called */
	o = report(w, elsewhere, 0);
	assert_found(o, "servers", "warning", open_at(w, "", port), "--host 127.0.0.1");
	f = find(o, "servers", "warning", "the server of shop-main (node, pid ");
	assert_non_null(f);
	assert_non_null(strstr(json_str(f, "why"), "past Caddy"));
	end_run(w, p);
	assert_fine(report(w, repo, 0), "servers");
	for (int i = 0; i < 2; i++) {
		p = run_node(w, repo, flag, ARGV("127.0.0.1", "::1")[i]);
		assert_fine(report(w, repo, 0), "servers");
		end_run(w, p);
	}
	p = run_node(w, repo, flag, "0.0.0.0");
	assert_found(report(w, repo, 0), "servers", "warning", open_at(w, "", port), "HOST");
	end_run(w, p);
}

/* The first address of this machine that is not its loopback's; NULL: it has none. */
static const char *
own_address(struct world *w)
{
	struct result r = run(w, NULL, ARGV("hostname", "-I"));

	return r.code == 0 && strchr("123456789", r.out[0]) != NULL && r.out[0] != '\0'
		   ? fmt(w, "%.*s", (int)strcspn(r.out, " \n"), r.out)
		   : NULL;
}

/* The socket leads nobody past Caddy; a port that is open beside it does. */
TEST(server_with_a_socket)
{
	char *repo = repo_new(w, "shop");
	int port = free_port(w);
	char *path = fmt(w, "unix=%s/shop-main.sock", w->sockets);
	struct proc *p;

	caddy_mesh(w, "");
	p = run_bg(w, repo, ARGV("--socket", "--wait=60"), ARGV(path));
	(void)run_url(w, p);
	assert_fine(report(w, repo, 0), "servers");
	end_run(w, p);
	p = run_bg(
	    w, repo, ARGV("--socket", "--wait=60"), ARGV(path, fmt(w, "listen=0.0.0.0,%d", port)));
	(void)run_url(w, p);
	assert_found(report(w, repo, 0), "servers", "warning", open_at(w, "", port), "--host");
	end_run(w, p);
	/* one address of the network is enough; where it has none there is nothing to listen on */
	if (own_address(w) == NULL)
		return;
	p = run_bg(w, repo, ARGV("--socket", "--wait=60"),
	    ARGV(path, fmt(w, "listen=%s,%d", own_address(w), port)));
	(void)run_url(w, p);
	assert_found(report(w, repo, 0), "servers", "warning",
	    fmt(w, ") listens on port %d of %s", port, own_address(w)), "--host");
	end_run(w, p);
}

static bool
answers(struct world *w, const void *port)
{
	return http_get(w, *(const int *)port, "localhost", "/").status != 0;
}

static struct proc *
start_at(struct world *w, const char *dir, int port, const char *const argv[])
{
	struct proc *p = start(w, dir, argv);

	if (!wait_until(w, answers, &port, DEADLINE_MS))
		fail_msg("nothing answers on port %d: %s", port, read_text(w, p->err));
	return p;
}

/* A tool that is known is told in its own words; one that holds a container's port is not asked. */
TEST(server_on_a_given_port)
{
	char *repo = repo_new(w, "shop"), *proxy = fmt(w, "%s/docker-proxy", w->dir);
	int port = free_port(w);
	char *number = fmt(w, "%d", port);
	struct proc *p;
	struct result r;
	cJSON *o;

	caddy_mesh(w, "");
	assert_exit(w, DM(w, repo, "up", "--port", number), 0);
	assert_fine(report(w, repo, 0), "servers");
	p = start_at(w, repo, port, ARGV("python3", "-m", "http.server", number));
	assert_found(report(w, repo, 0), "servers", "warning", open_at(w, "", port),
	    "start http.server with --bind 127.0.0.1");
	end_proc(w, p);
	p = start_at(
	    w, repo, port, ARGV("python3", "-m", "http.server", "--bind", "127.0.0.1", number));
	assert_fine(report(w, repo, 0), "servers");
	end_proc(w, p);
	/* another checkout's server is not this service's */
	p = start_at(w, repo_new(w, "other"), port, ARGV("python3", "-m", "http.server", number));
	o = report(w, repo, 0);
	assert_non_null(find(o, "stale", "warning", "runs in"));
	assert_fine(o, "servers");
	end_proc(w, p);
	r = run(w, NULL, ARGV("python3", "-c", "import sys; print(sys.executable)"));
	write_text(proxy,
	    fmt(w, "#!%s\nimport http.server\nhttp.server.test(port=%s)\n", line_of(w, r), number));
	run_ok(w, repo, ARGV("chmod", "+x", proxy));
	p = start_at(w, repo, port, ARGV(proxy));
	assert_found(report(w, repo, 0), "servers", "warning",
	    "the server of shop-main (docker-proxy, pid ",
	    fmt(w, "ports: \"127.0.0.1:%s:", number));
	end_proc(w, p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(server_of_a_run),
	    WORLD_TEST(server_with_a_socket),
	    WORLD_TEST(server_on_a_given_port),
	};

	return RUN_TESTS(tests);
}
