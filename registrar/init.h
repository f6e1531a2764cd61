/* SPDX-License-Identifier: MIT */
/*
 * `devmesh init`: what it would write for a tool is first planned, as texts of whole files, then
 * shown, then written. Planning reads only; init_text.c and init_json.c do it, one function for
 * each tool. A file that exists is extended by edit/: what the user wrote stays, byte for byte.
 */
#ifndef DEVMESH_INIT_H
#define DEVMESH_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "repo/repo.h"

enum {
	INIT_FILES = 4,
	INIT_HINTS = 6
};

struct init_file {
	char *name;   /* as shown: relative to the worktree or the git directory */
	char *path;   /* links resolved, as far as it exists */
	mode_t mode;  /* the file's own, or the one to make it with */
	char *before; /* NULL: there is no such file */
	char *after;  /* NULL: it is to be removed, or not to be made */
	bool written;
};

/* What is wanted, and what is planned. Strings of the first part are borrowed. */
struct init {
	const struct repo *repo;
	const char *command; /* of the dev server; NULL: found in package.json, or none */
	const char *script;  /* npm script, process or service; NULL: the usual one */
	const char *port;    /* that the service of compose listens on */
	bool remove, gitignore, skill;

	struct init_file files[INIT_FILES];
	size_t count;
	char *hints[INIT_HINTS]; /* what is left to the user */
	size_t hint_count;
};

struct init_tool {
	const char *name;
	const char *file;      /* that it writes, as shown */
	const char *summary;   /* what that does */
	const char *program;   /* its presence in PATH tells that the tool is used; NULL: none */
	const char *traces[5]; /* files of the worktree that tell the same, NULL-terminated */
	bool (*plan)(struct init *in, struct dm_err *err);
};

extern const struct init_tool init_tools[]; /* ended by a row without a name */

const struct init_tool *init_tool_find(const char *name);
/* Whether the tool seems to be used in this worktree. */
bool init_tool_detected(const struct init_tool *tool, const struct repo *repo);

/* Whether its file has what init would write. */
bool init_tool_is_set_up(const struct init_tool *tool, const struct repo *repo);

/* Plans the tool, and that .id is not in the way of git status. Release `in` either way. */
bool init_plan(struct init *in, const struct init_tool *tool, struct dm_err *err) DM_MUST;
/* Whether the plan changes anything. */
bool init_changes(const struct init *in);
/* Writes the planned files that differ; DM_CONFLICT if one has changed since it was read. */
bool init_write(struct init *in, struct dm_err *err) DM_MUST;
void init_release(struct init *in);

/* ---- for the planners -------------------------------------------------------------------- */

/*
 * Reads the file `name` below `root` into a new row: *file->before and ->after are its text, or
 * NULL. DM_DENIED if a link leads out of root, DM_USAGE if it is no text file. Borrowed.
 */
bool init_read(struct init *in, const char *root, const char *name, struct init_file **file,
    struct dm_err *err);
/* The same below the worktree. */
bool init_read_here(struct init *in, const char *name, struct init_file **file, struct dm_err *err);
/* Sets the file's new text (owned by the file from now on; NULL: remove it). */
void init_set(struct init_file *file, char *text);
void init_hint(struct init *in, const char *fmt, ...) DM_PRINTF(2, 3);
/*
 * Puts a block (edit/block.h) of `mark` at the end of the file, or at `at` if that is not
 * SIZE_MAX, unless the file has it; with in->remove, strips it. `skeleton` is what else a new
 * file begins with ("#!/bin/sh\n").
 */
void init_block(struct init *in, struct init_file *file, const char *mark, const char *body,
    size_t at, const char *skeleton);
/* DM_CONFLICT with the lines to add by hand in the hint. Always false. */
bool
init_refuse(struct dm_err *err, const struct init_file *file, const char *why, const char *snippet);
/*
 * What starts the dev server with its URL: "devmesh run -- " and --command, else "npm run dev" (or
 * start) where package.json has it; without the beginning where the script has it already. NULL:
 * unknown. The caller owns it.
 */
char *init_run_command(const struct init *in);
/*
 * Whether a shell would read more than a program and its words out of the command, so that nothing
 * can be put in front of it: "a && b", "FOO=bar a", "exec a", or nothing at all.
 */
bool init_is_compound(const char *command);

bool init_worktrunk(struct init *in, struct dm_err *err);
bool init_git(struct init *in, struct dm_err *err);
bool init_mise(struct init *in, struct dm_err *err);
bool init_direnv(struct init *in, struct dm_err *err);
bool init_codex(struct init *in, struct dm_err *err);
bool init_procfile(struct init *in, struct dm_err *err);
bool init_compose(struct init *in, struct dm_err *err);
bool init_claude(struct init *in, struct dm_err *err);
bool init_conductor(struct init *in, struct dm_err *err);
bool init_cursor(struct init *in, struct dm_err *err);
bool init_npm(struct init *in, struct dm_err *err);

#endif
