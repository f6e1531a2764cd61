/* SPDX-License-Identifier: MIT */
#include "claim/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/sock.h"
#include "base/str.h"

enum {
	CLAIMS_LOCK_MS = 15000, /* held for file operations only; long for a loaded machine */
};

struct registry {
	char *dir;
	int fd;
};

void
registry_free(struct registry *reg)
{
	if (reg == NULL)
		return;
	dm_closep(&reg->fd);
	free(reg->dir);
	free(reg);
}

const char *
registry_dir(const struct registry *reg)
{
	return reg->dir;
}

char *
registry_socket(const struct registry *reg, const char *id)
{
	return dm_asprintf("%s/%s.sock", reg->dir, id);
}

/* Makes the directory 1777, whatever the umask. Losing a race is fine. */
static bool
make_directory(const char *dir, struct dm_err *err)
{
	DM_AUTO_FREE char *parent = dm_path_dir(dir);
	mode_t mask;
	bool made;
	int error;

	if (access(dir, F_OK) == 0)
		return true;
	if (!dm_make_dirs(parent, 0755, err))
		return false;
	/* in one step, so that being killed in between leaves no directory of another mode */
	mask = umask(0);
	made = mkdir(dir, 01777) == 0;
	error = errno;
	(void)umask(mask);
	if (!made)
		return error == EEXIST || dm_fail_errno(err, error, "making the directory %s", dir);
	/* some systems leave the sticky bit to chmod(2) */
	if (chmod(dir, 01777) != 0)
		return dm_fail_errno(err, errno, "setting the mode of %s", dir);
	return true;
}

static bool
check_directory(const char *dir, int fd, struct dm_err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return dm_fail_errno(err, errno, "looking at %s", dir);
	if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0) {
		(void)dm_fail(err, DM_DENIED,
		    "%s may be written to by everybody without being sticky: others could replace "
		    "your sockets",
		    dir);
		return dm_hint(err, "chmod 1777 %s", dir);
	}
	if (st.st_uid != geteuid() && st.st_uid != 0 && (st.st_mode & S_ISVTX) == 0) {
		(void)dm_fail(err, DM_DENIED, "%s belongs to uid %u and is not sticky", dir,
		    (unsigned)st.st_uid);
		return dm_hint(err, "use a directory of your own: [sockets] dir");
	}
	return true;
}

struct registry *
registry_open(const char *dir, struct dm_err *err)
{
	dm_auto(registry) reg = dm_calloc(1, sizeof(*reg));

	reg->fd = -1;
	reg->dir = dm_strdup(dir);
	if (strlen(dir) + 1 + SLUG_MAX + strlen(".sock") > dm_sock_path_max()) {
		(void)dm_fail(err, DM_USAGE, "%s is too long a directory for Unix sockets", dir);
		(void)dm_hint(err, "at most %zu bytes; set [sockets] dir to a shorter path",
		    dm_sock_path_max() - SLUG_MAX - strlen("/.sock"));
		return NULL;
	}
	if (!make_directory(dir, err))
		return NULL;
	reg->fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (reg->fd < 0) {
		int error = errno;
		struct stat st;

		(void)dm_fail_errno(err, error, "opening the directory %s", dir);
		if (lstat(dir, &st) == 0 && S_ISLNK(st.st_mode))
			(void)dm_fail(err, DM_DENIED,
			    "%s is a symbolic link: whoever made it decides where your sockets go",
			    dir);
		(void)dm_hint(err, "remove it, or use another directory: [sockets] dir");
		return NULL;
	}
	if (!check_directory(dir, reg->fd, err))
		return NULL;
	return DM_STEAL(&reg);
}

/*
 * The lock file: in the registry, or, if somebody else has made a file of that name there, in the
 * user's state directory. All processes of the user see the same file and come to the same end.
 */
static char *
lock_path(const struct registry *reg, const char *kind, struct dm_err *err)
{
	DM_AUTO_FREE char *name = dm_asprintf(".%s.%u.lock", kind, (unsigned)geteuid());
	DM_AUTO_FREE char *state = NULL;
	struct stat st, dir;

	if (fstatat(reg->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (S_ISREG(st.st_mode) && st.st_uid == geteuid()))
		return dm_asprintf("%s/%s", reg->dir, name);
	state = dm_state_dir(err);
	if (state == NULL || !dm_make_dirs(state, 0700, err) || fstat(reg->fd, &dir) != 0)
		return NULL;
	return dm_asprintf("%s/%s.%llu-%llu.lock", state, kind, (unsigned long long)dir.st_dev,
	    (unsigned long long)dir.st_ino);
}

bool
registry_lock(const struct registry *reg, enum registry_lock which, int64_t wait_ms, int *fd,
    struct dm_err *err)
{
	DM_AUTO_FREE char *path =
	    lock_path(reg, which == REGISTRY_LOCK_CLAIMS ? "claims" : "caddy", err);

	return path != NULL && dm_lock(path, wait_ms, fd, err);
}

/* Reads <id>.json if it is a regular file; false with DM_NOT_FOUND if there is none. */
static bool
read_record(
    const struct registry *reg, const char *id, struct dm_str *text, uid_t *uid, struct dm_err *err)
{
	DM_AUTO_FREE char *name = dm_asprintf("%s.json", id);
	DM_AUTO_CLOSE int fd =
	    openat(reg->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	*uid = (uid_t)-1;
	if (fd < 0) {
		int error = errno;

		if (fstatat(reg->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			*uid = st.st_uid;
		(void)dm_fail_errno(err, error, "opening it");
		if (error == ENOENT)
			err->code = DM_NOT_FOUND;
		return false;
	}
	if (fstat(fd, &st) != 0)
		return dm_fail_errno(err, errno, "looking at it");
	*uid = st.st_uid;
	if (!S_ISREG(st.st_mode))
		return dm_fail(err, DM_FAILED, "it is not a regular file");
	return dm_read_fd(fd, text, err);
}

bool
registry_find(const struct registry *reg, const char *id, struct claim **out, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(CLAIM_FILE_MAX + 1);
	uid_t uid;

	*out = NULL;
	if (read_record(reg, id, &text, &uid, err)) {
		*out = claim_decode(text.data, text.len, id, err);
		if (*out != NULL) {
			(*out)->uid = uid;
			return true;
		}
	} else if (err->code == DM_NOT_FOUND) {
		return true;
	}
	if (uid != geteuid()) {
		(void)dm_wrap(err,
		    "the name %s is taken by uid %u, whose record %s/%s.json cannot be read", id,
		    (unsigned)uid, reg->dir, id);
		err->code = DM_CONFLICT;
		return false;
	}
	dm_warn("ignoring the damaged record %s/%s.json: %s", reg->dir, id, err->msg);
	return true;
}

/* Calls fn for every entry "<valid id><suffix>" of this user's. */
static bool
each_entry(const struct registry *reg, const char *suffix,
    void (*fn)(const struct registry *, const char *id, void *), void *user, struct dm_err *err)
{
	int fd = openat(reg->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (d == NULL) {
		dm_closep(&fd);
		return dm_fail_errno(err, errno, "listing %s", reg->dir);
	}
	while ((e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name), m = strlen(suffix);
		struct stat st;
		struct slug id;

		if (n <= m || n - m > SLUG_MAX || !dm_ends_with(e->d_name, suffix))
			continue;
		memcpy(id.s, e->d_name, n - m);
		id.s[n - m] = '\0';
		if (slug_valid(id.s) &&
		    fstatat(reg->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_uid == geteuid())
			fn(reg, id.s, user);
	}
	(void)closedir(d);
	return true;
}

static void
add_claim(const struct registry *reg, const char *id, void *user)
{
	struct registry_claims *out = user;
	struct claim *claim;
	struct dm_err err;

	if (!registry_find(reg, id, &claim, &err) || claim == NULL)
		return;
	out->list = dm_reallocarray(out->list, out->count + 1, sizeof(struct claim *));
	out->list[out->count++] = claim;
}

static int
by_id(const void *a, const void *b)
{
	const struct claim *const *x = a, *const *y = b;

	return strcmp((*x)->id.s, (*y)->id.s);
}

bool
registry_scan(const struct registry *reg, struct registry_claims *out, struct dm_err *err)
{
	out->list = NULL;
	out->count = 0;
	if (!each_entry(reg, ".json", add_claim, out, err))
		return false;
	if (out->count > 0)
		qsort(out->list, out->count, sizeof(struct claim *), by_id);
	return true;
}

void
registry_claims_free(struct registry_claims *claims)
{
	for (size_t i = 0; i < claims->count; i++)
		claim_free(claims->list[i]);
	free(claims->list);
	claims->list = NULL;
	claims->count = 0;
}

struct id_list {
	char **ids;
	size_t count;
};

static void
add_id(const struct registry *reg, const char *id, void *user)
{
	struct id_list *list = user;

	(void)reg;
	list->ids = dm_reallocarray(list->ids, list->count + 1, sizeof(char *));
	list->ids[list->count++] = dm_strdup(id);
}

bool
registry_sockets(const struct registry *reg, char ***ids, size_t *count, struct dm_err *err)
{
	struct id_list list = {NULL, 0};

	if (!each_entry(reg, ".sock", add_id, &list, err))
		return false;
	*ids = list.ids;
	*count = list.count;
	return true;
}

enum holder {
	HOLDER_NONE,	 /* free: no record, an alias, or a worktree that is gone */
	HOLDER_SELF,	 /* this worktree */
	HOLDER_SIBLING,	 /* another worktree of the same user */
	HOLDER_STRANGER, /* another user */
};

/* Who holds `id`; *claim is the record if there is one (caller owns). */
static enum holder
holder_of(const struct registry *reg, const char *id, const char *worktree, struct claim **claim,
    struct dm_err *err)
{
	if (!registry_find(reg, id, claim, err))
		return HOLDER_STRANGER;
	if (*claim == NULL)
		return HOLDER_NONE;
	if ((*claim)->uid != geteuid())
		return HOLDER_STRANGER;
	if ((*claim)->is_alias)
		return HOLDER_NONE;
	if (strcmp((*claim)->worktree, worktree) == 0)
		return HOLDER_SELF;
	return claim_worktree_gone(*claim) ? HOLDER_NONE : HOLDER_SIBLING;
}

static bool
fail_taken(const struct claim *claim, const char *id, enum holder holder, struct dm_err *err)
{
	if (holder == HOLDER_STRANGER || claim == NULL) {
		if (claim != NULL)
			(void)dm_fail(err, DM_CONFLICT,
			    "the name %s is claimed by uid %u for the worktree %s", id,
			    (unsigned)claim->uid, claim->worktree);
		return dm_hint(err, "choose another name: --id, --app or .id");
	}
	(void)dm_fail(err, DM_CONFLICT, "the name %s is claimed by your worktree %s%s%s", id,
	    claim->worktree, claim->branch != NULL ? ", branch " : "",
	    claim->branch != NULL ? claim->branch : "");
	return dm_hint(
	    err, "choose another name, run devmesh down %s, or take it over with --force", id);
}

bool
registry_resolve(const struct registry *reg, const struct name *name, const char *worktree,
    bool force, struct slug *id, bool *held, struct dm_err *err)
{
	const struct slug ids[] = {
	    name->id, name_alternative(name), name_last_resort(name, worktree)};
	size_t count = name->exact || force ? 1 : 3;
	dm_auto(claim) first = NULL;
	enum holder first_holder = HOLDER_NONE;
	int free_id = -1;

	for (size_t i = 0; i < count; i++) {
		dm_auto(claim) claim = NULL;
		enum holder holder = holder_of(reg, ids[i].s, worktree, &claim, err);

		if (holder == HOLDER_SELF) {
			*id = ids[i];
			*held = true;
			return true;
		}
		if (free_id < 0 && (holder == HOLDER_NONE || (holder == HOLDER_SIBLING && force)))
			free_id = (int)i;
		if (i == 0) {
			first = DM_STEAL(&claim);
			first_holder = holder;
		}
	}
	if (free_id < 0)
		return fail_taken(first, ids[0].s, first_holder, err);
	*id = ids[free_id];
	*held = false;
	return true;
}

/*
 * Publishes a record: whole, or not at all. `replace` renames over a record of ours; without it
 * an existing one makes it fail with DM_CONFLICT.
 */
static bool
publish(struct registry *reg, const struct claim *claim, bool replace, struct dm_err *err)
{
	DM_AUTO_FREE char *text = claim_encode(claim);
	DM_AUTO_FREE char *name = dm_asprintf("%s.json", claim->id.s);
	/* not to be guessed: others could put a file in the way */
	DM_AUTO_FREE char *tmp =
	    dm_asprintf(".%s.%ld.%lx.tmp", claim->id.s, (long)getpid(), (unsigned long)dm_random());
	DM_AUTO_CLOSE int fd = -1;
	bool ok;
	int error;

	fd = openat(reg->fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return dm_fail_errno(err, errno, "creating a file in %s", reg->dir);
	/* 0644 whatever the umask: other users' devmesh must see that the name is taken */
	ok = fchmod(fd, 0644) == 0 && dm_write_all(fd, text, strlen(text)) &&
	     (replace ? renameat(reg->fd, tmp, reg->fd, name)
		      : linkat(reg->fd, tmp, reg->fd, name, 0)) == 0;
	error = errno;
	if (!ok || !replace)
		(void)unlinkat(reg->fd, tmp, 0);
	if (ok)
		return true;
	(void)dm_fail_errno(err, error, "writing the claim %s/%s", reg->dir, name);
	if (error == EEXIST)
		err->code = DM_CONFLICT;
	return false;
}

/* Whether two records say the same, the time of the claim aside. */
static bool
same_record(const struct claim *a, const struct claim *b)
{
	dm_auto(claim) copy = claim_dup(b);
	DM_AUTO_FREE char *x = claim_encode(a);
	DM_AUTO_FREE char *y = NULL;

	copy->created = a->created;
	y = claim_encode(copy);
	return strcmp(x, y) == 0;
}

/* Whether the record's file, readable or not, belongs to this user. */
static bool
is_own_file(const struct registry *reg, const char *id)
{
	DM_AUTO_FREE char *name = dm_asprintf("%s.json", id);
	struct stat st;

	return fstatat(reg->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == geteuid();
}

/* Writes a record over whatever of ours is there. The lock is held. */
static bool
write_record(struct registry *reg, struct claim *claim, struct dm_err *err)
{
	dm_auto(claim) old = NULL;

	if (!registry_find(reg, claim->id.s, &old, err))
		return false;
	if (old != NULL && old->uid != geteuid())
		return fail_taken(old, claim->id.s, HOLDER_STRANGER, err);
	if (old != NULL && old->is_alias == claim->is_alias &&
	    strcmp(old->worktree, claim->worktree) == 0) {
		claim->created = old->created;
		if (same_record(old, claim))
			return true;
	}
	if (old == NULL && publish(reg, claim, false, err))
		return true;
	/* a damaged record of ours reads as none, yet is in the way of link(2) */
	if (old == NULL && (err->code != DM_CONFLICT || !is_own_file(reg, claim->id.s)))
		return false;
	return publish(reg, claim, true, err);
}

/* Removes <app>.sock if it is our link, so that a service can have the name. */
static void
remove_alias_link(struct registry *reg, const char *app)
{
	DM_AUTO_FREE char *name = dm_asprintf("%s.sock", app);
	struct stat st;

	if (fstatat(reg->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) &&
	    st.st_uid == geteuid())
		(void)unlinkat(reg->fd, name, 0);
}

bool
registry_take(struct registry *reg, const struct name *name, bool force, struct claim *claim,
    registry_complete_fn *complete, void *user, bool *held, struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;

	if (!registry_lock(reg, REGISTRY_LOCK_CLAIMS, CLAIMS_LOCK_MS, &lock, err) ||
	    !registry_resolve(reg, name, claim->worktree, force, &claim->id, held, err))
		return false;
	if (claim->port == 0 && claim->socket == NULL)
		claim->socket = registry_socket(reg, claim->id.s);
	if (!complete(claim, user, err) || !write_record(reg, claim, err))
		return false;
	if (!*held)
		remove_alias_link(reg, claim->id.s);
	return true;
}

bool
registry_alias_is_free(const struct registry *reg, const struct claim *claim)
{
	dm_auto(claim) old = NULL;
	struct dm_err ignored;

	if (!registry_find(reg, claim->app.s, &old, &ignored))
		return false;
	if (old == NULL)
		return true;
	if (old->uid != geteuid())
		return false;
	return claim_worktree_gone(old) ||
	       (old->is_alias && strcmp(old->alias_of.s, claim->id.s) == 0);
}

/* False if something else has that file name: it is left alone, and so is the name. */
static bool
make_alias_link(struct registry *reg, const char *name, const char *target)
{
	char old[SLUG_MAX + sizeof(".sock")];
	ssize_t n = readlinkat(reg->fd, name, old, sizeof(old));
	struct stat st;

	if (n == (ssize_t)strlen(target) && memcmp(old, target, (size_t)n) == 0 &&
	    fstatat(reg->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == geteuid())
		return true;
	if (n >= 0 && fstatat(reg->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_uid == geteuid())
		(void)unlinkat(reg->fd, name, 0);
	return symlinkat(target, reg->fd, name) == 0;
}

bool
registry_take_alias(struct registry *reg, const struct claim *claim, const char *host,
    const char *url, bool *taken, struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;
	dm_auto(claim) alias = claim_dup(claim);
	DM_AUTO_FREE char *name = dm_asprintf("%s.sock", claim->app.s);
	DM_AUTO_FREE char *target = dm_asprintf("%s.sock", claim->id.s);

	*taken = false;
	if (!registry_lock(reg, REGISTRY_LOCK_CLAIMS, CLAIMS_LOCK_MS, &lock, err))
		return false;
	if (!registry_alias_is_free(reg, claim))
		return true;
	if (claim->port != 0)
		remove_alias_link(reg, claim->app.s);
	else if (!make_alias_link(reg, name, target))
		return true;
	alias->id = claim->app;
	alias->is_alias = true;
	alias->alias_of = claim->id;
	free(alias->host);
	free(alias->url);
	alias->host = dm_strdup(host);
	alias->url = dm_strdup(url);
	*taken = write_record(reg, alias, err);
	return *taken;
}

/* Removes the record `id` if it is ours and, for an alias, leads to `target`. */
static bool
remove_record(struct registry *reg, const char *id, const char *worktree, const char *target,
    struct dm_err *err)
{
	DM_AUTO_FREE char *name = dm_asprintf("%s.json", id);
	dm_auto(claim) old = NULL;

	if (!registry_find(reg, id, &old, err))
		return false;
	if (old == NULL || old->uid != geteuid() || strcmp(old->worktree, worktree) != 0)
		return true;
	if (target != NULL && (!old->is_alias || strcmp(old->alias_of.s, target) != 0))
		return true;
	if (target != NULL)
		remove_alias_link(reg, id);
	if (unlinkat(reg->fd, name, 0) != 0 && errno != ENOENT)
		return dm_fail_errno(err, errno, "removing the claim %s/%s", reg->dir, name);
	return true;
}

bool
registry_release(struct registry *reg, const struct claim *claim, struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;

	return registry_lock(reg, REGISTRY_LOCK_CLAIMS, CLAIMS_LOCK_MS, &lock, err) &&
	       remove_record(reg, claim->app.s, claim->worktree, claim->id.s, err) &&
	       remove_record(reg, claim->id.s, claim->worktree, NULL, err);
}

/* Whether `name` is ".<id>.<pid>.<number>.tmp" of a process that is no more. */
static bool
left_over(const char *name)
{
	DM_AUTO_FREE char *text = NULL;
	char *dot;
	uint64_t pid;

	if (name[0] != '.' || !dm_ends_with(name, ".tmp"))
		return false;
	text = dm_strndup(name, strlen(name) - strlen(".tmp"));
	if ((dot = strrchr(text, '.')) == NULL || dot == text)
		return false;
	*dot = '\0';
	dot = strrchr(text, '.');
	return dot != NULL && dot != text && dm_parse_uint(dot + 1, 1, INT32_MAX, &pid) &&
	       kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

unsigned
registry_sweep_temporary(struct registry *reg, bool dry_run)
{
	int fd = openat(reg->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	unsigned count = 0;

	if (d == NULL) {
		dm_closep(&fd);
		return 0;
	}
	while ((e = readdir(d)) != NULL) {
		struct stat st;

		if (!left_over(e->d_name) ||
		    fstatat(reg->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    st.st_uid != geteuid())
			continue;
		if (dry_run || unlinkat(reg->fd, e->d_name, 0) == 0)
			count++;
	}
	(void)closedir(d);
	return count;
}
