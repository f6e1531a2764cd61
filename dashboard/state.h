/* SPDX-License-Identifier: MIT */
/*
 * What the daemon knows, as JSON: the answers of its API and the data of its events. Described,
 * member by member, in openapi.json; a test compares the two.
 */
#ifndef DEVMESH_STATE_H
#define DEVMESH_STATE_H

struct cJSON;
struct daemon;
struct service;
struct watched_tree;
struct found;

/* The caller owns all of these. */

/* schema_version, seq, node, caddy, services, found, worktrees. */
struct cJSON *state_whole(const struct daemon *d);
/* One service; NULL if there is none with this id. An alias is its service. */
struct cJSON *state_service(const struct daemon *d, const char *id);
/* The data of events. */
struct cJSON *state_of_service(const struct daemon *d, const struct service *service);
struct cJSON *state_of_caddy(const struct daemon *d);
struct cJSON *state_of_found(const struct found *found);
struct cJSON *state_of_worktree(const struct daemon *d, const struct watched_tree *worktree);

/* The service of this id, or whose alias it is; NULL: there is none. Borrowed. */
const struct service *state_find(const struct daemon *d, const char *id);

#endif
