/* SPDX-License-Identifier: MIT */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "caddy_watch.h"
#include "daemon.h"
#include "events.h"
#include "local.h"
#include "mender_impl.h"
#include "out.h"
#include "register.h"
#include "services.h"
#include "workers.h"

enum {
	JOB_MS = 60000,
	/* after a try that has mended nothing */
	PAUSE_MIN_MS = 1000,
	PAUSE_MAX_MS = 60000,
	STATUS_TIMEOUT = 124,
	/* a route that was mended so often, each time within so long of the last */
	FOUGHT = 5,
	FOUGHT_FOR_MS = 600 * 1000,
};

/* ---- what was done ---------------------------------------------------------------------- */

static cJSON *
mend_data(const struct mend *mend)
{
	cJSON *data = cJSON_CreateObject();

	out_add_text(data, "what", mend->what);
	out_add_text(data, "kind", mend->kind);
	out_add_text(data, "name", mend->name);
	out_add_text(data, "reason", mend->reason);
	return data;
}

/* Takes `data`. */
static void
publish(struct mender *m, cJSON *data)
{
	const char *what = cJSON_GetStringValue(cJSON_GetObjectItem(data, "what"));
	const char *kind = cJSON_GetStringValue(cJSON_GetObjectItem(data, "kind"));
	const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(data, "name"));
	const char *reason = cJSON_GetStringValue(cJSON_GetObjectItem(data, "reason"));
	/* deleting takes them along */
	DM_AUTO_FREE char *id = dm_strdup(name);

	dm_note("%s %s %s: %s", what, kind, name, reason);
	m->counts.mends++;
	events_publish(m->d->events, EVENT_MEND, id, data);
}

void
mender_tell(struct mender *m, const struct mend *mend)
{
	publish(m, mend_data(mend));
}

void
mender_tell_failure(struct mender *m, const char *message)
{
	cJSON *data;

	m->counts.failures++;
	m->failed = true;
	if (m->problem != NULL && strcmp(m->problem, message) == 0)
		return; /* once is enough */
	free(m->problem);
	m->problem = dm_strdup(message);
	dm_warn("%s", message);
	data = cJSON_CreateObject();
	(void)cJSON_AddStringToObject(data, "what", "failed");
	(void)cJSON_AddNullToObject(data, "kind");
	(void)cJSON_AddNullToObject(data, "name");
	out_add_text(data, "reason", message);
	events_publish(m->d->events, EVENT_MEND, NULL, data);
}

/* Forgets the first ones. */
static void
forget_moves(struct mender *m, size_t count)
{
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		free(m->moves[i].from);
		free(m->moves[i].to);
	}
	m->move_count -= count;
	memmove(m->moves, m->moves + count, m->move_count * sizeof(*m->moves));
}

/* Whether a claim is to follow: a devmesh run takes care of its own. */
static bool
is_to_follow(const struct service *svc, const struct move *move)
{
	return strcmp(move->from, svc->claim->worktree) == 0 &&
	       !dm_proc_alive(&svc->claim->run.runner);
}

bool
mender_has_moves(struct mender *m)
{
	for (size_t i = m->move_count; i-- > 0;) {
		struct move move = m->moves[i];
		bool wanted = false;

		for (size_t j = 0; j < services_count(m->d->services); j++)
			wanted = wanted || is_to_follow(services_at(m->d->services, j), &move);
		if (wanted)
			continue;
		m->moves[i] = m->moves[0];
		m->moves[0] = move;
		forget_moves(m, 1);
	}
	return m->move_count > 0;
}

void
mender_close_moves(struct mender *m)
{
	forget_moves(m, m->move_count);
	free(m->moves);
	for (size_t i = 0; i < m->mended_route_count; i++)
		free(m->mended_routes[i].id);
	free(m->mended_routes);
}

void
mender_moved(struct mender *m, const char *from, const char *to)
{
	if (m == NULL)
		return;
	for (size_t i = m->moving; i < m->move_count; i++) {
		if (strcmp(m->moves[i].from, from) == 0)
			return;
	}
	m->moves = dm_reallocarray(m->moves, m->move_count + 1, sizeof(m->moves[0]));
	m->moves[m->move_count++] = (struct move){.from = dm_strdup(from), .to = dm_strdup(to)};
	mender_consider(m);
}

/* ---- what is mended again and again ----- */

/* Remembers it, and forgets what was right for a while. */
static void
note_route(struct mender *m, const char *id)
{
	int64_t now = dm_now_ms(), since = caddy_watch_info(m->d->caddy).since;
	struct mended *one = NULL;

	for (size_t i = m->mended_route_count; i-- > 0;) {
		struct mended *known = &m->mended_routes[i];

		if (since != m->caddy_since || now - known->last_ms > FOUGHT_FOR_MS) {
			free(known->id);
			*known = m->mended_routes[--m->mended_route_count];
		}
	}
	m->caddy_since = since;
	for (size_t i = 0; i < m->mended_route_count; i++) {
		if (strcmp(m->mended_routes[i].id, id) == 0)
			one = &m->mended_routes[i];
	}
	if (one == NULL) {
		m->mended_routes = dm_reallocarray(
		    m->mended_routes, m->mended_route_count + 1, sizeof(*m->mended_routes));
		one = &m->mended_routes[m->mended_route_count++];
		*one = (struct mended){.id = dm_strdup(id)};
	}
	one->last_ms = now;
	if (++one->times == FOUGHT)
		dm_warn("the route %s is lost again and again: somebody else removes or replaces "
			"it; from now on it is put back ever more rarely",
		    id);
}

bool
mender_is_fought(const struct mender *m, const char *name, int64_t *until_ms)
{
	for (size_t i = 0; i < m->mended_route_count; i++) {
		const struct mended *one = &m->mended_routes[i];
		int64_t pause;

		if (one->times < FOUGHT || strcmp(one->id, name) != 0)
			continue;
		pause = (int64_t)PAUSE_MIN_MS
			<< (one->times - FOUGHT > 8 ? 8 : one->times - FOUGHT);
		*until_ms = one->last_ms + pause;
		return dm_now_ms() < *until_ms;
	}
	return false;
}

/* ---- the worker ------------------------------------------------------------------------- */

static void
print_mend(void *user, const struct mend *mend)
{
	cJSON *data = mend_data(mend);
	DM_AUTO_FREE char *text = cJSON_PrintUnformatted(data);

	(void)user;
	cJSON_Delete(data);
	(void)puts(text);
}

static void
print_failure(const struct dm_err *err)
{
	cJSON *o = cJSON_CreateObject();
	DM_AUTO_FREE char *text = NULL;

	out_add_text(o, "error", err->msg);
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	(void)puts(text);
}

/* The claims of worktrees that have moved, unless a devmesh run takes care of its own. */
static bool
follow_moves(const struct mender *m, struct session *s, struct dm_err *err)
{
	for (size_t i = 0; i < services_count(m->d->services); i++) {
		const struct service *svc = services_at(m->d->services, i);
		bool moved = false;

		for (size_t j = 0; j < m->move_count; j++) {
			if (!is_to_follow(svc, &m->moves[j]))
				continue;
			if (!register_moved(s, svc->claim, m->moves[j].to, &moved, err))
				return false;
			if (moved)
				print_mend(NULL, &(struct mend){.what = "moved",
						     .kind = "claim",
						     .name = svc->claim->id.s,
						     .reason = "its worktree was moved"});
		}
	}
	return true;
}

static bool
start_mesh(struct session *s, struct dm_err *err)
{
	struct local_mesh mesh;

	if (!local_start(s, &mesh, err))
		return dm_wrap(err, "starting the private mesh again");
	session_drop_view(s);
	if (!mesh.was_running)
		print_mend(NULL, &(struct mend){.what = "restarted",
				     .kind = "caddy",
				     .name = "the private mesh",
				     .reason = "it had crashed"});
	return true;
}

/* In a process of its own, with the daemon's table as it was. */
static int
work(void *arg)
{
	struct mender *m = arg;
	/* mender.c sees to stray sockets itself: it knows since when they are dead */
	struct mend_options options = {.may = mender_may,
	    .keep_sockets = true,
	    .keep_routes = !m->want_dead,
	    .say = print_mend,
	    .user = m};
	struct dm_err err = {.code = DM_OK};
	/* the daemon's own configuration, whatever is in the file by now */
	struct session *s = session_with(m->d->session->conf);
	int status = 0;

	if (m->want_start && !start_mesh(s, &err)) {
		print_failure(&err);
		status = 1;
	}
	if (session_need_registry(s, &err) && !follow_moves(m, s, &err)) {
		print_failure(&err);
		status = 1;
	}
	if (m->want_clean && !mend_clean_up(s, &options, &err)) {
		print_failure(&err);
		status = 1;
	}
	if (m->want_caddy && !mend_caddy(s, &options, &err)) {
		print_failure(&err);
		status = 1;
	}
	session_free(s);
	return status;
}

static bool
is_text(const cJSON *o, const char *key, const char *text)
{
	const char *found = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));

	return found != NULL && strcmp(found, text) == 0;
}

/* One line of the worker's. */
static void
take_line(struct mender *m, const char *line, size_t length)
{
	cJSON *o = cJSON_ParseWithLength(line, length);
	const char *error = cJSON_GetStringValue(cJSON_GetObjectItem(o, "error"));

	if (error != NULL) {
		mender_tell_failure(m, error);
	} else if (cJSON_GetStringValue(cJSON_GetObjectItem(o, "what")) != NULL) {
		m->mended++;
		if (is_text(o, "kind", "route") && !is_text(o, "what", "removed"))
			note_route(m, cJSON_GetStringValue(cJSON_GetObjectItem(o, "name")));
		publish(m, o);
		return;
	}
	cJSON_Delete(o);
}

static void
worked(void *user, const struct worker_result *result)
{
	struct mender *m = user;
	const char *p = result->out, *end = result->out + result->len;

	m->working = m->failed = false;
	/* what could not be done is tried again, as long as there is somebody to follow */
	if (result->status == 0)
		forget_moves(m, m->moving);
	m->moving = 0;
	m->mended = 0;
	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((newline == NULL ? end : newline) - p);

		take_line(m, p, n);
		p += n + 1;
	}
	if (result->status != 0 && !m->failed)
		mender_tell_failure(m, result->status == STATUS_TIMEOUT
					   ? "putting things right took too long"
					   : "putting things right failed");
	if (!m->failed) {
		free(m->problem);
		m->problem = NULL;
	}
	if (m->mended > 0 && !m->failed)
		m->pause_ms = 0;
	else
		m->pause_ms = m->pause_ms == 0		       ? PAUSE_MIN_MS
			      : m->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS
							       : m->pause_ms * 2;
	m->not_before_ms = dm_now_ms() + m->pause_ms;
	m->dead_routes_ms = 0;
	caddy_watch_ask(m->d->caddy);
	services_sweep(m->d->services, "after a mend");
	mender_consider(m);
}

void
mender_work(struct mender *m)
{
	m->working = true;
	m->moving = m->move_count;
	workers_run(m->d->workers, work, m, JOB_MS, worked, m);
}
