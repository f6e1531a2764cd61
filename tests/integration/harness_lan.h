/* SPDX-License-Identifier: MIT */
/*
 * A network with two machines, made of network namespaces: the "laptop", in which the test and all
 * that its world starts are, and a "phone" beside it on the same Ethernet. Linux, as root.
 */
#ifndef DEVMESH_HARNESS_LAN_H
#define DEVMESH_HARNESS_LAN_H

#include "harness_net.h"

#define LAN_LAPTOP "192.168.77.10"
#define LAN_PHONE  "192.168.77.20"
#define LAN_DEVICE "lan0" /* the laptop's */

/*
 * For main(), first thing: runs this program again in a network namespace of its own, and does not
 * return then; in there, and where there can be no such namespace, it returns.
 */
void lan_enter(int argc, char *argv[]);

/* The phone, connected; the laptop's default route leads to its network. Skips the test where
 * lan_enter() could make no namespace. */
struct proc *lan_connect(struct world *w);

/* Runs a command on that phone. */
struct result lan_run(struct world *w, const struct proc *phone, const char *const argv[]);

/* GET of https://<host>:<port>/<path> on the phone: it trusts our CA, and the name leads to `to`.
 */
struct lan_reply {
	int status;			    /* 0: no answer */
	const char *body, *headers, *error; /* what curl says */
};
struct lan_reply lan_get(struct world *w, const struct proc *phone, const char *host, int port,
    const char *to, const char *path, const char *const more[]);

/* The laptop's address becomes this one. */
void lan_change_address(struct world *w, const char *from, const char *to);

/* A mesh for dev.test, by `devmesh start`, that listens on all addresses; its HTTPS port. */
int lan_mesh(struct world *w);

#define SHOP "shop-main.dev.test"

/* Both machines, that mesh, and the service of SHOP, which runs and answers "shop-main". */
struct lan_scene {
	struct proc *phone;
	int port;
	const char *repo;
};
struct lan_scene lan_scene(struct world *w);

/* What the phone gets at https://<host>/ of the laptop; that it is refused, or gets this body. */
struct lan_reply lan_phone_get(struct world *w, const struct lan_scene *s, const char *host);
void assert_refused(struct world *w, const struct lan_scene *s, const char *host);
void assert_served(struct world *w, const struct lan_scene *s, const char *host, const char *body);

#endif
