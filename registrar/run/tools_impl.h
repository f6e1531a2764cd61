/* SPDX-License-Identifier: MIT */
/* The parts of tools.h: the rows, and what a command line really runs. */
#ifndef DEVMESH_TOOLS_IMPL_H
#define DEVMESH_TOOLS_IMPL_H

#include <stdbool.h>
#include <stddef.h>

/* A list of owned strings. */
struct words {
	char **list; /* NULL-terminated once anything was added */
	size_t count;
};

void words_add(struct words *w, const char *word, size_t n);
void words_release(struct words *w);

enum tool_socket {
	SOCKET_NEVER, /* it cannot listen on one */
	SOCKET_ASKED, /* it can: used if the user asks */
	SOCKET_BEST,  /* it does so well: used unless the user asks otherwise */
};

/* A row. tools_table.c explains the columns; lists are separated by blanks. */
struct tool {
	const char *name, *programs, *verbs, *valued;
	enum tool_socket socket;
	const char *socket_flags, *socket_env;
	const char *port_flags, *port_env;
	const char *url_flags;
	const char *decided;
	const char *trap, *domain_trap, *settled_in, *settled_by;
	bool early;
};

/* A program that starts another one, which its command line names. */
struct wrapper {
	const char *programs, *verbs, *valued;
};

/* The row for a program with this first argument that is not an option; NULL: none. */
const struct tool *tool_find(const char *program, const char *verb);
/* The first row for this program, whatever it is told to do; NULL: none. */
const struct tool *tool_any(const char *program);
const struct wrapper *wrapper_find(const char *program);

/* Whether the blank-separated list has the word. */
bool list_has(const char *list, const char *word, size_t n);

/* What a command line comes down to. Release with target_release. */
struct target {
	const struct tool *tool; /* NULL: not in the table */
	struct words words;	 /* the program and its arguments, as it gets them */
	size_t verb;		 /* index behind the program and its verb */
	size_t dashes;		 /* how many "--" go in front of flags that are added */
	bool closed;		 /* nothing can be added */
	bool script;		 /* the words are not the end of the command line itself */
};

/*
 * Follows wrappers, package managers, interpreters and the scripts of the package.json at or
 * above `dir`. Always gives something.
 */
void target_resolve(const char *const *argv, const char *dir, struct target *out);
void target_release(struct target *t);

/* What a package.json at or above `dir` has as scripts[name]; NULL: none. The caller owns it. */
char *script_text(const char *dir, const char *name);

/*
 * The words of the last command of a script. False if it is not a plain one: behind anything but
 * "&&", or with expansions that only a shell can make.
 */
bool script_words(const char *text, struct words *out);

/* Whether one of the files that the row names mentions what the trap asks for. */
bool trap_settled(const struct tool *tool, const char *dir);

#endif
