/* SPDX-License-Identifier: MIT */
/* Processes of a test. `lifeline` is its pipe: they end when the writing end is closed. */
#ifndef DEVMESH_PROCS_H
#define DEVMESH_PROCS_H

#include "unit.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/proc.h"

/* Lives until it is killed, or the test is over. */
static inline _Noreturn void
live(const int lifeline[2])
{
	char byte;

	(void)close(lifeline[1]);
	_exit(read(lifeline[0], &byte, 1) == 0 ? 0 : 1);
}

static inline struct dm_proc_id
identify(pid_t pid)
{
	struct dm_proc_id id;

	assert_true(pid > 0);
	assert_true(dm_proc_id(pid, &id));
	return id;
}

static inline struct dm_proc_id
start_child(const int lifeline[2])
{
	pid_t pid = fork();

	if (pid == 0)
		live(lifeline);
	return identify(pid);
}

static inline void
kill_it(const struct dm_proc_id *id)
{
	assert_int_equal(kill(id->pid, SIGKILL), 0);
}

static inline void
reap(const struct dm_proc_id *id)
{
	assert_int_equal(waitpid(id->pid, NULL, 0), id->pid);
}

#endif
