/* SPDX-License-Identifier: MIT */
/* DNS messages by hand, for tests: questions, byte by byte. */
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

#endif
