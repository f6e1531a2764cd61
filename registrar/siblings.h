/* SPDX-License-Identifier: MIT */
/*
 * Where the other services of the same piece of work are: a front end finds the back end of its
 * own branch by DEVMESH_URL_<APP>. For `env --all`, and for what `run` gives its command.
 */
#ifndef DEVMESH_SIBLINGS_H
#define DEVMESH_SIBLINGS_H

#include <stddef.h>

#include "base/err.h"
#include "session.h"

struct siblings {
	char **list; /* "DEVMESH_URL_API=https://...", by name; owned: siblings_release */
	size_t count;
};

/*
 * A sibling is a registered service of this user, of another app, with the same branch; of the
 * same worktree if there is no branch. Services of worktrees that are gone are none. Of several
 * with one app (two clones) the one of the same worktree counts, else the oldest, with a note.
 */
bool siblings_find(
    struct session *s, const struct claim *claim, struct siblings *out, struct dm_err *err) DM_MUST;
void siblings_release(struct siblings *siblings);

#endif
