/* SPDX-License-Identifier: MIT */
#include "caddy/admin.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/sock.h"
#include "base/str.h"

enum {
	DEFAULT_PORT = 2019,
	RESET_RETRIES = 6, /* a reload re-opens the listener: some connections are reset */
};

struct caddy_admin {
	char *address;
	char *unix_path; /* NULL: TCP */
	char *host;
	uint16_t port;
	int64_t timeout_ms;
	struct http *http; /* NULL until the first caddy_admin_send */
};

static bool
fail_address(const char *address, struct dm_err *err)
{
	(void)dm_fail(err, DM_USAGE, "\"%s\" is not the address of an admin API", address);
	return dm_hint(err, "http://localhost:2019, or unix:///path/of/the/socket");
}

/* "host", "host:port" or "[v6]:port", with an optional slash at the end. */
static bool
parse_authority(struct caddy_admin *admin, const char *text)
{
	size_t n = strcspn(text, "/");
	const char *colon, *end = text + n;
	uint64_t port = DEFAULT_PORT;

	if (n == 0 || (text[n] == '/' && text[n + 1] != '\0'))
		return false;
	if (text[0] == '[') {
		const char *bracket = memchr(text, ']', n);

		if (bracket == NULL)
			return false;
		admin->host = dm_strndup(text + 1, (size_t)(bracket - text) - 1);
		colon = bracket + 1 < end ? bracket + 1 : NULL;
	} else {
		colon = memchr(text, ':', n);
		admin->host = dm_strndup(text, (size_t)((colon == NULL ? end : colon) - text));
	}
	if (colon != NULL) {
		DM_AUTO_FREE char *digits = dm_strndup(colon + 1, (size_t)(end - colon) - 1);

		if (*colon != ':' || !dm_parse_uint(digits, 1, UINT16_MAX, &port))
			return false;
	}
	admin->port = (uint16_t)port;
	return admin->host[0] != '\0' && strpbrk(admin->host, " @?#%") == NULL;
}

struct caddy_admin *
caddy_admin_new(const char *address, int64_t timeout_ms, struct dm_err *err)
{
	dm_auto(caddy_admin) admin = dm_calloc(1, sizeof(*admin));

	admin->address = dm_strdup(address);
	admin->timeout_ms = timeout_ms;
	if (dm_starts_with(address, "unix:///")) {
		admin->unix_path = dm_strdup(address + strlen("unix://"));
	} else if (!dm_starts_with(address, "http://") ||
		   !parse_authority(admin, address + strlen("http://"))) {
		(void)fail_address(address, err);
		return NULL;
	}
	return DM_STEAL(&admin);
}

void
caddy_admin_free(struct caddy_admin *admin)
{
	if (admin == NULL)
		return;
	http_free(admin->http);
	free(admin->address);
	free(admin->unix_path);
	free(admin->host);
	free(admin);
}

const char *
caddy_admin_address(const struct caddy_admin *admin)
{
	return admin->address;
}

int64_t
caddy_admin_timeout(const struct caddy_admin *admin)
{
	return admin->timeout_ms;
}

bool
caddy_admin_owner(const struct caddy_admin *admin, uid_t *uid, pid_t *pid)
{
	struct dm_sock_info info;

	if (admin->unix_path != NULL) {
		dm_sock_probe(admin->unix_path, &info);
		*uid = info.listener_uid;
		*pid = info.pid;
		return info.state == DM_SOCK_LISTENING && info.pid != 0;
	}
	return (strcmp(admin->host, "localhost") == 0 || strcmp(admin->host, "::1") == 0 ||
		   dm_starts_with(admin->host, "127.")) &&
	       dm_proc_owner_of_port(admin->port, pid, uid);
}

/* The Host header that Caddy's check against DNS rebinding accepts; caller owns. */
static char *
host_header(const struct caddy_admin *admin)
{
	const char *open = strchr(admin->host, ':') != NULL ? "[" : "";

	return dm_asprintf(
	    "%s%s%s:%u", open, admin->host, *open != '\0' ? "]" : "", (unsigned)admin->port);
}

char *
caddy_admin_get_request(const struct caddy_admin *admin, const char *path)
{
	/* over a Unix socket no Host at all: before 2.10 any other than an empty one is refused */
	DM_AUTO_FREE char *host = admin->unix_path != NULL ? NULL : host_header(admin);

	return http_get_request(host, path);
}

size_t
caddy_admin_addresses(const struct caddy_admin *admin, struct dm_sock_address *out, size_t max)
{
	if (admin->unix_path == NULL)
		return dm_sock_tcp_addresses(admin->host, admin->port, out, max);
	return max > 0 && dm_sock_unix_address(admin->unix_path, &out[0]) ? 1 : 0;
}

uint16_t
caddy_admin_port(const struct caddy_admin *admin)
{
	return admin->unix_path != NULL ? 0 : admin->port;
}

static bool
get_once(struct caddy_admin *admin, const char *path, int *status, struct dm_str *body,
    struct dm_err *err)
{
	DM_AUTO_CLOSE int fd =
	    admin->unix_path != NULL
		? dm_sock_connect_unix(admin->unix_path, admin->timeout_ms, err)
		: dm_sock_connect_tcp(admin->host, admin->port, admin->timeout_ms, err);
	DM_AUTO_FREE char *host = admin->unix_path != NULL ? NULL : host_header(admin);

	/* over a Unix socket no Host at all: before 2.10 any other than an empty one is refused */
	return fd >= 0 && http_get(fd, host, path, admin->timeout_ms, status, body, err);
}

static bool
fail_unreachable(const struct caddy_admin *admin, struct dm_err *err)
{
	bool timeout = err->code == DM_TIMEOUT;

	(void)dm_wrap(err, "asking Caddy's admin API at %s", admin->address);
	if (timeout)
		return dm_hint(err,
		    "Caddy accepts connections but does not answer; restart it, or raise [caddy] "
		    "timeout");
	return dm_hint(err,
	    "start a private Caddy with devmesh start, or your own; its address is [caddy] admin");
}

bool
caddy_admin_get(struct caddy_admin *admin, const char *path, int *status, struct dm_str *body,
    struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + admin->timeout_ms;

	for (int i = 0;; i++) {
		body->len = 0;
		body->data[0] = '\0';
		if (get_once(admin, path, status, body, err)) {
			dm_debug("GET %s: %d, %zu bytes", path, *status, body->len);
			return true;
		}
		/* refused means that nobody is there; a reset, of whatever call, means a reload */
		if (err->code != DM_UNREACHABLE || i >= RESET_RETRIES || err->sys == ECONNREFUSED ||
		    err->sys == ENOENT || dm_now_ms() > deadline)
			return fail_unreachable(admin, err);
		dm_pause_ms(5 << i);
	}
}

enum http_outcome
caddy_admin_send(struct caddy_admin *admin, const char *method, const char *path,
    const char *content_type, const char *body, const char *if_match, struct http_reply *reply,
    struct dm_err *err)
{
	DM_AUTO_FREE char *authority =
	    admin->unix_path != NULL ? dm_strdup("localhost") : host_header(admin);
	DM_AUTO_FREE char *url = dm_asprintf("http://%s%s", authority, path);
	DM_AUTO_FREE char *type = dm_asprintf(
	    "Content-Type: %s", content_type == NULL ? "application/json" : content_type);
	DM_AUTO_FREE char *match = if_match == NULL ? NULL : dm_asprintf("If-Match: %s", if_match);
	struct http_request request = {.method = method,
	    .url = url,
	    .body = body,
	    .unix_path = admin->unix_path,
	    .timeout_ms = admin->timeout_ms};
	enum http_outcome outcome;
	size_t n = 0;

	if (admin->http == NULL && (admin->http = http_new(err)) == NULL)
		return HTTP_NOT_SENT;
	if (body != NULL)
		request.headers[n++] = type;
	if (match != NULL)
		request.headers[n++] = match;
	if (admin->unix_path != NULL)
		request.headers[n++] = "Host;"; /* empty: see get_once */
	outcome = http_perform(admin->http, &request, reply, err);
	if (outcome == HTTP_ANSWERED)
		dm_debug("%s %s: %d", method, path, reply->status);
	else
		(void)fail_unreachable(admin, err);
	return outcome;
}

bool
caddy_admin_refused(const struct http_reply *reply, const char *what, struct dm_err *err)
{
	cJSON *o = cJSON_ParseWithLength(reply->body.data, reply->body.len);
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(o, "error");

	(void)dm_fail(err, reply->status == 403 ? DM_DENIED : DM_FAILED,
	    "%s: Caddy answered %d: %.500s", what, reply->status,
	    cJSON_IsString(text) ? text->valuestring : reply->body.data);
	cJSON_Delete(o);
	if (reply->status == 403)
		return dm_hint(
		    err, "see \"admin\" in Caddy's configuration: enforce_origin, origins");
	return false;
}
