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

enum {
	CONTENT_MAX = 8192,
	FILES_MAX = 4096, /* in the directory; of more the rest is not looked at */
	UNTIL_DIGITS = 10,
	YEAR_S = 366 * 86400,
};

/* One file of the directory. */
struct entry {
	char *file;
	struct share share; /* id is the name it is for */
	char *worktree;	    /* NULL: its content cannot be read */
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

/* Opens it if only this user may write to it: -1 with errno 0 if somebody else may, too. */
static int
open_dir(const char *dir)
{
	DM_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int out;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 022) != 0) {
		errno = 0;
		return -1;
	}
	out = fd;
	fd = -1;
	return out;
}

/* "<id>.<reach>.<until>" */
static bool
parse_name(const char *file, struct share *out)
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
	const cJSON *since;
	cJSON *o;

	if (fd < 0 || !dm_read_fd(fd, &text, &ignored))
		return;
	o = cJSON_ParseWithLength(text.data, text.len);
	worktree = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, "worktree"));
	since = cJSON_GetObjectItemCaseSensitive(o, "since");
	if (worktree != NULL && copy_text(o, "id", id, sizeof(id)) &&
	    slug_parse(id, &entry->of, &ignored) &&
	    copy_text(o, "user", entry->share.user, sizeof(entry->share.user)) &&
	    copy_text(o, "hash", entry->share.hash, sizeof(entry->share.hash)) &&
	    cJSON_IsNumber(since) && since->valuedouble >= 0 &&
	    since->valuedouble <= GATE_FOREVER) {
		entry->share.since = (int64_t)since->valuedouble;
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
	for (int i = 0; i < FILES_MAX && (file = readdir(stream)) != NULL; i++) {
		struct entry *entry;

		if (!parse_name(file->d_name, &share) ||
		    (only != NULL && strcmp(share.id.s, only) != 0))
			continue;
		out->list = dm_reallocarray(out->list, out->count + 1, sizeof(*out->list));
		entry = &out->list[out->count++];
		*entry = (struct entry){.file = dm_strdup(file->d_name), .share = share};
		read_content(dir, entry);
	}
	(void)closedir(stream);
}

/* Whether it is the share of the claim's service: for its worktree, and not over. */
static bool
is_of(const struct entry *entry, const struct claim *claim, int64_t now)
{
	return entry->worktree != NULL && entry->share.until > now &&
	       strcmp(entry->of.s, claim->id.s) == 0 &&
	       strcmp(entry->worktree, claim->worktree) == 0;
}

bool
share_find_in(const char *dir, const struct claim *claim, struct share *out)
{
	DM_AUTO_CLOSE int fd = open_dir(dir);
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

/* ---- making and ending them ------------------------------------------------------------ */

static bool
fail_place(const struct claim *claim, struct dm_err *err)
{
	(void)dm_fail(err, DM_FAILED,
	    "there is no directory in which Caddy could look up what of %s is shared", claim->id.s);
	return dm_hint(err, "devmesh doctor; [local] state_dir is where it would be");
}

/* Makes the directory, readable for a Caddy that is another user; its parent is as private as it
 * has to be. */
static int
make_dir(const struct claim *claim, const char *dir, struct dm_err *err)
{
	bool made = mkdir(dir, 0755) == 0;
	int fd;

	if (!made && errno != EEXIST) {
		(void)dm_fail_errno(err, errno, "making %s", dir);
		return -1;
	}
	if ((fd = open_dir(dir)) >= 0) {
		if (made)
			(void)fchmod(fd, 0755); /* whatever the umask is */
		return fd;
	}
	if (errno != 0)
		(void)dm_fail_errno(err, errno, "sharing %s: opening %s", claim->id.s, dir);
	else
		(void)dm_fail(err, DM_DENIED,
		    "sharing %s: others may write to %s, and so share what they like", claim->id.s,
		    dir);
	return -1;
}

/* The share's text for one name; the caller owns it. */
static char *
compose(const struct claim *claim, const struct share *share)
{
	cJSON *o = cJSON_CreateObject();
	char *text;

	(void)cJSON_AddStringToObject(o, "id", claim->id.s);
	(void)cJSON_AddStringToObject(o, "worktree", claim->worktree);
	(void)cJSON_AddNumberToObject(o, "since", (double)share->since);
	if (share->user[0] != '\0') {
		(void)cJSON_AddStringToObject(o, "user", share->user);
		(void)cJSON_AddStringToObject(o, "hash", share->hash);
	}
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

/* Writes the file for one name, then removes what was there for it. */
static bool
put_name(int fd, const char *dir, const struct slug *name, const struct claim *claim,
    const struct share *share, struct dm_err *err)
{
	ENTRIES_AUTO struct entries old = {.count = 0};
	DM_AUTO_FREE char *file = dm_asprintf(
	    "%s.%s.%010lld", name->s, gate_reach_name(share->reach), (long long)share->until);
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", dir, file);
	DM_AUTO_FREE char *text = compose(claim, share);

	read_entries(fd, name->s, &old);
	if (old.count == 1 && is_of(&old.list[0], claim, 0) &&
	    strcmp(old.list[0].file, file) == 0 && old.list[0].share.since == share->since)
		return true; /* as it is */
	if (!dm_write_file(path, text, strlen(text), 0600, err))
		return dm_wrap(err, "sharing %s", name->s);
	for (size_t i = 0; i < old.count; i++) {
		if (strcmp(old.list[i].file, file) != 0)
			(void)unlinkat(fd, old.list[i].file, 0);
	}
	return true;
}

bool
share_put(const struct claim *claim, const struct slug *alias, const struct share *share,
    struct dm_err *err)
{
	DM_AUTO_FREE char *dir = claim->identity == NULL ? NULL : share_dir(claim->identity);
	DM_AUTO_CLOSE int fd = -1;

	if (dir == NULL)
		return fail_place(claim, err);
	if ((fd = make_dir(claim, dir, err)) < 0)
		return false;
	return put_name(fd, dir, &claim->id, claim, share, err) &&
	       (alias == NULL || put_name(fd, dir, alias, claim, share, err));
}

bool
share_end(const struct claim *claim, bool *was, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = claim->identity == NULL ? NULL : share_dir(claim->identity);
	DM_AUTO_CLOSE int fd = dir == NULL ? -1 : open_dir(dir);
	ENTRIES_AUTO struct entries entries = {.count = 0};

	*was = false;
	if (fd < 0)
		return true;
	read_entries(fd, NULL, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		const struct entry *entry = &entries.list[i];

		if (strcmp(entry->share.id.s, claim->id.s) != 0 &&
		    (entry->worktree == NULL || strcmp(entry->of.s, claim->id.s) != 0))
			continue;
		*was = true;
		if (unlinkat(fd, entry->file, 0) != 0 && errno != ENOENT)
			return dm_fail_errno(err, errno, "ending the share of %s: removing %s/%s",
			    claim->id.s, dir, entry->file);
	}
	return true;
}

void
share_forget(const struct claim *claim)
{
	struct dm_err err;
	bool was;

	if (!share_end(claim, &was, &err))
		dm_warn("%s", err.msg);
	else if (was)
		dm_note("%s is not shared any more", claim->id.s);
}

void
share_settle(const struct claim *claim)
{
	DM_AUTO_FREE char *dir = claim->identity == NULL ? NULL : share_dir(claim->identity);
	DM_AUTO_CLOSE int fd = dir == NULL ? -1 : open_dir(dir);
	ENTRIES_AUTO struct entries entries = {.count = 0};

	if (fd < 0)
		return;
	read_entries(fd, claim->id.s, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		const struct entry *entry = &entries.list[i];

		if (entry->worktree == NULL || strcmp(entry->worktree, claim->worktree) != 0) {
			(void)unlinkat(fd, entry->file, 0);
			dm_note("%s was shared for another worktree: that is over", claim->id.s);
		}
	}
}

void
share_each(const char *dir, share_fn *fn, void *user)
{
	DM_AUTO_CLOSE int fd = open_dir(dir);
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

int64_t
share_sweep(const char *dir)
{
	DM_AUTO_CLOSE int fd = open_dir(dir);
	ENTRIES_AUTO struct entries entries = {.count = 0};
	int64_t now = dm_wall_seconds(), next = GATE_FOREVER;

	if (fd < 0)
		return next;
	read_entries(fd, NULL, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		const struct entry *entry = &entries.list[i];

		if (entry->share.until <= now)
			(void)unlinkat(fd, entry->file, 0);
		else if (entry->share.until < next)
			next = entry->share.until;
	}
	return next;
}

/* ---- our own ---------------------------------------------------------------------------- */

/* Removes the other files that begin with `prefix`, and have not `until` as their end. */
static void
drop_others(int fd, const char *prefix, int64_t until)
{
	DM_AUTO_FREE char *end = dm_asprintf(".%010lld", (long long)until);
	int again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = again < 0 ? NULL : fdopendir(again);
	const struct dirent *file;

	if (stream == NULL) {
		if (again >= 0)
			(void)close(again);
		return;
	}
	for (int i = 0; i < FILES_MAX && (file = readdir(stream)) != NULL; i++) {
		if (dm_starts_with(file->d_name, prefix) && !dm_ends_with(file->d_name, end))
			(void)unlinkat(fd, file->d_name, 0);
	}
	(void)closedir(stream);
}

static void
make_empty(int fd, const char *file)
{
	int made = openat(fd, file, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (made >= 0)
		(void)close(made);
}

void
share_own(const char *dir, const struct dns_address *addresses, size_t count, const char *name,
    int64_t until)
{
	bool made = mkdir(dir, 0755) == 0;
	DM_AUTO_CLOSE int fd = open_dir(dir);
	char text[DNS_ADDRESS_TEXT];

	if (fd < 0)
		return;
	if (made)
		(void)fchmod(fd, 0755);
	for (size_t i = 0; i < count; i++) {
		DM_AUTO_FREE char *file = NULL;

		dns_address_text(&addresses[i], text);
		file = dm_asprintf("@%s.%010lld", text, (long long)until);
		make_empty(fd, file);
	}
	/* the new ones are there first: nothing is refused in between */
	if (until > 0)
		drop_others(fd, "@", until);
	if (name != NULL) {
		DM_AUTO_FREE char *prefix = dm_asprintf("%s.%s.", name, gate_reach_name(GATE_LAN));
		DM_AUTO_FREE char *file = dm_asprintf("%s%010lld", prefix, (long long)until);

		make_empty(fd, file);
		drop_others(fd, prefix, until);
	}
}

bool
share_parse_period(const char *text, int64_t *seconds)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	size_t n = strlen(text);
	int64_t factor = 1;
	char digits[16];
	uint64_t number;

	for (size_t i = 0; n > 1 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (text[n - 1] == units[i].unit) {
			factor = units[i].s;
			n--;
			break;
		}
	}
	if (!dm_snprintf(digits, sizeof(digits), "%.*s", (int)n, text) ||
	    !dm_parse_uint(digits, 1, (uint64_t)(YEAR_S / factor), &number))
		return false;
	*seconds = (int64_t)number * factor;
	return true;
}
