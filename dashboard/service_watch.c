/* SPDX-License-Identifier: MIT */
#include "exits.h"
#include "service_impl.h"
#include "services.h"

bool
service_same_process(const struct dm_proc_id *a, const struct dm_proc_id *b)
{
	return a->pid == b->pid && a->start == b->start;
}

void
service_unwatch(struct exits *exits, struct service *svc)
{
	for (size_t i = 0; i < SERVICE_WATCHED; i++) {
		if (svc->watched[i].pid != 0)
			exits_remove(exits, &svc->watched[i]);
		svc->watched[i].pid = 0;
	}
}

/*
 * Who has this pid. One whose end is waited for, and was not told of, still has it: to ask the
 * kernel costs more than all else in a look at what has not changed.
 */
static bool
identify(const struct service *svc, pid_t pid, struct dm_proc_id *out)
{
	for (size_t i = 0; i < SERVICE_WATCHED; i++) {
		if (pid != 0 && svc->watched[i].pid == pid) {
			*out = svc->watched[i];
			return true;
		}
	}
	return pid != 0 && dm_proc_id(pid, out);
}

void
service_watch(struct exits *exits, struct service *svc)
{
	struct dm_proc_id want[SERVICE_WATCHED] = {svc->claim->run.runner};
	const pid_t pids[SERVICE_WATCHED] = {
	    svc->claim->run.runner.pid, svc->evidence.listening ? svc->socket.pid : 0, svc->pid};

	for (size_t i = 0; i < SERVICE_WATCHED; i++) {
		bool again = false;

		for (size_t j = 0; j < i; j++)
			again = again || pids[j] == pids[i];
		if (again || (i > 0 && !identify(svc, pids[i], &want[i])))
			want[i].pid = 0;
	}
	if (!dm_proc_alive(&want[0]))
		want[0].pid = 0;
	for (size_t i = 0; i < SERVICE_WATCHED; i++) {
		struct dm_proc_id old = svc->watched[i];

		if (service_same_process(&old, &want[i]))
			continue;
		if (want[i].pid != 0)
			exits_add(exits, &want[i]);
		svc->watched[i] = want[i];
		if (old.pid != 0)
			exits_remove(exits, &old);
	}
	if (svc->evidence.worktree_exists && !svc->evidence.foreign)
		(void)identify(svc, svc->pid, &svc->own);
}
