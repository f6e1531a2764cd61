/* SPDX-License-Identifier: MIT */
#include "mender_impl.h"
#include "notify.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "caddy/route.h"
#include "caddy_watch.h"
#include "daemon.h"
#include "repo/checkout.h"
#include "services.h"
#include "timer.h"

enum {
	SOON_MS = 20,	/* what changes together is looked at together */
	OFTEN_MS = 100, /* between two looks */
	/* A claim that is being made has no route yet: it is given this long, and a fresh look. */
	NEW_ROUTE_MS = 1000,
	CRASH_MS = 1000,	   /* from the end of the private mesh's Caddy to a new one */
	THOROUGH_MS = 3600 * 1000, /* documents, temporary files */
};

static void on_timer(evutil_socket_t fd, short what, void *user);

struct mender *
mender_open(struct daemon *d, struct dm_err *err)
{
	struct mender *m = dm_calloc(1, sizeof(*m));

	m->d = d;
	m->timer = evtimer_new(d->base, on_timer, m);
	if (m->timer == NULL) {
		(void)dm_fail(err, DM_FAILED, "making a timer");
		mender_close(m);
		return NULL;
	}
	return m;
}

void
mender_close(struct mender *m)
{
	if (m == NULL)
		return;
	mender_close_moves(m);
	if (m->timer != NULL)
		event_free(m->timer);
	for (size_t i = 0; i < m->stray_count; i++)
		free(m->strays[i].path);
	free(m->strays);
	free(m->told);
	free(m->problem);
	free(m);
}

struct mender_counts
mender_counts(const struct mender *m)
{
	struct mender_counts counts = m->counts;

	counts.problem = m->problem;
	return counts;
}

/* Looks in so many milliseconds at the latest. */
static void
schedule(struct mender *m, int64_t ms)
{
	int64_t now = dm_now_ms(), at = now + ms;

	if (at < m->looked_ms + OFTEN_MS)
		at = m->looked_ms + OFTEN_MS;
	if (m->due_ms != 0 && m->due_ms <= at)
		return;
	m->due_ms = at;
	timer_in(m->timer, at - now);
}

void
mender_consider(struct mender *m)
{
	if (m != NULL)
		schedule(m, SOON_MS);
}

/* ---- what is due ------------------------------------------------------------------------ */

static int64_t
grace_ms(const struct mender *m)
{
	return (int64_t)m->d->session->conf->grace_s * 1000;
}

/* Whether it has been so for the grace period; if not, *next is when it will have been. */
static bool
is_over(const struct mender *m, int64_t since_ms, int64_t *next)
{
	int64_t at = since_ms + grace_ms(m);

	if (at <= dm_now_ms())
		return true;
	if (*next == 0 || at < *next)
		*next = at;
	return false;
}

/* Since when it is in its state, and nobody answers. */
static int64_t
dead_since(const struct service *svc)
{
	return svc->not_answering_ms > svc->state_ms ? svc->not_answering_ms : svc->state_ms;
}

/* Whether the service is dead for good: its claim, and all that goes with it. */
static bool
is_dead(const struct mender *m, const struct service *svc, int64_t *next)
{
	if (svc->claim->pinned)
		return false;
	if (svc->runner_gone_ms != 0 && is_over(m, svc->runner_gone_ms, next))
		return true;
	return svc->state == SERVICE_ORPHAN && !service_answers(&svc->evidence) &&
	       is_over(m, dead_since(svc), next);
}

/* Whether Caddy has lost the way to it. */
static bool
has_lost_route(const struct mender *m, const struct service *svc, int64_t *next)
{
	struct caddy_info caddy = caddy_watch_info(m->d->caddy);
	int64_t at = svc->route_missing_ms + NEW_ROUTE_MS, until;

	/* what has no URL was never registered */
	if (caddy.state != CADDY_UP || svc->route_missing_ms == 0 || svc->claim->url == NULL ||
	    svc->state == SERVICE_ORPHAN || svc->runner_gone_ms != 0)
		return false;
	if (mender_is_fought(m, svc->claim->id.s, &until)) {
		*next = *next == 0 || until < *next ? until : *next;
		return false;
	}
	if (svc->had_route)
		return true;
	if (at > dm_now_ms()) {
		if (*next == 0 || at < *next)
			*next = at;
		return false;
	}
	return caddy.read_ms > svc->route_missing_ms + NEW_ROUTE_MS / 2;
}

/* Whether Caddy has its route more than once. */
static bool
has_copies(const struct mender *m, const struct claim *claim)
{
	const struct caddy_view *view = m->d->session->view;

	return claim->registration == CLAIM_ROUTE && view != NULL &&
	       caddy_view_count(view, claim->id.s) > 1;
}

bool
mender_may(const struct claim *claim, void *user)
{
	const struct mender *m = user;
	const struct service *svc = services_find(m->d->services, claim->id.s);
	int64_t ignored = 0;

	return svc != NULL && (is_dead(m, svc, &ignored) || has_lost_route(m, svc, &ignored) ||
				  has_copies(m, svc->claim));
}

/* ---- looking for what is wrong ---------------------------------------------------------- */

static void
remove_socket(struct mender *m, const char *path, const struct dm_sock_info *seen)
{
	struct dm_err err;
	bool removed = false;
	DM_AUTO_FREE char *name = dm_path_base(path);

	if (!dm_sock_unlink_stale(path, seen, &removed, &err)) {
		mender_tell_failure(m, err.msg);
		return;
	}
	if (removed)
		mender_tell(m, &(struct mend){.what = "removed",
				   .kind = "socket",
				   .name = path,
				   .reason = "nobody listens on it"});
	services_hint(m->d->services, name);
}

static bool
is_ours_and_refuses(const struct dm_sock_info *info)
{
	return info->state == DM_SOCK_REFUSED && info->owner == geteuid() && !info->is_link;
}

static bool
was_told(const struct mender *m, const struct dm_proc_id *id)
{
	for (size_t i = 0; i < m->told_count; i++) {
		if (m->told[i].pid == id->pid && m->told[i].start == id->start)
			return true;
	}
	return false;
}

/* Whether it is the very server that was seen in the worktree. */
static bool
is_own_server(const struct service *svc)
{
	return svc->pid != 0 && svc->pid == svc->own.pid && dm_proc_alive(&svc->own);
}

/* Whether its working directory was in the worktree, and removed with it. */
static bool
is_left_inside(const struct service *svc)
{
	bool removed = false;
	DM_AUTO_FREE char *cwd = dm_proc_cwd_last(svc->pid, &removed);

	return cwd != NULL && removed && dm_path_inside(svc->claim->worktree, cwd);
}

/*
 * A living server whose worktree is gone may only have gone elsewhere with it; another one, on the
 * same port by now, says nothing.
 */
static void
follow_server(struct mender *m, const struct service *svc)
{
	DM_AUTO_FREE char *cwd = is_own_server(svc) ? dm_proc_cwd(svc->pid) : NULL;
	DM_AUTO_FREE char *top = cwd == NULL ? NULL : checkout_top(cwd);

	if (top != NULL && strcmp(top, svc->claim->worktree) != 0 &&
	    !dm_proc_alive(&svc->claim->run.runner))
		mender_moved(m, svc->claim->worktree, top);
}

/* Asks a server to end whose worktree is gone: that is wanted by configuration. */
static void
end_orphan(struct mender *m, const struct service *svc)
{
	DM_AUTO_FREE char *cwd = svc->pid == 0 ? NULL : dm_proc_cwd(svc->pid);
	struct dm_proc_id id;

	/* one that is somewhere else by now has only been moved */
	if (svc->pid == 0 || cwd != NULL || !(is_own_server(svc) || is_left_inside(svc)) ||
	    !dm_proc_id(svc->pid, &id) || was_told(m, &id) || kill(id.pid, SIGTERM) != 0)
		return;
	m->told = dm_reallocarray(m->told, m->told_count + 1, sizeof(m->told[0]));
	m->told[m->told_count++] = id;
	mender_tell(m, &(struct mend){.what = "ended",
			   .kind = "server",
			   .name = svc->claim->id.s,
			   .reason = "its worktree is gone"});
}

static void
say_here(void *user, const struct mend *mend)
{
	mender_tell(user, mend);
}

/* A socket that Caddy, run by somebody else, may not connect to. */
static void
open_socket(struct mender *m, const struct service *svc)
{
	const struct access_user *caddy = caddy_watch_user(m->d->caddy);
	const struct mend_options options = {.say = say_here, .user = m};
	struct dm_err err;

	if (caddy != NULL && caddy->uid != geteuid() && caddy->uid != 0 &&
	    svc->claim->socket != NULL && svc->evidence.listening &&
	    svc->socket.owner == geteuid() &&
	    !mend_socket_mode(svc->claim->socket, &svc->socket, caddy, &options, &err))
		mender_tell_failure(m, err.msg);
}

/* What can be put right here and now, without waiting for anybody. */
static void
mend_here(struct mender *m, const struct service *svc, int64_t *next)
{
	DM_AUTO_FREE char *usual = registry_socket(m->d->session->registry, svc->claim->id.s);
	bool conventional = svc->claim->socket != NULL && strcmp(svc->claim->socket, usual) == 0;

	if (conventional && is_ours_and_refuses(&svc->socket) && is_over(m, dead_since(svc), next))
		remove_socket(m, svc->claim->socket, &svc->socket);
	open_socket(m, svc);
	if (svc->state == SERVICE_ORPHAN && svc->evidence.listening)
		follow_server(m, svc);
	if (svc->state == SERVICE_ORPHAN && svc->evidence.listening && !svc->claim->pinned &&
	    m->d->session->conf->orphans == CONF_ORPHANS_END && is_over(m, svc->state_ms, next))
		end_orphan(m, svc);
}

/* A socket file without a claim: remembered, if it refuses, since when. */
static void
note_stray(struct mender *m, char *path)
{
	struct dm_sock_info seen;
	size_t i = 0;

	dm_sock_probe(path, &seen);
	while (i < m->stray_count && strcmp(m->strays[i].path, path) != 0)
		i++;
	if (!is_ours_and_refuses(&seen)) {
		free(path);
		return;
	}
	if (i == m->stray_count) {
		m->strays = dm_reallocarray(m->strays, i + 1, sizeof(m->strays[0]));
		m->strays[i] = (struct stray){
		    .path = path, .seen = seen, .since_ms = dm_now_ms(), .counted = true};
		m->stray_count++;
		return;
	}
	free(path);
	if (m->strays[i].seen.ino != seen.ino)
		m->strays[i].since_ms = dm_now_ms();
	m->strays[i].seen = seen;
	m->strays[i].counted = true;
}

static void
look_for_strays(struct mender *m, int64_t *next)
{
	const struct registry *reg = m->d->session->registry;
	char **ids = NULL;
	size_t count = 0;
	struct dm_err ignored;

	if (dm_now_ms() >= m->strays_ms) {
		m->strays_ms = dm_now_ms() + (int64_t)m->d->session->conf->probe_s * 1000;
		if (!registry_sockets(reg, &ids, &count, &ignored)) {
			/* nothing was seen: what is known stays as it is */
			*next = *next == 0 || m->strays_ms < *next ? m->strays_ms : *next;
			return;
		}
		for (size_t i = 0; i < m->stray_count; i++)
			m->strays[i].counted = false;
		for (size_t i = 0; i < count; i++) {
			if (services_find(m->d->services, ids[i]) == NULL)
				note_stray(m, registry_socket(reg, ids[i]));
			free(ids[i]);
		}
		free(ids);
	}
	for (size_t i = m->stray_count; i-- > 0;) {
		struct stray *stray = &m->strays[i];

		if (stray->counted && !is_over(m, stray->since_ms, next))
			continue;
		if (stray->counted)
			remove_socket(m, stray->path, &stray->seen);
		free(stray->path);
		m->strays[i] = m->strays[--m->stray_count];
	}
	if (*next == 0 || m->strays_ms < *next)
		*next = m->strays_ms;
}

struct route_look {
	const struct mender *m;
	bool dead;
};

/* Routes of our making to this registry, without a claim: mend.h knows whether they are dead. */
static void
consider_route(const struct cJSON *route, void *user)
{
	struct route_look *look = user;
	const char *id = route_id(route), *dial = route_dial(route);
	DM_AUTO_FREE char *socket = NULL;

	if (id == NULL || dial == NULL || !slug_valid(id) || !route_is_ours(route, id) ||
	    services_find(look->m->d->services, id) != NULL)
		return;
	socket = registry_socket(look->m->d->session->registry, id);
	look->dead = look->dead ||
		     (dm_starts_with(dial, "unix/") && strcmp(dial + strlen("unix/"), socket) == 0);
}

/* Whether there are routes without claims, for long enough, or some of ours twice. */
static void
look_at_routes(struct mender *m, int64_t *next)
{
	const struct caddy_view *view = m->d->session->view;
	struct route_look look = {.m = m};

	if (view == NULL)
		return;
	caddy_view_each_route(view, consider_route, &look);
	if (!look.dead)
		m->dead_routes_ms = 0;
	else if (m->dead_routes_ms == 0)
		m->dead_routes_ms = dm_now_ms();
	m->want_dead = look.dead && is_over(m, m->dead_routes_ms, next);
	m->want_clean = m->want_clean || m->want_dead;
	for (size_t i = 0; i < services_count(m->d->services) && !m->want_caddy; i++)
		m->want_caddy = has_copies(m, services_at(m->d->services, i)->claim);
}

/*
 * Whether the private mesh's Caddy has crashed: one that was ended in any other way has removed its
 * admin socket.
 */
static bool
has_crashed(struct mender *m, int64_t *next)
{
	const struct session *s = m->d->session;
	DM_AUTO_FREE char *path = session_private_admin(s);
	struct dm_sock_info info;

	if (s->conf->admin != NULL || caddy_watch_info(m->d->caddy).state != CADDY_DOWN)
		return false;
	dm_sock_probe(path, &info);
	if (!is_ours_and_refuses(&info))
		return false;
	/* below a service manager it would be a part of this service, and go with it */
	if (notify_wanted(m->d->notify)) {
		mender_tell_failure(m, "the private mesh's Caddy has crashed: devmesh start");
		return false;
	}
	/* whoever has ended it may be about to start it again */
	if (dm_now_ms() >= m->crashed_ms + CRASH_MS && m->crashed_ms != 0)
		return true;
	if (m->crashed_ms == 0)
		m->crashed_ms = dm_now_ms();
	if (*next == 0 || m->crashed_ms + CRASH_MS < *next)
		*next = m->crashed_ms + CRASH_MS;
	return false;
}

/* Adds a need to what tells the present needs from those of the last try (FNV-1a). */
static void
need(struct mender *m, const char *what)
{
	for (; *what != '\0'; what++)
		m->needs = (m->needs ^ (unsigned char)*what) * 1099511628211ULL;
}

static void
look_at_services(struct mender *m, int64_t *next)
{
	for (size_t i = 0; i < services_count(m->d->services); i++) {
		const struct service *svc = services_at(m->d->services, i);

		mend_here(m, svc, next);
		if (is_dead(m, svc, next)) {
			m->want_clean = true;
			need(m, svc->claim->id.s);
		}
		if (has_lost_route(m, svc, next)) {
			m->want_caddy = true;
			need(m, "/");
			need(m, svc->claim->id.s);
		}
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct mender *m = user;
	int64_t now = dm_now_ms(), next = 0;

	(void)fd;
	(void)what;
	m->due_ms = 0;
	m->looked_ms = now;
	if (m->working || m->d->draining)
		return;
	m->want_clean = m->want_caddy = m->want_dead = false;
	/* with every change of Caddy's a new try may be worth it */
	m->needs = caddy_watch_info(m->d->caddy).changes + 1;
	look_at_services(m, &next);
	look_for_strays(m, &next);
	look_at_routes(m, &next);
	if (now >= m->thorough_ms) {
		m->thorough_ms = now + THOROUGH_MS;
		m->want_clean = true;
	}
	m->want_start = has_crashed(m, &next);
	if (!m->want_start && caddy_watch_info(m->d->caddy).state == CADDY_UP)
		m->crashed_ms = 0;
	if (mender_has_moves(m))
		need(m, m->moves[m->move_count - 1].to);
	if (m->want_clean || m->want_caddy || m->want_start || m->move_count > 0) {
		/* what has just been tried in vain is not tried again at once */
		if (m->needs != m->tried || now >= m->not_before_ms) {
			m->tried = m->needs;
			mender_work(m);
			return;
		}
		if (next == 0 || m->not_before_ms < next)
			next = m->not_before_ms;
	} else {
		m->pause_ms = 0;
		m->tried = 0;
	}
	if (next != 0)
		schedule(m, next > now ? next - now : SOON_MS);
}
