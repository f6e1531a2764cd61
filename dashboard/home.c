/* SPDX-License-Identifier: MIT */
#include "home.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon.h"
#include "model/name.h"

/* What is known about the claim when it is written. */
struct plan {
	struct daemon *d;
	char domain[HOST_MAX + 1];
};

/* How its route comes about, if Caddy is known; without a URL nobody registers it. */
static bool
complete(struct claim *claim, void *user, struct dm_err *err)
{
	struct plan *plan = user;
	const struct session *s = plan->d->session;
	struct caddy_server server;
	char host[HOST_MAX + 1], url[URL_MAX + 1];
	struct dm_err ignored;

	(void)err;
	host_join(&claim->id, plan->domain, host);
	claim->host = dm_strdup(host);
	claim->registration = CLAIM_MESH;
	if (s->view == NULL)
		return true;
	if (!caddy_view_mesh(
		s->view, plan->domain, registry_dir(s->registry), host, claim->id.s, &server)) {
		if (!caddy_view_server(s->view, s->conf->server, host, &server, &ignored) ||
		    !caddy_view_settled(s->view, &server, host, &ignored))
			return true;
		claim->registration = CLAIM_ROUTE;
	}
	url_make(&server.front, host, url);
	claim->url = dm_strdup(url);
	return true;
}

/* Where it knows no better than before, what was found then stays: Caddy will come back. */
static bool
write_claim(struct daemon *d, struct dm_err *err)
{
	const struct name_input input = {.app_flag = "devmesh", .main_dir = "devmesh"};
	struct plan plan = {.d = d};
	dm_auto(claim) claim = claim_new();
	struct name name;
	bool held;

	if (!name_compose(&input, &name, err))
		return false;
	session_domain(d->session, plan.domain);
	claim->app = name.app;
	claim->worktree = dm_strdup(d->session->state_dir);
	claim->created = d->started;
	if (!registry_take(d->session->registry, &name, false, claim, complete, &plan, &held, err))
		return dm_wrap(err, "claiming a name for devmeshd");
	home_forget(d);
	d->id = dm_strdup(claim->id.s);
	d->host = dm_strdup(claim->host);
	d->url = dm_strdup(claim->url);
	d->socket_path = dm_strdup(claim->socket);
	return true;
}

bool
home_claim(struct daemon *d, struct dm_err *err)
{
	return write_claim(d, err);
}

void
home_settle(struct daemon *d)
{
	struct dm_err err;

	if (d->session->view != NULL && !write_claim(d, &err))
		dm_warn("%s", err.msg);
}

void
home_forget(struct daemon *d)
{
	free(d->id);
	free(d->host);
	free(d->url);
	free(d->socket_path);
	d->id = d->host = d->url = d->socket_path = NULL;
}
