/* SPDX-License-Identifier: MIT */
#include "http_server.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"
#include "daemon.h"
#include "http_impl.h"
#include "sse.h"
#include "unsent.h"

enum {
	CONNECTIONS_MAX = 256,
	BURST_MAX = 32, /* of connections taken in one turn of the loop: what was dropped is closed
			   after it */
	NO_FILES_US = 100000 /* pause when there is no descriptor for another connection */
};

void
http_conn_drop(struct http_conn *conn)
{
	struct http_server *server = conn->server;

	if (conn->call != NULL)
		api_cancel(conn->call);
	if (conn->sse != NULL) {
		sse_end(conn->sse);
		server->counts.streams--;
	}
	*conn->back = conn->next;
	if (conn->next != NULL)
		conn->next->back = conn->back;
	else
		server->newest = conn->back;
	server->counts.connections--;
	event_free(conn->deadline);
	bufferevent_free(conn->bev);
	free(conn->text);
	free(conn);
}

/*
 * There is one too many: the oldest that has not even asked yet has to go. Through Caddy a request
 * is there at once; whoever keeps connections open without asking only hurts himself.
 */
static bool
make_room(struct http_server *server)
{
	for (struct http_conn *c = server->oldest; c != NULL; c = c->next) {
		if (c->phase == HTTP_READING_HEAD || c->phase == HTTP_READING_BODY ||
		    c->phase == HTTP_LINGERING) {
			http_conn_drop(c);
			return true;
		}
	}
	return false;
}

void
http_server_take(struct http_server *server, int fd)
{
	struct bufferevent *bev;
	struct http_conn *conn;

	if (server->counts.connections >= CONNECTIONS_MAX) {
		server->counts.refused[HTTP_REFUSED_BUSY]++;
		if (!make_room(server)) {
			(void)close(fd);
			return;
		}
	}
	bev = bufferevent_socket_new(server->d->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL) {
		(void)close(fd);
		return;
	}
	conn = dm_calloc(1, sizeof(*conn));
	conn->server = server;
	conn->bev = bev;
	conn->back = server->newest;
	*conn->back = conn;
	server->newest = &conn->next;
	server->counts.connections++;
	http_conn_start(conn);
}

static void
on_accept(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *a, int n, void *user)
{
	struct http_server *server = user;
	static const struct timeval next_turn = {0, 0};

	(void)a;
	(void)n;
	http_server_take(server, fd);
	if (++server->burst < BURST_MAX)
		return;
	(void)evconnlistener_disable(listener);
	(void)event_add(server->resume, &next_turn);
}

/* Out of descriptors, most likely: what waits in the backlog waits a little longer. */
static void
on_accept_error(struct evconnlistener *listener, void *user)
{
	struct http_server *server = user;
	static const struct timeval pause = {.tv_usec = NO_FILES_US};

	dm_debug("accepting an HTTP connection: %s", strerror(errno));
	(void)evconnlistener_disable(listener);
	(void)event_add(server->resume, &pause);
}

static void
on_resume(evutil_socket_t fd, short what, void *user)
{
	struct http_server *server = user;

	(void)fd;
	(void)what;
	server->burst = 0;
	(void)evconnlistener_enable(server->listener);
}

struct http_server *
http_server_open(struct daemon *d, const char *socket_path, struct dm_err *err)
{
	struct http_server *server = dm_calloc(1, sizeof(*server));
	int fd;

	server->d = d;
	server->newest = &server->oldest;
	server->path = dm_strdup(socket_path);
	if (!http_token_make(d->session->state_dir, &server->token, err) ||
	    !dm_sock_make_way(socket_path, err) ||
	    (fd = dm_sock_listen_unix(socket_path, 0666, &server->dev, &server->ino, err)) < 0) {
		http_server_close(server);
		(void)dm_wrap(err, "serving the API");
		return NULL;
	}
	server->resume = evtimer_new(d->base, on_resume, server);
	server->listener = evconnlistener_new(
	    d->base, on_accept, server, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (server->listener == NULL || server->resume == NULL) {
		if (server->listener == NULL)
			(void)close(fd);
		http_server_close(server);
		(void)dm_fail(err, DM_FAILED, "serving the API: libevent refuses");
		return NULL;
	}
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	return server;
}

void
http_server_drain(struct http_server *server)
{
	(void)event_del(server->resume);
	(void)evconnlistener_disable(server->listener);
	for (struct http_conn *c = server->oldest, *next; c != NULL; c = next) {
		next = c->next;
		if (c->phase == HTTP_STREAMING)
			http_conn_end_stream(c);
		else if (c->phase == HTTP_READING_HEAD || c->phase == HTTP_READING_BODY)
			http_conn_drop(c);
	}
}

void
http_server_close(struct http_server *server)
{
	if (server == NULL)
		return;
	for (struct http_conn *c = server->oldest, *next; c != NULL; c = next) {
		next = c->next;
		unsent_flush(c->bev);
		http_conn_drop(c);
	}
	if (server->ino != 0)
		dm_sock_unlink_own(server->path, server->dev, server->ino);
	if (server->listener != NULL)
		evconnlistener_free(server->listener);
	if (server->resume != NULL)
		event_free(server->resume);
	free(server->path);
	free(server);
}

const struct http_counts *
http_server_counts(const struct http_server *server)
{
	return &server->counts;
}
