/* SPDX-License-Identifier: MIT */
/* The client and the server on both sides of a bridge: sockets, and bytes that can be told apart.
 */
#ifndef DEVMESH_PEERS_H
#define DEVMESH_PEERS_H

#include "rig.h"

static char noise[NOISE * 2];

/* Where the stream `id` is at `offset`: no two bytes near one another are alike by rule. */
static inline const char *
stream(size_t id, size_t offset)
{
	if (noise[0] == 0) {
		struct prng prng = {.state = 42};

		for (size_t i = 0; i < NOISE; i++)
			noise[i] = (char)(1 + prng_below(&prng, 255));
		memcpy(noise + NOISE, noise, NOISE);
	}
	return noise + (id * 7919 + offset) % NOISE;
}

static inline void
no_blocking(int fd)
{
	assert_int_equal(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

/* A server's socket, bound; kind: "unix", "tcp4", "tcp6". */
static inline void
bind_server(struct rig *r, const char *kind)
{
	struct sockaddr_storage sa;
	socklen_t n;

	memset(&sa, 0, sizeof(sa));
	if (strcmp(kind, "unix") == 0) {
		struct sockaddr_un *a = (struct sockaddr_un *)&sa;

		a->sun_family = AF_UNIX;
		assert_true(dm_snprintf(a->sun_path, sizeof(a->sun_path), "%s/t.sock", r->dir));
		(void)unlink(a->sun_path);
		n = sizeof(*a);
	} else if (strcmp(kind, "tcp4") == 0) {
		struct sockaddr_in *a = (struct sockaddr_in *)&sa;

		a->sin_family = AF_INET;
		a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		n = sizeof(*a);
	} else {
		struct sockaddr_in6 *a = (struct sockaddr_in6 *)&sa;

		a->sin6_family = AF_INET6;
		a->sin6_addr = in6addr_loopback;
		n = sizeof(*a);
	}
	r->listener = socket(sa.ss_family, SOCK_STREAM, 0);
	assert_true(r->listener >= 0);
	assert_int_equal(bind(r->listener, (const struct sockaddr *)&sa, n), 0);
	memset(&r->target, 0, sizeof(r->target));
	r->target.length = sizeof(r->target.address);
	assert_int_equal(
	    getsockname(r->listener, (struct sockaddr *)&r->target.address, &r->target.length), 0);
}

static inline void
serve(struct rig *r, const char *kind)
{
	bind_server(r, kind);
	assert_int_equal(listen(r->listener, 2000), 0);
	start_bridge(r, HOLD_MS, 0);
	(void)tell(r, SET_TARGET, &r->target);
}

static inline int
dial(const struct rig *r)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = PATIENCE_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_true(dm_snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", r->path));
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) != 0)
		fail_msg("connect: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static inline bool
is_ready(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, ms) == 1;
}

static inline int
take_connection(const struct rig *r)
{
	struct timeval limit = {.tv_sec = PATIENCE_MS / 1000};
	int fd;

	if (!is_ready(r->listener, POLLIN, PATIENCE_MS))
		fail_msg("the bridge does not connect");
	fd = accept(r->listener, NULL, NULL);
	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static inline void
put(int fd, const char *bytes, size_t n)
{
	ssize_t done;

	for (size_t at = 0; at < n; at += (size_t)done) {
		done = send(fd, bytes + at, n - at, 0);
		if (done <= 0)
			fail_msg("send: %s", strerror(errno));
	}
}

static inline void
expect(int fd, const char *bytes, size_t n)
{
	static char buf[NOISE];
	ssize_t got;

	for (size_t at = 0; at < n; at += (size_t)got) {
		got = recv(fd, buf, n - at < sizeof(buf) ? n - at : sizeof(buf), 0);
		if (got <= 0)
			fail_msg("after %zu of %zu bytes: %s", at, n,
			    got == 0 ? "end" : strerror(errno));
		assert_memory_equal(buf, bytes + at, (size_t)got);
	}
}

static inline void
expect_end(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, 0);

	if (n > 0 || (n < 0 && errno != ECONNRESET))
		fail_msg("instead of the end: %s", n > 0 ? "a byte" : strerror(errno));
}

static inline void
wait_for_count(const struct rig *r, enum order order, uint64_t low, uint64_t high)
{
	int64_t end = dm_now_ms() + PATIENCE_MS;
	uint64_t n;

	while ((n = tell(r, order, NULL)) < low || n > high) {
		if (dm_now_ms() > end)
			fail_msg("%llu instead of %llu to %llu", (unsigned long long)n,
			    (unsigned long long)low, (unsigned long long)high);
		dm_pause_ms(2);
	}
}

#endif
