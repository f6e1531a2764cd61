/* SPDX-License-Identifier: MIT */
/*
 * Talking to devmeshd: its control socket, "<state_dir>/devmeshd.sock", mode 0600. One line of JSON
 * each way, at most CTL_LINE_MAX bytes; the same paths and answers as its HTTP API, and a few more.
 *
 *   to it     {"v":1,"method":"GET","path":"/api/v1/state","body":{...}}
 *   from it   {"v":1,"version":"0.1.0","status":200,"type":"application/json","body":{...}}
 *
 * A body that is no JSON is a string. After GET /api/v1/events, lines follow until one side closes:
 *
 *             {"v":1,"event":"service","seq":17,"data":{...}}
 *
 * Another "v" is answered with status 426. Only processes of the same user are answered (unix(7),
 * SO_PEERCRED).
 */
#ifndef DEVMESH_CTL_H
#define DEVMESH_CTL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

#define CTL_PROTOCOL 1

enum {
	CTL_LINE_MAX = 16 << 20, /* of an answer: the state of a large mesh */
	CTL_REQUEST_MAX = 64 << 10,
};

struct cJSON;
struct ctl;

/* "<state_dir>/devmeshd.sock"; the caller owns it. */
char *ctl_path(const char *state_dir);

/*
 * Connects. DM_UNREACHABLE if no daemon runs (a socket file proves nothing), DM_TIMEOUT. Nothing is
 * started. The caller owns the result.
 */
struct ctl *ctl_open(const char *state_dir, int64_t timeout_ms, struct dm_err *err) DM_MUST;
void ctl_free(struct ctl *ctl);
DM_DEFINE_FREEP(ctl)

/* Owned by the caller: ctl_reply_release(). */
struct ctl_reply {
	int status;
	char *version;	    /* of the daemon */
	struct cJSON *body; /* NULL: none */
};
void ctl_reply_release(struct ctl_reply *reply);
#define CTL_AUTO_REPLY __attribute__((cleanup(ctl_reply_release)))

/*
 * Asks, and waits for the answer. `body` is borrowed; NULL: none. Any status is an answer.
 */
bool ctl_ask(struct ctl *ctl, const char *method, const char *path, const struct cJSON *body,
    int64_t timeout_ms, struct ctl_reply *reply, struct dm_err *err) DM_MUST;

/* Sets *err to what a reply with a status of 400 or more says. Always returns false. */
bool ctl_refused(const struct ctl_reply *reply, const char *what, struct dm_err *err);

/*
 * The next line of an event stream, owned by the caller (cJSON_Delete); NULL at its end, with *err
 * set, or when `timeout_ms` (-1: none) has passed (DM_TIMEOUT).
 */
struct cJSON *ctl_next(struct ctl *ctl, int64_t timeout_ms, struct dm_err *err) DM_MUST;

#endif
