/* SPDX-License-Identifier: MIT */
/* The doctor on configuration, files, directories and what is left in them. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/paths.h"
#include "base/sock.h"
#include "base/str.h"
#include "doctor.h"
#include "doctor_text.h"
#include "survey.h"

#ifndef DEVMESH_SYSCONFDIR
#define DEVMESH_SYSCONFDIR "/etc"
#endif

extern char **environ;

enum {
	DAY = 24 * 60 * 60,
	OLD_DAYS = 30,
	ROOM_MIN = 1 << 20, /* bytes left on the disk */
	FILES_MIN = 64,	    /* inodes left */
	TMPFILES_MAX = 65536,
	/* no clock that is right says less: 2025-01-01 */
	EPOCH_MIN = 1735689600,
};

/* Who else may change a configuration file. */
static void
check_config_file(struct doctor *d, const char *path)
{
	DM_AUTO_FREE char *word = path == NULL ? NULL : dm_shell_word(path);
	struct stat st;

	if (path == NULL || stat(path, &st) != 0)
		return;
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		doctor_say(d, DOCTOR_FAILURE, "%s belongs to uid %u", path, (unsigned)st.st_uid);
		doctor_fix(d, "sudo chown \"$(id -un)\" %s", word);
	} else if ((st.st_mode & S_IWOTH) != 0) {
		doctor_say(d, DOCTOR_FAILURE, "everybody may write to %s", path);
		doctor_fix(d, "chmod go-w %s", word);
	} else if ((st.st_mode & S_IWGRP) != 0) {
		doctor_say(d, DOCTOR_WARNING, "the group of %s may write to it", path);
		doctor_fix(d, "chmod go-w %s", word);
	} else {
		return;
	}
	doctor_why(d,
	    "it says which program is run as Caddy, and in which directory sockets are looked for");
}

void
doctor_check_config(struct doctor *d)
{
	DM_AUTO_FREE char *user = dm_user_config_file();
	const char *named = session_config_file(d->config_file);

	if (d->session == NULL) {
		doctor_say(
		    d, DOCTOR_FAILURE, "the configuration cannot be read: %s", d->config_err.msg);
		doctor_why(d, "every verb but this one and help fails with it");
		doctor_fix(d, "%s",
		    d->config_err.hint[0] != '\0' ? d->config_err.hint
						  : "correct it; devmesh.ini(5) has all keys");
	}
	check_config_file(d, DEVMESH_SYSCONFDIR "/devmesh/config.ini");
	check_config_file(d, user);
	if (user == NULL || named == NULL || strcmp(user, named) != 0)
		check_config_file(d, named);
}

/* The variables that are no configuration keys: devmesh(1), ENVIRONMENT. */
static const char *const plain_variables[] = {"DEVMESH_CONFIG", "DEVMESH_ID", "DEVMESH_APP",
    "DEVMESH_APP_NAME", "DEVMESH_WORKTREE", "DEVMESH_URL", "DEVMESH_HOST", "DEVMESH_BRANCH",
    "DEVMESH_SOCKET", "DEVMESH_PORT", "DEVMESH_DOMAIN", "DEVMESH_RUN"};

/* The nearest known variable, with how far it is; 0: it is one itself. */
static unsigned
nearest_variable(const char *name, char best[64])
{
	unsigned distance = UINT_MAX;

	for (size_t i = 0; i < conf_key_count + sizeof(plain_variables) / sizeof(char *); i++) {
		DM_AUTO_FREE char *known = i < conf_key_count
					       ? conf_env_name(&conf_keys[i])
					       : dm_strdup(plain_variables[i - conf_key_count]);
		unsigned far = dm_edit_distance(known, name);

		if (far < distance && dm_snprintf(best, 64, "%s", known))
			distance = far;
	}
	return distance;
}

void
doctor_check_environment(struct doctor *d)
{
	for (char **e = environ; *e != NULL; e++) {
		DM_AUTO_FREE char *name = dm_strndup(*e, strcspn(*e, "="));
		char near[64];
		unsigned distance;

		/* DEVMESH_URL_API and the like are the siblings of devmesh env --all */
		if (!dm_starts_with(name, "DEVMESH_") || dm_starts_with(name, "DEVMESH_URL_") ||
		    (distance = nearest_variable(name, near)) == 0)
			continue;
		if (distance <= 4) {
			doctor_say(d, DOCTOR_WARNING,
			    "the variable %s means nothing; perhaps %s was meant", name, near);
			doctor_fix(d, "export %s=\"$%s\"; unset %s", near, name, name);
		} else {
			doctor_say(d, DOCTOR_NOTE, "the variable %s means nothing", name);
			doctor_fix(d, "unset %s", name);
		}
		doctor_why(d, "what it was set for is not in force");
	}
}

static void
check_secret(struct doctor *d, const char *path)
{
	DM_AUTO_FREE char *word = dm_shell_word(path);
	struct stat st;

	if (lstat(path, &st) != 0)
		return;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
		doctor_say(d, DOCTOR_FAILURE, "%s may be read by others (mode %04o)", path,
		    (unsigned)st.st_mode & 07777);
		doctor_why(d, "it holds the token of your DNS provider");
		doctor_fix(d, "%schmod 600 %s", st.st_uid == geteuid() ? "" : "sudo ", word);
	}
}

void
doctor_check_secrets(struct doctor *d)
{
	DM_AUTO_FREE char *config = dm_user_config_file();
	DM_AUTO_FREE char *dir = config == NULL ? NULL : dm_path_dir(config);

	check_secret(d, DEVMESH_SYSCONFDIR "/devmesh/caddy.env");
	if (dir != NULL) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/caddy.env", dir);

		check_secret(d, path);
	}
}

/* The directory itself: kind, owner, mode. Whether it can be used at all. */
static bool
check_directory(struct doctor *d, const char *dir)
{
	DM_AUTO_FREE char *word = dm_shell_word(dir);
	struct stat st;

	if (lstat(dir, &st) != 0) {
		if (errno == ENOENT) {
			doctor_say(d, DOCTOR_OK, "%s is not there yet; devmesh up makes it", dir);
			return false;
		}
		doctor_say(d, DOCTOR_FAILURE, "%s cannot be looked at: %s", dir, strerror(errno));
		return false;
	}
	if (!S_ISDIR(st.st_mode)) {
		doctor_say(d, DOCTOR_FAILURE, "%s is %s", dir,
		    S_ISLNK(st.st_mode) ? "a symbolic link" : "no directory");
		doctor_why(d, "whoever made it decides where your sockets go; devmesh refuses it");
		doctor_fix(d, "rm %s", word);
		return false;
	}
	if ((st.st_mode & S_IWOTH) != 0 && (st.st_mode & S_ISVTX) == 0) {
		doctor_say(
		    d, DOCTOR_FAILURE, "everybody may write to %s, and it is not sticky", dir);
		doctor_why(d, "other users could put their sockets in the place of yours");
		doctor_fix(d, "%schmod 1777 %s", st.st_uid == geteuid() ? "" : "sudo ", word);
		return false;
	}
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		bool sticky = (st.st_mode & S_ISVTX) != 0;

		doctor_say(d, sticky ? DOCTOR_WARNING : DOCTOR_FAILURE,
		    "%s belongs to uid %u, neither to you nor to root", dir, (unsigned)st.st_uid);
		doctor_why(d, "its owner may delete and replace every socket in it");
		doctor_fix(d, "sudo chown root %s", word);
		if (!sticky)
			return false;
	}
	if (access(dir, R_OK | W_OK | X_OK) != 0) {
		doctor_say(d, DOCTOR_FAILURE, "you may not write to %s: %s", dir, strerror(errno));
		doctor_why(d, "no service can be registered and no server can make its socket");
		doctor_fix(d, "sudo chmod 1777 %s", word);
		return false;
	}
	return true;
}

static void
check_room(struct doctor *d, const char *dir)
{
	struct statvfs fs;

	if (statvfs(dir, &fs) != 0)
		return;
	if ((fs.f_flag & ST_RDONLY) != 0)
		doctor_say(d, DOCTOR_FAILURE, "the file system of %s is read-only", dir);
	else if ((uint64_t)fs.f_bavail * fs.f_frsize < ROOM_MIN)
		doctor_say(d, DOCTOR_FAILURE, "the disk of %s is full", dir);
	else if (fs.f_files > 0 && fs.f_favail < FILES_MIN)
		doctor_say(d, DOCTOR_FAILURE, "the file system of %s has no inodes left", dir);
	else
		return;
	doctor_why(d, "no service can be registered and no server can make its socket");
	doctor_fix(d, "df -h %s; df -i %s", dir, dir);
}

/* systemd-tmpfiles(8) deletes records that nobody has touched for some days. */
static void
check_cleaner(struct doctor *d, const char *dir)
{
	static const char *const rules[] = {
	    "/etc/tmpfiles.d/tmp.conf", "/usr/lib/tmpfiles.d/tmp.conf"};
	DM_AUTO_FREE char *ours = doctor_read("/etc/tmpfiles.d/devmesh.conf", TMPFILES_MAX);
	char age[32];

	if (access("/run/systemd/system", F_OK) != 0 || (ours != NULL && strstr(ours, dir) != NULL))
		return;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		DM_AUTO_FREE char *text = doctor_read(rules[i], TMPFILES_MAX);

		if (text == NULL)
			continue;
		if (text_tmpfiles_age(text, dir, age, sizeof(age))) {
			doctor_say(d, DOCTOR_NOTE,
			    "systemd-tmpfiles cleans %s: what is older than %s goes", dir, age);
			doctor_why(d, "a service that is registered for longer loses its record");
			doctor_fix(d, "echo 'x %s' | sudo tee /etc/tmpfiles.d/devmesh.conf", dir);
		}
		return; /* a file of that name in /etc is read in the place of the other */
	}
}

void
doctor_check_sockets_dir(struct doctor *d)
{
	const char *dir = d->session->conf->sockets_dir;
	struct dm_err err;

	if (strlen(dir) + 1 + SLUG_MAX + strlen(".sock") > dm_sock_path_max()) {
		doctor_say(d, DOCTOR_FAILURE,
		    "%s is too long a path: with a name behind it no "
		    "socket can have it",
		    dir);
		doctor_why(
		    d, "the path of a Unix socket has at most %zu bytes here", dm_sock_path_max());
		doctor_fix(d, "set [sockets] dir to a path of at most %zu bytes",
		    dm_sock_path_max() - SLUG_MAX - strlen("/.sock"));
		return;
	}
	if (!check_directory(d, dir))
		return;
	check_room(d, dir);
	check_cleaner(d, dir);
	/* it exists, so opening it makes nothing */
	d->sockets_usable = session_need_registry(d->session, &err);
	if (!d->sockets_usable) {
		doctor_say(d, DOCTOR_FAILURE, "%s", err.msg);
		doctor_fix(d, "%s", err.hint);
	}
}

void
doctor_check_clock(struct doctor *d)
{
	int64_t now = dm_wall_seconds();
	struct stat st;

	if (now < EPOCH_MIN) {
		doctor_say(d, DOCTOR_FAILURE, "the clock is years behind");
		doctor_why(d, "certificates are not valid yet, and browsers refuse them");
		doctor_fix(d, "sudo timedatectl set-ntp true");
	} else if (d->session != NULL && stat(d->session->conf->sockets_dir, &st) == 0 &&
		   (int64_t)st.st_mtime > now + DAY) {
		doctor_say(d, DOCTOR_WARNING,
		    "%s was changed in the future: the clock seems to be %lld "
		    "hours behind, or was ahead",
		    d->session->conf->sockets_dir, (long long)((int64_t)st.st_mtime - now) / 3600);
		doctor_why(d, "certificates made by the other clock are not valid yet");
		doctor_fix(d, "sudo timedatectl set-ntp true");
	}
}

/* One service, from the evidence that `status` has. */
static void
check_service(struct doctor *d, const struct survey_row *row)
{
	const struct claim *claim = row->claim;
	int64_t days = (dm_wall_seconds() - claim->created) / DAY;
	DM_AUTO_FREE char *worktree = dm_shell_word(claim->worktree), *socket = NULL;

	if (row->state == SERVICE_ORPHAN && service_answers(&row->evidence) && row->pid == 0) {
		/* "kill 0" would end the shell that it is typed into */
		doctor_say(d, DOCTOR_WARNING,
		    "the worktree of %s is gone, but a server still listens for it", claim->id.s);
		doctor_why(d, "it serves code that no longer exists");
		doctor_fix(d, "end that server, then: devmesh gc");
	} else if (row->state == SERVICE_ORPHAN && service_answers(&row->evidence)) {
		doctor_say(d, DOCTOR_WARNING,
		    "the worktree of %s is gone, but its server (pid %ld) still runs", claim->id.s,
		    (long)row->pid);
		doctor_why(d, "it serves code that no longer exists");
		doctor_fix(d, "kill %ld && devmesh gc", (long)row->pid);
	} else if (row->state == SERVICE_ORPHAN) {
		doctor_say(d, DOCTOR_NOTE, "the worktree of %s is gone", claim->id.s);
		doctor_why(d, "its name is kept for nobody");
		doctor_fix(d, "devmesh gc");
	} else if (row->state == SERVICE_STALE) {
		doctor_say(d, DOCTOR_NOTE, "nobody listens on %s%s", claim->socket,
		    claim->run.runner.pid != 0 && !dm_proc_alive(&claim->run.runner)
			? ": its devmesh run was killed"
			: "");
		doctor_why(d, "the next server fails with EADDRINUSE unless it removes the file");
		doctor_fix(d, "devmesh gc");
	} else if (row->state == SERVICE_FOREIGN && row->other_worktree != NULL) {
		doctor_say(d, DOCTOR_WARNING, "the server of %s (pid %ld) runs in %s, not in %s",
		    claim->id.s, (long)row->pid, row->other_worktree, claim->worktree);
		doctor_why(d, "what answers at its URL is another checkout");
		doctor_fix(d, "end it, and start the server in %s", worktree);
	} else if (row->state == SERVICE_FOREIGN) {
		doctor_say(
		    d, DOCTOR_WARNING, "the socket of %s belongs to another user", claim->id.s);
		doctor_why(d, "what answers at its URL is not your server");
		socket = dm_shell_word(claim->socket);
		doctor_fix(d, "ls -l %s", socket);
	} else if (row->state == SERVICE_DEGRADED && d->caddy_answers) {
		doctor_say(d, DOCTOR_WARNING, "%s runs, but Caddy does not lead its URL to it",
		    claim->id.s);
		doctor_why(d, "a route that devmesh made is gone after a restart of Caddy");
		doctor_fix(d, "devmesh up -C %s", worktree);
	} else if (row->state == SERVICE_STARTING && days > OLD_DAYS) {
		doctor_say(d, DOCTOR_NOTE,
		    "%s was registered %lld days ago, and nothing runs there", claim->id.s,
		    (long long)days);
		doctor_fix(d, "devmesh down %s", claim->id.s);
	}
}

/* Sockets of ours that no claim names and nobody listens on. */
static unsigned
count_unclaimed(const struct doctor *d, const struct survey *survey)
{
	struct dm_err ignored;
	unsigned stale = 0;
	size_t count;
	char **ids;

	if (!registry_sockets(d->session->registry, &ids, &count, &ignored))
		return 0;
	for (size_t i = 0; i < count; i++) {
		DM_AUTO_FREE char *path = registry_socket(d->session->registry, ids[i]);
		struct dm_sock_info info;
		bool claimed = false;

		for (size_t k = 0; k < survey->claims.count && !claimed; k++)
			claimed = strcmp(survey->claims.list[k]->id.s, ids[i]) == 0;
		if (!claimed) {
			dm_sock_probe(path, &info);
			stale += info.state == DM_SOCK_REFUSED || info.state == DM_SOCK_ABSENT;
		}
		free(ids[i]);
	}
	free(ids);
	return stale;
}

void
doctor_check_stale(struct doctor *d)
{
	struct survey survey;
	struct dm_err err;
	unsigned sockets, files;

	if (!survey_take(d->session, &survey, &err)) {
		doctor_say(d, DOCTOR_FAILURE, "%s", err.msg);
		doctor_fix(d, "%s", err.hint);
		return;
	}
	for (size_t i = 0; i < survey.count; i++)
		check_service(d, &survey.rows[i]);
	sockets = count_unclaimed(d, &survey);
	files = registry_sweep_temporary(d->session->registry, true);
	if (sockets > 0 || files > 0) {
		doctor_say(d, DOCTOR_NOTE,
		    "%u unclaimed socket%s without a listener and %u temporary "
		    "file%s are left over",
		    sockets, sockets == 1 ? "" : "s", files, files == 1 ? "" : "s");
		doctor_fix(d, "devmesh gc");
	}
	survey_release(&survey);
}
