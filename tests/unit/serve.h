/* SPDX-License-Identifier: MIT */
/* A test program, started again as a server that has the sockets which it is told to have. */
#ifndef DEVMESH_SERVE_H
#define DEVMESH_SERVE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

static inline int
bound(const struct sockaddr *address, socklen_t len)
{
	int fd = socket(address->sa_family, SOCK_STREAM, 0), yes = 1;

	if (fd < 0 ||
	    (address->sa_family != AF_UNIX &&
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) != 0) ||
	    bind(fd, address, len) != 0 || listen(fd, 4) != 0)
		_exit(3);
	return fd;
}

/* On 127.0.0.1 or ::1; port 0: any. Which one it is. */
static inline uint16_t
listen_tcp(int family, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	socklen_t len = sizeof(in);
	int fd;

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in6.sin6_addr = in6addr_loopback;
	if (family == AF_INET6) {
		(void)bound((const struct sockaddr *)&in6, sizeof(in6));
		return port;
	}
	fd = bound((const struct sockaddr *)&in, sizeof(in));
	if (getsockname(fd, (struct sockaddr *)&in, &len) != 0)
		_exit(3);
	return ntohs(in.sin_port);
}

static inline void
listen_unix(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	memcpy(un.sun_path, path, strlen(path) + 1);
	(void)bound((const struct sockaddr *)&un, sizeof(un));
}

/* Says that it is ready, and waits for the signal. */
static inline void
pause_until_told(int ready, uint16_t port)
{
	sigset_t wanted;
	int sig;

	(void)sigemptyset(&wanted);
	(void)sigaddset(&wanted, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &wanted, NULL);
	if (write(ready, &port, sizeof(port)) != (ssize_t)sizeof(port) ||
	    sigwait(&wanted, &sig) != 0)
		_exit(3);
}

/*
 * serve READY LIFE WORD ...: tcp; same6: ::1 as well; worker: another process with the same socket;
 * twin: one with a socket of its own on the same port; nobody: as another user; later: the rest
 * after SIGUSR1; touch: the file "touched"; else a path. Says its port on READY, and lives for as
 * long as LIFE is not closed at the other end.
 */
static inline int
serve(int argc, char **argv)
{
	int ready = (int)strtol(argv[2], NULL, 10), life = (int)strtol(argv[3], NULL, 10);
	uint16_t port = 0;
	char byte;

	for (int i = 4; i < argc; i++) {
		if (strcmp(argv[i], "tcp") == 0)
			port = listen_tcp(AF_INET, 0);
		else if (strcmp(argv[i], "same6") == 0)
			(void)listen_tcp(AF_INET6, port);
		else if (strcmp(argv[i], "nobody") == 0 && setuid(65534) != 0)
			return 3;
		else if (strchr(argv[i], '.') != NULL)
			listen_unix(argv[i]);
		if (strcmp(argv[i], "later") == 0)
			pause_until_told(ready, port);
		if (strcmp(argv[i], "touch") == 0 && close(creat("touched", 0600)) != 0)
			return 3;
		if (strcmp(argv[i], "worker") == 0 && fork() == 0)
			break;
		if (strcmp(argv[i], "twin") == 0 && fork() == 0) {
			(void)close(4); /* the socket that it has inherited, if it is that */
			(void)listen_tcp(AF_INET, port);
			break;
		}
	}
	(void)signal(SIGPIPE, SIG_IGN); /* nobody may listen a second time */
	(void)!write(ready, &port, sizeof(port));
	(void)close(ready);
	return read(life, &byte, 1) == 0 ? 0 : 3;
}

#endif
