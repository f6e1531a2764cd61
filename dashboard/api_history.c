/* SPDX-License-Identifier: MIT */
/* What the API tells of the past. */
#include <cjson/cJSON.h>
#include <string.h>

#include "api_impl.h"
#include "base/clock.h"
#include "base/str.h"
#include "daemon.h"
#include "history.h"
#include "out.h"
#include "services.h"
#include "state.h"
#include "store.h"

enum {
	HOURS_MAX = 720,
	HOURS_USUAL = 24,
	HOUR_MS = 3600000
};

static void
add_minute(void *user, int64_t time_ms, const char *state)
{
	history_add_minute(user, time_ms, state);
}

static const char *
text_of(const cJSON *data, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, key));
}

static bool
add_change(void *user, const struct store_event *event)
{
	bool gone = strcmp(event->kind, "service-gone") == 0, more = true;
	cJSON *data;

	if (!gone && strcmp(event->kind, "service") != 0)
		return true;
	data = cJSON_Parse(event->json);
	if (gone)
		more = history_add_change(user, event->time_ms, text_of(data, "was"), HISTORY_GONE);
	else if (text_of(data, "state") != NULL &&
		 !dm_same_text(text_of(data, "was"), text_of(data, "state")))
		more = history_add_change(
		    user, event->time_ms, text_of(data, "was"), text_of(data, "state"));
	cJSON_Delete(data);
	return more;
}

static struct history *
history_of(const struct daemon *d, const struct service *svc, const char *id, int64_t hours)
{
	int64_t now = dm_wall_ms(), gap = (int64_t)d->session->conf->probe_s * 2000;
	struct history *h = history_new(now - hours * HOUR_MS, now);

	if (gap > HISTORY_GAP_MS)
		history_set_gap(h, gap);
	(void)store_heartbeats(
	    d->store, id, now - hours * HOUR_MS, (size_t)hours * 60 + 1, add_minute, h);
	(void)store_newest(d->store, id, HISTORY_EVENTS, add_change, h);
	if (svc != NULL)
		history_set_now(h, d->started * 1000, service_state_name(svc->state));
	return h;
}

void
api_get_history(struct api_call *call, const struct api_request *request, const char *id)
{
	uint64_t hours = HOURS_USUAL;
	const struct service *svc;
	struct history *h;
	struct dm_err err;
	char text[32];
	cJSON *o;

	if (api_query(request->query, "hours", text, sizeof(text)) &&
	    !dm_parse_uint(text, 1, HOURS_MAX, &hours)) {
		(void)dm_fail(&err, DM_USAGE, "\"hours\" is a number from 1 to %d", HOURS_MAX);
		api_answer_err(call, &err);
		return;
	}
	svc = state_find(api_daemon(call), id);
	id = svc == NULL ? id : svc->claim->id.s;
	h = history_of(api_daemon(call), svc, id, (int64_t)hours);
	if (history_is_empty(h)) {
		history_free(h);
		api_answer_no_service(call, id);
		return;
	}
	o = out_object();
	(void)cJSON_AddStringToObject(o, "id", id);
	history_add_to(h, o);
	history_free(h);
	api_answer_json(call, 200, o);
}
