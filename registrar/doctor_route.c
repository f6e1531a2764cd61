/* SPDX-License-Identifier: MIT */
/* The doctor on Caddy's routes: the mesh route, what is in front of it, the @ids, reloads. */
#include <cjson/cJSON.h>
#include <string.h>

#include "base/fsio.h"
#include "base/str.h"
#include "caddy/mesh.h"
#include "caddy/route.h"
#include "doctor.h"
#include "doctor_text.h"

enum {
	DEPTH_MAX = 64,
	ARGS_MAX = 16384
};

static const cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

static const cJSON *
servers_of(const struct doctor *d)
{
	return get(get(get(d->config, "apps"), "http"), "servers");
}

/* The first host pattern of a route; "any host" without one. Borrowed. */
static const char *
first_host(const cJSON *route)
{
	const cJSON *host =
	    cJSON_GetArrayItem(get(cJSON_GetArrayItem(get(route, "match"), 0), "host"), 0);

	return cJSON_IsString(host) ? host->valuestring : "any host";
}

/* Says which route of this server keeps requests for our names; false if none does. */
static bool
say_shadowed(struct doctor *d, const cJSON *server, const cJSON *mesh)
{
	DM_AUTO_FREE char *host = dm_asprintf("devmesh-doctor.%s", d->domain);
	const cJSON *route;
	unsigned index = 0;

	cJSON_ArrayForEach (route, get(server, "routes")) {
		if (route == mesh)
			return false;
		if (route_catches(route, host)) {
			doctor_say(d, DOCTOR_FAILURE,
			    "the mesh route of Caddy's server %s is behind route %u, which takes "
			    "every request for *.%s",
			    server->string, index, d->domain);
			doctor_why(d,
			    "no request reaches a service; what route %u (%s) answers is seen "
			    "instead",
			    index, first_host(route));
			doctor_fix(d,
			    "move the mesh route in front of it in Caddy's configuration, and "
			    "reload it; see config/apps/http/servers/%s/routes",
			    server->string);
			return true;
		}
		index++;
	}
	return false;
}

/* A route of the mesh kind that is for other sockets, or another domain. */
static bool
say_elsewhere(struct doctor *d, const cJSON *route)
{
	const char *dial = route_dial(route), *dir = d->session->conf->sockets_dir;
	DM_AUTO_FREE char *there = NULL, *word = NULL;
	const char *slash;

	if (!route_is_shared(route) || dial == NULL || !dm_starts_with(dial, "unix/"))
		return false;
	slash = strrchr(dial, '/');
	there = dm_strndup(dial + strlen("unix/"), (size_t)(slash - dial) - strlen("unix/"));
	if (strcmp(there, dir) != 0) {
		doctor_say(d, DOCTOR_FAILURE,
		    "Caddy's mesh route for %s looks for sockets in %s, devmesh in %s",
		    first_host(route), there, dir);
		doctor_why(d, "every service is said not to run");
		word = dm_shell_word(there);
		doctor_fix(d, "export DEVMESH_SOCKETS_DIR=%s    (or correct the route)", word);
	} else {
		doctor_say(d, DOCTOR_FAILURE,
		    "Caddy's mesh route is for %s, devmesh's domain is %s", first_host(route),
		    d->domain);
		doctor_why(d, "requests for *.%s do not reach it", d->domain);
		word = dm_shell_word(dm_starts_with(first_host(route), "*.") ? first_host(route) + 2
									     : first_host(route));
		doctor_fix(d, "export DEVMESH_MESH_DOMAIN=%s    (or correct the route)", word);
	}
	return true;
}

/* Why there is no mesh route that works. */
static void
explain_missing(struct doctor *d)
{
	const struct conf *conf = d->session->conf;
	const cJSON *server, *route;
	bool wanted = conf->registration != CONF_REGISTRATION_ROUTE;

	cJSON_ArrayForEach (server, servers_of(d)) {
		cJSON_ArrayForEach (route, get(server, "routes")) {
			if (route_is_mesh(route, d->domain, conf->sockets_dir)) {
				if (say_shadowed(d, server, route))
					return;
			} else if (say_elsewhere(d, route)) {
				return;
			}
		}
	}
	doctor_say(d,
	    conf->registration == CONF_REGISTRATION_MESH ? DOCTOR_FAILURE
	    : wanted					 ? DOCTOR_WARNING
							 : DOCTOR_NOTE,
	    "Caddy has no mesh route for *.%s", d->domain);
	doctor_why(d,
	    "so each service gets a route of its own: every up and down reloads Caddy, which "
	    "closes WebSockets, and the routes are gone when Caddy is restarted");
	doctor_fix(d,
	    "put the site of examples/caddy/Caddyfile into Caddy's configuration, for *.%s "
	    "and %s (or use the private mesh: devmesh start)",
	    d->domain, conf->sockets_dir);
}

/* The reverse_proxy below `o` whose upstream is a placeholder; NULL if there is none. */
static const cJSON *
find_proxy(const cJSON *o, int depth)
{
	const cJSON *child, *found = NULL, *name = get(o, "handler"), *dial;

	if (depth > DEPTH_MAX)
		return NULL;
	dial = get(cJSON_GetArrayItem(get(o, "upstreams"), 0), "dial");
	if (cJSON_IsString(name) && strcmp(name->valuestring, "reverse_proxy") == 0 &&
	    cJSON_IsString(dial) && strchr(dial->valuestring, '{') != NULL)
		return o;
	cJSON_ArrayForEach (child, o) {
		if (found == NULL)
			found = find_proxy(child, depth + 1);
	}
	return found;
}

static void
check_keep_alive(struct doctor *d)
{
	const cJSON *route, *proxy;

	cJSON_ArrayForEach (route, d->server.routes) {
		if (!route_is_mesh(route, d->domain, d->session->conf->sockets_dir))
			continue;
		proxy = find_proxy(route, 0);
		if (proxy == NULL ||
		    cJSON_IsFalse(get(get(get(proxy, "transport"), "keep_alive"), "enabled")))
			return;
		doctor_say(d, DOCTOR_WARNING, "the mesh route keeps connections to servers alive");
		doctor_why(d,
		    "after a server is replaced, requests still reach the old one, for up to two "
		    "minutes");
		doctor_fix(
		    d, "in the Caddyfile, inside reverse_proxy: transport http { keepalive off }");
		return;
	}
}

void
doctor_check_mesh(struct doctor *d)
{
	if (d->has_mesh)
		check_keep_alive(d);
	else if (d->has_server)
		explain_missing(d);
	else
		doctor_skip(d, "Caddy has no HTTP server");
}

/* An @id that is neither text nor number makes Caddy before 2.11.2 refuse all further changes. */
static void
find_poison(struct doctor *d, const cJSON *o, int depth, bool *found)
{
	const cJSON *id = get(o, "@id"), *child;

	if (*found || depth > DEPTH_MAX)
		return;
	if (id != NULL && !cJSON_IsString(id) && !cJSON_IsNumber(id)) {
		*found = true;
		doctor_say(d, DOCTOR_FAILURE,
		    "an object of Caddy's configuration (%s) has an @id that is "
		    "no text",
		    o->string != NULL ? o->string : first_host(o));
		doctor_why(d, "Caddy refuses every change, of everybody, until it is gone");
		doctor_fix(d, "restart Caddy from its file: sudo systemctl restart caddy");
	}
	cJSON_ArrayForEach (child, o) {
		find_poison(d, child, depth + 1, found);
	}
}

/* Whether what bears a service's id in Caddy is the service's own route, once. */
static void
check_id(struct doctor *d, const struct claim *claim)
{
	const struct cJSON *object = caddy_view_object(d->session->view, claim->id.s);
	unsigned count = caddy_view_count(d->session->view, claim->id.s);
	DM_AUTO_FREE char *dial = claim_dial(claim);
	const char *there = object == NULL ? NULL : route_dial(object);
	DM_AUTO_FREE char *worktree = dm_shell_word(claim->worktree);

	if (count > 1) {
		doctor_say(
		    d, DOCTOR_WARNING, "%u objects in Caddy have the @id %s", count, claim->id.s);
		doctor_why(
		    d, "the first one answers; when it is removed, an older one comes to light");
		doctor_fix(d, "devmesh up -C %s", worktree);
	}
	if (object == NULL || route_is_ours(object, claim->id.s))
		return;
	if (there == NULL || (strcmp(there, dial) != 0 && !route_is_shared(object))) {
		doctor_say(d, DOCTOR_WARNING,
		    "the @id %s in Caddy was not made by devmesh, and leads to %s", claim->id.s,
		    there == NULL ? "no upstream" : there);
		doctor_why(d, "what answers at %s is not the worktree's server",
		    claim->url == NULL ? "its URL" : claim->url);
		doctor_fix(d, "devmesh up -C %s    (or give that route another @id)", worktree);
	}
}

void
doctor_check_ids(struct doctor *d)
{
	struct registry_claims claims;
	unsigned meshes = caddy_view_count(d->session->view, MESH_ROUTE_ID);
	bool found = false;
	struct dm_err ignored;

	find_poison(d, d->config, 0, &found);
	if (meshes > 1) {
		doctor_say(d, DOCTOR_WARNING, "%u objects in Caddy have the @id %s", meshes,
		    MESH_ROUTE_ID);
		doctor_why(d, "Caddy from 2.11.2 on refuses such a configuration");
		doctor_fix(d, "remove all but one from Caddy's configuration");
	}
	if (!registry_scan(d->session->registry, &claims, &ignored))
		return;
	for (size_t i = 0; i < claims.count; i++) {
		if (!claims.list[i]->is_alias)
			check_id(d, claims.list[i]);
	}
	registry_claims_free(&claims);
}

/* Whether Caddy was started so that routes made by its API are there again after a restart. */
static bool
is_resumed(const struct doctor *d)
{
	DM_AUTO_FREE char *path = dm_asprintf("/proc/%ld/cmdline", (long)d->caddy_pid);
	DM_AUTO_STR struct dm_str args = dm_str_make(ARGS_MAX);
	const cJSON *persist = get(get(get(d->config, "admin"), "config"), "persist");
	struct dm_err ignored;

	if (cJSON_IsFalse(persist))
		return false;
	return d->caddy_pid == 0 || !dm_read_file(path, &args, &ignored) ||
	       text_argument(args.data, args.len, "--resume") != NULL;
}

void
doctor_check_own_routes(struct doctor *d)
{
	struct registry_claims claims;
	const struct claim *needless = NULL;
	DM_AUTO_FREE char *worktree = NULL;
	struct dm_err ignored;
	unsigned count = 0;

	if (!registry_scan(d->session->registry, &claims, &ignored))
		return;
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = claims.list[i];
		DM_AUTO_FREE char *usual = registry_socket(d->session->registry, claim->id.s);

		if (claim->is_alias || claim->registration != CLAIM_ROUTE)
			continue;
		count++;
		if (claim->socket != NULL && strcmp(claim->socket, usual) == 0)
			needless = claim;
	}
	if (d->has_mesh && needless != NULL &&
	    d->session->conf->registration != CONF_REGISTRATION_ROUTE) {
		doctor_say(d, DOCTOR_NOTE,
		    "%s has a route of its own, which the mesh route makes needless",
		    needless->id.s);
		doctor_why(d, "it has to be written again after each restart of Caddy");
		worktree = dm_shell_word(needless->worktree);
		doctor_fix(d, "devmesh up -C %s", worktree);
	}
	if (count > 0 && !is_resumed(d)) {
		doctor_say(d, DOCTOR_NOTE,
		    "%u service%s registered by a route that Caddy forgets when it "
		    "is restarted",
		    count, count == 1 ? " is" : "s are");
		doctor_why(d, "it was started from a file, without --resume");
		doctor_fix(
		    d, "caddy run --resume    (or a mesh route; or devmesh up after a restart)");
	}
	registry_claims_free(&claims);
}

void
doctor_check_reload(struct doctor *d)
{
	HTTP_AUTO_REPLY struct http_reply reply;
	struct registry_claims claims;
	struct dm_err err;
	unsigned own = 0;

	http_reply_init(&reply);
	if (caddy_admin_send(d->session->admin, "POST", "/adapt", "text/caddyfile",
		mesh_probe_caddyfile, NULL, &reply, &err) != HTTP_ANSWERED) {
		doctor_skip(d, "Caddy does not answer the question for its version");
		return;
	}
	if (reply.status == 200) {
		doctor_say(d, DOCTOR_OK, "this Caddy is 2.7 or later");
		return;
	}
	if (registry_scan(d->session->registry, &claims, &err)) {
		for (size_t i = 0; i < claims.count; i++)
			own += claims.list[i]->registration == CLAIM_ROUTE;
		registry_claims_free(&claims);
	}
	if (d->has_mesh && own == 0) {
		doctor_say(
		    d, DOCTOR_OK, "this Caddy is older than 2.7; the mesh route makes up for it");
		return;
	}
	doctor_say(d, DOCTOR_WARNING,
	    "this Caddy is older than 2.7: each change of its routes closes all WebSockets");
	doctor_why(d,
	    "an up or down in one worktree makes the pages of all others reload, and can end "
	    "servers that do not expect it");
	doctor_fix(d, "a mesh route (devmesh start has one), or a newer Caddy: "
		      "https://caddyserver.com/docs/install");
}
