/* SPDX-License-Identifier: MIT */
/* Any text as Caddy's list of routes: what is changed is done once, and can be taken back. */
#include "fuzz.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/mem.h"
#include "caddy/batch.h"
#include "caddy/change.h"

static const struct route_spec specs[] = {
    {.id = "a", .hosts = {"a.dev"}, .host_count = 1, .dial = "localhost:3000"},
    {.id = "b", .hosts = {"b.dev", "c.dev"}, .host_count = 2, .dial = "unix//tmp/b.sock"},
};
static const char *const ids[] = {"a", "b"};
static const struct mesh_spec mesh = {.domain = "dev", .sockets_dir = "/tmp"};

/* The texts of the strangers' routes, one behind the other; the caller owns it. */
static char *
strangers(const char *list)
{
	const struct route_batch gone = {.remove = ids, .remove_count = 2};
	struct route_batch_result result;
	struct dm_err err;
	char *out;

	MUST(route_batch_apply(list, strlen(list), &gone, false, &out, &result, &err));
	return out != NULL ? out : dm_strdup(list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct route_batch batch = {.put = specs, .put_count = 2, .mesh = &mesh};
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size), *out = NULL, *again = NULL;
	DM_AUTO_FREE char *rest = NULL, *twice = NULL;
	struct route_batch_result result;
	struct dm_err err;
	cJSON *routes;

	if (!route_batch_apply(text, strlen(text), &batch, size % 2 == 0, &out, &result, &err)) {
		MUST(err.code == DM_FAILED && err.msg[0] != '\0' && out == NULL);
		return 0;
	}
	if (out == NULL)
		return 0;
	MUST(result.added + result.replaced > 0 && result.removed == 0);
	routes = cJSON_Parse(out);
	MUST(cJSON_IsArray(routes));
	for (size_t i = 0; i < 2; i++)
		MUST(caddy_route_in_place(routes, &specs[i]));
	cJSON_Delete(routes);
	MUST(route_batch_apply(out, strlen(out), &batch, size % 2 == 0, &again, &result, &err));
	MUST(again == NULL);
	rest = strangers(out);
	twice = strangers(rest);
	MUST(strcmp(rest, twice) == 0);
	return 0;
}
