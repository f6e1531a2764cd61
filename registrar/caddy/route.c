/* SPDX-License-Identifier: MIT */
#include "caddy/route.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "caddy/build.h"
#include "caddy/gate.h"
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

/* What is done once the document is known to be there. */
static cJSON *
send_document(const char *dir, const char *uri, const char *name, cJSON *first)
{
	cJSON *rewrite = build_handler("rewrite"), *there = build_file_matcher(dir, uri);
	cJSON *inside = gate_inside(), *route;
	cJSON *headers = build_handler("headers"), *file_server = build_handler("file_server"),
	      *set;
	cJSON *list;

	(void)cJSON_AddItemToObject(
	    there, "not", cJSON_DetachItemFromObjectCaseSensitive(inside, "not"));
	cJSON_Delete(inside);
	route = build_route(there, first);
	list = get(route, "handle");
	(void)cJSON_AddStringToObject(rewrite, "uri", uri);
	set = cJSON_AddObjectToObject(cJSON_AddObjectToObject(headers, "response"), "set");
	(void)cJSON_AddItemToObject(set, "Content-Type", build_text("application/json"));
	(void)cJSON_AddItemToObject(set, "Cache-Control", build_text("no-store"));
	(void)cJSON_AddItemToObject(set, ROUTE_ID_HEADER, build_text(name));
	(void)cJSON_AddStringToObject(file_server, "root", dir);
	(void)cJSON_AddItemToArray(list, rewrite);
	(void)cJSON_AddItemToArray(list, headers);
	(void)cJSON_AddItemToArray(list, file_server);
	return route;
}

struct cJSON *
route_identity(const char *dir, const char *name, struct cJSON *first)
{
	static const char *const paths[] = {ROUTE_IDENTITY_PATH}, *const methods[] = {
								      "GET", "HEAD"};
	DM_AUTO_FREE char *uri = dm_asprintf("/%s.json", name);
	cJSON *asked = cJSON_CreateObject();

	(void)cJSON_AddItemToObject(asked, "path", cJSON_CreateStringArray(paths, 1));
	(void)cJSON_AddItemToObject(asked, "method", cJSON_CreateStringArray(methods, 2));
	/* nested: the file is looked for only when it is asked for; matchers have no order */
	return build_subroute(build_pass_through(asked,
				  build_subroute(send_document(dir, uri, name, first), NULL, NULL)),
	    NULL, NULL);
}

static cJSON *
build_proxy(const struct route_spec *spec, bool stream_close_delay)
{
	cJSON *proxy = build_handler("reverse_proxy");
	cJSON *upstream = cJSON_CreateObject(), *headers, *response;

	(void)cJSON_AddStringToObject(upstream, "dial", spec->dial);
	(void)cJSON_AddItemToObject(proxy, "upstreams", build_list(upstream));
	(void)cJSON_AddNumberToObject(proxy, "flush_interval", ROUTE_FLUSH_NS);
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
	cJSON *route = cJSON_CreateObject(), *handle = cJSON_CreateArray();

	if (spec->gate)
		(void)cJSON_AddItemToArray(
		    handle, gate_build(spec->gate_dir, spec->id, spec->account));
	if (spec->identity_dir != NULL)
		(void)cJSON_AddItemToArray(
		    handle, route_identity(spec->identity_dir, spec->id, NULL));
	(void)cJSON_AddItemToArray(handle, build_proxy(spec, stream_close_delay));
	(void)cJSON_AddStringToObject(route, "@id", spec->id);
	(void)cJSON_AddItemToObject(
	    route, "match", build_list(object_of_texts("host", spec->hosts, spec->host_count)));
	(void)cJSON_AddItemToObject(route, "handle", handle);
	(void)cJSON_AddBoolToObject(route, "terminal", true);
	return route;
}

bool
route_has_close_delay(const struct cJSON *route)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, get(route, "handle")) {
		if (get(item, "stream_close_delay") != NULL)
			return true;
	}
	return false;
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

/* Whether a list of texts has this one. */
static bool
has_text(const cJSON *list, const char *text)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		if (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0)
			return true;
	}
	return false;
}

/* The innermost route, below `o`, that asks for ROUTE_IDENTITY_PATH; NULL if there is none. */
static const cJSON *
find_identity(const cJSON *o, int depth)
{
	const cJSON *child, *set, *found = NULL;

	if (depth > DEPTH_MAX)
		return NULL;
	cJSON_ArrayForEach (child, o) {
		if (found == NULL)
			found = find_identity(child, depth + 1);
	}
	cJSON_ArrayForEach (set, get(o, "match")) {
		if (found == NULL && has_text(get(set, "path"), ROUTE_IDENTITY_PATH))
			found = o;
	}
	return found;
}

const char *
route_identity_dir(const struct cJSON *route)
{
	const cJSON *root = find_key(find_identity(get(route, "handle"), 0), "root", 0);

	if (!cJSON_IsString(root) || root->valuestring[0] != '/' ||
	    strchr(root->valuestring, '{') != NULL)
		return NULL;
	return root->valuestring;
}
