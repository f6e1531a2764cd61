/* SPDX-License-Identifier: MIT */
/* Where the output of services is kept (run/output_log.h), and what is shown of it. */
#ifndef DEVMESH_OUTPUTS_H
#define DEVMESH_OUTPUTS_H

#include "run/output_log.h"
#include "session.h"

struct cJSON;

enum {
	OUTPUTS_DAYS = 30 /* for which it is kept after the last line */
};

/* "<state_dir>/logs"; the caller owns it. Needs the state directory. */
char *outputs_dir(const struct session *s);

/*
 * A line as JSON: number, time_ms, stream ("out", "err", "note") and text, which is as ansi_clean()
 * makes it, with colours. The caller owns it.
 */
struct cJSON *outputs_line(const struct output_line *line);

/* "out", "err", "note". Static storage. */
const char *outputs_stream_name(enum output_stream stream);

#endif
