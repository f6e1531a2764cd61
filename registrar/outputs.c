/* SPDX-License-Identifier: MIT */
#include "outputs.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void
outputs_release(struct outputs *outputs)
{
	for (size_t i = 0; i < outputs->count; i++)
		free(outputs->list[i].text);
	free(outputs->list);
	memset(outputs, 0, sizeof(*outputs));
}

/* ---- reading ------------------------------------------------------------------------------ */

struct reading {
	const struct outputs_query *query;
	const char *id; /* whose lines come */
	struct outputs *out;
};

static void
take_line(void *user, const struct output_line *line)
{
	struct reading *r = user;
	struct outputs *out = r->out;
	struct outputs_entry *e;

	/* by powers of two */
	if ((out->count & (out->count + 1)) == 0)
		out->list = dm_reallocarray(out->list, out->count * 2 + 2, sizeof(*out->list));
	e = &out->list[out->count++];
	*e = (struct outputs_entry){
	    .number = line->number, .time_ms = line->time_ms, .stream = line->stream};
	(void)snprintf(e->id.s, sizeof(e->id.s), "%s", r->id);
	e->text = dm_calloc(1, line->len + 1);
	memcpy(e->text, line->text, line->len);
	e->len = line->len;
	out->bytes += line->len;
}

static void
read_one(void *user, const char *id)
{
	struct reading *r = user;
	struct dm_err ignored;

	r->id = id;
	/* it has gone meanwhile */
	if (!output_log_read(
		r->query->dir, id, 0, r->query->since_ms, r->query->max, take_line, r, &ignored))
		return;
}

/* By time; of equal times those of one service by number. */
static int
compare(const void *a, const void *b)
{
	const struct outputs_entry *one = a, *two = b;
	int by_id;

	if (one->time_ms != two->time_ms)
		return one->time_ms < two->time_ms ? -1 : 1;
	by_id = strcmp(one->id.s, two->id.s);
	if (by_id != 0)
		return by_id;
	return one->number < two->number ? -1 : one->number > two->number;
}

/* Drops the oldest ones that are too many. */
static void
cut(struct outputs *out, size_t max)
{
	size_t drop = 0;

	while (out->count - drop > max || (out->bytes > OUTPUTS_BYTES_MAX && drop < out->count)) {
		out->bytes -= out->list[drop].len;
		free(out->list[drop++].text);
	}
	if (drop > 0)
		memmove(out->list, out->list + drop, (out->count - drop) * sizeof(*out->list));
	out->count -= drop;
}

bool
outputs_read(const struct outputs_query *query, struct outputs *out, struct dm_err *err)
{
	struct reading r = {.query = query, .id = query->id, .out = out};

	memset(out, 0, sizeof(*out));
	if (query->id == NULL) {
		output_log_each(query->dir, query->since_ms, read_one, &r);
		if (out->count > 0)
			qsort(out->list, out->count, sizeof(*out->list), compare);
	} else if (!output_log_read(query->dir, query->id, query->after, query->since_ms,
		       query->max, take_line, &r, err)) {
		return false;
	}
	cut(out, query->max);
	return true;
}

/* ---- following ---------------------------------------------------------------------------- */

struct marking {
	const char *dir;
	uint64_t mark;
};

static void
add_mark(void *user, const char *id)
{
	struct marking *m = user;

	m->mark = m->mark * 31 + output_log_mark(m->dir, id);
}

uint64_t
outputs_mark(const struct outputs_query *query)
{
	struct marking m = {.dir = query->dir};

	if (query->id != NULL)
		return output_log_mark(query->dir, query->id);
	output_log_each(query->dir, query->since_ms, add_mark, &m);
	return m.mark;
}

/* ---- showing ------------------------------------------------------------------------------ */

static const char *
stream_name(enum output_stream stream)
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
outputs_json(const struct outputs_entry *entry)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(TEXT_MAX);
	cJSON *o = cJSON_CreateObject();

	ansi_clean(entry->text, entry->len, true, &text);
	(void)cJSON_AddStringToObject(o, "id", entry->id.s);
	(void)cJSON_AddNumberToObject(o, "number", (double)entry->number);
	(void)cJSON_AddNumberToObject(o, "time_ms", (double)entry->time_ms);
	(void)cJSON_AddStringToObject(o, "stream", stream_name(entry->stream));
	(void)cJSON_AddStringToObject(o, "text", text.data);
	return o;
}
