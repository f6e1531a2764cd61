/* SPDX-License-Identifier: MIT */
/*
 * Any text as a JSON file to be edited: what is accepted is JSON to cJSON too, an inserted member
 * leaves it so, and removing the member gives back the same bytes.
 */
#include "fuzz.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/str.h"
#include "edit/json.h"

/* The first of all containers with the fewest children: an empty one if there is any. */
static const struct json_node *
smallest(const struct json_node *node)
{
	const struct json_node *best = node;

	for (const struct json_node *n = node->first; n != NULL; n = n->next) {
		const struct json_node *c =
		    n->kind == JSON_OBJECT || n->kind == JSON_ARRAY ? smallest(n) : NULL;

		if (c != NULL && best->first != NULL && c->first == NULL)
			best = c;
	}
	return best;
}

/* The child that was added to the container which begins at `start`: its last. */
static const struct json_node *
last_of(const struct json_node *node, size_t start)
{
	if (node->start == start)
		return node->last;
	for (const struct json_node *n = node->first; n != NULL; n = n->next) {
		const struct json_node *found = last_of(n, start);

		if (found != NULL)
			return found;
	}
	return NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	DM_AUTO_FREE char *text = dm_strndup((const char *)data, size);
	DM_AUTO_FREE char *with = NULL, *without = NULL;
	dm_auto(json_doc) doc = NULL;
	dm_auto(json_doc) after = NULL;
	const struct json_node *c;
	struct dm_err err;
	cJSON *o;

	doc = json_parse(text, &err);
	if (doc == NULL) {
		MUST(err.code == DM_USAGE);
		return 0;
	}
	if (doc->root->kind != JSON_OBJECT && doc->root->kind != JSON_ARRAY)
		return 0;
	(void)json_has_duplicates(doc->root);
	c = smallest(doc->root);
	with = json_insert(doc, c, c->kind == JSON_OBJECT ? "mine" : NULL, "[\n\t1\n]");
	o = cJSON_Parse(with);
	/* cJSON is stricter about surrogates */
	MUST(o != NULL || strstr(text, "\\u") != NULL);
	cJSON_Delete(o);
	after = json_parse(with, &err);
	MUST(after != NULL);
	without = json_remove(after, last_of(after->root, c->start));
	MUST(without != NULL && strcmp(without, text) == 0);
	return 0;
}
