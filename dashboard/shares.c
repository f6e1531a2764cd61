/* SPDX-License-Identifier: MIT */
#include "shares.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "caddy/mesh.h"
#include "daemon.h"
#include "identity.h"
#include "lan.h"
#include "mdns.h"
#include "out.h"
#include "register.h"
#include "services.h"
#include "timer.h"
#include "watch.h"
#include "workers.h"

enum {
	DIRS = 2,	  /* of the mesh route, and the usual one */
	OWN_S = 600,	  /* for which our addresses are ours if nobody says so again */
	RENEW_S = 240,	  /* so it is said again, when it is seen that it is time: */
	LOOK_S = 30,	  /* the machine may have slept */
	SETTLE_MS = 20,	  /* several files change at once */
	ROUTE_MS = 30000, /* for Caddy to be told */
};

struct shared {
	struct share share;
	char *worktree;
};

struct shares {
	struct daemon *d;
	char *dirs[DIRS]; /* watched; NULL: none */
	struct shared *list;
	size_t count;
	int64_t own_until; /* what was last said of our addresses */
	struct event *timer;
};

static const struct shared *
find(const struct shares *s, const char *id)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->list[i].share.id.s, id) == 0)
			return &s->list[i];
	}
	return NULL;
}

const struct share *
shares_find(const struct shares *s, const struct claim *claim)
{
	const struct shared *shared = s == NULL ? NULL : find(s, claim->id.s);

	return shared != NULL && shared->share.until > dm_wall_seconds() &&
		       strcmp(shared->worktree, claim->worktree) == 0
		   ? &shared->share
		   : NULL;
}

struct cJSON *
shares_json(const struct share *share)
{
	cJSON *o;

	if (share == NULL)
		return cJSON_CreateNull();
	o = cJSON_CreateObject();
	out_add_share(o, share);
	return o;
}

/* ---- routes that ask for a password ------------------------------------------------------ */

struct errand {
	struct daemon *d;
	struct slug id;
};

/* In a process of its own. The share is over: a route that asks for its password is in the way. */
static int
settle_route(void *arg)
{
	const struct errand *errand = arg;
	struct dm_err err;
	dm_auto(session) s = session_open(errand->d->config_file, &err);
	dm_auto(claim) claim = NULL;
	bool wrote;

	if (s != NULL && session_need_registry(s, &err) &&
	    registry_find(s->registry, errand->id.s, &claim, &err) &&
	    (claim == NULL || claim->is_alias || claim->uid != geteuid() ||
		register_again(s, claim, &wrote, &err)))
		return 0;
	dm_warn("%s", err.msg);
	return 1;
}

static void
settled(void *user, const struct worker_result *result)
{
	(void)result;
	free(user);
}

static void
password_is_over(struct daemon *d, const struct shared *shared)
{
	struct errand *errand = dm_calloc(1, sizeof(*errand));

	*errand = (struct errand){.d = d, .id = shared->share.id};
	workers_run(d->workers, settle_route, errand, ROUTE_MS, settled, errand);
}

/* ---- reading ----------------------------------------------------------------------------- */

struct reading {
	struct shared *list;
	size_t count;
};

static void
add(void *user, const struct share *share, const char *worktree)
{
	struct reading *r = user;

	for (size_t i = 0; i < r->count; i++) {
		if (strcmp(r->list[i].share.id.s, share->id.s) == 0)
			return;
	}
	r->list = dm_reallocarray(r->list, r->count + 1, sizeof(*r->list));
	r->list[r->count++] = (struct shared){.share = *share, .worktree = dm_strdup(worktree)};
}

static void
release(struct shared *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].worktree);
	free(list);
}

static bool
is_same(const struct shared *a, const struct shared *b)
{
	return a != NULL && b != NULL && a->share.reach == b->share.reach &&
	       a->share.until == b->share.until && a->share.since == b->share.since &&
	       strcmp(a->worktree, b->worktree) == 0;
}

static const char *const shared_with[GATE_REACHES] = {
    [GATE_LAN] = "shared with the devices of this network",
    [GATE_PASSWORD] = "shared with whoever has the password",
    [GATE_PUBLIC] = "shared with everybody",
};

/* Tells of those that are new, other ones, or gone. */
static void
compare(struct shares *s, struct shared *old, size_t old_count)
{
	struct shares before = {.list = old, .count = old_count};

	for (size_t i = 0; i < s->count; i++) {
		if (!is_same(find(&before, s->list[i].share.id.s), &s->list[i]))
			services_tell(s->d->services, s->list[i].share.id.s,
			    shared_with[s->list[i].share.reach]);
	}
	for (size_t i = 0; i < old_count; i++) {
		if (find(s, old[i].share.id.s) != NULL)
			continue;
		services_tell(s->d->services, old[i].share.id.s, "private again");
		if (old[i].share.reach == GATE_PASSWORD)
			password_is_over(s->d, &old[i]);
	}
}

/* What was shared for another worktree than the one that has the name by now. */
static void
settle_names(const struct shares *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct service *service =
		    services_find(s->d->services, s->list[i].share.id.s);

		if (service != NULL && service->claim->uid == geteuid() &&
		    strcmp(service->claim->worktree, s->list[i].worktree) != 0)
			share_settle(service->claim, NULL);
	}
}

void
shares_look(struct shares *s)
{
	struct shared *old = s->list;
	size_t old_count = s->count;
	struct reading reading = {.count = 0};
	int64_t now = dm_wall_seconds(), next = now + LOOK_S;

	for (size_t i = 0; i < DIRS; i++) {
		int64_t end = s->dirs[i] == NULL ? GATE_FOREVER : share_sweep(s->dirs[i], NULL);

		if (end < next)
			next = end;
		if (s->dirs[i] != NULL)
			share_each(s->dirs[i], add, &reading);
	}
	s->list = reading.list;
	s->count = reading.count;
	compare(s, old, old_count);
	release(old, old_count);
	settle_names(s);
	mdns_settle(s->d->mdns);
	timer_in(s->timer, (next - now) * 1000 + SETTLE_MS);
}

/* ---- what the gate has to know ----------------------------------------------------------- */

/* The daemon's own name, while it is. */
static const char *
own_name(const struct daemon *d)
{
	dm_auto(claim) claim = NULL;
	struct dm_err ignored;

	return d->id != NULL && registry_find(d->session->registry, d->id, &claim, &ignored) &&
		       claim != NULL && claim->uid == geteuid() &&
		       strcmp(claim->worktree, d->session->state_dir) == 0
		   ? d->id
		   : NULL;
}

static void
tell_own(struct shares *s)
{
	struct netif_address addresses[NETIF_MAX];
	const char *name = own_name(s->d);
	struct netif_list list;
	struct dm_err err;
	size_t count = 0;

	if (!netif_read(&list, &err)) {
		dm_warn("%s", err.msg);
		return;
	}
	for (size_t i = 0; i < list.count; i++) {
		if (!list.list[i].loopback)
			addresses[count++] = list.list[i];
	}
	s->own_until = dm_wall_seconds() + OWN_S;
	for (size_t i = 0; i < DIRS; i++) {
		if (s->dirs[i] != NULL)
			share_own(s->dirs[i], addresses, count, name, s->own_until);
	}
}

/* Where Caddy looks: the directory that its mesh route names, and that of routes of our making. */
static void
find_dirs(struct shares *s, char *old[DIRS])
{
	DM_AUTO_FREE char *usual = identity_dir(s->d->session, true);
	DM_AUTO_FREE char *any = NULL;
	struct caddy_server mesh = {.gate_dir = NULL};
	char *dirs[DIRS] = {NULL, usual == NULL ? NULL : share_dir(usual)};
	char domain[HOST_MAX + 1];

	if (s->d->session->view != NULL) {
		session_domain(s->d->session, domain);
		any = mesh_any_host(domain);
		if (caddy_view_mesh(s->d->session->view, domain,
			registry_dir(s->d->session->registry), any, "", &mesh) &&
		    mesh.gate_dir != NULL && !dm_same_text(mesh.gate_dir, dirs[1]))
			dirs[0] = dm_strdup(mesh.gate_dir);
	} else {
		dirs[0] = dm_strdup(s->dirs[0]); /* Caddy will be back */
	}
	for (size_t i = 0; i < DIRS; i++) {
		old[i] = s->dirs[i];
		s->dirs[i] = dirs[i];
	}
}

static void
watch_dirs(struct shares *s, char *old[DIRS])
{
	for (size_t i = 0; i < DIRS; i++) {
		if (!dm_same_text(old[i], s->dirs[i])) {
			if (old[i] != NULL)
				watch_remove(s->d->watch, old[i]);
			if (s->dirs[i] != NULL)
				watch_add(s->d->watch, s->dirs[i]);
		}
		free(old[i]);
	}
}

void
shares_settle(struct shares *s)
{
	char *old[DIRS];

	if (s == NULL)
		return;
	find_dirs(s, old);
	tell_own(s); /* this makes them */
	watch_dirs(s, old);
	shares_look(s);
}

bool
shares_hint(struct shares *s, const char *dir, const char *name)
{
	for (size_t i = 0; s != NULL && i < DIRS; i++) {
		if (s->dirs[i] != NULL && strcmp(s->dirs[i], dir) == 0) {
			/* a lock that is taken, by ourselves for instance, changes nothing */
			if (name == NULL || name[0] != '.')
				timer_in(s->timer, SETTLE_MS);
			return true;
		}
	}
	return false;
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct shares *s = user;

	(void)fd;
	(void)what;
	if (s->own_until - dm_wall_seconds() <= OWN_S - RENEW_S)
		tell_own(s);
	shares_look(s);
}

static void
on_network(void *user, const struct lan_state *state)
{
	(void)state;
	shares_settle(user);
}

struct shares *
shares_new(struct daemon *d)
{
	struct shares *s = dm_calloc(1, sizeof(*s));

	s->d = d;
	s->timer = evtimer_new(d->base, on_timer, s);
	lan_subscribe(d->lan, on_network, s);
	shares_settle(s);
	return s;
}

/* What was said of our addresses ends by itself, unless another devmeshd says it again. */
void
shares_free(struct shares *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < DIRS; i++) {
		if (s->dirs[i] != NULL)
			watch_remove(s->d->watch, s->dirs[i]);
		free(s->dirs[i]);
	}
	release(s->list, s->count);
	event_free(s->timer);
	free(s);
}
