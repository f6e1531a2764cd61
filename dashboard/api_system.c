/* SPDX-License-Identifier: MIT */
/* What the API tells of what the services stand on. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "api_impl.h"
#include "daemon.h"
#include "facts.h"
#include "nameserver.h"
#include "out.h"

static void
answer(struct api_call *call)
{
	struct dm_err err;
	struct cJSON *o = facts_document(api_daemon(call)->facts, &err);

	if (o == NULL)
		api_answer_err(call, &err);
	else
		api_answer_json(call, 200, o);
}

static void
wait_for_it(struct api_call *call)
{
	if (facts_busy(api_daemon(call)->facts))
		api_later(call, wait_for_it);
	else
		answer(call);
}

void
api_get_dns(struct api_call *call, const struct api_request *request, const char *id)
{
	struct cJSON *o = out_object();

	(void)request;
	(void)id;
	(void)cJSON_AddItemToObject(
	    o, "dns_server", nameserver_document(api_daemon(call)->nameserver));
	api_answer_json(call, 200, o);
}

void
api_get_system(struct api_call *call, const struct api_request *request, const char *id)
{
	char fresh[8];
	bool now =
	    api_query(request->query, "fresh", fresh, sizeof(fresh)) && strcmp(fresh, "true") == 0;

	(void)id;
	if (facts_want(api_daemon(call)->facts, now ? FACTS_FRESH_MS : FACTS_KEPT_MS))
		answer(call);
	else
		wait_for_it(call);
}
