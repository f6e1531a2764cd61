/* SPDX-License-Identifier: MIT */
/*
 * What `devmesh run` knows about dev servers: one table (tools.c), read to decide how a command
 * will listen, which flags it needs because it ignores PORT, and which variables let it answer
 * for our host name. Files are only read (package.json); nothing is started here.
 */
#ifndef DEVMESH_TOOLS_H
#define DEVMESH_TOOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum tool_mode {
	TOOL_AUTO,   /* what suits the tool */
	TOOL_SOCKET, /* the server listens on the Unix socket itself */
	TOOL_PORT,   /* the server listens on a TCP port, and run leads the socket to it */
};

/* Everything is borrowed. */
struct tool_input {
	const char *const *argv; /* the command, NULL-terminated, at least one word */
	const char *dir;      /* where it will run: package.json and the like are looked for here */
	char *const *environ; /* the user's; what is set there is never set again */
	enum tool_mode mode;
	const char *socket; /* path */
	uint16_t port;	    /* the one to offer */
	const char *url;    /* where the service will answer; NULL: no proxy, the plain port only */
	const char *host;   /* the URL's host name; NULL with url */
	const char *domain; /* the mesh domain: "dev.localhost" */
	const char *id;
	const char *worktree;
	const char *ca; /* root certificate of the local CA; NULL: none, or already trusted */
};

/* What to do. Owned: tool_plan_release. */
struct tool_plan {
	const char *tool;    /* "vite"; NULL: not in the table. Static */
	enum tool_mode mode; /* TOOL_SOCKET or TOOL_PORT */
	char **argv;	     /* the command with what had to be added, NULL-terminated */
	char **env;	     /* "NAME=value", NULL-terminated: to be added to the user's */
	const char *trap;    /* what this tool still needs from the user; NULL: nothing. Static */
	bool flags_added;    /* argv is not what the user wrote */
};

/*
 * Fails with DM_USAGE only if `mode` asks for a socket and the table knows that the tool cannot
 * listen on one.
 */
bool tool_plan_make(const struct tool_input *in, struct tool_plan *out, struct dm_err *err) DM_MUST;
void tool_plan_release(struct tool_plan *plan);

#endif
