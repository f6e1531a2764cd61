/* SPDX-License-Identifier: MIT */
#include "caddy/batch.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "caddy/change_impl.h"
#include "caddy/mesh.h"

enum {
	LIST_MAX = 32 << 20
};

/* One route of a list: the bytes it consists of, and what they say. */
struct item {
	const char *text;
	size_t len;
	const cJSON *json;
	bool put; /* its @id is one that the batch puts */
};

/* A route that was added. */
struct made {
	cJSON *json;
	char *text;
};

struct list {
	struct item *items;
	size_t count;
	cJSON *parsed; /* what was there */
	struct made *made;
	size_t made_count;
};

static void
list_release(struct list *list)
{
	for (size_t i = 0; i < list->made_count; i++) {
		cJSON_Delete(list->made[i].json);
		free(list->made[i].text);
	}
	free(list->made);
	free(list->items);
	cJSON_Delete(list->parsed);
}

#define AUTO_LIST __attribute__((cleanup(list_release)))

/* The end of the JSON text that begins at p: the comma or bracket behind it, or `end`. */
static const char *
element_end(const char *p, const char *end)
{
	bool in_text = false;
	int depth = 0;

	for (; p < end; p++) {
		if (in_text && *p == '\\' && p + 1 < end)
			p++;
		else if (*p == '"')
			in_text = !in_text;
		else if (in_text)
			continue;
		else if (depth == 0 && (*p == ',' || *p == ']'))
			return p;
		else if (*p == '[' || *p == '{')
			depth++;
		else if (*p == ']' || *p == '}')
			depth--;
	}
	return end;
}

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

static bool
is_put(const struct route_batch *batch, const char *id)
{
	for (size_t i = 0; id != NULL && i < batch->put_count; i++) {
		if (strcmp(batch->put[i].id, id) == 0)
			return true;
	}
	return false;
}

static bool
fail_no_list(struct dm_err *err)
{
	return dm_fail(err, DM_FAILED, "Caddy's list of routes is not a JSON array");
}

/*
 * Takes the text apart into its elements; what each says is cJSON's affair. That one forgives more
 * than JSON allows: a text in which the two do not meet is none.
 */
static bool
list_parse(struct list *list, const char *text, size_t len, const struct route_batch *batch,
    struct dm_err *err)
{
	const char *end = text + len, *p = skip_blanks(text, end);
	const cJSON *json;

	list->parsed = cJSON_ParseWithLength(text, len);
	if (!cJSON_IsArray(list->parsed) || *p != '[')
		return fail_no_list(err);
	list->items = dm_calloc((size_t)cJSON_GetArraySize(list->parsed), sizeof(*list->items));
	cJSON_ArrayForEach (json, list->parsed) {
		/* p is at the bracket, or the comma, in front of it */
		const char *begin = skip_blanks(p + 1, end);

		p = element_end(begin, end);
		if (p == end || *p != (json->next == NULL ? ']' : ','))
			return fail_no_list(err);
		list->items[list->count++] = (struct item){.text = begin,
		    .len = (size_t)(p - begin),
		    .json = json,
		    .put = is_put(batch, route_id(json))};
	}
	return true;
}

static void
list_remove(struct list *list, size_t at)
{
	list->count--;
	memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof(*list->items));
}

/* Takes over `json`. */
static void
list_insert(struct list *list, size_t at, cJSON *json, bool put)
{
	struct made made = {.json = json, .text = cJSON_PrintUnformatted(json)};

	list->made = dm_reallocarray(list->made, list->made_count + 1, sizeof(*list->made));
	list->made[list->made_count++] = made;
	list->items = dm_reallocarray(list->items, list->count + 1, sizeof(*list->items));
	memmove(&list->items[at + 1], &list->items[at], (list->count - at) * sizeof(*list->items));
	list->items[at] =
	    (struct item){.text = made.text, .len = strlen(made.text), .json = json, .put = put};
	list->count++;
}

/* NULL if it is too long. */
static char *
list_text(const struct list *list)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(LIST_MAX);

	(void)dm_str_add(&out, "[", 1);
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			(void)dm_str_add(&out, ",", 1);
		(void)dm_str_add(&out, list->items[i].text, list->items[i].len);
	}
	(void)dm_str_add(&out, "]", 1);
	return out.overflow ? NULL : dm_str_take(&out);
}

/* A route that is wanted, be it a service's (spec) or the mesh's. */
struct wanted {
	const char *id;
	const char *hosts[2];
	size_t host_count;
	const struct route_spec *spec; /* NULL: the mesh route */
	const struct mesh_spec *mesh;
};

static bool
has_id(const struct item *item, const char *id)
{
	const char *own = route_id(item->json);

	return own != NULL && strcmp(own, id) == 0;
}

/*
 * Where the route belongs: in front of the first that would catch one of its hosts, or at the end.
 * Routes that the batch puts are not looked at: each of them has its own hosts.
 */
static size_t
place_for(const struct list *list, const struct wanted *w)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].put || has_id(&list->items[i], w->id))
			continue;
		for (size_t h = 0; h < w->host_count; h++) {
			if (route_catches(list->items[i].json, w->hosts[h]))
				return i;
		}
	}
	return list->count;
}

static cJSON *
build(const struct wanted *w, bool stream_close_delay)
{
	if (w->spec != NULL)
		return route_build(w->spec, stream_close_delay);
	return mesh_route(
	    w->mesh->domain, w->mesh->sockets_dir, w->mesh->identity_dir, stream_close_delay);
}

static bool
is_as_wanted(const struct wanted *w, const cJSON *route)
{
	bool equal = false;

	if (w->spec != NULL)
		return route_equals(route, w->spec);
	for (int delay = 0; delay < 2 && !equal; delay++) {
		cJSON *built = build(w, delay == 1);

		equal = cJSON_Compare(route, built, true) != 0;
		cJSON_Delete(built);
	}
	return equal;
}

static void
put(struct list *list, const struct wanted *w, bool stream_close_delay,
    struct route_batch_result *result)
{
	size_t place = place_for(list, w), count = 0;
	bool good = false;

	for (size_t i = 0; i < list->count; i++) {
		if (has_id(&list->items[i], w->id) && count++ == 0)
			good = i < place && is_as_wanted(w, list->items[i].json);
	}
	if (count == 1 && good)
		return;
	for (size_t i = list->count; i-- > 0;) {
		if (!has_id(&list->items[i], w->id))
			continue;
		list_remove(list, i);
		place -= i < place ? 1 : 0;
	}
	list_insert(list, place, build(w, stream_close_delay), w->spec != NULL);
	result->replaced += count > 0 ? 1 : 0;
	result->added += count > 0 ? 0 : 1;
}

static void
put_mesh(struct list *list, const struct mesh_spec *mesh, bool stream_close_delay,
    struct route_batch_result *result)
{
	DM_AUTO_FREE char *host = mesh_any_host(mesh->domain);
	const struct wanted w = {
	    .id = MESH_ROUTE_ID, .hosts = {host}, .host_count = 1, .mesh = mesh};

	put(list, &w, stream_close_delay, result);
}

static void
put_service(struct list *list, const struct route_spec *spec, bool stream_close_delay,
    struct route_batch_result *result)
{
	const struct wanted w = {.id = spec->id,
	    .hosts = {spec->hosts[0], spec->hosts[1]},
	    .host_count = spec->host_count,
	    .spec = spec};

	put(list, &w, stream_close_delay, result);
}

bool
route_batch_apply(const char *routes, size_t len, const struct route_batch *batch,
    bool stream_close_delay, char **out, struct route_batch_result *result, struct dm_err *err)
{
	AUTO_LIST struct list list = {.count = 0};

	*out = NULL;
	*result = (struct route_batch_result){.added = 0};
	if (!list_parse(&list, routes, len, batch, err))
		return false;
	for (size_t r = 0; r < batch->remove_count; r++) {
		for (size_t i = list.count; i-- > 0;) {
			if (!route_is_ours(list.items[i].json, batch->remove[r]))
				continue;
			list_remove(&list, i);
			result->removed++;
		}
	}
	/* first: it catches what the services' own routes have to stand in front of */
	if (batch->mesh != NULL)
		put_mesh(&list, batch->mesh, stream_close_delay, result);
	for (size_t i = 0; i < batch->put_count; i++)
		put_service(&list, &batch->put[i], stream_close_delay, result);
	if (result->added + result->replaced + result->removed == 0)
		return true;
	*out = list_text(&list);
	return *out != NULL || dm_fail(err, DM_FAILED, "Caddy's list of routes is too long");
}

/*
 * One turn: *settled when there is nothing (more) to do; else *made says what was to be done, and
 * *done whether it was.
 */
static bool
change_once(struct attempt *a, const char *path, const struct route_batch *batch,
    struct route_batch_result *made, bool *settled, bool *done, struct dm_err *err)
{
	DM_AUTO_FREE char *text = NULL, *changed = NULL;
	struct route_batch_result result;
	bool in_trailer, is_list, delay = false;
	char etag[ETAG_MAX];
	cJSON *routes;

	*done = false;
	if (!attempt_get(a, path, &routes, etag, &in_trailer, err))
		return false;
	if (routes == NULL)
		return caddy_admin_refused(&a->reply, path, err);
	is_list = cJSON_IsArray(routes);
	/* a server may have no list yet, or null */
	text = dm_strdup(is_list ? a->reply.body.data : "[]");
	if (batch->put_count > 0 || batch->mesh != NULL)
		delay = attempt_knows_close_delay(a, routes, in_trailer);
	cJSON_Delete(routes);
	if (!route_batch_apply(text, strlen(text), batch, delay, &changed, &result, err))
		return false;
	*settled = changed == NULL;
	if (*settled)
		return true;
	*made = result;
	/* PATCH replaces a whole array; POST to what is no array sets it */
	return attempt_write(a, is_list ? "PATCH" : "POST", path, changed, etag, done, err);
}

bool
caddy_routes_change(struct caddy_admin *admin, const char *server, const struct route_batch *batch,
    struct route_batch_result *result, struct dm_err *err)
{
	DM_AUTO_FREE char *path = change_list_path(server);
	AUTO_ATTEMPT struct attempt a;
	bool settled = false, done = false, tried = false;

	*result = (struct route_batch_result){.added = 0};
	attempt_begin(&a, admin);
	for (unsigned written = 0; !settled; written += done ? 1 : 0) {
		if (!change_once(&a, path, batch, result, &settled, &done, err) ||
		    /* another writer of the same routes: each turn costs everybody a reload */
		    (done && written > 0 && !attempt_back_off(&a, "the routes do not stay", err)))
			return dm_wrap(err, "changing the routes of Caddy's server %s", server);
		/* the outcome of a write may have been unknown: here it is carried out */
		tried |= !settled;
	}
	result->wrote = tried;
	return true;
}
