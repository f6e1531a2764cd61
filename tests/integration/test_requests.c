/* SPDX-License-Identifier: MIT */
/*
 * What services are asked for: from the real Caddy's access log to devmeshd, its API and
 * `devmesh requests`. And what must be in none of these.
 */
#include "harness_api.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "xK7SECRETq"

struct shop {
	int port; /* of the mesh's https server */
	char *repo, *id, *url;
	struct proc *server;
};

/* The private mesh, and a worktree of "shop" whose server answers; no daemon yet. */
static struct shop
shop_new(struct world *w)
{
	struct shop s = {.port = private_mesh(w), .repo = repo_new(w, "shop")};

	s.id = up_ok(w, s.repo);
	s.url = fmt(w, "https://%s.dev.localhost:%d", s.id, s.port);
	s.server = serve_in(w, s.repo, fmt(w, "%s/%s.sock", w->sockets, s.id), s.id);
	return s;
}

static void
fetch_ok(struct world *w, const char *url, const char *const headers[])
{
	struct reply r = fetch(w, url, headers);

	if (r.status != 200)
		fail_msg("%s: %ld %s%s", url, r.status, r.body, r.error);
}

static cJSON *
requests_of(struct world *w, const char *id, const char *query)
{
	return ctl_ok(w, "GET", fmt(w, "/api/v1/services/%s/requests%s", id, query), NULL);
}

static const cJSON *
list_of(const cJSON *answer)
{
	const cJSON *list = cJSON_GetObjectItem(answer, "requests");

	assert_true(cJSON_IsArray(list));
	return list;
}

struct wanted_path {
	const char *id, *path;
};

static bool
is_told(struct world *w, const void *arg)
{
	const struct wanted_path *want = arg;
	const cJSON *request;

	cJSON_ArrayForEach (request, list_of(requests_of(w, want->id, ""))) {
		if (strcmp(json_str(request, "path"), want->path) == 0)
			return true;
	}
	return false;
}

/* Waits until the daemon knows that the path was asked for. */
static void
wait_path(struct world *w, const char *id, const char *path)
{
	struct wanted_path want = {id, path};

	if (!wait_until(w, is_told, &want, ANSWER_MS))
		fail_msg(
		    "%s was not told: %s", path, cJSON_PrintUnformatted(requests_of(w, id, "")));
}

static char *
log_file(struct world *w)
{
	return fmt(w, "%s/access.log", w->state);
}

/* ---- what must not be there ------------------------------------------------------------------ */

/* Fails if a file below the directory holds the secret. How many were looked at. */
static int
assert_no_secret_below(struct world *w, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;
	int count = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		char *path = fmt(w, "%s/%s", dir, e->d_name);
		struct result r;

		if (e->d_name[0] == '.' || lstat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			count += assert_no_secret_below(w, path);
		if (!S_ISREG(st.st_mode))
			continue;
		r = run(w, NULL, ARGV("grep", "-ac", SECRET, path));
		if (r.code != 1)
			fail_msg("%s holds a secret", path);
		count++;
	}
	closedir(d);
	return count;
}

TEST(nothing_secret_reaches_disk_or_answers)
{
	static const char *const headers[] = {"Cookie: session=" SECRET,
	    "Authorization: Bearer " SECRET, "X-Api-Key: " SECRET, "Referer: https://x/?" SECRET,
	    "User-Agent: " SECRET, NULL};
	struct shop s = shop_new(w);
	static const char *const tails[] = {"?token=" SECRET, "??" SECRET, "?a=b&c=%20" SECRET,
	    "%3Ftoken=" SECRET, "%3ftoken=" SECRET, "%23" SECRET, ";jsessionid=" SECRET,
	    "?a?b#" SECRET};
	char *dead = repo_new(w, "dead"), *text;
	const char *dead_id = "dead-main";
	struct stat st;
	struct result r;

	(void)api_daemon(w);
	api_wait_state(w, s.id, "up");
	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
		fetch_ok(w, fmt(w, "%s/a/%zu%s", s.url, i, tails[i]), headers);
	/* Caddy tells its own log when it cannot reach a server */
	assert_exit(w, DM(w, dead, "up", "--port", fmt(w, "%d", free_port(w))), 0);
	assert_int_equal(
	    fetch(w, fmt(w, "https://%s.dev.localhost:%d/down?t=" SECRET, dead_id, s.port), headers)
		.status,
	    502);
	wait_path(w, dead_id, "/down");
	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
		wait_path(w, s.id, fmt(w, "/a/%zu", i));
	assert_true(strstr(read_text(w, fmt(w, "%s/caddy.log", w->state)), "/down") != NULL);
	assert_true(assert_no_secret_below(w, w->state) > 5);
	text = cJSON_PrintUnformatted(requests_of(w, s.id, ""));
	assert_null(strstr(text, SECRET));
	free(text);
	text = cJSON_PrintUnformatted(ctl_ok(w, "GET", "/api/v1/load", NULL));
	assert_null(strstr(text, SECRET));
	free(text);
	r = DM(w, s.repo, "requests");
	assert_exit(w, r, 0);
	assert_null(strstr(r.out, SECRET));
	/* nor is the rest for others */
	assert_int_equal(lstat(log_file(w), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(lstat(w->state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

/* Who is not logged in gets the figures, as of everything that the page shows, but no request. */
TEST(requests_are_private)
{
	struct shop s = shop_new(w);
	char *path = fmt(w, "/api/v1/services/%s/requests", s.id);
	char *host = fmt(w, "Host: devmesh.dev.localhost:%d", s.port);
	struct reply r;

	(void)api_daemon(w);
	api_wait_state(w, s.id, "up");
	fetch_ok(w, fmt(w, "%s/hello", s.url), NULL);
	wait_path(w, s.id, "/hello");
	r = api(w, "GET", path, (const char *const[]){host, NULL}, NULL);
	assert_int_equal(r.status, 403);
	assert_null(strstr(r.body, "hello"));
	r = api(w, "HEAD", path, (const char *const[]){host, NULL}, NULL);
	assert_int_equal(r.status, 403);
	r = api(w, "GET", path,
	    (const char *const[]){host, fmt(w, "X-Devmesh: %s", daemon_token(w)), NULL}, NULL);
	assert_int_equal(r.status, 200);
	assert_non_null(strstr(r.body, "/hello"));
}

/* What the mesh answers for a service that does not run is no request to it; its page asks on. */
TEST(the_page_for_what_does_not_run_is_no_access)
{
	struct shop s = shop_new(w);
	char *idle = worktree_add(w, s.repo, "idle"), *id = up_ok(w, idle);
	const cJSON *answer;

	(void)api_daemon(w);
	api_wait_state(w, id, "starting");
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    fetch(w, fmt(w, "https://%s.dev.localhost:%d/never", id, s.port), NULL).status,
		    503);
	/* what comes after them has been read */
	fetch_ok(w, fmt(w, "%s/after", s.url), NULL);
	wait_path(w, s.id, "/after");
	answer = requests_of(w, id, "");
	assert_int_equal(cJSON_GetArraySize(list_of(answer)), 0);
	assert_true(json_null(cJSON_GetObjectItem(answer, "figures"), "last"));
	assert_null(strstr(read_text(w, log_file(w)), "/never"));
}

/* A server that takes a request and then hangs up has failed: the mesh answers for it. */
TEST(what_a_service_drops_has_failed)
{
	static const char server[] = "import socket, sys\n"
				     "s = socket.socket(socket.AF_UNIX)\n"
				     "s.bind(sys.argv[1])\n"
				     "s.listen(50)\n"
				     "while True:\n"
				     "    c, _ = s.accept()\n"
				     "    c.recv(65536)\n"
				     "    c.close()\n";
	struct shop s = shop_new(w);
	char *idle = worktree_add(w, s.repo, "drops"), *id = up_ok(w, idle);
	const cJSON *answer;

	(void)api_daemon(w);
	(void)start(w, idle, ARGV("python3", "-c", server, fmt(w, "%s/%s.sock", w->sockets, id)));
	api_wait_state(w, id, "up");
	assert_int_equal(
	    fetch(w, fmt(w, "https://%s.dev.localhost:%d/drop", id, s.port), NULL).status, 503);
	wait_path(w, id, "/drop");
	answer = requests_of(w, id, "?status=503");
	assert_int_equal(cJSON_GetArraySize(list_of(answer)), 1);
	assert_true(json_number(cJSON_GetObjectItem(answer, "figures"), "errors") > 0.9);
}

/* Nor is what devmesh asks to see whether it answers, and what the mesh says of the checkout. */
TEST(checks_are_no_access)
{
	struct shop s = shop_new(w);

	(void)api_daemon(w);
	api_wait_state(w, s.id, "up");
	assert_exit(w, DM(w, s.repo, "wait"), 0);
	assert_exit(w, DM(w, s.repo, "assert"), 0);
	fetch_ok(w, fmt(w, "%s/.well-known/devmesh", s.url), NULL);
	fetch_ok(w, fmt(w, "%s/after", s.url), NULL);
	wait_path(w, s.id, "/after");
	assert_int_equal(cJSON_GetArraySize(list_of(requests_of(w, s.id, ""))), 1);
}

/* The dashboard's own questions would make it ask again, for ever. */
TEST(the_dashboard_is_no_news_to_itself)
{
	struct shop s = shop_new(w);
	const cJSON *request;
	char *base = fmt(w, "https://devmesh.dev.localhost:%d", s.port);

	(void)api_daemon(w);
	fetch_ok(w, fmt(w, "%s/api/v1/state", base), NULL);
	fetch_ok(w, fmt(w, "%s/web/app.js", base), NULL);
	fetch_ok(w, fmt(w, "%s/healthz", base), NULL);
	(void)fetch(w, fmt(w, "%s/metrics", base), NULL);
	fetch_ok(w, fmt(w, "%s/", base), NULL);
	wait_path(w, "devmesh", "/");
	cJSON_ArrayForEach (request, list_of(requests_of(w, "devmesh", "")))
		assert_string_equal(json_str(request, "path"), "/");
}

/* ---- what is told ------------------------------------------------------------------------------
 */

TEST(a_request_is_told)
{
	struct shop s = shop_new(w);
	const cJSON *request, *answer, *figures, *spark;
	struct result r;
	cJSON *o;

	(void)api_daemon(w);
	api_wait_state(w, s.id, "up");
	fetch_ok(w, fmt(w, "%s/one?x=y", s.url), NULL);
	/* at the app's bare name, and whatever the case */
	fetch_ok(w, fmt(w, "https://shop.dev.localhost:%d/two", s.port), NULL);
	wait_path(w, s.id, "/one");
	wait_path(w, s.id, "/two");
	answer = requests_of(w, s.id, "");
	assert_string_equal(json_str(answer, "log"), "on");
	request = cJSON_GetArrayItem(list_of(answer), 0);
	assert_string_equal(json_str(request, "method"), "GET");
	assert_int_equal(json_number(request, "status"), 200);
	assert_int_equal(json_number(request, "bytes"), strlen(s.id));
	assert_true(json_number(request, "ms") > 0);
	assert_non_null(strstr(json_str(request, "protocol"), "HTTP/"));
	figures = cJSON_GetObjectItem(answer, "figures");
	assert_true(json_number(figures, "rate") >= 2);
	assert_true(json_number(figures, "last") >= json_number(request, "time") - 2);
	spark = cJSON_GetObjectItem(figures, "spark");
	assert_int_equal(cJSON_GetArraySize(spark), 60);
	/* the same figures are in what the page listens to */
	o = cJSON_GetObjectItem(ctl_ok(w, "GET", "/api/v1/load", NULL), "services");
	o = cJSON_GetObjectItem(cJSON_GetObjectItem(o, s.id), "requests");
	assert_true(json_number(o, "rate") >= 2);
	assert_non_null(strstr(ctl_ok(w, "GET", "/metrics", NULL)->valuestring,
	    fmt(w, "devmesh_requests_total{service=\"%s\",code=\"2xx\"} ", s.id)));
	r = DM(w, s.repo, "requests");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "GET     200"));
	assert_non_null(strstr(r.out, "  /one\n"));
	r = DM(w, NULL, "requests", s.id, "--json");
	assert_exit(w, r, 0);
	assert_int_equal(cJSON_GetArraySize(list_of(json_of(w, r.out))), 2);
	/* whoever reads no more is no failure */
	r = run_ok(w, s.repo,
	    ARGV("bash", "-c", "\"$0\" requests | true; exit ${PIPESTATUS[0]}", w->devmesh));
	assert_string_equal(r.err, "");
}

TEST(a_query_picks_some)
{
	struct shop s = shop_new(w);
	char *repo = repo_new(w, "fails");
	static const char *const bad[] = {"?after=x", "?after=-1", "?status=abc", "?status=6xx",
	    "?wait=21", "?wait=-1", "?wait=1e9",
	    "?status=11111111111111111111111111111111111111111"};
	const char *id = "fails-main";
	int port, status;
	double seq;
	struct result r;

	(void)serve_tcp(w, 500, "no", &port);
	assert_exit(w, DM(w, repo, "up", "--port", fmt(w, "%d", port)), 0);
	(void)api_daemon(w);
	assert_int_equal(
	    fetch(w, fmt(w, "https://%s.dev.localhost:%d/bad", id, s.port), NULL).status, 500);
	wait_path(w, id, "/bad");
	assert_int_equal(cJSON_GetArraySize(list_of(requests_of(w, id, "?status=5xx"))), 1);
	assert_int_equal(cJSON_GetArraySize(list_of(requests_of(w, id, "?status=500"))), 1);
	assert_int_equal(cJSON_GetArraySize(list_of(requests_of(w, id, "?status=2xx"))), 0);
	seq = json_number(requests_of(w, id, ""), "seq");
	assert_int_equal(
	    cJSON_GetArraySize(list_of(requests_of(w, id, fmt(w, "?after=%.0f", seq)))), 0);
	assert_true(
	    json_number(cJSON_GetObjectItem(requests_of(w, id, ""), "figures"), "errors") > 0.9);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		(void)ctl(
		    w, "GET", fmt(w, "/api/v1/services/%s/requests%s", id, bad[i]), NULL, &status);
		if (status != 400)
			fail_msg("%s: %d", bad[i], status);
	}
	(void)ctl(w, "GET", "/api/v1/services/nobody/requests", NULL, &status);
	assert_int_equal(status, 404);
	r = DM(w, NULL, "requests", id, "--status", "404");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "");
	assert_error(w, DM(w, NULL, "requests", id, "--status", "5x"), 2, "5x");
}

struct wanted_text {
	const struct proc *p;
	const char *text;
};

static bool
has_printed(struct world *w, const void *arg)
{
	const struct wanted_text *want = arg;
	const char *out = read_text(w, want->p->out);

	if (want->p->ended)
		fail_msg("it has ended: %s", read_text(w, want->p->err));
	return out != NULL && strstr(out, want->text) != NULL;
}

static void
wait_printed(struct world *w, const struct proc *p, const char *text)
{
	struct wanted_text want = {p, text};

	if (!wait_until(w, has_printed, &want, ANSWER_MS))
		fail_msg(
		    "\"%s\" is not in: %s%s", text, read_text(w, p->out), read_text(w, p->err));
}

/* It is followed over a restart of the daemon, and nothing is told twice. */
TEST(follow_sees_what_comes)
{
	struct shop s = shop_new(w);
	struct proc *d = api_daemon(w), *p;
	const char *first;

	api_wait_state(w, s.id, "up");
	fetch_ok(w, fmt(w, "%s/before", s.url), NULL);
	wait_path(w, s.id, "/before");
	p = DM_BG(w, s.repo, "requests", "-f");
	wait_printed(w, p, "/before\n");
	fetch_ok(w, fmt(w, "%s/now", s.url), NULL);
	wait_printed(w, p, "/now\n");
	signal_proc(d, SIGTERM);
	assert_int_equal(finish(w, d).code, 0);
	fetch_ok(w, fmt(w, "%s/meanwhile", s.url), NULL);
	(void)api_daemon(w);
	wait_printed(w, p, "/meanwhile\n");
	fetch_ok(w, fmt(w, "%s/again", s.url), NULL);
	wait_printed(w, p, "/again\n");
	first = strstr(read_text(w, p->out), "/now\n");
	assert_null(strstr(first + 1, "/now\n"));
	assert_null(strstr(first, "/before\n"));
}

/* ---- the file
 * ------------------------------------------------------------------------------------ */

/* Caddy needs no daemon; a daemon that comes later, or again, knows what was there before. */
TEST(a_daemon_that_comes_later_knows)
{
	struct shop s = shop_new(w);
	struct proc *d;
	char *before, *after;

	fetch_ok(w, fmt(w, "%s/alone", s.url), NULL);
	d = api_daemon(w);
	wait_path(w, s.id, "/alone");
	fetch_ok(w, fmt(w, "%s/second", s.url), NULL);
	wait_path(w, s.id, "/second");
	before = cJSON_PrintUnformatted(list_of(requests_of(w, s.id, "")));
	signal_proc(d, SIGTERM);
	assert_int_equal(finish(w, d).code, 0);
	(void)api_daemon(w);
	wait_path(w, s.id, "/second");
	after = cJSON_PrintUnformatted(list_of(requests_of(w, s.id, "")));
	assert_string_equal(after, before);
	free(before);
	free(after);
}

/* Caddy rolls its file at 4 MB; what was in the old one is told before what is in the new one. */
TEST(a_rolled_file_is_followed)
{
	struct shop s = shop_new(w);
	char *padding = world_keep(w, malloc(8001), free), *last = NULL;
	const cJSON *request;
	int count, expected;

	memset(padding, 'p', 8000);
	padding[8000] = '\0';
	(void)api_daemon(w);
	api_wait_state(w, s.id, "up");
	for (count = 0; count_files(w->state, ".log") < 3 || count % 10 != 0; count++) {
		struct kept *mark = world_mark(w);

		if (count > 2000)
			fail_msg("it is not rolled");
		fetch_ok(w, fmt(w, "%s/%d/%s", s.url, count, padding), NULL);
		world_forget(w, mark);
	}
	last = fmt(w, "/%d", count);
	fetch_ok(w, fmt(w, "%s%s", s.url, last), NULL);
	wait_path(w, s.id, last);
	expected = count + 1 - 500;
	assert_true(expected > 0);
	cJSON_ArrayForEach (request, list_of(requests_of(w, s.id, ""))) {
		const char *path = json_str(request, "path");

		assert_int_equal(strtol(path + 1, NULL, 10), expected++);
		assert_true(strlen(path) <= 512);
	}
	assert_int_equal(expected, count + 1);
}

/* ---- without it
 * ----------------------------------------------------------------------------------- */

TEST(it_can_be_turned_off)
{
	struct shop s;
	cJSON *o;

	world_env(w, "DEVMESH_LOCAL_ACCESS_LOG", "no");
	s = shop_new(w);
	(void)api_daemon(w);
	api_wait_state(w, s.id, "up");
	fetch_ok(w, fmt(w, "%s/unseen", s.url), NULL);
	assert_false(exists(log_file(w)));
	o = requests_of(w, s.id, "");
	assert_string_equal(json_str(o, "log"), "off");
	assert_true(json_null(o, "figures"));
	assert_int_equal(cJSON_GetArraySize(list_of(o)), 0);
	o = cJSON_GetObjectItem(ctl_ok(w, "GET", "/api/v1/load", NULL), "services");
	assert_true(json_null(cJSON_GetObjectItem(o, s.id), "requests"));
	assert_error(w, DM(w, s.repo, "requests"), 3, "access_log = yes");
}

TEST(another_caddy_has_none)
{
	char *repo, *id;

	caddy_mesh(w, "");
	(void)api_daemon(w);
	repo = repo_new(w, "shop");
	id = up_ok(w, repo);
	api_wait_state(w, id, "starting");
	assert_string_equal(json_str(requests_of(w, id, ""), "log"), "none");
	assert_error(w, DM(w, repo, "requests"), 3, "devmesh start");
	assert_error(w, DM(w, repo, "requests", "-f"), 3, "devmesh start");
}

TEST(without_a_daemon_it_says_so)
{
	struct shop s = shop_new(w);

	assert_error(w, DM(w, s.repo, "requests"), 5, "devmesh start");
	assert_error(w, DM(w, NULL, "requests", "nobody"), 3, "nobody");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(nothing_secret_reaches_disk_or_answers),
	    WORLD_TEST(requests_are_private),
	    WORLD_TEST(the_page_for_what_does_not_run_is_no_access),
	    WORLD_TEST(what_a_service_drops_has_failed),
	    WORLD_TEST(checks_are_no_access),
	    WORLD_TEST(the_dashboard_is_no_news_to_itself),
	    WORLD_TEST(a_request_is_told),
	    WORLD_TEST(a_query_picks_some),
	    WORLD_TEST(follow_sees_what_comes),
	    WORLD_TEST(a_daemon_that_comes_later_knows),
	    WORLD_TEST(a_rolled_file_is_followed),
	    WORLD_TEST(it_can_be_turned_off),
	    WORLD_TEST(another_caddy_has_none),
	    WORLD_TEST(without_a_daemon_it_says_so),
	};

	return RUN_TESTS(tests);
}
