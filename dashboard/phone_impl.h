/* SPDX-License-Identifier: MIT */
/* Between phone.c, which listens and knows, and phone_conn.c, which answers. */
#ifndef DEVMESH_PHONE_IMPL_H
#define DEVMESH_PHONE_IMPL_H

#include "http_parse.h"
#include "phone.h"
#include "phone_look.h"
#include "phone_text.h"

struct bufferevent;
struct evconnlistener;
struct event;

struct phone_conn {
	struct phone *phone;
	struct bufferevent *bev;
	struct event *deadline; /* for all of it */
	bool answered;
	struct phone_conn *next, **back;
};

struct phone {
	struct daemon *d;
	struct evconnlistener *listener; /* NULL: not listening */
	char address[DNS_ADDRESS_TEXT];	 /* there */
	uint16_t port;
	char problem[256];   /* why it does not; "": it does, or is not to */
	struct event *again; /* tries once more */
	char domain[HOST_MAX + 1];

	struct phone_look look;
	bool busy, stale; /* a look is under way, and what it finds is of no use any more */
	bool looked;
	int64_t looked_ms;
	char *url; /* devmeshd's own, by which that was found; NULL: none */
	struct phone_found found;

	struct phone_conn *oldest, **newest; /* by arrival */
	unsigned conn_count;
};

/* Borrows from the phone, and from its daemon. */
struct phone_facts phone_facts(const struct phone *phone);

/* phone_conn.c: a client of the network has connected; it is gone. */
void phone_conn_take(struct phone *phone, int fd);
void phone_conn_drop(struct phone_conn *conn);

#endif
