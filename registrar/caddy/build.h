/* SPDX-License-Identifier: MIT */
/*
 * Parts of which Caddy's configuration of routes is put together. Pure. What a function is given
 * as JSON it takes over; what it returns, the caller owns.
 */
#ifndef DEVMESH_BUILD_H
#define DEVMESH_BUILD_H

#include <stdbool.h>

struct cJSON;

/* [<item>]; [] if it is NULL. */
struct cJSON *build_list(struct cJSON *item);
/* ["<text>"] */
struct cJSON *build_text(const char *text);
/* {"handler": "<name>"} */
struct cJSON *build_handler(const char *name);
/* {"<key>": {"<name>": ["<value>"]}}: a matcher. */
struct cJSON *build_matcher(const char *key, const char *name, const char *value);
/* {"not": [<matcher>]} */
struct cJSON *build_not(struct cJSON *matcher);
/* A file matcher for "<dir>/<name>", which may hold placeholders; it sees sockets as well. */
struct cJSON *build_file_matcher(const char *dir, const char *name);
/* A vars_regexp matcher of the placeholder `subject`, whose captures are {http.regexp.<name>.N}. */
struct cJSON *build_regexp_matcher(const char *subject, const char *name, const char *pattern);

/* A route that ends with its handler; `match` NULL: for every request. */
struct cJSON *build_route(struct cJSON *match, struct cJSON *handle);
/* A route whose handler may pass the request on to the next route. */
struct cJSON *build_pass_through(struct cJSON *match, struct cJSON *handle);
/* A handler that tries these routes in turn; NULL ones, at the end, are none. */
struct cJSON *build_subroute(struct cJSON *first, struct cJSON *second, struct cJSON *third);
/* An answer, never cached, with that Content-Type. */
struct cJSON *build_answer(int status, const char *type, const char *body);
/* Adds a header to such an answer. */
void build_answer_header(struct cJSON *answer, const char *name, const char *value);

#endif
