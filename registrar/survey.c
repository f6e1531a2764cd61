/* SPDX-License-Identifier: MIT */
#include "survey.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sock.h"
#include "base/str.h"
#include "caddy/route.h"

/* Whether Caddy, as it is configured now, leads the claim's host to its upstream. */
static bool
route_leads_there(const struct session *s, const struct claim *claim)
{
	DM_AUTO_FREE char *dial = claim_dial(claim);
	const struct cJSON *route = caddy_view_object(s->view, claim->id.s);
	const char *domain = claim->host == NULL ? NULL : strchr(claim->host, '.'), *found;
	struct caddy_server server;

	if (domain == NULL)
		return false;
	if (route != NULL && !route_is_shared(route)) {
		found = route_dial(route);
		return found != NULL && strcmp(found, dial) == 0 &&
		       caddy_view_reaches(s->view, claim->id.s, claim->host);
	}
	return claim->registration == CLAIM_MESH &&
	       caddy_view_mesh(s->view, domain + 1, registry_dir(s->registry), claim->host,
		   claim->id.s, &server);
}

static void
look(const struct session *s, const struct claim *claim, struct survey_row *row)
{
	struct service_evidence *e = &row->evidence;
	struct dm_sock_info info;

	row->claim = claim;
	e->worktree_exists = !claim_worktree_gone(claim);
	e->is_tcp = claim->port != 0;
	if (e->is_tcp) {
		e->listening = dm_tcp_listening(claim->port);
	} else {
		dm_sock_probe(claim->socket, &info);
		/* bound by a server that does not listen yet: it is just starting */
		e->socket_exists = info.state != DM_SOCK_ABSENT && info.state != DM_SOCK_BOUND;
		e->listening = info.state == DM_SOCK_LISTENING;
		e->foreign = info.exists && info.owner != claim->uid && info.owner != 0;
		row->pid = e->listening ? info.pid : 0;
	}
	e->route_ok = s->view != NULL && route_leads_there(s, claim);
	row->state = service_state_of(e);
}

bool
survey_take(struct session *s, struct survey *out, struct dm_err *err)
{
	memset(out, 0, sizeof(*out));
	if (!session_need_registry(s, err) || !registry_scan(s->registry, &out->claims, err))
		return false;
	if (out->claims.count > 0 && !session_need_view(s, &out->caddy))
		dm_debug("%s", out->caddy.msg);
	out->rows = dm_calloc(out->claims.count, sizeof(*out->rows));
	for (size_t i = 0; i < out->claims.count; i++) {
		const struct claim *claim = out->claims.list[i];

		if (!claim->is_alias)
			look(s, claim, &out->rows[out->count++]);
	}
	return true;
}

void
survey_release(struct survey *survey)
{
	registry_claims_free(&survey->claims);
	free(survey->rows);
	memset(survey, 0, sizeof(*survey));
}
