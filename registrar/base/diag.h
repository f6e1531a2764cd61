/* SPDX-License-Identifier: MIT */
/*
 * Linux only: the kernel's tables of sockets by sock_diag(7), for proc_linux.c and listen_linux.c.
 * /proc/net/tcp has the same, but reading it takes milliseconds, since the kernel walks the whole
 * hash table of connections for the few that listen.
 */
#ifndef DEVMESH_DIAG_H
#define DEVMESH_DIAG_H

#include "base/listen.h"

/*
 * Adds every TCP socket that is listened on. False if the kernel does not answer (it was built
 * without, or a sandbox forbids it): then what was added is not complete.
 */
bool dm_diag_tcp(struct dm_sockets *out);
/*
 * Whether somebody listens where connections to the port of the family's loopback address lead: one
 * question to the kernel, whatever else there is. False also if it does not answer.
 */
bool dm_diag_tcp_port(int family, uint16_t port);
/* The same as dm_diag_tcp() for Unix sockets that have a path. */
bool dm_diag_unix(struct dm_sockets *out);

/* As dm_diag_tcp(), and by way of /proc/net/tcp where the kernel does not answer. */
void dm_tcp_sockets(struct dm_sockets *out);
/* Adds the sockets that take UDP packets from anybody, by /proc/net/udp. */
void dm_udp_sockets(struct dm_sockets *out);

/*
 * Adds what one datagram of an answer says, which must be aligned as a struct nlmsghdr. *done: it
 * was the last one. False if it is not to be understood, or says that something is missing.
 */
bool dm_diag_parse(const void *datagram, size_t len, struct dm_sockets *out, bool *done);

#endif
