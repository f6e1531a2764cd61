/* SPDX-License-Identifier: MIT */
#include "lan.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon.h"
#include "events.h"
#include "lan_watch.h"
#include "network.h"
#include "timer.h"

enum {
	SETTLE_MS = 100,     /* without a hint before it is looked: one change brings many */
	SETTLE_MAX_MS = 500, /* and no longer than that after the first one */
	POLL_MS = 5000,	     /* between two looks where the kernel does not tell */
	SERIAL_MAX = 32,     /* bytes of its file */
};

struct subscriber {
	lan_changed_fn *fn;
	void *user;
	struct subscriber *next;
};

struct lan {
	struct daemon *d;
	struct lan_state state;
	struct lan_watch *watch; /* NULL: the kernel does not tell */
	struct event *timer;
	int64_t hinted_ms; /* the first hint since the last look; 0: none */
	struct subscriber *subscribers, **end;
	char *serial_file;
};

/* ---- the serial -------------------------------------------------------------------------- */

/* 0: none is kept. */
static uint32_t
saved_serial(const struct lan *lan)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(SERIAL_MAX);
	struct dm_err ignored;
	uint64_t serial;

	if (!dm_read_file(lan->serial_file, &text, &ignored))
		return 0;
	text.data[strcspn(text.data, "\n")] = '\0';
	return dm_parse_uint(text.data, 0, UINT32_MAX, &serial) ? (uint32_t)serial : 0;
}

/* Where it cannot be kept the clock sees to it that the next run's is greater. */
static void
save_serial(const struct lan *lan)
{
	char text[SERIAL_MAX];
	struct dm_err err;
	int len = snprintf(text, sizeof(text), "%lu\n", (unsigned long)lan->state.serial);

	if (!dm_write_file(lan->serial_file, text, (size_t)len, 0600, &err))
		dm_warn("%s", err.msg);
}

/* ---- looking ----------------------------------------------------------------------------- */

/* True if it is another state than before. */
static bool
look(struct lan *lan)
{
	struct lan_state now = {.serial = lan->state.serial};
	struct dm_err err;

	if (!network_look(lan->d->session->conf, &now, &err)) {
		dm_warn("%s; what was known of the network stays", err.msg);
		return false;
	}
	if (lan_state_same(&now, &lan->state))
		return false;
	lan->state = now;
	return true;
}

static void
say(const struct lan *lan)
{
	const struct lan_state *s = &lan->state;
	char text[DNS_ADDRESS_TEXT];

	dns_address_text(&s->address.address, text);
	if (s->has_address)
		dm_note("network: %s, %s/%u; serial %lu", s->address.name, text, s->address.prefix,
		    (unsigned long)s->serial);
	else
		dm_note("%s; serial %lu", s->lack, (unsigned long)s->serial);
}

static void
look_again(struct lan *lan)
{
	lan->hinted_ms = 0;
	if (!look(lan))
		return;
	lan->state.serial++;
	save_serial(lan);
	say(lan);
	events_publish(lan->d->events, EVENT_NETWORK, NULL, network_json(&lan->state, true));
	for (const struct subscriber *s = lan->subscribers; s != NULL; s = s->next)
		s->fn(s->user, &lan->state);
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct lan *lan = user;

	(void)fd;
	(void)what;
	look_again(lan);
	if (lan->watch == NULL)
		timer_in(lan->timer, POLL_MS);
}

static void
on_hint(void *user)
{
	struct lan *lan = user;
	int64_t now = dm_now_ms(), left;

	if (lan->hinted_ms == 0)
		lan->hinted_ms = now;
	left = lan->hinted_ms + SETTLE_MAX_MS - now;
	timer_in(lan->timer, left < 0 ? 0 : left < SETTLE_MS ? left : SETTLE_MS);
}

/* ---- for others -------------------------------------------------------------------------- */

struct lan *
lan_new(struct daemon *d)
{
	struct lan *lan = dm_calloc(1, sizeof(*lan));
	struct dm_err err;

	lan->d = d;
	lan->end = &lan->subscribers;
	lan->serial_file = dm_asprintf("%s/network-serial", d->session->state_dir);
	lan->timer = evtimer_new(d->base, on_timer, lan);
	/* first watched, then looked at: a change in between is a hint */
	lan->watch = lan_watch_open(d->base, on_hint, lan, &err);
	if (lan->watch == NULL) {
		dm_warn("%s; it is looked at every %d s instead", err.msg, POLL_MS / 1000);
		timer_in(lan->timer, POLL_MS);
	}
	(void)look(lan);
	/* it may have changed since the last run, in which others have seen that one's serial */
	lan->state.serial = lan_serial_first(saved_serial(lan), (uint32_t)dm_wall_seconds());
	save_serial(lan);
	say(lan);
	return lan;
}

void
lan_free(struct lan *lan)
{
	if (lan == NULL)
		return;
	lan_watch_close(lan->watch);
	event_free(lan->timer);
	while (lan->subscribers != NULL) {
		struct subscriber *next = lan->subscribers->next;

		free(lan->subscribers);
		lan->subscribers = next;
	}
	free(lan->serial_file);
	free(lan);
}

const struct lan_state *
lan_state(const struct lan *lan)
{
	return &lan->state;
}

void
lan_subscribe(struct lan *lan, lan_changed_fn *fn, void *user)
{
	struct subscriber *s = dm_calloc(1, sizeof(*s));

	*s = (struct subscriber){.fn = fn, .user = user};
	*lan->end = s;
	lan->end = &s->next;
}

void
lan_reload(struct lan *lan)
{
	look_again(lan);
}
