/* SPDX-License-Identifier: MIT */
/* Where a user's files are: the XDG base directories, or their macOS counterparts. */
#ifndef DEVMESH_PATHS_H
#define DEVMESH_PATHS_H

#include "base/err.h"

/* $XDG_STATE_HOME/devmesh, else below $HOME as dm_os_state_subdir() says. The caller owns it. */
char *dm_state_dir(struct dm_err *err) DM_MUST;

/* $XDG_CONFIG_HOME/devmesh/config.ini, else ~/.config/devmesh/config.ini; NULL without $HOME. */
char *dm_user_config_file(void);

/*
 * A program by name in PATH, or by path: its absolute path, links kept; NULL if there is none that
 * could be run. Caller owns.
 */
char *dm_find_program(const char *name);

/* `path` made absolute against the working directory, without resolving links. Caller owns. */
char *dm_absolute(const char *path, struct dm_err *err) DM_MUST;

/*
 * The same with links resolved, as far as the path exists; what does not exist is appended, with
 * "." and ".." taken out. So a directory that is gone has the path it had. Caller owns.
 */
char *dm_resolve(const char *path, struct dm_err *err) DM_MUST;

#endif
