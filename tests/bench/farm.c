/* SPDX-License-Identifier: MIT */
/*
 * A mesh for devmeshd: services, each a process of its own that listens from a git worktree of its
 * own, and processes that do nothing.
 */
#include "farm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool
text_file(const char *dir, const char *name, const char *text)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return write_file(path, text);
}

/* What `git worktree add` makes (gitrepository-layout(5)), two hundred times as fast. */
static bool
make_worktree(const struct farm *f, int i)
{
	char dir[256], git[256], text[320];

	farm_dir(f, i, dir, sizeof dir);
	snprintf(git, sizeof git, "%s/repo/.git/worktrees/w%03d", f->dir, i);
	if (mkdir(dir, 0755) != 0 || mkdir(git, 0755) != 0)
		return false;
	snprintf(text, sizeof text, "gitdir: %s\n", git);
	if (!text_file(dir, ".git", text))
		return false;
	snprintf(text, sizeof text, "%s/.git\n", dir);
	return text_file(git, "gitdir", text) && text_file(git, "commondir", "../..\n") &&
	       text_file(git, "HEAD", "ref: refs/heads/main\n");
}

void
farm_dir(const struct farm *f, int i, char *path, size_t size)
{
	snprintf(path, size, "%.160s/w/w%03d", f->dir, i);
}

void
farm_id(int i, char *id, size_t size)
{
	snprintf(id, size, "farm-w%03d", i);
}

bool
farm_claim(const struct world *w, const struct farm *f, int i, bool route)
{
	char text[1536], id[32], dir[256], name[64], host[64];

	farm_id(i, id, sizeof id);
	farm_dir(f, i, dir, sizeof dir);
	snprintf(host, sizeof host, "%s.dev.localhost", id);
	snprintf(name, sizeof name, "%s.json", id);
	snprintf(text, sizeof text,
	    "{\"schema_version\":1,\"id\":\"%s\",\"app\":\"farm\",\"branch\":\"w%03d\","
	    "\"worktree\":\"%s\",\"socket\":\"%s/%s.sock\",\"registration\":\"%s\","
	    "\"url\":\"http://%s:%d\",\"host\":\"%s\",\"created\":%lld}\n",
	    id, i, dir, f->sockets, id, route ? "route" : "mesh", host, w->plain_port, host,
	    (long long)time(NULL));
	return text_file(f->sockets, name, text);
}

/* ---- processes ---------------------------------------------------------------------------- */

static int
listen_there(const struct farm *f, int i)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char id[32];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	farm_id(i, id, sizeof id);
	snprintf(a.sun_path, sizeof a.sun_path, "%.70s/%s.sock", f->sockets, id);
	(void)unlink(a.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 4096) != 0)
		_exit(1);
	return fd;
}

/* In a process of its own: until the bench is gone, or it is killed. */
_Noreturn static void
be_server(const struct farm *f, int i, int gone)
{
	char dir[256], byte;

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	farm_dir(f, i, dir, sizeof dir);
	if (i >= 0 && (chdir(dir) != 0 || listen_there(f, i) < 0))
		_exit(1);
	while (read(gone, &byte, 1) < 0 && errno == EINTR)
		continue;
	_exit(0);
}

static pid_t
start_one(const struct farm *f, int i)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(f->gone[1]);
		be_server(f, i, f->gone[0]);
	}
	return pid;
}

double
farm_start(struct farm *f, int i)
{
	double began = now_ms();

	f->pids[i] = start_one(f, i);
	return began;
}

double
farm_kill(struct farm *f, int i)
{
	double began = now_ms();

	kill(f->pids[i], SIGKILL);
	(void)waitpid(f->pids[i], NULL, 0);
	f->pids[i] = 0;
	return began;
}

bool
farm_grow(const struct world *w, struct farm *f, int services, int idle, bool route)
{
	for (; f->services < services && f->services < FARM_MAX; f->services++) {
		if (!make_worktree(f, f->services) || !farm_claim(w, f, f->services, route))
			return false;
		(void)farm_start(f, f->services);
	}
	for (; f->idle < idle && f->idle < FARM_MAX; f->idle++)
		f->idlers[f->idle] = start_one(f, -1);
	return true;
}

bool
farm_init(const struct world *w, struct farm *f, const char *name)
{
	char path[256];
	const char *init[] = {"git", "init", "-q", "-b", "main", path, NULL};
	const char *commit[] = {
	    "git", "-C", path, "commit", "-q", "--allow-empty", "-m", "first", NULL};
	struct result r;

	memset(f, 0, sizeof *f);
	snprintf(f->dir, sizeof f->dir, "%s/%s", w->tmp, name);
	snprintf(f->sockets, sizeof f->sockets, "%s/s", f->dir);
	snprintf(f->state, sizeof f->state, "%s/state", f->dir);
	if (mkdir(f->dir, 0755) != 0 || mkdir(f->sockets, 0755) != 0 ||
	    chmod(f->sockets, 01777) != 0 || pipe(f->gone) != 0)
		return false;
	fcntl(f->gone[0], F_SETFD, FD_CLOEXEC);
	fcntl(f->gone[1], F_SETFD, FD_CLOEXEC);
	snprintf(path, sizeof path, "%s/repo", f->dir);
	if (!proc_run(init, &w->base, 20, &r) || !proc_run(commit, &w->base, 20, &r))
		return false;
	snprintf(path, sizeof path, "%s/w", f->dir);
	if (mkdir(path, 0755) != 0)
		return false;
	snprintf(path, sizeof path, "%s/repo/.git/worktrees", f->dir);
	return mkdir(path, 0755) == 0;
}

void
farm_release(struct farm *f)
{
	close(f->gone[0]);
	close(f->gone[1]); /* that is the end of them */
	for (int i = 0; i < f->services; i++)
		if (f->pids[i] > 0)
			(void)waitpid(f->pids[i], NULL, 0);
	for (int i = 0; i < f->idle; i++)
		(void)waitpid(f->idlers[i], NULL, 0);
}
