/* SPDX-License-Identifier: MIT */
/*
 * What change.c (one route) and batch.c (many of one server) share: a change that is attempted
 * until a deadline, by reads with their ETag and writes with If-Match. For nobody else.
 */
#ifndef DEVMESH_CHANGE_IMPL_H
#define DEVMESH_CHANGE_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "caddy/admin.h"
#include "caddy/etag.h"

struct cJSON;

/* One change being attempted until its deadline. */
struct attempt {
	struct caddy_admin *admin;
	int64_t deadline;
	int64_t pause;
	unsigned jitter;
	struct http_reply reply; /* the last one */
	/* Does Caddy know stream_close_delay? What a route of ours that was met shows. */
	enum {
		DELAY_UNKNOWN,
		DELAY_NO,
		DELAY_YES
	} delay;
};

void attempt_begin(struct attempt *a, struct caddy_admin *admin);
void attempt_end(struct attempt *a);

#define AUTO_ATTEMPT __attribute__((cleanup(attempt_end)))

/* Waits before another try; false, with *err saying why, when time is up. */
bool attempt_back_off(struct attempt *a, const char *why, struct dm_err *err) DM_MUST;

/*
 * GET with its ETag. Resets and the like are tried again; *json (the caller owns it) is NULL when
 * the answer is not 200 (see a->reply).
 */
bool attempt_get(struct attempt *a, const char *path, struct cJSON **json, char etag[ETAG_MAX],
    bool *in_trailer, struct dm_err *err) DM_MUST;

/*
 * One conditional write. True with *done when it was carried out; true without it when the
 * caller has to look again (412, or an unknown outcome).
 */
bool attempt_write(struct attempt *a, const char *method, const char *path, const char *body,
    const char *etag, bool *done, struct dm_err *err) DM_MUST;

/*
 * Whether the running Caddy knows stream_close_delay: certain if the ETag is a header (2.8); else
 * what routes of ours show; else a tiny Caddyfile is given to /adapt, which applies nothing.
 */
bool attempt_knows_close_delay(struct attempt *a, const struct cJSON *routes, bool etag_in_trailer);

/* "/config/apps/http/servers/<server>/routes"; the caller owns it. */
char *change_list_path(const char *server);

#endif
