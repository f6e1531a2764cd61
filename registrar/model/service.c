/* SPDX-License-Identifier: MIT */
#include "model/service.h"

enum service_state
service_state_of(const struct service_evidence *e)
{
	if (!e->worktree_exists)
		return SERVICE_ORPHAN;
	if (e->foreign)
		return SERVICE_FOREIGN;
	if (e->listening && e->no_server)
		return SERVICE_STARTING;
	if (e->listening)
		return e->route_ok ? SERVICE_UP : SERVICE_DEGRADED;
	if (e->is_tcp)
		return SERVICE_DOWN;
	if (e->socket_exists)
		return SERVICE_STALE;
	return e->resting ? SERVICE_DOWN : SERVICE_STARTING;
}

bool
service_answers(const struct service_evidence *e)
{
	return e->listening && !(e->is_tcp && e->foreign);
}

bool
service_may_become(enum service_state from, enum service_state to, bool is_tcp)
{
	/* there is no file, and without a server it is "down" */
	if (is_tcp && (to == SERVICE_STALE || (from == SERVICE_DOWN && to == SERVICE_STARTING)))
		return false;
	return from != to;
}

const char *
service_state_name(enum service_state state)
{
	switch (state) {
	case SERVICE_STARTING:
		return "starting";
	case SERVICE_UP:
		return "up";
	case SERVICE_DEGRADED:
		return "degraded";
	case SERVICE_STALE:
		return "stale";
	case SERVICE_DOWN:
		return "down";
	case SERVICE_ORPHAN:
		return "orphan";
	case SERVICE_FOREIGN:
		return "foreign";
	case SERVICE_STATES:
		break;
	}
	return "unknown";
}
