/* SPDX-License-Identifier: MIT */
/*
 * What `devmesh setup` writes for a given machine: paths, modes and texts. Pure.
 *
 * Each file says near its beginning that setup wrote it, with a checksum of the rest: so a later
 * run can tell its own files from those of others, and from those that somebody has changed.
 */
#ifndef DEVMESH_SETUP_PLAN_H
#define DEVMESH_SETUP_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum setup_manager {
	SETUP_SYSTEMD,
	SETUP_LAUNCHD,
};

/* The machine, and what is wanted of it. Everything is borrowed; paths are absolute. */
struct setup_facts {
	enum setup_manager manager;
	bool user_scope;   /* for one user, below the home directory */
	bool debian_caddy; /* there is a caddy.service to build upon */

	const char *domain;
	const char *dns_provider; /* NULL: certificates by Caddy's own CA */
	const char *zone, *email, *interface;
	bool other_record; /* devmeshd keeps the wildcard's record: Caddy is not to */
	const char *token; /* NULL: a placeholder is shown */
	const char *admin;
	const char *admin_dir;	 /* that `admin` is in, for one person; NULL: none */
	const char *admin_group; /* by which that person gets there; NULL: as its owner */
	bool own_admin;		 /* `admin` is the scope's own choice, not from the configuration */
	bool lan, ipv6, stream_close_delay;
	uint16_t https_port, http_port;

	const char *sockets_dir;
	const char *identity_dir; /* of the identity documents; NULL: none */
	const char *access_log;	  /* file that Caddy writes; NULL: none */
	const char *caddy;	  /* the program */
	const char *run_as;	  /* user that Caddy runs as, of a unit of our own */
	const char *conf_dir, *state_dir, *home, *units_dir, *tmpfiles_dir, *log_dir;

	const char *devmeshd; /* the daemon; NULL: it gets no unit */
	const char *person;   /* user that devmeshd runs as; unprivileged unless "root" */
	const char *person_home, *person_state; /* that user's, and devmesh's in it */
	const char *sockets_parent; /* where sockets_dir is made anew when /tmp was emptied */
	const char *daemon_path;    /* PATH: where git and Caddy are */
	const char *config_file;    /* --config; NULL: none */
	const char *xdg_config, *xdg_state; /* XDG_..._HOME; NULL: not set */

	const char *dns_zone; /* what the system's resolver is to ask devmeshd about */
	const char *dns_port; /* where that answers, on 127.0.0.1 */
	bool networkd;	      /* systemd-networkd runs, and has to leave our link alone */
};

struct setup_file {
	char *path;
	mode_t mode;
	char *text;
	char *shown; /* `text` without its secret; NULL: there is none in it */
	bool unit;   /* the service manager has to be told of a change */
};

enum {
	SETUP_FILES_MAX = 8
};

struct setup_plan {
	struct setup_file files[SETUP_FILES_MAX];
	size_t count;
};

/*
 * The files in the order in which to write them. Fails with DM_USAGE if a path has a character
 * that would have to be escaped somewhere. Release the plan also after a failure.
 */
bool setup_plan_make(
    const struct setup_facts *facts, struct setup_plan *plan, struct dm_err *err) DM_MUST;
/* Parts of what devmesh writes outside a user's own files. */
enum setup_part {
	SETUP_CADDY,  /* what `devmesh setup` writes: setup_plan_make() */
	SETUP_DAEMON, /* only the unit of devmeshd */
	SETUP_DNS,    /* what has the system's resolver ask devmeshd about one zone (setup_dns.h) */
};
bool setup_plan_part(enum setup_part part, const struct setup_facts *facts, struct setup_plan *plan,
    struct dm_err *err) DM_MUST;
void setup_plan_release(struct setup_plan *plan);

/* Where macOS has a file for each zone, of that name (resolver(5)). */
#define SETUP_RESOLVER_DIR "/etc/resolver"
#define SETUP_DNS_UNIT	   "devmesh-dns.service"
/* "dev.example.com at 127.0.0.1:5453": what such a file is for; the caller owns it. NULL: none. */
char *setup_dns_purpose(const char *text);

/* "<conf_dir>/<name>": "caddy.json", "caddy.env". The caller owns it. */
char *setup_conf_path(const struct setup_facts *facts, const char *name);
/* The unit's name for systemctl(1) or launchctl(1). Static storage. */
const char *setup_unit_name(const struct setup_facts *facts);

/* Whose a file is. */
enum setup_owner {
	SETUP_OURS,    /* setup wrote it, and it is as it was written */
	SETUP_CHANGED, /* setup wrote it, and somebody has changed it */
	SETUP_FOREIGN,
};
enum setup_owner setup_owner_of(const char *text, size_t len);
/* Whether the "@id" of a whole configuration of Caddy's says that setup wrote it. */
bool setup_wrote(const char *id);

/* The token in a caddy.env; the caller owns it. NULL: none. */
char *setup_env_token(const char *text);
/* Whether it can be a token: no blanks, quotes or control characters, 20 to 200 bytes. */
bool setup_token_valid(const char *token, struct dm_err *err) DM_MUST;

/*
 * The zone that a domain is likely in, by its last two labels: NULL where that is a suffix such as
 * "co.uk" and the user has to say it. Points into `domain`.
 */
const char *setup_zone_of(const char *domain);

#endif
