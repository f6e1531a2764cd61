/* SPDX-License-Identifier: MIT */
/* What a change of a text file does, as a unified diff: shown before anything is written. */
#ifndef DEVMESH_DIFF_H
#define DEVMESH_DIFF_H

#include "base/str.h"

/*
 * Appends the diff of the file `name` from `before` to `after`; NULL stands for no file. Nothing
 * is appended if they are equal. There is one hunk, from the first line that differs to the last,
 * which patch(1) and git apply understand. The names are made printable, the lines are not.
 */
void diff_unified(const char *name, const char *before, const char *after, struct dm_str *out);

#endif
