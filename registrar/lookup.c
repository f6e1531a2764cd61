/* SPDX-License-Identifier: MIT */
#include "lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static void
look_up(void *arg)
{
	struct lookup *out = arg;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL, *i;

	out->error = getaddrinfo(out->name, NULL, &hints, &found);
	for (i = out->error == 0 ? found : NULL; i != NULL && out->count < DNS_ADDRESSES_MAX;
	     i = i->ai_next) {
		struct dns_address *address = &out->addresses[out->count++];

		address->ipv6 = i->ai_family == AF_INET6;
		if (address->ipv6)
			memcpy(address->bytes,
			    &((struct sockaddr_in6 *)(void *)i->ai_addr)->sin6_addr, 16);
		else
			memcpy(address->bytes,
			    &((struct sockaddr_in *)(void *)i->ai_addr)->sin_addr, 4);
	}
}

bool
lookup_begin(const char *name, struct lookup *out)
{
	struct dm_child_call call;
	struct dm_err ignored;

	*out = (struct lookup){.name = name};
	if (!dm_child_call_begin(&call, look_up, out, sizeof(*out), &ignored))
		return false;
	out->call = call;
	return true;
}

void
lookup_end(struct lookup *out, int64_t timeout_ms)
{
	struct dm_child_call call = out->call;
	struct dm_err ignored;

	out->silent = !dm_child_call_end(&call, out, sizeof(*out), timeout_ms, &ignored);
}

bool
lookup_is_ours(const struct lookup *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (dns_address_is_ours(&l->addresses[i]))
			return true;
	}
	return false;
}
