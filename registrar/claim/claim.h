/* SPDX-License-Identifier: MIT */
/*
 * A claim: the record, /tmp/caddy-dev/<id>.json, that says whose a name is. Here: the record and
 * its JSON. Who may write one, and where, is registry.h.
 *
 * Records of other users are hostile until parsed: bounded in size, every field checked.
 */
#ifndef DEVMESH_CLAIM_H
#define DEVMESH_CLAIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/proc.h"
#include "model/slug.h"

enum claim_registration {
	CLAIM_MESH,  /* the mesh route leads to the socket; nothing was written to Caddy */
	CLAIM_ROUTE, /* a route of its own, @id = id */
};

/*
 * The `devmesh run` that serves a claim. It says where to look, and proves nothing: whoever reads
 * it asks the kernel whether these very processes live, and what they listen on.
 */
struct claim_run {
	struct dm_proc_id runner; /* devmesh itself; pid 0: the service was not started by it */
	struct dm_proc_id child;  /* the command, leader of a process group; pid 0: not started */
	bool bridged;		  /* the runner listens on the socket, for a server on a port */
	uint16_t port;		  /* which port; 0: none yet, or a socket of its own: */
	char socket[108];	  /* its path; empty: none */
};

/*
 * Which file a record was read from. Records are never written in place: where all of this is the
 * same, so is the record.
 */
struct claim_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	time_t ctime;
	long ctime_nsec;
};

bool claim_stamps_equal(const struct claim_stamp *a, const struct claim_stamp *b);

/* Strings are owned by the struct; NULL where the record has none. */
struct claim {
	struct slug id;
	struct slug app;
	bool is_alias;	      /* a bare app name that leads to another claim of the same worktree */
	struct slug alias_of; /* which one */
	char *branch;
	char *worktree; /* absolute */
	char *socket;	/* absolute path of the Unix socket; NULL with a port */
	uint16_t port;	/* TCP port on this machine; 0 with a socket */
	enum claim_registration registration;
	char *url;	 /* where the service was registered */
	char *host;	 /* its host name */
	char *identity;	 /* directory of its identity document; NULL: it has none */
	int64_t created; /* seconds since the epoch */
	bool pinned;	 /* to be kept until it is taken down: no clean-up removes it */
	struct claim_run run;

	/* Of the file, never what the record says: */
	uid_t uid; /* owner */
	struct claim_stamp stamp;
};

/* The largest record that is read, in bytes. */
#define CLAIM_FILE_MAX 16384

struct claim *claim_new(void);
struct claim *claim_dup(const struct claim *claim);
void claim_free(struct claim *claim);
DM_DEFINE_FREEP(claim)

/* The record's text; the caller owns it. */
char *claim_encode(const struct claim *claim);

/* Parses a record that was found under the name `id`. uid is left 0. The caller owns it. */
struct claim *
claim_decode(const char *text, size_t len, const char *id, struct dm_err *err) DM_MUST;

/*
 * Whether the claimed worktree is gone: only if the system says that the path does not exist. A
 * path that may not be looked at is there.
 */
bool claim_worktree_gone(const struct claim *claim);

/*
 * Whether the name was taken anew since: `now` is the record of today of what was read as `then`.
 * It was if it says another worktree, or another `devmesh run` that lives, or none any more. What
 * was concluded from `then` is void in that case.
 */
bool claim_taken_anew(const struct claim *then, const struct claim *now);

/* Caddy's name for the upstream: "unix//path" or "localhost:port". The caller owns it. */
char *claim_dial(const struct claim *claim);

#endif
