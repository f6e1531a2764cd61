/* SPDX-License-Identifier: MIT */
/*
 * Events for a browser: text/event-stream (WHATWG HTML §9.2). Each has its number as its id, so one
 * who comes back goes on where he was; who was away for too long gets the whole state ("hello").
 */
#ifndef DEVMESH_SSE_H
#define DEVMESH_SSE_H

#include <stdbool.h>
#include <stdint.h>

struct bufferevent;
struct daemon;
struct sse;

/*
 * Writes to `bev`, which is borrowed: first at once, then whatever happens, until sse_end().
 * `too_slow` is called, at most once, from within events_publish(), when more than UNSENT_MAX bytes
 * wait; it should end it. The caller owns the result.
 */
struct sse *sse_begin(struct daemon *d, struct bufferevent *bev, bool has_since, uint64_t since,
    void (*too_slow)(void *user), void *user);
void sse_end(struct sse *sse);

#endif
