/* SPDX-License-Identifier: MIT */
/* What mender.c (what is wrong) and mender_work.c (putting it right, in a worker) share. */
#ifndef DEVMESH_MENDER_IMPL_H
#define DEVMESH_MENDER_IMPL_H

#include "base/proc.h"
#include "base/sock.h"
#include "mend.h"
#include "mender.h"

struct event;

/* A socket of ours in the registry's directory that no claim has, and that refuses. */
struct stray {
	char *path;
	struct dm_sock_info seen;
	int64_t since_ms;
	bool counted;
};

struct move {
	char *from, *to;
};

/* A route that was put right lately. */
struct mended {
	char *id;
	unsigned times;
	int64_t last_ms;
};

struct mender {
	struct daemon *d;
	struct event *timer;
	struct mender_counts counts;
	char *problem;

	int64_t due_ms; /* of the timer; 0: not set */
	int64_t looked_ms;

	bool working;		     /* a worker is at it */
	bool want_clean, want_caddy; /* what for */
	bool want_dead;		     /* routes without claims as well */
	bool want_start;	     /* of the private mesh's Caddy */
	struct move *moves;	     /* of worktrees */
	size_t move_count, moving;   /* the first ones are what the worker has been given */
	struct mended *mended_routes;
	size_t mended_route_count;
	int64_t caddy_since; /* of these: a Caddy that came anew has lost them all by itself */
	unsigned mended;     /* by this worker */
	bool failed;
	uint64_t needs, tried; /* what is wanted, as one number; the same of the last try */
	int64_t pause_ms, not_before_ms;
	int64_t thorough_ms;	/* the next time */
	int64_t crashed_ms;	/* the private mesh's Caddy has been gone since; 0: it has not */
	int64_t dead_routes_ms; /* there have been some since; 0: none */

	struct stray *strays;
	size_t stray_count;
	int64_t strays_ms; /* when they are looked for next */

	struct dm_proc_id *told; /* servers that were told to end: once is enough */
	size_t told_count;
};

/* Whether the worker may act on a claim: mender.c decides. For mend_options. */
bool mender_may(const struct claim *claim, void *user);

/* Tells of a mend, of a failure (once, as long as it is the same). */
void mender_tell(struct mender *m, const struct mend *mend);
void mender_tell_failure(struct mender *m, const char *message);

/* Starts a worker for what is wanted. */
void mender_work(struct mender *m);
/* Whether claims are to follow a worktree that has moved; forgets moves that concern nobody. */
bool mender_has_moves(struct mender *m);
void mender_close_moves(struct mender *m);
/* Whether the same thing was mended so often of late that somebody must be undoing it. */
bool mender_is_fought(const struct mender *m, const char *name, int64_t *until_ms);

#endif
