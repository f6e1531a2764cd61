/* SPDX-License-Identifier: MIT */
/* What the API tells. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api_impl.h"
#include "base/str.h"
#include "ctl_server.h"
#include "daemon.h"
#include "events.h"
#include "graph.h"
#include "http_server.h"
#include "load.h"
#include "openapi.h"
#include "out.h"
#include "services.h"
#include "state.h"
#include "version.h"

enum {
	DOCTOR_MS = 60000,
	CONFIG_MS = 10000
};

void
api_get_state(struct api_call *call, const struct api_request *request, const char *id)
{
	(void)request;
	(void)id;
	api_answer_json(call, 200, state_whole(api_daemon(call)));
}

void
api_get_services(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct daemon *d = api_daemon(call);
	cJSON *o = out_object(), *list;

	(void)request;
	(void)id;
	(void)cJSON_AddNumberToObject(o, "seq", (double)events_seq(d->events));
	list = cJSON_AddArrayToObject(o, "services");
	for (size_t i = 0; i < services_count(d->services); i++)
		(void)cJSON_AddItemToArray(list, state_of_service(d, services_at(d->services, i)));
	api_answer_json(call, 200, o);
}

void
api_get_service(struct api_call *call, const struct api_request *request, const char *id)
{
	cJSON *service = state_service(api_daemon(call), id);

	(void)request;
	if (service != NULL)
		api_answer_service(call, service);
	else
		api_answer_no_service(call, id);
}

void
api_get_events(struct api_call *call, const struct api_request *request, const char *id)
{
	struct api_reply reply = {
	    .status = 200, .type = "text/event-stream", .text = "", .stream = true};
	struct dm_err err;
	char since[32];

	(void)id;
	if (request->query != NULL && strstr(request->query, "since=") != NULL) {
		reply.has_since = api_query(request->query, "since", since, sizeof(since)) &&
				  dm_parse_uint(since, 0, UINT64_MAX, &reply.since);
		if (!reply.has_since) {
			(void)dm_fail(&err, DM_USAGE, "\"since\" is not the number of an event");
			api_answer_err(call, &err);
			return;
		}
	}
	api_answer(call, &reply);
}

void
api_get_load(struct api_call *call, const struct api_request *request, const char *id)
{
	(void)request;
	(void)id;
	api_answer_json(call, 200, load_document(api_daemon(call)->load));
}

void
api_get_graph(struct api_call *call, const struct api_request *request, const char *id)
{
	cJSON *state;
	enum graph_format format = GRAPH_JSON;
	DM_AUTO_FREE char *text = NULL;
	struct dm_err err;
	char name[16];

	(void)id;
	if (request->query != NULL && strstr(request->query, "format=") != NULL &&
	    (!api_query(request->query, "format", name, sizeof(name)) ||
		!graph_format_parse(name, &format))) {
		(void)dm_fail(&err, DM_USAGE, "the format is one of json, dot and mermaid");
		api_answer_err(call, &err);
		return;
	}
	state = state_whole(api_daemon(call));
	text = graph_render(state, format);
	cJSON_Delete(state);
	if (text != NULL) {
		api_answer_text(call, 200, graph_content_type(format), text);
		return;
	}
	(void)dm_fail(&err, DM_FAILED, "the graph is too large");
	api_answer_err(call, &err);
}

void
api_get_doctor(struct api_call *call, const struct api_request *request, const char *id)
{
	static const char *const words[] = {"doctor", "--json", NULL};

	(void)request;
	(void)id;
	api_answer_verb(call, words, DOCTOR_MS);
}

void
api_get_config(struct api_call *call, const struct api_request *request, const char *id)
{
	static const char *const words[] = {"config", "--json", NULL};

	(void)request;
	(void)id;
	api_answer_verb(call, words, CONFIG_MS);
}

void
api_get_openapi(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct api_reply reply = {.status = 200,
	    .type = "application/json",
	    .text = openapi_json,
	    .len = openapi_json_len};

	(void)request;
	(void)id;
	api_answer(call, &reply);
}

void
api_get_healthz(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct daemon *d = api_daemon(call);
	cJSON *o = out_object();

	(void)request;
	(void)id;
	(void)cJSON_AddStringToObject(o, "status",
	    d->draining ? "stopping"
	    : !d->ready ? "starting"
			: "ok");
	api_answer_json(call, d->ready && !d->draining ? 200 : 503, o);
}

void
api_get_status(struct api_call *call, const struct api_request *request, const char *id)
{
	const struct daemon *d = api_daemon(call);
	cJSON *o = out_object();
	size_t clients = d->ctl == NULL ? 0 : ctl_server_clients(d->ctl);

	(void)request;
	(void)id;
	(void)cJSON_AddStringToObject(o, "version", DEVMESH_VERSION);
	(void)cJSON_AddNumberToObject(o, "pid", (double)getpid());
	(void)cJSON_AddNumberToObject(o, "started", (double)d->started);
	(void)cJSON_AddBoolToObject(o, "ready", d->ready);
	(void)cJSON_AddBoolToObject(o, "stopping", d->draining);
	out_add_text(o, "config_file", d->config_file);
	out_add_text(o, "url", d->url);
	(void)cJSON_AddNumberToObject(o, "seq", (double)events_seq(d->events));
	(void)cJSON_AddNumberToObject(o, "kept_since", (double)events_kept_since(d->events));
	(void)cJSON_AddNumberToObject(o, "services", (double)services_count(d->services));
	(void)cJSON_AddNumberToObject(o, "control_clients", (double)clients);
	(void)cJSON_AddNumberToObject(
	    o, "streams", d->http == NULL ? 0 : (double)http_server_counts(d->http)->streams);
	api_answer_json(call, 200, o);
}
