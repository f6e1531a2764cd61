/* SPDX-License-Identifier: MIT */
/*
 * What the kernel tells of how busy processes and the machine are: usage_linux.c (proc(5)) and
 * usage_darwin.c; usage_text.c takes the texts apart.
 */
#ifndef DEVMESH_USAGE_OS_H
#define DEVMESH_USAGE_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "usage_tree.h"

/* What is unknown is -1. */
struct usage_machine {
	int64_t busy, total; /* time of all processors since the start, in a unit of its own */
	int cores;
	double load1;
	int64_t memory_total, memory_available; /* bytes */
	int64_t uptime_s;
};

enum {
	USAGE_TURNS = 5
};

/*
 * Adds every process, also those of other users, in any order, at some 8 microseconds for each that
 * is read. Those that were nobody's in `known` (NULL: none were) become nobody else's while the
 * roots are the same, so of these only every USAGE_TURNS-th is read again, by turns; the others are
 * added as they were: a pid that was given anew is noticed at last in its turn. False where it
 * cannot be told: then what was added is not complete.
 */
bool
usage_read_processes(struct usage_snapshot *out, const struct usage_snapshot *known, unsigned turn);
void usage_read_machine(struct usage_machine *out);

/* The texts of proc(5). Pure. */

struct usage_units {
	int64_t tick_us; /* of the times in /proc/<pid>/stat */
	int64_t page;	 /* bytes */
};

/* /proc/<pid>/stat, in which the name is whatever the process likes. */
bool
usage_text_process(const char *text, const struct usage_units *units, struct usage_process *out);
/* The first line of /proc/stat: `busy` and `total`. */
bool usage_text_processors(const char *text, struct usage_machine *out);
/* /proc/meminfo: `memory_total` and `memory_available`; false if either is missing. */
bool usage_text_memory(const char *text, struct usage_machine *out);

#endif
