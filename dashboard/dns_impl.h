/* SPDX-License-Identifier: MIT */
/* Between the parts of the name server: dns_server.c, dns_tcp.c, dns_report.c. */
#ifndef DEVMESH_DNS_IMPL_H
#define DEVMESH_DNS_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "dns_answer.h"
#include "dns_domain.h"
#include "dns_limit.h"
#include "dns_server.h"
#include "dns_sockets.h"
#include "model/host.h"

struct dns_conn;
struct event;
struct evconnlistener;

enum {
	DNS_PROBLEMS_MAX = 8,
	DNS_TCP_MAX = 32, /* connections in all, and from one address */
	DNS_TCP_SOURCE_MAX = 4,
	DNS_TCP_IDLE_S = 10, /* without a whole question: RFC 7766 §6.2.3 */
};

/* An address that is answered at. */
struct dns_endpoint {
	struct dns_server *server;
	struct dns_pair pair;
	struct dns_asked asked; /* what is true for who asks here */
	struct event *readable; /* its UDP socket */
	struct evconnlistener *listener;
	struct dns_endpoint *next;
};

struct dns_server {
	struct daemon *d;
	struct dns_passed passed;
	struct dns_limit *limit;
	struct event *again; /* until what could not be bound can be */
	bool started;

	/* What is answered for. */
	char domain[HOST_MAX + 1];
	enum dns_scope scope;
	unsigned depth;
	uint32_t serial;
	uint32_t port;	       /* as configured */
	struct dns_zone *zone; /* NULL: nothing */

	struct dns_endpoint *endpoints;
	struct dns_conn *conns;
	char *problems[DNS_PROBLEMS_MAX]; /* what does not work, and why; owned */
	size_t problem_count;
	struct dns_counts counts;
};

/* Whether whoever is there may ask; counts it if not. */
bool dns_admits(struct dns_server *server, const struct dns_address *source);
/* Whether it may ask once more now; counts it if not. Never too often for this machine itself. */
bool dns_within_rate(struct dns_server *server, const struct dns_address *source);
/* The reply, counted; its length, 0: none. */
size_t dns_reply(struct dns_endpoint *endpoint, bool tcp, const uint8_t *query, size_t len,
    uint8_t out[DNS_REPLY_MAX]);

/* dns_tcp.c: a client has connected; takes the descriptor. */
void dns_tcp_take(struct dns_endpoint *endpoint, int fd, const struct sockaddr_storage *from);
/* Ends the connections to it. */
void dns_tcp_end(struct dns_endpoint *endpoint);

#endif
