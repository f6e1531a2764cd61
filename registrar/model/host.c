/* SPDX-License-Identifier: MIT */
#include "model/host.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static bool
label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool
domain_parse(const char *text, char out[HOST_MAX + 1], struct dm_err *err)
{
	size_t n = 0, label = 0;
	bool ok = true;

	for (; ok && text[n] != '\0'; n++) {
		if (text[n] == '.') {
			ok = label > 0 && text[n - 1] != '-';
			label = 0;
		} else {
			ok = label_char(text[n]) && (label > 0 || text[n] != '-') && ++label <= 63;
		}
	}
	if (!ok || label == 0 || text[n - 1] == '-' || n > HOST_MAX - SLUG_MAX - 1) {
		(void)dm_fail(err, DM_USAGE, "\"%.80s\" is not a domain", text);
		return dm_hint(err, "lower-case labels separated by dots, such as dev.example.com");
	}
	/* RFC 3696 §2: the last label is not all digits; so 192.168.1.1 is none */
	if (strspn(text + n - label, "0123456789") == label) {
		(void)dm_fail(
		    err, DM_USAGE, "\"%.80s\" is not a domain: it ends in a number", text);
		return dm_hint(err, "a domain of your own, such as dev.example.com, or dev.test");
	}
	memcpy(out, text, n + 1);
	return true;
}

void
host_join(const struct slug *label, const char *domain, char out[HOST_MAX + 1])
{
	(void)snprintf(out, HOST_MAX + 1, "%s.%s", label->s, domain);
}

bool
host_matches(const char *pattern, const char *host)
{
	while (*pattern != '\0' && *host != '\0') {
		size_t p = strcspn(pattern, "."), h = strcspn(host, ".");
		bool any = p == 1 && pattern[0] == '*' && h > 0;

		if (!any && (p != h || strncasecmp(pattern, host, p) != 0))
			return false;
		pattern += p;
		host += h;
		if (*pattern != *host)
			return false;
		if (*pattern == '.') {
			pattern++;
			host++;
		}
	}
	return *pattern == *host;
}

bool
domain_is_localhost(const char *domain)
{
	return strcmp(domain, "localhost") == 0 || dm_ends_with(domain, ".localhost");
}

void
url_make(const struct front *front, const char *host, char out[URL_MAX + 1])
{
	if (front->port == (front->https ? 443 : 80))
		(void)snprintf(out, URL_MAX + 1, "%s://%s", front->https ? "https" : "http", host);
	else
		(void)snprintf(out, URL_MAX + 1, "%s://%s:%u", front->https ? "https" : "http",
		    host, (unsigned)front->port);
}
