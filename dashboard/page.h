/* SPDX-License-Identifier: MIT */
/*
 * The page as the server makes it: complete and readable without JavaScript, which takes the same
 * tables over where it runs. Pure: from the state as state.h has it to HTML.
 */
#ifndef DEVMESH_PAGE_H
#define DEVMESH_PAGE_H

#include <stdbool.h>

struct cJSON;

/*
 * Fills in web/index.html: {{domain}}, {{summary}}, {{services}}, {{found}}, {{worktrees}}; and the
 * style sheet, which browsers need before they show anything, as {{style}}, with the {{nonce}} by
 * which the Content-Security-Policy knows it (CSP3 §2.3.1). Whatever is in the names is only ever
 * text. The caller owns the result; NULL if it would be larger than 16 MiB.
 */
char *page_render(const struct cJSON *state, const char *nonce);

/*
 * What another device is shown: the services of the state that are shared, which may be none (then
 * *any is false), with their addresses and whether they run, and nothing else. The caller owns it.
 */
char *page_render_shared(const struct cJSON *state, bool *any);

#endif
