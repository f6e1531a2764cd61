/* SPDX-License-Identifier: MIT */
#include "identity.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "answerer.h"
#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/str.h"
#include "out.h"
#include "repo/checkout.h"

enum {
	DIRTY_MS = 50, /* `up` has to stay quick */
	LOCK_MS = 10000,
	DOCUMENT_MAX = 32768,
	TEMPORARY_S = 60, /* no writer takes that long */
};

char *
identity_dir(struct session *s, bool make)
{
	DM_AUTO_FREE char *dir = NULL;
	struct dm_err err;

	if (!session_need_state_dir(s, &err))
		return NULL;
	dir = dm_asprintf("%s/identity", s->state_dir);
	/* its file matcher takes patterns, and placeholders everywhere */
	if (dir[0] != '/' || strpbrk(dir, "{}*?[]\\") != NULL) {
		dm_debug("%s: not a path that Caddy can be given", dir);
		return NULL;
	}
	if (make && access(dir, F_OK) != 0 && !dm_make_dirs(dir, 0700, &err)) {
		dm_warn("%s", err.msg);
		return NULL;
	}
	return dm_steal_pointer(&dir);
}

/* Opens the directory if it is one for documents: only ours to write to, and not the registry's. */
static int
open_dir(const struct registry *reg, const char *dir)
{
	DM_AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st, sockets;
	int out;

	if (fd < 0 || fstat(fd, &st) != 0) {
		dm_debug("no identity documents in %s: %s", dir, strerror(errno));
		return -1;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 022) != 0 ||
	    (stat(registry_dir(reg), &sockets) == 0 && sockets.st_dev == st.st_dev &&
		sockets.st_ino == st.st_ino)) {
		dm_debug("no identity documents in %s: others may write there", dir);
		return -1;
	}
	out = fd;
	fd = -1;
	return out;
}

/* The document `name` as it is; NULL if there is none. *other: a file that is no document. */
static cJSON *
read_document(int dir, const char *name, bool *other)
{
	DM_AUTO_FREE char *file = dm_asprintf("%s.json", name);
	DM_AUTO_CLOSE int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	DM_AUTO_STR struct dm_str text = dm_str_make(DOCUMENT_MAX);
	const cJSON *id, *alias;
	struct dm_err ignored;
	cJSON *o;

	*other = fd < 0 && errno != ENOENT;
	if (fd < 0 || (dm_read_fd(fd, &text, &ignored) && text.len == 0))
		return NULL; /* empty: the machine went down before it reached the disk */
	o = cJSON_ParseWithLength(text.data, text.len);
	id = cJSON_GetObjectItemCaseSensitive(o, "id");
	alias = cJSON_GetObjectItemCaseSensitive(o, "alias_of");
	if (cJSON_IsString(id) && cJSON_HasObjectItem(o, "observed") &&
	    cJSON_HasObjectItem(o, "worktree") &&
	    (cJSON_IsString(alias) || strcmp(id->valuestring, name) == 0))
		return o;
	cJSON_Delete(o);
	*other = true;
	return NULL;
}

/* Since when this server is known: what was written down, if that was about the same one. */
static int64_t
started(int dir, const char *name, const struct claim *claim, pid_t pid, int64_t now, bool *other)
{
	cJSON *old = read_document(dir, name, other);
	const cJSON *old_pid = cJSON_GetObjectItemCaseSensitive(old, "pid");
	const cJSON *since = cJSON_GetObjectItemCaseSensitive(old, "started");
	int64_t out = pid == 0 ? claim->created : now;

	if (pid != 0 && cJSON_IsNumber(old_pid) && cJSON_IsNumber(since) &&
	    old_pid->valuedouble == (double)pid && since->valuedouble > 0 &&
	    since->valuedouble <= (double)now)
		out = (int64_t)since->valuedouble;
	cJSON_Delete(old);
	return out;
}

/* What is the same in all documents of a claim. */
struct facts {
	char *commit;
	enum checkout_changes changes;
	pid_t pid;
};

/* The text of a document; the caller owns it. */
static char *
compose(const struct claim *claim, const struct facts *facts, int64_t since, int64_t now)
{
	cJSON *o = out_object();
	char *text;

	out_add_text(o, "id", claim->is_alias ? claim->alias_of.s : claim->id.s);
	if (claim->is_alias)
		out_add_text(o, "alias_of", claim->alias_of.s);
	out_add_text(o, "app", claim->app.s);
	out_add_text(o, "branch", claim->branch);
	out_add_text(o, "worktree", claim->worktree);
	out_add_text(o, "commit", facts->commit);
	(void)cJSON_AddItemToObject(o, "dirty",
	    facts->changes == CHECKOUT_UNKNOWN
		? cJSON_CreateNull()
		: cJSON_CreateBool(facts->changes == CHECKOUT_DIRTY));
	(void)cJSON_AddItemToObject(o, "pid",
	    facts->pid == 0 ? cJSON_CreateNull() : cJSON_CreateNumber((double)facts->pid));
	(void)cJSON_AddNumberToObject(o, "started", (double)since);
	out_add_text(o, "url", claim->url);
	(void)cJSON_AddNumberToObject(o, "observed", (double)now);
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}

/* Whole or not at all, as renameat(2) does it; not synced: the next `up` writes it anew. */
static bool
put_file(int dir, const char *name, const char *text)
{
	DM_AUTO_FREE char *file = dm_asprintf("%s.json", name);
	DM_AUTO_FREE char *tmp = dm_asprintf(".%s.%ld.tmp", name, (long)getpid());
	DM_AUTO_CLOSE int fd = -1;
	int error;

	(void)unlinkat(dir, tmp, 0);
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	/* 0644: the directory says who may read it, and a system's Caddy is another user */
	if (fd >= 0 && fchmod(fd, 0644) == 0 && dm_write_all(fd, text, strlen(text)) &&
	    dm_write_all(fd, "\n", 1) && renameat(dir, tmp, dir, file) == 0)
		return true;
	error = errno;
	(void)unlinkat(dir, tmp, 0);
	errno = error;
	return false;
}

/* Removes the document `name`. */
static void
drop(int dir, const char *path, const char *name)
{
	DM_AUTO_FREE char *file = dm_asprintf("%s.json", name);
	bool other;
	cJSON *old = read_document(dir, name, &other);

	cJSON_Delete(old);
	if (!other && unlinkat(dir, file, 0) != 0 && errno != ENOENT)
		dm_warn("removing %s/%s, which says what is no longer so: %s", path, file,
		    strerror(errno));
}

/* Writes one document, of a claim or an alias. */
static bool
publish_one(const struct registry *reg, const struct claim *claim, const struct facts *facts)
{
	DM_AUTO_CLOSE int dir = claim->identity == NULL ? -1 : open_dir(reg, claim->identity);
	DM_AUTO_FREE char *text = NULL;
	int64_t now = dm_wall_seconds(), since;
	bool other;

	if (dir < 0)
		return false;
	since = started(dir, claim->id.s, claim, facts->pid, now, &other);
	if (other) {
		dm_warn("%s/%s.json is in the way: it is no identity document", claim->identity,
		    claim->id.s);
		return false;
	}
	text = compose(claim, facts, since, now);
	if (put_file(dir, claim->id.s, text))
		return true;
	dm_warn("writing the identity document %s/%s.json: %s", claim->identity, claim->id.s,
	    strerror(errno));
	drop(dir, claim->identity, claim->id.s);
	return false;
}

/* The record `id` if it is ours; NULL otherwise. The caller owns it. */
static struct claim *
own_record(const struct registry *reg, const char *id)
{
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	if (!registry_find(reg, id, &claim, &ignored) || claim == NULL || claim->uid != geteuid())
		return NULL;
	return DM_STEAL(&claim);
}

/* The claim's alias; NULL if it has none. The caller owns it. */
static struct claim *
alias_of(const struct registry *reg, const struct claim *claim)
{
	dm_auto(claim) alias = own_record(reg, claim->app.s);

	if (alias == NULL || !alias->is_alias || strcmp(alias->alias_of.s, claim->id.s) != 0)
		return NULL;
	return DM_STEAL(&alias);
}

void
identity_forget(const struct registry *reg, const struct claim *claim)
{
	DM_AUTO_CLOSE int dir = claim->identity == NULL || claim->uid != geteuid()
				    ? -1
				    : open_dir(reg, claim->identity);

	if (dir >= 0)
		drop(dir, claim->identity, claim->id.s);
}

/* With the lock held: the record is what it was, and stays so until all is written. */
static bool
publish_locked(const struct registry *reg, const struct claim *claim, const struct facts *facts,
    enum answerer_kind kind)
{
	dm_auto(claim) now = own_record(reg, claim->id.s);
	dm_auto(claim) alias = NULL;
	bool ok;

	if (now == NULL || now->is_alias || strcmp(now->worktree, claim->worktree) != 0)
		return false;
	alias = alias_of(reg, now);
	if (kind == ANSWERER_FOREIGN) {
		dm_debug("%s: another checkout answers for it; no identity document", now->id.s);
		identity_forget(reg, now);
		if (alias != NULL)
			identity_forget(reg, alias);
		return false;
	}
	ok = publish_one(reg, now, facts);
	if (alias != NULL)
		ok = publish_one(reg, alias, facts) && ok;
	return ok;
}

bool
identity_publish(const struct registry *reg, const struct claim *claim)
{
	ANSWERER_AUTO struct answerer answerer = {.kind = ANSWERER_NONE};
	DM_AUTO_FREE char *commit = NULL;
	DM_AUTO_CLOSE int lock = -1;
	struct facts facts;
	struct dm_err err;

	if (claim->identity == NULL)
		return false;
	answerer_find(claim, claim->worktree, NULL, NULL, &answerer);
	commit = checkout_commit(claim->worktree);
	facts = (struct facts){.commit = commit,
	    .changes =
		commit == NULL ? CHECKOUT_UNKNOWN : checkout_changes(claim->worktree, DIRTY_MS),
	    .pid = answerer.pid};
	if (!registry_lock(reg, REGISTRY_LOCK_CLAIMS, LOCK_MS, &lock, &err)) {
		dm_warn("%s", err.msg);
		identity_forget(reg, claim);
		return false;
	}
	return publish_locked(reg, claim, &facts, answerer.kind);
}

void
identity_withdraw(const struct registry *reg, const struct claim *claim)
{
	DM_AUTO_CLOSE int lock = -1;
	dm_auto(claim) alias = claim_dup(claim);
	dm_auto(claim) now = NULL;
	dm_auto(claim) named = NULL;
	struct dm_err err;

	if (claim->identity == NULL)
		return;
	if (!registry_lock(reg, REGISTRY_LOCK_CLAIMS, LOCK_MS, &lock, &err))
		dm_debug("%s", err.msg);
	now = own_record(reg, claim->id.s);
	if (now == NULL)
		identity_forget(reg, claim);
	alias->id = claim->app;
	if (strcmp(claim->app.s, claim->id.s) == 0)
		return;
	named = own_record(reg, claim->app.s);
	if (named == NULL)
		identity_forget(reg, alias);
}

struct sweep {
	const struct registry *reg;
	const char *path;
	int dir;
	bool dry_run;
	void (*say)(void *user, const char *path);
	void *user;
};

/* Whether a claim of ours has its document here. */
static bool
is_claimed(const struct sweep *sweep, const char *name)
{
	dm_auto(claim) claim = own_record(sweep->reg, name);

	return claim != NULL && claim->identity != NULL &&
	       strcmp(claim->identity, sweep->path) == 0;
}

static void
sweep_entry(const struct sweep *sweep, const char *entry)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/%s", sweep->path, entry);
	DM_AUTO_FREE char *name = dm_strdup(entry);
	struct stat st;
	bool other = false;

	if (fstatat(sweep->dir, entry, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return;
	if (entry[0] == '.' && dm_ends_with(entry, ".tmp")) {
		other = dm_wall_seconds() - (int64_t)st.st_mtime < TEMPORARY_S;
	} else if (dm_ends_with(entry, ".json")) {
		name[strlen(name) - strlen(".json")] = '\0';
		if (!slug_valid(name) || is_claimed(sweep, name))
			return;
		cJSON_Delete(read_document(sweep->dir, name, &other));
	} else {
		return;
	}
	if (other || (!sweep->dry_run && unlinkat(sweep->dir, entry, 0) != 0))
		return;
	if (sweep->say != NULL)
		sweep->say(sweep->user, path);
}

void
identity_sweep(const struct registry *reg, const char *dir, bool dry_run,
    void (*say)(void *user, const char *path), void *user)
{
	struct sweep sweep = {.reg = reg,
	    .path = dir,
	    .dir = open_dir(reg, dir),
	    .dry_run = dry_run,
	    .say = say,
	    .user = user};
	DIR *d = sweep.dir < 0 ? NULL : fdopendir(sweep.dir);
	const struct dirent *entry;

	if (d == NULL) {
		dm_closep(&sweep.dir);
		return;
	}
	while ((entry = readdir(d)) != NULL)
		sweep_entry(&sweep, entry->d_name);
	(void)closedir(d);
}
