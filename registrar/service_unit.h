/* SPDX-License-Identifier: MIT */
/*
 * The unit by which a service manager runs devmeshd: systemd.unit(5) on Linux, launchd.plist(5) on
 * macOS; for the user, or for the machine. Where it is, and what its manager says of it. Where one
 * is installed, nothing but that manager starts devmeshd.
 */
#ifndef DEVMESH_SERVICE_UNIT_H
#define DEVMESH_SERVICE_UNIT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define SERVICE_UNIT_SYSTEMD "devmeshd.service"
#define SERVICE_UNIT_LAUNCHD "com.devmesh.devmeshd"

/* Where units are put: of the machine, or of this user. NULL without $HOME. The caller owns it. */
char *service_units_dir(bool system);
/* Where launchd's services write their logs; the same. systemd's write to the journal. */
char *service_logs_dir(bool system);

/* Whether a service manager of that kind runs here, and can be asked. */
bool service_manager_runs(bool system);

struct service_unit {
	char *path; /* owned; NULL: none is installed */
	char *log;  /* owned; NULL: in the journal */
	bool system;
};

/* The unit that is there for this user: the user's own goes before one of the machine. */
void service_unit_find(struct service_unit *out);
void service_unit_release(struct service_unit *unit);
#define SERVICE_UNIT_AUTO __attribute__((cleanup(service_unit_release)))

/* "systemd" or "launchd". Static storage. */
const char *service_manager_name(void);

enum service_verb {
	SERVICE_START,
	SERVICE_RESTART,
	SERVICE_LOGS, /* shows them; not for service_unit_ask() */
	SERVICE_FOLLOW,
};

enum {
	SERVICE_ARGV_MAX = 12
};

/* The command for that, as argv for exec; its words are the unit's, or static. */
struct service_command {
	const char *argv[SERVICE_ARGV_MAX]; /* NULL-terminated */
	char target[64];
};
void service_unit_command(
    const struct service_unit *unit, enum service_verb verb, struct service_command *out);
/* The same in one line, for people to type. The caller owns it. */
char *service_unit_line(const struct service_unit *unit, enum service_verb verb);

/* Has its manager do it; waits until it has answered, at most a few seconds. */
bool service_unit_ask(
    const struct service_unit *unit, enum service_verb verb, struct dm_err *err) DM_MUST;

/* The process that its manager has for it; 0: none, or it cannot be asked. */
pid_t service_unit_pid(const struct service_unit *unit);

#endif
