/* SPDX-License-Identifier: MIT */
/*
 * Identity documents: what https://<host>/.well-known/devmesh answers. A file <id>.json for each
 * claim, and for its alias, served by Caddy; flat JSON, schema_version 1:
 *
 *   id         the claim's, also in an alias's document
 *   alias_of   only in an alias's document: the same id
 *   app, branch, worktree, url
 *   commit     full hash of HEAD; null without git
 *   dirty      whether tracked files differ from it; null when git was too slow to say
 *   pid        of the server (behind a bridge); null while none is known
 *   started    when that server was first seen, or the claim was made; seconds since the epoch
 *   observed   when all this was written down
 *
 * They are not in the registry's directory: others may write there, and Caddy follows links.
 * `claim->identity` says where, and only a directory that nobody else may write to is used. What
 * goes wrong with a document is a warning, never a verb's failure, but a wrong one does not stay.
 */
#ifndef DEVMESH_IDENTITY_H
#define DEVMESH_IDENTITY_H

#include <stdbool.h>

#include "claim/registry.h"
#include "session.h"

/*
 * Where documents are unless a mesh route names another place: "<state_dir>/identity", made
 * (0700) if it is missing and `make` is set. NULL if there can be no such directory, or Caddy
 * would not take its path literally. The caller owns it.
 */
char *identity_dir(struct session *s, bool make);

/*
 * Writes the documents of a claim of ours as things are now, which takes up to 50 ms (git status).
 * When they cannot be written, or another checkout answers for the claim, there will be none.
 * Whether there are.
 */
bool identity_publish(const struct registry *reg, const struct claim *claim);

/*
 * Removes the documents of a claim that was released. What another worktree has claimed since
 * stays.
 */
void identity_withdraw(const struct registry *reg, const struct claim *claim);

/* Removes the one document that `claim`, about to be replaced, has. The lock of claims is held. */
void identity_forget(const struct registry *reg, const struct claim *claim);

/*
 * Removes documents in `dir` that no claim of ours has (any more), and calls `say` (may be NULL)
 * with the path of each. Files that are no identity documents stay.
 */
void identity_sweep(const struct registry *reg, const char *dir, bool dry_run,
    void (*say)(void *user, const char *path), void *user);

#endif
