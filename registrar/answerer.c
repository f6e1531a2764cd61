/* SPDX-License-Identifier: MIT */
#include "answerer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repo/checkout.h"

void
answerer_release(struct answerer *a)
{
	free(a->cwd);
	free(a->worktree);
	memset(a, 0, sizeof(*a));
}

/* Whether the process is, or descends from, the `devmesh run` of the claim. */
static bool
is_of_run(const struct claim *claim, pid_t pid)
{
	struct dm_pids family = {.count = 0};
	bool found;

	if (claim == NULL || !dm_proc_alive(&claim->run.runner))
		return false;
	dm_pids_add(&family, claim->run.runner.pid);
	dm_proc_descendants(claim->run.runner.pid, &family);
	found = dm_pids_have(&family, pid);
	dm_pids_release(&family);
	return found;
}

/* What one process is to the worktree. */
static void
judge(pid_t pid, const struct claim *claim, const char *worktree, struct answerer *out)
{
	struct dm_proc_id alive;

	out->kind = ANSWERER_UNKNOWN;
	out->pid = pid;
	if (pid == 0)
		return;
	out->cwd = dm_proc_cwd(pid);
	if (out->cwd == NULL && !dm_proc_id(pid, &alive)) {
		/* who has called listen(2) is dead, and others answer */
		out->pid = 0;
		return;
	}
	if (out->cwd == NULL || strcmp(out->cwd, "/") == 0) {
		/* what was started for the claim is its own, wherever it went since */
		if (is_of_run(claim, pid) && strcmp(claim->worktree, worktree) == 0) {
			out->kind = ANSWERER_OWN;
			out->worktree = dm_strdup(worktree);
		}
		return;
	}
	if (checkout_contains(worktree, out->cwd)) {
		out->kind = ANSWERER_OWN;
		out->worktree = dm_strdup(worktree);
		return;
	}
	out->kind = ANSWERER_FOREIGN;
	out->worktree = checkout_top(out->cwd);
	if (out->worktree == NULL)
		out->worktree = dm_strdup(out->cwd);
}

/* How much an answer matters among those of several listeners on one port. */
static int
weight(enum answerer_kind kind)
{
	switch (kind) {
	case ANSWERER_NONE:
		return 0;
	case ANSWERER_OWN:
		return 1;
	case ANSWERER_UNKNOWN:
		return 2;
	case ANSWERER_FOREIGN:
		return 3;
	}
	return 0;
}

/* The weightiest of those that listen on the port; ANSWERER_NONE if there are none in the list. */
static void
judge_port(uint16_t port, const struct dm_listeners *listeners, const struct claim *claim,
    const char *worktree, struct answerer *out)
{
	for (size_t i = 0; i < listeners->count; i++) {
		ANSWERER_AUTO struct answerer one = {.kind = ANSWERER_NONE};
		struct answerer swap;

		if (listeners->list[i].port != port || !dm_listener_is_local(&listeners->list[i]))
			continue;
		judge(listeners->list[i].pid, claim, worktree, &one);
		if (weight(one.kind) > weight(out->kind)) {
			swap = *out;
			*out = one;
			one = swap;
		}
	}
}

void
answerer_of_port(
    uint16_t port, const struct claim *claim, const char *worktree, struct answerer *out)
{
	struct dm_listeners all = {.count = 0};

	memset(out, 0, sizeof(*out));
	dm_proc_of_ports(&port, 1, &all);
	judge_port(port, &all, claim, worktree, out);
	dm_listeners_release(&all);
	/* of a container, say: somebody is there, and the kernel does not show who */
	if (out->kind == ANSWERER_NONE && dm_tcp_listening(port))
		out->kind = ANSWERER_UNKNOWN;
}

/* The server behind a bridge: nearly always among the descendants of `devmesh run`. */
static void
judge_bridged(const struct claim *claim, const char *worktree, struct answerer *out)
{
	struct dm_pids family = {.count = 0};
	struct dm_listeners found = {.count = 0};
	struct dm_sock_info info;

	if (claim->run.socket[0] != '\0') {
		dm_sock_probe(claim->run.socket, &info);
		if (info.state == DM_SOCK_LISTENING)
			judge(info.pid, claim, worktree, out);
	} else if (claim->run.port != 0) {
		dm_proc_descendants(claim->run.runner.pid, &family);
		dm_proc_listeners(&family, &found);
		judge_port(claim->run.port, &found, claim, worktree, out);
		if (out->kind == ANSWERER_NONE)
			answerer_of_port(claim->run.port, claim, worktree, out);
	}
	out->bridge = true;
	dm_listeners_release(&found);
	dm_pids_release(&family);
}

void
answerer_find(const struct claim *claim, const char *worktree, const struct dm_sock_info *seen,
    const struct dm_listeners *listeners, struct answerer *out)
{
	const struct claim_run *run = &claim->run;
	struct dm_sock_info info;

	memset(out, 0, sizeof(*out));
	if (claim->port != 0) {
		if (listeners != NULL)
			judge_port(claim->port, listeners, claim, worktree, out);
		/* nobody, or one who came after that list was made */
		if (out->kind == ANSWERER_NONE)
			answerer_of_port(claim->port, claim, worktree, out);
		return;
	}
	if (seen == NULL) {
		dm_sock_probe(claim->socket, &info);
		seen = &info;
	}
	if (seen->state == DM_SOCK_DENIED || seen->state == DM_SOCK_UNKNOWN)
		out->kind = ANSWERER_UNKNOWN;
	if (seen->state != DM_SOCK_LISTENING)
		return;
	/* a devmesh run that listens is the bridge, even before its claim says so */
	if (seen->pid != 0 && seen->pid == run->runner.pid && dm_proc_alive(&run->runner))
		judge_bridged(claim, worktree, out);
	else
		judge(seen->pid, claim, worktree, out);
}
