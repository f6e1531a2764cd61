/* SPDX-License-Identifier: MIT */
#include "model/slug.h"

#include <stdint.h>
#include <string.h>

static uint64_t
fnv1a(uint64_t h, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	return h;
}

struct slug_hash
slug_hash(const char *const texts[], size_t count)
{
	static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	struct slug_hash out;

	for (size_t i = 0; i < count; i++) {
		/* with its NUL: ("a", "b") is not ("ab", "") */
		h = fnv1a(h, texts[i], strlen(texts[i]) + 1);
	}
	/* fold, so that all 64 bits count in the 35 that are shown */
	h ^= h >> 35;
	for (size_t i = 0; i < SLUG_HASH; i++, h >>= 5)
		out.s[i] = digits[h & 31];
	out.s[SLUG_HASH] = '\0';
	return out;
}

/* Drops trailing dashes. */
static void
trim_end(char *s, size_t *n)
{
	while (*n > 0 && s[*n - 1] == '-')
		(*n)--;
	s[*n] = '\0';
}

struct slug
slug_make(const char *text)
{
	struct slug out;
	size_t n = 0;
	bool cut = false, foreign = false, gap = false;

	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		foreign |= c >= 0x80;
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) {
			gap = n > 0;
			continue;
		}
		if (n + (gap ? 2 : 1) > SLUG_MAX) {
			cut = true;
			continue;
		}
		if (gap)
			out.s[n++] = '-';
		gap = false;
		out.s[n++] = (char)c;
	}
	out.s[n] = '\0';
	if (cut || foreign || n == 0) {
		struct slug_hash hash = slug_hash(&text, 1);

		return slug_with_hash(&out, &hash);
	}
	return out;
}

struct slug
slug_with_hash(const struct slug *label, const struct slug_hash *hash)
{
	struct slug out = *label;
	size_t n = strlen(out.s);

	if (n > SLUG_MAX - 1 - SLUG_HASH)
		n = SLUG_MAX - 1 - SLUG_HASH;
	trim_end(out.s, &n);
	if (n > 0)
		out.s[n++] = '-';
	memcpy(out.s + n, hash->s, SLUG_HASH + 1);
	return out;
}

struct slug
slug_join(const struct slug *label, const struct slug *tail, const struct slug_hash *hash)
{
	char whole[2 * SLUG_MAX + 2];
	size_t n = strlen(label->s), m = strlen(tail->s);
	struct slug out;

	memcpy(whole, label->s, n);
	whole[n] = '-';
	memcpy(whole + n + 1, tail->s, m + 1);
	if (n + 1 + m <= SLUG_MAX) {
		memcpy(out.s, whole, n + m + 2);
		return out;
	}
	memcpy(out.s, whole, SLUG_MAX);
	out.s[SLUG_MAX] = '\0';
	return slug_with_hash(&out, hash);
}

bool
slug_valid(const char *text)
{
	size_t n = 0;

	for (; text[n] != '\0'; n++) {
		char c = text[n];

		if (n >= SLUG_MAX)
			return false;
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			continue;
		if (c != '-' || n == 0 || text[n - 1] == '-')
			return false;
	}
	return n > 0 && text[n - 1] != '-';
}

bool
slug_parse(const char *text, struct slug *out, struct dm_err *err)
{
	if (!slug_valid(text)) {
		(void)dm_fail(err, DM_USAGE, "\"%.80s\" cannot be the name of a service", text);
		return dm_hint(err,
		    "lower-case letters, digits and single dashes between them, at most %d, "
		    "such as \"%s\"",
		    SLUG_MAX, text[0] == '\0' ? "shop-main" : slug_make(text).s);
	}
	memcpy(out->s, text, strlen(text) + 1);
	return true;
}
