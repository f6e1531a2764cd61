/* SPDX-License-Identifier: MIT */
#include "finder.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "daemon.h"
#include "events.h"
#include "services.h"
#include "state.h"
#include "timer.h"
#include "tree_watch.h"

enum {
	HINT_MS = 100,
	WATCHED_MS = 1000,   /* between two looks while somebody watches */
	WATCHING_MS = 10000, /* for so long after a question */
};

struct finder {
	struct daemon *d;
	struct event *scan;
	struct discovery *discovery;
	struct found_list found;
	int64_t scanned_ms, due_ms, took_us;
};

static void on_scan(evutil_socket_t fd, short what, void *user);

struct finder *
finder_open(struct daemon *d, struct dm_err *err)
{
	struct finder *f = dm_calloc(1, sizeof(*f));

	f->d = d;
	f->discovery = discovery_new();
	f->scan = evtimer_new(d->base, on_scan, f);
	if (f->scan == NULL) {
		(void)dm_fail(err, DM_FAILED, "making a timer");
		finder_close(f);
		return NULL;
	}
	return f;
}

void
finder_close(struct finder *f)
{
	if (f == NULL)
		return;
	found_release(&f->found);
	discovery_free(f->discovery);
	if (f->scan != NULL)
		event_free(f->scan);
	free(f);
}

const struct found_list *
finder_found(const struct finder *f)
{
	return &f->found;
}

int64_t
finder_scan_us(const struct finder *f)
{
	return f->took_us;
}

/* ---- listening processes ---------------------------------------------------------------- */

static bool
same_found(const struct found *a, const struct found *b)
{
	return a->process.pid == b->process.pid && a->process.start == b->process.start &&
	       a->port == b->port &&
	       (a->socket == NULL ? b->socket == NULL
				  : b->socket != NULL && strcmp(a->socket, b->socket) == 0);
}

/* Whether `one`, with its answer to who has registered it, is in the list. */
static bool
has_found(const struct found_list *list, const struct found *one)
{
	for (size_t i = 0; i < list->count; i++) {
		if (same_found(&list->list[i], one))
			return (list->list[i].claim == NULL) == (one->claim == NULL) &&
			       list->list[i].orphan == one->orphan;
	}
	return false;
}

/* "12345:5173": what an unregistered server is called in events. */
static char *
found_name(const struct found *found)
{
	return found->port != 0
		   ? dm_asprintf("%ld:%u", (long)found->process.pid, (unsigned)found->port)
		   : dm_asprintf("%ld:%s", (long)found->process.pid, found->socket);
}

static void
tell_found(struct finder *f, const struct found_list *before, const struct found_list *now)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct found *one = &before->list[i];
		DM_AUTO_FREE char *name = found_name(one);

		if (one->claim == NULL && !has_found(now, one))
			events_publish(f->d->events, EVENT_FOUND_GONE, name, state_of_found(one));
	}
	for (size_t i = 0; i < now->count; i++) {
		const struct found *one = &now->list[i];
		DM_AUTO_FREE char *name = found_name(one);

		if (one->claim == NULL && !has_found(before, one))
			events_publish(f->d->events, EVENT_FOUND, name, state_of_found(one));
	}
}

/* The claims of all services, for a look; borrowed from the table. */
static struct registry_claims
all_claims(const struct finder *f)
{
	struct registry_claims claims = {.count = services_count(f->d->services)};

	claims.list = dm_calloc(claims.count, sizeof(struct claim *));
	for (size_t i = 0; i < claims.count; i++)
		claims.list[i] = services_at(f->d->services, i)->claim;
	return claims;
}

/* ---- the regular look ------------------------------------------------------------------- */

/* Looks in so many milliseconds at the latest. */
static void
scan_within(struct finder *f, int64_t ms)
{
	int64_t at = dm_now_ms() + ms;

	if (f->due_ms != 0 && f->due_ms <= at)
		return;
	f->due_ms = at;
	timer_in(f->scan, ms);
}

static void
on_scan(evutil_socket_t fd, short what, void *user)
{
	struct finder *f = user;
	const struct conf *conf = f->d->session->conf;
	struct discover_options options = {.port_from = (uint16_t)conf->port_from,
	    .port_to = (uint16_t)conf->port_to,
	    .sockets_dir = registry_dir(f->d->session->registry)};
	struct registry_claims claims = all_claims(f);
	struct found_list now = {.count = 0}, before = f->found;
	bool watched = dm_now_ms() - f->d->asked_at < WATCHING_MS;
	int64_t began = dm_now_us();

	(void)fd;
	(void)what;
	discovery_look(f->discovery, &options, &claims, &now);
	free(claims.list);
	f->found = now;
	tell_found(f, &before, &now);
	found_release(&before);
	tree_watch_choose(f->d->trees, &f->found);
	if (watched)
		tree_watch_refresh(f->d->trees);
	f->took_us = dm_now_us() - began;
	f->scanned_ms = dm_now_ms();
	f->due_ms = 0;
	scan_within(f, watched ? WATCHED_MS : (int64_t)conf->scan_s * 1000);
}

void
finder_scan(struct finder *f)
{
	on_scan(-1, 0, f);
}

void
finder_doubt(struct finder *f)
{
	if (f == NULL)
		return;
	discovery_doubt(f->discovery);
	finder_hint(f);
}

void
finder_hint(struct finder *f)
{
	int64_t now = dm_now_ms();

	if (f == NULL)
		return;
	/* many changes in a row are worth one look a second */
	scan_within(
	    f, now - f->scanned_ms > WATCHED_MS ? HINT_MS : f->scanned_ms + WATCHED_MS - now);
}
