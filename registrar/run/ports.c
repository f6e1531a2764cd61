/* SPDX-License-Identifier: MIT */
#include "run/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "base/sock.h"

enum {
	/* below the ports that Linux (32768) and macOS (49152) give to outgoing connections */
	FIRST_PORT = 20000,
	PORTS = 12000,
	TRIES = 200
};

/* Ports on which tools listen for themselves, not for users. */
static bool
is_side_door(uint16_t port)
{
	return (port >= 9229 && port <= 9239) || /* Node.js inspector */
	       port == 24678 ||			 /* Vite's own HMR server in middleware mode */
	       port == 35729 ||			 /* LiveReload */
	       port == 5678;			 /* debugpy */
}

static unsigned
rank(const struct dm_listener *l, const struct ports_wish *wish)
{
	unsigned r = l->port == wish->offered	? 0
		     : l->port == wish->current ? 2
		     : is_side_door(l->port)	? 6
						: 4;

	return r + (l->ipv6 ? 1 : 0);
}

const struct dm_listener *
ports_choose(const struct dm_listeners *listeners, const struct ports_wish *wish)
{
	const struct dm_listener *best = NULL;

	for (size_t i = 0; i < listeners->count; i++) {
		const struct dm_listener *l = &listeners->list[i];

		if (wish->forced != 0 && l->port != wish->forced)
			continue;
		if (best == NULL || rank(l, wish) < rank(best, wish) ||
		    (rank(l, wish) == rank(best, wish) && l->port < best->port))
			best = l;
	}
	return best;
}

bool
ports_is_open(const struct dm_listener *listener)
{
	static const uint8_t zero[16];

	return memcmp(listener->address, zero, listener->ipv6 ? 16 : 4) == 0;
}

void
ports_describe(const struct dm_listeners *listeners, struct dm_str *out)
{
	for (size_t i = 0; i < listeners->count; i++) {
		const struct dm_listener *l = &listeners->list[i];
		DM_AUTO_FREE char *name = dm_proc_name(l->pid);
		char text[INET6_ADDRSTRLEN] = "?";

		(void)inet_ntop(l->ipv6 ? AF_INET6 : AF_INET, l->address, text, sizeof(text));
		(void)dm_str_addf(out, "%s%s%s%s:%u (pid %ld%s%s)", i == 0 ? "" : ", ",
		    l->ipv6 ? "[" : "", text, l->ipv6 ? "]" : "", (unsigned)l->port, (long)l->pid,
		    name != NULL ? ", " : "", name != NULL ? name : "");
	}
	if (listeners->count == 0)
		(void)dm_str_addf(out, "nothing");
}

size_t
ports_address(const struct dm_listener *listener, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (listener->ipv6) {
		struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;

		a->sin6_family = AF_INET6;
		a->sin6_port = htons(listener->port);
		if (ports_is_open(listener))
			a->sin6_addr = in6addr_loopback;
		else
			memcpy(&a->sin6_addr, listener->address, sizeof(a->sin6_addr));
		return sizeof(*a);
	}
	struct sockaddr_in *a = (struct sockaddr_in *)out;

	a->sin_family = AF_INET;
	a->sin_port = htons(listener->port);
	if (ports_is_open(listener))
		a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		memcpy(&a->sin_addr, listener->address, sizeof(a->sin_addr));
	return sizeof(*a);
}

uint16_t
ports_offer(const char *name)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (const char *p = name; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619U;
	for (unsigned i = 0; i < TRIES; i++) {
		uint16_t port = (uint16_t)(FIRST_PORT + (hash + i) % PORTS);

		if (dm_tcp_bind_errno(port) == 0)
			return port;
	}
	return 0;
}
