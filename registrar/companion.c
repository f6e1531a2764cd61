/* SPDX-License-Identifier: MIT */
#include "companion.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/os.h"
#include "base/paths.h"
#include "base/proc.h"
#include "base/sock.h"
#include "base/spawn.h"
#include "ctl/ctl.h"
#include "local.h"
#include "runner.h"
#include "service_unit.h"
#include "version.h"

#define PROGRAM "devmeshd"

enum {
	LOCK_MS = 30000,
	PROBE_MS = 2500, /* for one answer of a loaded machine */
	START_MS = 10000,
	SERVICE_MS = 8000, /* for what the service manager starts */
	STOP_MS = 5000,	   /* for each of: being asked, SIGTERM, SIGKILL */
	POLL_MS = 10,
	LOG_MAX = 5 << 20, /* then it becomes devmeshd.log.1 */
	WORDS_MAX = 8192,
};

extern char **environ;

const char *
companion_state_name(enum companion_state state)
{
	static const char *const names[] = {
	    [COMPANION_STOPPED] = "stopped",
	    [COMPANION_BUSY] = "busy",
	    [COMPANION_STOPPING] = "stopping",
	    [COMPANION_STARTING] = "starting",
	    [COMPANION_READY] = "ready",
	};

	return names[state];
}

void
companion_release(struct companion *c)
{
	free(c->version);
	cJSON_Delete(c->status);
	memset(c, 0, sizeof(*c));
}

char *
companion_log(const struct session *s)
{
	return dm_asprintf("%s/" PROGRAM ".log", s->state_dir);
}

static char *
lock_path(const struct session *s)
{
	return dm_asprintf("%s/" PROGRAM ".lock", s->state_dir);
}

char *
companion_program(void)
{
	DM_AUTO_FREE char *self = dm_os_self_exe(), *in_path = dm_find_program(PROGRAM);
	DM_AUTO_FREE char *dir = self == NULL ? NULL : dm_path_dir(self);
	DM_AUTO_FREE char *beside = dir == NULL ? NULL : dm_asprintf("%s/" PROGRAM, dir);
	DM_AUTO_FREE char *target = in_path == NULL ? NULL : realpath(in_path, NULL);
	DM_AUTO_FREE char *real = beside == NULL ? NULL : realpath(beside, NULL);

	if (real == NULL || access(beside, X_OK) != 0 ||
	    (target != NULL && strcmp(real, target) == 0))
		return DM_STEAL(&in_path);
	return DM_STEAL(&beside);
}

/* ---- what is there ------------------------------------------------------------------------ */

static bool
ask_status(const struct session *s, struct companion *out)
{
	struct dm_err err;
	dm_auto(ctl) ctl = ctl_open(s->state_dir, PROBE_MS, &err);
	CTL_AUTO_REPLY struct ctl_reply reply = {0};
	const cJSON *pid;

	if (ctl == NULL || !ctl_ask(ctl, "GET", "/control/status", NULL, PROBE_MS, &reply, &err)) {
		dm_debug("%s", err.msg);
		return false;
	}
	out->version = DM_STEAL(&reply.version);
	out->status = reply.body;
	reply.body = NULL;
	pid = cJSON_GetObjectItemCaseSensitive(out->status, "pid");
	if (cJSON_IsNumber(pid) && pid->valuedouble > 0)
		out->pid = (pid_t)pid->valuedouble;
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(out->status, "stopping")))
		out->state = COMPANION_STOPPING;
	else if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(out->status, "ready")))
		out->state = COMPANION_READY;
	else
		out->state = COMPANION_STARTING;
	return true;
}

/* The process that has written its pid into the lock file, if there is such a process. */
static bool
writer_of_lock(const struct session *s, struct dm_proc_id *out)
{
	DM_AUTO_FREE char *path = lock_path(s);
	DM_AUTO_STR struct dm_str text = dm_str_make(32);
	struct dm_err ignored;
	uint64_t pid;

	if (!dm_read_file(path, &text, &ignored))
		return false;
	text.data[strcspn(text.data, "\n")] = '\0';
	return dm_parse_uint(text.data, 1, INT32_MAX, &pid) && dm_proc_id((pid_t)pid, out);
}

void
companion_look(struct session *s, struct companion *out)
{
	DM_AUTO_FREE char *name = NULL;
	struct dm_proc_id id;
	struct dm_err ignored;

	memset(out, 0, sizeof(*out));
	if (!session_need_state_dir(s, &ignored) || ask_status(s, out) || !writer_of_lock(s, &id))
		return;
	/* without a try at the lock: that could be in the way of one that is just starting */
	name = dm_proc_name(id.pid);
	if (name == NULL || strcmp(name, PROGRAM) != 0)
		return;
	out->state = COMPANION_BUSY;
	out->pid = id.pid;
}

/*
 * Whether one runs: it holds its lock until its last moment. Asked only by who holds our own lock,
 * so that nothing of ours starts it meanwhile.
 */
static bool
is_locked(const struct session *s)
{
	DM_AUTO_FREE char *path = lock_path(s);
	DM_AUTO_CLOSE int fd = -1;
	struct dm_err err;

	return access(path, F_OK) == 0 && !dm_lock(path, 0, &fd, &err) && err.code == DM_TIMEOUT;
}

/* So that starts and stops come one after the other. */
static bool
take_turn(const struct session *s, int *fd, struct dm_err *err)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s/" PROGRAM ".start.lock", s->state_dir);

	return dm_lock(path, LOCK_MS, fd, err) || dm_wrap(err, "starting or ending " PROGRAM);
}

void
companion_check_version(const char *version)
{
	if (version != NULL && strcmp(version, DEVMESH_VERSION) != 0)
		dm_warn(PROGRAM " %s runs, and this is devmesh %s: devmesh daemon restart", version,
		    DEVMESH_VERSION);
}

/* ---- starting ----------------------------------------------------------------------------- */

static bool
is_setting(const char *name)
{
	if (strcmp(name, "DEVMESH_CONFIG") == 0)
		return true;
	for (size_t i = 0; i < conf_key_count; i++) {
		DM_AUTO_FREE char *known = conf_env_name(&conf_keys[i]);

		if (strcmp(name, known) == 0)
			return true;
	}
	return false;
}

/*
 * It serves every worktree and outlives this one: it keeps the settings, but neither the name of a
 * service, nor the mark of a run, nor the sockets of the service that this may be a part of.
 */
static void
clean_environment(void)
{
	static const char *const others[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
	    "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "INVOCATION_ID", "JOURNAL_STREAM",
	    "MAINPID"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		(void)unsetenv(others[i]);
	for (size_t i = 0; environ[i] != NULL;) {
		DM_AUTO_FREE char *name = dm_strndup(environ[i], strcspn(environ[i], "="));

		if (dm_starts_with(name, "DEVMESH_") && !is_setting(name) && unsetenv(name) == 0)
			continue; /* the next one has its place */
		i++;
	}
	(void)setenv(RUNNER_VARIABLE, "", 1);
}

/* What it said before it ended: the last line in which it calls something an error, and what to
 * try. */
static bool
fail_ended(const char *log, off_t from, int status, struct dm_err *err)
{
	static const char mark[] = "error: ", hint[] = "\n  try: ";
	DM_AUTO_STR struct dm_str text = dm_str_make(WORDS_MAX);
	const char *said, *next, *try;
	struct dm_err ignored;

	if (!dm_read_tail(log, from, &text, &ignored))
		text.len = 0;
	while (text.len > 0 && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	said = strstr(text.data, mark);
	while (said != NULL && (next = strstr(said + 1, mark)) != NULL)
		said = next;
	if (said != NULL)
		said += strlen(mark);
	else if ((said = strrchr(text.data, '\n')) != NULL)
		said++;
	else
		said = text.data;
	try = strstr(said, hint);
	(void)dm_fail(err, DM_FAILED, "starting " PROGRAM ": it ended with status %d: %.*s", status,
	    (int)strcspn(said, "\n"), said[0] != '\0' ? said : "it said nothing");
	if (try == NULL)
		return dm_hint(err, "see %s", log);
	try += strlen(hint);
	return dm_hint(err, "%.*s", (int)strcspn(try, "\n"), try);
}

/* Instead of a child of ours. */
enum {
	HOLDER = 0,   /* whoever has the lock */
	MANAGED = -1, /* what the service manager starts, and may start again */
};

/* Waits until one is ready; or, without a sense in waiting on, has ended: *status is a child's. */
static bool
await_ready(struct session *s, pid_t child, int64_t wait_ms, struct companion *out, int *status)
{
	int64_t deadline = dm_now_ms() + wait_ms;

	for (;;) {
		companion_release(out);
		companion_look(s, out);
		if (out->state == COMPANION_READY)
			return true;
		if (child > 0 ? dm_child_ended(child, status) : child == HOLDER && !is_locked(s))
			return false;
		if (dm_now_ms() > deadline) {
			/* it answers: a first look at a large mesh may take its time */
			if (out->state == COMPANION_STARTING)
				dm_note(PROGRAM " runs (pid %ld), and still looks around",
				    (long)out->pid);
			return out->state == COMPANION_STARTING;
		}
		dm_pause_ms(POLL_MS);
	}
}

static off_t
open_log(const char *log)
{
	DM_AUTO_FREE char *old = dm_asprintf("%s.1", log);
	struct stat st;

	if (lstat(log, &st) != 0)
		return 0;
	if (st.st_size <= LOG_MAX)
		return st.st_size;
	if (rename(log, old) != 0)
		dm_warn("renaming %s: %s", log, strerror(errno));
	return 0;
}

static bool
spawn(struct session *s, const char *config_file, struct companion *out, struct dm_err *err)
{
	DM_AUTO_FREE char *program = companion_program(), *log = companion_log(s);
	DM_AUTO_FREE char *config = config_file == NULL ? NULL : dm_absolute(config_file, err);
	const char *argv[] = {program, config == NULL ? NULL : "--config", config, NULL};
	off_t from = open_log(log);
	int status = -1;
	pid_t child;

	if (program == NULL) {
		(void)dm_fail(err, DM_NOT_FOUND,
		    "there is no " PROGRAM ", neither beside devmesh nor in PATH");
		return dm_hint(err, "install it, or set [daemon] start = no");
	}
	if (config_file != NULL && config == NULL)
		return false;
	clean_environment();
	if (!dm_start_background(argv, log, &child, err))
		return dm_wrap(err, "starting " PROGRAM);
	if (await_ready(s, child, START_MS, out, &status))
		return true;
	if (status >= 0)
		return fail_ended(log, from, status, err);
	(void)kill(child, SIGKILL);
	(void)dm_fail(err, DM_TIMEOUT, "starting %s: no answer within %d ms", program, START_MS);
	return dm_hint(err, "see %s", log);
}

static bool
fail_service(const struct service_unit *unit, const struct dm_err *asked, struct dm_err *err)
{
	DM_AUTO_FREE char *start = service_unit_line(unit, SERVICE_START);
	DM_AUTO_FREE char *logs = service_unit_line(unit, SERVICE_LOGS);

	(void)dm_fail(err, DM_UNREACHABLE,
	    "service-not-ready: %s is to run " PROGRAM " (%s), and it does not answer%s%s",
	    service_manager_name(), unit->path, asked->code != DM_OK ? ": " : "",
	    asked->code != DM_OK ? asked->msg : "");
	return dm_hint(err, "%s; to see why it does not: %s", start, logs);
}

static bool
start_service(struct session *s, const struct service_unit *unit, enum service_verb verb,
    struct companion *out, struct dm_err *err)
{
	struct dm_err asked = {.code = DM_OK};

	if (!service_manager_runs(unit->system)) {
		(void)dm_fail(err, DM_UNREACHABLE,
		    "service-not-ready: %s is to run " PROGRAM
		    " (%s), and does not run here itself",
		    service_manager_name(), unit->path);
		return dm_hint(err, "devmesh service uninstall; then devmesh daemon start");
	}
	if (!service_unit_ask(unit, verb, &asked))
		dm_debug("%s", asked.msg);
	if (await_ready(s, MANAGED, SERVICE_MS, out, NULL))
		return true;
	return fail_service(unit, &asked, err);
}

/* Waits for the one that has the lock, or spawns one. */
static bool
start_alone(struct session *s, const char *config_file, struct companion *out, struct dm_err *err)
{
	DM_AUTO_CLOSE int turn = -1;

	if (!take_turn(s, &turn, err))
		return false;
	if (is_locked(s)) {
		if (await_ready(s, HOLDER, START_MS, out, NULL)) {
			out->was_running = true;
			return true;
		}
		if (is_locked(s)) {
			(void)dm_fail(err, DM_TIMEOUT,
			    PROGRAM " runs (pid %ld), and does not answer", (long)out->pid);
			return dm_hint(err, "devmesh daemon restart; devmesh daemon logs");
		}
	}
	return spawn(s, config_file, out, err);
}

bool
companion_start(
    struct session *s, const char *config_file, struct companion *out, struct dm_err *err)
{
	SERVICE_UNIT_AUTO struct service_unit unit = {.path = NULL};

	service_unit_find(&unit);
	memset(out, 0, sizeof(*out));
	if (!local_prepare(s, err))
		return false;
	companion_look(s, out);
	if (out->state == COMPANION_READY) {
		out->was_running = true;
		companion_check_version(out->version);
		return true;
	}
	if (unit.path != NULL)
		return start_service(s, &unit, SERVICE_START, out, err);
	return start_alone(s, config_file, out, err);
}

/* ---- ending ------------------------------------------------------------------------------- */

/* Whose the lock is: who answers on the control socket, else who is written down in it. */
static bool
find_holder(const struct session *s, struct dm_proc_id *out)
{
	DM_AUTO_FREE char *path = ctl_path(s->state_dir);
	struct dm_sock_info info;

	dm_sock_probe(path, &info);
	if (info.state == DM_SOCK_LISTENING && info.pid > 0 && info.listener_uid == geteuid() &&
	    dm_proc_id(info.pid, out))
		return true;
	return writer_of_lock(s, out);
}

static bool
await_end(const struct session *s, const struct dm_proc_id *id)
{
	int64_t deadline = dm_now_ms() + STOP_MS;
	int status;

	for (;;) {
		/* our own child would stay as a zombie; that counts as ended, but has a pid */
		(void)dm_child_ended(id->pid, &status);
		if (!dm_proc_alive(id) && !is_locked(s))
			return true;
		if (dm_now_ms() > deadline)
			return false;
		dm_pause_ms(POLL_MS);
	}
}

/* Whether it has heard. */
static bool
ask_to_end(const struct session *s)
{
	struct dm_err err;
	dm_auto(ctl) ctl = ctl_open(s->state_dir, PROBE_MS, &err);
	CTL_AUTO_REPLY struct ctl_reply reply = {0};

	if (ctl != NULL && ctl_ask(ctl, "POST", "/control/stop", NULL, PROBE_MS, &reply, &err) &&
	    (reply.status < 400 || ctl_refused(&reply, "ending " PROGRAM, &err)))
		return true;
	dm_debug("%s", err.msg);
	return false;
}

bool
companion_stop(struct session *s, pid_t *pid, struct dm_err *err)
{
	static const int signals[] = {SIGTERM, SIGKILL};
	DM_AUTO_CLOSE int turn = -1;
	struct dm_proc_id id;

	*pid = 0;
	if (!session_need_state_dir(s, err))
		return false;
	if (access(s->state_dir, F_OK) != 0)
		return true;
	if (!take_turn(s, &turn, err))
		return false;
	if (!is_locked(s))
		return true;
	if (!find_holder(s, &id))
		return dm_fail(err, DM_FAILED,
		    "ending " PROGRAM ": a process holds the lock %s/" PROGRAM
		    ".lock, and nothing says which",
		    s->state_dir);
	if (ask_to_end(s) && await_end(s, &id)) {
		*pid = id.pid;
		return true;
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		dm_warn(
		    PROGRAM " (pid %ld) does not end: sending signal %d", (long)id.pid, signals[i]);
		/* to that very process, as long as it is there */
		if (dm_proc_alive(&id) && kill(id.pid, signals[i]) == 0)
			(void)kill(id.pid, SIGCONT); /* one that is stopped hears nothing */
		if (await_end(s, &id)) {
			*pid = id.pid;
			return true;
		}
	}
	return dm_fail(err, DM_TIMEOUT, "ending " PROGRAM ": pid %ld does not end", (long)id.pid);
}

bool
companion_restart(
    struct session *s, const char *config_file, struct companion *out, struct dm_err *err)
{
	SERVICE_UNIT_AUTO struct service_unit unit = {.path = NULL};
	struct dm_err none = {.code = DM_OK};
	pid_t pid;

	service_unit_find(&unit);
	memset(out, 0, sizeof(*out));
	if (!local_prepare(s, err))
		return false;
	if (unit.path == NULL)
		return companion_stop(s, &pid, err) && companion_start(s, config_file, out, err);
	if (service_manager_runs(unit.system))
		return start_service(s, &unit, SERVICE_RESTART, out, err);
	return fail_service(&unit, &none, err);
}
