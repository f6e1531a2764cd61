/* SPDX-License-Identifier: MIT */
#include "run/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

extern char **environ;

static bool
same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n + 1) == 0;
}

/* Our environment with `changes` in place of the same names. Its strings are borrowed. */
static char **
merged_environment(char *const *changes)
{
	size_t ours = 0, added = 0, n = 0;
	char **env;

	while (environ[ours] != NULL)
		ours++;
	while (changes != NULL && changes[added] != NULL)
		added++;
	env = dm_calloc(ours + added + 1, sizeof(*env));
	for (size_t i = 0; i < ours; i++) {
		bool replaced = false;

		for (size_t j = 0; j < added && !replaced; j++)
			replaced = same_name(environ[i], changes[j]);
		if (!replaced)
			env[n++] = environ[i];
	}
	for (size_t j = 0; j < added; j++)
		env[n++] = changes[j];
	return env;
}

/* SIGTTOU is ignored: a background process, which we mostly are, may not do this otherwise. */
static void
give_terminal(int tty, pid_t group)
{
	(void)tcsetpgrp(tty, group);
}

/* In the child, until it becomes the command. Only async-signal-safe calls. */
static void
prepare(const struct child_request *request, int tty)
{
	/*
	 * Also what the shell lets background jobs ignore: who signals devmesh means the command.
	 * SIGHUP is left as it is: nohup(1) means it.
	 */
	static const int defaults[] = {
	    SIGINT, SIGQUIT, SIGTERM, SIGCHLD, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU};
	struct sigaction action = {.sa_handler = SIG_DFL};
	sigset_t none;

	(void)setpgid(0, 0);
	if (tty >= 0)
		give_terminal(tty, getpid());
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		(void)sigaction(defaults[i], &action, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (request->files != NULL)
		(void)setrlimit(RLIMIT_NOFILE, request->files);
	if (request->err >= 0)
		(void)dup2(request->err, STDERR_FILENO);
	if (request->out >= 0)
		(void)dup2(request->out, STDOUT_FILENO);
	else if (request->stdout_to_stderr)
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
}

/* The terminal, if we are in its foreground, so that it is ours to hand over. */
static int
our_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (tcgetpgrp(fd) == getpgrp())
		return fd;
	(void)close(fd);
	return -1;
}

bool
child_start(struct child *child, const struct child_request *request, struct dm_err *err)
{
	DM_AUTO_FREE char **env = merged_environment(request->env);
	int report[2], error = 0;
	ssize_t n;

	*child = (struct child){.tty = our_terminal()};
	if (child->tty >= 0) {
		child->in_front = true;
		(void)tcgetattr(child->tty, &child->modes);
		/* what we say from behind the command is to be seen, also after stty tostop */
		(void)signal(SIGTTOU, SIG_IGN);
	}
	if (pipe(report) != 0)
		return dm_fail_errno(err, errno, "running %s: making a pipe", request->argv[0]);
	(void)fcntl(report[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(report[1], F_SETFD, FD_CLOEXEC);
	if ((child->pid = fork()) < 0)
		return dm_fail_errno(err, errno, "running %s: fork", request->argv[0]);
	if (child->pid == 0) {
		prepare(request, child->tty);
		environ = env;
		(void)execvp(request->argv[0], request->argv);
		error = errno;
		n = write(report[1], &error, sizeof(error));
		_exit(n > 0 ? 127 : 126);
	}
	/* both sides do it: whichever comes first */
	(void)setpgid(child->pid, child->pid);
	if (child->tty >= 0)
		give_terminal(child->tty, child->pid);
	(void)close(report[1]);
	do
		n = read(report[0], &error, sizeof(error));
	while (n < 0 && errno == EINTR);
	(void)close(report[0]);
	if (n != (ssize_t)sizeof(error))
		return true;
	(void)waitpid(child->pid, NULL, 0);
	child->ended = true;
	child_restore_terminal(child);
	(void)dm_fail_errno(err, error, "running %s", request->argv[0]);
	if (error == ENOENT) {
		err->code = DM_NOT_FOUND;
		return dm_hint(
		    err, strchr(request->argv[0], ' ') != NULL
			     ? "without the quotes: devmesh run -- npm run dev"
			     : "a program of PATH, or a path; scripts of package.json by npm run");
	}
	return false;
}

void
child_continue(struct child *child)
{
	pid_t front;

	/* started in the background, it has none until it is brought forward */
	if (child->tty < 0 && (child->tty = our_terminal()) >= 0) {
		(void)tcgetattr(child->tty, &child->modes);
		(void)signal(SIGTTOU, SIG_IGN);
	}
	front = child->tty < 0 ? -1 : tcgetpgrp(child->tty);
	/* with the terminal after fg, without it after bg */
	child->in_front = front >= 0 && (front == getpgrp() || front == child->pid);
	if (child->in_front)
		give_terminal(child->tty, child->pid);
	child_signal(child, SIGCONT);
}

/*
 * Stops as the command did, and goes on with it. Not alone: what has started us (npm) is part of
 * the shell's job, too.
 */
static void
stop_with(struct child *child, int signal)
{
	pid_t front = child->tty < 0 ? -1 : tcgetpgrp(child->tty);
	bool wants_terminal = signal == SIGTTIN || signal == SIGTTOU;

	if (front == child->pid && !wants_terminal) {
		give_terminal(child->tty, getpgrp());
		(void)kill(0, SIGTSTP);
		child_continue(child);
	} else if (front >= 0 && (front == getpgrp() || front == child->pid)) {
		/* it wanted the terminal, which it, or we for it, have been given since */
		child_continue(child);
	} else if (wants_terminal) {
		/* in the background it wants the terminal: what continues us, continues it */
		(void)kill(0, SIGTTIN);
	}
}

static void
note_end(struct child *child, int status)
{
	child->ended = true;
	child->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Those that have left their parents, and the group. One of our own group is ours (git). */
static void
reap_adopted(struct child *child)
{
	siginfo_t info;
	int status;

	for (;;) {
		pid_t group;

		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
			return;
		group = getpgid(info.si_pid);
		if (info.si_pid != child->pid && (group < 0 || group == getpgrp()))
			return;
		if (waitpid(info.si_pid, &status, WNOHANG) == child->pid)
			note_end(child, status);
	}
}

void
child_reap(struct child *child)
{
	int status;
	pid_t pid;

	/* the whole group: those whose parents have ended may have been given to us */
	while ((pid = waitpid(-child->pid, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != child->pid)
			continue;
		if (!WIFSTOPPED(status))
			note_end(child, status);
		else
			stop_with(child, WSTOPSIG(status));
	}
	reap_adopted(child);
}

void
child_signal(const struct child *child, int signal)
{
	if (child->pid > 0 && !child->ended)
		(void)kill(-child->pid, signal);
}

void
child_restore_terminal(struct child *child)
{
	if (child->tty < 0)
		return;
	/* in the background it is the shell's */
	if (child->in_front) {
		give_terminal(child->tty, getpgrp());
		/* a server that was killed may have left it without echo */
		(void)tcsetattr(child->tty, TCSADRAIN, &child->modes);
	}
	(void)close(child->tty);
	child->tty = -1;
}
