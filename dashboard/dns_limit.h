/* SPDX-License-Identifier: MIT */
/*
 * How often one device may ask: a bucket of tokens for each, in a table of fixed size. What has
 * not asked for longest makes room, so a flood of sources cannot take memory. Pure: the clock is an
 * argument.
 */
#ifndef DEVMESH_DNS_LIMIT_H
#define DEVMESH_DNS_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dns.h"

enum {
	DNS_LIMIT_RATE = 50,	  /* questions a second, and as many at once after a pause */
	DNS_LIMIT_SOURCES = 1024, /* that are remembered */
};

struct dns_limit;

/* `seed` keeps others from knowing who shares a place with whom. The caller owns it. */
struct dns_limit *dns_limit_new(uint64_t seed);
void dns_limit_free(struct dns_limit *limit);

/*
 * Whether both are one source. All addresses of one IPv6 /64 are, as one device has as many of them
 * as it likes (RFC 8981). Pure.
 */
bool dns_limit_same(const struct dns_address *a, const struct dns_address *b);

/* Whether the source may ask once more now; if so that counts. */
bool dns_limit_take(struct dns_limit *limit, const struct dns_address *source, int64_t now_ms);

#endif
