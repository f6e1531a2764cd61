/* SPDX-License-Identifier: MIT */
/*
 * The directories that are watched. Each is attached to the kernel's watching if that can be had.
 * A tick, every second, finds out what the kernel does not tell: that a directory has come, that a
 * parent has been renamed, that a link leads elsewhere, that one was removed with a process in it
 * (inotify says nothing before that process has left).
 */
#include "watch.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "watch_impl.h"

enum {
	LOOK_MS = 1000,
	/* ticks between two looks at what the kernel watches, but does not tell all about */
	LOOK_BESIDES = 5,
	/* ticks between two looks at whether a path still leads to what the kernel watches */
	CHECK_EACH = 10
};

struct dir {
	struct watch *watch;
	char *path;
	unsigned users;		/* calls of watch_add() not undone */
	int handle;		/* the kernel's; -1: it is looked at */
	struct watch_look look; /* the last one; "not there" while the kernel tells all */
	bool removed;		/* is freed when nobody walks over the list */
	unsigned turn;		/* of the ticks of CHECK_EACH */
};

struct watch {
	struct watch_how how;
	watch_hint *hint;
	void *user;
	struct event_base *base;
	struct watch_kernel *kernel; /* NULL: none */
	struct event *tick;
	unsigned added; /* directories so far */
	unsigned ticks;
	struct dir **list;
	size_t count;
	bool walking;	 /* over the list: nothing is taken out of it */
	bool complained; /* about a shortage */
};

/* What the kernel tells, on its way to the directories. */
struct told {
	int handle;
	const char *name;
};

/* ---- the list ----------------------------------------------------------------------------- */

static struct dir *
find(const struct watch *w, const char *path)
{
	for (size_t i = 0; i < w->count; i++) {
		if (!w->list[i]->removed && strcmp(w->list[i]->path, path) == 0)
			return w->list[i];
	}
	return NULL;
}

static void
free_dir(struct dir *dir)
{
	watch_look_release(&dir->look);
	free(dir->path);
	free(dir);
}

static void
free_removed(struct watch *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->count; i++) {
		if (w->list[i]->removed)
			free_dir(w->list[i]);
		else
			w->list[kept++] = w->list[i];
	}
	w->count = kept;
}

/* Calls fn for every directory that is there now; the hints it gives may add and remove some. */
static void
walk(struct watch *w, void (*fn)(struct dir *dir, const struct told *told), const struct told *told)
{
	w->walking = true;
	for (size_t i = 0, n = w->count; i < n; i++) {
		if (!w->list[i]->removed)
			fn(w->list[i], told);
	}
	w->walking = false;
	free_removed(w);
}

/* ---- one directory ------------------------------------------------------------------------ */

static void
say(const struct dir *dir, const char *name)
{
	dir->watch->hint(dir->watch->user, dir->path, name);
}

static bool
say_difference(void *user, const char *name)
{
	const struct dir *dir = user;

	say(dir, name);
	return !dir->removed;
}

static void
complain(struct watch *w, const char *path, int error)
{
	const char *advice = watch_kernel_shortage(error);

	if (advice == NULL || w->complained)
		return;
	w->complained = true;
	dm_warn(
	    "watching %s: %s; what cannot be watched is looked at every second instead; try: %s",
	    path, strerror(error), advice);
}

static bool
is_in_use(const struct watch *w, int handle)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->list[i]->handle == handle)
			return true;
	}
	return false;
}

static void
set_handle(struct dir *dir, int handle)
{
	struct watch *w = dir->watch;
	int before = dir->handle;

	dir->handle = handle;
	if (before >= 0 && before != handle && !is_in_use(w, before))
		watch_kernel_detach(w->kernel, before);
}

/* Has the kernel watch what is at the path now, if it can. */
static void
attach(struct dir *dir)
{
	struct watch *w = dir->watch;
	int handle;

	if (w->kernel == NULL)
		return;
	handle = watch_kernel_attach(w->kernel, dir->path, dir->handle);
	if (handle < 0)
		complain(w, dir->path, errno);
	set_handle(dir, handle);
}

static bool
needs_looks(const struct dir *dir)
{
	return dir->handle < 0 || !watch_kernel_tells_all();
}

/* Looks, without a word about what is different. */
static void
look(struct dir *dir)
{
	watch_look_release(&dir->look);
	if (needs_looks(dir))
		watch_look_take(dir->path, &dir->look);
}

/* Looks, and says what is different from the last time. */
static void
look_again(struct dir *dir)
{
	struct watch_look before = dir->look;

	watch_look_take(dir->path, &dir->look);
	watch_look_compare(&before, &dir->look, say_difference, dir);
	watch_look_release(&before);
	if (!needs_looks(dir))
		watch_look_release(&dir->look);
}

/* What was known of it is void. */
static void
start_anew(struct dir *dir)
{
	look(dir);
	say(dir, NULL);
}

static void
renew(struct dir *dir, const struct told *told)
{
	(void)told;
	attach(dir);
	start_anew(dir);
}

/* Is what is watched still what is at the path? And, if that has to be looked at, as it was? */
static void
check(struct dir *dir, bool also_watched)
{
	int before = dir->handle;

	attach(dir);
	if (before >= 0 && dir->handle != before)
		start_anew(dir);
	else if (before < 0 || (needs_looks(dir) && also_watched))
		look_again(dir);
}

/* ---- the tick ----------------------------------------------------------------------------- */

static void
check_at_tick(struct dir *dir, const struct told *told)
{
	const struct watch *w = dir->watch;

	(void)told;
	/* one above it may have gone elsewhere: rare, and a system call for each of thousands */
	if (!needs_looks(dir) && (w->ticks + dir->turn) % CHECK_EACH != 0)
		return;
	check(dir, w->ticks % LOOK_BESIDES == 0);
}

static void
schedule(struct watch *w)
{
	struct timeval t = {
	    .tv_sec = w->how.look_ms / 1000, .tv_usec = w->how.look_ms % 1000 * 1000};

	if (w->count == 0)
		(void)event_del(w->tick);
	else if (!event_pending(w->tick, EV_TIMEOUT, NULL))
		(void)event_add(w->tick, &t);
}

static void
open_kernel(struct watch *w)
{
	if (w->how.by_looking || w->kernel != NULL)
		return;
	w->kernel = watch_kernel_open(w->base, w);
	if (w->kernel == NULL)
		complain(w, "directories", errno);
}

static void
on_tick(evutil_socket_t fd, short what, void *user)
{
	struct watch *w = user;

	(void)fd;
	(void)what;
	w->ticks++;
	open_kernel(w);
	walk(w, check_at_tick, NULL);
	schedule(w);
}

/* ---- what the kernel tells ---------------------------------------------------------------- */

static void
tell(struct dir *dir, const struct told *told)
{
	if (dir->handle != told->handle)
		return;
	if (watch_kernel_tells_all())
		say(dir, told->name);
	else
		check(dir, true);
}

void
watch_told(struct watch *watch, int handle, const char *name)
{
	walk(watch, tell, &(struct told){.handle = handle, .name = name});
}

static void
tell_end(struct dir *dir, const struct told *told)
{
	if (dir->handle == told->handle)
		renew(dir, told);
}

void
watch_told_end(struct watch *watch, int handle)
{
	walk(watch, tell_end, &(struct told){.handle = handle});
}

void
watch_told_overflow(struct watch *watch)
{
	walk(watch, renew, NULL);
}

/* ---- watch.h ------------------------------------------------------------------------------ */

struct watch *
watch_open(struct event_base *base, watch_hint *hint, void *user, struct dm_err *err)
{
	return watch_open_with(base, &(struct watch_how){.look_ms = LOOK_MS}, hint, user, err);
}

struct watch *
watch_open_with(struct event_base *base, const struct watch_how *how, watch_hint *hint, void *user,
    struct dm_err *err)
{
	struct watch *w = dm_calloc(1, sizeof(*w));

	w->base = base;
	w->how = *how;
	w->hint = hint;
	w->user = user;
	w->tick = evtimer_new(base, on_tick, w);
	if (w->tick == NULL) {
		free(w);
		(void)dm_fail(err, DM_FAILED, "watching directories: no timer can be made");
		return NULL;
	}
	open_kernel(w);
	return w;
}

void
watch_add(struct watch *watch, const char *path)
{
	struct dir *dir = find(watch, path);

	if (dir != NULL) {
		dir->users++;
		return;
	}
	dir = dm_calloc(1, sizeof(*dir));
	dir->watch = watch;
	dir->path = dm_strdup(path);
	dir->users = 1;
	dir->handle = -1;
	dir->turn = watch->added++;
	if ((watch->count & (watch->count - 1)) == 0)
		watch->list = dm_reallocarray(
		    watch->list, watch->count == 0 ? 1 : watch->count * 2, sizeof(struct dir *));
	watch->list[watch->count++] = dir;
	attach(dir);
	look(dir);
	schedule(watch);
}

void
watch_remove(struct watch *watch, const char *path)
{
	struct dir *dir = find(watch, path);

	if (dir == NULL || --dir->users > 0)
		return;
	dir->removed = true;
	set_handle(dir, -1);
	if (!watch->walking)
		free_removed(watch);
	schedule(watch);
}

size_t
watch_count_looked_at(const struct watch *watch)
{
	size_t n = 0;

	for (size_t i = 0; i < watch->count; i++)
		n += !watch->list[i]->removed && watch->list[i]->handle < 0;
	return n;
}

void
watch_close(struct watch *watch)
{
	if (watch == NULL)
		return;
	for (size_t i = 0; i < watch->count; i++)
		set_handle(watch->list[i], -1);
	for (size_t i = 0; i < watch->count; i++)
		free_dir(watch->list[i]);
	if (watch->kernel != NULL)
		watch_kernel_close(watch->kernel);
	event_free(watch->tick);
	free(watch->list);
	free(watch);
}
