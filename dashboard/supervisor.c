/* SPDX-License-Identifier: MIT */
#include "supervisor_impl.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/os.h"
#include "base/spawn.h"
#include "base/str.h"
#include "commands.h"
#include "daemon.h"
#include "exits.h"
#include "outputs.h"
#include "requests.h"
#include "services.h"
#include "state.h"
#include "timer.h"

enum {
	FIRST_DELAY_MS = 500, /* doubled with each failure */
	LAST_DELAY_MS = 30000,
	LASTING_MS = 10000, /* who has run so long has not failed to start */
	FAILURES_MAX = 8,
	CADDY_MS = 2000, /* between two tries while Caddy does not answer */
	IDLE_LOOK_MS = 5000,
	ARGV_MAX = COMMAND_WORDS_MAX + 32
};

struct supervisor {
	struct daemon *d;
	char *commands, *logs; /* directories */
	struct supervised **list;
	size_t count;
	struct event *timer;
};

/* ---- the table ---------------------------------------------------------------------------- */

static struct supervised *
find(const struct supervisor *sup, const char *id)
{
	for (size_t i = 0; i < sup->count; i++) {
		if (strcmp(sup->list[i]->id.s, id) == 0)
			return sup->list[i];
	}
	return NULL;
}

const struct supervised *
supervisor_find(const struct supervisor *sup, const char *id)
{
	return sup == NULL ? NULL : find(sup, id);
}

static void
drop(struct supervisor *sup, struct supervised *s)
{
	for (size_t i = 0; i < sup->count; i++) {
		if (sup->list[i] != s)
			continue;
		memmove(&sup->list[i], &sup->list[i + 1],
		    (sup->count - i - 1) * sizeof(struct supervised *));
		sup->count--;
		break;
	}
	if (s->runner.pid != 0)
		exits_remove(sup->d->exits, &s->runner);
	dm_note("%s: not supervised any more", s->id.s);
	supervised_free(s);
}

static void
plan(struct supervisor *sup)
{
	int64_t now = dm_now_ms(), next = -1;

	for (size_t i = 0; i < sup->count; i++) {
		const struct supervised *s = sup->list[i];
		int64_t ms = s->state == SUPERVISED_WAITING ? s->due_ms - now
			     : s->state == SUPERVISED_RUNNING && s->idle_stop_s > 0
				 ? (s->idle_stop_s < 20 ? s->idle_stop_s * 250 : IDLE_LOOK_MS)
				 : -1;

		if (ms >= 0 && (next < 0 || ms < next))
			next = ms;
		else if (s->state == SUPERVISED_WAITING && ms < 0)
			next = 0;
	}
	if (next >= 0)
		timer_in(sup->timer, next);
	else
		(void)event_del(sup->timer);
}

static void
become(struct supervisor *sup, struct supervised *s, enum supervised_state state)
{
	if (s->state != state)
		dm_note("%s: %s -> %s%s%s", s->id.s, supervised_state_name(s->state),
		    supervised_state_name(state), s->problem != NULL ? ": " : "",
		    s->problem != NULL ? s->problem : "");
	s->state = state;
	/* whether it is to be "starting" or "down" */
	(void)services_look(sup->d->services, s->id.s, "devmeshd starts and ends it");
	services_tell(sup->d->services, s->id.s, supervised_state_name(state));
	plan(sup);
}

/* What the record of today says. */
static void
take_record(const struct supervisor *sup, struct supervised *s, const struct command *c)
{
	const struct conf *conf = sup->d->session->conf;

	free(s->command);
	s->command = command_line((const char *const *)c->argv);
	s->on_request =
	    c->on_request == COMMAND_AS_CONFIGURED ? conf->on_request : c->on_request != 0;
	s->idle_stop_s =
	    c->idle_stop_s == COMMAND_AS_CONFIGURED ? (int64_t)conf->idle_stop : c->idle_stop_s;
}

static struct supervised *
add(struct supervisor *sup, const struct command *c)
{
	struct supervised *s = find(sup, c->id.s);

	if (s == NULL) {
		s = dm_calloc(1, sizeof(*s));
		s->id = c->id;
		s->state = SUPERVISED_STOPPED;
		s->status = -1;
		sup->list = dm_reallocarray(sup->list, sup->count + 1, sizeof(struct supervised *));
		sup->list[sup->count++] = s;
	}
	take_record(sup, s, c);
	return s;
}

/* Whether it is to run is remembered for the next start. */
static void
note_wanted(const struct supervisor *sup, const char *id, bool wanted)
{
	struct dm_err err;
	dm_auto(command) c = command_load(sup->commands, id, &err);

	if (c == NULL || c->wanted == wanted)
		return;
	c->wanted = wanted;
	if (!command_update(sup->commands, c, &err) && err.code != DM_NOT_FOUND)
		dm_warn("%s", err.msg);
}

/* ---- starting ----------------------------------------------------------------------------- */

/* The devmesh beside this devmeshd; the caller owns it. */
static char *
program(void)
{
	DM_AUTO_FREE char *self = dm_os_self_exe();
	DM_AUTO_FREE char *dir = self == NULL ? NULL : dm_path_dir(self);
	DM_AUTO_FREE char *beside = dir == NULL ? NULL : dm_asprintf("%s/devmesh", dir);

	return beside != NULL && access(beside, X_OK) == 0 ? DM_STEAL(&beside)
							   : dm_strdup("devmesh");
}

/* Where the run itself complains; what its command writes goes to its log. */
static char *
words_path(const struct supervisor *sup, const char *id)
{
	return dm_asprintf("%s/%s.start", sup->logs, id);
}

static bool
launch(struct supervisor *sup, struct supervised *s, struct command *c, struct dm_err *err)
{
	DM_AUTO_FREE char *devmesh = program(), *words = words_path(sup, s->id.s);
	const char *argv[ARGV_MAX] = {
	    devmesh, "run", "--supervised", "--id", s->id.s, "--app", c->app.s};
	struct dm_background request = {
	    .argv = argv, .env = c->env, .dir = c->dir, .log_path = words};
	size_t n = 7;
	pid_t pid;

	for (size_t i = 0; c->options[i] != NULL; i++)
		argv[n++] = c->options[i];
	argv[n++] = "--";
	for (size_t i = 0; c->argv[i] != NULL; i++)
		argv[n++] = c->argv[i];
	if (access(c->dir, X_OK) != 0)
		return dm_fail_errno(err, errno, "going to %s", c->dir);
	if (!dm_make_dirs(sup->logs, 0700, err))
		return false;
	(void)unlink(words);
	if (!dm_start_background_in(&request, &pid, err))
		return false;
	if (!dm_proc_id(pid, &s->runner)) {
		s->runner.pid = 0;
		return dm_fail(err, DM_FAILED, "starting %s: it has gone at once", devmesh);
	}
	exits_add(sup->d->exits, &s->runner);
	s->started_ms = s->busy_ms = dm_now_ms();
	/* for the daemon after this one */
	c->runner = s->runner;
	if (!command_update(sup->commands, c, err)) {
		dm_warn("%s", err->msg);
		/* it was taken down just now: what was started goes as well */
		if (err->code == DM_NOT_FOUND)
			(void)kill(pid, SIGTERM);
	}
	return true;
}

/* It has failed: later again, unless that has been tried often enough, or is hopeless. */
static void
fail(struct supervisor *sup, struct supervised *s, bool hopeless)
{
	int64_t delay = FIRST_DELAY_MS;

	s->failures = dm_now_ms() - s->started_ms < LASTING_MS ? s->failures + 1 : 1;
	for (unsigned i = 1; i < s->failures && delay < LAST_DELAY_MS; i++)
		delay *= 2;
	s->due_ms = dm_now_ms() + (delay < LAST_DELAY_MS ? delay : LAST_DELAY_MS);
	become(sup, s,
	    hopeless || s->failures >= FAILURES_MAX ? SUPERVISED_FAILED : SUPERVISED_WAITING);
}

static void
start_now(struct supervisor *sup, struct supervised *s)
{
	struct dm_err err;
	dm_auto(command) c = command_load(sup->commands, s->id.s, &err);

	if (c == NULL && err.code == DM_NOT_FOUND) {
		drop(sup, s);
		return;
	}
	if (c != NULL)
		take_record(sup, s, c);
	if (c != NULL && launch(sup, s, c, &err)) {
		supervised_problem(s, NULL);
		become(sup, s, SUPERVISED_RUNNING);
		return;
	}
	supervised_problem(s, err.msg);
	s->started_ms = dm_now_ms();
	/* neither a directory that is gone nor a record that is damaged comes back in a moment */
	fail(sup, s, true);
}

bool
supervisor_start(struct supervisor *sup, const char *id, struct dm_err *err)
{
	dm_auto(command) c = command_load(sup->commands, id, err);
	struct supervised *s;

	if (getenv("DEVMESHD_SANDBOX") != NULL) {
		(void)dm_fail(err, DM_DENIED,
		    "starting %s: this devmeshd is a service of the system, and what it starts "
		    "could "
		    "not write to your files",
		    id);
		return dm_hint(err, "devmesh service uninstall, then install it without --system");
	}
	if (c == NULL)
		return false;
	note_wanted(sup, id, true);
	s = add(sup, c);
	if (s->state == SUPERVISED_STOPPING)
		s->again = true;
	if (s->state == SUPERVISED_RUNNING || s->state == SUPERVISED_STOPPING)
		return true;
	s->failures = s->restarts = 0;
	s->status = -1;
	supervised_problem(s, NULL);
	start_now(sup, s);
	return true;
}

/* ---- ending ------------------------------------------------------------------------------- */

static void
end(struct supervisor *sup, struct supervised *s, bool again, bool idle)
{
	s->again = again;
	s->idle = idle;
	if (s->runner.pid == 0) {
		become(sup, s, SUPERVISED_STOPPED);
		return;
	}
	/* it may have ended just now: has_ended() is told in any case */
	if (dm_proc_alive(&s->runner))
		(void)kill(s->runner.pid, SIGTERM);
	become(sup, s, SUPERVISED_STOPPING);
}

bool
supervisor_stop(struct supervisor *sup, const char *id, struct dm_err *err)
{
	struct supervised *s = find(sup, id);

	if (s == NULL) {
		(void)dm_fail(err, DM_NOT_FOUND, "%s was not started by devmeshd", id);
		return dm_hint(err, "in its worktree: devmesh run -d -- npm run dev");
	}
	note_wanted(sup, id, false);
	supervised_problem(s, NULL);
	end(sup, s, false, false);
	return true;
}

bool
supervisor_restart(struct supervisor *sup, const char *id, struct dm_err *err)
{
	struct supervised *s = find(sup, id);

	if (s == NULL || (s->state != SUPERVISED_RUNNING && s->state != SUPERVISED_STOPPING))
		return supervisor_start(sup, id, err);
	note_wanted(sup, id, true);
	s->failures = s->restarts = 0;
	end(sup, s, true, false);
	return true;
}

/* Its name cannot be claimed without; that is no failure of the service, and may last. */
static bool
is_without_caddy(int status)
{
	return status == (int)DM_UNREACHABLE || status == (int)DM_TIMEOUT;
}

static void
wait_for_caddy(struct supervisor *sup, struct supervised *s)
{
	s->failures = 0;
	s->due_ms = dm_now_ms() + CADDY_MS;
	become(sup, s, SUPERVISED_WAITING);
}

static bool
is_hopeless(int status)
{
	return status == (int)DM_USAGE || status == (int)DM_NOT_FOUND ||
	       status == (int)DM_CONFLICT || status == (int)DM_DENIED;
}

static void
has_ended(struct supervisor *sup, struct supervised *s)
{
	DM_AUTO_FREE char *path = words_path(sup, s->id.s);
	DM_AUTO_FREE char *words = supervised_words(path);

	if (!dm_child_ended(s->runner.pid, &s->status))
		s->status = supervised_status(words);
	s->runner.pid = 0;
	if (!command_exists(sup->commands, s->id.s)) {
		drop(sup, s);
	} else if (s->state == SUPERVISED_STOPPING && s->again) {
		s->again = false;
		start_now(sup, s);
	} else if (s->state == SUPERVISED_STOPPING) {
		become(sup, s, s->idle ? SUPERVISED_IDLE : SUPERVISED_STOPPED);
	} else if (s->status == 0) {
		note_wanted(sup, s->id.s, false);
		supervised_problem(s, "it has ended by itself");
		become(sup, s, SUPERVISED_STOPPED);
	} else {
		bool own = supervised_explain(s, words);

		if (own && is_without_caddy(s->status))
			wait_for_caddy(sup, s);
		else
			fail(sup, s, own && is_hopeless(s->status));
	}
}

void
supervisor_process_ended(struct supervisor *sup, const struct dm_proc_id *id)
{
	for (size_t i = 0; sup != NULL && i < sup->count; i++) {
		struct supervised *s = sup->list[i];

		if (s->runner.pid != id->pid || s->runner.start != id->start)
			continue;
		has_ended(sup, s);
		return;
	}
}

void
supervisor_recheck(struct supervisor *sup, const char *id)
{
	struct supervised *s = find(sup, id);
	struct dm_err ignored;
	dm_auto(command) c = NULL;

	if (s == NULL)
		return;
	c = command_load(sup->commands, id, &ignored);
	/* its worktree was removed, and with it its claim */
	if (c != NULL && access(c->dir, F_OK) != 0 && errno == ENOENT)
		command_forget(sup->commands, id);
	else if (c != NULL || ignored.code != DM_NOT_FOUND)
		return;
	/* what was just being started was not there to be ended by whoever took it down */
	if (s->runner.pid != 0)
		end(sup, s, false, false);
	else
		drop(sup, s);
}

/* ---- as time goes by ---------------------------------------------------------------------- */

static bool
is_idle(const struct supervisor *sup, struct supervised *s)
{
	const struct service *svc = services_find(sup->d->services, s->id.s);
	int64_t now = dm_now_ms(), asked = requests_last_access_ms(sup->d->requests, s->id.s);

	/* what is over is in the access log; what lasts, a WebSocket, can be seen */
	if (asked != 0 && now - (dm_wall_ms() - asked) > s->busy_ms)
		s->busy_ms = now - (dm_wall_ms() - asked);
	/* while it starts nobody can ask it for anything; who may have a client is busy */
	if (svc == NULL || svc->state != SERVICE_UP || svc->claim->socket == NULL ||
	    dm_os_socket_clients(svc->claim->socket) != 0)
		s->busy_ms = now;
	return now - s->busy_ms > s->idle_stop_s * 1000;
}

static void
on_timer(evutil_socket_t fd, short what, void *user)
{
	struct supervisor *sup = user;
	int64_t now = dm_now_ms();

	(void)fd;
	(void)what;
	for (size_t i = sup->count; i-- > 0;) {
		struct supervised *s = sup->list[i];

		if (s->state == SUPERVISED_WAITING && now >= s->due_ms) {
			s->restarts++;
			start_now(sup, s);
		} else if (s->state == SUPERVISED_RUNNING && s->idle_stop_s > 0 &&
			   is_idle(sup, s)) {
			note_wanted(sup, s->id.s, false);
			end(sup, s, false, true);
		}
	}
	plan(sup);
}

bool
supervisor_wake(struct supervisor *sup, const char *id)
{
	const struct service *svc = state_find(sup->d, id);
	struct supervised *s = find(sup, svc == NULL ? id : svc->claim->id.s);
	struct dm_err err;

	if (s == NULL)
		return false;
	if (s->state == SUPERVISED_RUNNING || s->state == SUPERVISED_WAITING)
		return true;
	if (!s->on_request)
		return false;
	if (supervisor_start(sup, s->id.s, &err))
		return true;
	dm_warn("%s", err.msg);
	return false;
}

/* ---- from the beginning to the end -------------------------------------------------------- */

struct supervisor *
supervisor_open(struct daemon *d)
{
	struct supervisor *sup = dm_calloc(1, sizeof(*sup));

	sup->d = d;
	sup->commands = commands_dir(d->session);
	sup->logs = outputs_dir(d->session);
	sup->timer = evtimer_new(d->base, on_timer, sup);
	return sup;
}

void
supervisor_close(struct supervisor *sup)
{
	if (sup == NULL)
		return;
	for (size_t i = 0; i < sup->count; i++)
		supervised_free(sup->list[i]);
	event_free(sup->timer);
	free(sup->list);
	free(sup->commands);
	free(sup->logs);
	free(sup);
}

static void
resume_one(void *user, const char *id)
{
	struct supervisor *sup = user;
	struct dm_err err;
	dm_auto(command) c = command_load(sup->commands, id, &err);
	struct supervised *s;

	if (c == NULL) {
		dm_warn("%s", err.msg);
		return;
	}
	if (access(c->dir, F_OK) != 0 && errno == ENOENT) {
		dm_note("%s: forgotten, since %s is gone", id, c->dir);
		command_forget(sup->commands, id);
		return;
	}
	s = add(sup, c);
	if (c->runner.pid != 0 && dm_proc_alive(&c->runner)) {
		s->runner = c->runner;
		s->started_ms = s->busy_ms = dm_now_ms();
		exits_add(sup->d->exits, &s->runner);
		if (c->wanted)
			become(sup, s, SUPERVISED_RUNNING);
		else
			end(sup, s, false, false); /* as the daemon before had begun to */
	} else if (c->wanted && sup->d->session->conf->restore &&
		   !supervisor_start(sup, id, &err)) {
		dm_warn("%s", err.msg);
	}
}

void
supervisor_resume(struct supervisor *sup)
{
	commands_each(sup->commands, resume_one, sup);
}
