/* SPDX-License-Identifier: MIT */
/*
 * Shares: which services other devices may open. Nothing is, unless somebody says so. A share is a
 * file in the directory of caddy/gate.h, whose name is what Caddy goes by, and whose content, for
 * this user alone, says which worktree it is for: another one that gets the name does not inherit.
 */
#ifndef DEVMESH_SHARE_H
#define DEVMESH_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/netif.h"
#include "caddy/gate.h"
#include "claim/registry.h"

enum {
	SHARE_USER_MAX = 32,
	SHARE_HASH_MAX = 128,
	SHARE_S_MAX = 366 * 86400, /* for which it can be asked */
};

struct share {
	struct slug id;
	enum gate_reach reach;
	int64_t since, until;	       /* seconds since the epoch; GATE_FOREVER: no end */
	char user[SHARE_USER_MAX + 1]; /* who has to log in; "": nobody */
	char hash[SHARE_HASH_MAX + 1]; /* of the password */
};

/* The directory for the services whose identity documents are in `identity_dir`. The caller owns
 * it. */
char *share_dir(const char *identity_dir);

/*
 * The claim's share as of now, in the directory that belongs to claim->identity. False if it has
 * none: never made, over, or made for another worktree.
 */
bool share_find(const struct claim *claim, struct share *out);
/* The same in another directory. */
bool share_find_in(const char *dir, const struct claim *claim, struct share *out);

/* Whether it asks for a password, as only a route of its own can. */
bool share_needs_login(const struct claim *claim);

/*
 * Shares the claim's service, in place of an earlier share, under `alias` as well if that is not
 * NULL. The directory is made if it is missing; one that others may write to is refused.
 */
bool share_put(const struct claim *claim, const struct slug *alias, const struct share *share,
    struct dm_err *err) DM_MUST;

/* Ends it, under every name. *was: there was one, even if it was over by itself. */
bool share_end_in(const char *dir, const char *id, bool *was, struct dm_err *err) DM_MUST;
/* The same in the directory that belongs to claim->identity. */
bool share_end(const struct claim *claim, bool *was, struct dm_err *err) DM_MUST;

/*
 * The same for a service that is taken down for good, unless the name is another worktree's by now.
 * What goes wrong is a warning.
 */
void share_forget(const struct claim *claim);

/*
 * Removes what was shared under the claim's name for another service, and what of the claim's
 * service is of another worktree; with `alias`, what was shared under that name for another one.
 */
void share_settle(const struct claim *claim, const struct slug *alias);

/* The claim's worktree is at another path now: its share goes along. */
bool share_move(const struct claim *claim, const char *worktree, struct dm_err *err) DM_MUST;

/* Calls fn for every share in `dir` that is not over, once for each service, in no order. */
typedef void share_fn(void *user, const struct share *share, const char *worktree);
void share_each(const char *dir, share_fn *fn, void *user);

/*
 * Removes the files of shares that are over, and with `reg` (else NULL) those whose worktree is
 * gone and whose name is nobody's. When the next one will be over; GATE_FOREVER: never.
 */
int64_t share_sweep(const char *dir, const struct registry *reg);

/*
 * Says until when these addresses are this machine's own, which the gate cannot tell for itself
 * before Caddy 2.8, and that `name`, the dashboard's, may be opened from elsewhere (NULL: none).
 * What was said before is so no more.
 */
void share_own(const char *dir, const struct netif_address *addresses, size_t count,
    const char *name, int64_t until);

/* Whether it is said of any address, as of now. */
bool share_knows_own(const char *dir);

#endif
