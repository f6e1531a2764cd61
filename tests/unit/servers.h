/* SPDX-License-Identifier: MIT */
/* Worktrees, and servers in them that are started and ended: for the tests of discovery. */
#ifndef DEVMESH_SERVERS_H
#define DEVMESH_SERVERS_H

#include "repos.h"
#include "serve.h"

#include <limits.h>
#include <sys/wait.h>

#include "discover.h"
#include "runner.h"

enum {
	SERVERS_MAX = 8,
	CLAIMS_MAX = 8
};

static char self[PATH_MAX];

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

static inline int
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

static inline void
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

static inline int
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
static inline struct server
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

/* Of main(): this program is a server, or runs the tests. */
#define SERVE_OR_TEST(argc, argv, tests) \
	((argc) > 3 && strcmp((argv)[1], "serve") == 0 ? serve(argc, argv) \
	    : realpath((argv)[0], self) == NULL	       ? 1 \
						       : cmocka_run_group_tests(tests, NULL, NULL))

#endif
