/* SPDX-License-Identifier: MIT */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/mem.h"

enum {
	PIPE_INPUT_MAX = 4096 /* any empty pipe takes that: PIPE_BUF of Linux */
};

extern char **environ;

int
dm_exit_status(int wstatus)
{
	return WIFSIGNALED(wstatus) ? 128 + WTERMSIG(wstatus) : WEXITSTATUS(wstatus);
}

/* A pipe whose ends do not leak into children. */
static bool
cloexec_pipe(int fds[2])
{
	if (pipe(fds) != 0)
		return false;
	(void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	return true;
}

/*
 * In the child: become argv, or report errno through the pipe. Never returns. Only
 * async-signal-safe calls: other threads may have been at malloc's locks.
 */
static void
become(const char *const argv[], char *const *env, int report)
{
	/* execvp(3) changes neither the words nor their array: its prototype is older than const */
	union {
		const char *const *in;
		char *const *out;
	} words = {.in = argv};
	union {
		char *const *in;
		char **out;
	} environment = {.in = env};
	sigset_t none;
	int saved;
	ssize_t ignored;

	/* a thread that leaves signals to others is not its business */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	environ = environment.out;
	(void)execvp(argv[0], words.out);
	saved = errno;
	ignored = write(report, &saved, sizeof(saved));
	(void)ignored;
	_exit(127);
}

/* Waits until the child has become its program: 0, or the errno of execvp. */
static int
exec_result(int report)
{
	int error = 0;
	ssize_t n;

	do
		n = read(report, &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(error) ? error : 0;
}

static bool
fail_exec(struct dm_err *err, int error, const char *program)
{
	(void)dm_fail_errno(err, error, "running %s", program);
	if (error == ENOENT)
		err->code = DM_NOT_FOUND;
	return false;
}

static char **
filtered_environment(const char *drop)
{
	size_t n = 0, kept = 0;
	char **env;

	while (environ[n] != NULL)
		n++;
	env = dm_calloc(n + 1, sizeof(*env));
	for (size_t i = 0; i < n; i++) {
		if (drop == NULL || !dm_starts_with(environ[i], drop))
			env[kept++] = environ[i];
	}
	return env;
}

/* Reads what is there; closes and marks the descriptor at end of file. */
static void
drain(struct pollfd *p, struct dm_str *into)
{
	char buf[8192];
	ssize_t n;

	if ((p->revents & (POLLIN | POLLHUP | POLLERR)) == 0)
		return;
	n = read(p->fd, buf, sizeof(buf));
	if (n > 0) {
		if (!dm_str_add(into, buf, (size_t)n)) {
			(void)dm_str_add(into, buf, into->max - into->len);
			into->overflow = true;
		}
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		(void)close(p->fd);
		p->fd = -1;
	}
}

/* Collects both streams until both end; false when the deadline passes. */
static bool
collect(struct pollfd p[2], struct dm_str *out, struct dm_str *errout, int64_t deadline)
{
	while (p[0].fd >= 0 || p[1].fd >= 0) {
		int64_t left = deadline - dm_now_ms();

		if (left <= 0)
			return false;
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return false;
		if (p[0].fd >= 0)
			drain(&p[0], out);
		if (p[1].fd >= 0)
			drain(&p[1], errout);
	}
	return true;
}

/* In the child: descriptors 0 (`in` -1: nothing to read), 1 and 2, and default signals. */
static void
child_stdio(int in, int out, int errfd)
{
	if (in < 0)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	(void)dup2(in, STDIN_FILENO);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(errfd, STDERR_FILENO);
	(void)signal(SIGPIPE, SIG_DFL);
}

/* dm_run() with that stdin; -1: /dev/null. */
static bool
run(const char *const argv[], const char *drop_env, int in, int64_t timeout_ms, struct dm_str *out,
    struct dm_str *errout, int *status, struct dm_err *err)
{
	int o[2], e[2], report[2], wstatus, error;
	DM_AUTO_FREE char **env = filtered_environment(drop_env);
	struct pollfd p[2];
	bool in_time;
	pid_t pid;

	if (!cloexec_pipe(o) || !cloexec_pipe(e) || !cloexec_pipe(report))
		return dm_fail_errno(err, errno, "running %s: making pipes", argv[0]);
	if ((pid = fork()) < 0)
		return dm_fail_errno(err, errno, "running %s: fork", argv[0]);
	if (pid == 0) {
		child_stdio(in, o[1], e[1]);
		become(argv, env, report[1]);
	}
	(void)close(o[1]);
	(void)close(e[1]);
	(void)close(report[1]);
	error = exec_result(report[0]);
	(void)close(report[0]);
	p[0] = (struct pollfd){.fd = o[0], .events = POLLIN};
	p[1] = (struct pollfd){.fd = e[0], .events = POLLIN};
	in_time = collect(p, out, errout, dm_now_ms() + timeout_ms);
	for (int i = 0; i < 2; i++) {
		if (p[i].fd >= 0)
			(void)close(p[i].fd);
	}
	if (!in_time)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &wstatus, 0) < 0 && errno == EINTR)
		continue;
	if (error != 0)
		return fail_exec(err, error, argv[0]);
	if (!in_time)
		return dm_fail(err, DM_TIMEOUT, "running %s: no end after %lld ms", argv[0],
		    (long long)timeout_ms);
	*status = dm_exit_status(wstatus);
	return true;
}

bool
dm_run(const char *const argv[], const char *drop_env, int64_t timeout_ms, struct dm_str *out,
    struct dm_str *errout, int *status, struct dm_err *err)
{
	return run(argv, drop_env, -1, timeout_ms, out, errout, status, err);
}

bool
dm_run_with_input(const char *const argv[], const char *input, int64_t timeout_ms,
    struct dm_str *out, struct dm_str *errout, int *status, struct dm_err *err)
{
	size_t len = strlen(input);
	int in[2];
	bool ok;

	if (len > PIPE_INPUT_MAX)
		return dm_fail(err, DM_USAGE, "running %s: too much to tell it", argv[0]);
	if (!cloexec_pipe(in))
		return dm_fail_errno(err, errno, "running %s: making pipes", argv[0]);
	/* an empty pipe takes it all at once */
	ok = dm_write_all(in[1], input, len);
	(void)close(in[1]);
	ok = ok ? run(argv, NULL, in[0], timeout_ms, out, errout, status, err)
		: dm_fail_errno(err, errno, "running %s: writing to it", argv[0]);
	(void)close(in[0]);
	return ok;
}

void
dm_close_others(int keep)
{
	long most = sysconf(_SC_OPEN_MAX);

	if (most < 0 || most > 65536)
		most = 65536;
	for (int fd = STDERR_FILENO + 1; fd < (int)most; fd++) {
		if (fd != keep)
			(void)close(fd);
	}
}

bool
dm_start_background(const char *const argv[], const char *log_path, pid_t *pid, struct dm_err *err)
{
	const struct dm_background request = {
	    .argv = argv, .env = environ, .dir = "/", .log_path = log_path};

	return dm_start_background_in(&request, pid, err);
}

bool
dm_start_background_in(const struct dm_background *request, pid_t *pid, struct dm_err *err)
{
	const char *const *argv = request->argv;
	DM_AUTO_CLOSE int log =
	    open(request->log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	int report[2], error;
	pid_t child;

	if (log < 0)
		return dm_fail_errno(err, errno, "opening %s", request->log_path);
	if (!cloexec_pipe(report) || (child = fork()) < 0)
		return dm_fail_errno(err, errno, "starting %s", argv[0]);
	if (child == 0) {
		(void)setsid();
		child_stdio(-1, log, log);
		/* a lock of the caller's shell, make's pipes: not to be held as long as it lives */
		dm_close_others(report[1]);
		if (chdir(request->dir) != 0)
			_exit(127);
		become(argv, request->env, report[1]);
	}
	(void)close(report[1]);
	error = exec_result(report[0]);
	(void)close(report[0]);
	if (error != 0) {
		(void)waitpid(child, NULL, 0);
		return fail_exec(err, error, argv[0]);
	}
	*pid = child;
	return true;
}

bool
dm_child_ended(pid_t pid, int *status)
{
	int wstatus;

	if (waitpid(pid, &wstatus, WNOHANG) != pid)
		return false;
	*status = dm_exit_status(wstatus);
	return true;
}

bool
dm_child_call_begin(
    struct dm_child_call *call, void (*fn)(void *arg), void *arg, size_t size, struct dm_err *err)
{
	int ends[2];

	if (!cloexec_pipe(ends))
		return dm_fail_errno(err, errno, "making a pipe");
	if ((call->pid = fork()) == 0) {
		fn(arg);
		(void)!write(ends[1], arg, size);
		_exit(0);
	}
	(void)close(ends[1]);
	call->fd = ends[0];
	if (call->pid > 0)
		return true;
	(void)dm_fail_errno(err, errno, "starting a process");
	(void)close(call->fd);
	return false;
}

bool
dm_child_call_end(
    struct dm_child_call *call, void *arg, size_t size, int64_t timeout_ms, struct dm_err *err)
{
	DM_AUTO_FREE char *answer = dm_calloc(1, size);
	int64_t end = dm_now_ms() + timeout_ms;
	struct pollfd p = {.fd = call->fd, .events = POLLIN};
	bool in_time, ok;

	while ((in_time = poll(&p, 1, (int)timeout_ms) != 0) && p.revents == 0 && errno == EINTR)
		timeout_ms = end > dm_now_ms() ? end - dm_now_ms() : 0;
	ok = in_time && read(call->fd, answer, size) == (ssize_t)size;
	(void)close(call->fd);
	(void)kill(call->pid, SIGKILL);
	while (waitpid(call->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	if (ok)
		memcpy(arg, answer, size);
	return ok || (in_time ? dm_fail(err, DM_FAILED, "the process has ended without an answer")
			      : dm_fail(err, DM_TIMEOUT, "no answer in time"));
}
