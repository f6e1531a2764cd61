/* SPDX-License-Identifier: MIT */
#include "api_impl.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon.h"
#include "model/slug.h"
#include "out.h"
#include "services.h"
#include "shares.h"
#include "workers.h"

#define JSON_TYPE "application/json"

struct api {
	struct daemon *d;
	struct api_call *calls;
	size_t waiting;
	size_t streams;
	struct event *look; /* once a second while there are streams */
};

static const struct api_route routes[] = {
    {"GET", "/", false, false, api_get_page},
    {"GET", "/web/:file", false, false, api_get_web},
    {"GET", "/login", false, false, api_get_login},
    {"GET", "/api/v1/session", false, false, api_get_session},
    {"GET", "/api/v1/state", false, false, api_get_state},
    {"GET", "/api/v1/services", false, false, api_get_services},
    {"GET", "/api/v1/services/:id", false, false, api_get_service},
    {"GET", "/api/v1/services/:id/qr", false, false, api_get_qr},
    {"GET", "/api/v1/services/:id/logs", false, true, api_get_logs},
    {"GET", "/api/v1/logs", false, true, api_get_logs},
    {"GET", "/api/v1/services/:id/history", false, false, api_get_history},
    {"GET", "/api/v1/services/:id/requests", false, true, api_get_requests},
    {"GET", "/api/v1/load", false, false, api_get_load},
    {"GET", "/api/v1/events", false, false, api_get_events},
    {"GET", "/api/v1/graph", false, false, api_get_graph},
    {"GET", "/api/v1/doctor", false, false, api_get_doctor},
    {"GET", "/api/v1/system", false, false, api_get_system},
    {"GET", "/api/v1/dns", false, false, api_get_dns},
    {"GET", "/api/v1/config", false, false, api_get_config},
    {"GET", "/api/v1/openapi.json", false, false, api_get_openapi},
    {"GET", "/healthz", false, false, api_get_healthz},
    {"GET", "/metrics", false, false, api_get_metrics},
    {"POST", "/api/v1/services/:id/start", false, false, api_post_run_start},
    {"POST", "/api/v1/services/:id/stop", false, false, api_post_run_stop},
    {"POST", "/api/v1/services/:id/restart", false, false, api_post_run_restart},
    {"POST", "/api/v1/services/:id/forget", false, false, api_post_forget},
    {"POST", "/api/v1/services/:id/pin", false, false, api_post_pin},
    {"POST", "/api/v1/services/:id/share", false, false, api_post_share},
    {"POST", "/api/v1/services/:id/unshare", false, false, api_post_unshare},
    {"POST", "/api/v1/services/:id/probe", false, false, api_post_probe},
    {"POST", "/api/v1/publish", false, false, api_post_publish},
    {"POST", "/api/v1/gc", false, false, api_post_gc},
    {"GET", "/control/status", true, false, api_get_status},
    {"GET", "/control/phone", true, false, api_get_phone},
    {"POST", "/control/login", true, false, api_post_login},
    {"POST", "/control/stop", true, false, api_post_stop},
    {"POST", "/control/reload", true, false, api_post_reload},
};

const struct api_route *
api_route_at(size_t i)
{
	return i < sizeof(routes) / sizeof(routes[0]) ? &routes[i] : NULL;
}

static void
on_look(evutil_socket_t fd, short what, void *user)
{
	struct api *api = user;

	(void)fd;
	(void)what;
	daemon_asked(api->d);
}

struct api *
api_new(struct daemon *d)
{
	struct api *api = dm_calloc(1, sizeof(*api));

	api->d = d;
	api->look = event_new(d->base, -1, EV_PERSIST, on_look, api);
	return api;
}

void
api_stream_begins(struct api *api)
{
	static const struct timeval second = {.tv_sec = 1};

	if (api->streams++ == 0)
		(void)event_add(api->look, &second);
}

void
api_stream_ends(struct api *api)
{
	if (--api->streams == 0)
		(void)event_del(api->look);
}

size_t
api_streams(const struct api *api)
{
	return api->streams;
}

static void
call_free(struct api_call *call)
{
	*call->back = call->next;
	if (call->next != NULL)
		call->next->back = call->back;
	if (call->look != NULL)
		event_free(call->look);
	free(call->wants);
	free(call);
}

void
api_free(struct api *api)
{
	if (api == NULL)
		return;
	for (struct api_call *call = api->calls, *next; call != NULL; call = next) {
		next = call->next;
		call_free(call);
	}
	event_free(api->look);
	free(api);
}

struct daemon *
api_daemon(const struct api_call *call)
{
	return call->api->d;
}

void
api_answer(struct api_call *call, const struct api_reply *reply)
{
	if (call->done != NULL)
		call->done(call->user, reply);
	if (call->asking)
		call->answered = true;
	else
		call_free(call);
}

void
api_answer_text(struct api_call *call, int status, const char *type, const char *text)
{
	const struct api_reply reply = {
	    .status = status, .type = type, .text = text, .len = strlen(text)};

	api_answer(call, &reply);
}

void
api_answer_json(struct api_call *call, int status, struct cJSON *document)
{
	DM_AUTO_FREE char *text = cJSON_PrintUnformatted(document);

	cJSON_Delete(document);
	api_answer_text(call, status, JSON_TYPE, text);
}

/* RFC 9110 §15, for the codes of the CLI. */
static int
status_of(enum dm_code code)
{
	switch (code) {
	case DM_OK:
		return 200;
	case DM_USAGE:
		return 400;
	case DM_NOT_FOUND:
		return 404;
	case DM_CONFLICT:
		return 409;
	case DM_DENIED:
		return 403;
	case DM_UNREACHABLE:
		return 502;
	case DM_TIMEOUT:
		return 504;
	case DM_FAILED:
		break;
	}
	return 500;
}

/* The one form of failures, as `devmesh --json` has it. */
static char *
error_text(const struct dm_err *err)
{
	cJSON *o = out_object();
	char *text;

	out_add_error(o, err);
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

static void
answer_error(struct api_call *call, int status, const char *allow, const struct dm_err *err)
{
	DM_AUTO_FREE char *text = error_text(err);
	const struct api_reply reply = {
	    .status = status, .type = JSON_TYPE, .text = text, .len = strlen(text), .allow = allow};

	api_answer(call, &reply);
}

void
api_answer_err(struct api_call *call, const struct dm_err *err)
{
	answer_error(call, status_of(err->code), NULL, err);
}

void
api_refuse(int status, const struct dm_err *why, api_done *done, void *user)
{
	DM_AUTO_FREE char *text = error_text(why);
	const struct api_reply reply = {
	    .status = status, .type = JSON_TYPE, .text = text, .len = strlen(text)};

	done(user, &reply);
}

/* What the verb has printed, if it is a JSON document; the caller owns it. */
static cJSON *
document_of(const struct worker_result *result)
{
	cJSON *o = cJSON_ParseWithLength(result->out, result->len);

	if (cJSON_IsObject(o))
		return o;
	cJSON_Delete(o);
	return NULL;
}

static void
on_verb_done(void *user, const struct worker_result *result)
{
	struct api_call *call = user;
	struct daemon *d = call->api->d;
	cJSON *o = document_of(result);
	struct dm_err err;

	call->api->waiting--;
	daemon_drained(d);
	if (call->sweep != NULL) {
		shares_look(d->shares);
		services_sweep(d->services, call->sweep);
	}
	if (o != NULL && result->status <= (int)DM_TIMEOUT) {
		bool failed = cJSON_GetObjectItemCaseSensitive(o, "error") != NULL;

		/* doctor's exit status says what it has found: that is no failure of the question
		 */
		api_answer_json(call, failed ? status_of((enum dm_code)result->status) : 200, o);
		return;
	}
	cJSON_Delete(o);
	if (result->status == 124)
		(void)dm_fail(&err, DM_TIMEOUT, "the work has taken too long, and was ended");
	else
		(void)dm_fail(&err, DM_FAILED, "the work has ended with status %d and no answer",
		    result->status);
	api_answer_err(call, &err);
}

void
api_answer_verb(struct api_call *call, const char *const words[], int64_t timeout_ms)
{
	struct api *api = call->api;
	const char *argv[16] = {"devmesh"};
	size_t n = 1;
	struct dm_err err;

	if (api->waiting >= API_WAITING_MAX) {
		(void)dm_fail(&err, DM_FAILED, "too much is being worked on already");
		(void)dm_hint(&err, "ask again in a moment");
		answer_error(call, 503, NULL, &err);
		return;
	}
	if (api->d->config_file != NULL) {
		argv[n++] = "--config";
		argv[n++] = api->d->config_file;
	}
	for (size_t i = 0; words[i] != NULL && n < 15; i++)
		argv[n++] = words[i];
	api->waiting++;
	workers_run_verb(api->d->workers, argv, timeout_ms, on_verb_done, call);
}

/* Whether the path is the route's; *id is what stands for ":id". */
static bool
matches(const char *pattern, const char *path, struct slug *id)
{
	for (; *pattern != '\0'; pattern++, path++) {
		size_t n = strcspn(path, "/");
		char segment[SLUG_MAX + 1];

		if (*pattern != ':') {
			if (*pattern != *path)
				return false;
			continue;
		}
		if (dm_starts_with(pattern, ":id")) {
			if (!dm_snprintf(segment, sizeof(segment), "%.*s", (int)n, path) ||
			    !slug_valid(segment))
				return false;
			memcpy(id->s, segment, sizeof(segment));
		}
		pattern += strcspn(pattern, "/");
		path += n;
		if (*pattern != *path)
			return false;
		if (*pattern == '\0')
			break;
	}
	return *path == '\0';
}

/* The route; NULL: the status and *err say why there is none. */
static const struct api_route *
find_route(const struct api_request *request, struct slug *id, const char **allow, int *status,
    struct dm_err *err)
{
	*allow = NULL;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct api_route *r = &routes[i];

		if ((r->trusted && !request->trusted) || !matches(r->path, request->path, id))
			continue;
		if (strcmp(r->method, request->method) == 0)
			return r;
		/* no path has two methods */
		*allow = strcmp(r->method, "GET") != 0 || strcmp(r->path, "/login") == 0
			     ? r->method
			     : "GET, HEAD";
	}
	*status = *allow != NULL ? 405 : 404;
	if (*allow != NULL)
		(void)dm_fail(err, DM_USAGE, "%.20s %.200s: it is for %s", request->method,
		    request->path, *allow);
	else
		(void)dm_fail(
		    err, DM_NOT_FOUND, "%.200s: there is nothing of that name", request->path);
	(void)dm_hint(err, "/api/v1/openapi.json lists what there is");
	return NULL;
}

static void
refuse_private(struct api_call *call)
{
	struct dm_err err;

	(void)dm_fail(&err, DM_DENIED, "only who is logged in may see this");
	(void)dm_hint(&err, "devmesh open logs a browser in");
	api_answer_err(call, &err);
}

struct api_call *
api_ask(struct api *api, const struct api_request *request, api_done *done, void *user)
{
	struct api_call *call = dm_calloc(1, sizeof(*call));
	const struct api_route *route;
	const char *allow;
	struct slug id = {.s = ""};
	struct dm_err err;
	int status;

	*call = (struct api_call){.api = api, .done = done, .user = user, .asking = true};
	call->next = api->calls;
	call->back = &api->calls;
	if (call->next != NULL)
		call->next->back = &call->next;
	api->calls = call;
	/* a monitor that scrapes, or a verb that wants to know whether it runs, is nobody who looks
	 */
	if (dm_starts_with(request->path, "/api/"))
		daemon_asked(api->d);
	route = find_route(request, &id, &allow, &status, &err);
	if (route == NULL)
		answer_error(call, status, allow, &err);
	else if (route->private && !request->trusted && !request->may_change)
		refuse_private(call);
	else
		route->handler(call, request, id.s);
	call->asking = false;
	if (!call->answered)
		return call;
	call_free(call);
	return NULL;
}

void
api_cancel(struct api_call *call)
{
	call->done = NULL;
	if (call->look != NULL && !call->asking)
		call_free(call);
}

bool
api_query(const char *query, const char *key, char *out, size_t size)
{
	size_t n = strlen(key);

	for (const char *p = query; p != NULL && *p != '\0'; p += p[0] == '&') {
		size_t len = strcspn(p, "&");

		if (len > n && strncmp(p, key, n) == 0 && p[n] == '=')
			return len - n - 1 < size &&
			       dm_snprintf(out, size, "%.*s", (int)(len - n - 1), p + n + 1);
		p += len;
	}
	return false;
}

struct cJSON *
api_body_parse(const char *text, size_t len, struct dm_err *err)
{
	const char *end = NULL;
	cJSON *o;

	if (len > API_BODY_MAX) {
		(void)dm_fail(err, DM_USAGE, "the body has more than %d bytes", API_BODY_MAX);
		return NULL;
	}
	o = cJSON_ParseWithLengthOpts(text, len, &end, false);
	while (cJSON_IsObject(o) && end < text + len && *end != '\0' &&
	       strchr(" \t\r\n", *end) != NULL)
		end++;
	if (cJSON_IsObject(o) && end == text + len)
		return o;
	cJSON_Delete(o);
	(void)dm_fail(err, DM_USAGE, "the body is not one JSON object");
	return NULL;
}
