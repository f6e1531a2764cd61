/* SPDX-License-Identifier: MIT */
#include "mender.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "caddy/route.h"
#include "caddy_watch.h"
#include "daemon.h"
#include "events.h"
#include "mend.h"
#include "out.h"
#include "services.h"
#include "timer.h"
#include "workers.h"

enum {
	SOON_MS = 20,	/* what changes together is looked at together */
	OFTEN_MS = 100, /* between two looks */
	/* A claim that is being made has no route yet: it is given this long, and a fresh look. */
	NEW_ROUTE_MS = 1000,
	JOB_MS = 60000,
	/* after a try that has mended nothing */
	PAUSE_MIN_MS = 1000,
	PAUSE_MAX_MS = 60000,
	THOROUGH_MS = 3600 * 1000, /* documents, temporary files */
};

/* A socket of ours in the registry's directory that no claim has, and that refuses. */
struct stray {
	char *path;
	struct dm_sock_info seen;
	int64_t since_ms;
	bool counted;
};

struct mender {
	struct daemon *d;
	struct event *timer;
	struct mender_counts counts;
	char *problem;

	int64_t due_ms; /* of the timer; 0: not set */
	int64_t looked_ms;

	bool working;		     /* a worker is at it */
	bool want_clean, want_caddy; /* what for */
	unsigned mended;	     /* by this worker */
	bool failed;
	int64_t pause_ms, not_before_ms;
	int64_t thorough_ms;	/* the next time */
	int64_t dead_routes_ms; /* there have been some since; 0: none */

	struct stray *strays;
	size_t stray_count;
	int64_t strays_ms; /* when they are looked for next */

	struct dm_proc_id *told; /* servers that were told to end: once is enough */
	size_t told_count;
};

static void on_timer(evutil_socket_t fd, short what, void *user);

struct mender *
mender_open(struct daemon *d, struct dm_err *err)
{
	struct mender *m = dm_calloc(1, sizeof(*m));

	m->d = d;
	m->timer = evtimer_new(d->base, on_timer, m);
	if (m->timer == NULL) {
		(void)dm_fail(err, DM_FAILED, "making a timer");
		mender_close(m);
		return NULL;
	}
	return m;
}

void
mender_close(struct mender *m)
{
	if (m == NULL)
		return;
	if (m->timer != NULL)
		event_free(m->timer);
	for (size_t i = 0; i < m->stray_count; i++)
		free(m->strays[i].path);
	free(m->strays);
	free(m->told);
	free(m->problem);
	free(m);
}

struct mender_counts
mender_counts(const struct mender *m)
{
	struct mender_counts counts = m->counts;

	counts.problem = m->problem;
	return counts;
}

/* Looks in so many milliseconds at the latest. */
static void
schedule(struct mender *m, int64_t ms)
{
	int64_t now = dm_now_ms(), at = now + ms;

	if (at < m->looked_ms + OFTEN_MS)
		at = m->looked_ms + OFTEN_MS;
	if (m->due_ms != 0 && m->due_ms <= at)
		return;
	m->due_ms = at;
	timer_in(m->timer, at - now);
}

void
mender_consider(struct mender *m)
{
	if (m != NULL)
		schedule(m, SOON_MS);
}

/* ---- what was done ---------------------------------------------------------------------- */

static cJSON *
mend_data(const struct mend *mend)
{
	cJSON *data = cJSON_CreateObject();

	out_add_text(data, "what", mend->what);
	out_add_text(data, "kind", mend->kind);
	out_add_text(data, "name", mend->name);
	out_add_text(data, "reason", mend->reason);
	return data;
}

/* Takes `data`. */
static void
publish(struct mender *m, cJSON *data)
{
	const char *what = cJSON_GetStringValue(cJSON_GetObjectItem(data, "what"));
	const char *kind = cJSON_GetStringValue(cJSON_GetObjectItem(data, "kind"));
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(data, "name"));
	const char *reason = cJSON_GetStringValue(cJSON_GetObjectItem(data, "reason"));
	/* deleting takes them along */
	DM_AUTO_FREE char *id = dm_strdup(name);

	dm_note("%s %s %s: %s", what, kind, name, reason);
	m->counts.mends++;
	events_publish(m->d->events, EVENT_MEND, id, data);
}

static void
say_failure(struct mender *m, const char *message)
{
	cJSON *data;

	m->counts.failures++;
	m->failed = true;
	if (m->problem != NULL && strcmp(m->problem, message) == 0)
		return; /* once is enough */
	free(m->problem);
	m->problem = dm_strdup(message);
	dm_warn("%s", message);
	data = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(data, "what", "failed");
	(void)cJSON_AddNullToObject(data, "kind");
	(void)cJSON_AddNullToObject(data, "name");
	out_add_text(data, "reason", message);
	events_publish(m->d->events, EVENT_MEND, NULL, data);
}

/* ---- what is due ------------------------------------------------------------------------ */

static int64_t
grace_ms(const struct mender *m)
{
	return (int64_t)m->d->session->conf->grace_s * 1000;
}

/* Whether it has been so for the grace period; if not, *next is when it will have been. */
static bool
is_over(const struct mender *m, int64_t since_ms, int64_t *next)
{
	int64_t at = since_ms + grace_ms(m);

	if (at <= dm_now_ms())
		return true;
	if (*next == 0 || at < *next)
		*next = at;
	return false;
}

/* Whether the service is dead for good: its claim, and all that goes with it. */
static bool
is_dead(const struct mender *m, const struct service *svc, int64_t *next)
{
	if (svc->claim->pinned)
		return false;
	if (svc->runner_gone_ms != 0 && is_over(m, svc->runner_gone_ms, next))
		return true;
	return svc->state == SERVICE_ORPHAN && !svc->evidence.listening &&
	       is_over(m, svc->state_ms, next);
}

/* Whether Caddy has lost the way to it. */
static bool
has_lost_route(const struct mender *m, const struct service *svc, int64_t *next)
{
	struct caddy_info caddy = caddy_watch_info(m->d->caddy);
	int64_t at = svc->route_missing_ms + NEW_ROUTE_MS;

	/* what has no URL was never registered */
	if (caddy.state != CADDY_UP || svc->route_missing_ms == 0 || svc->claim->url == NULL ||
	    svc->state == SERVICE_ORPHAN || svc->runner_gone_ms != 0)
		return false;
	if (svc->had_route)
		return true;
	if (at > dm_now_ms()) {
		if (*next == 0 || at < *next)
			*next = at;
		return false;
	}
	return caddy.read_ms > svc->route_missing_ms + NEW_ROUTE_MS / 2;
}

/* For mend.h, in the worker's process: whether a claim may be acted on. */
static bool
may(const struct claim *claim, void *user)
{
	const struct mender *m = user;
	const struct service *svc = services_find(m->d->services, claim->id.s);
	int64_t ignored = 0;

	return svc != NULL && (is_dead(m, svc, &ignored) || has_lost_route(m, svc, &ignored));
}

/* ---- the worker ------------------------------------------------------------------------- */

static void
print_mend(void *user, const struct mend *mend)
{
	cJSON *data = mend_data(mend);
	DM_AUTO_FREE char *text = cJSON_PrintUnformatted(data);

	(void)user;
	cJSON_Delete(data);
	(void)puts(text);
}

static void
print_failure(const struct dm_err *err)
{
	cJSON *o = cJSON_CreateObject();
	DM_AUTO_FREE char *text = NULL;

	out_add_text(o, "error", err->msg);
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	(void)puts(text);
}

/* In a process of its own, with the daemon's table as it was. */
static int
work(void *arg)
{
	struct mender *m = arg;
	struct mend_options options = {.may = may, .say = print_mend, .user = m};
	struct dm_err err = {.code = DM_OK};
	struct session *s = session_open(m->d->config_file, &err);
	int status = 0;

	if (s == NULL || (m->want_clean && !mend_clean_up(s, &options, &err))) {
		print_failure(&err);
		status = 1;
	}
	if (s != NULL && m->want_caddy && !mend_caddy(s, &options, &err)) {
		print_failure(&err);
		status = 1;
	}
	session_free(s);
	return status;
}

/* One line of the worker's. */
static void
take_line(struct mender *m, const char *line, size_t length)
{
	cJSON *o = cJSON_ParseWithLength(line, length);
	const char *error = cJSON_GetStringValue(cJSON_GetObjectItem(o, "error"));

	if (error != NULL) {
		say_failure(m, error);
	} else if (cJSON_GetStringValue(cJSON_GetObjectItem(o, "what")) != NULL) {
		m->mended++;
		publish(m, o);
		return;
	}
	cJSON_Delete(o);
}

static void
worked(void *user, const struct worker_result *result)
{
	struct mender *m = user;
	const char *p = result->out, *end = result->out + result->len;

	m->working = m->failed = false;
	m->mended = 0;
	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((newline == NULL ? end : newline) - p);

		take_line(m, p, n);
		p += n + 1;
	}
	if (result->status != 0 && !m->failed)
		say_failure(m, result->status == 124 ? "putting things right took too long"
						     : "putting things right failed");
	if (!m->failed) {
		free(m->problem);
		m->problem = NULL;
	}
	if (m->mended > 0 && !m->failed)
		m->pause_ms = 0;
	else
		m->pause_ms = m->pause_ms == 0		       ? PAUSE_MIN_MS
			      : m->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS
							       : m->pause_ms * 2;
	m->not_before_ms = dm_now_ms() + m->pause_ms;
	m->dead_routes_ms = 0;
	caddy_watch_ask(m->d->caddy);
	services_sweep(m->d->services, "after a mend");
	mender_consider(m);
}

/* ---- looking for what is wrong ---------------------------------------------------------- */

static void
remove_socket(struct mender *m, const char *path, const struct dm_sock_info *seen)
{
	struct dm_err err;
	bool removed = false;
	DM_AUTO_FREE char *name = dm_path_base(path);

	if (!dm_sock_unlink_stale(path, seen, &removed, &err)) {
		say_failure(m, err.msg);
		return;
	}
	if (removed)
		publish(m, mend_data(&(struct mend){.what = "removed",
			       .kind = "socket",
			       .name = path,
			       .reason = "nobody listens on it"}));
	services_hint(m->d->services, name);
}

static bool
is_ours_and_refuses(const struct dm_sock_info *info)
{
	return info->state == DM_SOCK_REFUSED && info->owner == geteuid() && !info->is_link;
}

static bool
was_told(const struct mender *m, const struct dm_proc_id *id)
{
	for (size_t i = 0; i < m->told_count; i++) {
		if (m->told[i].pid == id->pid && m->told[i].start == id->start)
			return true;
	}
	return false;
}

/* Asks a server to end whose worktree is gone: that is wanted by configuration. */
static void
end_orphan(struct mender *m, const struct service *svc)
{
	struct dm_proc_id id;

	if (svc->pid == 0 || !dm_proc_id(svc->pid, &id) || was_told(m, &id) ||
	    kill(id.pid, SIGTERM) != 0)
		return;
	m->told = dm_reallocarray(m->told, m->told_count + 1, sizeof(m->told[0]));
	m->told[m->told_count++] = id;
	publish(m, mend_data(&(struct mend){.what = "ended",
		       .kind = "server",
		       .name = svc->claim->id.s,
		       .reason = "its worktree is gone"}));
}

/* What can be put right here and now, without waiting for anybody. */
static void
mend_here(struct mender *m, const struct service *svc, int64_t *next)
{
	DM_AUTO_FREE char *usual = registry_socket(m->d->session->registry, svc->claim->id.s);
	bool conventional = svc->claim->socket != NULL && strcmp(svc->claim->socket, usual) == 0;

	if (conventional && is_ours_and_refuses(&svc->socket) && is_over(m, svc->state_ms, next))
		remove_socket(m, svc->claim->socket, &svc->socket);
	else if (svc->state == SERVICE_ORPHAN && svc->evidence.listening && !svc->claim->pinned &&
		 m->d->session->conf->orphans == CONF_ORPHANS_END &&
		 is_over(m, svc->state_ms, next))
		end_orphan(m, svc);
}

/* A socket file without a claim: remembered, if it refuses, since when. */
static void
note_stray(struct mender *m, char *path)
{
	struct dm_sock_info seen;
	size_t i = 0;

	dm_sock_probe(path, &seen);
	while (i < m->stray_count && strcmp(m->strays[i].path, path) != 0)
		i++;
	if (!is_ours_and_refuses(&seen)) {
		free(path);
		return;
	}
	if (i == m->stray_count) {
		m->strays = dm_reallocarray(m->strays, i + 1, sizeof(m->strays[0]));
		m->strays[i] = (struct stray){
		    .path = path, .seen = seen, .since_ms = dm_now_ms(), .counted = true};
		m->stray_count++;
		return;
	}
	free(path);
	if (m->strays[i].seen.ino != seen.ino)
		m->strays[i].since_ms = dm_now_ms();
	m->strays[i].seen = seen;
	m->strays[i].counted = true;
}

static void
look_for_strays(struct mender *m, int64_t *next)
{
	const struct registry *reg = m->d->session->registry;
	char **ids = NULL;
	size_t count = 0;
	struct dm_err ignored;

	if (dm_now_ms() >= m->strays_ms) {
		m->strays_ms = dm_now_ms() + (int64_t)m->d->session->conf->probe_s * 1000;
		for (size_t i = 0; i < m->stray_count; i++)
			m->strays[i].counted = false;
		if (!registry_sockets(reg, &ids, &count, &ignored))
			return;
		for (size_t i = 0; i < count; i++) {
			if (services_find(m->d->services, ids[i]) == NULL)
				note_stray(m, registry_socket(reg, ids[i]));
			free(ids[i]);
		}
		free(ids);
	}
	for (size_t i = m->stray_count; i-- > 0;) {
		struct stray *stray = &m->strays[i];

		if (stray->counted && !is_over(m, stray->since_ms, next))
			continue;
		if (stray->counted)
			remove_socket(m, stray->path, &stray->seen);
		free(stray->path);
		m->strays[i] = m->strays[--m->stray_count];
	}
	if (*next == 0 || m->strays_ms < *next)
		*next = m->strays_ms;
}

struct route_look {
	const struct mender *m;
	bool dead;
};

/* Routes of our making to this registry, without a claim: mend.h knows whether they are dead. */
static void
consider_route(const struct cJSON *route, void *user)
{
	struct route_look *look = user;
	const char *id = route_id(route), *dial = route_dial(route);
	DM_AUTO_FREE char *socket = NULL;

	if (id == NULL || dial == NULL || !slug_valid(id) || !route_is_ours(route, id) ||
	    services_find(look->m->d->services, id) != NULL)
		return;
	socket = registry_socket(look->m->d->session->registry, id);
	look->dead = look->dead ||
		     (dm_starts_with(dial, "unix/") && strcmp(dial + strlen("unix/"), socket) == 0);
}

/* Whether there are routes without claims, for long enough, or some of ours twice. */
static void
look_at_routes(struct mender *m, int64_t *next)
{
	const struct caddy_view *view = m->d->session->view;
	struct route_look look = {.m = m};

	if (view == NULL)
		return;
	caddy_view_each_route(view, consider_route, &look);
	if (!look.dead)
		m->dead_routes_ms = 0;
	else if (m->dead_routes_ms == 0)
		m->dead_routes_ms = dm_now_ms();
	if (look.dead && is_over(m, m->dead_routes_ms, next))
		m->want_clean = true;
	for (size_t i = 0; i < services_count(m->d->services) && !m->want_caddy; i++) {
		const struct claim *claim = services_at(m->d->services, i)->claim;

		m->want_caddy =
		    claim->registration == CLAIM_ROUTE && caddy_view_count(view, claim->id.s) > 1;
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct mender *m = user;
	int64_t now = dm_now_ms(), next = 0;

	(void)fd;
	(void)what;
	m->due_ms = 0;
	m->looked_ms = now;
	if (m->working || m->d->draining)
		return;
	m->want_clean = m->want_caddy = false;
	for (size_t i = 0; i < services_count(m->d->services); i++) {
		const struct service *svc = services_at(m->d->services, i);

		mend_here(m, svc, &next);
		m->want_clean = is_dead(m, svc, &next) || m->want_clean;
		m->want_caddy = has_lost_route(m, svc, &next) || m->want_caddy;
	}
	look_for_strays(m, &next);
	look_at_routes(m, &next);
	if (now >= m->thorough_ms) {
		m->thorough_ms = now + THOROUGH_MS;
		m->want_clean = true;
	}
	if (m->want_clean || m->want_caddy) {
		if (now < m->not_before_ms) {
			schedule(m, m->not_before_ms - now);
			return;
		}
		m->working = true;
		workers_run(m->d->workers, work, m, JOB_MS, worked, m);
		return;
	}
	m->pause_ms = 0;
	if (next != 0)
		schedule(m, next > now ? next - now : SOON_MS);
}
