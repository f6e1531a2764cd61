/* SPDX-License-Identifier: MIT */
/* A network of the world's own, for what depends on interfaces and addresses. */
#ifndef DEVMESH_HARNESS_NETNS_H
#define DEVMESH_HARNESS_NETNS_H

#include "harness_daemon.h"

/*
 * A network namespace (network_namespaces(7)) with nothing but a loopback interface, held by a
 * process of the world and gone with it. Daemons that are started from now on are in it. Skips the
 * test where that takes more than we may.
 */
struct netns;
struct netns *netns_new(struct world *w);

/* A program in it, found out of the world's directory; argv has at most 20 words. */
struct result netns_run(struct world *w, const struct netns *ns, const char *const argv[]);
struct proc *netns_start(struct world *w, const struct netns *ns, const char *const argv[]);

/* ip(8) with these words in it; it has to succeed. */
void netns_ip(struct world *w, const struct netns *ns, const char *words);

/* An interface (veth(4)) that is up, with an address like 192.168.1.10/24. */
void
netns_interface(struct world *w, const struct netns *ns, const char *name, const char *address);

#endif
