/* SPDX-License-Identifier: MIT */
/*
 * Memory: allocation that cannot fail, and release at the end of a scope.
 *
 * The dm_ functions print a message and abort when memory is gone: nothing the tool could do
 * would help. Anything whose size comes from outside is bounded before it gets here.
 */
#ifndef DEVMESH_MEM_H
#define DEVMESH_MEM_H

#include <stddef.h>

#include "base/err.h"

/* The result is zeroed; the caller owns it (free). */
void *dm_calloc(size_t count, size_t size);
/* As realloc for an array of `count` elements; the caller owns the result. */
void *dm_reallocarray(void *old, size_t count, size_t size);
/* The caller owns the copy. dm_strdup(NULL) is NULL. */
char *dm_strdup(const char *s);
char *dm_strndup(const char *s, size_t n);
char *dm_asprintf(const char *fmt, ...) DM_PRINTF(1, 2);

/* Frees *p; the cleanup of DM_AUTO_FREE. */
void dm_freep(void *p);
/* Closes *fd if it is not negative. */
void dm_closep(int *fd);

/* The variable is freed, or the descriptor closed, when its scope ends. */
#define DM_AUTO_FREE  __attribute__((cleanup(dm_freep)))
#define DM_AUTO_CLOSE __attribute__((cleanup(dm_closep)))

/*
 * dm_auto(type) v = ...; calls type_freep(&v) at the end of the scope. A module whose objects
 * are used this way defines the function with DM_DEFINE_FREEP(type) beside type_free().
 */
#define dm_auto(type) __attribute__((cleanup(type##_freep))) struct type *
#define DM_DEFINE_FREEP(type) \
	static inline __attribute__((unused)) void type##_freep(struct type **p) \
	{ \
		type##_free(*p); \
	}

/* Hands the pointer out of a scope that would free it. */
void *dm_steal_pointer(void *pp);
#define DM_STEAL(p) ((__typeof__(*(p)))dm_steal_pointer(p))

#endif
