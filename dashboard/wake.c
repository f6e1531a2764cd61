/* SPDX-License-Identifier: MIT */
#include "wake.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "caddy/mesh.h"
#include "daemon.h"
#include "doorway.h"
#include "http_parse.h"
#include "model/slug.h"
#include "supervisor.h"

enum {
	CLIENTS_MAX = 64,
	CLIENT_S = 5 /* to ask, and to take the answer */
};

struct client {
	struct wake *wake;
	struct bufferevent *bev;
	struct client *next, **back;
};

struct wake {
	struct daemon *d;
	char *path; /* NULL: it listens nowhere */
	struct doorway *doorway;
	struct client *clients;
	unsigned count;
};

/* The next request is held by devmesh run until the server listens, so it is the app's own. */
static const char page[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<meta http-equiv=\"refresh\" content=\"1\">\n<title>%s is starting</title>\n"
    "<style>:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "body{margin:0;display:grid;min-height:100vh;place-items:center}"
    "main{max-width:42rem;padding:2rem}h1{margin:.25rem 0 1rem;overflow-wrap:anywhere}"
    "p{margin:0;opacity:.75}</style>\n"
    "<main><p>starting</p>\n<h1>%s</h1>\n"
    "<p>devmeshd starts it. This page opens it as soon as it answers.</p></main>\n</html>\n";

static void
drop(struct client *c)
{
	*c->back = c->next;
	if (c->next != NULL)
		c->next->back = c->back;
	c->wake->count--;
	bufferevent_free(c->bev);
	free(c);
}

static void
answer(const struct client *c, int status, const char *body)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	(void)bufferevent_disable(c->bev, EV_READ);
	(void)evbuffer_add_printf(out,
	    "HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n"
	    "Cache-Control: no-store\r\nConnection: close\r\n",
	    status, status == 503 ? "Service Unavailable" : "Not Found", strlen(body));
	if (status == 503)
		(void)evbuffer_add_printf(
		    out, "Retry-After: 1\r\n" MESH_STATE_HEADER ": starting\r\n");
	(void)evbuffer_add_printf(out, "\r\n%s", body);
}

/*
 * Which service a person opens; NULL: none does. What a page asks for by itself, such as the
 * scripts of one that is still open when its server has ended, starts nothing.
 */
static const char *
opened(const struct http_head *head)
{
	static const char prefix[] = "/wake/";
	const char *mode = http_header(head, "Sec-Fetch-Mode");
	const char *dest = http_header(head, "Sec-Fetch-Dest");

	if (strcmp(head->method, "GET") != 0 || !dm_starts_with(head->path, prefix) ||
	    !slug_valid(head->path + strlen(prefix)) ||
	    (mode != NULL && strcasecmp(mode, "navigate") != 0) ||
	    /* a frame of any page may navigate, too, and a browser may look ahead */
	    (dest != NULL && strcasecmp(dest, "document") != 0) ||
	    http_header(head, "Sec-Purpose") != NULL)
		return NULL;
	return head->path + strlen(prefix);
}

static void
on_read(struct bufferevent *bev, void *user)
{
	const struct client *c = user;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	DM_AUTO_FREE char *text = NULL, *body = NULL;
	const char *id = NULL;
	struct http_head head;
	struct dm_err ignored;
	size_t len = end.pos < 0 ? 0 : (size_t)end.pos + 4;

	if (len == 0 && evbuffer_get_length(in) < HTTP_HEAD_MAX)
		return;
	if (len > 0 && len <= HTTP_HEAD_MAX) {
		text = dm_calloc(1, len + 1);
		(void)evbuffer_remove(in, text, len);
		if (http_head_parse(text, len, &head, &ignored))
			id = opened(&head);
	}
	if (id == NULL || !supervisor_wake(c->wake->d->supervisor, id)) {
		answer(c, 404, "");
		return;
	}
	body = dm_asprintf(page, id, id);
	answer(c, 503, body);
}

static void
on_write(struct bufferevent *bev, void *user)
{
	if ((bufferevent_get_enabled(bev) & EV_READ) == 0)
		drop(user);
}

static void
on_end(struct bufferevent *bev, short what, void *user)
{
	(void)bev;
	(void)what;
	drop(user);
}

static void
take_client(void *user, int fd)
{
	static const struct timeval limit = {.tv_sec = CLIENT_S};
	struct wake *wake = user;
	struct bufferevent *bev = NULL;
	struct client *c;

	if (wake->count >= CLIENTS_MAX ||
	    (bev = bufferevent_socket_new(wake->d->base, fd, BEV_OPT_CLOSE_ON_FREE)) == NULL) {
		(void)close(fd);
		return;
	}
	c = dm_calloc(1, sizeof(*c));
	*c = (struct client){
	    .wake = wake, .bev = bev, .next = wake->clients, .back = &wake->clients};
	if (c->next != NULL)
		c->next->back = &c->next;
	wake->clients = c;
	wake->count++;
	(void)bufferevent_set_timeouts(bev, &limit, &limit);
	bufferevent_setcb(bev, on_read, on_write, on_end, c);
	(void)bufferevent_enable(bev, EV_READ | EV_WRITE);
}

/* Where the mesh route would look; the caller owns it. NULL: there is none, or none that does. */
static char *
directory(const struct daemon *d)
{
	char domain[HOST_MAX + 1];
	struct caddy_server server;

	if (d->session->view == NULL || d->host == NULL)
		return NULL;
	session_domain(d->session, domain);
	return caddy_view_mesh(d->session->view, domain, registry_dir(d->session->registry),
		   d->host, d->id, &server)
		   ? dm_strdup(server.identity_dir)
		   : NULL;
}

void
wake_settle(struct wake *wake)
{
	DM_AUTO_FREE char *dir = directory(wake->d);
	DM_AUTO_FREE char *path = dir == NULL ? NULL : dm_asprintf("%s/" MESH_WAKE_SOCKET, dir);
	struct dm_err err;

	if (dm_same_text(path, wake->path))
		return;
	doorway_close(wake->doorway);
	free(wake->path);
	wake->path = DM_STEAL(&path);
	wake->doorway = NULL;
	if (wake->path == NULL)
		return;
	/* Caddy may be another user; who cannot reach the directory cannot reach it either */
	wake->doorway = doorway_open(wake->d->base, wake->path, 0666, take_client, wake, &err);
	if (wake->doorway == NULL)
		dm_warn("%s; services do not start on request", err.msg);
}

struct wake *
wake_new(struct daemon *d)
{
	struct wake *wake = dm_calloc(1, sizeof(*wake));

	wake->d = d;
	return wake;
}

void
wake_free(struct wake *wake)
{
	if (wake == NULL)
		return;
	for (struct client *c = wake->clients, *next; c != NULL; c = next) {
		next = c->next;
		bufferevent_free(c->bev);
		free(c);
	}
	doorway_close(wake->doorway);
	free(wake->path);
	free(wake);
}
