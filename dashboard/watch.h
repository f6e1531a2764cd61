/* SPDX-License-Identifier: MIT */
/*
 * Directories, watched: inotify(7) on Linux, kqueue(2) on macOS (watch_linux.c, watch_darwin.c),
 * and looking again every second where these cannot be had (watch_poll.c).
 *
 * What comes is a hint, "look there again", never a fact: hints may be late, come twice, or come
 * for nothing. Nothing comes when a server dies and its socket stays (exits.h is for that).
 */
#ifndef DEVMESH_WATCH_H
#define DEVMESH_WATCH_H

#include <stdbool.h>

#include "base/err.h"

struct event_base;
struct watch;

/*
 * Something may have changed in `dir` (as it was given to watch_add): the entry `name`, or, where
 * that is NULL, anything, the directory itself included. The name is whatever somebody has called a
 * file: any bytes but '/', 255 at most. Both are valid during the call only, in which directories
 * may be added and removed; this watch may not be closed in it.
 */
typedef void watch_hint(void *user, const char *dir, const char *name);

/* The caller owns the result; `base` must outlive it. */
struct watch *
watch_open(struct event_base *base, watch_hint *hint, void *user, struct dm_err *err) DM_MUST;

/*
 * Watches an absolute path: entries made, removed, renamed, closed after writing, changed in mode;
 * the directory's own end. One that is not there, or goes, is looked for every second, and hinted
 * at when it has come. Each call is undone by one watch_remove(): several may want the same one.
 */
void watch_add(struct watch *watch, const char *dir);
/* After as many calls as of watch_add() no more hints come for it. One too many is no error. */
void watch_remove(struct watch *watch, const char *dir);
void watch_close(struct watch *watch);

#endif
