/* SPDX-License-Identifier: MIT */
#include "caddy/build.h"

#include <cjson/cJSON.h>
#include <stddef.h>

struct cJSON *
build_list(struct cJSON *item)
{
	cJSON *list = cJSON_CreateArray();

	if (item != NULL)
		(void)cJSON_AddItemToArray(list, item);
	return list;
}

struct cJSON *
build_text(const char *text)
{
	return build_list(cJSON_CreateString(text));
}

struct cJSON *
build_handler(const char *name)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "handler", name);
	return o;
}

struct cJSON *
build_matcher(const char *key, const char *name, const char *value)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddItemToObject(cJSON_AddObjectToObject(o, key), name, build_text(value));
	return o;
}

struct cJSON *
build_not(struct cJSON *matcher)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddItemToObject(o, "not", build_list(matcher));
	return o;
}

struct cJSON *
build_file_matcher(const char *dir, const char *name)
{
	cJSON *o = build_matcher("file", "try_files", name);

	(void)cJSON_AddStringToObject(cJSON_GetObjectItemCaseSensitive(o, "file"), "root", dir);
	return o;
}

struct cJSON *
build_regexp_matcher(const char *subject, const char *name, const char *pattern)
{
	cJSON *o = cJSON_CreateObject(), *match = cJSON_AddObjectToObject(o, "vars_regexp");
	cJSON *rule = cJSON_AddObjectToObject(match, subject);

	(void)cJSON_AddStringToObject(rule, "name", name);
	(void)cJSON_AddStringToObject(rule, "pattern", pattern);
	return o;
}

struct cJSON *
build_pass_through(struct cJSON *match, struct cJSON *handle)
{
	cJSON *o = cJSON_CreateObject();

	if (match != NULL)
		(void)cJSON_AddItemToObject(o, "match", build_list(match));
	(void)cJSON_AddItemToObject(o, "handle", build_list(handle));
	return o;
}

struct cJSON *
build_route(struct cJSON *match, struct cJSON *handle)
{
	cJSON *o = build_pass_through(match, handle);

	(void)cJSON_AddBoolToObject(o, "terminal", true);
	return o;
}

struct cJSON *
build_subroute(struct cJSON *first, struct cJSON *second, struct cJSON *third)
{
	cJSON *o = build_handler("subroute"), *routes = cJSON_AddArrayToObject(o, "routes");

	(void)cJSON_AddItemToArray(routes, first);
	if (second != NULL)
		(void)cJSON_AddItemToArray(routes, second);
	if (third != NULL)
		(void)cJSON_AddItemToArray(routes, third);
	return o;
}

struct cJSON *
build_answer(int status, const char *type, const char *body)
{
	cJSON *o = build_handler("static_response");

	(void)cJSON_AddNumberToObject(o, "status_code", status);
	(void)cJSON_AddObjectToObject(o, "headers");
	build_answer_header(o, "Content-Type", type);
	build_answer_header(o, "Cache-Control", "no-store");
	(void)cJSON_AddStringToObject(o, "body", body);
	return o;
}

void
build_answer_header(struct cJSON *answer, const char *name, const char *value)
{
	(void)cJSON_AddItemToObject(
	    cJSON_GetObjectItemCaseSensitive(answer, "headers"), name, build_text(value));
}
