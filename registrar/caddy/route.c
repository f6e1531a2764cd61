/* SPDX-License-Identifier: MIT */
#include "caddy/route.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "model/host.h"

enum {
	DEPTH_MAX = 64
};

static cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* {"<key>": [<texts>]} */
static cJSON *
object_of_texts(const char *key, const char *const texts[], size_t count)
{
	cJSON *o = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(o, key);

	for (size_t i = 0; i < count; i++)
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(texts[i]));
	return o;
}

static cJSON *
array_of(cJSON *item)
{
	cJSON *list = cJSON_CreateArray();

	(void)cJSON_AddItemToArray(list, item);
	return list;
}

static cJSON *
build_proxy(const struct route_spec *spec, bool stream_close_delay)
{
	cJSON *proxy = cJSON_CreateObject();
	cJSON *upstream = cJSON_CreateObject(), *headers, *response;

	(void)cJSON_AddStringToObject(proxy, "handler", "reverse_proxy");
	(void)cJSON_AddStringToObject(upstream, "dial", spec->dial);
	(void)cJSON_AddItemToObject(proxy, "upstreams", array_of(upstream));
	headers = cJSON_AddObjectToObject(proxy, "headers");
	response = cJSON_AddObjectToObject(headers, "response");
	(void)cJSON_AddItemToObject(
	    response, "set", object_of_texts(ROUTE_ID_HEADER, &spec->id, 1));
	if (dm_starts_with(spec->dial, "unix/")) {
		cJSON *transport = cJSON_AddObjectToObject(proxy, "transport");
		cJSON *keep_alive;

		(void)cJSON_AddStringToObject(transport, "protocol", "http");
		keep_alive = cJSON_AddObjectToObject(transport, "keep_alive");
		(void)cJSON_AddBoolToObject(keep_alive, "enabled", false);
	}
	if (stream_close_delay)
		(void)cJSON_AddStringToObject(proxy, "stream_close_delay", "24h");
	return proxy;
}

struct cJSON *
route_build(const struct route_spec *spec, bool stream_close_delay)
{
	cJSON *route = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(route, "@id", spec->id);
	(void)cJSON_AddItemToObject(
	    route, "match", array_of(object_of_texts("host", spec->hosts, spec->host_count)));
	(void)cJSON_AddItemToObject(
	    route, "handle", array_of(build_proxy(spec, stream_close_delay)));
	(void)cJSON_AddBoolToObject(route, "terminal", true);
	return route;
}

bool
route_has_close_delay(const struct cJSON *route)
{
	return get(cJSON_GetArrayItem(get(route, "handle"), 0), "stream_close_delay") != NULL;
}

bool
route_equals(const struct cJSON *route, const struct route_spec *spec)
{
	cJSON *wanted = route_build(spec, route_has_close_delay(route));
	bool equal = cJSON_Compare(route, wanted, true) != 0;

	cJSON_Delete(wanted);
	return equal;
}

const char *
route_id(const struct cJSON *route)
{
	const cJSON *id = get(route, "@id");

	return cJSON_IsString(id) ? id->valuestring : NULL;
}

/* The first value of `key` anywhere below `o`, depth first; NULL if there is none. */
static const cJSON *
find_key(const cJSON *o, const char *key, int depth)
{
	const cJSON *child, *found = NULL;

	if (depth > DEPTH_MAX)
		return NULL;
	cJSON_ArrayForEach (child, o) {
		if (child->string != NULL && strcmp(child->string, key) == 0)
			return child;
		if (found == NULL)
			found = find_key(child, key, depth + 1);
	}
	return found;
}

bool
route_is_ours(const struct cJSON *route, const char *id)
{
	const cJSON *mark = find_key(get(route, "handle"), ROUTE_ID_HEADER, 0);
	const cJSON *value = cJSON_GetArrayItem(mark, 0);
	const char *own = route_id(route);

	return own != NULL && strcmp(own, id) == 0 && cJSON_IsString(value) &&
	       strcmp(value->valuestring, id) == 0;
}

const char *
route_dial(const struct cJSON *route)
{
	const cJSON *dial = find_key(get(route, "handle"), "dial", 0);

	return cJSON_IsString(dial) ? dial->valuestring : NULL;
}

bool
route_is_shared(const struct cJSON *route)
{
	const char *dial = route_dial(route);

	return dial != NULL && strchr(dial, '{') != NULL;
}

bool
route_hosts_match(const struct cJSON *hosts, const char *host)
{
	const cJSON *pattern;

	cJSON_ArrayForEach (pattern, hosts) {
		if (cJSON_IsString(pattern) && host_matches(pattern->valuestring, host))
			return true;
	}
	return false;
}

bool
route_names_host(const struct cJSON *route, const char *host)
{
	const cJSON *set;

	cJSON_ArrayForEach (set, get(route, "match")) {
		if (route_hosts_match(get(set, "host"), host))
			return true;
	}
	return false;
}

/* Whether one set of matchers lets in every request for the host: none but "host", if any. */
static bool
set_admits_all(const cJSON *set, const char *host)
{
	const cJSON *matcher;

	cJSON_ArrayForEach (matcher, set) {
		if (matcher->string == NULL || strcmp(matcher->string, "host") != 0 ||
		    !route_hosts_match(matcher, host))
			return false;
	}
	return true;
}

/* Handlers that pass every request on to the next route. */
static bool
passes_on(const cJSON *handler)
{
	static const char *const names[] = {"headers", "vars", "encode", "tracing", "map",
	    "request_body", "rewrite", "templates", "push", "log_append", "authentication"};
	const cJSON *name = get(handler, "handler");

	for (size_t i = 0; cJSON_IsString(name) && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name->valuestring, names[i]) == 0)
			return true;
	}
	return false;
}

bool
route_catches(const struct cJSON *route, const char *host)
{
	const cJSON *match = get(route, "match"), *terminal = get(route, "terminal"), *item;
	bool admits = cJSON_GetArraySize(match) == 0, answers = cJSON_IsTrue(terminal);

	cJSON_ArrayForEach (item, match) {
		admits |= set_admits_all(item, host);
	}
	cJSON_ArrayForEach (item, get(route, "handle")) {
		answers |= !passes_on(item);
	}
	return admits && answers;
}

bool
route_is_mesh(const struct cJSON *route, const char *domain, const char *dir)
{
	DM_AUTO_FREE char *prefix = dm_asprintf("unix/%s/{http.", dir);
	DM_AUTO_FREE char *pattern = dm_asprintf("*.%s", domain);
	const char *dial = route_dial(route);
	const cJSON *set, *host;

	if (dial == NULL || !dm_starts_with(dial, prefix) || !dm_ends_with(dial, "}.sock"))
		return false;
	cJSON_ArrayForEach (set, get(route, "match")) {
		cJSON_ArrayForEach (host, get(set, "host")) {
			if (cJSON_IsString(host) && strcmp(host->valuestring, pattern) == 0)
				return true;
		}
	}
	return false;
}
