/* SPDX-License-Identifier: MIT */
/*
 * `make bench`: the figures of devmesh beside those of its peers and of a raw baseline, measured in
 * one run, in turn, in a private world that is taken down at the end.
 *
 *	bench [--quick] [--only-run | --only-daemon | --only-network | --only-dns] [--src DIR]
 *	      DEVMESH BUILD-DIR
 *
 * DEVMESH is the program, BUILD-DIR where npm puts portless (once), DIR this folder. raw_route is
 * looked for beside this program. Exit status 0 also when a target is missed: figures of a shared
 * machine are for reading; tests decide about right and wrong.
 */
#include "rows.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void
say(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
}

static void
print_setting(const struct world *w)
{
	const char *version[] = {"caddy", "version", NULL};
	struct utsname u;
	struct result r = {0};

	if (uname(&u) != 0)
		return;
	proc_run(version, &w->base, 10, &r);
	printf("%s %s, %ld cores; Caddy %.*s; portless 0.15.6 %s; devmesh %s\n\n", u.sysname,
	    u.machine, sysconf(_SC_NPROCESSORS_ONLN), (int)strcspn(r.out, " \n"), r.out,
	    w->have_px ? "(HTTP)" : "(missing)", w->have_devmesh ? w->devmesh : "(missing)");
}

static void
measure_run(struct world *w)
{
	say("run");
	rows_run(w);
	for (int n = 20; n <= 50 && !quitting(); n += 30) {
		fprintf(stderr, "bench: run, %d at once\n", n);
		rows_run_parallel(w, n);
	}
	say("the bridge of run");
	rows_bridge(w);
}

static void
measure(struct world *w)
{
	static const int routes[] = {10, 100, 500};

	say("up, list and status at 10 services");
	rows_mesh(w, 10);
	for (size_t i = 0; i < 3 && !quitting(); i++) {
		fprintf(stderr, "bench: explicit routes, %d there\n", routes[i]);
		rows_route(w, routes[i]);
	}
	say("requests");
	rows_requests(w);
	say("WebSockets");
	rows_websockets(w);
	say("50 at once");
	rows_parallel(w);
	measure_run(w);
	say("devmeshd");
	rows_daemon(w);
	say("DNS");
	rows_dns(w);
	say("the network");
	rows_network(w);
	say("up, list and status at 1,000 services");
	rows_mesh(w, 1000);
	say("url, env, name, with 1,000 services there");
	rows_verbs(w);
}

int
main(int argc, char **argv)
{
	struct world w = {.src = "tests/bench"};
	const char *slash = strrchr(argv[0], '/');
	static char devmesh[PATH_MAX];
	double start = now_ms();
	bool only_run = false, only_daemon = false, only_network = false, only_dns = false;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++)
		if (strcmp(argv[i], "--quick") == 0)
			w.quick = true;
		else if (strcmp(argv[i], "--only-run") == 0)
			only_run = true;
		else if (strcmp(argv[i], "--only-daemon") == 0)
			only_daemon = true;
		else if (strcmp(argv[i], "--only-dns") == 0)
			only_dns = w.bare = true;
		else if (strcmp(argv[i], "--only-network") == 0)
			only_network = true;
		else if (strcmp(argv[i], "--src") == 0 && i + 1 < argc)
			w.src = argv[++i];
		else
			break;
	if (argc - i != 2 || argv[i][0] == '-') {
		fprintf(stderr, "usage: bench [--quick] [--only-run | --only-daemon | "
				"--only-network | --only-dns] [--src DIR] DEVMESH BUILD-DIR\n");
		return 2;
	}
	w.devmesh = realpath(argv[i], devmesh) != NULL ? devmesh : argv[i];
	w.build = argv[i + 1];
	snprintf(w.raw_route, sizeof w.raw_route, "%.*s/raw_route",
	    slash != NULL ? (int)(slash - argv[0]) : 1, slash != NULL ? argv[0] : ".");

	curl_global_init(CURL_GLOBAL_DEFAULT);
	world_init(&w);
	if (!quitting()) {
		print_setting(&w);
		if (only_dns)
			rows_dns(&w);
		else if (only_run)
			measure_run(&w);
		else if (only_daemon)
			rows_daemon(&w);
		else if (only_network)
			rows_network(&w);
		else
			measure(&w);
	}
	table_print();
	printf("The whole run took %.0f s.\n", (now_ms() - start) / 1e3);
	world_release(&w);
	curl_global_cleanup();
	return quitting() ? 130 : 0;
}
