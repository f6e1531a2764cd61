/* SPDX-License-Identifier: MIT */
/*
 * Enough of TOML (toml.io, v1.0.0) to add a table to a file, or keys to a table, without making
 * it invalid: where the tables begin, and which keys they have. Values are skipped, not read.
 */
#ifndef DEVMESH_TOML_H
#define DEVMESH_TOML_H

#include <stdbool.h>
#include <stddef.h>

enum toml_kind {
	TOML_NONE,
	TOML_TABLE, /* [name] */
	TOML_ARRAY, /* [[name]], at least once */
	TOML_KEY,   /* name = ..., or name.x = ..., before the first table */
};

/*
 * How the top-level name occurs. For a table *after is the offset behind its header's line.
 * Tables below it ([name.x]) do not count.
 */
enum toml_kind toml_find(const char *text, const char *name, size_t *after);

/* Whether the table whose header's line ends at `after` has the key (or key.x). */
bool toml_has_key(const char *text, size_t after, const char *key);

#endif
