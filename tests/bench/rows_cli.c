/* SPDX-License-Identifier: MIT */
/*
 * Rows about whole processes: `up` with the mesh route and with explicit routes, the small verbs,
 * and many `up` at once. Peers take turns with devmesh, and who goes first alternates.
 */
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TIMEOUT_S = 20,
	PARALLEL = 50
};

#define NOT ((double)NAN)

/* Runs argv and keeps its time. A failure is noted once, and ends the row's loop. */
static bool
timed(const char *const argv[], const struct env *env, struct samples *s)
{
	struct result r;

	if (!proc_run(argv, env, TIMEOUT_S, &r)) {
		table_note("`%s %s` ended with %d: %.*s", argv[0], argv[1] != NULL ? argv[1] : "",
		    r.status, (int)strcspn(r.err, "\n"), r.err);
		return false;
	}
	if (s != NULL)
		samples_add(s, r.ms);
	return true;
}

static bool
exists(const char *dir, const char *id)
{
	char path[256];

	snprintf(path, sizeof path, "%.96s/%.64s.json", dir, id);
	return access(path, F_OK) == 0;
}

void
rows_mesh(struct world *w, int services)
{
	enum {
		UP,
		LIST,
		STATUS,
		ALIAS,
		PX_LIST,
		ROWS
	};
	struct samples s[ROWS] = {{0}};
	char wt[128], port[16], what[64];
	const char *up[] = {w->devmesh, "up", "-C", wt, NULL};
	const char *down[] = {w->devmesh, "down", "-C", wt, NULL};
	const char *list[] = {w->devmesh, "list", NULL};
	const char *status[] = {w->devmesh, "status", NULL};
	const char *alias[] = {w->node, w->portless, "alias", "shop-bench", port, NULL};
	const char *unalias[] = {w->node, w->portless, "alias", "--remove", "shop-bench", NULL};
	const char *px_list[] = {w->node, w->portless, "list", NULL};
	bool ours, theirs = w->have_px;
	int n = w->quick ? 4 : 30;

	ours = w->have_mesh && world_services(w, services);
	world_worktree(w, 0, wt, sizeof wt);
	snprintf(port, sizeof port, "%d", w->dead_port);
	if (theirs)
		world_aliases(w, services);
	if (ours) /* once untimed: both programs and the directory into the page cache */
		ours = timed(up, &w->mesh, NULL) && timed(down, &w->mesh, NULL);
	for (int i = 0; i < n && !quitting(); i++)
		for (int turn = 0; turn < 2; turn++) {
			if ((turn == (i & 1)) && ours)
				ours = timed(up, &w->mesh, &s[UP]) &&
				       timed(list, &w->mesh, &s[LIST]) &&
				       timed(status, &w->mesh, &s[STATUS]) &&
				       timed(down, &w->mesh, NULL);
			else if ((turn != (i & 1)) && theirs)
				theirs = timed(alias, &w->px, &s[ALIAS]) &&
					 timed(px_list, &w->px, &s[PX_LIST]) &&
					 timed(unalias, &w->px, NULL);
		}
	snprintf(what, sizeof what, "up, mesh route, %d services", services);
	table_add_samples(what, &s[UP], "portless alias", &s[ALIAS],
	    (struct limit){.below = 10, .max_ratio = 0.125});
	snprintf(what, sizeof what, "list, %d services", services);
	table_add_samples(what, &s[LIST], "portless list", &s[PX_LIST], (struct limit){0});
	snprintf(what, sizeof what, "status, %d services", services);
	table_add_samples(what, &s[STATUS], "portless list", &s[PX_LIST], (struct limit){0});
	for (int i = 0; i < ROWS; i++)
		samples_release(&s[i]);
}

void
rows_verbs(struct world *w)
{
	static const char *const verbs[] = {"url", "env", "name"};
	char wt[128];
	const char *up[] = {w->devmesh, "up", "-C", wt, NULL};
	const char *down[] = {w->devmesh, "down", "-C", wt, NULL};
	const char *nothing[] = {"/bin/true", NULL};
	int n = w->quick ? 10 : 100;
	bool ours;

	world_worktree(w, 0, wt, sizeof wt);
	ours = w->have_mesh && timed(up, &w->mesh, NULL);
	for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
		const char *verb[] = {w->devmesh, verbs[v], "-C", wt, NULL};
		struct samples mine = {0}, floor = {0};

		for (int i = 0; i < n && !quitting(); i++) {
			if (i & 1)
				timed(nothing, &w->base, &floor);
			ours = ours && timed(verb, &w->mesh, &mine);
			if (!(i & 1))
				timed(nothing, &w->base, &floor);
		}
		table_add_samples(verbs[v], &mine, "/bin/true", &floor, (struct limit){.below = 5});
		samples_release(&mine);
		samples_release(&floor);
	}
	if (ours)
		timed(down, &w->mesh, NULL);
}

/* Whether the id has exactly one route, and it leads to the port. */
static bool
leads_to(const struct world *w, const char *id, const char *port)
{
	char path[128], *text = NULL;
	bool ok;

	snprintf(path, sizeof path, "/id/%s", id);
	ok = admin_count(w->admin, id) == 1 &&
	     admin_call(w->admin, "GET", path, NULL, &text) == 200 && text != NULL &&
	     strstr(text, port) != NULL;
	free(text);
	return ok;
}

void
rows_route(struct world *w, int routes)
{
	static const char *const ports[] = {"41001", "41002"}; /* nothing connects to them */
	char wt[128], id[64] = "", dial[32], what[64], note[120] = "";
	struct samples mine = {0}, raw = {0};
	bool ours = w->have_devmesh, theirs = w->have_plain && world_routes(w, routes, "");
	int n = w->quick ? 4 : 40;

	world_worktree(w, 0, wt, sizeof wt);
	ours = ours && theirs;
	for (int i = -2; i < n && !quitting();
	     i++) { /* two untimed turns: both routes are there then */
		const char *port = ports[i & 1];
		const char *up[] = {w->devmesh, "up", "-C", wt, "--port", port, NULL};
		const char *post[] = {w->raw_route, w->admin, "srv0", "raw-bench",
		    "raw-bench.dev.localhost", dial, NULL};
		struct result r = {0};

		snprintf(dial, sizeof dial, "127.0.0.1:%s", port);
		if ((i & 2) && theirs)
			theirs = timed(post, &w->base, i < 0 ? NULL : &raw);
		if (ours && i < 0 && proc_run(up, &w->route, TIMEOUT_S, &r))
			url_id(r.out, id, sizeof id);
		else if (ours)
			ours = timed(up, &w->route, i < 0 ? NULL : &mine);
		if (!(i & 2) && theirs)
			theirs = timed(post, &w->base, i < 0 ? NULL : &raw);
		/* Outside the times: every run must really have replaced the route. */
		if (ours && id[0] != '\0' && note[0] == '\0' && !leads_to(w, id, port))
			snprintf(note, sizeof note,
			    "WRONG: no single route %s to port %s after `up`", id, port);
	}
	if (theirs && note[0] == '\0' && admin_count(w->admin, NULL) != routes + (ours ? 2 : 1))
		snprintf(note, sizeof note, "WRONG: %d routes in Caddy, not %d",
		    admin_count(w->admin, NULL), routes + (ours ? 2 : 1));
	if (note[0] != '\0') /* a wrong answer has no time */
		mine.n = 0;
	snprintf(what, sizeof what, "up, explicit route, %d routes", routes);
	table_add_samples(what, &mine, "raw DELETE + POST", &raw, (struct limit){.max_ratio = 1.3});
	if (note[0] != '\0')
		table_note("%s: %s", what, note);
	if (ours) {
		const char *down[] = {w->devmesh, "down", "-C", wt, NULL};

		timed(down, &w->route, NULL);
	}
	samples_release(&mine);
	samples_release(&raw);
}

/* ---- 50 at once ---- */

struct crowd {
	char arg[PARALLEL][2][128];
	const char *argv[PARALLEL][8];
	const char *const *list[PARALLEL];
	struct result r[PARALLEL];
};

static double
slowest(const struct crowd *c)
{
	double ms = 0;

	for (int i = 0; i < PARALLEL; i++)
		if (c->r[i].ms > ms)
			ms = c->r[i].ms;
	return ms;
}

/* How many exited with 0, printed one line that is a URL of their own, and hold its claim. */
static int
right_answers(const struct crowd *c, const char *dir, bool same, const char *admin)
{
	char ids[PARALLEL][64];
	int good = 0;

	for (int i = 0; i < PARALLEL; i++) {
		const char *out = c->r[i].out, *end = strchr(out, '\n');
		bool ok = c->r[i].status == 0 && end != NULL && end[1] == '\0' &&
			  url_id(out, ids[i], sizeof ids[i]) && exists(dir, ids[i]);

		if (!ok) {
			ids[i][0] = '\0';
			table_note("one of 50 parallel `up` ended with %d: %.*s", c->r[i].status,
			    (int)strcspn(c->r[i].err, "\n"), c->r[i].err);
		}
		for (int k = 0; ok && k < i; k++)
			if (ids[k][0] != '\0' && (strcmp(ids[k], ids[i]) == 0) != same)
				ok = false;
		if (ok && admin != NULL)
			ok = admin_count(admin, ids[i]) == 1;
		good += ok ? 1 : 0;
	}
	return good;
}

static void
make_ups(const struct world *w, struct crowd *c, bool same, bool port)
{
	for (int i = 0; i < PARALLEL; i++) {
		const char *argv[8] = {w->devmesh, "up", "-C", c->arg[i][0], NULL};

		world_worktree(w, same ? 1 : i + 1, c->arg[i][0], sizeof c->arg[i][0]);
		snprintf(c->arg[i][1], sizeof c->arg[i][1], "%d", 41000 + (same ? 0 : i));
		if (port) {
			argv[4] = "--port";
			argv[5] = c->arg[i][1];
		}
		memcpy(c->argv[i], argv, sizeof argv);
		c->list[i] = c->argv[i];
	}
}

static void
take_down(const struct world *w, const struct crowd *c, const struct env *env, int n)
{
	for (int i = 0; i < n; i++) {
		const char *down[] = {w->devmesh, "down", "-C", c->arg[i][0], NULL};

		timed(down, env, NULL);
	}
}

/* What a crowd of peers reached. */
struct reached {
	struct samples ms;
	double right;
};

static void
two_rows(const char *what, struct reached *mine, const char *peer, struct reached *theirs)
{
	struct row r = {
	    .peer = peer, .limit = {.all = true}, .of = PARALLEL, .unit = "", .what = what};
	char text[80];

	r.ours = mine->right;
	r.tail = NOT;
	r.theirs = theirs != NULL ? theirs->right : NOT;
	snprintf(text, sizeof text, "%s: right", what);
	r.what = text;
	table_add(&r);
	snprintf(text, sizeof text, "%s: slowest", what);
	table_add_samples(
	    text, &mine->ms, peer, theirs != NULL ? &theirs->ms : NULL, (struct limit){0});
	samples_release(&mine->ms);
	if (theirs != NULL)
		samples_release(&theirs->ms);
}

static void
least(struct reached *r, double right)
{
	if (isnan(r->right) || right < r->right)
		r->right = right;
}

static int
count_aliases(const struct world *w)
{
	const char *list[] = {w->node, w->portless, "list", NULL};
	struct result r;
	int n = 0;

	if (!proc_run(list, &w->px, TIMEOUT_S, &r))
		return 0;
	for (const char *p = r.out; (p = strstr(p, "//par-")) != NULL; p++)
		n++;
	return n;
}

static void
parallel_mesh(struct world *w, struct crowd *c)
{
	struct reached mine = {.right = NOT}, px = {.right = NOT}, one = {.right = NOT};
	int n = w->quick ? 1 : 5;

	for (int i = 0; i < n && w->have_mesh && !quitting(); i++) {
		make_ups(w, c, false, false);
		proc_run_all(c->list, PARALLEL, &w->mesh, c->r);
		samples_add(&mine.ms, slowest(c));
		least(&mine, right_answers(c, w->sockets, false, NULL));
		take_down(w, c, &w->mesh, PARALLEL);
		make_ups(w, c, true, false);
		proc_run_all(c->list, PARALLEL, &w->mesh, c->r);
		samples_add(&one.ms, slowest(c));
		least(&one, right_answers(c, w->sockets, true, NULL));
		take_down(w, c, &w->mesh, 1);
	}
	if (w->have_px && !quitting()) {
		world_aliases(w, 0);
		for (int i = 0; i < PARALLEL; i++) {
			const char *argv[8] = {
			    w->node, w->portless, "alias", c->arg[i][0], c->arg[i][1], NULL};

			snprintf(c->arg[i][0], sizeof c->arg[i][0], "par-%02d", i);
			snprintf(c->arg[i][1], sizeof c->arg[i][1], "%d", 41000 + i);
			memcpy(c->argv[i], argv, sizeof argv);
			c->list[i] = c->argv[i];
		}
		proc_run_all(c->list, PARALLEL, &w->px, c->r);
		samples_add(&px.ms, slowest(c));
		px.right = count_aliases(w);
		world_aliases(w, 0);
	}
	two_rows("50 parallel up, mesh route", &mine, "portless alias", &px);
	two_rows("50 parallel up of one worktree", &one, NULL, NULL);
}

static void
parallel_route(struct world *w, struct crowd *c)
{
	enum {
		BYSTANDERS = 10
	};
	struct reached mine = {.right = NOT}, raw = {.right = NOT};
	int n = w->quick ? 1 : 3;

	for (int i = 0; i < n && w->have_plain && !quitting(); i++) {
		int good = 0;

		if (w->have_devmesh && world_routes(w, BYSTANDERS, "")) {
			make_ups(w, c, false, true);
			proc_run_all(c->list, PARALLEL, &w->route, c->r);
			samples_add(&mine.ms, slowest(c));
			least(&mine, right_answers(c, w->route_sockets, false, w->admin));
			if (admin_count(w->admin, NULL) != BYSTANDERS + PARALLEL)
				table_note("WRONG: %d routes after 50 parallel `up` beside 10",
				    admin_count(w->admin, NULL));
			take_down(w, c, &w->route, PARALLEL);
		}
		world_routes(w, BYSTANDERS, "");
		for (int k = 0; k < PARALLEL; k++) {
			const char *argv[8] = {w->raw_route, w->admin, "srv0", c->arg[k][0],
			    "raw.dev.localhost", "127.0.0.1:41000", NULL};

			snprintf(c->arg[k][0], sizeof c->arg[k][0], "raw-%02d", k);
			memcpy(c->argv[k], argv, sizeof argv);
			c->list[k] = c->argv[k];
		}
		/* Twice: the second time every one of them has a route to delete, as in daily use.
		 */
		proc_run_all(c->list, PARALLEL, &w->base, c->r);
		proc_run_all(c->list, PARALLEL, &w->base, c->r);
		samples_add(&raw.ms, slowest(c));
		for (int k = 0; k < PARALLEL; k++)
			good += admin_count(w->admin, c->arg[k][0]) == 1 ? 1 : 0;
		least(&raw, good);
	}
	two_rows("50 parallel up, explicit route", &mine, "raw DELETE + POST", &raw);
}

void
rows_parallel(struct world *w)
{
	struct crowd *c = calloc(1, sizeof *c);

	if (c == NULL)
		abort();
	parallel_mesh(w, c);
	parallel_route(w, c);
	free(c);
}
