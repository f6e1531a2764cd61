/* SPDX-License-Identifier: MIT */
/*
 * What devmeshd tells the service manager that has started it: systemd's notification protocol
 * (sd_notify(3), sd_watchdog_enabled(3)), datagrams to the socket that NOTIFY_SOCKET names.
 * launchd has no such thing, and neither has a terminal: then every call here does nothing.
 *
 * No call waits longer than a moment, and none fails: what could not be told is said on stderr.
 */
#ifndef DEVMESH_NOTIFY_H
#define DEVMESH_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

struct notify;

/*
 * Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment: what
 * this process starts is not the service. Never NULL; the caller owns the result.
 */
struct notify *notify_new(void);
void notify_free(struct notify *notify);
DM_DEFINE_FREEP(notify)

/* Whether there is somebody to tell. */
bool notify_wanted(const struct notify *notify);

/* It works: at the end of the start (READY=1), and of every reload. `status`: see notify_status. */
void notify_ready(struct notify *notify, const char *status);
/* The configuration is being read again (RELOADING=1); notify_ready() has to follow. */
void notify_reloading(struct notify *notify);
/* It is about to end (STOPPING=1). */
void notify_stopping(struct notify *notify);
/* One line for people, shown by `systemctl status`. */
void notify_status(struct notify *notify, const char *status);

/*
 * How often notify_alive() has to be called, in milliseconds: half of the time after which the
 * service manager takes this process for hung and ends it (WatchdogSec=). 0: it does not watch.
 */
int64_t notify_alive_interval_ms(const struct notify *notify);
void notify_alive(struct notify *notify);

#endif
