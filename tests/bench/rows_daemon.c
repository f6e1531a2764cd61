/* SPDX-License-Identifier: MIT */
/*
 * Rows about devmeshd: how soon it tells of a change, what a look at everything costs, what it
 * costs at rest and while much happens, and how soon Caddy has its routes again. Its peer at rest
 * is portless's proxy, which also knows so many names.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "farm.h"
#include "rows.h"

#define NOT ((double)NAN)

enum {
	EVENT_MS = 20000,
	SETTLE_MS = 60000,
	ALONE_MS = 12000, /* so long after a question it takes somebody to be looking */
	ROUTES = 100,
	RATE = 50
};

static const char ctl_events[] = "{\"v\":1,\"method\":\"GET\",\"path\":\"/api/v1/events\"}\n";
static const char sse_events[] = "GET /api/v1/events HTTP/1.1\r\nHost: devmesh.dev.localhost\r\n"
				 "Accept: text/event-stream\r\n\r\n";

static void
one_row(const char *what, int services, const char *unit, double ours, double theirs,
    struct limit limit)
{
	char name[96];
	struct row r = {.what = name,
	    .unit = unit,
	    .ours = ours,
	    .tail = NOT,
	    .peer = isnan(theirs) ? NULL : "portless proxy",
	    .theirs = theirs,
	    .limit = limit};

	snprintf(name, sizeof name, "daemon, %s, %d services", what, services);
	table_add(&r);
}

static pid_t
start_daemon(const struct world *w, const struct farm *f, const char *registration)
{
	const char *slash = strrchr(w->devmesh, '/');
	char program[BENCH_PATH], log[200];
	const char *argv[] = {program, NULL};
	struct env env;
	pid_t pid;

	snprintf(program, sizeof program, "%.*s/devmeshd",
	    slash != NULL ? (int)(slash - w->devmesh) : 1, slash != NULL ? w->devmesh : ".");
	if (access(program, X_OK) != 0)
		return -1;
	snprintf(log, sizeof log, "%s/devmeshd.log", f->dir);
	env_copy(&env, &w->base);
	env_set(&env, "DEVMESH_SOCKETS_DIR", "%s", f->sockets);
	env_set(&env, "DEVMESH_LOCAL_STATE_DIR", "%s", f->state);
	env_set(&env, "DEVMESH_CADDY_ADMIN", "unix://%s", w->admin);
	env_set(&env, "DEVMESH_CADDY_REGISTRATION", "%s", registration);
	pid = proc_start(argv, &env, log);
	env_release(&env);
	return pid;
}

static const char *
text_of(const cJSON *o, const char *key)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));

	return text != NULL ? text : "";
}

/* All services up, and every worktree of the farm looked at by git. */
static bool
is_settled(const struct farm *f, const cJSON *state, int services)
{
	const cJSON *one;
	int up = 0, looked_at = 0;

	cJSON_ArrayForEach (one, cJSON_GetObjectItemCaseSensitive(state, "services"))
		up += strncmp(text_of(one, "id"), "farm-", 5) == 0 &&
		      strcmp(text_of(one, "state"), "up") == 0;
	cJSON_ArrayForEach (one, cJSON_GetObjectItemCaseSensitive(state, "worktrees"))
		looked_at += strncmp(text_of(one, "path"), f->dir, strlen(f->dir)) == 0 &&
			     cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(one, "dirty"));
	return up >= services && looked_at >= services;
}

static bool
settled(const struct farm *f, int services)
{
	double end = now_ms() + SETTLE_MS;
	bool ok = false;

	while (!ok && now_ms() < end && !quitting()) {
		char *text = daemon_ask(f->state, "/api/v1/state");
		cJSON *answer = text == NULL ? NULL : cJSON_Parse(text);

		ok = is_settled(f, cJSON_GetObjectItemCaseSensitive(answer, "body"), services);
		cJSON_Delete(answer);
		free(text);
		sleep_ms(200);
	}
	return ok;
}

/* ---- events ------------------------------------------------------------------------------- */

static double
wall_ms(void)
{
	struct timeval t;

	gettimeofday(&t, NULL);
	return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

struct ears {
	struct listener ctl, sse;
	struct samples death, socket, at_sse, way; /* way: from the daemon to the SSE client */
};

static void
hear(struct ears *e, const char *id, const char *state, double began, struct samples *s)
{
	char name[64], is[64];
	const char *line, *time;
	double came;

	snprintf(name, sizeof name, "\"id\":\"%s\"", id);
	snprintf(is, sizeof is, "\"state\":\"%s\"", state);
	came = listener_wait(&e->sse, name, is, EVENT_MS, &line);
	if (!isnan(came)) {
		time = strstr(line, "\"time\":");
		samples_add(&e->at_sse, came - began);
		if (time != NULL) /* to the millisecond */
			samples_add(
			    &e->way, wall_ms() - (now_ms() - came) - strtod(time + 7, NULL) * 1e3);
	}
	came = listener_wait(&e->ctl, name, is, EVENT_MS, NULL);
	if (!isnan(came))
		samples_add(s, came - began);
}

/* One after the other: killed, and started again. */
static void
rows_of_events(const struct world *w, struct farm *f, int services)
{
	struct ears e;
	char path[256], id[32];
	int rounds = w->quick ? 10 : 50;

	memset(&e, 0, sizeof e);
	snprintf(path, sizeof path, "%s/devmeshd.sock", f->state);
	if (!listener_open(&e.ctl, path, ctl_events))
		return;
	snprintf(path, sizeof path, "%s/devmesh.sock", f->sockets);
	if (listener_open(&e.sse, path, sse_events)) {
		/* the whole state first */
		(void)listener_wait(&e.ctl, "hello", "sockets_dir", EVENT_MS, NULL);
		(void)listener_wait(&e.sse, "data:", "sockets_dir", EVENT_MS, NULL);
	}
	for (int i = 0; i < rounds && !quitting(); i++) {
		int k = i % services;

		farm_id(k, id, sizeof id);
		hear(&e, id, "stale", farm_kill(f, k), &e.death);
		hear(&e, id, "up", farm_start(f, k), &e.socket);
	}
	table_add_samples(
	    "daemon, kill -9 to event", &e.death, NULL, NULL, (struct limit){.below = 100});
	table_add_samples("daemon, start of a server to event", &e.socket, NULL, NULL,
	    (struct limit){.below = 100});
	table_add_samples("daemon, either to event, SSE client", &e.at_sse, NULL, NULL,
	    (struct limit){.below = 100});
	table_add_samples("daemon, event to SSE client", &e.way, NULL, NULL, (struct limit){0});
	listener_close(&e.ctl);
	listener_close(&e.sse);
	samples_release(&e.death);
	samples_release(&e.socket);
	samples_release(&e.at_sse);
	samples_release(&e.way);
}

/* ---- what it costs ------------------------------------------------------------------------ */

static double
share(pid_t pid, const struct usage *before, double began)
{
	struct usage after;

	if (!proc_usage(pid, &after))
		return NOT;
	return (after.cpu_ms - before->cpu_ms) * 100 / (now_ms() - began);
}

static void
rows_at_rest(struct world *w, pid_t pid, int services)
{
	struct usage u, px = {0};
	double began, cpu;

	sleep_ms(ALONE_MS);
	if (!proc_usage(pid, &u)) {
		table_note("memory and processor time of a process: not known on this system");
		return;
	}
	if (w->have_px)
		world_aliases(w, services);
	began = now_ms();
	while (now_ms() - began < (w->quick ? 5000 : 30000) && !quitting())
		sleep_ms(100);
	cpu = share(pid, &u, began);
	(void)proc_usage(pid, &u);
	if (!w->have_px || !proc_usage(w->px_pid, &px))
		px.rss_mb = NOT;
	one_row("memory at rest", services, "MB", u.rss_mb, px.rss_mb, (struct limit){.below = 12});
	one_row("processor at rest", services, "%", cpu, NOT,
	    (struct limit){.below = services <= 100 ? 0.2 : 0});
}

static void
row_of_work(const struct world *w, struct farm *f, pid_t pid, int services)
{
	int changes = (w->quick ? 2 : 10) * RATE;
	struct listener l;
	char path[256];
	struct usage u;
	double began;

	snprintf(path, sizeof path, "%s/devmeshd.sock", f->state);
	if (!listener_open(&l, path, ctl_events) || !proc_usage(pid, &u))
		return;
	began = now_ms();
	for (int i = 0; i < changes && !quitting(); i++) {
		double due = began + (double)(i + 1) * 1000 / RATE;
		int k = i / 2 % services;

		if (i % 2 == 0)
			(void)farm_kill(f, k);
		else
			(void)farm_start(f, k);
		/* reads all the while; a text that never comes */
		(void)listener_wait(&l, "\001", "", (long)(due - now_ms()), NULL);
	}
	one_row("processor, 50 changes a second", services, "%", share(pid, &u, began), NOT,
	    (struct limit){0});
	(void)proc_usage(pid, &u);
	one_row("memory after that", services, "MB", u.rss_mb, NOT, (struct limit){.below = 12});
	listener_close(&l);
}

static void
row_of_scan(const struct world *w, struct farm *f, int services, int processes)
{
	static const char name[] = "devmesh_scan_seconds ";
	struct samples s = {0};
	int rounds = w->quick ? 3 : 12;
	char what[96];

	if (!farm_grow(w, f, services, processes - services, false) || !settled(f, services))
		return;
	for (int i = 0; i < rounds && !quitting(); i++) {
		char *text = daemon_ask(f->state, "/metrics"), *p, *last = NULL;

		for (p = text; p != NULL && (p = strstr(p, name)) != NULL; p += strlen(name))
			last = p + strlen(name);
		if (last != NULL)
			samples_add(&s, strtod(last, NULL) * 1e3);
		free(text);
		sleep_ms(1100); /* whoever asks has it look every second */
	}
	snprintf(what, sizeof what, "daemon, scan, %d services, %d processes", services, processes);
	table_add_samples(what, &s, NULL, NULL, (struct limit){.below = 50});
	samples_release(&s);
}

/* The mesh route of `devmesh start`, for the farm's directory. */
static char *
farm_mesh_route(const struct world *w, const struct farm *f)
{
	char *route = world_mesh_route(w), *out, *at, *p;
	size_t size, n = 0;

	if (route == NULL)
		return NULL;
	size = strlen(route) * 2 + 4096;
	out = calloc(1, size);
	if (out == NULL)
		abort();
	for (p = route; (at = strstr(p, w->sockets)) != NULL; p = at + strlen(w->sockets))
		n += (size_t)snprintf(out + n, size - n, "%.*s%s", (int)(at - p), p, f->sockets);
	snprintf(out + n, size - n, "%s", p);
	free(route);
	return out;
}

/* ---- lost routes -------------------------------------------------------------------------- */

static bool
wait_routes(const struct world *w, int wanted)
{
	double end = now_ms() + EVENT_MS;

	while (now_ms() < end && !quitting()) {
		if (admin_count(w->admin, NULL) >= wanted)
			return true;
		sleep_ms(2);
	}
	return false;
}

/* Caddy is killed, and started with a configuration of before. */
static void
row_of_restore(struct world *w)
{
	static struct farm f;
	struct samples s = {0};
	int rounds = w->quick ? 1 : 5;
	char what[96];
	pid_t pid = -1;

	if (!world_routes(w, 0, "") || !farm_init(w, &f, "r2") ||
	    !farm_grow(w, &f, ROUTES, 0, true) || (pid = start_daemon(w, &f, "route")) < 0 ||
	    !wait_routes(w, ROUTES)) {
		table_note("devmeshd did not bring %d routes to Caddy", ROUTES);
	} else {
		for (int i = 0; i < rounds && !quitting(); i++) {
			double began = world_restart_plain(w);

			if (isnan(began) || !wait_routes(w, ROUTES))
				break;
			samples_add(&s, now_ms() - began);
		}
		snprintf(what, sizeof what, "daemon, %d lost routes back", ROUTES);
		table_add_samples(what, &s, NULL, NULL, (struct limit){.below = 2000});
		samples_release(&s);
	}
	if (pid > 0)
		proc_stop(pid);
	farm_release(&f);
}

void
rows_daemon(struct world *w)
{
	static struct farm f;
	char *mesh;
	pid_t pid = -1;

	if (!w->have_plain || !w->have_mesh || !farm_init(w, &f, "d")) {
		table_note("no Caddy, or no mesh: no rows of devmeshd");
		return;
	}
	mesh = farm_mesh_route(w, &f);
	if (mesh != NULL && world_routes(w, 0, mesh) && farm_grow(w, &f, 100, 0, false))
		pid = start_daemon(w, &f, "auto");
	free(mesh);
	if (pid > 0 && settled(&f, 100)) {
		rows_of_events(w, &f, 100);
		rows_at_rest(w, pid, 100);
		row_of_work(w, &f, pid, 100);
		row_of_scan(w, &f, 300, 500);
		rows_at_rest(w, pid, 300);
		row_of_work(w, &f, pid, 300);
	} else {
		table_note("devmeshd did not come to rest with 100 services: no rows of it");
	}
	if (pid > 0)
		proc_stop(pid);
	farm_release(&f);
	if (!quitting())
		row_of_restore(w);
}
