/* SPDX-License-Identifier: MIT */
/*
 * The private world of one bench run: a temporary directory with everything in it, a plain Caddy
 * for explicit routes, the mesh of `devmesh start`, portless, one small service, one git repository
 * with worktrees, and as many other services as a row asks for. What cannot be had is left out,
 * with the reason for the table.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	WORKTREES = 51
};

/* Below the range that outgoing connections take theirs from, and never the same one twice. */
static int
free_port(int after)
{
	for (int port = after + 1; port < after + 1000; port++) {
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		bool ok;

		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
		if (fd >= 0)
			close(fd);
		if (ok)
			return port;
	}
	return 0;
}

static bool
find_program(const char *name, char *path, size_t size)
{
	const char *p = getenv("PATH"), *end;

	for (p = p != NULL ? p : "/usr/bin:/bin"; *p != '\0'; p = *end != '\0' ? end + 1 : end) {
		end = p + strcspn(p, ":");
		snprintf(path, size, "%.*s/%s", (int)(end - p), p, name);
		if (access(path, X_OK) == 0)
			return true;
	}
	path[0] = '\0';
	return false;
}

/* The first line of what a program said, for the reason in the table. */
static void
reason(char *why, size_t size, const char *what, const struct result *r)
{
	snprintf(why, size, "%s: %.*s", what, (int)strcspn(r->err, "\n"), r->err);
}

static void
set_environments(struct world *w)
{
	const char *path = getenv("PATH");
	struct env *e = &w->base;

	env_set(e, "PATH", "%s", path != NULL ? path : "/usr/bin:/bin");
	env_set(e, "HOME", "%s/home", w->tmp);
	env_set(e, "XDG_CONFIG_HOME", "%s/home/config", w->tmp);
	env_set(e, "XDG_DATA_HOME", "%s/home/data", w->tmp);
	env_set(e, "XDG_STATE_HOME", "%s/home/state", w->tmp);
	env_set(e, "XDG_CACHE_HOME", "%s/home/cache", w->tmp);
	env_set(e, "LC_ALL", "C");
	env_set(e, "GIT_CONFIG_NOSYSTEM", "1");
	env_set(e, "GIT_AUTHOR_NAME", "bench");
	env_set(e, "GIT_AUTHOR_EMAIL", "bench@localhost");
	env_set(e, "GIT_COMMITTER_NAME", "bench");
	env_set(e, "GIT_COMMITTER_EMAIL", "bench@localhost");
	env_set(e, "DEVMESH_CONFIG", "/dev/null");
	env_set(e, "DEVMESH_MESH_DOMAIN", "dev.localhost");
	env_set(e, "DEVMESH_LOCAL_STATE_DIR", "%s", w->state);
	env_set(e, "DEVMESH_LOCAL_HTTPS_PORT", "%d", w->https_port);
	env_set(e, "DEVMESH_LOCAL_HTTP_PORT", "%d", w->http_port);
	env_set(e, "DEVMESH_DAEMON_START", "no");
	env_set(e, "DEVMESH_DNS_ENABLED", "no");

	env_copy(&w->mesh, e);
	env_set(&w->mesh, "DEVMESH_SOCKETS_DIR", "%s", w->sockets);
	env_set(&w->mesh, "DEVMESH_CADDY_REGISTRATION", "auto");
	env_copy(&w->route, e);
	env_set(&w->route, "DEVMESH_SOCKETS_DIR", "%s", w->route_sockets);
	env_set(&w->route, "DEVMESH_CADDY_REGISTRATION", "route");
	env_set(&w->route, "DEVMESH_CADDY_ADMIN", "unix://%s", w->admin);
	env_copy(&w->px, e);
	env_set(&w->px, "PORTLESS_STATE_DIR", "%s/px", w->tmp);
	env_set(&w->px, "PORTLESS_PORT", "%d", w->px_port);
	env_set(&w->px, "PORTLESS_HTTPS", "0");
	env_set(&w->px, "PORTLESS_SYNC_HOSTS", "0");
}

void
world_worktree(const struct world *w, int i, char *path, size_t size)
{
	snprintf(path, size, "%s/w/b%02d", w->tmp, i);
}

static bool
make_worktrees(struct world *w)
{
	struct result r;
	char path[128], branch[32];
	const char *init[] = {"git", "init", "-q", "-b", "main", w->repo, NULL};
	const char *commit[] = {
	    "git", "-C", w->repo, "commit", "-q", "--allow-empty", "-m", "first", NULL};
	const char *add[] = {
	    "git", "-C", w->repo, "worktree", "add", "-q", "-b", branch, path, NULL};

	if (!proc_run(init, &w->base, 20, &r) || !proc_run(commit, &w->base, 20, &r))
		return false;
	for (int i = 0; i < WORKTREES && !quitting(); i++) {
		world_worktree(w, i, path, sizeof path);
		snprintf(branch, sizeof branch, "bench/b%02d", i);
		if (!proc_run(add, &w->base, 20, &r))
			return false;
	}
	return true;
}

static bool
admin_ready(const char *sock, int tries)
{
	while (tries-- > 0 && !quitting()) {
		if (admin_call(sock, "GET", "/config/apps", NULL, NULL) == 200)
			return true;
		sleep_ms(25);
	}
	return false;
}

static bool
run_plain(struct world *w)
{
	char path[128], log[128];
	const char *argv[] = {"caddy", "run", "--config", path, NULL};

	snprintf(path, sizeof path, "%s/plain.json", w->tmp);
	snprintf(log, sizeof log, "%s/plain.log", w->tmp);
	w->plain_pid = proc_start(argv, &w->base, log);
	return w->plain_pid > 0 && admin_ready(w->admin, 400);
}

double
world_restart_plain(struct world *w)
{
	kill(w->plain_pid, SIGKILL);
	proc_stop(w->plain_pid);
	return run_plain(w) ? now_ms() : (double)NAN;
}

static void
start_plain(struct world *w)
{
	char path[128], *text = world_plain_config(w, 0, "");

	snprintf(path, sizeof path, "%s/plain.json", w->tmp);
	w->have_plain = write_file(path, text) && run_plain(w);
	free(text);
	if (!w->have_plain)
		table_note("no caddy here (or it did not start): no rows with explicit routes");
}

static void
start_mesh(struct world *w)
{
	const char *argv[] = {w->devmesh, "start", NULL};
	struct result r = {0};

	if (!w->have_devmesh)
		snprintf(w->why_mesh, sizeof w->why_mesh, "%s does not exist", w->devmesh);
	else if (!proc_run(argv, &w->mesh, 30, &r))
		reason(w->why_mesh, sizeof w->why_mesh, "devmesh start failed", &r);
	else if (!admin_ready(w->mesh_admin, 200))
		snprintf(
		    w->why_mesh, sizeof w->why_mesh, "the mesh's admin socket does not answer");
	else
		w->have_mesh = true;
	if (!w->have_mesh)
		table_note("no mesh: %s", w->why_mesh);
}

/* npm's registry, cache and proxy are the user's own, not those of the private world. */
static void
npm_environment(const struct world *w, struct env *own)
{
	static const char *const names[] = {"HOME", "npm_config_registry", "NPM_CONFIG_REGISTRY",
	    "npm_config_cache", "NPM_CONFIG_USERCONFIG", "npm_config_userconfig", "http_proxy",
	    "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "no_proxy",
	    "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"};

	env_copy(own, &w->base);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (getenv(names[i]) != NULL)
			env_set(own, names[i], "%s", getenv(names[i]));
}

static void
install_portless(struct world *w)
{
	struct env own;
	static const char *const files[] = {"package.json", "package-lock.json"};
	struct result r;
	char from[BENCH_PATH], to[BENCH_PATH];
	const char *npm[] = {"npm", "ci", "--prefix", to, "--ignore-scripts", "--no-audit",
	    "--no-fund", "--loglevel=error", NULL};

	snprintf(w->portless, sizeof w->portless, "%s/node_modules/portless/dist/cli.js", w->build);
	if (access(w->portless, R_OK) != 0) {
		mkdir(w->build, 0755);
		for (size_t i = 0; i < 2; i++) {
			const char *cp[] = {"cp", from, to, NULL};

			snprintf(from, sizeof from, "%s/%s", w->src, files[i]);
			snprintf(to, sizeof to, "%s/%s", w->build, files[i]);
			proc_run(cp, &w->base, 10, &r);
		}
		snprintf(to, sizeof to, "%s", w->build);
		fprintf(stderr, "bench: installing portless into %s\n", w->build);
		npm_environment(w, &own);
		if (!proc_run(npm, &own, 150, &r))
			reason(w->why_px, sizeof w->why_px, "npm could not install it", &r);
		env_release(&own);
	}
	snprintf(w->node, sizeof w->node, "%s/node_modules/.bin/node", w->build);
	if (access(w->node, X_OK) != 0)
		find_program("node", w->node, sizeof w->node);
}

/* Programs are also run in other directories. */
static void
make_absolute(char *path, size_t size)
{
	char *full = realpath(path, NULL);

	if (full != NULL)
		snprintf(path, size, "%s", full);
	free(full);
}

static void
start_portless(struct world *w)
{
	char log[128], alias_port[16];
	const char *proxy[] = {w->node, w->portless, "proxy", "start", "--foreground", NULL};
	const char *alias[] = {w->node, w->portless, "alias", "echo-main", alias_port, NULL};
	struct target t = {.name = "portless", .host = "echo-main.localhost", .port = w->px_port};
	struct result r = {0};
	struct client *c;
	double ms;

	if (access(w->portless, R_OK) == 0 && w->node[0] != '\0') {
		snprintf(log, sizeof log, "%s/portless.log", w->tmp);
		snprintf(alias_port, sizeof alias_port, "%d", w->up_port);
		w->px_pid = proc_start(proxy, &w->px, log);
		sleep_ms(700);
		if (!proc_run(alias, &w->px, 20, &r))
			reason(
			    w->why_px, sizeof w->why_px, "portless alias failed (Node < 24?)", &r);
		c = client_new(&t);
		for (int i = 0; i < 100 && r.status == 0 && !w->have_px && !quitting(); i++) {
			w->have_px = client_get(c, &ms);
			if (!w->have_px)
				sleep_ms(50);
		}
		client_free(c);
	}
	if (!w->have_px)
		table_note("no portless, so no figures of it (%s)",
		    w->why_px[0] != '\0' ? w->why_px
					 : "not installed, or its proxy does not answer");
}

static void
start_upstream(struct world *w)
{
	char js[BENCH_PATH], sock[160], port[16], log[128];
	const char *argv[] = {w->node, js, sock, port, NULL};

	if (w->node[0] == '\0') {
		table_note("no node here: no rows of requests and WebSockets");
		return;
	}
	snprintf(js, sizeof js, "%s/upstream.js", w->src);
	snprintf(sock, sizeof sock, "%s/echo-main.sock", w->sockets);
	snprintf(port, sizeof port, "%d", w->up_port);
	snprintf(log, sizeof log, "%s/upstream.log", w->tmp);
	world_claim(w, "echo-main", "echo");
	proc_start(argv, &w->base, log);
	for (int i = 0; i < 200 && !w->have_upstream && !quitting(); i++) {
		w->have_upstream = access(sock, F_OK) == 0;
		sleep_ms(25);
	}
	if (!w->have_upstream)
		table_note("%s did not start: no rows of requests and WebSockets", js);
}

void
world_init(struct world *w)
{
	static const char *const dirs[] = {"home", "w", "o", "s", "r", "px"};
	char path[128];

	snprintf(w->tmp, sizeof w->tmp, "/tmp/dmb.XXXXXX");
	if (mkdtemp(w->tmp) == NULL) {
		perror("bench: /tmp");
		exit(1);
	}
	for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", w->tmp, dirs[i]);
		mkdir(path, 0755);
	}
	proc_init(w->tmp);
	snprintf(w->sockets, sizeof w->sockets, "%s/s", w->tmp);
	snprintf(w->route_sockets, sizeof w->route_sockets, "%s/r", w->tmp);
	chmod(w->sockets, 01777);
	chmod(w->route_sockets, 01777);
	snprintf(w->state, sizeof w->state, "%s/state", w->tmp);
	snprintf(w->admin, sizeof w->admin, "%s/plain.sock", w->tmp);
	snprintf(w->mesh_admin, sizeof w->mesh_admin, "%s/admin.sock", w->state);
	snprintf(w->root_ca, sizeof w->root_ca, "%s/data/pki/authorities/local/root.crt", w->state);
	snprintf(w->repo, sizeof w->repo, "%s/shop", w->tmp);
	w->https_port = free_port(20000 + (int)(getpid() % 10000));
	w->http_port = free_port(w->https_port);
	w->plain_port = free_port(w->http_port);
	w->px_port = free_port(w->plain_port);
	w->up_port = free_port(w->px_port);
	w->dead_port = free_port(w->up_port);
	set_environments(w);
	find_program("wrk", w->wrk, sizeof w->wrk);
	w->have_devmesh = access(w->devmesh, X_OK) == 0;

	if (w->bare)
		return;
	install_portless(w);
	make_absolute(w->node, sizeof w->node);
	make_absolute(w->portless, sizeof w->portless);
	if (!make_worktrees(w)) {
		table_note("git could not make the worktrees: no rows of devmesh itself");
		w->have_devmesh = false;
	}
	start_upstream(w);
	start_plain(w);
	start_mesh(w);
	if (w->have_upstream)
		start_portless(w);
}

void
world_release(struct world *w)
{
	const char *stop[] = {w->devmesh, "stop", NULL};
	const char *rm[] = {"rm", "-rf", w->tmp, NULL};
	struct result r;

	if (w->have_devmesh)
		proc_run(stop, &w->mesh, 20, &r);
	/* A mesh that `devmesh stop` has left behind is still ours to end. */
	if (access(w->mesh_admin, F_OK) == 0)
		admin_call(w->mesh_admin, "POST", "/stop", NULL, NULL);
	proc_stop_all();
	if (getenv("DEVMESH_BENCH_KEEP") == NULL)
		proc_run(rm, &w->base, 30, &r);
	env_release(&w->base);
	env_release(&w->mesh);
	env_release(&w->route);
	env_release(&w->px);
}
