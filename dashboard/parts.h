/* SPDX-License-Identifier: MIT */
/* The daemon's parts, in order: daemon.c opens, drains and closes them by this. */
#ifndef DEVMESH_PARTS_H
#define DEVMESH_PARTS_H

#include <stdbool.h>

#include "base/err.h"

struct daemon;

/* Opens what watches and knows. What was opened when it fails is closed by parts_close(). */
bool parts_open(struct daemon *d, struct dm_err *err) DM_MUST;
/* Opens what answers: after the first look, so that nobody is told of an empty mesh. */
bool parts_serve(struct daemon *d, struct dm_err *err) DM_MUST;
/* What serves other devices, after another configuration, or while the daemon ends. */
void parts_serve_settle(struct daemon *d);
/* The configuration is another one. */
void parts_reload(struct daemon *d);
/* What Caddy is known to be configured to is another one. */
void parts_caddy_changed(struct daemon *d);
/* Closes what answers again, at once. */
void parts_stop_serving(struct daemon *d);
/* Nobody new is served; what is under way may end. */
void parts_drain(struct daemon *d);
/* Whether all of it has ended. */
bool parts_idle(const struct daemon *d);
/* In reverse order; parts that were never opened are left out. */
void parts_close(struct daemon *d);

#endif
