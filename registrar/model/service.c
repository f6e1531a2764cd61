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

bool
service_answers(const struct service_evidence *e)
{
	return e->listening && !(e->is_tcp && e->foreign);
}

#define TO(state) (1U << SERVICE_##state)

/* Behind a port there is no file, so it is never stale; behind a socket it is never "down". */
#define ALIVE (TO(STARTING) | TO(UP) | TO(DEGRADED) | TO(ORPHAN) | TO(FOREIGN))
static const unsigned moves[SERVICE_STATES] = {
    [SERVICE_STARTING] = ALIVE | TO(STALE) | TO(DOWN),
    [SERVICE_UP] = ALIVE | TO(STALE) | TO(DOWN),
    [SERVICE_DEGRADED] = ALIVE | TO(STALE) | TO(DOWN),
    [SERVICE_STALE] = ALIVE,
    [SERVICE_DOWN] = ALIVE & ~TO(STARTING),
    [SERVICE_ORPHAN] = ALIVE | TO(STALE) | TO(DOWN), /* the worktree is back */
    [SERVICE_FOREIGN] = ALIVE | TO(STALE) | TO(DOWN),
};

bool
service_may_become(enum service_state from, enum service_state to)
{
	return from != to && (moves[from] & 1U << to) != 0;
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
