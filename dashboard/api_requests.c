/* SPDX-License-Identifier: MIT */
/* GET /api/v1/services/:id/requests: what it was asked for, and what it is asked for from now on.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "api_impl.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "daemon.h"
#include "out.h"
#include "request_watch.h"
#include "requests.h"
#include "services.h"

struct wanted {
	char id[SLUG_MAX + 1];
	struct requests_filter filter;
	int64_t until_ms; /* answer by then, whatever there is (dm_now_ms) */
};

static void
add_request(void *user, const struct request *request)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddNumberToObject(o, "seq", (double)request->seq);
	(void)cJSON_AddNumberToObject(o, "time", (double)request->time_ms / 1000);
	(void)cJSON_AddStringToObject(o, "method", request->method);
	(void)cJSON_AddStringToObject(o, "path", request->path);
	(void)cJSON_AddNumberToObject(o, "status", request->status);
	(void)cJSON_AddNumberToObject(o, "ms", requests_ms(request->duration_us));
	(void)cJSON_AddNumberToObject(o, "bytes", (double)request->bytes);
	(void)cJSON_AddStringToObject(o, "protocol", request->proto);
	out_add_text(o, "from", request->from[0] == '\0' ? NULL : request->from);
	(void)cJSON_AddItemToArray(user, o);
}

static void
answer(struct api_call *call, const struct wanted *wanted)
{
	const struct daemon *d = api_daemon(call);
	cJSON *o = out_object();

	(void)cJSON_AddStringToObject(o, "id", wanted->id);
	(void)cJSON_AddStringToObject(o, "log", request_watch_state(d->request_watch));
	(void)cJSON_AddNumberToObject(o, "seq", (double)requests_seq(d->requests));
	(void)cJSON_AddItemToObject(
	    o, "figures", request_watch_figures(d->request_watch, wanted->id));
	(void)requests_each(d->requests, wanted->id, &wanted->filter, REQUESTS_PER_SERVICE,
	    add_request, cJSON_AddArrayToObject(o, "requests"));
	api_answer_json(call, 200, o);
}

static void
look(struct api_call *call)
{
	const struct wanted *wanted = call->wants;
	const struct daemon *d = api_daemon(call);

	request_watch_look(d->request_watch);
	if (requests_any(d->requests, wanted->id, &wanted->filter) || d->draining ||
	    dm_now_ms() >= wanted->until_ms)
		answer(call, wanted);
	else
		api_later(call, look);
}

static bool
fail(const char *what, struct dm_err *err)
{
	return dm_fail(err, DM_USAGE, "%s", what);
}

/* The value of `key`, if it is there; false: it is there, and too long. */
static bool
value_of(const char *query, const char *key, char out[32])
{
	DM_AUTO_FREE char *named = dm_asprintf("%s=", key);

	out[0] = '\0';
	for (const char *p = query; p != NULL; p = strchr(p, '&'), p += p != NULL) {
		if (dm_starts_with(p, named))
			return api_query(query, key, out, 32);
	}
	return true;
}

static bool
parse(const char *query, struct wanted *wanted, struct dm_err *err)
{
	uint64_t seconds = 0;
	char text[32];

	if (!value_of(query, "after", text) ||
	    (text[0] != '\0' && !dm_parse_uint(text, 0, UINT64_MAX, &wanted->filter.after)))
		return fail("\"after\" is not the number of a request", err);
	if (!value_of(query, "status", text) ||
	    (text[0] != '\0' && !requests_parse_status(text, &wanted->filter)))
		return fail("\"status\" is one of 1xx to 5xx, or a number from 100 to 599", err);
	if (!value_of(query, "wait", text) ||
	    (text[0] != '\0' && !dm_parse_uint(text, 0, API_WAIT_MAX, &seconds)))
		return dm_fail(err, DM_USAGE, "\"wait\" is not a number of seconds from 0 to %d",
		    API_WAIT_MAX);
	wanted->until_ms = dm_now_ms() + (int64_t)seconds * 1000;
	return true;
}

void
api_get_requests(struct api_call *call, const struct api_request *request, const char *id)
{
	struct wanted *wanted = dm_calloc(1, sizeof(*wanted));
	struct dm_err err;

	call->wants = wanted;
	if (!dm_snprintf(wanted->id, sizeof(wanted->id), "%s", id) ||
	    services_find(api_daemon(call)->services, id) == NULL)
		api_answer_no_service(call, id);
	else if (!parse(request->query, wanted, &err))
		api_answer_err(call, &err);
	else
		look(call);
}
