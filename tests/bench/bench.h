/* SPDX-License-Identifier: MIT */
/*
 * What the parts of `make bench` share: samples and the table, processes, the private world the
 * figures are taken in, and a small HTTP client. Nothing here is linked into devmesh itself.
 */
#ifndef DEVMESH_BENCH_H
#define DEVMESH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "client.h"

#define BENCH_PATH	   512
#define BENCH_PRINTF(f, a) __attribute__((format(printf, f, a)))

struct samples {
	double *v;
	size_t n, cap;
};

void samples_add(struct samples *s, double value);
/* The q-quantile (0..1), by nearest rank; NAN when there are no samples. */
double samples_at(struct samples *s, double q);
void samples_release(struct samples *s);

/* What a row has to reach; a zero member asks for nothing. */
struct limit {
	double below;	  /* our figure, absolute */
	double max_ratio; /* ours / peer's */
	double min_ratio; /* ours / peer's, where more is better */
	bool none;	  /* our figure must be 0 */
	bool all;	  /* our figure must be the row's `of` */
};

struct row {
	const char *what, *unit; /* unit: "ms", "req/s" or "" for a count */
	double ours, tail;	 /* median and 95th percentile; NAN: not measured */
	const char *peer;
	double theirs;
	double of; /* for limit.all: how many there should be */
	struct limit limit;
	const char *note; /* printed below the table, may be NULL */
};

/* Copies everything. */
void table_add(const struct row *r);
/* One row of times from two sets of samples (which it sorts). */
void table_add_samples(const char *what, struct samples *ours, const char *peer,
    struct samples *theirs, struct limit limit);
/* A line below the table; the same text is kept once. */
void table_note(const char *fmt, ...) BENCH_PRINTF(1, 2);
void table_print(void);

/* proc.c */
struct env {
	char *v[64];
	size_t n;
};

double now_ms(void);
void sleep_ms(long ms);
/* Sets NAME=value; an earlier value of the same name is replaced. */
void env_set(struct env *e, const char *name, const char *fmt, ...) BENCH_PRINTF(3, 4);
void env_copy(struct env *to, const struct env *from);
void env_release(struct env *e);

/* True after SIGINT or SIGTERM: loops end early, and everything started is ended. */
bool quitting(void);
void proc_init(const char *tmp);

struct result {
	int status;	/* exit status, 128+signal, or -1 when it could not be started */
	double ms;	/* from just before posix_spawn to just after waitpid */
	char out[4096]; /* start of stdout */
	char err[512];	/* start of stderr */
};

/* Runs argv to its end; it is killed after timeout_s. Returns true on exit status 0. */
bool
proc_run(const char *const argv[], const struct env *env, unsigned timeout_s, struct result *r);
/* As proc_run, for n at once; r[i].ms is each one's own time. Returns how many exited with 0. */
size_t
proc_run_all(const char *const *const argvs[], size_t n, const struct env *env, struct result *r);
/* Starts a child that stays; its output goes to the file log. Returns its pid or -1. */
pid_t proc_start(const char *const argv[], const struct env *env, const char *log);
/* The same, in a directory; argv and log have absolute paths, or none. */
pid_t
proc_start_in(const char *dir, const char *const argv[], const struct env *env, const char *log);
/* Makes a forked child one of ours, so that proc_stop_all() ends it. */
void proc_adopt(pid_t pid);
void proc_stop(pid_t pid);
void proc_stop_all(void);
/*
 * Waits until a child of ours, which has been sent a signal, has ended; its exit status as in
 * struct result. After timeout_ms it is killed, and the answer is -1.
 */
int proc_wait(pid_t pid, long timeout_ms);

/* What a process has used so far, all its threads; false where the kernel does not say (Linux). */
struct usage {
	double cpu_ms, rss_mb, peak_mb;
	double own_mb; /* of rss_mb: not of a file, so not shared with other processes */
};
bool proc_usage(pid_t pid, struct usage *u);

/* ---- world.c, services.c: the private directories, Caddys, portless and services ---- */

struct world {
	bool quick;
	bool bare; /* directories and environments only: nothing is installed or started */
	const char *devmesh, *build, *src;
	char raw_route[BENCH_PATH];
	char tmp[64];
	char sockets[96], route_sockets[96], state[96], admin[96], mesh_admin[128], root_ca[192];
	char repo[96];
	char node[BENCH_PATH], portless[BENCH_PATH], wrk[BENCH_PATH];
	pid_t plain_pid, px_pid; /* of the plain Caddy, and of portless's proxy */
	int https_port, http_port, plain_port, px_port, up_port, dead_port;
	struct env base, mesh, route, px;
	bool have_devmesh, have_mesh, have_plain, have_px, have_upstream;
	char why_mesh[200], why_px[200];
};

void world_init(struct world *w);
void world_release(struct world *w);
/* Git worktree number i (0 .. 50) of the repository: its path. */
void world_worktree(const struct world *w, int i, char *path, size_t size);
bool write_file(const char *path, const char *text);
/* A claim as `devmesh up` publishes it, for a service of a worktree of its own. */
void world_claim(const struct world *w, const char *id, const char *app);
/* The plain Caddy's whole config, as world_routes() gives it; to be freed. */
char *world_plain_config(const struct world *w, int n, const char *extra);
/* Claims and live sockets of other services; raises the number there are to n. */
bool world_services(struct world *w, int n);
/* portless with n aliases, none of them ours. */
void world_aliases(struct world *w, int n);
/* Gives the plain Caddy n explicit routes of others, and `extra` (JSON routes with commas) first.
 */
bool world_routes(struct world *w, int n, const char *extra);
/* Kills the plain Caddy, and starts it as it was at first; when it answers, NAN if it does not. */
double world_restart_plain(struct world *w);
/* The mesh route that `devmesh start` made, as JSON text to be freed; NULL if there is none. */
char *world_mesh_route(const struct world *w);
/* The name of the private mesh's server that carries it. */
bool world_mesh_server(const struct world *w, char *name, size_t size);
/* The first label of the URL that `up` printed. */
bool url_id(const char *url, char *id, size_t size);

#endif
