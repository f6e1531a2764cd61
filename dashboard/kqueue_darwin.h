/* SPDX-License-Identifier: MIT */
/* A kqueue(2) of our own inside the loop's, for filters that libevent does not have. */
#ifndef DEVMESH_KQUEUE_DARWIN_H
#define DEVMESH_KQUEUE_DARWIN_H

#include <stdint.h>

struct event_base;
struct kevent;
struct kqueue;

/* One event of it, from the loop; valid during the call. */
typedef void kqueue_event(void *user, const struct kevent *event);

/*
 * NULL with errno set if it cannot be had, or is of no use in another one (asked, as not every
 * kernel can). The caller owns it.
 */
struct kqueue *kqueue_open(struct event_base *base, kqueue_event *fn, void *user);
void kqueue_close(struct kqueue *kqueue);

/* EV_SET and kevent(2), the change alone; 0 or an errno value. */
int kqueue_change(struct kqueue *kqueue, uintptr_t ident, int16_t filter, uint16_t flags,
    uint32_t fflags, void *udata);

#endif
