/* SPDX-License-Identifier: MIT */
/*
 * The name of a worktree's service: one function, used by every verb. Pure: what is known about
 * the worktree goes in, the name and where each part came from comes out.
 */
#ifndef DEVMESH_NAME_H
#define DEVMESH_NAME_H

#include <stdbool.h>

#include "base/err.h"
#include "model/slug.h"

/* What is known. Every pointer is borrowed; NULL where there is nothing. */
struct name_input {
	const char *id;		  /* asked for by --id or DEVMESH_ID: taken as it is */
	const char *app_flag;	  /* --app */
	const char *app_env;	  /* DEVMESH_APP */
	const char *id_file;	  /* first line of .id */
	const char *app_config;	  /* [mesh] app */
	const char *remote_url;	  /* of the remote "origin" */
	const char *main_dir;	  /* directory name of the main worktree */
	const char *branch;	  /* HEAD's, or the one being rebased; NULL: detached or no git */
	bool is_default_branch;	  /* the branch is what origin/HEAD names */
	const char *worktree_dir; /* directory name of this worktree, when detached */
	const char *commit;	  /* short commit, when detached */
};

struct name {
	struct slug id;
	struct slug app;
	/* Of app and branch: what name_alternative() appends. */
	struct slug_hash hash;
	/* The user asked for exactly this id: a conflict is an error, not a reason for a suffix. */
	bool exact;
	/* The bare app name also leads here, if nobody claims it. */
	bool has_alias;
	/* For --explain: static texts. */
	const char *app_from;
	const char *branch_from;
	const char *id_from;
};

/*
 * Composes the name: the rules are in devmesh(1), NAMES. Fails with DM_USAGE when an input that
 * the user wrote (--id, .id) cannot be used.
 */
bool name_compose(const struct name_input *in, struct name *out, struct dm_err *err) DM_MUST;

/* Whether name_compose() would look at remote_url, which costs a run of git. */
bool name_wants_remote(const struct name_input *in);

/*
 * The id to try when the name's own is taken: "<id>-<hash of app and branch>", the same for
 * everybody; then, in case two clones have the same branch, with the worktree in the hash.
 */
struct slug name_alternative(const struct name *name);
struct slug name_last_resort(const struct name *name, const char *worktree);

/*
 * Checks the beginning of a .id file and copies its first line, without blanks at the end, to
 * `line`. Fails on an empty line, NUL bytes, control characters, or more than 255 bytes.
 */
#define NAME_ID_LINE_MAX 255
bool name_parse_id_file(
    const char *bytes, size_t len, char line[NAME_ID_LINE_MAX + 1], struct dm_err *err) DM_MUST;

/*
 * The repository's name in a remote URL ("git@host:team/shop.git" -> "shop"), in `out`;
 * false if there is none, or it does not fit.
 */
bool name_from_remote(const char *url, char *out, size_t size) DM_MUST;

#endif
