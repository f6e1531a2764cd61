/* SPDX-License-Identifier: MIT */
#include "record_keeper.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon.h"
#include "events.h"
#include "lan.h"
#include "out.h"
#include "record.h"
#include "timer.h"
#include "workers.h"

enum {
	SECOND_MS = 1000,
	WORK_MS = 120000, /* for some requests of 15 s each */
	FIRST_S = 5,
	HOUR_S = 3600,
	DAY_S = 86400,
	TIMED_OUT = 124, /* workers.h */
};

struct record_keeper {
	struct daemon *d;
	struct event *timer;
	bool busy, again;	      /* again: it has to be another one since that began */
	bool stale;		      /* what runs was begun by a configuration that is gone */
	char tried[DNS_ADDRESS_TEXT]; /* what it was last to be, or is now; "": nothing yet */
	unsigned failures;
	int64_t not_before_ms; /* the provider wants to be left alone until then */
	cJSON *last;	       /* what was found last; NULL: nothing yet */
};

int64_t
record_keeper_patience(unsigned failures, bool lasting, int64_t retry_after_s)
{
	int64_t s = FIRST_S;

	for (unsigned i = 1; i < failures && s < HOUR_S; i++)
		s *= 2;
	if (lasting || s > HOUR_S)
		s = HOUR_S;
	if (retry_after_s > DAY_S)
		retry_after_s = DAY_S;
	return retry_after_s > s ? retry_after_s : s;
}

/* ---- in the worker ----------------------------------------------------------------------- */

/* It has the daemon's memory: the very configuration and network that it is about. */
static int
work(void *arg)
{
	const struct record_keeper *keeper = arg;
	const struct conf *conf = keeper->d->session->conf;
	struct record record;
	struct dm_err err;
	bool ok = record_keep(conf, lan_state(keeper->d->lan), true, &record, &err);
	cJSON *o = record_json(conf, &record, ok ? NULL : &err);

	(void)cJSON_AddNumberToObject(o, "retry_after", (double)record.retry_after_s);
	(void)cJSON_AddNumberToObject(o, "code", ok ? DM_OK : err.code);
	out_json(o);
	return 0;
}

/* ---- what has come of it ----------------------------------------------------------------- */

static double
take_number(cJSON *o, const char *key)
{
	cJSON *m = cJSON_DetachItemFromObjectCaseSensitive(o, key);
	double value = cJSON_IsNumber(m) ? m->valuedouble : 0;

	cJSON_Delete(m);
	return value;
}

static const char *
text_of(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

static bool
same_member(const cJSON *a, const cJSON *b, const char *key)
{
	return cJSON_Compare(cJSON_GetObjectItemCaseSensitive(a, key),
	    cJSON_GetObjectItemCaseSensitive(b, key), true);
}

/* Takes `now`. Told is what was written, and a problem once; that all is well needs no words. */
static void
note(struct record_keeper *keeper, cJSON *now)
{
	const char *problem = text_of(now, "problem"), *fix = text_of(now, "fix");
	bool written = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(now, "written"));
	bool news = written || keeper->last == NULL || !same_member(keeper->last, now, "problem") ||
		    !same_member(keeper->last, now, "address");

	cJSON_Delete(keeper->last);
	keeper->last = now;
	if (!news)
		return;
	if (problem != NULL)
		dm_warn("%s%s%s", problem, fix == NULL ? "" : "; try: ", fix == NULL ? "" : fix);
	else
		dm_note("%s leads to %s%s", text_of(now, "name"), text_of(now, "address"),
		    written ? " now" : ", as it has to");
	events_publish(keeper->d->events, EVENT_RECORD, NULL, cJSON_Duplicate(now, true));
}

/* Whether the same question will have the same answer until somebody has done something. */
static bool
is_lasting(enum dm_code code)
{
	return code == DM_USAGE || code == DM_DENIED || code == DM_CONFLICT || code == DM_NOT_FOUND;
}

static cJSON *
failed_work(const struct record_keeper *keeper, int status)
{
	struct record nothing = {.written = false};
	struct dm_err err;

	(void)dm_fail(&err, DM_FAILED, "keeping the DNS record: %s",
	    status == TIMED_OUT ? "it has taken too long" : "the worker has failed");
	return record_json(keeper->d->session->conf, &nothing, &err);
}

static void begin(struct record_keeper *keeper);

static void
on_done(void *user, const struct worker_result *result)
{
	struct record_keeper *keeper = user;
	cJSON *o = cJSON_ParseWithLength(result->out, result->len);
	int64_t retry_after = 0, wait = HOUR_S;
	enum dm_code code = DM_FAILED;

	keeper->busy = false;
	if (keeper->stale) {
		keeper->stale = keeper->again = false;
		cJSON_Delete(o);
		begin(keeper);
		daemon_drained(keeper->d);
		return;
	}
	if (result->status == 0 && cJSON_IsObject(o)) {
		retry_after = (int64_t)take_number(o, "retry_after");
		code = (enum dm_code)take_number(o, "code");
	} else {
		cJSON_Delete(o);
		o = failed_work(keeper, result->status);
	}
	if (code == DM_OK) {
		keeper->failures = 0;
		keeper->not_before_ms = 0;
	} else {
		keeper->failures++;
		wait = record_keeper_patience(keeper->failures, is_lasting(code), retry_after);
		keeper->not_before_ms = retry_after > 0 ? dm_now_ms() + wait * SECOND_MS : 0;
	}
	note(keeper, o);
	timer_in(keeper->timer, wait * SECOND_MS);
	if (keeper->again)
		begin(keeper);
	daemon_drained(keeper->d);
}

/* ---- when --------------------------------------------------------------------------------- */

/* Without a network the record stays as it is: whatever it led to, nobody is there. */
static bool
is_wanted(const struct record_keeper *keeper)
{
	const struct lan_state *network = lan_state(keeper->d->lan);

	return keeper->d->session->conf->record_provider != CONF_RECORD_NONE &&
	       (!network->enabled || network->has_address) && !keeper->d->draining;
}

/* What it has to be, published or not; "": there is no network. */
static void
wanted_address(const struct record_keeper *keeper, char out[DNS_ADDRESS_TEXT])
{
	const struct lan_state *network = lan_state(keeper->d->lan);

	memset(out, 0, DNS_ADDRESS_TEXT);
	if (!network->enabled)
		(void)snprintf(out, DNS_ADDRESS_TEXT, "127.0.0.1");
	else if (network->has_address)
		dns_address_text(&network->address.address, out);
}

/* Now, or as soon as the provider lets it. */
static void
begin(struct record_keeper *keeper)
{
	int64_t left = keeper->not_before_ms - dm_now_ms();

	if (!is_wanted(keeper)) {
		/* the network may come back as it was, which is no news */
		if (keeper->d->session->conf->record_provider != CONF_RECORD_NONE &&
		    !keeper->d->draining)
			timer_in(keeper->timer, (int64_t)HOUR_S * SECOND_MS);
		return;
	}
	wanted_address(keeper, keeper->tried);
	keeper->again = keeper->busy;
	if (keeper->busy)
		return;
	if (left > 0) {
		timer_in(keeper->timer, left);
		return;
	}
	keeper->busy = true;
	workers_run(keeper->d->workers, work, keeper, WORK_MS, on_done, keeper);
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	begin(user);
}

/*
 * Some other network may have changed, or this one be back as it was: that is no reason to ask the
 * provider, and what failed is tried again when it is time.
 */
static void
on_network(void *user, const struct lan_state *state)
{
	struct record_keeper *keeper = user;
	char address[DNS_ADDRESS_TEXT];

	(void)state;
	wanted_address(keeper, address);
	if ((address[0] == '\0' || strcmp(address, keeper->tried) == 0) &&
	    (keeper->busy || evtimer_pending(keeper->timer, NULL)))
		return;
	if (address[0] != '\0')
		keeper->failures = 0;
	begin(keeper);
}

struct record_keeper *
record_keeper_new(struct daemon *d)
{
	struct record_keeper *keeper = dm_calloc(1, sizeof(*keeper));

	keeper->d = d;
	keeper->timer = evtimer_new(d->base, on_timer, keeper);
	lan_subscribe(d->lan, on_network, keeper);
	begin(keeper);
	return keeper;
}

void
record_keeper_free(struct record_keeper *keeper)
{
	if (keeper == NULL)
		return;
	event_free(keeper->timer);
	cJSON_Delete(keeper->last);
	free(keeper);
}

void
record_keeper_reload(struct record_keeper *keeper)
{
	cJSON_Delete(keeper->last);
	keeper->last = NULL;
	keeper->failures = 0;
	keeper->tried[0] = '\0';
	(void)event_del(keeper->timer);
	/* what runs may be about to publish what is not wanted any more; what has still to begin
	 * will see this configuration, and counts if that has a provider */
	if (keeper->busy && (workers_kill(keeper->d->workers, keeper) || !is_wanted(keeper)))
		keeper->stale = true;
	begin(keeper);
}

struct cJSON *
record_keeper_json(const struct record_keeper *keeper)
{
	const struct record nothing = {.written = false};

	return keeper->last != NULL ? cJSON_Duplicate(keeper->last, true)
				    : record_json(keeper->d->session->conf, &nothing, NULL);
}
