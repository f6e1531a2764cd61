/* SPDX-License-Identifier: MIT */
#include "base/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/listen.h"
#include "base/mem.h"
#include "base/os.h"
#include "base/str.h"

enum {
	BACKLOG = 4096,
	/* the loopback interface needs no time: only a server that does not accept does */
	LOOPBACK_MS = 20
};

size_t
dm_sock_path_max(void)
{
	return sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
}

static bool
unix_address(const char *path, struct sockaddr_un *sa)
{
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	return dm_snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", path);
}

bool
dm_sock_unix_address(const char *path, struct dm_sock_address *out)
{
	struct sockaddr_un sa;

	if (!unix_address(path, &sa))
		return false;
	memcpy(&out->address, &sa, sizeof(sa));
	out->length = sizeof(sa);
	return true;
}

/* A non-blocking, close-on-exec stream socket. */
static int
stream_socket(int family)
{
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd >= 0) {
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	}
	return fd;
}

/* One connect to a Unix path; the errno of the attempt, 0 if connected. */
static int
try_unix(const char *path, struct dm_sock_info *out)
{
	struct sockaddr_un sa;
	DM_AUTO_CLOSE int fd = stream_socket(AF_UNIX);

	if (fd < 0)
		return errno;
	if (!unix_address(path, &sa))
		return ENAMETOOLONG;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0)
		return errno;
	if (!dm_os_peer(fd, &out->pid, &out->listener_uid))
		out->pid = 0;
	return 0;
}

void
dm_sock_probe(const char *path, struct dm_sock_info *out)
{
	struct stat st;

	memset(out, 0, sizeof(*out));
	if (lstat(path, &st) != 0) {
		out->state = errno == ENOENT || errno == ENOTDIR ? DM_SOCK_ABSENT : DM_SOCK_DENIED;
		return;
	}
	out->exists = true;
	out->owner = st.st_uid;
	out->dev = st.st_dev;
	out->ino = st.st_ino;
	out->is_link = S_ISLNK(st.st_mode);
	if (out->is_link && stat(path, &st) != 0) {
		out->state = DM_SOCK_ABSENT;
		return;
	}
	if (!S_ISSOCK(st.st_mode)) {
		out->state = DM_SOCK_OTHER;
		return;
	}
	switch (try_unix(path, out)) {
	case 0:
	case EAGAIN: /* the backlog is full: busy, not dead */
	case EINPROGRESS:
		out->state = DM_SOCK_LISTENING;
		break;
	case ECONNREFUSED:
		out->state = dm_os_socket_is_bound(path) ? DM_SOCK_BOUND : DM_SOCK_REFUSED;
		break;
	case ENOENT:
		out->state = DM_SOCK_ABSENT;
		break;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		out->state = DM_SOCK_UNKNOWN;
		break;
	default:
		out->state = DM_SOCK_DENIED;
		break;
	}
}

bool
dm_sock_unlink_stale(
    const char *path, const struct dm_sock_info *seen, bool *removed, struct dm_err *err)
{
	struct dm_sock_info now;

	*removed = false;
	dm_sock_probe(path, &now);
	if (seen->state != DM_SOCK_REFUSED || now.state != DM_SOCK_REFUSED ||
	    now.dev != seen->dev || now.ino != seen->ino)
		return true;
	if (now.owner != geteuid())
		return dm_fail(err, DM_DENIED, "the stale socket %s belongs to uid %u", path,
		    (unsigned)now.owner);
	if (unlink(path) != 0 && errno != ENOENT)
		return dm_fail_errno(err, errno, "removing the stale socket %s", path);
	*removed = true;
	return true;
}

/* Waits for a started connect; the socket's error, 0 when connected, ETIMEDOUT. */
static int
finish_connect(int fd, int64_t deadline)
{
	int error = 0;
	socklen_t len = sizeof(error);
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	for (;;) {
		int64_t left = deadline - dm_now_ms();
		int n = left <= 0 ? 0 : poll(&p, 1, (int)left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? ETIMEDOUT : errno;
		break;
	}
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 ? error : errno;
}

static int
fail_connect(struct dm_err *err, int error, const char *what)
{
	(void)dm_fail_errno(err, error, "connecting to %s", what);
	if (error == ETIMEDOUT || error == EAGAIN)
		err->code = DM_TIMEOUT;
	else if (error != EACCES && error != EPERM)
		err->code = DM_UNREACHABLE;
	return -1;
}

int
dm_sock_connect_unix(const char *path, int64_t timeout_ms, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + timeout_ms;
	struct sockaddr_un sa;
	DM_AUTO_CLOSE int fd = stream_socket(AF_UNIX);
	int out;

	if (fd < 0)
		return fail_connect(err, errno, path);
	if (!unix_address(path, &sa))
		return fail_connect(err, ENAMETOOLONG, path);
	while (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0) {
		/* EAGAIN: the backlog is full; poll(2) cannot wait for it to drain */
		if ((errno != EAGAIN && errno != EINTR) || dm_now_ms() >= deadline)
			return fail_connect(err, errno, path);
		dm_pause_ms(5);
	}
	out = fd;
	fd = -1;
	return out;
}

static int
fail_listen(int fd, int error, const char *path, struct dm_err *err)
{
	(void)dm_fail_errno(err, error, "listening on %s", path);
	if (error == EADDRINUSE)
		err->code = DM_CONFLICT;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

int
dm_sock_listen_unix(const char *path, mode_t mode, dev_t *dev, ino_t *ino, struct dm_err *err)
{
	struct sockaddr_un sa;
	struct stat st;
	mode_t mask;
	int fd, rc, error;

	if (!unix_address(path, &sa))
		return fail_listen(-1, ENAMETOOLONG, path, err);
	if ((fd = stream_socket(AF_UNIX)) < 0)
		return fail_listen(-1, errno, path, err);
	/* the mode is given by bind(2) itself: changing it afterwards could hit another file */
	mask = umask(0777 & ~mode);
	rc = bind(fd, (const struct sockaddr *)&sa, sizeof(sa));
	error = errno;
	(void)umask(mask);
	if (rc != 0)
		return fail_listen(fd, error, path, err);
	if (listen(fd, BACKLOG) != 0 || lstat(path, &st) != 0) {
		error = errno;
		(void)unlink(path);
		return fail_listen(fd, error, path, err);
	}
	*dev = st.st_dev;
	*ino = st.st_ino;
	return fd;
}

enum {
	GOING_MS = 1000 /* for an owner that is about to go */
};

bool
dm_sock_make_way(const char *path, struct dm_err *err)
{
	int64_t deadline = dm_now_ms() + GOING_MS;
	struct dm_sock_info seen;
	bool removed;

	dm_sock_probe(path, &seen);
	/* a process that is being killed closes one thing after the other: its lock, then this */
	while ((seen.state == DM_SOCK_LISTENING || seen.state == DM_SOCK_BOUND) &&
	       seen.owner == geteuid() && dm_now_ms() < deadline) {
		dm_pause_ms(10);
		dm_sock_probe(path, &seen);
	}
	if (!seen.exists)
		return true;
	if (seen.state == DM_SOCK_REFUSED && !seen.is_link)
		return dm_sock_unlink_stale(path, &seen, &removed, err);
	(void)dm_fail(err, DM_CONFLICT, "%s is in the way: %s", path,
	    seen.state == DM_SOCK_LISTENING || seen.state == DM_SOCK_BOUND
		? "another process has it"
		: "it is no socket that was left behind");
	return dm_hint(err, "end that process, or remove the file");
}

void
dm_sock_unlink_own(const char *path, dev_t dev, ino_t ino)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == dev && st.st_ino == ino)
		(void)unlink(path);
}

/* The loopback address of one family; its length. */
static socklen_t
loopback(int family, uint16_t port, struct sockaddr_storage *ss)
{
	memset(ss, 0, sizeof(*ss));
	if (family == AF_INET) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		memcpy(ss, &in, sizeof(in));
		return sizeof(in);
	} else {
		struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

		in6.sin6_addr = in6addr_loopback;
		memcpy(ss, &in6, sizeof(in6));
		return sizeof(in6);
	}
}

/* One TCP connect: a connected socket, or -1 with *error set. */
static int
connect_to(const struct sockaddr *sa, socklen_t len, int64_t deadline, int *error)
{
	DM_AUTO_CLOSE int fd = stream_socket(sa->sa_family);
	int out;

	if (fd < 0) {
		*error = errno;
		return -1;
	}
	*error = connect(fd, sa, len) == 0 ? 0 : errno;
	if (*error == EINPROGRESS)
		*error = finish_connect(fd, deadline);
	if (*error != 0)
		return -1;
	out = fd;
	fd = -1;
	return out;
}

int
dm_sock_connect_tcp(const char *host, uint16_t port, int64_t timeout_ms, struct dm_err *err)
{
	static const int families[] = {AF_INET, AF_INET6};
	int64_t deadline = dm_now_ms() + timeout_ms;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	int error = ECONNREFUSED, rc, out = -1;
	char service[8], where[300];

	(void)snprintf(service, sizeof(service), "%u", (unsigned)port);
	(void)snprintf(where, sizeof(where), "%s:%u", host, (unsigned)port);
	if (strcmp(host, "localhost") == 0) { /* RFC 6761 §6.3: loopback, and nobody to be asked */
		for (size_t i = 0; i < 2 && out < 0; i++) {
			struct sockaddr_storage ss;
			socklen_t len = loopback(families[i], port, &ss);
			int second;

			out = connect_to((const struct sockaddr *)&ss, len, deadline, &second);
			/* no IPv6 here says less than what 127.0.0.1 answered */
			error = i == 0 || second == ETIMEDOUT ? second : error;
		}
		return out >= 0 ? out : fail_connect(err, error, where);
	}
	if ((rc = getaddrinfo(host, service, &hints, &list)) != 0) {
		(void)dm_fail(err, DM_UNREACHABLE, "looking up %s: %s", host, gai_strerror(rc));
		err->sys = ENOENT;
		return -1;
	}
	for (const struct addrinfo *a = list; a != NULL && out < 0; a = a->ai_next)
		out = connect_to(a->ai_addr, a->ai_addrlen, deadline, &error);
	freeaddrinfo(list);
	return out >= 0 ? out : fail_connect(err, error, where);
}

size_t
dm_sock_tcp_addresses(const char *host, uint16_t port, struct dm_sock_address *out, size_t max)
{
	static const int families[] = {AF_INET, AF_INET6};
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char service[8];
	size_t n = 0;

	(void)snprintf(service, sizeof(service), "%u", (unsigned)port);
	if (strcmp(host, "localhost") == 0) { /* RFC 6761 §6.3 */
		for (; n < 2 && n < max; n++)
			out[n].length = loopback(families[n], port, &out[n].address);
		return n;
	}
	if (getaddrinfo(host, service, &hints, &list) != 0)
		return 0;
	for (const struct addrinfo *a = list; a != NULL && n < max; a = a->ai_next) {
		memcpy(&out[n].address, a->ai_addr, a->ai_addrlen);
		out[n++].length = a->ai_addrlen;
	}
	freeaddrinfo(list);
	return n;
}

bool
dm_tcp_listening(uint16_t port)
{
	static const int families[] = {AF_INET, AF_INET6};

	bool busy = false;

	/* not by a connection: each would take a place in the queue of one that does not accept */
	if (dm_listen_has_port(port))
		return true;
	/* the kernel did not say, or its packet filter leads elsewhere */
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_storage ss;
		socklen_t len = loopback(families[i], port, &ss);
		DM_AUTO_CLOSE int fd = stream_socket(families[i]);
		int error;

		if (fd < 0)
			continue;
		error = connect(fd, (const struct sockaddr *)&ss, len) == 0 ? 0 : errno;
		if (error == EINPROGRESS)
			error = finish_connect(fd, dm_now_ms() + LOOPBACK_MS);
		if (error == 0)
			return true;
		busy = busy || error == ETIMEDOUT;
	}
	/* a port that nobody has is refused at once */
	return busy && dm_listen_may_have_port(port);
}

static int
bind_errno(int family, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = loopback(family, port, &ss);
	DM_AUTO_CLOSE int fd = stream_socket(family);
	int one = 1;

	if (fd < 0)
		return errno;
	/* over connections in TIME_WAIT, but not over a listener */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&ss, len) != 0 || listen(fd, 1) != 0)
		return errno;
	return 0;
}

bool
dm_find_ipv6_loopback(int *lack)
{
	int error = bind_errno(AF_INET6, 0);
	bool lacks = error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;

	*lack = lacks ? error : 0;
	return error == 0;
}

bool
dm_has_ipv6_loopback(void)
{
	int ignored;

	return dm_find_ipv6_loopback(&ignored);
}

int
dm_tcp_bind_errno(uint16_t port)
{
	int error = bind_errno(AF_INET, port);

	/* BSD kernels let SO_REUSEADDR bind beside a listener on the wildcard address */
	if (error == 0 && dm_tcp_listening(port))
		return EADDRINUSE;

	if (error == 0 && dm_has_ipv6_loopback())
		error = bind_errno(AF_INET6, port);
	return error;
}

bool
dm_default_interface(char *out, size_t size)
{
	/* 192.0.2.1 is no machine's address (RFC 5737): connecting only chooses a route */
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)}, from;
	DM_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(from);
	struct ifaddrs *list = NULL;
	bool found = false;

	to.sin_addr.s_addr = htonl(UINT32_C(0xc0000201));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&from, &len) != 0 || getifaddrs(&list) != 0)
		return false;
	for (const struct ifaddrs *i = list; i != NULL && !found; i = i->ifa_next) {
		struct sockaddr_in address;

		if (i->ifa_addr == NULL || i->ifa_addr->sa_family != AF_INET)
			continue;
		memcpy(&address, i->ifa_addr, sizeof(address));
		found = address.sin_addr.s_addr == from.sin_addr.s_addr &&
			dm_snprintf(out, size, "%s", i->ifa_name);
	}
	freeifaddrs(list);
	return found;
}
