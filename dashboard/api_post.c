/* SPDX-License-Identifier: MIT */
/* What the API does. Whatever takes its time is a verb of devmesh, run by a worker. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_impl.h"
#include "base/str.h"
#include "daemon.h"
#include "discover.h"
#include "finder.h"
#include "model/slug.h"
#include "out.h"
#include "services.h"
#include "share.h"
#include "state.h"

enum {
	VERB_MS = 60000,
	GC_MS = 120000
};

void
api_answer_service(struct api_call *call, struct cJSON *service)
{
	cJSON *o = out_object();

	(void)cJSON_AddItemToObject(o, "service", service);
	api_answer_json(call, 200, o);
}

void
api_answer_no_service(struct api_call *call, const char *id)
{
	struct dm_err err;

	(void)dm_fail(&err, DM_NOT_FOUND, "there is no service %s", id);
	(void)dm_hint(&err, "devmesh status, or GET /api/v1/services, lists them");
	api_answer_err(call, &err);
}

/* Whether the body has no other members than these; else the call is answered. */
static bool
has_only(struct api_call *call, const struct api_request *request, const char *const names[])
{
	const cJSON *m;
	struct dm_err err;

	cJSON_ArrayForEach (m, request->body) {
		size_t i = 0;

		while (names[i] != NULL && strcmp(names[i], m->string) != 0)
			i++;
		if (names[i] != NULL)
			continue;
		(void)dm_fail(&err, DM_USAGE, "the body has a member \"%.60s\", which %s",
		    m->string, "means nothing here");
		api_answer_err(call, &err);
		return false;
	}
	return true;
}

bool
api_body_is_empty(struct api_call *call, const struct api_request *request)
{
	static const char *const none[] = {NULL};

	return has_only(call, request, none);
}

static const cJSON *
member(const struct api_request *request, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(request->body, name);
}

static void
answer_usage(struct api_call *call, const char *what)
{
	struct dm_err err;

	(void)dm_fail(&err, DM_USAGE, "%s", what);
	api_answer_err(call, &err);
}

/* A whole number in [1, max]; 0: it is none. */
static uint32_t
number_of(const cJSON *m, double max)
{
	if (!cJSON_IsNumber(m) || !(m->valuedouble >= 1 && m->valuedouble <= max) ||
	    m->valuedouble > (double)(uint32_t)m->valuedouble)
		return 0;
	return (uint32_t)m->valuedouble;
}

void
api_post_forget(struct api_call *call, const struct api_request *request, const char *id)
{
	const char *const words[] = {"down", "--json", "--", id, NULL};

	if (!api_body_is_empty(call, request))
		return;
	if (services_find(api_daemon(call)->services, id) == NULL) {
		api_answer_no_service(call, id);
		return;
	}
	call->sweep = "forgotten";
	api_answer_verb(call, words, VERB_MS);
}

void
api_post_probe(struct api_call *call, const struct api_request *request, const char *id)
{
	struct daemon *d = api_daemon(call);

	if (!api_body_is_empty(call, request))
		return;
	if (services_find(d->services, id) == NULL) {
		api_answer_no_service(call, id);
		return;
	}
	(void)services_look(d->services, id, "asked for");
	api_get_service(call, request, id);
}

void
api_post_pin(struct api_call *call, const struct api_request *request, const char *id)
{
	static const char *const names[] = {"pinned", NULL};
	const struct daemon *d = api_daemon(call);
	const cJSON *pinned = member(request, "pinned");
	const struct service *service = services_find(d->services, id);
	bool ours = false;
	struct dm_err err;

	if (!has_only(call, request, names))
		return;
	if (!cJSON_IsBool(pinned)) {
		answer_usage(call, "pin wants {\"pinned\": true} or {\"pinned\": false}");
		return;
	}
	if (service == NULL) {
		api_answer_no_service(call, id);
		return;
	}
	if (!registry_set_pinned(
		d->session->registry, service->claim, cJSON_IsTrue(pinned), &ours, &err)) {
		api_answer_err(call, &err);
		return;
	}
	services_sweep(d->services, ours ? "pinned" : "its claim was released");
	api_get_service(call, request, id);
}

void
api_post_share(struct api_call *call, const struct api_request *request, const char *id)
{
	static const char *const names[] = {"reach", "expires", NULL};
	const char *reach = cJSON_GetStringValue(member(request, "reach"));
	const cJSON *expires = member(request, "expires");
	const char *period = cJSON_GetStringValue(expires);
	enum gate_reach known;
	int64_t ignored;

	if (!has_only(call, request, names))
		return;
	if (reach == NULL || !gate_reach_parse(reach, &known) ||
	    (expires != NULL && (period == NULL || !share_parse_period(period, &ignored)))) {
		answer_usage(call,
		    "share wants {\"reach\": \"lan\", \"password\" or \"public\"}, and "
		    "may have \"expires\": \"24h\"");
	} else if (services_find(api_daemon(call)->services, id) == NULL) {
		api_answer_no_service(call, id);
	} else {
		DM_AUTO_FREE char *flag = dm_asprintf("--%s", gate_reach_name(known));
		DM_AUTO_FREE char *end = dm_asprintf("--expires=%s", period == NULL ? "" : period);
		const char *const words[] = {"share", "--json", flag, period == NULL ? "--" : end,
		    period == NULL ? id : "--", period == NULL ? NULL : id, NULL};

		call->sweep = "shared";
		api_answer_verb(call, words, VERB_MS);
	}
}

void
api_post_unshare(struct api_call *call, const struct api_request *request, const char *id)
{
	const char *const words[] = {"unshare", "--json", "--", id, NULL};

	if (!api_body_is_empty(call, request))
		return;
	if (services_find(api_daemon(call)->services, id) == NULL) {
		api_answer_no_service(call, id);
		return;
	}
	call->sweep = "private again";
	api_answer_verb(call, words, VERB_MS);
}

/* The process that was found to listen there; NULL if there is none. */
static const struct found *
find_found(const struct daemon *d, uint32_t pid, uint32_t port)
{
	const struct found_list *found = finder_found(d->finder);

	for (size_t i = 0; i < found->count; i++) {
		if (found->list[i].process.pid == (pid_t)pid && found->list[i].port == port)
			return &found->list[i];
	}
	return NULL;
}

/* Whom a server on that port serves already; NULL: nobody, as far as is known. */
static const char *
claim_of_port(const struct daemon *d, const struct found *found)
{
	for (size_t i = 0; i < services_count(d->services); i++) {
		const struct claim *claim = services_at(d->services, i)->claim;

		if (claim->port == found->port)
			return claim->id.s;
	}
	return found->claim;
}

/* What is to be published; false: the call is answered with why that cannot be. */
static bool
is_publishable(struct api_call *call, const struct found *found, uint32_t pid, uint32_t port)
{
	const char *claim = found == NULL ? NULL : claim_of_port(api_daemon(call), found);
	struct dm_err err;

	if (found == NULL)
		(void)dm_fail(
		    &err, DM_NOT_FOUND, "pid %u was not found to listen on port %u", pid, port);
	else if (claim != NULL)
		(void)dm_fail(&err, DM_CONFLICT, "port %u is that of %s already", port, claim);
	else if (found->cwd == NULL || found->worktree == NULL)
		(void)dm_fail(&err, DM_CONFLICT, "pid %u works in no git worktree", pid);
	else
		return true;
	api_answer_err(call, &err);
	return false;
}

void
api_post_publish(struct api_call *call, const struct api_request *request, const char *id)
{
	static const char *const names[] = {"pid", "port", "app", NULL};
	const cJSON *app = member(request, "app");
	uint32_t pid = number_of(member(request, "pid"), INT32_MAX);
	uint32_t port = number_of(member(request, "port"), UINT16_MAX);
	const struct found *found;
	struct dm_err err;

	(void)id;
	if (!has_only(call, request, names))
		return;
	if (pid == 0 || port == 0 || (app != NULL && !cJSON_IsString(app))) {
		answer_usage(call, "publish wants {\"pid\": N, \"port\": N}, and may have "
				   "\"app\": \"name\"");
		return;
	}
	if (app != NULL && !slug_parse(app->valuestring, &(struct slug){.s = ""}, &err)) {
		api_answer_err(call, &err);
		return;
	}
	found = find_found(api_daemon(call), pid, port);
	if (is_publishable(call, found, pid, port)) {
		char text[8];
		const char *const words[] = {"up", "--json", "-C", found->cwd, "--port", text,
		    app == NULL ? NULL : "--app", app == NULL ? NULL : app->valuestring, NULL};

		(void)snprintf(text, sizeof(text), "%u", port);
		call->sweep = "published";
		api_answer_verb(call, words, VERB_MS);
	}
}

void
api_post_gc(struct api_call *call, const struct api_request *request, const char *id)
{
	static const char *const names[] = {"dry_run", NULL};
	const cJSON *m = member(request, "dry_run");
	bool dry_run = m == NULL || cJSON_IsTrue(m);
	const char *const words[] = {"gc", "--json", dry_run ? "--dry-run" : NULL, NULL};

	(void)id;
	if (!has_only(call, request, names))
		return;
	if (m != NULL && !cJSON_IsBool(m)) {
		answer_usage(call, "\"dry_run\" is true or false");
		return;
	}
	call->sweep = dry_run ? NULL : "cleaned up";
	api_answer_verb(call, words, GC_MS);
}

static void
answer_ok(struct api_call *call)
{
	cJSON *o = out_object();

	(void)cJSON_AddBoolToObject(o, "ok", true);
	api_answer_json(call, 200, o);
}

void
api_post_stop(struct api_call *call, const struct api_request *request, const char *id)
{
	struct daemon *d = api_daemon(call);

	(void)request;
	(void)id;
	answer_ok(call);
	daemon_stop(d);
}

void
api_post_reload(struct api_call *call, const struct api_request *request, const char *id)
{
	struct dm_err err;

	(void)request;
	(void)id;
	if (daemon_reload(api_daemon(call), &err))
		answer_ok(call);
	else
		api_answer_err(call, &err);
}
