/* SPDX-License-Identifier: MIT */
#include "caddy/mesh.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "caddy/build.h"
#include "caddy/gate.h"
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

/* For other devices: nothing about this machine. */
static const char outside_html[] = PAGE("<p>Its developer has to start it.</p>");
static const char outside_text[] = "devmesh: " LABEL " is not running\n";

const char mesh_probe_caddyfile[] = ":0 {\n\treverse_proxy localhost:1 {\n"
				    "\t\tstream_close_delay 1h\n\t}\n}\n";

/* The route, whose requests are not logged. */
static cJSON *
unlogged(cJSON *quiet)
{
	(void)cJSON_InsertItemInArray(
	    cJSON_GetObjectItemCaseSensitive(quiet, "handle"), 0, mesh_unlogged());
	return quiet;
}

static cJSON *
host_matcher(const char *domain)
{
	DM_AUTO_FREE char *pattern = dm_asprintf("*.%s", domain);
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddItemToObject(o, "host", build_text(pattern));
	return o;
}

/* `claimed`: the label is that of a service. */
static cJSON *
static_response(int status, const char *type, const char *state, const char *body, bool claimed)
{
	cJSON *o = build_answer(status, type, body);

	build_answer_header(o, MESH_STATE_HEADER, state);
	if (claimed)
		build_answer_header(o, ROUTE_ID_HEADER, LABEL);
	if (status == 503)
		build_answer_header(o, "Retry-After", "2");
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

	return build_subroute(
	    build_route(build_matcher("header", "Accept", "*text/html*"),
		static_response(503, "text/html; charset=utf-8", state, html, claimed)),
	    build_route(
		NULL, static_response(503, "text/plain; charset=utf-8", state, text, claimed)),
	    NULL);
}

/* A browser opens a page, and devmeshd listens for that. */
static cJSON *
wake_matcher(const char *identity_dir)
{
	cJSON *o = build_file_matcher(identity_dir, "/" MESH_WAKE_SOCKET);
	cJSON *accept = build_matcher("header", "Accept", "*text/html*");

	(void)cJSON_AddItemToObject(o, "method", build_text("GET"));
	(void)cJSON_AddItemToObject(
	    o, "header", cJSON_DetachItemFromObjectCaseSensitive(accept, "header"));
	cJSON_Delete(accept);
	return o;
}

/* Asks devmeshd, which may be starting the service; else it is `otherwise`. */
static cJSON *
wake(const char *identity_dir, cJSON *otherwise)
{
	DM_AUTO_FREE char *dial = dm_asprintf("unix/%s/" MESH_WAKE_SOCKET, identity_dir);
	cJSON *o = build_handler("reverse_proxy"), *upstream = cJSON_CreateObject();
	cJSON *response = cJSON_CreateObject(), *part;

	(void)cJSON_AddStringToObject(upstream, "dial", dial);
	(void)cJSON_AddItemToObject(o, "upstreams", build_list(upstream));
	part = cJSON_AddObjectToObject(o, "rewrite");
	(void)cJSON_AddStringToObject(part, "uri", "/wake/" LABEL);
	part = cJSON_AddObjectToObject(o, "transport");
	(void)cJSON_AddStringToObject(part, "protocol", "http");
	(void)cJSON_AddBoolToObject(cJSON_AddObjectToObject(part, "keep_alive"), "enabled", false);
	part = cJSON_AddObjectToObject(response, "match");
	(void)cJSON_AddItemToObject(part, "status_code", build_list(cJSON_CreateNumber(404)));
	(void)cJSON_AddItemToObject(response, "routes", build_list(build_route(NULL, otherwise)));
	(void)cJSON_AddItemToObject(o, "handle_response", build_list(response));
	return o;
}

/* The apology here; elsewhere one that tells nothing of this machine. */
static cJSON *
apology_by_place(const char *dir, bool claimed, const char *html_page, const char *text_page)
{
	return build_subroute(
	    build_route(gate_outside(), apology(dir, true, outside_html, outside_text)),
	    build_route(NULL, apology(dir, claimed, html_page, text_page)), NULL);
}

/*
 * The answer for a name nobody listens for: is there a claim at least? With `identity_dir` devmeshd
 * is asked first, for who has come from elsewhere as well: the gate has let them in, so it is
 * shared with them. Not where that has failed just now.
 */
static cJSON *
not_running(const char *dir, const char *identity_dir)
{
	cJSON *claimed = apology_by_place(dir, true, claimed_html, claimed_text);

	if (identity_dir != NULL)
		claimed = build_subroute(build_route(wake_matcher(identity_dir),
					     wake(identity_dir, apology_by_place(dir, true,
								    claimed_html, claimed_text))),
		    build_route(NULL, claimed), NULL);
	return build_subroute(build_route(build_file_matcher(dir, "/" LABEL ".json"), claimed),
	    build_route(NULL, apology_by_place(dir, false, unclaimed_html, unclaimed_text)), NULL);
}

/* Where a dial has failed, or its connection was cut. With a socket it was a request to it. */
static cJSON *
failed(const char *dir)
{
	cJSON *o = cJSON_CreateObject(), *routes = cJSON_AddArrayToObject(o, "routes");

	(void)cJSON_AddItemToArray(
	    routes, build_pass_through(
			build_not(build_file_matcher(dir, "/" LABEL ".sock")), mesh_unlogged()));
	(void)cJSON_AddItemToArray(routes, build_route(NULL, not_running(dir, NULL)));
	return o;
}

static cJSON *
proxy(const char *dir, bool stream_close_delay)
{
	DM_AUTO_FREE char *dial = dm_asprintf("unix/%s/" LABEL ".sock", dir);
	cJSON *o = build_handler("reverse_proxy");
	cJSON *upstream = cJSON_CreateObject(), *part;

	(void)cJSON_AddStringToObject(upstream, "dial", dial);
	(void)cJSON_AddItemToObject(o, "upstreams", build_list(upstream));
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
	(void)cJSON_AddItemToObject(part, ROUTE_ID_HEADER, build_text(LABEL));
	if (stream_close_delay)
		(void)cJSON_AddStringToObject(o, "stream_close_delay", "24h");
	return o;
}

/* The label as a pattern: what slug_valid() accepts, and DNS's 63 bytes for names by hand. */
static cJSON *
label_matcher(const char *domain)
{
	DM_AUTO_STR struct dm_str pattern = dm_str_make(1024);

	(void)dm_str_addf(&pattern, "^([a-z0-9][a-z0-9-]{0,62})");
	for (const char *p = domain, *dot; p != NULL; p = dot == NULL ? NULL : dot + 1) {
		dot = strchr(p, '.');
		(void)dm_str_addf(&pattern, "\\.%.*s", (int)strcspn(p, "."), p);
	}
	(void)dm_str_addf(&pattern, "(:[0-9]+)?$");
	return build_regexp_matcher("{http.request.host}", "w", pattern.data);
}

struct cJSON *
mesh_route(const char *domain, const char *dir, const char *identity_dir, bool stream_close_delay)
{
	DM_AUTO_FREE char *gate_dir =
	    identity_dir == NULL ? NULL : dm_asprintf("%s/" GATE_SUBDIR, identity_dir);
	cJSON *by_label = build_handler("subroute"),
	      *routes = cJSON_AddArrayToObject(by_label, "routes");
	cJSON *body = build_subroute(build_route(label_matcher(domain), by_label),
	    unlogged(
		build_route(NULL, static_response(404, "text/plain; charset=utf-8", "no-such-name",
				      "devmesh: this is not the name of a service\n", false))),
	    NULL);
	cJSON *whole;

	/*
	 * Matchers of one set run in no fixed order, and files need the label's capture, so nest.
	 * Only with a socket is there a dial: what is certain to fail loses no POST body.
	 */
	(void)cJSON_AddItemToArray(
	    routes, build_pass_through(NULL, gate_build(gate_dir, LABEL, NULL)));
	/* devmesh's own checks stay out of the log; the gate believes nobody else's word */
	(void)cJSON_AddItemToArray(routes,
	    build_pass_through(build_matcher("header", MESH_CHECK_HEADER, "1"), mesh_unlogged()));
	if (identity_dir != NULL)
		(void)cJSON_AddItemToArray(routes,
		    build_pass_through(NULL, route_identity(identity_dir, LABEL, mesh_unlogged())));
	(void)cJSON_AddItemToArray(routes, build_route(build_file_matcher(dir, "/" LABEL ".sock"),
					       proxy(dir, stream_close_delay)));
	(void)cJSON_AddItemToArray(
	    routes, unlogged(build_route(NULL, not_running(dir, identity_dir))));
	(void)cJSON_AddItemToObject(body, "errors", failed(dir));
	whole = build_route(host_matcher(domain), body);
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
	    build_route(NULL, static_response(404, "text/plain; charset=utf-8", "no-such-name",
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

/*
 * <id>.local: the mesh route, gate and all, under another name. The services get to see their usual
 * Host: they know it, and many refuse others.
 */
static cJSON *
local_route(const struct mesh_settings *settings)
{
	DM_AUTO_FREE char *host = dm_asprintf(LABEL ".%s", settings->domain);
	cJSON *rename = build_handler("headers"), *mesh, *whole;

	(void)cJSON_AddItemToObject(
	    cJSON_AddObjectToObject(cJSON_AddObjectToObject(rename, "request"), "set"), "Host",
	    build_text(host));
	mesh = mesh_route(settings->domain, settings->sockets_dir, settings->identity_dir,
	    settings->stream_close_delay);
	cJSON_DeleteItemFromObjectCaseSensitive(mesh, "@id");
	whole = build_route(
	    label_matcher("local"), build_subroute(build_pass_through(NULL, rename), mesh, NULL));
	(void)cJSON_AddStringToObject(whole, "@id", MESH_LOCAL_ROUTE_ID);
	return whole;
}

static cJSON *
redirect_server(const struct mesh_settings *settings)
{
	cJSON *server = cJSON_CreateObject(), *list, *o = build_handler("static_response"),
	      *headers;
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
	(void)cJSON_AddItemToObject(headers, "Location", build_text(location));
	list = cJSON_AddArrayToObject(server, "routes");
	(void)cJSON_AddItemToArray(list, build_route(host_matcher(settings->domain), o));
	if (settings->mdns)
		(void)cJSON_AddItemToArray(list, local_route(settings));
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
	    cJSON_AddObjectToObject(tls, "certificates"), "automate", build_text(wildcard));
	(void)cJSON_AddStringToObject(issuer, "module", "internal");
	(void)cJSON_AddItemToObject(policy, "subjects", build_text(wildcard));
	(void)cJSON_AddItemToObject(policy, "issuers", build_list(issuer));
	(void)cJSON_AddItemToObject(
	    cJSON_AddObjectToObject(tls, "automation"), "policies", build_list(policy));
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
