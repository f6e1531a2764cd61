/* SPDX-License-Identifier: MIT */
/*
 * For the tests of `devmesh run`: a small server that can be told to misbehave, runs of it, and
 * terminals.
 */
#ifndef DEVMESH_HARNESS_RUN_H
#define DEVMESH_HARNESS_RUN_H

#include "harness_net.h"

/*
 * The path of the server, a Python program. It answers with DEVMESH_ID (or NAME), /env with its
 * environment as JSON, /pid with its pid, /slow after 300 ms, and WebSockets with pongs. Without
 * arguments it listens on 127.0.0.1 and PORT, or on PORT as a path. Arguments:
 *   listen=ADDRESS,PORT  there instead; more than once: on all of them
 *   unix=PATH            there instead; mode=755: with that mode
 *   delay=S              listens only then
 *   next                 takes the next free port if its own is taken
 *   move=PORT            at SIGUSR1 it stops to listen, and goes on at that port after 0.5 s
 *   daemon               puts itself into the background; the command ends with exit code 0
 *   trap=N               a signal to end is named on stdout, then exit code N
 *   ignore               signals to end are ignored
 *   raw                  puts its terminal into raw mode
 */
const char *run_server(struct world *w);

/* `devmesh run ARGUMENT ... -- python3 SERVER ARGUMENT ...`; both lists end with NULL. */
struct proc *
run_bg(struct world *w, const char *dir, const char *const flags[], const char *const arguments[]);
/* The same, and waits for the URL on stderr. */
char *run_url(struct world *w, struct proc *p);
#define RUN_URL(w, dir, p, ...) \
	run_url((w), *(p) = run_bg((w), (dir), ARGV("--wait=60"), ARGV(__VA_ARGS__)))

/* Waits until the text is in the file that the process writes to. */
void wait_said(struct world *w, struct proc *p, const char *text);
void wait_printed(struct world *w, struct proc *p, const char *text);
/* Fails unless the process ends by itself with that code, within the deadline. */
void assert_ends(struct world *w, struct proc *p, int code);
void wait_gone(struct world *w, const char *path);
void wait_exists(struct world *w, const char *path);

/* Processes of this world's server, and any with that text in their arguments. */
int count_servers(struct world *w);
void wait_servers(struct world *w, int wanted);
int count_processes(struct world *w, const char *text);
void wait_processes(struct world *w, const char *text, int wanted);
/* No socket, no claim, no document, no server process, no route of that id. */
void assert_nothing_left(struct world *w, const char *id);
char *socket_of(struct world *w, const char *id);
/* What the server at the URL has in its environment; "" if it is not set. */
const char *env_of(struct world *w, const char *url, const char *name);
long pid_of_server(struct world *w, const char *url);

/* A terminal, and a process that leads a session on it. */
struct terminal {
	struct proc *p;
	int fd;
	char text[65536]; /* all that it has shown */
	size_t length, seen;
};

struct terminal *open_terminal(struct world *w, const char *dir, const char *const argv[]);
void type(struct terminal *t, const char *text);
/* Waits until it shows the text, behind what was waited for before. */
void wait_shown(struct world *w, struct terminal *t, const char *text);

#endif
