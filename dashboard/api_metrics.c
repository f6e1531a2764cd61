/* SPDX-License-Identifier: MIT */
/* /metrics: what the parts have counted, put together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_impl.h"
#include "base/mem.h"
#include "caddy_watch.h"
#include "daemon.h"
#include "events.h"
#include "finder.h"
#include "http_server.h"
#include "mender.h"
#include "metrics.h"
#include "nameserver.h"
#include "requests.h"
#include "services.h"
#include "store.h"
#include "version.h"

/* The labelled counts, as long as they are needed. */
struct tables {
	struct metrics_count services[SERVICE_STATES];
	struct metrics_count refused[HTTP_REFUSALS];
	struct metrics_count answered[HTTP_STATUSES];
	char statuses[HTTP_STATUSES][4];
	size_t status_count;
	struct metrics_count dns[6];
	struct metrics_answers answers[REQUESTS_SERVICES];
	size_t answers_count;
};

static void
count_services(const struct daemon *d, struct tables *t)
{
	for (int i = 0; i < SERVICE_STATES; i++)
		t->services[i].label = service_state_name((enum service_state)i);
	for (size_t i = 0; i < services_count(d->services); i++)
		t->services[services_at(d->services, i)->state].value++;
}

static void
count_http(const struct http_counts *counts, struct tables *t)
{
	/* the first one is no refusal */
	for (int i = 1; i < HTTP_REFUSALS; i++)
		t->refused[i - 1] = (struct metrics_count){
		    http_refusal_name((enum http_refusal)i), counts->refused[i]};
	for (int i = 0; i < HTTP_STATUSES; i++) {
		struct metrics_count *one = &t->answered[t->status_count];

		if (counts->answered[i] == 0)
			continue;
		(void)snprintf(t->statuses[i], sizeof(t->statuses[i]), "%d", HTTP_STATUS_FIRST + i);
		*one = (struct metrics_count){t->statuses[i], counts->answered[i]};
		t->status_count++;
	}
}

static void
count_dns(const struct nameserver_counts *c, struct tables *t)
{
	const struct metrics_count counts[] = {{"answered", c->answered}, {"refused", c->refused},
	    {"malformed", c->malformed}, {"dropped", c->dropped}, {"foreign", c->foreign},
	    {"limited", c->limited}};

	memcpy(t->dns, counts, sizeof(counts));
}

static uint64_t
count_found(const struct daemon *d)
{
	const struct found_list *found = finder_found(d->finder);
	uint64_t n = 0;

	for (size_t i = 0; i < found->count; i++)
		n += found->list[i].claim == NULL ? 1 : 0;
	return n;
}

static void
count_answers(void *user, const char *id, const uint64_t classes[REQUESTS_CLASSES])
{
	struct tables *t = user;
	struct metrics_answers *one = &t->answers[t->answers_count++];

	one->service = id;
	memcpy(one->classes, classes, sizeof(one->classes));
}

void
api_get_metrics(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct daemon *d = api_daemon(call);
	const struct mender_counts mends = mender_counts(d->mender);
	DM_AUTO_FREE struct tables *t = dm_calloc(1, sizeof(*t));
	DM_AUTO_FREE char *text = NULL;
	struct metrics_input in = {.version = DEVMESH_VERSION,
	    .started = d->started,
	    .resident_bytes = metrics_resident_bytes(),
	    .ready = d->ready,
	    .caddy_up = caddy_watch_info(d->caddy).state == CADDY_UP,
	    .history_ok = store_problem(d->store) == NULL,
	    .history_lost = store_lost(d->store),
	    .mends = mends.mends,
	    .mend_failures = mends.failures,
	    .events = events_published(d->events),
	    .listeners = api_streams(call->api),
	    .scan_us = finder_scan_us(d->finder),
	    .found = count_found(d)};

	(void)request;
	(void)id;
	count_services(d, t);
	if (d->http != NULL)
		count_http(http_server_counts(d->http), t);
	count_dns(nameserver_counts(d->nameserver), t);
	in.dns = (struct metrics_counts){t->dns, sizeof(t->dns) / sizeof(t->dns[0])};
	requests_totals(d->requests, count_answers, t);
	in.answers = t->answers;
	in.answers_count = t->answers_count;
	in.services = (struct metrics_counts){t->services, SERVICE_STATES};
	in.http_refused = (struct metrics_counts){t->refused, HTTP_REFUSALS - 1};
	in.http_requests = (struct metrics_counts){t->answered, t->status_count};
	text = metrics_render(&in);
	api_answer_text(call, 200, METRICS_CONTENT_TYPE, text);
}
