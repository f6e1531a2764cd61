/* SPDX-License-Identifier: MIT */
/* What services have written (run/output_log.h): where it is kept, and what is shown of it. */
#ifndef DEVMESH_OUTPUTS_H
#define DEVMESH_OUTPUTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/slug.h"
#include "run/output_log.h"
#include "session.h"

struct cJSON;

enum {
	OUTPUTS_DAYS = 30,	    /* for which it is kept after the last line */
	OUTPUTS_BYTES_MAX = 4 << 20 /* of text at once; the oldest lines go first */
};

/* "<state_dir>/logs"; the caller owns it. Needs the state directory. */
char *outputs_dir(const struct session *s);

/* Borrowed. */
struct outputs_query {
	const char *dir;
	const char *id;	  /* NULL: of all services */
	uint64_t after;	  /* with an id: only lines with a greater number */
	int64_t since_ms; /* only lines that are not older; 0: any */
	size_t max;	  /* only so many, the last ones */
};

struct outputs_entry {
	struct slug id;
	uint64_t number; /* among those of this id */
	int64_t time_ms;
	enum output_stream stream;
	char *text; /* as it was written; `len` bytes, which may be any */
	size_t len;
};

/* Owned by the caller: outputs_release(). */
struct outputs {
	struct outputs_entry *list; /* by time */
	size_t count, bytes;
};
void outputs_release(struct outputs *outputs);
#define OUTPUTS_AUTO __attribute__((cleanup(outputs_release)))

/* DM_NOT_FOUND if nothing is kept of the id; of all, there may be nothing. */
bool
outputs_read(const struct outputs_query *query, struct outputs *out, struct dm_err *err) DM_MUST;

/* Another value whenever there is more to read: to look whether reading is worth it. */
uint64_t outputs_mark(const struct outputs_query *query);

/*
 * A line as JSON: id, number, time_ms, stream ("out", "err", "note") and text, which is as
 * ansi_clean() makes it, with colours. The caller owns it.
 */
struct cJSON *outputs_json(const struct outputs_entry *entry);

#endif
