/* SPDX-License-Identifier: MIT */
/*
 * Rows about the name server of devmeshd beside dnsmasq, which has the same domain, asked by
 * dnsperf in turn: how many answers a second, what one costs, how long it takes, and memory. Over
 * the loopback, where devmeshd limits nobody: other devices get 50 answers a second each.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "farm.h"
#include "rows.h"

#define NOT ((double)NAN)

enum {
	ROUNDS = 5,
	QUICK_ROUNDS = 2,
	SECONDS = 3,
	STEADY = 5000, /* questions a second, of those whose answers are timed */
	READY_MS = 15000,
};

/* What people ask most: the names of a page's services, both families. */
static const char questions[] = "shop-main.dev.localhost A\n"
				"shop-main.dev.localhost AAAA\n"
				"shop-main.dev.localhost TYPE65\n"
				"shop-feature-auth.dev.localhost A\n"
				"api-main.dev.localhost A\n"
				"api-main.dev.localhost AAAA\n"
				"dev.localhost SOA\n";

struct server {
	const char *name;
	int port;
	pid_t pid;
	struct samples rate, cost, took; /* answers a second; CPU and time of one, in ms */
};

static const char *
program(const char *sbin, const char *name)
{
	return access(sbin, X_OK) == 0 ? sbin : name;
}

static bool
start_ours(const struct world *w, struct server *s)
{
	const char *slash = strrchr(w->devmesh, '/');
	char path[BENCH_PATH], log[128];
	const char *argv[] = {path, NULL};
	struct env env;

	snprintf(path, sizeof path, "%.*s/devmeshd", slash != NULL ? (int)(slash - w->devmesh) : 1,
	    slash != NULL ? w->devmesh : ".");
	snprintf(log, sizeof log, "%s/devmeshd-dns.log", w->tmp);
	env_copy(&env, &w->base);
	env_set(&env, "DEVMESH_SOCKETS_DIR", "%s/dns-s", w->tmp);
	env_set(&env, "DEVMESH_LOCAL_STATE_DIR", "%s/dns", w->tmp);
	env_set(&env, "DEVMESH_CADDY_ADMIN", "unix://%s/none", w->tmp);
	env_set(&env, "DEVMESH_DNS_ENABLED", "yes");
	env_set(&env, "DEVMESH_DNS_PORT", "%d", s->port);
	s->pid = proc_start(argv, &env, log);
	env_release(&env);
	return s->pid > 0;
}

static bool
start_theirs(const struct world *w, struct server *s)
{
	char port[32], log[128];
	const char *argv[] = {program("/usr/sbin/dnsmasq", "dnsmasq"), "--keep-in-foreground",
	    "--conf-file=/dev/null", port, "--listen-address=127.0.0.1", "--bind-interfaces",
	    "--no-resolv", "--no-hosts",
	    "--pid-file=", "--user=", "--address=/dev.localhost/127.0.0.1",
	    "--local=/dev.localhost/", NULL};

	snprintf(port, sizeof port, "--port=%d", s->port);
	snprintf(log, sizeof log, "%s/dnsmasq.log", w->tmp);
	s->pid = proc_start(argv, &w->base, log);
	return s->pid > 0;
}

/* Whether it gives an answer, soon. */
static bool
is_ready(const struct world *w, const struct server *s)
{
	char port[16];
	const char *argv[] = {"dig", "-r", "@127.0.0.1", "-p", port, "+short", "+tries=1",
	    "+time=1", "x.dev.localhost", "A", NULL};
	double end = now_ms() + READY_MS;
	struct result r;

	snprintf(port, sizeof port, "%d", s->port);
	while (now_ms() < end && !quitting()) {
		if (proc_run(argv, &w->base, 5, &r) && strstr(r.out, "127.0.0.1") != NULL)
			return true;
		sleep_ms(50);
	}
	return false;
}

static double
number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at == NULL ? NOT : strtod(at + strlen(key), NULL);
}

/* One round of dnsperf: as many as it can, and what one costs the server. */
static void
measure_rate(const struct world *w, struct server *s, const char *file)
{
	char port[16], seconds[8];
	const char *argv[] = {"dnsperf", "-s", "127.0.0.1", "-p", port, "-d", file, "-l", seconds,
	    "-c", "4", "-q", "100", NULL};
	struct usage before, after;
	struct result r;
	double rate, answers;

	snprintf(port, sizeof port, "%d", s->port);
	snprintf(seconds, sizeof seconds, "%d", w->quick ? 1 : SECONDS);
	if (!proc_usage(s->pid, &before) || !proc_run(argv, &w->base, 60, &r) ||
	    !proc_usage(s->pid, &after))
		return;
	rate = number_after(r.out, "Queries per second:");
	answers = number_after(r.out, "Queries completed:");
	if (isnan(rate) || isnan(answers) || answers < 1)
		return;
	samples_add(&s->rate, rate);
	samples_add(&s->cost, (after.cpu_ms - before.cpu_ms) / answers);
}

/* At a steady rate, far below what either can; "> NOERROR NAME TYPE SECONDS" for each answer. */
static void
measure_times(const struct world *w, struct server *s, const char *file)
{
	char port[16], rate[16], log[128], line[512];
	const char *argv[] = {"dnsperf", "-s", "127.0.0.1", "-p", port, "-d", file, "-l", "1", "-c",
	    "4", "-Q", rate, "-v", NULL};
	pid_t pid;
	FILE *in;

	snprintf(port, sizeof port, "%d", s->port);
	snprintf(rate, sizeof rate, "%d", STEADY);
	snprintf(log, sizeof log, "%s/dnsperf.log", w->tmp);
	pid = proc_start(argv, &w->base, log);
	if (pid < 0 || proc_wait(pid, 60000) != 0 || (in = fopen(log, "r")) == NULL)
		return;
	while (fgets(line, sizeof line, in) != NULL) {
		const char *last = strrchr(line, ' ');

		if (line[0] == '>' && last != NULL)
			samples_add(&s->took, strtod(last, NULL) * 1e3);
	}
	(void)fclose(in);
}

static void
add_memory(struct server *ours, struct server *theirs)
{
	struct usage a, b;
	struct row r = {.what = "dns, resident memory after that",
	    .unit = "MB",
	    .tail = NOT,
	    .peer = theirs->name,
	    .limit = {.below = 12}};

	if (!proc_usage(ours->pid, &a) || !proc_usage(theirs->pid, &b))
		return;
	r.ours = a.rss_mb;
	r.theirs = b.rss_mb;
	table_add(&r);
}

static void
add_rows(struct server *ours, struct server *theirs)
{
	struct row rate = {.what = "dns, answers",
	    .unit = "/s",
	    .ours = samples_at(&ours->rate, 0.5),
	    .tail = NOT,
	    .peer = theirs->name,
	    .theirs = samples_at(&theirs->rate, 0.5),
	    .limit = {.min_ratio = 1.0}};
	struct row p99 = {.what = "dns, an answer at 5,000/s, 99th percentile",
	    .unit = "ms",
	    .ours = samples_at(&ours->took, 0.99),
	    .tail = NOT,
	    .peer = theirs->name,
	    .theirs = samples_at(&theirs->took, 0.99)};

	table_add(&rate);
	table_add_samples("dns, CPU of the server for an answer", &ours->cost, theirs->name,
	    &theirs->cost, (struct limit){.max_ratio = 1.0});
	table_add_samples("dns, an answer at 5,000/s", &ours->took, theirs->name, &theirs->took,
	    (struct limit){0});
	table_add(&p99);
	add_memory(ours, theirs);
	table_note(
	    "DNS over the loopback, where devmeshd limits nobody; medians of rounds in turn.");
}

void
rows_dns(struct world *w)
{
	struct server both[2] = {{.name = "devmeshd", .port = w->dead_port + 400},
	    {.name = "dnsmasq", .port = w->dead_port + 401}};
	char file[128];
	bool ok;

	snprintf(file, sizeof file, "%s/questions", w->tmp);
	ok = write_file(file, questions) && start_ours(w, &both[0]) && start_theirs(w, &both[1]);
	for (int i = 0; i < 2; i++) {
		if (ok && !is_ready(w, &both[i])) {
			table_note("%s did not answer DNS: its rows are left out.", both[i].name);
			ok = false;
		}
	}
	for (int round = 0; ok && round < (w->quick ? QUICK_ROUNDS : ROUNDS) && !quitting();
	     round++) {
		for (int i = 0; i < 2; i++) {
			measure_rate(w, &both[i], file);
			measure_times(w, &both[i], file);
		}
	}
	if (ok)
		add_rows(&both[0], &both[1]);
	for (int i = 0; i < 2; i++) {
		proc_stop(both[i].pid);
		samples_release(&both[i].rate);
		samples_release(&both[i].cost);
		samples_release(&both[i].took);
	}
}
