/* SPDX-License-Identifier: MIT */
/*
 * By which address other devices reach this machine (model/lan_choice.h says which it is), kept up
 * to date: the kernel tells of changes, and who depends on it subscribes.
 */
#ifndef DEVMESH_LAN_H
#define DEVMESH_LAN_H

#include "model/lan_choice.h"

struct daemon;
struct lan;

/* Looks for the first time, and watches. The caller owns it. */
struct lan *lan_new(struct daemon *d);
void lan_free(struct lan *lan);

/* As of the last look; borrowed, and another one after each change. */
const struct lan_state *lan_state(const struct lan *lan);

/* Calls fn after each change, in order of subscription, until lan_free(). */
typedef void lan_changed_fn(void *user, const struct lan_state *state);
void lan_subscribe(struct lan *lan, lan_changed_fn *fn, void *user);

/* The configuration was read again. */
void lan_reload(struct lan *lan);

#endif
