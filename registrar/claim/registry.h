/* SPDX-License-Identifier: MIT */
/*
 * The registry: the directory of claims and sockets (/tmp/caddy-dev). Nothing else has to be
 * remembered; a scan rebuilds everything.
 *
 * The directory is shared with other users and world-writable, so: it must be sticky, links are
 * never followed, records are published complete (a temporary file and link(2), which fails if
 * the name exists), and nothing of another user is ever changed.
 */
#ifndef DEVMESH_REGISTRY_H
#define DEVMESH_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "claim/claim.h"
#include "model/name.h"

struct registry;

/*
 * Opens the directory, making it (mode 1777) if it is missing. Refuses a symbolic link, a
 * directory that others may write to without its being sticky, and a path too long for sockets.
 * The caller owns the result.
 */
struct registry *registry_open(const char *dir, struct dm_err *err) DM_MUST;
void registry_free(struct registry *reg);
DM_DEFINE_FREEP(registry)

/* The directory's path; borrowed. */
const char *registry_dir(const struct registry *reg);
/* "<dir>/<id>.sock"; the caller owns it. */
char *registry_socket(const struct registry *reg, const char *id);

/* Locks that this user's devmesh processes take; other users can neither hold nor block them. */
enum registry_lock {
	REGISTRY_LOCK_CLAIMS, /* around every change of claims: short */
	REGISTRY_LOCK_CADDY,  /* around every change of Caddy's configuration */
};
/* As dm_lock(). */
bool registry_lock(const struct registry *reg, enum registry_lock which, int64_t wait_ms, int *fd,
    struct dm_err *err) DM_MUST;

/*
 * The record of `id`: *out is NULL if there is none. A record of ours that cannot be understood
 * counts as none, with a warning; another user's is DM_CONFLICT. One that could not be read for
 * want of descriptors or memory is an error: dm_is_shortage(err->sys). The caller owns *out.
 */
bool registry_find(
    const struct registry *reg, const char *id, struct claim **out, struct dm_err *err) DM_MUST;

/* All records of this user, by id, aliases included; the caller owns them (registry_claims_free).
 */
struct registry_claims {
	struct claim **list;
	size_t count;
};
bool
registry_scan(const struct registry *reg, struct registry_claims *out, struct dm_err *err) DM_MUST;
void registry_claims_free(struct registry_claims *claims);

/* The same without those records for which `is_known` says that they were read already. */
typedef bool registry_is_known(const char *id, const struct claim_stamp *stamp, void *user);
bool registry_scan_unknown(const struct registry *reg, registry_is_known *is_known, void *user,
    struct registry_claims *out, struct dm_err *err) DM_MUST;

/*
 * Which id the worktree has, or would get: the answer of every verb. An id that it already holds
 * comes first; then the name's own, if it is free; then name_alternative() and
 * name_last_resort(). *held tells whether it is already claimed. When none is to be had, the
 * error (DM_CONFLICT) names the other worktree.
 */
bool registry_resolve(const struct registry *reg, const struct name *name, const char *worktree,
    bool force, struct slug *id, bool *held, struct dm_err *err) DM_MUST;

/*
 * Claims, under the lock: resolves as above, fills in the claim's id (and its socket, if it has
 * neither port nor socket yet), lets `complete` fill in the rest or refuse, and writes the
 * record. `force` takes the name's own id from another worktree of the same user. An unchanged
 * record is not written, and keeps its time. *held tells whether it was claimed before.
 */
typedef bool registry_complete_fn(struct claim *claim, void *user, struct dm_err *err);
bool registry_take(struct registry *reg, const struct name *name, bool force, struct claim *claim,
    registry_complete_fn *complete, void *user, bool *held, struct dm_err *err) DM_MUST;

/*
 * Writes down which `devmesh run` serves the claim, and how. *ours is false, and nothing is
 * written, if the record is gone, or by now says another worktree or another living runner.
 */
bool registry_set_run(struct registry *reg, const struct claim *claim, const struct claim_run *run,
    bool *ours, struct dm_err *err) DM_MUST;

/*
 * Pins the claim, or no longer: until it is taken down no clean-up removes it, whatever becomes of
 * its worktree. Registering it again changes nothing about that. *ours as above.
 */
bool registry_set_pinned(struct registry *reg, const struct claim *claim, bool pinned, bool *ours,
    struct dm_err *err) DM_MUST;

/*
 * Writes down how Caddy leads to the claim's service by now, unless the record is gone or says
 * another worktree.
 */
bool registry_set_registration(struct registry *reg, const struct claim *claim,
    enum claim_registration registration, struct dm_err *err) DM_MUST;

/*
 * Lets the claim, and an alias that leads to it, follow their worktree to the path where that is
 * now, with a socket that was inside it; the id stays. *ours is false, and nothing is written, if
 * the record is gone, or says another worktree, or the old path is still there. Doing it again
 * changes nothing.
 */
bool registry_move(struct registry *reg, const struct claim *claim, const char *worktree,
    bool *ours, struct dm_err *err) DM_MUST;

/* Whether the bare app name may become, or stay, an alias of the claim. */
bool registry_alias_is_free(const struct registry *reg, const struct claim *claim);

/*
 * Lets the bare app name lead to the claim as well, at `host` and `url`: a record of its own and
 * a link beside the socket. *taken is false when somebody else has the name.
 */
bool registry_take_alias(struct registry *reg, const struct claim *claim, const char *host,
    const char *url, bool *taken, struct dm_err *err) DM_MUST;

/* Removes the record (and an alias that leads to it) if it is still ours. Sockets stay. */
bool registry_release(struct registry *reg, const struct claim *claim, struct dm_err *err) DM_MUST;

/* Ids of this user's *.sock files, claimed or not; the caller frees each and the array. */
bool registry_sockets(
    const struct registry *reg, char ***ids, size_t *count, struct dm_err *err) DM_MUST;

/* Removes temporary files that dead processes of ours left. How many. */
unsigned registry_sweep_temporary(struct registry *reg, bool dry_run);

#endif
