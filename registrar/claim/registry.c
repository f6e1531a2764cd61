/* SPDX-License-Identifier: MIT */
/* The registry as a set of claims: who holds which name. */
#include "claim/registry_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/os.h"
#include "base/str.h"

enum {
	CLAIMS_LOCK_MS = 15000, /* held for file operations only; long for a loaded machine */
};

/* Reads <id>.json if it is a regular file; false with DM_NOT_FOUND if there is none. */
static bool
read_record(const struct registry *reg, const char *id, struct dm_str *text, struct stat *st,
    uid_t *uid, struct dm_err *err)
{
	DM_AUTO_FREE char *name = dm_asprintf("%s.json", id);
	DM_AUTO_CLOSE int fd =
	    openat(reg->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	*uid = (uid_t)-1;
	if (fd < 0) {
		int error = errno;

		if (fstatat(reg->fd, name, st, AT_SYMLINK_NOFOLLOW) == 0)
			*uid = st->st_uid;
		(void)dm_fail_errno(err, error, "opening it");
		if (error == ENOENT)
			err->code = DM_NOT_FOUND;
		return false;
	}
	if (fstat(fd, st) != 0)
		return dm_fail_errno(err, errno, "looking at it");
	*uid = st->st_uid;
	if (!S_ISREG(st->st_mode))
		return dm_fail(err, DM_FAILED, "it is not a regular file");
	return dm_read_fd(fd, text, err);
}

struct claim_stamp
registry_stamp(const struct stat *st)
{
	return (struct claim_stamp){.dev = st->st_dev,
	    .ino = st->st_ino,
	    .size = st->st_size,
	    .ctime = st->st_ctime,
	    .ctime_nsec = dm_os_ctime_nsec(st)};
}

bool
registry_find(const struct registry *reg, const char *id, struct claim **out, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(CLAIM_FILE_MAX + 1);
	struct stat st;
	uid_t uid;

	*out = NULL;
	if (read_record(reg, id, &text, &st, &uid, err)) {
		*out = claim_decode(text.data, text.len, id, err);
		if (*out != NULL) {
			(*out)->uid = uid;
			(*out)->stamp = registry_stamp(&st);
			return true;
		}
	} else if (err->code == DM_NOT_FOUND) {
		return true;
	}
	/* whatever it says, it is not damaged */
	if (dm_is_shortage(err->sys))
		return dm_wrap(err, "reading the record %s/%s.json", reg->dir, id);
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

struct scan {
	registry_is_known *is_known;
	void *user;
	struct registry_claims *out;
	bool failed; /* for want of descriptors or memory: *err */
	struct dm_err *err;
};

static void
add_claim(const struct registry *reg, const char *id, const struct stat *st, void *user)
{
	struct scan *scan = user;
	const struct claim_stamp stamp = registry_stamp(st);
	struct registry_claims *out = scan->out;
	struct claim *claim;
	struct dm_err err;

	if (scan->is_known != NULL && scan->is_known(id, &stamp, scan->user))
		return;
	if (!registry_find(reg, id, &claim, &err) && dm_is_shortage(err.sys) && !scan->failed) {
		scan->failed = true;
		*scan->err = err;
	}
	if (claim == NULL)
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
	return registry_scan_unknown(reg, NULL, NULL, out, err);
}

bool
registry_scan_unknown(const struct registry *reg, registry_is_known *is_known, void *user,
    struct registry_claims *out, struct dm_err *err)
{
	struct scan scan = {.is_known = is_known, .user = user, .out = out, .err = err};

	out->list = NULL;
	out->count = 0;
	if (!registry_each_entry(reg, ".json", add_claim, &scan, err))
		return false;
	if (scan.failed) {
		registry_claims_free(out);
		return false;
	}
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
		claim->pinned = old->pinned;
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
registry_set_run(struct registry *reg, const struct claim *claim, const struct claim_run *run,
    bool *ours, struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;
	dm_auto(claim) now = NULL;

	*ours = false;
	if (!registry_lock(reg, REGISTRY_LOCK_CLAIMS, CLAIMS_LOCK_MS, &lock, err) ||
	    !registry_find(reg, claim->id.s, &now, err))
		return false;
	if (now == NULL || now->is_alias || now->uid != geteuid() ||
	    strcmp(now->worktree, claim->worktree) != 0 ||
	    (now->run.runner.pid != run->runner.pid && now->run.runner.pid != getpid() &&
		dm_proc_alive(&now->run.runner)))
		return true;
	*ours = true;
	now->run = *run;
	return write_record(reg, now, err);
}

/*
 * The claim's record as it is now, with the lock of claims; *now is NULL if it is gone, or another
 * user's or worktree's by now.
 */
static bool
find_same(const struct registry *reg, const struct claim *claim, int *lock, struct claim **now,
    struct dm_err *err)
{
	*now = NULL;
	if (!registry_lock(reg, REGISTRY_LOCK_CLAIMS, CLAIMS_LOCK_MS, lock, err) ||
	    !registry_find(reg, claim->id.s, now, err))
		return false;
	if (*now != NULL && ((*now)->is_alias || (*now)->uid != geteuid() ||
				strcmp((*now)->worktree, claim->worktree) != 0)) {
		claim_free(*now);
		*now = NULL;
	}
	return true;
}

bool
registry_set_pinned(
    struct registry *reg, const struct claim *claim, bool pinned, bool *ours, struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;
	dm_auto(claim) now = NULL;

	*ours = false;
	if (!find_same(reg, claim, &lock, &now, err))
		return false;
	*ours = now != NULL;
	if (now == NULL || now->pinned == pinned)
		return true;
	now->pinned = pinned;
	return publish(reg, now, true, err);
}

bool
registry_set_registration(struct registry *reg, const struct claim *claim,
    enum claim_registration registration, struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;
	dm_auto(claim) now = NULL;

	if (!find_same(reg, claim, &lock, &now, err))
		return false;
	if (now == NULL || now->registration == registration)
		return true;
	now->registration = registration;
	return publish(reg, now, true, err);
}

/* A path below `from` as it is below `to`; any other one stays. Takes it over. */
static char *
moved_path(char *path, const char *from, const char *to)
{
	char *moved;

	if (path == NULL || !dm_path_inside(from, path))
		return path;
	moved = dm_asprintf("%s%s", to, path + strlen(from));
	free(path);
	return moved;
}

static bool
write_moved(struct registry *reg, struct claim *record, const char *worktree, struct dm_err *err)
{
	if (strcmp(record->worktree, worktree) == 0)
		return true;
	record->socket = moved_path(record->socket, record->worktree, worktree);
	free(record->worktree);
	record->worktree = dm_strdup(worktree);
	return publish(reg, record, true, err);
}

bool
registry_move(struct registry *reg, const struct claim *claim, const char *worktree, bool *ours,
    struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;
	dm_auto(claim) now = NULL;
	dm_auto(claim) alias = NULL;

	*ours = false;
	if (!registry_lock(reg, REGISTRY_LOCK_CLAIMS, CLAIMS_LOCK_MS, &lock, err) ||
	    !registry_find(reg, claim->id.s, &now, err))
		return false;
	if (now == NULL || now->is_alias || now->uid != geteuid() ||
	    (strcmp(now->worktree, worktree) != 0 &&
		(strcmp(now->worktree, claim->worktree) != 0 || !claim_worktree_gone(now))))
		return true;
	*ours = true;
	if (!write_moved(reg, now, worktree, err) || !registry_find(reg, claim->app.s, &alias, err))
		return false;
	return alias == NULL || !alias->is_alias || alias->uid != geteuid() ||
	       strcmp(alias->alias_of.s, claim->id.s) != 0 ||
	       write_moved(reg, alias, worktree, err);
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
	alias->pinned = false;
	alias->alias_of = claim->id;
	memset(&alias->run, 0, sizeof(alias->run));
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
	dm_auto(claim) now = NULL;

	if (!registry_lock(reg, REGISTRY_LOCK_CLAIMS, CLAIMS_LOCK_MS, &lock, err) ||
	    !registry_find(reg, claim->id.s, &now, err))
		return false;
	/* its alias goes with it, or stays with it */
	if (now != NULL && claim_taken_anew(claim, now))
		return true;
	return remove_record(reg, claim->app.s, claim->worktree, claim->id.s, err) &&
	       remove_record(reg, claim->id.s, claim->worktree, NULL, err);
}
