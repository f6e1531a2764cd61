/* SPDX-License-Identifier: MIT */
/* DNS messages by hand, for tests: questions made byte by byte, and replies taken apart. */
#ifndef DEVMESH_DNS_MESSAGES_H
#define DEVMESH_DNS_MESSAGES_H

#include "unit.h"

#include "dns_answer.h"

enum {
	T_A = 1,
	T_NS = 2,
	T_SOA = 6,
	T_HINFO = 13,
	T_MX = 15,
	T_TXT = 16,
	T_AAAA = 28,
	T_OPT = 41,
	T_SVCB = 64,
	T_HTTPS = 65,
	T_IXFR = 251,
	T_AXFR = 252,
	T_ANY = 255,
	T_CAA = 257,
	R_FORMERR = 1,
	R_NXDOMAIN = 3,
	R_NOTIMP = 4,
	R_REFUSED = 5,
	R_BADVERS = 16,
	RECORDS = 8,
};

struct message {
	uint8_t b[8192];
	size_t n;
};

static inline void
put(struct message *m, unsigned value)
{
	m->b[m->n++] = (uint8_t)(value >> 8);
	m->b[m->n++] = (uint8_t)value;
}

static inline void
put_name(struct message *m, const char *name)
{
	while (*name != '\0') {
		size_t n = strcspn(name, ".");

		m->b[m->n++] = (uint8_t)n;
		memcpy(m->b + m->n, name, n);
		m->n += n;
		name += n + (name[n] == '.' ? 1 : 0);
	}
	m->b[m->n++] = 0;
}

static inline struct message
ask_class(const char *name, unsigned type, unsigned class)
{
	struct message m = {.n = 0};

	put(&m, 0x1234);
	put(&m, 0x0100); /* RD */
	put(&m, 1);
	put(&m, 0);
	put(&m, 0);
	put(&m, 0);
	put_name(&m, name);
	put(&m, type);
	put(&m, class);
	return m;
}

static inline struct message
ask(const char *name, unsigned type)
{
	return ask_class(name, type, 1);
}

/* One more record OPT; flags as in RFC 6891 §6.1.3. `options` has its data. */
static inline void
put_opt(struct message *m, unsigned size, unsigned version, unsigned flags, const void *options,
    size_t len)
{
	m->b[11]++;
	m->b[m->n++] = 0;
	put(m, T_OPT);
	put(m, size);
	put(m, version);
	put(m, flags);
	put(m, (unsigned)len);
	if (len > 0)
		memcpy(m->b + m->n, options, len);
	m->n += len;
}

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
