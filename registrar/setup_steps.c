/* SPDX-License-Identifier: MIT */
/* What setup does to each file: decided here from what is there, and done when it was agreed to. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/str.h"
#include "setup.h"
#include "setup_ini.h"

enum {
	FILE_MAX = 131072
};

const char *
setup_action_name(enum setup_action action)
{
	static const char *const names[] = {
	    [SETUP_UNCHANGED] = "unchanged",
	    [SETUP_CREATE] = "create",
	    [SETUP_UPDATE] = "update",
	    [SETUP_CHMOD] = "chmod",
	    [SETUP_KEEP] = "keep",
	    [SETUP_REMOVE] = "remove",
	};

	return names[action];
}

static struct setup_step *
add_step(struct setup *u, const char *path, mode_t mode)
{
	struct setup_step *step = &u->steps[u->step_count++];

	step->path = u->want.out != NULL ? dm_asprintf("%s%s", u->want.out, path) : dm_strdup(path);
	step->mode = mode;
	return step;
}

/* Takes the last one back. */
static void
drop_step(struct setup *u)
{
	struct setup_step *step = &u->steps[--u->step_count];

	free(step->path);
	free(step->before);
	memset(step, 0, sizeof(*step));
}

/* Reads what is at the path: false with *err, or with errno ENOENT kept in err->sys. */
static bool
read_old(const char *path, struct dm_str *text, struct stat *st, struct dm_err *err)
{
	if (lstat(path, st) != 0)
		return dm_fail_errno(err, errno, "looking at %s", path);
	if (!S_ISREG(st->st_mode))
		return dm_fail(err, DM_CONFLICT, "%s is in the way: not a regular file", path);
	if (!dm_read_file(path, text, err))
		return false;
	if (text->overflow)
		return dm_fail(err, DM_CONFLICT, "%s is larger than anything setup writes", path);
	return true;
}

static void
look_at_file(struct setup *u, const struct setup_file *file)
{
	struct setup_step *step = add_step(u, file->path, file->mode);
	DM_AUTO_STR struct dm_str old = dm_str_make(FILE_MAX);
	struct stat st;
	struct dm_err err;

	step->text = dm_strdup(file->text);
	step->shown = dm_strdup(file->shown);
	step->unit = file->unit;
	step->action = SETUP_CREATE;
	if (!read_old(step->path, &old, &st, &err)) {
		if (err.sys == ENOENT)
			return;
		/* a dry run by somebody who may not read the token's file says so, and goes on */
		step->action = SETUP_KEEP;
		step->why_kept = "it cannot be read";
		setup_problem(u, &err);
		return;
	}
	step->before = dm_strdup(old.data);
	if (file->shown != NULL && (st.st_mode & 077) != 0) {
		(void)dm_fail(&err, DM_DENIED,
		    "%s can be read by others (mode %04o): its token may be known to them",
		    step->path, (unsigned)st.st_mode & 07777);
		(void)dm_hint(&err, "make a new token, and: chmod 600 %s", step->path);
		setup_problem(u, &err);
	}
	if (strcmp(old.data, file->text) == 0) {
		step->action = (st.st_mode & 07777) == file->mode ? SETUP_UNCHANGED : SETUP_CHMOD;
		return;
	}
	step->action = SETUP_UPDATE;
	if (setup_owner_of(old.data, old.len) == SETUP_OURS)
		return;
	step->action = SETUP_KEEP;
	step->why_kept = setup_owner_of(old.data, old.len) == SETUP_CHANGED
			     ? "it was changed since setup wrote it"
			     : "it was not written by setup";
	(void)dm_fail(&err, DM_CONFLICT, "%s is in the way: %s", step->path, step->why_kept);
	(void)dm_hint(&err, "move it away: mv %s %s.old", step->path, step->path);
	setup_problem(u, &err);
}

/* The configuration of devmesh itself: one or two lines in a file that may be the user's. */
static bool
look_at_config(struct setup *u, struct dm_err *err)
{
	DM_AUTO_FREE char *path = setup_conf_path(&u->facts, "config.ini");
	struct setup_step *step = add_step(u, path, 0644);
	DM_AUTO_FREE char *real = realpath(step->path, NULL), *first = NULL;
	DM_AUTO_STR struct dm_str old = dm_str_make(FILE_MAX);
	struct stat st;

	if (real != NULL) {
		/* behind a symbolic link is where the user keeps it */
		free(step->path);
		step->path = DM_STEAL(&real);
	}
	step->action = SETUP_CREATE;
	if (read_old(step->path, &old, &st, err)) {
		step->before = dm_strdup(old.data);
		step->mode = st.st_mode & 07777;
		step->action = SETUP_UPDATE;
	} else if (err->sys != ENOENT) {
		return false;
	}
	if (u->want.remove) {
		step->text = setup_ini_clear(old.data);
		if (strcmp(step->text, old.data) == 0)
			step->action = SETUP_UNCHANGED;
		else if (setup_ini_is_empty(step->text))
			step->action = SETUP_REMOVE;
		return true;
	}
	first = setup_ini_set(old.data, "mesh", "domain", u->facts.domain, err);
	if (first != NULL && u->facts.own_admin &&
	    (u->facts.user_scope || u->facts.admin_dir != NULL))
		step->text = setup_ini_set(first, "caddy", "admin", u->facts.admin, err);
	else
		step->text = DM_STEAL(&first);
	if (step->text == NULL) {
		step->action = SETUP_KEEP;
		step->why_kept = "it says something else";
		(void)dm_wrap(err, "%s", step->path);
		setup_problem(u, err);
	} else if (strcmp(step->text, old.data) == 0) {
		step->action = SETUP_UNCHANGED;
	}
	return true;
}

/* A directory of the person's own, which may have none of the bits `closed`. */
static void
look_at_dir(struct setup *u, const char *path, mode_t mode, mode_t closed)
{
	struct setup_step *step = add_step(u, path, mode);
	struct stat st;
	struct dm_err err;

	step->is_dir = true;
	step->owner = u->person;
	step->action = u->want.remove ? SETUP_UNCHANGED : SETUP_CREATE;
	if (lstat(step->path, &st) != 0)
		return;
	if (u->want.remove) {
		step->action = SETUP_REMOVE;
		return;
	}
	step->action = SETUP_UNCHANGED;
	if (S_ISDIR(st.st_mode) && st.st_uid == u->person && (st.st_mode & closed) == 0)
		return;
	step->action = SETUP_KEEP;
	step->why_kept = closed == 077 ? "it is not a directory that only its owner may enter"
				       : "it is not a directory that only its owner may write to";
	(void)dm_fail(&err, DM_CONFLICT, "%s is in the way: %s", step->path, step->why_kept);
	(void)dm_hint(&err, "remove it, or: chown %lu %s; chmod %04o %s", (unsigned long)u->person,
	    step->path, (unsigned)mode, step->path);
	setup_problem(u, &err);
}

static bool
have_step(const struct setup *u, const char *path)
{
	for (size_t i = 0; i < u->step_count; i++) {
		if (dm_ends_with(u->steps[i].path, path))
			return true;
	}
	return false;
}

/* A file that an earlier run may have written, to be removed. */
static void
look_at_old_file(struct setup *u, const struct setup_file *file)
{
	DM_AUTO_STR struct dm_str old = dm_str_make(FILE_MAX);
	struct setup_step *step;
	struct stat st;
	struct dm_err err;
	enum setup_owner owner;

	if (have_step(u, file->path))
		return;
	step = add_step(u, file->path, file->mode);
	step->unit = file->unit;
	if (!read_old(step->path, &old, &st, &err)) {
		if (err.sys == ENOENT || err.sys == ENOTDIR) {
			drop_step(u);
			return;
		}
		step->action = SETUP_KEEP;
		step->why_kept = "it cannot be read";
		setup_problem(u, &err);
		return;
	}
	step->before = dm_strdup(old.data);
	owner = setup_owner_of(old.data, old.len);
	step->action = owner == SETUP_OURS ? SETUP_REMOVE : SETUP_KEEP;
	step->why_kept = owner == SETUP_CHANGED ? "it was changed since setup wrote it"
						: "it was not written by setup";
}

static bool
look_at_old_files(struct setup *u, bool debian_caddy, struct dm_err *err)
{
	struct setup_facts facts = u->facts;
	struct setup_plan plan;
	bool ok;

	facts.debian_caddy = debian_caddy;
	facts.networkd = true; /* it may have run when they were written */
	ok = setup_plan_part(u->part, &facts, &plan, err);
	for (size_t i = 0; ok && i < plan.count; i++)
		look_at_old_file(u, &plan.files[i]);
	setup_plan_release(&plan);
	return ok;
}

/* Files for other zones, of an earlier configuration: there is one for each (resolver(5)). */
static void
look_at_other_zones(struct setup *u)
{
	DM_AUTO_FREE char *dir =
	    dm_asprintf("%s" SETUP_RESOLVER_DIR, u->want.out != NULL ? u->want.out : "");
	DIR *d = u->facts.manager == SETUP_LAUNCHD ? opendir(dir) : NULL;
	const struct dirent *e;

	while (d != NULL && u->step_count < SETUP_STEPS_MAX && (e = readdir(d)) != NULL) {
		DM_AUTO_FREE char *path = dm_asprintf(SETUP_RESOLVER_DIR "/%s", e->d_name);
		struct setup_file file = {.path = path, .mode = 0644};
		size_t count = u->step_count;

		if (e->d_name[0] == '.')
			continue;
		look_at_old_file(u, &file);
		/* those of others are none of its business */
		if (u->step_count > count && u->steps[count].action == SETUP_KEEP)
			drop_step(u);
	}
	if (d != NULL)
		(void)closedir(d);
}

static bool
look_at_part(struct setup *u, struct dm_err *err)
{
	struct setup_plan plan;
	bool ok;

	if (u->want.remove) {
		ok = look_at_old_files(u, false, err);
	} else {
		ok = setup_plan_part(u->part, &u->facts, &plan, err);
		for (size_t i = 0; ok && i < plan.count; i++)
			look_at_file(u, &plan.files[i]);
		setup_plan_release(&plan);
	}
	if (ok && u->part == SETUP_DNS)
		look_at_other_zones(u);
	return ok;
}

bool
setup_look(struct setup *u, struct dm_err *err)
{
	struct setup_plan plan;
	bool ok;

	if (u->part != SETUP_CADDY)
		return look_at_part(u, err);
	/* what the private mesh uses as well is not setup's to remove */
	/* (whoever can write to the identity documents can pose as another service) */
	if (!u->want.remove || !u->facts.user_scope)
		look_at_dir(u, u->facts.identity_dir, u->facts.user_scope ? 0700 : 0755, 022);
	/* systemd makes its own, at each start */
	if (u->facts.admin_dir != NULL && u->facts.manager == SETUP_LAUNCHD)
		look_at_dir(u, u->facts.admin_dir, 0700, 077);
	if (u->want.remove)
		return look_at_old_files(u, false, err) && look_at_old_files(u, true, err) &&
		       look_at_config(u, err);
	ok = setup_plan_make(&u->facts, &plan, err);
	for (size_t i = 0; ok && i < plan.count; i++)
		look_at_file(u, &plan.files[i]);
	setup_plan_release(&plan);
	return ok && look_at_config(u, err);
}

bool
setup_changes(const struct setup *u)
{
	for (size_t i = 0; i < u->step_count; i++) {
		if (u->steps[i].action != SETUP_UNCHANGED && u->steps[i].action != SETUP_KEEP)
			return true;
	}
	return false;
}

static bool
write_dir(const struct setup_step *step, struct dm_err *err)
{
	if (step->action == SETUP_REMOVE) {
		/* with documents of services that still run it stays */
		(void)rmdir(step->path);
		return true;
	}
	if (step->action != SETUP_CREATE)
		return true;
	if (!dm_make_dirs(step->path, 0755, err))
		return false;
	if (chmod(step->path, step->mode) != 0 ||
	    (step->owner != geteuid() && chown(step->path, step->owner, (gid_t)-1) != 0))
		return dm_fail_errno(err, errno, "making %s its owner's", step->path);
	return true;
}

/* Whether the file is still what was shown: the question may have stood there for a while. */
static bool
check_unchanged(const struct setup_step *step, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str now = dm_str_make(FILE_MAX);
	struct stat st;
	bool there;

	if (step->is_dir || step->action == SETUP_UNCHANGED || step->action == SETUP_KEEP)
		return true;
	there = read_old(step->path, &now, &st, err);
	if (step->before == NULL ? !there && (err->sys == ENOENT || err->sys == ENOTDIR)
				 : there && strcmp(now.data, step->before) == 0)
		return true;
	(void)dm_fail(err, DM_CONFLICT, "%s has changed since it was shown", step->path);
	return dm_hint(err, "run it again, and look again");
}

static bool
write_step(const struct setup_step *step, struct dm_err *err)
{
	DM_AUTO_FREE char *dir = dm_path_dir(step->path);

	if (step->is_dir)
		return write_dir(step, err);
	switch (step->action) {
	case SETUP_CREATE:
	case SETUP_UPDATE:
		return dm_make_dirs(dir, 0755, err) &&
		       dm_write_file(step->path, step->text, strlen(step->text), step->mode, err);
	case SETUP_CHMOD:
		if (chmod(step->path, step->mode) != 0)
			return dm_fail_errno(err, errno, "changing the mode of %s", step->path);
		return true;
	case SETUP_REMOVE:
		if (unlink(step->path) != 0 && errno != ENOENT)
			return dm_fail_errno(err, errno, "removing %s", step->path);
		/* a directory that is empty now is of no use; any other stays */
		if (dm_ends_with(dir, "/devmesh") || dm_ends_with(dir, "/caddy.service.d") ||
		    dm_ends_with(dir, SETUP_RESOLVER_DIR))
			(void)rmdir(dir);
		return true;
	case SETUP_UNCHANGED:
	case SETUP_KEEP:
		break;
	}
	return true;
}

bool
setup_write(struct setup *u, struct dm_err *err)
{
	for (size_t i = 0; i < u->step_count; i++) {
		if (!check_unchanged(&u->steps[i], err))
			return false;
	}
	for (size_t i = 0; i < u->step_count; i++) {
		if (!write_step(&u->steps[i], err))
			return false;
	}
	return true;
}
