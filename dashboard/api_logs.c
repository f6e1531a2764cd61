/* SPDX-License-Identifier: MIT */
/* What services have written: at once, or as soon as there is more (HTTP long polling). */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "api_impl.h"
#include "base/clock.h"
#include "base/str.h"
#include "daemon.h"
#include "out.h"
#include "outputs.h"

enum {
	LINES = 500,
	LINES_MAX = 10000
};

/* What was asked for; api_call.wants. */
struct wanted {
	char dir[4096];
	struct slug id; /* empty: of all services */
	uint64_t after, since_ms, lines;
	int64_t deadline; /* by dm_now_ms */
	bool read;	  /* it was looked into, when it had this mark: */
	uint64_t mark;
};

static struct outputs_query
query_of(const struct wanted *w)
{
	return (struct outputs_query){.dir = w->dir,
	    .id = w->id.s[0] == '\0' ? NULL : w->id.s,
	    .after = w->after,
	    .since_ms = (int64_t)w->since_ms,
	    .max = (size_t)w->lines};
}

static void
answer_lines(struct api_call *call, const struct outputs *lines)
{
	cJSON *o = out_object(), *list = cJSON_AddArrayToObject(o, "lines");

	for (size_t i = 0; i < lines->count; i++)
		(void)cJSON_AddItemToArray(list, outputs_json(&lines->list[i]));
	api_answer_json(call, 200, o);
}

static void
look(struct api_call *call)
{
	struct wanted *w = call->wants;
	struct outputs_query query = query_of(w);
	bool last = dm_now_ms() >= w->deadline || api_daemon(call)->draining;
	uint64_t mark = outputs_mark(&query);
	OUTPUTS_AUTO struct outputs lines = {.count = 0};
	struct dm_err err;

	if (w->read && mark == w->mark && !last) {
		api_later(call, look);
		return;
	}
	w->read = true;
	w->mark = mark;
	if (!outputs_read(&query, &lines, &err) && (err.code != DM_NOT_FOUND || last)) {
		if (err.code == DM_NOT_FOUND)
			(void)dm_hint(&err, "it is kept of what devmesh run starts");
		api_answer_err(call, &err);
	} else if (lines.count == 0 && !last) {
		api_later(call, look);
	} else {
		answer_lines(call, &lines);
	}
}

/* The number that the query gives; false, with the call answered, if it is none. */
static bool
number_in(struct api_call *call, const struct api_request *request, const char *key, uint64_t max,
    uint64_t *out)
{
	char text[24];
	struct dm_err err;

	if (!api_query(request->query, key, text, sizeof(text)) || dm_parse_uint(text, 0, max, out))
		return true;
	(void)dm_fail(
	    &err, DM_USAGE, "\"%s\" is no number from 0 to %llu", key, (unsigned long long)max);
	api_answer_err(call, &err);
	return false;
}

void
api_get_logs(struct api_call *call, const struct api_request *request, const char *id)
{
	DM_AUTO_FREE char *dir = outputs_dir(api_daemon(call)->session);
	struct wanted *w = dm_calloc(1, sizeof(*w));
	uint64_t wait_s = 0;

	call->wants = w;
	w->lines = LINES;
	if (!number_in(call, request, "after", INT64_MAX, &w->after) ||
	    !number_in(call, request, "since", INT64_MAX, &w->since_ms) ||
	    !number_in(call, request, "lines", LINES_MAX, &w->lines) ||
	    !number_in(call, request, "wait", API_WAIT_MAX, &wait_s))
		return;
	if (!dm_snprintf(w->dir, sizeof(w->dir), "%s", dir) ||
	    !dm_snprintf(w->id.s, sizeof(w->id.s), "%s", id)) {
		struct dm_err err;

		(void)dm_fail(&err, DM_FAILED, "the path of the state directory is too long");
		api_answer_err(call, &err);
		return;
	}
	w->deadline = dm_now_ms() + (int64_t)wait_s * 1000;
	look(call);
}
