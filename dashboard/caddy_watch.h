/* SPDX-License-Identifier: MIT */
/*
 * Caddy, watched: whether its admin API answers, and whether its configuration has changed. One GET
 * a second at most, never so many that it costs more than a small part of the time; its process's
 * end is seen at once.
 */
#ifndef DEVMESH_CADDY_WATCH_H
#define DEVMESH_CADDY_WATCH_H

#include <stdint.h>
#include <sys/types.h>

#include "access.h"
#include "base/err.h"
#include "base/proc.h"

struct daemon;
struct caddy_watch;

enum caddy_state {
	CADDY_UNKNOWN, /* not asked yet */
	CADDY_UP,
	CADDY_DOWN, /* nobody listens */
	CADDY_HUNG, /* it accepts, and does not answer */
};

struct caddy_info {
	enum caddy_state state;
	const char *admin;   /* address; NULL: none yet */
	const char *problem; /* why it is not up; NULL while it is */
	pid_t pid;	     /* 0: unknown */
	int64_t since;	     /* of the state; seconds since the epoch */
	int64_t read_ms;     /* when the view was last found to be right (dm_now_ms); 0: never */
	unsigned changes;    /* how often its configuration was seen to change */
};

struct caddy_watch *caddy_watch_open(struct daemon *d, struct dm_err *err) DM_MUST;
void caddy_watch_close(struct caddy_watch *caddy);
/* Asks now: something was written to it, or somebody wants to know. */
void caddy_watch_ask(struct caddy_watch *caddy);
/* Its configuration, or the admin API's address, may have been changed in ours. */
void caddy_watch_reload(struct caddy_watch *caddy);
/* The process has ended. */
void caddy_watch_process_ended(struct caddy_watch *caddy, const struct dm_proc_id *id);
/* Borrowed until the loop's next turn. */
struct caddy_info caddy_watch_info(const struct caddy_watch *caddy);
/* The user that it runs as, while it is up and that can be told; NULL otherwise. Borrowed. */
const struct access_user *caddy_watch_user(const struct caddy_watch *caddy);
/* "up", ... Static storage. */
const char *caddy_state_name(enum caddy_state state);

#endif
