/* SPDX-License-Identifier: MIT */
#include "outputs.h"

#include <cjson/cJSON.h>

#include "base/str.h"
#include "model/ansi.h"

enum {
	TEXT_MAX = OUTPUT_LINE_MAX * 4 /* what is no UTF-8 becomes three bytes, a tab four */
};

char *
outputs_dir(const struct session *s)
{
	return dm_asprintf("%s/logs", s->state_dir);
}

const char *
outputs_stream_name(enum output_stream stream)
{
	switch (stream) {
	case OUTPUT_STDOUT:
		return "out";
	case OUTPUT_STDERR:
		return "err";
	case OUTPUT_NOTE:
		break;
	}
	return "note";
}

struct cJSON *
outputs_line(const struct output_line *line)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(TEXT_MAX);
	cJSON *o = cJSON_CreateObject();

	ansi_clean(line->text, line->len, true, &text);
	(void)cJSON_AddNumberToObject(o, "number", (double)line->number);
	(void)cJSON_AddNumberToObject(o, "time_ms", (double)line->time_ms);
	(void)cJSON_AddStringToObject(o, "stream", outputs_stream_name(line->stream));
	(void)cJSON_AddStringToObject(o, "text", text.data);
	return o;
}
