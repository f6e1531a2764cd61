/* SPDX-License-Identifier: MIT */
/* What a service says of itself at /.well-known/devmesh, and when it says nothing. */
#include "harness_net.h"

#include <sys/stat.h>
#include <unistd.h>

#define WELL_KNOWN "/.well-known/devmesh"

static char *
socket_of(struct world *w, const char *id)
{
	return fmt(w, "%s/%s.sock", w->sockets, id);
}

static struct reply
ask(struct world *w, const char *id)
{
	return http_get(w, w->port, fmt(w, "%s.dev.test", id), WELL_KNOWN);
}

/* The identity document of a service, with the headers it has to have. */
static cJSON *
identity_of(struct world *w, const char *id)
{
	struct reply r = ask(w, id);

	if (r.status != 200)
		fail_msg("%s%s: %ld %s %s", id, WELL_KNOWN, r.status, r.body, r.error);
	assert_string_equal(reply_header(w, r, "Content-Type"), "application/json");
	assert_string_equal(reply_header(w, r, "Cache-Control"), "no-store");
	assert_non_null(reply_header(w, r, "X-Devmesh-Id"));
	assert_null(reply_header(w, r, "Access-Control-Allow-Origin"));
	return json_of(w, r.body);
}

/* Everything in it, while nothing listens; and gone with `down`. */
static void
assert_documents(struct world *w)
{
	char *repo = repo_new(w, "shop");
	cJSON *doc;

	up_ok(w, repo);
	doc = identity_of(w, "shop-main");
	assert_true(json_number(doc, "schema_version") == 1);
	assert_string_equal(json_str(doc, "id"), "shop-main");
	assert_false(cJSON_HasObjectItem(doc, "alias_of"));
	assert_string_equal(json_str(doc, "app"), "shop");
	assert_string_equal(json_str(doc, "branch"), "main");
	assert_string_equal(json_str(doc, "worktree"), repo);
	assert_string_equal(json_str(doc, "commit"), head_of(w, repo));
	assert_int_equal(strlen(json_str(doc, "commit")), 40);
	assert_true(json_null(doc, "pid"));
	assert_true(
	    json_number(doc, "started") == json_number(claim_of(w, "shop-main"), "created"));
	assert_true(json_number(doc, "observed") >= json_number(doc, "started"));
	assert_non_null(strstr(json_str(doc, "url"), "//shop-main.dev.test:"));
	assert_string_equal(reply_header(w, ask(w, "shop-main"), "X-Devmesh-Id"), "shop-main");
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_int_equal(count_files(fmt(w, "%s/identity", w->state), ".json"), 0);
	/* Caddy's own answer for a host without a route is an empty 200 */
	assert_null(strstr(ask(w, "shop-main").body, "worktree"));
}

TEST(documents_by_a_mesh_route_written_by_hand)
{
	caddy_mesh(w, "");
	assert_documents(w);
	assert_int_equal(count_routes(w, "shop-main"), 0);
}

TEST(documents_by_explicit_routes)
{
	caddy_plain(w, bystanders(w, 2));
	assert_documents(w);
	assert_bystanders(w, 2);
}

/* The mesh route of `devmesh start` itself. */
TEST(documents_by_the_private_mesh)
{
	char *repo = repo_new(w, "shop"), *url, *alias, *left;
	int http = free_port(w), https = free_port(w);
	struct reply r;
	cJSON *doc;

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", http));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", https));
	snprintf(w->ca, sizeof w->ca, "%.60s/data/pki/authorities/local/root.crt", w->state);
	assert_exit(w, DM(w, NULL, "start"), 0);
	url = line_of(w, DM(w, repo, "up"));
	alias = fmt(w, "https://shop.dev.localhost:%d", https);
	r = fetch(w, fmt(w, "%s" WELL_KNOWN, url), NULL);
	assert_int_equal(r.status, 200);
	assert_string_equal(reply_header(w, r, "Content-Type"), "application/json");
	assert_string_equal(reply_header(w, r, "X-Devmesh-Id"), "shop-main");
	assert_string_equal(json_str(json_of(w, r.body), "worktree"), repo);
	r = fetch(w, fmt(w, "%s" WELL_KNOWN, alias), NULL);
	doc = json_of(w, r.body);
	assert_string_equal(json_str(doc, "id"), "shop-main");
	assert_string_equal(json_str(doc, "alias_of"), "shop-main");
	assert_string_equal(json_str(doc, "url"), alias);
	/* any other path is the service's, and the page that it does not run says whose */
	r = fetch(w, fmt(w, "%s" WELL_KNOWN "/x", url), NULL);
	assert_int_equal(r.status, 503);
	assert_string_equal(reply_header(w, r, "X-Devmesh-Id"), "shop-main");
	serve_in(w, repo, socket_of(w, "shop-main"), "itself");
	assert_url_answers(w, fmt(w, "%s/.well-known/other", url), "itself");
	assert_exit(w, DM(w, repo, "assert"), 0);
	assert_exit(w, DM(w, repo, "assert", alias), 0);
	/* without documents the service is asked */
	remove_tree(fmt(w, "%s/identity", w->state));
	assert_url_answers(w, fmt(w, "%s" WELL_KNOWN, url), "itself");
	/* those of claims that a restart of the machine has taken along go when the mesh starts */
	assert_exit(w, DM(w, repo, "up"), 0);
	left = fmt(w, "%s/identity/shop-main.json", w->state);
	assert_true(exists(left));
	assert_exit(w, DM(w, repo, "stop"), 0);
	unlink(fmt(w, "%s/shop-main.json", w->sockets));
	assert_exit(w, DM(w, NULL, "start"), 0);
	assert_false(exists(left));
}

TEST(alias_says_the_true_id)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "b");
	cJSON *doc;

	caddy_mesh(w, "");
	up_ok(w, repo);
	doc = identity_of(w, "shop");
	assert_string_equal(json_str(doc, "id"), "shop-main");
	assert_string_equal(json_str(doc, "alias_of"), "shop-main");
	assert_string_equal(json_str(doc, "worktree"), repo);
	assert_non_null(strstr(json_str(doc, "url"), "//shop.dev.test:"));
	/* another service takes the bare name for itself */
	assert_exit(w, DM(w, wt, "up", "--id", "shop"), 0);
	doc = identity_of(w, "shop");
	assert_string_equal(json_str(doc, "id"), "shop");
	assert_string_equal(json_str(doc, "worktree"), wt);
	assert_string_equal(json_str(identity_of(w, "shop-main"), "id"), "shop-main");
	assert_exit(w, DM(w, repo, "down", "shop-main"), 0);
	assert_string_equal(json_str(identity_of(w, "shop"), "worktree"), wt);
	assert_exit(w, DM(w, w->dir, "down", "--all"), 0);
	assert_int_equal(count_files(fmt(w, "%s/identity", w->state), ".json"), 0);
}

TEST(explicit_route_serves_its_alias_too)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, "[]");
	up_ok(w, repo);
	assert_string_equal(json_str(identity_of(w, "shop"), "id"), "shop-main");
}

TEST(commit_and_changes_as_of_the_last_up)
{
	char *repo = repo_new(w, "shop"), *routes_before;
	cJSON *doc;

	caddy_plain(w, "[]");
	write_text(fmt(w, "%s/f", repo), "one\n");
	GIT(w, repo, "add", "f");
	GIT(w, repo, "commit", "-q", "-m", "second");
	up_ok(w, repo);
	routes_before = routes_text(w);
	assert_string_equal(json_str(identity_of(w, "shop-main"), "commit"), head_of(w, repo));
	GIT(w, repo, "commit", "-q", "--allow-empty", "-m", "third");
	GIT(w, repo, "pack-refs", "--all");
	write_text(fmt(w, "%s/f", repo), "two\n");
	up_ok(w, repo);
	doc = identity_of(w, "shop-main");
	assert_string_equal(json_str(doc, "commit"), head_of(w, repo));
	/* null where git was too slow */
	assert_false(cJSON_IsFalse(cJSON_GetObjectItem(doc, "dirty")));
	/* only files have changed, nothing in Caddy */
	assert_string_equal(routes_text(w), routes_before);
	GIT(w, repo, "checkout", "-q", "f");
	GIT(w, repo, "checkout", "-q", "--detach");
	assert_exit(w, DM(w, repo, "up", "--id", "shop-main"), 0);
	doc = identity_of(w, "shop-main");
	assert_false(cJSON_IsTrue(cJSON_GetObjectItem(doc, "dirty")));
	assert_true(json_null(doc, "branch"));
	assert_string_equal(json_str(doc, "commit"), head_of(w, repo));
}

TEST(without_git_there_is_no_commit)
{
	char *dir = make_dir(w, "plain");
	cJSON *doc;

	caddy_mesh(w, "");
	doc = identity_of(w, up_ok(w, dir));
	assert_true(
	    json_null(doc, "commit") && json_null(doc, "dirty") && json_null(doc, "branch"));
}

TEST(pid_once_the_server_has_answered)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;
	cJSON *doc;
	double since;

	caddy_mesh(w, "");
	up_ok(w, repo);
	p = serve_in(w, repo, socket_of(w, "shop-main"), "itself");
	assert_true(json_null(identity_of(w, "shop-main"), "pid"));
	assert_exit(w, DM(w, repo, "wait", "--timeout", "60"), 0);
	doc = identity_of(w, "shop-main");
	assert_true(json_number(doc, "pid") == (double)p->pid);
	since = json_number(doc, "started");
	assert_exit(w, DM(w, repo, "up", "--wait=60"), 0);
	assert_true(json_number(identity_of(w, "shop-main"), "started") == since);
	assert_true(json_number(identity_of(w, "shop"), "pid") == (double)p->pid);
}

TEST(hostile_branch_name_is_json)
{
	char *repo = repo_new(w, "shop"), *wt;
	const char *branch = "a\"b</script>'{http.request.host}\xc3\xbc";

	caddy_mesh(w, "");
	wt = worktree_add(w, repo, branch);
	assert_string_equal(json_str(identity_of(w, up_ok(w, wt)), "branch"), branch);
}

/* Where everybody may write nothing is served from, and nothing is written to. */
TEST(link_in_the_sockets_directory_is_not_served)
{
	char *repo = repo_new(w, "shop"), *secret = fmt(w, "%s/secret", w->dir);
	struct reply r;

	caddy_mesh(w, "");
	write_text(secret, "{\"secret\":true}");
	assert_int_equal(symlink(secret, fmt(w, "%s/planted.json", w->sockets)), 0);
	r = ask(w, "planted");
	assert_true(r.status != 200);
	assert_null(strstr(r.body, "secret"));
	assert_string_equal(up_ok(w, repo), "shop-main");
	assert_string_equal(json_str(identity_of(w, "shop-main"), "worktree"), repo);
}

TEST(directory_that_others_may_write_to_is_not_used)
{
	char *repo = repo_new(w, "shop"), *dir = fmt(w, "%s/identity", w->state);

	caddy_mesh(w, "");
	up_ok(w, repo);
	assert_int_equal(ask(w, "shop-main").status, 200);
	remove_tree(dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	up_ok(w, repo);
	assert_int_equal(count_files(dir, ""), 2); /* "." and ".." */
	assert_true(ask(w, "shop-main").status != 200);
}

TEST(file_of_the_user_in_the_way_stays)
{
	char *repo = repo_new(w, "shop"), *dir = fmt(w, "%s/identity", w->state);
	char *path = fmt(w, "%s/shop-main.json", dir);

	caddy_mesh(w, "");
	up_ok(w, repo);
	write_text(path, "{\"mine\":1}");
	assert_exit(w, DM(w, repo, "up"), 0);
	assert_string_equal(read_text(w, path), "{\"mine\":1}");
	assert_exit(w, DM(w, repo, "down"), 0);
	assert_exit(w, DM(w, repo, "gc"), 0);
	assert_string_equal(read_text(w, path), "{\"mine\":1}");
}

TEST(gc_removes_documents_without_a_claim)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "gone"), *left;
	struct result r;

	caddy_mesh(w, "");
	up_ok(w, repo);
	up_ok(w, wt);
	left = fmt(w, "%s/identity/shop-gone.json", w->state);
	assert_true(exists(left));
	unlink(fmt(w, "%s/shop-gone.json", w->sockets));
	r = DM(w, w->dir, "gc", "--dry-run");
	assert_non_null(strstr(r.out, left));
	assert_true(exists(left));
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_false(exists(left));
	assert_int_equal(ask(w, "shop-main").status, 200);
	assert_int_equal(ask(w, "shop").status, 200);
	/* with its worktree the claim goes, and its document with it */
	up_ok(w, wt);
	remove_tree(wt);
	assert_exit(w, DM(w, w->dir, "gc"), 0);
	assert_false(exists(left));
}

TEST(takeover_leaves_no_wrong_document)
{
	char *repo = repo_new(w, "shop"), *wt = worktree_add(w, repo, "b");

	caddy_mesh(w, "");
	up_ok(w, repo);
	assert_exit(w, DM(w, wt, "up", "--id", "shop-main", "--force"), 0);
	assert_string_equal(json_str(identity_of(w, "shop-main"), "worktree"), wt);
}

/* A route of an older devmesh is rewritten once, and then left alone. */
TEST(older_route_is_rewritten_once)
{
	char *repo = repo_new(w, "shop"), *text;
	struct result r;

	caddy_plain(w, "[]");
	up_ok(w, repo);
	text = fmt(w,
	    "{\"@id\":\"shop-main\",\"match\":[{\"host\":[\"shop-main.dev.test\",\"shop.dev.test\"]"
	    "}],\"handle\":[{\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":\"unix/%s/"
	    "shop-main.sock\"}],\"headers\":{\"response\":{\"set\":{\"X-Devmesh-Id\":["
	    "\"shop-main\"]}}},\"transport\":{\"protocol\":\"http\",\"keep_alive\":{\"enabled\":"
	    "false}}}],\"terminal\":true}",
	    w->sockets);
	assert_int_equal(admin(w, "PATCH", "/id/shop-main", text).status, 200);
	r = DM(w, repo, "up", "--json");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json_of(w, r.out), "wrote_route")));
	assert_string_equal(json_str(identity_of(w, "shop-main"), "worktree"), repo);
	r = DM(w, repo, "up", "--json");
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json_of(w, r.out), "wrote_route")));
	route_of(w, "shop-main");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(documents_by_a_mesh_route_written_by_hand),
	    WORLD_TEST(documents_by_explicit_routes),
	    WORLD_TEST(documents_by_the_private_mesh),
	    WORLD_TEST(alias_says_the_true_id),
	    WORLD_TEST(explicit_route_serves_its_alias_too),
	    WORLD_TEST(commit_and_changes_as_of_the_last_up),
	    WORLD_TEST(without_git_there_is_no_commit),
	    WORLD_TEST(pid_once_the_server_has_answered),
	    WORLD_TEST(hostile_branch_name_is_json),
	    WORLD_TEST(link_in_the_sockets_directory_is_not_served),
	    WORLD_TEST(directory_that_others_may_write_to_is_not_used),
	    WORLD_TEST(file_of_the_user_in_the_way_stays),
	    WORLD_TEST(gc_removes_documents_without_a_claim),
	    WORLD_TEST(takeover_leaves_no_wrong_document),
	    WORLD_TEST(older_route_is_rewritten_once),
	};

	return RUN_TESTS(tests);
}
