/* SPDX-License-Identifier: MIT */
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/paths.h"
#include "base/sock.h"
#include "base/str.h"

/* Caddy's own default (caddyserver.com/docs/api). */
#define USUAL_ADMIN "http://localhost:2019"

const char *
session_config_file(const char *flag)
{
	const char *file = flag != NULL ? flag : getenv("DEVMESH_CONFIG");

	return file == NULL || file[0] == '\0' ? NULL : file;
}

struct session *
session_open(const char *config_file, struct dm_err *err)
{
	dm_auto(session) s = dm_calloc(1, sizeof(*s));

	if ((s->conf = conf_load(session_config_file(config_file), err)) == NULL)
		return NULL;
	return DM_STEAL(&s);
}

struct session *
session_with(struct conf *conf)
{
	struct session *s = dm_calloc(1, sizeof(*s));

	s->conf = conf;
	return s;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	conf_free(s->conf);
	free(s->state_dir);
	registry_free(s->registry);
	caddy_admin_free(s->admin);
	caddy_view_free(s->view);
	free(s);
}

bool
session_need_registry(struct session *s, struct dm_err *err)
{
	if (s->registry == NULL)
		s->registry = registry_open(s->conf->sockets_dir, err);
	return s->registry != NULL;
}

bool
session_need_state_dir(struct session *s, struct dm_err *err)
{
	if (s->state_dir == NULL)
		s->state_dir =
		    s->conf->state_dir != NULL ? dm_strdup(s->conf->state_dir) : dm_state_dir(err);
	return s->state_dir != NULL;
}

char *
session_private_admin(const struct session *s)
{
	return dm_asprintf("%s/admin.sock", s->state_dir);
}

/* The private mesh's address if it is alive; NULL otherwise. The caller owns it. */
static char *
private_address(struct session *s)
{
	DM_AUTO_FREE char *path = NULL;
	struct dm_sock_info info;
	struct dm_err ignored;

	if (!session_need_state_dir(s, &ignored))
		return NULL;
	path = session_private_admin(s);
	dm_sock_probe(path, &info);
	if (info.state != DM_SOCK_LISTENING)
		return NULL;
	return dm_asprintf("unix://%s", path);
}

bool
session_need_admin(struct session *s, struct dm_err *err)
{
	DM_AUTO_FREE char *address = NULL;

	if (s->admin != NULL)
		return true;
	if (s->conf->admin != NULL)
		address = dm_strdup(s->conf->admin);
	else if ((address = private_address(s)) == NULL)
		address = dm_strdup(USUAL_ADMIN);
	s->admin = caddy_admin_new(address, s->conf->timeout_ms, err);
	return s->admin != NULL;
}

bool
session_need_view(struct session *s, struct dm_err *err)
{
	if (s->view == NULL && session_need_admin(s, err))
		s->view = caddy_view_read(s->admin, err);
	if (s->view == NULL && s->conf->admin == NULL && err->code == DM_UNREACHABLE &&
	    strcmp(caddy_admin_address(s->admin), USUAL_ADMIN) == 0) {
		/* nobody has asked for that address: it is the last place to look */
		(void)dm_fail(err, DM_UNREACHABLE,
		    "no Caddy answers: the private mesh does not run, and there is none at "
		    "%s either",
		    USUAL_ADMIN);
		return dm_hint(err, "devmesh start");
	}
	return s->view != NULL;
}

void
session_drop_view(struct session *s)
{
	caddy_view_free(s->view);
	caddy_admin_free(s->admin);
	s->view = NULL;
	s->admin = NULL;
}

void
session_domain(const struct session *s, char out[HOST_MAX + 1])
{
	const char *domain = s->conf->domain;

	if (domain == NULL && s->view != NULL)
		domain = caddy_view_domain(s->view);
	if (!dm_snprintf(out, HOST_MAX + 1, "%s", domain != NULL ? domain : DEFAULT_DOMAIN))
		out[0] = '\0'; /* domains are shorter: domain_parse() */
}

/* An environment variable; NULL if unset or empty. */
static const char *
env_value(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

bool
session_name(struct session *s, const struct name_flags *flags, struct repo **out,
    struct name *name, struct dm_err *err)
{
	dm_auto(repo) repo = repo_open(flags->dir != NULL ? flags->dir : ".", err);
	DM_AUTO_FREE char *remote = NULL;
	struct name_input in = {
	    .id = flags->id, .app_flag = flags->app, .app_config = s->conf->app};

	if (repo == NULL)
		return false;
	in.app_env = env_value("DEVMESH_APP");
	if (in.id == NULL && in.app_flag == NULL && env_value("DEVMESH_WORKTREE") == NULL)
		in.id = env_value("DEVMESH_ID");
	in.id_file = repo->id_line;
	in.main_dir = repo->main_dir;
	in.branch = repo->branch;
	in.is_default_branch = repo->is_default_branch;
	in.commit = repo->commit;
	if (repo->is_git && repo->branch == NULL)
		in.worktree_dir = repo->dir_name;
	if (name_wants_remote(&in)) {
		remote = repo_remote_url(repo);
		in.remote_url = remote;
	}
	if (!name_compose(&in, name, err)) {
		(void)dm_wrap(err, "naming %s", repo->worktree);
		return false;
	}
	*out = DM_STEAL(&repo);
	return true;
}

/* Sets the error for an id that nobody has claimed, with those that are. */
static bool
fail_unknown_id(struct session *s, const char *id, struct dm_err *err)
{
	struct registry_claims claims;
	DM_AUTO_STR struct dm_str list = dm_str_make(300);
	struct dm_err ignored;

	if (registry_scan(s->registry, &claims, &ignored)) {
		for (size_t i = 0; i < claims.count; i++) {
			if (!claims.list[i]->is_alias)
				(void)dm_str_addf(
				    &list, "%s%s", list.len > 0 ? ", " : "", claims.list[i]->id.s);
		}
		registry_claims_free(&claims);
	}
	(void)dm_fail(err, DM_NOT_FOUND, "there is no service \"%.80s\"", id);
	if (list.len > 0)
		return dm_hint(err, "one of: %s", list.data);
	return dm_hint(
	    err, "nothing is claimed yet; in a worktree: devmesh run -- COMMAND, or devmesh up");
}

static bool
claim_by_id(struct session *s, const char *id, struct claim **out, struct dm_err *err)
{
	dm_auto(claim) claim = NULL;
	struct slug parsed;

	if (!slug_parse(id, &parsed, err))
		return false;
	if (!registry_find(s->registry, parsed.s, &claim, err))
		return false;
	if (claim != NULL && claim->is_alias) {
		dm_auto(claim) target = NULL;

		if (!registry_find(s->registry, claim->alias_of.s, &target, err))
			return false;
		claim_free(claim);
		claim = DM_STEAL(&target);
	}
	if (claim == NULL)
		return fail_unknown_id(s, id, err);
	if (claim->uid != geteuid())
		return dm_fail(err, DM_DENIED, "the service %s belongs to uid %u", claim->id.s,
		    (unsigned)claim->uid);
	*out = DM_STEAL(&claim);
	return true;
}

/* The claim of a worktree that no longer exists, by its path. */
static bool
claim_by_path(struct session *s, const char *dir, struct claim **out, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_resolve(dir, err);
	struct registry_claims claims;

	if (path == NULL || !registry_scan(s->registry, &claims, err))
		return false;
	for (size_t i = 0; i < claims.count && *out == NULL; i++) {
		if (strcmp(claims.list[i]->worktree, path) == 0 && !claims.list[i]->is_alias)
			*out = claim_dup(claims.list[i]);
	}
	registry_claims_free(&claims);
	if (*out != NULL)
		return true;
	(void)dm_fail(err, DM_NOT_FOUND, "no service is claimed for %s", path);
	return dm_hint(err, "devmesh list shows what is");
}

/*
 * A claim of the worktree under another id (up --id), if there is exactly one. Only for the same
 * branch: after a switch the old claim does not say what is served now.
 */
static bool
claim_by_worktree(struct session *s, const struct repo *repo, struct claim **out)
{
	struct registry_claims claims;
	struct dm_err ignored;
	unsigned found = 0;

	if (!registry_scan(s->registry, &claims, &ignored))
		return false;
	for (size_t i = 0; i < claims.count; i++) {
		const struct claim *claim = claims.list[i];

		if (claim->is_alias || strcmp(claim->worktree, repo->worktree) != 0 ||
		    strcmp(claim->branch == NULL ? "" : claim->branch,
			repo->branch == NULL ? "" : repo->branch) != 0)
			continue;
		if (found++ == 0)
			*out = claim_dup(claim);
	}
	registry_claims_free(&claims);
	if (found == 1)
		return true;
	claim_free(*out);
	*out = NULL;
	return false;
}

bool
session_claim(struct session *s, const char *id, const struct name_flags *flags, struct claim **out,
    struct dm_err *err)
{
	dm_auto(repo) repo = NULL;
	struct name name;
	struct slug own;
	bool held;

	*out = NULL;
	if (!session_need_registry(s, err))
		return false;
	if (id != NULL)
		return claim_by_id(s, id, out, err);
	if (flags->dir != NULL && access(flags->dir, F_OK) != 0)
		return claim_by_path(s, flags->dir, out, err);
	if (!session_name(s, flags, &repo, &name, err) ||
	    !registry_resolve(s->registry, &name, repo->worktree, false, &own, &held, err))
		return false;
	/* by whatever name it was registered, unless one was asked for */
	if (!held && flags->id == NULL && flags->app == NULL && claim_by_worktree(s, repo, out))
		return true;
	if (!held) {
		(void)dm_fail(err, DM_NOT_FOUND, "%s is not registered (its name would be %s)",
		    repo->worktree, own.s);
		return dm_hint(err, "devmesh up");
	}
	return registry_find(s->registry, own.s, out, err);
}
