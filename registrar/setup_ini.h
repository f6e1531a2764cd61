/* SPDX-License-Identifier: MIT */
/* Lines that setup puts into a configuration file which otherwise is the user's. Pure. */
#ifndef DEVMESH_SETUP_INI_H
#define DEVMESH_SETUP_INI_H

#include "base/err.h"

/*
 * The text with "key = value" in the section, below a comment that says who wrote it; everything
 * else stays as it is. The caller owns it. NULL and DM_CONFLICT if the user has set the key to
 * something else.
 */
char *setup_ini_set(const char *text, const char *section, const char *key, const char *value,
    struct dm_err *err) DM_MUST;

/* The text without the lines that setup_ini_set() has put there. The caller owns it. */
char *setup_ini_clear(const char *text);

/* Whether nothing but empty lines and names of sections is left. */
bool setup_ini_is_empty(const char *text);

#endif
