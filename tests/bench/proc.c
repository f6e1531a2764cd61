/* SPDX-License-Identifier: MIT */
/*
 * Runs programs and times them (posix_spawn to waitpid, on the monotonic clock), and keeps the list
 * of children that stay, so that the bench ends exactly those it started.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	KEPT_MAX = 96
};

static pid_t kept[KEPT_MAX];
static size_t nkept;
static char outdir[128];
static volatile sig_atomic_t quit_asked;
static volatile sig_atomic_t watched; /* the child that SIGALRM ends */

double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void
sleep_ms(long ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

void
env_set(struct env *e, const char *name, const char *fmt, ...)
{
	char value[1024], *entry;
	size_t len = strlen(name), size, i;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof value, fmt, ap);
	va_end(ap);
	size = len + strlen(value) + 2;
	entry = malloc(size);
	if (entry == NULL)
		abort();
	snprintf(entry, size, "%s=%s", name, value);
	for (i = 0; i < e->n; i++)
		if (strncmp(e->v[i], entry, len + 1) == 0)
			break;
	if (i == e->n && ++e->n == sizeof e->v / sizeof e->v[0])
		abort(); /* the last slot stays NULL */
	free(e->v[i]);
	e->v[i] = entry;
}

void
env_copy(struct env *to, const struct env *from)
{
	memset(to, 0, sizeof *to);
	for (size_t i = 0; i < from->n; i++) {
		to->v[i] = strdup(from->v[i]);
		if (to->v[i] == NULL)
			abort();
	}
	to->n = from->n;
}

void
env_release(struct env *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i]);
	memset(e, 0, sizeof *e);
}

static void
on_signal(int sig)
{
	if (sig == SIGALRM && watched > 0)
		kill((pid_t)watched, SIGKILL);
	else if (sig != SIGALRM)
		quit_asked = 1;
}

bool
quitting(void)
{
	return quit_asked != 0;
}

void
proc_init(const char *tmp)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	snprintf(outdir, sizeof outdir, "%s", tmp);
	sigemptyset(&sa.sa_mask);
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

static pid_t
spawn(const char *const argv[], const struct env *env, const char *out, const char *err)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t def;
	pid_t pid;
	int rc, flags = O_WRONLY | O_CREAT | O_TRUNC;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&fa, 1, out, flags, 0600);
	if (strcmp(out, err) == 0)
		posix_spawn_file_actions_adddup2(&fa, 1, 2);
	else
		posix_spawn_file_actions_addopen(&fa, 2, err, flags, 0600);
	posix_spawnattr_init(&attr);
	sigemptyset(&def);
	sigaddset(&def, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &def);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	/* posix_spawn takes char *const[] and does not write to it. */
	rc = posix_spawnp(&pid, argv[0], &fa, &attr, (char *const *)(uintptr_t)argv, env->v);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return rc == 0 ? pid : -1;
}

static void
slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, buf, size - 1) : 0;

	buf[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

static int
exit_status(int st)
{
	return WIFEXITED(st) ? WEXITSTATUS(st) : 128 + WTERMSIG(st);
}

bool
proc_run(const char *const argv[], const struct env *env, unsigned timeout_s, struct result *r)
{
	char out[160], err[160];
	double start;
	pid_t pid, got;
	int st = 0;

	memset(r, 0, sizeof *r);
	snprintf(out, sizeof out, "%s/out", outdir);
	snprintf(err, sizeof err, "%s/err", outdir);
	start = now_ms();
	pid = spawn(argv, env, out, err);
	if (pid < 0) {
		r->status = -1;
		snprintf(r->err, sizeof r->err, "cannot run %s", argv[0]);
		return false;
	}
	watched = pid;
	alarm(timeout_s);
	do
		got = waitpid(pid, &st, 0);
	while (got < 0 && errno == EINTR);
	r->ms = now_ms() - start;
	watched = 0;
	alarm(0);
	r->status = exit_status(st);
	slurp(out, r->out, sizeof r->out);
	slurp(err, r->err, sizeof r->err);
	return r->status == 0;
}

size_t
proc_run_all(const char *const *const argvs[], size_t n, const struct env *env, struct result *r)
{
	char out[160], err[160];
	pid_t *pids = calloc(n, sizeof *pids);
	double *start = calloc(n, sizeof *start), deadline = now_ms() + 60000;
	size_t left = 0, good = 0;

	if (pids == NULL || start == NULL)
		abort();
	for (size_t i = 0; i < n; i++) {
		memset(&r[i], 0, sizeof r[i]);
		snprintf(out, sizeof out, "%s/out.%zu", outdir, i);
		snprintf(err, sizeof err, "%s/err.%zu", outdir, i);
		start[i] = now_ms();
		pids[i] = spawn(argvs[i], env, out, err);
		if (pids[i] > 0)
			left++;
		else
			r[i].status = -1;
	}
	while (left > 0) {
		bool reaped = false;

		for (size_t i = 0; i < n; i++) {
			int st;

			if (pids[i] <= 0 || waitpid(pids[i], &st, WNOHANG) != pids[i])
				continue;
			r[i].ms = now_ms() - start[i];
			r[i].status = exit_status(st);
			pids[i] = 0;
			left--;
			reaped = true;
		}
		if (!reaped)
			sleep_ms(1);
		if (now_ms() > deadline) /* they are reaped in the next turn */
			for (size_t i = 0; i < n; i++)
				if (pids[i] > 0)
					kill(pids[i], SIGKILL);
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(out, sizeof out, "%s/out.%zu", outdir, i);
		snprintf(err, sizeof err, "%s/err.%zu", outdir, i);
		slurp(out, r[i].out, sizeof r[i].out);
		slurp(err, r[i].err, sizeof r[i].err);
		good += r[i].status == 0 ? 1U : 0U;
	}
	free(start);
	free(pids);
	return good;
}

pid_t
proc_start(const char *const argv[], const struct env *env, const char *log)
{
	pid_t pid = spawn(argv, env, log, log);

	if (pid > 0)
		proc_adopt(pid);
	return pid;
}

pid_t
proc_start_in(const char *dir, const char *const argv[], const struct env *env, const char *log)
{
	int here = open(".", O_RDONLY | O_CLOEXEC);
	pid_t pid = here >= 0 && chdir(dir) == 0 ? proc_start(argv, env, log) : -1;

	if (here >= 0 && fchdir(here) != 0)
		abort();
	close(here);
	return pid;
}

void
proc_adopt(pid_t pid)
{
	if (nkept == KEPT_MAX)
		abort();
	kept[nkept++] = pid;
}

void
proc_stop(pid_t pid)
{
	double deadline = now_ms() + 3000;

	for (size_t i = 0; i < nkept; i++) {
		if (kept[i] != pid)
			continue;
		kept[i] = kept[--nkept];
		kill(pid, SIGTERM);
		while (waitpid(pid, NULL, WNOHANG) == 0) {
			if (now_ms() > deadline)
				kill(pid, SIGKILL);
			sleep_ms(5);
		}
		return;
	}
}

int
proc_wait(pid_t pid, long timeout_ms)
{
	double deadline = now_ms() + (double)timeout_ms;
	bool late = false;
	int st = 0;

	for (size_t i = 0; i < nkept; i++)
		if (kept[i] == pid)
			kept[i] = kept[--nkept];
	while (waitpid(pid, &st, WNOHANG) == 0) {
		late = late || now_ms() > deadline;
		if (late)
			kill(pid, SIGKILL);
		sleep_ms(1);
	}
	return late ? -1 : exit_status(st);
}

static double
status_mb(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at != NULL ? strtod(at + strlen(name), NULL) / 1024 : 0;
}

bool
proc_usage(pid_t pid, struct usage *u)
{
	char path[64], text[4096];
	struct timespec t;
	clockid_t clock;

	memset(u, 0, sizeof *u);
	snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
	slurp(path, text, sizeof text);
	u->rss_mb = status_mb(text, "VmRSS:");
	u->peak_mb = status_mb(text, "VmHWM:");
	u->own_mb = status_mb(text, "RssAnon:");
	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
		return false;
	u->cpu_ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
	return u->rss_mb > 0;
}

void
proc_stop_all(void)
{
	while (nkept > 0)
		proc_stop(kept[nkept - 1]);
}
