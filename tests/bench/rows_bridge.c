/* SPDX-License-Identifier: MIT */
/*
 * Rows about the bridge of `devmesh run`: one server on one TCP port, reached through the same
 * Caddy by a hand-written route to that port, and by the mesh route and the bridge. Then what
 * `devmesh run` itself needs: processor time and memory, at rest and with a thousand connections.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "rows.h"

#define NOT ((double)NAN)

enum {
	BRIDGE,
	DIRECT,
	DIRECT_KEEP,
	TARGETS,
	CONNECTIONS = 1000
};

#define GB 1000000000LL

static const char route_json[] =
    "{\"@id\":\"%s\",\"match\":[{\"host\":[\"%s.dev.localhost\"]}],\"handle\":[{\"handler\":"
    "\"reverse_proxy\",\"upstreams\":[{\"dial\":\"127.0.0.1:%d\"}]%s}],\"terminal\":true},";
static const char no_keep_alive[] =
    ",\"transport\":{\"protocol\":\"http\",\"keep_alive\":{\"enabled\":false}}";

static pid_t
start_run(struct world *w, int port, struct target *t)
{
	char dir[128], log[160], app[BENCH_PATH], number[16];
	const char *argv[] = {
	    w->devmesh, "run", "--port", number, "--app", "load", "--", w->node, app, NULL};
	char *mesh = world_mesh_route(w), *full, a[400], b[400], *extra;
	pid_t pid;

	snprintf(app, sizeof app, "%s/app.js", w->src);
	full = realpath(app, NULL);
	if (full == NULL || mesh == NULL || w->node[0] == '\0' || !w->have_plain) {
		free(full);
		free(mesh);
		return -1;
	}
	snprintf(app, sizeof app, "%s", full);
	free(full);
	snprintf(number, sizeof number, "%d", port);
	world_worktree(w, 0, dir, sizeof dir);
	snprintf(log, sizeof log, "%s/bridge.log", w->tmp);

	snprintf(a, sizeof a, route_json, "tcp", "tcp", port, no_keep_alive);
	snprintf(b, sizeof b, route_json, "tcp-keep", "tcp-keep", port, "");
	extra = malloc(strlen(a) + strlen(b) + strlen(mesh) + 1);
	if (extra == NULL)
		abort();
	snprintf(extra, strlen(a) + strlen(b) + strlen(mesh) + 1, "%s%s%s", a, b, mesh);
	free(mesh);
	pid = world_routes(w, 0, extra) ? proc_start_in(dir, argv, &w->mesh, log) : -1;
	free(extra);
	memset(t, 0, TARGETS * sizeof *t);
	target_set(&t[BRIDGE], "run's bridge", "load-bench-b00.dev.localhost", w->plain_port, NULL);
	target_set(&t[DIRECT], "route to the port", "tcp.dev.localhost", w->plain_port, NULL);
	target_set(&t[DIRECT_KEEP], "to the port, keep-alive", "tcp-keep.dev.localhost",
	    w->plain_port, NULL);
	for (int i = TARGETS - 1; pid > 0 && i >= 0; i--)
		target_probe(&t[i]);
	return pid;
}

static void
one_row(const char *what, const char *unit, double ours, const char *peer, double theirs,
    struct limit limit)
{
	struct row r = {.what = what,
	    .unit = unit,
	    .ours = ours,
	    .tail = NOT,
	    .peer = peer,
	    .theirs = theirs,
	    .limit = limit};

	table_add(&r);
}

static void
latency(const struct world *w, struct target *t)
{
	struct samples s[TARGETS] = {{0}};
	struct client *c[TARGETS];
	int rounds = w->quick ? 4 : 60;
	double ms;

	for (int i = 0; i < TARGETS; i++)
		c[i] = client_new(&t[i]);
	for (int round = -1; round < rounds && !quitting(); round++)
		for (int k = 0; k < TARGETS; k++) {
			int i = (k + round + TARGETS) % TARGETS;

			for (int n = 0; n < 50; n++)
				if (client_get(c[i], &ms) && round >= 0)
					samples_add(&s[i], ms);
		}
	for (int i = DIRECT; i < TARGETS; i++) {
		table_add_samples("bridge, request p50", &s[BRIDGE], t[i].name, &s[i],
		    (struct limit){.max_ratio = i == DIRECT ? 1.35 : 0});
		one_row("bridge, request p99", "ms", samples_at(&s[BRIDGE], 0.99), t[i].name,
		    samples_at(&s[i], 0.99), (struct limit){0});
	}
	for (int i = 0; i < TARGETS; i++) {
		if (s[i].n != (size_t)rounds * 50 && !quitting())
			table_note(
			    "%s: %zu of %d requests answered 200", t[i].name, s[i].n, rounds * 50);
		samples_release(&s[i]);
		client_free(c[i]);
	}
}

static void
throughput(struct world *w, struct target *t)
{
	struct samples s[TARGETS] = {{0}};
	int rounds = w->quick ? 1 : 6;

	for (int round = 0; w->wrk[0] != '\0' && round < rounds && !quitting(); round++)
		for (int k = 0; k < TARGETS; k++) {
			double rate = wrk_rate(w, &t[(k + round) % TARGETS]);

			if (!isnan(rate))
				samples_add(&s[(k + round) % TARGETS], rate);
		}
	for (int i = DIRECT; i < TARGETS; i++)
		one_row("bridge, throughput", "req/s", samples_at(&s[BRIDGE], 0.5), t[i].name,
		    samples_at(&s[i], 0.5), (struct limit){.min_ratio = i == DIRECT ? 0.7 : 0});
	for (int i = 0; i < TARGETS; i++)
		samples_release(&s[i]);
}

static void
transfers(const struct world *w, const struct target *t, pid_t pid)
{
	struct samples rate[2][2] = {{{0}}}, cpu = {0};
	int rounds = w->quick ? 1 : 3;
	long long bytes = w->quick ? GB / 4 : GB;

	for (int round = 0; round < rounds && !quitting(); round++)
		for (int k = 0; k < 4; k++) {
			int path = (k + round) % 2, up = k / 2;
			struct usage before, after;
			double mb;
			bool known = proc_usage(pid, &before);

			mb = transfer_rate(&t[path], up ? bytes : 0, up ? 0 : bytes);
			known = proc_usage(pid, &after) && known;
			if (isnan(mb)) {
				table_note("%s: a transfer was not complete", t[path].name);
				continue;
			}
			samples_add(&rate[up][path], mb);
			if (path == BRIDGE && known)
				samples_add(&cpu,
				    (after.cpu_ms - before.cpu_ms) * ((double)GB / (double)bytes));
		}
	for (int up = 0; up < 2; up++)
		one_row(up ? "bridge, 1 GB up" : "bridge, 1 GB down", "MB/s",
		    samples_at(&rate[up][BRIDGE], 0.5), t[DIRECT].name,
		    samples_at(&rate[up][DIRECT], 0.5), (struct limit){.min_ratio = 0.7});
	one_row("bridge, processor time for 1 GB", "ms", samples_at(&cpu, 0.5), NULL, NOT,
	    (struct limit){0});
	for (int i = 0; i < 4; i++)
		samples_release(&rate[i / 2][i % 2]);
	samples_release(&cpu);
}

/* A connection straight to the socket, with one answer taken from it and kept open; -1 if not. */
static int
idle_connection(const struct world *w)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: idle\r\n\r\n";
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 10};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char answer[512];

	snprintf(a.sun_path, sizeof a.sun_path, "%.60s/load-bench-b00.sock", w->sockets);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
	    write(fd, request, sizeof request - 1) == (ssize_t)sizeof request - 1 &&
	    read(fd, answer, sizeof answer) > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void
idle_connections(const struct world *w, pid_t pid)
{
	static int fds[CONNECTIONS];
	struct row r = {.what = "bridge, 1,000 connections: answered",
	    .unit = "",
	    .tail = NOT,
	    .theirs = NOT,
	    .of = CONNECTIONS,
	    .limit = {.all = true}};
	struct usage u = {0}, before = {0};
	bool known = proc_usage(pid, &before);
	int n = 0;

	while (n < CONNECTIONS && !quitting() && (fds[n] = idle_connection(w)) >= 0)
		n++;
	r.ours = n;
	table_add(&r);
	if (known && proc_usage(pid, &u))
		one_row("run, memory, 1,000 connections", "MB", u.rss_mb, "before", before.rss_mb,
		    (struct limit){.below = 30});
	while (n > 0)
		close(fds[--n]);
}

static void
rest(const struct world *w, pid_t pid)
{
	struct usage before, after;
	double start;

	if (!proc_usage(pid, &before)) {
		table_note("memory and processor time of a process: not known on this system");
		return;
	}
	sleep_ms(3000); /* whatever the start still had to do: the identity document */
	(void)proc_usage(pid, &before);
	start = now_ms();
	while (now_ms() - start < (w->quick ? 2000 : 10000) && !quitting())
		sleep_ms(100);
	(void)proc_usage(pid, &after);
	one_row("run, memory at rest", "MB", after.rss_mb, NULL, NOT, (struct limit){.below = 12});
	one_row("run, memory at rest, not shared", "MB", after.own_mb, NULL, NOT,
	    (struct limit){.below = 4});
	one_row("run, processor time of 10 s at rest", "ms",
	    (after.cpu_ms - before.cpu_ms) * 10e3 / (now_ms() - start), NULL, NOT,
	    (struct limit){.below = 20});
}

void
rows_bridge(struct world *w)
{
	struct target t[TARGETS];
	struct rlimit files, more;
	struct usage u;
	pid_t pid;

	if (!w->have_mesh)
		return;
	/* for the thousand connections: ours, and those of the server */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		more = files;
		more.rlim_cur = more.rlim_max;
		setrlimit(RLIMIT_NOFILE, &more);
	}
	pid = start_run(w, w->dead_port + 200, t);
	if (pid > 0 && t[BRIDGE].usable && t[DIRECT].usable && t[DIRECT_KEEP].usable) {
		rest(w, pid);
		latency(w, t);
		throughput(w, t);
		transfers(w, t, pid);
		if (proc_usage(pid, &u))
			one_row("run, most memory so far", "MB", u.peak_mb, NULL, NOT,
			    (struct limit){0});
		idle_connections(w, pid);
	} else {
		table_note("`devmesh run` did not answer: no rows of the bridge");
	}
	if (pid > 0) {
		kill(pid, SIGTERM);
		if (proc_wait(pid, 20000) < 0)
			table_note("WRONG: `devmesh run` did not end with all this behind it");
	}
	(void)setrlimit(RLIMIT_NOFILE, &files);
}
