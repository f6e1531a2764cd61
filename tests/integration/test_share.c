/* SPDX-License-Identifier: MIT */
/* Sharing, seen from both sides: the laptop that serves, and a phone on the same network. */
#include "harness_daemon.h"
#include "harness_lan.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(nothing_is_shared_by_itself)
{
	struct lan_scene s = lan_scene(w);
	struct lan_reply r;

	assert_refused(w, &s, SHOP);
	/* whether there is such a service or not makes no difference */
	assert_refused(w, &s, "nobody-main.dev.test");
	r = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/.well-known/devmesh", NULL);
	assert_int_equal(r.status, 403);
	assert_null(strstr(r.body, w->dir));
	/* a page for people */
	r = lan_get(
	    w, s.phone, SHOP, s.port, LAN_LAPTOP, "/", ARGV("--header", "Accept: text/html"));
	assert_int_equal(r.status, 403);
	assert_non_null(strstr(r.body, "<h1>shop-main</h1>"));
	/* no header makes somebody else of the phone */
	r = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/",
	    ARGV("--header", "X-Forwarded-For: 127.0.0.1", "--header", "X-Devmesh-Check: 1",
		"--header", "X-Real-IP: 127.0.0.1", "--header", "Forwarded: for=127.0.0.1"));
	assert_int_equal(r.status, 403);
	/* and here all is as ever */
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
}

TEST(shared_with_the_lan)
{
	struct lan_scene s = lan_scene(w);
	struct result r = DM(w, s.repo, "share");

	assert_exit(w, r, 0);
	assert_string_equal(line_of(w, r), fmt(w, "https://" SHOP ":%d", s.port));
	assert_served(w, &s, SHOP, "shop-main");
	/* the bare name leads to the same worktree */
	assert_served(w, &s, "shop.dev.test", "shop-main");
	/* which checkout it is, and where, is nobody's business */
	assert_int_equal(
	    lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/.well-known/devmesh", NULL).status,
	    200);
	assert_string_equal(
	    lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/.well-known/devmesh", NULL).body,
	    "shop-main"); /* the service's own answer */
	assert_refused(w, &s, "nobody-main.dev.test");
	/* again: the same */
	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_served(w, &s, SHOP, "shop-main");
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_refused(w, &s, SHOP);
	assert_refused(w, &s, "shop.dev.test");
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_exit(w, DM(w, s.repo, "share", "--lan"), 0);
	assert_exit(w, DM(w, s.repo, "share", "--private"), 0);
	assert_refused(w, &s, SHOP);
}

/* Sharing writes nothing to Caddy: no other worktree's WebSocket is closed by it. */
TEST(sharing_is_no_change_of_caddy)
{
	struct lan_scene s = lan_scene(w);
	char *before = routes_text(w);

	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_string_equal(routes_text(w), before);
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_string_equal(routes_text(w), before);
}

static bool
is_refused(struct world *w, const void *arg)
{
	return lan_phone_get(w, arg, SHOP).status == 403;
}

/* Nothing of devmesh runs when the time comes. */
TEST(a_share_ends_by_itself)
{
	struct lan_scene s = lan_scene(w);
	cJSON *o;
	struct result r = DM(w, s.repo, "share", "--expires", "5s", "--json");

	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	o = cJSON_GetObjectItem(o, "share");
	assert_string_equal(json_str(o, "reach"), "lan");
	assert_true(json_number(o, "until") - json_number(o, "since") == 5);
	assert_served(w, &s, SHOP, "shop-main");
	assert_true(wait_until(w, is_refused, &s, ANSWER_MS));
	assert_string_equal(DM(w, s.repo, "share", "--list").out, "");
}

/* A new Caddy, and a server that is started anew: the share is kept, and its end too. */
TEST(a_share_outlives_restarts)
{
	struct lan_scene s = lan_scene(w);
	struct result r;

	assert_exit(w, DM(w, s.repo, "share", "--expires", "1h"), 0);
	assert_exit(w, DM(w, NULL, "stop"), 0);
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_served(w, &s, SHOP, "shop-main");
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	assert_served(w, &s, SHOP, "shop-main");
	r = DM(w, s.repo, "share", "--list");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "shop-main"));
	assert_non_null(strstr(r.out, "lan"));
	assert_exit(w, DM(w, s.repo, "down"), 0);
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	assert_refused(w, &s, SHOP);
}

/* Another repository that calls itself shop. */
static const char *
elsewhere(struct world *w)
{
	const char *repo = repo_new(w, "elsewhere");

	write_text(fmt(w, "%s/.id", repo), "shop\n");
	return repo;
}

/* Another worktree that gets the name has not been shared. */
TEST(a_share_is_not_inherited)
{
	struct lan_scene s = lan_scene(w);
	const char *other = elsewhere(w);

	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_served(w, &s, SHOP, "shop-main");
	assert_exit(w, DM(w, other, "up", "--force"), 0);
	assert_refused(w, &s, SHOP);
	assert_refused(w, &s, "shop.dev.test");
}

/* Nor does another service of the same worktree that gets what was a bare name of the shared one.
 */
TEST(an_alias_is_no_share_of_its_own)
{
	struct lan_scene s = lan_scene(w);

	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_served(w, &s, "shop.dev.test", "shop-main");
	assert_exit(w, DM(w, s.repo, "up", "--id", "shop"), 0);
	assert_refused(w, &s, "shop.dev.test");
	assert_served(w, &s, SHOP, "shop-main");
}

static bool
has_followed(struct world *w, const void *arg)
{
	return strcmp(json_str(claim_of(w, "shop-move"), "worktree"), arg) == 0;
}

/* The worktree moves, and its share with it. */
TEST(a_share_moves_with_its_worktree)
{
	struct lan_scene s = lan_scene(w);
	const char *tree = worktree_add(w, s.repo, "move"), *to = fmt(w, "%s/moved", w->dir);
	struct result r;

	assert_string_equal(up_ok(w, tree), "shop-move");
	serve_id(w, "shop-move");
	assert_exit(w, DM(w, tree, "share"), 0);
	daemon_start(w);
	GIT(w, s.repo, "worktree", "move", tree, to);
	assert_true(wait_until(w, has_followed, to, ANSWER_MS));
	assert_string_equal(up_ok(w, to), "shop-move");
	assert_served(w, &s, "shop-move.dev.test", "shop-move");
	r = DM(w, to, "share", "--list");
	assert_non_null(strstr(r.out, "shop-move"));
	assert_null(strstr(r.out, "not registered"));
	assert_exit(w, DM(w, to, "unshare"), 0);
	assert_refused(w, &s, "shop-move.dev.test");
}

/* What is shared and not registered any more can be ended, and ends with its worktree. */
TEST(a_share_without_a_claim)
{
	struct lan_scene s = lan_scene(w);
	const char *tree = worktree_add(w, s.repo, "left");

	assert_string_equal(up_ok(w, tree), "shop-left");
	assert_exit(w, DM(w, tree, "share"), 0);
	/* as a restart of the machine leaves it: /tmp is empty */
	assert_int_equal(unlink(fmt(w, "%s/shop-left.json", w->sockets)), 0);
	assert_non_null(strstr(DM(w, tree, "share", "--list").out, "shop-left"));
	assert_exit(w, DM(w, s.repo, "unshare", "shop-left"), 0);
	assert_error(w, DM(w, s.repo, "unshare", "shop-left"), 3, "shop-left");
	assert_string_equal(up_ok(w, tree), "shop-left");
	assert_exit(w, DM(w, tree, "share"), 0);
	assert_int_equal(unlink(fmt(w, "%s/shop-left.json", w->sockets)), 0);
	GIT(w, s.repo, "worktree", "remove", "--force", tree);
	assert_exit(w, DM(w, s.repo, "gc"), 0);
	assert_null(strstr(DM(w, s.repo, "share", "--list").out, "shop-left"));
}

/* A directory that others may write to is mended, not passed over. */
TEST(a_directory_open_to_others)
{
	struct lan_scene s = lan_scene(w);
	const char *dir = fmt(w, "%s/identity/access", w->state);
	struct stat st;

	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_int_equal(chmod(dir, 0775), 0);
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_refused(w, &s, SHOP);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 022, 0);
}

/* Two at once: one of them it is, and its end ends it. */
TEST(two_shares_at_once)
{
	struct lan_scene s = lan_scene(w);

	for (int i = 0; i < 5; i++) {
		struct proc *a = DM_BG(w, s.repo, "share", "--lan", "--expires", "1h");
		struct proc *b = DM_BG(w, s.repo, "share", "--public");

		assert_exit(w, finish(w, a), 0);
		assert_exit(w, finish(w, b), 0);
		assert_served(w, &s, SHOP, "shop-main");
		assert_exit(w, DM(w, s.repo, "unshare"), 0);
		assert_refused(w, &s, SHOP);
		assert_string_equal(DM(w, s.repo, "share", "--list").out, "");
	}
}

TEST(shared_by_password)
{
	struct lan_scene s = lan_scene(w);
	struct result r = DM(w, s.repo, "share", "--password", "--json");
	struct lan_reply reply;
	const char *password;
	cJSON *o;

	assert_exit(w, r, 0);
	o = json_of(w, r.out);
	password = json_str(o, "password");
	assert_int_equal(strlen(password), 16);
	assert_string_equal(json_str(cJSON_GetObjectItem(o, "share"), "user"), "devmesh");
	reply = lan_phone_get(w, &s, SHOP);
	assert_int_equal(reply.status, 401);
	assert_non_null(strstr(reply.headers, "asic realm"));
	reply = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/", ARGV("--user", "devmesh:wrong"));
	assert_int_equal(reply.status, 401);
	reply = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/",
	    ARGV("--user", fmt(w, "devmesh:%s", password)));
	assert_int_equal(reply.status, 200);
	assert_string_equal(reply.body, "shop-main");
	/* this machine needs none */
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
	/* registered again, it is the same */
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	assert_int_equal(lan_phone_get(w, &s, SHOP).status, 401);
	assert_int_equal(count_routes(w, "shop-main"), 1);
	assert_exit(w, DM(w, s.repo, "unshare"), 0);
	assert_int_equal(count_routes(w, "shop-main"), 0);
	assert_refused(w, &s, SHOP);
	assert_url_answers(w, fmt(w, "https://" SHOP ":%d/", s.port), "shop-main");
}

TEST(a_password_of_ones_own)
{
	struct lan_scene s = lan_scene(w);
	char *file = fmt(w, "%s/secret", w->dir);
	struct lan_reply reply;
	struct result r;

	write_text(file, "correct horse: battery\n");
	r = DM(w, s.repo, "share", "--password-file", file, "--user", "ann", "--json");
	assert_exit(w, r, 0);
	assert_true(json_null(json_of(w, r.out), "password"));
	reply = lan_get(w, s.phone, SHOP, s.port, LAN_LAPTOP, "/",
	    ARGV("--user", "ann:correct horse: battery"));
	assert_int_equal(reply.status, 200);
	/* it is nowhere in clear */
	assert_int_not_equal(
	    run(w, w->dir, ARGV("grep", "-r", "-l", "correct horse", w->state)).code, 0);
	write_text(file, "short\n");
	assert_error(w, DM(w, s.repo, "share", "--password-file", file), 2, "8 to 72");
	assert_error(w, DM(w, s.repo, "share", "--lan", "--public"), 2, "only one");
	assert_error(w, DM(w, s.repo, "share", "--lan", "--user", "x"), 2, "--password");
	assert_error(w, DM(w, s.repo, "share", "--expires", "soon"), 2, "not a time");
	assert_error(w, DM(w, s.repo, "share", "--expires", "99999d"), 2, "not a time");
	assert_error(w, DM(w, s.repo, "share", "nobody"), 3, "nobody");
}

/* Routes of their own have the same gate: a server on a port. */
TEST(explicit_routes_as_well)
{
	struct lan_scene s = lan_scene(w);
	const char *tree = worktree_add(w, s.repo, "port");
	int port;

	serve_tcp(w, 200, "by-port", &port);
	assert_exit(w, DM(w, tree, "up", "--port", fmt(w, "%d", port)), 0);
	assert_int_equal(count_routes(w, "shop-port"), 1);
	assert_url_answers(w, fmt(w, "https://shop-port.dev.test:%d/", s.port), "by-port");
	assert_refused(w, &s, "shop-port.dev.test");
	assert_exit(w, DM(w, tree, "share"), 0);
	assert_served(w, &s, "shop-port.dev.test", "by-port");
	assert_exit(w, DM(w, tree, "share", "--password"), 0);
	assert_int_equal(lan_phone_get(w, &s, "shop-port.dev.test").status, 401);
	assert_exit(w, DM(w, tree, "unshare"), 0);
	assert_refused(w, &s, "shop-port.dev.test");
}

/* A name that is shared, and whose server does not run: no word about this machine. */
TEST(shared_and_not_running)
{
	struct lan_scene s = lan_scene(w);
	const char *tree = worktree_add(w, s.repo, "idle");
	struct lan_reply r;

	assert_string_equal(up_ok(w, tree), "shop-idle");
	assert_exit(w, DM(w, tree, "share"), 0);
	r = lan_get(w, s.phone, "shop-idle.dev.test", s.port, LAN_LAPTOP, "/",
	    ARGV("--header", "Accept: text/html"));
	assert_int_equal(r.status, 503);
	assert_non_null(strstr(r.body, "shop-idle"));
	assert_null(strstr(r.body, w->dir));
	assert_null(strstr(r.body, ".sock"));
}

/* After a change of the domain a service has its old name until it is registered anew. */
TEST(registered_below_another_domain)
{
	struct lan_scene s = lan_scene(w);
	struct result r;

	assert_exit(w, DM(w, NULL, "stop"), 0);
	assert_error(w, DM(w, s.repo, "share"), 5, "sharing shop-main: no Caddy answers");
	world_env(w, "DEVMESH_MESH_DOMAIN", "other.test");
	r = DM(w, NULL, "start");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.err, "registered below another domain, shop-main"));
	assert_error(w, DM(w, s.repo, "share"), 4, "below dev.test, and Caddy serves other.test");
	assert_string_equal(up_ok(w, s.repo), "shop-main");
	assert_exit(w, DM(w, s.repo, "share"), 0);
	assert_served(w, &s, "shop-main.other.test", "shop-main");
	assert_null(strstr(DM(w, NULL, "start").err, "another domain"));
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(nothing_is_shared_by_itself),
	    WORLD_TEST(shared_with_the_lan),
	    WORLD_TEST(sharing_is_no_change_of_caddy),
	    WORLD_TEST(a_share_ends_by_itself),
	    WORLD_TEST(a_share_outlives_restarts),
	    WORLD_TEST(a_share_is_not_inherited),
	    WORLD_TEST(an_alias_is_no_share_of_its_own),
	    WORLD_TEST(a_share_moves_with_its_worktree),
	    WORLD_TEST(a_share_without_a_claim),
	    WORLD_TEST(a_directory_open_to_others),
	    WORLD_TEST(two_shares_at_once),
	    WORLD_TEST(shared_by_password),
	    WORLD_TEST(a_password_of_ones_own),
	    WORLD_TEST(explicit_routes_as_well),
	    WORLD_TEST(shared_and_not_running),
	    WORLD_TEST(registered_below_another_domain),
	};

	lan_enter(argc, argv);
	return RUN_TESTS(tests);
}
