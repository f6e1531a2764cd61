/* SPDX-License-Identifier: MIT */
/*
 * The parts of watch.h: watch.c knows the directories and gives the hints; watch_linux.c and
 * watch_darwin.c tell what the kernel says about them; watch_poll.c looks, where it says nothing.
 */
#ifndef DEVMESH_WATCH_IMPL_H
#define DEVMESH_WATCH_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/str.h"
#include "watch.h"

struct watch_how {
	bool by_looking; /* never ask the kernel */
	int64_t look_ms; /* between two looks at what the kernel may not tell */
};

/* watch_open() with another way of watching than the best one there is; for tests. */
struct watch *watch_open_with(struct event_base *base, const struct watch_how *how,
    watch_hint *hint, void *user, struct dm_err *err) DM_MUST;

/* How many directories are watched without the kernel's help. */
size_t watch_count_looked_at(const struct watch *watch);

/* ---- the kernel: watch_linux.c, watch_darwin.c -------------------------------------------- */

struct watch_kernel;

/*
 * Whether the kernel tells of every kind of change, with the name. If not, what it tells only
 * says when to look, and one has to look now and then besides.
 */
bool watch_kernel_tells_all(void);

/* NULL with errno set if it cannot be had. The caller owns it; `watch` is who is told. */
struct watch_kernel *watch_kernel_open(struct event_base *base, struct watch *watch);
void watch_kernel_close(struct watch_kernel *kernel);

/*
 * Makes sure that the directory now at `path` is watched: gives `handle` (-1: none) back if that is
 * the one already, else a new handle, which is not negative; -1 with errno set if there is none.
 * Two paths of one directory may have the same handle.
 */
int watch_kernel_attach(struct watch_kernel *kernel, const char *path, int handle);
void watch_kernel_detach(struct watch_kernel *kernel, int handle);

/* What to try about attach's or open's errno; static text, NULL: that is no shortage. */
const char *watch_kernel_shortage(int error);

/* To be called from the loop. A handle that is no longer in use is ignored. */
/* `name` is an entry of the directory, or NULL: anything. */
void watch_told(struct watch *watch, int handle, const char *name);
/* The directory has gone, or has another name now. */
void watch_told_end(struct watch *watch, int handle);
/* Something was not told. */
void watch_told_overflow(struct watch *watch);

/* ---- looking: watch_poll.c ---------------------------------------------------------------- */

enum {
	WATCH_ENTRIES_MAX = 4096 /* in a larger directory only its own change is seen */
};

/* What identifies the state of a file. */
struct watch_mark {
	dev_t dev;
	ino_t ino;
	mode_t mode;
	uid_t uid;
	off_t size;
	time_t ctime;
	long ctime_nsec;
};

struct watch_entry {
	size_t name; /* where it begins in `names` */
	struct watch_mark mark;
};

/* A directory as it was at one look. All zero: not there. */
struct watch_look {
	bool there;
	bool listed; /* the entries could be read, and were not too many */
	struct watch_mark self;
	struct watch_entry *list; /* by name; owned: watch_look_release */
	size_t count;
	struct dm_str names;
};

void watch_look_take(const char *path, struct watch_look *out);
void watch_look_release(struct watch_look *look);

/* False: no more of it. `name` as for watch_hint. */
typedef bool watch_difference(void *user, const char *name);

/* Calls fn for each entry that is not the same in both, or once with NULL. */
void watch_look_compare(const struct watch_look *before, const struct watch_look *now,
    watch_difference *fn, void *user);

#endif
