/* SPDX-License-Identifier: MIT */
#include "share.h"

#include <cjson/cJSON.h>
#include <dirent.h>
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
#include "base/str.h"
#include "share_impl.h"

enum {
	CONTENT_MAX = 8192,
	LOCK_MS = 10000,
	UNTIL_DIGITS = 10,
};

/* One file of the directory. */
struct entry {
	char *file;
	struct share share; /* id is the name it is for */
	char *worktree;	    /* NULL: its content cannot be read */
	int64_t created;    /* of the claim that was shared */
	struct slug of;	    /* the service's id; another one than share.id for an alias */
};

struct entries {
	struct entry *list;
	size_t count;
};

static void
entries_release(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++) {
		free(entries->list[i].file);
		free(entries->list[i].worktree);
	}
	free(entries->list);
}

#define ENTRIES_AUTO __attribute__((cleanup(entries_release)))

char *
share_dir(const char *identity_dir)
{
	return dm_asprintf("%s/" GATE_SUBDIR, identity_dir);
}

int
share_open_dir(const char *dir)
{
	DM_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int out;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0)
		return -1;
	if (st.st_uid != geteuid()) {
		errno = EPERM;
		return -1;
	}
	if ((st.st_mode & 022) != 0 && fchmod(fd, 0755) != 0)
		return -1;
	out = fd;
	fd = -1;
	return out;
}

int
share_take_turn(const char *dir, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/.lock", dir);
	int fd = -1;

	return dm_lock(path, LOCK_MS, &fd, err) ? fd : -1;
}

bool
share_parse_name(const char *file, struct share *out)
{
	const char *dot = strchr(file, '.'), *second = dot == NULL ? NULL : strchr(dot + 1, '.');
	char reach[16], id[SLUG_MAX + 1];
	uint64_t until;
	struct dm_err ignored;

	memset(out, 0, sizeof(*out));
	if (second == NULL || strlen(second + 1) != UNTIL_DIGITS ||
	    !dm_parse_uint(second + 1, 0, GATE_FOREVER, &until) ||
	    !dm_snprintf(id, sizeof(id), "%.*s", (int)(dot - file), file) ||
	    !dm_snprintf(reach, sizeof(reach), "%.*s", (int)(second - dot - 1), dot + 1) ||
	    !slug_parse(id, &out->id, &ignored) || !gate_reach_parse(reach, &out->reach))
		return false;
	out->until = (int64_t)until;
	return true;
}

static bool
copy_text(const cJSON *o, const char *key, char *out, size_t size)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));

	out[0] = '\0';
	return text == NULL || (dm_snprintf(out, size, "%s", text) && !dm_has_control(out));
}

/* What the file says; one that says nothing sensible shares nothing that we know of. */
static void
read_content(int dir, struct entry *entry)
{
	DM_AUTO_CLOSE int fd =
	    openat(dir, entry->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	DM_AUTO_STR struct dm_str text = dm_str_make(CONTENT_MAX);
	char id[SLUG_MAX + 1];
	struct dm_err ignored;
	const char *worktree;
	const cJSON *since, *created;
	cJSON *o;

	if (fd < 0 || !dm_read_fd(fd, &text, &ignored))
		return;
	o = cJSON_ParseWithLength(text.data, text.len);
	worktree = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "worktree"));
	since = cJSON_GetObjectItemCaseSensitive(o, "since");
	created = cJSON_GetObjectItemCaseSensitive(o, "created");
	if (worktree != NULL && copy_text(o, "id", id, sizeof(id)) &&
	    slug_parse(id, &entry->of, &ignored) &&
	    copy_text(o, "user", entry->share.user, sizeof(entry->share.user)) &&
	    copy_text(o, "hash", entry->share.hash, sizeof(entry->share.hash)) &&
	    cJSON_IsNumber(since) && since->valuedouble >= 0 &&
	    since->valuedouble <= GATE_FOREVER) {
		entry->share.since = (int64_t)since->valuedouble;
		if (cJSON_IsNumber(created) && created->valuedouble > 0 &&
		    created->valuedouble <= GATE_FOREVER)
			entry->created = (int64_t)created->valuedouble;
		entry->worktree = dm_strdup(worktree);
	}
	cJSON_Delete(o);
}

/* Shares in the directory, those of `only` if that is not NULL. */
static void
read_entries(int dir, const char *only, struct entries *out)
{
	int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = again < 0 ? NULL : fdopendir(again);
	const struct dirent *file;
	struct share share;

	if (stream == NULL) {
		if (again >= 0)
			(void)close(again);
		return;
	}
	while ((file = readdir(stream)) != NULL) {
		struct entry *entry;

		if (!share_parse_name(file->d_name, &share) ||
		    (only != NULL && strcmp(share.id.s, only) != 0))
			continue;
		out->list = dm_reallocarray(out->list, out->count + 1, sizeof(*out->list));
		entry = &out->list[out->count++];
		*entry = (struct entry){.file = dm_strdup(file->d_name), .share = share};
		read_content(dir, entry);
	}
	(void)closedir(stream);
}

static bool
is_gone(const char *path)
{
	struct stat st;

	return lstat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

/*
 * Whether it was made for the claim's worktree: by its path, or, between the move of a worktree and
 * share_move(), by the claim, which is still the same.
 */
static bool
is_of_worktree(const struct entry *entry, const struct claim *claim)
{
	return entry->worktree != NULL &&
	       (strcmp(entry->worktree, claim->worktree) == 0 ||
		   (entry->created == claim->created && is_gone(entry->worktree)));
}

/* Whether it is the share of the claim's service: for its worktree, and not over. */
static bool
is_of(const struct entry *entry, const struct claim *claim, int64_t now)
{
	return entry->share.until > now && strcmp(entry->of.s, claim->id.s) == 0 &&
	       is_of_worktree(entry, claim);
}

bool
share_find_in(const char *dir, const struct claim *claim, struct share *out)
{
	DM_AUTO_CLOSE int fd = share_open_dir(dir);
	ENTRIES_AUTO struct entries entries = {.count = 0};

	if (fd < 0)
		return false;
	read_entries(fd, claim->id.s, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		if (is_of(&entries.list[i], claim, dm_wall_seconds())) {
			*out = entries.list[i].share;
			return true;
		}
	}
	return false;
}

bool
share_find(const struct claim *claim, struct share *out)
{
	DM_AUTO_FREE char *dir = claim->identity == NULL ? NULL : share_dir(claim->identity);

	return dir != NULL && share_find_in(dir, claim, out);
}

bool
share_needs_login(const struct claim *claim)
{
	struct share share;

	return share_find(claim, &share) && share.reach == GATE_PASSWORD;
}

/* ---- making and ending them ------------------------------------------------------------ */

static bool
fail_place(const struct claim *claim, struct dm_err *err)
{
	(void)dm_fail(err, DM_FAILED,
	    "there is no directory in which Caddy could look up what of %s is shared", claim->id.s);
	return dm_hint(err, "devmesh doctor; [local] state_dir is where it would be");
}

int
share_make_dir(const char *dir)
{
	bool made = mkdir(dir, 0755) == 0;
	int fd;

	if (!made && errno != EEXIST)
		return -1;
	if ((fd = share_open_dir(dir)) >= 0 && made)
		(void)fchmod(fd, 0755); /* whatever the umask is */
	return fd;
}

/* The share's text for one name; the caller owns it. */
static char *
compose(const struct claim *claim, const struct share *share)
{
	cJSON *o = cJSON_CreateObject();
	char *text;

	(void)cJSON_AddStringToObject(o, "id", claim->id.s);
	(void)cJSON_AddStringToObject(o, "worktree", claim->worktree);
	(void)cJSON_AddNumberToObject(o, "created", (double)claim->created);
	(void)cJSON_AddNumberToObject(o, "since", (double)share->since);
	if (share->user[0] != '\0') {
		(void)cJSON_AddStringToObject(o, "user", share->user);
		(void)cJSON_AddStringToObject(o, "hash", share->hash);
	}
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

/* Writes the whole file at once, under a name that the gate does not take for a share meanwhile. */
static bool
write_file(int dir, const char *file, const char *text)
{
	static const char temporary[] = ".new";
	DM_AUTO_CLOSE int fd = -1;

	(void)unlinkat(dir, temporary, 0);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && dm_write_all(fd, text, strlen(text)) && fsync(fd) == 0 &&
	    renameat(dir, temporary, dir, file) == 0)
		return true;
	(void)unlinkat(dir, temporary, 0);
	return false;
}

/* Writes the file for one name, then removes what was there for it. */
static bool
put_name(int dir, const struct slug *name, const struct claim *claim, const struct share *share,
    struct dm_err *err)
{
	ENTRIES_AUTO struct entries old = {.count = 0};
	DM_AUTO_FREE char *file = dm_asprintf(
	    "%s.%s.%010lld", name->s, gate_reach_name(share->reach), (long long)share->until);
	DM_AUTO_FREE char *text = compose(claim, share);

	read_entries(dir, name->s, &old);
	if (old.count == 1 && is_of(&old.list[0], claim, 0) &&
	    strcmp(old.list[0].file, file) == 0 && old.list[0].share.since == share->since)
		return true; /* as it is */
	if (!write_file(dir, file, text))
		return dm_fail_errno(err, errno, "sharing %s: writing %s", name->s, file);
	for (size_t i = 0; i < old.count; i++) {
		if (strcmp(old.list[i].file, file) != 0)
			(void)unlinkat(dir, old.list[i].file, 0);
	}
	return true;
}

/* Which files share_end() and others remove. */
typedef bool is_doomed(const struct entry *entry, const void *user);

/* Removes them. False if one cannot be removed; *removed counts the others. */
static bool
remove_entries(
    const char *dir, is_doomed *doomed, const void *user, size_t *removed, struct dm_err *err)
{
	DM_AUTO_CLOSE int fd = share_open_dir(dir);
	DM_AUTO_CLOSE int turn = -1;
	ENTRIES_AUTO struct entries entries = {.count = 0};

	*removed = 0;
	if (fd < 0)
		return errno == ENOENT || dm_fail_errno(err, errno, "opening %s", dir);
	if ((turn = share_take_turn(dir, err)) < 0)
		return false;
	read_entries(fd, NULL, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		const struct entry *entry = &entries.list[i];

		if (!doomed(entry, user))
			continue;
		if (unlinkat(fd, entry->file, 0) == 0)
			(*removed)++;
		else if (errno != ENOENT)
			return dm_fail_errno(err, errno, "removing %s/%s", dir, entry->file);
	}
	return true;
}

static bool
is_for(const struct entry *entry, const char *id)
{
	return strcmp(entry->share.id.s, id) == 0 ||
	       (entry->worktree != NULL && strcmp(entry->of.s, id) == 0);
}

static bool
is_of_id(const struct entry *entry, const void *user)
{
	return is_for(entry, user);
}

bool
share_put(const struct claim *claim, const struct slug *alias, const struct share *share,
    struct dm_err *err)
{
	DM_AUTO_FREE char *dir = claim->identity == NULL ? NULL : share_dir(claim->identity);
	DM_AUTO_CLOSE int fd = -1;
	DM_AUTO_CLOSE int turn = -1;

	if (dir == NULL)
		return fail_place(claim, err);
	if ((fd = share_make_dir(dir)) < 0)
		return dm_fail_errno(err, errno, "sharing %s: opening %s", claim->id.s, dir);
	/* the alias first: what fails then has shared nothing under the service's own name */
	return (turn = share_take_turn(dir, err)) >= 0 &&
	       (alias == NULL || put_name(fd, alias, claim, share, err)) &&
	       put_name(fd, &claim->id, claim, share, err);
}

bool
share_end_in(const char *dir, const char *id, bool *was, struct dm_err *err)
{
	size_t removed;

	*was = false;
	if (!remove_entries(dir, is_of_id, id, &removed, err))
		return dm_wrap(err, "ending the share of %s", id);
	*was = removed > 0;
	return true;
}

bool
share_end(const struct claim *claim, bool *was, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = claim->identity == NULL ? NULL : share_dir(claim->identity);

	*was = false;
	return dir == NULL || share_end_in(dir, claim->id.s, was, err);
}

/* Of the claim's service, unless the name is another worktree's by now. */
static bool
is_of_claim(const struct entry *entry, const void *user)
{
	const struct claim *claim = user;

	return is_for(entry, claim->id.s) &&
	       (entry->worktree == NULL || is_of_worktree(entry, claim));
}

/* What stands in the way of the claim's being private: of its name, or of its share elsewhere. */
static bool
is_foreign(const struct entry *entry, const void *user)
{
	const struct claim *claim = user;

	return is_for(entry, claim->id.s) &&
	       (strcmp(entry->of.s, claim->id.s) != 0 || !is_of_worktree(entry, claim));
}

struct alias_of {
	const struct claim *claim;
	const struct slug *alias;
};

static bool
is_foreign_alias(const struct entry *entry, const void *user)
{
	const struct alias_of *a = user;

	return strcmp(entry->share.id.s, a->alias->s) == 0 &&
	       (strcmp(entry->of.s, a->claim->id.s) != 0 || !is_of_worktree(entry, a->claim));
}

/* Removes what fits; what goes wrong is a warning. How many. */
static size_t
forget(const struct claim *claim, is_doomed *doomed, const void *user)
{
	DM_AUTO_FREE char *dir = claim->identity == NULL ? NULL : share_dir(claim->identity);
	size_t removed = 0;
	struct dm_err err;

	if (dir != NULL && !remove_entries(dir, doomed, user, &removed, &err))
		dm_warn("ending the share of %s: %s", claim->id.s, err.msg);
	return removed;
}

void
share_forget(const struct claim *claim)
{
	if (forget(claim, is_of_claim, claim) > 0)
		dm_note("%s is not shared any more", claim->id.s);
}

void
share_settle(const struct claim *claim, const struct slug *alias)
{
	const struct alias_of a = {claim, alias};

	if ((alias == NULL ? forget(claim, is_foreign, claim)
			   : forget(claim, is_foreign_alias, &a)) > 0)
		dm_note("%s was shared for another worktree: that is over",
		    alias == NULL ? claim->id.s : alias->s);
}

bool
share_move(const struct claim *claim, const char *worktree, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = claim->identity == NULL ? NULL : share_dir(claim->identity);
	DM_AUTO_CLOSE int fd = dir == NULL ? -1 : share_open_dir(dir);
	DM_AUTO_CLOSE int turn = -1;
	ENTRIES_AUTO struct entries entries = {.count = 0};
	dm_auto(claim) moved = claim_dup(claim);

	if (fd < 0)
		return true;
	if ((turn = share_take_turn(dir, err)) < 0)
		return false;
	free(moved->worktree);
	moved->worktree = dm_strdup(worktree);
	read_entries(fd, NULL, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		const struct entry *entry = &entries.list[i];
		DM_AUTO_FREE char *text = compose(moved, &entry->share);

		if (entry->worktree != NULL && is_of_claim(entry, claim) &&
		    !write_file(fd, entry->file, text))
			return dm_fail_errno(err, errno, "writing %s/%s", dir, entry->file);
	}
	return true;
}

void
share_each(const char *dir, share_fn *fn, void *user)
{
	DM_AUTO_CLOSE int fd = share_open_dir(dir);
	ENTRIES_AUTO struct entries entries = {.count = 0};
	int64_t now = dm_wall_seconds();

	if (fd < 0)
		return;
	read_entries(fd, NULL, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		const struct entry *entry = &entries.list[i];

		if (entry->worktree != NULL && entry->share.until > now &&
		    strcmp(entry->of.s, entry->share.id.s) == 0)
			fn(user, &entry->share, entry->worktree);
	}
}

/* Whether its worktree is gone, and nobody holds the name: one that moves is followed by its claim.
 */
static bool
is_left_over(const struct entry *entry, const struct registry *reg)
{
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	return is_gone(entry->worktree) && registry_find(reg, entry->of.s, &claim, &ignored) &&
	       claim == NULL;
}

/* Over, left over, or one of two for a name: the other one is newer. */
static bool
is_over(const struct entries *entries, size_t i, const struct registry *reg, int64_t now)
{
	const struct entry *entry = &entries->list[i];

	if (entry->share.until <= now)
		return true;
	if (entry->worktree == NULL)
		return false; /* our own: share_own() */
	if (reg != NULL && is_left_over(entry, reg))
		return true;
	for (size_t k = 0; k < entries->count; k++) {
		const struct entry *other = &entries->list[k];

		if (k != i && strcmp(other->share.id.s, entry->share.id.s) == 0 &&
		    (other->share.since > entry->share.since ||
			(other->share.since == entry->share.since && k < i)))
			return true;
	}
	return false;
}

int64_t
share_sweep(const char *dir, const struct registry *reg)
{
	DM_AUTO_CLOSE int fd = share_open_dir(dir);
	DM_AUTO_CLOSE int turn = -1;
	ENTRIES_AUTO struct entries entries = {.count = 0};
	int64_t now = dm_wall_seconds(), next = GATE_FOREVER;
	struct dm_err err;

	if (fd < 0)
		return next;
	if ((turn = share_take_turn(dir, &err)) < 0) {
		dm_warn("%s", err.msg);
		return now + LOCK_MS / 1000;
	}
	read_entries(fd, NULL, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		const struct entry *entry = &entries.list[i];

		if (is_over(&entries, i, reg, now))
			(void)unlinkat(fd, entry->file, 0);
		else if (entry->share.until < next)
			next = entry->share.until;
	}
	return next;
}
