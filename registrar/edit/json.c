/* SPDX-License-Identifier: MIT */
#include "edit/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum {
	DEPTH_MAX = 64,
	OUT_MAX = JSON_TEXT_MAX * 2,
	INDENT_MAX = 16
};

struct parser {
	const char *text, *p;
	unsigned depth;
};

static void
free_node(struct json_node *node)
{
	while (node != NULL) {
		struct json_node *next = node->next;

		free_node(node->first);
		free(node->key);
		free(node->text);
		free(node);
		node = next;
	}
}

void
json_doc_free(struct json_doc *doc)
{
	if (doc == NULL)
		return;
	free_node(doc->root);
	free(doc);
}

static void
skip_space(struct parser *x)
{
	x->p += strspn(x->p, " \t\r\n");
}

/* The four digits of \uXXXX at p; -1: they are not. */
static long
hex4(const char *p)
{
	long n = 0;

	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdef";
		const char *d = p[i] == '\0'		     ? NULL
				: p[i] >= 'A' && p[i] <= 'F' ? strchr(digits, p[i] - 'A' + 'a')
							     : strchr(digits, p[i]);

		if (d == NULL)
			return -1;
		n = n * 16 + (d - digits);
	}
	return n;
}

/* Only what is compared is decoded: ASCII. Others stay as they are, or become '?'. */
static bool
escape(struct parser *x, struct dm_str *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;
	char c;
	long code;

	x->p++;
	if (*x->p == 'u') {
		if ((code = hex4(x->p + 1)) < 0)
			return false;
		c = code > 0 && code < 0x80 ? (char)code : '?';
		x->p += 5;
		return dm_str_add(out, &c, 1);
	}
	if (*x->p == '\0' || (at = strchr(from, *x->p)) == NULL)
		return false;
	x->p++;
	return dm_str_add(out, &to[at - from], 1);
}

/* The decoded string at x->p; NULL if there is none. The caller owns it. */
static char *
parse_string(struct parser *x)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(JSON_TEXT_MAX);

	if (*x->p != '"')
		return NULL;
	x->p++;
	while (*x->p != '"') {
		if ((unsigned char)*x->p < 0x20)
			return NULL;
		if (*x->p == '\\') {
			if (!escape(x, &out))
				return NULL;
			continue;
		}
		(void)dm_str_add(&out, x->p++, 1);
	}
	x->p++;
	return dm_str_take(&out);
}

static bool
parse_number(struct parser *x)
{
	const char *p = x->p;
	size_t n;

	p += *p == '-' ? 1 : 0;
	n = strspn(p, "0123456789");
	if (n == 0 || (n > 1 && *p == '0'))
		return false;
	p += n;
	if (*p == '.') {
		n = strspn(++p, "0123456789");
		if (n == 0)
			return false;
		p += n;
	}
	if (*p == 'e' || *p == 'E') {
		p++;
		p += *p == '+' || *p == '-' ? 1 : 0;
		n = strspn(p, "0123456789");
		if (n == 0)
			return false;
		p += n;
	}
	x->p = p;
	return true;
}

static bool
parse_word(struct parser *x)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < 3; i++) {
		if (dm_starts_with(x->p, words[i])) {
			x->p += strlen(words[i]);
			return true;
		}
	}
	return false;
}

static void
append(struct json_node *parent, struct json_node *child)
{
	child->parent = parent;
	child->previous = parent->last;
	if (parent->last != NULL)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

static bool parse_value(struct parser *x, struct json_node *node);

/* What stands between the brackets. */
static bool
parse_children(struct parser *x, struct json_node *node, char close)
{
	bool object = close == '}';

	x->p++;
	skip_space(x);
	if (*x->p == close) {
		x->p++;
		return true;
	}
	for (;;) {
		struct json_node *child = dm_calloc(1, sizeof(*child));

		append(node, child);
		skip_space(x);
		child->begin = (size_t)(x->p - x->text);
		if (object) {
			if ((child->key = parse_string(x)) == NULL)
				return false;
			skip_space(x);
			if (*x->p++ != ':')
				return false;
			skip_space(x);
		}
		if (!parse_value(x, child))
			return false;
		skip_space(x);
		if (*x->p == close) {
			x->p++;
			return true;
		}
		if (*x->p != ',')
			return false;
		x->p++;
	}
}

static bool
parse_value(struct parser *x, struct json_node *node)
{
	bool ok;

	node->start = (size_t)(x->p - x->text);
	if (node->key == NULL)
		node->begin = node->start;
	if (*x->p == '{' || *x->p == '[') {
		node->kind = *x->p == '{' ? JSON_OBJECT : JSON_ARRAY;
		if (++x->depth > DEPTH_MAX)
			return false;
		ok = parse_children(x, node, *x->p == '{' ? '}' : ']');
		x->depth--;
	} else if (*x->p == '"') {
		node->kind = JSON_STRING;
		node->text = parse_string(x);
		ok = node->text != NULL;
	} else {
		node->kind = JSON_OTHER;
		ok = parse_word(x) || parse_number(x);
	}
	node->end = (size_t)(x->p - x->text);
	return ok;
}

static bool
fail_at(const struct parser *x, struct dm_err *err)
{
	size_t line = 1, column = 1;

	for (const char *p = x->text; p < x->p; p++) {
		column = *p == '\n' ? 1 : column + 1;
		line += *p == '\n' ? 1 : 0;
	}
	return dm_fail(err, DM_USAGE, "it is not JSON (near line %zu, column %zu)", line, column);
}

struct json_doc *
json_parse(const char *text, struct dm_err *err)
{
	struct parser x = {.text = text, .p = text};
	dm_auto(json_doc) doc = dm_calloc(1, sizeof(*doc));

	if (strlen(text) > JSON_TEXT_MAX) {
		(void)dm_fail(err, DM_USAGE, "it is larger than %d bytes", JSON_TEXT_MAX);
		return NULL;
	}
	doc->text = text;
	doc->root = dm_calloc(1, sizeof(*doc->root));
	skip_space(&x);
	if (parse_value(&x, doc->root)) {
		skip_space(&x);
		if (*x.p == '\0')
			return DM_STEAL(&doc);
	}
	(void)fail_at(&x, err);
	return NULL;
}

const struct json_node *
json_member(const struct json_node *node, const char *key)
{
	if (node == NULL || node->kind != JSON_OBJECT)
		return NULL;
	for (const struct json_node *n = node->first; n != NULL; n = n->next) {
		if (n->key != NULL && strcmp(n->key, key) == 0)
			return n;
	}
	return NULL;
}

bool
json_has_duplicates(const struct json_node *node)
{
	for (const struct json_node *n = node->first; n != NULL; n = n->next) {
		if ((n->key != NULL && json_member(node, n->key) != n) || json_has_duplicates(n))
			return true;
	}
	return false;
}

/* ---- layout ------------------------------------------------------------------------------ */

/* The blanks between a line's beginning and `at`, as far as there is nothing else; copied. */
static char *
indent_before(const char *text, size_t at)
{
	size_t start = at;

	while (start > 0 && (text[start - 1] == ' ' || text[start - 1] == '\t'))
		start--;
	return dm_strndup(text + start, at - start);
}

static bool
on_own_line(const char *text, const struct json_node *node)
{
	for (size_t i = node->parent->start + 1; i < node->begin; i++) {
		if (text[i] == '\n')
			return true;
	}
	return false;
}

/* What the file indents by: the depth of the root's first member. The caller owns it. */
static char *
indent_unit(const struct json_doc *doc)
{
	const struct json_node *first = doc->root->first;

	if (first != NULL && on_own_line(doc->text, first)) {
		char *unit = indent_before(doc->text, first->begin);

		if (unit[0] != '\0' && strlen(unit) <= INDENT_MAX)
			return unit;
		free(unit);
	}
	return dm_strdup("  ");
}

/* `value` with the line breaks and the depth of its place; on one line without `eol`. */
static void
add_value(
    struct dm_str *out, const char *value, const char *eol, const char *indent, const char *unit)
{
	for (const char *p = value; *p != '\0'; p++) {
		size_t tabs;

		if (*p != '\n') {
			(void)dm_str_add(out, p, 1);
			continue;
		}
		tabs = strspn(p + 1, "\t");
		p += tabs;
		if (eol == NULL) {
			/* "a,\n\tb" needs a blank, "[\n\tb" none */
			if (p - tabs > value && p[-(long)tabs - 1] == ',')
				(void)dm_str_add(out, " ", 1);
			continue;
		}
		(void)dm_str_addf(out, "%s%s", eol, indent);
		for (size_t i = 0; i < tabs; i++)
			(void)dm_str_addf(out, "%s", unit);
	}
}

char *
json_insert(const struct json_doc *doc, const struct json_node *container, const char *key,
    const char *value)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(OUT_MAX);
	DM_AUTO_FREE char *unit = indent_unit(doc);
	const struct json_node *first = container->first;
	bool lines = first != NULL && on_own_line(doc->text, first);
	const char *nl = strchr(doc->text, '\n');
	const char *eol = nl != NULL && nl > doc->text && nl[-1] == '\r' ? "\r\n" : "\n";
	DM_AUTO_FREE char *indent = lines ? indent_before(doc->text, first->begin) : NULL;
	/* behind the last child, or right before the closing bracket */
	size_t at = first != NULL ? container->last->end : container->end - 1;

	(void)dm_str_add(&out, doc->text, at);
	if (lines)
		(void)dm_str_addf(&out, ",%s%s", eol, indent);
	else
		(void)dm_str_addf(&out, first != NULL ? ", " : " ");
	if (key != NULL)
		(void)dm_str_addf(&out, "\"%s\": ", key);
	add_value(&out, value, lines ? eol : NULL, lines ? indent : "", unit);
	if (first == NULL)
		(void)dm_str_add(&out, " ", 1);
	(void)dm_str_add(&out, doc->text + at, strlen(doc->text + at));
	return dm_str_take(&out);
}

/* An only child in "{ value }": the container was there, empty, before. */
static bool
was_empty_before(const char *text, const struct json_node *node)
{
	const struct json_node *c = node->parent;

	return node->begin > c->start + 1 && text[node->begin - 1] == ' ' &&
	       node->end + 2 == c->end && text[node->end] == ' ';
}

char *
json_remove(const struct json_doc *doc, const struct json_node *node)
{
	const char *text = doc->text;
	size_t from, to;

	while (node->parent->first == node->parent->last && !was_empty_before(text, node)) {
		if (node->parent->parent == NULL)
			return NULL;
		node = node->parent;
	}
	if (node->previous != NULL) {
		from = node->previous->end;
		to = node->end;
	} else if (node->next != NULL) {
		from = node->begin;
		to = node->next->begin;
	} else {
		from = node->begin - 1;
		to = node->end + 1;
	}
	return dm_asprintf("%.*s%s", (int)from, text, text + to);
}

char *
json_splice(const struct json_doc *doc, const struct json_node *string, size_t at, size_t cut,
    const char *more)
{
	size_t from = string->start + 1 + at;

	return dm_asprintf("%.*s%s%s", (int)from, doc->text, more, doc->text + from + cut);
}

char *
json_layout(const char *value)
{
	DM_AUTO_STR struct dm_str out = dm_str_make(OUT_MAX);

	add_value(&out, value, "\n", "", "  ");
	(void)dm_str_add(&out, "\n", 1);
	return dm_str_take(&out);
}
