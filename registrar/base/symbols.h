/* SPDX-License-Identifier: MIT */
/*
 * Functions of a library that is loaded when it is first needed (dlopen(3)), with the types that
 * its headers give them:
 *
 *	#define FUNCTIONS(X) X(compress) X(uncompress)
 *	struct zlib { FUNCTIONS(DM_SYMBOL_MEMBER) };
 *	static const struct dm_symbol symbols[] = { FUNCTIONS(ROW) };
 *
 * where ROW(name) is DM_SYMBOL(struct zlib, name).
 */
#ifndef DEVMESH_SYMBOLS_H
#define DEVMESH_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct dm_symbol {
	const char *name;
	size_t offset; /* of the pointer to it */
};

#define DM_SYMBOL_MEMBER(name) __typeof__(name) *(name);
#define DM_SYMBOL(type, name)  {#name, offsetof(type, name)},

/*
 * Fills in the pointers. The library stays loaded: unloading it is not safe once it has been used.
 */
bool dm_symbols_load(const char *library, const struct dm_symbol *symbols, size_t count, void *out,
    struct dm_err *err) DM_MUST;

#endif
