/* SPDX-License-Identifier: MIT */
#include "sse.h"

#include <cjson/cJSON.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "base/mem.h"
#include "daemon.h"
#include "events.h"
#include "load.h"
#include "state.h"
#include "unsent.h"

enum {
	PING_S = 15, /* so that whoever is between does not take it for dead */
	RETRY_MS = 2000
};

struct sse {
	struct daemon *d;
	struct bufferevent *bev;
	struct events_listener *listener;
	struct load_listener *load;
	struct event *ping;
	size_t burst;
	void (*too_slow)(void *user);
	void *user;
};

static void
send_event(const struct sse *sse, const char *kind, uint64_t seq, const char *json)
{
	struct evbuffer *out = bufferevent_get_output(sse->bev);

	(void)evbuffer_add_printf(
	    out, "id: %llu\nevent: %s\ndata: ", (unsigned long long)seq, kind);
	(void)evbuffer_add(out, json, strlen(json));
	(void)evbuffer_add(out, "\n\n", 2);
}

static void
on_replayed(void *user, const struct event *event)
{
	send_event(user, event_kind_name(event->kind), event->seq, event->json);
}

static void
on_published(void *user, const struct event *event)
{
	struct sse *sse = user;

	send_event(sse, event_kind_name(event->kind), event->seq, event->json);
	if (unsent_too_much(sse->bev, &sse->burst))
		sse->too_slow(sse->user);
}

/* Without a number: who comes back is told it anew in any case. */
static void
on_load(void *user, const char *json)
{
	struct sse *sse = user;
	struct evbuffer *out = bufferevent_get_output(sse->bev);

	(void)evbuffer_add_printf(out, "event: load\ndata: ");
	(void)evbuffer_add(out, json, strlen(json));
	(void)evbuffer_add(out, "\n\n", 2);
	if (unsent_too_much(sse->bev, &sse->burst))
		sse->too_slow(sse->user);
}

static void
on_ping(evutil_socket_t fd, short what, void *user)
{
	const struct sse *sse = user;

	(void)fd;
	(void)what;
	(void)evbuffer_add_printf(bufferevent_get_output(sse->bev), ": ping\n\n");
}

struct sse *
sse_begin(struct daemon *d, struct bufferevent *bev, bool has_since, uint64_t since,
    void (*too_slow)(void *user), void *user)
{
	static const struct timeval interval = {.tv_sec = PING_S};
	struct sse *sse = dm_calloc(1, sizeof(*sse));

	*sse = (struct sse){.d = d, .bev = bev, .too_slow = too_slow, .user = user};
	(void)evbuffer_add_printf(bufferevent_get_output(bev), "retry: %d\n\n", RETRY_MS);
	if (!has_since || !events_replay(d->events, since, on_replayed, sse)) {
		cJSON *state = state_whole(d);
		DM_AUTO_FREE char *json = cJSON_PrintUnformatted(state);

		cJSON_Delete(state);
		send_event(sse, "hello", events_seq(d->events), json);
	}
	sse->burst = evbuffer_get_length(bufferevent_get_output(bev));
	sse->listener = events_subscribe(d->events, on_published, sse);
	sse->load = load_listen(d->load, on_load, sse);
	sse->ping = event_new(d->base, -1, EV_PERSIST, on_ping, sse);
	(void)event_add(sse->ping, &interval);
	api_stream_begins(d->api);
	return sse;
}

void
sse_end(struct sse *sse)
{
	if (sse == NULL)
		return;
	events_unsubscribe(sse->d->events, sse->listener);
	load_unlisten(sse->d->load, sse->load);
	event_free(sse->ping);
	api_stream_ends(sse->d->api);
	free(sse);
}
