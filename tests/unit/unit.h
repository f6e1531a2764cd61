/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests share: cmocka with what it needs in front, checks of a failure's code and
 * words, private directories, files of the source tree, and a PRNG that prints its seed.
 *
 * DEVMESH_SRC is the source tree (default: the working directory), DEVMESH_SEED a seed.
 */
#ifndef DEVMESH_UNIT_H
#define DEVMESH_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/str.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The call succeeds; otherwise the test fails with the error's own words. */
#define assert_ok(call, err) \
	do { \
		if (!(call)) \
			fail_msg("%s: %s", #call, (err)->msg); \
	} while (0)

/* The call fails with this code, and its message holds `text`. */
#define assert_fails(call, err, want, text) \
	do { \
		memset((err), 0, sizeof(*(err))); \
		if (call) \
			fail_msg("%s: did not fail", #call); \
		if ((err)->code != (want) || strstr((err)->msg, text) == NULL) \
			fail_msg("%s: failed with %s: %s", #call, dm_code_name((err)->code), \
			    (err)->msg); \
	} while (0)

#define assert_holds(text, part) \
	do { \
		if (strstr((text), (part)) == NULL) \
			fail_msg("\"%s\" is not in: %s", (part), (text)); \
	} while (0)

/* A private directory with a short name, for sockets; the caller removes it (remove_tree). */
static inline char *
temp_dir(void)
{
	char *dir = dm_strdup("/tmp/dmunit.XXXXXX");

	if (mkdtemp(dir) == NULL)
		fail_msg("no directory can be made in /tmp");
	return dir;
}

static inline void
remove_below(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	struct stat st;

	while (d != NULL && (e = readdir(d)) != NULL) {
		DM_AUTO_FREE char *sub = dm_asprintf("%s/%s", path, e->d_name);

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (lstat(sub, &st) == 0 && S_ISDIR(st.st_mode))
			remove_below(sub);
		else
			(void)unlink(sub);
	}
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(path);
}

/* Removes a private directory and frees its name. */
static inline void
remove_tree(char *dir)
{
	remove_below(dir);
	free(dir);
}

/* "<dir>/<name>"; the caller owns it. */
static inline char *
in_dir(const char *dir, const char *name)
{
	return dm_asprintf("%s/%s", dir, name);
}

static inline void
put_file(const char *path, const char *text)
{
	struct dm_err err;

	assert_ok(dm_write_file(path, text, strlen(text), 0644, &err), &err);
}

/* A whole file of the source tree, which must be there; the caller owns the text. */
static inline char *
source_text(const char *name)
{
	const char *src = getenv("DEVMESH_SRC");
	DM_AUTO_FREE char *path = in_dir(src != NULL ? src : ".", name);
	DM_AUTO_STR struct dm_str text;
	struct dm_err err;

	dm_str_init(&text, 1 << 20);
	assert_ok(dm_read_file(path, &text, &err), &err);
	assert_false(text.overflow);
	return dm_str_take(&text);
}

/* SplitMix64: every seed is a good one. */
struct prng {
	uint64_t state;
};

static inline struct prng
prng_new(void)
{
	const char *text = getenv("DEVMESH_SEED");
	uint64_t seed = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();

	if (text != NULL)
		assert_true(dm_parse_uint(text, 0, UINT64_MAX, &seed));
	print_message("DEVMESH_SEED=%llu\n", (unsigned long long)seed);
	return (struct prng){seed};
}

/* A number below `n`. */
static inline size_t
prng_below(struct prng *p, size_t n)
{
	uint64_t z = (p->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (size_t)((z ^ (z >> 31)) % n);
}

/* Up to `max` bytes of `alphabet`, with a NUL; `out` has room for max + 1. */
static inline void
prng_text(struct prng *p, const char *alphabet, size_t max, char *out)
{
	size_t n = prng_below(p, max + 1), letters = strlen(alphabet);

	for (size_t i = 0; i < n; i++)
		out[i] = alphabet[prng_below(p, letters)];
	out[n] = '\0';
}

#endif
