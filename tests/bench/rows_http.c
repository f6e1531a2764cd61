/* SPDX-License-Identifier: MIT */
/*
 * Rows about what passes through the proxies: latency of one kept-alive client, throughput of
 * sixteen (wrk), and WebSockets that must survive other worktrees' `up` and `down`.
 */
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOT ((double)NAN)

enum {
	MESH,
	HAND,
	HAND_KEEP,
	PORTLESS,
	TLS_MESH,
	TLS_HAND,
	TARGETS
};

static const char hand_json[] =
    "{\"@id\":\"%s\",\"match\":[{\"host\":[\"%s\"]}],\"handle\":[{\"handler\":\"reverse_proxy\","
    "\"upstreams\":[{\"dial\":\"unix/%s/echo-main.sock\"}]%s}],\"terminal\":true}";
static const char no_keep_alive[] =
    ",\"transport\":{\"protocol\":\"http\",\"keep_alive\":{\"enabled\":false}}";

/* A route as a person would write it, to the same service. */
static void
hand_route(const struct world *w, char *json, size_t size, const char *name, const char *transport)
{
	char host[64];

	snprintf(host, sizeof host, "%s.dev.localhost", name);
	snprintf(json, size, hand_json, name, host, w->sockets, transport);
}

/* Puts the hand-written route into the server of the private mesh, in front. */
static bool
hand_into_mesh(struct world *w)
{
	char json[640], path[200], server[64];

	if (!world_mesh_server(w, server, sizeof server))
		return false;
	hand_route(w, json, sizeof json, "hand", no_keep_alive);
	snprintf(path, sizeof path, "/config/apps/http/servers/%s/routes/0", server);
	return admin_call(w->mesh_admin, "PUT", path, json, NULL) == 200;
}

void
target_probe(struct target *t)
{
	double end = now_ms() + 5000, ms;
	char why[160] = "";

	while (!t->usable && now_ms() < end && !quitting()) {
		struct client *c = client_new(t);

		t->usable = client_get(c, &ms);
		snprintf(why, sizeof why, "%s", client_error(c));
		client_free(c);
		if (!t->usable)
			sleep_ms(50);
	}
	if (!t->usable)
		table_note("not measured: %s (%s:%d): %s", t->name, t->host, t->port, why);
}

void
target_set(struct target *t, const char *name, const char *host, int port, const char *ca)
{
	t->name = name;
	snprintf(t->host, sizeof t->host, "%s", host);
	t->port = port;
	t->ca = ca;
	t->tls = ca != NULL;
}

static void
make_targets(struct world *w, struct target *t)
{
	char *mesh = world_mesh_route(w), a[640], b[640];
	size_t size = (mesh != NULL ? strlen(mesh) : 0) + sizeof a + sizeof b;
	char *extra = malloc(size);

	if (extra == NULL)
		abort();
	memset(t, 0, TARGETS * sizeof *t);
	target_set(&t[MESH], "mesh route", "echo-main.dev.localhost", w->plain_port, NULL);
	target_set(&t[HAND], "hand-written route", "hand.dev.localhost", w->plain_port, NULL);
	target_set(
	    &t[HAND_KEEP], "hand-written, keep-alive", "keep.dev.localhost", w->plain_port, NULL);
	target_set(&t[PORTLESS], "portless", "echo-main.localhost", w->px_port, NULL);
	target_set(
	    &t[TLS_MESH], "mesh route, TLS", "echo-main.dev.localhost", w->https_port, w->root_ca);
	target_set(&t[TLS_HAND], "hand-written route, TLS", "hand.dev.localhost", w->https_port,
	    w->root_ca);

	/* One Caddy, plain HTTP, all three routes: the very mesh route that `devmesh start` wrote.
	 */
	hand_route(w, a, sizeof a, "hand", no_keep_alive);
	hand_route(w, b, sizeof b, "keep", "");
	snprintf(extra, size, "%s,%s%s%s", a, b, mesh != NULL ? "," : "", mesh != NULL ? mesh : "");
	if (w->have_upstream && w->have_plain && world_routes(w, 0, extra)) {
		target_probe(&t[HAND]);
		target_probe(&t[HAND_KEEP]);
		if (mesh != NULL)
			target_probe(&t[MESH]);
	}
	if (w->have_px)
		target_probe(&t[PORTLESS]);
	if (w->have_upstream && w->have_mesh) {
		target_probe(&t[TLS_MESH]);
		if (hand_into_mesh(w))
			target_probe(&t[TLS_HAND]);
	}
	free(extra);
	free(mesh);
}

static void
latency_rows(
    const char *what, struct samples *mine, const char *peer, struct samples *theirs, double limit)
{
	struct row r = {.unit = "ms", .peer = peer, .limit = {.max_ratio = limit}};
	char text[80];

	snprintf(text, sizeof text, "request p50, %s", what);
	table_add_samples(text, mine, peer, theirs, r.limit);
	snprintf(text, sizeof text, "request p99, %s", what);
	r.what = text;
	r.ours = samples_at(mine, 0.99);
	r.tail = NOT;
	r.theirs = samples_at(theirs, 0.99);
	r.limit.max_ratio = 0; /* of a shared machine: shown, not judged */
	table_add(&r);
}

static void
latency(struct world *w, struct target *t, double *rate)
{
	enum {
		BLOCK = 50
	};
	struct samples s[TARGETS] = {{0}};
	struct client *c[TARGETS] = {NULL};
	int rounds = w->quick ? 4 : 60, failed[TARGETS] = {0};
	double ms, sum[TARGETS] = {0};

	for (int i = 0; i < TARGETS; i++)
		c[i] = t[i].usable ? client_new(&t[i]) : NULL;
	for (int round = -1; round < rounds && !quitting(); round++)
		for (int k = 0; k < TARGETS; k++) {
			int i = (k + round + TARGETS) % TARGETS; /* another one first each time */

			for (int n = 0; c[i] != NULL && n < BLOCK; n++) {
				if (!client_get(c[i], &ms))
					failed[i]++;
				else if (round >= 0) {
					samples_add(&s[i], ms);
					sum[i] += ms;
				}
			}
		}
	for (int i = 0; i < TARGETS; i++) {
		if (failed[i] > 0)
			table_note("%s: %d requests did not answer 200", t[i].name, failed[i]);
		rate[i] = s[i].n > 0 ? (double)s[i].n / sum[i] * 1e3 : NOT;
		client_free(c[i]);
	}
	latency_rows("HTTP", &s[MESH], t[HAND].name, &s[HAND], 1.1);
	latency_rows("HTTP", &s[MESH], t[HAND_KEEP].name, &s[HAND_KEEP], 0);
	latency_rows("HTTP", &s[MESH], t[PORTLESS].name, &s[PORTLESS], 0);
	latency_rows("HTTPS", &s[TLS_MESH], t[HAND].name, &s[TLS_HAND], 1.1);
	for (int i = 0; i < TARGETS; i++)
		samples_release(&s[i]);
}

double
wrk_rate(struct world *w, const struct target *t)
{
	char url[64], host[160];
	const char *argv[] = {w->wrk, "-t1", "-c16", "-d1", "-H", host, url, NULL};
	const char *rate, *wrong;
	struct result r;

	snprintf(url, sizeof url, "http://127.0.0.1:%d/", t->port);
	snprintf(host, sizeof host, "Host: %s:%d", t->host, t->port);
	if (!proc_run(argv, &w->base, 30, &r) || (rate = strstr(r.out, "Requests/sec:")) == NULL)
		return NOT;
	wrong = strstr(r.out, "Non-2xx");
	if (wrong != NULL) {
		table_note("wrk through %s: %.*s", t->name, (int)strcspn(wrong, "\n"), wrong);
		return NOT;
	}
	return strtod(rate + strlen("Requests/sec:"), NULL);
}

static void
throughput(struct world *w, struct target *t, const double *one_client)
{
	static const int peers[] = {HAND, HAND_KEEP, PORTLESS};
	static const double targets[] = {0.9, 0, 0};
	struct samples s[TARGETS] = {{0}};
	int rounds = w->quick ? 1 : 6;

	if (w->wrk[0] == '\0')
		table_note("wrk is missing (Debian package wrk): throughput is that of one "
			   "kept-alive client");
	for (int round = 0; round < rounds && !quitting(); round++)
		for (int k = 0; k <= PORTLESS; k++) {
			int i = (k + round) % (PORTLESS + 1);
			double rate = !t[i].usable	  ? NOT
				      : w->wrk[0] == '\0' ? one_client[i]
							  : wrk_rate(w, &t[i]);

			if (!isnan(rate))
				samples_add(&s[i], rate);
		}
	for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
		struct row r = {.what = "throughput, HTTP", .unit = "req/s", .tail = NOT};

		r.ours = samples_at(&s[MESH], 0.5);
		r.peer = t[peers[i]].name;
		r.theirs = samples_at(&s[peers[i]], 0.5);
		r.limit.min_ratio = targets[i];
		table_add(&r);
	}
	for (int i = 0; i < TARGETS; i++)
		samples_release(&s[i]);
}

void
rows_requests(struct world *w)
{
	struct target t[TARGETS];
	double one_client[TARGETS];

	if (w->have_px)
		world_aliases(w, 0);
	make_targets(w, t);
	latency(w, t, one_client);
	throughput(w, t, one_client);
}

/* ---- WebSockets ---- */

enum {
	SOCKETS = 20
};

static int
open_all(const struct target *t, struct ws **ws)
{
	int n = 0;

	for (int i = 0; i < SOCKETS; i++) {
		ws[i] = ws_open(t);
		n += ws[i] != NULL && ws_alive(ws[i]) ? 1 : 0;
	}
	return n;
}

/* Opens the sockets, runs `a` and `b` in turn n times each, and counts what did not survive. */
static double
lost(const struct target *t, const struct env *env, int n, const char *const a[],
    const char *const b[])
{
	struct ws *ws[SOCKETS];
	int opened = open_all(t, ws), alive = 0;
	struct result r = {0};

	for (int i = 0; i < n && opened == SOCKETS && !quitting(); i++)
		if (!proc_run(a, env, 20, &r) || !proc_run(b, env, 20, &r)) {
			table_note("WebSockets, %s: a run ended with %d: %.*s", t->name, r.status,
			    (int)strcspn(r.err, "\n"), r.err);
			opened = 0;
		}
	for (int i = 0; i < SOCKETS; i++) {
		alive += opened > 0 && ws[i] != NULL && ws_alive(ws[i]) ? 1 : 0;
		ws_free(ws[i]);
	}
	if (opened != SOCKETS) {
		table_note("WebSockets, %s: %d of %d could be opened; not counted", t->name, opened,
		    (int)SOCKETS);
		return NOT;
	}
	return SOCKETS - alive;
}

void
rows_websockets(struct world *w)
{
	int rounds = w->quick ? 5 : 100, few = w->quick ? 2 : 15;
	char wt[128], json[640], ours[64], raw_what[64], px_what[64];
	const char *up[] = {w->devmesh, "up", "-C", wt, NULL};
	const char *down[] = {w->devmesh, "down", "-C", wt, NULL};
	const char *raw_a[] = {
	    w->raw_route, w->admin, "srv0", "raw", "raw.dev.localhost", "127.0.0.1:41001", NULL};
	const char *alias[] = {w->node, w->portless, "alias", "shop-bench", "41001", NULL};
	const char *unalias[] = {w->node, w->portless, "alias", "--remove", "shop-bench", NULL};
	struct target t[TARGETS] = {{0}};
	struct row r = {
	    .unit = "", .tail = NOT, .ours = NOT, .theirs = NOT, .limit = {.none = true}};

	world_worktree(w, 0, wt, sizeof wt);
	target_set(
	    &t[TLS_MESH], "mesh route", "echo-main.dev.localhost", w->https_port, w->root_ca);
	target_set(&t[HAND], "raw DELETE + POST", "hand.dev.localhost", w->plain_port, NULL);
	target_set(&t[PORTLESS], "portless alias", "echo-main.localhost", w->px_port, NULL);
	hand_route(w, json, sizeof json, "hand", no_keep_alive);

	snprintf(ours, sizeof ours, "WebSockets lost of %d, %d up/down", (int)SOCKETS, rounds);
	r.what = ours;
	if (w->have_upstream && w->have_mesh)
		r.ours = lost(&t[TLS_MESH], &w->mesh, rounds, up, down);
	snprintf(raw_what, sizeof raw_what, "%s (1 round)", t[HAND].name);
	r.peer = raw_what;
	if (w->have_upstream && w->have_plain && world_routes(w, 0, json))
		r.theirs = lost(&t[HAND], &w->base, 1, raw_a, raw_a);
	table_add(&r);

	snprintf(px_what, sizeof px_what, "%s (%d rounds)", t[PORTLESS].name, few);
	r.peer = px_what;
	r.theirs = w->have_px ? lost(&t[PORTLESS], &w->px, few, alias, unalias) : NOT;
	r.limit.none = false;
	table_add(&r);
}
