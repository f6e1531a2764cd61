/* SPDX-License-Identifier: MIT */
#include "out.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "claim/claim.h"
#include "share.h"
#include "version.h"

struct cJSON *
out_object(void)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddNumberToObject(o, "schema_version", DEVMESH_SCHEMA_VERSION);
	return o;
}

void
out_json(struct cJSON *document)
{
	char *text = cJSON_PrintUnformatted(document);

	(void)puts(text);
	free(text);
	cJSON_Delete(document);
}

void
out_url(const struct claim *claim, bool json)
{
	cJSON *o;

	if (!json) {
		(void)puts(claim->url);
		return;
	}
	o = out_object();
	out_add_claim(o, claim);
	out_json(o);
}

void
out_add_text(struct cJSON *o, const char *key, const char *text)
{
	DM_AUTO_FREE char *shown = text == NULL ? NULL : dm_printable(text);

	if (shown != NULL)
		(void)cJSON_AddStringToObject(o, key, shown);
	else
		(void)cJSON_AddNullToObject(o, key);
}

void
out_add_share(struct cJSON *object, const struct share *share)
{
	(void)cJSON_AddStringToObject(object, "reach", gate_reach_name(share->reach));
	(void)cJSON_AddNumberToObject(object, "since", (double)share->since);
	(void)cJSON_AddItemToObject(object, "until",
	    share->until == GATE_FOREVER ? cJSON_CreateNull()
					 : cJSON_CreateNumber((double)share->until));
	out_add_text(object, "user", share->user[0] == '\0' ? NULL : share->user);
}

void
out_add_error(struct cJSON *o, const struct dm_err *err)
{
	cJSON *e = cJSON_AddObjectToObject(o, "error");
	DM_AUTO_FREE char *lines = err->lines ? dm_printable_lines(err->hint) : NULL;

	(void)cJSON_AddStringToObject(e, "code", dm_code_name(err->code));
	out_add_text(e, "message", err->msg);
	if (lines != NULL)
		(void)cJSON_AddStringToObject(e, "hint", lines);
	else
		out_add_text(e, "hint", err->hint);
}

void
out_add_claim(struct cJSON *o, const struct claim *claim)
{
	out_add_text(o, "id", claim->id.s);
	out_add_text(o, "url", claim->url);
	out_add_text(o, "host", claim->host);
	out_add_text(o, "app", claim->app.s);
	out_add_text(o, "branch", claim->branch);
	out_add_text(o, "worktree", claim->worktree);
	out_add_text(o, "socket", claim->socket);
	if (claim->port != 0)
		(void)cJSON_AddNumberToObject(o, "port", claim->port);
	else
		(void)cJSON_AddNullToObject(o, "port");
	out_add_text(o, "registration", claim->registration == CLAIM_ROUTE ? "route" : "mesh");
	(void)cJSON_AddNumberToObject(o, "created", (double)claim->created);
	(void)cJSON_AddBoolToObject(o, "pinned", claim->pinned);
}

static void
append_row(struct table *table, const char *const cells[])
{
	table->cells =
	    dm_reallocarray(table->cells, (table->rows + 1) * table->columns, sizeof(char *));
	for (size_t i = 0; i < table->columns; i++) {
		/* other users' texts are shown here: nothing may drive the terminal */
		char *cell = dm_printable(cells[i] == NULL ? "-" : cells[i]);

		table->cells[table->rows * table->columns + i] = cell;
	}
	table->rows++;
}

void
table_init(struct table *table, const char *const headings[])
{
	memset(table, 0, sizeof(*table));
	while (headings[table->columns] != NULL)
		table->columns++;
	append_row(table, headings);
}

void
table_add(struct table *table, const char *const cells[])
{
	append_row(table, cells);
}

/* Columns of a terminal that a text takes, wide characters aside: its UTF-8 characters. */
static size_t
width_of(const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80 ? 1 : 0;
	return n;
}

void
table_print(const struct table *table)
{
	DM_AUTO_FREE size_t *width = dm_calloc(table->columns, sizeof(*width));

	for (size_t i = 0; i < table->rows * table->columns; i++) {
		size_t n = width_of(table->cells[i]);

		if (n > width[i % table->columns])
			width[i % table->columns] = n;
	}
	for (size_t i = 0; i < table->rows * table->columns; i++) {
		size_t column = i % table->columns;
		bool last = column + 1 == table->columns;

		(void)fputs(table->cells[i], stdout);
		if (last)
			(void)putchar('\n');
		else
			(void)printf(
			    "%*s", (int)(width[column] - width_of(table->cells[i]) + 2), "");
	}
}

void
table_release(struct table *table)
{
	for (size_t i = 0; i < table->rows * table->columns; i++)
		free(table->cells[i]);
	free(table->cells);
	memset(table, 0, sizeof(*table));
}

void
format_age(int64_t seconds, char *out, size_t size)
{
	static const struct {
		int64_t unit;
		char letter;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};

	if (seconds < 0)
		seconds = 0;
	for (size_t i = 0; i < 4; i++) {
		if (seconds >= units[i].unit || i == 3) {
			(void)snprintf(out, size, "%lld%c", (long long)(seconds / units[i].unit),
			    units[i].letter);
			return;
		}
	}
}
