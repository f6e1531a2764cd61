/* SPDX-License-Identifier: MIT */
#include "ctl_server.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "base/log.h"
#include "base/os.h"
#include "base/sock.h"
#include "base/str.h"
#include "ctl/ctl.h"
#include "daemon.h"
#include "doorway.h"
#include "events.h"
#include "state.h"
#include "unsent.h"
#include "version.h"

enum {
	CLIENTS_MAX = 64,
	IDLE_S = 60, /* between two requests of one client */
	SEND_S = 10, /* without any progress */
};

struct ctl_client {
	struct ctl_server *server;
	struct bufferevent *bev;
	struct event *idle;		  /* ends a client that asks for nothing */
	struct api_call *call;		  /* being answered; NULL: none */
	struct events_listener *listener; /* NULL: no event stream */
	size_t burst;
	bool asking;  /* within api_ask() */
	bool closing; /* when everything is sent */
	struct ctl_client *next, **back;
};

struct ctl_server {
	struct daemon *d;
	struct doorway *doorway;
	struct ctl_client *clients;
	size_t count;
};

bool
ctl_request_parse(
    const char *line, size_t len, struct ctl_request *out, int *status, struct dm_err *err)
{
	cJSON *o = cJSON_ParseWithLength(line, len);
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, "v");

	memset(out, 0, sizeof(*out));
	out->document = o;
	out->method = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "method"));
	out->path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "path"));
	out->body = cJSON_GetObjectItemCaseSensitive(o, "body");
	*status = 400;
	if (!cJSON_IsObject(o) || !cJSON_IsNumber(v))
		(void)dm_fail(err, DM_USAGE, "the request is not a JSON object with a \"v\"");
	else if (v->valuedouble != CTL_PROTOCOL) {
		*status = 426;
		(void)dm_fail(err, DM_USAGE,
		    "devmeshd " DEVMESH_VERSION " speaks version %d of the protocol", CTL_PROTOCOL);
		(void)dm_hint(err, "devmesh daemon restart");
	} else if (out->method == NULL || out->path == NULL || out->path[0] != '/')
		(void)dm_fail(err, DM_USAGE, "the request has no \"method\" or no \"path\"");
	else if (out->body != NULL && !cJSON_IsObject(out->body))
		(void)dm_fail(err, DM_USAGE, "the body is not a JSON object");
	else
		return true;
	ctl_request_release(out);
	return false;
}

void
ctl_request_release(struct ctl_request *request)
{
	cJSON_Delete(request->document);
	memset(request, 0, sizeof(*request));
}

static void
drop(struct ctl_client *c)
{
	if (c->call != NULL)
		api_cancel(c->call);
	if (c->listener != NULL) {
		events_unsubscribe(c->server->d->events, c->listener);
		api_stream_ends(c->server->d->api);
	}
	*c->back = c->next;
	if (c->next != NULL)
		c->next->back = c->back;
	c->server->count--;
	event_free(c->idle);
	bufferevent_free(c->bev);
	free(c);
}

/* The head of every line, with its closing brace missing. */
static void
add_reply(struct evbuffer *out, const struct api_reply *reply)
{
	bool is_json = dm_starts_with(reply->type, "application/json");

	(void)evbuffer_add_printf(out,
	    "{\"v\":%d,\"version\":\"" DEVMESH_VERSION "\",\"status\":%d,\"type\":\"%s\"",
	    CTL_PROTOCOL, reply->status, reply->type);
	if (reply->len > 0) {
		(void)evbuffer_add_printf(out, ",\"body\":");
		if (is_json) {
			(void)evbuffer_add(out, reply->text, reply->len);
		} else {
			cJSON *text = cJSON_CreateString(reply->text);
			char *quoted = cJSON_PrintUnformatted(text);

			(void)evbuffer_add(out, quoted, strlen(quoted));
			free(quoted);
			cJSON_Delete(text);
		}
	}
	(void)evbuffer_add(out, "}\n", 2);
}

static void
send_event(struct ctl_client *c, const char *kind, uint64_t seq, const char *json)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	(void)evbuffer_add_printf(out,
	    "{\"v\":%d,\"event\":\"%s\",\"seq\":%llu,\"data\":", CTL_PROTOCOL, kind,
	    (unsigned long long)seq);
	(void)evbuffer_add(out, json, strlen(json));
	(void)evbuffer_add(out, "}\n", 2);
}

static void
on_replayed(void *user, const struct event *event)
{
	send_event(user, event_kind_name(event->kind), event->seq, event->json);
}

static void
on_event_published(void *user, const struct event *event)
{
	struct ctl_client *c = user;

	send_event(c, event_kind_name(event->kind), event->seq, event->json);
	if (unsent_too_much(c->bev, &c->burst)) {
		dm_note("a client of the control socket does not read its events: dropped");
		drop(c);
	}
}

static void
begin_stream(struct ctl_client *c, const struct api_reply *reply)
{
	struct daemon *d = c->server->d;

	if (!reply->has_since || !events_replay(d->events, reply->since, on_replayed, c)) {
		cJSON *state = state_whole(d);
		char *json = cJSON_PrintUnformatted(state);

		send_event(c, "hello", events_seq(d->events), json);
		free(json);
		cJSON_Delete(state);
	}
	c->burst = evbuffer_get_length(bufferevent_get_output(c->bev));
	c->listener = events_subscribe(d->events, on_event_published, c);
	api_stream_begins(d->api);
	(void)event_del(c->idle);
	/* one that reads slowly (a pager that waits for a key) is given what it may fall behind */
	(void)bufferevent_set_timeouts(c->bev, NULL, NULL);
}

static void
wait_for_request(struct ctl_client *c)
{
	static const struct timeval idle = {.tv_sec = IDLE_S};

	(void)event_add(c->idle, &idle);
}

static void take_requests(struct ctl_client *c);

static void
on_answer(void *user, const struct api_reply *reply)
{
	struct ctl_client *c = user;

	c->call = NULL;
	add_reply(bufferevent_get_output(c->bev), reply);
	if (reply->stream) {
		begin_stream(c, reply);
		return;
	}
	wait_for_request(c);
	if (!c->asking) /* otherwise whoever has asked goes on */
		take_requests(c);
}

/* What cannot be answered in the way it was meant is the last that is said. */
static void
refuse(struct ctl_client *c, int status, const struct dm_err *err)
{
	c->closing = true;
	(void)bufferevent_disable(c->bev, EV_READ);
	api_refuse(status, err, on_answer, c);
}

static void
ask(struct ctl_client *c, const struct ctl_request *parsed)
{
	const char *query = strchr(parsed->path, '?');
	DM_AUTO_FREE char *path = query == NULL
				      ? dm_strdup(parsed->path)
				      : dm_strndup(parsed->path, (size_t)(query - parsed->path));
	const struct api_request request = {.method = parsed->method,
	    .path = path,
	    .query = query == NULL ? NULL : query + 1,
	    .body = parsed->body,
	    .trusted = true};

	(void)event_del(c->idle);
	c->call = api_ask(c->server->d->api, &request, on_answer, c);
}

/* One at a time: the next one is looked at when this one is answered. */
static void
take_requests(struct ctl_client *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	c->asking = true;
	while (c->call == NULL && c->listener == NULL && !c->closing) {
		size_t len;
		char *line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
		struct ctl_request request;
		struct dm_err err;
		int status = 413;

		if (line == NULL && evbuffer_get_length(in) < CTL_REQUEST_MAX)
			break;
		if (line == NULL || len > CTL_REQUEST_MAX) {
			(void)dm_fail(
			    &err, DM_USAGE, "the request has more than %d bytes", CTL_REQUEST_MAX);
			refuse(c, status, &err);
		} else if (!ctl_request_parse(line, len, &request, &status, &err)) {
			refuse(c, status, &err);
		} else {
			ask(c, &request);
			ctl_request_release(&request);
		}
		free(line);
	}
	c->asking = false;
}

static void
on_read(struct bufferevent *bev, void *user)
{
	struct ctl_client *c = user;

	/* a listener has nothing more to say */
	if (c->listener != NULL)
		(void)evbuffer_drain(bufferevent_get_input(bev), SIZE_MAX);
	else
		take_requests(c);
}

static void
on_write(struct bufferevent *bev, void *user)
{
	struct ctl_client *c = user;

	(void)bev;
	if (c->closing)
		drop(c);
}

/* One that only has nothing more to ask still gets its answers. */
static void
on_end(struct bufferevent *bev, short what, void *user)
{
	struct ctl_client *c = user;

	c->closing = true;
	if ((what & BEV_EVENT_EOF) == 0 || c->listener != NULL ||
	    (c->call == NULL && evbuffer_get_length(bufferevent_get_output(bev)) == 0))
		drop(c);
}

static void
on_idle(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	drop(user);
}

/* Whether the client may ask at all; a stranger is not even answered. */
static bool
is_own(int fd)
{
	pid_t pid;
	uid_t uid;

	if (dm_os_peer(fd, &pid, &uid) && uid == geteuid())
		return true;
	dm_warn("a process of another user at the control socket: not answered");
	return false;
}

static void
take_client(void *user, int fd)
{
	struct ctl_server *server = user;
	static const struct timeval send_timeout = {.tv_sec = SEND_S};
	struct bufferevent *bev;
	struct ctl_client *c;

	if (!is_own(fd) ||
	    (bev = bufferevent_socket_new(server->d->base, fd, BEV_OPT_CLOSE_ON_FREE)) == NULL) {
		(void)close(fd);
		return;
	}
	c = dm_calloc(1, sizeof(*c));
	c->server = server;
	c->bev = bev;
	c->idle = evtimer_new(server->d->base, on_idle, c);
	c->next = server->clients;
	c->back = &server->clients;
	if (c->next != NULL)
		c->next->back = &c->next;
	server->clients = c;
	server->count++;
	bufferevent_setcb(bev, on_read, on_write, on_end, c);
	bufferevent_setwatermark(bev, EV_READ, 0, CTL_REQUEST_MAX + 1);
	(void)bufferevent_set_timeouts(bev, NULL, &send_timeout);
	(void)bufferevent_enable(bev, EV_READ | EV_WRITE);
	wait_for_request(c);
	if (server->count > CLIENTS_MAX) {
		struct dm_err err;

		(void)dm_fail(&err, DM_FAILED, "devmeshd has %d clients already", CLIENTS_MAX);
		(void)dm_hint(&err, "end a devmesh events --follow, or a devmesh status --watch");
		refuse(c, 503, &err);
	}
}

struct ctl_server *
ctl_server_open(struct daemon *d, struct dm_err *err)
{
	DM_AUTO_FREE char *path = NULL;
	struct ctl_server *server;

	if (!session_need_state_dir(d->session, err))
		return NULL;
	path = ctl_path(d->session->state_dir);
	server = dm_calloc(1, sizeof(*server));
	server->d = d;
	server->doorway = doorway_open(d->base, path, 0600, take_client, server, err);
	if (server->doorway != NULL)
		return server;
	ctl_server_close(server);
	(void)dm_wrap(err, "opening the control socket");
	return NULL;
}

void
ctl_server_close(struct ctl_server *server)
{
	if (server == NULL)
		return;
	for (struct ctl_client *c = server->clients, *next; c != NULL; c = next) {
		next = c->next;
		unsent_flush(c->bev);
		drop(c);
	}
	doorway_close(server->doorway);
	free(server);
}

size_t
ctl_server_clients(const struct ctl_server *server)
{
	return server->count;
}
