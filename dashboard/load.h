/* SPDX-License-Identifier: MIT */
/*
 * What is measured, rather than what happens: how busy the machine and each service are. It changes
 * all the time, so it has no number and is not kept; it is measured while somebody listens, every
 * LOAD_MS, and told as one document ("load" in openapi.json).
 */
#ifndef DEVMESH_LOAD_H
#define DEVMESH_LOAD_H

#include <stdbool.h>

struct cJSON;
struct daemon;
struct load;
struct load_listener;

enum {
	LOAD_MS = 2000
};

/* The caller owns it. */
struct load *load_new(struct daemon *d);
void load_free(struct load *load);

/* As it is now; the caller owns it. What is measured over a time is null the first time. */
struct cJSON *load_document(struct load *load);

/* One line; borrowed. The listener may be ended in the call. */
typedef void load_fn(void *user, const char *json);
/* Calls fn every LOAD_MS until load_unlisten(). */
struct load_listener *load_listen(struct load *load, load_fn *fn, void *user);
void load_unlisten(struct load *load, struct load_listener *listener);

#endif
