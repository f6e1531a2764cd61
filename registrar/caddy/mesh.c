/* SPDX-License-Identifier: MIT */
#include "caddy/mesh.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "caddy/mesh_log.h"
#include "caddy/route.h"

/* What Caddy calls the label that the gate has captured. */
#define LABEL "{http.regexp.w.1}"

/*
 * The pages for a name nobody answers for; Caddy fills in the label, which the gate has checked.
 * The script says where the worktree is, as its identity document knows, and opens the service as
 * soon as it answers; without scripts the page reloads itself.
 */
#define PAGE(what) \
	"<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">" \
	"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">" \
	"<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript><title>" LABEL \
	" is not running</title><style>" \
	":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}" \
	"body{margin:0;display:grid;min-height:100vh;place-items:center}" \
	"main{max-width:42rem;padding:2rem}h1{margin:.25rem 0 1rem;overflow-wrap:anywhere}" \
	"code,pre{font:.875rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere}" \
	"pre{padding:1rem;border-radius:.5rem;background:#8882;white-space:pre-wrap}" \
	".s{margin:0;opacity:.75}</style></head><body><main><p class=\"s\">not running</p>" \
	"<h1>" LABEL "</h1>" what "<p class=\"s\">This page opens it as soon as it answers.</p>" \
	"</main><script>" \
	"fetch('/.well-known/devmesh',{cache:'no-store'}).then(r=>r.ok?r.json():null).then(d=>{" \
	"const c=document.getElementById('c'),w=d&&d.worktree;if(!c||!w)return;" \
	"const q=/^[\\w.\\/@+-]+$/.test(w)?w:\"'\"+w.replaceAll(\"'\",\"'\\\\''\")+\"'\";" \
	"c.textContent='cd '+q+(d.branch?'   # '+d.branch:'')+'\\n'+c.textContent" \
	"}).catch(()=>{});" \
	"setInterval(()=>fetch(location.href,{cache:'no-store'}).then(r=>{" \
	"if(!r.headers.get('" MESH_STATE_HEADER "'))location.reload()}).catch(()=>{}),1000)" \
	"</script></body></html>\n"

/* %s: the directory of the sockets */
static const char claimed_html[] =
    PAGE("<p>Its worktree is registered, but nothing listens on <code>%s/" LABEL ".sock</code>. "
	 "Start its server there, by whatever command you use:</p>"
	 "<pre id=\"c\">devmesh run -- npm run dev</pre>");
static const char unclaimed_html[] =
    PAGE("<p>No worktree has claimed this name. In the one that it belongs to:</p>"
	 "<pre>devmesh run -- npm run dev</pre>");
static const char claimed_text[] =
    "devmesh: " LABEL " is not running: nothing listens on %s/" LABEL ".sock\n"
    "in its worktree (devmesh status says where that is): devmesh run -- npm run dev\n";
static const char unclaimed_text[] =
    "devmesh: " LABEL " is not running: no worktree has claimed this name\n"
    "in the worktree that it belongs to: devmesh run -- npm run dev\n";

const char mesh_probe_caddyfile[] = ":0 {\n\treverse_proxy localhost:1 {\n"
				    "\t\tstream_close_delay 1h\n\t}\n}\n";

static cJSON *
array_of(cJSON *item)
{
	cJSON *list = cJSON_CreateArray();

	if (item != NULL)
		(void)cJSON_AddItemToArray(list, item);
	return list;
}

static cJSON *
array_of_text(const char *text)
{
	return array_of(cJSON_CreateString(text));
}

static cJSON *
handler(const char *name)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "handler", name);
	return o;
}

/* {"match": [<match>], "handle": [<handle>]}; without match if NULL. */
static cJSON *
route(cJSON *match, cJSON *handle)
{
	cJSON *o = cJSON_CreateObject();

	if (match != NULL)
		(void)cJSON_AddItemToObject(o, "match", array_of(match));
	(void)cJSON_AddItemToObject(o, "handle", array_of(handle));
	(void)cJSON_AddBoolToObject(o, "terminal", true);
	return o;
}

/* A route for every request whose handler may pass it on to the next route. */
static cJSON *
pass_through(cJSON *handle)
{
	cJSON *o = route(NULL, handle);

	cJSON_DeleteItemFromObjectCaseSensitive(o, "terminal");
	return o;
}

/* The route, whose requests are not logged. */
static cJSON *
unlogged(cJSON *quiet)
{
	(void)cJSON_InsertItemInArray(
	    cJSON_GetObjectItemCaseSensitive(quiet, "handle"), 0, mesh_unlogged());
	return quiet;
}

static cJSON *
subroute(cJSON *first, cJSON *second)
{
	cJSON *o = handler("subroute");
	cJSON *routes = cJSON_AddArrayToObject(o, "routes");

	(void)cJSON_AddItemToArray(routes, first);
	(void)cJSON_AddItemToArray(routes, second);
	return o;
}

/* {"<key>": {"<name>": [<value>]}} */
static cJSON *
matcher(const char *key, const char *name, const char *value)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddItemToObject(cJSON_AddObjectToObject(o, key), name, array_of_text(value));
	return o;
}

static cJSON *
host_matcher(const char *domain)
{
	DM_AUTO_FREE char *pattern = dm_asprintf("*.%s", domain);
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddItemToObject(o, "host", array_of_text(pattern));
	return o;
}

/* `claimed`: the label is that of a service. */
static cJSON *
static_response(int status, const char *type, const char *state, const char *body, bool claimed)
{
	cJSON *o = handler("static_response");
	cJSON *headers;

	(void)cJSON_AddNumberToObject(o, "status_code", status);
	headers = cJSON_AddObjectToObject(o, "headers");
	(void)cJSON_AddItemToObject(headers, "Content-Type", array_of_text(type));
	(void)cJSON_AddItemToObject(headers, "Cache-Control", array_of_text("no-store"));
	(void)cJSON_AddItemToObject(headers, MESH_STATE_HEADER, array_of_text(state));
	if (claimed)
		(void)cJSON_AddItemToObject(headers, ROUTE_ID_HEADER, array_of_text(LABEL));
	if (status == 503)
		(void)cJSON_AddItemToObject(headers, "Retry-After", array_of_text("2"));
	(void)cJSON_AddStringToObject(o, "body", body);
	return o;
}

/* A file matcher for "<dir>/<label><suffix>"; it sees sockets as well. */
static cJSON *
file_exists(const char *dir, const char *suffix)
{
	DM_AUTO_FREE char *name = dm_asprintf("/" LABEL "%s", suffix);
	cJSON *o = matcher("file", "try_files", name);

	(void)cJSON_AddStringToObject(cJSON_GetObjectItemCaseSensitive(o, "file"), "root", dir);
	return o;
}

/* A copy of `page` with its "%s", if it has one, replaced. The caller owns it. */
static char *
fill_in(const char *page, const char *dir)
{
	const char *at = strstr(page, "%s");

	if (at == NULL)
		return dm_strdup(page);
	return dm_asprintf("%.*s%s%s", (int)(at - page), page, dir, at + 2);
}

/* A page for browsers, two lines of text for everybody else. */
static cJSON *
apology(const char *dir, bool claimed, const char *html_page, const char *text_page)
{
	DM_AUTO_FREE char *html = fill_in(html_page, dir);
	DM_AUTO_FREE char *text = fill_in(text_page, dir);
	const char *state = claimed ? "not-running" : "unclaimed";

	return subroute(route(matcher("header", "Accept", "*text/html*"),
			    static_response(503, "text/html; charset=utf-8", state, html, claimed)),
	    route(NULL, static_response(503, "text/plain; charset=utf-8", state, text, claimed)));
}

/* A browser opens a page, and devmeshd listens for that. */
static cJSON *
wake_matcher(const char *identity_dir)
{
	cJSON *o = matcher("header", "Accept", "*text/html*");
	cJSON *file = matcher("file", "try_files", "/" MESH_WAKE_SOCKET);

	(void)cJSON_AddItemToObject(o, "method", array_of_text("GET"));
	(void)cJSON_AddStringToObject(
	    cJSON_GetObjectItemCaseSensitive(file, "file"), "root", identity_dir);
	(void)cJSON_AddItemToObject(
	    o, "file", cJSON_DetachItemFromObjectCaseSensitive(file, "file"));
	cJSON_Delete(file);
	return o;
}

/* Asks devmeshd, which may be starting the service; else it is `otherwise`. */
static cJSON *
wake(const char *identity_dir, cJSON *otherwise)
{
	DM_AUTO_FREE char *dial = dm_asprintf("unix/%s/" MESH_WAKE_SOCKET, identity_dir);
	cJSON *o = handler("reverse_proxy"), *upstream = cJSON_CreateObject();
	cJSON *response = cJSON_CreateObject(), *part;

	(void)cJSON_AddStringToObject(upstream, "dial", dial);
	(void)cJSON_AddItemToObject(o, "upstreams", array_of(upstream));
	part = cJSON_AddObjectToObject(o, "rewrite");
	(void)cJSON_AddStringToObject(part, "uri", "/wake/" LABEL);
	part = cJSON_AddObjectToObject(o, "transport");
	(void)cJSON_AddStringToObject(part, "protocol", "http");
	(void)cJSON_AddBoolToObject(cJSON_AddObjectToObject(part, "keep_alive"), "enabled", false);
	part = cJSON_AddObjectToObject(response, "match");
	(void)cJSON_AddItemToObject(part, "status_code", array_of(cJSON_CreateNumber(404)));
	(void)cJSON_AddItemToObject(response, "routes", array_of(route(NULL, otherwise)));
	(void)cJSON_AddItemToObject(o, "handle_response", array_of(response));
	return o;
}

/*
 * The answer for a name nobody listens for: is there a claim at least? With `identity_dir` devmeshd
 * is asked first; not where that has failed just now.
 */
static cJSON *
not_running(const char *dir, const char *identity_dir)
{
	cJSON *claimed = apology(dir, true, claimed_html, claimed_text);

	if (identity_dir != NULL)
		claimed = subroute(
		    route(wake_matcher(identity_dir),
			wake(identity_dir, apology(dir, true, claimed_html, claimed_text))),
		    route(NULL, claimed));
	return subroute(route(file_exists(dir, ".json"), claimed),
	    route(NULL, apology(dir, false, unclaimed_html, unclaimed_text)));
}

/* Where a dial has failed, or its connection was cut. With a socket it was a request to it. */
static cJSON *
failed(const char *dir)
{
	cJSON *o = cJSON_CreateObject(), *routes = cJSON_AddArrayToObject(o, "routes");
	cJSON *no_socket = cJSON_CreateObject(), *quiet = pass_through(mesh_unlogged());

	(void)cJSON_AddItemToObject(no_socket, "not", array_of(file_exists(dir, ".sock")));
	(void)cJSON_AddItemToObject(quiet, "match", array_of(no_socket));
	(void)cJSON_AddItemToArray(routes, quiet);
	(void)cJSON_AddItemToArray(routes, route(NULL, not_running(dir, NULL)));
	return o;
}

static cJSON *
proxy(const char *dir, bool stream_close_delay)
{
	DM_AUTO_FREE char *dial = dm_asprintf("unix/%s/" LABEL ".sock", dir);
	cJSON *o = handler("reverse_proxy");
	cJSON *upstream = cJSON_CreateObject(), *part;

	(void)cJSON_AddStringToObject(upstream, "dial", dial);
	(void)cJSON_AddItemToObject(o, "upstreams", array_of(upstream));
	part = cJSON_AddObjectToObject(o, "transport");
	(void)cJSON_AddStringToObject(part, "protocol", "http");
	/* a pooled connection would reach the old server after a new one has bound the path */
	(void)cJSON_AddBoolToObject(cJSON_AddObjectToObject(part, "keep_alive"), "enabled", false);
	part = cJSON_AddObjectToObject(o, "load_balancing");
	/* over a full backlog, and the moment in which a server is restarted */
	(void)cJSON_AddStringToObject(part, "try_duration", "2s");
	(void)cJSON_AddStringToObject(part, "try_interval", "50ms");
	(void)cJSON_AddNumberToObject(o, "flush_interval", ROUTE_FLUSH_NS);
	part = cJSON_AddObjectToObject(cJSON_AddObjectToObject(o, "headers"), "response");
	part = cJSON_AddObjectToObject(part, "set");
	(void)cJSON_AddItemToObject(part, ROUTE_ID_HEADER, array_of_text(LABEL));
	if (stream_close_delay)
		(void)cJSON_AddStringToObject(o, "stream_close_delay", "24h");
	return o;
}

/* The label as a pattern: what slug_valid() accepts, and DNS's 63 bytes for names by hand. */
static cJSON *
gate(const char *domain)
{
	DM_AUTO_STR struct dm_str pattern = dm_str_make(1024);
	cJSON *o = cJSON_CreateObject(), *match = cJSON_AddObjectToObject(o, "vars_regexp");
	cJSON *rule = cJSON_AddObjectToObject(match, "{http.request.host}");

	(void)dm_str_addf(&pattern, "^([a-z0-9][a-z0-9-]{0,62})");
	for (const char *p = domain, *dot; p != NULL; p = dot == NULL ? NULL : dot + 1) {
		dot = strchr(p, '.');
		(void)dm_str_addf(&pattern, "\\.%.*s", (int)strcspn(p, "."), p);
	}
	(void)dm_str_addf(&pattern, "(:[0-9]+)?$");
	(void)cJSON_AddStringToObject(rule, "name", "w");
	(void)cJSON_AddStringToObject(rule, "pattern", pattern.data);
	return o;
}

struct cJSON *
mesh_route(const char *domain, const char *dir, const char *identity_dir, bool stream_close_delay)
{
	/*
	 * Matchers of one set run in no fixed order, and the file needs the gate's capture, so
	 * nest. Only with a socket is there a dial: what is certain to fail loses no POST body.
	 */
	cJSON *by_socket =
	    subroute(route(file_exists(dir, ".sock"), proxy(dir, stream_close_delay)),
		unlogged(route(NULL, not_running(dir, identity_dir))));
	cJSON *body = subroute(route(gate(domain), by_socket),
	    unlogged(route(NULL, static_response(404, "text/plain; charset=utf-8", "no-such-name",
				     "devmesh: this is not the name of a service\n", false))));
	cJSON *routes = cJSON_GetObjectItemCaseSensitive(by_socket, "routes");
	cJSON *check = pass_through(mesh_unlogged()), *whole;

	if (identity_dir != NULL)
		(void)cJSON_InsertItemInArray(
		    routes, 0, pass_through(route_identity(identity_dir, LABEL, mesh_unlogged())));
	(void)cJSON_AddItemToObject(
	    check, "match", array_of(matcher("header", MESH_CHECK_HEADER, "1")));
	(void)cJSON_InsertItemInArray(routes, 0, check);
	(void)cJSON_AddItemToObject(body, "errors", failed(dir));
	whole = route(host_matcher(domain), body);
	(void)cJSON_AddStringToObject(whole, "@id", MESH_ROUTE_ID);
	return whole;
}

char *
mesh_any_host(const char *domain)
{
	return dm_asprintf("_.%s", domain); /* no name of a service: see slug_valid() */
}

static void
add_listen(cJSON *server, const struct mesh_settings *settings, uint16_t port)
{
	cJSON *listen = cJSON_AddArrayToObject(server, "listen");
	DM_AUTO_FREE char *v4 = dm_asprintf("127.0.0.1:%u", (unsigned)port);
	DM_AUTO_FREE char *v6 = dm_asprintf("[::1]:%u", (unsigned)port);

	/* without a host Caddy listens on everything, IPv6 included */
	(void)cJSON_AddItemToArray(
	    listen, cJSON_CreateString(settings->lan ? strchr(v4, ':') : v4));
	if (settings->ipv6 && !settings->lan)
		(void)cJSON_AddItemToArray(listen, cJSON_CreateString(v6));
}

static cJSON *
not_found(void)
{
	return unlogged(
	    route(NULL, static_response(404, "text/plain; charset=utf-8", "no-such-name",
			    "devmesh: nothing is served under this name\n", false)));
}

static cJSON *
https_server(const struct mesh_settings *settings)
{
	cJSON *server = cJSON_CreateObject(), *list, *o;

	add_listen(server, settings, settings->https_port);
	/* without h3: before Caddy 2.9 a reload cuts its connections */
	list = cJSON_AddArrayToObject(server, "protocols");
	(void)cJSON_AddItemToArray(list, cJSON_CreateString("h1"));
	(void)cJSON_AddItemToArray(list, cJSON_CreateString("h2"));
	/*
	 * Caddy's own redirects forget the port. And it would manage the certificate that is
	 * already in "automate" a second time: the two jobs race for the key's file.
	 */
	o = cJSON_AddObjectToObject(server, "automatic_https");
	(void)cJSON_AddBoolToObject(o, "disable_redirects", true);
	(void)cJSON_AddBoolToObject(o, "disable_certificates", true);
	if (settings->access_log != NULL)
		(void)cJSON_AddItemToObject(server, "logs", mesh_server_logs());
	list = cJSON_AddArrayToObject(server, "routes");
	(void)cJSON_AddItemToArray(list, mesh_route(settings->domain, settings->sockets_dir,
					     settings->identity_dir, settings->stream_close_delay));
	(void)cJSON_AddItemToArray(list, not_found());
	return server;
}

static cJSON *
redirect_server(const struct mesh_settings *settings)
{
	cJSON *server = cJSON_CreateObject(), *list, *o = handler("static_response"), *headers;
	DM_AUTO_FREE char *location =
	    settings->https_port == 443
		? dm_strdup("https://{http.request.host}{http.request.uri}")
		: dm_asprintf("https://{http.request.host}:%u{http.request.uri}",
		      (unsigned)settings->https_port);

	add_listen(server, settings, settings->http_port);
	(void)cJSON_AddBoolToObject(
	    cJSON_AddObjectToObject(server, "automatic_https"), "disable", true);
	(void)cJSON_AddNumberToObject(o, "status_code", 308);
	headers = cJSON_AddObjectToObject(o, "headers");
	(void)cJSON_AddItemToObject(headers, "Location", array_of_text(location));
	list = cJSON_AddArrayToObject(server, "routes");
	(void)cJSON_AddItemToArray(list, route(host_matcher(settings->domain), o));
	(void)cJSON_AddItemToArray(list, not_found());
	return server;
}

/* Certificates for the wildcard, from Caddy's own CA, whose root stays where it is. */
static void
add_certificates(cJSON *apps, const char *domain)
{
	DM_AUTO_FREE char *wildcard = dm_asprintf("*.%s", domain);
	cJSON *tls = cJSON_AddObjectToObject(apps, "tls"), *policy = cJSON_CreateObject();
	cJSON *issuer = cJSON_CreateObject(), *pki, *ca;

	(void)cJSON_AddItemToObject(
	    cJSON_AddObjectToObject(tls, "certificates"), "automate", array_of_text(wildcard));
	(void)cJSON_AddStringToObject(issuer, "module", "internal");
	(void)cJSON_AddItemToObject(policy, "subjects", array_of_text(wildcard));
	(void)cJSON_AddItemToObject(policy, "issuers", array_of(issuer));
	(void)cJSON_AddItemToObject(
	    cJSON_AddObjectToObject(tls, "automation"), "policies", array_of(policy));
	pki = cJSON_AddObjectToObject(apps, "pki");
	ca = cJSON_AddObjectToObject(
	    cJSON_AddObjectToObject(pki, "certificate_authorities"), "local");
	(void)cJSON_AddStringToObject(ca, "name", "devmesh local");
	(void)cJSON_AddBoolToObject(ca, "install_trust", false);
}

struct cJSON *
mesh_servers(const struct mesh_settings *settings)
{
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddItemToObject(o, "srv0", https_server(settings));
	(void)cJSON_AddItemToObject(o, "redirect", redirect_server(settings));
	return o;
}

char *
mesh_config(const struct mesh_settings *settings)
{
	cJSON *config = cJSON_CreateObject(), *o, *apps, *http;
	DM_AUTO_FREE char *admin = dm_asprintf("unix/%s", settings->admin_socket);
	char *text;

	o = cJSON_AddObjectToObject(config, "admin");
	(void)cJSON_AddStringToObject(o, "listen", admin);
	(void)cJSON_AddBoolToObject(cJSON_AddObjectToObject(o, "config"), "persist", false);
	(void)cJSON_AddItemToObject(config, "logging", mesh_logging("WARN", settings->access_log));
	o = cJSON_AddObjectToObject(config, "storage");
	(void)cJSON_AddStringToObject(o, "module", "file_system");
	(void)cJSON_AddStringToObject(o, "root", settings->data_dir);
	apps = cJSON_AddObjectToObject(config, "apps");
	add_certificates(apps, settings->domain);
	http = cJSON_AddObjectToObject(apps, "http");
	(void)cJSON_AddNumberToObject(http, "http_port", settings->http_port);
	(void)cJSON_AddNumberToObject(http, "https_port", settings->https_port);
	(void)cJSON_AddItemToObject(http, "servers", mesh_servers(settings));
	text = cJSON_Print(config);
	cJSON_Delete(config);
	return text;
}
