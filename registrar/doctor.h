/* SPDX-License-Identifier: MIT */
/*
 * devmesh doctor: the known traps, each looked for and named with the command that mends it.
 *
 * The checks are one table (doctor.c), run in its order. A check looks, and says what it finds;
 * it changes nothing, and takes no longer than doctor_time() grants, whatever is broken. To add
 * one: a function in the doctor_*.c of its theme, its declaration below, a row in the table, and
 * a test in tests/integration/test_doctor.c that provokes it.
 */
#ifndef DEVMESH_DOCTOR_H
#define DEVMESH_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/dns.h"
#include "base/err.h"
#include "base/proc.h"
#include "certificate.h"
#include "session.h"

struct cJSON;

enum doctor_level {
	DOCTOR_OK,	/* worth knowing; shown with -v only */
	DOCTOR_NOTE,	/* may be on purpose */
	DOCTOR_WARNING, /* will hurt, or does under some conditions */
	DOCTOR_FAILURE, /* does not work, or is unsafe: the exit status */
};

/* "ok", "note", ... Static storage. */
const char *doctor_level_name(enum doctor_level level);

/* Texts are owned, and printable; `why` and `fix` may be NULL. */
struct doctor_finding {
	const struct doctor_check *check;
	enum doctor_level level;
	char *what, *why;
	char *fix; /* an exact command, or what to write where */
};

enum doctor_needs {
	NEEDS_CONF = 1 << 0,	/* a configuration that can be read */
	NEEDS_SOCKETS = 1 << 1, /* a usable directory of sockets (implies NEEDS_CONF) */
	NEEDS_CADDY = 1 << 2,	/* a Caddy that answers (implies NEEDS_CONF) */
	NEEDS_TIME = 1 << 3,	/* it may be slow: left out when time is up */
};

struct doctor;
struct doctor_check {
	const char *id;	   /* "sockets-dir" */
	const char *group; /* heading of the output */
	const char *title; /* what is true if all is well */
	unsigned needs;	   /* of enum doctor_needs, or'ed */
	void (*run)(struct doctor *d);
};
extern const struct doctor_check doctor_checks[];
extern const size_t doctor_check_count;

enum {
	DOCTOR_BUDGET_MS = 4500,
	DOCTOR_ADMIN_MS = 1000, /* for one request to Caddy's admin API */
	DOCTOR_PROGRAM_MS = 1500,
};

/* What the checks share. Everything is owned by it. */
struct doctor {
	struct session *session; /* NULL: the configuration cannot be read */
	struct dm_err config_err;
	const char *config_file;	      /* --config; borrowed, may be NULL */
	const char *dir;		      /* the worktree to look at; borrowed */
	const char *hosts_file, *resolv_conf; /* borrowed; the system's unless a test says other */
	int64_t deadline;		      /* dm_now_ms() */
	bool ask_public;		      /* also name servers out there may be asked */

	const struct doctor_check *current;
	struct doctor_finding *findings;
	size_t count;
	const char **skipped; /* for each check: why it was not made (static); NULL: it was */

	/* Found out by one check for those after it. */
	bool sockets_usable, caddy_answers;
	struct cJSON *config; /* Caddy's whole configuration */
	pid_t caddy_pid;      /* 0: unknown */
	bool caddy_uid_known;
	uid_t caddy_uid;
	char domain[HOST_MAX + 1];
	bool has_server, has_mesh; /* has_mesh: requests for our names reach a mesh route */
	struct caddy_server server;
	struct dm_listeners listeners; /* of the whole machine */

	/* For system_facts.h. */
	char
	    certificate_host[HOST_MAX + 1]; /* whose is looked at; "": of a name below the domain */
	struct certificate certificate;
	bool has_certificate;
	const char *trusted_by; /* "system", "private-mesh"; NULL: nobody. Static */
	struct {
		char *name; /* NULL: none was looked up */
		struct dns_address addresses[DNS_ADDRESSES_MAX];
		size_t count;
	} resolved;
};

/* Runs all checks. `config_file` and `dir` are borrowed for the doctor's lifetime. */
void doctor_init(struct doctor *d, const char *config_file, const char *dir);
void doctor_run(struct doctor *d);
/* Only the check of this id, which is to be there. */
void doctor_run_one(struct doctor *d, const char *id);
/* The first finding of that check that is a warning or worse; NULL: none. Borrowed. */
const struct doctor_finding *doctor_trouble(const struct doctor *d, const char *id);
void doctor_release(struct doctor *d);
/* Whether nothing failed. */
bool doctor_healthy(const struct doctor *d);

/* For the checks. A finding, then (of the same finding) why it matters and what mends it. */
void doctor_say(struct doctor *d, enum doctor_level level, const char *fmt, ...) DM_PRINTF(3, 4);
void doctor_why(struct doctor *d, const char *fmt, ...) DM_PRINTF(2, 3);
void doctor_fix(struct doctor *d, const char *fmt, ...) DM_PRINTF(2, 3);
/* The check could not be made; `why` is static. */
void doctor_skip(struct doctor *d, const char *why);
/* Milliseconds that a slow step may take: `wanted`, or what is left. At least 1. */
int64_t doctor_time(const struct doctor *d, int64_t wanted);
/* A small file, or NULL if it cannot be read or is larger than that; the caller owns it. */
char *doctor_read(const char *path, size_t max);
/* stdout of a program, its last line break cut; NULL unless it ended with 0. The caller owns it. */
char *doctor_output(struct doctor *d, const char *const argv[]);

/* doctor_files.c */
void doctor_check_config(struct doctor *d);
void doctor_check_environment(struct doctor *d);
void doctor_check_secrets(struct doctor *d);
void doctor_check_sockets_dir(struct doctor *d);
void doctor_check_stale(struct doctor *d);
void doctor_check_clock(struct doctor *d);
/* doctor_caddy.c */
void doctor_check_program(struct doctor *d);
void doctor_check_admin(struct doctor *d);
void doctor_check_admin_open(struct doctor *d);
void doctor_check_twice(struct doctor *d);
void doctor_check_ports(struct doctor *d);
void doctor_check_private_tmp(struct doctor *d);
void doctor_check_access(struct doctor *d);
void doctor_check_modules(struct doctor *d);
/* doctor_token.c */
void doctor_check_token(struct doctor *d);
/* doctor_route.c */
void doctor_check_mesh(struct doctor *d);
void doctor_check_ids(struct doctor *d);
void doctor_check_own_routes(struct doctor *d);
void doctor_check_reload(struct doctor *d);
/* doctor_names.c */
void doctor_check_certificate(struct doctor *d);
void doctor_check_localhost(struct doctor *d);
void doctor_check_domain(struct doctor *d);
void doctor_check_hosts(struct doctor *d);
/* doctor_worktree.c */
void doctor_check_trap(struct doctor *d);
void doctor_check_env_files(struct doctor *d);
void doctor_check_node(struct doctor *d);
void doctor_check_worktrunk(struct doctor *d);
void doctor_check_git_hooks(struct doctor *d);

#endif
