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
	return e->socket_exists ? SERVICE_STALE : SERVICE_STARTING;
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
	}
	return "unknown";
}
