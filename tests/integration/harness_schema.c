/* SPDX-License-Identifier: MIT */
/*
 * Answers held against openapi.json: the part of JSON Schema that it uses (type, also as a list;
 * enum, items, properties, required, additionalProperties, $ref). Stricter than the standard in one
 * point: a member that is not described is a mistake, unless additionalProperties says that there
 * are such.
 */
#include "harness_api.h"

#define REF "#/components/"

static const cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* What "#/components/schemas/Name" refers to. */
static const cJSON *
resolve(const cJSON *openapi, const cJSON *o)
{
	const char *ref = cJSON_GetStringValue(get(o, "$ref"));
	const cJSON *kind;
	char name[32];
	size_t n;

	if (ref == NULL)
		return o;
	if (strncmp(ref, REF, strlen(REF)) != 0)
		fail_msg("$ref %s", ref);
	ref += strlen(REF);
	n = strcspn(ref, "/");
	assert_true(n < sizeof name);
	memcpy(name, ref, n);
	name[n] = '\0';
	kind = get(get(openapi, "components"), name);
	o = ref[n] == '/' ? get(kind, ref + n + 1) : NULL;
	if (o == NULL)
		fail_msg("$ref to what is not there: %s", ref);
	return o;
}

static bool
has_type(const cJSON *value, const char *type)
{
	return (strcmp(type, "object") == 0 && cJSON_IsObject(value)) ||
	       (strcmp(type, "array") == 0 && cJSON_IsArray(value)) ||
	       (strcmp(type, "string") == 0 && cJSON_IsString(value)) ||
	       (strcmp(type, "boolean") == 0 && cJSON_IsBool(value)) ||
	       (strcmp(type, "null") == 0 && cJSON_IsNull(value)) ||
	       (strcmp(type, "number") == 0 && cJSON_IsNumber(value)) ||
	       (strcmp(type, "integer") == 0 && cJSON_IsNumber(value) &&
		   !(value->valuedouble < (double)(int64_t)value->valuedouble) &&
		   !(value->valuedouble > (double)(int64_t)value->valuedouble));
}

static bool
has_one_type(const cJSON *value, const cJSON *types)
{
	const cJSON *type;

	if (cJSON_IsString(types))
		return has_type(value, types->valuestring);
	cJSON_ArrayForEach (type, types) {
		if (has_type(value, type->valuestring))
			return true;
	}
	return types == NULL;
}

static void
check(const cJSON *openapi, const cJSON *schema, const cJSON *value, const char *where)
{
	const cJSON *list, *m;
	char sub[512];
	int i = 0;

	schema = resolve(openapi, schema);
	if (!has_one_type(value, get(schema, "type")))
		fail_msg("%s: %s is no %s", where, cJSON_PrintUnformatted(value),
		    cJSON_PrintUnformatted(get(schema, "type")));
	if ((list = get(schema, "enum")) != NULL) {
		cJSON_ArrayForEach (m, list) {
			if (cJSON_Compare(m, value, true))
				break;
		}
		if (m == NULL)
			fail_msg("%s: %s is none of %s", where, cJSON_PrintUnformatted(value),
			    cJSON_PrintUnformatted(list));
	}
	cJSON_ArrayForEach (m, get(schema, "required")) {
		/* null has no members to miss */
		if (cJSON_IsObject(value) && get(value, m->valuestring) == NULL)
			fail_msg("%s: no member %s", where, m->valuestring);
	}
	cJSON_ArrayForEach (m, value) {
		const cJSON *of;

		if (cJSON_IsArray(value)) {
			snprintf(sub, sizeof sub, "%s[%d]", where, i++);
			of = get(schema, "items");
		} else {
			snprintf(sub, sizeof sub, "%s.%s", where, m->string);
			of = get(get(schema, "properties"), m->string);
			if (of == NULL && cJSON_IsObject(get(schema, "additionalProperties")))
				of = get(schema, "additionalProperties");
		}
		if (of != NULL)
			check(openapi, of, m, sub);
		else if (!cJSON_IsTrue(get(schema, "additionalProperties")))
			fail_msg("%s is not described", sub);
	}
}

void
assert_fits(const cJSON *openapi, const char *schema, const cJSON *value)
{
	const cJSON *of = get(get(get(openapi, "components"), "schemas"), schema);

	assert_non_null(of);
	check(openapi, of, value, schema);
}

void
assert_event_described(const cJSON *openapi, const char *kind, const cJSON *data)
{
	const cJSON *paths = get(openapi, "paths"), *events = get(paths, "/api/v1/events");
	const cJSON *schema = get(get(get(events, "get"), "x-events"), kind);

	if (schema == NULL)
		fail_msg("events of the kind %s are not described", kind);
	check(openapi, schema, data, kind);
}

/* Whether "/a/{id}/b" is the path, whose query does not count. */
static bool
is_path(const char *pattern, const char *path)
{
	for (; *pattern != '\0'; pattern++) {
		if (*pattern == '{') {
			pattern += strcspn(pattern, "}");
			path += strcspn(path, "/?");
		} else if (*pattern != *path++) {
			return false;
		}
	}
	return *path == '\0' || *path == '?';
}

static const cJSON *
find_operation(const cJSON *openapi, const char *method, const char *path)
{
	char lower[16] = "";
	const cJSON *item;
	size_t i;

	for (i = 0; method[i] != '\0' && i + 1 < sizeof lower; i++)
		lower[i] = (char)(method[i] | 0x20);
	cJSON_ArrayForEach (item, get(openapi, "paths")) {
		if (is_path(item->string, path))
			return get(item, lower);
	}
	return NULL;
}

void
assert_described(
    struct world *w, const cJSON *openapi, const char *method, const char *path, struct reply r)
{
	const cJSON *operation = find_operation(openapi, method, path), *response, *content;
	const char *type = reply_header(w, r, "Content-Type");

	if (operation == NULL)
		fail_msg("%s %s is not described", method, path);
	response = get(get(operation, "responses"), fmt(w, "%ld", r.status));
	if (response == NULL)
		fail_msg(
		    "%s %s: the status %ld is not described: %s", method, path, r.status, r.body);
	assert_non_null(type);
	content = get(get(resolve(openapi, response), "content"),
	    fmt(w, "%.*s", (int)strcspn(type, ";"), type));
	if (content == NULL)
		fail_msg("%s %s: the type %s is not described", method, path, type);
	if (strcmp(type, "application/json") == 0)
		check(openapi, get(content, "schema"), json_of(w, r.body),
		    fmt(w, "%s %s", method, path));
}

static void
check_schema(const cJSON *openapi, const cJSON *schema, const char *where)
{
	static const char *const known[] = {"type", "enum", "items", "properties", "required",
	    "description", "$ref", "additionalProperties"};
	const cJSON *m, *name;
	size_t i;

	(void)resolve(openapi, schema);
	cJSON_ArrayForEach (m, schema) {
		for (i = 0; i < sizeof known / sizeof known[0]; i++) {
			if (strcmp(known[i], m->string) == 0)
				break;
		}
		if (i == sizeof known / sizeof known[0])
			fail_msg("%s uses %s, which no test understands", where, m->string);
	}
	cJSON_ArrayForEach (name, get(schema, "required")) {
		if (get(get(schema, "properties"), name->valuestring) == NULL &&
		    !cJSON_IsTrue(get(schema, "additionalProperties")))
			fail_msg(
			    "%s requires %s, and does not describe it", where, name->valuestring);
	}
	cJSON_ArrayForEach (m, get(schema, "properties"))
		check_schema(openapi, m, m->string);
	if (get(schema, "items") != NULL)
		check_schema(openapi, get(schema, "items"), where);
}

/* Whatever is called "schema", wherever it is. */
static void
check_all(const cJSON *openapi, const cJSON *o, const char *where)
{
	const cJSON *m;

	cJSON_ArrayForEach (m, o) {
		if (cJSON_IsObject(o) && strcmp(m->string, "schema") == 0)
			check_schema(openapi, m, where);
		else if (cJSON_IsObject(m) || cJSON_IsArray(m))
			check_all(openapi, m, m->string != NULL ? m->string : where);
	}
	if (get(o, "$ref") != NULL)
		(void)resolve(openapi, o);
}

void
assert_schemas_sound(const cJSON *openapi)
{
	const cJSON *m;

	assert_string_equal(json_str(openapi, "openapi"), "3.1.0");
	check_all(openapi, get(openapi, "paths"), "paths");
	check_all(openapi, get(get(openapi, "components"), "responses"), "responses");
	cJSON_ArrayForEach (m, get(get(openapi, "components"), "schemas"))
		check_schema(openapi, m, m->string);
}
