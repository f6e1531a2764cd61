/* SPDX-License-Identifier: MIT */
/* Replies of DNS, taken apart by the tests themselves. */
#ifndef DEVMESH_DNS_REPLIES_H
#define DEVMESH_DNS_REPLIES_H

#include "dns_messages.h"

enum {
	RECORDS = 8,
};

struct record {
	char name[260];
	unsigned type, class;
	uint32_t ttl;
	size_t at, size; /* of its data */
};

/* A reply, taken apart. */
struct parsed {
	unsigned id, flags, rcode; /* rcode with OPT's part */
	unsigned questions, answers, authorities, additionals;
	char name[260];
	unsigned type;
	struct record list[RECORDS]; /* in order; without OPT */
	size_t count;
	bool opt;
	unsigned opt_size, opt_version, opt_flags;
};

static inline unsigned
get16(const uint8_t *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

static inline uint32_t
get32(const uint8_t *b)
{
	return (uint32_t)get16(b) << 16 | get16(b + 2);
}

/* As text; where it ends in the message. */
static inline size_t
name_at(const uint8_t *b, size_t n, size_t at, char out[260])
{
	size_t len = 0, end = 0;

	for (unsigned hops = 0; hops < 40; hops++) {
		assert_true(at < n);
		if ((b[at] & 0xc0) == 0xc0) {
			assert_true(at + 1 < n);
			end = end == 0 ? at + 2 : end;
			at = get16(b + at) & 0x3fff;
			continue;
		}
		if (b[at] == 0) {
			out[len > 0 ? len - 1 : 0] = '\0';
			return end == 0 ? at + 1 : end;
		}
		assert_true(at + b[at] < n && len + b[at] + 1 < 260);
		memcpy(out + len, b + at + 1, b[at]);
		len += b[at];
		out[len++] = '.';
		at += 1u + b[at];
	}
	fail_msg("a name without end");
	return 0;
}

static inline size_t
record_at(struct parsed *p, const uint8_t *b, size_t n, size_t at)
{
	struct record r = {.size = 0};

	at = name_at(b, n, at, r.name);
	assert_true(at + 10 <= n);
	r.type = get16(b + at);
	r.class = get16(b + at + 2);
	r.ttl = get32(b + at + 4);
	r.size = get16(b + at + 8);
	r.at = at + 10;
	assert_true(r.at + r.size <= n);
	if (r.type == T_OPT) {
		assert_false(p->opt);
		assert_string_equal(r.name, "");
		p->opt = true;
		p->opt_size = r.class;
		p->rcode |= (r.ttl >> 24) << 4;
		p->opt_version = r.ttl >> 16 & 0xff;
		p->opt_flags = r.ttl & 0xffff;
		assert_int_equal(r.size, 0);
	} else {
		assert_true(p->count < RECORDS);
		p->list[p->count++] = r;
	}
	return r.at + r.size;
}

static inline struct parsed
parse(const uint8_t *b, size_t n)
{
	struct parsed p = {.count = 0};
	size_t at = 12;

	assert_true(n >= 12);
	p.id = get16(b);
	p.flags = get16(b + 2) & 0xfff0;
	p.rcode = b[3] & 0x0f;
	p.questions = get16(b + 4);
	p.answers = get16(b + 6);
	p.authorities = get16(b + 8);
	p.additionals = get16(b + 10);
	if (p.questions == 1) {
		at = name_at(b, n, at, p.name);
		p.type = get16(b + at);
		at += 4;
	}
	for (unsigned i = 0; i < p.answers + p.authorities + p.additionals; i++)
		at = record_at(&p, b, n, at);
	assert_int_equal(at, n);
	return p;
}

#endif
