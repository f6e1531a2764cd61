/* SPDX-License-Identifier: MIT */
#include "workers.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/str.h"
#include "cli.h"

enum {
	OUTPUT_MAX = 16 << 20,
	STATUS_TIMEOUT = 124,
	STATUS_NOT_STARTED = 125,
};

struct worker {
	struct workers *workers;
	struct worker *next;
	worker_job *job;
	void *arg;
	int64_t timeout_ms;
	worker_done *done;
	void *user;
	char **argv; /* of a verb; NULL: none */

	pid_t pid; /* 0: waits for its turn */
	int fd;	   /* its stdout */
	struct event *readable, *timeout;
	struct dm_str out;
};

struct workers {
	struct event_base *base;
	struct worker *list; /* in the order of arrival */
	size_t running;
	void (*idle)(void *user); /* NULL: nobody wants to know */
	void *idle_user;
	struct event *start; /* what could not be started is told from the loop */
};

static void start_some(evutil_socket_t fd, short what, void *user);

struct workers *
workers_new(struct event_base *base)
{
	struct workers *workers = dm_calloc(1, sizeof(*workers));

	workers->base = base;
	workers->start = evtimer_new(base, start_some, workers);
	return workers;
}

static void
worker_free(struct worker *w)
{
	if (w->readable != NULL)
		event_free(w->readable);
	if (w->timeout != NULL)
		event_free(w->timeout);
	dm_closep(&w->fd);
	for (size_t i = 0; w->argv != NULL && w->argv[i] != NULL; i++)
		free(w->argv[i]);
	free(w->argv);
	dm_str_release(&w->out);
	free(w);
}

/* Waits for its end, which is near, or made so: with all that it has started. */
static int
end(const struct worker *w, bool kill_it)
{
	int wstatus = 0;

	if (kill_it)
		(void)kill(-w->pid, SIGKILL);
	while (waitpid(w->pid, &wstatus, 0) < 0 && errno == EINTR)
		continue;
	return wstatus;
}

void
workers_free(struct workers *workers)
{
	if (workers == NULL)
		return;
	while (workers->list != NULL) {
		struct worker *w = workers->list;

		workers->list = w->next;
		if (w->pid != 0)
			(void)end(w, true);
		worker_free(w);
	}
	event_free(workers->start);
	free(workers);
}

bool
workers_kill(struct workers *workers, const void *user)
{
	bool any = false;

	for (const struct worker *w = workers->list; w != NULL; w = w->next) {
		if (w->user == user && w->pid != 0) {
			(void)kill(-w->pid, SIGKILL);
			any = true;
		}
	}
	return any;
}

static void
start_later(struct workers *workers)
{
	static const struct timeval at_once = {0, 0};

	(void)event_add(workers->start, &at_once);
}

/* Takes it off the list, and tells; the callback may start others. */
static void
finish(struct worker *w, int status)
{
	struct workers *workers = w->workers;
	struct worker_result result = {.status = status, .out = w->out.data, .len = w->out.len};

	for (struct worker **p = &workers->list; *p != NULL; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			break;
		}
	}
	if (w->pid != 0)
		workers->running--;
	start_later(workers);
	w->done(w->user, &result);
	worker_free(w);
	if (workers->list == NULL && workers->idle != NULL)
		workers->idle(workers->idle_user);
}

static void
on_readable(evutil_socket_t fd, short what, void *user)
{
	struct worker *w = user;
	char buf[16384];
	ssize_t n = read((int)fd, buf, sizeof(buf));

	(void)what;
	if (n > 0 && dm_str_add(&w->out, buf, (size_t)n))
		return;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* its end, or more than it may say */
	finish(w, dm_exit_status(end(w, n != 0)));
}

static void
on_timeout(evutil_socket_t fd, short what, void *user)
{
	struct worker *w = user;

	(void)fd;
	(void)what;
	(void)end(w, true);
	finish(w, STATUS_TIMEOUT);
}

/* In the child. Nothing of the daemon may stay open: its lock and sockets would outlive it. */
_Noreturn static void
become_job(const struct worker *w, int out)
{
	static const int defaults[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1};
	sigset_t none;
	int status;

	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		(void)signal(defaults[i], SIG_DFL);
	(void)setpgid(0, 0); /* with what it starts, it can be ended */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)dup2(out, STDOUT_FILENO);
	dm_close_others(-1);
	(void)signal(SIGPIPE, SIG_IGN);
	status = w->job(w->arg);
	(void)fflush(NULL);
	_exit(status);
}

static bool
start(struct worker *w)
{
	struct timeval limit = {
	    .tv_sec = w->timeout_ms / 1000, .tv_usec = w->timeout_ms % 1000 * 1000};
	int fds[2];

	(void)fflush(NULL); /* else the child writes it once more */
	if (pipe(fds) != 0)
		return false;
	(void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	w->pid = fork();
	if (w->pid == 0)
		become_job(w, fds[1]);
	(void)close(fds[1]);
	if (w->pid > 0)
		(void)setpgid(w->pid, w->pid); /* whoever of the two is first */
	if (w->pid < 0) {
		w->pid = 0;
		(void)close(fds[0]);
		return false;
	}
	w->fd = fds[0];
	w->readable = event_new(w->workers->base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->timeout = evtimer_new(w->workers->base, on_timeout, w);
	(void)event_add(w->readable, NULL);
	(void)event_add(w->timeout, &limit);
	w->workers->running++;
	return true;
}

static void
start_some(evutil_socket_t fd, short what, void *user)
{
	struct workers *workers = user;
	struct worker *w = workers->list;

	(void)fd;
	(void)what;
	while (w != NULL && workers->running < WORKERS_MAX) {
		struct worker *next = w->next;

		if (w->pid == 0 && !start(w)) {
			dm_warn("starting a job failed: %s", strerror(errno));
			finish(w, STATUS_NOT_STARTED);
			return; /* the callback may have changed the list: again, later */
		}
		w = next;
	}
}

static struct worker *
enqueue(struct workers *workers, worker_job *job, void *arg, int64_t timeout_ms, worker_done *done,
    void *user)
{
	struct worker *w = dm_calloc(1, sizeof(*w)), **p = &workers->list;

	*w = (struct worker){.workers = workers,
	    .job = job,
	    .arg = arg,
	    .timeout_ms = timeout_ms,
	    .done = done,
	    .user = user,
	    .fd = -1};
	dm_str_init(&w->out, OUTPUT_MAX);
	while (*p != NULL)
		p = &(*p)->next;
	*p = w;
	start_later(workers);
	return w;
}

void
workers_run(struct workers *workers, worker_job *job, void *arg, int64_t timeout_ms,
    worker_done *done, void *user)
{
	(void)enqueue(workers, job, arg, timeout_ms, done, user);
}

static int
run_verb(void *arg)
{
	char **argv = arg;
	int argc = 0;

	while (argv[argc] != NULL)
		argc++;
	return cli_run(argc, argv);
}

void
workers_run_verb(struct workers *workers, const char *const argv[], int64_t timeout_ms,
    worker_done *done, void *user)
{
	struct worker *w = enqueue(workers, run_verb, NULL, timeout_ms, done, user);
	size_t n = 0;

	while (argv[n] != NULL)
		n++;
	w->argv = dm_calloc(n + 1, sizeof(*w->argv));
	for (size_t i = 0; i < n; i++)
		w->argv[i] = dm_strdup(argv[i]);
	w->arg = w->argv;
}

void
workers_on_idle(struct workers *workers, void (*fn)(void *user), void *user)
{
	workers->idle = fn;
	workers->idle_user = user;
}

size_t
workers_busy(const struct workers *workers)
{
	size_t n = 0;

	for (const struct worker *w = workers->list; w != NULL; w = w->next)
		n++;
	return n;
}
