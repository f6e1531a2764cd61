/* SPDX-License-Identifier: MIT */
/*
 * `devmesh setup`: a Caddy for a real domain, as a service of this machine or of one user.
 *
 * First everything is looked at (setup_open, setup_look) and nothing changed; then it is shown,
 * and only then done (setup_write, setup_activate), step by step. What the steps are is
 * setup_plan.h; what Caddy says is setup_caddy.c.
 */
#ifndef DEVMESH_SETUP_H
#define DEVMESH_SETUP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"
#include "session.h"
#include "setup_plan.h"

struct cJSON;

/* Borrowed from the command line; NULL where not given. */
struct setup_options {
	const char *domain, *dns, *zone, *email, *interface, *token_file, *out;
	bool user, lan, dry_run, remove;
	uint16_t https_port, http_port;
};

enum setup_action {
	SETUP_UNCHANGED,
	SETUP_CREATE,
	SETUP_UPDATE,
	SETUP_CHMOD, /* the text is right, the mode is not */
	SETUP_KEEP,  /* not setup's to change */
	SETUP_REMOVE,
};

struct setup_step {
	char *path; /* below --out, if that is given */
	enum setup_action action;
	mode_t mode;
	char *before; /* what was there when it was shown; NULL: nothing */
	char *text;   /* the new content */
	char *shown;  /* without its secret; NULL: as text */
	bool unit;
	bool is_dir;
	uid_t owner;	      /* of the directory */
	const char *why_kept; /* SETUP_KEEP; static */
};

/* What setup finds in the Caddy that it is about, if one answers. */
enum setup_running {
	SETUP_NOT_RUNNING,
	SETUP_EMPTY,  /* it has no configuration, or only that of an empty file */
	SETUP_OTHERS, /* it serves something else, which would be lost */
	SETUP_LOADED, /* it has the configuration that setup writes */
};

enum {
	SETUP_STEPS_MAX = 16,
	SETUP_PROBLEMS_MAX = 8,
	SETUP_COMMANDS_MAX = 12,
	SETUP_OWNED_MAX = 40,
};

struct setup_command {
	const char *argv[12]; /* NULL-terminated */
	bool may_fail;	      /* there may be nothing to stop */
	bool before;	      /* before the files are written, not afterwards */
};

struct setup {
	struct session *session;   /* borrowed */
	struct setup_options want; /* borrowed */
	struct setup_facts facts;
	uid_t person; /* whose services these are: who called sudo(8), else who runs this */
	enum setup_part part;
	bool daemon_runs;	  /* as its service manager has started it, and of this version */
	struct conf *person_conf; /* that person's configuration; NULL: the session's */
	struct setup_step steps[SETUP_STEPS_MAX];
	size_t step_count;
	struct dm_err problems[SETUP_PROBLEMS_MAX]; /* why it cannot be done */
	size_t problem_count;
	struct setup_command commands[SETUP_COMMANDS_MAX];
	size_t command_count;
	char *missing_modules; /* "a, b"; NULL: none */
	enum setup_running running;
	char *running_config;	   /* as Caddy gave it; NULL: it does not run */
	const char *running_admin; /* where it answered; borrowed */
	char *running_hosts;	   /* what it serves, for people */
	char *backup;		   /* where the running configuration goes; NULL: nowhere */
	char *autosave;	 /* what --resume would prefer to the new configuration; NULL: none */
	bool managed;	 /* a service manager runs here and will start Caddy */
	pid_t caddy_pid; /* of the running Caddy, if it can be told */
	char *owned[SETUP_OWNED_MAX];
	size_t owned_count;
};

/* setup.c: looks at the machine and asks for the token (unless dry_run, out or remove). */
struct setup *
setup_open(struct session *session, const struct setup_options *want, struct dm_err *err) DM_MUST;
void setup_free(struct setup *setup);
DM_DEFINE_FREEP(setup)
/* setup.c: where files of the scope are; and whose services these are. */
bool setup_look_at_places(struct setup *setup, struct dm_err *err) DM_MUST;
void setup_look_at_person(struct setup *setup);
/* Hands a string to the setup, which frees it; returns it. */
const char *setup_own(struct setup *setup, char *text);
void setup_problem(struct setup *setup, const struct dm_err *err);

/* Where Caddy has its admin API unless it is told otherwise. */
#define SETUP_USUAL_ADMIN "http://localhost:2019"
/* setup_admin.c: the address of the admin API, by scope, --dns and configuration. */
bool setup_choose_admin(struct setup *setup, struct dm_err *err) DM_MUST;
/* By which group the person reaches it; a problem if that group is not the person's alone. */
void setup_look_at_group(struct setup *setup);
/* Once Caddy runs: whether the person can connect to it, and nobody else. */
bool setup_check_socket(const struct setup *setup, struct dm_err *err) DM_MUST;

/* setup_steps.c: what is to be written or removed, and doing it. */
bool setup_look(struct setup *setup, struct dm_err *err) DM_MUST;
bool setup_changes(const struct setup *setup);
bool setup_write(struct setup *setup, struct dm_err *err) DM_MUST;
const char *setup_action_name(enum setup_action action);

/* setup_check.c: finds out which Caddy this is, before setup_look(); then fills in `problems`. */
void setup_probe(struct setup *setup);
void setup_check(struct setup *setup);

/* setup_show.c: all that will be done, for people, and as members of a JSON answer. */
void setup_show(FILE *out, const struct setup *setup);
void setup_add_json(struct cJSON *object, const struct setup *setup);
/* The question, unless --yes answers it; with neither nobody has agreed: DM_USAGE, or DM_DENIED. */
bool setup_confirm(bool yes, bool json, struct dm_err *err) DM_MUST;

/* setup_service.c: what the service manager is told. */
void setup_plan_commands(struct setup *setup);
void setup_add_command(struct setup *setup, bool before, bool may_fail, const char *const argv[]);
bool setup_run_commands(struct setup *setup, bool before, struct dm_err *err) DM_MUST;

/* setup_caddy.c */
/* Asks the Caddy at the admin address what it serves; fills in running and what belongs to it. */
void setup_look_at_caddy(struct setup *setup);
/*
 * Caddy keeps what it was last given below `config_home`, and with --resume takes that whatever
 * its file says by now: fills in `autosave` if that would be another configuration than setup's.
 */
void setup_look_at_autosave(struct setup *setup, const char *config_home);
/* Whether it listens on the port by its configuration. */
bool setup_caddy_has_port(const struct setup *setup, uint16_t port);
/* Saves what runs; needed before setup_activate(). */
bool setup_backup(struct setup *setup, struct dm_err *err) DM_MUST;
/* Has Caddy take the new configuration: by the service manager, else by its admin API. */
bool setup_activate(struct setup *setup, struct dm_err *err) DM_MUST;

enum setup_answer {
	SETUP_NO_CADDY, /* nothing was started: there is no service manager */
	SETUP_PENDING,	/* it listens, but has no certificate yet */
	SETUP_ANSWERS,
};
/* Asks https://devmesh-check.<domain> on the loopback, and waits for the answer. */
bool setup_verify(struct setup *setup, enum setup_answer *answer, struct dm_err *err) DM_MUST;
/* Takes the token out of what Caddy said, in place. */
void setup_redact(const struct setup *setup, char *text);

#endif
