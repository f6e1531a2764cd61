/* SPDX-License-Identifier: MIT */
/* The history's file as a file: that nobody else can put another in its place, and setting aside.
 */
#ifndef DEVMESH_STORE_FILE_H
#define DEVMESH_STORE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct store_file {
	dev_t dev;
	ino_t ino;
};

/*
 * Makes the file if there is none (0600, with its directory), and says which one it is. Refused: a
 * link, another user's file, a directory that others may write to. Not to be called while SQLite
 * has the file open in this process: closing any descriptor gives up all its locks (fcntl(2)).
 */
bool store_file_check(const char *path, struct store_file *out, struct dm_err *err) DM_MUST;
/* Which file has the path; false, and none, if there is none. */
bool store_file_look(const char *path, struct store_file *out);
/* Whether the path still names that file. */
bool store_file_in_place(const char *path, const struct store_file *file);

/* Renames the closed file, with its journal, to "<path>.bad"; what had that name is gone. */
bool store_file_set_aside(const char *path, struct dm_err *err) DM_MUST;
/* Removes what was set aside over `max_age_s` ago. */
void store_file_forget_aside(const char *path, int64_t max_age_s);

#endif
