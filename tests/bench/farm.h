/* SPDX-License-Identifier: MIT */
/* Services and other processes for devmeshd to watch: rows_daemon.c. */
#ifndef DEVMESH_FARM_H
#define DEVMESH_FARM_H

#include "bench.h"

enum {
	FARM_MAX = 500
};

struct farm {
	char dir[160], sockets[176], state[176];
	int gone[2]; /* its end is everybody's */
	int services, idle;
	pid_t pids[FARM_MAX], idlers[FARM_MAX]; /* 0: does not run */
};

/* Below the world's directory. */
bool farm_init(const struct world *w, struct farm *f, const char *name);
/* Raises the numbers there are. `route`: the new services' claims want routes of their own. */
bool farm_grow(const struct world *w, struct farm *f, int services, int idle, bool route);
void farm_release(struct farm *f);

void farm_id(int i, char *id, size_t size);
void farm_dir(const struct farm *f, int i, char *path, size_t size);
bool farm_claim(const struct world *w, const struct farm *f, int i, bool route);
/* Each returns when it began: now_ms(). What is in the way of the socket is removed. */
double farm_start(struct farm *f, int i);
double farm_kill(struct farm *f, int i);

/* daemon.c: devmeshd, and who listens to it. */
struct listener {
	int fd; /* -1: none */
	char *text;
	size_t length, room;
};

/* Its control socket, or, as a browser by Caddy, the socket of its own service. */
bool listener_open(struct listener *l, const char *path, const char *request);
void listener_close(struct listener *l);
/*
 * Waits for a line with both texts in it, the same event's; when it came, NAN if it did not within
 * `ms`. The line, NUL-terminated, is *line (may be NULL), until the next call.
 */
double
listener_wait(struct listener *l, const char *one, const char *other, long ms, const char **line);

/* One question at the control socket; the answer is to be freed, NULL if there is none. */
char *daemon_ask(const char *state, const char *path);

#endif
