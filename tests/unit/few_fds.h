/* SPDX-License-Identifier: MIT */
/* A process that has hardly any descriptors left. */
#ifndef DEVMESH_FEW_FDS_H
#define DEVMESH_FEW_FDS_H

#include "unit.h"

#include <errno.h>
#include <sys/resource.h>

/* Leaves room for `more` descriptors; gives the limit as it was. */
static inline rlim_t
limit_fds(int more)
{
	int lowest = dup(STDIN_FILENO);
	struct rlimit limit;
	rlim_t before;

	assert_true(lowest >= 0);
	(void)close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)(lowest + more);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return before;
}

static inline void
unlimit_fds(rlim_t before)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = before;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

#endif
