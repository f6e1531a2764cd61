/* SPDX-License-Identifier: MIT */
#include "caddy_watch.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/sock.h"
#include "base/str.h"
#include "daemon.h"
#include "events.h"
#include "exits.h"
#include "services.h"
#include "state.h"
#include "timer.h"

enum {
	ANSWER_MAX = 64 << 20,
	ADDRESSES_MAX = 4,
	/* between two questions: while it is up... */
	UP_MS = 1000,
	UP_SHARE = 200, /* ...and its answers take long, so many times as long */
	/* ...while it is down, and may come at any moment */
	DOWN_MIN_MS = 25,
	DOWN_MAX_MS = 500,
	SOON_MS = 10,
	/* a reload resets connections: so many failures in a row are none yet */
	RESETS = 5,
	QUESTION_FDS = 4, /* that a question takes at most at a time */
};

struct caddy_watch {
	struct daemon *d;
	struct event *timer;
	enum caddy_state state;
	char *problem;
	int64_t since, read_ms;
	unsigned changes;
	struct dm_proc_id process; /* pid 0: unknown */
	struct access_user user;
	bool user_known;

	/* The question under way; NULL: none. */
	struct bufferevent *question;
	struct dm_sock_address addresses[ADDRESSES_MAX];
	size_t address, address_count;
	int64_t asked_ms;
	bool again; /* asked once more meanwhile */
	unsigned resets;

	int64_t pause_ms; /* while it is down */
	uint64_t hash;	  /* of the last answer */
	size_t length;
};

static bool ask_next(struct caddy_watch *caddy);

const char *
caddy_state_name(enum caddy_state state)
{
	switch (state) {
	case CADDY_UNKNOWN:
		return "unknown";
	case CADDY_UP:
		return "up";
	case CADDY_DOWN:
		return "down";
	case CADDY_HUNG:
		return "hung";
	}
	return "unknown";
}

static void
forget_process(struct caddy_watch *caddy)
{
	if (caddy->process.pid != 0)
		exits_remove(caddy->d->exits, &caddy->process);
	caddy->process.pid = 0;
}

static void
end_question(struct caddy_watch *caddy)
{
	if (caddy->question != NULL)
		bufferevent_free(caddy->question);
	caddy->question = NULL;
}

void
caddy_watch_close(struct caddy_watch *caddy)
{
	if (caddy == NULL)
		return;
	end_question(caddy);
	forget_process(caddy);
	if (caddy->timer != NULL)
		event_free(caddy->timer);
	free(caddy->problem);
	free(caddy);
}

/* ---- what an answer means --------------------------------------------------------------- */

/* Tells that it has come, gone, or changed. */
static void
publish(struct caddy_watch *caddy, const char *reason)
{
	cJSON *data = state_of_caddy(caddy->d);

	(void)cJSON_AddStringToObject(data, "reason", reason);
	events_publish(caddy->d->events, EVENT_CADDY, NULL, data);
}

/* The question failed for good: Caddy is down, or hangs. */
static void
lost(struct caddy_watch *caddy, enum caddy_state state, const char *problem)
{
	struct session *s = caddy->d->session;
	bool moved = caddy->state != state;

	end_question(caddy);
	free(caddy->problem);
	caddy->problem = dm_strdup(problem);
	caddy->pause_ms = caddy->pause_ms == 0 || moved ? DOWN_MIN_MS : caddy->pause_ms * 2;
	if (caddy->pause_ms > DOWN_MAX_MS)
		caddy->pause_ms = DOWN_MAX_MS;
	timer_in(caddy->timer, caddy->again ? SOON_MS : caddy->pause_ms);
	caddy->again = false;
	caddy->resets = 0;
	if (!moved)
		return;
	dm_note("Caddy is %s: %s", caddy_state_name(state), problem);
	caddy->state = state;
	caddy->since = dm_wall_seconds();
	caddy->length = 0;
	caddy->hash = 0;
	if (state == CADDY_DOWN)
		forget_process(caddy);
	caddy_view_free(s->view);
	s->view = NULL;
	publish(caddy, "it does not answer");
	services_routes_changed(
	    caddy->d->services, state == CADDY_DOWN ? "Caddy is down" : "Caddy does not answer");
}

/* FNV-1a: whether the answer is the last one again. Who can write to Caddy need not fool it. */
static uint64_t
hash_of(const char *bytes, size_t n)
{
	uint64_t hash = 14695981039346656037ULL;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211ULL;
	return hash;
}

/* Whose process it is: for word of its end, and for what it may open. */
static void
find_process(struct caddy_watch *caddy)
{
	struct dm_proc_id id;
	pid_t pid = 0;
	uid_t uid;

	if (dm_proc_alive(&caddy->process) ||
	    (caddy->state == CADDY_UP && caddy->user_known && caddy->process.pid == 0))
		return;
	forget_process(caddy);
	caddy->user_known = caddy_admin_owner(caddy->d->session->admin, &uid, &pid);
	if (!caddy->user_known)
		return;
	access_user_of(uid, pid, &caddy->user);
	if (pid == 0 || !dm_proc_id(pid, &id))
		return;
	caddy->process = id;
	exits_add(caddy->d->exits, &id);
}

/* What Caddy is configured to do, as text. */
static bool
take_view(
    struct caddy_watch *caddy, int status, const char *body, size_t length, struct dm_err *err)
{
	struct session *s = caddy->d->session;
	struct caddy_view *view;
	uint64_t hash = hash_of(body, length);
	bool came = caddy->state != CADDY_UP, first = caddy->state == CADDY_UNKNOWN;

	if (status != 200 && status != 400)
		return dm_fail(err, DM_FAILED, "it answered %d: %.200s", status, body);
	find_process(caddy);
	caddy->read_ms = dm_now_ms();
	if (!came && hash == caddy->hash && length == caddy->length)
		return true;
	/* without any configuration the parent of "apps" is missing: 400 */
	view =
	    status == 400 ? caddy_view_parse("null", 4, err) : caddy_view_parse(body, length, err);
	if (view == NULL)
		return false;
	caddy->hash = hash;
	caddy->length = length;
	caddy_view_free(s->view);
	s->view = view;
	if (came) {
		caddy->state = CADDY_UP;
		caddy->since = dm_wall_seconds();
		free(caddy->problem);
		caddy->problem = NULL;
		caddy->pause_ms = 0;
		dm_note("Caddy answers at %s", caddy_admin_address(s->admin));
	} else {
		caddy->changes++;
	}
	publish(caddy, came ? "it answers" : "its configuration was changed");
	daemon_caddy_changed(caddy->d);
	services_routes_changed(caddy->d->services, first  ? "Caddy was asked"
						    : came ? "Caddy answers again"
							   : "Caddy's configuration was changed");
	return true;
}

static void
answered(struct caddy_watch *caddy)
{
	struct evbuffer *input = bufferevent_get_input(caddy->question);
	DM_AUTO_STR struct dm_str all = dm_str_make(ANSWER_MAX);
	size_t length = evbuffer_get_length(input), begin = 0;
	struct dm_err err = {.code = DM_OK};
	int64_t took = dm_now_ms() - caddy->asked_ms;
	int status;

	(void)dm_str_add(&all, evbuffer_pullup(input, -1), length);
	if (!http_get_answer(&all, &status, &begin, &err) ||
	    !take_view(caddy, status, all.data + begin, all.len - begin, &err)) {
		lost(caddy, CADDY_HUNG, err.msg);
		return;
	}
	end_question(caddy);
	caddy->resets = 0;
	timer_in(caddy->timer, caddy->again		 ? SOON_MS
			       : took * UP_SHARE > UP_MS ? took * UP_SHARE
							 : UP_MS);
	caddy->again = false;
}

/* ---- the question ----------------------------------------------------------------------- */

static void
failed(struct caddy_watch *caddy, int error)
{
	if (error == EAGAIN || error == ECONNRESET || error == EPIPE) {
		/* a reload, or more clients than it can take: nothing to conclude */
		if (caddy->resets++ < RESETS) {
			end_question(caddy);
			timer_in(caddy->timer, (int64_t)SOON_MS * (int64_t)caddy->resets);
			return;
		}
	}
	end_question(caddy);
	if (caddy->address < caddy->address_count && ask_next(caddy))
		return;
	lost(caddy,
	    error == EAGAIN || error == ECONNRESET || error == EPIPE ? CADDY_HUNG : CADDY_DOWN,
	    strerror(error));
}

static void
on_event(struct bufferevent *question, short what, void *user)
{
	struct caddy_watch *caddy = user;
	int error = EVUTIL_SOCKET_ERROR();

	if ((what & BEV_EVENT_CONNECTED) != 0)
		return;
	if ((what & BEV_EVENT_TIMEOUT) != 0)
		lost(caddy, CADDY_HUNG, "it accepts connections, and does not answer");
	else if ((what & BEV_EVENT_EOF) != 0 &&
		 evbuffer_get_length(bufferevent_get_input(question)) > 0)
		answered(caddy);
	else
		failed(caddy, (what & BEV_EVENT_EOF) != 0 || error == 0 ? ECONNRESET : error);
}

static void
on_read(struct bufferevent *question, void *user)
{
	if (evbuffer_get_length(bufferevent_get_input(question)) > ANSWER_MAX)
		lost(user, CADDY_HUNG, "its configuration is too large");
}

/* Asks at the next of its addresses; false if nothing is under way afterwards. */
static bool
ask_next(struct caddy_watch *caddy)
{
	struct session *s = caddy->d->session;
	const struct dm_sock_address *to = &caddy->addresses[caddy->address];
	DM_AUTO_FREE char *request = caddy_admin_get_request(s->admin, "/config/apps");
	const struct timeval limit = {.tv_sec = s->conf->timeout_ms / 1000,
	    .tv_usec = (suseconds_t)(s->conf->timeout_ms % 1000) * 1000};

	if (caddy->address >= caddy->address_count)
		return false;
	caddy->address++;
	caddy->question = bufferevent_socket_new(
	    caddy->d->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (caddy->question == NULL)
		return false;
	bufferevent_setcb(caddy->question, on_read, NULL, on_event, caddy);
	(void)bufferevent_set_timeouts(caddy->question, &limit, &limit);
	(void)evbuffer_add(bufferevent_get_output(caddy->question), request, strlen(request));
	(void)bufferevent_enable(caddy->question, EV_READ | EV_WRITE);
	if (bufferevent_socket_connect(
		caddy->question, (const struct sockaddr *)&to->address, (int)to->length) == 0)
		return true;
	end_question(caddy);
	return ask_next(caddy);
}

static void
ask(struct caddy_watch *caddy)
{
	struct session *s = caddy->d->session;
	struct dm_err err;

	if (caddy->question != NULL) {
		caddy->again = true;
		return;
	}
	caddy->asked_ms = dm_now_ms();
	/* without a socket nothing can be asked, which says nothing about Caddy */
	if (!dm_fds_left(QUESTION_FDS)) {
		caddy->again = false;
		timer_in(caddy->timer, UP_MS);
		return;
	}
	if (caddy->state != CADDY_UP) {
		/* it may be another one by now: the private mesh has come, say */
		caddy_admin_free(s->admin);
		s->admin = NULL;
		caddy->address_count = 0;
	}
	if (!session_need_admin(s, &err)) {
		lost(caddy, CADDY_DOWN, err.msg);
		return;
	}
	if (caddy->address_count == 0)
		caddy->address_count =
		    caddy_admin_addresses(s->admin, caddy->addresses, ADDRESSES_MAX);
	caddy->address = 0;
	if (ask_next(caddy))
		return;
	if (!dm_fds_left(QUESTION_FDS))
		timer_in(caddy->timer, UP_MS);
	else
		lost(caddy, CADDY_DOWN, "nobody listens at its address");
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	ask(user);
}

struct caddy_watch *
caddy_watch_open(struct daemon *d, struct dm_err *err)
{
	struct caddy_watch *caddy = dm_calloc(1, sizeof(*caddy));

	caddy->d = d;
	caddy->since = dm_wall_seconds();
	caddy->timer = evtimer_new(d->base, on_timer, caddy);
	if (caddy->timer == NULL) {
		(void)dm_fail(err, DM_FAILED, "making a timer");
		caddy_watch_close(caddy);
		return NULL;
	}
	timer_in(caddy->timer, 0);
	return caddy;
}

void
caddy_watch_ask(struct caddy_watch *caddy)
{
	if (caddy == NULL)
		return;
	if (caddy->question != NULL)
		caddy->again = true;
	else
		timer_in(caddy->timer, SOON_MS);
}

void
caddy_watch_reload(struct caddy_watch *caddy)
{
	end_question(caddy);
	forget_process(caddy); /* it may be another Caddy from now on */
	caddy->user_known = false;
	caddy->address_count = 0;
	caddy->state = CADDY_UNKNOWN;
	timer_in(caddy->timer, 0);
}

void
caddy_watch_process_ended(struct caddy_watch *caddy, const struct dm_proc_id *id)
{
	if (caddy->process.pid != id->pid || caddy->process.start != id->start)
		return;
	caddy->process.pid = 0;
	end_question(caddy);
	timer_in(caddy->timer, 0);
}

const struct access_user *
caddy_watch_user(const struct caddy_watch *caddy)
{
	return caddy->state == CADDY_UP && caddy->user_known ? &caddy->user : NULL;
}

struct caddy_info
caddy_watch_info(const struct caddy_watch *caddy)
{
	const struct caddy_admin *admin = caddy->d->session->admin;

	return (struct caddy_info){.state = caddy->state,
	    .admin = admin == NULL ? NULL : caddy_admin_address(admin),
	    .problem = caddy->problem,
	    .pid = caddy->process.pid,
	    .since = caddy->since,
	    .read_ms = caddy->read_ms,
	    .changes = caddy->changes};
}
