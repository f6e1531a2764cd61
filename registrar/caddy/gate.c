/* SPDX-License-Identifier: MIT */
#include "caddy/gate.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "caddy/build.h"
#include "caddy/mesh.h"
#include "caddy/mesh_log.h"

enum {
	DEPTH_MAX = 64
};

/* Variables of a request: it comes from elsewhere; and the service is shared with it. */
#define OUTSIDE	 "devmesh_outside"
#define SHARED	 "devmesh_shared"
#define PASSWORD "devmesh_password"

#define ADDRESS_FILES "/@{http.request.remote.host}.*"

static const char *const reaches[GATE_REACHES] = {
    [GATE_LAN] = "lan", [GATE_PASSWORD] = "password", [GATE_PUBLIC] = "public"};

/*
 * For people who open a URL that is not for them. Nothing in it depends on whether there is such a
 * service. %s: its id, as asked for.
 */
static const char page[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<title>Not shared</title><style>"
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "body{margin:0;display:grid;min-height:100vh;place-items:center}"
    "main{max-width:36rem;padding:2rem}h1{margin:.25rem 0 1rem;overflow-wrap:anywhere}"
    "pre{padding:1rem;border-radius:.5rem;background:#8882;white-space:pre-wrap;"
    "font:.875rem/1.5 ui-monospace,monospace;overflow-wrap:anywhere}"
    ".s{margin:0;opacity:.75}</style></head><body><main><p class=\"s\">not shared</p>"
    "<h1>%s</h1><p>What runs on this developer&#8217;s machine is private, unless it is shared "
    "with you. They can do so for this one with:</p><pre>devmesh share %s</pre>"
    "<p class=\"s\">If this is your own machine, <code>devmesh doctor</code> says why it is taken "
    "for another one.</p></main></body></html>\n";
static const char text[] = "devmesh: %s is not shared with you (devmesh share %s, on its machine; "
			   "if this is it: devmesh doctor)\n";

const char *
gate_reach_name(enum gate_reach reach)
{
	return reaches[reach];
}

bool
gate_reach_parse(const char *name, enum gate_reach *out)
{
	for (int i = 0; i < GATE_REACHES; i++) {
		if (strcmp(reaches[i], name) == 0) {
			*out = (enum gate_reach)i;
			return true;
		}
	}
	return false;
}

/* ---- matchers and handlers ------------------------------------------------------------- */

static cJSON *
set_var(const char *name, const char *value)
{
	cJSON *o = build_handler("vars");

	(void)cJSON_AddStringToObject(o, name, value);
	return o;
}

static cJSON *
var_is(const char *name, const char *value)
{
	DM_AUTO_FREE char *placeholder = dm_asprintf("{http.vars.%s}", name);

	return build_matcher("vars", placeholder, value);
}

struct cJSON *
gate_outside(void)
{
	return var_is(OUTSIDE, "yes");
}

struct cJSON *
gate_inside(void)
{
	return build_not(gate_outside());
}

/* {"remote_ip": {"ranges": [...]}}: whoever holds the connection, whatever headers say. */
static void
add_ranges(cJSON *matcher, const char *const ranges[], int count)
{
	(void)cJSON_AddItemToObject(cJSON_AddObjectToObject(matcher, "remote_ip"), "ranges",
	    cJSON_CreateStringArray(ranges, count));
}

/* The other end is neither a loopback address nor, where Caddy can tell (2.8), our own one. */
static cJSON *
not_this_machine(void)
{
	static const char *const loopback[] = {"127.0.0.0/8", "::1/128"};
	cJSON *o = cJSON_CreateObject(), *none = cJSON_AddArrayToObject(o, "not");
	cJSON *near = cJSON_CreateObject();

	add_ranges(near, loopback, 2);
	(void)cJSON_AddItemToArray(none, near);
	(void)cJSON_AddItemToArray(
	    none, build_matcher("vars", "{http.request.remote.host}", "{http.request.local.host}"));
	return o;
}

/*
 * A proxy or a tunnel on this machine says that it acts for somebody else. The header of whoever
 * comes from elsewhere makes no difference.
 */
static cJSON *
for_another(void)
{
	cJSON *o = build_matcher("header", "X-Forwarded-For", "*"), *near = cJSON_CreateObject();
	cJSON *rule = cJSON_AddObjectToObject(
	    cJSON_AddObjectToObject(near, "header_regexp"), "X-Forwarded-For");

	(void)cJSON_AddStringToObject(
	    rule, "pattern", "^\\s*(127\\.[0-9.]+|::1|\\[::1\\]|localhost)\\s*$");
	(void)cJSON_AddItemToObject(o, "not", build_list(near));
	return o;
}

/* {"expression": ...}: the time that the capture says has not come. */
static cJSON *
before(const char *capture)
{
	DM_AUTO_FREE char *test = dm_asprintf("int({time.now.unix}) < int({%s})", capture);
	cJSON *o = cJSON_CreateObject();

	(void)cJSON_AddStringToObject(o, "expression", test);
	return o;
}

/*
 * `then`, if the directory has such a file and its name fits. Matchers of one set run in no fixed
 * order, and each of these needs what the one before it has found, so nest.
 */
static cJSON *
with_file(const char *dir, const char *file, const char *capture, const char *pattern, cJSON *then)
{
	cJSON *named = build_subroute(
	    build_pass_through(
		build_regexp_matcher("{http.matchers.file.relative}", capture, pattern), then),
	    NULL, NULL);

	return build_pass_through(build_file_matcher(dir, file), named);
}

/* The address that it comes from is known as our own. */
static cJSON *
own_address(const char *dir)
{
	cJSON *known = build_pass_through(before("http.regexp.dm_own.1"), set_var(OUTSIDE, "no"));

	return with_file(
	    dir, ADDRESS_FILES, "dm_own", "\\.([0-9]{10})$", build_subroute(known, NULL, NULL));
}

/* What has to be so, apart from the time, for a service that is shared with that reach. */
static cJSON *
within(enum gate_reach reach)
{
	static const char *const private_ranges[] = {"10.0.0.0/8", "172.16.0.0/12",
	    "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"};
	cJSON *o = before("http.regexp.dm_share.2");
	cJSON *part = build_matcher("vars", "{http.regexp.dm_share.1}", reaches[reach]);

	(void)cJSON_AddItemToObject(
	    o, "vars", cJSON_DetachItemFromObjectCaseSensitive(part, "vars"));
	cJSON_Delete(part);
	if (reach == GATE_LAN)
		add_ranges(
		    o, private_ranges, (int)(sizeof(private_ranges) / sizeof(private_ranges[0])));
	return o;
}

static cJSON *
is_shared(const char *dir, const char *name, bool with_password)
{
	DM_AUTO_FREE char *files = dm_asprintf("/%s.*", name);
	cJSON *by_reach =
	    build_subroute(build_pass_through(within(GATE_LAN), set_var(SHARED, "yes")),
		build_pass_through(within(GATE_PUBLIC), set_var(SHARED, "yes")), NULL);
	cJSON *log_in;

	if (with_password) {
		log_in = build_pass_through(within(GATE_PASSWORD), set_var(SHARED, "yes"));
		(void)cJSON_AddItemToArray(
		    cJSON_GetObjectItemCaseSensitive(log_in, "handle"), set_var(PASSWORD, "yes"));
		(void)cJSON_AddItemToArray(
		    cJSON_GetObjectItemCaseSensitive(by_reach, "routes"), log_in);
	}
	return with_file(dir, files, "dm_share",
	    "^/?[a-z0-9-]+\\.(lan|password|public)\\.([0-9]{10})$", by_reach);
}

static cJSON *
refusal(const char *type, const char *format, const char *name)
{
	DM_AUTO_STR struct dm_str body = dm_str_make(sizeof(page) + 1024);
	const char *at = format;
	cJSON *o;

	for (const char *p; (p = strstr(at, "%s")) != NULL; at = p + 2)
		(void)dm_str_addf(&body, "%.*s%s", (int)(p - at), at, name);
	(void)dm_str_addf(&body, "%s", at);
	o = build_answer(403, type, body.data);
	build_answer_header(o, MESH_STATE_HEADER, GATE_STATE);
	return o;
}

/* Of no service, so not in its log. */
static cJSON *
refuse(const char *name)
{
	cJSON *pages = build_subroute(build_route(build_matcher("header", "Accept", "*text/html*"),
					  refusal("text/html; charset=utf-8", page, name)),
	    build_route(NULL, refusal("text/plain; charset=utf-8", text, name)), NULL);
	cJSON *o = build_route(build_not(var_is(SHARED, "yes")), mesh_unlogged());

	(void)cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(o, "handle"), pages);
	return o;
}

/* The service is not shown the password that it does not need. */
static cJSON *
log_in(const struct gate_account *account)
{
	cJSON *o = build_handler("authentication"), *basic, *one = cJSON_CreateObject();
	cJSON *strip = build_handler("headers"), *request;

	basic = cJSON_AddObjectToObject(cJSON_AddObjectToObject(o, "providers"), "http_basic");
	(void)cJSON_AddStringToObject(
	    cJSON_AddObjectToObject(basic, "hash"), "algorithm", "bcrypt");
	(void)cJSON_AddStringToObject(one, "username", account->user);
	(void)cJSON_AddStringToObject(one, "password", account->hash);
	(void)cJSON_AddItemToObject(basic, "accounts", build_list(one));
	/* bcrypt takes a tenth of a second; a page has many parts */
	(void)cJSON_AddObjectToObject(basic, "hash_cache");
	request = cJSON_AddObjectToObject(strip, "request");
	(void)cJSON_AddItemToObject(request, "delete", build_text("Authorization"));
	o = build_pass_through(var_is(PASSWORD, "yes"), o);
	(void)cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(o, "handle"), strip);
	return o;
}

struct cJSON *
gate_build(const char *dir, const char *name, const struct gate_account *account)
{
	cJSON *whole = build_handler("subroute"), *routes = cJSON_AddArrayToObject(whole, "routes");
	cJSON *decide = build_handler("subroute"), *list = cJSON_AddArrayToObject(decide, "routes");

	(void)cJSON_AddItemToArray(
	    routes, build_pass_through(not_this_machine(), set_var(OUTSIDE, "yes")));
	if (dir != NULL) {
		/* for few requests: it reads a directory */
		(void)cJSON_AddItemToArray(
		    routes, build_pass_through(
				gate_outside(), build_subroute(own_address(dir), NULL, NULL)));
		(void)cJSON_AddItemToArray(list, is_shared(dir, name, account != NULL));
	}
	(void)cJSON_AddItemToArray(
	    routes, build_pass_through(for_another(), set_var(OUTSIDE, "yes")));
	(void)cJSON_AddItemToArray(list, refuse(name));
	if (account != NULL)
		(void)cJSON_AddItemToArray(list, log_in(account));
	(void)cJSON_AddItemToArray(routes, build_pass_through(gate_outside(), decide));
	return whole;
}

/* ---- reading one ----------------------------------------------------------------------- */

/* The file matcher for our own addresses anywhere below `o`; NULL if there is none. */
static const cJSON *
find_matcher(const cJSON *o, int depth)
{
	const cJSON *child, *found = NULL, *files, *first;

	if (depth > DEPTH_MAX)
		return NULL;
	cJSON_ArrayForEach (child, o) {
		files = cJSON_GetObjectItemCaseSensitive(child, "try_files");
		first = cJSON_GetArrayItem(files, 0);
		if (cJSON_IsString(first) && strcmp(first->valuestring, ADDRESS_FILES) == 0)
			return child;
		if (found == NULL)
			found = find_matcher(child, depth + 1);
	}
	return found;
}

const char *
gate_find_dir(const struct cJSON *route)
{
	const cJSON *root = cJSON_GetObjectItemCaseSensitive(find_matcher(route, 0), "root");

	if (!cJSON_IsString(root) || root->valuestring[0] != '/' ||
	    strpbrk(root->valuestring, "{}*?[]\\") != NULL)
		return NULL;
	return root->valuestring;
}

static bool
has_key(const cJSON *o, const char *key, int depth)
{
	const cJSON *child;

	if (depth > DEPTH_MAX)
		return false;
	cJSON_ArrayForEach (child, o) {
		if ((child->string != NULL && strcmp(child->string, key) == 0) ||
		    has_key(child, key, depth + 1))
			return true;
	}
	return false;
}

bool
gate_is_in(const struct cJSON *route)
{
	return has_key(route, OUTSIDE, 0);
}
