/* SPDX-License-Identifier: MIT */
#include "harness_mend.h"

#include <string.h>

int
count_of(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)) != NULL; text += strlen(part))
		n++;
	return n;
}

int
loads(struct world *w)
{
	return count_of(read_text(w, w->caddy->err), "\"admin endpoint started\"");
}

int
loads_since(struct world *w, int *before)
{
	int now = loads(w), n = now - *before;

	*before = now;
	return n;
}

void
crash(struct world *w)
{
	end_proc(w, w->caddy);
	caddy_start(w, read_text(w, w->caddy_config));
}

void
restore(struct world *w)
{
	assert_exit(w, DM(w, w->dir, "up", "--all"), 0);
}

void
post(struct world *w, const char *body)
{
	struct reply r = admin(w, "POST", ROUTES, body);

	if (r.status != 200)
		fail_msg("POST: %ld %s %s", r.status, r.body, r.error);
}

char *
text_of_route(struct world *w, const char *id)
{
	return world_keep(w, cJSON_PrintUnformatted(route_of(w, id)), free);
}

const char *
state_of(struct world *w, const char *id)
{
	struct result r = DM(w, w->dir, "status", "--json");
	cJSON *row;

	assert_exit(w, r, 0);
	cJSON_ArrayForEach (row, cJSON_GetObjectItem(json_of(w, r.out), "services"))
		if (strcmp(json_str(row, "id"), id) == 0)
			return json_str(row, "state");
	fail_msg("status does not show %s: %s", id, r.out);
	return "";
}

void
claim_many(struct world *w, const char *dir, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		const char *id = fmt(w, "s-%d", i), *port = fmt(w, "%d", 20000 + i);

		if (i % 3 == 0)
			assert_exit(w, DM(w, dir, "up", "--id", id, "--port", port), 0);
		else
			assert_exit(w, DM(w, dir, "up", "--id", id), 0);
	}
}

char *
strangers(struct world *w, int n)
{
	char *list = bystanders(w, n);

	return fmt(w, "[%s%s%s", DELICATE, n > 0 ? "," : "", list + 1);
}

void
assert_strangers(struct world *w, int n)
{
	assert_bystanders(w, n);
	assert_int_equal(count_of(routes_text(w), DELICATE), 1);
}
