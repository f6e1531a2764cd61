/* SPDX-License-Identifier: MIT */
#include "lookup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void
look_up(const char *name, struct lookup *out)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL, *i;

	out->error = getaddrinfo(name, NULL, &hints, &found);
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
	int ends[2];

	memset(out, 0, sizeof(*out));
	if (pipe(ends) != 0)
		return false;
	if ((out->pid = fork()) == 0) {
		look_up(name, out);
		(void)!write(ends[1], out, sizeof(*out));
		_exit(0);
	}
	(void)close(ends[1]);
	out->fd = ends[0];
	if (out->pid < 0)
		(void)close(ends[0]);
	return out->pid > 0;
}

void
lookup_end(struct lookup *out, int64_t timeout_ms)
{
	struct pollfd p = {.fd = out->fd, .events = POLLIN};
	struct lookup answer;
	pid_t pid = out->pid;

	out->silent = true;
	if (poll(&p, 1, (int)timeout_ms) > 0 &&
	    read(out->fd, &answer, sizeof(answer)) == (ssize_t)sizeof(answer))
		*out = answer; /* one write of less than PIPE_BUF is read whole */
	(void)close(p.fd);
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
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
