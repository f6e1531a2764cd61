/* SPDX-License-Identifier: MIT */
/* What the tests of run/tools.h share: a service to run for, and command lines as text. */
#ifndef DEVMESH_PLAN_H
#define DEVMESH_PLAN_H

#include "unit.h"

#include "run/tools.h"

#define SOCKET "/tmp/caddy-dev/shop-main.sock"
#define VITE   "--port 4123 --host 127.0.0.1"

static inline struct tool_input
input(const char *const *argv, const char *dir)
{
	return (struct tool_input){
	    .argv = argv,
	    .dir = dir,
	    .socket = SOCKET,
	    .port = 4123,
	    .url = "https://shop-main.dev.localhost:8443",
	    .host = "shop-main.dev.localhost",
	    .domain = "dev.localhost",
	    .id = "shop-main",
	    .worktree = "/code/shop",
	};
}

/* Cuts the text at blanks, in place. */
static inline void
cut(char *text, const char *argv[64])
{
	size_t n = 0;

	for (char *p = text; *p != '\0' && n < 63; p += strspn(p, " ")) {
		argv[n++] = p;
		p += strcspn(p, " ");
		if (*p != '\0')
			*p++ = '\0';
	}
	argv[n] = NULL;
}

/* The caller owns it. */
static inline char *
joined(char *const *words)
{
	struct dm_str s = dm_str_make(65536);

	for (; words != NULL && *words != NULL; words++)
		(void)dm_str_addf(&s, "%s%s", s.len > 0 ? " " : "", *words);
	return s.data;
}

/* The plan of `changes` for this command; release it. */
static inline void
make_plan(const struct tool_input *changes, const char *command, struct tool_plan *plan)
{
	DM_AUTO_FREE char *text = dm_strdup(command);
	const char *argv[64];
	struct tool_input in = *changes;
	struct dm_err err;

	in.argv = argv;
	cut(text, argv);
	assert_ok(tool_plan_make(&in, plan, &err), &err);
}

#endif
