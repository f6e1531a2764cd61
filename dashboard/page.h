/* SPDX-License-Identifier: MIT */
/*
 * The page as the server makes it: complete and readable without JavaScript, which takes the same
 * tables over where it runs. Pure: from the state as state.h has it to HTML.
 */
#ifndef DEVMESH_PAGE_H
#define DEVMESH_PAGE_H

struct cJSON;

/*
 * Fills in web/index.html: {{domain}}, {{summary}}, {{services}}, {{found}}, {{worktrees}}.
 * Whatever is in the names is only ever text. The caller owns the result; NULL if it would be
 * larger than 16 MiB.
 */
char *page_render(const struct cJSON *state);

#endif
