/* SPDX-License-Identifier: MIT */
/* By what a process of a run is known. */
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "runner.h"

char *
runner_mark(const struct dm_proc_id *runner)
{
	return dm_asprintf("%ld.%llu", (long)runner->pid, (unsigned long long)runner->start);
}

bool
runner_of(pid_t pid, struct dm_proc_id *runner)
{
	DM_AUTO_FREE char *mark = dm_proc_env(pid, RUNNER_VARIABLE);
	size_t n = mark == NULL ? 0 : strcspn(mark, ".");
	char first[24];
	uint64_t number;

	if (mark == NULL || mark[n] != '.' ||
	    !dm_snprintf(first, sizeof(first), "%.*s", (int)n, mark) ||
	    !dm_parse_uint(first, 1, INT_MAX, &number) ||
	    !dm_parse_uint(mark + n + 1, 1, UINT64_MAX, &runner->start))
		return false;
	runner->pid = (pid_t)number;
	return true;
}
