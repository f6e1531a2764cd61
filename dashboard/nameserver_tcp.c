/* SPDX-License-Identifier: MIT */
/* Questions over TCP (RFC 7766): many on one connection, without waiting for the answers. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "daemon.h"
#include "nameserver_impl.h"

enum {
	PREFIX = 2, /* the length in front of each message: RFC 1035 §4.2.2 */
	MESSAGE_MAX = UINT16_MAX,
	UNSENT_MAX = 64 * 1024, /* who reads no answers is asked for no more questions */
};

struct conn {
	struct endpoint *endpoint;
	struct dns_address source;
	struct bufferevent *bev;
	struct event *deadline;
	bool ended; /* it has no more to say; what is answered is still sent */
	struct conn *next, **back;
};

static void
drop(struct conn *conn)
{
	*conn->back = conn->next;
	if (conn->next != NULL)
		conn->next->back = conn->back;
	conn->endpoint->server->counts.connections--;
	event_free(conn->deadline);
	bufferevent_free(conn->bev);
	free(conn);
}

/* The time for one question, from the last answer on: bytes alone do not prolong it. */
static void
rest(struct conn *conn)
{
	static const struct timeval idle = {.tv_sec = NAMESERVER_TCP_IDLE_S};

	(void)event_add(conn->deadline, &idle);
}

/* What is answered is still sent; nothing more is read. */
static void
finish(struct conn *conn)
{
	conn->ended = true;
	(void)bufferevent_disable(conn->bev, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(conn->bev)) == 0)
		drop(conn);
}

/* One message, if all of it is there. False: the connection is to end. */
static bool
take_message(struct conn *conn, bool *took)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);
	uint8_t prefix[PREFIX], reply[PREFIX + DNS_REPLY_MAX];
	const uint8_t *message;
	size_t len, n;

	*took = false;
	if (evbuffer_copyout(in, prefix, sizeof(prefix)) < (ssize_t)sizeof(prefix))
		return true;
	len = (size_t)prefix[0] << 8 | prefix[1];
	if (evbuffer_get_length(in) < PREFIX + len)
		return true;
	if (!nameserver_within_rate(conn->endpoint->server, &conn->source))
		return false;
	message = evbuffer_pullup(in, (ssize_t)(PREFIX + len));
	if (message == NULL)
		return false;
	n = nameserver_reply(conn->endpoint, true, message + PREFIX, len, reply + PREFIX);
	(void)evbuffer_drain(in, PREFIX + len);
	*took = true;
	/* what is no question does not keep a connection open */
	if (n == 0)
		return false;
	reply[0] = (uint8_t)(n >> 8);
	reply[1] = (uint8_t)n;
	return bufferevent_write(conn->bev, reply, PREFIX + n) == 0;
}

static void
answer_all(struct conn *conn)
{
	struct evbuffer *out = bufferevent_get_output(conn->bev);
	bool took = true;

	while (took && evbuffer_get_length(out) < UNSENT_MAX) {
		if (!take_message(conn, &took)) {
			finish(conn);
			return;
		}
		if (took)
			rest(conn);
	}
	if (evbuffer_get_length(out) >= UNSENT_MAX)
		(void)bufferevent_disable(conn->bev, EV_READ);
}

static void
on_read(struct bufferevent *bev, void *user)
{
	(void)bev;
	answer_all(user);
}

/* All is sent. */
static void
on_write(struct bufferevent *bev, void *user)
{
	struct conn *conn = user;

	if (conn->ended) {
		drop(conn);
		return;
	}
	(void)bufferevent_enable(bev, EV_READ);
	answer_all(conn);
}

static void
on_end(struct bufferevent *bev, short what, void *user)
{
	struct conn *conn = user;

	(void)bev;
	if ((what & BEV_EVENT_EOF) != 0)
		finish(conn);
	else
		drop(conn);
}

static void
on_deadline(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	drop(user);
}

/* Other machines do not get all of them, so that this one is answered whatever they do. */
static bool
is_full(const struct nameserver *server, const struct dns_address *source)
{
	unsigned same = 0, others = 0;

	for (const struct conn *c = server->conns; c != NULL; c = c->next) {
		same += dns_limit_same(&c->source, source) ? 1 : 0;
		others += dns_address_is_loopback(&c->source) ? 0 : 1;
	}
	return server->counts.connections >= NAMESERVER_TCP_MAX ||
	       same >= NAMESERVER_TCP_SOURCE_MAX ||
	       (others >= NAMESERVER_TCP_OTHERS_MAX && !dns_address_is_loopback(source));
}

void
nameserver_tcp_take(struct endpoint *endpoint, int fd, const struct sockaddr_storage *from)
{
	struct nameserver *server = endpoint->server;
	struct dns_address source;
	struct bufferevent *bev = NULL;
	struct conn *conn;
	uint16_t port;

	if (!dns_from_socket(from, &source, &port) || !nameserver_admits(server, &source)) {
		(void)close(fd);
		return;
	}
	if (is_full(server, &source) ||
	    (bev = bufferevent_socket_new(server->d->base, fd, BEV_OPT_CLOSE_ON_FREE)) == NULL) {
		server->counts.turned_away++;
		(void)close(fd);
		return;
	}
	conn = dm_calloc(1, sizeof(*conn));
	conn->endpoint = endpoint;
	conn->source = source;
	conn->bev = bev;
	conn->back = &server->conns;
	conn->next = server->conns;
	if (conn->next != NULL)
		conn->next->back = &conn->next;
	server->conns = conn;
	server->counts.connections++;
	conn->deadline = evtimer_new(server->d->base, on_deadline, conn);
	bufferevent_setcb(bev, on_read, on_write, on_end, conn);
	bufferevent_setwatermark(bev, EV_READ, 0, PREFIX + MESSAGE_MAX);
	(void)bufferevent_enable(bev, EV_READ | EV_WRITE);
	rest(conn);
}

void
nameserver_tcp_end(struct endpoint *endpoint)
{
	for (struct conn *c = endpoint->server->conns, *next; c != NULL; c = next) {
		next = c->next;
		if (c->endpoint == endpoint)
			drop(c);
	}
}
