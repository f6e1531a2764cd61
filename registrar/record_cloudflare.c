/* SPDX-License-Identifier: MIT */
/*
 * Cloudflare's API, version 4: https://developers.cloudflare.com/api/ (zones, dns/records) and
 * .../fundamentals/api/reference/limits/. Every answer is an envelope: success, errors (code and
 * message), result, and for lists result_info with the pages.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "record_provider.h"

enum {
	TIMEOUT_MS = 15000,
	ANSWER_MAX = 1 << 20,
	PATH_LENGTH_MAX = 512,
	PER_PAGE = 50, /* the most for zones */
	PAGES_MAX = 20,
	/* errors about the token: authentication, an invalid one, a header that is none */
	CODE_AUTHENTICATION = 10000,
	CODE_INVALID_TOKEN = 9109,
	CODE_BAD_HEADERS = 6003,
};

static const cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* What goes into a URL has to look like an id. */
static bool
take_id(const cJSON *o, char out[RECORD_ID_MAX])
{
	const char *id = cJSON_GetStringValue(get(o, "id"));
	size_t len = id == NULL ? 0 : strlen(id);

	if (len == 0 || len >= RECORD_ID_MAX ||
	    strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != len)
		return false;
	memcpy(out, id, len + 1);
	return true;
}

/* ---- one request ------------------------------------------------------------------------ */

/* In the provider's words, unless they repeat what is secret. */
static void
fail_by(const struct record_call *call, struct dm_err *err, enum dm_code code, const char *method,
    const char *path, int status, const cJSON *errors)
{
	const cJSON *first = cJSON_GetArrayItem(errors, 0);
	const char *message = cJSON_GetStringValue(get(first, "message"));
	const cJSON *number = get(first, "code");
	int where = (int)strcspn(path, "?");

	if (message == NULL || strstr(message, call->token) != NULL)
		(void)dm_fail(
		    err, code, "Cloudflare answers %d to %s %.*s", status, method, where, path);
	else
		(void)dm_fail(err, code, "Cloudflare answers %d to %s %.*s: %.200s (%.0f)", status,
		    method, where, path, message,
		    cJSON_IsNumber(number) ? number->valuedouble : 0.0);
}

static bool
is_about_token(int status, const cJSON *errors)
{
	const cJSON *e;

	cJSON_ArrayForEach (e, errors) {
		const cJSON *code = get(e, "code");

		if (cJSON_IsNumber(code) &&
		    (code->valueint == CODE_AUTHENTICATION ||
			code->valueint == CODE_INVALID_TOKEN || code->valueint == CODE_BAD_HEADERS))
			return true;
	}
	return status == 401 || status == 403;
}

/* The header may also be a date (RFC 9110); then the caller's own patience has to do. */
static void
note_patience(struct record_call *call, const struct http_reply *reply)
{
	char text[32];
	uint64_t seconds;

	if (http_reply_field(reply, "Retry-After", text, sizeof(text), NULL) &&
	    dm_parse_uint(text, 0, UINT32_MAX, &seconds))
		call->retry_after_s = (int64_t)seconds;
}

/* False with *err set unless it says that it went well. */
static bool
judge(struct record_call *call, const char *method, const char *path,
    const struct http_reply *reply, const cJSON *answer, struct dm_err *err)
{
	const cJSON *errors = get(answer, "errors");

	if (reply->status >= 200 && reply->status < 300 && cJSON_IsTrue(get(answer, "success")))
		return true;
	note_patience(call, reply);
	if (is_about_token(reply->status, errors)) {
		fail_by(call, err, DM_DENIED, method, path, reply->status, errors);
		return dm_hint(err, "the token in record.token_file needs the permissions Zone / "
				    "Zone / Read and Zone / DNS / Edit for the zone");
	}
	fail_by(call, err,
	    reply->status == 429 || reply->status >= 500 ? DM_UNREACHABLE : DM_FAILED, method, path,
	    reply->status, errors);
	return false;
}

/* The whole answer; the caller owns it. NULL with *err set. */
static cJSON *
ask(struct record_call *call, const char *method, const char *path, const char *body,
    struct dm_err *err)
{
	DM_AUTO_FREE char *url = dm_asprintf("%s%s", call->base, path);
	DM_AUTO_FREE char *bearer = dm_asprintf("Authorization: Bearer %s", call->token);
	const struct http_request request = {.method = method,
	    .url = url,
	    .headers = {bearer, "Accept: application/json",
		body == NULL ? NULL : "Content-Type: application/json"},
	    .body = body,
	    .outside = dm_starts_with(call->base, "https:"), /* not a test's stand-in */
	    .timeout_ms = TIMEOUT_MS,
	    .max_body = ANSWER_MAX};
	HTTP_AUTO_REPLY struct http_reply reply;
	cJSON *answer = NULL;

	http_reply_init(&reply);
	if (http_perform(call->http, &request, &reply, err) == HTTP_ANSWERED) {
		answer = cJSON_ParseWithLength(reply.body.data, reply.body.len);
		if (reply.status >= 200 && reply.status < 300 && !cJSON_IsObject(answer))
			(void)dm_fail(err, DM_FAILED,
			    "Cloudflare's answer to %s %.*s is no JSON object", method,
			    (int)strcspn(path, "?"), path);
		else if (judge(call, method, path, &reply, answer, err))
			return answer;
	} else if (err->code == DM_DENIED) {
		/* a certificate that is not the provider's: of a network that wants a login first
		 */
		err->code = DM_UNREACHABLE;
	}
	cJSON_Delete(answer);
	return NULL;
}

/* ---- lists ------------------------------------------------------------------------------ */

/* One member of a list; false: it cannot be what was asked for. */
typedef bool member_fn(const cJSON *member, void *user);

/* How many pages there are, PAGES_MAX + 1 if they are more than that; not every list has said so
 * itself at all times. */
static int
pages_of(const cJSON *info)
{
	const cJSON *pages = get(info, "total_pages"), *all = get(info, "total_count");
	const cJSON *per_page = get(info, "per_page");
	double n = 1;

	if (cJSON_IsNumber(pages))
		n = pages->valuedouble;
	else if (cJSON_IsNumber(all) && cJSON_IsNumber(per_page) && per_page->valuedouble >= 1)
		n = (all->valuedouble + per_page->valuedouble - 1) / per_page->valuedouble;
	return n > PAGES_MAX ? PAGES_MAX + 1 : n > 1 ? (int)n : 1;
}

/* One page of it; *pages (of all) may be NULL. */
static bool
read_page(const cJSON *answer, member_fn *fn, void *user, int *pages)
{
	const cJSON *result = get(answer, "result"), *member;
	bool sound = cJSON_IsArray(result);

	cJSON_ArrayForEach (member, result)
		sound = sound && fn(member, user);
	if (pages != NULL)
		*pages = pages_of(get(answer, "result_info"));
	return sound;
}

/* Every page of it. `path` has a query already. */
static bool
each(struct record_call *call, const char *path, member_fn *fn, void *user, struct dm_err *err)
{
	for (int page = 1, pages = 1; page <= pages; page++) {
		char whole[PATH_LENGTH_MAX];
		cJSON *answer;
		bool sound;

		if (!dm_snprintf(
			whole, sizeof(whole), "%s&page=%d&per_page=%d", path, page, PER_PAGE))
			return dm_fail(err, DM_FAILED, "the names are too long");
		answer = ask(call, "GET", whole, NULL, err);
		if (answer == NULL)
			return false;
		sound = read_page(answer, fn, user, &pages);
		cJSON_Delete(answer);
		if (pages > PAGES_MAX)
			return dm_fail(err, DM_FAILED,
			    "Cloudflare's answer to GET %.*s has more than %d pages",
			    (int)strcspn(path, "?"), path, PAGES_MAX);
		if (!sound)
			return dm_fail(err, DM_FAILED,
			    "Cloudflare's answer to GET %.*s is not as documented",
			    (int)strcspn(path, "?"), path);
	}
	return true;
}

struct zone_search {
	const char *name;
	char *id;
	bool active;
};

/* Several accounts may have claimed the name; the one that serves it is active. */
static bool
see_zone(const cJSON *zone, void *user)
{
	struct zone_search *search = user;
	const char *name = cJSON_GetStringValue(get(zone, "name"));
	const char *status = cJSON_GetStringValue(get(zone, "status"));

	if (name == NULL)
		return false;
	if (strcasecmp(name, search->name) != 0 || search->active)
		return true;
	search->active = status != NULL && strcmp(status, "active") == 0;
	return take_id(zone, search->id);
}

static bool
find_zone(struct record_call *call, const char *zone, char id[RECORD_ID_MAX], struct dm_err *err)
{
	struct zone_search search = {.name = zone, .id = id};
	char path[PATH_LENGTH_MAX];

	id[0] = '\0';
	if (!dm_snprintf(path, sizeof(path), "/zones?name=%s", zone))
		return dm_fail(err, DM_FAILED, "the zone's name is too long");
	return each(call, path, see_zone, &search, err);
}

struct entry_search {
	const char *name;
	struct record_entries *out;
};

/* The filter is the provider's; that it was applied is looked at here. */
static bool
see_entry(const cJSON *entry, void *user)
{
	const struct entry_search *search = user;
	const char *name = cJSON_GetStringValue(get(entry, "name"));
	const char *type = cJSON_GetStringValue(get(entry, "type"));
	const char *content = cJSON_GetStringValue(get(entry, "content"));

	if (name == NULL || type == NULL)
		return false;
	if (strcasecmp(name, search->name) != 0 || strcmp(type, "A") != 0)
		return true;
	if (search->out->count++ > 0)
		return true;
	search->out->direct = !cJSON_IsTrue(get(entry, "proxied"));
	return content != NULL && take_id(entry, search->out->id) &&
	       dm_snprintf(search->out->content, sizeof(search->out->content), "%s", content);
}

static bool
find(struct record_call *call, const char *zone_id, const char *name, struct record_entries *out,
    struct dm_err *err)
{
	struct entry_search search = {.name = name, .out = out};
	char path[PATH_LENGTH_MAX];

	memset(out, 0, sizeof(*out));
	/* "*" is data in a query, but better not left to chance: RFC 3986 §2.2 */
	if (!dm_snprintf(path, sizeof(path), "/zones/%s/dns_records?type=A&name=%s%s", zone_id,
		name[0] == '*' ? "%2A" : "", name[0] == '*' ? name + 1 : name))
		return dm_fail(err, DM_FAILED, "the record's name is too long");
	return each(call, path, see_entry, &search, err);
}

bool
record_cloudflare_read(const char *text, size_t len, const char *name, char zone_id[RECORD_ID_MAX],
    struct record_entries *out)
{
	struct zone_search zone = {.name = name, .id = zone_id};
	struct entry_search entry = {.name = name, .out = out};
	cJSON *answer = cJSON_ParseWithLength(text, len);
	bool sound;

	zone_id[0] = '\0';
	memset(out, 0, sizeof(*out));
	sound =
	    read_page(answer, see_zone, &zone, NULL) && read_page(answer, see_entry, &entry, NULL);
	cJSON_Delete(answer);
	return sound;
}

/* ---- writing ---------------------------------------------------------------------------- */

static bool
put(struct record_call *call, const char *zone_id, const char *id, const char *name,
    const char *address, struct dm_err *err)
{
	cJSON *o = cJSON_CreateObject(), *answer;
	DM_AUTO_FREE char *body = NULL;
	char path[PATH_LENGTH_MAX];
	const char *content;
	bool ok;

	(void)cJSON_AddStringToObject(o, "type", "A");
	(void)cJSON_AddStringToObject(o, "name", name);
	(void)cJSON_AddStringToObject(o, "content", address);
	(void)cJSON_AddNumberToObject(o, "ttl", RECORD_TTL);
	(void)cJSON_AddBoolToObject(o, "proxied", false);
	if (id == NULL)
		(void)cJSON_AddStringToObject(o, "comment", "kept by devmesh");
	body = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	(void)snprintf(path, sizeof(path), "/zones/%s/dns_records%s%s", zone_id,
	    id == NULL ? "" : "/", id == NULL ? "" : id);
	answer = ask(call, id == NULL ? "POST" : "PATCH", path, body, err);
	if (answer == NULL)
		return false;
	content = cJSON_GetStringValue(get(get(answer, "result"), "content"));
	ok = content != NULL && strcmp(content, address) == 0;
	if (!ok)
		(void)dm_fail(err, DM_FAILED, "Cloudflare has not taken %s over", address);
	cJSON_Delete(answer);
	return ok;
}

const struct record_provider record_cloudflare = {
    .name = "cloudflare",
    .base = "https://api.cloudflare.com/client/v4",
    .find_zone = find_zone,
    .find = find,
    .write = put,
};
