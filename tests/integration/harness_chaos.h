/* SPDX-License-Identifier: MIT */
/* The fault run's world: services of all kinds, everything of others, and the picture of it all. */
#ifndef DEVMESH_HARNESS_CHAOS_H
#define DEVMESH_HARNESS_CHAOS_H

#include "harness_program.h"

enum {
	SERVICES = 10,
	BYSTANDERS = 3,	    /* servers that are no business of devmesh's */
	BYSTANDER_FILES = 8 /* at most */
};

enum service_kind {
	MESH,  /* on its socket, by the mesh route */
	ROUTE, /* on its socket, by a route of its own */
	PORT,  /* on a TCP port, by a route of its own */
	RUN    /* under `devmesh run` */
};

struct service {
	enum service_kind kind;
	char id[64], host[96], dir[WORLD_PATH]; /* "": never made yet */
	int port;				/* of PORT */
	struct proc *proc;			/* the server; of RUN the devmesh run */
	bool alive, claimed, removed;		/* removed: its worktree */
};

struct chaos {
	struct world *w;
	unsigned random;
	struct service services[SERVICES];
	unsigned made; /* worktrees so far */
	char *repo;
	char *config[2]; /* of Caddy: without and with the mesh route */
	bool caddy_up, with_mesh;
	struct proc *daemon; /* NULL: it does not run */
	int grace_s;
	struct proc *bystanders[BYSTANDERS];
	char files[BYSTANDER_FILES][WORLD_PATH], *files_before;
	int file_count;
	char said[8192];			     /* what was done in this round */
	int64_t slowest_ms, total_ms, settles, late; /* late: more than two seconds */
};

const char *chaos_kind_name(enum service_kind kind);
/* A number below n. */
unsigned chaos_draw(struct chaos *c, unsigned n);
void chaos_say(struct chaos *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Caddy, devmeshd, bystanders, and all services up; returns when the picture is right. */
void chaos_begin(struct chaos *c);
void chaos_start_caddy(struct chaos *c); /* from its file: routes of the API are lost */
void chaos_start_daemon(struct chaos *c);
/* In a new worktree where the old one is gone. Without Caddy nothing is registered. */
void chaos_start_service(struct chaos *c, struct service *s);

/* Waits until the picture is right; fails after six seconds and the grace period. */
void chaos_settle(struct chaos *c);
/* NULL: everything is as it has to be; else what is not. */
const char *chaos_wrong(struct chaos *c);
/* The bystanders' files as text: everything that stat(2) and read(2) say of them. */
char *chaos_files(struct chaos *c);

#endif
