/* SPDX-License-Identifier: MIT */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700 /* posix_openpt(3) */
#endif
#include "harness_run.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

extern char **environ;

/* Copied into the world, so that its processes are told apart from those of another world. */
const char *
run_server(struct world *w)
{
	char *path = fmt(w, "%s/server.py", w->dir), *from;

	if (exists(path))
		return path;
	from = fmt(w, "%s/tests/integration/server.py", source_dir());
	write_text(path, read_text(w, from));
	return path;
}

struct proc *
run_bg(struct world *w, const char *dir, const char *const flags[], const char *const arguments[])
{
	const char *argv[40] = {w->devmesh, "run"};
	size_t n = 2;

	for (; *flags != NULL; flags++)
		argv[n++] = *flags;
	argv[n++] = "--";
	argv[n++] = "python3";
	argv[n++] = run_server(w);
	for (; *arguments != NULL; arguments++)
		argv[n++] = *arguments;
	assert_true(n < sizeof argv / sizeof argv[0]);
	return start(w, dir, argv);
}

struct said {
	struct proc *p;
	const char *path, *text;
};

static bool
is_said(struct world *w, const void *arg)
{
	const struct said *s = arg;
	const char *all = read_text(w, s->path);

	return (all != NULL && strstr(all, s->text) != NULL) || s->p->ended;
}

static void
wait_in(struct world *w, struct proc *p, const char *path, const char *text)
{
	const char *all;

	(void)wait_until(w, is_said, &(struct said){p, path, text}, DEADLINE_MS);
	all = read_text(w, path);
	if (all == NULL || strstr(all, text) == NULL)
		fail_msg("\"%s\" is not said%s\nstdout: %s\nstderr: %s", text,
		    p->ended ? ", and it has ended" : "", read_text(w, p->out),
		    read_text(w, p->err));
}

void
wait_said(struct world *w, struct proc *p, const char *text)
{
	wait_in(w, p, p->err, text);
}

void
wait_printed(struct world *w, struct proc *p, const char *text)
{
	wait_in(w, p, p->out, text);
}

char *
run_url(struct world *w, struct proc *p)
{
	const char *url;

	wait_said(w, p, " after "); /* "(vite on port 5173, after 0.6 s)" */
	url = strstr(read_text(w, p->err), "http");
	assert_non_null(url);
	return fmt(w, "%.*s", (int)strcspn(url, " \n"), url);
}

void
assert_ends(struct world *w, struct proc *p, int code)
{
	assert_exit(w, finish(w, p), code);
}

static bool
is_gone(struct world *w, const void *arg)
{
	(void)w;
	return !exists(arg);
}

static bool
is_there(struct world *w, const void *arg)
{
	(void)w;
	return exists(arg);
}

void
wait_gone(struct world *w, const char *path)
{
	if (!wait_until(w, is_gone, path, ANSWER_MS))
		fail_msg("%s is still there", path);
}

void
wait_exists(struct world *w, const char *path)
{
	if (!wait_until(w, is_there, path, ANSWER_MS))
		fail_msg("%s is not there", path);
}

/* Its arguments, with blanks between them; "" for a zombie. */
static void
arguments_of(const char *pid, char *out, size_t size)
{
	char path[300];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	for (ssize_t i = 0; i < n; i++)
		out[i] = out[i] == '\0' ? ' ' : out[i];
	out[n > 0 ? n : 0] = '\0';
}

int
count_processes(struct world *w, const char *text)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	char args[4096];
	int n = 0;

	(void)w;
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		if (strtol(e->d_name, NULL, 10) <= 0)
			continue;
		arguments_of(e->d_name, args, sizeof args);
		n += strstr(args, text) != NULL;
	}
	closedir(d);
	return n;
}

/* Each has the server as its first argument, but so has devmesh. */
int
count_servers(struct world *w)
{
	const char *server = fmt(w, "python3 %s", run_server(w));

	return count_processes(w, server) - count_processes(w, fmt(w, "-- %s", server));
}

struct counted {
	const char *text;
	int count;
};

static bool
has_count(struct world *w, const void *arg)
{
	const struct counted *c = arg;

	return count_processes(w, c->text) == c->count;
}

void
wait_processes(struct world *w, const char *text, int wanted)
{
	if (!wait_until(w, has_count, &(struct counted){text, wanted}, ANSWER_MS))
		fail_msg(
		    "%d processes \"%s\" instead of %d", count_processes(w, text), text, wanted);
}

static bool
has_servers(struct world *w, const void *arg)
{
	const int *wanted = arg;

	return count_servers(w) == *wanted;
}

void
wait_servers(struct world *w, int wanted)
{
	if (!wait_until(w, has_servers, &wanted, ANSWER_MS))
		fail_msg("%d servers instead of %d", count_servers(w), wanted);
}

char *
socket_of(struct world *w, const char *id)
{
	return fmt(w, "%s/%s.sock", w->sockets, id);
}

void
assert_nothing_left(struct world *w, const char *id)
{
	if (exists(socket_of(w, id)))
		fail_msg("the socket of %s is left", id);
	if (claim_of(w, id) != NULL)
		fail_msg("the claim of %s is left", id);
	if (exists(fmt(w, "%s/identity/%s.json", w->state, id)))
		fail_msg("the identity document of %s is left", id);
	if (exists(fmt(w, "%s/run/%s.sock", w->state, id)))
		fail_msg("the private socket of %s is left", id);
	if (count_servers(w) != 0)
		fail_msg("a server of %s is left", id);
	if (w->caddy != NULL && !w->caddy->ended)
		assert_int_equal(count_routes(w, id), 0);
}

const char *
env_of(struct world *w, const char *url, const char *name)
{
	struct reply r = fetch(w, fmt(w, "%s/env", url), NULL);

	assert_int_equal(r.status, 200);
	return json_str(json_of(w, r.body), name);
}

long
pid_of_server(struct world *w, const char *url)
{
	struct reply r = fetch(w, fmt(w, "%s/pid", url), NULL);

	assert_int_equal(r.status, 200);
	return strtol(r.body, NULL, 10);
}

/* ---- terminals ----------------------------------------------------------------------------- */

static void
close_terminal(void *p)
{
	struct terminal *t = p;

	close(t->fd);
	free(t);
}

static _Noreturn void
lead_session(struct world *w, const char *dir, const char *path, const char *const argv[])
{
	char *args[40];
	size_t n = 0;
	int fd;

	if (setsid() < 0 || (fd = open(path, O_RDWR)) < 0 || ioctl(fd, TIOCSCTTY, 0) < 0 ||
	    chdir(dir) != 0)
		_exit(126);
	for (int i = 0; i < 3; i++)
		(void)dup2(fd, i);
	if (fd > 2)
		close(fd);
	for (; argv[n] != NULL && n < 39; n++)
		memcpy(&args[n], &argv[n], sizeof args[n]);
	args[n] = NULL;
	signal(SIGPIPE, SIG_DFL);
	environ = w->env;
	execvp(args[0], args);
	_exit(127);
}

struct terminal *
open_terminal(struct world *w, const char *dir, const char *const argv[])
{
	struct terminal *t = world_keep(w, calloc(1, sizeof *t), close_terminal);
	struct winsize size = {.ws_row = 50, .ws_col = 200};
	char *path;

	t->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(t->fd >= 0);
	assert_int_equal(grantpt(t->fd), 0);
	assert_int_equal(unlockpt(t->fd), 0);
	assert_int_equal(ioctl(t->fd, TIOCSWINSZ, &size), 0);
	path = fmt(w, "%s", ptsname(t->fd));
	t->p = start_child(w);
	if (t->p == NULL)
		lead_session(w, dir, path, argv);
	return t;
}

void
type(struct terminal *t, const char *text)
{
	assert_int_equal(write(t->fd, text, strlen(text)), strlen(text));
}

static void
read_terminal(struct terminal *t)
{
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	ssize_t n;

	while (t->length < sizeof t->text - 1 && poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0) {
		n = read(t->fd, t->text + t->length, sizeof t->text - 1 - t->length);
		if (n <= 0)
			break;
		t->length += (size_t)n;
		t->text[t->length] = '\0';
	}
}

struct shown {
	struct terminal *t;
	const char *text;
};

static bool
is_shown(struct world *w, const void *arg)
{
	const struct shown *s = arg;
	const char *found;

	(void)w;
	read_terminal(s->t);
	found = strstr(s->t->text + s->t->seen, s->text);
	if (found == NULL)
		return false;
	s->t->seen = (size_t)(found - s->t->text) + strlen(s->text);
	return true;
}

void
wait_shown(struct world *w, struct terminal *t, const char *text)
{
	if (!wait_until(w, is_shown, &(struct shown){t, text}, ANSWER_MS))
		fail_msg("the terminal does not show \"%s\", but:\n%s", text, t->text);
}
