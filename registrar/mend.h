/* SPDX-License-Identifier: MIT */
/*
 * Putting things right, by evidence: what `gc` removes, and what Caddy has lost. Nothing alive is
 * touched, and nothing of others. Each change is told with its reason.
 */
#ifndef DEVMESH_MEND_H
#define DEVMESH_MEND_H

#include <stdbool.h>

#include "base/err.h"
#include "base/sock.h"
#include "session.h"

struct access_user;

/* One change that was made, or with dry_run would be; valid during the call. */
struct mend {
	const char *what;   /* "removed", "restored", "replaced", "changed", "ended" */
	const char *kind;   /* "claim", "socket", "route", "alias", "document", "processes", ... */
	const char *name;   /* an id, or a path */
	const char *reason; /* "its worktree is gone" */
};
typedef void mend_say(void *user, const struct mend *mend);

/* Everything is borrowed. */
struct mend_options {
	bool dry_run;
	const char
	    *worktree; /* only what belongs to this one, which may be gone; NULL: everything */
	/* Whether a claim may be acted on now; NULL: any. For whoever gives things time. */
	bool (*may)(const struct claim *claim, void *user);
	bool keep_sockets, keep_routes; /* those that no claim has */
	mend_say *say;
	void *user; /* of both */
};

/*
 * Removes what is certainly dead: claims whose worktree is gone and for which nothing listens, what
 * a killed devmesh run has left, aliases that lead nowhere, sockets that refuse twice, routes of
 * ours without claim and listener (all in one write), identity documents and temporary files of
 * nobody. Each part does what it can; the first error is returned.
 */
bool
mend_clean_up(struct session *s, const struct mend_options *options, struct dm_err *err) DM_MUST;

/*
 * Gives Caddy back, in one write, what it has lost: the routes of live claims that have one of
 * their own, and the mesh route if claims rely on one. Removes routes of ours that are there twice,
 * and, in the same write, those that are dead. Refuses, with an error that says so, where that
 * would turn on HTTPS unasked (caddy_view_settled).
 */
bool mend_caddy(struct session *s, const struct mend_options *options, struct dm_err *err) DM_MUST;

/*
 * Lets Caddy connect to a listening socket of ours: where it runs as another user, who may not
 * write to the socket, the mode becomes 0666, told as "changed". Only the very file that was seen
 * (`seen`: dm_sock_probe()), no link; one that has gone since is no error.
 */
bool
mend_socket_mode(const char *path, const struct dm_sock_info *seen, const struct access_user *caddy,
    const struct mend_options *options, struct dm_err *err) DM_MUST;

#endif
