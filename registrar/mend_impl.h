/* SPDX-License-Identifier: MIT */
/* What the parts of mend.h share: mend.c (clean-up), mend_look.c and mend_routes.c (Caddy). For
 * nobody else. */
#ifndef DEVMESH_MEND_IMPL_H
#define DEVMESH_MEND_IMPL_H

#include "caddy/batch.h"
#include "mend.h"
#include "placement.h"

/* One run of mending. */
struct mend_run {
	struct session *s;
	const struct mend_options *options;
	struct dm_err first; /* the first error; code DM_OK: none */
};

void mend_tell(const struct mend_run *run, const char *what, const char *kind, const char *name,
    const char *reason);
/* Keeps it if it is the first; the others go on. */
void mend_failed(struct mend_run *run, const struct dm_err *err);
/* The result of it all. */
bool mend_end(const struct mend_run *run, struct dm_err *err) DM_MUST;

/* Whether the options let the claim be acted on. */
bool mend_concerns(const struct mend_run *run, const struct claim *claim);

/* Whether a devmesh run that is dead served it. Another server may do so by now. */
bool mend_was_killed(const struct claim *claim);

/* What mend_routes() is to look for. */
struct mend_route_wants {
	bool dead;			   /* routes of ours without claim and listener */
	bool lost;			   /* what Caddy has lost, and what is there twice */
	const struct claim *const *doomed; /* claims that are about to be removed */
	size_t doomed_count;
};

/* A route to be written. */
struct mend_wanted {
	const struct claim *claim; /* borrowed from the claims of this turn */
	struct placement place;
	char *dial;
};

struct mend_change {
	const char *what, *reason; /* static */
	char *name;
	bool made;
};

struct mend_told {
	struct mend_change *changes;
	size_t count;
};

/* What is to be done to one of Caddy's servers. */
struct mend_job {
	char *server;
	struct mend_wanted **put; /* the array is owned */
	size_t put_count;
	char **remove; /* owned */
	size_t remove_count;
	bool has_mesh;
	struct mesh_spec mesh;
	size_t *changes; /* by index: what is told when it is done */
	size_t change_count;
};

struct mend_look {
	struct mend_run *run;
	const struct mend_route_wants *wants;
	struct registry_claims claims;
	struct mend_wanted **wanted;
	size_t wanted_count;
	struct mend_job *jobs;
	size_t job_count;
	struct mend_wanted **singly; /* those that cannot go into a batch; with their changes: */
	size_t *singly_changes;
	size_t singly_count;
	const struct claim **meshless; /* claims that rely on a mesh route that is not there */
	size_t meshless_count;
	char *mesh_domain, *mesh_identity; /* of the one that will be made */
	struct mend_told *told;
	struct dm_err first;
};

/* Looks at claims and routes as they are now: what there is to do. The struct begins as zeros. */
bool mend_look(struct mend_look *look, struct dm_err *err) DM_MUST;
void mend_look_failed(struct mend_look *look, const struct dm_err *err);
/* Releases everything but what is to be told. */
void mend_look_release(struct mend_look *look);

/*
 * Puts Caddy's routes right, in one write for each of its servers. What was done is kept for
 * mend_routes_tell(), which also releases it; what went wrong goes to run->first.
 */
struct mend_told *mend_routes(struct mend_run *run, const struct mend_route_wants *wants);
void mend_routes_tell(const struct mend_run *run, struct mend_told *told);

#endif
