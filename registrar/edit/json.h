/* SPDX-License-Identifier: MIT */
/*
 * Changing a JSON file (RFC 8259) that a person formatted: the file is parsed with the offsets of
 * everything, and only the bytes of what is added or removed change. (cJSON would print the file
 * anew.) Bounded in size and depth; whatever is not strictly JSON is refused.
 */
#ifndef DEVMESH_JSON_H
#define DEVMESH_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define JSON_TEXT_MAX 262144

enum json_kind {
	JSON_OBJECT,
	JSON_ARRAY,
	JSON_STRING,
	JSON_OTHER
};

/* Owned by the document. */
struct json_node {
	enum json_kind kind;
	size_t begin;	   /* of the key, for a member of an object; else as start */
	size_t start, end; /* of the value; for a string with its quotes */
	char *key;	   /* decoded; NULL in an array and for the root */
	char *text;	   /* of a string, decoded; NULL otherwise */
	struct json_node *parent, *first, *last, *next, *previous;
};

struct json_doc {
	const char *text; /* borrowed */
	struct json_node *root;
};

/* DM_USAGE with line and column if the text is not JSON. It must outlive the document. */
struct json_doc *json_parse(const char *text, struct dm_err *err) DM_MUST;
void json_doc_free(struct json_doc *doc);
DM_DEFINE_FREEP(json_doc)

/* The member of an object; NULL if there is none, or node is NULL or no object. */
const struct json_node *json_member(const struct json_node *node, const char *key);
/* Whether an object somewhere in the document has a key twice: then nobody knows which counts. */
bool json_has_duplicates(const struct json_node *node);

/*
 * The text with a value added at the end of an object (with `key`) or an array (key NULL), in the
 * layout of what is there. `value` is JSON; its line breaks and tabs, which may stand between
 * tokens only, are replaced by the file's own. The caller owns it.
 */
char *json_insert(const struct json_doc *doc, const struct json_node *container, const char *key,
    const char *value);

/*
 * The text without the node, which is not the root: the inverse of json_insert(). A container that
 * came with it goes as well once it is empty; one that was there before, and empty, is left. That
 * is told by the layout: into an empty container json_insert() puts "{ value }" on one line. NULL
 * if nothing at all is left that was not added. The caller owns it.
 */
char *json_remove(const struct json_doc *doc, const struct json_node *node);

/*
 * The text with `cut` bytes of a string replaced by `more`, which needs no escapes; `at` counts
 * the bytes of the file behind the opening quote. The caller owns it.
 */
char *json_splice(const struct json_doc *doc, const struct json_node *string, size_t at, size_t cut,
    const char *more);

/* A new file of the value: two blanks for each tab, and a last newline. The caller owns it. */
char *json_layout(const char *value);

#endif
