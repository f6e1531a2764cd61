/* SPDX-License-Identifier: MIT */
#include "facts.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "daemon.h"
#include "lan.h"
#include "metrics.h"
#include "nameserver.h"
#include "network.h"
#include "out.h"
#include "record_keeper.h"
#include "store.h"
#include "version.h"
#include "workers.h"

enum {
	LOOK_MS = 30000
};

struct facts {
	struct daemon *d;
	bool busy;
	cJSON *document;   /* NULL: none yet, or the last look has failed */
	struct dm_err err; /* then */
	int64_t at_ms;	   /* when it was found; 0: never */
};

struct facts *
facts_new(struct daemon *d)
{
	struct facts *facts = dm_calloc(1, sizeof(*facts));

	facts->d = d;
	return facts;
}

void
facts_free(struct facts *facts)
{
	if (facts == NULL)
		return;
	cJSON_Delete(facts->document);
	free(facts);
}

static void
on_done(void *user, const struct worker_result *result)
{
	struct facts *facts = user;
	cJSON *o = cJSON_ParseWithLength(result->out, result->len);
	const cJSON *said = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(o, "error"), "message");

	facts->busy = false;
	facts->at_ms = dm_now_ms();
	cJSON_Delete(facts->document);
	facts->document = NULL;
	if (result->status == 0 && cJSON_IsObject(o)) {
		facts->document = o;
	} else if (result->status == 124) {
		(void)dm_fail(&facts->err, DM_TIMEOUT, "the look has taken too long");
	} else {
		(void)dm_fail(&facts->err, DM_FAILED, "the look has failed: %.300s",
		    cJSON_IsString(said) ? said->valuestring : "no answer");
	}
	if (facts->document == NULL)
		cJSON_Delete(o);
	daemon_drained(facts->d);
}

static void
look(struct facts *facts)
{
	const struct daemon *d = facts->d;
	const char *argv[10] = {"devmesh"};
	size_t n = 1;

	if (d->config_file != NULL) {
		argv[n++] = "--config";
		argv[n++] = d->config_file;
	}
	argv[n++] = "system";
	argv[n++] = "--json";
	if (d->host != NULL) {
		argv[n++] = "--host";
		argv[n++] = d->host;
	}
	facts->busy = true;
	workers_run_verb(d->workers, argv, LOOK_MS, on_done, facts);
}

bool
facts_want(struct facts *facts, int64_t max_age_ms)
{
	if (facts->at_ms != 0 && dm_now_ms() - facts->at_ms < max_age_ms)
		return true;
	if (!facts->busy)
		look(facts);
	return false;
}

bool
facts_busy(const struct facts *facts)
{
	return facts->busy;
}

struct cJSON *
facts_document(const struct facts *facts, struct dm_err *err)
{
	const struct daemon *d = facts->d;
	const char *problem = store_problem(d->store);
	int64_t rss = metrics_resident_bytes();
	cJSON *o, *part;

	if (facts->document == NULL) {
		*err = facts->err;
		return NULL;
	}
	o = cJSON_Duplicate(facts->document, true);
	part = cJSON_GetObjectItemCaseSensitive(o, "history");
	cJSON_DeleteItemFromObjectCaseSensitive(part, "problem");
	out_add_text(part, "problem", problem);
	(void)cJSON_ReplaceItemInObjectCaseSensitive(
	    o, "network", network_json(lan_state(d->lan), true));
	(void)cJSON_AddItemToObject(o, "dns_server", nameserver_document(d->nameserver));
	(void)cJSON_ReplaceItemInObjectCaseSensitive(o, "record", record_keeper_json(d->record));
	part = cJSON_AddObjectToObject(o, "devmeshd");
	(void)cJSON_AddStringToObject(part, "version", DEVMESH_VERSION);
	(void)cJSON_AddNumberToObject(part, "pid", (double)getpid());
	(void)cJSON_AddNumberToObject(part, "started", (double)d->started);
	(void)cJSON_AddItemToObject(
	    part, "rss", rss == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)rss));
	return o;
}
