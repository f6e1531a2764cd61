/* SPDX-License-Identifier: MIT */
#include "caddy/change.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "caddy/change_impl.h"
#include "caddy/etag.h"
#include "caddy/mesh.h"

enum {
	FIRST_PAUSE_MS = 4,
	LAST_PAUSE_MS = 200,
	RESET_RETRIES = 6,
	MIN_TOTAL_MS = 10000, /* twenty writers at once need many tries */
	CONFIG_MAX = 32 << 20,
};

void
attempt_begin(struct attempt *a, struct caddy_admin *admin)
{
	int64_t total = 3 * caddy_admin_timeout(admin);

	a->admin = admin;
	a->deadline = dm_now_ms() + (total > MIN_TOTAL_MS ? total : MIN_TOTAL_MS);
	a->pause = FIRST_PAUSE_MS;
	a->jitter = (unsigned)getpid();
	a->delay = DELAY_UNKNOWN;
	http_reply_init(&a->reply);
}

void
attempt_end(struct attempt *a)
{
	http_reply_release(&a->reply);
}

bool
attempt_back_off(struct attempt *a, const char *why, struct dm_err *err)
{
	if (dm_now_ms() >= a->deadline) {
		(void)dm_fail(err, DM_TIMEOUT,
		    "Caddy's configuration at %s kept changing, or did not answer: %s",
		    caddy_admin_address(a->admin), why);
		return dm_hint(err, "run it again; if it persists, see what else writes to Caddy");
	}
	dm_debug("trying again: %s", why);
	/* a process's own sequence is enough to keep several from moving in step */
	a->jitter = a->jitter * 1103515245U + 12345U;
	dm_pause_ms(a->pause / 2 + 1 + (int64_t)(a->jitter >> 16) % a->pause);
	a->pause = a->pause * 2 < LAST_PAUSE_MS ? a->pause * 2 : LAST_PAUSE_MS;
	return true;
}

bool
attempt_get(struct attempt *a, const char *path, cJSON **json, char etag[ETAG_MAX],
    bool *in_trailer, struct dm_err *err)
{
	*json = NULL;
	for (int i = 0;; i++) {
		enum http_outcome outcome =
		    caddy_admin_send(a->admin, "GET", path, NULL, NULL, NULL, &a->reply, err);

		if (outcome == HTTP_ANSWERED)
			break;
		/* one timeout is enough for a read; resets by a reload are over in a moment */
		if (err->code == DM_TIMEOUT || i >= RESET_RETRIES)
			return false;
		dm_pause_ms(FIRST_PAUSE_MS << i);
	}
	if (a->reply.status != 200)
		return true;
	if (!http_reply_field(&a->reply, "ETag", etag, ETAG_MAX, in_trailer)) {
		(void)dm_fail(err, DM_FAILED,
		    "Caddy at %s gives no ETag, so routes cannot be changed safely",
		    caddy_admin_address(a->admin));
		return dm_hint(err, "use the mesh route instead: [caddy] registration = mesh");
	}
	*json = cJSON_ParseWithLength(a->reply.body.data, a->reply.body.len);
	if (*json == NULL)
		return dm_fail(err, DM_FAILED, "Caddy's answer to GET %s is not JSON", path);
	return true;
}

/* Whether the answer to a write means "look again", not failure: others changed something. */
static bool
is_race(const struct http_reply *reply)
{
	const char *text = reply->body.data;

	return reply->status == 412 ||
	       (reply->status >= 400 && (strstr(text, "out of bounds") != NULL ||
					    strstr(text, "invalid traversal") != NULL ||
					    strstr(text, "duplicate ID") != NULL));
}

bool
attempt_write(struct attempt *a, const char *method, const char *path, const char *body,
    const char *etag, bool *done, struct dm_err *err)
{
	enum http_outcome outcome =
	    caddy_admin_send(a->admin, method, path, NULL, body, etag, &a->reply, err);
	DM_AUTO_FREE char *what = dm_asprintf("%s %s", method, path);

	*done = false;
	if (outcome == HTTP_NOT_SENT)
		return attempt_back_off(a, "no connection", err);
	if (outcome == HTTP_UNKNOWN)
		return attempt_back_off(a, "the outcome of a write is unknown", err);
	if (a->reply.status == 200) {
		*done = true;
		return true;
	}
	if (is_race(&a->reply))
		return attempt_back_off(a, "somebody else changed it first", err);
	return caddy_admin_refused(&a->reply, what, err);
}

/* An earlier devmesh has asked this Caddy already: the route that it made is the answer. */
static void
learn_close_delay(struct attempt *a, const cJSON *route)
{
	const char *id = route_id(route);

	if (a->delay == DELAY_UNKNOWN && id != NULL && route_is_ours(route, id))
		a->delay = route_has_close_delay(route) ? DELAY_YES : DELAY_NO;
}

/* Deletes one object with this @id. *gone when there is none (any more). */
static bool
remove_once(struct attempt *a, const char *id, bool *gone, unsigned *removed, struct dm_err *err)
{
	DM_AUTO_FREE char *by_id = dm_asprintf("/id/%s", id);
	char etag[ETAG_MAX], path[ETAG_MAX];
	const char *found;
	bool done, in_trailer;
	cJSON *object;

	*gone = false;
	if (!attempt_get(a, by_id, &object, etag, &in_trailer, err))
		return false;
	if (object == NULL) {
		if (a->reply.status == 404) {
			*gone = true;
			return true;
		}
		/* the index may point past an array that has just become shorter */
		if (is_race(&a->reply))
			return attempt_back_off(a, "the route moved while being read", err);
		return caddy_admin_refused(&a->reply, by_id, err);
	}
	/* the same race makes even the GET return another object */
	found = route_id(object);
	done = found != NULL && strcmp(found, id) == 0;
	learn_close_delay(a, object);
	cJSON_Delete(object);
	if (!done)
		return attempt_back_off(a, "Caddy answered with another route", err);
	if (!etag_path(etag, path, err))
		return false;
	if (!etag_path_is_route(path)) {
		(void)dm_fail(err, DM_CONFLICT,
		    "Caddy's configuration has the @id \"%s\" at %s, which is no route", id, path);
		return dm_hint(err, "choose another name: --id, --app or .id");
	}
	if (!attempt_write(a, "DELETE", path, NULL, etag, &done, err))
		return false;
	*removed += done ? 1 : 0;
	return true;
}

/* Removes objects with this @id until there are none, or `enough` have been removed. */
static bool
remove_some(
    struct attempt *a, const char *id, unsigned enough, unsigned *removed, struct dm_err *err)
{
	bool gone = false;

	while (!gone && *removed < enough) {
		if (!remove_once(a, id, &gone, removed, err))
			return dm_wrap(err, "removing the route %s from Caddy", id);
	}
	return true;
}

bool
caddy_route_remove(struct caddy_admin *admin, const char *id, unsigned *removed, struct dm_err *err)
{
	AUTO_ATTEMPT struct attempt a;

	*removed = 0;
	attempt_begin(&a, admin);
	return remove_some(&a, id, UINT_MAX, removed, err);
}

/* What a list of routes holds of ours, and where a new one belongs. */
struct standing {
	int count;     /* routes with our @id */
	bool equal;    /* the first of them is as wanted and reached by every request */
	int insert_at; /* index of the first other route that would catch our hosts; -1: none */
};

static struct standing
look(const cJSON *routes, const struct route_spec *spec)
{
	struct standing s = {.insert_at = -1};
	const cJSON *route;
	int i = 0;

	cJSON_ArrayForEach (route, routes) {
		const char *id = route_id(route);

		if (id != NULL && strcmp(id, spec->id) == 0) {
			if (s.count++ == 0)
				s.equal = s.insert_at < 0 && route_equals(route, spec);
		} else if (s.insert_at < 0) {
			for (size_t h = 0; h < spec->host_count; h++) {
				if (route_catches(route, spec->hosts[h]))
					s.insert_at = i;
			}
		}
		i++;
	}
	return s;
}

bool
attempt_knows_close_delay(struct attempt *a, const cJSON *routes, bool etag_in_trailer)
{
	struct dm_err ignored;
	const cJSON *route;

	if (!etag_in_trailer)
		return true;
	cJSON_ArrayForEach (route, routes) {
		learn_close_delay(a, route);
	}
	if (a->delay != DELAY_UNKNOWN)
		return a->delay == DELAY_YES;
	return caddy_admin_send(a->admin, "POST", "/adapt", "text/caddyfile", mesh_probe_caddyfile,
		   NULL, &a->reply, &ignored) == HTTP_ANSWERED &&
	       a->reply.status == 200;
}

/* Writes the route into the list that has the given ETag. */
static bool
insert(struct attempt *a, const char *list, const cJSON *routes, const char *etag, bool in_trailer,
    const struct route_spec *spec, int at, bool *done, struct dm_err *err)
{
	cJSON *route = route_build(spec, attempt_knows_close_delay(a, routes, in_trailer));
	DM_AUTO_FREE char *path = dm_strdup(list);
	const char *method = "POST";
	char *text;
	bool ok;

	if (!cJSON_IsArray(routes)) {
		/* no list yet, or null: POST to what is no array sets it */
		cJSON *array = cJSON_CreateArray();

		(void)cJSON_AddItemToArray(array, route);
		route = array;
	} else if (at >= 0) {
		free(path);
		path = dm_asprintf("%s/%d", list, at);
		method = "PUT";
	}
	text = cJSON_PrintUnformatted(route);
	ok = attempt_write(a, method, path, text, etag, done, err);
	free(text);
	cJSON_Delete(route);
	return ok;
}

/*
 * One turn: looks at the list with its ETag, and removes what is wrong or adds what is missing.
 * *present when there was exactly the wanted route; *written when this turn has added it.
 */
static bool
put_once(struct attempt *a, const char *list, const struct route_spec *spec, bool *present,
    bool *written, unsigned *removed, struct dm_err *err)
{
	char etag[ETAG_MAX];
	struct standing s;
	bool in_trailer, ok = true;
	cJSON *routes;

	*written = false;
	if (!attempt_get(a, list, &routes, etag, &in_trailer, err))
		return false;
	if (routes == NULL)
		return caddy_admin_refused(&a->reply, list, err);
	s = look(routes, spec);
	*present = s.count == 1 && s.equal;
	if (s.count == 0)
		ok = insert(a, list, routes, etag, in_trailer, spec, s.insert_at, written, err);
	else if (!*present)
		ok = remove_some(a, spec->id, UINT_MAX, removed, err);
	cJSON_Delete(routes);
	return ok;
}

/*
 * Reads back what was written, the quick way. It went into a list that had none of this @id, and
 * was then unchanged (If-Match): the one that answers to the @id now is the only one.
 */
static bool
is_in_place(struct attempt *a, const struct route_spec *spec, bool *yes, struct dm_err *err)
{
	DM_AUTO_FREE char *by_id = dm_asprintf("/id/%s", spec->id);
	DM_AUTO_STR struct dm_str body = dm_str_make(CONFIG_MAX);
	cJSON *route;
	int status;

	if (!caddy_admin_get(a->admin, by_id, &status, &body, err))
		return false;
	route = status == 200 ? cJSON_ParseWithLength(body.data, body.len) : NULL;
	*yes = route != NULL && route_equals(route, spec);
	cJSON_Delete(route);
	return true;
}

char *
change_list_path(const char *server)
{
	return dm_asprintf("/config/apps/http/servers/%s/routes", server);
}

bool
caddy_route_in_place(const struct cJSON *routes, const struct route_spec *spec)
{
	struct standing s = look(routes, spec);

	return s.count == 1 && s.equal;
}

bool
caddy_route_put(struct caddy_admin *admin, const char *server, const struct route_spec *spec,
    unsigned known, enum route_change *change, struct dm_err *err)
{
	DM_AUTO_FREE char *list = change_list_path(server);
	AUTO_ATTEMPT struct attempt a;
	bool in_place = false, written = false, added = false;
	unsigned removed = 0;

	attempt_begin(&a, admin);
	/* the first DELETE, wherever the old route is; what is left is found in the list */
	if (!remove_some(&a, spec->id, known, &removed, err))
		return dm_wrap(err, "registering %s", spec->hosts[0]);
	while (!in_place) {
		if (!put_once(&a, list, spec, &in_place, &written, &removed, err) ||
		    (written && !is_in_place(&a, spec, &in_place, err)))
			return dm_wrap(err, "registering %s", spec->hosts[0]);
		added |= written;
		/* another writer of the same @id: each turn costs everybody a reload */
		if (written && !in_place && !attempt_back_off(&a, "the route does not stay", err))
			return false;
	}
	*change = removed > 0 ? ROUTE_REPLACED : added ? ROUTE_ADDED : ROUTE_UNCHANGED;
	return true;
}
