/* SPDX-License-Identifier: MIT */
/*
 * What devmesh must leave alone, and must not take for what it is not: objects of Caddy that only
 * bear a service's @id, routes of other registries, servers that have just bound their socket,
 * another branch's alias, and answers that are not the service's.
 */
#include "harness_net.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUTES "/config/apps/http/servers/srv0/routes"

static void
must(struct world *w, const char *method, const char *path, const char *body)
{
	struct reply r = admin(w, method, path, body);

	if (r.status != 200)
		fail_msg("%s %s: %ld %s %s", method, path, r.status, r.body, r.error);
}

/* `devmesh status --json`, its row of this id; fails if there is none. */
static const char *
state_of(struct world *w, const char *id)
{
	struct result r = DM(w, w->dir, "status", "--json");
	cJSON *o, *row;

	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	cJSON_ArrayForEach (row, cJSON_GetObjectItem(o, "services"))
		if (strcmp(json_str(row, "id"), id) == 0)
			return json_str(row, "state");
	fail_msg("status does not show %s: %s", id, r.out);
	return "";
}

/* --- what only bears the @id --------------------------------------------------------------- */

/* A server of others beside srv0, with the @id of a service. */
static int
other_server(struct world *w)
{
	int port = free_port(w);

	must(w, "PUT", "/config/apps/http/servers/other",
	    fmt(w,
		"{\"@id\":\"victim\",\"listen\":[\"127.0.0.1:%d\"],\"automatic_https\":{"
		"\"disable\":true},\"routes\":[{\"handle\":[{\"handler\":\"static_response\","
		"\"body\":\"other\"}]}]}",
		port));
	assert_string_equal(http_get(w, port, "x.example", "/").body, "other");
	return port;
}

TEST(server_with_the_services_id_stays)
{
	char *repo = repo_new(w, "shop"), *before;
	int port;

	caddy_plain(w, bystanders(w, 2));
	port = other_server(w);
	before = fmt(w, "%s", admin(w, "GET", "/config/", NULL).body);
	assert_error(w, DM(w, repo, "up", "--id", "victim"), 4, "victim");
	assert_string_equal(admin(w, "GET", "/config/", NULL).body, before);
	assert_string_equal(http_get(w, port, "x.example", "/").body, "other");
	/* A refused name is given back. */
	assert_null(claim_of(w, "victim"));
}

/* The same with the mesh route, where no route has to be written; and by down and gc. */
TEST(server_with_the_services_id_stays_beside_the_mesh_route)
{
	char *repo = repo_new(w, "shop"), *before;
	int port;

	caddy_mesh(w, "");
	port = other_server(w);
	before = fmt(w, "%s", admin(w, "GET", "/config/", NULL).body);
	DM(w, repo, "up", "--id", "victim");
	DM(w, repo, "down", "victim");
	DM(w, repo, "gc");
	assert_string_equal(admin(w, "GET", "/config/", NULL).body, before);
	assert_string_equal(http_get(w, port, "x.example", "/").body, "other");
}

TEST(handler_with_the_services_id_stays)
{
	char *repo = repo_new(w, "shop"), *before;

	caddy_plain(w, "[{\"match\":[{\"host\":[\"x.example\"]}],\"handle\":[{\"@id\":\"victim\","
		       "\"handler\":\"static_response\",\"body\":\"other\"}]}]");
	before = routes_text(w);
	assert_error(w, DM(w, repo, "up", "--id", "victim"), 4, "victim");
	assert_string_equal(routes_text(w), before);
	assert_answers(w, "x.example", "other");
}

/* --- other registries ---------------------------------------------------------------------- */

TEST(gc_of_another_registry_leaves_routes_to_ports)
{
	char *repo = repo_new(w, "shop"), *before;
	int port = free_port(w); /* reserved, and nobody listens */

	caddy_plain(w, bystanders(w, 2));
	assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", port)), 0);
	before = routes_text(w);
	world_env(w, "DEVMESH_SOCKETS_DIR", fmt(w, "%s/b", w->dir));
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_string_equal(routes_text(w), before);
	route_of(w, "shop-main");
}

TEST(gc_of_another_registry_leaves_routes_to_sockets)
{
	static const char *const pairs[][2] = {{"ra", "ra2"}, {"ra2", "ra"}, {"ra", "ra/in"}};
	char *repo = repo_new(w, "shop"), *before;
	size_t i;

	caddy_plain(w, bystanders(w, 2));
	for (i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		world_env(w, "DEVMESH_SOCKETS_DIR", fmt(w, "%s/%s", w->dir, pairs[i][0]));
		up_ok(w, repo);
		before = routes_text(w);
		world_env(w, "DEVMESH_SOCKETS_DIR", fmt(w, "%s/%s", w->dir, pairs[i][1]));
		assert_exit(w, DM(w, w->dir, "gc"), 0);
		assert_string_equal(routes_text(w), before);
		world_env(w, "DEVMESH_SOCKETS_DIR", fmt(w, "%s/%s", w->dir, pairs[i][0]));
		assert_exit(w, DM(w, repo, "down"), 0);
		assert_int_equal(count_routes(w, "shop-main"), 0);
	}
	assert_bystanders(w, 2);
}

/* --- answers that are not the service's ---------------------------------------------------- */

#define CATCH_ALL "{\"handle\":[{\"handler\":\"static_response\",\"body\":\"catch\"}]}"

TEST(wait_is_not_fooled_by_a_blank_answer)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, bystanders(w, 1));
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_exit(w, DM(w, repo, "wait", "--timeout", "20"), 0);
	must(w, "DELETE", "/id/shop-main", NULL);
	assert_int_equal(http_get(w, w->port, "shop-main.dev.test", "/").status, 200);
	assert_error(w, DM(w, repo, "wait", "--timeout", "1"), 7, "shop-main");
}

TEST(wait_is_not_fooled_by_a_catch_all)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, "[" CATCH_ALL "]");
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_exit(w, DM(w, repo, "wait", "--timeout", "20"), 0);
	must(w, "DELETE", "/id/shop-main", NULL);
	assert_answers(w, "shop-main.dev.test", "catch");
	assert_error(w, DM(w, repo, "wait", "--timeout", "1"), 7, "shop-main");
}

static bool
has_route(struct world *w, const void *arg)
{
	return count_routes(w, arg) == 1;
}

/* devmesh holds this lock until it has read back what it wrote: after that it does not write. */
static bool
is_done_with_caddy(struct world *w, const void *arg)
{
	int fd = open(fmt(w, "%s/.caddy.%u.lock", w->sockets, (unsigned)geteuid()), O_RDWR);
	bool free_now = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;

	(void)arg;
	if (fd >= 0)
		close(fd);
	return free_now;
}

TEST(up_wait_is_not_fooled_either)
{
	static const char *const others[] = {"[]", "[" CATCH_ALL "]"};
	char *repo = repo_new(w, "shop");
	struct proc *p, *server;
	size_t i;

	for (i = 0; i < 2; i++) {
		if (i == 0)
			caddy_plain(w, others[i]);
		else
			must(w, "PATCH", ROUTES, others[i]);
		p = DM_BG(w, repo, "up", "--wait=3");
		assert_true(wait_until(w, has_route, "shop-main", 20000));
		assert_true(wait_until(w, is_done_with_caddy, NULL, 20000));
		/* Its route is lost while it waits; only then does the server come. */
		must(w, "PATCH", ROUTES, others[i]);
		server = serve_id(w, "shop-main");
		assert_error(w, finish(w, p), 7, "shop-main");
		end_proc(w, server);
		unlink(fmt(w, "%s/shop-main.sock", w->sockets));
	}
}

TEST(status_sees_a_catch_all_in_front)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, bystanders(w, 1));
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_string_equal(state_of(w, "shop-main"), "up");
	must(w, "PUT", ROUTES "/0", CATCH_ALL);
	assert_answers(w, "shop-main.dev.test", "catch");
	assert_string_equal(state_of(w, "shop-main"), "degraded");
	/* One more up mends it. */
	up_ok(w, repo);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_string_equal(state_of(w, "shop-main"), "up");
}

/* --- servers that have bound and not yet listened ------------------------------------------ */

static ino_t
inode_of(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		fail_msg("%s is gone", path);
	return st.st_ino;
}

static char *
target_of(struct world *w, const char *link)
{
	char text[WORLD_PATH];
	ssize_t n = readlink(link, text, sizeof text);

	if (n < 0 || n >= (ssize_t)sizeof text)
		fail_msg("%s is no link", link);
	return fmt(w, "%.*s", (int)n, text);
}

static void
need_bound(struct world *w)
{
#ifndef __linux__
	world_skip(w, "only Linux tells who has bound a socket");
#else
	(void)w;
#endif
}

static void
bound_socket_stays(struct world *w)
{
	char *repo = repo_new(w, "shop"), *url, *sock = fmt(w, "%s/shop-main.sock", w->sockets);
	int fd = bound_socket(sock);
	ino_t inode = inode_of(sock);

	url = line_of(w, DM(w, repo, "up"));
	assert_true(inode_of(sock) == inode);
	assert_string_equal(state_of(w, "shop-main"), "starting");
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_true(inode_of(sock) == inode);
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_true(inode_of(sock) == inode);
	/* Without a claim it is as alive as with one. */
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_true(inode_of(sock) == inode);
	assert_string_equal(line_of(w, DM(w, repo, "up")), url);
	assert_true(inode_of(sock) == inode);
	serve_bound(w, fd, "late");
	assert_url_answers(w, url, "late");
	assert_exit(w, DM(w, repo, "wait", "--timeout", "20"), 0);
}

TEST(bound_socket_stays_with_the_mesh_route)
{
	need_bound(w);
	caddy_mesh(w, "");
	bound_socket_stays(w);
}

TEST(bound_socket_stays_with_an_explicit_route)
{
	need_bound(w);
	caddy_plain(w, bystanders(w, 1));
	bound_socket_stays(w);
}

/* --- the alias ----------------------------------------------------------------------------- */

TEST(failed_up_leaves_the_alias_of_another_branch)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *link = fmt(w, "%s/shop.sock", w->sockets), *record;
	struct proc *server;
	ino_t inode;

	caddy_mesh(w, "");
	up_ok(w, repo);
	inode = inode_of(link);
	record = read_text(w, fmt(w, "%s/shop.json", w->sockets));
	/* Caddy can carry it out in no way. */
	must(w, "PATCH", ROUTES, bystanders(w, 1));
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "mesh");
	assert_error(w, DM(w, wt, "up", "--id", "shop"), 3, "mesh route");
	assert_true(inode_of(link) == inode);
	assert_string_equal(read_text(w, fmt(w, "%s/shop.json", w->sockets)), record);
	/* A file that is no socket is in the way: what the link leads to. */
	world_env(w, "DEVMESH_CADDY_REGISTRATION", NULL);
	write_text(fmt(w, "%s/shop-main.sock", w->sockets), "no socket");
	assert_error(w, DM(w, wt, "up", "--id", "shop"), 4, "shop.sock");
	assert_true(inode_of(link) == inode);
	assert_string_equal(read_text(w, fmt(w, "%s/shop.json", w->sockets)), record);
	assert_string_equal(read_text(w, fmt(w, "%s/shop-main.sock", w->sockets)), "no socket");
	/* And it still leads to its branch. */
	unlink(fmt(w, "%s/shop-main.sock", w->sockets));
	server = serve_id(w, "shop-main");
	up_ok(w, repo);
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_true(inode_of(link) == inode);
	assert_false(server->ended);
}

/*
 * Refused only after the name was taken, so that the link has to be made again: Caddy has a server
 * with that @id.
 */
TEST(up_that_caddy_refuses_leaves_the_alias_of_another_branch)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	char *link = fmt(w, "%s/shop.sock", w->sockets), *record;
	char *before;

	caddy_plain(w, "[{\"match\":[{\"host\":[\"x.example\"]}],\"handle\":[{\"@id\":\"shop\","
		       "\"handler\":\"static_response\",\"body\":\"other\"}]}]");
	up_ok(w, repo);
	before = target_of(w, link);
	record = read_text(w, fmt(w, "%s/shop.json", w->sockets));
	assert_error(w, DM(w, wt, "up", "--id", "shop"), 4, "shop");
	assert_string_equal(target_of(w, link), before);
	assert_string_equal(read_text(w, fmt(w, "%s/shop.json", w->sockets)), record);
}

TEST(up_twice_keeps_the_alias_link)
{
	/* A time of its own: a file system may give a new link the inode of the old one. */
	static const struct timespec then[2] = {{1000000000, 0}, {1000000000, 0}};
	char *repo = repo_new(w, "shop"), *link = fmt(w, "%s/shop.sock", w->sockets);
	struct stat st;
	ino_t inode;
	int i;

	caddy_mesh(w, "");
	up_ok(w, repo);
	inode = inode_of(link);
	assert_int_equal(utimensat(AT_FDCWD, link, then, AT_SYMLINK_NOFOLLOW), 0);
	for (i = 0; i < 3; i++) {
		up_ok(w, repo);
		assert_int_equal(lstat(link, &st), 0);
		assert_true(st.st_ino == inode && st.st_mtime == then[1].tv_sec);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(server_with_the_services_id_stays),
	    WORLD_TEST(server_with_the_services_id_stays_beside_the_mesh_route),
	    WORLD_TEST(handler_with_the_services_id_stays),
	    WORLD_TEST(gc_of_another_registry_leaves_routes_to_ports),
	    WORLD_TEST(gc_of_another_registry_leaves_routes_to_sockets),
	    WORLD_TEST(wait_is_not_fooled_by_a_blank_answer),
	    WORLD_TEST(wait_is_not_fooled_by_a_catch_all),
	    WORLD_TEST(up_wait_is_not_fooled_either),
	    WORLD_TEST(status_sees_a_catch_all_in_front),
	    WORLD_TEST(bound_socket_stays_with_the_mesh_route),
	    WORLD_TEST(bound_socket_stays_with_an_explicit_route),
	    WORLD_TEST(failed_up_leaves_the_alias_of_another_branch),
	    WORLD_TEST(up_that_caddy_refuses_leaves_the_alias_of_another_branch),
	    WORLD_TEST(up_twice_keeps_the_alias_link),
	};

	return RUN_TESTS(tests);
}
