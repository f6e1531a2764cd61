/* SPDX-License-Identifier: MIT */
/*
 * Hints of the kernel that interfaces, addresses or routes have changed: lan_watch_linux.c,
 * lan_watch_darwin.c. What they are now lan.c finds out by looking.
 */
#ifndef DEVMESH_LAN_WATCH_H
#define DEVMESH_LAN_WATCH_H

#include "base/err.h"

struct event_base;
struct lan_watch;

/* Many may come for one change, and some that change nothing. From the loop. */
typedef void lan_watch_hint(void *user);

/* NULL with *err set if the kernel will not tell. The caller owns it. */
struct lan_watch *lan_watch_open(
    struct event_base *base, lan_watch_hint *hint, void *user, struct dm_err *err) DM_MUST;
void lan_watch_close(struct lan_watch *watch);

#endif
