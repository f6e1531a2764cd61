/* SPDX-License-Identifier: MIT */
/*
 * Names for shared services by multicast DNS, <id>.local (RFC 6762), while [lan] mdns is set: for
 * devices that ask nobody else. The system's own responder announces them (Avahi on Linux,
 * mDNSResponder on macOS), asked by a child process: their libraries wait for answers, which the
 * loop must not. The names go with the share, with the address, and with devmeshd, however that
 * ends.
 */
#ifndef DEVMESH_MDNS_H
#define DEVMESH_MDNS_H

#include <stdbool.h>

struct daemon;
struct mdns;

enum {
	MDNS_NAMES_MAX = 64,  /* further ones are not announced */
	MDNS_LINE_MAX = 4096, /* of what the child is told: what a pipe takes at once */
};

/* The caller owns it. */
struct mdns *mdns_new(struct daemon *d);
void mdns_free(struct mdns *mdns);

/* What is shared, where this machine is, Caddy or the configuration may have changed. */
void mdns_settle(struct mdns *mdns);

/*
 * For mdns.c alone: mdns_linux.c, mdns_darwin.c. The child: announces what the last line that it
 * reads from `fd` says, "INTERFACE ADDRESS ID ID ...\n", until there is no more to read. Its exit
 * status.
 */
int mdns_announce(int fd);

/* Pure: a line taken apart in place. False if it is none, "\n" for instance: nothing to announce.
 */
struct mdns_wish {
	const char *interface, *address;
	const char *ids[MDNS_NAMES_MAX];
	unsigned count;
};
bool mdns_line_parse(char *line, struct mdns_wish *out);

#endif
