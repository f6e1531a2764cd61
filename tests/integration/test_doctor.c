/* SPDX-License-Identifier: MIT */
/*
 * devmesh doctor on Caddy and its routes: a healthy machine has no failure; each trap is set for
 * real, and found. What cannot be set here (name servers that filter, expired certificates) is in
 * tests/unit/test_doctor.c.
 */
#include "harness_doctor.h"
#include "harness_net.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534

/* A mesh route for these hosts and sockets, with nothing but the proxy. */
static char *
mesh(struct world *w, const char *domain, const char *dir)
{
	return fmt(w,
	    "{\"match\":[{\"host\":[\"*.%s\"]}],\"terminal\":true,\"handle\":[{\"handler\":"
	    "\"reverse_proxy\",\"upstreams\":[{\"dial\":\"unix/%s/"
	    "{http.request.host.labels.2}.sock\"}"
	    "]}]}",
	    domain, dir);
}

TEST(healthy_mesh_has_no_failure)
{
	static const char *const fine[] = {"config", "environment", "secrets", "sockets-dir",
	    "clock", "caddy-program", "caddy-admin", "admin-open", "admin-token", "listeners",
	    "ports", "private-tmp", "socket-access", "caddy-modules", "mesh-route", "route-ids",
	    "own-routes", "reload", "stale", "servers", "hosts-file", "next", "vite", "env-files",
	    "git-hooks"};
	char *repo = repo_new(w, "shop");
	struct result r;
	cJSON *o;
	size_t i;

	(void)private_mesh(w);
	up_ok(w, repo);
	serve_id(w, "shop-main");
	o = report(w, repo, 0);
	assert_int_equal(failures(o, ""), 0);
	for (i = 0; i < sizeof fine / sizeof fine[0]; i++)
		assert_fine(o, fine[i]);
	/* nobody has added its CA to the system's store */
	assert_found(o, "certificate", "warning", "does not trust", "devmesh trust --install");
	assert_found(o, "certificate", "note", "Node.js",
	    fmt(w, "NODE_EXTRA_CA_CERTS=%s/data/pki/authorities/local/root.crt", w->state));
	assert_non_null(find(o, "certificate", "ok", "DNS:*.dev.localhost"));
	r = DM(w, repo, "doctor");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "\nfine: config, environment"));
	assert_non_null(strstr(r.out, "\n0 failures, "));
	assert_null(strstr(r.out, "  ok: "));
	r = DM(w, repo, "doctor", "-v");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "  ok: the clock is right\n"));
	assert_non_null(strstr(r.out, "  ok: Caddy (pid "));
	assert_exit(w, DM(w, NULL, "stop"), 0);
}

TEST(nothing_is_changed)
{
	char *repo = repo_new(w, "shop"), *before;

	assert_int_equal(rmdir(w->sockets), 0);
	caddy_plain(w, bystanders(w, 2));
	before = fmt(w, "%s", admin(w, "GET", "/config/", NULL).body);
	report(w, repo, 0);
	assert_string_equal(admin(w, "GET", "/config/", NULL).body, before);
	assert_false(exists(w->sockets));
	assert_false(exists(w->state));
	assert_string_equal(run_ok(w, repo, ARGV("git", "status", "--short")).out, "");
}

TEST(two_caddys_on_one_port)
{
	char *second = fmt(w, "%s/second.json", w->dir);
	struct proc *other;
	struct reply r;
	cJSON *o;

	caddy_mesh(w, "");
	write_text(
	    second, fmt(w,
			"{\"admin\":{\"listen\":\"unix/%s/second.sock\"},\"apps\":{\"http\":{"
			"\"servers\":{\"s\":{\"listen\":[\"127.0.0.1:%d\"],"
			"\"automatic_https\":{\"disable\":true}}}}}}",
			w->dir, w->port));
	o = report(w, NULL, 0);
	assert_fine(o, "listeners");
	other = start(w, w->dir, ARGV("caddy", "run", "--config", second));
	for (int i = 0; i < 1000 && !exists(fmt(w, "%s/second.sock", w->dir)); i++)
		nap_us(10000);
	r = admin(w, "GET", "/config/", NULL); /* the first one has not noticed anything */
	assert_int_equal(r.status, 200);
	o = report(w, NULL, 1);
	assert_found(o, "listeners", "failure",
	    fmt(w, "two programs listen on 127.0.0.1:%d", w->port),
	    fmt(w, "kill %ld", (long)other->pid));
}

TEST(mesh_route_behind_a_catch_all)
{
	cJSON *o;

	caddy_plain(
	    w, fmt(w, "[{\"handle\":[{\"handler\":\"static_response\",\"body\":\"x\"}]},%s]",
		   mesh(w, "dev.test", w->sockets)));
	o = report(w, NULL, 1);
	assert_found(o, "mesh-route", "failure", "is behind route 0", "in front of it");
}

TEST(no_mesh_route)
{
	char *repo = repo_new(w, "shop");
	cJSON *o;

	caddy_plain(w, bystanders(w, 2));
	o = report(w, repo, 0);
	assert_found(o, "mesh-route", "warning", "no mesh route for *.dev.test", "Caddyfile");
	up_ok(w, repo);
	o = report(w, repo, 0);
	assert_found(o, "own-routes", "note", "forgets", "--resume");
	if (find(o, "reload", "ok", "2.7 or later") == NULL)
		assert_found(o, "reload", "warning", "older than 2.7", "mesh route");
	world_env(w, "DEVMESH_CADDY_REGISTRATION", "mesh");
	o = report(w, repo, 1);
	assert_found(o, "mesh-route", "failure", "no mesh route", "Caddyfile");
}

TEST(mesh_route_for_other_sockets)
{
	caddy_plain(w, fmt(w, "[%s]", mesh(w, "dev.test", "/tmp/elsewhere")));
	assert_found(report(w, NULL, 1), "mesh-route", "failure", "/tmp/elsewhere",
	    "export DEVMESH_SOCKETS_DIR=/tmp/elsewhere");
}

TEST(mesh_route_for_another_domain)
{
	caddy_plain(w, fmt(w, "[%s]", mesh(w, "other.test", w->sockets)));
	assert_found(report(w, NULL, 1), "mesh-route", "failure", "*.other.test",
	    "export DEVMESH_MESH_DOMAIN=other.test");
}

TEST(kept_alive_connections)
{
	caddy_plain(w, fmt(w, "[%s]", mesh(w, "dev.test", w->sockets)));
	assert_found(report(w, NULL, 0), "mesh-route", "warning", "alive", "keepalive off");
}

TEST(ids_that_are_not_right)
{
	char *repo = repo_new(w, "shop");
	const char *path = "/config/apps/http/servers/srv0/routes";
	struct reply r;
	cJSON *o;

	caddy_plain(w, bystanders(w, 1));
	up_ok(w, repo);
	assert_fine(report(w, repo, 0), "route-ids");
	assert_int_equal(admin(w, "DELETE", "/id/shop-main", NULL).status, 200);
	assert_int_equal(
	    admin(w, "POST", path,
		"{\"@id\":\"shop-main\",\"match\":[{\"host\":[\"shop-main.dev.test\"]}],\"handle\":"
		"[{"
		"\"handler\":\"reverse_proxy\",\"upstreams\":[{\"dial\":\"localhost:1\"}]}]}")
		.status,
	    200);
	o = report(w, repo, 0);
	assert_found(o, "route-ids", "warning", "was not made by devmesh", "devmesh up -C ");
	r = admin(w, "POST", path, "{\"@id\":\"shop-main\",\"match\":[{\"host\":[\"x.test\"]}]}");
	if (r.status == 200) /* from 2.11.2 on Caddy refuses */
		assert_found(
		    report(w, repo, 0), "route-ids", "warning", "2 objects", "devmesh up -C ");
	/* refused, and there all the same: before 2.11.2 */
	r = admin(w, "POST", path, "{\"@id\":true,\"match\":[{\"host\":[\"y.test\"]}]}");
	if (strstr(admin(w, "GET", "/config/", NULL).body, "\"@id\":true") != NULL)
		assert_found(report(w, repo, 1), "route-ids", "failure", "no text", "restart");
}

TEST(route_that_the_mesh_makes_needless)
{
	char *repo = repo_new(w, "shop");
	cJSON *o;

	world_env(w, "DEVMESH_CADDY_REGISTRATION", "route");
	caddy_mesh(w, "");
	up_ok(w, repo);
	world_env(w, "DEVMESH_CADDY_REGISTRATION", NULL);
	o = report(w, repo, 0);
	assert_found(o, "own-routes", "note", "needless", "devmesh up -C ");
	up_ok(w, repo); /* the fix */
	assert_fine(report(w, repo, 0), "own-routes");
}

TEST(socket_that_caddys_user_may_not_use)
{
	char *repo = repo_new(w, "shop"), *path = fmt(w, "%s/shop-main.sock", w->sockets);
	cJSON *o;

	need_root(w);
	w->uid = NOBODY;
	caddy_plain_tcp(w, fmt(w, "[%s]", mesh(w, "dev.test", w->sockets)));
	w->uid = 0;
	up_ok(w, repo);
	serve_id(w, "shop-main");
	assert_int_equal(chmod(path, 0666), 0);
	assert_fine(report(w, repo, 0), "socket-access");
	assert_int_equal(chmod(path, 0600), 0);
	o = report(w, repo, 1);
	assert_found(o, "socket-access", "failure", "uid 65534", fmt(w, "chmod 666 %s", path));
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(chmod(w->sockets, 0700), 0);
	assert_found(report(w, repo, 1), "socket-access", "failure", "may not enter",
	    fmt(w, "chmod o+x %s", w->sockets));
	assert_int_equal(chmod(w->sockets, 01777), 0);
}

TEST(caddy_hangs)
{
	char *repo = repo_new(w, "shop");
	cJSON *o;

	caddy_mesh(w, "");
	up_ok(w, repo);
	signal_proc(w->caddy, SIGSTOP);
	o = report(w, repo, 1);
	signal_proc(w->caddy, SIGCONT);
	assert_found(o, "caddy-admin", "failure", "is stopped",
	    fmt(w, "kill -CONT %ld", (long)w->caddy->pid));
	assert_true(was_skipped(o, "mesh-route") && was_skipped(o, "certificate"));
	assert_fine(o, "sockets-dir");
}

TEST(no_caddy_at_all)
{
	cJSON *o;
	struct result r;

	world_env(w, "DEVMESH_LOCAL_CADDY", "/nonexistent/caddy");
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", free_port(w)));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", free_port(w)));
	o = report(w, NULL, 1);
	assert_found(o, "caddy-admin", "failure", "admin.sock", "devmesh start");
	assert_found(o, "caddy-program", "warning", "not installed", "install caddy");
	assert_fine(o, "ports");
	r = DM(w, NULL, "doctor");
	assert_exit(w, r, 1);
	assert_non_null(strstr(r.out, "  failure: "));
	assert_non_null(strstr(r.out, "    fix: devmesh start\n"));
	assert_non_null(strstr(r.out, "not checked (Caddy does not answer): "));
	assert_string_equal(r.err, "");
}

TEST(what_answers_is_not_caddy)
{
	int port;

	serve_tcp(w, 200, "this is no JSON", &port);
	world_env(w, "DEVMESH_CADDY_ADMIN", fmt(w, "http://localhost:%d", port));
	assert_found(report(w, NULL, 1), "caddy-admin", "failure", "not Caddy's admin API", "");
	serve_tcp(w, 500, "{}", &port);
	world_env(w, "DEVMESH_CADDY_ADMIN", fmt(w, "http://localhost:%d", port));
	assert_found(report(w, NULL, 1), "caddy-admin", "failure", "answers 500", "");
}

TEST(port_of_the_mesh_is_taken)
{
	int port;
	struct proc *p = serve_tcp(w, 200, "squatter", &port);

	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", port));
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", free_port(w)));
	assert_found(report(w, NULL, 1), "ports", "failure", fmt(w, ":%d is taken by", port),
	    fmt(w, "kill %ld", (long)p->pid));
}

TEST(admin_api_for_everybody)
{
	int port = free_port(w), http = free_port(w);

	snprintf(w->admin, sizeof w->admin, "http://127.0.0.1:%d", port);
	world_env(w, "DEVMESH_CADDY_ADMIN", w->admin);
	caddy_start(w,
	    fmt(w,
		"{\"admin\":{\"listen\":\"0.0.0.0:%d\",\"config\":{\"persist\":false}},\"apps\":{"
		"\"http\":{\"servers\":{\"srv0\":{\"listen\":[\"127.0.0.1:%d\"],"
		"\"automatic_https\":{\"disable\":true},\"routes\":[]}}}}}",
		port, http));
	assert_found(report(w, NULL, 1), "admin-open", "failure", "0.0.0.0", "localhost:2019");
}

/* A token in Caddy's environment is known to whoever reaches the admin API. */
TEST(a_token_for_everybody)
{
	static const char config[] =
	    "{\"admin\":{\"listen\":\"%s\",\"config\":{\"persist\":false}},\"apps\":{"
	    "\"tls\":{\"automation\":{\"policies\":[{\"subjects\":[\"*.dev.test\"],\"issuers\":["
	    "{\"module\":\"acme\",\"email\":\"{env.HOME}\"}]}]}},"
	    "\"http\":{\"servers\":{\"srv0\":{\"listen\":[\"127.0.0.1:%d\"],"
	    "\"automatic_https\":{\"disable\":true},\"routes\":[]}}}}}";
	int port = free_port(w), http = free_port(w);

	world_env(w, "DEVMESH_MESH_DOMAIN", "dev.test");
	snprintf(w->admin, sizeof w->admin, "http://127.0.0.1:%d", port);
	world_env(w, "DEVMESH_CADDY_ADMIN", w->admin);
	caddy_start(w, fmt(w, config, fmt(w, "127.0.0.1:%d", port), http));
	assert_found(report(w, NULL, 1), "admin-token", "failure", "every user of this machine",
	    "sudo devmesh setup --domain dev.test --dns cloudflare");
	end_proc(w, w->caddy);
	snprintf(w->admin, sizeof w->admin, "unix://%.80s/token.sock", w->dir);
	world_env(w, "DEVMESH_CADDY_ADMIN", w->admin);
	caddy_start(w, fmt(w, config, fmt(w, "unix/%s", w->admin + strlen("unix://")), http));
	assert_fine(report(w, NULL, 0), "admin-token");
}

/* A Caddy that speaks TLS on its only port; `tls` is its configuration of certificates. */
static void
caddy_tls(struct world *w, const char *server, const char *tls)
{
	w->port = free_port(w);
	caddy_start(w,
	    fmt(w,
		"{\"admin\":{\"listen\":\"unix/%s\",\"config\":{\"persist\":false}},\"storage\":{"
		"\"module\":\"file_system\",\"root\":\"%s/"
		"data\"},\"apps\":{\"http\":{\"http_port\":%d,"
		"\"https_port\":%d,\"servers\":{\"srv0\":{\"listen\":[\"127.0.0.1:%d\"],%s"
		"\"routes\":[%s]}}},\"pki\":{\"certificate_authorities\":{\"local\":{\"install_"
		"trust\":"
		"false}}}%s}}",
		w->admin + strlen("unix://"), w->dir, free_port(w), w->port, w->port, server,
		mesh(w, "dev.test", w->sockets), tls));
}

#define TLS_ON \
	"\"tls_connection_policies\":[{}],\"automatic_https\":{\"disable_redirects\":true," \
	"\"disable_certificates\":true},"
#define INTERNAL(name) \
	",\"tls\":{\"certificates\":{\"automate\":[\"" name "\"]},\"automation\":{\"policies\":[{" \
	"\"issuers\":[{\"module\":\"internal\"}]}]}}"

TEST(no_certificate_for_the_domain)
{
	caddy_tls(w, TLS_ON, INTERNAL("*.other.test"));
	assert_found(report(w, NULL, 1), "certificate", "failure", "TLS handshake", "*.dev.test");
}

static bool
has_certificate(struct world *w, const void *arg)
{
	(void)arg;
	return find(report(w, NULL, 0), "certificate", "warning", "does not trust") != NULL;
}

TEST(certificate_for_single_names)
{
	cJSON *o;

	caddy_tls(w, TLS_ON, INTERNAL("devmesh-doctor.dev.test"));
	assert_true(wait_until(w, has_certificate, NULL, ANSWER_MS));
	o = report(w, NULL, 0);
	assert_found(o, "certificate", "note", "not for *.dev.test", "*.dev.test");
	assert_found(o, "certificate", "warning", "does not trust", "caddy trust");
}

TEST(module_that_is_missing)
{
	char *file = fmt(w, "%s/caddy.json", w->dir), *text;

	caddy_mesh(w, "");
	text = read_text(w, file);
	assert_fine(report(w, NULL, 0), "caddy-modules");
	/* edited, and not reloaded yet */
	write_text(file, fmt(w, "%s\n{\"provider\": {\"name\": \"cloudflare\"}}\n", text));
	assert_found(report(w, NULL, 1), "caddy-modules", "failure", "dns.providers.cloudflare",
	    "xcaddy build --with github.com/caddy-dns/cloudflare");
}

TEST(caddy_with_a_tmp_of_its_own)
{
	char *script;

	need_root(w);
	caddy_mesh(w, "");
	assert_fine(report(w, NULL, 0), "private-tmp");
	end_proc(w, w->caddy);
	unlink(w->admin + strlen("unix://"));
	/* what PrivateTmp does: another directory in the same place, for this process only */
	script = fmt(w, "mount -t tmpfs none '%s' && exec caddy run --config '%s/caddy.json'",
	    w->sockets, w->dir);
	w->caddy = start(w, w->dir, ARGV("unshare", "-m", "sh", "-c", script));
	for (int i = 0; i < 1000 && !w->caddy->ended; i++) {
		reap(w);
		if (admin(w, "GET", "/config/", NULL).status == 200)
			break;
		nap_us(10000);
	}
	if (w->caddy->ended)
		world_skip(w, "a mount namespace cannot be made here");
	assert_found(
	    report(w, NULL, 1), "private-tmp", "failure", "does not see", "PrivateTmp=false");
}

TEST(running_without_a_route)
{
	char *repo = repo_new(w, "shop");

	caddy_plain(w, "[]");
	up_ok(w, repo);
	serve_id(w, "shop-main");
	caddy_restart(w);
	assert_found(report(w, repo, 0), "stale", "warning", "does not lead", "devmesh up -C ");
}

/* What is to be typed can be typed, whatever the worktree is called. */
TEST(a_server_of_another_checkout)
{
	char *repo = repo_new(w, "a'b $(c)"), *wt = worktree_add(w, repo, "other"), *id;

	caddy_mesh(w, "");
	up_ok(w, repo);
	id = fmt(w, "%s", json_str(json_of(w, DM(w, repo, "url", "--json").out), "id"));
	serve_in(w, wt, fmt(w, "%s/%s.sock", w->sockets, id), "other");
	assert_found(report(w, repo, 0), "stale", "warning", wt,
	    fmt(w, "'%.*s'\\''b $(c)'", (int)(strlen(repo) - strlen("'b $(c)")), repo));
}

/* Without root's rights less can be seen, and none of it is taken for trouble. */
TEST(another_users_caddy)
{
	struct result r;
	cJSON *o;

	need_root(w);
	caddy_plain_tcp(w, fmt(w, "[%s]", mesh(w, "dev.test", w->sockets)));
	w->uid = NOBODY;
	world_env(w, "DEVMESH_CONFIG", NULL);
	world_env(w, "HOME", w->dir);
	world_env(w, "XDG_CONFIG_HOME", w->dir);
	r = DM(w, w->dir, "doctor", "--json");
	w->uid = 0;
	o = json_of(w, r.out);
	assert_int_equal(failures(o, "dns-domain"), 0);
	assert_fine(o, "listeners");
	assert_fine(o, "ports");
	assert_non_null(find(o, "caddy-admin", "ok", "answers"));
}

static bool
run_is_in_claim(struct world *w, const void *arg)
{
	cJSON *claim = claim_of(w, "shop-main");

	(void)arg;
	return claim != NULL && cJSON_GetObjectItem(claim, "run") != NULL &&
	       exists(fmt(w, "%s/shop-main.sock", w->sockets));
}

TEST(run_that_was_killed)
{
	char *repo = repo_new(w, "shop");
	struct proc *p;

	caddy_mesh(w, "");
	p = DM_BG(w, repo, "run", "--", "sleep", "1000");
	assert_true(wait_until(w, run_is_in_claim, NULL, ANSWER_MS));
	end_proc(w, p);
	assert_found(
	    report(w, repo, 0), "stale", "note", "its devmesh run was killed", "devmesh gc");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(healthy_mesh_has_no_failure),
	    WORLD_TEST(nothing_is_changed),
	    WORLD_TEST(two_caddys_on_one_port),
	    WORLD_TEST(mesh_route_behind_a_catch_all),
	    WORLD_TEST(no_mesh_route),
	    WORLD_TEST(mesh_route_for_other_sockets),
	    WORLD_TEST(mesh_route_for_another_domain),
	    WORLD_TEST(kept_alive_connections),
	    WORLD_TEST(ids_that_are_not_right),
	    WORLD_TEST(route_that_the_mesh_makes_needless),
	    WORLD_TEST(socket_that_caddys_user_may_not_use),
	    WORLD_TEST(caddy_hangs),
	    WORLD_TEST(no_caddy_at_all),
	    WORLD_TEST(what_answers_is_not_caddy),
	    WORLD_TEST(port_of_the_mesh_is_taken),
	    WORLD_TEST(admin_api_for_everybody),
	    WORLD_TEST(a_token_for_everybody),
	    WORLD_TEST(no_certificate_for_the_domain),
	    WORLD_TEST(certificate_for_single_names),
	    WORLD_TEST(module_that_is_missing),
	    WORLD_TEST(caddy_with_a_tmp_of_its_own),
	    WORLD_TEST(running_without_a_route),
	    WORLD_TEST(a_server_of_another_checkout),
	    WORLD_TEST(another_users_caddy),
	    WORLD_TEST(run_that_was_killed),
	};

	return RUN_TESTS(tests);
}
