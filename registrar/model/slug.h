/* SPDX-License-Identifier: MIT */
/*
 * Labels: any text made into one DNS label (RFC 1035 §2.3.1, lower case), always the same one.
 * Pure.
 */
#ifndef DEVMESH_SLUG_H
#define DEVMESH_SLUG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/*
 * Longest label we make. DNS allows 63; 48 leaves room for the socket path on macOS (103 bytes)
 * and for a peer's suffix.
 */
#define SLUG_MAX 48
/* Characters of a short hash. */
#define SLUG_HASH 7

/* A label: NUL-terminated, [a-z0-9] and inner single '-', 1 to SLUG_MAX bytes. */
struct slug {
	char s[SLUG_MAX + 1];
};

struct slug_hash {
	char s[SLUG_HASH + 1];
};

/*
 * A short hash of the texts, in order, each with its length: FNV-1a (64 bit), in the digits of
 * RFC 4648 base 32, lower case. It tells texts apart by chance, not against an adversary: names
 * are made unique by claims.
 */
struct slug_hash slug_hash(const char *const texts[], size_t count);

/*
 * Lower case; every run of bytes outside [a-z0-9] becomes one '-'; trimmed. A text with non-ASCII
 * bytes, one with nothing left, or one that is too long gets a hash of the text appended.
 */
struct slug slug_make(const char *text);

/* "<label>-<tail>", cut and given "-<hash>" in place of the end if longer than SLUG_MAX. */
struct slug
slug_join(const struct slug *label, const struct slug *tail, const struct slug_hash *hash);

/* "<label>-<hash>", the label being cut as far as needed. */
struct slug slug_with_hash(const struct slug *label, const struct slug_hash *hash);

/* Whether `text` is a label as struct slug describes it. */
bool slug_valid(const char *text);

/* Parses a label given by the user; the message shows what a label is. */
bool slug_parse(const char *text, struct slug *out, struct dm_err *err) DM_MUST;

#endif
