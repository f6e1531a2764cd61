/* SPDX-License-Identifier: MIT */
/* One connection to the page for phones: one request, one answer. */
#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon.h"
#include "phone_impl.h"
#include "web.h"

enum {
	CONNECTIONS_MAX = 32,
	HEAD_MAX = 8 << 10,
	WHOLE_S = 20,	 /* for a request, its answer and the end of the connection */
	FRESH_MS = 3000, /* what was found is told for so long */
};

/* ---- answering ----------------------------------------------------------------------------- */

/* Borrowed. */
struct answer {
	int status;
	const char *phrase;
	const char *type;
	const void *body;
	size_t len;
	const char *extra; /* further headers; "": none */
};

static void
send_answer(struct phone_conn *conn, const struct answer *a, const char *policy, bool with_body)
{
	struct evbuffer *out = bufferevent_get_output(conn->bev);

	conn->answered = true;
	(void)evbuffer_add_printf(out,
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: "
	    "no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: "
	    "DENY\r\nReferrer-Policy: no-referrer\r\nContent-Security-Policy: %s\r\n%sConnection: "
	    "close\r\n\r\n",
	    a->status, a->phrase, a->type, a->len,
	    policy != NULL ? policy : "default-src 'none'; frame-ancestors 'none'", a->extra);
	if (with_body)
		(void)evbuffer_add(out, a->body, a->len);
}

static void
refuse(struct phone_conn *conn, int status, const char *phrase, const char *extra)
{
	DM_AUTO_FREE char *text = dm_asprintf("devmesh: %s\n", phrase);

	send_answer(conn,
	    &(struct answer){.status = status,
		.phrase = phrase,
		.type = "text/plain; charset=utf-8",
		.body = text,
		.len = strlen(text),
		.extra = extra},
	    NULL, true);
}

/* The request, as far as an answer needs it. */
struct wish {
	bool body; /* no HEAD */
	const struct slug *id;
	struct phone_facts facts;
};

static void
send_text(struct phone_conn *conn, const struct wish *wish, const char *type, const char *extra,
    const char *text)
{
	DM_AUTO_FREE char *policy = phone_policy(&wish->facts);

	send_answer(conn,
	    &(struct answer){.status = 200,
		.phrase = "OK",
		.type = type,
		.body = text,
		.len = strlen(text),
		.extra = extra},
	    policy, wish->body);
}

static void
send_page(struct phone_conn *conn, const struct wish *wish)
{
	DM_AUTO_FREE char *text = phone_page(&wish->facts, wish->id);

	send_text(conn, wish, "text/html; charset=utf-8", "", text);
}

static void
send_state(struct phone_conn *conn, const struct wish *wish)
{
	cJSON *o = phone_state(&wish->facts, wish->id);
	DM_AUTO_FREE char *text = cJSON_PrintUnformatted(o);

	cJSON_Delete(o);
	send_text(conn, wish, "application/json", "", text);
}

static void
send_file(struct phone_conn *conn, const struct wish *wish, const char *name)
{
	const struct web_file *file = web_find(name);

	send_answer(conn,
	    &(struct answer){.status = 200,
		.phrase = "OK",
		.type = web_type(file),
		.body = file->data,
		.len = file->len,
		.extra = ""},
	    NULL, wish->body);
}

static void
send_style(struct phone_conn *conn, const struct wish *wish)
{
	send_file(conn, wish, "phone.css");
}

static void
send_script(struct phone_conn *conn, const struct wish *wish)
{
	send_file(conn, wish, "phone.js");
}

/* Says nothing but that it is here, to the page that was loaded from the address. */
static void
send_here(struct phone_conn *conn, const struct wish *wish)
{
	send_text(conn, wish, "text/plain; charset=utf-8", "Access-Control-Allow-Origin: *\r\n",
	    "devmesh\n");
}

/* False: there is none, or not yet; it is answered. */
static bool
has_root(struct phone_conn *conn, const struct wish *wish)
{
	if (wish->facts.root != NULL)
		return true;
	if (wish->facts.looked)
		refuse(conn, 404, "Not Found", "");
	else
		refuse(conn, 503, "Service Unavailable", "Retry-After: 1\r\n");
	return false;
}

static void
send_certificate(struct phone_conn *conn, const struct wish *wish)
{
	const struct authority_root *root = wish->facts.root;

	if (!has_root(conn, wish))
		return;
	send_answer(conn,
	    &(struct answer){.status = 200,
		.phrase = "OK",
		.type = "application/x-x509-ca-cert",
		.body = root->der,
		.len = root->len,
		.extra = "Content-Disposition: attachment; filename=\"devmesh-ca.crt\"\r\n"},
	    NULL, wish->body);
}

static void
send_profile(struct phone_conn *conn, const struct wish *wish)
{
	DM_AUTO_FREE char *text = NULL;

	if (!has_root(conn, wish))
		return;
	text = phone_profile(wish->facts.root);
	send_text(conn, wish, "application/x-apple-aspen-config",
	    "Content-Disposition: attachment; filename=\"devmesh.mobileconfig\"\r\n", text);
}

static const struct {
	const char *path;
	void (*send)(struct phone_conn *conn, const struct wish *wish);
} pages[] = {
    {"/phone", send_page},
    {"/phone/state", send_state},
    {"/phone/check.js", send_script},
    {"/phone/phone.css", send_style},
    {"/phone/dns-ok", send_here},
    {"/phone/ca.crt", send_certificate},
    {"/phone/ca.mobileconfig", send_profile},
};

static void
answer(struct phone_conn *conn, const struct http_head *head)
{
	struct slug id;
	struct wish wish = {.body = strcmp(head->method, "HEAD") != 0,
	    .id = phone_query_id(head->query, &id) ? &id : NULL,
	    .facts = phone_facts(conn->phone)};

	if (!phone_host_ok(http_header(head, "Host"), &wish.facts)) {
		refuse(conn, 421, "Misdirected Request", "");
		return;
	}
	if (wish.body && strcmp(head->method, "GET") != 0) {
		refuse(conn, 405, "Method Not Allowed", "Allow: GET, HEAD\r\n");
		return;
	}
	if (head->body_len > 0) {
		refuse(conn, 400, "Bad Request", "");
		return;
	}
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(head->path, pages[i].path) == 0) {
			(void)phone_want(conn->phone, FRESH_MS);
			pages[i].send(conn, &wish);
			return;
		}
	}
	if (strcmp(head->path, "/") == 0)
		refuse(conn, 303, "See Other", "Location: /phone\r\n");
	else
		refuse(conn, 404, "Not Found", "");
}

/* ---- the connection ------------------------------------------------------------------------ */

void
phone_conn_drop(struct phone_conn *conn)
{
	struct phone *phone = conn->phone;

	*conn->back = conn->next;
	if (conn->next != NULL)
		conn->next->back = conn->back;
	else
		phone->newest = conn->back;
	phone->conn_count--;
	event_free(conn->deadline);
	bufferevent_free(conn->bev);
	free(conn);
}

static void
on_read(struct bufferevent *bev, void *user)
{
	struct phone_conn *conn = user;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	DM_AUTO_FREE char *text = NULL;
	struct http_head head;
	struct dm_err err;
	size_t len;

	if (conn->answered) {
		(void)evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	if (end.pos < 0) {
		if (evbuffer_get_length(in) >= HEAD_MAX)
			refuse(conn, 431, "Request Header Fields Too Large", "");
		return;
	}
	len = (size_t)end.pos + 4;
	text = dm_calloc(1, len + 1);
	(void)evbuffer_remove(in, text, len);
	if (len > HEAD_MAX)
		refuse(conn, 431, "Request Header Fields Too Large", "");
	else if (!http_head_parse(text, len, &head, &err))
		refuse(conn, 400, "Bad Request", "");
	else
		answer(conn, &head);
}

/* All is sent: its end is waited for, or what it has not read yet could get lost. */
static void
on_written(struct bufferevent *bev, void *user)
{
	const struct phone_conn *conn = user;

	if (conn->answered)
		(void)shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void
on_end(struct bufferevent *bev, short what, void *user)
{
	(void)bev;
	(void)what;
	phone_conn_drop(user);
}

static void
on_deadline(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	phone_conn_drop(user);
}

void
phone_conn_take(struct phone *phone, int fd)
{
	static const struct timeval whole = {.tv_sec = WHOLE_S};
	struct bufferevent *bev = bufferevent_socket_new(phone->d->base, fd, BEV_OPT_CLOSE_ON_FREE);
	struct phone_conn *conn;

	if (bev == NULL) {
		(void)evutil_closesocket(fd);
		return;
	}
	if (phone->conn_count >= CONNECTIONS_MAX)
		phone_conn_drop(phone->oldest);
	conn = dm_calloc(1, sizeof(*conn));
	conn->phone = phone;
	conn->bev = bev;
	conn->back = phone->newest;
	*conn->back = conn;
	phone->newest = &conn->next;
	phone->conn_count++;
	conn->deadline = evtimer_new(phone->d->base, on_deadline, conn);
	(void)event_add(conn->deadline, &whole);
	bufferevent_setcb(bev, on_read, on_written, on_end, conn);
	bufferevent_setwatermark(bev, EV_READ, 0, HEAD_MAX + 1);
	(void)bufferevent_enable(bev, EV_READ | EV_WRITE);
}
