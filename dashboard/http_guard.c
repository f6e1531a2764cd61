/* SPDX-License-Identifier: MIT */
#include "http_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "model/host.h"

static const struct {
	const char *name;
	int status;
} refusals[] = {
    [HTTP_ALLOWED] = {"none", 200},
    [HTTP_REFUSED_HOST] = {"host", 421},
    [HTTP_REFUSED_ORIGIN] = {"origin", 403},
    [HTTP_REFUSED_TOKEN] = {"token", 403},
    [HTTP_REFUSED_REMOTE] = {"remote", 403},
    [HTTP_REFUSED_TYPE] = {"content_type", 415},
    [HTTP_REFUSED_FORM] = {"form", 400},
    [HTTP_REFUSED_METHOD] = {"method", 405},
    [HTTP_REFUSED_SIZE] = {"size", 413},
    [HTTP_REFUSED_SLOW] = {"slow", 0},
    [HTTP_REFUSED_BUSY] = {"busy", 503},
};

const char *
http_refusal_name(enum http_refusal refusal)
{
	return refusals[refusal].name;
}

int
http_refusal_status(enum http_refusal refusal)
{
	return refusals[refusal].status;
}

bool
http_token_equal(const char *a, const char *b)
{
	size_t n = strlen(b);
	unsigned char differ = 0;

	/* how long it is, is no secret */
	if (n == 0 || strlen(a) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		differ |= (unsigned char)(a[i] ^ b[i]);
	return differ == 0;
}

/* The Host header without its port, in lower case; false if it is none. */
static bool
host_of(const char *header, char out[HOST_MAX + 1])
{
	size_t n = strcspn(header, ":");
	uint64_t port;

	if (n == 0 || n > HOST_MAX ||
	    (header[n] == ':' && header[n + 1] != '\0' &&
		!dm_parse_uint(header + n + 1, 1, 65535, &port)))
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(header[i] >= 'A' && header[i] <= 'Z' ? header[i] + 32 : header[i]);
	out[n] = '\0';
	return true;
}

/* Whether a page of that origin is one of the daemon's own (RFC 6454 §6.2). */
static bool
is_own_origin(const struct http_self *self, const struct http_ask *ask)
{
	char own[URL_MAX + 1];

	if (self->url != NULL && strcasecmp(ask->origin, self->url) == 0)
		return true;
	return dm_snprintf(own, sizeof(own), "https://%s", ask->host) &&
	       strcasecmp(ask->origin, own) == 0;
}

/*
 * Whether the browser says that a page of another site, or of another service below our domain,
 * wants it. Only to be shown the page itself one may come from anywhere.
 */
static bool
comes_from_elsewhere(const struct http_ask *ask)
{
	return ask->fetch_site != NULL && strcasecmp(ask->fetch_site, "same-origin") != 0 &&
	       strcasecmp(ask->fetch_site, "none") != 0 &&
	       (strcmp(ask->path, "/") != 0 || ask->fetch_mode == NULL ||
		   strcasecmp(ask->fetch_mode, "navigate") != 0);
}

/*
 * Whether the client, as the proxy has seen it (the last hop of X-Forwarded-For is its own word),
 * is on this machine. Without the header it has come by the socket itself, so it is.
 */
static bool
is_local(const struct http_self *self, const char *forwarded_for)
{
	const char *last = forwarded_for == NULL ? NULL : strrchr(forwarded_for, ',');
	struct dns_address address = {.ipv6 = false};
	char text[64];
	size_t n;

	if (forwarded_for == NULL)
		return true;
	last = last == NULL ? forwarded_for : last + 1;
	last += strspn(last, " \t");
	n = strcspn(last, " \t");
	if (last[n + strspn(last + n, " \t")] != '\0' ||
	    !dm_snprintf(text, sizeof(text), "%.*s", (int)n, last))
		return false;
	if (inet_pton(AF_INET, text, address.bytes) != 1) {
		address.ipv6 = true;
		if (inet_pton(AF_INET6, text, address.bytes) != 1)
			return false;
	}
	return dns_address_is_loopback(&address) ||
	       (self->is_ours != NULL && self->is_ours(&address));
}

static bool
is_json(const char *type)
{
	static const char json[] = "application/json";

	return type != NULL && strncasecmp(type, json, sizeof(json) - 1) == 0 &&
	       strchr("; \t", type[sizeof(json) - 1]) != NULL;
}

enum http_refusal
http_guard(const struct http_self *self, const struct http_ask *ask, struct dm_err *err)
{
	bool has_token = ask->token != NULL && http_token_equal(ask->token, self->token);
	bool changes = strcmp(ask->method, "POST") == 0;
	/* a cookie comes along by itself: what our own page keeps, and the browser says, must too
	 */
	bool may_change = has_token || (ask->marked && ask->origin != NULL);
	char host[HOST_MAX + 1];

	memset(err, 0, sizeof(*err));
	if (ask->host == NULL || !host_of(ask->host, host) || self->host == NULL ||
	    strcmp(host, self->host) != 0) {
		/* which name is, whoever asks with a wrong one need not know */
		(void)dm_fail(err, DM_DENIED, "this name is not served here");
		return HTTP_REFUSED_HOST;
	}
	if ((ask->origin != NULL && !is_own_origin(self, ask)) || comes_from_elsewhere(ask)) {
		(void)dm_fail(err, DM_DENIED, "a page of another site may not ask");
		return HTTP_REFUSED_ORIGIN;
	}
	if (!is_local(self, ask->forwarded_for) && !has_token && !ask->logged_in &&
	    strcmp(ask->path, "/healthz") != 0 && strcmp(ask->path, "/login") != 0) {
		(void)dm_fail(err, DM_DENIED, "only this machine may ask, or who is logged in");
		(void)dm_hint(err, "devmesh open --print, there, makes an address that logs in");
		return HTTP_REFUSED_REMOTE;
	}
	if (!changes && strcmp(ask->method, "GET") != 0 && strcmp(ask->method, "HEAD") != 0) {
		(void)dm_fail(err, DM_USAGE, "%.20s: there is only " HTTP_METHODS, ask->method);
		return HTTP_REFUSED_METHOD;
	}
	if (changes && !may_change) {
		(void)dm_fail(err, DM_DENIED,
		    "a change needs a login, or the header X-Devmesh with the token");
		(void)dm_hint(err, "devmesh open logs a browser in; the token is in the file "
				   "api-token of the state directory");
		return HTTP_REFUSED_TOKEN;
	}
	if (changes && !is_json(ask->content_type)) {
		(void)dm_fail(err, DM_USAGE, "the body has to be application/json");
		return HTTP_REFUSED_TYPE;
	}
	return HTTP_ALLOWED;
}
