/* SPDX-License-Identifier: MIT */
#include "request_watch.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access_log.h"
#include "api.h"
#include "base/mem.h"
#include "base/str.h"
#include "caddy/mesh_log.h"
#include "daemon.h"
#include "requests.h"
#include "services.h"
#include "timer.h"

enum {
	LOOKED_AT_MS = 250,
	ALONE_MS = 2000,
	MORE_MS = 1, /* the loop has its turn between two bites */
	LOGS = 2
};

struct request_watch {
	struct daemon *d;
	struct event *timer;
	struct access_log *logs[LOGS];
};

static int64_t
wall_ms(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- whose request it was ---------------------------------------------------------------------
 */

static bool
is_host_of_url(const char *url, const char *host)
{
	size_t n = strlen(host);
	const char *at = url == NULL ? NULL : strstr(url, "://");

	return at != NULL && strncmp(at + 3, host, n) == 0 &&
	       (at[3 + n] == '\0' || at[3 + n] == ':' || at[3 + n] == '/');
}

static bool
has_host(const struct service *svc, const char *host)
{
	return dm_same_text(svc->claim->host, host) || is_host_of_url(svc->alias_url, host);
}

/* NULL: of no service. */
static const struct service *
service_of(const struct daemon *d, const char *host)
{
	DM_AUTO_FREE char *label = dm_strndup(host, strcspn(host, "."));
	const struct service *svc = services_find(d->services, label);

	/* most are called by their id */
	if (svc != NULL && has_host(svc, host))
		return svc;
	for (size_t i = 0; i < services_count(d->services); i++) {
		svc = services_at(d->services, i);
		if (has_host(svc, host))
			return svc;
	}
	return NULL;
}

/* That somebody, or a monitor, looks at the dashboard is no news there: it would never rest. */
static bool
is_of_the_page(const char *path)
{
	return dm_starts_with(path, "/api/") || dm_starts_with(path, "/web/") ||
	       strcmp(path, "/metrics") == 0 || strcmp(path, "/healthz") == 0;
}

static void
on_line(void *user, const char *text, size_t len)
{
	const struct request_watch *watch = user;
	const struct daemon *d = watch->d;
	const struct service *svc;
	struct request_line line;

	if (!request_line_parse(text, len, &line) || (svc = service_of(d, line.host)) == NULL)
		return;
	if (dm_same_text(svc->claim->id.s, d->id) && is_of_the_page(line.path))
		return;
	requests_add(d->requests, svc->claim->id.s, &line, wall_ms());
}

/* ---- when it is looked at ----------------------------------------------------------------------
 */

static bool
look(const struct request_watch *watch)
{
	bool more = false;

	if (!watch->d->session->conf->access_log)
		return false;
	for (size_t i = 0; i < LOGS; i++)
		more = access_log_look(watch->logs[i]) || more;
	return more;
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct request_watch *watch = user;
	const struct api *api = watch->d->api;

	(void)fd;
	(void)what;
	timer_in(watch->timer, look(watch)			     ? MORE_MS
			       : api != NULL && api_streams(api) > 0 ? LOOKED_AT_MS
								     : ALONE_MS);
}

struct request_watch *
request_watch_new(struct daemon *d)
{
	struct request_watch *watch = dm_calloc(1, sizeof(*watch));
	DM_AUTO_FREE char *private = dm_asprintf("%s/" MESH_LOG_FILE, d->session->state_dir);
	DM_AUTO_FREE char *of_setup = dm_asprintf("%s/caddy/" MESH_LOG_FILE, d->session->state_dir);

	watch->d = d;
	watch->logs[0] = access_log_new(private, on_line, watch);
	watch->logs[1] = access_log_new(of_setup, on_line, watch);
	watch->timer = evtimer_new(d->base, on_timer, watch);
	requests_count_from(d->requests, d->started * 1000);
	timer_in(watch->timer, 0);
	return watch;
}

void
request_watch_free(struct request_watch *watch)
{
	if (watch == NULL)
		return;
	event_free(watch->timer);
	for (size_t i = 0; i < LOGS; i++)
		access_log_free(watch->logs[i]);
	free(watch);
}

void
request_watch_look(struct request_watch *watch)
{
	if (look(watch))
		timer_in(watch->timer, MORE_MS);
}

const char *
request_watch_state(const struct request_watch *watch)
{
	if (!watch->d->session->conf->access_log)
		return "off";
	for (size_t i = 0; i < LOGS; i++) {
		if (access_log_is_there(watch->logs[i]))
			return "on";
	}
	return "none";
}

struct cJSON *
request_watch_figures(const struct request_watch *watch, const char *id)
{
	struct requests_figures figures;
	int64_t last;
	cJSON *o, *list;

	if (strcmp(request_watch_state(watch), "on") != 0)
		return cJSON_CreateNull();
	requests_figures(watch->d->requests, id, wall_ms(), &figures);
	last = figures.last_ms / 1000;
	o = cJSON_CreateObject();
	(void)cJSON_AddNumberToObject(o, "rate", figures.rate);
	(void)cJSON_AddNumberToObject(
	    o, "errors", (double)(int64_t)(figures.errors * 1000 + 0.5) / 1000);
	(void)cJSON_AddNumberToObject(o, "p50_ms", requests_ms(figures.p50_us));
	(void)cJSON_AddNumberToObject(o, "p95_ms", requests_ms(figures.p95_us));
	(void)cJSON_AddItemToObject(o, "last",
	    figures.last_ms == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)last));
	list = cJSON_AddArrayToObject(o, "spark");
	for (size_t i = 0; i < REQUESTS_POINTS; i++)
		(void)cJSON_AddItemToArray(list, cJSON_CreateNumber(figures.points[i]));
	return o;
}
