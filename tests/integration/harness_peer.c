/* SPDX-License-Identifier: MIT */
/*
 * The servers behind Caddy and the clients in front of it: small child processes that answer with
 * their own name, and WebSockets of RFC 6455 as far as keeping one open and pinging it.
 */
#include "harness_net.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WS_CLIENTS 64

static int
bind_unix(const char *path, int backlog)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(strlen(path) < sizeof a.sun_path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0)
		fail_msg("bind %s: %s", path, strerror(errno));
	/* As a server that wants to be reached by Caddy under another user has to. */
	chmod(path, 0666);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

void
stale_socket(const char *path)
{
	close(bind_unix(path, 16));
}

static int
connect_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, path, strlen(path) + 1);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

int
full_socket(const char *path, int pending[2])
{
	int fd = bind_unix(path, 0);

	pending[0] = connect_unix(path);
	pending[1] = connect_unix(path); /* already refused with EAGAIN on Linux: -1 */
	return fd;
}

/* Reads one request, head and body; false when the peer went away. */
static bool
read_request(int fd, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t got;
	char *end, *length;
	long body = 0;

	while (n < size - 1) {
		got = read(fd, buf + n, size - 1 - n);
		if (got <= 0)
			return false;
		n += (size_t)got;
		buf[n] = '\0';
		end = strstr(buf, "\r\n\r\n");
		if (end == NULL)
			continue;
		length = strstr(buf, "Content-Length:"); /* as Caddy spells it */
		if (length != NULL)
			body = strtol(length + 15, NULL, 10);
		if (n >= (size_t)(end + 4 - buf) + (size_t)body)
			return true;
	}
	return false;
}

static void
write_all(int fd, const char *bytes, size_t n)
{
	ssize_t put;

	while (n > 0 && (put = write(fd, bytes, n)) > 0) {
		bytes += put;
		n -= (size_t)put;
	}
}

static void
answer_forever(int listener, int status, const char *name)
{
	char buf[65536], head[256];
	int fd;

	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			_exit(1);
		if (read_request(fd, buf, sizeof buf)) {
			snprintf(head, sizeof head,
			    "HTTP/1.1 %d Answer\r\nContent-Type: text/plain\r\n"
			    "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			    status, strlen(name));
			write_all(fd, head, strlen(head));
			write_all(fd, name, strlen(name));
		}
		close(fd);
	}
}

static struct proc *
serve(struct world *w, int listener, int status, const char *name)
{
	struct proc *p = start_child(w);

	if (p == NULL)
		answer_forever(listener, status, name);
	close(listener);
	return p;
}

int
bound_socket(const char *path)
{
	return bind_unix(path, -1);
}

struct proc *
serve_listening(struct world *w, int fd, const char *name)
{
	return serve(w, fd, 200, name);
}

struct proc *
serve_bound(struct world *w, int fd, const char *name)
{
	assert_int_equal(listen(fd, 128), 0);
	return serve_listening(w, fd, name);
}

struct proc *
serve_unix(struct world *w, const char *path, const char *name)
{
	return serve(w, bind_unix(path, 128), 200, name);
}

struct proc *
serve_id(struct world *w, const char *id)
{
	return serve_unix(w, fmt(w, "%s/%s.sock", w->sockets, id), id);
}

static int
bind_tcp(int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(fd, 128), 0);
	return fd;
}

struct proc *
serve_tcp(struct world *w, int status, const char *name, int *port)
{
	*port = free_port(w);
	return serve(w, bind_tcp(*port), status, name);
}

/* It has written to its stdout: it listens. */
static bool
says_ready(struct world *w, const void *arg)
{
	const struct proc *p = arg;
	const char *text = read_text(w, p->out);

	if (p->ended)
		fail_msg("a server did not start: %s", read_text(w, p->err));
	return text != NULL && text[0] != '\0';
}

/* The kernel remembers who called listen(2): that must be the process in `dir`. */
static struct proc *
serve_from(struct world *w, const char *dir, const char *path, int port, const char *name)
{
	struct proc *p = start_child(w);

	if (p == NULL) {
		int fd;

		if (chdir(dir) != 0)
			_exit(126);
		fd = path != NULL ? bind_unix(path, 128) : bind_tcp(port);
		write_all(1, "ready\n", 6);
		answer_forever(fd, 200, name);
	}
	assert_true(wait_until(w, says_ready, p, ANSWER_MS));
	return p;
}

struct proc *
serve_in(struct world *w, const char *dir, const char *path, const char *name)
{
	return serve_from(w, dir, path, 0, name);
}

struct proc *
serve_port_in(struct world *w, const char *dir, const char *name, int port)
{
	return serve_from(w, dir, NULL, port, name);
}

struct proc *
serve_tcp_in(struct world *w, const char *dir, const char *name, int *port)
{
	*port = free_port(w);
	return serve_port_in(w, dir, name, *port);
}

/* --- WebSockets ---------------------------------------------------------------------------- */

/* The key and its answer are the sample of RFC 6455 §1.3, so nobody here needs SHA-1. */
#define WS_KEY	  "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* Answers pings with pongs, and anything else with nothing. False when the client is gone. */
static bool
ws_serve_one(int fd)
{
	unsigned char head[6], data[125], pong[127];
	size_t len, i;

	if (recv(fd, head, 6, MSG_WAITALL) != 6)
		return false;
	len = head[1] & 0x7fu;
	if ((head[1] & 0x80u) == 0 || len > 125)
		return false;
	if (len > 0 && recv(fd, data, len, MSG_WAITALL) != (ssize_t)len)
		return false;
	if ((head[0] & 0x0fu) != 9)
		return (head[0] & 0x0fu) != 8;
	pong[0] = 0x8a;
	pong[1] = (unsigned char)len;
	for (i = 0; i < len; i++)
		pong[2 + i] = data[i] ^ head[2 + i % 4];
	write_all(fd, (char *)pong, len + 2);
	return true;
}

static int
ws_accept(int listener)
{
	static const char reply[] =
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: " WS_ACCEPT "\r\n\r\n";
	char buf[8192];
	int fd = accept(listener, NULL, NULL);

	if (fd < 0)
		return -1;
	if (!read_request(fd, buf, sizeof buf) || strstr(buf, WS_KEY) == NULL) {
		close(fd);
		return -1;
	}
	write_all(fd, reply, sizeof reply - 1);
	return fd;
}

static void
ws_forever(int listener)
{
	struct pollfd p[WS_CLIENTS + 1] = {{.fd = listener, .events = POLLIN}};
	nfds_t n = 1, i;
	int fd;

	for (;;) {
		if (poll(p, n, -1) < 0)
			_exit(1);
		for (i = n - 1; i > 0; i--)
			if (p[i].revents != 0 && !ws_serve_one(p[i].fd)) {
				close(p[i].fd);
				p[i] = p[--n];
			}
		if (p[0].revents != 0 && n <= WS_CLIENTS && (fd = ws_accept(listener)) >= 0)
			p[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
}

struct proc *
serve_ws(struct world *w, const char *path)
{
	int listener = bind_unix(path, 128);
	struct proc *p = start_child(w);

	if (p == NULL)
		ws_forever(listener);
	close(listener);
	return p;
}

int
ws_open(struct world *w, const char *host)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
	struct timeval limit = {.tv_sec = 30};
	char buf[4096];
	size_t n = 0;
	const char *q;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	q = fmt(w,
	    "GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
	    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " WS_KEY "\r\n\r\n",
	    host);
	write_all(fd, q, strlen(q));
	buf[0] = '\0';
	/* One byte at a time: nothing behind the head may be swallowed. */
	while (n < sizeof buf - 1 && strstr(buf, "\r\n\r\n") == NULL) {
		if (read(fd, buf + n, 1) != 1)
			fail_msg("no WebSocket handshake from %s: \"%s\"", host, buf);
		buf[++n] = '\0';
	}
	if (strncmp(buf, "HTTP/1.1 101", 12) != 0 || strstr(buf, WS_ACCEPT) == NULL)
		fail_msg("no WebSocket handshake from %s: \"%s\"", host, buf);
	return fd;
}

bool
ws_closed(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

bool
ws_ping(int fd)
{
	static const unsigned char ping[] = {
	    0x89, 0x84, 1, 2, 3, 4, 'm' ^ 1, 'e' ^ 2, 's' ^ 3, 'h' ^ 4};
	unsigned char pong[6];

	write_all(fd, (const char *)ping, sizeof ping);
	return recv(fd, pong, sizeof pong, MSG_WAITALL) == sizeof pong &&
	       memcmp(pong, "\x8a\x04mesh", 6) == 0;
}
