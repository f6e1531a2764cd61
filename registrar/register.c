/* SPDX-License-Identifier: MIT */
#include "register.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/sock.h"
#include "base/str.h"
#include "caddy/change.h"
#include "identity.h"
#include "placement.h"
#include "runner.h"

void
register_result_release(struct register_result *result)
{
	claim_free(result->claim);
	free(result->alias_url);
	memset(result, 0, sizeof(*result));
}

/* How a claim will be served: decided from the view before anything is changed. */
struct plan {
	struct session *s;
	const struct register_request *request;
	struct placement place;
	struct dm_sock_info socket; /* of the conventional socket */
	struct claim *displaced;    /* the alias that had the name before; NULL: none */
	struct claim *killed;	    /* it was served by a devmesh run that is dead; NULL: not so */
};

static void
plan_release(struct plan *plan)
{
	claim_free(plan->displaced);
	claim_free(plan->killed);
}

#define PLAN_AUTO __attribute__((cleanup(plan_release)))

/*
 * Without --port and --socket a service that is registered keeps what it has: `up` can be repeated
 * by whoever does not know how it was registered.
 */
static void
keep_upstream(const struct plan *plan, const struct claim *old, struct claim *claim)
{
	const struct register_request *request = plan->request;

	if (request->run != NULL) {
		claim->run = *request->run;
		return;
	}
	if (request->port != 0 || request->socket != NULL || old == NULL || old->is_alias ||
	    old->uid != geteuid() || strcmp(old->worktree, claim->worktree) != 0)
		return;
	if (dm_proc_alive(&old->run.runner))
		claim->run = old->run;
	free(claim->socket);
	claim->socket = dm_strdup(old->socket);
	claim->port = old->port;
}

/* What is at the conventional socket's path must be ours, or nothing. */
static bool
check_socket(struct plan *plan, const struct claim *claim, struct dm_err *err)
{
	if (!placement_conventional(plan->s, claim))
		return true;
	dm_sock_probe(claim->socket, &plan->socket);
	if (!plan->socket.exists)
		return true;
	if (plan->socket.state == DM_SOCK_OTHER) {
		(void)dm_fail(err, DM_CONFLICT, "%s is in the way: it is no socket", claim->socket);
		return dm_hint(err, "see what it is, and remove it: rm '%s'", claim->socket);
	}
	if (plan->socket.owner != geteuid()) {
		(void)dm_fail(err, DM_CONFLICT, "the socket %s belongs to uid %u", claim->socket,
		    (unsigned)plan->socket.owner);
		return dm_hint(err, "choose another name: --id, --app or .id");
	}
	return true;
}

/* One devmesh run at a time serves a name. */
static bool
check_runner(struct plan *plan, const struct claim *old, struct dm_err *err)
{
	const struct claim_run *ours = plan->request->run;

	if (old == NULL || old->uid != geteuid() || old->run.runner.pid == 0)
		return true;
	if (!dm_proc_alive(&old->run.runner)) {
		plan->killed = claim_dup(old);
		return true;
	}
	if (ours == NULL || ours->runner.pid == old->run.runner.pid || plan->request->force)
		return true;
	(void)dm_fail(err, DM_CONFLICT, "%s is already served by devmesh run, pid %ld", old->id.s,
	    (long)old->run.runner.pid);
	return dm_hint(err,
	    "end that one, or take over with --force; a second service of this worktree needs "
	    "another name: --app");
}

/*
 * Where the claim's identity document will be, and no document any more of what had the name
 * before: from the moment the record is written it would be wrong.
 */
static void
settle_identity(const struct plan *plan, const struct claim *old, struct claim *claim)
{
	DM_AUTO_FREE char *usual = identity_dir(plan->s, false);
	const char *dir = plan->place.identity_dir;
	bool dry_run = plan->request->dry_run;

	/* the usual directory is made; another one is its owner's affair */
	if (dir[0] != '\0')
		claim->identity = dm_strdup(dir);
	if (!dry_run && usual != NULL && strcmp(usual, dir) == 0)
		free(identity_dir(plan->s, true));
	if (!dry_run)
		share_settle(claim);
	if (old == NULL || dry_run || old->identity == NULL)
		return;
	if (old->is_alias || strcmp(old->worktree, claim->worktree) != 0 ||
	    claim->identity == NULL || strcmp(old->identity, claim->identity) != 0)
		identity_forget(plan->s->registry, old);
}

/* Fills in what depends on the id; called under the lock, before the record is written. */
static bool
complete_claim(struct claim *claim, void *user, struct dm_err *err)
{
	struct plan *plan = user;
	char host[HOST_MAX + 1], url[URL_MAX + 1];
	dm_auto(claim) old = NULL;

	if (!registry_find(plan->s->registry, claim->id.s, &old, err))
		return false;
	if (!check_runner(plan, old, err))
		return false;
	keep_upstream(plan, old, claim);
	claim->pinned = old != NULL && strcmp(old->worktree, claim->worktree) == 0 && old->pinned;
	host_join(&claim->id, plan->place.domain, host);
	claim->host = dm_strdup(host);
	if (!placement_choose(plan->s, claim, &plan->place, err) || !check_socket(plan, claim, err))
		return false;
	if (claim->port != 0 && claim->port == plan->place.server.front.port) {
		(void)dm_fail(err, DM_CONFLICT,
		    "port %u is Caddy's own: the service would lead to itself",
		    (unsigned)claim->port);
		return dm_hint(err, "--port is the port that the dev server listens on");
	}
	claim->registration = plan->place.how;
	settle_identity(plan, old, claim);
	url_make(&plan->place.server.front, host, url);
	claim->url = dm_strdup(url);
	if (old != NULL && old->is_alias)
		plan->displaced = DM_STEAL(&old);
	return true;
}

/* Without a change: the same steps, but the claim is only composed. */
static bool
preview_claim(
    struct plan *plan, const struct name *name, struct claim *claim, bool *held, struct dm_err *err)
{
	struct session *s = plan->s;

	if (!registry_resolve(
		s->registry, name, claim->worktree, plan->request->force, &claim->id, held, err))
		return false;
	if (claim->port == 0 && claim->socket == NULL)
		claim->socket = registry_socket(s->registry, claim->id.s);
	return complete_claim(claim, plan, err);
}

/*
 * With the mesh route, a route of its own from earlier (--port, say, or a password) would be in the
 * way.
 */
static bool
drop_own_route(
    struct session *s, const struct claim *claim, bool dry_run, bool *wrote, struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;
	unsigned removed;

	if (placement_own_route(s, claim->id.s) == NULL)
		return true;
	*wrote = true;
	if (dry_run)
		return true;
	lock = placement_lock(s);
	return caddy_route_remove(s->admin, claim->id.s, &removed, err);
}

static bool
take_alias(struct plan *plan, const struct name *name, const struct claim *claim,
    struct register_result *result, struct dm_err *err)
{
	char url[URL_MAX + 1];

	if (!name->has_alias || strcmp(claim->app.s, claim->id.s) == 0)
		return true;
	host_join(&claim->app, plan->place.domain, plan->place.alias_host);
	url_make(&plan->place.server.front, plan->place.alias_host, url);
	plan->place.has_alias = registry_alias_is_free(plan->s->registry, claim);
	if (plan->place.has_alias && !plan->request->dry_run &&
	    !registry_take_alias(
		plan->s->registry, claim, plan->place.alias_host, url, &plan->place.has_alias, err))
		return false;
	if (plan->place.has_alias)
		result->alias_url = dm_strdup(url);
	return true;
}

/* What a killed devmesh run has left running would only be in the way. */
static void
end_killed_run(const struct plan *plan)
{
	unsigned ended;

	if (plan->killed == NULL || plan->request->dry_run)
		return;
	ended = runner_end_leftovers(plan->killed, false);
	if (ended > 0)
		dm_note("ended %u process%s that a killed devmesh run had left", ended,
		    ended == 1 ? "" : "es");
}

/* Everything after the claim. */
static bool
carry_out(
    struct plan *plan, const struct name *name, struct register_result *result, struct dm_err *err)
{
	const struct claim *claim = result->claim;
	bool ok;

	end_killed_run(plan);
	if (!take_alias(plan, name, claim, result, err))
		return false;
	if (plan->place.shared && plan->place.has_alias && !plan->request->dry_run &&
	    !share_put(claim, &claim->app, &plan->place.share, err))
		return false;
	ok = plan->place.how == CLAIM_ROUTE ? placement_write(plan->s, &plan->place, claim,
						  plan->request->dry_run, &result->wrote_route, err)
					    : drop_own_route(plan->s, claim, plan->request->dry_run,
						  &result->wrote_route, err);
	if (!ok)
		return false;
	if (plan->socket.state != DM_SOCK_REFUSED)
		return true;
	result->removed_socket = true;
	return plan->request->dry_run ||
	       dm_sock_unlink_stale(claim->socket, &plan->socket, &result->removed_socket, err);
}

bool
register_again(struct session *s, const struct claim *claim, bool *wrote, struct dm_err *err)
{
	struct placement place;

	*wrote = false;
	session_drop_view(s);
	return session_need_registry(s, err) && session_need_view(s, err) &&
	       placement_of(s, claim, &place, err) &&
	       (place.how == CLAIM_MESH ? drop_own_route(s, claim, false, wrote, err)
					: placement_write(s, &place, claim, false, wrote, err));
}

bool
register_moved(struct session *s, const struct claim *claim, const char *worktree, bool *moved,
    struct dm_err *err)
{
	dm_auto(claim) now = NULL;
	bool wrote;

	*moved = false;
	if (!session_need_registry(s, err) ||
	    !registry_move(s->registry, claim, worktree, moved, err))
		return dm_wrap(err, "following the worktree of %s to %s", claim->id.s, worktree);
	if (!*moved)
		return true;
	if (!registry_find(s->registry, claim->id.s, &now, err))
		return false;
	if (now == NULL)
		return true;
	(void)identity_publish(s->registry, now);
	/* where the socket was inside, Caddy has to be told where it is now */
	return now->registration != CLAIM_ROUTE || now->socket == NULL || claim->socket == NULL ||
	       strcmp(now->socket, claim->socket) == 0 || register_again(s, now, &wrote, err);
}

/* Checks --socket, and makes it absolute in the claim. */
static bool
set_upstream(struct claim *claim, const struct register_request *request, struct dm_err *err)
{
	claim->port = request->port;
	if (request->socket == NULL)
		return true;
	if ((claim->socket = dm_absolute(request->socket, err)) == NULL)
		return false;
	if (strlen(claim->socket) > dm_sock_path_max())
		return dm_fail(err, DM_USAGE,
		    "%s is too long for a Unix socket (at most %zu bytes)", claim->socket,
		    dm_sock_path_max());
	/* Caddy would replace placeholders in it */
	for (const char *p = claim->socket; *p != '\0'; p++) {
		if (*p == '{' || *p == '}' || (unsigned char)*p < 0x20)
			return dm_fail(err, DM_USAGE, "%s holds a character that Caddy cannot dial",
			    claim->socket);
	}
	return true;
}

/* What goes into the record must come out of it again: claim_decode() refuses such a branch. */
static bool
check_branch(const struct repo *repo, struct dm_err *err)
{
	if (repo->branch == NULL || !dm_has_control(repo->branch))
		return true;
	return dm_fail(err, DM_USAGE, "the branch %s of %s holds a control character", repo->branch,
	    repo->worktree);
}

/*
 * A name that was taken for nothing is given back, to the alias that had it if there was one;
 * unless Caddy may yet act on it.
 */
static void
give_back(const struct plan *plan, const struct claim *claim, const struct dm_err *cause)
{
	struct registry *reg = plan->s->registry;
	const struct claim *alias = plan->displaced;
	dm_auto(claim) target = NULL;
	struct dm_err err;
	bool taken;

	if (cause->code == DM_TIMEOUT)
		return;
	if (!registry_release(reg, claim, &err) ||
	    (alias != NULL && (!registry_find(reg, alias->alias_of.s, &target, &err) ||
				  (target != NULL && !registry_take_alias(reg, target, alias->host,
							 alias->url, &taken, &err))))) {
		dm_warn("%s", err.msg);
		return;
	}
	if (target != NULL)
		(void)identity_publish(reg, target);
}

bool
register_service(struct session *s, const struct register_request *request,
    struct register_result *result, struct dm_err *err)
{
	PLAN_AUTO struct plan plan = {.s = s, .request = request};
	dm_auto(repo) repo = NULL;
	dm_auto(claim) claim = claim_new();
	struct name name;
	bool held = false, ok;

	memset(result, 0, sizeof(*result));
	if (!session_name(s, &request->name, &repo, &name, err) || !check_branch(repo, err) ||
	    !set_upstream(claim, request, err) || !session_need_registry(s, err) ||
	    !session_need_view(s, err))
		return false;
	if (!repo->is_git)
		dm_note("%s is not in a git repository: named after its directory", repo->worktree);
	session_domain(s, plan.place.domain);
	claim->app = name.app;
	claim->branch = dm_strdup(repo->branch);
	claim->worktree = dm_strdup(repo->worktree);
	claim->created = dm_wall_seconds();
	ok = request->dry_run ? preview_claim(&plan, &name, claim, &held, err)
			      : registry_take(s->registry, &name, request->force, claim,
				    complete_claim, &plan, &held, err);
	if (!ok)
		return dm_wrap(err, "registering %s", repo->worktree);
	result->claimed = !held;
	result->claim = DM_STEAL(&claim);
	if (carry_out(&plan, &name, result, err)) {
		if (!request->dry_run)
			(void)identity_publish(s->registry, result->claim);
		return true;
	}
	/* what was taken from another worktree on request is not to be had back */
	if (!held && !request->force && !request->dry_run)
		give_back(&plan, result->claim, err);
	register_result_release(result);
	return false;
}

/* Removes the claim's route if Caddy has one. */
static bool
remove_route(struct session *s, const struct claim *claim, bool *removed_any, struct dm_err *err)
{
	DM_AUTO_CLOSE int lock = -1;
	unsigned removed = 0;

	*removed_any = false;
	if (!session_need_view(s, err)) {
		/* nothing was ever written to Caddy for it, so Caddy need not be asked */
		if (claim->registration == CLAIM_MESH)
			return true;
		(void)dm_wrap(err, "removing the route of %s", claim->id.s);
		return dm_hint(
		    err, "start this Caddy, then run it again: it may still have the route");
	}
	if (placement_own_route(s, claim->id.s) == NULL)
		return true;
	lock = placement_lock(s);
	if (!caddy_route_remove(s->admin, claim->id.s, &removed, err))
		return false;
	*removed_any = removed > 0;
	return true;
}

static bool
end_run(const struct claim *claim, struct unregister_result *result, struct dm_err *err)
{
	const struct dm_proc_id *runner = &claim->run.runner;

	if (runner->pid == 0 || runner->pid == getpid() || claim->uid != geteuid())
		return true;
	if (dm_proc_alive(runner) || runner_end_leftovers(claim, true) > 0)
		result->ended_run = runner->pid;
	if (!runner_stop(claim, err))
		return false;
	(void)runner_end_leftovers(claim, false);
	return true;
}

bool
unregister_service(struct session *s, const struct claim *claim, struct unregister_result *result,
    struct dm_err *err)
{
	DM_AUTO_FREE char *conventional = registry_socket(s->registry, claim->id.s);
	dm_auto(claim) now = NULL;
	struct dm_sock_info info;
	bool ran = dm_proc_alive(&claim->run.runner);

	memset(result, 0, sizeof(*result));
	if (!end_run(claim, result, err) || !registry_find(s->registry, claim->id.s, &now, err))
		return false;
	/* it may have been released, and even claimed anew, since it was read */
	if (now == NULL)
		return true;
	/* a run leaves behind what was registered before it; that it did so just now is our doing
	 */
	ran = ran && now->run.runner.pid == 0 && strcmp(now->worktree, claim->worktree) == 0;
	if (!ran && claim_taken_anew(claim, now))
		return true;
	if (claim->uid != geteuid()) {
		(void)dm_fail(
		    err, DM_DENIED, "%s belongs to uid %u", claim->id.s, (unsigned)claim->uid);
		return dm_hint(err, "only that user can take it down");
	}
	if (!remove_route(s, claim, &result->removed_route, err))
		return false;
	if (claim->socket != NULL && strcmp(claim->socket, conventional) == 0) {
		dm_sock_probe(conventional, &info);
		if (info.state == DM_SOCK_LISTENING)
			result->still_listening = info.pid;
		if (info.state == DM_SOCK_REFUSED && info.owner == geteuid() &&
		    !dm_sock_unlink_stale(conventional, &info, &result->removed_socket, err))
			return false;
	}
	if (!registry_release(s->registry, now, err))
		return false;
	identity_withdraw(s->registry, now);
	return true;
}
