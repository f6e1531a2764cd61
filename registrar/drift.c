/* SPDX-License-Identifier: MIT */
#include "drift.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum {
	PLACE_MAX = 300,
	DEPTH_MAX = 64
};

struct search {
	struct dm_str place; /* of what is looked at */
	const char *what;    /* NULL: no difference yet */
	unsigned depth;
};

static bool differ(struct search *s, const cJSON *a, const cJSON *b);

/* Looks at a part of both; where it is the same, the place is as before. */
static bool
differ_below(struct search *s, const char *key, const cJSON *a, const cJSON *b)
{
	size_t before = s->place.len;

	/* a place that is too long is cut */
	(void)dm_str_addf(&s->place, "%s%s", before == 0 || key[0] == '[' ? "" : ".", key);
	if (a == NULL)
		s->what = "added";
	else if (b == NULL)
		s->what = "removed";
	else if (!differ(s, a, b)) {
		s->place.len = before;
		s->place.data[before] = '\0';
		return false;
	}
	return true;
}

static bool
objects_differ(struct search *s, const cJSON *a, const cJSON *b)
{
	const cJSON *m;

	cJSON_ArrayForEach (m, a) {
		if (differ_below(s, m->string, m, cJSON_GetObjectItemCaseSensitive(b, m->string)))
			return true;
	}
	cJSON_ArrayForEach (m, b) {
		if (cJSON_GetObjectItemCaseSensitive(a, m->string) == NULL)
			return differ_below(s, m->string, NULL, m);
	}
	return false;
}

static bool
arrays_differ(struct search *s, const cJSON *a, const cJSON *b)
{
	const cJSON *x = a->child, *y = b->child;

	for (int i = 0; x != NULL || y != NULL; i++) {
		char key[32];

		if (!dm_snprintf(key, sizeof(key), "[%d]", i) || differ_below(s, key, x, y))
			return true;
		x = x->next;
		y = y->next;
	}
	return false;
}

static bool
differ(struct search *s, const cJSON *a, const cJSON *b)
{
	bool different;

	if (s->depth >= DEPTH_MAX || (a->type & 0xff) != (b->type & 0xff)) {
		different = !cJSON_Compare(a, b, true);
	} else {
		s->depth++;
		different = cJSON_IsObject(a)  ? objects_differ(s, a, b)
			    : cJSON_IsArray(a) ? arrays_differ(s, a, b)
					       : !cJSON_Compare(a, b, true);
		s->depth--;
	}
	if (different && s->what == NULL)
		s->what = "changed";
	return different;
}

/* A copy without the routes that are own; the caller owns it. */
static cJSON *
without_own(const cJSON *config, drift_own *own, void *user)
{
	cJSON *copy = cJSON_Duplicate(config, true), *server, *route, *next;
	const cJSON *http = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(copy, "apps"), "http");

	cJSON_ArrayForEach (server, cJSON_GetObjectItemCaseSensitive(http, "servers")) {
		cJSON *routes = cJSON_GetObjectItemCaseSensitive(server, "routes");

		for (route = cJSON_IsArray(routes) ? routes->child : NULL; route != NULL;
		     route = next) {
			next = route->next;
			if (own(user, route))
				cJSON_Delete(cJSON_DetachItemViaPointer(routes, route));
		}
	}
	return copy;
}

char *
drift_find(const struct cJSON *written, const struct cJSON *running, drift_own *own, void *user)
{
	cJSON *a = without_own(written, own, user), *b = without_own(running, own, user);
	struct search s = {.place = dm_str_make(PLACE_MAX)};
	char *shown = NULL;

	if (a == NULL || b == NULL || differ(&s, a, b)) {
		DM_AUTO_FREE char *place = dm_printable(s.place.data);

		shown = dm_asprintf("%s: %s", place[0] == '\0' ? "all of it" : place,
		    s.what == NULL ? "changed" : s.what);
	}
	dm_str_release(&s.place);
	cJSON_Delete(a);
	cJSON_Delete(b);
	return shown;
}
