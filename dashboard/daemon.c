/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <cjson/cJSON.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/str.h"
#include "caddy_watch.h"
#include "events.h"
#include "exits.h"
#include "finder.h"
#include "home.h"
#include "mender.h"
#include "notify.h"
#include "parts.h"
#include "services.h"
#include "shares.h"
#include "store.h"
#include "supervisor.h"
#include "timer.h"
#include "tree_watch.h"
#include "version.h"

enum {
	LOG_MAX = 5 << 20,
	TICK_MS = 1000,	 /* the history is written, the service manager told */
	READY_MS = 5,	 /* the same while everything is looked at for the first time */
	DRAIN_MS = 3000, /* for what is under way when it has to stop */
};

/* ---- single things ---------------------------------------------------------------------- */

static void
say(struct daemon *d, const char *what, const char *reason)
{
	cJSON *data = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(data, "what", what);
	(void)cJSON_AddStringToObject(data, "version", DEVMESH_VERSION);
	(void)cJSON_AddNumberToObject(data, "pid", (double)getpid());
	(void)cJSON_AddItemToObject(
	    data, "reason", reason == NULL ? cJSON_CreateNull() : cJSON_CreateString(reason));
	events_publish(d->events, EVENT_DAEMON, NULL, data);
}

void
daemon_asked(struct daemon *d)
{
	bool slept = dm_now_ms() - d->asked_at > 10000;

	d->asked_at = dm_now_ms();
	if (slept)
		finder_hint(d->finder);
}

void
daemon_caddy_changed(struct daemon *d)
{
	home_settle(d);
	parts_caddy_changed(d);
}

void
daemon_hint(struct daemon *d, const char *dir, const char *name)
{
	if (strcmp(dir, registry_dir(d->session->registry)) == 0)
		services_hint(d->services, name);
	else if (!shares_hint(d->shares, dir, name))
		tree_watch_hint(d->trees, dir, name);
}

void
daemon_process_ended(struct daemon *d, const struct dm_proc_id *id)
{
	caddy_watch_process_ended(d->caddy, id);
	services_process_ended(d->services, id);
	supervisor_process_ended(d->supervisor, id);
}

/* The first look is over when Caddy has answered, or has not. */
static void
note_ready(struct daemon *d)
{
	if (d->ready || d->settling || caddy_watch_info(d->caddy).state == CADDY_UNKNOWN)
		return;
	d->ready = true;
	say(d, "ready", NULL);
	dm_note("ready: %zu services", services_count(d->services));
	notify_ready(d->notify, "watching");
}

/* ---- the loop --------------------------------------------------------------------------- */

static void
tick(struct daemon *d)
{
	int64_t ms = d->ready ? TICK_MS : READY_MS, alive = notify_alive_interval_ms(d->notify);

	if (alive > 0 && alive < ms)
		ms = alive;
	timer_in(d->tick, ms);
}

/*
 * The log that devmesh daemon start has opened for us: when it is large it becomes "<log>.1", and
 * another one is begun. Whatever else stderr is, it is somebody else's affair.
 */
static void
rotate_log(const struct daemon *d)
{
	DM_AUTO_FREE char *log = dm_asprintf("%s/devmeshd.log", d->session->state_dir);
	DM_AUTO_FREE char *old = dm_asprintf("%s.1", log);
	DM_AUTO_CLOSE int fd = -1;
	struct stat ours, st;

	if (fstat(STDERR_FILENO, &ours) != 0 || !S_ISREG(ours.st_mode) || ours.st_size < LOG_MAX ||
	    lstat(log, &st) != 0 || st.st_ino != ours.st_ino || st.st_dev != ours.st_dev ||
	    rename(log, old) != 0)
		return;
	fd = open(log, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0 && dup2(fd, STDERR_FILENO) >= 0)
		(void)dup2(fd, STDOUT_FILENO);
}

static void
on_tick(evutil_socket_t fd, short what, void *user)
{
	struct daemon *d = user;

	(void)fd;
	(void)what;
	note_ready(d);
	store_flush(d->store, dm_wall_seconds() * 1000);
	notify_alive(d->notify);
	rotate_log(d);
	tick(d);
}

static void
on_event(void *user, const struct event *event)
{
	const struct store_event stored = {.seq = event->seq,
	    .time_ms = event->time_ms,
	    .kind = event_kind_name(event->kind),
	    .id = event->id,
	    .json = event->json};

	store_event(user, &stored);
}

/* It may have been taken down. Whoever has taken the daemon's own claim back has not meant that it
 * goes on without a name. */
static void
on_claim_gone(void *user, const struct event *event)
{
	struct daemon *d = user;

	if (event->kind == EVENT_SERVICE_GONE)
		supervisor_recheck(d->supervisor, event->id);
	if (event->kind == EVENT_SERVICE_GONE && d->id != NULL && strcmp(event->id, d->id) == 0 &&
	    !d->draining)
		home_settle(d);
}

void
daemon_stop(struct daemon *d)
{
	const struct timeval limit = {.tv_sec = DRAIN_MS / 1000};

	if (d->draining) {
		(void)event_base_loopbreak(d->base);
		return;
	}
	d->draining = true;
	dm_note("stopping");
	notify_stopping(d->notify);
	say(d, "stopping", NULL);
	parts_drain(d);
	(void)event_base_loopexit(d->base, &limit);
	daemon_drained(d);
}

void
daemon_drained(struct daemon *d)
{
	if (d->draining && parts_idle(d))
		(void)event_base_loopexit(d->base, NULL);
}

/* What a reload cannot change while it runs; NULL: nothing of that kind has changed. */
static const char *
fixed_key(const struct conf *old, const struct conf *new)
{
	if (strcmp(old->sockets_dir, new->sockets_dir) != 0)
		return "sockets.dir";
	if ((old->state_dir == NULL) != (new->state_dir == NULL) ||
	    (old->state_dir != NULL && strcmp(old->state_dir, new->state_dir) != 0))
		return "local.state_dir";
	return NULL;
}

/* A reload is over; that the start is, is told when it is. */
static void
tell_manager(struct daemon *d, const char *status)
{
	if (d->ready)
		notify_ready(d->notify, status);
	else
		notify_status(d->notify, status);
}

bool
daemon_reload(struct daemon *d, struct dm_err *err)
{
	struct conf *conf = conf_load(d->config_file, err), *old = d->session->conf;
	const char *fixed;

	notify_reloading(d->notify);
	if (conf == NULL) {
		(void)dm_wrap(err, "reading the configuration again; the old one stays");
		say(d, "reload-failed", err->msg);
		tell_manager(d, "the configuration is bad: the old one stays");
		return false;
	}
	fixed = fixed_key(old, conf);
	if (fixed != NULL)
		dm_warn("%s has changed: that takes a restart (devmesh daemon restart)", fixed);
	d->session->conf = conf;
	conf_free(old);
	parts_reload(d);
	say(d, "reloaded", NULL);
	dm_note("the configuration was read again");
	tell_manager(d, "watching");
	return true;
}

static void
on_signal(evutil_socket_t number, short what, void *user)
{
	struct daemon *d = user;
	struct dm_err err;

	(void)what;
	if (number != SIGHUP)
		daemon_stop(d);
	else if (!daemon_reload(d, &err))
		dm_warn("%s", err.msg);
}

/* ---- from the beginning to the end ------------------------------------------------------ */

/* Thousands of sockets and processes are watched by descriptors. */
static void
raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max > 65536 ? 65536 : limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* One daemon per user: who holds the lock says so in the file. */
static bool
take_lock(struct daemon *d, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/devmeshd.lock", d->session->state_dir);
	DM_AUTO_STR struct dm_str text = dm_str_make(64);
	struct dm_err ignored;
	DM_AUTO_FREE char *pid = NULL;

	if (!dm_lock(path, 0, &d->lock, err)) {
		if (err->code != DM_TIMEOUT)
			return false;
		if (!dm_read_file(path, &text, &ignored))
			return false;
		text.data[strcspn(text.data, "\n")] = '\0';
		(void)dm_fail(err, DM_CONFLICT, "devmeshd runs already (pid %s)", text.data);
		return dm_hint(err, "devmesh daemon status; devmesh daemon restart");
	}
	pid = dm_asprintf("%ld\n", (long)getpid());
	if (ftruncate(d->lock, 0) != 0 || !dm_write_all(d->lock, pid, strlen(pid)))
		return dm_fail(err, DM_FAILED, "writing %s", path);
	return true;
}

static bool
add_signals(struct daemon *d, struct dm_err *err)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		d->signals[i] = evsignal_new(d->base, numbers[i], on_signal, d);
		if (d->signals[i] == NULL || event_add(d->signals[i], NULL) != 0)
			return dm_fail(err, DM_FAILED, "waiting for signals");
	}
	return true;
}

/* The configuration, and the places that it names. */
static bool
open_places(struct daemon *d, struct dm_err *err)
{
	d->session = session_open(d->config_file, err);
	return d->session != NULL && session_need_state_dir(d->session, err) &&
	       dm_make_dirs(d->session->state_dir, 0700, err) &&
	       session_need_registry(d->session, err);
}

static bool
open_parts(struct daemon *d, struct dm_err *err)
{
	if ((d->base = event_base_new()) == NULL)
		return dm_fail(err, DM_FAILED, "making an event loop");
	d->tick = evtimer_new(d->base, on_tick, d);
	d->notify = notify_new();
	if (!add_signals(d, err) || !parts_open(d, err))
		return false;
	(void)events_subscribe(d->events, on_event, d->store);
	(void)events_subscribe(d->events, on_claim_gone, d);
	say(d, "started", NULL);
	if (!home_claim(d, err))
		return false;
	services_sweep(d->services, "the first look");
	supervisor_resume(d->supervisor);
	finder_scan(d->finder);
	return parts_serve(d, err);
}

static void
close_all(struct daemon *d)
{
	parts_close(d);
	for (size_t i = 0; i < sizeof(d->signals) / sizeof(d->signals[0]); i++) {
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	}
	if (d->tick != NULL)
		event_free(d->tick);
	notify_free(d->notify);
	if (d->base != NULL)
		event_base_free(d->base);
	home_forget(d);
	session_free(d->session);
	dm_closep(&d->lock);
}

bool
daemon_run(const char *config_file, struct dm_err *err)
{
	struct daemon d = {.config_file = config_file, .lock = -1, .started = dm_wall_seconds()};
	bool ok = open_places(&d, err) && take_lock(&d, err);

	raise_limits();
	/* a working directory of its own: it belongs to no worktree, and keeps none busy */
	if (ok && chdir(d.session->state_dir) != 0)
		ok = dm_fail(err, DM_FAILED, "going to %s", d.session->state_dir);
	ok = ok && open_parts(&d, err);
	if (ok) {
		tick(&d);
		(void)event_base_dispatch(d.base);
		dm_note("stopped");
	}
	close_all(&d);
	return ok;
}

bool
daemon_check(const char *config_file, struct dm_err *err)
{
	struct daemon d = {.config_file = config_file, .lock = -1};
	bool ok = open_places(&d, err);

	close_all(&d);
	return ok;
}
