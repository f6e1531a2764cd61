/* SPDX-License-Identifier: MIT */
/*
 * Where the new Caddy's admin API is. With --dns the API gives away the token: whoever reaches it
 * can have Caddy answer with a variable of its environment. A machine's Caddy then has it on a
 * socket that only Caddy's user and the person who runs devmesh can get to.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "base/str.h"
#include "setup.h"

/* RuntimeDirectory= of the units; macOS empties /var/run, so there it is kept elsewhere */
#define LINUX_DIR "/run/devmesh"
#define MAC_DIR	  "/var/lib/devmesh/admin"
#define SOCKET	  "/admin.sock"

enum {
	USERS_MAX = 65536, /* entries of the user database that are looked at */
	NAME_BYTES = 32,
};

static bool
is_local(const char *admin)
{
	const char *host = admin + strlen("http://");

	return dm_starts_with(host, "localhost") || dm_starts_with(host, "127.0.0.1") ||
	       dm_starts_with(host, "[::1]");
}

bool
setup_choose_admin(struct setup *u, struct dm_err *err)
{
	struct setup_facts *f = &u->facts;
	const char *dir = f->manager == SETUP_LAUNCHD ? MAC_DIR : LINUX_DIR;
	const char *own = setup_own(u, dm_asprintf("unix://%s" SOCKET, dir));
	bool dns = u->want.dns != NULL && !u->want.remove;

	f->admin = u->session->conf->admin;
	/* the machine's configuration may name the machine's Caddy, which is not the user's own */
	f->own_admin = f->admin == NULL || (f->user_scope && strcmp(f->admin, own) == 0);
	if (f->own_admin && f->user_scope)
		/* the admin API of a user's own Caddy is that user's only */
		f->admin = setup_own(u, dm_asprintf("unix://%s" SOCKET, f->state_dir));
	else if (f->own_admin)
		/* Caddy's usual one, which all users may register routes with, unless it is told a
		 * secret */
		f->admin = dns ? own : SETUP_USUAL_ADMIN;
	/* an earlier run has put it into the configuration */
	if (!f->user_scope && strcmp(f->admin, own) == 0)
		f->admin_dir = dir;
	if (dm_starts_with(f->admin, "unix://")) {
		if (strlen(f->admin) - strlen("unix://") <= dm_sock_path_max())
			return true;
		(void)dm_fail(err, DM_USAGE, "%s is too long for a Unix socket", f->admin);
		return dm_hint(err, "set [caddy] admin, or [local] state_dir to a shorter path");
	}
	if (!is_local(f->admin)) {
		(void)dm_fail(
		    err, DM_USAGE, "the admin API at %s is not this machine's own", f->admin);
		return dm_hint(err, "setup is run where Caddy runs; see devmesh config");
	}
	if (dns)
		dm_warn("every user of this machine will be able to read the token from Caddy, "
			"whose admin API is at %s: [caddy] admin says so; without that line it is "
			"a socket of your own",
		    f->admin);
	return true;
}

/* Whether a member of the group may be there: the person, Caddy's user and root. */
static bool
may_be_member(const struct setup *u, const char *caddy, const struct passwd *pw)
{
	return pw->pw_uid == 0 || pw->pw_uid == u->person || strcmp(pw->pw_name, caddy) == 0;
}

/* Names somebody else who is in the group by the user database, or why it is nobody's own. */
static bool
find_other_member(const struct setup *u, const char *caddy, gid_t gid, char out[NAME_BYTES])
{
	static const char *const shared[] = {"users", "staff", "nogroup", "nobody"};
	const struct group *gr = getgrgid(gid);
	const struct passwd *pw;
	bool found = false;

	for (size_t i = 0; gr != NULL && i < sizeof(shared) / sizeof(shared[0]); i++) {
		if (strcmp(gr->gr_name, shared[i]) != 0)
			continue;
		(void)snprintf(out, NAME_BYTES, "everybody");
		return true;
	}
	for (size_t i = 0; gr != NULL && gr->gr_mem[i] != NULL; i++) {
		pw = getpwnam(gr->gr_mem[i]);
		if (pw != NULL && may_be_member(u, caddy, pw))
			continue;
		(void)snprintf(out, NAME_BYTES, "%s", gr->gr_mem[i]);
		return true;
	}
	setpwent();
	for (int n = 0; !found && n < USERS_MAX && (pw = getpwent()) != NULL; n++) {
		found = pw->pw_gid == gid && !may_be_member(u, caddy, pw);
		if (found)
			(void)snprintf(out, NAME_BYTES, "%s", pw->pw_name);
	}
	endpwent();
	return found;
}

/* The group's name as a unit can have it, else its number. */
static const char *
group_word(struct setup *u, gid_t gid)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-";
	const struct group *gr = getgrgid(gid);

	if (gr != NULL && gr->gr_name[0] != '\0' && gr->gr_name[0] != '-' &&
	    gr->gr_name[strspn(gr->gr_name, plain)] == '\0')
		return setup_own(u, dm_strdup(gr->gr_name));
	return setup_own(u, dm_asprintf("%lu", (unsigned long)gid));
}

void
setup_look_at_group(struct setup *u)
{
	struct setup_facts *f = &u->facts;
	const char *caddy = f->debian_caddy ? "caddy" : f->run_as;
	const struct passwd *pw;
	char other[NAME_BYTES];
	struct dm_err err;
	gid_t gid;

	if (f->admin_dir == NULL || f->manager == SETUP_LAUNCHD || u->want.remove)
		return;
	if (u->person == 0) {
		dm_warn("only root will be able to register services: run it through sudo, as the "
			"one who works here");
		return;
	}
	if ((pw = getpwuid(u->person)) == NULL) {
		(void)dm_fail(&err, DM_NOT_FOUND,
		    "uid %lu, who is to reach Caddy's admin API, is no user of this machine",
		    (unsigned long)u->person);
		setup_problem(u, &err);
		return;
	}
	if (strcmp(pw->pw_name, caddy) == 0)
		return; /* Caddy is the person's own: nobody else needs to get in */
	gid = pw->pw_gid;
	f->admin_group = group_word(u, gid);
	if (!find_other_member(u, caddy, gid, other))
		return;
	(void)dm_fail(&err, DM_DENIED,
	    "the admin API gives away the token, and is to be reached by you through the group %s, "
	    "which is not yours alone: %s is in it",
	    f->admin_group, other);
	(void)dm_hint(&err,
	    "get a primary group of your own (usermod -g); or --user; or, if all users may read "
	    "the token, set [caddy] admin = " SETUP_USUAL_ADMIN);
	setup_problem(u, &err);
}

/* Whether the person may write to (or enter) it, by its owner or the group of the unit. */
static bool
person_may(const struct setup *u, const struct stat *st, mode_t bit)
{
	const struct passwd *pw = getpwuid(u->person);

	if (u->person == 0)
		return true;
	if (st->st_uid == u->person)
		return (st->st_mode & (bit << 6)) != 0;
	if (pw != NULL && st->st_gid == pw->pw_gid)
		return (st->st_mode & (bit << 3)) != 0;
	return (st->st_mode & bit) != 0;
}

bool
setup_check_socket(const struct setup *u, struct dm_err *err)
{
	const char *path = u->facts.admin + strlen("unix://");
	struct stat dir, sock;

	if (u->facts.admin_dir == NULL || u->want.out != NULL || !u->managed)
		return true;
	if (lstat(u->facts.admin_dir, &dir) != 0 || lstat(path, &sock) != 0)
		return dm_fail_errno(err, errno, "looking at Caddy's admin socket %s", path);
	if (!S_ISDIR(dir.st_mode) || (dir.st_mode & 07) != 0)
		return dm_fail(err, DM_FAILED,
		    "%s is open to others (mode %04o): they can read the token", u->facts.admin_dir,
		    (unsigned)dir.st_mode & 07777);
	if (person_may(u, &dir, 01) && person_may(u, &sock, 02))
		return true;
	return dm_fail(err, DM_FAILED,
	    "uid %lu cannot connect to Caddy's admin socket %s (mode %04o, in a directory of mode "
	    "%04o)",
	    (unsigned long)u->person, path, (unsigned)sock.st_mode & 07777,
	    (unsigned)dir.st_mode & 07777);
}
