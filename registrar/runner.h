/* SPDX-License-Identifier: MIT */
/*
 * devmesh run: a dev server under our eyes. The name is claimed, the command started in a process
 * group of its own with what it has to know in its environment, and the service's socket led to
 * wherever its processes really listen; when it ends, everything is taken back.
 */
#ifndef DEVMESH_RUNNER_H
#define DEVMESH_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "run/tools.h"
#include "session.h"

/* Everything is borrowed. */
struct runner_options {
	struct name_flags name;
	const char *const *argv; /* the command, NULL-terminated */
	enum tool_mode mode;
	uint16_t port;	 /* the one the server will listen on; 0: to be found out */
	int64_t wait_ms; /* how long it may take to answer before something is said about it */
	bool force;	 /* take the name from another worktree, or another run, of this user */
	bool supervised; /* by devmeshd: the name stays claimed at the end, output is only kept */
	bool json;	 /* say where it answers as JSON on stdout; the command's goes to stderr */
};

/*
 * Runs the command and returns when it, and all that it left running, has ended. *status is its
 * exit code, 128 + n after signal n. Fails without having started it if the name cannot be had or
 * the program not be run; a Caddy that does not answer is no reason: it runs without a URL.
 */
bool runner_run(struct session *s, const struct runner_options *options, int *status,
    struct dm_err *err) DM_MUST;

/*
 * Marks every process of a run, "<pid of devmesh>.<its start>". Empty in the environment of what is
 * started to outlive the run (the private mesh): that is none of its processes.
 */
#define RUNNER_VARIABLE "DEVMESH_RUN"

/* What the variable says for this run; the caller owns it. */
char *runner_mark(const struct dm_proc_id *runner);
/* The run that has started the process, alive or not, as its environment says; false: none. */
bool runner_of(pid_t pid, struct dm_proc_id *runner);

/* Begins the last line on stderr of a supervised run whose command has ended; its status follows.
 */
#define RUNNER_EXIT_WORD "exit "

/* Becomes the command, as it is. Returns only if that fails. */
bool runner_exec(const char *const argv[], struct dm_err *err) DM_MUST;

/*
 * After a `devmesh run` that was killed: ends the processes that it left behind, which are known by
 * a variable in their environment. Nothing happens while the runner lives. How many there were.
 */
unsigned runner_end_leftovers(const struct claim *claim, bool dry_run);

/*
 * Asks the living `devmesh run` of the claim to end, and waits until it has; true if there is none.
 */
bool runner_stop(const struct claim *claim, struct dm_err *err) DM_MUST;

#endif
