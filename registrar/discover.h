/* SPDX-License-Identifier: MIT */
/*
 * The user's processes that listen, and where they belong: what nobody has registered, what has
 * outlived its worktree. The kernel says all of it; nothing is connected to.
 */
#ifndef DEVMESH_DISCOVER_H
#define DEVMESH_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/proc.h"
#include "claim/registry.h"

struct discovery;

/* What to look for. */
struct discover_options {
	uint16_t port_from, port_to; /* TCP ports, both included */
	const char *sockets_dir;     /* Unix sockets anywhere else count only inside a worktree */
};

/* One listening process, with one of its sockets. Strings are owned by the list. */
struct found {
	struct dm_proc_id process;
	char *command;	/* "node server.js", shortened; control bytes made visible */
	uint16_t port;	/* 0: a Unix socket */
	char *address;	/* "127.0.0.1", "::", ...; NULL with a Unix socket */
	char *socket;	/* its path; NULL with a port */
	char *cwd;	/* NULL: unknown */
	char *worktree; /* top level that cwd is in; NULL: none */
	char *repo;	/* that one's common git directory; NULL: none */
	char *claim;	/* id of the claim that it serves; NULL: not registered */
	bool orphan; /* its working directory was removed, or it is left of a killed devmesh run */
};

struct found_list {
	struct found *list;
	size_t count;
};

/* Holds what earlier looks have found out, so that the next one costs little. The caller owns it.
 */
struct discovery *discovery_new(void);
void discovery_free(struct discovery *discovery);

/*
 * Looks once: processes of this user, by pid, then port, then path. Left out: Caddy, devmesh's own
 * programs, and what is neither inside a git worktree, nor an orphan, nor serves a claim.
 * `claims` (borrowed) are those of this user. Release with found_release().
 */
void discovery_look(struct discovery *discovery, const struct discover_options *options,
    const struct registry_claims *claims, struct found_list *out);
void found_release(struct found_list *list);

/*
 * The next look sees anew where every process is, which is otherwise done for some of them in turn:
 * for whoever knows that a worktree was removed or moved. Some milliseconds for hundreds.
 */
void discovery_doubt(struct discovery *discovery);

/*
 * The command line that registers what was found, "devmesh up -C DIR --port 3000", with --app where
 * the worktree has a service already; NULL if it is registered, or cannot be. The caller owns it.
 */
char *found_publish(const struct found *found, const struct registry_claims *claims);
/* The command line that ends an orphan: clean-up, where that is certain to; NULL: it is none. The
 * caller owns it. */
char *found_end(const struct found *found, const struct registry_claims *claims);

#endif
