/* SPDX-License-Identifier: MIT */
/* What is wrong with Caddy's routes: those that are dead, lost, or there twice. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sock.h"
#include "base/str.h"
#include "caddy/change.h"
#include "caddy/mesh.h"
#include "identity.h"
#include "mend_impl.h"
#include "runner.h"
#include "survey.h"

/* Makes room for one more of an array: sizes are powers of two. */
#define GROW(array, count) \
	(((count) & ((count)-1)) == 0 \
		? (array) = dm_reallocarray( \
		      (array), (count) == 0 ? 1 : (count)*2, sizeof(__typeof__(*(array)))) \
		: (array))

void
mend_look_failed(struct mend_look *l, const struct dm_err *err)
{
	if (l->first.code == DM_OK)
		l->first = *err;
}

static size_t
add_change(struct mend_look *l, const char *what, const char *name, const char *reason)
{
	struct mend_told *told = l->told;

	(void)GROW(told->changes, told->count);
	told->changes[told->count] =
	    (struct mend_change){.what = what, .reason = reason, .name = dm_strdup(name)};
	return told->count++;
}

static struct mend_job *
job_of(struct mend_look *l, const char *server)
{
	for (size_t i = 0; i < l->job_count; i++) {
		if (strcmp(l->jobs[i].server, server) == 0)
			return &l->jobs[i];
	}
	(void)GROW(l->jobs, l->job_count);
	l->jobs[l->job_count] = (struct mend_job){.server = dm_strdup(server)};
	return &l->jobs[l->job_count++];
}

static void
job_tells(struct mend_job *job, size_t change)
{
	(void)GROW(job->changes, job->change_count);
	job->changes[job->change_count++] = change;
}

/* `reason` NULL: nothing is said about it. */
static void
job_remove(struct mend_look *l, struct mend_job *job, const char *id, const char *reason)
{
	for (size_t i = 0; i < job->remove_count; i++) {
		if (strcmp(job->remove[i], id) == 0)
			return;
	}
	(void)GROW(job->remove, job->remove_count);
	job->remove[job->remove_count++] = dm_strdup(id);
	if (reason != NULL)
		job_tells(job, add_change(l, "removed", id, reason));
}

/*
 * Whether the route leads to the conventional socket of this registry, and nobody is there. Routes
 * to other directories, and to ports, may be those of another registry: their claims are there.
 */
static bool
leads_nowhere(const struct session *s, const char *id, const char *dial)
{
	DM_AUTO_FREE char *path = registry_socket(s->registry, id);
	struct dm_sock_info info;

	if (!dm_starts_with(dial, "unix/") || strcmp(dial + strlen("unix/"), path) != 0)
		return false;
	dm_sock_probe(path, &info);
	return (info.state == DM_SOCK_ABSENT && !info.is_link) ||
	       (info.state == DM_SOCK_REFUSED && info.owner == geteuid());
}

/* Whether devmesh made the route, its claim exists no more, and its upstream is dead. */
static bool
is_dead(const struct session *s, const struct cJSON *route, const char *id)
{
	const char *dial = route_dial(route);
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	/* a record that cannot be read is another user's, and so may the route be */
	return dial != NULL && slug_valid(id) && route_is_ours(route, id) &&
	       registry_find(s->registry, id, &claim, &ignored) && claim == NULL &&
	       leads_nowhere(s, id, dial);
}

/* Whether it belongs to a claim that is about to be removed, and still that one's. */
static bool
is_doomed(const struct mend_look *l, const struct cJSON *route, const char *id)
{
	const struct mend_route_wants *wants = l->wants;
	dm_auto(claim) now = NULL;
	struct dm_err ignored;
	size_t i = 0;

	while (i < wants->doomed_count && strcmp(wants->doomed[i]->id.s, id) != 0)
		i++;
	return i < wants->doomed_count && route_is_ours(route, id) &&
	       registry_find(l->run->s->registry, id, &now, &ignored) &&
	       (now == NULL || !claim_taken_anew(wants->doomed[i], now));
}

/* Routes that are to go. */
static void
look_at_server(const struct caddy_server *server, void *user)
{
	struct mend_look *l = user;
	const cJSON *route;

	cJSON_ArrayForEach (route, server->routes) {
		const char *id = route_id(route);

		if (id == NULL)
			continue;
		if (is_doomed(l, route, id))
			job_remove(l, job_of(l, server->name), id, NULL);
		else if (l->wants->dead && is_dead(l->run->s, route, id))
			job_remove(l, job_of(l, server->name), id, "no claim, and nobody listens");
	}
}

/* How many routes of the list have this @id. */
static unsigned
count_in(const struct cJSON *routes, const char *id)
{
	const cJSON *route;
	unsigned count = 0;

	cJSON_ArrayForEach (route, routes) {
		const char *own = route_id(route);

		count += own != NULL && strcmp(own, id) == 0 ? 1 : 0;
	}
	return count;
}

struct copies {
	struct mend_look *look;
	const char *id, *server; /* where the good one is */
};

static void
look_for_copies(const struct caddy_server *server, void *user)
{
	const struct copies *c = user;
	const cJSON *route;

	if (strcmp(server->name, c->server) == 0)
		return;
	cJSON_ArrayForEach (route, server->routes) {
		if (route_is_ours(route, c->id))
			job_remove(c->look, job_of(c->look, server->name), c->id,
			    "Caddy has it on another server as well");
	}
}

/* A route that is missing, or not as it should be: how it is said, and who will write it. */
static void
want_route(struct mend_look *l, struct mend_wanted *w)
{
	const char *id = w->claim->id.s;
	unsigned count = caddy_view_count(l->run->s->view, id);
	size_t change = count == 0 ? add_change(l, "restored", id, "Caddy has lost it")
				   : add_change(l, "replaced", id,
					 count > 1 ? "it was there more than once"
						   : "it did not lead to the service any more");
	struct mend_job *job;

	if (count != count_in(w->place.server.routes, id)) {
		/* the others have to go first, wherever they are */
		(void)GROW(l->singly, l->singly_count);
		l->singly[l->singly_count] = w;
		(void)GROW(l->singly_changes, l->singly_count);
		l->singly_changes[l->singly_count++] = change;
		return;
	}
	job = job_of(l, w->place.server.name);
	(void)GROW(job->put, job->put_count);
	job->put[job->put_count++] = w;
	job_tells(job, change);
}

/* The same decisions as register_again() makes for one claim. */
static void
look_at_route(struct mend_look *l, const struct claim *claim)
{
	struct session *s = l->run->s;
	struct mend_wanted *w = dm_calloc(1, sizeof(*w));
	struct route_spec spec;
	struct dm_err err;

	(void)GROW(l->wanted, l->wanted_count);
	l->wanted[l->wanted_count++] = w;
	w->claim = claim;
	w->dial = claim_dial(claim);
	if (!placement_of(s, claim, &w->place, &err)) {
		(void)dm_wrap(&err, "restoring the route of %s", claim->id.s);
		mend_look_failed(l, &err);
		return;
	}
	if (w->place.how == CLAIM_MESH)
		return;
	spec = placement_spec(&w->place, claim, w->dial);
	if (caddy_route_in_place(w->place.server.routes, &spec)) {
		struct copies copies = {
		    .look = l, .id = claim->id.s, .server = w->place.server.name};

		if (caddy_view_count(s->view, claim->id.s) > 1)
			caddy_view_each_server(s->view, look_for_copies, &copies);
	} else if (!placement_id_is_free(s, claim, &err)) {
		mend_look_failed(l, &err);
	} else {
		want_route(l, w);
	}
}

/* Whether the claim's service may still come, or is there: then its route is kept in place. */
static bool
is_kept(const struct claim *claim)
{
	struct dm_sock_info info;

	if (claim->pinned)
		return true;
	if (claim_worktree_gone(claim))
		return false;
	if (!mend_was_killed(claim))
		return true;
	/* started by other means since? */
	if (claim->socket == NULL || runner_end_leftovers(claim, true) > 0)
		return false;
	dm_sock_probe(claim->socket, &info);
	return info.state == DM_SOCK_LISTENING || info.state == DM_SOCK_UNKNOWN;
}

/* Whether the claim relies on a mesh route, and there is none for any name of its domain. */
static bool
lacks_mesh(const struct session *s, const struct claim *claim, const char *domain)
{
	DM_AUTO_FREE char *any = mesh_any_host(domain);
	struct caddy_server server;

	return claim->registration == CLAIM_MESH &&
	       s->conf->registration != CONF_REGISTRATION_ROUTE &&
	       placement_conventional(s, claim) &&
	       !caddy_view_mesh(
		   s->view, domain, registry_dir(s->registry), any, MESH_ROUTE_ID, &server) &&
	       !survey_route_ok(s, claim);
}

static void
look_at_claims(struct mend_look *l)
{
	for (size_t i = 0; i < l->claims.count; i++) {
		const struct claim *claim = l->claims.list[i];
		const char *dot = claim->host == NULL ? NULL : strchr(claim->host, '.');

		if (claim->is_alias || dot == NULL || !mend_concerns(l->run, claim) ||
		    !is_kept(claim))
			continue;
		if (lacks_mesh(l->run->s, claim, dot + 1)) {
			(void)GROW(l->meshless, l->meshless_count);
			l->meshless[l->meshless_count++] = claim;
		} else {
			look_at_route(l, claim);
		}
	}
}

static const char *
domain_of(const struct claim *claim)
{
	return strchr(claim->host, '.') + 1;
}

/* The claim whose domain the mesh route will be for: the configured one, else any. */
static const struct claim *
choose_domain(const struct mend_look *l)
{
	char domain[HOST_MAX + 1];

	session_domain(l->run->s, domain);
	for (size_t i = 0; i < l->meshless_count; i++) {
		if (strcmp(domain_of(l->meshless[i]), domain) == 0)
			return l->meshless[i];
	}
	return l->meshless[0];
}

struct mesh_search {
	const char *domain, *dir;
	struct caddy_server server;
	bool found;
};

/* A mesh route of ours that is shadowed is moved, not made a second time on another server. */
static void
search_mesh(const struct caddy_server *server, void *user)
{
	struct mesh_search *search = user;
	const cJSON *route;

	cJSON_ArrayForEach (route, server->routes) {
		const char *id = route_id(route);

		if (!search->found && id != NULL && strcmp(id, MESH_ROUTE_ID) == 0 &&
		    route_is_mesh(route, search->domain, search->dir)) {
			search->server = *server;
			search->found = true;
		}
	}
}

/* Where the mesh route belongs; refuses where that is not to be decided here. */
static bool
place_mesh(
    struct mend_look *l, const struct claim *claim, struct caddy_server *out, struct dm_err *err)
{
	struct session *s = l->run->s;
	struct mesh_search search = {.domain = domain_of(claim), .dir = registry_dir(s->registry)};
	DM_AUTO_FREE char *any = mesh_any_host(search.domain);

	caddy_view_each_server(s->view, search_mesh, &search);
	*out = search.server;
	if (search.found)
		return true;
	if (caddy_view_count(s->view, MESH_ROUTE_ID) > 0) {
		(void)dm_fail(err, DM_CONFLICT,
		    "%s relies on a mesh route for *.%s and %s; Caddy's is for another domain or "
		    "directory",
		    claim->id.s, search.domain, search.dir);
		return dm_hint(err, "register it anew, in its worktree: devmesh up");
	}
	return caddy_view_server(s->view, s->conf->server, any, out, err) &&
	       (s->conf->allow_https_change || caddy_view_settled(s->view, out, any, err));
}

static void
want_mesh(struct mend_look *l)
{
	struct session *s = l->run->s;
	const struct claim *claim = choose_domain(l);
	struct caddy_server server;
	struct dm_err err;
	struct mend_job *job;

	for (size_t i = 0; i < l->meshless_count; i++) {
		if (strcmp(domain_of(l->meshless[i]), domain_of(claim)) == 0)
			continue;
		(void)dm_fail(&err, DM_CONFLICT,
		    "%s is registered below *.%s, for which Caddy has no mesh route",
		    l->meshless[i]->id.s, domain_of(l->meshless[i]));
		(void)dm_hint(&err, "register it anew, in its worktree: devmesh up");
		mend_look_failed(l, &err);
	}
	if (!place_mesh(l, claim, &server, &err)) {
		(void)dm_wrap(&err, "restoring the mesh route");
		mend_look_failed(l, &err);
		return;
	}
	l->mesh_domain = dm_strdup(domain_of(claim));
	/* where the documents of its services are */
	l->mesh_identity =
	    claim->identity != NULL ? dm_strdup(claim->identity) : identity_dir(s, true);
	job = job_of(l, server.name);
	job->has_mesh = true;
	job->mesh = (struct mesh_spec){.domain = l->mesh_domain,
	    .sockets_dir = registry_dir(s->registry),
	    .identity_dir = l->mesh_identity};
	job_tells(
	    job, caddy_view_count(s->view, MESH_ROUTE_ID) > 0
		     ? add_change(l, "replaced", MESH_ROUTE_ID, "another route was in front of it")
		     : add_change(l, "restored", MESH_ROUTE_ID, "Caddy has lost it"));
}

void
mend_look_release(struct mend_look *l)
{
	for (size_t i = 0; i < l->wanted_count; i++) {
		free(l->wanted[i]->dial);
		free(l->wanted[i]);
	}
	for (size_t i = 0; i < l->job_count; i++) {
		for (size_t k = 0; k < l->jobs[i].remove_count; k++)
			free(l->jobs[i].remove[k]);
		free(l->jobs[i].remove);
		free(l->jobs[i].put);
		free(l->jobs[i].changes);
		free(l->jobs[i].server);
	}
	free(l->wanted);
	free(l->jobs);
	free(l->singly);
	free(l->singly_changes);
	free(l->meshless);
	free(l->mesh_domain);
	free(l->mesh_identity);
	registry_claims_free(&l->claims);
}

bool
mend_look(struct mend_look *l, struct dm_err *err)
{
	struct session *s = l->run->s;

	l->told = dm_calloc(1, sizeof(*l->told));
	if (!session_need_view(s, err)) {
		/* a claim that is removed takes its route along, or says that it cannot */
		return !l->wants->dead && !l->wants->lost
			   ? true
			   : dm_wrap(err, "looking at Caddy's routes");
	}
	caddy_view_each_server(s->view, look_at_server, l);
	if (!l->wants->lost)
		return true;
	if (!registry_scan(s->registry, &l->claims, err))
		return false;
	look_at_claims(l);
	if (l->meshless_count > 0)
		want_mesh(l);
	return true;
}
