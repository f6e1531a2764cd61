/* SPDX-License-Identifier: MIT */
#include "caddy/view.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "caddy/gate.h"
#include "caddy/route.h"

enum {
	CONFIG_MAX = 32 << 20,
	DEPTH_MAX = 64,
};

struct caddy_view {
	cJSON *apps;
};

static cJSON *
get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

static const cJSON *
servers_of(const struct caddy_view *view)
{
	return get(get(view->apps, "http"), "servers");
}

struct caddy_view *
caddy_view_parse(const char *json, size_t len, struct dm_err *err)
{
	dm_auto(caddy_view) view = dm_calloc(1, sizeof(*view));

	view->apps = cJSON_ParseWithLength(json, len);
	if (view->apps == NULL) {
		(void)dm_fail(err, DM_FAILED, "reading Caddy's configuration: it is not JSON");
		return NULL;
	}
	return DM_STEAL(&view);
}

struct caddy_view *
caddy_view_read(struct caddy_admin *admin, struct dm_err *err)
{
	DM_AUTO_STR struct dm_str body = dm_str_make(CONFIG_MAX);
	int status;

	if (!caddy_admin_get(admin, "/config/apps", &status, &body, err))
		return NULL;
	/* without any configuration the parent of "apps" is missing: 400 */
	if (status == 400)
		return caddy_view_parse("null", 4, err);
	if (status != 200) {
		(void)dm_fail(err, status == 403 ? DM_DENIED : DM_FAILED,
		    "reading Caddy's configuration from %s: it answered %d: %.300s",
		    caddy_admin_address(admin), status, body.data);
		(void)dm_hint(err, "is that address Caddy's admin API? see [caddy] admin");
		return NULL;
	}
	return caddy_view_parse(body.data, body.len, err);
}

void
caddy_view_free(struct caddy_view *view)
{
	if (view == NULL)
		return;
	cJSON_Delete(view->apps);
	free(view);
}

/* The domain of the first text of the form "*.<domain>"; NULL if there is none. */
static const char *
wildcard_domain(const cJSON *texts)
{
	const cJSON *t;
	char domain[HOST_MAX + 1];
	struct dm_err ignored;

	cJSON_ArrayForEach (t, texts) {
		if (cJSON_IsString(t) && dm_starts_with(t->valuestring, "*.") &&
		    domain_parse(t->valuestring + 2, domain, &ignored))
			return t->valuestring + 2;
	}
	return NULL;
}

struct domain_search {
	const char *found;
};

static void
search_hosts(const cJSON *route, void *user)
{
	struct domain_search *search = user;
	const cJSON *set;

	cJSON_ArrayForEach (set, get(route, "match")) {
		if (search->found == NULL)
			search->found = wildcard_domain(get(set, "host"));
	}
}

const char *
caddy_view_domain(const struct caddy_view *view)
{
	const cJSON *tls = get(view->apps, "tls"), *policy;
	const char *found = wildcard_domain(get(get(tls, "certificates"), "automate"));
	struct domain_search search = {NULL};

	if (found != NULL)
		return found;
	cJSON_ArrayForEach (policy, get(get(tls, "automation"), "policies")) {
		if ((found = wildcard_domain(get(policy, "subjects"))) != NULL)
			return found;
	}
	caddy_view_each_route(view, search_hosts, &search);
	return search.found;
}

/* The first TCP port of a listen address: ":443", "127.0.0.1:8443", "tcp/[::1]:80-90"; 0: none. */
static uint16_t
listen_port(const char *address)
{
	const char *colon = strrchr(address, ':');
	DM_AUTO_FREE char *digits = NULL;
	uint64_t port;

	if (dm_starts_with(address, "unix/") || dm_starts_with(address, "udp/") ||
	    dm_starts_with(address, "fd/") || colon == NULL)
		return 0;
	digits = dm_strndup(colon + 1, strcspn(colon + 1, "-"));
	return dm_parse_uint(digits, 1, UINT16_MAX, &port) ? (uint16_t)port : 0;
}

/* Whether the listen address is this one's, or a wildcard: Go takes ":443", "0.0.0.0:443" and
 * "[::]:443" alike, for both families (net.Listen). */
static bool
listens_on(const char *listen, const struct dns_address *address)
{
	const char *slash = strchr(listen, '/'), *host = slash == NULL ? listen : slash + 1, *colon;
	DM_AUTO_FREE char *text = NULL;
	uint8_t bytes[16];

	if (listen_port(listen) == 0 || (dm_starts_with(listen, "tcp4/") && address->ipv6) ||
	    (dm_starts_with(listen, "tcp6/") && !address->ipv6))
		return false;
	colon = strrchr(host, ':');
	if (host[0] == '[' && colon > host + 1 && colon[-1] == ']')
		text = dm_strndup(host + 1, (size_t)(colon - host) - 2);
	else
		text = dm_strndup(host, (size_t)(colon - host));
	if (text[0] == '\0' || strcmp(text, "0.0.0.0") == 0 || strcmp(text, "::") == 0)
		return true;
	return inet_pton(address->ipv6 ? AF_INET6 : AF_INET, text, bytes) == 1 &&
	       memcmp(bytes, address->bytes, address->ipv6 ? 16 : 4) == 0;
}

bool
caddy_view_listens(const struct caddy_view *view, const struct dns_address *address)
{
	const cJSON *server, *listen;

	cJSON_ArrayForEach (server, servers_of(view)) {
		cJSON_ArrayForEach (listen, get(server, "listen")) {
			if (cJSON_IsString(listen) && listens_on(listen->valuestring, address))
				return true;
		}
	}
	return false;
}

/* Whether a listen address with a port can be connected to from elsewhere. */
static bool
listens_beyond(const char *address)
{
	const char *host = strrchr(address, '/');

	host = host == NULL ? address : host + 1;
	return !dm_starts_with(host, "127.") && !dm_starts_with(host, "[::1]") &&
	       !dm_starts_with(host, "localhost:");
}

static uint16_t
app_port(const struct caddy_view *view, const char *key, uint16_t fallback)
{
	const cJSON *port = get(get(view->apps, "http"), key);

	if (!cJSON_IsNumber(port) || port->valuedouble < 1 || port->valuedouble > UINT16_MAX)
		return fallback;
	return (uint16_t)port->valuedouble;
}

/* Whether Caddy will speak TLS on the server's ports other than http_port. */
static bool
speaks_tls(const cJSON *server)
{
	return cJSON_GetArraySize(get(server, "tls_connection_policies")) > 0 ||
	       !cJSON_IsTrue(get(get(server, "automatic_https"), "disable"));
}

/* How good an address is for a front: 443 over other HTTPS over 80 over other HTTP. */
static int
front_rank(const struct front *front)
{
	if (front->port == 0)
		return 0;
	return (front->https ? 3 : 1) + (front->port == (front->https ? 443 : 80) ? 1 : 0);
}

static struct front
server_front(const struct caddy_view *view, const cJSON *server, bool *lan)
{
	uint16_t http_port = app_port(view, "http_port", 80);
	bool tls = speaks_tls(server);
	struct front best = {false, 0};
	const cJSON *address;

	*lan = false;
	cJSON_ArrayForEach (address, get(server, "listen")) {
		struct front f = {false, 0};

		if (cJSON_IsString(address))
			f.port = listen_port(address->valuestring);
		*lan |= f.port != 0 && listens_beyond(address->valuestring);
		f.https = tls && f.port != http_port;
		if (front_rank(&f) > front_rank(&best))
			best = f;
	}
	return best;
}

/* A name that can stand in a path of the admin API as it is. */
static bool
addressable(const char *name)
{
	return name[0] != '\0' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-") ==
		   strlen(name);
}

static bool
fill_server(const struct caddy_view *view, const cJSON *server, struct caddy_server *out)
{
	const cJSON *routes = get(server, "routes");

	out->name = server->string == NULL ? "" : server->string;
	out->routes = cJSON_IsArray(routes) ? routes : NULL;
	out->front = server_front(view, server, &out->lan);
	out->identity_dir = out->gate_dir = NULL;
	return out->front.port != 0 && addressable(out->name);
}

bool
caddy_view_server(const struct caddy_view *view, const char *wanted, const char *host,
    struct caddy_server *out, struct dm_err *err)
{
	const cJSON *servers = servers_of(view), *server;
	struct caddy_server candidate;
	int best = -1;

	cJSON_ArrayForEach (server, servers) {
		int rank;

		if (!fill_server(view, server, &candidate) ||
		    (wanted != NULL && strcmp(candidate.name, wanted) != 0))
			continue;
		rank = 2 * front_rank(&candidate.front) +
		       (strcmp(candidate.name, "srv0") == 0 ? 1 : 0);
		if (rank > best) {
			best = rank;
			*out = candidate;
		}
	}
	if (best >= 0)
		return true;
	if (wanted != NULL) {
		(void)dm_fail(err, DM_NOT_FOUND,
		    "registering %s: Caddy has no HTTP server \"%s\" that listens on a TCP port",
		    host, wanted);
		return dm_hint(err, "see [caddy] server; unset, the server is found by its ports");
	}
	(void)dm_fail(err, DM_NOT_FOUND,
	    "registering %s: Caddy's configuration has no HTTP server that listens on a TCP port",
	    host);
	return dm_hint(err, "add one to it, or start a private mesh: devmesh start");
}

/*
 * Whether certificates for the host are provided for by name; *by_default if only a policy for
 * all names does.
 */
static bool
certificates_cover(const struct caddy_view *view, const char *host, bool *by_default)
{
	const cJSON *tls = get(view->apps, "tls"), *policy;

	*by_default = false;
	if (route_hosts_match(get(get(tls, "certificates"), "automate"), host))
		return true;
	cJSON_ArrayForEach (policy, get(get(tls, "automation"), "policies")) {
		const cJSON *subjects = get(policy, "subjects");

		*by_default |= cJSON_GetArraySize(subjects) == 0;
		if (route_hosts_match(subjects, host))
			return true;
	}
	return false;
}

/* Whether certificates are loaded from files or the like: for which names is not to be seen. */
static bool
loads_certificates(const struct caddy_view *view)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, get(get(view->apps, "tls"), "certificates")) {
		if (item->string != NULL && dm_starts_with(item->string, "load_"))
			return true;
	}
	return false;
}

/* Whether a route of the server covers the host already: certificates are its business then. */
static bool
serves_host(const struct caddy_server *server, const char *host)
{
	const cJSON *route;

	cJSON_ArrayForEach (route, server->routes) {
		if (route_names_host(route, host))
			return true;
	}
	return false;
}

/* Whether the server has routes, all for any host: what it serves, it serves without TLS. */
static bool
serves_without_names(const struct caddy_server *server)
{
	const cJSON *route, *set;

	cJSON_ArrayForEach (route, server->routes) {
		cJSON_ArrayForEach (set, get(route, "match")) {
			if (cJSON_GetArraySize(get(set, "host")) > 0)
				return false;
		}
	}
	return cJSON_GetArraySize(server->routes) > 0;
}

bool
caddy_view_settled(const struct caddy_view *view, const struct caddy_server *server,
    const char *host, struct dm_err *err)
{
	const cJSON *o = get(servers_of(view), server->name);
	bool by_default, has_policies, flips;

	/* without TLS there is nothing to turn on; a server on http_port alone never gets it */
	if (!server->front.https || cJSON_IsTrue(get(get(o, "automatic_https"), "disable")))
		return true;
	if (certificates_cover(view, host, &by_default) || serves_host(server, host) ||
	    loads_certificates(view))
		return true;
	has_policies = cJSON_GetArraySize(get(o, "tls_connection_policies")) > 0;
	if (cJSON_IsTrue(get(get(o, "automatic_https"), "disable_certificates"))) {
		if (has_policies)
			return true;
		(void)dm_fail(err, DM_DENIED,
		    "registering %s with Caddy's server %s: Caddy has no certificate for that name",
		    host, server->name);
		return dm_hint(err,
		    "is it the domain that this Caddy serves? a private mesh takes a new one with "
		    "devmesh stop && devmesh start");
	}
	/* nobody asked for names here: without a certificate of its own the port would change */
	flips = !has_policies && serves_without_names(server);
	if (!flips && by_default)
		return true;
	(void)dm_fail(err, DM_DENIED,
	    "registering %s with Caddy's server %s: its automatic HTTPS is on and nothing provides "
	    "a "
	    "certificate for that name, so Caddy would turn port %u to HTTPS and %s",
	    host, server->name, (unsigned)server->front.port,
	    dm_ends_with(host, ".localhost") ? "install a root certificate of its own"
					     : "ask a public CA for a certificate");
	return dm_hint(err, "settle it in Caddy's configuration (automatic_https, or a TLS policy "
			    "for the domain), or "
			    "allow it: DEVMESH_CADDY_ALLOW_HTTPS_CHANGE=yes");
}

bool
caddy_view_mesh(const struct caddy_view *view, const char *domain, const char *dir,
    const char *host, const char *own_id, struct caddy_server *out)
{
	const cJSON *server, *route;

	cJSON_ArrayForEach (server, servers_of(view)) {
		if (!fill_server(view, server, out))
			continue;
		cJSON_ArrayForEach (route, out->routes) {
			if (route_is_mesh(route, domain, dir)) {
				out->identity_dir = route_identity_dir(route);
				out->gate_dir = gate_find_dir(route);
				return true;
			}
			/* anything in front of it that keeps the requests makes it useless */
			if (route_catches(route, host) &&
			    (route_id(route) == NULL || strcmp(route_id(route), own_id) != 0))
				break;
		}
	}
	return false;
}

bool
caddy_view_reaches(const struct caddy_view *view, const char *id, const char *host)
{
	const cJSON *server, *route;

	cJSON_ArrayForEach (server, servers_of(view)) {
		cJSON_ArrayForEach (route, get(server, "routes")) {
			const char *own = route_id(route);

			if (own != NULL && strcmp(own, id) == 0 && route_names_host(route, host))
				return true;
			if (route_catches(route, host))
				break;
		}
	}
	return false;
}

/* Counts the objects with this @id below `o`; *first is the first of them. */
static unsigned
find_objects(const cJSON *o, const char *id, int depth, const cJSON **first)
{
	const char *own = route_id(o);
	const cJSON *child;
	unsigned count = 0;

	if (own != NULL && strcmp(own, id) == 0) {
		if (*first == NULL)
			*first = o;
		count++;
	}
	if (depth > DEPTH_MAX)
		return count;
	cJSON_ArrayForEach (child, o) {
		count += find_objects(child, id, depth + 1, first);
	}
	return count;
}

const struct cJSON *
caddy_view_object(const struct caddy_view *view, const char *id)
{
	const cJSON *first = NULL;

	(void)find_objects(view->apps, id, 0, &first);
	return first;
}

unsigned
caddy_view_count(const struct caddy_view *view, const char *id)
{
	const cJSON *first = NULL;

	return find_objects(view->apps, id, 0, &first);
}

void
caddy_view_each_server(const struct caddy_view *view,
    void (*fn)(const struct caddy_server *server, void *user), void *user)
{
	struct caddy_server out;
	const cJSON *server;

	cJSON_ArrayForEach (server, servers_of(view)) {
		if (fill_server(view, server, &out))
			fn(&out, user);
	}
}

void
caddy_view_each_route(
    const struct caddy_view *view, void (*fn)(const struct cJSON *route, void *user), void *user)
{
	const cJSON *server, *route;

	cJSON_ArrayForEach (server, servers_of(view)) {
		cJSON_ArrayForEach (route, get(server, "routes")) {
			fn(route, user);
		}
	}
}
