/* SPDX-License-Identifier: MIT */
/*
 * The dashboard's files, and who may do what in it: by the address that `devmesh open` makes, with
 * the cookie that this gives, and without. Over HTTPS, by the private mesh.
 */
#include "harness_api.h"

#include "harness_daemon.h"
#include <unistd.h>

#include <stdlib.h>
#include <sys/stat.h>

#define HOST "devmesh.dev.localhost"

struct site {
	struct devmeshd *d;
	int port;
	char *origin; /* its URL */
};

/* The private mesh, with its daemon. */
static struct site
site_new(struct world *w)
{
	struct site s = {.port = private_mesh(w)};

	s.origin = fmt(w, "https://" HOST ":%d", s.port);
	s.d = daemon_start(w);
	return s;
}

/* As Caddy passes it on; `cookie`, `origin`, `mark` (X-Devmesh) and `client` may be NULL. */
static struct reply
ask(struct world *w, const struct site *s, const char *method, const char *path, const char *cookie,
    const char *origin, const char *mark, const char *client)
{
	const char *headers[8];
	size_t n = 0;

	headers[n++] = fmt(w, "Host: " HOST ":%d", s->port);
	if (cookie != NULL)
		headers[n++] = fmt(w, "Cookie: %s", cookie);
	if (origin != NULL)
		headers[n++] = fmt(w, "Origin: %s", origin);
	if (mark != NULL)
		headers[n++] = fmt(w, "X-Devmesh: %s", mark);
	if (client != NULL)
		headers[n++] = fmt(w, "X-Forwarded-For: %s", client);
	if (strcmp(method, "POST") == 0)
		headers[n++] = "Content-Type: application/json";
	headers[n] = NULL;
	return api(w, method, path, headers, strcmp(method, "POST") == 0 ? "{}" : NULL);
}

static struct reply
get(struct world *w, const struct site *s, const char *path, const char *cookie)
{
	return ask(w, s, "GET", path, cookie, NULL, NULL, NULL);
}

/* The path of an address that logs in. */
static char *
login_path(struct world *w, const struct site *s)
{
	struct result r = DM(w, NULL, "open", "--print");
	size_t n = strlen(s->origin);

	assert_exit(w, r, 0);
	assert_int_equal(strncmp(r.out, s->origin, n), 0);
	return fmt(w, "%.*s", (int)strcspn(r.out + n, "\n"), r.out + n);
}

/* What a login has given: "name=value" of the cookie, and the mark that the page keeps. */
struct pass {
	char *cookie, *mark;
};

static struct pass
pass_of(struct world *w, struct reply r)
{
	const char *header, *page;

	assert_int_equal(r.status, 303);
	page = reply_header(w, r, "Location");
	assert_int_equal(strncmp(page, "/#login=", 8), 0);
	header = reply_header(w, r, "Set-Cookie");
	assert_non_null(header);
	assert_int_equal(strncmp(header, "__Host-devmesh=", 15), 0);
	assert_non_null(strstr(header, "; Path=/;"));
	assert_non_null(strstr(header, "; Secure; HttpOnly; SameSite=Strict"));
	assert_null(strstr(header, "Domain"));
	return (struct pass){.cookie = fmt(w, "%.*s", (int)strcspn(header, ";"), header),
	    .mark = fmt(w, "%s", page + 8)};
}

static bool
may_change(struct world *w, const struct site *s, const struct pass *pass)
{
	struct reply r = ask(w, s, "GET", "/api/v1/session", pass == NULL ? NULL : pass->cookie,
	    NULL, pass == NULL ? NULL : pass->mark, NULL);

	assert_int_equal(r.status, 200);
	return cJSON_IsTrue(cJSON_GetObjectItem(json_of(w, r.body), "may_change"));
}

TEST(an_address_logs_in_once)
{
	struct site s = site_new(w);
	char *path = login_path(w, &s);
	struct pass pass;
	struct reply r;

	assert_false(may_change(w, &s, NULL));
	/* a preview of the address does not use it up */
	assert_int_equal(ask(w, &s, "HEAD", path, NULL, NULL, NULL, NULL).status, 405);
	pass = pass_of(w, get(w, &s, path, NULL));
	assert_true(may_change(w, &s, &pass));
	/* who has got hold of the address later gets nothing by it */
	r = get(w, &s, path, NULL);
	assert_int_equal(r.status, 403);
	assert_null(reply_header(w, r, "Set-Cookie"));
	assert_non_null(strstr(r.body, "devmesh open"));
	/* each login has its own */
	assert_string_not_equal(
	    pass_of(w, get(w, &s, login_path(w, &s), NULL)).cookie, pass.cookie);
	assert_true(may_change(w, &s, &pass));
	/* nor does the address stay in what others may read */
	assert_null(strstr(daemon_log(w, s.d), "code="));
}

TEST(changes_need_more_than_the_cookie)
{
	struct site s = site_new(w);
	struct pass pass = pass_of(w, get(w, &s, login_path(w, &s), NULL));
	char *forged = fmt(w, "__Host-devmesh=%064d", 0);

	assert_int_equal(
	    ask(w, &s, "POST", "/api/v1/gc", pass.cookie, s.origin, pass.mark, NULL).status, 200);
	assert_int_equal(
	    ask(w, &s, "POST", "/api/v1/gc", pass.cookie, s.origin, NULL, NULL).status, 403);
	assert_int_equal(
	    ask(w, &s, "POST", "/api/v1/gc", pass.cookie, NULL, pass.mark, NULL).status, 403);
	assert_int_equal(ask(w, &s, "POST", "/api/v1/gc", pass.cookie,
			     fmt(w, "https://shop-main.dev.localhost:%d", s.port), pass.mark, NULL)
			     .status,
	    403);
	assert_int_equal(
	    ask(w, &s, "POST", "/api/v1/gc", forged, s.origin, pass.mark, NULL).status, 403);
	assert_int_equal(
	    ask(w, &s, "POST", "/api/v1/gc", NULL, s.origin, pass.mark, NULL).status, 403);
	/* who has got the cookie alone, on another port of this host, has not the mark */
	assert_int_equal(
	    ask(w, &s, "POST", "/api/v1/gc", pass.cookie, s.origin, "page", NULL).status, 403);
	assert_false(may_change(w, &s, &(struct pass){pass.cookie, NULL}));
	assert_false(may_change(w, &s, &(struct pass){forged, pass.mark}));
}

/* From the network there is nothing to see, and nothing is said of what there is. */
TEST(another_machine_has_to_log_in)
{
	static const char phone[] = "192.168.1.7";
	static const char *const paths[] = {
	    "/web/app.js", "/api/v1/state", "/api/v1/logs", "/api/v1/session", "/metrics"};
	struct site s = site_new(w);
	char *path = login_path(w, &s);
	struct pass pass;
	struct reply r;

	(void)up_ok(w, repo_new(w, "shop"));
	r = ask(w, &s, "GET", "/", NULL, NULL, NULL, phone);
	assert_int_equal(r.status, 403);
	assert_non_null(strstr(r.body, "Nothing is shared with the network"));
	assert_null(strstr(r.body, "shop"));
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		assert_int_equal(ask(w, &s, "GET", paths[i], NULL, NULL, NULL, phone).status, 403);
	/* with a login all of it; what is private only with the mark as well */
	pass = pass_of(w, ask(w, &s, "GET", path, NULL, NULL, NULL, phone));
	assert_int_equal(ask(w, &s, "GET", "/", pass.cookie, NULL, NULL, phone).status, 200);
	assert_int_equal(
	    ask(w, &s, "GET", "/api/v1/logs", pass.cookie, NULL, NULL, phone).status, 403);
	assert_int_equal(
	    ask(w, &s, "GET", "/api/v1/logs", pass.cookie, NULL, pass.mark, phone).status, 200);
}

/*
 * Another user of this machine may look, as any program here may, and nothing else: neither at what
 * services write or are asked for, nor into the files, nor change anything.
 */
TEST(another_user_of_this_machine)
{
	struct site s = site_new(w);
	char *repo = repo_new(w, "shop");
	const char *const paths[] = {"/api/v1/logs", "/api/v1/services/shop-main/logs",
	    "/api/v1/services/shop-main/requests", NULL};

	if (geteuid() != 0)
		skip(); /* only root can become somebody else */
	assert_exit(w, DM(w, repo, "run", "--", "echo", "a secret of mine"), 0);
	for (int i = 0; paths[i] != NULL; i++) {
		struct result r = run(w, "/",
		    ARGV("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl",
			"-sk", "-w", " %{http_code}", fmt(w, "%s%s", s.origin, paths[i])));

		assert_exit(w, r, 0);
		assert_non_null(strstr(r.out, " 403"));
		assert_null(strstr(r.out, "secret"));
	}
	assert_exit(w,
	    run(w, "/",
		ARGV("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c",
		    fmt(w,
			"! cat %s/logs/shop-main.log && ! cat %s/api-token && ! ls %s/commands && "
			"! curl -sf --unix-socket %s/devmeshd.sock http://x/control/status && "
			"! curl -skf -d {} -H Content-Type:application/json "
			"%s/api/v1/services/shop-main/stop",
			w->state, w->state, w->state, w->state, s.origin))),
	    0);
}

TEST(a_login_ends_with_the_daemon)
{
	struct site s = site_new(w);
	struct pass pass = pass_of(w, get(w, &s, login_path(w, &s), NULL));

	daemon_end(w, s.d);
	s.d = daemon_start(w);
	assert_false(may_change(w, &s, &pass));
}

TEST(the_files_are_kept_by_their_tags)
{
	struct site s = site_new(w);
	char *host = fmt(w, "Host: " HOST ":%d", s.port);
	struct reply plain = get(w, &s, "/web/app.js", NULL), zipped, again;
	const char *tag = reply_header(w, plain, "ETag");

	assert_int_equal(plain.status, 200);
	assert_string_equal(reply_header(w, plain, "Cache-Control"), "no-cache");
	assert_null(reply_header(w, plain, "Content-Encoding"));
	again = api(w, "GET", "/web/app.js", ARGV(host, fmt(w, "If-None-Match: %s", tag)), NULL);
	assert_int_equal(again.status, 304);
	assert_string_equal(again.body, "");
	assert_string_equal(reply_header(w, again, "ETag"), tag);
	zipped = api(w, "GET", "/web/app.js",
	    ARGV(host, "Accept-Encoding: br, gzip", fmt(w, "If-None-Match: %s", tag)), NULL);
	assert_int_equal(zipped.status, 200);
	assert_string_equal(reply_header(w, zipped, "Content-Encoding"), "gzip");
	assert_string_not_equal(reply_header(w, zipped, "ETag"), tag);
	assert_string_equal(reply_header(w, zipped, "Vary"), "Accept-Encoding");
	for (size_t i = 0; i < 4; i++) {
		static const char *const refused[] = {
		    "gzip;q=0, br", "gzip; q=0", "br, gzip ; q=0.000", "identity"};

		assert_null(reply_header(w,
		    api(w, "GET", "/web/app.js",
			ARGV(host, fmt(w, "Accept-Encoding: %s", refused[i])), NULL),
		    "Content-Encoding"));
	}
	assert_non_null(reply_header(w,
	    api(w, "GET", "/web/app.js", ARGV(host, "Accept-Encoding: gzip;q=0.5"), NULL),
	    "Content-Encoding"));
}

TEST(open_says_why_it_cannot)
{
	struct result r;

	caddy_mesh(w, "");
	r = DM(w, NULL, "open", "--print");
	assert_exit(w, r, 5);
	assert_string_equal(r.out, "");
	(void)daemon_start(w);
	/* that mesh has no HTTPS */
	r = DM(w, NULL, "open", "--print");
	assert_exit(w, r, 4);
	assert_string_equal(r.out, "");
	assert_non_null(strstr(r.err, "not HTTPS"));
}

static void
write_script(const char *path, const char *text)
{
	write_text(path, text);
	assert_int_equal(chmod(path, 0755), 0);
}

/* A browser is asked for, and its failure is no failure: the address is printed. */
TEST(open_falls_back_to_printing)
{
	struct site s = site_new(w);
	char *bin = make_dir(w, "bin"), *seen = fmt(w, "%s/seen", w->dir);
	struct result r;

	write_script(fmt(w, "%s/xdg-open", bin), fmt(w, "#!/bin/sh\necho \"$1\" >%s\n", seen));
	world_env(w, "PATH", fmt(w, "%s:%s", bin, getenv("PATH")));
	world_env(w, "DISPLAY", ":99");
	r = DM(w, NULL, "open");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "");
	assert_int_equal(strncmp(read_text(w, seen), s.origin, strlen(s.origin)), 0);
	/* one that becomes the browser, or leaves it behind, is not waited for */
	write_script(fmt(w, "%s/xdg-open", bin), "#!/bin/sh\nsleep 20 & exit 0\n");
	r = DM(w, NULL, "open");
	assert_exit(w, r, 0);
	assert_string_equal(r.out, "");
	write_script(fmt(w, "%s/xdg-open", bin), "#!/bin/sh\nexit 3\n");
	r = DM(w, NULL, "open");
	assert_exit(w, r, 0);
	assert_int_equal(strncmp(r.out, s.origin, strlen(s.origin)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(an_address_logs_in_once),
	    DAEMON_TEST(changes_need_more_than_the_cookie),
	    DAEMON_TEST(another_machine_has_to_log_in),
	    DAEMON_TEST(another_user_of_this_machine),
	    DAEMON_TEST(a_login_ends_with_the_daemon),
	    DAEMON_TEST(the_files_are_kept_by_their_tags),
	    DAEMON_TEST(open_says_why_it_cannot),
	    DAEMON_TEST(open_falls_back_to_printing),
	};

	return RUN_TESTS(tests);
}
