/* SPDX-License-Identifier: MIT */
#include "services.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/str.h"
#include "caddy_watch.h"
#include "daemon.h"
#include "events.h"
#include "exits.h"
#include "finder.h"
#include "mender.h"
#include "out.h"
#include "service_impl.h"
#include "state.h"
#include "store.h"
#include "survey.h"
#include "timer.h"

enum {
	/* so late a sweep means that the machine, or we, have slept */
	SLEPT_MS = 5000,
	/* descriptors that one look takes at most at a time, and when to try again without them */
	LOOK_FDS = 8,
	LOOK_AGAIN_MS = 1000,
};

struct services {
	struct daemon *d;
	struct service **list; /* by id */
	size_t count;
	struct event *sweep, *recheck;
	int64_t swept_ms;
	int64_t recheck_ms; /* when the recheck is due, while it is pending */
};

static void on_sweep(evutil_socket_t fd, short what, void *user);
static void on_recheck(evutil_socket_t fd, short what, void *user);

struct services *
services_open(struct daemon *d, struct dm_err *err)
{
	struct services *services = dm_calloc(1, sizeof(*services));

	services->d = d;
	services->sweep = evtimer_new(d->base, on_sweep, services);
	services->recheck = evtimer_new(d->base, on_recheck, services);
	if (services->sweep == NULL || services->recheck == NULL) {
		(void)dm_fail(err, DM_FAILED, "making timers");
		services_close(services);
		return NULL;
	}
	return services;
}

static void
service_free(struct services *services, struct service *svc)
{
	service_unwatch(services->d->exits, svc);
	claim_free(svc->claim);
	free(svc->alias_url);
	free(svc->command);
	free(svc->other_worktree);
	free(svc);
}

void
services_close(struct services *services)
{
	if (services == NULL)
		return;
	for (size_t i = 0; i < services->count; i++)
		service_free(services, services->list[i]);
	free(services->list);
	if (services->sweep != NULL)
		event_free(services->sweep);
	if (services->recheck != NULL)
		event_free(services->recheck);
	free(services);
}

/* ---- the table -------------------------------------------------------------------------- */

/* Where the id is, or would be. */
static size_t
position(const struct services *services, const char *id)
{
	size_t low = 0, high = services->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(services->list[middle]->claim->id.s, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct service *
find(const struct services *services, const char *id)
{
	size_t i = position(services, id);

	return i < services->count && strcmp(services->list[i]->claim->id.s, id) == 0
		   ? services->list[i]
		   : NULL;
}

const struct service *
services_find(const struct services *services, const char *id)
{
	return find(services, id);
}

size_t
services_count(const struct services *services)
{
	return services->count;
}

const struct service *
services_at(const struct services *services, size_t i)
{
	return services->list[i];
}

/* ---- events ----------------------------------------------------------------------------- */

static void
publish(
    const struct services *services, const struct service *svc, const char *was, const char *change)
{
	cJSON *data = state_of_service(services->d, svc);

	out_add_text(data, "was", was);
	out_add_text(data, "change", change);
	events_publish(services->d->events, EVENT_SERVICE, svc->claim->id.s, data);
}

void
services_tell(struct services *services, const char *id, const char *change)
{
	const struct service *svc = find(services, id);

	if (svc != NULL)
		publish(services, svc, service_state_name(svc->state), change);
}

static void
forget(struct services *services, size_t i, const char *why)
{
	struct service *svc = services->list[i];
	cJSON *data = cJSON_CreateObject();

	memmove(&services->list[i], &services->list[i + 1],
	    (services->count - i - 1) * sizeof(struct service *));
	services->count--;
	dm_note("%s: gone (%s)", svc->claim->id.s, why);
	(void)cJSON_AddStringToObject(data, "was", service_state_name(svc->state));
	(void)cJSON_AddStringToObject(data, "reason", why);
	events_publish(services->d->events, EVENT_SERVICE_GONE, svc->claim->id.s, data);
	service_free(services, svc);
	mender_consider(services->d->mender);
	finder_hint(services->d->finder);
}

/* ---- one look --------------------------------------------------------------------------- */

/* The one place where a state changes. */
static bool
move(struct service *svc, enum service_state to, const char *why)
{
	if (svc->state == to)
		return false;
	if (!service_may_become(svc->state, to, svc->claim->port != 0))
		dm_warn("%s was seen going from %s to %s, which is a bug", svc->claim->id.s,
		    service_state_name(svc->state), service_state_name(to));
	dm_note("%s: %s -> %s (%s)", svc->claim->id.s, service_state_name(svc->state),
	    service_state_name(to), why);
	service_become(svc, to, why);
	return true;
}

static void
plan_recheck(struct services *services, struct service *svc)
{
	svc->recheck_step = service_recheck_step(svc);
	svc->recheck_ms = svc->recheck_step == 0 ? 0 : dm_now_ms() + svc->recheck_step;
	/* one that is due earlier is not put off */
	if (svc->recheck_ms != 0 &&
	    (!evtimer_pending(services->recheck, NULL) || svc->recheck_ms < services->recheck_ms)) {
		services->recheck_ms = svc->recheck_ms;
		timer_in(services->recheck, svc->recheck_step);
	}
}

/* Whether the server, or whoever listened, is no more. */
static bool
has_ended(const struct service *svc)
{
	for (size_t i = 1; i < SERVICE_WATCHED; i++) {
		if (svc->watched[i].pid != 0 && !dm_proc_alive(&svc->watched[i]))
			return true;
	}
	return false;
}

/* Nothing was seen, so nothing is concluded. */
static bool
look_later(struct services *services, struct service *svc)
{
	svc->recheck_step = 0;
	svc->recheck_ms = dm_now_ms() + LOOK_AGAIN_MS;
	if (!evtimer_pending(services->recheck, NULL))
		timer_in(services->recheck, LOOK_AGAIN_MS);
	return false;
}

/* Looks, and moves the state; whether anything that is shown has changed. */
static bool
observe(struct services *services, struct service *svc, const struct dm_listeners *listeners,
    const char *why)
{
	struct survey_row row;
	struct dm_sock_info seen;
	ino_t file = svc->socket.ino;
	bool changed;

	if (!dm_fds_left(LOOK_FDS))
		return look_later(services, svc);
	survey_look(services->d->session, svc->claim, listeners, &row, &seen);
	if (seen.state == DM_SOCK_UNKNOWN) {
		survey_row_release(&row);
		return look_later(services, svc);
	}
	svc->socket = seen;
	/* whatever led to this look: where the process has ended, that is the reason */
	if (svc->evidence.listening && !row.evidence.listening && has_ended(svc))
		why = "its process has ended";
	changed = row.pid != svc->pid || !dm_same_text(row.other_worktree, svc->other_worktree);
	if (row.pid != svc->pid) {
		free(svc->command);
		svc->command = row.pid == 0 ? NULL : dm_proc_name(row.pid);
	}
	service_note_search(svc, &row);
	svc->evidence = row.evidence;
	svc->pid = row.pid;
	free(svc->other_worktree);
	svc->other_worktree = dm_steal_pointer(&row.other_worktree);
	changed = move(svc, row.state, why) || changed;
	/* another dead socket in its place has been dead for no time */
	if (svc->socket.state == DM_SOCK_REFUSED && svc->socket.ino != file)
		svc->state_ms = dm_now_ms();
	survey_row_release(&row);
	service_note_times(svc);
	service_watch(services->d->exits, svc);
	plan_recheck(services, svc);
	return changed;
}

/* Looks, tells, and lets it be mended. */
static void
look(struct services *services, struct service *svc, const struct dm_listeners *listeners,
    const char *why)
{
	const char *was = service_state_name(svc->state);
	const struct dm_sock_info before = svc->socket;

	if (observe(services, svc, listeners, why)) {
		publish(services, svc, was, NULL);
		finder_hint(services->d->finder);
	}
	/* whether Caddy may connect to another socket in its place was not looked at yet */
	if (svc->state != SERVICE_UP || svc->socket.dev != before.dev ||
	    svc->socket.ino != before.ino || svc->socket.owner != before.owner)
		mender_consider(services->d->mender);
}

/* ---- claims ----------------------------------------------------------------------------- */

/* A record of this name is there: a new service, or one whose claim may have changed. Takes it. */
static void
take_claim(struct services *services, struct claim *claim, const struct dm_listeners *listeners,
    const char *why)
{
	size_t at = position(services, claim->id.s);
	struct service *svc = find(services, claim->id.s);
	DM_AUTO_FREE char *now = NULL, *before = NULL;

	if (svc == NULL) {
		svc = dm_calloc(1, sizeof(*svc));
		services->list =
		    dm_reallocarray(services->list, services->count + 1, sizeof(struct service *));
		memmove(&services->list[at + 1], &services->list[at],
		    (services->count - at) * sizeof(struct service *));
		services->list[at] = svc;
		services->count++;
		*svc = (struct service){.claim = claim,
		    .reason = "it was claimed",
		    .state_ms = dm_now_ms(),
		    .counted = true};
		(void)observe(services, svc, listeners, why);
		svc->since = service_first_since(svc);
		publish(services, svc, NULL, NULL);
		finder_hint(services->d->finder);
		caddy_watch_ask(services->d->caddy);
		mender_consider(services->d->mender);
		return;
	}
	svc->counted = true;
	now = claim_encode(claim);
	before = claim_encode(svc->claim);
	if (strcmp(now, before) != 0) {
		const char *was = service_state_name(svc->state);
		bool moved = svc->claim->port != claim->port ||
			     !dm_same_text(svc->claim->socket, claim->socket);

		claim_free(svc->claim);
		svc->claim = claim;
		svc->had_route = false;
		svc->route_missing_ms = 0;
		/* with another upstream it begins anew */
		if (moved)
			service_become(svc, SERVICE_STARTING, why);
		(void)observe(services, svc, listeners, why);
		publish(services, svc, was, NULL);
		finder_hint(services->d->finder);
		caddy_watch_ask(services->d->caddy);
		mender_consider(services->d->mender);
		return;
	}
	svc->claim->stamp = claim->stamp;
	claim_free(claim);
	look(services, svc, listeners, why);
}

/* NULL: it has none. */
static void
set_alias(struct services *services, struct service *svc, const struct claim *alias)
{
	static const struct slug none;
	const char *url = alias == NULL ? NULL : alias->url;

	svc->alias_counted = alias != NULL;
	svc->alias_id = alias == NULL ? none : alias->id;
	if (dm_same_text(svc->alias_url, url))
		return;
	free(svc->alias_url);
	svc->alias_url = dm_strdup(url);
	services_tell(services, svc->claim->id.s,
	    url == NULL ? "it has no short name any more" : "it has a short name");
}

/* The record of this name is no alias any more, but one of `now` (NULL: of nobody). */
static void
drop_alias(struct services *services, const char *id, const struct service *now)
{
	for (size_t i = 0; i < services->count; i++) {
		struct service *svc = services->list[i];

		if (svc != now && svc->alias_url != NULL && strcmp(svc->alias_id.s, id) == 0)
			set_alias(services, svc, NULL);
	}
}

static void
take_alias(struct services *services, const struct claim *alias)
{
	struct service *svc = find(services, alias->alias_of.s);

	drop_alias(services, alias->id.s, svc);
	if (svc != NULL)
		set_alias(services, svc, alias);
}

/* The record of one name, as it is now. */
static void
read_record(struct services *services, const char *id, const char *why)
{
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	if (!registry_find(services->d->session->registry, id, &claim, &ignored))
		return;
	if (claim != NULL && claim->uid == geteuid() && claim->is_alias) {
		/* it was the name of a service */
		if (find(services, id) != NULL)
			forget(services, position(services, id), "its claim was released");
		take_alias(services, claim);
		return;
	}
	drop_alias(services, id, NULL);
	if (claim != NULL && claim->uid == geteuid()) {
		take_claim(services, DM_STEAL(&claim), NULL, why);
		return;
	}
	if (find(services, id) != NULL)
		forget(services, position(services, id), "its claim was released");
}

/* After a sleep nothing is judged by how long it has been so. */
static void
begin_grace_anew(struct services *services)
{
	int64_t now = dm_now_ms();

	dm_note("no look for %lld s: the machine, or devmeshd, was asleep",
	    (long long)(now - services->swept_ms) / 1000);
	for (size_t i = 0; i < services->count; i++)
		service_begin_anew(services->list[i], now);
}

/* Most records are those of the last sweep: they are not read again. */
static bool
is_known(const char *id, const struct claim_stamp *stamp, void *user)
{
	struct service *svc = find(user, id);

	svc = svc != NULL && claim_stamps_equal(&svc->claim->stamp, stamp) ? svc : NULL;
	if (svc != NULL)
		svc->counted = true;
	return svc != NULL;
}

/* Who listens on the ports of all of them, those that are new included. */
static void
find_listeners(const struct services *services, const struct registry_claims *unknown,
    struct dm_listeners *out)
{
	DM_AUTO_FREE struct claim **list =
	    dm_calloc(services->count + unknown->count, sizeof(struct claim *));
	const struct registry_claims all = {
	    .list = list, .count = services->count + unknown->count};

	for (size_t i = 0; i < services->count; i++)
		list[i] = services->list[i]->claim;
	for (size_t i = 0; i < unknown->count; i++)
		list[services->count + i] = unknown->list[i];
	survey_listeners(&all, out);
}

void
services_sweep(struct services *services, const char *why)
{
	struct daemon *d = services->d;
	int64_t now = dm_now_ms(), interval = (int64_t)d->session->conf->probe_s * 1000;
	struct registry_claims claims = {.count = 0};
	struct dm_listeners listeners = {.count = 0};
	struct dm_err err;

	if (services->swept_ms != 0 && now - services->swept_ms > 2 * interval + SLEPT_MS)
		begin_grace_anew(services);
	services->swept_ms = now;
	timer_in(services->sweep, interval);
	for (size_t i = 0; i < services->count; i++)
		services->list[i]->counted = services->list[i]->alias_counted = false;
	if (!registry_scan_unknown(d->session->registry, is_known, services, &claims, &err)) {
		/* nothing was seen, so nothing is concluded */
		dm_warn("%s", err.msg);
		return;
	}
	find_listeners(services, &claims, &listeners);
	for (size_t i = 0; i < services->count; i++) {
		if (services->list[i]->counted)
			look(services, services->list[i], &listeners, why);
	}
	for (size_t i = 0; i < claims.count; i++) {
		if (!claims.list[i]->is_alias)
			take_claim(services, dm_steal_pointer(&claims.list[i]), &listeners, why);
	}
	for (size_t i = services->count; i-- > 0;) {
		if (!services->list[i]->counted)
			forget(services, i, "its claim was released");
	}
	for (size_t i = 0; i < claims.count; i++) {
		if (claims.list[i] != NULL)
			take_alias(services, claims.list[i]);
	}
	for (size_t i = 0; i < services->count; i++) {
		if (services->list[i]->alias_url != NULL && !services->list[i]->alias_counted)
			set_alias(services, services->list[i], NULL);
	}
	registry_claims_free(&claims);
	dm_listeners_release(&listeners);
	for (size_t i = 0; i < services->count; i++)
		store_heartbeat(d->store, (int64_t)dm_wall_seconds() * 1000,
		    services->list[i]->claim->id.s, service_state_name(services->list[i]->state));
}

static void
on_sweep(evutil_socket_t fd, short what, void *user)
{
	(void)fd, (void)what;
	services_sweep(user, "the regular look");
}

static void
on_recheck(evutil_socket_t fd, short what, void *user)
{
	struct services *services = user;
	int64_t now = dm_now_ms(), next = 0;

	(void)fd, (void)what;
	for (size_t i = 0; i < services->count; i++) {
		struct service *svc = services->list[i];

		if (svc->recheck_ms == 0 || svc->recheck_ms > now)
			continue;
		if (service_waits_for_route(svc))
			caddy_watch_ask(services->d->caddy);
		if (svc->evidence.is_tcp && !svc->evidence.listening &&
		    !dm_tcp_listening(svc->claim->port))
			svc->recheck_ms = now + SERVICE_PORT_MS;
		else
			look(services, svc, NULL, "it was looked at again");
	}
	for (size_t i = 0; i < services->count; i++) {
		int64_t at = services->list[i]->recheck_ms;

		if (at != 0 && (next == 0 || at < next))
			next = at;
	}
	if (next == 0)
		return;
	services->recheck_ms = next;
	timer_in(services->recheck, next > now ? next - now : 0);
}

bool
services_look(struct services *services, const char *id, const char *why)
{
	read_record(services, id, why);
	return find(services, id) != NULL;
}

void
services_hint(struct services *services, const char *name)
{
	struct service *svc;
	struct slug id;
	size_t n;

	if (name == NULL) {
		services_sweep(services, "the registry has changed");
		return;
	}
	n = strcspn(name, ".");
	if (!dm_snprintf(id.s, sizeof(id.s), "%.*s", (int)n, name) || !slug_valid(id.s))
		return;
	if (strcmp(name + n, ".json") == 0)
		read_record(services, id.s, "its claim has changed");
	else if (strcmp(name + n, ".sock") == 0 && (svc = find(services, id.s)) != NULL)
		look(services, svc, NULL, "its socket has changed");
}

void
services_process_ended(struct services *services, const struct dm_proc_id *id)
{
	for (size_t i = 0; i < services->count; i++) {
		struct service *svc = services->list[i];
		bool concerned = false;

		for (size_t j = 0; j < SERVICE_WATCHED; j++) {
			if (!service_same_process(&svc->watched[j], id))
				continue;
			svc->watched[j].pid = 0; /* exits.h has forgotten it */
			concerned = true;
		}
		if (concerned)
			look(services, svc, NULL, "its process has ended");
	}
}

void
services_routes_changed(struct services *services, const char *why)
{
	for (size_t i = 0; i < services->count; i++) {
		struct service *svc = services->list[i];

		if (survey_route_ok(services->d->session, svc->claim) != svc->evidence.route_ok)
			look(services, svc, NULL, why);
	}
	mender_consider(services->d->mender);
}

void
services_reload(struct services *services)
{
	timer_in(services->sweep, 0);
}
