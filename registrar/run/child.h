/* SPDX-License-Identifier: MIT */
/*
 * The command of `devmesh run`: started in a process group of its own, with our standard streams
 * and, where we have it, the terminal, as a shell with job control does (POSIX.1-2017, 2.9.3.1
 * and "General Terminal Interface", 11.1).
 */
#ifndef DEVMESH_CHILD_H
#define DEVMESH_CHILD_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <termios.h>

#include "base/err.h"

struct child {
	pid_t pid;     /* and process group */
	int tty;       /* the controlling terminal, if the command has it; -1: not ours to give */
	bool in_front; /* the command has the terminal now */
	struct termios modes; /* of the terminal, before */
	bool ended;
	int status; /* once ended: exit code, or 128 + signal */
};

/* Everything is borrowed. */
struct child_request {
	char *const *argv;
	char *const *env; /* "NAME=value": instead of the same names of ours; NULL: none */
	const struct rlimit *files; /* limit of descriptors to give it; NULL: ours */
	int out, err;		    /* to have as standard output and error; -1: ours */
	bool stdout_to_stderr;
};

/* DM_NOT_FOUND if there is no such program, DM_DENIED if it may not be run. */
bool
child_start(struct child *child, const struct child_request *request, struct dm_err *err) DM_MUST;

/*
 * To be called after SIGCHLD: takes note of its end, and reaps what else has been given to us. When
 * it was stopped from the terminal (Ctrl-Z), we stop as well, and both go on together.
 */
void child_reap(struct child *child);

/* To be called after SIGCONT: it goes on as well, with the terminal if that is ours now. */
void child_continue(struct child *child);

/*
 * To its whole process group. Nothing once the command has ended: its number may by then be that of
 * another group.
 */
void child_signal(const struct child *child, int signal);

/* Takes the terminal back, as it was. Safe to repeat. */
void child_restore_terminal(struct child *child);

#endif
