/* SPDX-License-Identifier: MIT */
/*
 * Who is logged in with a browser. `devmesh open` has a code made, by the control socket, which
 * only the user can reach; the code is good for one login within a minute, and the login is a
 * cookie that no page can read (RFC 6265, "__Host-"). They end with the daemon.
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
/* Takes the code, which may be anything, and logs in: *cookie is the cookie's new value. */
bool http_login_enter(struct http_login *login, int64_t now_ms, const char *code,
    struct http_token *cookie, struct dm_err *err) DM_MUST;
/* Whether the header Cookie (NULL: none) has a login that still holds. */
bool http_login_holds(const struct http_login *login, int64_t now_ms, const char *header);

#endif
