/* SPDX-License-Identifier: MIT */
/*
 * The smallest service for devmesh: answers every HTTP request on a Unix socket with one line.
 *
 *   hello "$DEVMESH_SOCKET"
 *
 * A server for a stable URL begins like this: is somebody listening already? Then it is not ours
 * to take. Otherwise the file is left over from a server that was ended, and goes.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int
listen_on(const struct sockaddr_un *sa)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0) {
		(void)close(fd);
		errno = EADDRINUSE;
		return -1;
	}
	if (errno == ECONNREFUSED)
		(void)unlink(sa->sun_path);
	/* Caddy may run as another user: it needs to write to the socket */
	if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 ||
	    chmod(sa->sun_path, 0666) != 0 || listen(fd, 511) != 0)
		return -1;
	return fd;
}

static void
answer(int fd)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
				   "Content-Length: 29\r\nConnection: close\r\n\r\n"
				   "Hello from your own worktree\n";
	char request[8192];

	/* one read is enough here: requests without a body arrive in one piece on a local socket */
	if (read(fd, request, sizeof(request)) > 0 && write(fd, text, sizeof(text) - 1) < 0)
		perror("hello: write");
}

int
main(int argc, char **argv)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int listener;

	if (argc != 2 || strlen(argv[1]) >= sizeof(sa.sun_path)) {
		(void)fputs("usage: hello SOCKET\n", stderr);
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	memcpy(sa.sun_path, argv[1], strlen(argv[1]) + 1);
	if ((listener = listen_on(&sa)) < 0) {
		(void)fprintf(stderr, "hello: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		answer(fd);
		(void)close(fd);
	}
}
