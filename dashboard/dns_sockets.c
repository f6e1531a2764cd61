/* SPDX-License-Identifier: MIT */
#include "dns_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum {
	BACKLOG = 64,
	FIRST_FD = 3, /* behind the standard ones */
};

void
dns_to_socket(const struct dns_address *address, uint16_t port, struct dns_socket_address *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(out, 0, sizeof(*out));
	if (address->ipv6) {
		memcpy(&in6.sin6_addr, address->bytes, 16);
		memcpy(&out->address, &in6, sizeof(in6));
		out->len = sizeof(in6);
	} else {
		memcpy(&in.sin_addr, address->bytes, 4);
		memcpy(&out->address, &in, sizeof(in));
		out->len = sizeof(in);
	}
}

bool
dns_from_socket(const struct sockaddr_storage *from, struct dns_address *address, uint16_t *port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	memset(address, 0, sizeof(*address));
	if (from->ss_family == AF_INET) {
		memcpy(&in, from, sizeof(in));
		memcpy(address->bytes, &in.sin_addr, 4);
		*port = ntohs(in.sin_port);
		return true;
	}
	if (from->ss_family != AF_INET6)
		return false;
	memcpy(&in6, from, sizeof(in6));
	*port = ntohs(in6.sin6_port);
	address->ipv6 = !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
	if (address->ipv6)
		memcpy(address->bytes, &in6.sin6_addr, 16);
	else
		memcpy(address->bytes, in6.sin6_addr.s6_addr + 12, 4);
	return true;
}

static bool
set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
	       fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* -1 with errno set. */
static int
open_one(int type, const struct dns_socket_address *to)
{
	DM_AUTO_CLOSE int fd = socket(to->address.ss_family, type, 0);
	int yes = 1, result;

	if (fd < 0 || !set_flags(fd))
		return -1;
	if (to->address.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) != 0)
		return -1;
	/* of TCP, so that connections that have ended are not in the way; of UDP another program
	 * could bind the same port then, and take the questions */
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&to->address, to->len) != 0 ||
	    (type == SOCK_STREAM && listen(fd, BACKLOG) != 0))
		return -1;
	result = fd;
	fd = -1;
	return result;
}

bool
dns_pair_open(
    const struct dns_address *address, uint16_t port, struct dns_pair *out, struct dm_err *err)
{
	struct dns_socket_address to;
	char text[DNS_ADDRESS_TEXT];
	int error;

	*out = (struct dns_pair){.address = *address, .port = port, .udp = -1, .tcp = -1};
	dns_to_socket(address, port, &to);
	if ((out->udp = open_one(SOCK_DGRAM, &to)) >= 0 &&
	    (out->tcp = open_one(SOCK_STREAM, &to)) >= 0)
		return true;
	error = errno;
	dns_pair_close(out);
	dns_address_text(address, text);
	return dm_fail_errno(err, error, "answering DNS at %s port %u", text, (unsigned)port);
}

void
dns_pair_close(struct dns_pair *pair)
{
	dm_closep(&pair->udp);
	dm_closep(&pair->tcp);
	pair->udp = pair->tcp = -1;
}

/* ---- sockets that were passed on --------------------------------------------------------- */

/* The pair of this address and port, made if it is not there; NULL: there are too many. */
static struct dns_pair *
pair_of(struct dns_passed *passed, const struct dns_address *address, uint16_t port)
{
	struct dns_pair *pair;

	for (size_t i = 0; i < passed->count; i++) {
		pair = &passed->list[i];
		if (dns_address_same(&pair->address, address) && pair->port == port)
			return pair;
	}
	if (passed->count == DNS_PASSED_MAX)
		return NULL;
	pair = &passed->list[passed->count++];
	*pair = (struct dns_pair){
	    .address = *address, .port = port, .udp = -1, .tcp = -1, .passed = true};
	return pair;
}

static bool
is_wildcard(const struct dns_address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->bytes, zero, address->ipv6 ? 16 : 4) == 0;
}

/* Why the descriptor is of no use; NULL: it was taken. */
static const char *
take_one(struct dns_passed *passed, int fd)
{
	struct sockaddr_storage at = {0};
	socklen_t at_len = sizeof(at), len = sizeof(int);
	struct dns_address address;
	struct dns_pair *pair;
	uint16_t port;
	int type = 0, listening = 0, *place;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &at_len) != 0)
		return "it is no socket";
	if (!dns_from_socket(&at, &address, &port) || (type != SOCK_DGRAM && type != SOCK_STREAM))
		return "it is neither UDP nor TCP";
	if (is_wildcard(&address))
		return "it is bound to all addresses, and has to be to one";
	len = sizeof(listening);
	if (type == SOCK_STREAM &&
	    (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening))
		return "it does not listen";
	if (!set_flags(fd) || (pair = pair_of(passed, &address, port)) == NULL)
		return "there are too many";
	place = type == SOCK_DGRAM ? &pair->udp : &pair->tcp;
	if (*place >= 0)
		return "there is another one for the same address";
	*place = fd;
	return NULL;
}

void
dns_passed_take(struct dns_passed *out)
{
	int fds[DNS_PASSED_FDS_MAX];
	size_t count = dns_passed_fds(fds);

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < count; i++) {
		const char *why = take_one(out, fds[i]);

		if (why == NULL)
			continue;
		dm_warn("socket %zu of %zu that was passed on is not used: %s", i + 1, count, why);
		(void)close(fds[i]);
	}
}

void
dns_passed_close(struct dns_passed *passed)
{
	for (size_t i = 0; i < passed->count; i++)
		dns_pair_close(&passed->list[i]);
	passed->count = 0;
}

bool
dns_passed_find(const struct dns_passed *passed, const struct dns_address *address,
    struct dns_pair *out, struct dm_err *err)
{
	for (size_t i = 0; i < passed->count; i++) {
		const struct dns_pair *pair = &passed->list[i];

		if (!dns_address_same(&pair->address, address) || pair->udp < 0 || pair->tcp < 0)
			continue;
		*out = *pair;
		out->udp = fcntl(pair->udp, F_DUPFD_CLOEXEC, FIRST_FD);
		out->tcp = fcntl(pair->tcp, F_DUPFD_CLOEXEC, FIRST_FD);
		if (out->udp >= 0 && out->tcp >= 0)
			return true;
		(void)dm_fail_errno(err, errno, "using a socket that was passed on");
		dns_pair_close(out);
		return false;
	}
	return dm_fail(err, DM_NOT_FOUND, "no socket for this address was passed on");
}
