/* SPDX-License-Identifier: MIT */
/*
 * What the API of devmeshd answers, over HTTP and on the control socket, held against the
 * description that it serves itself; and what it does.
 */
#include "harness_api.h"

#include <signal.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static cJSON *
openapi_of(struct world *w)
{
	struct reply r = api(w, "GET", "/api/v1/openapi.json", NULL, NULL);

	assert_int_equal(r.status, 200);
	return json_of(w, r.body);
}

/* Caddy, the daemon, and a worktree of "shop" whose server listens: its id. */
static char *
world_with_shop(struct world *w, char **repo)
{
	char *id;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	*repo = repo_new(w, "shop");
	id = up_ok(w, *repo);
	serve_in(w, *repo, fmt(w, "%s/%s.sock", w->sockets, id), id);
	api_wait_state(w, id, "up");
	return id;
}

/* ---- every answer ------------------------------------------------------------------------- */

struct coverage {
	cJSON *openapi;
	const char *done[96];
	size_t count;
};

static void
note(struct coverage *c, const char *method, const char *path)
{
	assert_true(c->count + 2 < 96);
	c->done[c->count++] = method;
	c->done[c->count++] = path;
}

/* Asks, expects the status, and checks the answer. */
static struct reply
expect(struct world *w, struct coverage *c, long status, const char *method, const char *path,
    const char *body)
{
	struct reply r = strcmp(method, "POST") == 0 ? api_post(w, path, body)
						     : api(w, method, path, NULL, NULL);

	if (r.status != status)
		fail_msg("%s %s: %ld %s%s", method, path, r.status, r.body, r.error);
	assert_described(w, c->openapi, method, path, r);
	if (status == 200)
		note(c, method, path);
	return r;
}

static void
expect_shares(struct world *w, struct coverage *coverage, const char *id)
{
	/* this Caddy listens on the loopback only; where it does not: test_share.c */
	note(coverage, "POST", fmt(w, "/api/v1/services/%s/share", id));
	expect(w, coverage, 500, "POST", fmt(w, "/api/v1/services/%s/share", id),
	    "{\"reach\":\"lan\"}");
	expect(w, coverage, 200, "POST", fmt(w, "/api/v1/services/%s/unshare", id), "{}");
	expect(w, coverage, 404, "POST", "/api/v1/services/nobody/share", "{\"reach\":\"lan\"}");
	expect(w, coverage, 404, "POST", "/api/v1/services/nobody/unshare", "{}");
	expect(w, coverage, 400, "POST", fmt(w, "/api/v1/services/%s/share", id),
	    "{\"reach\":\"all\"}");
	expect(w, coverage, 400, "POST", fmt(w, "/api/v1/services/%s/share", id),
	    "{\"reach\":\"lan\",\"expires\":\"--help\"}");
}

/* What is to be read only by who may: not without the token. */
static void
expect_private(struct world *w, struct coverage *c, long status, const char *path)
{
	struct reply r;

	expect(w, c, 403, "GET", path, NULL);
	r = api_get_private(w, path);
	if (r.status != status)
		fail_msg("GET %s: %ld %s%s", path, r.status, r.body, r.error);
	assert_described(w, c->openapi, "GET", path, r);
	if (status == 200)
		note(c, "GET", path);
}

static void
expect_ctl(struct world *w, struct coverage *c, const char *method, const char *path)
{
	cJSON *body = ctl_ok(w, method, path, NULL);
	struct reply r = {.status = 200,
	    .body = world_keep(w, cJSON_PrintUnformatted(body), free),
	    .headers = "Content-Type: application/json\r\n"};

	assert_described(w, c->openapi, method, path, r);
	note(c, method, path);
}

static bool
same_path(const char *pattern, const char *path)
{
	while (*pattern != '\0' && *path != '\0') {
		if (*pattern == '{') {
			pattern += strcspn(pattern, "}") + 1;
			path += strcspn(path, "/?");
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *pattern == '\0' && (*path == '\0' || *path == '?');
}

/* Nothing is described that was not asked for with success. */
static void
assert_all_covered(const struct coverage *c)
{
	const cJSON *path, *operation;
	size_t i;

	cJSON_ArrayForEach (path, cJSON_GetObjectItem(c->openapi, "paths")) {
		cJSON_ArrayForEach (operation, path) {
			for (i = 0; i < c->count; i += 2) {
				if (strcasecmp(c->done[i], operation->string) == 0 &&
				    same_path(path->string, c->done[i + 1]))
					break;
			}
			if (i == c->count)
				fail_msg(
				    "%s %s was not asked for", operation->string, path->string);
		}
	}
}

struct wanted_found {
	pid_t pid;
};

static bool
is_found(struct world *w, const void *arg)
{
	const struct wanted_found *want = arg;
	const cJSON *one, *state = ctl_ok(w, "GET", "/api/v1/state", NULL);

	cJSON_ArrayForEach (one, cJSON_GetObjectItem(state, "found")) {
		if ((pid_t)json_number(one, "pid") == want->pid)
			return true;
	}
	return false;
}

/* A server that nobody has registered, found by the daemon; the body that publishes it. */
static char *
find_server(struct world *w, const char *dir)
{
	struct wanted_found want;
	int port;

	want.pid = serve_tcp_in(w, dir, "stray", &port)->pid;
	if (!wait_until(w, is_found, &want, ANSWER_MS))
		fail_msg("pid %ld is not found", (long)want.pid);
	return fmt(w, "{\"pid\":%ld,\"port\":%d,\"app\":\"stray\"}", (long)want.pid, port);
}

/* What devmesh run has started, and what it wrote. */
static void
expect_runs(struct world *w, struct coverage *c, const char *repo, const char *id)
{
	(void)DM(w, repo, "run", "--id", "words", "--", "echo", "words");
	assert_exit(
	    w, DM(w, repo, "run", "-d", "--id", "kept", "--", "python3", "-m", "http.server"), 0);
	expect(w, c, 200, "POST", "/api/v1/services/kept/stop", "{}");
	expect(w, c, 200, "POST", "/api/v1/services/kept/start", "{}");
	expect(w, c, 200, "POST", "/api/v1/services/kept/restart", "{}");
	expect(w, c, 200, "GET", "/api/v1/services/kept", NULL);
	expect(w, c, 400, "POST", "/api/v1/services/kept/stop", "{\"x\":1}");
	expect(w, c, 404, "POST", "/api/v1/services/nobody/start", "{}");
	expect(w, c, 409, "POST", fmt(w, "/api/v1/services/%s/stop", id), "{}");
	assert_exit(w, DM(w, repo, "down", "kept"), 0);
	expect_private(w, c, 200, "/api/v1/services/words/logs");
	expect_private(w, c, 200, "/api/v1/logs");
}

static void
expect_control(struct world *w, struct coverage *c)
{
	expect_ctl(w, c, "GET", "/control/status");
	expect_ctl(w, c, "GET", "/control/phone");
	expect_ctl(w, c, "POST", "/control/reload");
	expect_ctl(w, c, "POST", "/control/stop");
}

TEST(every_answer_is_as_described)
{
	char *repo, *id = world_with_shop(w, &repo);
	struct coverage c = {.openapi = openapi_of(w)};
	struct raw *stream;
	char *body;

	assert_schemas_sound(c.openapi);
	expect(w, &c, 200, "GET", "/", NULL);
	expect(w, &c, 200, "GET", "/web/app.js", NULL);
	expect(w, &c, 200, "GET", "/web/app.css", NULL);
	expect(w, &c, 200, "GET", "/web/icon.svg", NULL);
	expect(w, &c, 404, "GET", "/web/index.html", NULL);
	expect(w, &c, 404, "GET", "/web/none.js", NULL);
	expect(w, &c, 200, "GET", "/api/v1/session", NULL);
	expect(w, &c, 200, "GET", fmt(w, "/api/v1/services/%s/qr", id), NULL);
	expect(w, &c, 404, "GET", "/api/v1/services/nobody/qr", NULL);
	expect(w, &c, 403, "GET", "/login", NULL);
	expect(w, &c, 403, "GET", "/login?code=0", NULL);
	/* over HTTPS alone: test_login.c */
	note(&c, "GET", "/login");
	note(&c, "POST", "/control/login");
	expect(w, &c, 200, "GET", "/healthz", NULL);
	expect(w, &c, 200, "GET", "/api/v1/openapi.json", NULL);
	expect(w, &c, 200, "GET", "/api/v1/state", NULL);
	expect(w, &c, 200, "GET", "/api/v1/services", NULL);
	expect(w, &c, 200, "GET", fmt(w, "/api/v1/services/%s", id), NULL);
	expect_private(w, &c, 200, fmt(w, "/api/v1/services/%s/requests", id));
	expect_private(w, &c, 400, fmt(w, "/api/v1/services/%s/requests?after=x", id));
	expect_private(w, &c, 404, "/api/v1/services/nobody/requests");
	expect(w, &c, 200, "GET", "/api/v1/load", NULL);
	expect_runs(w, &c, repo, id);
	expect(w, &c, 200, "GET", fmt(w, "/api/v1/services/%s/history", id), NULL);
	expect(w, &c, 200, "GET", fmt(w, "/api/v1/services/%s/history?hours=720", id), NULL);
	expect(w, &c, 400, "GET", fmt(w, "/api/v1/services/%s/history?hours=721", id), NULL);
	expect(w, &c, 400, "GET", fmt(w, "/api/v1/services/%s/history?hours=0", id), NULL);
	expect(w, &c, 400, "GET", fmt(w, "/api/v1/services/%s/history?hours=", id), NULL);
	expect(w, &c, 404, "GET", "/api/v1/services/nobody/history", NULL);
	expect(w, &c, 200, "GET", "/api/v1/doctor", NULL);
	expect(w, &c, 200, "GET", "/api/v1/system", NULL);
	expect(w, &c, 200, "GET", "/api/v1/dns", NULL);
	expect(w, &c, 200, "GET", "/api/v1/system?fresh=true", NULL);
	expect(w, &c, 200, "GET", "/api/v1/config", NULL);
	body = find_server(w, worktree_add(w, repo, "stray"));
	expect(w, &c, 200, "GET", "/api/v1/graph", NULL);
	expect(w, &c, 200, "GET", "/api/v1/graph?format=json", NULL);
	expect(w, &c, 200, "GET", "/api/v1/graph?format=dot", NULL);
	expect(w, &c, 200, "GET", "/api/v1/graph?format=mermaid", NULL);
	expect(w, &c, 400, "GET", "/api/v1/graph?format=svg", NULL);
	expect(w, &c, 200, "GET", "/metrics", NULL);
	expect(w, &c, 200, "GET", "/api/v1/state", NULL); /* by now with worktrees and servers */
	expect(w, &c, 200, "POST", fmt(w, "/api/v1/services/%s/probe", id), "{}");
	expect(w, &c, 200, "POST", fmt(w, "/api/v1/services/%s/pin", id), "{\"pinned\":true}");
	expect_shares(w, &c, id);
	expect(w, &c, 200, "POST", "/api/v1/publish", body);
	expect(w, &c, 409, "POST", "/api/v1/publish", body);
	stale_socket(fmt(w, "%s/left.sock", w->sockets));
	expect(w, &c, 200, "POST", "/api/v1/gc", NULL);
	expect(w, &c, 200, "POST", fmt(w, "/api/v1/services/%s/forget", id), "{}");
	expect(w, &c, 404, "POST", fmt(w, "/api/v1/services/%s/forget", id), "{}");
	expect(w, &c, 404, "POST", fmt(w, "/api/v1/services/%s/probe", id), "{}");
	expect(w, &c, 404, "POST", fmt(w, "/api/v1/services/%s/pin", id), "{\"pinned\":true}");
	expect(w, &c, 404, "GET", fmt(w, "/api/v1/services/%s", id), NULL);
	expect(w, &c, 404, "POST", "/api/v1/publish", "{\"pid\":1,\"port\":1}");
	expect(w, &c, 400, "POST", "/api/v1/publish", "{\"pid\":1}");
	expect(w, &c, 400, "POST", "/api/v1/publish", "{\"pid\":1.5,\"port\":1}");
	expect(w, &c, 400, "POST", "/api/v1/publish", "{\"pid\":1,\"port\":65536}");
	expect(w, &c, 400, "POST", "/api/v1/publish", "{\"pid\":1,\"port\":1,\"app\":\"-x\"}");
	expect(w, &c, 400, "POST", "/api/v1/gc", "{\"dry_run\":0}");
	expect(w, &c, 400, "POST", "/api/v1/gc", "{\"dryrun\":false}");
	expect(w, &c, 400, "POST", "/api/v1/gc", "[]");
	expect(w, &c, 400, "POST", fmt(w, "/api/v1/services/%s/pin", id), "{}");
	expect(w, &c, 400, "GET", "/api/v1/events?since=x", NULL);
	stream = stream_open(w, "/api/v1/events", NULL);
	raw_close(stream);
	note(&c, "GET", "/api/v1/events");
	expect_control(w, &c);
	assert_all_covered(&c);
}

/* ---- what it does ------------------------------------------------------------------------- */

TEST(forget_takes_a_service_down)
{
	char *repo, *id = world_with_shop(w, &repo);

	assert_int_equal(api_post(w, fmt(w, "/api/v1/services/%s/forget", id), "{}").status, 200);
	assert_null(claim_of(w, id));
	/* the answer comes when the daemon knows it itself */
	assert_null(api_service(w, id));
}

TEST(publish_gives_a_found_server_its_url)
{
	char *repo, *dir, *body;
	const char *url;
	struct reply r;

	(void)world_with_shop(w, &repo);
	dir = worktree_add(w, repo, "stray");
	body = find_server(w, dir);
	r = api_post(w, "/api/v1/publish", body);
	assert_int_equal(r.status, 200);
	url = json_str(json_of(w, r.body), "url");
	assert_url_answers(w, url, "stray");
	api_wait_state(w, "stray-stray", "up");
	/* only what was found: no port is opened to the world by its number alone */
	assert_int_equal(
	    api_post(w, "/api/v1/publish", fmt(w, "{\"pid\":%ld,\"port\":22}", (long)getpid()))
		.status,
	    404);
}

TEST(pin_keeps_a_claim)
{
	char *repo, *id, *dir;
	cJSON *service;

	(void)world_with_shop(w, &repo);
	dir = worktree_add(w, repo, "kept");
	id = up_ok(w, dir);
	api_wait_state(w, id, "starting");
	service = json_of(
	    w, api_post(w, fmt(w, "/api/v1/services/%s/pin", id), "{\"pinned\":true}").body);
	assert_true(
	    cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetObjectItem(service, "service"), "pinned")));
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(claim_of(w, id), "pinned")));
	GIT(w, repo, "worktree", "remove", "--force", dir);
	/* a look shows at once what a sweep would show later */
	assert_int_equal(api_post(w, fmt(w, "/api/v1/services/%s/probe", id), "{}").status, 200);
	assert_string_equal(json_str(api_service(w, id), "state"), "orphan");
	assert_int_equal(api_post(w, "/api/v1/gc", "{\"dry_run\":false}").status, 200);
	assert_non_null(claim_of(w, id));
	assert_int_equal(
	    api_post(w, fmt(w, "/api/v1/services/%s/pin", id), "{\"pinned\":false}").status, 200);
	assert_int_equal(api_post(w, "/api/v1/gc", "{\"dry_run\":false}").status, 200);
	assert_null(claim_of(w, id));
}

TEST(gc_removes_only_when_told_to)
{
	char *repo, *left;

	(void)world_with_shop(w, &repo);
	left = fmt(w, "%s/left.sock", w->sockets);
	stale_socket(left);
	assert_non_null(strstr(api_post(w, "/api/v1/gc", NULL).body, "left"));
	assert_non_null(strstr(api_post(w, "/api/v1/gc", "{}").body, "left"));
	assert_non_null(strstr(api_post(w, "/api/v1/gc", "{\"dry_run\":true}").body, "left"));
	assert_true(exists(left));
	assert_int_equal(api_post(w, "/api/v1/gc", "{\"dry_run\":false}").status, 200);
	assert_false(exists(left));
}

/* It works in a directory of its own, and so do the verbs that it has run. */
TEST(a_relative_config_is_found_again)
{
	caddy_mesh(w, "");
	write_text(fmt(w, "%s/c.ini", w->dir), "[daemon]\ngrace = 3\n");
	(void)api_daemon_with(w, "c.ini");
	(void)ctl_ok(w, "POST", "/control/reload", NULL);
	(void)ctl_ok(w, "POST", "/api/v1/gc", "{}");
}

/* ---- by Caddy ----------------------------------------------------------------------------- */

static bool
is_claimed(struct world *w, const void *id)
{
	return exists(fmt(w, "%s/%s.json", w->sockets, (const char *)id));
}

TEST(its_name_comes_back)
{
	struct proc *p;

	caddy_mesh(w, "");
	p = api_daemon(w);
	assert_true(is_claimed(w, "devmesh"));
	assert_exit(w, DM(w, NULL, "down", "devmesh"), 0);
	assert_true(wait_until(w, is_claimed, "devmesh", 20000));
	assert_int_equal(
	    fetch(w, fmt(w, "http://" DAEMON_HOST ":%d/healthz", w->port), NULL).status, 200);
	signal_proc(p, SIGTERM);
	end_proc(w, p);
}

TEST(it_is_a_service_of_the_mesh)
{
	struct reply r;
	char *url;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	url = fmt(w, "http://" DAEMON_HOST ":%d", w->port);
	assert_string_equal(json_str(ctl_ok(w, "GET", "/control/status", NULL), "url"), url);
	assert_non_null(strstr(run_ok(w, w->dir, ARGV(w->devmesh, "status")).out, url));
	r = fetch(w, fmt(w, "%s/healthz", url), NULL);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"schema_version\":1,\"status\":\"ok\"}");
	r = fetch(w, url, NULL);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "/api/v1/openapi.json"));
	assert_string_equal(reply_header(w, r, "Cache-Control"), "no-store");
	assert_string_equal(reply_header(w, r, "X-Content-Type-Options"), "nosniff");
	assert_string_equal(reply_header(w, r, "X-Frame-Options"), "DENY");
	assert_string_equal(reply_header(w, r, "Referrer-Policy"), "no-referrer");
	assert_non_null(
	    strstr(reply_header(w, r, "Content-Security-Policy"), "default-src 'none'"));
}

/* The nonce of the page's style sheet, which the policy lets in. */
static const char *
page_nonce(struct world *w)
{
	struct reply r = api(w, "GET", "/", NULL, NULL);
	const char *at = strstr(r.body, "<style nonce=\"");
	const char *nonce;

	assert_non_null(at);
	at += strlen("<style nonce=\"");
	nonce = fmt(w, "%.*s", (int)strcspn(at, "\""), at);
	assert_non_null(strstr(reply_header(w, r, "Content-Security-Policy"),
	    fmt(w, "style-src 'self' 'nonce-%s';", nonce)));
	return nonce;
}

/* CSP3 §7.1: at least 128 bits, and others for each answer. */
TEST(the_pages_style_has_a_nonce)
{
	const char *nonce;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	nonce = page_nonce(w);
	assert_true(strlen(nonce) >= 32);
	assert_string_not_equal(page_nonce(w), nonce);
}

/* HEAD says what GET would, and sends nothing of it. */
TEST(head_is_get_without_the_body)
{
	struct reply get, head;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	get = api(w, "GET", "/healthz", NULL, NULL);
	head = api(w, "HEAD", "/healthz", NULL, NULL);
	assert_int_equal(head.status, 200);
	assert_string_equal(
	    reply_header(w, head, "Content-Length"), reply_header(w, get, "Content-Length"));
	assert_string_equal(head.body, "");
	assert_int_equal(api(w, "HEAD", "/api/v1/events", NULL, NULL).status, 200);
	assert_int_equal(api(w, "HEAD", "/api/v1/gc", NULL, NULL).status, 405);
}

/* ---- the control socket ------------------------------------------------------------------- */

TEST(the_control_socket_is_the_users_own)
{
	struct proc *p;
	struct stat st;

	caddy_mesh(w, "");
	p = api_daemon(w);
	assert_int_equal(lstat(daemon_control(w), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(lstat(fmt(w, "%s/api-token", w->state), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(lstat(daemon_socket(w), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	/* one that is killed leaves its sockets: the next one takes their places */
	end_proc(w, p);
	assert_true(exists(daemon_control(w)));
	p = api_daemon(w);
	assert_int_equal(api(w, "GET", "/healthz", NULL, NULL).status, 200);
	(void)ctl_ok(w, "POST", "/control/stop", NULL);
	assert_int_equal(finish(w, p).code, 0);
	assert_false(exists(daemon_control(w)));
	assert_false(exists(daemon_socket(w)));
}

/* The kernel says who it is, whatever the file's mode has become. */
TEST(other_users_are_not_answered)
{
	struct proc *p, *other;

	if (geteuid() != 0)
		world_skip(w, "only root can be another user");
	caddy_mesh(w, "");
	p = api_daemon(w);
	chmod(w->dir, 0755);
	chmod(w->state, 0755);
	chmod(daemon_control(w), 0666);
	other = start_child(w);
	if (other == NULL) {
		struct raw *r;

		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(9);
		r = raw_unix(w, daemon_control(w));
		raw_send(r, "{\"v\":1,\"method\":\"GET\",\"path\":\"/control/status\"}\n");
		raw_wait_end(r);
		_exit(r->length == 0 ? 0 : 1);
	}
	assert_int_equal(finish(w, other).code, 0);
	assert_non_null(strstr(read_text(w, p->err), "another user"));
}

static void
assert_ctl_says(struct world *w, const char *line, const char *text)
{
	struct raw *r = raw_unix(w, daemon_control(w));

	raw_send(r, line);
	raw_wait(r, text);
	raw_wait_end(r);
}

TEST(the_control_socket_is_strict)
{
	char *large = world_keep(w, malloc(100001), free);
	struct raw *r, *many[70];
	int i;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	assert_ctl_says(w, "GET / HTTP/1.1\r\n\r\n", "\"status\":400");
	assert_ctl_says(w, "{\"v\":2}\n", "\"status\":426");
	memset(large, 'a', 100000);
	large[100000] = '\0';
	assert_ctl_says(w, large, "\"status\":413");
	/* several at once are answered in their order */
	r = raw_unix(w, daemon_control(w));
	raw_send(r, "{\"v\":1,\"method\":\"GET\",\"path\":\"/api/v1/doctor\"}\n"
		    "{\"v\":1,\"method\":\"GET\",\"path\":\"/healthz\"}\n"
		    "{\"v\":1,\"method\":\"DELETE\",\"path\":\"/healthz\"}\n");
	raw_wait(r, "\"findings\"");
	raw_wait(r, "\"status\":\"ok\"");
	raw_wait(r, "\"status\":405");
	/* who has nothing more to ask is answered all the same */
	raw_send(r, "{\"v\":1,\"method\":\"GET\",\"path\":\"/api/v1/doctor\"}\n");
	assert_int_equal(shutdown(r->fd, SHUT_WR), 0);
	raw_wait(r, "\"findings\"");
	raw_wait_end(r);
	for (i = 0; i < 70; i++) {
		many[i] = raw_unix(w, daemon_control(w));
		raw_send(many[i], "{\"v\":1,\"method\":\"GET\",\"path\":\"/healthz\"}\n");
		raw_wait(many[i], i < 64 ? "\"status\":\"ok\"" : "\"status\":503");
	}
	for (i = 0; i < 70; i++)
		raw_close(many[i]);
	assert_int_equal(api(w, "GET", "/healthz", NULL, NULL).status, 200);
	(void)ctl_ok(w, "GET", "/healthz", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(every_answer_is_as_described),
	    WORLD_TEST(forget_takes_a_service_down),
	    WORLD_TEST(publish_gives_a_found_server_its_url),
	    WORLD_TEST(pin_keeps_a_claim),
	    WORLD_TEST(gc_removes_only_when_told_to),
	    WORLD_TEST(a_relative_config_is_found_again),
	    WORLD_TEST(its_name_comes_back),
	    WORLD_TEST(it_is_a_service_of_the_mesh),
	    WORLD_TEST(the_pages_style_has_a_nonce),
	    WORLD_TEST(head_is_get_without_the_body),
	    WORLD_TEST(the_control_socket_is_the_users_own),
	    WORLD_TEST(other_users_are_not_answered),
	    WORLD_TEST(the_control_socket_is_strict),
	};

	return RUN_TESTS(tests);
}
