/* SPDX-License-Identifier: MIT */
/* Between the parts of the name server: nameserver.c, nameserver_tcp.c, nameserver_report.c. */
#ifndef DEVMESH_NAMESERVER_IMPL_H
#define DEVMESH_NAMESERVER_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "dns_answer.h"
#include "dns_batch.h"
#include "dns_domain.h"
#include "dns_limit.h"
#include "dns_memo.h"
#include "dns_sockets.h"
#include "model/host.h"
#include "nameserver.h"

struct conn;
struct event;
struct evconnlistener;

enum {
	NAMESERVER_PROBLEMS_MAX = 8,
	NAMESERVER_TCP_MAX = 32,	/* connections in all, */
	NAMESERVER_TCP_OTHERS_MAX = 24, /* from other machines, */
	NAMESERVER_TCP_SOURCE_MAX = 4,	/* and from one source (dns_limit_same) */
	NAMESERVER_TCP_IDLE_S = 10,	/* without a whole question: RFC 7766 §6.2.3 */
};

/* An address that is answered at. */
struct endpoint {
	struct nameserver *server;
	struct dns_pair pair;
	char *why;		/* it is not port 53; NULL: it is, or was not to be */
	bool denied;		/* that port is not for this process: no use in trying again soon */
	struct dns_asked asked; /* what is true for who asks here */
	struct dns_memo *memo;
	struct event *readable; /* its UDP socket */
	struct evconnlistener *listener;
	struct endpoint *next;
};

struct nameserver {
	struct daemon *d;
	struct dns_passed passed;
	struct dns_limit *limit;
	struct dns_packet *packets; /* DNS_BATCH of them, while they are looked at */
	struct event *again;	    /* until what could not be bound can be */
	struct event *resume;	    /* accepting, after there were no descriptors */
	bool started;
	bool unbound; /* something could not be bound, or not be seen */

	/* What is answered for. */
	char domain[HOST_MAX + 1];
	enum dns_scope scope;
	unsigned depth;
	uint32_t serial;
	uint32_t port;	       /* as configured */
	struct dns_zone *zone; /* NULL: nothing */

	struct endpoint *endpoints;
	struct conn *conns;
	char *problems[NAMESERVER_PROBLEMS_MAX]; /* what does not work, and why; owned */
	size_t problem_count;
	struct nameserver_counts counts;
};

/* Whether whoever is there may ask; counts it if not. */
bool nameserver_admits(struct nameserver *server, const struct dns_address *source);
/* Whether it may ask once more now; counts it if not. Never too often for this machine itself. */
bool nameserver_within_rate(struct nameserver *server, const struct dns_address *source);
/* The reply, counted; its length, 0: none. */
size_t nameserver_reply(struct endpoint *endpoint, bool tcp, const uint8_t *query, size_t len,
    uint8_t out[DNS_REPLY_MAX]);

/* nameserver_tcp.c: a client has connected; takes the descriptor. */
void nameserver_tcp_take(struct endpoint *endpoint, int fd, const struct sockaddr_storage *from);
/* Ends the connections to it. */
void nameserver_tcp_end(struct endpoint *endpoint);

#endif
