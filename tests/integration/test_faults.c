/* SPDX-License-Identifier: MIT */
/*
 * Everything that goes wrong around devmesh: Caddy down, hanging, restarted, answering errors;
 * directories that are read-only or full; another user in the way; and devmesh itself killed.
 */
#include "harness_net.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KILLS  200
#define USER_A 65534
#define USER_B 65533
#ifndef MS_RDONLY
#define MS_RDONLY 0
#endif

TEST(caddy_down)
{
	char *repo = repo_new(w, "shop"), *url;

	assert_error(w, DM(w, repo, "up"), 5, "admin.sock");
	assert_non_null(strstr(w->last_err, "\n  try: "));
	caddy_plain(w, "[]");
	url = line_of(w, DM(w, repo, "up"));
	end_proc(w, w->caddy);
	assert_error(w, DM(w, repo, "up", "--port", "9"), 5, "admin.sock");
	/* What needs no Caddy works without it. */
	assert_string_equal(line_of(w, DM(w, repo, "name")), "shop-main");
	assert_string_equal(line_of(w, DM(w, repo, "url")), url);
	assert_exit(w, DM(w, repo, "env"), 0);
	assert_exit(w, DM(w, repo, "list"), 0);
	assert_exit(w, DM(w, repo, "status"), 0);
	/* Back again, the route is there by one more `up`. */
	caddy_start(w, read_text(w, w->caddy_config));
	up_ok(w, repo);
	route_of(w, "shop-main");
	assert_int_equal(count_claims(w), 1);
}

TEST(caddy_down_by_tcp)
{
	char *repo = repo_new(w, "shop");

	snprintf(w->admin, sizeof w->admin, "http://localhost:%d", free_port(w));
	world_env(w, "DEVMESH_CADDY_ADMIN", w->admin);
	assert_error(w, DM(w, repo, "up"), 5, w->admin + 7);
}

TEST(caddy_hangs)
{
	char *repo = repo_new(w, "shop");
	int64_t begin;

	caddy_plain(w, bystanders(w, 3));
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "500");
	signal_proc(w->caddy, SIGSTOP);
	begin = now_ms();
	assert_error(w, DM(w, repo, "up"), 7, NULL);
	assert_true(now_ms() - begin < 60000);
	assert_string_equal(line_of(w, DM(w, repo, "name")), "shop-main");
	assert_exit(w, DM(w, repo, "list"), 0);
	signal_proc(w->caddy, SIGCONT);
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "60000");
	up_ok(w, repo);
	route_of(w, "shop-main");
	assert_int_equal(count_claims(w), 1);
	assert_bystanders(w, 3);
}

/* Stopped while requests are under way: what was sent may be carried out later. */
TEST(caddy_hangs_in_the_middle)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	int i, ports[2] = {free_port(w), free_port(w)};

	caddy_plain(w, bystanders(w, 3));
	world_env(w, "DEVMESH_CADDY_TIMEOUT", "200");
	for (i = 0; i < 15; i++) {
		p = DM_BG(w, repo, "up", "--port", fmt(w, "%d", ports[i % 2]));
		nap_us(1000L * i);
		signal_proc(w->caddy, SIGSTOP);
		finish(w, p);
		signal_proc(w->caddy, SIGCONT);
		world_env(w, "DEVMESH_CADDY_TIMEOUT", "60000");
		assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", ports[i % 2])), 0);
		world_env(w, "DEVMESH_CADDY_TIMEOUT", "200");
		route_of(w, "shop-main");
		assert_int_equal(count_claims(w), 1);
		assert_bystanders(w, 3);
	}
}

TEST(caddy_restarted_without_its_routes)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x"), *url;

	caddy_plain(w, bystanders(w, 3));
	url = line_of(w, DM(w, repo, "up"));
	up_ok(w, wt);
	serve_id(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	caddy_restart(w);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	/* down of what is no longer there is no error. */
	assert_exit(w, DM(w, wt, "down"), 0);
	assert_string_equal(line_of(w, DM(w, repo, "up")), url);
	route_of(w, "shop-main");
	assert_answers(w, "shop-main.dev.test", "shop-main");
	assert_bystanders(w, 3);
	assert_int_equal(count_claims(w), 1);
}

/* A stand-in for Caddy's admin API that answers everything with one status and body. */
static void
stand_in(struct world *w, int status, const char *body)
{
	int port;

	serve_tcp(w, status, body, &port);
	snprintf(w->admin, sizeof w->admin, "http://localhost:%d", port);
	world_env(w, "DEVMESH_CADDY_ADMIN", w->admin);
}

TEST(caddy_answers_500)
{
	char *repo = repo_new(w, "shop");

	stand_in(w, 500, "{\"error\":\"loading new config: the stand-in refuses\"}");
	assert_error(w, DM(w, repo, "up"), 1, "500");
	assert_non_null(strstr(w->last_err, "the stand-in refuses"));
}

TEST(something_else_answers_at_the_admin_address)
{
	static const char *const bodies[] = {"<html>hello</html>", "", "[[[[", "\"apps\"", "7",
	    "{\"apps\":{\"http\":{\"servers\":[]}}}"};
	char *repo = repo_new(w, "shop");
	size_t i;

	for (i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		stand_in(w, 200, bodies[i]);
		assert_error(w, DM(w, repo, "up"), ANY_ERROR, NULL);
	}
}

/* An @id that is no string makes Caddy before 2.11.2 refuse every later change by anybody. */
TEST(caddy_poisoned_by_somebody)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, bystanders(w, 2));
	admin(w, "POST", "/config/apps/http/servers/srv0/routes", "{\"@id\":true}");
	if (strstr(routes_text(w), "true") == NULL)
		world_skip(w, "this Caddy cannot be poisoned");
	assert_error(w, DM(w, repo, "up"), ANY_ERROR, NULL);
	/* Caddy keeps what it refused in its tree, so one copy may be there; never two. */
	assert_true(count_routes(w, "shop-main") <= 1);
	assert_bystanders(w, 2);
	assert_int_equal(
	    admin(w, "PATCH", "/config/apps/http/servers/srv0/routes", bystanders(w, 2)).status,
	    200);
	up_ok(w, repo);
	route_of(w, "shop-main");
}

TEST(caddy_without_any_http_server)
{
	char *repo = repo_new(w, "shop");

	caddy_start(w, fmt(w, "{\"admin\":{\"listen\":\"unix/%s\",\"config\":{\"persist\":false}}}",
			   w->admin + 7));
	assert_error(w, DM(w, repo, "up"), ANY_ERROR, "server");
	assert_non_null(strstr(w->last_err, "\n  try: "));
}

/* --- directories --------------------------------------------------------------------------- */

/* The next commands run as this user, with a home and a repository of their own. */
static char *
become(struct world *w, uid_t uid, const char *name)
{
	char *home, *repo, *root = fmt(w, "%s/u%u", w->dir, (unsigned)uid);

	w->uid = 0;
	if (!exists(root))
		make_dir(w, fmt(w, "u%u", (unsigned)uid));
	home = fmt(w, "%s/home", root);
	mkdir(home, 0700);
	write_text(fmt(w, "%s/devmesh.ini", home), "");
	repo = repo_new(w, fmt(w, "u%u/%s", (unsigned)uid, name));
	own_tree(root, uid);
	w->uid = uid;
	world_env(w, "HOME", home);
	world_env(w, "DEVMESH_CONFIG", fmt(w, "%s/devmesh.ini", home));
	world_env(w, "DEVMESH_LOCAL_STATE_DIR", fmt(w, "%s/state", home));
	return repo;
}

static void
need_root(struct world *w)
{
	if (geteuid() != 0)
		world_skip(w, "needs root, to play another user or to mount");
}

TEST(read_only_directory)
{
	char *repo, *before;

	caddy_plain_tcp(w, "[]");
	/* Root may write anywhere, so another user has to try. */
	repo = geteuid() == 0 ? become(w, USER_A, "shop") : repo_new(w, "shop");
	if (geteuid() == 0)
		own_tree(w->sockets, USER_A);
	chmod(w->sockets, 0555);
	before = routes_text(w);
	assert_error(w, DM(w, repo, "up"), 6, w->sockets);
	assert_string_equal(routes_text(w), before);
	chmod(w->sockets, 01777);
	up_ok(w, repo);
}

static void
mount_tmpfs(struct world *w, unsigned long flags)
{
#ifdef __linux__
	need_root(w);
	if (mount("tmpfs", w->sockets, "tmpfs", flags, "size=32k,mode=1777") != 0)
		world_skip(
		    w, fmt(w, "mounting a tmpfs is not permitted here: %s", strerror(errno)));
	snprintf(w->mount, sizeof w->mount, "%s", w->sockets);
#else
	(void)flags;
	world_skip(w, "tmpfs is a thing of Linux");
#endif
}

TEST(read_only_file_system)
{
	char *repo = repo_new(w, "shop"), *before;

	caddy_plain(w, "[]");
	mount_tmpfs(w, MS_RDONLY);
	before = routes_text(w);
	assert_error(w, DM(w, repo, "up"), ANY_ERROR, "Read-only file system");
	assert_string_equal(routes_text(w), before);
	assert_exit(w, DM(w, repo, "list"), 0);
}

static void
fill(const char *path)
{
	static const char block[512] = "full";
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	setvbuf(f, NULL, _IONBF, 0);
	while (fwrite(block, sizeof block, 1, f) == 1)
		;
	fclose(f);
}

TEST(full_file_system)
{
	char *repo = repo_new(w, "shop"), *before, *filler;

	caddy_plain(w, bystanders(w, 2));
	mount_tmpfs(w, 0);
	filler = fmt(w, "%s/filler", w->sockets);
	fill(filler);
	before = routes_text(w);
	assert_error(w, DM(w, repo, "up"), ANY_ERROR, "No space left on device");
	assert_string_equal(routes_text(w), before);
	assert_int_equal(count_files(w->sockets, ".json"), 0);
	assert_exit(w, DM(w, repo, "list"), 0);
	unlink(filler);
	up_ok(w, repo);
	route_of(w, "shop-main");
	assert_int_equal(count_claims(w), 1);
	/* Full again, an `up` that has nothing to write has nothing to fear. */
	fill(filler);
	up_ok(w, repo);
	/* And the record survives a change that could not be written. */
	DM(w, repo, "up", "--port", "9");
	assert_non_null(claim_of(w, "shop-main"));
}

/* --- another user -------------------------------------------------------------------------- */

TEST(claim_of_another_user)
{
	char *mine, *theirs, *record, *id;

	need_root(w);
	caddy_plain_tcp(w, "[]");
	theirs = become(w, USER_A, "shop");
	assert_string_equal(up_ok(w, theirs), "shop-main");
	record = read_text(w, fmt(w, "%s/shop-main.json", w->sockets));
	mine = become(w, USER_B, "shop");
	id = up_ok(w, mine);
	assert_int_equal(strncmp(id, "shop-main-", 10), 0);
	assert_string_equal(up_ok(w, mine), id);
	assert_error(w, DM(w, mine, "up", "--id", "shop-main"), 4, theirs);
	assert_error(w, DM(w, mine, "up", "--id", "shop-main", "--force"), ANY_ERROR, NULL);
	assert_error(w, DM(w, mine, "down", "shop-main"), ANY_ERROR, "shop-main");
	assert_exit(w, DM(w, mine, "down", "--all"), 0);
	assert_exit(w, DM(w, mine, "gc"), 0);
	assert_string_equal(read_text(w, fmt(w, "%s/shop-main.json", w->sockets)), record);
	route_of(w, "shop-main");
	assert_int_equal(count_routes(w, id), 0);
}

TEST(socket_of_another_user_without_a_claim)
{
	char *mine, *path;
	struct result r;
	struct proc *theirs;

	need_root(w);
	caddy_plain_tcp(w, "[]");
	path = fmt(w, "%s/shop-main.sock", w->sockets);
	theirs = serve_unix(w, path, "theirs");
	assert_int_equal(lchown(path, USER_A, USER_A), 0);
	mine = become(w, USER_B, "shop");
	r = DM(w, mine, "up");
	/* Never their server under our name: another id, or a refusal. */
	if (r.code == 0)
		assert_string_not_equal(id_of_url(w, line_of(w, r)), "shop-main");
	else
		assert_error(w, r, r.code == 4 ? 4 : 6, "shop-main.sock");
	assert_exit(w, DM(w, mine, "gc"), 0);
	assert_true(exists(path));
	assert_false(theirs->ended);
}

TEST(link_of_another_user_in_the_way)
{
	char *mine, *precious, *path;
	struct result r;

	need_root(w);
	caddy_plain_tcp(w, "[]");
	mine = become(w, USER_B, "shop");
	precious = fmt(w, "%s/precious", mine);
	write_text(precious, "precious");
	own_tree(precious, USER_B);
	path = fmt(w, "%s/shop-main.json", w->sockets);
	assert_int_equal(symlink(precious, path), 0);
	assert_int_equal(lchown(path, USER_A, USER_A), 0);
	r = DM(w, mine, "up");
	assert_true(r.code == 0 || r.code == 4 || r.code == 6);
	assert_string_equal(read_text(w, precious), "precious");
	assert_true(exists(path));
}

TEST(orphan_of_another_user_stays)
{
	char *theirs, *mine;

	need_root(w);
	caddy_plain_tcp(w, "[]");
	theirs = become(w, USER_A, "gone");
	assert_string_equal(up_ok(w, theirs), "gone-main");
	remove_tree(theirs);
	mine = become(w, USER_B, "shop");
	assert_exit(w, DM(w, mine, "gc"), 0);
	assert_non_null(claim_of(w, "gone-main"));
	route_of(w, "gone-main");
	become(w, USER_A, "again");
	assert_exit(w, DM(w, NULL, "gc"), 0);
	assert_null(claim_of(w, "gone-main"));
	assert_int_equal(count_routes(w, "gone-main"), 0);
}

/* --- kill -9 ------------------------------------------------------------------------------- */

static unsigned
choose_seed(void)
{
	const char *s = getenv("DEVMESH_TEST_SEED");
	unsigned seed = s != NULL ? (unsigned)strtoul(s, NULL, 10) : (unsigned)time(NULL);

	printf("           DEVMESH_TEST_SEED=%u\n", seed);
	fflush(stdout);
	return seed;
}

/* Cheap and repeatable: a linear congruential generator (the constants of ISO C's example). */
static long
dice(unsigned *seed, long sides)
{
	*seed = *seed * 1103515245u + 12345u;
	return (long)(*seed >> 8) % sides;
}

static long
time_of_up(struct world *w, const char *repo, const int ports[2])
{
	int64_t begin = now_ms();
	int i;

	for (i = 0; i < 4; i++)
		assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", ports[i % 2])), 0);
	return (long)(now_ms() - begin) * 1000 / 4 + 1000;
}

/* Nothing but claims, the alias and the locks: no half-written file that nobody removes. */
static void
assert_tidy(struct world *w)
{
	DIR *d;
	struct dirent *e;
	size_t len;

	assert_exit(w, DM(w, w->dir, "gc"), 0);
	d = opendir(w->sockets);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		len = strlen(e->d_name);
		if (e->d_name[0] == '.' ? strstr(e->d_name, "lock") != NULL || len <= 2
					: len > 5 && (strcmp(e->d_name + len - 5, ".json") == 0 ||
							 strcmp(e->d_name + len - 5, ".sock") == 0))
			continue;
		print_message("left over: %s\n", e->d_name);
		closedir(d);
		fail_msg("a killed devmesh left something that gc does not remove");
	}
	closedir(d);
}

TEST(killed_up_with_explicit_routes)
{
	char *repo = repo_new(w, "shop"), *other = worktree_add(w, repo, "x"), *port;
	int i, ports[2] = {free_port(w), free_port(w)};
	unsigned seed = choose_seed();
	struct proc *p;
	long usual;
	cJSON *route;

	caddy_plain(w, bystanders(w, 5));
	up_ok(w, other);
	usual = time_of_up(w, repo, ports);
	for (i = 0; i < KILLS; i++) {
		port = fmt(w, "%d", ports[i % 2]);
		if (i % 3 == 0)
			assert_exit(w, DM(w, repo, "down"), 0);
		p = DM_BG(w, repo, "up", "--port", port);
		nap_us(dice(&seed, usual * 5 / 4));
		end_proc(w, p);
		assert_exit(w, DM(w, repo, "up", "--port", port), 0);
		assert_int_equal(count_claims(w), 2);
		route = route_of(w, "shop-main");
		assert_non_null(strstr(world_keep(w, cJSON_PrintUnformatted(route), cJSON_free),
		    fmt(w, ":%s\"", port)));
		route_of(w, "shop-x");
		assert_bystanders(w, 5);
		assert_int_equal(cJSON_GetArraySize(routes(w)), 7);
	}
	assert_tidy(w);
}

TEST(killed_up_with_the_mesh_route)
{
	char *repo = repo_new(w, "shop"), *other = worktree_add(w, repo, "x");
	unsigned seed = choose_seed();
	struct proc *p;
	int64_t begin;
	long usual;
	int i;

	caddy_mesh(w, "");
	up_ok(w, other);
	begin = now_ms();
	up_ok(w, repo);
	usual = (long)(now_ms() - begin) * 1000 + 1000;
	for (i = 0; i < KILLS / 2; i++) {
		assert_exit(w, DM(w, repo, "down"), 0);
		p = DM_BG(w, repo, "up");
		nap_us(dice(&seed, usual * 5 / 4));
		end_proc(w, p);
		assert_string_equal(up_ok(w, repo), "shop-main");
		assert_int_equal(count_claims(w), 2);
		assert_string_equal(json_str(claim_of(w, "shop-main"), "worktree"), repo);
		assert_int_equal(cJSON_GetArraySize(routes(w)), 1);
	}
	assert_tidy(w);
}

TEST(killed_down)
{
	char *repo = repo_new(w, "shop"), *other = worktree_add(w, repo, "x");
	unsigned seed = choose_seed();
	struct proc *p;
	int i;

	caddy_plain(w, bystanders(w, 5));
	up_ok(w, other);
	for (i = 0; i < 30; i++) {
		up_ok(w, repo);
		p = DM_BG(w, repo, "down");
		nap_us(dice(&seed, 20000));
		end_proc(w, p);
		up_ok(w, repo);
		route_of(w, "shop-main");
		route_of(w, "shop-x");
		assert_bystanders(w, 5);
		assert_int_equal(count_claims(w), 2);
	}
	assert_tidy(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(caddy_down),
	    WORLD_TEST(caddy_down_by_tcp),
	    WORLD_TEST(caddy_hangs),
	    WORLD_TEST(caddy_hangs_in_the_middle),
	    WORLD_TEST(caddy_restarted_without_its_routes),
	    WORLD_TEST(caddy_answers_500),
	    WORLD_TEST(something_else_answers_at_the_admin_address),
	    WORLD_TEST(caddy_poisoned_by_somebody),
	    WORLD_TEST(caddy_without_any_http_server),
	    WORLD_TEST(read_only_directory),
	    WORLD_TEST(read_only_file_system),
	    WORLD_TEST(full_file_system),
	    WORLD_TEST(claim_of_another_user),
	    WORLD_TEST(socket_of_another_user_without_a_claim),
	    WORLD_TEST(link_of_another_user_in_the_way),
	    WORLD_TEST(orphan_of_another_user_stays),
	    WORLD_TEST(killed_up_with_explicit_routes),
	    WORLD_TEST(killed_up_with_the_mesh_route),
	    WORLD_TEST(killed_down),
	};

	return RUN_TESTS(tests);
}
