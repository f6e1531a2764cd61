/* SPDX-License-Identifier: MIT */
/*
 * What devmeshd answers to a question about the domain: authoritative only (RFC 1034, 1035), so it
 * never asks anybody else. Bytes in, bytes out; pure. ldns is the codec.
 *
 * The domain has SOA, NS and the address; so has every name below it, down to the configured depth:
 * one that is mistyped leads to a page that says so, and no resolver keeps that it is not there.
 */
#ifndef DEVMESH_DNS_ANSWER_H
#define DEVMESH_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

enum {
	DNS_REPLY_MAX = 1232, /* fits every path without fragments (DNS flag day 2020) */
	DNS_PLAIN_MAX = 512,  /* by UDP, to who does not speak EDNS: RFC 1035 §4.2.1 */
	DNS_TTL = 30,	      /* of addresses */
	DNS_SOA_TTL = 5,      /* and of what there is not: RFC 2308 §5 */
};

/* One domain, ready to be answered for. */
struct dns_zone;

/* `domain` as domain_parse() has it; `depth` from 1. The caller owns it. */
struct dns_zone *dns_zone_new(const char *domain, unsigned depth, uint32_t serial);
void dns_zone_free(struct dns_zone *zone);
DM_DEFINE_FREEP(dns_zone)

/* How a question came, and what is true for whoever asks there. */
struct dns_asked {
	uint8_t ipv4[4]; /* where the names lead */
	bool has_ipv6;	 /* there as well */
	uint8_t ipv6[16];
	bool tcp;
	size_t max; /* bytes that the reply may have at most, up to DNS_REPLY_MAX */
};

enum dns_verdict {
	DNS_VERDICT_DROPPED,   /* it is no question: nothing is sent */
	DNS_VERDICT_ANSWERED,  /* also: no such name, no such record */
	DNS_VERDICT_REFUSED,   /* not ours: REFUSED */
	DNS_VERDICT_MALFORMED, /* FORMERR, NOTIMP, BADVERS */
};

/*
 * The reply to a message of `len` bytes at `query`, which nobody has looked at yet; its length, 0
 * if nothing is to be sent.
 */
size_t dns_answer(const struct dns_zone *zone, const struct dns_asked *asked, const uint8_t *query,
    size_t len, uint8_t out[DNS_REPLY_MAX], enum dns_verdict *verdict);

#endif
