/* SPDX-License-Identifier: MIT */
/* What runner.c (before and after) and runner_loop.c (while it runs) share. For nobody else. */
#ifndef DEVMESH_RUNNER_IMPL_H
#define DEVMESH_RUNNER_IMPL_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "repo/layout.h"
#include "run/bridge.h"
#include "run/child.h"
#include "run/output_log.h"
#include "run/ports.h"
#include "run/tee.h"
#include "runner.h"

/* Where the server was found to listen. */
enum place {
	PLACE_NONE,
	PLACE_PORT,	      /* on a TCP port: `listener` */
	PLACE_PRIVATE_SOCKET, /* on what DEVMESH_SOCKET said, behind the bridge */
	PLACE_OWN_SOCKET,     /* on the service's socket itself: no bridge */
};

struct event;
struct event_base;

struct runner {
	struct session *s;
	const struct runner_options *options;
	char *worktree;
	dev_t tree_dev; /* which directory that is, wherever it may be moved */
	ino_t tree_ino;
	struct layout git;    /* its paths may be NULL */
	struct claim *claim;  /* NULL: it runs without a URL */
	bool was_up;	      /* it was registered before, by `up`: that stays */
	struct claim_run run; /* as it stands in the claim */
	struct tool_plan plan;
	uint16_t offered;     /* what PORT says */
	char *private_socket; /* what DEVMESH_SOCKET says where there is a bridge; may be NULL */
	struct rlimit files;  /* the limit of descriptors that the command gets */
	struct child child;
	struct output_log *log; /* what it writes is kept; NULL: it is not */
	struct tee *tee;	/* NULL: it writes to our own streams */
	int nowhere;	      /* of one that is supervised, and of which nothing is kept; 0: none */
	struct event *resize; /* the look at the terminal's size; NULL: none */
	sigset_t mask;	      /* of signals, before they were held back for the loop */
	bool adopts;	      /* orphans among the command's processes become our children */

	int listening; /* the service's socket, until the bridge has it; -1: none */
	dev_t dev;     /* its file */
	ino_t ino;
	bool has_socket; /* that file is ours to remove */

	/* while it runs */
	struct event_base *base;
	struct bridge *bridge;	    /* NULL: none */
	void (*missed)(void *user); /* as bridge_new() wants it */
	void *missed_user;
	enum place place;
	struct dm_listener listener; /* PLACE_PORT */
	bool found_once, told_open;
	int64_t stray_since; /* 0: it listens where it was told to */
	int64_t seen_at;     /* when it was last seen to listen; 0: never */

	int status;	/* of the command, at the end */
	bool said_json; /* where it answers */
};

/* Runs until the command and what it left running have ended. */
bool runner_loop(struct runner *r, struct dm_err *err) DM_MUST;

/* Has what the command is going to write kept, if it is to be; that it cannot be is no failure. */
void runner_keep_output(struct runner *r);
/* What the command gets as its standard output and error; -1: ours. */
void runner_output_ends(struct runner *r, int *out, int *err);
/* The command was started, or was not. If what it writes cannot be passed on, it is ended. */
bool runner_output_begin(struct runner *r, bool started, struct dm_err *err) DM_MUST;
/* From when the loop runs until it ends: the command hears when the terminal has another size. */
void runner_follow_size(struct runner *r);
void runner_forget_size(struct runner *r);
/* The command has ended, or was never started. */
void runner_end_output(struct runner *r);

/* Puts the bridge behind the socket that was bound for it, if one was. */
bool runner_start_bridge(struct runner *r, struct dm_err *err) DM_MUST;

/*
 * Looks where the command's processes listen, leads the bridge there, and writes it down in the
 * claim. `place` and `listener` say what was found.
 */
void runner_look(struct runner *r);

/* Takes note of what the worktree's directory is, and of git's files for it. */
void runner_tree_remember(struct runner *r);

enum runner_tree {
	RUNNER_TREE_THERE,
	RUNNER_TREE_MOVED, /* it has another path now: `worktree`, `git` and the claim say so */
	RUNNER_TREE_GONE,
};

/* Looks whether the worktree is still there, and follows one that was moved. */
enum runner_tree runner_tree_look(struct runner *r);

/* A number that changes with HEAD and the index. */
int64_t runner_tree_state(const struct runner *r);

/* Removes the service's socket, if it is still the one that we have bound. */
void runner_remove_socket(struct runner *r);

/* The same, also if the command itself listens there: the name belongs to somebody else now. */
void runner_let_go(struct runner *r);

/* All processes that the command has started and that still run. */
void runner_processes(const struct runner *r, struct dm_pids *out);

#endif
