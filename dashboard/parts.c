/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include "base/log.h"
#include "base/str.h"
#include "caddy_watch.h"
#include "daemon.h"
#include "events.h"
#include "exits.h"
#include "finder.h"
#include "http_server.h"
#include "lan.h"
#include "mender.h"
#include "nameserver.h"
#include "record_keeper.h"
#include "services.h"
#include "store.h"
#include "supervisor.h"
#include "tree_watch.h"
#include "watch.h"
#include "workers.h"

enum {
	DAY_S = 86400,
	MB = 1 << 20
};

static void
hint(void *user, const char *dir, const char *name)
{
	daemon_hint(user, dir, name);
}

static void
process_ended(void *user, const struct dm_proc_id *id)
{
	daemon_process_ended(user, id);
}

static void
open_store(struct daemon *d)
{
	const struct conf *conf = d->session->conf;
	const struct store_limits limits = {.max_age_s = (int64_t)conf->history_days * DAY_S,
	    .max_bytes = (int64_t)conf->history_mb * MB};
	DM_AUTO_FREE char *path = dm_asprintf("%s/history.db", d->session->state_dir);

	d->store = store_open(conf->history_days == 0 ? NULL : path, &limits);
}

bool
parts_open(struct daemon *d, struct dm_err *err)
{
	d->nameserver = nameserver_new(d);
	d->events = events_new();
	open_store(d);
	d->workers = workers_new(d->base);
	d->lan = lan_new(d);
	d->record = record_keeper_new(d);
	if ((d->exits = exits_open(d->base, process_ended, d, err)) == NULL ||
	    (d->watch = watch_open(d->base, hint, d, err)) == NULL ||
	    (d->services = services_open(d, err)) == NULL ||
	    (d->supervisor = supervisor_open(d)) == NULL ||
	    (d->caddy = caddy_watch_open(d, err)) == NULL ||
	    (d->trees = tree_watch_open(d, err)) == NULL ||
	    (d->finder = finder_open(d, err)) == NULL || (d->mender = mender_open(d, err)) == NULL)
		return false;
	watch_add(d->watch, registry_dir(d->session->registry));
	return true;
}

void
parts_reload(struct daemon *d)
{
	lan_reload(d->lan);
	parts_serve_settle(d);
	record_keeper_reload(d->record);
	caddy_watch_reload(d->caddy);
	services_reload(d->services);
	finder_hint(d->finder);
	nameserver_settle(d->nameserver);
}

static void
no_worker_left(void *user)
{
	daemon_drained(user);
}

void
parts_drain(struct daemon *d)
{
	workers_on_idle(d->workers, no_worker_left, d);
	parts_serve_settle(d);
	if (d->http != NULL)
		http_server_drain(d->http);
}

bool
parts_idle(const struct daemon *d)
{
	return workers_busy(d->workers) == 0;
}

void
parts_close(struct daemon *d)
{
	/* first whoever could call the others */
	workers_free(d->workers);
	parts_stop_serving(d);
	mender_close(d->mender);
	finder_close(d->finder);
	tree_watch_close(d->trees);
	caddy_watch_close(d->caddy);
	supervisor_close(d->supervisor);
	services_close(d->services);
	if (d->watch != NULL)
		watch_close(d->watch);
	if (d->exits != NULL)
		exits_close(d->exits);
	if (d->store != NULL)
		store_close(d->store);
	nameserver_free(d->nameserver);
	record_keeper_free(d->record);
	lan_free(d->lan);
	events_free(d->events);
}
