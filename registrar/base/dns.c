/* SPDX-License-Identifier: MIT */
#include "base/dns.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

/* RFC 1035 §4.1.1 */
enum {
	HEADER = 12,
	LABEL_MAX = 63,
	NAME_MAX_BYTES = 255,
	RECORDS_MAX = 64,
	CLASS_IN = 1,
	FLAG_RESPONSE = 0x80, /* of byte 2 */
	FLAG_RECURSE = 0x01,
	FLAG_AUTHORITATIVE = 0x04,
	FLAG_RECURSIVE = 0x80, /* of byte 3 */
	POINTER = 0xc0,
	RCODE_NXDOMAIN = 3,
	QUESTIONS_MAX = 2 * DNS_SERVERS_MAX,
	RESEND_MS = 400,
};

void
dns_servers_parse(const char *text, struct dns_servers *out)
{
	static const char keyword[] = "nameserver";

	memset(out, 0, sizeof(*out));
	for (const char *line = text; *line != '\0' && out->count < DNS_SERVERS_MAX;) {
		size_t n = strcspn(line, "\n");
		const char *p = line + sizeof(keyword) - 1;
		struct dns_server *server = &out->list[out->count];
		uint8_t bytes[16];
		char plain[DNS_ADDRESS_TEXT];

		line += n + (line[n] == '\n' ? 1 : 0);
		if (n <= sizeof(keyword) ||
		    strncmp(p - sizeof(keyword) + 1, keyword, sizeof(keyword) - 1) != 0 ||
		    (*p != ' ' && *p != '\t'))
			continue;
		p += strspn(p, " \t");
		if (!dm_snprintf(server->address, sizeof(server->address), "%.*s",
			(int)strcspn(p, " \t\r\n#;"), p) ||
		    !dm_snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(server->address, "%"),
			server->address) ||
		    (inet_pton(AF_INET, plain, bytes) != 1 &&
			inet_pton(AF_INET6, plain, bytes) != 1))
			continue;
		server->port = 53;
		out->count++;
	}
	for (size_t i = out->count; i < DNS_SERVERS_MAX; i++)
		memset(&out->list[i], 0, sizeof(out->list[i]));
}

void
dns_address_text(const struct dns_address *address, char out[DNS_ADDRESS_TEXT])
{
	if (inet_ntop(address->ipv6 ? AF_INET6 : AF_INET, address->bytes, out, DNS_ADDRESS_TEXT) ==
	    NULL)
		out[0] = '\0';
}

bool
dns_address_same(const struct dns_address *a, const struct dns_address *b)
{
	return a->ipv6 == b->ipv6 && memcmp(a->bytes, b->bytes, a->ipv6 ? 16 : 4) == 0;
}

/* The IPv4 address within an IPv4-mapped one (RFC 4291 §2.5.5.2), or the address itself. */
static bool
as_ipv4(const struct dns_address *address, uint8_t out[4])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (address->ipv6 && memcmp(address->bytes, mapped, sizeof(mapped)) != 0)
		return false;
	memcpy(out, address->bytes + (address->ipv6 ? 12 : 0), 4);
	return true;
}

bool
dns_address_is_loopback(const struct dns_address *address)
{
	static const uint8_t one[16] = {[15] = 1};
	uint8_t v4[4];

	if (as_ipv4(address, v4))
		return v4[0] == 127;
	return memcmp(address->bytes, one, sizeof(one)) == 0;
}

bool
dns_address_is_private(const struct dns_address *address)
{
	const uint8_t *b = address->bytes;
	uint8_t v4[4];

	if (as_ipv4(address, v4))
		return v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) ||
		       (v4[0] == 192 && v4[1] == 168) || (v4[0] == 169 && v4[1] == 254) ||
		       (v4[0] == 100 && (v4[1] & 0xc0) == 64);
	return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

bool
dns_address_is_link_local(const struct dns_address *address)
{
	const uint8_t *b = address->bytes;

	return address->ipv6 ? b[0] == 0xfe && (b[1] & 0xc0) == 0x80 : b[0] == 169 && b[1] == 254;
}

bool
dns_address_is_ours(const struct dns_address *address)
{
	struct ifaddrs *all, *i;
	bool found = dns_address_is_loopback(address);

	if (found || getifaddrs(&all) != 0)
		return found;
	for (i = all; i != NULL && !found; i = i->ifa_next) {
		if (i->ifa_addr == NULL)
			continue;
		if (i->ifa_addr->sa_family == AF_INET && !address->ipv6)
			found =
			    memcmp(
				&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr,
				address->bytes, 4) == 0;
		else if (i->ifa_addr->sa_family == AF_INET6 && address->ipv6)
			found = memcmp(&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)
					    ->sin6_addr,
				    address->bytes, 16) == 0;
	}
	freeifaddrs(all);
	return found;
}

static void
put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static unsigned
get16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

size_t
dns_query(const char *name, unsigned type, uint16_t id, uint8_t out[DNS_QUERY_MAX])
{
	size_t n = HEADER;

	memset(out, 0, DNS_QUERY_MAX);
	put16(out, id);
	out[2] = FLAG_RECURSE;
	put16(out + 4, 1); /* one question */
	for (const char *p = name; *p != '\0';) {
		size_t label = strcspn(p, ".");

		if (label == 0 || label > LABEL_MAX || n + 1 + label + 1 > HEADER + NAME_MAX_BYTES)
			return 0;
		out[n++] = (uint8_t)label;
		memcpy(out + n, p, label);
		n += label;
		p += label + (p[label] == '.' ? 1 : 0);
	}
	if (n == HEADER)
		return 0;
	out[n++] = 0;
	put16(out + n, type);
	put16(out + n + 2, CLASS_IN);
	return n + 4;
}

/* Steps over a name, which may end in a pointer; false when it runs out of the message. */
static bool
skip_name(const uint8_t *bytes, size_t len, size_t *at)
{
	while (*at < len) {
		uint8_t label = bytes[*at];

		if ((label & POINTER) == POINTER) {
			*at += 2;
			return *at <= len;
		}
		if ((label & POINTER) != 0)
			return false;
		*at += 1u + label;
		if (label == 0)
			return *at <= len;
	}
	return false;
}

/* Whether the bytes are that text in any case: servers may or may not echo capitals. */
static bool
same_question(const uint8_t *a, const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t x = a[i], y = b[i];

		if (x >= 'A' && x <= 'Z')
			x = (uint8_t)(x + 32);
		if (y >= 'A' && y <= 'Z')
			y = (uint8_t)(y + 32);
		if (x != y)
			return false;
	}
	return true;
}

/* One record of the answer section: its address is taken if it is one of the wanted type. */
static bool
take_record(const uint8_t *bytes, size_t len, size_t *at, unsigned wanted, struct dns_reply *out)
{
	unsigned type, class, size;

	if (!skip_name(bytes, len, at) || len - *at < 10)
		return false;
	type = get16(bytes + *at);
	class = get16(bytes + *at + 2);
	size = get16(bytes + *at + 8);
	*at += 10;
	if (len - *at < size)
		return false;
	if (type == wanted && class == CLASS_IN && size == (type == DNS_TYPE_A ? 4u : 16u) &&
	    out->count < DNS_ADDRESSES_MAX) {
		struct dns_address *address = &out->addresses[out->count++];

		address->ipv6 = type != DNS_TYPE_A;
		memcpy(address->bytes, bytes + *at, size);
	}
	*at += size;
	return true;
}

bool
dns_reply_parse(
    const uint8_t *query, size_t query_len, const uint8_t *bytes, size_t len, struct dns_reply *out)
{
	size_t at = query_len;
	unsigned records, type;

	memset(out, 0, sizeof(*out));
	out->outcome = DNS_SILENT;
	if (query_len < HEADER + 5 || len < query_len || memcmp(bytes, query, 2) != 0 ||
	    (bytes[2] & FLAG_RESPONSE) == 0 || get16(bytes + 4) != 1 ||
	    !same_question(bytes + HEADER, query + HEADER, query_len - HEADER))
		return false;
	out->rcode = bytes[3] & 0x0f;
	out->authoritative = (bytes[2] & FLAG_AUTHORITATIVE) != 0;
	out->recursive = (bytes[3] & FLAG_RECURSIVE) != 0;
	type = get16(query + query_len - 4);
	records = get16(bytes + 6);
	for (unsigned i = 0; i < records && i < RECORDS_MAX; i++) {
		if (!take_record(bytes, len, &at, type, out)) {
			memset(out, 0, sizeof(*out));
			out->outcome = DNS_SILENT;
			return false;
		}
	}
	if (out->rcode == RCODE_NXDOMAIN)
		out->outcome = DNS_NO_NAME;
	else if (out->rcode != 0)
		out->outcome = DNS_REFUSED;
	else
		out->outcome = out->count > 0 ? DNS_ANSWERED : DNS_EMPTY;
	return true;
}

/* A UDP socket that takes packets from that server only; -1 if there is no way to it. */
static int
open_socket(const struct dns_server *server)
{
	struct addrinfo hints = {
	    .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found;
	char port[8];
	int fd;

	if (!dm_snprintf(port, sizeof(port), "%u", (unsigned)server->port) ||
	    getaddrinfo(server->address, port, &hints, &found) != 0)
		return -1;
	fd = socket(found->ai_family, found->ai_socktype, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
		dm_closep(&fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

struct asking {
	struct pollfd polls[QUESTIONS_MAX];
	uint8_t queries[QUESTIONS_MAX][DNS_QUERY_MAX];
	size_t lengths[QUESTIONS_MAX];
};

/* Takes what has arrived for one question; a packet that is no answer to it is passed over. */
static void
receive(struct asking *a, size_t i, struct dns_question *question)
{
	uint8_t bytes[DNS_ANSWER_MAX];
	ssize_t n = recv(a->polls[i].fd, bytes, sizeof(bytes), 0);

	/* an error is ICMP's "nobody there": silent, and no reason to wait */
	if (n >= 0 &&
	    !dns_reply_parse(a->queries[i], a->lengths[i], bytes, (size_t)n, &question->reply))
		return;
	dm_closep(&a->polls[i].fd);
	a->polls[i].fd = -1;
}

static void
send_all(struct asking *a, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (a->polls[i].fd >= 0)
			(void)!send(a->polls[i].fd, a->queries[i], a->lengths[i], 0);
	}
}

void
dns_ask(const char *name, struct dns_question *questions, size_t count, int64_t timeout_ms)
{
	int64_t now = dm_now_ms(), deadline = now + timeout_ms, again = now + RESEND_MS;
	struct asking a;
	size_t open = 0;

	if (count > QUESTIONS_MAX)
		count = QUESTIONS_MAX;
	for (size_t i = 0; i < count; i++) {
		memset(&questions[i].reply, 0, sizeof(questions[i].reply));
		questions[i].reply.outcome = DNS_SILENT;
		a.lengths[i] =
		    dns_query(name, questions[i].type, (uint16_t)dm_random(), a.queries[i]);
		a.polls[i] = (struct pollfd){.fd = -1, .events = POLLIN};
		if (a.lengths[i] > 0)
			a.polls[i].fd = open_socket(&questions[i].server);
	}
	send_all(&a, count);
	for (;;) {
		int64_t until;

		open = 0;
		for (size_t i = 0; i < count; i++)
			open += a.polls[i].fd >= 0 ? 1 : 0;
		if (open == 0 || (now = dm_now_ms()) >= deadline)
			break;
		if (now >= again) {
			send_all(&a, count); /* packets get lost */
			again = deadline;
		}
		until = again < deadline ? again : deadline;
		if (poll(a.polls, (nfds_t)count, (int)(until - now)) <= 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			if (a.polls[i].fd >= 0 && a.polls[i].revents != 0)
				receive(&a, i, &questions[i]);
		}
	}
	for (size_t i = 0; i < count; i++)
		dm_closep(&a.polls[i].fd);
}
