/* SPDX-License-Identifier: MIT */
/*
 * What leads where, as a picture's source: Caddy to the services (by a route of their own, or by
 * the mesh route), services to their worktrees, worktrees to their repository. Pure: from the state
 * as state.h has it to a text.
 */
#ifndef DEVMESH_GRAPH_H
#define DEVMESH_GRAPH_H

#include <stdbool.h>

struct cJSON;

enum graph_format {
	GRAPH_JSON,    /* {"schema_version", "nodes": [...], "edges": [...]}, one line */
	GRAPH_DOT,     /* https://graphviz.org/doc/info/lang.html */
	GRAPH_MERMAID, /* https://mermaid.js.org/syntax/flowchart.html; it draws 500 edges at most
			*/
	GRAPH_FORMATS
};

/* "json", "dot" or "mermaid"; false: none of these. */
bool graph_format_parse(const char *name, enum graph_format *out);
/* For Content-Type. Static storage. */
const char *graph_content_type(enum graph_format format);

/*
 * The state's "caddy", "services" and "worktrees"; what is missing, or of another type than it
 * should be, is left out. Names are only ever text in the result, whatever is in them. The caller
 * owns it; NULL if it would be larger than 16 MiB.
 */
char *graph_render(const struct cJSON *state, enum graph_format format);

#endif
