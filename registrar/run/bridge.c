/* SPDX-License-Identifier: MIT */
#include "run/bridge.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sock.h"

enum {
	CHUNK = 256 * 1024,	 /* bytes read or written at once, and kept per direction */
	WAITING_MAX = 64 * 1024, /* bytes kept of a request whose server is not there yet */
	RETRY_MS = 40,
	NO_FILES_MS = 100, /* pause when there is no descriptor for another connection */
	FILES_KEPT = 64,   /* descriptors that are not for connections */
	SMALL_READ = 4096, /* what libevent 2.1 reads at once, whatever it is told */
	READS = 8	   /* that may follow at once: then it is another connection's turn */
};

enum end_index {
	CLIENT,
	SERVER
};

struct connection;

/* One end of a connection. */
struct end {
	struct connection *connection;
	struct bufferevent *bev; /* NULL: not connected */
	bool at_eof;		 /* it will send nothing more */
	bool told;		 /* the other end has been told so */
	bool dead;		 /* it can be sent nothing more */
};

struct connection {
	struct bridge *bridge;
	struct end ends[2];
	bool connected; /* to the server */
	int64_t deadline;
	struct event *retry;		 /* NULL once connected */
	struct connection *next, **back; /* in the bridge's list; *back is this */
};

struct bridge {
	struct event_base *base;
	struct evconnlistener *listener;
	struct event *resume; /* accepting, after a pause */
	struct bridge_target target;
	int64_t hold_ms;
	void (*missed)(void *user);
	void *user;
	size_t count, most; /* connections: how many there are, and may be */
	struct connection *connections;
};

static struct timeval
milliseconds(long ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void
drop(struct connection *c)
{
	for (int i = 0; i < 2; i++) {
		if (c->ends[i].bev != NULL)
			bufferevent_free(c->ends[i].bev);
	}
	if (c->retry != NULL)
		event_free(c->retry);
	if (c->bridge->count-- == c->bridge->most && c->bridge->listener != NULL)
		(void)evconnlistener_enable(c->bridge->listener);
	*c->back = c->next;
	if (c->next != NULL)
		c->next->back = c->back;
	free(c);
}

static struct end *
other(struct end *end)
{
	return &end->connection->ends[end == &end->connection->ends[CLIENT] ? SERVER : CLIENT];
}

/* Once everything that `from` sent has been passed on: tell `to` that no more comes. */
static void
finish_direction(struct end *from, struct end *to)
{
	if (!from->at_eof || from->told || !from->connection->connected ||
	    evbuffer_get_length(bufferevent_get_output(to->bev)) > 0)
		return;
	from->told = true;
	(void)shutdown(bufferevent_getfd(to->bev), SHUT_WR);
	if (to->told || from->dead)
		drop(from->connection);
}

/* It can be sent nothing more, but may have something to say: "413", and closed. Hear it out. */
static void
go_deaf(struct end *end)
{
	end->dead = true;
	(void)bufferevent_disable(other(end)->bev, EV_READ);
}

/* The end is gone in both directions. What it had sent still reaches the other one. */
static void
die(struct end *end)
{
	struct end *to = other(end);

	if (!end->connection->connected || to->dead || end->told) {
		drop(end->connection);
		return;
	}
	end->at_eof = true;
	end->dead = true;
	(void)bufferevent_disable(end->bev, EV_READ | EV_WRITE);
	(void)bufferevent_disable(to->bev, EV_READ);
	finish_direction(end, to);
}

/* Sends at once what the kernel takes; the rest, and any error, is left to the event loop. */
static void
send_some(struct end *to, const char *data, size_t length)
{
	ssize_t n = write(bufferevent_getfd(to->bev), data, length);

	if (n < 0)
		n = 0;
	if ((size_t)n < length)
		(void)bufferevent_write(to->bev, data + n, length - (size_t)n);
}

/* The kernel takes no more for it now. */
static bool
is_full(const struct end *end)
{
	return evbuffer_get_length(bufferevent_get_output(end->bev)) > 0;
}

/*
 * After a read that has filled its 4 KiB there is mostly more: read in large pieces, past libevent.
 * The end of it, and errors, are still there for libevent to find.
 */
static void
pass_on_more(struct end *from, struct end *to)
{
	static char piece[CHUNK]; /* there is one event loop, on one thread */

	for (int i = 0; i < READS && !is_full(to); i++) {
		ssize_t n = read(bufferevent_getfd(from->bev), piece, sizeof(piece));

		if (n <= 0)
			return;
		send_some(to, piece, (size_t)n);
	}
}

static void
pass_on(struct end *from)
{
	struct end *to = other(from);
	struct evbuffer *input = bufferevent_get_input(from->bev);
	size_t length = evbuffer_get_length(input);

	if (!from->connection->connected || to->dead)
		return; /* kept in the input buffer up to its high-water mark */
	if (!is_full(to))
		(void)evbuffer_write(input, bufferevent_getfd(to->bev));
	(void)bufferevent_write_buffer(to->bev, input);
	if (length >= SMALL_READ)
		pass_on_more(from, to);
	if (is_full(to))
		(void)bufferevent_disable(from->bev, EV_READ);
}

static void
on_read(struct bufferevent *bev, void *user)
{
	(void)bev;
	pass_on(user);
}

/* The output buffer has become small enough: let the other end send again. */
static void
on_write(struct bufferevent *bev, void *user)
{
	struct end *end = user, *from = other(end);

	(void)bev;
	if (from->bev == NULL)
		return;
	if (!from->at_eof && !end->dead)
		(void)bufferevent_enable(from->bev, EV_READ);
	finish_direction(from, end);
}

/* At the end of input: whether the peer is gone altogether (unix(7)), not just done sending. */
static bool
has_hung_up(const struct end *end)
{
	/* for reading, macOS says POLLHUP as soon as the peer is done sending */
	struct pollfd p = {.fd = bufferevent_getfd(end->bev), .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void
on_client_event(struct bufferevent *bev, short what, void *user)
{
	struct end *client = user;
	struct connection *c = client->connection;

	(void)bev;
	if ((what & BEV_EVENT_EOF) == 0 || has_hung_up(client)) {
		die(client);
		return;
	}
	client->at_eof = true;
	if (c->connected)
		finish_direction(client, &c->ends[SERVER]);
}

static void connect_server(struct connection *c);

/* Tries again: soon, or, while there is no target, when one is set. */
static void
retry_later(struct connection *c)
{
	int64_t left = c->deadline - dm_now_ms();
	bool soon = c->bridge->target.length > 0 && left > RETRY_MS;
	struct timeval pause = milliseconds(soon ? RETRY_MS : (long)left);

	if (c->ends[SERVER].bev != NULL)
		bufferevent_free(c->ends[SERVER].bev);
	c->ends[SERVER].bev = NULL;
	if (left <= 0)
		drop(c);
	else
		(void)event_add(c->retry, &pause);
}

static void
begin_passing(struct connection *c)
{
	struct end *client = &c->ends[CLIENT], *server = &c->ends[SERVER];
	int on = 1;

	c->connected = true;
	event_free(c->retry);
	c->retry = NULL;
	/* fails on a Unix socket, which has no such delay */
	(void)setsockopt(bufferevent_getfd(server->bev), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	bufferevent_setwatermark(client->bev, EV_READ, 0, 0);
	bufferevent_setwatermark(client->bev, EV_WRITE, CHUNK / 2, 0);
	bufferevent_setwatermark(server->bev, EV_WRITE, CHUNK / 2, 0);
	(void)bufferevent_enable(server->bev, EV_READ);
	pass_on(client);
	finish_direction(client, server);
}

static void
on_server_event(struct bufferevent *bev, short what, void *user)
{
	struct end *server = user;
	struct connection *c = server->connection;
	struct bridge *b = c->bridge;

	(void)bev;
	if ((what & BEV_EVENT_CONNECTED) != 0) {
		begin_passing(c);
	} else if (!c->connected) {
		retry_later(c);
		b->missed(b->user);
	} else if ((what & BEV_EVENT_EOF) != 0) {
		server->at_eof = true;
		finish_direction(server, &c->ends[CLIENT]);
	} else if ((what & BEV_EVENT_WRITING) != 0) {
		go_deaf(server);
	} else {
		die(server);
	}
}

static void
set_limits(struct bufferevent *bev)
{
	(void)bufferevent_set_max_single_read(bev, CHUNK);
	(void)bufferevent_set_max_single_write(bev, CHUNK);
}

/* A socket on its way to the target; -1 if it is refused at once. */
static int
begin_connecting(const struct bridge_target *t)
{
	int fd = socket(t->address.ss_family, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	(void)evutil_make_socket_closeonexec(fd);
	if (evutil_make_socket_nonblocking(fd) == 0 &&
	    (connect(fd, (const struct sockaddr *)&t->address, t->length) == 0 ||
		errno == EINPROGRESS || errno == EINTR))
		return fd;
	(void)close(fd);
	return -1;
}

/* It may drop the connection. */
static void
connect_server(struct connection *c)
{
	struct bridge *b = c->bridge;
	struct end *server = &c->ends[SERVER];
	int fd;

	if (b->target.length == 0) {
		retry_later(c);
		return;
	}
	/* not by libevent: what fails at once, a socket file that is gone, it tells no callback */
	fd = begin_connecting(&b->target);
	if (fd >= 0 &&
	    (server->bev = bufferevent_socket_new(b->base, fd, BEV_OPT_CLOSE_ON_FREE)) == NULL)
		(void)close(fd);
	if (server->bev == NULL) {
		retry_later(c);
		b->missed(b->user);
		return;
	}
	set_limits(server->bev);
	bufferevent_setcb(server->bev, on_read, on_write, on_server_event, server);
	/* without an address: tells when the socket is connected, or refused */
	(void)bufferevent_socket_connect(server->bev, NULL, 0);
}

static void
on_retry(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	connect_server(user);
}

static void
on_accept(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *a, int n, void *user)
{
	struct bridge *b = user;
	struct connection *c = dm_calloc(1, sizeof(*c));
	struct bufferevent *bev = bufferevent_socket_new(b->base, fd, BEV_OPT_CLOSE_ON_FREE);

	(void)a;
	(void)n;
	c->bridge = b;
	c->deadline = dm_now_ms() + b->hold_ms;
	c->retry = event_new(b->base, -1, 0, on_retry, c);
	c->ends[CLIENT] = (struct end){.connection = c, .bev = bev};
	c->ends[SERVER].connection = c;
	c->next = b->connections;
	c->back = &b->connections;
	if (c->next != NULL)
		c->next->back = &c->next;
	b->connections = c;
	if (++b->count == b->most)
		(void)evconnlistener_disable(listener);
	if (bev == NULL || c->retry == NULL) {
		if (bev == NULL)
			(void)close(fd);
		drop(c);
		return;
	}
	set_limits(bev);
	bufferevent_setcb(bev, on_read, on_write, on_client_event, &c->ends[CLIENT]);
	bufferevent_setwatermark(bev, EV_READ, 0, WAITING_MAX);
	/* writing is enabled from the first, and to say so would have it polled for nothing */
	(void)bufferevent_enable(bev, EV_READ);
	connect_server(c);
}

/* Out of descriptors, most likely: what waits in the backlog waits a little longer. */
static void
on_accept_error(struct evconnlistener *listener, void *user)
{
	struct bridge *b = user;
	struct timeval pause = milliseconds(NO_FILES_MS);

	dm_debug("accepting a connection: %s", strerror(errno));
	(void)evconnlistener_disable(listener);
	(void)event_add(b->resume, &pause);
}

static void
on_resume(evutil_socket_t fd, short what, void *user)
{
	struct bridge *b = user;

	(void)fd;
	(void)what;
	if (b->count < b->most)
		(void)evconnlistener_enable(b->listener);
}

/*
 * Each connection takes two descriptors. If clients had them all, no server could be connected, and
 * no client would ever go: the others wait in the backlog.
 */
static size_t
most_connections(void)
{
	struct rlimit files;
	rlim_t kept = FILES_KEPT;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	if (kept > files.rlim_cur / 4)
		kept = files.rlim_cur / 4;
	return files.rlim_cur < 4 ? 1 : (size_t)((files.rlim_cur - kept) / 2);
}

struct bridge *
bridge_new(struct event_base *base, int fd, int64_t hold_ms, void (*missed)(void *user), void *user,
    struct dm_err *err)
{
	struct bridge *b = dm_calloc(1, sizeof(*b));

	b->base = base;
	b->hold_ms = hold_ms;
	b->most = most_connections();
	b->missed = missed;
	b->user = user;
	(void)evutil_make_socket_nonblocking(fd);
	b->resume = event_new(base, -1, 0, on_resume, b);
	b->listener = evconnlistener_new(
	    base, on_accept, b, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (b->listener == NULL || b->resume == NULL) {
		if (b->listener == NULL)
			(void)close(fd);
		bridge_free(b);
		(void)dm_fail(err, DM_FAILED, "setting up the bridge: libevent refuses");
		return NULL;
	}
	evconnlistener_set_error_cb(b->listener, on_accept_error);
	return b;
}

void
bridge_free(struct bridge *bridge)
{
	if (bridge == NULL)
		return;
	for (struct connection *c = bridge->connections, *next; c != NULL; c = next) {
		next = c->next;
		drop(c);
	}
	if (bridge->listener != NULL)
		evconnlistener_free(bridge->listener);
	if (bridge->resume != NULL)
		event_free(bridge->resume);
	free(bridge);
}

void
bridge_set_target(struct bridge *bridge, const struct bridge_target *target)
{
	static const struct timeval at_once = {.tv_sec = 0};

	bridge->target = *target;
	if (target->length == 0)
		return;
	for (struct connection *c = bridge->connections; c != NULL; c = c->next) {
		if (c->retry != NULL && c->ends[SERVER].bev == NULL)
			(void)event_add(c->retry, &at_once);
	}
}

size_t
bridge_connections(const struct bridge *bridge)
{
	return bridge->count;
}

int
bridge_listen(const char *path, dev_t *dev, ino_t *ino, struct dm_err *err)
{
	return dm_sock_listen_unix(path, 0666, dev, ino, err);
}
