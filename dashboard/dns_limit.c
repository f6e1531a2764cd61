/* SPDX-License-Identifier: MIT */
#include "dns_limit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	WAYS = 4,
	SETS = DNS_LIMIT_SOURCES / WAYS,
	TOKEN = 1000, /* thousandths */
	FULL = DNS_LIMIT_RATE * TOKEN,
};

struct bucket {
	uint64_t key;
	int64_t at_ms; /* of the last question that counted */
	int64_t tokens;
	bool used, ipv6;
};

struct dns_limit {
	uint64_t seed;
	struct bucket sets[SETS][WAYS];
};

struct dns_limit *
dns_limit_new(uint64_t seed)
{
	struct dns_limit *limit = dm_calloc(1, sizeof(*limit));

	limit->seed = seed;
	return limit;
}

void
dns_limit_free(struct dns_limit *limit)
{
	free(limit);
}

/* The finalizer of splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

/* The bucket of the source, else the one of its set that has rested longest, made anew and full. */
static struct bucket *
bucket_of(struct dns_limit *limit, uint64_t key, bool ipv6, int64_t now_ms)
{
	struct bucket *set = limit->sets[mix(key ^ limit->seed) % SETS];
	struct bucket *oldest = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].used && set[i].key == key && set[i].ipv6 == ipv6)
			return &set[i];
		if (!set[i].used || (oldest->used && set[i].at_ms < oldest->at_ms))
			oldest = &set[i];
	}
	*oldest = (struct bucket){
	    .key = key, .ipv6 = ipv6, .used = true, .at_ms = now_ms, .tokens = FULL};
	return oldest;
}

static uint64_t
key_of(const struct dns_address *source)
{
	uint64_t key = 0;

	memcpy(&key, source->bytes, source->ipv6 ? 8 : 4);
	return key;
}

bool
dns_limit_same(const struct dns_address *a, const struct dns_address *b)
{
	return a->ipv6 == b->ipv6 && key_of(a) == key_of(b);
}

bool
dns_limit_take(struct dns_limit *limit, const struct dns_address *source, int64_t now_ms)
{
	struct bucket *b = bucket_of(limit, key_of(source), source->ipv6, now_ms);
	int64_t passed;

	passed = now_ms - b->at_ms;
	if (passed >= 1000)
		b->tokens = FULL;
	else if (passed > 0)
		b->tokens += passed * DNS_LIMIT_RATE;
	if (b->tokens > FULL)
		b->tokens = FULL;
	b->at_ms = now_ms;
	if (b->tokens < TOKEN)
		return false;
	b->tokens -= TOKEN;
	return true;
}
