/* SPDX-License-Identifier: MIT */
#include "home.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon.h"
#include "model/name.h"
#include "shares.h"
#include "wake.h"
#include "workers.h"

enum {
	JOB_MS = 30000
};

/* What is known about the claim when it is written. */
struct plan {
	const struct daemon *d;
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

static void
remember(struct daemon *d, const struct claim *claim)
{
	home_forget(d);
	d->id = dm_strdup(claim->id.s);
	d->host = dm_strdup(claim->host);
	d->url = dm_strdup(claim->url);
	d->socket_path = dm_strdup(claim->socket);
}

static bool
write_claim(const struct daemon *d, struct registry *reg, struct claim **out, struct dm_err *err)
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
	if (!registry_take(reg, &name, false, claim, complete, &plan, &held, err))
		return dm_wrap(err, "claiming a name for devmeshd");
	*out = DM_STEAL(&claim);
	return true;
}

bool
home_claim(struct daemon *d, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;

	if (!write_claim(d, d->session->registry, &claim, err) || claim == NULL)
		return false;
	remember(d, claim);
	return true;
}

/* The lock of claims may be held by others for a while: not for the loop to wait for. */
static int
write_in_worker(void *arg)
{
	const struct daemon *d = arg;
	dm_auto(claim) claim = NULL;
	dm_auto(registry) reg = NULL;
	struct dm_err err;

	if ((reg = registry_open(registry_dir(d->session->registry), &err)) != NULL &&
	    write_claim(d, reg, &claim, &err))
		return 0;
	dm_warn("%s", err.msg);
	return 1;
}

static void
written(void *user, const struct worker_result *result)
{
	struct daemon *d = user;
	dm_auto(claim) claim = NULL;
	struct dm_err err;

	d->settling = false;
	if (result->status == 0 && registry_find(d->session->registry, d->id, &claim, &err) &&
	    claim != NULL) {
		remember(d, claim);
		if (d->wake != NULL)
			wake_settle(d->wake);
		shares_settle(d->shares);
		if (d->url != NULL)
			dm_note("its own service is at %s", d->url);
		home_settle(d); /* Caddy may have changed meanwhile */
	}
}

void
home_settle(struct daemon *d)
{
	struct plan plan = {.d = d};
	dm_auto(claim) now = NULL;
	dm_auto(claim) then = claim_new();
	struct dm_err err;

	/* while Caddy is away, what was found before stays: it will be back */
	if (d->session->view == NULL || d->id == NULL ||
	    !registry_find(d->session->registry, d->id, &now, &err))
		return;
	session_domain(d->session, plan.domain);
	if (now != NULL) {
		then->id = now->id;
		if (!complete(then, &plan, &err) ||
		    (dm_same_text(then->host, now->host) && dm_same_text(then->url, now->url) &&
			then->registration == now->registration))
			return;
	}
	if (d->settling)
		return; /* written() looks again */
	d->settling = true;
	workers_run(d->workers, write_in_worker, d, JOB_MS, written, d);
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
