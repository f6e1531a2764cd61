/* SPDX-License-Identifier: MIT */
/* One connection: its request, and the answer. */
#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon.h"
#include "http_impl.h"
#include "page.h"
#include "sse.h"
#include "state.h"

enum {
	REQUEST_S = 10, /* for a whole request */
	IDLE_S = 10,	/* for any progress of an answer */
	SENDING_S = 60, /* for a whole answer */
	LINGER_S = 2
};

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
    {200, "OK"},
    {303, "See Other"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

static const char *
phrase_of(int status)
{
	for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++) {
		if (phrases[i].status == status)
			return phrases[i].phrase;
	}
	return "";
}

static void
enter(struct http_conn *conn, enum http_phase phase, int seconds)
{
	const struct timeval limit = {.tv_sec = seconds};

	conn->phase = phase;
	if (seconds > 0)
		(void)event_add(conn->deadline, &limit);
	else
		(void)event_del(conn->deadline);
}

/* The page of phone.h asks it to find out whether a phone trusts the certificate; that it is
 * answered at all is what that page gets to know. */
static bool
is_health(const struct http_conn *conn)
{
	return conn->head.path != NULL && strcmp(conn->head.path, "/healthz") == 0;
}

/* What a page of ours may load (CSP3); anything else may load nothing. */
static void
format_policy(const struct api_reply *reply, char *out, size_t size)
{
	out[0] = '\0';
	if (reply->styled)
		(void)snprintf(out, size, "style-src 'unsafe-inline'; ");
	else if (reply->nonce != NULL)
		(void)snprintf(out, size,
		    "script-src 'self'; style-src 'self' 'nonce-%s'; img-src 'self'; "
		    "connect-src 'self'; ",
		    reply->nonce);
}

/* Everything but the length, which a stream does not have, and the empty line. */
static void
add_head(struct http_conn *conn, const struct api_reply *reply)
{
	struct evbuffer *out = bufferevent_get_output(conn->bev);
	char date[64], policy[256];
	time_t now = time(NULL);
	struct tm utc;

	conn->server->counts.answered[reply->status - HTTP_STATUS_FIRST]++;
	(void)gmtime_r(&now, &utc);
	if (evutil_date_rfc1123(date, sizeof(date), &utc) <= 0)
		date[0] = '\0';
	format_policy(reply, policy, sizeof(policy));
	(void)evbuffer_add_printf(out,
	    "HTTP/1.1 %d %s\r\n"
	    "Date: %s\r\n"
	    "Content-Type: %s\r\n"
	    "Cache-Control: %s\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "X-Frame-Options: DENY\r\n"
	    "Referrer-Policy: no-referrer\r\n"
	    "Content-Security-Policy: default-src 'none'; %sframe-ancestors 'none'; "
	    "base-uri 'none'; form-action 'none'\r\n"
	    "Cross-Origin-Resource-Policy: %s\r\n"
	    "Connection: close\r\n",
	    reply->status, phrase_of(reply->status), date, reply->type,
	    reply->etag != NULL ? "no-cache" : "no-store", policy,
	    is_health(conn) ? "cross-origin" : "same-origin");
	if (reply->etag != NULL)
		(void)evbuffer_add_printf(
		    out, "ETag: %s\r\nVary: Accept-Encoding\r\n", reply->etag);
	if (reply->gzip)
		(void)evbuffer_add_printf(out, "Content-Encoding: gzip\r\n");
	if (reply->location != NULL)
		(void)evbuffer_add_printf(out, "Location: %s\r\n", reply->location);
	if (reply->cookie != NULL)
		(void)evbuffer_add_printf(out, "Set-Cookie: %s\r\n", reply->cookie);
	if (reply->allow != NULL)
		(void)evbuffer_add_printf(out, "Allow: %s\r\n", reply->allow);
	if (reply->status == 503)
		(void)evbuffer_add_printf(out, "Retry-After: 1\r\n");
}

static bool
wants_body(const struct http_conn *conn)
{
	return conn->head.method == NULL || strcmp(conn->head.method, "HEAD") != 0;
}

static void
send_reply(struct http_conn *conn, const struct api_reply *reply)
{
	struct evbuffer *out = bufferevent_get_output(conn->bev);

	add_head(conn, reply);
	if (reply->status == 304)
		(void)evbuffer_add_printf(out, "\r\n");
	else
		(void)evbuffer_add_printf(out, "Content-Length: %zu\r\n\r\n", reply->len);
	if (wants_body(conn) && reply->status != 304)
		(void)evbuffer_add(out, reply->text, reply->len);
	enter(conn, HTTP_SENDING, SENDING_S);
}

static void
on_refused(void *user, const struct api_reply *reply)
{
	struct api_reply with_allow = *reply;

	if (reply->status == 405)
		with_allow.allow = HTTP_METHODS;
	send_reply(user, &with_allow);
}

static void
refuse(struct http_conn *conn, enum http_refusal why, int status, const struct dm_err *err)
{
	conn->server->counts.refused[why]++;
	api_refuse(status, err, on_refused, conn);
}

static void
on_too_slow(void *user)
{
	struct http_conn *conn = user;

	dm_debug("a reader of the event stream is too slow: dropped");
	conn->server->counts.streams_dropped++;
	http_conn_drop(conn);
}

static void
begin_stream(struct http_conn *conn, const struct api_reply *reply)
{
	struct http_server *server = conn->server;
	const char *last = http_header(&conn->head, "Last-Event-ID");
	uint64_t since = reply->since;
	/* the header is the newer one: a browser that comes back asks for the URL it had */
	bool has_since =
	    last != NULL ? dm_parse_uint(last, 0, UINT64_MAX, &since) : reply->has_since;
	struct evbuffer *out = bufferevent_get_output(conn->bev);
	struct dm_err err;

	if (server->counts.streams >= HTTP_STREAMS_MAX) {
		(void)dm_fail(
		    &err, DM_FAILED, "%d event streams are open already", HTTP_STREAMS_MAX);
		refuse(conn, HTTP_REFUSED_BUSY, 503, &err);
		return;
	}
	add_head(conn, reply);
	(void)evbuffer_add(out, "\r\n", 2);
	if (!wants_body(conn)) {
		enter(conn, HTTP_SENDING, SENDING_S);
		return;
	}
	enter(conn, HTTP_STREAMING, 0);
	/* nothing is sent for minutes, and a reader that is slow is dealt with by sse.h */
	(void)bufferevent_set_timeouts(conn->bev, NULL, NULL);
	server->counts.streams++;
	conn->sse = sse_begin(server->d, conn->bev, has_since, since, on_too_slow, conn);
}

void
http_conn_end_stream(struct http_conn *conn)
{
	sse_end(conn->sse);
	conn->sse = NULL;
	conn->server->counts.streams--;
	enter(conn, HTTP_SENDING, SENDING_S);
	if (evbuffer_get_length(bufferevent_get_output(conn->bev)) == 0)
		http_conn_drop(conn);
}

static void
on_answer(void *user, const struct api_reply *reply)
{
	struct http_conn *conn = user;

	conn->call = NULL;
	if (reply->stream)
		begin_stream(conn, reply);
	else
		send_reply(conn, reply);
}

/* RFC 9110 §12.5.3, as far as browsers go: whoever names it, other than to refuse it. */
static bool
accepts_gzip(const char *accepted)
{
	const char *at = accepted == NULL ? NULL : strstr(accepted, "gzip");

	if (at == NULL)
		return false;
	at += strlen("gzip");
	at += strspn(at, " \t");
	if (*at != ';')
		return true;
	at += 1 + strspn(at + 1, " \t");
	/* a weight of zero, with up to three decimals */
	return !dm_starts_with(at, "q=0") || at[3 + strspn(at + 3, ".0")] > '0';
}

/* HEAD is GET without the body; but to look at an address that logs in must not use it up. */
static bool
is_get(const struct http_head *head)
{
	return strcmp(head->method, "GET") == 0 ||
	       (strcmp(head->method, "HEAD") == 0 && strcmp(head->path, "/login") != 0);
}

static void
ask(struct http_conn *conn, const struct cJSON *body)
{
	const struct api_request request = {
	    .method = is_get(&conn->head) ? "GET" : conn->head.method,
	    .path = conn->head.path,
	    .query = conn->head.query,
	    .body = body,
	    .may_change = conn->may_change,
	    .gzip = accepts_gzip(http_header(&conn->head, "Accept-Encoding")),
	    .if_none_match = http_header(&conn->head, "If-None-Match")};

	enter(conn, HTTP_ANSWERING, 0);
	conn->call = api_ask(conn->server->d->api, &request, on_answer, conn);
}

static void
read_body(struct http_conn *conn)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);
	size_t len = (size_t)conn->head.body_len;
	const char *text;
	cJSON *body = NULL;
	struct dm_err err;

	if (evbuffer_get_length(in) < len)
		return;
	text = len == 0 ? "" : (const char *)evbuffer_pullup(in, (ssize_t)len);
	if (len > 0 && (body = api_body_parse(text, len, &err)) == NULL) {
		refuse(conn, HTTP_REFUSED_FORM, 400, &err);
		return;
	}
	ask(conn, body);
	cJSON_Delete(body);
}

/* For a person at another machine who opens the dashboard: what is shared with the network. */
static void
show_shared(struct http_conn *conn)
{
	cJSON *state = state_whole(conn->server->d);
	bool any;
	DM_AUTO_FREE char *page = page_render_shared(state, &any);
	struct api_reply reply = {
	    .status = 403, .type = "text/html; charset=utf-8", .text = page, .styled = true};

	cJSON_Delete(state);
	if (page == NULL) {
		http_conn_drop(conn);
		return;
	}
	if (any)
		reply.status = 200;
	reply.len = strlen(page);
	if (!any)
		conn->server->counts.refused[HTTP_REFUSED_REMOTE]++;
	send_reply(conn, &reply);
}

/* The head is there: whether the request may be asked at all. */
static void
look_at_head(struct http_conn *conn)
{
	const struct http_server *server = conn->server;
	const struct http_head *head = &conn->head;
	const struct http_self self = {.host = server->d->host,
	    .url = server->d->url,
	    .token = server->token.text,
	    .is_ours = dns_address_is_ours};
	bool marked;
	bool logged_in = http_login_holds(server->login, dm_now_ms(), http_header(head, "Cookie"),
	    http_header(head, "X-Devmesh"), &marked);
	const struct http_ask facts = {.method = head->method,
	    .path = head->path,
	    .host = http_header(head, "Host"),
	    .origin = http_header(head, "Origin"),
	    .token = http_header(head, "X-Devmesh"),
	    .logged_in = logged_in,
	    .marked = marked,
	    .forwarded_for = http_header(head, "X-Forwarded-For"),
	    .content_type = http_header(head, "Content-Type"),
	    .fetch_site = http_header(head, "Sec-Fetch-Site"),
	    .fetch_mode = http_header(head, "Sec-Fetch-Mode")};
	bool reads = strcmp(head->method, "POST") != 0;
	struct dm_err err;
	enum http_refusal why = http_guard(&self, &facts, &err);

	if (why == HTTP_ALLOWED && reads && head->body_len > 0) {
		(void)dm_fail(&err, DM_USAGE, "a %s has no body", head->method);
		why = HTTP_REFUSED_FORM;
	} else if (why == HTTP_ALLOWED && head->body_len > API_BODY_MAX) {
		(void)dm_fail(&err, DM_USAGE, "the body has more than %d bytes", API_BODY_MAX);
		why = HTTP_REFUSED_SIZE;
	}
	if (why == HTTP_REFUSED_REMOTE && reads && strcmp(head->path, "/") == 0) {
		show_shared(conn);
		return;
	}
	if (why != HTTP_ALLOWED) {
		refuse(conn, why, http_refusal_status(why), &err);
		return;
	}
	if (head->body_len > 0 && http_header(head, "Expect") != NULL)
		(void)evbuffer_add_printf(
		    bufferevent_get_output(conn->bev), "HTTP/1.1 100 Continue\r\n\r\n");
	conn->may_change =
	    marked || (facts.token != NULL && http_token_equal(facts.token, self.token));
	conn->phase = HTTP_READING_BODY; /* the deadline stays */
	read_body(conn);
}

static void
read_head(struct http_conn *conn)
{
	struct evbuffer *in = bufferevent_get_input(conn->bev);
	struct evbuffer_ptr from, end;
	size_t len;
	struct dm_err err;

	(void)evbuffer_ptr_set(in, &from, conn->searched, EVBUFFER_PTR_SET);
	end = evbuffer_search(in, "\r\n\r\n", 4, &from);
	len = end.pos < 0 ? evbuffer_get_length(in) : (size_t)end.pos + 4;
	if (len > HTTP_HEAD_MAX || (end.pos < 0 && len == HTTP_HEAD_MAX)) {
		conn->server->counts.requests++;
		(void)dm_fail(&err, DM_USAGE, "the head of the request has more than %d bytes",
		    HTTP_HEAD_MAX);
		refuse(conn, HTTP_REFUSED_SIZE, 431, &err);
		return;
	}
	if (end.pos < 0) {
		conn->searched = len < 3 ? 0 : len - 3;
		return;
	}
	conn->server->counts.requests++;
	conn->text = dm_calloc(1, len + 1);
	(void)evbuffer_remove(in, conn->text, len);
	if (!http_head_parse(conn->text, len, &conn->head, &err)) {
		memset(&conn->head, 0, sizeof(conn->head));
		refuse(conn, HTTP_REFUSED_FORM, 400, &err);
		return;
	}
	look_at_head(conn);
}

static void
on_read(struct bufferevent *bev, void *user)
{
	struct http_conn *conn = user;

	switch (conn->phase) {
	case HTTP_READING_HEAD:
		read_head(conn);
		break;
	case HTTP_READING_BODY:
		read_body(conn);
		break;
	case HTTP_ANSWERING:
	case HTTP_STREAMING: /* it has said all; the watermark keeps it from saying more */
		break;
	case HTTP_SENDING:
	case HTTP_LINGERING:
		(void)evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
		break;
	}
}

/* All is sent. To close now could take from the client what it has not read yet. */
static void
on_write(struct bufferevent *bev, void *user)
{
	struct http_conn *conn = user;

	if (conn->phase != HTTP_SENDING)
		return;
	(void)evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
	(void)shutdown(bufferevent_getfd(bev), SHUT_WR);
	enter(conn, HTTP_LINGERING, LINGER_S);
}

static void
on_end(struct bufferevent *bev, short what, void *user)
{
	struct http_conn *conn = user;

	/* one that has nothing more to say may still listen */
	if ((what & BEV_EVENT_EOF) != 0 && conn->phase == HTTP_SENDING &&
	    evbuffer_get_length(bufferevent_get_output(bev)) > 0)
		return;
	http_conn_drop(conn);
}

static void
on_deadline(evutil_socket_t fd, short what, void *user)
{
	struct http_conn *conn = user;

	(void)fd;
	(void)what;
	if (conn->phase == HTTP_READING_HEAD || conn->phase == HTTP_READING_BODY)
		conn->server->counts.refused[HTTP_REFUSED_SLOW]++;
	http_conn_drop(conn);
}

void
http_conn_start(struct http_conn *conn)
{
	static const struct timeval idle = {.tv_sec = IDLE_S};

	conn->deadline = evtimer_new(conn->server->d->base, on_deadline, conn);
	bufferevent_setcb(conn->bev, on_read, on_write, on_end, conn);
	bufferevent_setwatermark(conn->bev, EV_READ, 0, HTTP_HEAD_MAX + API_BODY_MAX);
	(void)bufferevent_set_timeouts(conn->bev, NULL, &idle);
	(void)bufferevent_enable(conn->bev, EV_READ | EV_WRITE);
	enter(conn, HTTP_READING_HEAD, REQUEST_S);
}
