/* SPDX-License-Identifier: MIT */
/*
 * devmeshd, as the command line starts, asks and ends it: one for each state directory, which is
 * proven by a lock that dies with it, "<state_dir>/devmeshd.lock", and not by files that may be
 * left over. Where a service manager is to run it (service_unit.h), nothing here ever spawns it.
 */
#ifndef DEVMESH_COMPANION_H
#define DEVMESH_COMPANION_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "session.h"

struct cJSON;

enum companion_state {
	COMPANION_STOPPED,
	COMPANION_BUSY,	    /* its process is there, and does not answer (yet) */
	COMPANION_STOPPING, /* it answers for the last time */
	COMPANION_STARTING, /* it answers, and looks around for the first time */
	COMPANION_READY,
};

/* Owned by the caller: companion_release(). */
struct companion {
	enum companion_state state;
	pid_t pid;	      /* 0: none, or unknown */
	char *version;	      /* NULL: it has not answered */
	struct cJSON *status; /* its answer to GET /control/status; NULL: none */
	bool was_running;     /* companion_start() had nothing to do */
};
void companion_release(struct companion *companion);
#define COMPANION_AUTO __attribute__((cleanup(companion_release)))

/* "stopped", "busy", ... Static storage. */
const char *companion_state_name(enum companion_state state);

/*
 * The absolute path of devmeshd: beside the running devmesh, else in PATH; NULL if there is none.
 * Where PATH has a name for the one beside, it is that name: a link that outlives upgrades. The
 * caller owns it.
 */
char *companion_program(void);

/* "<state_dir>/devmeshd.log"; the caller owns it. Needs the state directory. */
char *companion_log(const struct session *s);

/* Warns if the version that has answered (NULL: none has) is another than that of devmesh. */
void companion_check_version(const char *version);

/* What is there now. Nothing is started; `out` is to be released. */
void companion_look(struct session *s, struct companion *out);

/*
 * Has it run, and returns when it is ready: at once if it is, or when its service manager, asked
 * for it, has started it, else by starting it in the background. The error is what it said when it
 * ended, DM_NOT_FOUND where there is no devmeshd, DM_UNREACHABLE ("service-not-ready") where its
 * service manager did not bring it up. `config_file` (NULL: none) is handed on. `out` is to be
 * released.
 */
bool companion_start(
    struct session *s, const char *config_file, struct companion *out, struct dm_err *err) DM_MUST;

/*
 * Ends it: asks, then SIGTERM, then SIGKILL to the process that holds the lock. *pid is 0 if none
 * ran.
 */
bool companion_stop(struct session *s, pid_t *pid, struct dm_err *err) DM_MUST;

/*
 * companion_stop() and companion_start(), or the same by its service manager, which then has to be
 * there.
 */
bool companion_restart(
    struct session *s, const char *config_file, struct companion *out, struct dm_err *err) DM_MUST;

#endif
