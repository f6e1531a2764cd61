/* SPDX-License-Identifier: MIT */
#include "harness_doctor.h"

#include <unistd.h>

#define BOUND_MS 15000 /* it promises 5 s; a loaded machine and sanitizers are slower */

int
failures(const cJSON *o, const char *except)
{
	cJSON *f, *list = cJSON_GetObjectItem(o, "findings");
	int n = 0;

	cJSON_ArrayForEach (f, list)
		n += strcmp(json_str(f, "level"), "failure") == 0 &&
		     strcmp(json_str(f, "check"), except) != 0;
	return n;
}

cJSON *
report(struct world *w, const char *dir, int code)
{
	int64_t began = now_ms();
	struct result r = DM(w, dir, "doctor", "--json");
	cJSON *o;

	assert_true(now_ms() - began < BOUND_MS);
	o = json_of(w, r.out);
	if ((failures(o, "dns-domain") > 0) != (code != 0))
		fail_msg("doctor: not as if its exit status was %d: %s%s", code, r.out, r.err);
	assert_int_equal(r.code, failures(o, "") > 0 ? 1 : 0);
	assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(o, "ok")), r.code == 0);
	assert_int_equal(cJSON_GetObjectItem(o, "schema_version")->valueint, 1);
	return o;
}

cJSON *
find(const cJSON *o, const char *check, const char *level, const char *text)
{
	cJSON *f, *list = cJSON_GetObjectItem(o, "findings");

	cJSON_ArrayForEach (f, list) {
		if (strcmp(json_str(f, "check"), check) == 0 &&
		    strcmp(json_str(f, "level"), level) == 0 &&
		    strstr(json_str(f, "what"), text) != NULL)
			return f;
	}
	return NULL;
}

void
assert_found(
    const cJSON *o, const char *check, const char *level, const char *text, const char *fix)
{
	cJSON *f = find(o, check, level, text);
	char *all = cJSON_PrintUnformatted(o);

	if (f == NULL)
		fail_msg("no %s of %s with \"%s\": %s", level, check, text, all);
	if (json_str(f, "why")[0] == '\0')
		fail_msg("%s does not say why: %s", check, all);
	if (strstr(json_str(f, "fix"), fix) == NULL)
		fail_msg("%s: its fix is \"%s\", without \"%s\"", check, json_str(f, "fix"), fix);
	cJSON_free(all);
}

void
assert_fine(const cJSON *o, const char *check)
{
	cJSON *f, *list = cJSON_GetObjectItem(o, "findings");
	bool checked = false;

	cJSON_ArrayForEach (f, list) {
		if (strcmp(json_str(f, "check"), check) == 0 &&
		    strcmp(json_str(f, "level"), "ok") != 0)
			fail_msg("%s: %s", check, json_str(f, "what"));
	}
	cJSON_ArrayForEach (f, cJSON_GetObjectItem(o, "checked")) {
		checked |= strcmp(f->valuestring, check) == 0;
	}
	if (!checked)
		fail_msg("%s was not checked", check);
}

bool
was_skipped(const cJSON *o, const char *check)
{
	cJSON *f, *list = cJSON_GetObjectItem(o, "skipped");

	cJSON_ArrayForEach (f, list) {
		if (strcmp(json_str(f, "check"), check) == 0)
			return json_str(f, "why")[0] != '\0';
	}
	return false;
}

void
need_root(struct world *w)
{
	if (geteuid() != 0)
		world_skip(w, "needs root, to play another user");
}
