/* SPDX-License-Identifier: MIT */
/*
 * HTTP as a browser or curl would speak it, and the real Caddy: starting it with the configs of
 * the tests, and looking at its routes through its admin API.
 */
#include "harness_net.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct sink {
	char *data;
	size_t len;
};

static size_t
sink_add(char *bytes, size_t size, size_t n, void *arg)
{
	struct sink *s = arg;
	char *more = realloc(s->data, s->len + size * n + 1);

	if (more == NULL)
		return 0;
	s->data = more;
	memcpy(s->data + s->len, bytes, size * n);
	s->len += size * n;
	s->data[s->len] = '\0';
	return size * n;
}

static const char *
sink_take(struct world *w, struct sink *s)
{
	return s->data != NULL ? world_keep(w, s->data, free) : "";
}

struct request {
	const char *method, *url, *body;
	const char *unix_path;	    /* connect there instead */
	const char *const *headers; /* may be NULL */
	const char *resolve;	    /* "host:port:address" */
};

static struct reply
perform(struct world *w, const struct request *q)
{
	struct reply r = {.error = ""};
	struct sink body = {0}, headers = {0};
	struct curl_slist *list = NULL, *hosts = NULL;
	CURL *c = curl_easy_init();
	CURLcode rc;
	int i;

	assert_non_null(c);
	for (i = 0; q->headers != NULL && q->headers[i] != NULL; i++)
		list = curl_slist_append(list, q->headers[i]);
	if (q->resolve != NULL)
		hosts = curl_slist_append(hosts, q->resolve);
	curl_easy_setopt(c, CURLOPT_URL, q->url);
	curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, 30000L);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
	if (strcmp(q->method, "HEAD") == 0)
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	if (q->body != NULL)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(c, CURLOPT_RESOLVE, hosts);
	if (q->unix_path != NULL)
		curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, q->unix_path);
	if (w->ca[0] != '\0')
		curl_easy_setopt(c, CURLOPT_CAINFO, w->ca);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, sink_add);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, sink_add);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &headers);
	rc = curl_easy_perform(c);
	if (rc == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &r.status);
	else
		r.error = curl_easy_strerror(rc);
	r.body = sink_take(w, &body);
	r.headers = sink_take(w, &headers);
	curl_slist_free_all(list);
	curl_slist_free_all(hosts);
	curl_easy_cleanup(c);
	return r;
}

struct reply
http_get(struct world *w, int port, const char *host, const char *path)
{
	const char *const headers[] = {fmt(w, "Host: %s", host), NULL};
	struct request q = {.method = "GET", .headers = headers};

	q.url = fmt(w, "http://127.0.0.1:%d%s", port, path);
	return perform(w, &q);
}

struct reply
http_unix(struct world *w, const char *socket, const char *method, const char *url,
    const char *const headers[], const char *body)
{
	return perform(w, &(struct request){.method = method,
			      .url = url,
			      .body = body,
			      .unix_path = socket,
			      .headers = headers});
}

/* As http_get, for any URL: its host is taken to be on this machine, whatever DNS says. */
struct reply
fetch(struct world *w, const char *url, const char *const headers[])
{
	struct request q = {.method = "GET", .url = url, .headers = headers};
	char *host = NULL, *port = NULL;
	CURLU *u = curl_url();

	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		fail_msg("not a URL: \"%s\"", url);
	q.resolve = fmt(w, "%s:%s:127.0.0.1", host, port);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return perform(w, &q);
}

struct reply
admin(struct world *w, const char *method, const char *path, const char *body)
{
	/* Caddy before 2.10 wants an empty Host on its Unix socket; "Host;" is how curl says so. */
	static const char *const by_unix[] = {"Host;", "Content-Type: application/json", NULL};
	static const char *const by_tcp[] = {"Content-Type: application/json", NULL};
	struct request q = {.method = method, .body = body};
	struct reply r;
	int tries = 0;

	if (strncmp(w->admin, "unix://", 7) == 0) {
		q.unix_path = w->admin + 7;
		q.headers = by_unix;
		q.url = fmt(w, "http://localhost%s", path);
	} else {
		q.headers = by_tcp;
		q.url = fmt(w, "%s%s", w->admin, path);
	}
	do
		r = perform(w, &q); /* a reload may reset a connection; reading again is harmless */
	while (r.status == 0 && strcmp(method, "GET") == 0 && ++tries < 5);
	return r;
}

const char *
reply_header(struct world *w, struct reply r, const char *name)
{
	size_t len = strlen(name);
	const char *line = r.headers;

	for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			line += len + 1;
			line += strspn(line, " ");
			return fmt(w, "%.*s", (int)strcspn(line, "\r\n"), line);
		}
		if (strchr(line, '\n') == NULL)
			break;
	}
	return NULL;
}

struct wanted {
	const char *host, *url, *body;
	struct reply *last;
};

static bool
answers(struct world *w, const void *arg)
{
	const struct wanted *q = arg;

	*q->last = q->url != NULL ? fetch(w, q->url, NULL) : http_get(w, w->port, q->host, "/");
	return q->last->status == 200 && strcmp(q->last->body, q->body) == 0;
}

/* A 503 or 502 right after a reload is not yet wrong; the wrong server's answer is, at once. */
static void
assert_wanted(struct world *w, const struct wanted *q)
{
	if (!wait_until(w, answers, q, ANSWER_MS))
		fail_msg("%s answers %ld \"%s\" %s, wanted \"%s\"",
		    q->url != NULL ? q->url : q->host, q->last->status, q->last->body,
		    q->last->error, q->body);
}

void
assert_answers(struct world *w, const char *host, const char *body)
{
	struct reply last = {0};

	assert_wanted(w, &(struct wanted){.host = host, .body = body, .last = &last});
}

void
assert_url_answers(struct world *w, const char *url, const char *body)
{
	struct reply last = {0};

	assert_wanted(w, &(struct wanted){.url = url, .body = body, .last = &last});
}

/* --- Caddy --------------------------------------------------------------------------------- */

static bool
caddy_is_ready(struct world *w, const void *arg)
{
	(void)arg;
	return w->caddy->ended || admin(w, "GET", "/config/", NULL).status == 200;
}

static void
caddy_run(struct world *w)
{
	w->caddy = start(w, w->dir, ARGV("caddy", "run", "--config", w->caddy_config));
	if (!wait_until(w, caddy_is_ready, NULL, DEADLINE_MS) || w->caddy->ended)
		fail_msg("Caddy does not start (is the package caddy installed?):\n%s",
		    read_text(w, w->caddy->err));
}

void
caddy_start(struct world *w, const char *config)
{
	snprintf(w->caddy_config, sizeof w->caddy_config, "%.40s/caddy.json", w->dir);
	write_text(w->caddy_config, config);
	caddy_run(w);
}

void
caddy_restart(struct world *w)
{
	signal_proc(w->caddy, SIGTERM);
	finish(w, w->caddy);
	caddy_run(w);
}

static void
caddy_http(struct world *w, const char *listen, const char *routes)
{
	w->port = free_port(w);
	caddy_start(
	    w, fmt(w,
		   "{\"admin\":{\"listen\":\"%s\",\"config\":{\"persist\":false}},"
		   "\"apps\":{\"http\":{\"servers\":{\"srv0\":{\"listen\":[\"127.0.0.1:%d\"],"
		   "\"automatic_https\":{\"disable\":true},\"routes\":%s}}}}}",
		   listen, w->port, routes));
}

/* unix:///path is written unix//path in Caddy's own configuration. */
static const char *
admin_listen(struct world *w)
{
	return fmt(w, "unix/%s", w->admin + strlen("unix://"));
}

void
caddy_plain(struct world *w, const char *routes)
{
	caddy_http(w, admin_listen(w), routes);
}

void
caddy_plain_tcp(struct world *w, const char *routes)
{
	int port = free_port(w);

	snprintf(w->admin, sizeof w->admin, "http://localhost:%d", port);
	world_env(w, "DEVMESH_CADDY_ADMIN", w->admin);
	caddy_http(w, fmt(w, "localhost:%d", port), routes);
}

/* What answers for the identity of "<name>", from the state directory; passes on what it has not.
 */
static const char *
identity_handler(struct world *w, const char *name)
{
	return fmt(w,
	    "{\"handler\":\"subroute\",\"routes\":[{\"match\":[{\"path\":["
	    "\"/.well-known/devmesh\"],\"file\":{\"root\":\"%s/identity\",\"try_files\":["
	    "\"/%s.json\"]}}],\"handle\":[{\"handler\":\"headers\",\"response\":{\"set\":{"
	    "\"Content-Type\":[\"application/json\"],\"Cache-Control\":[\"no-store\"],"
	    "\"X-Devmesh-Id\":[\"%s\"]}}},{\"handler\":\"rewrite\",\"uri\":\"/%s.json\"},"
	    "{\"handler\":\"file_server\",\"root\":\"%s/identity\"}],\"terminal\":true}]}",
	    w->state, name, name, name, w->state);
}

/* A mesh route as somebody might write it by hand, with an @id that is also a service name. */
void
caddy_mesh(struct world *w, const char *more_routes)
{
	caddy_plain(w,
	    fmt(w,
		"[{\"@id\":\"devmesh\",\"match\":[{\"host\":[\"*.dev.test\"]}],\"terminal\":true,"
		"\"handle\":[{\"handler\":\"subroute\",\"routes\":[{\"match\":[{\"vars_regexp\":{"
		"\"{http.request.host}\":{\"name\":\"w\",\"pattern\":"
		"\"(?i)^([a-z0-9][a-z0-9-]{0,62})\\\\.dev\\\\.test(:[0-9]+)?$\"}}}],\"handle\":[%s,"
		"{"
		"\"handler\":\"reverse_proxy\",\"headers\":{\"response\":{\"set\":{"
		"\"X-Devmesh-Id\":[\"{http.regexp.w.1}\"]}}},"
		"\"transport\":{\"protocol\":\"http\","
		"\"keep_alive\":{\"enabled\":false}},\"load_balancing\":{\"try_duration\":\"2s\","
		"\"try_interval\":\"50ms\"},"
		"\"upstreams\":[{\"dial\":\"unix/%s/{http.regexp.w.1}.sock\"}]}]},"
		"{\"handle\":[{\"handler\":\"error\",\"status_code\":404}]}],\"errors\":{"
		"\"routes\":[{\"handle\":[{\"handler\":\"static_response\","
		"\"status_code\":\"{http.error.status_code}\",\"body\":\"not running\"}]}]}}]}"
		"%s%s]",
		identity_handler(w, "{http.regexp.w.1}"), w->sockets,
		more_routes[0] != '\0' ? "," : "", more_routes));
}

int
private_mesh_as_set(struct world *w)
{
	int http = free_port(w), https = free_port(w);

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_LOCAL_HTTP_PORT", fmt(w, "%d", http));
	world_env(w, "DEVMESH_LOCAL_HTTPS_PORT", fmt(w, "%d", https));
	snprintf(w->admin, sizeof w->admin, "unix://%.60s/admin.sock", w->state);
	snprintf(w->ca, sizeof w->ca, "%.60s/data/pki/authorities/local/root.crt", w->state);
	assert_exit(w, DM(w, NULL, "start"), 0);
	return https;
}

int
private_mesh(struct world *w)
{
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	return private_mesh_as_set(w);
}

char *
routes_text(struct world *w)
{
	struct reply r = admin(w, "GET", "/config/apps/http/servers/srv0/routes", NULL);

	if (r.status != 200)
		fail_msg("Caddy's routes: %ld %s %s", r.status, r.body, r.error);
	return fmt(w, "%s", r.body);
}

cJSON *
routes(struct world *w)
{
	cJSON *list = json_any(w, routes_text(w));

	assert_true(cJSON_IsArray(list));
	return list;
}

int
count_routes(struct world *w, const char *id)
{
	cJSON *list = routes(w), *r;
	int n = 0;

	cJSON_ArrayForEach (r, list)
		n += strcmp(json_str(r, "@id"), id) == 0;
	return n;
}

cJSON *
route_of(struct world *w, const char *id)
{
	cJSON *list = routes(w), *r, *found = NULL;
	int n = 0;

	cJSON_ArrayForEach (r, list)
		if (strcmp(json_str(r, "@id"), id) == 0) {
			found = r;
			n++;
		}
	if (n != 1)
		fail_msg("%d routes with @id \"%s\" instead of one: %s", n, id, routes_text(w));
	return found;
}

char *
bystanders(struct world *w, int n)
{
	char *s = fmt(w, "[");
	int i;

	for (i = 0; i < n; i++)
		s = fmt(w,
		    "%s%s{\"@id\":\"other-%d\",\"match\":[{\"host\":[\"other-%d.example\"]}],"
		    "\"handle\":[{\"handler\":\"static_response\",\"body\":\"other %d\"}]}",
		    s, i > 0 ? "," : "", i, i, i);
	return fmt(w, "%s]", s);
}

/* All there, once each, in their old order, with nothing of them changed. */
void
assert_bystanders(struct world *w, int n)
{
	cJSON *want = json_any(w, bystanders(w, n)), *list = routes(w), *r, *next = want->child;

	cJSON_ArrayForEach (r, list) {
		if (strncmp(json_str(r, "@id"), "other-", 6) != 0)
			continue;
		if (next == NULL || !cJSON_Compare(r, next, true))
			fail_msg("a route of others is not what it was: %s", routes_text(w));
		next = next->next;
	}
	if (next != NULL)
		fail_msg("the route %s of others is gone", json_str(next, "@id"));
}
