/* SPDX-License-Identifier: MIT */
/* In the child: mDNSResponder, by dns_sd.h (DNSServiceRegisterRecord). Not tried on a Mac yet. */
#include <arpa/inet.h>
#include <dns_sd.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "mdns.h"

enum {
	TTL_S = 120 /* RFC 6762 §10: of host names */
};

/* A name that is somebody else's is told; the others stay. */
static void
on_record(DNSServiceRef service, DNSRecordRef record, DNSServiceFlags flags,
    DNSServiceErrorType error, void *user)
{
	(void)service;
	(void)record;
	(void)flags;
	(void)user;
	if (error != kDNSServiceErr_NoError)
		dm_warn("announcing a name below .local: error %d", (int)error);
}

static void
announce(DNSServiceRef service, char *line)
{
	struct mdns_wish wish;
	struct in_addr address;
	uint32_t index;

	if (!mdns_line_parse(line, &wish) || inet_pton(AF_INET, wish.address, &address) != 1 ||
	    (index = if_nametoindex(wish.interface)) == 0)
		return;
	for (unsigned i = 0; i < wish.count; i++) {
		DM_AUTO_FREE char *name = dm_asprintf("%s.local.", wish.ids[i]);
		DNSRecordRef record;

		if (DNSServiceRegisterRecord(service, &record, kDNSServiceFlagsUnique, index, name,
			kDNSServiceType_A, kDNSServiceClass_IN, sizeof(address), &address, TTL_S,
			on_record, NULL) != kDNSServiceErr_NoError)
			dm_warn("announcing %s fails", name);
	}
}

int
mdns_announce(int fd)
{
	char line[MDNS_LINE_MAX];
	size_t len = 0;
	DNSServiceRef service = NULL;

	for (;;) {
		struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
		char *end;
		ssize_t n;

		if (service != NULL)
			fds[1].fd = DNSServiceRefSockFD(service);
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents != 0 &&
		    DNSServiceProcessResult(service) != kDNSServiceErr_NoError)
			return 1;
		if (fds[0].revents == 0)
			continue;
		if ((n = read(fd, line + len, sizeof(line) - len)) <= 0)
			return 0; /* the names go with the connection */
		len += (size_t)n;
		while ((end = memchr(line, '\n', len)) != NULL) {
			size_t taken = (size_t)(end - line) + 1;

			/* a new connection: what the old one had registered goes with it */
			if (service != NULL)
				DNSServiceRefDeallocate(service);
			service = NULL;
			if (DNSServiceCreateConnection(&service) != kDNSServiceErr_NoError)
				return 1;
			*end = '\0';
			announce(service, line);
			memmove(line, line + taken, len -= taken);
		}
	}
}
