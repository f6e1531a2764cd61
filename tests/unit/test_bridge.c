/* SPDX-License-Identifier: MIT */
/* The bridge: bytes, ends of either side, and its socket. */
#include "peers.h"

/* ---- bytes --------------------------------------------------------------------------------- */

/* One direction of one connection. */
struct flow {
	int from, to;
	size_t id, length, sent, received;
	bool ended;
};

static void
push(struct flow *f, struct prng *prng)
{
	size_t n = 1 + prng_below(prng, prng_below(prng, 2) == 0 ? 100 : 200000);
	ssize_t done;

	if (n > f->length - f->sent)
		n = f->length - f->sent;
	done = send(f->from, stream(f->id, f->sent), n, 0);
	if (done < 0 && errno != EAGAIN)
		fail_msg("send: %s", strerror(errno));
	if (done > 0)
		f->sent += (size_t)done;
	if (f->sent == f->length && done > 0)
		assert_int_equal(shutdown(f->from, SHUT_WR), 0);
}

static void
pull(struct flow *f, struct prng *prng)
{
	static char buf[200000];
	ssize_t n = recv(f->to, buf, 1 + prng_below(prng, sizeof(buf)), 0);

	if (n < 0 && errno != EAGAIN)
		fail_msg("recv: %s", strerror(errno));
	if (n == 0) {
		f->ended = true;
		if (f->received != f->length)
			fail_msg("flow %zu ended after %zu of %zu", f->id, f->received, f->length);
	}
	for (ssize_t at = 0; at < n;) {
		size_t part = (size_t)(n - at);

		if (part > NOISE)
			part = NOISE;
		assert_memory_equal(buf + at, stream(f->id, f->received), part);
		f->received += part;
		at += (ssize_t)part;
	}
}

static void
pump(struct flow *flows, size_t count, struct prng *prng)
{
	int64_t end = dm_now_ms() + PATIENCE_MS;
	struct pollfd *p = dm_calloc(count * 2, sizeof(*p));
	size_t left = count;

	while (left > 0) {
		left = 0;
		if (dm_now_ms() > end)
			fail_msg("stuck");
		for (size_t i = 0; i < count; i++) {
			struct flow *f = &flows[i];

			p[2 * i] = (struct pollfd){
			    .fd = f->sent < f->length ? f->from : -1, .events = POLLOUT};
			p[2 * i + 1] =
			    (struct pollfd){.fd = f->ended ? -1 : f->to, .events = POLLIN};
		}
		(void)poll(p, count * 2, 100);
		for (size_t i = 0; i < count; i++) {
			if (p[2 * i].revents != 0)
				push(&flows[i], prng);
			if (p[2 * i + 1].revents != 0)
				pull(&flows[i], prng);
			left += !flows[i].ended;
		}
	}
	free(p);
}

/* Random chunks both ways on several connections; each direction is closed when it is done. */
static void
bytes_over(struct rig *r, const char *kind)
{
	enum {
		CONNECTIONS = 12
	};
	struct prng prng = prng_new();
	struct flow flows[CONNECTIONS * 2];

	serve(r, kind);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		int client = dial(r), server = take_connection(r);
		size_t up = 1 + prng_below(&prng, 3 * MEGABYTE);
		size_t down = 1 + prng_below(&prng, 3 * MEGABYTE);

		no_blocking(client);
		no_blocking(server);
		flows[2 * i] =
		    (struct flow){.from = client, .to = server, .id = 2 * i, .length = up};
		flows[2 * i + 1] =
		    (struct flow){.from = server, .to = client, .id = 2 * i + 1, .length = down};
	}
	pump(flows, CONNECTIONS * 2, &prng);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		(void)close(flows[2 * i].from);
		(void)close(flows[2 * i].to);
	}
}

static void
bytes_are_the_same_over_unix(void **state)
{
	bytes_over(*state, "unix");
}

static void
bytes_are_the_same_over_ipv4(void **state)
{
	bytes_over(*state, "tcp4");
}

static void
bytes_are_the_same_over_ipv6(void **state)
{
	bytes_over(*state, "tcp6");
}

/* ---- ends ---------------------------------------------------------------------------------- */

/* A request and its end, all in flight before the server reads; then the answer. */
static void
half_close(struct rig *r, const char *kind, bool client_first)
{
	const size_t n = 300000; /* more than the kernel's buffers of a Unix socket */
	int client, server, first, second;
	pid_t sender;

	serve(r, kind);
	client = dial(r);
	server = take_connection(r);
	first = client_first ? client : server;
	second = client_first ? server : client;
	sender = fork();
	if (sender == 0) {
		put(first, stream(1, 0), n);
		(void)shutdown(first, SHUT_WR);
		_exit(0);
	}
	expect(second, stream(1, 0), n);
	expect_end(second);
	assert_int_equal(tell(r, COUNT_CONNECTIONS, NULL), 1);
	(void)waitpid(sender, NULL, 0);
	sender = fork();
	if (sender == 0) {
		put(second, stream(2, 0), n);
		(void)shutdown(second, SHUT_WR);
		_exit(0);
	}
	expect(first, stream(2, 0), n);
	expect_end(first);
	(void)waitpid(sender, NULL, 0);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
	(void)close(client);
	(void)close(server);
	dm_closep(&r->listener);
}

static void
client_half_closes(void **state)
{
	half_close(*state, "tcp4", true);
}

static void
client_half_closes_over_unix(void **state)
{
	half_close(*state, "unix", true);
}

static void
server_half_closes(void **state)
{
	half_close(*state, "tcp4", false);
}

static void
server_half_closes_over_unix(void **state)
{
	half_close(*state, "unix", false);
}

/* It had sent its request and its end before there was a server at all. */
static void
client_half_closes_before_there_is_a_server(void **state)
{
	struct rig *r = *state;
	int client, server;

	bind_server(r, "tcp4");
	start_bridge(r, HOLD_MS, 0);
	client = dial(r);
	put(client, stream(1, 0), 50000);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	wait_for_count(r, COUNT_CONNECTIONS, 1, 1);
	assert_int_equal(listen(r->listener, 16), 0);
	(void)tell(r, SET_TARGET, &r->target);
	server = take_connection(r);
	expect(server, stream(1, 0), 50000);
	expect_end(server);
	put(server, "answer", 6);
	(void)close(server);
	expect(client, "answer", 6);
	expect_end(client);
	(void)close(client);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

/*
 * "413, and no more": the server answers and closes while the client still sends. What it said
 * must arrive.
 */
static void
early_answer(struct rig *r, const char *kind)
{
	static const char answer[] = "HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\n";

	serve(r, kind);
	for (int round = 0; round < 150; round++) {
		int client = dial(r), server = take_connection(r);
		size_t sent = 0, limit = (size_t)(1 + round) * 20000;
		char byte[16];
		ssize_t n;

		no_blocking(client);
		while (sent < limit && (n = send(client, stream(1, sent), 20000, MSG_NOSIGNAL)) > 0)
			sent += (size_t)n;
		assert_int_equal(recv(server, byte, sizeof(byte), 0), sizeof(byte));
		put(server, answer, sizeof(answer) - 1);
		(void)close(server); /* with much of it unread: the kernel resets the connection */
		while (sent < limit + 400000 &&
		       (n = send(client, stream(1, sent), 20000, MSG_NOSIGNAL)) > 0)
			sent += (size_t)n;
		assert_int_equal(fcntl(client, F_SETFL, fcntl(client, F_GETFL) & ~O_NONBLOCK), 0);
		expect(client, answer, sizeof(answer) - 1);
		expect_end(client);
		(void)close(client);
	}
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

static void
early_answer_arrives(void **state)
{
	early_answer(*state, "tcp4");
}

static void
early_answer_arrives_over_unix(void **state)
{
	early_answer(*state, "unix");
}

/* What it had sent still arrives, and then the end. */
static void
client_vanishes_behind_its_request(void **state)
{
	struct rig *r = *state;
	int client, server;

	serve(r, "tcp4");
	client = dial(r);
	server = take_connection(r);
	put(client, stream(1, 0), 60000);
	(void)close(client);
	expect(server, stream(1, 0), 60000);
	expect_end(server);
	(void)close(server);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

/* A stream without end: the server must hear that nobody listens any more. */
static void
client_vanishes_from_a_stream(void **state)
{
	struct rig *r = *state;
	int client, server;
	int64_t end = dm_now_ms() + PATIENCE_MS;

	serve(r, "tcp4");
	client = dial(r);
	server = take_connection(r);
	put(server, "data: 1\n\n", 9);
	expect(client, "data: 1\n\n", 9);
	(void)close(client);
	expect_end(server);
	while (send(server, "data: 2\n\n", 9, MSG_NOSIGNAL) > 0) {
		assert_true(dm_now_ms() < end);
		dm_pause_ms(1);
	}
	(void)close(server);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

/* The same while more is on its way than the client has taken. */
static void
client_vanishes_from_a_full_stream(void **state)
{
	struct rig *r = *state;
	int client, server;
	int64_t end = dm_now_ms() + PATIENCE_MS;

	serve(r, "tcp4");
	client = dial(r);
	server = take_connection(r);
	no_blocking(server);
	while (is_ready(server, POLLOUT, 200))
		(void)send(server, stream(1, 0), 100000, MSG_NOSIGNAL);
	(void)close(client);
	while (send(server, "x", 1, MSG_NOSIGNAL) > 0 || errno == EAGAIN) {
		assert_true(dm_now_ms() < end);
		dm_pause_ms(1);
	}
	(void)close(server);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

static void
client_vanishes_while_it_waits(void **state)
{
	struct rig *r = *state;
	int clients[20];

	start_bridge(r, HOLD_MS, 0);
	for (size_t i = 0; i < COUNT(clients); i++) {
		clients[i] = dial(r);
		put(clients[i], "GET", 3);
	}
	wait_for_count(r, COUNT_CONNECTIONS, COUNT(clients), COUNT(clients));
	for (size_t i = 0; i < COUNT(clients); i++)
		(void)close(clients[i]);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

static void
server_vanishes(void **state)
{
	struct rig *r = *state;
	struct linger at_once = {.l_onoff = 1};
	int client, server;

	serve(r, "tcp4");
	client = dial(r);
	server = take_connection(r);
	put(client, "GET", 3);
	expect(server, "GET", 3);
	(void)setsockopt(server, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)close(server); /* resets the connection */
	expect_end(client);
	(void)close(client);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

/* ---- the socket ---------------------------------------------------------------------------- */

static void
socket_is_open_to_a_proxy(void **state)
{
	struct rig *r = *state;
	struct stat st;
	struct dm_err err;
	mode_t mask = umask(077);
	dev_t dev;
	ino_t ino;
	int fd = bridge_listen(r->path, &dev, &ino, &err), other;

	assert_ok(fd >= 0, &err);
	assert_int_equal(umask(mask), 077);
	assert_int_equal(lstat(r->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	assert_true(st.st_dev == dev && st.st_ino == ino);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_fails(
	    (other = bridge_listen(r->path, &dev, &ino, &err)) >= 0, &err, DM_CONFLICT, r->path);
	(void)other;
	(void)close(fd);
}

static void
path_that_is_too_long_is_refused(void **state)
{
	char path[200];
	struct dm_err err;
	dev_t dev;
	ino_t ino;

	(void)state;
	memset(path, 'x', sizeof(path));
	memcpy(path, "/tmp/", 5);
	path[sizeof(path) - 1] = '\0';
	assert_fails(bridge_listen(path, &dev, &ino, &err) >= 0, &err, DM_FAILED, "listening on");
}

/* In this very process, for a sanitizer to see what is left. */
static void
end_closes_everything(void **state)
{
	struct rig *r = *state;
	struct event_base *base = event_base_new();
	struct bridge *bridge;
	struct dm_err err;
	int waiting[10], open[10];
	uint64_t none = 0;
	char buf[2000];
	dev_t dev;
	ino_t ino;
	int fd = bridge_listen(r->path, &dev, &ino, &err);

	assert_ok(fd >= 0, &err);
	bridge = bridge_new(base, fd, HOLD_MS, on_missed, &(struct loop){.missed = none}, &err);
	assert_ok(bridge != NULL, &err);
	bind_server(r, "tcp4");
	assert_int_equal(listen(r->listener, 16), 0);
	for (size_t i = 0; i < COUNT(waiting); i++)
		waiting[i] = dial(r);
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	bridge_set_target(bridge, &r->target);
	for (size_t i = 0; i < COUNT(open); i++) {
		while (!is_ready(r->listener, POLLIN, 0))
			(void)event_base_loop(base, EVLOOP_ONCE);
		open[i] = take_connection(r);
	}
	put(open[0], stream(1, 0), 1000);
	(void)event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(bridge_connections(bridge), COUNT(waiting));
	bridge_free(bridge);
	event_base_free(base);
	for (size_t i = 0; i < COUNT(open); i++) {
		expect_end(open[i]);
		while (recv(waiting[i], buf, sizeof(buf), 0) > 0)
			continue;
		expect_end(waiting[i]);
	}
	for (size_t i = 0; i < COUNT(open); i++) {
		(void)close(open[i]);
		(void)close(waiting[i]);
	}
	assert_int_equal(access(r->path, F_OK), 0); /* the file stays */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_RIG(bytes_are_the_same_over_unix),
	    IN_RIG(bytes_are_the_same_over_ipv4),
	    IN_RIG(bytes_are_the_same_over_ipv6),
	    IN_RIG(client_half_closes),
	    IN_RIG(client_half_closes_over_unix),
	    IN_RIG(server_half_closes),
	    IN_RIG(server_half_closes_over_unix),
	    IN_RIG(client_half_closes_before_there_is_a_server),
	    IN_RIG(early_answer_arrives),
	    IN_RIG(early_answer_arrives_over_unix),
	    IN_RIG(client_vanishes_behind_its_request),
	    IN_RIG(client_vanishes_from_a_stream),
	    IN_RIG(client_vanishes_from_a_full_stream),
	    IN_RIG(client_vanishes_while_it_waits),
	    IN_RIG(server_vanishes),
	    IN_RIG(socket_is_open_to_a_proxy),
	    IN_RIG(path_that_is_too_long_is_refused),
	    IN_RIG(end_closes_everything),
	};

	cmocka_set_test_filter(getenv("DEVMESH_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
