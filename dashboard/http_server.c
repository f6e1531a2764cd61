/* SPDX-License-Identifier: MIT */
#include "http_server.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sock.h"
#include "daemon.h"
#include "doorway.h"
#include "http_impl.h"
#include "sse.h"
#include "unsent.h"

enum {
	CONNECTIONS_MAX = 256,
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
on_came(void *user, int fd)
{
	http_server_take(user, fd);
}

struct http_server *
http_server_open(struct daemon *d, const char *socket_path, struct dm_err *err)
{
	struct http_server *server = dm_calloc(1, sizeof(*server));

	server->d = d;
	server->newest = &server->oldest;
	server->login = http_login_new();
	if (http_token_make(d->session->state_dir, &server->token, err) &&
	    (server->doorway = doorway_open(d->base, socket_path, 0666, on_came, server, err)) !=
		NULL)
		return server;
	http_server_close(server);
	(void)dm_wrap(err, "serving the API");
	return NULL;
}

void
http_server_drain(struct http_server *server)
{
	doorway_shut(server->doorway);
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
	doorway_close(server->doorway);
	http_login_free(server->login);
	free(server);
}

struct http_login *
http_server_login(const struct http_server *server)
{
	return server->login;
}

const struct http_counts *
http_server_counts(const struct http_server *server)
{
	return &server->counts;
}
