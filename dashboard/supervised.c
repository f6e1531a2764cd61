/* SPDX-License-Identifier: MIT */
/* One supervised service: what is told of it, and what its run has said. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/log.h"
#include "base/str.h"
#include "out.h"
#include "runner.h"
#include "supervisor_impl.h"

enum {
	WORDS_MAX = 4096
};

const char *
supervised_state_name(enum supervised_state state)
{
	static const char *const names[] = {
	    [SUPERVISED_RUNNING] = "running",
	    [SUPERVISED_WAITING] = "waiting",
	    [SUPERVISED_STOPPING] = "stopping",
	    [SUPERVISED_STOPPED] = "stopped",
	    [SUPERVISED_IDLE] = "idle",
	    [SUPERVISED_FAILED] = "failed",
	};

	return names[state];
}

void
supervised_free(struct supervised *s)
{
	free(s->command);
	free(s->problem);
	free(s);
}

void
supervised_problem(struct supervised *s, const char *text)
{
	free(s->problem);
	s->problem = text == NULL ? NULL : dm_printable(text);
}

char *
supervised_words(const char *path)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(WORDS_MAX);
	struct dm_err ignored;

	(void)dm_str_add(&text, "\n", 1);
	if (!dm_read_tail(path, 0, &text, &ignored))
		dm_debug("%s", ignored.msg);
	return dm_str_take(&text);
}

int
supervised_status(const char *words)
{
	const char *at = strstr(words, "\n" RUNNER_EXIT_WORD);
	char digits[8];
	uint64_t status;

	if (at == NULL)
		return -1;
	at += 1 + strlen(RUNNER_EXIT_WORD);
	return dm_snprintf(digits, sizeof(digits), "%.*s", (int)strcspn(at, "\n"), at) &&
		       dm_parse_uint(digits, 0, 255, &status)
		   ? (int)status
		   : -1;
}

bool
supervised_explain(struct supervised *s, char *words)
{
	static const char mark[] = "\ndevmesh: error: ";
	DM_AUTO_FREE char *problem = NULL;
	char *error = strstr(words, mark);

	if (error != NULL) {
		error += strlen(mark);
		error[strcspn(error, "\n")] = '\0';
		supervised_problem(s, error);
		return true;
	}
	problem = s->status < 0	    ? dm_strdup("it has ended")
		  : s->status > 128 ? dm_asprintf("it was ended by signal %d", s->status - 128)
				    : dm_asprintf("it has ended with status %d", s->status);
	supervised_problem(s, problem);
	return false;
}

struct cJSON *
supervised_json(const struct supervised *s)
{
	cJSON *o;

	if (s == NULL)
		return cJSON_CreateNull();
	o = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(o, "state", supervised_state_name(s->state));
	out_add_text(o, "command", s->command);
	(void)cJSON_AddItemToObject(o, "status",
	    s->status < 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)s->status));
	(void)cJSON_AddNumberToObject(o, "restarts", (double)s->restarts);
	out_add_text(o, "problem", s->problem);
	(void)cJSON_AddBoolToObject(o, "on_request", s->on_request);
	(void)cJSON_AddNumberToObject(o, "idle_stop", (double)s->idle_stop_s);
	return o;
}
