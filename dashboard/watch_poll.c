/* SPDX-License-Identifier: MIT */
/* Directories, looked at: what is different from the last time. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/os.h"
#include "watch_impl.h"

#ifndef NAME_MAX
#define NAME_MAX 255
#endif

enum {
	NAMES_MAX = WATCH_ENTRIES_MAX * (NAME_MAX + 1)
};

static struct watch_mark
mark_of(const struct stat *st)
{
	return (struct watch_mark){
	    .dev = st->st_dev,
	    .ino = st->st_ino,
	    .mode = st->st_mode,
	    .uid = st->st_uid,
	    .size = st->st_size,
	    .ctime = st->st_ctime,
	    .ctime_nsec = dm_os_ctime_nsec(st),
	};
}

/* The same file, as far as who it is and who may use it are concerned. */
static bool
same_file(const struct watch_mark *a, const struct watch_mark *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->mode == b->mode && a->uid == b->uid;
}

static bool
same_state(const struct watch_mark *a, const struct watch_mark *b)
{
	return same_file(a, b) && a->size == b->size && a->ctime == b->ctime &&
	       a->ctime_nsec == b->ctime_nsec;
}

/* False if there is no room for it. */
static bool
add_entry(struct watch_look *look, const char *name, const struct stat *st)
{
	size_t at = look->names.len;

	if (look->count == WATCH_ENTRIES_MAX || !dm_str_add(&look->names, name, strlen(name) + 1))
		return false;
	if ((look->count & (look->count - 1)) == 0)
		look->list = dm_reallocarray(
		    look->list, look->count == 0 ? 1 : look->count * 2, sizeof(*look->list));
	look->list[look->count++] = (struct watch_entry){.name = at, .mark = mark_of(st)};
	return true;
}

/* False if they could not all be read. */
static bool
read_entries(DIR *d, struct watch_look *look)
{
	const struct dirent *e;
	struct stat st;

	for (errno = 0; (e = readdir(d)) != NULL; errno = 0) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue; /* gone since, or not for us to see */
		if (!add_entry(look, e->d_name, &st))
			return false;
	}
	return errno == 0;
}

static void
drop_entries(struct watch_look *look)
{
	free(look->list);
	look->list = NULL;
	look->count = 0;
}

/* The names lie in the order in which they were read, so they are compared where they are. */
struct sorting {
	const char *name;
	struct watch_entry entry;
};

static int
by_name(const void *a, const void *b)
{
	const struct sorting *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void
sort_entries(struct watch_look *look)
{
	DM_AUTO_FREE struct sorting *all = dm_calloc(look->count + 1, sizeof(*all));

	for (size_t i = 0; i < look->count; i++)
		all[i] = (struct sorting){look->names.data + look->list[i].name, look->list[i]};
	qsort(all, look->count, sizeof(*all), by_name);
	for (size_t i = 0; i < look->count; i++)
		look->list[i] = all[i].entry;
}

void
watch_look_take(const char *path, struct watch_look *out)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct stat st;

	*out = (struct watch_look){.there = false};
	if (fd >= 0 && d == NULL)
		(void)close(fd);
	/* before the entries: what changes meanwhile is different at the next look */
	if ((d != NULL ? fstat(dirfd(d), &st) : stat(path, &st)) == 0 && S_ISDIR(st.st_mode)) {
		out->there = true;
		out->self = mark_of(&st);
	}
	if (d == NULL)
		return;
	out->names = dm_str_make(NAMES_MAX);
	out->listed = out->there && read_entries(d, out);
	if (out->listed)
		sort_entries(out);
	else
		drop_entries(out);
	(void)closedir(d);
}

void
watch_look_release(struct watch_look *look)
{
	drop_entries(look);
	if (look->names.data != NULL)
		dm_str_release(&look->names);
	*look = (struct watch_look){.there = false};
}

/* Calls fn for each entry that differs; the number of them, or SIZE_MAX if fn has had enough. */
static size_t
compare_entries(
    const struct watch_look *before, const struct watch_look *now, watch_difference *fn, void *user)
{
	size_t i = 0, j = 0, different = 0;

	while (i < before->count || j < now->count) {
		const char *old =
		    i < before->count ? before->names.data + before->list[i].name : NULL;
		const char *new = j < now->count ? now->names.data + now->list[j].name : NULL;
		int order = old == NULL ? 1 : new == NULL ? -1 : strcmp(old, new);
		bool same = order == 0 && same_state(&before->list[i].mark, &now->list[j].mark);

		i += order <= 0;
		j += order >= 0;
		if (same)
			continue;
		different++;
		if (!fn(user, order <= 0 ? old : new))
			return SIZE_MAX;
	}
	return different;
}

void
watch_look_compare(
    const struct watch_look *before, const struct watch_look *now, watch_difference *fn, void *user)
{
	if (!before->there && !now->there)
		return;
	if (before->there != now->there || before->listed != now->listed ||
	    !same_file(&before->self, &now->self)) {
		(void)fn(user, NULL);
		return;
	}
	/* an entry that came and went between two looks leaves its trace in the directory */
	if (compare_entries(before, now, fn, user) == 0 && !same_state(&before->self, &now->self))
		(void)fn(user, NULL);
}
