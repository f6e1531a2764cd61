/* SPDX-License-Identifier: MIT */
/*
 * What is found out about processes that listen: real ones, in real worktrees. They are this
 * program again, started with the sockets that they are to have.
 */
#include "git.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "discover.h"
#include "runner.h"

enum {
	DEADLINE_MS = 60000,
	SERVERS_MAX = 8,
	CLAIMS_MAX = 8
};

static char self[PATH_MAX];

/* ---- the servers --------------------------------------------------------------------------- */

static int
bound(const struct sockaddr *address, socklen_t len)
{
	int fd = socket(address->sa_family, SOCK_STREAM, 0), yes = 1;

	if (fd < 0 ||
	    (address->sa_family != AF_UNIX &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0) ||
	    bind(fd, address, len) != 0 || listen(fd, 4) != 0)
		_exit(3);
	return fd;
}

/* On 127.0.0.1 or ::1; port 0: any. Which one it is. */
static uint16_t
listen_tcp(int family, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	socklen_t len = sizeof(in);
	int fd;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in6.sin6_addr = in6addr_loopback;
	if (family == AF_INET6) {
		(void)bound((const struct sockaddr *)&in6, sizeof(in6));
		return port;
	}
	fd = bound((const struct sockaddr *)&in, sizeof(in));
	if (getsockname(fd, (struct sockaddr *)&in, &len) != 0)
		_exit(3);
	return ntohs(in.sin_port);
}

static void
listen_unix(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	memcpy(un.sun_path, path, strlen(path) + 1);
	(void)bound((const struct sockaddr *)&un, sizeof(un));
}

/* Says that it is ready, and waits for the signal. */
static void
pause_until_told(int ready, uint16_t port)
{
	sigset_t wanted;
	int sig;

	(void)sigemptyset(&wanted);
	(void)sigaddset(&wanted, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &wanted, NULL);
	if (write(ready, &port, sizeof(port)) != (ssize_t)sizeof(port) ||
	    sigwait(&wanted, &sig) != 0)
		_exit(3);
}

/*
 * serve READY LIFE WORD ...: tcp; same6: ::1 as well; worker: another process with the same socket;
 * twin: one with a socket of its own on the same port; nobody: as another user; later: the rest
 * after SIGUSR1; touch: the file "touched"; else a path. Says its port on READY, and lives for as
 * long as LIFE is not closed at the other end.
 */
static int
serve(int argc, char **argv)
{
	int ready = (int)strtol(argv[2], NULL, 10), life = (int)strtol(argv[3], NULL, 10);
	uint16_t port = 0;
	char byte;

	for (int i = 4; i < argc; i++) {
		if (strcmp(argv[i], "tcp") == 0)
			port = listen_tcp(AF_INET, 0);
		else if (strcmp(argv[i], "same6") == 0)
			(void)listen_tcp(AF_INET6, port);
		else if (strcmp(argv[i], "nobody") == 0 && setuid(65534) != 0)
			return 3;
		else if (strchr(argv[i], '.') != NULL)
			listen_unix(argv[i]);
		if (strcmp(argv[i], "later") == 0)
			pause_until_told(ready, port);
		if (strcmp(argv[i], "touch") == 0 && close(creat("touched", 0600)) != 0)
			return 3;
		if (strcmp(argv[i], "worker") == 0 && fork() == 0)
			break;
		if (strcmp(argv[i], "twin") == 0 && fork() == 0) {
			(void)close(4); /* the socket that it has inherited, if it is that */
			(void)listen_tcp(AF_INET, port);
			break;
		}
	}
	(void)signal(SIGPIPE, SIG_IGN); /* nobody may listen a second time */
	(void)!write(ready, &port, sizeof(port));
	(void)close(ready);
	return read(life, &byte, 1) == 0 ? 0 : 3;
}

/* ---- the place ----------------------------------------------------------------------------- */

struct place {
	char *dir, *repo, *tree, *sockets;
	int life[2];
	pid_t servers[SERVERS_MAX];
	size_t count;
	struct claim *list[CLAIMS_MAX];
	struct registry_claims claims;
	struct discover_options options;
	struct discovery *discovery;
	struct found_list found;
};

static int
setup(void **state)
{
	struct place *p = dm_calloc(1, sizeof(*p));
	DM_AUTO_FREE char *made = temp_dir();

	p->dir = realpath(made, NULL);
	p->repo = repo_in(p->dir, "shop");
	p->tree = in_dir(p->dir, "tree");
	GIT(p->repo, "worktree", "add", "-q", "-b", "x", p->tree);
	p->sockets = in_dir(p->dir, "s");
	assert_int_equal(mkdir(p->sockets, 0700), 0);
	assert_int_equal(pipe(p->life), 0);
	assert_int_equal(fcntl(p->life[1], F_SETFD, FD_CLOEXEC), 0);
	p->claims.list = p->list;
	p->options = (struct discover_options){
	    .port_from = 1024, .port_to = UINT16_MAX, .sockets_dir = p->sockets};
	p->discovery = discovery_new();
	*state = p;
	return 0;
}

static void
end(struct place *p, pid_t pid)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->servers[i] != pid)
			continue;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		p->servers[i] = p->servers[--p->count];
		return;
	}
	fail_msg("pid %ld was not started here", (long)pid);
}

static int
teardown(void **state)
{
	struct place *p = *state;

	while (p->count > 0)
		end(p, p->servers[0]);
	(void)close(p->life[0]);
	(void)close(p->life[1]);
	for (size_t i = 0; i < p->claims.count; i++)
		claim_free(p->list[i]);
	found_release(&p->found);
	discovery_free(p->discovery);
	free(p->repo);
	free(p->tree);
	free(p->sockets);
	remove_tree(p->dir);
	free(p);
	return 0;
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

struct server {
	pid_t pid;
	uint16_t port;
};

/* Starts the program in `dir`, with a mark (NULL: none); returns when it listens. */
static struct server
start_as(struct place *p, const char *program, const char *dir, const char *mark,
    const char *const words[])
{
	int ready[2];
	DM_AUTO_FREE char *life = dm_asprintf("%d", p->life[0]), *out = NULL;
	char *argv[16] = {self, (char[]){"serve"}, NULL, life};
	struct server s = {.port = 0};
	ssize_t n;

	assert_true(p->count < SERVERS_MAX);
	assert_int_equal(pipe(ready), 0);
	argv[2] = out = dm_asprintf("%d", ready[1]);
	for (size_t i = 0; words[i] != NULL; i++)
		argv[4 + i] = dm_strdup(words[i]);
	s.pid = fork();
	assert_true(s.pid >= 0);
	if (s.pid == 0) {
		if (mark != NULL)
			(void)setenv(RUNNER_VARIABLE, mark, 1);
		else
			(void)unsetenv(RUNNER_VARIABLE);
		if (chdir(dir) == 0)
			(void)execv(program, argv);
		_exit(3);
	}
	p->servers[p->count++] = s.pid;
	for (size_t i = 4; argv[i] != NULL; i++)
		free(argv[i]);
	(void)close(ready[1]);
	n = read(ready[0], &s.port, sizeof(s.port));
	(void)close(ready[0]);
	assert_int_equal(n, sizeof(s.port));
	return s;
}

#define START(p, dir, ...) start_as(p, self, dir, NULL, (const char *const[]){__VA_ARGS__, NULL})
#define START_MARKED(p, dir, mark, ...) \
	start_as(p, self, dir, mark, (const char *const[]){__VA_ARGS__, NULL})

static void
look(struct place *p)
{
	found_release(&p->found);
	discovery_look(p->discovery, &p->options, &p->claims, &p->found);
}

static void
look_for_the_first_time(struct place *p)
{
	discovery_free(p->discovery);
	p->discovery = discovery_new();
	look(p);
}

/* How many rows the process has; *out is the first. */
static size_t
rows_of(const struct place *p, pid_t pid, const struct found **out)
{
	size_t n = 0;

	for (size_t i = p->found.count; i-- > 0;) {
		if (p->found.list[i].process.pid == pid) {
			*out = &p->found.list[i];
			n++;
		}
	}
	return n;
}

static const struct found *
row_of(const struct place *p, pid_t pid)
{
	const struct found *f = NULL;

	assert_int_equal(rows_of(p, pid, &f), 1);
	return f;
}

static void
assert_not_found(const struct place *p, pid_t pid)
{
	const struct found *f;

	assert_int_equal(rows_of(p, pid, &f), 0);
}

static struct claim *
claim(struct place *p, const char *id, const char *worktree)
{
	struct claim *c = claim_new();
	struct dm_err err;

	assert_true(p->claims.count < CLAIMS_MAX);
	assert_ok(slug_parse(id, &c->id, &err), &err);
	c->app = c->id;
	c->worktree = dm_strdup(worktree);
	p->list[p->claims.count++] = c;
	return c;
}

static char *
sub_dir(const char *dir, const char *name)
{
	char *path = in_dir(dir, name);

	assert_int_equal(mkdir(path, 0700), 0);
	return path;
}

/* ---- where they are ------------------------------------------------------------------------ */

static void
what_listens_and_where(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *sub = sub_dir(p->tree, "sub"), *common = in_dir(p->repo, ".git");
	struct server main_one = START(p, p->repo, "tcp"), linked = START(p, sub, "tcp");
	struct server outside = START(p, p->dir, "tcp"), idle = START(p, p->repo, "idle");
	const struct found *f;

	look(p);
	f = row_of(p, main_one.pid);
	assert_int_equal(f->port, main_one.port);
	assert_string_equal(f->address, "127.0.0.1");
	assert_null(f->socket);
	assert_string_equal(f->cwd, p->repo);
	assert_string_equal(f->worktree, p->repo);
	assert_string_equal(f->repo, common);
	assert_null(f->claim);
	assert_false(f->orphan);
	assert_true(dm_starts_with(f->command, "test_discover serve "));
	assert_true(dm_proc_alive(&f->process));
	f = row_of(p, linked.pid);
	assert_string_equal(f->cwd, sub);
	assert_string_equal(f->worktree, p->tree);
	assert_string_equal(f->repo, common);
	assert_not_found(p, outside.pid);
	assert_not_found(p, idle.pid);
	for (size_t i = 1; i < p->found.count; i++)
		assert_true(p->found.list[i - 1].process.pid <= p->found.list[i].process.pid);
}

static void
they_come_and_go(void **state)
{
	struct place *p = *state;
	struct server a = START(p, p->repo, "tcp"), b;

	look(p);
	(void)row_of(p, a.pid);
	b = START(p, p->tree, "tcp");
	look(p);
	(void)row_of(p, a.pid);
	assert_int_equal(row_of(p, b.pid)->port, b.port);
	end(p, a.pid);
	look(p);
	assert_not_found(p, a.pid);
	(void)row_of(p, b.pid);
}

static void
submodules_and_separate_git_directories(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *other = repo_in(p->dir, "other"), *sub = in_dir(p->repo, "lib");
	DM_AUTO_FREE char *apart = in_dir(p->dir, "apart"), *git = in_dir(p->dir, "apart.git");
	DM_AUTO_FREE char *modules = in_dir(p->repo, ".git/modules/lib");
	struct server a, b;

	GIT(p->repo, "-c", "protocol.file.allow=always", "submodule", "add", other, "lib");
	GIT(p->dir, "init", "-q", "--separate-git-dir", git, apart);
	a = START(p, sub, "tcp");
	b = START(p, apart, "tcp");
	look(p);
	assert_string_equal(row_of(p, a.pid)->worktree, sub);
	assert_string_equal(row_of(p, a.pid)->repo, modules);
	assert_string_equal(row_of(p, b.pid)->worktree, apart);
	assert_string_equal(row_of(p, b.pid)->repo, git);
}

static void
unix_sockets(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *here = in_dir(p->sockets, "a.sock"), *far = in_dir(p->dir, "b.sock");
	DM_AUTO_FREE char *deep = sub_dir(p->sockets, "deep"), *below = in_dir(deep, "c.sock");
	DM_AUTO_FREE char *inside = in_dir(p->tree, "d.sock"),
			  *joined = in_dir(p->tree, "./e.sock");
	struct server a = START(p, p->tree, here), b = START(p, p->tree, far);
	struct server c = START(p, p->tree, below), d = START(p, p->tree, inside);
	struct server e = START(p, p->tree, "./e.sock"), f = START(p, p->dir, "f.sock");
	const struct found *row;

	look(p);
	row = row_of(p, a.pid);
	assert_string_equal(row->socket, here);
	assert_int_equal(row->port, 0);
	assert_null(row->address);
	assert_not_found(p, b.pid);
	assert_not_found(p, c.pid);
	assert_string_equal(row_of(p, d.pid)->socket, inside);
	assert_string_equal(row_of(p, e.pid)->socket, joined);
	assert_not_found(p, f.pid);
	/* one that a claim is for counts wherever it is */
	claim(p, "far", p->tree)->socket = dm_strdup(far);
	look(p);
	assert_string_equal(row_of(p, b.pid)->claim, "far");
}

static void
ports_out_of_range(void **state)
{
	struct place *p = *state;
	struct server s = START(p, p->tree, "tcp");

	p->options.port_from = p->options.port_to = s.port;
	look(p);
	(void)row_of(p, s.pid);
	p->options.port_from = p->options.port_to = s.port == 1 ? 2 : (uint16_t)(s.port - 1);
	look(p);
	assert_not_found(p, s.pid);
	claim(p, "shop", p->tree)->port = s.port;
	look(p);
	assert_string_equal(row_of(p, s.pid)->claim, "shop");
}

static void
another_users_are_left_out(void **state)
{
	struct place *p = *state;
	struct server s;

	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(p->dir, 0755), 0);
	s = START(p, p->repo, "nobody", "tcp");
	look(p);
	assert_not_found(p, s.pid);
}

static void
caddy_and_devmesh_are_left_out(void **state)
{
	static const char *const names[] = {"caddy", "devmesh", "devmeshd"};
	struct place *p = *state;
	DM_AUTO_STR struct dm_str bytes = dm_str_make(1 << 28);
	struct dm_err err;

	assert_ok(dm_read_file(self, &bytes, &err), &err);
	for (size_t i = 0; i < COUNT(names); i++) {
		DM_AUTO_FREE char *program = in_dir(p->dir, names[i]);
		struct server s;

		assert_ok(dm_write_file(program, bytes.data, bytes.len, 0755, &err), &err);
		s = start_as(p, program, p->repo, NULL, (const char *const[]){"tcp", NULL});
		claim(p, names[i], p->repo)->port = s.port;
		look(p);
		assert_not_found(p, s.pid);
	}
}

/* ---- several processes, several sockets ---------------------------------------------------- */

static void
of_those_who_share_a_socket_the_parent_counts(void **state)
{
	struct place *p = *state;
	struct server s = START(p, p->tree, "tcp", "worker", "worker");
	size_t rows = 0;
	pid_t heir;

	look(p);
	for (size_t i = 0; i < p->found.count; i++)
		rows += p->found.list[i].port == s.port ? 1 : 0;
	assert_int_equal(rows, 1);
	(void)row_of(p, s.pid);
	/* it dies, and its workers still have the socket */
	end(p, s.pid);
	look(p);
	assert_not_found(p, s.pid);
	for (size_t i = 0; i < p->found.count; i++) {
		if (p->found.list[i].port != s.port)
			continue;
		heir = p->found.list[i].process.pid;
		assert_true(heir != s.pid);
		assert_string_equal(p->found.list[i].worktree, p->tree);
		rows--;
	}
	assert_int_equal(rows, 0);
}

/* A worker that is new, of a parent that was there at the last look, but did not listen yet. */
static void
the_parent_counts_though_the_worker_is_newer(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *path = in_dir(p->sockets, "a.sock"), *file = in_dir(p->tree, "touched");
	struct server s = START(p, p->tree, "later", path, "worker", "touch");
	struct server other = START(p, p->repo, "tcp");
	int64_t deadline = dm_now_ms() + DEADLINE_MS;

	/* any socket here that has no visible owner is looked for again, which finds everything */
	for (int i = 0; i < 4; i++)
		look(p);
	(void)row_of(p, other.pid);
	assert_not_found(p, s.pid);
	assert_int_equal(kill(s.pid, SIGUSR1), 0);
	while (access(file, F_OK) != 0)
		assert_true(dm_now_ms() < deadline);
	look(p);
	assert_string_equal(row_of(p, s.pid)->socket, path);
}

static void
one_server_on_both_loopback_addresses(void **state)
{
	struct place *p = *state;
	struct server s = START(p, p->tree, "tcp", "same6");

	look(p);
	assert_string_equal(row_of(p, s.pid)->address, "127.0.0.1");
}

static void
twins_on_one_port_count_once(void **state)
{
	struct place *p = *state;
	struct server s = START(p, p->tree, "tcp", "twin");
	size_t rows = 0;

	look(p);
	for (size_t i = 0; i < p->found.count; i++)
		rows += p->found.list[i].port == s.port ? 1 : 0;
	assert_int_equal(rows, 1);
}

static void
one_process_with_two_ports(void **state)
{
	struct place *p = *state;
	struct server s = START(p, p->tree, "tcp", "tcp");
	const struct found *f = NULL;

	look(p);
	assert_int_equal(rows_of(p, s.pid, &f), 2);
	assert_true(f[0].port < f[1].port);
}

/* ---- claims -------------------------------------------------------------------------------- */

static void
the_claim_that_one_serves(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *path = in_dir(p->sockets, "by-path.sock");
	struct server tcp = START(p, p->repo, "tcp"), un = START(p, p->tree, path);
	struct claim *alias = claim(p, "alias", p->repo);

	alias->is_alias = true;
	alias->port = tcp.port;
	claim(p, "other", p->tree)->port = tcp.port;
	claim(p, "own", p->repo)->port = tcp.port;
	claim(p, "by-path", p->tree)->socket = dm_strdup(path);
	look(p);
	assert_string_equal(row_of(p, tcp.pid)->claim, "own");
	assert_string_equal(row_of(p, un.pid)->claim, "by-path");
}

/* A claim makes a service of what is in no worktree. */
static void
a_claimed_server_outside_of_git(void **state)
{
	struct place *p = *state;
	struct server s = START(p, p->dir, "tcp");

	claim(p, "plain", p->dir)->port = s.port;
	look(p);
	assert_string_equal(row_of(p, s.pid)->claim, "plain");
	assert_null(row_of(p, s.pid)->worktree);
}

static void
what_is_behind_a_run_is_the_server(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *front = in_dir(p->sockets, "shop.sock");
	struct server runner = START(p, p->tree, front), s, stray;
	struct claim *c = claim(p, "shop", p->tree);
	DM_AUTO_FREE char *mark = NULL;

	assert_true(dm_proc_id(runner.pid, &c->run.runner));
	c->socket = dm_strdup(front);
	mark = runner_mark(&c->run.runner);
	s = START_MARKED(p, p->tree, mark, "tcp");
	stray = START(p, p->repo, "tcp");
	c->run.bridged = true;
	c->run.port = s.port;
	look(p);
	assert_not_found(p, runner.pid);
	assert_string_equal(row_of(p, s.pid)->claim, "shop");
	assert_false(row_of(p, s.pid)->orphan);
	/* a record may be old: the port is another one's by now */
	c->run.port = stray.port;
	look(p);
	assert_null(row_of(p, stray.pid)->claim);
	assert_null(row_of(p, s.pid)->claim);
}

static void
what_a_killed_run_has_left(void **state)
{
	struct place *p = *state;
	struct server runner = START(p, p->tree, "idle"), marked, unmarked;
	struct claim *c = claim(p, "shop", p->tree);
	DM_AUTO_FREE char *mark = NULL;

	assert_true(dm_proc_id(runner.pid, &c->run.runner));
	c->socket = in_dir(p->sockets, "shop.sock");
	mark = runner_mark(&c->run.runner);
	marked = START_MARKED(p, p->tree, mark, "tcp");
	unmarked = START_MARKED(p, p->tree, "", "tcp");
	c->run.port = marked.port;
	look(p);
	assert_false(row_of(p, marked.pid)->orphan);
	assert_false(row_of(p, unmarked.pid)->orphan);
	end(p, runner.pid);
	look(p);
	assert_true(row_of(p, marked.pid)->orphan);
	assert_string_equal(row_of(p, marked.pid)->claim, "shop");
	assert_false(row_of(p, unmarked.pid)->orphan);
	look_for_the_first_time(p);
	assert_true(row_of(p, marked.pid)->orphan);
}

/* ---- worktrees that go --------------------------------------------------------------------- */

static void
a_worktree_is_removed(void **state)
{
	struct place *p = *state;
	struct server s = START(p, p->tree, "tcp");
	const struct found *f;
	DM_AUTO_FREE char *common = in_dir(p->repo, ".git");

	look(p);
	assert_false(row_of(p, s.pid)->orphan);
	GIT(p->repo, "worktree", "remove", "--force", p->tree);
	look(p);
	f = row_of(p, s.pid);
	assert_true(f->orphan);
	/* as it was */
	assert_string_equal(f->cwd, p->tree);
	assert_string_equal(f->worktree, p->tree);
	assert_string_equal(f->repo, common);
	/* somebody who comes later cannot know */
	look_for_the_first_time(p);
	f = row_of(p, s.pid);
	assert_true(f->orphan);
	assert_string_equal(f->cwd, p->tree);
	assert_null(f->worktree);
	/* but a claim may tell */
	(void)claim(p, "shop-x", p->tree);
	look_for_the_first_time(p);
	assert_string_equal(row_of(p, s.pid)->worktree, p->tree);
}

static void
git_may_remember_a_removed_worktree(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *sub = sub_dir(p->tree, "sub");
	struct server s = START(p, sub, "tcp"), other = START(p, p->repo, "tcp");

	remove_below(p->tree);
	look(p);
	(void)row_of(p, other.pid);
	assert_true(row_of(p, s.pid)->orphan);
	assert_string_equal(row_of(p, s.pid)->worktree, p->tree);
	assert_string_equal(row_of(p, s.pid)->repo, row_of(p, other.pid)->repo);
}

static void
a_directory_in_a_worktree_is_removed(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *sub = sub_dir(p->tree, "dist");
	struct server s = START(p, sub, "tcp");

	remove_below(sub);
	look(p);
	assert_true(row_of(p, s.pid)->orphan);
	assert_string_equal(row_of(p, s.pid)->worktree, p->tree);
	/* a new one of the same name is another one */
	assert_int_equal(mkdir(sub, 0700), 0);
	look(p);
	assert_true(row_of(p, s.pid)->orphan);
}

/* No directory is taken for removed because it is called so. */
static void
a_directory_called_deleted(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *odd = sub_dir(p->tree, "x (deleted)");
	struct server s = START(p, odd, "tcp");

	look(p);
	assert_false(row_of(p, s.pid)->orphan);
	assert_string_equal(row_of(p, s.pid)->cwd, odd);
}

static void
a_worktree_is_moved(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *to = in_dir(p->dir, "elsewhere");
	struct server s = START(p, p->tree, "tcp");

	look(p);
	assert_string_equal(row_of(p, s.pid)->worktree, p->tree);
	GIT(p->repo, "worktree", "move", p->tree, to);
	discovery_doubt(p->discovery);
	look(p);
	assert_string_equal(row_of(p, s.pid)->worktree, to);
	assert_string_equal(row_of(p, s.pid)->cwd, to);
	assert_false(row_of(p, s.pid)->orphan);
}

static void
a_directory_becomes_a_repository(void **state)
{
	struct place *p = *state;
	DM_AUTO_FREE char *plain = sub_dir(p->dir, "plain");
	struct server s = START(p, plain, "tcp");

	look(p);
	assert_not_found(p, s.pid);
	GIT(plain, "init", "-q");
	discovery_doubt(p->discovery);
	look(p);
	assert_string_equal(row_of(p, s.pid)->worktree, plain);
}

/* ---- what can be done ---------------------------------------------------------------------- */

static void
assert_publish(const struct place *p, const struct found *f, const char *want)
{
	DM_AUTO_FREE char *got = found_publish(f, &p->claims);

	assert_string_equal(got, want);
}

static void
how_to_publish(void **state)
{
	struct place *p = *state;
	char command[] = "x", top[] = "/w/shop", api[] = "/w/shop/packages/api";
	char odd[] = "/w/it's", path[] = "/w/shop/tmp/web.sock", gone[] = "shop";
	struct found f = {.command = command, .port = 3000, .cwd = top, .worktree = top};
	struct dm_err err;

	assert_publish(p, &f, "devmesh up -C /w/shop --port 3000");
	(void)claim(p, "shop-main", top);
	assert_ok(slug_parse("shop", &p->list[0]->app, &err), &err);
	assert_publish(p, &f, "devmesh up -C /w/shop --port 3000 --app shop-3000");
	f.cwd = api;
	assert_publish(p, &f, "devmesh up -C /w/shop --port 3000 --app api");
	(void)claim(p, "api", top);
	assert_publish(p, &f, "devmesh up -C /w/shop --port 3000 --app shop-3000");
	f.socket = path;
	f.port = 0;
	assert_publish(p, &f, "devmesh up -C /w/shop --socket /w/shop/tmp/web.sock --app shop-web");
	f = (struct found){.command = command, .port = 80, .cwd = odd, .worktree = odd};
	assert_publish(p, &f, "devmesh up -C '/w/it'\\''s' --port 80");
	/* there is nothing to register */
	f.claim = gone;
	assert_null(found_publish(&f, &p->claims));
	f.claim = NULL;
	f.orphan = true;
	assert_null(found_publish(&f, &p->claims));
	f.orphan = false;
	f.worktree = NULL;
	assert_null(found_publish(&f, &p->claims));
}

static void
how_to_end_an_orphan(void **state)
{
	struct place *p = *state;
	struct server runner = START(p, p->tree, "idle"), s;
	struct claim *c = claim(p, "shop", p->tree);
	DM_AUTO_FREE char *mark = NULL, *plain = NULL, *by_gc = NULL, *kill_it = NULL;

	assert_true(dm_proc_id(runner.pid, &c->run.runner));
	mark = runner_mark(&c->run.runner);
	s = START_MARKED(p, p->tree, mark, "tcp");
	look(p);
	assert_null(found_end(row_of(p, s.pid), &p->claims));
	end(p, runner.pid);
	look(p);
	by_gc = found_end(row_of(p, s.pid), &p->claims);
	assert_string_equal(by_gc, "devmesh gc");
	/* without its record gc knows nothing of it */
	memset(&c->run, 0, sizeof(c->run));
	plain = found_end(row_of(p, s.pid), &p->claims);
	kill_it = dm_asprintf("kill %ld", (long)s.pid);
	assert_string_equal(plain, kill_it);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    IN_PLACE(what_listens_and_where),
	    IN_PLACE(they_come_and_go),
	    IN_PLACE(submodules_and_separate_git_directories),
	    IN_PLACE(unix_sockets),
	    IN_PLACE(ports_out_of_range),
	    IN_PLACE(another_users_are_left_out),
	    IN_PLACE(caddy_and_devmesh_are_left_out),
	    IN_PLACE(of_those_who_share_a_socket_the_parent_counts),
	    IN_PLACE(the_parent_counts_though_the_worker_is_newer),
	    IN_PLACE(one_server_on_both_loopback_addresses),
	    IN_PLACE(twins_on_one_port_count_once),
	    IN_PLACE(one_process_with_two_ports),
	    IN_PLACE(the_claim_that_one_serves),
	    IN_PLACE(a_claimed_server_outside_of_git),
	    IN_PLACE(what_is_behind_a_run_is_the_server),
	    IN_PLACE(what_a_killed_run_has_left),
	    IN_PLACE(a_worktree_is_removed),
	    IN_PLACE(git_may_remember_a_removed_worktree),
	    IN_PLACE(a_directory_in_a_worktree_is_removed),
	    IN_PLACE(a_directory_called_deleted),
	    IN_PLACE(a_worktree_is_moved),
	    IN_PLACE(a_directory_becomes_a_repository),
	    IN_PLACE(how_to_publish),
	    IN_PLACE(how_to_end_an_orphan),
	};

	if (argc > 3 && strcmp(argv[1], "serve") == 0)
		return serve(argc, argv);
	if (realpath(argv[0], self) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
