/* SPDX-License-Identifier: MIT */
/*
 * What every integration test stands on: a private world (directory, environment, processes,
 * ports), the real devmesh, git and Caddy inside it, and a few words to look at them from outside.
 *
 * Everything a helper returns belongs to the world and is freed with it, so tests never free. A
 * helper that cannot do its work fails the test; teardown ends and reaps every process, by pid.
 */
#ifndef DEVMESH_HARNESS_H
#define DEVMESH_HARNESS_H

/* cmocka.h wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define WORLD_PATH  256
#define WORLD_PORTS 16
#define WORLD_ENV   48
#define ANY_ERROR   (-1) /* for assert_error: whatever code but usage */
/* How long anything may hang. Nothing correct comes near it, sanitizers and slow disks included. */
#define DEADLINE_MS 90000
#define ANSWER_MS   20000 /* for Caddy to answer as wanted */

struct proc {
	pid_t pid;
	int status; /* as waitpid gave it, once `ended` */
	bool ended;
	char out[WORLD_PATH], err[WORLD_PATH]; /* files its output goes to */
	struct proc *next;
};

struct result {
	int code; /* exit status; 128 + signal when it was killed by one */
	const char *out, *err;
};

struct world {
	char dir[WORLD_PATH], sockets[WORLD_PATH], state[WORLD_PATH], home[WORLD_PATH];
	char admin[WORLD_PATH]; /* what DEVMESH_CADDY_ADMIN says */
	char ca[WORLD_PATH];	/* root certificate to trust for https; empty: none */
	const char *devmesh;
	char *env[WORLD_ENV];
	uid_t uid; /* who the next processes run as; 0: as the test itself */
	int port;  /* Caddy's HTTP port, once it runs */
	int nports, port_locks[WORLD_PORTS];
	struct proc *procs, *caddy;
	struct kept *kept;
	struct devmeshd *daemons; /* harness_daemon.h */
	char caddy_config[WORLD_PATH], mount[WORLD_PATH];
	const char *last_cmd, *last_err;
	unsigned serial;
	bool passed;
};

/* TEST(name) { ... } defines a test whose body sees `w`; list it as WORLD_TEST(name). */
#define TEST(name) \
	static void name##_body(struct world *w); \
	static void name(void **state) \
	{ \
		struct world *w = *state; \
		name##_body(w); \
		w->passed = true; \
	} \
	static void name##_body(struct world *w)
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
/* DEVMESH_TEST=pattern runs only the tests of that name. */
#define RUN_TESTS(tests) \
	(cmocka_set_test_filter(getenv("DEVMESH_TEST")), \
	    cmocka_run_group_tests_name(__FILE__, tests, NULL, NULL))

#define ARGV(...)	   ((const char *const[]){__VA_ARGS__, NULL})
#define DM(w, dir, ...)	   run((w), (dir), ARGV((w)->devmesh, __VA_ARGS__))
#define DM_BG(w, dir, ...) start((w), (dir), ARGV((w)->devmesh, __VA_ARGS__))
#define GIT(w, dir, ...)   run_ok((w), (dir), ARGV("git", __VA_ARGS__))

/* harness.c: the world and its processes */
int world_setup(void **state);
int world_teardown(void **state);
void world_skip(struct world *w, const char *reason);		      /* does not return */
void world_env(struct world *w, const char *name, const char *value); /* NULL: unset */
void *world_keep(struct world *w, void *p, void (*destroy)(void *));
/* For tests that look ten thousand times: frees what helpers have returned since the mark. */
struct kept *world_mark(struct world *w);
void world_forget(struct world *w, struct kept *mark);
char *fmt(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
int free_port(struct world *w);
struct proc *start(struct world *w, const char *dir, const char *const argv[]);
struct proc *start_child(struct world *w); /* fork: NULL in the child, which must _exit */
struct result finish(struct world *w, struct proc *p);
struct result run(struct world *w, const char *dir, const char *const argv[]);
struct result run_ok(struct world *w, const char *dir, const char *const argv[]);
void signal_proc(struct proc *p, int sig);
void end_proc(struct world *w, struct proc *p); /* SIGKILL and reap */
void reap(struct world *w);
bool
wait_until(struct world *w, bool (*pred)(struct world *, const void *), const void *arg, int ms);
int64_t now_ms(void);
void nap_us(long us);

/* harness_fs.c: files, git, JSON, assertions */
const char *source_dir(void); /* the source tree: make check says where, in DEVMESH_SRC */
char *read_text(struct world *w, const char *path); /* NULL when it is not there */
void write_file(const char *path, const void *bytes, size_t n);
void write_text(const char *path, const char *text);
bool exists(const char *path);
void remove_tree(const char *path);
void own_tree(const char *path, uid_t uid);
int count_files(const char *dir, const char *suffix);
char *make_dir(struct world *w, const char *name);
char *repo_new(struct world *w, const char *name); /* one commit on main */
char *worktree_add(struct world *w, const char *repo, const char *branch);
cJSON *json_of(struct world *w, const char *text); /* fails unless it is one JSON object */
cJSON *json_any(struct world *w, const char *text);
const char *json_str(const cJSON *object, const char *key); /* "" when missing */
bool json_null(const cJSON *object, const char *key);	    /* there, and null */
double json_number(const cJSON *object, const char *key);   /* fails unless it is one */
char *head_of(struct world *w, const char *dir);	    /* full hash of the commit */
cJSON *claim_of(struct world *w, const char *id);	    /* NULL when there is none */
int count_claims(struct world *w);			    /* without aliases */
char *id_of_url(struct world *w, const char *url);	    /* first label of its host */
char *line_of(struct world *w, struct result r);	    /* its stdout, which must be one line */
void assert_exit(struct world *w, struct result r, int code);
void assert_error(struct world *w, struct result r, int code, const char *word);
void assert_label(const char *id);
char *up_ok(struct world *w, const char *dir); /* `devmesh up`; the id it got */

#endif
