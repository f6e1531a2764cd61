/* SPDX-License-Identifier: MIT */
/* What bench.c asks for, one function for each group of rows, and what those groups share. */
#ifndef DEVMESH_ROWS_H
#define DEVMESH_ROWS_H

#include "bench.h"

void rows_mesh(struct world *w, int services);
void rows_verbs(struct world *w);
void rows_route(struct world *w, int routes);
void rows_parallel(struct world *w);
void rows_requests(struct world *w);
void rows_websockets(struct world *w);
/* `devmesh run` against `portless run` and the command alone. */
void rows_run(struct world *w);
/* n of them at once. */
void rows_run_parallel(struct world *w, int n);
/* The bridge of `devmesh run` against the server's own port; memory and CPU of `devmesh run`. */
void rows_bridge(struct world *w);
/* devmeshd: events, scans, what it costs. */
void rows_daemon(struct world *w);
/* Its name server beside dnsmasq; needs no more than a bare world. */
void rows_dns(struct world *w);
/* devmeshd while the address of its machine changes. */
void rows_network(struct world *w);

/* `ca` NULL: plain HTTP. The strings are borrowed, but for the host. */
void target_set(struct target *t, const char *name, const char *host, int port, const char *ca);
/* Sees whether it answers 200 within five seconds; says so in `usable`, or in a note. */
void target_probe(struct target *t);
/* Requests per second of 16 clients through a target that speaks plain HTTP; NAN: not measured. */
double wrk_rate(struct world *w, const struct target *t);

#endif
