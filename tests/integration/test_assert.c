/* SPDX-License-Identifier: MIT */
/* Which checkout really answers: `devmesh assert`, and `foreign` in `status`. */
#include "harness_net.h"

#include <sys/stat.h>
#include <unistd.h>

#define WELL_KNOWN "/.well-known/devmesh"

static char *
socket_of(struct world *w, const char *id)
{
	return fmt(w, "%s/%s.sock", w->sockets, id);
}

static char *
state_of(struct world *w, const char *id)
{
	cJSON *services =
	    cJSON_GetObjectItem(json_of(w, DM(w, w->dir, "status", "--json").out), "services");
	const cJSON *s;

	cJSON_ArrayForEach (s, services)
		if (strcmp(json_str(s, "id"), id) == 0)
			return fmt(w, "%s", json_str(s, "state"));
	return fmt(w, "none");
}

/* The identity document of a service. */
static cJSON *
identity_of(struct world *w, const char *id)
{
	return json_of(w, http_get(w, w->port, fmt(w, "%s.dev.test", id), WELL_KNOWN).body);
}

TEST(assert_own_server)
{
	char *repo = repo_new(w, "shop"), *sub = fmt(w, "%s/sub", repo), *line, *url;
	struct proc *p;
	cJSON *o;

	caddy_mesh(w, "");
	assert_error(w, DM(w, repo, "assert"), 3, repo);
	url = fmt(w, "http://shop-main.dev.test:%d", w->port);
	up_ok(w, repo);
	assert_error(w, DM(w, repo, "assert"), 5, "shop-main.sock");
	assert_int_equal(mkdir(sub, 0755), 0);
	p = serve_in(w, sub, socket_of(w, "shop-main"), "itself");
	line = line_of(w, DM(w, repo, "assert"));
	assert_non_null(strstr(line, repo));
	assert_non_null(strstr(line, fmt(w, "pid %d ", (int)p->pid)));
	assert_non_null(strstr(line, url));
	o = json_of(w, DM(w, sub, "assert", "--json").out);
	assert_string_equal(json_str(o, "id"), "shop-main");
	assert_string_equal(json_str(o, "expected"), repo);
	assert_string_equal(json_str(o, "actual"), repo);
	assert_string_equal(json_str(o, "cwd"), sub);
	assert_string_equal(json_str(o, "branch"), "main");
	assert_string_equal(json_str(o, "commit"), head_of(w, repo));
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "dirty")));
	assert_true(json_number(o, "pid") == (double)p->pid);
	assert_exit(w, DM(w, w->dir, "assert", "shop-main"), 0);
	assert_exit(w, DM(w, w->dir, "assert", "shop"), 0);
	assert_exit(w, DM(w, w->dir, "assert", "-C", repo), 0);
	assert_exit(w, DM(w, repo, "assert", url), 0);
	assert_exit(w, DM(w, w->dir, "assert", url), 0); /* no worktree: the claim's own */
	assert_exit(w, DM(w, sub, "assert", "http://shop.dev.test/some/page?x=1"), 0);
	assert_exit(w, DM(w, sub, "assert", "https://SHOP-main.dev.test:1/"), 0);
	assert_error(w, DM(w, repo, "assert", "http://nosuch.dev.test/"), 3, "nosuch.dev.test");
	assert_error(w, DM(w, repo, "assert", "http://shop-main.other.test/"), 3, "other.test");
	assert_error(w, DM(w, repo, "assert", "nosuch"), 3, "nosuch");
	assert_exit(w, DM(w, repo, "assert", "ftp://shop-main.dev.test"), 2);
	assert_exit(w, DM(w, repo, "assert", "http://me@shop-main.dev.test"), 2);
	assert_exit(w, DM(w, repo, "assert", "http://shop-main.dev.test:99999"), 2);
	assert_string_equal(state_of(w, "shop-main"), "up");
}

TEST(assert_names_both_checkouts)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "feature/auth"), *url;
	struct result r;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	/* a server of the other worktree on this one's socket */
	serve_in(w, wt, socket_of(w, "shop-main"), "other");
	assert_answers(w, "shop-main.dev.test", "other");
	r = DM(w, repo, "assert");
	assert_error(w, r, 4, repo);
	assert_non_null(strstr(r.err, wt));
	assert_exit(w, DM(w, w->dir, "assert", "shop-main"), 4);
	assert_string_equal(state_of(w, "shop-main"), "foreign");
	assert_non_null(strstr(DM(w, w->dir, "status").out, fmt(w, "served from %s", wt)));
	/* no document may say that it is this one's */
	assert_exit(w, DM(w, repo, "up"), 0);
	assert_true(strstr(http_get(w, w->port, "shop-main.dev.test", WELL_KNOWN).body,
			"worktree") == NULL);
	/* the URL of another worktree's service, though it is answered by that very one */
	serve_in(w, wt, socket_of(w, "shop-feature-auth"), "auth");
	url = fmt(w, "http://shop-feature-auth.dev.test:%d", w->port);
	assert_exit(w, DM(w, wt, "assert", url), 0);
	r = DM(w, repo, "assert", url);
	assert_error(w, r, 4, repo);
	assert_non_null(strstr(r.err, wt));
	r = DM(w, repo, "assert", url, "--json");
	assert_exit(w, r, 4);
	assert_string_equal(
	    json_str(cJSON_GetObjectItem(json_of(w, r.out), "error"), "code"), "conflict");
	assert_exit(w, DM(w, repo, "assert", "-C", wt, url), 0);
}

TEST(worktree_inside_a_worktree_is_another_one)
{
	char *repo = repo_new(w, "shop"), *inner = fmt(w, "%s/.worktrees/x", repo), *lib, *sub;

	caddy_mesh(w, "");
	up_ok(w, repo);
	GIT(w, repo, "worktree", "add", "-q", "-b", "x", inner);
	end_proc(w, serve_in(w, inner, socket_of(w, "shop-main"), "inner"));
	unlink(socket_of(w, "shop-main"));
	serve_in(w, inner, socket_of(w, "shop-main"), "inner");
	assert_error(w, DM(w, repo, "assert"), 4, inner);
	assert_string_equal(state_of(w, "shop-main"), "foreign");
	unlink(socket_of(w, "shop-main"));
	/* a submodule is part of what it is in */
	lib = repo_new(w, "lib");
	GIT(w, repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib, "sub");
	sub = fmt(w, "%s/sub", repo);
	serve_in(w, sub, socket_of(w, "shop-main"), "sub");
	assert_exit(w, DM(w, repo, "assert"), 0);
	assert_exit(w, DM(w, sub, "assert", "http://shop-main.dev.test/"), 0);
	assert_string_equal(state_of(w, "shop-main"), "up");
}

TEST(plain_directory_by_its_path)
{
	char *dir = make_dir(w, "plain"), *near = make_dir(w, "plain2"), *id;

	caddy_mesh(w, "");
	id = up_ok(w, dir);
	serve_in(w, near, socket_of(w, id), "near");
	assert_error(w, DM(w, dir, "assert"), 4, near);
	unlink(socket_of(w, id));
	serve_in(w, make_dir(w, "plain/deep"), socket_of(w, id), "deep");
	assert_exit(w, DM(w, dir, "assert"), 0);
}

TEST(assert_tcp_service)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "b"), *plain;
	struct proc *p;
	cJSON *s;
	int port, other;

	caddy_plain(w, "[]");
	p = serve_tcp_in(w, repo, "tcp", &port);
	assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", port)), 0);
	assert_exit(w, DM(w, repo, "assert"), 0);
	assert_true(json_number(identity_of(w, "shop-main"), "pid") == (double)p->pid);
	s = json_of(w, DM(w, w->dir, "status", "--json").out);
	s = cJSON_GetObjectItem(s, "services")->child;
	assert_string_equal(json_str(s, "state"), "up");
	assert_true(json_number(s, "pid") == (double)p->pid);
	assert_true(json_null(s, "other_worktree"));
	/* the port itself, as a test that was written for one checkout would ask it */
	assert_exit(w, DM(w, repo, "assert", fmt(w, "http://localhost:%d/", port)), 0);
	plain = fmt(w, "http://127.0.0.1:%d", port);
	assert_exit(w, DM(w, repo, "assert", plain), 0);
	assert_exit(w, DM(w, w->dir, "assert", plain), 0);
	assert_error(w, DM(w, wt, "assert", plain), 4, repo);
	serve_tcp_in(w, wt, "b", &other);
	assert_exit(w, DM(w, wt, "up", "--port", fmt(w, "%d", port)), 0);
	assert_error(w, DM(w, wt, "assert"), 4, repo);
	assert_string_equal(state_of(w, "shop-b"), "foreign");
	assert_exit(w, DM(w, wt, "assert", fmt(w, "http://localhost:%d/", other)), 0);
	assert_error(
	    w, DM(w, repo, "assert", fmt(w, "http://localhost:%d", free_port(w))), 5, "nothing");
	assert_error(
	    w, DM(w, w->dir, "assert", fmt(w, "http://localhost:%d", other)), 3, "worktree");
}

TEST(assert_when_nothing_answers)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_mesh(w, "");
	up_ok(w, repo);
	assert_error(w, DM(w, repo, "assert"), 5, "nothing");
	assert_error(w, DM(w, repo, "assert", "--wait=1"), 5, "nothing");
	stale_socket(socket_of(w, "shop-main"));
	assert_error(w, DM(w, repo, "assert"), 5, "nothing");
	up_ok(w, repo);
	p = DM_BG(w, repo, "assert", "--wait=60");
	serve_in(w, repo, socket_of(w, "shop-main"), "itself");
	assert_exit(w, finish(w, p), 0);
	end_proc(w, w->caddy);
	assert_error(w, DM(w, repo, "assert"), 5, "nothing answers");
}

/* A server whose working directory says nothing is no proof, but no other checkout either. */
TEST(unknown_is_not_proven)
{
	char *repo = repo_new(w, "shop"), *gone;

	caddy_mesh(w, "");
	up_ok(w, repo);
	serve_in(w, "/", socket_of(w, "shop-main"), "root");
	assert_error(w, DM(w, repo, "assert"), 4, "proven");
	assert_string_equal(state_of(w, "shop-main"), "up");
	unlink(socket_of(w, "shop-main"));
	gone = make_dir(w, "gone");
	serve_in(w, gone, socket_of(w, "shop-main"), "gone");
	assert_int_equal(rmdir(gone), 0);
	assert_error(w, DM(w, repo, "assert"), 4, "proven");
	assert_string_equal(state_of(w, "shop-main"), "up");
}

/* A mesh route that says nothing of X-Devmesh-Id leads somewhere, but who knows where. */
TEST(answer_without_an_id_is_not_proven)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w,
	    fmt(w,
		"[{\"match\":[{\"host\":[\"*.dev.test\"]}],\"handle\":[{\"handler\":\"subroute\","
		"\"routes\":[{\"match\":[{\"vars_regexp\":{\"{http.request.host}\":{\"name\":\"w\","
		"\"pattern\":\"^([a-z0-9-]+)\"}}}],\"handle\":[{\"handler\":\"reverse_proxy\","
		"\"upstreams\":[{\"dial\":\"unix/%s/{http.regexp.w.1}.sock\"}]}]}]}]}]",
		w->sockets));
	up_ok(w, repo);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	serve_in(w, repo, socket_of(w, "shop-main"), "itself");
	assert_exit(w, DM(w, repo, "wait", "--timeout", "60"), 0);
	assert_error(w, DM(w, repo, "assert"), 4, "X-Devmesh-Id");
}

/* --- a service behind `devmesh run`: what its record would say ------------------------------- */

/* When a process began, as the record has it: field 22 of proc(5)'s stat, and one. */
static unsigned long long
start_of(struct world *w, pid_t pid)
{
	const char *p = read_text(w, fmt(w, "/proc/%ld/stat", (long)pid));
	int field;

	assert_non_null(p);
	p = strrchr(p, ')');
	for (field = 2; field < 22; field++)
		p = strchr(p + 1, ' ');
	return strtoull(p, NULL, 10) + 1;
}

static void
record_run(struct world *w, const char *id, const struct proc *runner, int port)
{
	cJSON *o = claim_of(w, id), *run = cJSON_CreateObject();
	char *text;

	cJSON_AddNumberToObject(run, "pid", (double)runner->pid);
	cJSON_AddNumberToObject(run, "start", (double)start_of(w, runner->pid));
	cJSON_AddBoolToObject(run, "bridged", true);
	cJSON_AddNumberToObject(run, "port", port);
	cJSON_DeleteItemFromObject(o, "run");
	cJSON_AddItemToObject(o, "run", run);
	text = cJSON_PrintUnformatted(o);
	write_text(fmt(w, "%s/%s.json", w->sockets, id), text);
	free(text);
}

TEST(server_behind_a_bridge_is_the_one_that_counts)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "b");
	struct proc *bridge, *own, *other;
	int port, second;
	cJSON *s;

	caddy_mesh(w, "");
	up_ok(w, repo);
	bridge = serve_in(w, repo, socket_of(w, "shop-main"), "bridge");
	record_run(w, "shop-main", bridge, 0);
	assert_string_equal(state_of(w, "shop-main"), "starting");
	assert_error(w, DM(w, repo, "assert"), 5, "devmesh run");
	record_run(w, "shop-main", bridge, free_port(w));
	assert_string_equal(state_of(w, "shop-main"), "starting");
	own = serve_tcp_in(w, repo, "own", &port);
	record_run(w, "shop-main", bridge, port);
	s = cJSON_GetObjectItem(json_of(w, DM(w, w->dir, "status", "--json").out), "services")
		->child;
	assert_string_equal(json_str(s, "state"), "up");
	assert_true(json_number(s, "pid") == (double)own->pid);
	assert_exit(w, DM(w, repo, "assert"), 0);
	assert_exit(w, DM(w, repo, "up"), 0);
	assert_true(json_number(identity_of(w, "shop-main"), "pid") == (double)own->pid);
	other = serve_tcp_in(w, wt, "other", &second);
	record_run(w, "shop-main", bridge, second);
	assert_string_equal(state_of(w, "shop-main"), "foreign");
	assert_error(w, DM(w, repo, "assert"), 4, wt);
	assert_error(w, DM(w, repo, "assert"), 4, fmt(w, "%d", (int)other->pid));
	/* started for the claim, and gone to "/": still its own */
	record_run(w, "shop-main", start(w, "/", ARGV("sleep", "1000")), port);
	assert_string_equal(state_of(w, "shop-main"), "up");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(assert_own_server),
	    WORLD_TEST(assert_names_both_checkouts),
	    WORLD_TEST(worktree_inside_a_worktree_is_another_one),
	    WORLD_TEST(plain_directory_by_its_path),
	    WORLD_TEST(assert_tcp_service),
	    WORLD_TEST(assert_when_nothing_answers),
	    WORLD_TEST(unknown_is_not_proven),
	    WORLD_TEST(answer_without_an_id_is_not_proven),
	    WORLD_TEST(server_behind_a_bridge_is_the_one_that_counts),
	};

	return RUN_TESTS(tests);
}
