/* SPDX-License-Identifier: MIT */
#include "state.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "caddy_watch.h"
#include "daemon.h"
#include "events.h"
#include "finder.h"
#include "mender.h"
#include "out.h"
#include "services.h"
#include "shares.h"
#include "store.h"
#include "supervisor.h"
#include "tree_watch.h"
#include "version.h"

static void
add_number(cJSON *o, const char *key, int64_t n)
{
	(void)cJSON_AddNumberToObject(o, key, (double)n);
}

/* The number, or null where there is none. */
static void
add_number_or_null(cJSON *o, const char *key, int64_t n, bool known)
{
	if (known)
		add_number(o, key, n);
	else
		(void)cJSON_AddNullToObject(o, key);
}

struct cJSON *
state_of_service(const struct daemon *d, const struct service *svc)
{
	cJSON *o = cJSON_CreateObject();
	const struct claim *claim = svc->claim;

	out_add_claim(o, claim);
	out_add_text(o, "alias_url", svc->alias_url);
	(void)cJSON_AddStringToObject(o, "state", service_state_name(svc->state));
	(void)cJSON_AddStringToObject(o, "reason", svc->reason);
	add_number(o, "since", svc->since);
	add_number_or_null(o, "pid", svc->pid, svc->pid != 0);
	out_add_text(o, "command", svc->command);
	add_number_or_null(o, "runner", claim->run.runner.pid, claim->run.runner.pid != 0);
	out_add_text(o, "other_worktree", svc->other_worktree);
	(void)cJSON_AddBoolToObject(o, "listening", svc->evidence.listening);
	(void)cJSON_AddBoolToObject(o, "route_ok", svc->evidence.route_ok);
	(void)cJSON_AddItemToObject(o, "share", shares_json(shares_find(d->shares, claim)));
	(void)cJSON_AddItemToObject(
	    o, "supervised", supervised_json(supervisor_find(d->supervisor, claim->id.s)));
	return o;
}

struct cJSON *
state_of_caddy(const struct daemon *d)
{
	struct caddy_info info = caddy_watch_info(d->caddy);
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "state", caddy_state_name(info.state));
	out_add_text(o, "admin", info.admin);
	out_add_text(o, "problem", info.problem);
	add_number_or_null(o, "pid", info.pid, info.pid != 0);
	add_number(o, "since", info.since);
	add_number(o, "changes", info.changes);
	return o;
}

struct cJSON *
state_of_found(const struct found *found)
{
	cJSON *o = cJSON_CreateObject();

	add_number(o, "pid", found->process.pid);
	out_add_text(o, "command", found->command);
	add_number_or_null(o, "port", found->port, found->port != 0);
	out_add_text(o, "address", found->address);
	out_add_text(o, "socket", found->socket);
	out_add_text(o, "cwd", found->cwd);
	out_add_text(o, "worktree", found->worktree);
	out_add_text(o, "repo", found->repo);
	(void)cJSON_AddBoolToObject(o, "orphan", found->orphan);
	return o;
}

struct cJSON *
state_of_worktree(const struct daemon *d, const struct watched_tree *tree)
{
	const struct worktree *info = tree->worktree;
	const struct worktree_detail *detail = tree->detail;
	cJSON *o = cJSON_CreateObject(), *ids;

	out_add_text(o, "path", info->path);
	out_add_text(o, "repo", tree->repo);
	out_add_text(o, "branch", info->branch);
	out_add_text(o, "head", info->head);
	(void)cJSON_AddBoolToObject(o, "main", info->is_main);
	(void)cJSON_AddBoolToObject(o, "gone", info->gone);
	add_number_or_null(
	    o, "dirty", detail == NULL ? 0 : detail->dirty, detail != NULL && detail->dirty >= 0);
	add_number_or_null(
	    o, "ahead", detail == NULL ? 0 : detail->ahead, detail != NULL && detail->ahead >= 0);
	add_number_or_null(o, "behind", detail == NULL ? 0 : detail->behind,
	    detail != NULL && detail->behind >= 0);
	add_number_or_null(o, "last_commit", detail == NULL ? 0 : detail->last_commit,
	    detail != NULL && detail->last_commit != 0);
	add_number_or_null(o, "last_access", detail == NULL ? 0 : detail->last_access,
	    detail != NULL && detail->last_access != 0);
	add_number_or_null(
	    o, "bytes", detail == NULL ? 0 : detail->bytes, detail != NULL && detail->bytes >= 0);
	ids = cJSON_AddArrayToObject(o, "services");
	for (size_t i = 0; i < services_count(d->services); i++) {
		const struct claim *claim = services_at(d->services, i)->claim;

		if (strcmp(claim->worktree, info->path) == 0)
			(void)cJSON_AddItemToArray(ids, cJSON_CreateString(claim->id.s));
	}
	return o;
}

static cJSON *
node(const struct daemon *d)
{
	cJSON *o = cJSON_CreateObject();
	char domain[HOST_MAX + 1];
	struct mender_counts mends = mender_counts(d->mender);

	session_domain(d->session, domain);
	(void)cJSON_AddStringToObject(o, "version", DEVMESH_VERSION);
	add_number(o, "pid", getpid());
	add_number(o, "started", d->started);
	add_number(o, "now", dm_wall_seconds());
	(void)cJSON_AddBoolToObject(o, "ready", d->ready);
	out_add_text(o, "domain", domain);
	out_add_text(o, "id", d->id);
	out_add_text(o, "url", d->url);
	out_add_text(o, "sockets_dir", registry_dir(d->session->registry));
	add_number(o, "mends", (int64_t)mends.mends);
	add_number(o, "mend_failures", (int64_t)mends.failures);
	out_add_text(o, "mend_problem", mends.problem);
	out_add_text(o, "history_problem", store_problem(d->store));
	return o;
}

struct cJSON *
state_whole(const struct daemon *d)
{
	cJSON *o = out_object(), *list;
	const struct found_list *found = finder_found(d->finder);

	add_number(o, "seq", (int64_t)events_seq(d->events));
	(void)cJSON_AddItemToObject(o, "node", node(d));
	(void)cJSON_AddItemToObject(o, "caddy", state_of_caddy(d));
	list = cJSON_AddArrayToObject(o, "services");
	for (size_t i = 0; i < services_count(d->services); i++)
		(void)cJSON_AddItemToArray(list, state_of_service(d, services_at(d->services, i)));
	list = cJSON_AddArrayToObject(o, "found");
	for (size_t i = 0; i < found->count; i++) {
		if (found->list[i].claim == NULL)
			(void)cJSON_AddItemToArray(list, state_of_found(&found->list[i]));
	}
	list = cJSON_AddArrayToObject(o, "worktrees");
	for (size_t i = 0; i < tree_watch_count(d->trees); i++) {
		struct watched_tree tree = tree_watch_at(d->trees, i);

		(void)cJSON_AddItemToArray(list, state_of_worktree(d, &tree));
	}
	return o;
}

const struct service *
state_find(const struct daemon *d, const char *id)
{
	const struct service *svc = services_find(d->services, id);

	/* the bare app name: of the service whose alias it is */
	for (size_t i = 0; i < services_count(d->services) && svc == NULL; i++) {
		const struct service *one = services_at(d->services, i);

		if (one->alias_url != NULL && strcmp(one->claim->app.s, id) == 0)
			svc = one;
	}
	return svc;
}

struct cJSON *
state_service(const struct daemon *d, const char *id)
{
	const struct service *svc = state_find(d, id);

	return svc == NULL ? NULL : state_of_service(d, svc);
}
