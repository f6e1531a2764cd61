/* SPDX-License-Identifier: MIT */
/*
 * Rows about starting a dev server: from the command to the first good answer at its URL, under
 * `devmesh run`, under `portless run`, and by itself at its port. An answer is good if it names the
 * server's own directory. The client has its connection to the proxy before the clock starts.
 */
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rows.h"

#define NOT ((double)NAN)

enum {
	OURS,
	PX,
	BARE,
	KINDS,
	MOST = 50,
	GIVE_UP_MS = 60000,
	END_MS = 20000
};

struct start {
	const struct env *env;
	struct env own; /* only of BARE: with its PORT */
	const char *argv[8];
	char dir[128], log[160], name[32], port[16];
	struct target target;
	struct client *client;
	long pause_ms;	  /* between two requests that failed */
	double began, ms; /* ms: NAN until the good answer */
	pid_t pid;
	long app; /* pid of the server, which it says itself */
	pthread_t thread;
};

static char app_js[BENCH_PATH];

static bool
find_app(const struct world *w)
{
	char path[BENCH_PATH], *full;

	snprintf(path, sizeof path, "%s/app.js", w->src);
	full = realpath(path, NULL);
	if (full != NULL)
		snprintf(app_js, sizeof app_js, "%s", full);
	free(full);
	return full != NULL && w->node[0] != '\0';
}

static bool
can(const struct world *w, int kind)
{
	return kind == OURS ? w->have_mesh : kind == PX ? w->have_px : true;
}

/* Start number i, in a worktree of its own. */
static void
prepare(const struct world *w, struct start *s, int kind, int i)
{
	const char *const ours[] = {w->devmesh, "run", "--", w->node, app_js};
	const char *const px[] = {w->node, w->portless, "run", "--name", "shop", w->node, app_js};
	const char *const bare[] = {w->node, app_js};
	char host[64];

	memset(s, 0, sizeof *s);
	s->ms = NOT;
	world_worktree(w, i, s->dir, sizeof s->dir);
	snprintf(s->name, sizeof s->name, "shop-bench-b%02d", i);
	snprintf(s->log, sizeof s->log, "%s/run-%d-%d.log", w->tmp, kind, i);
	if (kind == OURS) {
		memcpy(s->argv, ours, sizeof ours);
		s->env = &w->mesh;
		snprintf(host, sizeof host, "%s.dev.localhost", s->name);
		target_set(&s->target, "devmesh run", host, w->https_port, w->root_ca);
	} else if (kind == PX) {
		memcpy(s->argv, px, sizeof px);
		s->env = &w->px;
		snprintf(host, sizeof host, "b%02d.shop.localhost", i);
		target_set(&s->target, "portless run", host, w->px_port, NULL);
	} else {
		memcpy(s->argv, bare, sizeof bare);
		env_copy(&s->own, &w->base);
		snprintf(s->port, sizeof s->port, "%d", w->dead_port + 100 + i);
		env_set(&s->own, "PORT", "%s", s->port);
		s->env = &s->own;
		target_set(
		    &s->target, "the command alone", "127.0.0.1", w->dead_port + 100 + i, NULL);
	}
	s->client = client_new(&s->target);
}

/* "<pid> <directory>" of the start's own directory. */
static bool
is_own(struct start *s)
{
	char *end;

	s->app = strtol(client_body(s->client), &end, 10);
	return s->app > 0 && *end == ' ' && strncmp(end + 1, s->dir, strlen(s->dir)) == 0 &&
	       strcmp(end + 1 + strlen(s->dir), "\n") == 0;
}

static void
begin(struct start *s)
{
	double ms;

	(void)client_get(s->client, &ms); /* the connection, and the page for what does not run */
	s->began = now_ms();
	s->pid = proc_start_in(s->dir, s->argv, s->env, s->log);
}

static void
await_answer(struct start *s)
{
	double ms;

	while (s->pid > 0 && now_ms() - s->began < GIVE_UP_MS && !quitting()) {
		if (client_get(s->client, &ms) && is_own(s)) {
			s->ms = now_ms() - s->began;
			return;
		}
		sleep_ms(s->pause_ms);
	}
}

static bool
log_has(const struct start *s, const char *text)
{
	char buf[4096];
	FILE *f = fopen(s->log, "r");
	size_t n = f != NULL ? fread(buf, 1, sizeof buf - 1, f) : 0;

	buf[n] = '\0';
	if (f != NULL)
		fclose(f);
	return strstr(buf, text) != NULL;
}

/* From the start to the line with the URL. */
static double
await_line(const struct start *s)
{
	while (now_ms() - s->began < GIVE_UP_MS && !quitting()) {
		if (log_has(s, "https://"))
			return now_ms() - s->began;
		sleep_ms(1);
	}
	return NOT;
}

static void
ask_to_end(const struct start *s)
{
	if (s->pid > 0)
		kill(s->pid, SIGTERM);
}

static bool
is_there(const char *dir, const char *name, const char *suffix)
{
	char path[256];

	snprintf(path, sizeof path, "%.96s/%s%s", dir, name, suffix);
	return access(path, F_OK) == 0;
}

/* Ended as asked, its server too, and nothing of it left. Releases the start. */
static bool
has_ended_well(const struct world *w, struct start *s, int kind)
{
	int status = s->pid > 0 ? proc_wait(s->pid, END_MS) : -1;
	bool ok = status >= 0 && (s->app <= 0 || kill((pid_t)s->app, 0) != 0);

	if (kind == OURS)
		ok = ok && !is_there(w->sockets, s->name, ".json") &&
		     !is_there(w->sockets, s->name, ".sock");
	if (!ok && s->app > 0)
		kill((pid_t)s->app, SIGKILL);
	client_free(s->client);
	env_release(&s->own);
	return ok;
}

/* portless's own list is a file: none of ours may be left in it. */
static bool
px_list_is_clean(const struct world *w)
{
	char path[128], buf[8192];
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "%s/px/routes.json", w->tmp);
	f = fopen(path, "r");
	n = f != NULL ? fread(buf, 1, sizeof buf - 1, f) : 0;
	buf[n] = '\0';
	if (f != NULL)
		fclose(f);
	return strstr(buf, ".shop.localhost") == NULL;
}

static void
added_row(struct samples *s)
{
	struct row r = {.what = "run, added to the command alone",
	    .unit = "ms",
	    .peer = "portless run",
	    .tail = NOT,
	    .limit = {.below = 60, .max_ratio = 0.5}};
	double bare = samples_at(&s[BARE], 0.5);

	r.ours = samples_at(&s[OURS], 0.5) - bare;
	r.theirs = samples_at(&s[PX], 0.5) - bare;
	table_add(&r);
}

void
rows_run(struct world *w)
{
	struct samples s[KINDS] = {{0}}, line = {0};
	int rounds = w->quick ? 3 : 15, unclean = 0;
	struct start one;

	if (!find_app(w)) {
		table_note("no node, or no app.js: no rows of run");
		return;
	}
	if (w->have_px)
		world_aliases(w, 0);
	for (int i = -1; i < rounds && !quitting(); i++)
		for (int turn = 0; turn < KINDS; turn++) {
			int kind = (turn + i + KINDS) % KINDS;

			if (!can(w, kind))
				continue;
			prepare(w, &one, kind, 0);
			one.pause_ms = 2;
			begin(&one);
			await_answer(&one);
			if (isnan(one.ms))
				table_note("%s: no good answer (%s)", one.target.name,
				    client_error(one.client));
			else if (i >= 0)
				samples_add(&s[kind], one.ms);
			if (kind == OURS && !isnan(one.ms) && i >= 0)
				samples_add(&line, await_line(&one));
			ask_to_end(&one);
			unclean += has_ended_well(w, &one, kind) || kind != OURS ? 0 : 1;
		}
	table_add_samples(
	    "run, first good answer", &s[OURS], "the command alone", &s[BARE], (struct limit){0});
	table_add_samples(
	    "run, first good answer", &s[OURS], "portless run", &s[PX], (struct limit){0});
	added_row(s);
	table_add_samples("run, URL printed", &line, NULL, NULL, (struct limit){0});
	if (unclean > 0)
		table_note("WRONG: %d of %d `devmesh run` left something behind", unclean, rounds);
	for (int i = 0; i < KINDS; i++)
		samples_release(&s[i]);
	samples_release(&line);
}

/* ---- many at once ---- */

struct crowd {
	double right, ended; /* the least of all rounds */
	struct samples slowest, median;
};

static void *
on_thread(void *arg)
{
	await_answer(arg);
	return NULL;
}

static void
least(double *least, double value)
{
	if (isnan(*least) || value < *least)
		*least = value;
}

static void
crowd_round(const struct world *w, int kind, int n, struct crowd *c)
{
	struct start *s = calloc((size_t)n, sizeof *s);
	struct samples ms = {0};
	int right = 0, ended = 0;

	if (s == NULL)
		abort();
	for (int i = 0; i < n; i++) {
		double ignored;

		prepare(w, &s[i], kind, i + 1);
		s[i].pause_ms = 100;
		(void)client_get(s[i].client, &ignored);
	}
	for (int i = 0; i < n; i++) {
		s[i].began = now_ms();
		s[i].pid = proc_start_in(s[i].dir, s[i].argv, s[i].env, s[i].log);
	}
	for (int i = 0; i < n; i++)
		if (pthread_create(&s[i].thread, NULL, on_thread, &s[i]) != 0)
			abort();
	for (int i = 0; i < n; i++) {
		pthread_join(s[i].thread, NULL);
		if (!isnan(s[i].ms)) {
			right++;
			samples_add(&ms, s[i].ms);
		}
	}
	for (int i = 0; i < n; i++)
		ask_to_end(&s[i]);
	for (int i = 0; i < n; i++)
		ended += has_ended_well(w, &s[i], kind) ? 1 : 0;
	if (kind == PX && !px_list_is_clean(w))
		table_note("portless: names of servers that have ended are still in its list");
	least(&c->right, right);
	least(&c->ended, ended);
	if (right > 0) {
		samples_add(&c->slowest, samples_at(&ms, 1));
		samples_add(&c->median, samples_at(&ms, 0.5));
	}
	samples_release(&ms);
	free(s);
}

void
rows_run_parallel(struct world *w, int n)
{
	static const char *const names[] = {NULL, "portless run", "the command alone"};
	struct crowd c[KINDS];
	int rounds = w->quick ? 1 : 2;
	char what[64];
	struct row r = {.what = what, .unit = "", .tail = NOT, .of = n, .limit = {.all = true}};

	if (!find_app(w))
		return;
	for (int k = 0; k < KINDS; k++)
		c[k] = (struct crowd){.right = NOT, .ended = NOT};
	for (int i = 0; i < rounds; i++)
		for (int k = 0; k < KINDS && !quitting(); k++)
			if (can(w, (k + i) % KINDS))
				crowd_round(w, (k + i) % KINDS, n, &c[(k + i) % KINDS]);
	r.peer = names[PX];
	snprintf(what, sizeof what, "%d parallel run: right", n);
	r.ours = c[OURS].right;
	r.theirs = c[PX].right;
	table_add(&r);
	snprintf(what, sizeof what, "%d parallel run: all ended", n);
	r.ours = c[OURS].ended;
	r.theirs = c[PX].ended;
	table_add(&r);
	for (int k = PX; k < KINDS; k++) {
		snprintf(what, sizeof what, "%d parallel run: slowest answer", n);
		table_add_samples(what, &c[OURS].slowest, names[k], &c[k].slowest,
		    (struct limit){.max_ratio = k == PX ? 1 : 0});
		snprintf(what, sizeof what, "%d parallel run: median answer", n);
		table_add_samples(what, &c[OURS].median, names[k], &c[k].median, (struct limit){0});
	}
	for (int k = 0; k < KINDS; k++) {
		samples_release(&c[k].slowest);
		samples_release(&c[k].median);
	}
}
