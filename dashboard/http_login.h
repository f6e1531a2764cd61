/* SPDX-License-Identifier: MIT */
/*
 * Who is logged in with a browser. `devmesh open` has a code made, by the control socket, which
 * only the user can reach; the code is good for one login within a minute. The login is a cookie
 * that no page can read (RFC 6265, "__Host-"), and a mark, which the page sends along with what
 * changes something: cookies go to every port of a host, so whoever listens on one of this
 * machine's could get the cookie; what a page keeps belongs to its origin alone. They end with the
 * daemon.
 */
#ifndef DEVMESH_HTTP_LOGIN_H
#define DEVMESH_HTTP_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "http_token.h"

#define HTTP_LOGIN_COOKIE "__Host-devmesh"

enum {
	HTTP_LOGIN_CODE_S = 60,
	HTTP_LOGIN_S = 3 * 24 * 3600,
	HTTP_LOGINS_MAX = 16, /* codes, and logins: one more ends the oldest */
};

struct http_login;

/* The caller owns it. */
struct http_login *http_login_new(void);
void http_login_free(struct http_login *login);
DM_DEFINE_FREEP(http_login)

/* Times are of dm_now_ms(), and given so that this is pure but for its random numbers. */

/* A new code. */
bool http_login_code(
    struct http_login *login, int64_t now_ms, struct http_token *out, struct dm_err *err) DM_MUST;
/* Takes the code, which may be anything, and logs in: the cookie's new value, and the mark. */
bool http_login_enter(struct http_login *login, int64_t now_ms, const char *code,
    struct http_token *cookie, struct http_token *mark, struct dm_err *err) DM_MUST;
/*
 * Whether the header Cookie (NULL: none) has a login that still holds; *marked, whether the mark
 * (NULL: none) is the one that was given with it.
 */
bool http_login_holds(const struct http_login *login, int64_t now_ms, const char *header,
    const char *mark, bool *marked);

#endif
