/* SPDX-License-Identifier: MIT */
#include "service_impl.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "services.h"
#include "survey.h"

enum {
	/* Looks again at what makes no hint when it changes: a bound socket that starts to
	 * listen, a port whose owner could not be seen yet... */
	RECHECK_MIN_MS = 1,
	RECHECK_MAX_MS = 500,
	/* A claim is written before its route: so long it is asked for, so often. */
	NEW_ROUTE_MS = 1000,
	NEW_ROUTE_STEP_MS = 50,
};

bool
service_waits_for_route(const struct service *svc)
{
	return svc->claim->registration == CLAIM_ROUTE && svc->route_missing_ms != 0 &&
	       !svc->had_route && dm_now_ms() - svc->route_missing_ms < NEW_ROUTE_MS;
}

void
service_become(struct service *svc, enum service_state state, const char *why)
{
	/* that its route was seen at last is nothing that has happened to the server */
	if (svc->state != SERVICE_DEGRADED || state != SERVICE_UP || svc->had_route)
		svc->since = dm_wall_seconds();
	svc->state = state;
	svc->reason = why;
	svc->state_ms = dm_now_ms();
}

int64_t
service_first_since(const struct service *svc)
{
	int64_t now = dm_wall_seconds(), then = svc->claim->created;
	struct stat st;

	if (svc->state != SERVICE_UP && svc->state != SERVICE_DEGRADED &&
	    svc->state != SERVICE_STARTING)
		return now;
	if (svc->state != SERVICE_STARTING && svc->claim->port == 0 &&
	    lstat(svc->claim->socket, &st) == 0)
		then = st.st_mtime;
	/* clocks are set, and times of files too */
	return then <= 0 || then > now ? now : then;
}

void
service_note_times(struct service *svc)
{
	int64_t now = dm_now_ms();

	/* a state may last while who answers comes and goes: orphan is one */
	if (service_answers(&svc->evidence))
		svc->not_answering_ms = 0;
	else if (svc->not_answering_ms == 0)
		svc->not_answering_ms = now;
	if (svc->evidence.route_ok) {
		svc->had_route = true;
		svc->route_missing_ms = 0;
	} else if (svc->route_missing_ms == 0) {
		svc->route_missing_ms = now;
	}
	if (svc->claim->run.runner.pid == 0 || dm_proc_alive(&svc->claim->run.runner))
		svc->runner_gone_ms = 0;
	else if (svc->runner_gone_ms == 0)
		svc->runner_gone_ms = now;
}

void
service_begin_anew(struct service *svc, int64_t now)
{
	svc->state_ms = now;
	svc->not_answering_ms = svc->not_answering_ms == 0 ? 0 : now;
	svc->runner_gone_ms = svc->runner_gone_ms == 0 ? 0 : now;
	svc->route_missing_ms = svc->route_missing_ms == 0 ? 0 : now;
}

void
service_note_search(struct service *svc, const struct survey_row *row)
{
	/* one server has followed another on the port: there was a moment without any */
	if (!row->evidence.is_tcp || !row->evidence.listening || row->pid != 0) {
		svc->searching = false;
	} else if (svc->pid != 0 || !svc->evidence.listening) {
		svc->searching = true;
		svc->recheck_step = 0;
	}
}

static int64_t
doubled(const struct service *svc)
{
	return svc->recheck_step == 0 ? RECHECK_MIN_MS : svc->recheck_step * 2;
}

int64_t
service_recheck_step(struct service *svc)
{
	if (service_waits_for_route(svc))
		return NEW_ROUTE_STEP_MS;
	if (svc->evidence.is_tcp && !svc->evidence.listening)
		return SERVICE_PORT_MS;
	/* its first process has died, and others answer, of whose ends nobody tells */
	if (svc->evidence.listening && svc->socket.pid != 0 && svc->pid == 0)
		return RECHECK_MAX_MS;
	/* one whom the kernel does not show is not searched for long */
	if (svc->searching && doubled(svc) <= RECHECK_MAX_MS)
		return doubled(svc);
	svc->searching = false;
	if (svc->socket.state != DM_SOCK_BOUND && !svc->evidence.no_server)
		return 0;
	return doubled(svc) > RECHECK_MAX_MS ? RECHECK_MAX_MS : doubled(svc);
}
