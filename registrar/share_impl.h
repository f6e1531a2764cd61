/* SPDX-License-Identifier: MIT */
/* Between share.c, which has what is shared, and share_own.c, which has what is our own. */
#ifndef DEVMESH_SHARE_IMPL_H
#define DEVMESH_SHARE_IMPL_H

#include "share.h"

/*
 * Opens the directory, if it is ours; -1 with errno. One that others may write to is so no more:
 * Caddy would go by what they put there, whatever we make of it.
 */
int share_open_dir(const char *dir);

/*
 * Makes it if it is missing, readable for a Caddy that is another user; its parent is as private as
 * it has to be. As above.
 */
int share_make_dir(const char *dir);

/* Those who change files take turns: a descriptor to close; -1: err says why not. */
int share_take_turn(const char *dir, struct dm_err *err);

/* The name of a share's file: "<id>.<reach>.<until>". */
bool share_parse_name(const char *file, struct share *out);

#endif
