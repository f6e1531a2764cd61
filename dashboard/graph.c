/* SPDX-License-Identifier: MIT */
#include "graph.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "out.h"

enum {
	TEXT_MAX = 16 << 20
};

static const struct {
	const char *name, *type;
} formats[GRAPH_FORMATS] = {
    [GRAPH_JSON] = {"json", "application/json"},
    [GRAPH_DOT] = {"dot", "text/vnd.graphviz; charset=utf-8"},
    [GRAPH_MERMAID] = {"mermaid", "text/plain; charset=utf-8"},
};

bool
graph_format_parse(const char *name, enum graph_format *out)
{
	for (int i = 0; i < GRAPH_FORMATS; i++) {
		if (strcmp(formats[i].name, name) == 0) {
			*out = (enum graph_format)i;
			return true;
		}
	}
	return false;
}

const char *
graph_content_type(enum graph_format format)
{
	return formats[format].type;
}

/* ---- the graph ---------------------------------------------------------------------------- */

enum kind {
	CADDY,
	SERVICE,
	WORKTREE,
	REPOSITORY,
	KINDS
};

static const char *const kind_names[KINDS] = {"caddy", "service", "worktree", "repository"};
static const char *const shapes[KINDS] = {"hexagon", "box", "folder", "box"};

/* All texts are the state's; NULL where it has none. */
struct node {
	enum kind kind;
	const char *key;   /* what it is by: an id or a path */
	char *label;	   /* owned */
	const char *state; /* of Caddy and services */
	const char *url;
	size_t parent; /* of a worktree: its repository's place; else, and without one, NONE */
};

struct edge {
	size_t from, to;
	const char *kind; /* static */
};

struct graph {
	struct node *nodes;
	size_t node_count, node_cap;
	struct edge *edges;
	size_t edge_count, edge_cap;
};

#define NONE SIZE_MAX

static const cJSON *
member(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

/* A text that is not empty. */
static const char *
text_of(const cJSON *o, const char *key)
{
	const char *text = cJSON_GetStringValue(member(o, key));

	return text != NULL && text[0] != '\0' ? text : NULL;
}

static size_t
find_node(const struct graph *g, enum kind kind, const char *key)
{
	for (size_t i = 0; i < g->node_count; i++) {
		if (g->nodes[i].kind == kind && strcmp(g->nodes[i].key, key) == 0)
			return i;
	}
	return NONE;
}

/* Takes the label; an empty one, of "/", is none that Mermaid could read. */
static size_t
add_node(struct graph *g, enum kind kind, const char *key, char *label)
{
	if (g->node_count == g->node_cap) {
		g->node_cap = g->node_cap == 0 ? 64 : g->node_cap * 2;
		g->nodes = dm_reallocarray(g->nodes, g->node_cap, sizeof(*g->nodes));
	}
	if (label[0] == '\0') {
		free(label);
		label = dm_strdup(key);
	}
	g->nodes[g->node_count] =
	    (struct node){.kind = kind, .key = key, .label = label, .parent = NONE};
	return g->node_count++;
}

static void
add_edge(struct graph *g, size_t from, size_t to, const char *kind)
{
	if (g->edge_count == g->edge_cap) {
		g->edge_cap = g->edge_cap == 0 ? 64 : g->edge_cap * 2;
		g->edges = dm_reallocarray(g->edges, g->edge_cap, sizeof(*g->edges));
	}
	g->edges[g->edge_count++] = (struct edge){from, to, kind};
}

/* "/home/a/shop/.git" is the repository "shop", "/srv/shop.git" is "shop.git". */
static char *
repository_label(const char *path)
{
	DM_AUTO_FREE char *base = dm_path_base(path);
	DM_AUTO_FREE char *dir = NULL;

	if (strcmp(base, ".git") != 0)
		return DM_STEAL(&base);
	dir = dm_path_dir(path);
	return dm_path_base(dir);
}

static size_t
worktree_node(struct graph *g, const char *path, const char *branch, const char *repo)
{
	size_t at = find_node(g, WORKTREE, path), parent;

	if (at == NONE)
		at = add_node(
		    g, WORKTREE, path, branch != NULL ? dm_strdup(branch) : dm_path_base(path));
	if (repo == NULL || g->nodes[at].parent != NONE)
		return at;
	parent = find_node(g, REPOSITORY, repo);
	if (parent == NONE)
		parent = add_node(g, REPOSITORY, repo, repository_label(repo));
	g->nodes[at].parent = parent;
	return at;
}

static void
add_service(struct graph *g, size_t caddy, const cJSON *service)
{
	const char *id = text_of(service, "id"), *worktree = text_of(service, "worktree");
	const char *registration = text_of(service, "registration");
	size_t at, tree;

	if (id == NULL || find_node(g, SERVICE, id) != NONE)
		return;
	at = add_node(g, SERVICE, id, dm_strdup(id));
	g->nodes[at].state = text_of(service, "state");
	g->nodes[at].url = text_of(service, "url");
	if (caddy != NONE)
		add_edge(g, caddy, at,
		    registration != NULL && strcmp(registration, "mesh") == 0 ? "mesh" : "route");
	if (worktree == NULL)
		return;
	tree = worktree_node(g, worktree, text_of(service, "branch"), NULL);
	add_edge(g, at, tree, "worktree");
}

static void
build(struct graph *g, const cJSON *state)
{
	const cJSON *caddy = member(state, "caddy"), *one;
	size_t at = NONE;

	if (cJSON_IsObject(caddy)) {
		at = add_node(g, CADDY, "", dm_strdup("Caddy"));
		g->nodes[at].state = text_of(caddy, "state");
	}
	cJSON_ArrayForEach (one, member(state, "worktrees")) {
		const char *path = text_of(one, "path");

		if (path != NULL)
			(void)worktree_node(g, path, text_of(one, "branch"), text_of(one, "repo"));
	}
	cJSON_ArrayForEach (one, member(state, "services")) {
		add_service(g, at, one);
	}
}

static void
graph_release(struct graph *g)
{
	for (size_t i = 0; i < g->node_count; i++)
		free(g->nodes[i].label);
	free(g->nodes);
	free(g->edges);
}

/* ---- JSON --------------------------------------------------------------------------------- */

/* "service:shop-main": the same over time. The caller owns it. */
static char *
node_id(const struct node *n)
{
	return dm_asprintf(n->kind == CADDY ? "%s%s" : "%s:%s", kind_names[n->kind], n->key);
}

static void
add_id(cJSON *o, const char *key, const struct graph *g, size_t at)
{
	DM_AUTO_FREE char *id = at != NONE ? node_id(&g->nodes[at]) : NULL;

	out_add_text(o, key, id);
}

static void
render_json(const struct graph *g, struct dm_str *out)
{
	cJSON *document = out_object(), *list = cJSON_AddArrayToObject(document, "nodes"), *o;
	char *text;

	for (size_t i = 0; i < g->node_count; i++) {
		const struct node *n = &g->nodes[i];

		o = cJSON_CreateObject();
		add_id(o, "id", g, i);
		(void)cJSON_AddStringToObject(o, "kind", kind_names[n->kind]);
		out_add_text(o, "label", n->label);
		out_add_text(o, "state", n->state);
		out_add_text(o, "url", n->url);
		add_id(o, "parent", g, n->parent);
		(void)cJSON_AddItemToArray(list, o);
	}
	list = cJSON_AddArrayToObject(document, "edges");
	for (size_t i = 0; i < g->edge_count; i++) {
		const struct edge *e = &g->edges[i];

		o = cJSON_CreateObject();
		add_id(o, "from", g, e->from);
		add_id(o, "to", g, e->to);
		(void)cJSON_AddStringToObject(o, "kind", e->kind);
		(void)cJSON_AddItemToArray(list, o);
	}
	text = cJSON_PrintUnformatted(document);
	(void)dm_str_add(out, text, strlen(text));
	free(text);
	cJSON_Delete(document);
}

/* ---- texts in DOT and Mermaid ------------------------------------------------------------- */

/*
 * In a quoted string of DOT only a quote ends it; in a label a backslash begins an escape, and "&"
 * an entity of HTML (https://graphviz.org/docs/attr-types/escString/).
 */
static void
add_dot_text(struct dm_str *out, const char *text)
{
	DM_AUTO_FREE char *shown = dm_printable(text);

	for (const char *p = shown; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			(void)dm_str_add(out, "\\", 1);
		(void)dm_str_add(out, p, 1);
		if (*p == '&')
			(void)dm_str_add(out, "amp;", 4);
	}
}

/*
 * In Mermaid "#35;" is a character by its number. All that is not a letter, a digit or harmless
 * between quotes is written so: quotes, brackets, "#" and ";" themselves, what Markdown or HTML
 * would make of the text, and ":", as lines with "style...:...#...;" are changed by its parser.
 */
static void
add_mermaid_text(struct dm_str *out, const char *text)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789 /.,-+=@";
	DM_AUTO_FREE char *shown = dm_printable(text);

	for (const char *p = shown; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80 || strchr(harmless, *p) != NULL)
			(void)dm_str_add(out, p, 1);
		else
			(void)dm_str_addf(out, "#%d;", *p);
	}
}

/* ---- DOT ---------------------------------------------------------------------------------- */

static const struct {
	const char *state, *color;
} colors[] = {
    {"up", "#2e7d32"},
    {"starting", "#1565c0"},
    {"degraded", "#b26a00"},
    {"stale", "#c62828"},
    {"down", "#c62828"},
    {"hung", "#c62828"},
    {"orphan", "#c62828"},
    {"foreign", "#c62828"},
};

/* NULL: a state that is none of these. */
static const char *
color_of(const char *state)
{
	for (size_t i = 0; state != NULL && i < sizeof(colors) / sizeof(colors[0]); i++) {
		if (strcmp(colors[i].state, state) == 0)
			return colors[i].color;
	}
	return NULL;
}

/* Else a drawing could be made to run something at a click. */
static bool
is_web(const char *url)
{
	return url != NULL && (dm_starts_with(url, "https://") || dm_starts_with(url, "http://"));
}

static void
add_dot_node(struct dm_str *out, const struct graph *g, size_t at)
{
	const struct node *n = &g->nodes[at];

	(void)dm_str_addf(out, "n%zu [shape=%s, label=\"", at, shapes[n->kind]);
	add_dot_text(out, n->label);
	if (n->state != NULL) {
		(void)dm_str_addf(out, "\\n");
		add_dot_text(out, n->state);
	}
	(void)dm_str_addf(out, "\"");
	if (n->kind == WORKTREE) {
		(void)dm_str_addf(out, ", tooltip=\"");
		add_dot_text(out, n->key);
		(void)dm_str_addf(out, "\"");
	}
	if (is_web(n->url)) {
		(void)dm_str_addf(out, ", URL=\"");
		add_dot_text(out, n->url);
		(void)dm_str_addf(out, "\"");
	}
	if (color_of(n->state) != NULL)
		(void)dm_str_addf(out, ", color=\"%s\"", color_of(n->state));
	(void)dm_str_addf(out, "];\n");
}

static void
render_dot(const struct graph *g, struct dm_str *out)
{
	(void)dm_str_addf(out, "digraph devmesh {\n"
			       "\trankdir=LR;\n"
			       "\tnode [fontname=\"sans-serif\"];\n"
			       "\tedge [fontname=\"sans-serif\", fontsize=10];\n");
	for (size_t i = 0; i < g->node_count; i++) {
		if (g->nodes[i].kind == REPOSITORY) {
			(void)dm_str_addf(out, "\tsubgraph cluster_n%zu {\n\t\tlabel=\"", i);
			add_dot_text(out, g->nodes[i].label);
			(void)dm_str_addf(out, "\";\n");
			for (size_t j = 0; j < g->node_count; j++) {
				if (g->nodes[j].parent != i)
					continue;
				(void)dm_str_addf(out, "\t\t");
				add_dot_node(out, g, j);
			}
			(void)dm_str_addf(out, "\t}\n");
		} else if (g->nodes[i].parent == NONE) {
			(void)dm_str_addf(out, "\t");
			add_dot_node(out, g, i);
		}
	}
	for (size_t i = 0; i < g->edge_count; i++) {
		const struct edge *e = &g->edges[i];

		(void)dm_str_addf(out, "\tn%zu -> n%zu", e->from, e->to);
		if (g->nodes[e->from].kind == CADDY)
			(void)dm_str_addf(out, " [label=\"%s\"]", e->kind);
		(void)dm_str_addf(out, ";\n");
	}
	(void)dm_str_addf(out, "}\n");
}

/* ---- Mermaid ------------------------------------------------------------------------------ */

static void
add_mermaid_node(struct dm_str *out, const struct graph *g, size_t at)
{
	static const char *const open[KINDS] = {"{{", "[", "[", "["};
	static const char *const close[KINDS] = {"}}", "]", "]", "]"};
	const struct node *n = &g->nodes[at];

	(void)dm_str_addf(out, "n%zu%s\"", at, open[n->kind]);
	add_mermaid_text(out, n->label);
	if (n->state != NULL) {
		(void)dm_str_addf(out, "<br/>");
		add_mermaid_text(out, n->state);
	}
	(void)dm_str_addf(out, "\"%s\n", close[n->kind]);
}

static void
render_mermaid(const struct graph *g, struct dm_str *out)
{
	(void)dm_str_addf(out, "flowchart LR\n");
	for (size_t i = 0; i < g->node_count; i++) {
		if (g->nodes[i].kind == REPOSITORY) {
			(void)dm_str_addf(out, "\tsubgraph n%zu[\"", i);
			add_mermaid_text(out, g->nodes[i].label);
			(void)dm_str_addf(out, "\"]\n");
			for (size_t j = 0; j < g->node_count; j++) {
				if (g->nodes[j].parent != i)
					continue;
				(void)dm_str_addf(out, "\t\t");
				add_mermaid_node(out, g, j);
			}
			(void)dm_str_addf(out, "\tend\n");
		} else if (g->nodes[i].parent == NONE) {
			(void)dm_str_addf(out, "\t");
			add_mermaid_node(out, g, i);
		}
	}
	for (size_t i = 0; i < g->edge_count; i++) {
		const struct edge *e = &g->edges[i];

		if (g->nodes[e->from].kind == CADDY)
			(void)dm_str_addf(out, "\tn%zu -->|%s| n%zu\n", e->from, e->kind, e->to);
		else
			(void)dm_str_addf(out, "\tn%zu --> n%zu\n", e->from, e->to);
	}
	for (size_t i = 0; i < g->node_count; i++) {
		const char *color = color_of(g->nodes[i].state);

		if (color != NULL)
			(void)dm_str_addf(out, "\tstyle n%zu stroke:%s\n", i, color);
	}
}

/* ------------------------------------------------------------------------------------------- */

char *
graph_render(const struct cJSON *state, enum graph_format format)
{
	static void (*const render[GRAPH_FORMATS])(const struct graph *g, struct dm_str *out) = {
	    [GRAPH_JSON] = render_json,
	    [GRAPH_DOT] = render_dot,
	    [GRAPH_MERMAID] = render_mermaid,
	};
	DM_AUTO_STR struct dm_str out = dm_str_make(TEXT_MAX);
	struct graph g = {0};

	build(&g, state);
	render[format](&g, &out);
	graph_release(&g);
	return out.overflow ? NULL : dm_str_take(&out);
}
