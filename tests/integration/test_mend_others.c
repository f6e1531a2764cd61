/* SPDX-License-Identifier: MIT */
/*
 * Putting Caddy right while others write to it, the mesh route among what it has lost, and where
 * nothing may be put right.
 */
#include "harness_mend.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- others who write ---------------------------------------------------------------------- */

enum meddling {
	MEDDLE_FIRST, /* before the first write reaches Caddy, somebody else changes the routes */
	MEDDLE_LOSE,  /* Caddy does it, and its answer is lost */
};

static void
copy(int from, int to, bool *open)
{
	char bytes[65536];
	ssize_t n = read(from, bytes, sizeof bytes), done = 0;

	while (n > 0 && done < n) {
		ssize_t k = write(to, bytes + done, (size_t)(n - done));

		if (k <= 0)
			break;
		done += k;
	}
	*open = n > 0 && done == n;
}

/* One connection to the admin API. */
static void
pass_on(struct world *w, int client, enum meddling how, int *writes)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int caddy = socket(AF_UNIX, SOCK_STREAM, 0);
	struct pollfd p[2] = {{.fd = client, .events = POLLIN}, {.fd = caddy, .events = POLLIN}};
	char first[5] = "";
	bool open = true, lose = false;

	snprintf(sa.sun_path, sizeof sa.sun_path, "%.100s", w->admin + strlen("unix://"));
	if (connect(caddy, (const struct sockaddr *)&sa, sizeof sa) != 0 ||
	    recv(client, first, 5, MSG_PEEK) != 5)
		open = false;
	if (memcmp(first, "PATCH", 5) == 0 && ++*writes == 1) {
		lose = how == MEDDLE_LOSE;
		if (!lose &&
		    admin(w, "POST", ROUTES, "{\"@id\":\"quicker\",\"handle\":[]}").status != 200)
			_exit(1);
	}
	while (open && poll(p, 2, -1) > 0) {
		if (p[1].revents != 0 && lose)
			break;
		if (p[0].revents != 0)
			copy(client, caddy, &open);
		else
			copy(caddy, client, &open);
	}
	close(caddy);
	close(client);
}

/* What devmesh takes for Caddy from now on; the harness goes on talking to the real one. */
static void
meddle(struct world *w, enum meddling how)
{
	char *path = fmt(w, "%s/between.sock", w->dir);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), writes = 0;

	snprintf(sa.sun_path, sizeof sa.sun_path, "%.100s", path);
	assert_int_equal(bind(listener, (const struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(listener, 64), 0);
	if (start_child(w) == NULL) {
		signal(SIGPIPE, SIG_IGN);
		for (;;)
			pass_on(w, accept(listener, NULL, NULL), how, &writes);
	}
	close(listener);
	world_env(w, "DEVMESH_CADDY_ADMIN", fmt(w, "unix://%s", path));
}

TEST(somebody_else_is_quicker)
{
	char *repo = repo_new(w, "shop"), *want;
	struct result r;
	int n;

	caddy_plain(w, strangers(w, 2));
	claim_many(w, repo, 6);
	want = text_of_route(w, "s-4");
	crash(w);
	meddle(w, MEDDLE_FIRST);
	n = loads(w);
	r = DM(w, w->dir, "-v", "up", "--all");
	assert_exit(w, r, 0);
	/* the 412 was met, and then it was right: one reload of theirs, one of ours */
	assert_non_null(strstr(r.err, "412"));
	assert_int_equal(loads_since(w, &n), 2);
	route_of(w, "quicker");
	assert_string_equal(text_of_route(w, "s-4"), want);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 3 + 1 + 6);
	assert_strangers(w, 2);
}

TEST(lost_answer_is_no_second_write)
{
	char *repo = repo_new(w, "shop");
	struct result r;
	int n;

	caddy_plain(w, strangers(w, 2));
	claim_many(w, repo, 6);
	crash(w);
	meddle(w, MEDDLE_LOSE);
	n = loads(w);
	r = DM(w, w->dir, "up", "--all");
	assert_exit(w, r, 0);
	assert_int_equal(count_of(r.out, " restored: "), 6);
	assert_int_equal(loads_since(w, &n), 1);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 3 + 6);
	assert_strangers(w, 2);
}

/* Registrations, restorations and a program of others, all at once. */
TEST(everybody_at_once)
{
	char *repo = repo_new(w, "shop"), *list = bystanders(w, 20);
	struct proc *p[8], *tool;
	cJSON *each;
	int i;

	caddy_plain(w, strangers(w, 0));
	claim_many(w, repo, 12);
	crash(w);
	tool = start_child(w);
	if (tool == NULL) {
		cJSON_ArrayForEach (each, json_any(w, list))
			if (admin(w, "POST", ROUTES, cJSON_PrintUnformatted(each)).status != 200)
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < 8; i++)
		p[i] = i % 2 == 0 ? DM_BG(w, w->dir, "up", "--all")
				  : DM_BG(w, repo, "up", "--id", fmt(w, "s-%d", i));
	for (i = 0; i < 8; i++)
		assert_exit(w, finish(w, p[i]), 0);
	assert_exit(w, finish(w, tool), 0);
	for (i = 0; i < 12; i++)
		route_of(w, fmt(w, "s-%d", i));
	assert_strangers(w, 20);
	assert_int_equal(cJSON_GetArraySize(routes(w)), 12 + 20 + 1);
}

/* ---- the mesh route ------------------------------------------------------------------------ */

TEST(mesh_route_comes_back)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "x");
	struct reply identity;
	struct result r;
	int n;

	caddy_mesh(w, "");
	assert_string_equal(up_ok(w, repo), "shop-main");
	up_ok(w, wt);
	assert_exit(w, DM(w, repo, "up", "--id", "s-0", "--port", "20000"), 0);
	serve_id(w, "shop-x");
	end_proc(w, w->caddy);
	/* another file, with a route that takes all that is left */
	caddy_plain(
	    w, fmt(w, "[%s,{\"handle\":[{\"handler\":\"static_response\",\"body\":\"all\"}]}]",
		   DELICATE));
	assert_string_equal(state_of(w, "shop-x"), "degraded");
	n = loads(w);
	r = DM(w, w->dir, "up", "--all");
	assert_exit(w, r, 0);
	assert_int_equal(loads_since(w, &n), 1);
	assert_non_null(strstr(r.out, "route " MESH " restored: "));
	assert_non_null(strstr(r.out, "route s-0 restored: "));
	assert_int_equal(count_of(r.out, "\n"), 2);
	assert_answers(w, "shop-x.dev.test", "shop-x");
	assert_answers(w, "x.example", "all");
	/* a route of its own is in front of it, or it would not be reached */
	assert_string_equal(json_str(cJSON_GetArrayItem(routes(w), 1), "@id"), "s-0");
	assert_int_equal(count_of(routes_text(w), DELICATE), 1);
	identity = http_get(w, w->port, "shop-x.dev.test", "/.well-known/devmesh");
	assert_string_equal(json_str(json_of(w, identity.body), "id"), "shop-x");
	assert_string_equal(state_of(w, "shop-x"), "up");
	restore(w);
	assert_int_equal(loads_since(w, &n), 0);
	/* up finds it, and needs no route of its own */
	up_ok(w, wt);
	assert_int_equal(count_routes(w, "shop-x"), 0);
}

/* Behind a route that takes everything it is of no use. */
TEST(mesh_route_is_put_in_front_again)
{
	char *repo = repo_new(w, "shop"), *mesh;
	int n;

	caddy_mesh(w, "");
	up_ok(w, repo);
	end_proc(w, w->caddy);
	caddy_plain(w, "[]");
	restore(w);
	mesh = text_of_route(w, MESH);
	serve_id(w, "shop-main");
	assert_int_equal(admin(w, "PUT", ROUTES "/0",
			     "{\"handle\":[{\"handler\":\"static_response\",\"body\":\"all\"}]}")
			     .status,
	    200);
	assert_answers(w, "shop-main.dev.test", "all");
	n = loads(w);
	restore(w);
	assert_int_equal(loads_since(w, &n), 1);
	assert_string_equal(text_of_route(w, MESH), mesh);
	assert_answers(w, "shop-main.dev.test", "shop-main");
}

/* The domain was changed since: that of the running Caddy is not taken from it. */
TEST(mesh_route_of_another_domain_stays)
{
	char *repo = repo_new(w, "shop"), *before;

	caddy_mesh(w, "");
	up_ok(w, repo);
	end_proc(w, w->caddy);
	caddy_plain(w, "[]");
	restore(w);
	before = routes_text(w);
	before = fmt(w, "%s", before);
	end_proc(w, w->caddy);
	caddy_plain(w, "[]");
	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.other");
	/* as devmesh start would have made it for the new one */
	while (strstr(before, "dev.test") != NULL)
		memcpy(strstr(before, "dev.test"), "dev.more", strlen("dev.more"));
	post(w, fmt(w, "%.*s", (int)strcspn(before + 1, "\n") - 1, before + 1));
	before = routes_text(w);
	assert_error(w, DM(w, w->dir, "up", "--all"), 4, "shop-main");
	assert_string_equal(routes_text(w), before);
}

/* ---- where it must not ---------------------------------------------------------------------- */

TEST(https_is_not_turned_on)
{
	char *repo = repo_new(w, "shop"), *config, *before;
	struct result r;

	caddy_plain(w, strangers(w, 1));
	claim_many(w, repo, 3);
	config = read_text(w, w->caddy_config);
	end_proc(w, w->caddy);
	/* the same Caddy, with automatic HTTPS left on, and nobody's host so far */
	config = fmt(w, "%.*s\"routes\":[{\"handle\":[{\"handler\":\"static_response\"}]}]}}}}}",
	    (int)(strstr(config, "\"automatic_https\"") - config), config);
	caddy_start(w, config);
	before = fmt(w, "%s", admin(w, "GET", "/config/", NULL).body);
	r = DM(w, w->dir, "up", "--all");
	assert_error(w, r, 6, "automatic HTTPS");
	assert_string_equal(admin(w, "GET", "/config/", NULL).body, before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(somebody_else_is_quicker),
	    WORLD_TEST(lost_answer_is_no_second_write),
	    WORLD_TEST(everybody_at_once),
	    WORLD_TEST(mesh_route_comes_back),
	    WORLD_TEST(mesh_route_is_put_in_front_again),
	    WORLD_TEST(mesh_route_of_another_domain_stays),
	    WORLD_TEST(https_is_not_turned_on),
	};

	return RUN_TESTS(tests);
}
