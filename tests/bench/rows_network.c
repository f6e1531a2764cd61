/* SPDX-License-Identifier: MIT */
/*
 * Rows about the network: how soon devmeshd tells that this machine has another address, in a
 * network namespace of its own. Takes root, and Linux.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "farm.h"
#include "rows.h"

enum {
	WORDS = 16,
	EVENT_MS = 20000,
	START_MS = 20000
};

#define DOMAIN	 "dev.test" /* what is below .localhost is not for the network */
#define DNS_PORT "5353"

static const char ctl_events[] = "{\"v\":1,\"method\":\"GET\",\"path\":\"/api/v1/events\"}\n";

struct net {
	pid_t holder, daemon;
	char ns[64]; /* nsenter's option */
	char dir[96], state[128], batch[128];
	struct env env;
};

/* ip(8) in the namespace, with these words. */
static bool
ip(const struct net *n, const char *words)
{
	char copy[256], *save = NULL;
	const char *argv[WORDS] = {"nsenter", n->ns, "--", "ip"};
	struct result r = {0};
	size_t count = 4;

	snprintf(copy, sizeof copy, "%s", words);
	for (char *p = strtok_r(copy, " ", &save); p != NULL && count < WORDS - 1;
	     p = strtok_r(NULL, " ", &save))
		argv[count++] = p;
	return proc_run(argv, &n->env, 10, &r);
}

/* True as soon as the holder has a namespace of its own: then a veth can be made in it alone. */
static bool
net_open(struct net *n, const struct world *w)
{
	const char *holder[] = {"unshare", "--net", "sleep", "100000", NULL};
	char ours[64] = "", theirs[64] = "", path[64];
	double end = now_ms() + START_MS;

	snprintf(n->dir, sizeof n->dir, "%s/net", w->tmp);
	snprintf(n->state, sizeof n->state, "%s/state", n->dir);
	snprintf(n->batch, sizeof n->batch, "%s/batch", n->dir);
	env_copy(&n->env, &w->base);
	if (geteuid() != 0 || mkdir(n->dir, 0700) != 0 ||
	    (n->holder = proc_start(holder, &n->env, "/dev/null")) < 0)
		return false;
	snprintf(n->ns, sizeof n->ns, "--net=/proc/%ld/ns/net", (long)n->holder);
	snprintf(path, sizeof path, "/proc/%ld/ns/net", (long)n->holder);
	do {
		sleep_ms(2);
		if (readlink("/proc/self/ns/net", ours, sizeof ours - 1) < 0 ||
		    readlink(path, theirs, sizeof theirs - 1) < 0)
			return false;
	} while (strcmp(ours, theirs) == 0 && now_ms() < end && !quitting());
	return strcmp(ours, theirs) != 0 && ip(n, "link set lo up") &&
	       ip(n, "link add wlan0 type veth peer name far") && ip(n, "link set far up") &&
	       ip(n, "link set wlan0 up") && ip(n, "addr add 10.1.0.1/16 dev wlan0");
}

static bool
daemon_open(struct net *n, const struct world *w, struct listener *l)
{
	const char *slash = strrchr(w->devmesh, '/');
	char program[BENCH_PATH], log[128], path[160];
	const char *argv[] = {"nsenter", n->ns, "--", program, NULL};
	double end = now_ms() + START_MS;

	snprintf(program, sizeof program, "%.*s/devmeshd",
	    slash != NULL ? (int)(slash - w->devmesh) : 1, slash != NULL ? w->devmesh : ".");
	snprintf(log, sizeof log, "%s/devmeshd.log", n->dir);
	snprintf(path, sizeof path, "%s/devmeshd.sock", n->state);
	env_set(&n->env, "DEVMESH_SOCKETS_DIR", "%s/s", n->dir);
	env_set(&n->env, "DEVMESH_LOCAL_STATE_DIR", "%s", n->state);
	env_set(&n->env, "DEVMESH_CADDY_ADMIN", "unix://%s/none.sock", n->dir);
	env_set(&n->env, "DEVMESH_LAN_ENABLED", "yes");
	env_set(&n->env, "DEVMESH_MESH_DOMAIN", DOMAIN);
	env_set(&n->env, "DEVMESH_DNS_ENABLED", "yes");
	env_set(&n->env, "DEVMESH_DNS_PORT", DNS_PORT);
	n->daemon = proc_start(argv, &n->env, log);
	while (n->daemon > 0 && now_ms() < end && !quitting()) {
		if (listener_open(l, path, ctl_events))
			return !isnan(listener_wait(l, "hello", "sockets_dir", EVENT_MS, NULL));
		sleep_ms(5);
	}
	return false;
}

/* Waits until dig, at that address, is told that address. */
static bool
answered(const struct net *n, const char *address)
{
	char at[48];
	const char *argv[] = {"nsenter", n->ns, "--", "dig", "-r", at, "-p", DNS_PORT, "+short",
	    "+tries=1", "+time=1", "shop-main." DOMAIN, "A", NULL};
	double end = now_ms() + EVENT_MS;
	struct result r;

	snprintf(at, sizeof at, "@%s", address);
	while (now_ms() < end && !quitting()) {
		if (proc_run(argv, &n->env, 10, &r) &&
		    strncmp(r.out, address, strlen(address)) == 0)
			return true;
	}
	return false;
}

/*
 * From one network to another: the old address goes and a new one comes, in one go of ip(8), whose
 * start is the beginning. The answer of DNS is asked for behind the event, and is dig's time, too.
 */
static void
change(const struct net *n, struct listener *l, int i, struct samples *s, struct samples *dns)
{
	char words[160], text[160], address[48], plain[24];
	double began, came;

	snprintf(text, sizeof text,
	    "addr add 10.%d.0.1/16 dev wlan0\naddr del 10.%d.0.1/16 dev wlan0\n", i + 2, i + 1);
	snprintf(address, sizeof address, "\"address\":\"10.%d.0.1\"", i + 2);
	snprintf(words, sizeof words, "-batch %s", n->batch);
	if (!write_file(n->batch, text))
		return;
	began = now_ms();
	if (!ip(n, words))
		return;
	came = listener_wait(l, "\"network\"", address, EVENT_MS, NULL);
	if (isnan(came))
		return;
	samples_add(s, came - began);
	snprintf(plain, sizeof plain, "10.%d.0.1", i + 2);
	if (answered(n, plain))
		samples_add(dns, now_ms() - began);
}

void
rows_network(struct world *w)
{
	struct net n = {.holder = -1, .daemon = -1};
	struct listener l = {.fd = -1};
	struct samples s = {0}, dns = {0};
	int rounds = w->quick ? 10 : 50;

	if (!net_open(&n, w) || !daemon_open(&n, w, &l)) {
		table_note("no network namespace, or no devmeshd in it: no rows of the network");
	} else {
		for (int i = 0; i < rounds && !quitting(); i++)
			change(&n, &l, i, &s, &dns);
		table_add_samples("daemon, another address to event", &s, NULL, NULL,
		    (struct limit){.below = 1000});
		table_add_samples("daemon, another address to DNS's right answer", &dns, NULL, NULL,
		    (struct limit){.below = 1000});
	}
	listener_close(&l);
	if (n.daemon > 0)
		proc_stop(n.daemon);
	if (n.holder > 0)
		proc_stop(n.holder);
	samples_release(&s);
	samples_release(&dns);
	env_release(&n.env);
}
