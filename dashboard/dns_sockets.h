/* SPDX-License-Identifier: MIT */
/*
 * The sockets of the name server: for each address one of UDP and one of TCP, made here or passed
 * on by the service manager, which may use port 53 where this process may not.
 */
#ifndef DEVMESH_DNS_SOCKETS_H
#define DEVMESH_DNS_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/dns.h"
#include "base/err.h"

enum {
	DNS_PASSED_MAX = 16,
	DNS_PASSED_FDS_MAX = 2 * DNS_PASSED_MAX,
};

/* Both are non-blocking and close-on-exec; -1: not there. */
struct dns_pair {
	struct dns_address address;
	uint16_t port;
	int udp, tcp;
	bool passed; /* not made here */
};

/*
 * Binds both to the address, which must be one of this machine's: never to all at once, as a reply
 * has to come from where the question went, and only who was allowed to is to get one. The caller
 * closes them (dns_pair_close).
 */
bool dns_pair_open(const struct dns_address *address, uint16_t port, struct dns_pair *out,
    struct dm_err *err) DM_MUST;
void dns_pair_close(struct dns_pair *pair);

/* What was passed on, kept for as long as the process lives. */
struct dns_passed {
	struct dns_pair list[DNS_PASSED_MAX];
	size_t count;
};

/*
 * Takes the descriptors that the service manager has passed on, once. Those that are of no use,
 * with a wildcard address for instance, are closed, with a warning.
 */
void dns_passed_take(struct dns_passed *out);
void dns_passed_close(struct dns_passed *passed);
/* A copy of the pair for this address, of which both sockets have to be there; false: none. */
bool dns_passed_find(const struct dns_passed *passed, const struct dns_address *address,
    struct dns_pair *out, struct dm_err *err) DM_MUST;

/*
 * How many there are, and which. systemd has a protocol of variables, which are removed, so that
 * they are not handed on (sd_listen_fds(3); dns_passed_linux.c); launchd has to be asked for the
 * name "DNS" (launch(3); dns_passed_darwin.c).
 */
size_t dns_passed_fds(int fds[DNS_PASSED_FDS_MAX]) DM_MUST;

struct dns_socket_address {
	struct sockaddr_storage address;
	socklen_t len;
};

void
dns_to_socket(const struct dns_address *address, uint16_t port, struct dns_socket_address *out);
/* False: it is neither IPv4 nor IPv6. IPv4 within IPv6 becomes IPv4. */
bool dns_from_socket(
    const struct sockaddr_storage *from, struct dns_address *address, uint16_t *port) DM_MUST;

#endif
