/* SPDX-License-Identifier: MIT */
#include "http_parse.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"

static bool
fail(struct dm_err *err, const char *why)
{
	return dm_fail(err, DM_USAGE, "this is no request of HTTP/1: %s", why);
}

/* RFC 9110 §5.6.2 */
static bool
is_token(const char *s)
{
	size_t n = strspn(s, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return n > 0 && s[n] == '\0';
}

/* No control characters but tabs; bytes above 127 may be anything (RFC 9110 §5.5). */
static bool
is_field_value(const char *s)
{
	for (; *s != '\0'; s++) {
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	}
	return true;
}

/* Cuts the line at *p off, and moves on; NULL: it does not end in CR LF, or holds a NUL. */
static char *
cut_line(char **p, const char *end)
{
	char *line = *p, *lf = memchr(line, '\n', (size_t)(end - line));

	if (lf == NULL || lf == line || lf[-1] != '\r' ||
	    memchr(line, '\0', (size_t)(lf - line)) != NULL)
		return NULL;
	lf[-1] = '\0';
	*p = lf + 1;
	return line;
}

/* "GET /path?query HTTP/1.1" (RFC 9112 §3), in origin form alone: what a proxy sends. */
static bool
parse_request_line(char *line, struct http_head *out, struct dm_err *err)
{
	char *target = strchr(line, ' '),
	     *version = target == NULL ? NULL : strchr(target + 1, ' ');

	if (version == NULL)
		return fail(err, "its first line");
	*target++ = '\0';
	*version++ = '\0';
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
		return fail(err, "its version");
	if (!is_token(line))
		return fail(err, "its method");
	if (target[0] != '/')
		return fail(err, "its target is no path");
	for (const char *c = target; *c != '\0'; c++) {
		if (*c <= 0x20 || *c >= 0x7f || *c == '#')
			return fail(err, "a character in its target");
	}
	out->method = line;
	out->path = target;
	out->query = strchr(target, '?');
	if (out->query != NULL)
		*out->query++ = '\0';
	return true;
}

/* "Name: value" (RFC 9112 §5). */
static bool
parse_field(char *line, struct http_head *out, struct dm_err *err)
{
	char *colon = strchr(line, ':');
	size_t n;

	if (out->count == HTTP_HEADERS_MAX)
		return fail(err, "too many headers");
	if (colon == NULL)
		return fail(err, "a header without a colon");
	*colon = '\0';
	if (!is_token(line)) /* also continuation lines, and blanks before the colon */
		return fail(err, "the name of a header");
	colon += 1 + strspn(colon + 1, " \t");
	n = strlen(colon);
	while (n > 0 && strchr(" \t", colon[n - 1]) != NULL)
		n--;
	colon[n] = '\0';
	if (!is_field_value(colon))
		return fail(err, "a control character in a header");
	out->headers[out->count].name = line;
	out->headers[out->count++].value = colon;
	return true;
}

static size_t
count_headers(const struct http_head *head, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < head->count; i++)
		n += strcasecmp(head->headers[i].name, name) == 0 ? 1 : 0;
	return n;
}

const char *
http_header(const struct http_head *head, const char *name)
{
	for (size_t i = head->count; i > 0; i--) {
		if (strcasecmp(head->headers[i - 1].name, name) == 0)
			return head->headers[i - 1].value;
	}
	return NULL;
}

/* What two readers could take for different requests. */
static bool
check_unique(struct http_head *out, struct dm_err *err)
{
	static const char *const once[] = {
	    "Host", "Content-Length", "Content-Type", "Origin", "X-Devmesh", "Last-Event-ID"};
	const char *length = http_header(out, "Content-Length");

	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		if (count_headers(out, once[i]) > 1)
			return dm_fail(err, DM_USAGE, "the header %s is there twice", once[i]);
	}
	if (http_header(out, "Transfer-Encoding") != NULL) {
		(void)fail(err, "its body is in pieces");
		return dm_hint(err, "send a Content-Length");
	}
	if (length != NULL && !dm_parse_uint(length, 0, UINT32_MAX, &out->body_len))
		return fail(err, "its Content-Length");
	return true;
}

bool
http_head_parse(char *text, size_t len, struct http_head *out, struct dm_err *err)
{
	char *p = text, *line;
	const char *end = text + len;

	memset(out, 0, sizeof(*out));
	if ((line = cut_line(&p, end)) == NULL)
		return fail(err, "its first line");
	if (!parse_request_line(line, out, err))
		return false;
	while ((line = cut_line(&p, end)) != NULL && line[0] != '\0') {
		if (!parse_field(line, out, err))
			return false;
	}
	if (line == NULL || p != end)
		return fail(err, "a line of its head");
	return check_unique(out, err);
}
