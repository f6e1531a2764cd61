/* SPDX-License-Identifier: MIT */
#include "request_line.h"

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/dns.h"
#include "base/mem.h"
#include "base/str.h"

#define LOGGER "http.log.access"

static const char *
text_of(const cJSON *o, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, name));
}

/* A number in [0, max]; what is outside, or none, is false. */
static bool
number_of(const cJSON *o, const char *name, double max, double *out)
{
	const cJSON *m = cJSON_GetObjectItemCaseSensitive(o, name);

	if (!cJSON_IsNumber(m) || !(m->valuedouble >= 0 && m->valuedouble <= max))
		return false;
	*out = m->valuedouble;
	return true;
}

/* How much of the text fits into `max` bytes, without half a character at the end. */
static size_t
fitting(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	len = max;
	while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
		len--;
	return len;
}

/* As much of it as fits, made printable. */
static void
take_text(const char *text, size_t len, char *out, size_t size)
{
	DM_AUTO_FREE char *part = dm_strndup(text, fitting(text, len, size - 1));
	/* what is not printable has become three bytes for one */
	DM_AUTO_FREE char *shown = dm_printable(part);
	size_t n = fitting(shown, strlen(shown), size - 1);

	memcpy(out, shown, n);
	out[n] = '\0';
}

/* The path of a URI. Caddy has cut all else off already; another Caddy may not have. */
static void
take_path(const char *uri, char *out, size_t size)
{
	const char *scheme = strstr(uri, "://"), *at;

	if (uri[0] != '/' && scheme != NULL && scheme < uri + strcspn(uri, "/?#") + 1)
		uri = scheme + 3 + strcspn(scheme + 3, "/?#");
	at = strchr(uri, '@');
	if (uri[0] != '/' && at != NULL && at < uri + strcspn(uri, "/?#"))
		uri = at + 1;
	take_text(uri, strcspn(uri, "?#"), out, size);
}

/* "Shop.dev.test.:8443" is "shop.dev.test"; false if it is no host name. */
static bool
take_host(const char *host, char out[HOST_MAX + 1])
{
	size_t n = strcspn(host, ":");

	if (n > 0 && host[n - 1] == '.')
		n--;
	if (n == 0 || n > HOST_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = host[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.')
			return false;
		out[i] = c;
	}
	out[n] = '\0';
	return true;
}

/* An address as inet_ntop(3) writes it; loopback ones, and what is none, are not told. */
static void
take_from(const char *text, char out[REQUEST_FROM_MAX + 1])
{
	struct dns_address address = {.ipv6 = false};
	char zoneless[REQUEST_FROM_MAX + 1];

	out[0] = '\0';
	if (text == NULL ||
	    !dm_snprintf(zoneless, sizeof(zoneless), "%.*s", (int)strcspn(text, "%"), text))
		return;
	if (inet_pton(AF_INET, zoneless, address.bytes) != 1) {
		address.ipv6 = true;
		if (inet_pton(AF_INET6, zoneless, address.bytes) != 1)
			return;
	}
	if (!dns_address_is_loopback(&address))
		memcpy(out, zoneless, sizeof(zoneless));
}

static bool
take(const cJSON *line, struct request_line *out)
{
	const cJSON *request = cJSON_GetObjectItemCaseSensitive(line, "request");
	const char *logger = text_of(line, "logger"), *method = text_of(request, "method");
	const char *host = text_of(request, "host"), *uri = text_of(request, "uri");
	const char *proto = text_of(request, "proto");
	double ts, status, duration, bytes;

	if (logger == NULL || !dm_starts_with(logger, LOGGER) || method == NULL || host == NULL ||
	    uri == NULL || !take_host(host, out->host) ||
	    !number_of(line, "ts", 253402300799.0, &ts) ||
	    !number_of(line, "status", 599, &status) || (status > 0 && status < 100))
		return false;
	out->time_us = (int64_t)(ts * 1e6);
	out->status = (int)status;
	/* a connection that was taken over, a WebSocket say, may be open for days */
	if (!number_of(line, "duration", 1e12, &duration))
		duration = 0;
	out->duration_us = duration >= 4294 ? UINT32_MAX : (uint32_t)(duration * 1e6);
	/* 2^53 */
	if (!number_of(line, "size", 9007199254740992.0, &bytes))
		bytes = 0;
	out->bytes = (uint64_t)bytes;
	take_text(method, strlen(method), out->method, sizeof(out->method));
	take_path(uri, out->path, sizeof(out->path));
	take_text(proto == NULL ? "" : proto, proto == NULL ? 0 : strlen(proto), out->proto,
	    sizeof(out->proto));
	take_from(text_of(request, "remote_ip"), out->from);
	return true;
}

bool
request_line_parse(const char *text, size_t len, struct request_line *out)
{
	cJSON *line = cJSON_ParseWithLength(text, len);
	bool ok = cJSON_IsObject(line);

	memset(out, 0, sizeof(*out));
	ok = ok && take(line, out);
	cJSON_Delete(line);
	return ok;
}
