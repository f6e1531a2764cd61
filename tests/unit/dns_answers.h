/* SPDX-License-Identifier: MIT */
/* What the tests of answers share: one domain, asked for from the network. */
#ifndef DEVMESH_DNS_ANSWERS_H
#define DEVMESH_DNS_ANSWERS_H

#include "dns_replies.h"

#define ZONE   "dev.example.com"
#define SERIAL 4000000001U

enum {
	QR = 0x8000,
	AA = 0x0400,
	TC = 0x0200,
	RD = 0x0100,
	RA = 0x0080,
};

static const struct dns_asked lan = {.ipv4 = {192, 168, 1, 10}, .max = DNS_REPLY_MAX};
static const struct dns_asked lan6 = {
    .ipv4 = {192, 168, 1, 10}, .has_ipv6 = true, .ipv6 = {0xfd, 0, [15] = 7}, .max = DNS_REPLY_MAX};

static uint8_t reply[DNS_REPLY_MAX];
static size_t reply_len;
static enum dns_verdict verdict;

static inline struct parsed
answer_deep(const struct message *m, const struct dns_asked *asked, unsigned depth)
{
	dm_auto(dns_zone) zone = dns_zone_new(ZONE, depth, SERIAL);
	/* exactly as large as it is: a sanitizer sees a byte too far */
	DM_AUTO_FREE uint8_t *exact = dm_calloc(1, m->n);

	memcpy(exact, m->b, m->n);
	reply_len = dns_answer(zone, asked, exact, m->n, reply, &verdict);
	return reply_len == 0 ? (struct parsed){.count = 0} : parse(reply, reply_len);
}

static inline struct parsed
answer(const struct message *m, const struct dns_asked *asked)
{
	struct parsed p = answer_deep(m, asked, 1);

	assert_true(reply_len > 0);
	assert_int_equal(p.id, 0x1234);
	/* never recursion, never more than there is room for */
	assert_int_equal(p.flags & (QR | RA), QR);
	assert_true(reply_len <= DNS_REPLY_MAX);
	return p;
}

static inline struct parsed
answer_to(const char *name, unsigned type)
{
	const struct message m = ask(name, type);

	return answer(&m, &lan);
}

static inline void
assert_address(const struct parsed *p, const char *name)
{
	assert_int_equal(verdict, DNS_VERDICT_ANSWERED);
	assert_int_equal(p->rcode, 0);
	assert_int_equal(p->flags, QR | AA | RD);
	assert_int_equal(p->answers, 1);
	assert_int_equal(p->authorities, 0);
	assert_int_equal(p->list[0].type, T_A);
	assert_int_equal(p->list[0].class, 1);
	assert_int_equal(p->list[0].ttl, 30);
	assert_string_equal(p->list[0].name, name);
	assert_int_equal(p->list[0].size, 4);
	assert_memory_equal(reply + p->list[0].at, lan.ipv4, 4);
}

/* Nothing but SOA in the authority section, with what it must say. */
static inline void
assert_nothing(const struct parsed *p, unsigned rcode)
{
	char name[260];
	size_t at = p->list[0].at;

	assert_int_equal(verdict, DNS_VERDICT_ANSWERED);
	assert_int_equal(p->rcode, rcode);
	assert_int_equal(p->flags & AA, AA);
	assert_int_equal(p->answers, 0);
	assert_int_equal(p->authorities, 1);
	assert_int_equal(p->list[0].type, T_SOA);
	assert_int_equal(p->list[0].ttl, 5);
	assert_string_equal(p->list[0].name, ZONE);
	at = name_at(reply, reply_len, at, name);
	assert_string_equal(name, "ns." ZONE);
	at = name_at(reply, reply_len, at, name);
	assert_string_equal(name, "hostmaster." ZONE);
	assert_int_equal(get32(reply + at), SERIAL);
	assert_int_equal(get32(reply + at + 4), 60);
	assert_int_equal(get32(reply + at + 8), 60);
	assert_int_equal(get32(reply + at + 12), 3600);
	assert_int_equal(get32(reply + at + 16), 5);
}

static inline void
assert_refused(const struct parsed *p)
{
	assert_int_equal(verdict, DNS_VERDICT_REFUSED);
	assert_int_equal(p->rcode, R_REFUSED);
	assert_int_equal(p->flags, QR | RD);
	assert_int_equal(p->count, 0);
}

static inline void
assert_malformed(const struct parsed *p, unsigned rcode)
{
	assert_int_equal(verdict, DNS_VERDICT_MALFORMED);
	assert_int_equal(p->rcode, rcode);
	assert_int_equal(p->flags & AA, 0);
	assert_int_equal(p->count, 0);
}

#endif
