/* SPDX-License-Identifier: MIT */
/*
 * devmeshd in a test world: started as a service manager would, asked at its control socket; and
 * servers that are programs of their own, so that what is left of them can be counted.
 */
#ifndef DEVMESH_HARNESS_PROGRAM_H
#define DEVMESH_HARNESS_PROGRAM_H

#include "harness_net.h"

/*
 * Starts DEVMESHD_BIN (else the devmeshd beside DEVMESH_BIN) in the world's environment, and
 * returns at once.
 */
struct proc *devmeshd_spawn(struct world *w);
/* The same, and waits until its first full look is done. */
struct proc *devmeshd_ready(struct world *w);
/* The body of its answer to a GET; NULL: nobody answers, or not with status 200. */
cJSON *devmeshd_get(struct world *w, const char *path);
/* The service of the state document; NULL: there is none. */
const cJSON *state_service(const cJSON *state, const char *id);

/* The event stream of the control socket, read line by line. */
struct event_stream {
	int fd; /* -1: closed */
	char *text;
	size_t length, room;
};

/* `query` is what follows "/api/v1/events": "" or "?since=17". Closed with the world. */
struct event_stream *ctl_stream_open(struct world *w, const char *query);
/* The next one; NULL after `ms` without, or at its end, when fd becomes -1. */
cJSON *ctl_stream_next(struct world *w, struct event_stream *s, int ms);
void ctl_stream_close(struct event_stream *s);

/*
 * A server: answers every request with "<name> <its pid>", from the working directory `dir`. It
 * listens on the path (absolute; what is in the way is removed) or the port of 127.0.0.1. Not
 * waited for. The test's main() has to call serve_main() first.
 */
struct proc *serve_program(struct world *w, const char *dir, const char *place, const char *name);
/* The command line of it, for `devmesh run`: place and name are taken from the environment. */
const char *const *serve_command(struct world *w);
/* Never returns if the program was started to be that server. */
void serve_main(int argc, char **argv);
/* How many of this world's servers run. */
int count_serving(struct world *w);

#endif
