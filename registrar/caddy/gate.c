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

/*
 * Variables of a request: it comes from elsewhere ("yes"); by way of a proxy on this machine, for
 * devices of the network ("near") or for who knows whom ("far"); the service is shared with it; and
 * that asks for a password.
 */
#define OUTSIDE	  "devmesh_outside"
#define FORWARDED "devmesh_forwarded"
#define SHARED	  "devmesh_shared"
#define PASSWORD  "devmesh_password"

#define ADDRESS_FILES "/@{http.request.remote.host}.*"
/* An address in one of the headers by which proxies say for whom they ask. */
#define LOOPBACK "(127\\.[0-9.]+|\\[?(::ffff:127\\.[0-9.]+|::1)\\]?|localhost)"
#define NEAR \
	"(127\\.[0-9.]+|::1|10\\.[0-9.]+|192\\.168\\.[0-9.]+|169\\.254\\.[0-9.]+|" \
	"172\\.(1[6-9]|2[0-9]|3[01])\\.[0-9.]+|" \
	"100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.[0-9.]+|f[cd][0-9a-f]{2}:[0-9a-f:]+|" \
	"fe80:[0-9a-f:%.]+)"
#define LIST_OF(one) "(?i)^\\s*" one "(\\s*,\\s*" one ")*\\s*$"

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

/* A regular expression on all lines of a request header, joined by commas. */
static cJSON *
header_matches(const char *header, const char *name, const char *pattern)
{
	DM_AUTO_FREE char *subject = dm_asprintf("{http.request.header.%s}", header);

	return build_regexp_matcher(subject, name, pattern);
}

/* What proxies say for whom they ask by. */
static const char *const for_headers[] = {
    "X-Forwarded-For", "X-Real-Ip", "Cf-Connecting-Ip", "Forwarded"};

/*
 * Whether there is more to look at than that it comes from a loopback address and says nothing
 * else: with most requests this is all that is done, so it has to be quick.
 */
static cJSON *
look_closer(cJSON *then)
{
	cJSON *o = build_pass_through(not_this_machine(), then);
	cJSON *sets = cJSON_GetObjectItemCaseSensitive(o, "match");

	for (size_t i = 0; i < sizeof(for_headers) / sizeof(for_headers[0]); i++)
		(void)cJSON_AddItemToArray(sets, build_matcher("header", for_headers[i], "*"));
	return o;
}

/*
 * A proxy or a tunnel on this machine says that it acts for somebody else. In a header of whoever
 * comes from elsewhere anyway it makes no difference. A tunnel that only passes bytes on (ssh -R)
 * says nothing, and cannot be told from a program of this machine.
 */
static cJSON *
for_another(void)
{
	static const char *const near[] = {LIST_OF(LOOPBACK), LIST_OF(LOOPBACK), LIST_OF(LOOPBACK),
	    LIST_OF("for=\"?" LOOPBACK "(:[0-9]+)?\"?(;[^,]*)?")};
	cJSON *o = build_pass_through(NULL, set_var(OUTSIDE, "yes"));
	cJSON *sets = cJSON_AddArrayToObject(o, "match");

	for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
		cJSON *set = build_matcher("header", for_headers[i], "*");
		cJSON *not = build_list(header_matches(for_headers[i], "dm_for", near[i]));

		(void)cJSON_AddItemToArray(not, gate_outside());
		(void)cJSON_AddItemToObject(set, "not", not );
		(void)cJSON_AddItemToArray(sets, set);
	}
	(void)cJSON_AddItemToArray(
	    cJSON_GetObjectItemCaseSensitive(o, "handle"), set_var(FORWARDED, "far"));
	return o;
}

/* Of those: X-Forwarded-For alone says so, and names nobody but devices of the network. */
static cJSON *
for_a_neighbour(void)
{
	cJSON *o = var_is(FORWARDED, "far"), *not = cJSON_AddArrayToObject(o, "not");
	cJSON *all = header_matches("X-Forwarded-For", "dm_near", LIST_OF(NEAR));

	for (size_t i = 1; i < sizeof(for_headers) / sizeof(for_headers[0]); i++)
		(void)cJSON_AddItemToArray(not, build_matcher("header", for_headers[i], "*"));
	(void)cJSON_AddItemToObject(
	    o, "vars_regexp", cJSON_DetachItemFromObjectCaseSensitive(all, "vars_regexp"));
	cJSON_Delete(all);
	return build_pass_through(o, set_var(FORWARDED, "near"));
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

/* The same for the one that a proxy on this machine asks for: a browser of this machine. */
static cJSON *
own_address_forwarded(const char *dir)
{
	cJSON *known = build_pass_through(before("http.regexp.dm_own.1"), set_var(OUTSIDE, "no"));
	cJSON *file;

	(void)cJSON_AddItemToArray(
	    cJSON_GetObjectItemCaseSensitive(known, "handle"), set_var(FORWARDED, "no"));
	file = with_file(dir, "/@{http.regexp.dm_via.1}.*", "dm_own", "\\.([0-9]{10})$",
	    build_subroute(known, NULL, NULL));
	return build_pass_through(header_matches("X-Forwarded-For", "dm_via",
				      "(?i)^\\s*([0-9a-f.:]+)(\\s*,\\s*" LOOPBACK ")*\\s*$"),
	    build_subroute(file, NULL, NULL));
}

/* The share is of that reach, and its end has not come. */
static cJSON *
has_reach(enum gate_reach reach)
{
	cJSON *o = before("http.regexp.dm_share.2");
	cJSON *part = build_matcher("vars", "{http.regexp.dm_share.1}", reaches[reach]);

	(void)cJSON_AddItemToObject(
	    o, "vars", cJSON_DetachItemFromObjectCaseSensitive(part, "vars"));
	cJSON_Delete(part);
	return o;
}

/* A device with a private address, itself or by way of a proxy on this machine. */
static cJSON *
is_near(void)
{
	static const char *const private_ranges[] = {"10.0.0.0/8", "172.16.0.0/12",
	    "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7", "fe80::/10"};
	cJSON *o = build_pass_through(NULL, set_var(SHARED, "yes"));
	cJSON *sets = cJSON_AddArrayToObject(o, "match"),
	      *itself = build_not(var_is(FORWARDED, "far"));

	add_ranges(
	    itself, private_ranges, (int)(sizeof(private_ranges) / sizeof(private_ranges[0])));
	(void)cJSON_AddItemToArray(sets, itself);
	(void)cJSON_AddItemToArray(sets, var_is(FORWARDED, "near"));
	return o;
}

static cJSON *
is_shared(const char *dir, const char *name, bool with_password)
{
	DM_AUTO_FREE char *files = dm_asprintf("/%s.*", name);
	cJSON *by_reach = build_subroute(
	    build_pass_through(has_reach(GATE_LAN), build_subroute(is_near(), NULL, NULL)),
	    build_pass_through(has_reach(GATE_PUBLIC), set_var(SHARED, "yes")), NULL);
	cJSON *log_in;

	if (with_password) {
		log_in = build_pass_through(has_reach(GATE_PASSWORD), set_var(SHARED, "yes"));
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

/* What our own checks say of themselves, said by others. */
static cJSON *
forget_check(void)
{
	cJSON *o = build_handler("headers"), *request = cJSON_AddObjectToObject(o, "request");

	(void)cJSON_AddItemToObject(request, "delete", build_text(MESH_CHECK_HEADER));
	return o;
}

struct cJSON *
gate_build(const char *dir, const char *name, const struct gate_account *account)
{
	cJSON *closer = build_handler("subroute"),
	      *routes = cJSON_AddArrayToObject(closer, "routes");
	cJSON *decide = build_handler("subroute"), *list = cJSON_AddArrayToObject(decide, "routes");

	(void)cJSON_AddItemToArray(
	    routes, build_pass_through(not_this_machine(), set_var(OUTSIDE, "yes")));
	if (dir != NULL)
		(void)cJSON_AddItemToArray(
		    routes, build_pass_through(
				gate_outside(), build_subroute(own_address(dir), NULL, NULL)));
	(void)cJSON_AddItemToArray(routes, for_another());
	(void)cJSON_AddItemToArray(routes, for_a_neighbour());
	if (dir != NULL)
		(void)cJSON_AddItemToArray(
		    routes, build_pass_through(var_is(FORWARDED, "near"),
				build_subroute(own_address_forwarded(dir), NULL, NULL)));
	(void)cJSON_AddItemToArray(list, build_pass_through(NULL, forget_check()));
	if (dir != NULL)
		(void)cJSON_AddItemToArray(list, is_shared(dir, name, account != NULL));
	(void)cJSON_AddItemToArray(list, refuse(name));
	if (account != NULL)
		(void)cJSON_AddItemToArray(list, log_in(account));
	(void)cJSON_AddItemToArray(routes, build_pass_through(gate_outside(), decide));
	return build_subroute(look_closer(closer), NULL, NULL);
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
