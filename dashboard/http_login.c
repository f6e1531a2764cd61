/* SPDX-License-Identifier: MIT */
#include "http_login.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "http_guard.h"

struct entry {
	struct http_token secret;
	struct http_token mark; /* of logins */
	int64_t ends_ms;	/* 0: there is none */
};

struct http_login {
	struct entry codes[HTTP_LOGINS_MAX], logins[HTTP_LOGINS_MAX];
};

struct http_login *
http_login_new(void)
{
	return dm_calloc(1, sizeof(struct http_login));
}

void
http_login_free(struct http_login *login)
{
	free(login);
}

/* The place of the one that ends first, or has ended. */
static struct entry *
oldest(struct entry list[HTTP_LOGINS_MAX])
{
	struct entry *found = &list[0];

	for (size_t i = 1; i < HTTP_LOGINS_MAX; i++) {
		if (list[i].ends_ms < found->ends_ms)
			found = &list[i];
	}
	return found;
}

static bool
add(struct entry list[HTTP_LOGINS_MAX], int64_t ends_ms, struct http_token *secret,
    struct http_token *mark, struct dm_err *err)
{
	struct entry *entry = oldest(list);

	if (!http_token_random(secret, err) || !http_token_random(mark, err))
		return false;
	*entry = (struct entry){.secret = *secret, .mark = *mark, .ends_ms = ends_ms};
	return true;
}

/* NULL: it is none of them, or not any more. All are compared, so time tells nothing. */
static const struct entry *
find(const struct entry list[HTTP_LOGINS_MAX], int64_t now_ms, const char *secret)
{
	const struct entry *found = NULL;

	for (size_t i = 0; i < HTTP_LOGINS_MAX; i++) {
		if (list[i].ends_ms > now_ms && http_token_equal(secret, list[i].secret.text))
			found = &list[i];
	}
	return found;
}

bool
http_login_code(
    struct http_login *login, int64_t now_ms, struct http_token *out, struct dm_err *err)
{
	struct http_token unused;

	return add(login->codes, now_ms + (int64_t)HTTP_LOGIN_CODE_S * 1000, out, &unused, err);
}

bool
http_login_enter(struct http_login *login, int64_t now_ms, const char *code,
    struct http_token *cookie, struct http_token *mark, struct dm_err *err)
{
	const struct entry *found = find(login->codes, now_ms, code);

	if (found == NULL) {
		(void)dm_fail(err, DM_DENIED,
		    "this login address was used already, or is older than %d seconds",
		    HTTP_LOGIN_CODE_S);
		return dm_hint(err, "devmesh open makes a new one");
	}
	login->codes[found - login->codes].ends_ms = 0;
	return add(login->logins, now_ms + (int64_t)HTTP_LOGIN_S * 1000, cookie, mark, err);
}

bool
http_login_holds(const struct http_login *login, int64_t now_ms, const char *header,
    const char *mark, bool *marked)
{
	static const char name[] = HTTP_LOGIN_COOKIE "=";
	const struct entry *found = NULL;

	*marked = false;

	/* RFC 6265 §4.2.1: name=value, separated by "; " */
	for (const char *p = header; p != NULL && *p != '\0'; p += strspn(p, "; ")) {
		size_t n = strcspn(p, ";");
		struct http_token value;

		if (dm_starts_with(p, name) &&
		    dm_snprintf(value.text, sizeof(value.text), "%.*s",
			(int)(n - (sizeof(name) - 1)), p + sizeof(name) - 1) &&
		    (found = find(login->logins, now_ms, value.text)) != NULL) {
			*marked = mark != NULL && http_token_equal(mark, found->mark.text);
			return true;
		}
		p += n;
	}
	return false;
}
