/* SPDX-License-Identifier: MIT */
/* What is found out about processes that listen: real ones, in real worktrees. */
#include "looks.h"

#include "base/clock.h"

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
	int64_t deadline = dm_now_ms() + 60000;

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
	};

	return SERVE_OR_TEST(argc, argv, tests);
}
