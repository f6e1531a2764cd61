/* SPDX-License-Identifier: MIT */
#include "survey.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answerer.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/str.h"
#include "caddy/route.h"
#include "commands.h"
#include "placement.h"
#include "share.h"

/* Whether a mesh route will do for the claim: placement.h decides in the same way. */
static bool
may_be_mesh(const struct session *s, const struct claim *claim)
{
	return claim->registration == CLAIM_MESH ||
	       (s->conf->registration != CONF_REGISTRATION_ROUTE &&
		   placement_conventional(s, claim) && !share_needs_login(claim));
}

bool
survey_route_ok(const struct session *s, const struct claim *claim)
{
	DM_AUTO_FREE char *dial = claim_dial(claim);
	const struct cJSON *route;
	const char *domain = claim->host == NULL ? NULL : strchr(claim->host, '.'), *found;
	struct caddy_server server;

	if (domain == NULL || s->view == NULL)
		return false;
	route = caddy_view_object(s->view, claim->id.s);
	if (route != NULL && !route_is_shared(route)) {
		found = route_dial(route);
		return found != NULL && strcmp(found, dial) == 0 &&
		       caddy_view_reaches(s->view, claim->id.s, claim->host);
	}
	return may_be_mesh(s, claim) &&
	       caddy_view_mesh(s->view, domain + 1, registry_dir(s->registry), claim->host,
		   claim->id.s, &server);
}

/* Who answers: asked only where somebody does. */
static void
look_at_server(
    const struct dm_sock_info *info, const struct dm_listeners *listeners, struct survey_row *row)
{
	ANSWERER_AUTO struct answerer answerer = {.kind = ANSWERER_NONE};

	answerer_find(row->claim, row->claim->worktree, info, listeners, &answerer);
	row->pid = answerer.pid;
	/* it has ended since it was asked */
	if (row->evidence.is_tcp && answerer.kind == ANSWERER_NONE)
		row->evidence.listening = false;
	row->evidence.no_server = answerer.bridge && answerer.kind == ANSWERER_NONE;
	if (answerer.kind != ANSWERER_FOREIGN)
		return;
	row->evidence.foreign = true;
	row->other_worktree = dm_steal_pointer(&answerer.worktree);
}

/* Whether devmeshd is to run it (commands.h), and the run that it has started last is over. */
static bool
is_resting(const struct session *s, const struct claim *claim)
{
	DM_AUTO_FREE char *dir = s->state_dir == NULL ? NULL : commands_dir(s);
	struct dm_err ignored;
	dm_auto(command) c = NULL;

	if (dir == NULL || claim->uid != geteuid() || !command_exists(dir, claim->id.s))
		return false;
	c = command_load(dir, claim->id.s, &ignored);
	return c != NULL && (c->runner.pid == 0 || !dm_proc_alive(&c->runner));
}

void
survey_look(const struct session *s, const struct claim *claim,
    const struct dm_listeners *listeners, struct survey_row *row, struct dm_sock_info *socket)
{
	struct service_evidence *e = &row->evidence;
	struct dm_sock_info info = {.state = DM_SOCK_ABSENT};

	memset(row, 0, sizeof(*row));
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
	}
	if (e->listening)
		look_at_server(&info, listeners, row);
	else
		e->resting = is_resting(s, claim);
	e->route_ok = survey_route_ok(s, claim);
	row->state = service_state_of(e);
	if (socket != NULL)
		*socket = info;
}

void
survey_row_release(struct survey_row *row)
{
	free(row->other_worktree);
	memset(row, 0, sizeof(*row));
}

void
survey_listeners(const struct registry_claims *claims, struct dm_listeners *out)
{
	DM_AUTO_FREE uint16_t *ports = dm_calloc(claims->count + 1, sizeof(*ports));
	size_t count = 0;

	for (size_t i = 0; i < claims->count; i++) {
		if (claims->list[i]->port != 0)
			ports[count++] = claims->list[i]->port;
	}
	if (count > 0)
		dm_proc_of_ports(ports, count, out);
}

bool
survey_take(struct session *s, struct survey *out, struct dm_err *err)
{
	struct dm_listeners listeners = {.count = 0};
	struct dm_err ignored;

	memset(out, 0, sizeof(*out));
	if (!session_need_registry(s, err) || !registry_scan(s->registry, &out->claims, err))
		return false;
	if (out->claims.count > 0 && !session_need_view(s, &out->caddy))
		dm_debug("%s", out->caddy.msg);
	if (!session_need_state_dir(s, &ignored))
		dm_debug("%s", ignored.msg);
	survey_listeners(&out->claims, &listeners);
	out->rows = dm_calloc(out->claims.count, sizeof(*out->rows));
	for (size_t i = 0; i < out->claims.count; i++) {
		const struct claim *claim = out->claims.list[i];

		if (!claim->is_alias)
			survey_look(s, claim, &listeners, &out->rows[out->count++], NULL);
	}
	dm_listeners_release(&listeners);
	return true;
}

void
survey_release(struct survey *survey)
{
	for (size_t i = 0; i < survey->count; i++)
		survey_row_release(&survey->rows[i]);
	registry_claims_free(&survey->claims);
	free(survey->rows);
	memset(survey, 0, sizeof(*survey));
}
