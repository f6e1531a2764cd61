/* SPDX-License-Identifier: MIT */
#include "placement.h"

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "caddy/change.h"
#include "identity.h"

enum {
	CADDY_LOCK_MS = 30000
};

bool
placement_conventional(const struct session *s, const struct claim *claim)
{
	DM_AUTO_FREE char *path = registry_socket(s->registry, claim->id.s);

	return claim->socket != NULL && strcmp(claim->socket, path) == 0;
}

bool
placement_needs_login(const struct placement *place)
{
	return place->shared && place->share.reach == GATE_PASSWORD;
}

static bool
fail_no_mesh(const struct session *s, const char *domain, struct dm_err *err)
{
	(void)dm_fail(err, DM_NOT_FOUND,
	    "Caddy at %s has no mesh route for *.%s and %s in front of other routes",
	    caddy_admin_address(s->admin), domain, registry_dir(s->registry));
	return dm_hint(err,
	    "devmesh start runs a private Caddy that has one; or set [caddy] registration = auto");
}

/*
 * The documents of a claim that has none yet are where the mesh route looks for them, if there is
 * one that serves the domain: a Caddy that is another user can read them there.
 */
static void
find_dirs(struct session *s, const struct claim *claim, const char *of_mesh, struct placement *out)
{
	DM_AUTO_FREE char *usual = NULL;
	const char *dir = claim->identity != NULL ? claim->identity : of_mesh;

	if (dir == NULL)
		dir = usual = identity_dir(s, false);
	out->identity_dir[0] = out->gate_dir[0] = '\0';
	if (dir == NULL ||
	    !dm_snprintf(out->gate_dir, sizeof(out->gate_dir), "%s/" GATE_SUBDIR, dir) ||
	    !dm_snprintf(out->identity_dir, sizeof(out->identity_dir), "%s", dir))
		out->identity_dir[0] = out->gate_dir[0] = '\0';
	out->shared = out->gate_dir[0] != '\0' && share_find_in(out->gate_dir, claim, &out->share);
	out->account = (struct gate_account){.user = out->share.user, .hash = out->share.hash};
}

bool
placement_choose(
    struct session *s, const struct claim *claim, struct placement *out, struct dm_err *err)
{
	const struct conf *conf = s->conf;
	bool conventional = placement_conventional(s, claim);
	struct caddy_server mesh;
	bool has_mesh = caddy_view_mesh(
	    s->view, out->domain, registry_dir(s->registry), claim->host, claim->id.s, &mesh);

	find_dirs(s, claim, has_mesh ? mesh.identity_dir : NULL, out);
	out->how = CLAIM_ROUTE;
	if (conf->registration != CONF_REGISTRATION_ROUTE && conventional && has_mesh &&
	    !placement_needs_login(out)) {
		out->server = mesh;
		out->how = CLAIM_MESH;
		return true;
	}
	if (conf->registration == CONF_REGISTRATION_MESH) {
		if (conventional && !has_mesh)
			return fail_no_mesh(s, out->domain, err);
		(void)dm_fail(err, DM_USAGE,
		    "the mesh route leads to the conventional socket only, not to --port or "
		    "--socket, and asks nobody for a password");
		return dm_hint(err, "set [caddy] registration = auto");
	}
	return caddy_view_server(s->view, conf->server, claim->host, &out->server, err) &&
	       (conf->allow_https_change ||
		   caddy_view_settled(s->view, &out->server, claim->host, err));
}

/* The bare app name, if it leads to the claim. */
static bool
find_alias(
    struct session *s, const struct claim *claim, struct placement *place, struct dm_err *err)
{
	dm_auto(claim) alias = NULL;

	if (!registry_find(s->registry, claim->app.s, &alias, err))
		return false;
	place->has_alias = alias != NULL && alias->is_alias && alias->uid == geteuid() &&
			   strcmp(alias->alias_of.s, claim->id.s) == 0;
	if (place->has_alias)
		host_join(&claim->app, place->domain, place->alias_host);
	return true;
}

bool
placement_of(
    struct session *s, const struct claim *claim, struct placement *out, struct dm_err *err)
{
	const char *dot = claim->host == NULL ? NULL : strchr(claim->host, '.');

	memset(out, 0, sizeof(*out));
	return domain_parse(dot == NULL ? "" : dot + 1, out->domain, err) &&
	       placement_choose(s, claim, out, err) && find_alias(s, claim, out, err);
}

struct route_spec
placement_spec(const struct placement *place, const struct claim *claim, const char *dial)
{
	return (struct route_spec){.id = claim->id.s,
	    .hosts = {claim->host, place->alias_host},
	    .host_count = place->has_alias ? 2 : 1,
	    .dial = dial,
	    .identity_dir = claim->identity,
	    .gate = true,
	    .gate_dir = place->gate_dir[0] == '\0' ? NULL : place->gate_dir,
	    .account = placement_needs_login(place) ? &place->account : NULL};
}

const struct cJSON *
placement_own_route(const struct session *s, const char *id)
{
	const struct cJSON *route = caddy_view_object(s->view, id);

	return route == NULL || route_is_shared(route) ? NULL : route;
}

bool
placement_id_is_free(const struct session *s, const struct claim *claim, struct dm_err *err)
{
	if (placement_own_route(s, claim->id.s) != NULL ||
	    caddy_view_object(s->view, claim->id.s) == NULL)
		return true;
	(void)dm_fail(err, DM_CONFLICT,
	    "Caddy's mesh route has the @id \"%s\", which the route of this service needs",
	    claim->id.s);
	return dm_hint(err, "choose another name: --id, --app or .id");
}

int
placement_lock(struct session *s)
{
	struct dm_err err;
	int fd = -1;

	if (!registry_lock(s->registry, REGISTRY_LOCK_CADDY, CADDY_LOCK_MS, &fd, &err))
		dm_warn("%s; going on without it", err.msg);
	return fd;
}

bool
placement_write(struct session *s, const struct placement *place, const struct claim *claim,
    bool dry_run, bool *wrote, struct dm_err *err)
{
	DM_AUTO_FREE char *dial = claim_dial(claim);
	const struct route_spec spec = placement_spec(place, claim, dial);
	DM_AUTO_CLOSE int lock = -1;
	enum route_change change;

	if (caddy_route_in_place(place->server.routes, &spec))
		return true;
	if (!placement_id_is_free(s, claim, err))
		return false;
	*wrote = true;
	if (dry_run)
		return true;
	lock = placement_lock(s);
	if (!caddy_route_put(s->admin, place->server.name, &spec,
		caddy_view_count(s->view, claim->id.s), &change, err))
		return false;
	*wrote = change != ROUTE_UNCHANGED;
	return true;
}
