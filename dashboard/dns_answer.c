/* SPDX-License-Identifier: MIT */
#include "dns_answer.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

enum {
	HEADER = LDNS_HEADER_SIZE,
	QUERY_MAX = 4096,      /* a question has some hundred at most */
	ADDITIONAL_MAX = 2,    /* OPT and TSIG */
	BADVERS = 16,	       /* RFC 6891 §9 */
	TYPE_META_FIRST = 249, /* TKEY, TSIG, IXFR, AXFR, MAILB, MAILA: RFC 6895 §3.1 */
	TYPE_META_LAST = 254,
	HINFO_TTL = 3600,
	REFRESH_S = 60,
	RETRY_S = 60,
	EXPIRE_S = 3600,
};

struct dns_zone {
	ldns_rdf *name, *ns;
	ldns_rr *soa;
	unsigned labels, depth;
};

/* What is known of a message that is a question. */
struct question {
	const ldns_rdf *name;
	ldns_rr_type type;
	ldns_rr_class class;
	unsigned below; /* labels of the name in front of the domain */
};

/* ---- the domain ------------------------------------------------------------------------- */

/* Of a number that ldns takes in the host's order. */
static ldns_rdf *
number(uint32_t value)
{
	return ldns_native2rdf_int32(LDNS_RDF_TYPE_INT32, value);
}

static ldns_rdf *
below(const char *label, const ldns_rdf *name)
{
	ldns_rdf *first = ldns_dname_new_frm_str(label);
	ldns_rdf *whole = ldns_dname_cat_clone(first, name);

	ldns_rdf_deep_free(first);
	return whole;
}

/* A record with an owner; its data are pushed by the caller. ldns aborts nowhere: NULL is memory.
 */
static ldns_rr *
record(const ldns_rdf *owner, ldns_rr_type type, uint32_t ttl)
{
	ldns_rr *rr = ldns_rr_new();

	if (rr == NULL)
		abort();
	ldns_rr_set_owner(rr, ldns_rdf_clone(owner));
	ldns_rr_set_type(rr, type);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns_rr_set_ttl(rr, ttl);
	return rr;
}

struct dns_zone *
dns_zone_new(const char *domain, unsigned depth, uint32_t serial)
{
	struct dns_zone *zone = dm_calloc(1, sizeof(*zone));

	zone->name = ldns_dname_new_frm_str(domain);
	zone->depth = depth;
	zone->labels = ldns_dname_label_count(zone->name);
	zone->ns = below("ns", zone->name);
	zone->soa = record(zone->name, LDNS_RR_TYPE_SOA, DNS_SOA_TTL);
	(void)ldns_rr_push_rdf(zone->soa, ldns_rdf_clone(zone->ns));
	(void)ldns_rr_push_rdf(zone->soa, below("hostmaster", zone->name));
	(void)ldns_rr_push_rdf(zone->soa, number(serial));
	(void)ldns_rr_push_rdf(zone->soa, number(REFRESH_S));
	(void)ldns_rr_push_rdf(zone->soa, number(RETRY_S));
	(void)ldns_rr_push_rdf(zone->soa, number(EXPIRE_S));
	(void)ldns_rr_push_rdf(zone->soa, number(DNS_SOA_TTL));
	return zone;
}

void
dns_zone_free(struct dns_zone *zone)
{
	if (zone == NULL)
		return;
	ldns_rdf_deep_free(zone->name);
	ldns_rdf_deep_free(zone->ns);
	ldns_rr_free(zone->soa);
	free(zone);
}

/* ---- replies without records ------------------------------------------------------------- */

/*
 * Where the question behind the header ends; 0: it is none. Its name is written out: a pointer
 * could lead nowhere but into the header (RFC 1035 §4.1.4).
 */
static size_t
question_end(const uint8_t *query, size_t len)
{
	size_t at = HEADER;

	while (at < len && query[at] != 0) {
		if (query[at] > LDNS_MAX_LABELLEN)
			return 0;
		at += 1u + query[at];
	}
	at += 1 + 4; /* the root, type and class */
	return at <= len && at - HEADER - 4 <= LDNS_MAX_DOMAINLEN ? at : 0;
}

/* The header, and the question as it was sent if `end` says where that ends. */
static size_t
plain_reply(const uint8_t *query, size_t end, ldns_pkt_rcode rcode, uint8_t out[DNS_REPLY_MAX])
{
	size_t len = end == 0 ? HEADER : end;

	memcpy(out, query, len);
	memset(out + 2, 0, HEADER - 2);
	/* QR; opcode and RD as they were */
	out[2] = (uint8_t)(0x80 | (query[2] & 0x79));
	out[3] = (uint8_t)rcode;
	ldns_write_uint16(out + LDNS_QDCOUNT_OFF, end == 0 ? 0 : 1);
	return len;
}

/* ---- replies with records ---------------------------------------------------------------- */

static void
add(ldns_pkt *reply, ldns_pkt_section section, ldns_rr *rr)
{
	(void)ldns_pkt_push_rr(reply, section, rr);
}

static void
add_address(ldns_pkt *reply, ldns_pkt_section section, const ldns_rdf *owner, ldns_rr_type type,
    const struct dns_asked *asked)
{
	bool ipv6 = type == LDNS_RR_TYPE_AAAA;
	ldns_rr *rr;

	if (ipv6 && !asked->has_ipv6)
		return;
	rr = record(owner, type, DNS_TTL);
	(void)ldns_rr_push_rdf(
	    rr, ldns_rdf_new_frm_data(ipv6 ? LDNS_RDF_TYPE_AAAA : LDNS_RDF_TYPE_A,
		    ipv6 ? sizeof(asked->ipv6) : sizeof(asked->ipv4),
		    ipv6 ? asked->ipv6 : asked->ipv4));
	add(reply, section, rr);
}

/* Not everything there is (RFC 8482 §4.2): large answers to small questions serve only attackers.
 */
static void
add_hinfo(ldns_pkt *reply, const ldns_rdf *owner)
{
	ldns_rr *rr = record(owner, LDNS_RR_TYPE_HINFO, HINFO_TTL);

	(void)ldns_rr_push_rdf(rr, ldns_rdf_new_frm_str(LDNS_RDF_TYPE_STR, "RFC8482"));
	(void)ldns_rr_push_rdf(rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, 1, ""));
	add(reply, LDNS_SECTION_ANSWER, rr);
}

static void
add_ns(ldns_pkt *reply, const struct dns_zone *zone, const ldns_rdf *owner,
    const struct dns_asked *asked)
{
	ldns_rr *rr = record(owner, LDNS_RR_TYPE_NS, DNS_TTL);

	(void)ldns_rr_push_rdf(rr, ldns_rdf_clone(zone->ns));
	add(reply, LDNS_SECTION_ANSWER, rr);
	add_address(reply, LDNS_SECTION_ADDITIONAL, zone->ns, LDNS_RR_TYPE_A, asked);
	add_address(reply, LDNS_SECTION_ADDITIONAL, zone->ns, LDNS_RR_TYPE_AAAA, asked);
}

/* Whether the name is in the domain; how many labels it has in front of it is noted then. */
static bool
is_inside(const struct dns_zone *zone, struct question *q)
{
	size_t size = ldns_rdf_size(q->name), tail = ldns_rdf_size(zone->name);
	unsigned labels = ldns_dname_label_count(q->name);
	const uint8_t *a = ldns_rdf_data(q->name), *b = ldns_rdf_data(zone->name);

	if (labels < zone->labels || size < tail)
		return false;
	q->below = labels - zone->labels;
	for (unsigned i = 0; i < q->below; i++) {
		size -= 1u + *a;
		a += 1u + *a;
	}
	if (size != tail)
		return false;
	/* in any case (RFC 4343); the domain has no capitals, and a label's length is no letter */
	for (size_t i = 0; i < size; i++) {
		if ((a[i] >= 'A' && a[i] <= 'Z' ? a[i] + 32 : a[i]) != b[i])
			return false;
	}
	return true;
}

/*
 * Every name down to the depth is there, so there are no empty ones in between. What begins with
 * "_" is a protocol's (RFC 8552), and below what is not there is nothing (RFC 8020).
 */
static bool
is_name(const struct dns_zone *zone, const struct question *q)
{
	const uint8_t *label = ldns_rdf_data(q->name);

	if (q->below > zone->depth)
		return false;
	for (unsigned i = 0; i < q->below; i++, label += 1u + *label) {
		if (label[1] == '_')
			return false;
	}
	return true;
}

/* The question is about a name of the domain. */
static void
add_answer(ldns_pkt *reply, const struct dns_zone *zone, const struct question *q,
    const struct dns_asked *asked)
{
	bool exists = is_name(zone, q);

	ldns_pkt_set_aa(reply, true);
	if (!exists)
		ldns_pkt_set_rcode(reply, LDNS_RCODE_NXDOMAIN);
	else if (q->type == LDNS_RR_TYPE_ANY)
		add_hinfo(reply, q->name);
	else if (q->type == LDNS_RR_TYPE_A || q->type == LDNS_RR_TYPE_AAAA)
		add_address(reply, LDNS_SECTION_ANSWER, q->name, q->type, asked);
	else if (q->below == 0 && q->type == LDNS_RR_TYPE_SOA)
		add(reply, LDNS_SECTION_ANSWER, ldns_rr_clone(zone->soa));
	else if (q->below == 0 && q->type == LDNS_RR_TYPE_NS)
		add_ns(reply, zone, q->name, asked);
	/* no such name, no such record: how long that may be kept (RFC 2308 §3) */
	if (ldns_pkt_ancount(reply) == 0)
		add(reply, LDNS_SECTION_AUTHORITY, ldns_rr_clone(zone->soa));
}

/* What is somebody else's: zone transfers (nobody copies this), other classes, other domains. */
static bool
is_refused(const struct dns_zone *zone, struct question *q)
{
	return q->class != LDNS_RR_CLASS_IN || q->type == LDNS_RR_TYPE_OPT ||
	       ((unsigned)q->type >= TYPE_META_FIRST && (unsigned)q->type <= TYPE_META_LAST) ||
	       !is_inside(zone, q);
}

/* ---- a whole answer ---------------------------------------------------------------------- */

/* How many bytes the one who asks can take: RFC 6891 §6.2.3. */
static size_t
room(const struct dns_asked *asked, const ldns_pkt *query, bool edns)
{
	size_t size = edns ? ldns_pkt_edns_udp_size(query) : 0;

	if (asked->tcp)
		return asked->max;
	if (size < DNS_PLAIN_MAX)
		size = DNS_PLAIN_MAX;
	return size < asked->max ? size : asked->max;
}

/* Takes the records out, and says that it did (RFC 2181 §9). */
static void
cut(ldns_pkt *reply)
{
	ldns_rr_list *const lists[] = {
	    ldns_pkt_answer(reply), ldns_pkt_authority(reply), ldns_pkt_additional(reply)};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		while (ldns_rr_list_rr_count(lists[i]) > 0)
			ldns_rr_free(ldns_rr_list_pop_rr(lists[i]));
	}
	ldns_pkt_set_ancount(reply, 0);
	ldns_pkt_set_nscount(reply, 0);
	ldns_pkt_set_arcount(reply, 0);
	ldns_pkt_set_tc(reply, true);
}

/* The message; without its records where they do not fit. */
static size_t
pack(ldns_pkt *reply, size_t max, uint8_t out[DNS_REPLY_MAX])
{
	for (int i = 0; i < 2; i++) {
		uint8_t *wire = NULL;
		size_t len = 0;
		/* a header, a question and OPT alone fit always */
		bool fits = ldns_pkt2wire(&wire, reply, &len) == LDNS_STATUS_OK &&
			    len <= (i == 0 ? max : DNS_REPLY_MAX);

		if (fits)
			memcpy(out, wire, len);
		LDNS_FREE(wire);
		if (fits)
			return len;
		cut(reply);
	}
	return 0;
}

/* An empty reply: the question, and OPT if there was one, as it would be for the same server. */
static ldns_pkt *
begin(const ldns_pkt *query, bool edns)
{
	ldns_pkt *reply = ldns_pkt_new();

	if (reply == NULL)
		abort();
	ldns_pkt_set_id(reply, ldns_pkt_id(query));
	ldns_pkt_set_qr(reply, true);
	ldns_pkt_set_rd(reply, ldns_pkt_rd(query));
	add(reply, LDNS_SECTION_QUESTION,
	    ldns_rr_clone(ldns_rr_list_rr(ldns_pkt_question(query), 0)));
	if (edns)
		ldns_pkt_set_edns_udp_size(reply, DNS_REPLY_MAX);
	return reply;
}

/* `query` was read without a fault, and has one question; `opts` records of EDNS. */
static size_t
answer_query(const struct dns_zone *zone, const struct dns_asked *asked, const ldns_pkt *query,
    unsigned opts, uint8_t out[DNS_REPLY_MAX], enum dns_verdict *verdict)
{
	const ldns_rr *asks = ldns_rr_list_rr(ldns_pkt_question(query), 0);
	struct question q = {.name = ldns_rr_owner(asks),
	    .type = ldns_rr_get_type(asks),
	    .class = ldns_rr_get_class(asks)};
	ldns_pkt *reply = begin(query, opts > 0);
	size_t len;

	*verdict = DNS_VERDICT_MALFORMED;
	if (opts > 1) {
		ldns_pkt_set_rcode(reply, LDNS_RCODE_FORMERR);
	} else if (opts == 1 && ldns_pkt_edns_version(query) > 0) {
		/* its upper bits are OPT's (RFC 6891 §6.1.3) */
		ldns_pkt_set_edns_extended_rcode(reply, BADVERS >> 4);
	} else if (is_refused(zone, &q)) {
		ldns_pkt_set_rcode(reply, LDNS_RCODE_REFUSED);
		*verdict = DNS_VERDICT_REFUSED;
	} else {
		add_answer(reply, zone, &q, asked);
		*verdict = DNS_VERDICT_ANSWERED;
	}
	len = pack(reply, room(asked, query, opts > 0), out);
	ldns_pkt_free(reply);
	return len;
}

size_t
dns_answer(const struct dns_zone *zone, const struct dns_asked *asked, const uint8_t *query,
    size_t len, uint8_t out[DNS_REPLY_MAX], enum dns_verdict *verdict)
{
	ldns_pkt *read = NULL;
	size_t end;
	unsigned opts;

	*verdict = DNS_VERDICT_DROPPED;
	if (len < HEADER || (query[2] & 0x80) != 0)
		return 0;
	*verdict = DNS_VERDICT_MALFORMED;
	if ((query[2] & 0x78) != 0)
		return plain_reply(query, 0, LDNS_RCODE_NOTIMPL, out);
	end = question_end(query, len);
	/*
	 * What no question has is not even read: following compressed names through a large message
	 * takes a while. IXFR has a record in its authority section (RFC 1995 §3).
	 */
	if (LDNS_QDCOUNT(query) != 1 || end == 0 || len > QUERY_MAX || LDNS_ANCOUNT(query) != 0 ||
	    LDNS_NSCOUNT(query) > 1 || LDNS_ARCOUNT(query) > ADDITIONAL_MAX)
		return plain_reply(
		    query, LDNS_QDCOUNT(query) == 1 ? end : 0, LDNS_RCODE_FORMERR, out);
	if (ldns_wire2pkt(&read, query, len) != LDNS_STATUS_OK)
		return plain_reply(query, end, LDNS_RCODE_FORMERR, out);
	/* ldns has taken OPT out of the additional section, and TSIG, which is not looked at */
	opts = LDNS_ARCOUNT(query) - ldns_pkt_arcount(read);
	if (ldns_pkt_tsig(read) != NULL)
		opts--;
	len = answer_query(zone, asked, read, opts, out, verdict);
	ldns_pkt_free(read);
	return len;
}
