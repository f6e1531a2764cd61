/* SPDX-License-Identifier: MIT */
/*
 * What is shared with other devices (share.h), as devmeshd sees it: read anew when the files
 * change, and when a share comes to its end. It also keeps up to date what Caddy's gate has to know
 * of this machine: its own addresses, and that the dashboard's own name may be opened, which shows
 * others nothing but the list of what is shared.
 */
#ifndef DEVMESH_SHARES_H
#define DEVMESH_SHARES_H

#include <stdbool.h>

#include "share.h"

struct cJSON;
struct daemon;
struct shares;

/* The caller owns it. */
struct shares *shares_new(struct daemon *d);
void shares_free(struct shares *shares);

/* The directory's entry `name`, or NULL, may have changed; false: it is not one of shares. */
bool shares_hint(struct shares *shares, const char *dir, const char *name);
/* Looks now. */
void shares_look(struct shares *shares);
/* Caddy's view, the daemon's own name or this machine's addresses may have changed. */
void shares_settle(struct shares *shares);

/* The claim's share; NULL: it is private. Borrowed until the next call of anything here. */
const struct share *shares_find(const struct shares *shares, const struct claim *claim);

/* {reach, since, until, user} of a share, or null. The caller owns it. */
struct cJSON *shares_json(const struct share *share);

#endif
