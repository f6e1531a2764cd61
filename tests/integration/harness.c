/* SPDX-License-Identifier: MIT */
/*
 * The world of one test: its directory, environment, ports and processes. Knows nothing of Caddy
 * or devmesh beyond their names. Processes are started by fork and exec (one path for working
 * directory, user and output), recorded, and ended by pid.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

extern char **environ;

struct kept {
	void *p;
	void (*destroy)(void *);
	struct kept *next;
};

int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
nap_us(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&t, NULL);
}

void *
world_keep(struct world *w, void *p, void (*destroy)(void *))
{
	struct kept *k = malloc(sizeof *k);

	assert_non_null(p);
	assert_non_null(k);
	*k = (struct kept){p, destroy, w->kept};
	w->kept = k;
	return p;
}

struct kept *
world_mark(struct world *w)
{
	return w->kept;
}

void
world_forget(struct world *w, struct kept *mark)
{
	w->last_cmd = w->last_err = NULL;
	while (w->kept != mark) {
		struct kept *k = w->kept;

		w->kept = k->next;
		k->destroy(k->p);
		free(k);
	}
}

char *
fmt(struct world *w, const char *format, ...)
{
	char *s;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	assert_true(n >= 0);
	s = world_keep(w, malloc((size_t)n + 1), free);
	va_start(ap, format);
	vsnprintf(s, (size_t)n + 1, format, ap);
	va_end(ap);
	return s;
}

void
world_env(struct world *w, const char *name, const char *value)
{
	size_t len = strlen(name);
	int i;

	for (i = 0; w->env[i] != NULL; i++)
		if (strncmp(w->env[i], name, len) == 0 && w->env[i][len] == '=')
			break;
	if (value != NULL) {
		assert_true(i < WORLD_ENV - 1);
		w->env[i] = fmt(w, "%s=%s", name, value);
		return;
	}
	for (; w->env[i] != NULL; i++)
		w->env[i] = w->env[i + 1];
}

static void
inherit(struct world *w, const char *name)
{
	if (getenv(name) != NULL)
		world_env(w, name, getenv(name));
}

static void
set_environment(struct world *w)
{
	inherit(w, "PATH");
	inherit(w, "ASAN_OPTIONS");
	inherit(w, "UBSAN_OPTIONS");
	inherit(w, "LSAN_OPTIONS");
	inherit(w, "LLVM_PROFILE_FILE");
	world_env(w, "LC_ALL", "C.UTF-8");
	world_env(w, "HOME", w->home);
	world_env(w, "XDG_CONFIG_HOME", fmt(w, "%s/.config", w->home));
	world_env(w, "XDG_DATA_HOME", fmt(w, "%s/.local/share", w->home));
	world_env(w, "XDG_STATE_HOME", fmt(w, "%s/.local/state", w->home));
	world_env(w, "XDG_CACHE_HOME", fmt(w, "%s/.cache", w->home));
	world_env(w, "XDG_RUNTIME_DIR", w->home);
	world_env(w, "GIT_CONFIG_GLOBAL", "/dev/null");
	world_env(w, "GIT_CONFIG_NOSYSTEM", "1");
	world_env(w, "GIT_AUTHOR_NAME", "Test");
	world_env(w, "GIT_AUTHOR_EMAIL", "test@example.org");
	world_env(w, "GIT_COMMITTER_NAME", "Test");
	world_env(w, "GIT_COMMITTER_EMAIL", "test@example.org");
	world_env(w, "DEVMESH_CONFIG", fmt(w, "%s/devmesh.ini", w->home));
	world_env(w, "DEVMESH_SOCKETS_DIR", w->sockets);
	world_env(w, "DEVMESH_LOCAL_STATE_DIR", w->state);
	world_env(w, "DEVMESH_CADDY_ADMIN", w->admin);
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "60000");
	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.test");
	/* what is not tested is not started: world_env(w, "DEVMESH_DAEMON_START", NULL) has it
	 * started */
	world_env(w, "DEVMESH_DAEMON_START", "no");
	/* there is one port 53, and others may be using it */
	world_env(w, "DEVMESH_DNS_ENABLED", "no");
}

static bool
copy_program(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	ssize_t n = -1;

	while (in >= 0 && out >= 0 && (n = read(in, buf, sizeof buf)) > 0) {
		if (write(out, buf, (size_t)n) != n) {
			n = -1;
			break;
		}
	}
	if (in >= 0)
		close(in);
	if (out >= 0 && (fchmod(out, 0755) != 0 || close(out) != 0))
		n = -1;
	return n == 0;
}

/*
 * Tests that run as another user need the programs where that user may go: not in root's home.
 * devmeshd is beside devmesh there as it is where both were built.
 */
static bool
copy_programs(struct world *w)
{
	const char *slash = strrchr(w->devmesh, '/');
	char *daemon = fmt(w, "%.*s/devmeshd", (int)(slash - w->devmesh), w->devmesh);
	char *to = fmt(w, "%s/devmesh", w->dir);

	if (!copy_program(w->devmesh, to) ||
	    (access(daemon, X_OK) == 0 && !copy_program(daemon, fmt(w, "%s/devmeshd", w->dir))))
		return false;
	w->devmesh = to;
	return true;
}

int
world_setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	const char *tmp = getenv("TMPDIR");

	signal(SIGPIPE, SIG_IGN);
	/*
	 * Servers are bound by this very process: from "/" nobody can tell whose they are. Those of
	 * one worktree are made by serve_in().
	 */
	if (chdir("/") != 0) {
		free(w);
		return -1;
	}
#ifdef __linux__
	/* What devmesh leaves in the background comes back to us, so teardown can end it. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
#endif
	w->devmesh = getenv("DEVMESH_BIN");
	if (w->devmesh == NULL || access(w->devmesh, X_OK) != 0) {
		fprintf(stderr, "DEVMESH_BIN must be the absolute path of the devmesh program\n");
		free(w);
		return -1;
	}
	/* Short, because a socket's path has 104 or 108 bytes in all. */
	if (tmp == NULL || strlen(tmp) > 30)
		tmp = "/tmp";
	snprintf(w->dir, sizeof w->dir, "%s/dmXXXXXX", tmp);
	if (mkdtemp(w->dir) == NULL || chmod(w->dir, 0755) != 0) {
		fprintf(stderr, "cannot make a directory in %s: %s\n", tmp, strerror(errno));
		free(w);
		return -1;
	}
	snprintf(w->sockets, sizeof w->sockets, "%.40s/s", w->dir);
	snprintf(w->state, sizeof w->state, "%.40s/state", w->dir);
	snprintf(w->home, sizeof w->home, "%.40s/home", w->dir);
	snprintf(w->admin, sizeof w->admin, "unix://%.40s/admin.sock", w->dir);
	set_environment(w);
	if (geteuid() == 0 && !copy_programs(w)) {
		fprintf(stderr, "cannot copy %s: %s\n", getenv("DEVMESH_BIN"), strerror(errno));
		return -1;
	}
	mkdir(w->home, 0700);
	mkdir(w->sockets, 0700);
	chmod(w->sockets, 01777);
	write_text(fmt(w, "%s/devmesh.ini", w->home), "");
	*state = w;
	return 0;
}

void
world_skip(struct world *w, const char *reason)
{
	printf("           skipped: %s\n", reason);
	w->passed = true;
	skip();
}

/*
 * Ports come from below the ephemeral range. A lock file per port keeps test programs that run at
 * the same time apart: bind() alone cannot, since two Caddys share one port without an error.
 */
static bool
reserve_port(struct world *w, int port)
{
	char path[64];
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int lock, fd, on = 1;
	bool ok;

	snprintf(path, sizeof path, "/tmp/devmesh-test-ports.%u", (unsigned)getuid());
	mkdir(path, 0700);
	snprintf(path, sizeof path, "/tmp/devmesh-test-ports.%u/%d", (unsigned)getuid(), port);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0)
		fail_msg("cannot reserve a port by %s: %s", path, strerror(errno));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	/* Ended connections in TIME_WAIT are no obstacle; a listener still is. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	ok = flock(lock, LOCK_EX | LOCK_NB) == 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
	close(fd);
	if (!ok) {
		close(lock);
		return false;
	}
	w->port_locks[w->nports++] = lock;
	return true;
}

int
free_port(struct world *w)
{
	int i, port;

	assert_true(w->nports < WORLD_PORTS);
	for (i = 0; i < 10000; i++) {
		port = 20000 + (int)((unsigned)getpid() * 31u + ++w->serial * 7u) % 12000;
		if (reserve_port(w, port))
			return port;
	}
	fail_msg("no free port between 20000 and 32000");
	return -1;
}

/* --- processes ----------------------------------------------------------------------------- */

static void
child_redirect(const char *path, int to)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || dup2(fd, to) < 0)
		_exit(126);
	if (fd != to)
		close(fd);
}

struct proc *
start_child(struct world *w)
{
	struct proc *p = calloc(1, sizeof *p);
	pid_t parent = getpid();

	assert_non_null(p);
	snprintf(p->out, sizeof p->out, "%.40s/p%u.out", w->dir, ++w->serial);
	snprintf(p->err, sizeof p->err, "%.40s/p%u.err", w->dir, w->serial);
	fflush(NULL);
	p->pid = fork();
	if (p->pid < 0)
		fail_msg("fork: %s", strerror(errno));
	if (p->pid > 0) {
		p->next = w->procs;
		w->procs = p;
		return p;
	}
#ifdef __linux__
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
#else
	(void)parent;
#endif
	child_redirect("/dev/null", 0);
	child_redirect(p->out, 1);
	child_redirect(p->err, 2);
	free(p);
	return NULL;
}

static void
child_exec(struct world *w, const char *dir, const char *const argv[])
{
	char *args[64];
	int i;

	signal(SIGPIPE, SIG_DFL);
	if (w->uid != 0 &&
	    (setgroups(0, NULL) != 0 || setgid(w->uid) != 0 || setuid(w->uid) != 0)) {
		fprintf(stderr, "cannot become uid %u: %s\n", (unsigned)w->uid, strerror(errno));
		_exit(126);
	}
	if (chdir(dir != NULL ? dir : w->dir) != 0) {
		fprintf(stderr, "chdir %s: %s\n", dir, strerror(errno));
		_exit(126);
	}
	for (i = 0; argv[i] != NULL && i < 63; i++)
		memcpy(&args[i], &argv[i], sizeof args[i]);
	args[i] = NULL;
	/* execvp looks the program up in the test's own PATH, the one the world inherits. */
	environ = w->env;
	execvp(args[0], args);
	fprintf(stderr, "cannot run %s: %s\n", args[0], strerror(errno));
	_exit(127);
}

struct proc *
start(struct world *w, const char *dir, const char *const argv[])
{
	struct proc *p = start_child(w);

	if (p == NULL)
		child_exec(w, dir, argv);
	return p;
}

/* Also reaps what came back to us as subreaper: a zombie would look alive to `devmesh stop`. */
void
reap(struct world *w)
{
	struct proc *p;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (p = w->procs; p != NULL; p = p->next)
			if (p->pid == pid && !p->ended) {
				p->ended = true;
				p->status = status;
			}
}

bool
wait_until(struct world *w, bool (*pred)(struct world *, const void *), const void *arg, int ms)
{
	int64_t end = now_ms() + ms;
	long us = 500;

	for (;;) {
		reap(w);
		if (pred(w, arg))
			return true;
		if (now_ms() > end)
			return false;
		nap_us(us);
		us = us < 10000 ? us * 2 : 10000;
	}
}

static bool
has_ended(struct world *w, const void *arg)
{
	const struct proc *p = arg;

	(void)w;
	return p->ended;
}

struct result
finish(struct world *w, struct proc *p)
{
	struct result r = {0};

	if (!wait_until(w, has_ended, p, DEADLINE_MS)) {
		w->last_err = read_text(w, p->err);
		end_proc(w, p);
		fail_msg("a process did not end within %d ms", DEADLINE_MS);
	}
	r.code = WIFEXITED(p->status) ? WEXITSTATUS(p->status) : 128 + WTERMSIG(p->status);
	r.out = read_text(w, p->out);
	r.err = read_text(w, p->err);
	if (r.out == NULL || r.err == NULL)
		fail_msg("a process could not even be set up, in %s", w->dir);
	w->last_err = r.err;
	return r;
}

static char *
spell(struct world *w, const char *const argv[])
{
	char *s = fmt(w, "%s", argv[0]);
	int i;

	for (i = 1; argv[i] != NULL; i++)
		s = fmt(w, "%s %s", s, argv[i]);
	return s;
}

struct result
run(struct world *w, const char *dir, const char *const argv[])
{
	w->last_cmd = spell(w, argv);
	return finish(w, start(w, dir, argv));
}

struct result
run_ok(struct world *w, const char *dir, const char *const argv[])
{
	struct result r = run(w, dir, argv);

	if (r.code != 0)
		fail_msg("%s: exit %d: %s", w->last_cmd, r.code, r.err);
	return r;
}

void
signal_proc(struct proc *p, int sig)
{
	/* Never a pid that was reaped: it may be somebody else's by now. */
	if (!p->ended)
		kill(p->pid, sig);
}

void
end_proc(struct world *w, struct proc *p)
{
	signal_proc(p, SIGKILL);
	while (!p->ended) {
		reap(w);
		nap_us(200);
	}
}

/* --- teardown ------------------------------------------------------------------------------ */

/* Kills the children that there are now. */
static void
kill_children(struct world *w)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	char *stat, *end;
	long pid, ppid;

	while (d != NULL && (e = readdir(d)) != NULL) {
		pid = strtol(e->d_name, &end, 10);
		if (pid <= 0 || *end != '\0')
			continue;
		stat = read_text(w, fmt(w, "/proc/%ld/stat", pid));
		end = stat != NULL ? strrchr(stat, ')') : NULL;
		if (end == NULL || strlen(end) < 5)
			continue;
		ppid = strtol(end + 4, NULL, 10);
		if (ppid == (long)getpid())
			kill((pid_t)pid, SIGKILL);
	}
	if (d != NULL)
		closedir(d);
}

/*
 * Children nobody recorded: the private Caddy of `devmesh start`, adopted from its parent. When
 * they end we may get theirs.
 */
static void
end_adopted(struct world *w)
{
	pid_t pid;

	do {
		kill_children(w);
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		nap_us(pid == 0 ? 500 : 0);
	} while (pid == 0);
}

static void
print_file(struct world *w, const char *what, const char *path)
{
	const char *text = read_text(w, path);
	size_t len = text != NULL ? strlen(text) : 0;

	if (len > 0)
		printf("--- %s ---\n%s\n", what, text + (len > 6000 ? len - 6000 : 0));
}

static void
print_traces(struct world *w)
{
	DIR *d = opendir(w->sockets);
	struct dirent *e;

	printf("--- last command: %s\n", w->last_cmd != NULL ? w->last_cmd : "none");
	if (w->last_err != NULL && w->last_err[0] != '\0')
		printf("--- its stderr ---\n%s\n", w->last_err);
	printf("--- in %s:", w->sockets);
	while (d != NULL && (e = readdir(d)) != NULL)
		printf(" %s", e->d_name);
	if (d != NULL)
		closedir(d);
	printf("\n");
	if (w->caddy != NULL)
		print_file(w, "caddy", w->caddy->err);
	print_file(w, "caddy of devmesh start", fmt(w, "%s/caddy.log", w->state));
	print_file(w, "devmeshd", fmt(w, "%s/devmeshd.log", w->state));
}

int
world_teardown(void **state)
{
	struct world *w = *state;
	struct proc *p, *next;
	struct kept *k, *nextk;

	for (p = w->procs; p != NULL; p = p->next)
		end_proc(w, p);
	end_adopted(w);
	if (!w->passed)
		print_traces(w);
#ifdef __linux__
	if (w->mount[0] != '\0')
		umount(w->mount);
#endif
	remove_tree(w->dir);
	while (w->nports > 0)
		close(w->port_locks[--w->nports]);
	for (p = w->procs; p != NULL; p = next) {
		next = p->next;
		free(p);
	}
	for (k = w->kept; k != NULL; k = nextk) {
		nextk = k->next;
		k->destroy(k->p);
		free(k);
	}
	free(w);
	return 0;
}
