/* SPDX-License-Identifier: MIT */
/*
 * As much of DNS (RFC 1035) as a diagnosis needs: which servers this machine asks, and what each
 * of them answers for one name. Programs resolve names by getaddrinfo(3), never by this.
 *
 * Answers come from the network: bounded, and hostile until parsed.
 */
#ifndef DEVMESH_DNS_H
#define DEVMESH_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	DNS_SERVERS_MAX = 8,
	DNS_ADDRESSES_MAX = 8,
	DNS_ADDRESS_TEXT = 64, /* "fe80::1%eth0", with its NUL */
	DNS_QUERY_MAX = 280,   /* header, name of at most 255 bytes, type and class */
	DNS_ANSWER_MAX = 4096,
	DNS_TYPE_A = 1,	    /* RFC 1035 */
	DNS_TYPE_AAAA = 28, /* RFC 3596 */
};

/* A server to ask. */
struct dns_server {
	char address[DNS_ADDRESS_TEXT];
	uint16_t port;
};

struct dns_servers {
	struct dns_server list[DNS_SERVERS_MAX];
	size_t count;
};

/*
 * The "nameserver" lines of a resolv.conf(5), in order, as far as they are addresses. Pure. What
 * it says for none at all (the local machine) is not filled in.
 */
void dns_servers_parse(const char *text, struct dns_servers *out);

struct dns_address {
	bool ipv6;
	uint8_t bytes[16]; /* network order; the first 4 for IPv4 */
};

/* "192.168.1.10". */
void dns_address_text(const struct dns_address *address, char out[DNS_ADDRESS_TEXT]);
/* Whether both are the same address. */
bool dns_address_same(const struct dns_address *a, const struct dns_address *b);
/* 127.0.0.0/8, ::1, and IPv4 loopback within IPv6. */
bool dns_address_is_loopback(const struct dns_address *address);
/* What filters against DNS rebinding drop: RFC 1918, link-local, unique local, 100.64/10. */
bool dns_address_is_private(const struct dns_address *address);
/* 169.254.0.0/16 and fe80::/10. */
bool dns_address_is_link_local(const struct dns_address *address);
/* Whether one of this machine's interfaces has it, or it is a loopback address. */
bool dns_address_is_ours(const struct dns_address *address);

enum dns_outcome {
	DNS_ANSWERED, /* addresses, count > 0 */
	DNS_EMPTY,    /* the name exists, without such an address (NODATA) */
	DNS_NO_NAME,  /* NXDOMAIN */
	DNS_REFUSED,  /* any other refusal: rcode tells */
	DNS_SILENT,   /* nothing usable came back in time */
};

struct dns_reply {
	enum dns_outcome outcome;
	unsigned rcode;
	bool authoritative; /* AA: it is the zone's own server, or says so */
	bool recursive;	    /* RA: it asks others as well */
	struct dns_address addresses[DNS_ADDRESSES_MAX];
	size_t count;
};

/*
 * A recursive query for the name's addresses of one type; its length, 0 if the name is none.
 * Pure.
 */
size_t dns_query(const char *name, unsigned type, uint16_t id, uint8_t out[DNS_QUERY_MAX]) DM_MUST;

/*
 * Reads the answer to that query (`query_len` bytes at `query`). False if it is none: too short,
 * another id or question, not a response, or cut in the middle of a record. Pure.
 */
bool dns_reply_parse(const uint8_t *query, size_t query_len, const uint8_t *bytes, size_t len,
    struct dns_reply *out) DM_MUST;

/* One question to one server. */
struct dns_question {
	struct dns_server server;
	unsigned type;
	struct dns_reply reply; /* filled in by dns_ask */
};

/* Asks all of them for `name` at once by UDP, and waits for the answers; no longer than that. */
void dns_ask(const char *name, struct dns_question *questions, size_t count, int64_t timeout_ms);

#endif
