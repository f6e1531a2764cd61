/* SPDX-License-Identifier: MIT */
/*
 * Strings: a growable one with a maximum, and the few parsers everybody needs.
 */
#ifndef DEVMESH_STR_H
#define DEVMESH_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * A byte string that grows up to `max` and always ends in NUL. Adding past the maximum sets
 * `overflow` and changes nothing else, so a caller may check once at the end.
 */
struct dm_str {
	char *data; /* never NULL after dm_str_init */
	size_t len, cap, max;
	bool overflow;
};

/* `max` is the largest length in bytes, without the final NUL. Release with dm_str_release. */
void dm_str_init(struct dm_str *s, size_t max);
struct dm_str dm_str_make(size_t max);
void dm_str_release(struct dm_str *s);
/* Appends; false if the maximum would be passed. */
bool dm_str_add(struct dm_str *s, const void *bytes, size_t n);
bool dm_str_addf(struct dm_str *s, const char *fmt, ...) DM_PRINTF(2, 3);
/* Gives the bytes to the caller (free) and leaves s empty but usable. */
char *dm_str_take(struct dm_str *s);

/* DM_AUTO_STR struct dm_str s = dm_str_make(4096); is released at the end of its scope. */
#define DM_AUTO_STR __attribute__((cleanup(dm_str_release)))

/* snprintf into a fixed array: false if the text was cut. */
bool dm_snprintf(char *buf, size_t size, const char *fmt, ...) DM_PRINTF(3, 4) DM_MUST;

/* Parses all of `s` as a decimal number in [min, max]; no sign, no blanks. */
bool dm_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out) DM_MUST;

/* Whether the text holds a byte below 0x20, or 0x7f. */
bool dm_has_control(const char *s);

/*
 * The text as it can be shown and put into JSON: valid UTF-8 (RFC 3629), without control
 * characters (C0, DEL, C1). What is not becomes U+FFFD. The caller owns it.
 */
char *dm_printable(const char *s);

/* The same for a text in lines: its newlines stay, and a tab becomes four blanks. */
char *dm_printable_lines(const char *s);

/*
 * The text as one word of a shell's command line, in single quotes unless it is plain. A newline
 * stays one: make it printable afterwards. The caller owns it.
 */
char *dm_shell_word(const char *s);

/* Whether both are the same text, or both NULL. */
bool dm_same_text(const char *a, const char *b);
bool dm_starts_with(const char *s, const char *prefix);
bool dm_ends_with(const char *s, const char *suffix);

/* The last component of a path, without trailing slashes; the caller owns it. "/" gives "". */
char *dm_path_base(const char *path);
/* The path without its last component; the caller owns it. "/a" gives "/". */
char *dm_path_dir(const char *path);
/* Whether `path` is `dir` or below it; both absolute, nothing is resolved. */
bool dm_path_inside(const char *dir, const char *path);

/*
 * Edit distance with adjacent transpositions (optimal string alignment), for "did you mean".
 * Inputs longer than 63 bytes count as infinitely far.
 */
unsigned dm_edit_distance(const char *a, const char *b);

#endif
