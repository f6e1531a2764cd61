/* SPDX-License-Identifier: MIT */
/*
 * What `devmesh run` knows about dev servers: one table (tools_table.c), read to decide how a
 * command will listen, which flags it needs because it ignores PORT, and which variables let it
 * answer for our host name. Files are only read (package.json); nothing is started here.
 *
 * All of it is a courtesy: the port that counts is the one that the started processes open. In
 * doubt nothing is added.
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
	/*
	 * "NAME=value", NULL-terminated: to be added to the user's. Names that begin with DEVMESH_
	 * replace what the user has.
	 */
	char **env;
	const char *trap; /* what this tool still needs from the user; NULL: nothing. Static */
	bool flags_added; /* argv is not what the user wrote */
	uint16_t fixed;	  /* the port that the command itself names; 0: none */
};

/*
 * Without a mode, the tool's best is chosen; a command whose own flags say where it listens keeps
 * them, and they decide. Without a URL it is always a port.
 *
 * Fails with DM_USAGE only if `mode` asks for what cannot be: a socket from a tool that the table
 * knows not to be able to, or the contrary of the command's own flags.
 */
bool tool_plan_make(const struct tool_input *in, struct tool_plan *out, struct dm_err *err) DM_MUST;
void tool_plan_release(struct tool_plan *plan);

/*
 * The words by which the tool of a running command ("vite --host", as dm_proc_command() shows it)
 * is told to listen on the port of 127.0.0.1 alone: "--host 127.0.0.1". NULL: not known. *tool is
 * its name, static. The caller owns the words.
 */
char *
tool_host_words(const char *command, const char *dir, uint16_t port, const char **tool) DM_MUST;

#endif
