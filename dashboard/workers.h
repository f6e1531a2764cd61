/* SPDX-License-Identifier: MIT */
/*
 * What may take its time (git, Caddy's admin API, a doctor's look at the network): jobs in forked
 * processes of this program, one after the other or a few at a time, so that the loop never waits.
 * A job sees the daemon's memory as it was when it began, and can only answer by its output. None
 * of the daemon's descriptors is open there: it opens the registry, say, for itself.
 */
#ifndef DEVMESH_WORKERS_H
#define DEVMESH_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct workers;

/* The caller owns the result. */
struct workers *workers_new(struct event_base *base);
/* Kills what runs; no callback is made any more. */
void workers_free(struct workers *workers);

/*
 * How a job has ended: its exit code (128 + n after signal n; 124 after its time was over, 125 if
 * it could not be started) and what it wrote to stdout, at most 16 MiB, with a NUL behind.
 * Borrowed.
 */
struct worker_result {
	int status;
	const char *out;
	size_t len;
};
typedef void worker_done(void *user, const struct worker_result *result);

/* In the new process, with stdout leading to the daemon: the exit code. Never returns to the loop.
 */
typedef int worker_job(void *arg);

/*
 * Runs the job now, or when fewer than WORKERS_MAX run. `arg` must be there until it has begun
 * (`done` is the latest time for that); `done` is called from the loop, once, unless the workers
 * are freed first.
 */
enum {
	WORKERS_MAX = 4
};
void workers_run(struct workers *workers, worker_job *job, void *arg, int64_t timeout_ms,
    worker_done *done, void *user);

/*
 * The same for a command line of devmesh, argv[0] included, NULL-terminated, copied: what it would
 * print on stdout is the output. Ask for --json: then also a failure is a document there.
 */
void workers_run_verb(struct workers *workers, const char *const argv[], int64_t timeout_ms,
    worker_done *done, void *user);

/*
 * Kills, with all that it has started, the job that runs for `user`: what it was to do is not
 * wanted any more. `done` is called as ever. False: none runs; one that still waits for its turn
 * goes on waiting, and will see the memory as it is then.
 */
bool workers_kill(struct workers *workers, const void *user);

/* Calls fn whenever the last job has ended; fn NULL: no more. */
void workers_on_idle(struct workers *workers, void (*fn)(void *user), void *user);

/* How many run or wait. */
size_t workers_busy(const struct workers *workers);

#endif
