/* SPDX-License-Identifier: MIT */
/* The bridge with readers that stop, with many connections, and with a server that is not there. */
#include "peers.h"

/* ---- back-pressure ------------------------------------------------------------------------- */

static size_t
resident(pid_t pid)
{
	DM_AUTO_FREE char *path = dm_asprintf("/proc/%ld/statm", (long)pid);
	FILE *f = fopen(path, "re");
	unsigned long pages = 0;

	if (f != NULL) {
		if (fscanf(f, "%*u %lu", &pages) != 1)
			pages = 0;
		(void)fclose(f);
	}
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Sends until nothing more goes for a while. */
static size_t
stuff(int fd)
{
	const size_t most = (size_t)64 * MEGABYTE;
	size_t sent = 0;
	ssize_t n;

	no_blocking(fd);
	while (sent < most && is_ready(fd, POLLOUT, 300)) {
		n = send(fd, stream(3, sent), 100000, MSG_NOSIGNAL);
		if (n > 0)
			sent += (size_t)n;
	}
	return sent;
}

/* A reader that stops: little is taken, none is lost, and it goes on. */
static void
reader_stops(struct rig *r, bool upwards)
{
	const int little = 65536;
	size_t before, sent;
	int client, server, from, to;

	bind_server(r, "tcp4");
	/* else the kernel itself would hold megabytes */
	(void)setsockopt(r->listener, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
	(void)setsockopt(r->listener, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
	assert_int_equal(listen(r->listener, 16), 0);
	start_bridge(r, HOLD_MS, 0);
	(void)tell(r, SET_TARGET, &r->target);
	client = dial(r);
	server = take_connection(r);
	before = resident(r->pid);
	from = upwards ? client : server;
	to = upwards ? server : client;
	sent = stuff(from);
	assert_true(sent < (size_t)12 * MEGABYTE);
#ifndef __SANITIZE_ADDRESS__
	assert_true(resident(r->pid) < before + (size_t)4 * MEGABYTE);
#endif
	(void)before;
	assert_int_equal(shutdown(from, SHUT_WR), 0);
	for (size_t at = 0; at < sent; at += NOISE)
		expect(to, stream(3, at), sent - at < NOISE ? sent - at : NOISE);
	expect_end(to);
	/* the other direction was never in the way */
	put(to, "answer", 6);
	(void)close(to);
	assert_true(is_ready(from, POLLIN, PATIENCE_MS));
	expect(from, "answer", 6);
	(void)close(from);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

static void
server_that_stops_reading_stops_the_client(void **state)
{
	reader_stops(*state, true);
}

static void
client_that_stops_reading_stops_the_server(void **state)
{
	reader_stops(*state, false);
}

/* One that waits for a server is not read without end either. */
static void
waiting_client_is_stopped(void **state)
{
	struct rig *r = *state;
	size_t sent;
	int client, server;

	bind_server(r, "tcp4");
	start_bridge(r, HOLD_MS, 0);
	client = dial(r);
	sent = stuff(client);
	assert_true(sent < (size_t)2 * MEGABYTE);
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	assert_int_equal(listen(r->listener, 16), 0);
	(void)tell(r, SET_TARGET, &r->target);
	server = take_connection(r);
	expect(server, stream(3, 0), sent);
	expect_end(server);
	(void)close(server);
	(void)close(client);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

/* ---- many ---------------------------------------------------------------------------------- */

static size_t
raise_limit(size_t wanted)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	if (limit.rlim_cur < wanted) {
		limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted
				     ? wanted
				     : limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur;
}

/* All at once, each with its own bytes. */
static void
thousands_at_once(void **state)
{
	enum {
		MANY = 1500
	};
	struct rig *r = *state;
	static int clients[MANY], servers[MANY];
	uint32_t number;

	if (raise_limit(4096) < 4096)
		fail_msg("the limit of open files is too low for this test");
	serve(r, "tcp4");
	for (uint32_t i = 0; i < MANY; i++) {
		clients[i] = dial(r);
		put(clients[i], (const char *)&i, sizeof(i));
	}
	for (size_t i = 0; i < MANY; i++)
		servers[i] = take_connection(r);
	assert_int_equal(tell(r, COUNT_CONNECTIONS, NULL), MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(
		    recv(servers[i], &number, sizeof(number), MSG_WAITALL), sizeof(number));
		number += 7;
		put(servers[i], (const char *)&number, sizeof(number));
		(void)close(servers[i]);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(
		    recv(clients[i], &number, sizeof(number), MSG_WAITALL), sizeof(number));
		assert_int_equal(number, i + 7);
		expect_end(clients[i]);
		(void)close(clients[i]);
	}
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

/* With few descriptors they are served one after another, and none is lost or stuck. */
static void
more_than_there_are_descriptors(void **state)
{
	enum {
		MANY = 120
	};
	struct rig *r = *state;
	uint32_t clients[MANY], i;

	bind_server(r, "tcp4");
	assert_int_equal(listen(r->listener, 200), 0);
	start_bridge(r, HOLD_MS, 40);
	for (i = 0; i < MANY; i++) {
		clients[i] = (uint32_t)dial(r);
		put((int)clients[i], (const char *)&i, sizeof(i));
	}
	(void)tell(r, SET_TARGET, &r->target);
	for (int n = 0; n < MANY; n++) {
		int server = take_connection(r);

		assert_int_equal(recv(server, &i, sizeof(i), MSG_WAITALL), sizeof(i));
		assert_true(i < MANY);
		put(server, "OK", 2);
		(void)close(server);
		expect((int)clients[i], "OK", 2);
		expect_end((int)clients[i]);
		(void)close((int)clients[i]);
	}
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

/* ---- waiting ------------------------------------------------------------------------------- */

static void
connections_wait_for_a_target(void **state)
{
	enum {
		CLIENTS = 50
	};
	struct rig *r = *state;
	int clients[CLIENTS];

	bind_server(r, "tcp6");
	assert_int_equal(listen(r->listener, 100), 0);
	start_bridge(r, HOLD_MS, 0);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = dial(r);
		put(clients[i], "GET", 3);
	}
	wait_for_count(r, COUNT_CONNECTIONS, CLIENTS, CLIENTS);
	assert_false(is_ready(r->listener, POLLIN, 100));
	assert_int_equal(tell(r, COUNT_MISSED, NULL), 0);
	(void)tell(r, SET_TARGET, &r->target);
	for (int i = 0; i < CLIENTS; i++) {
		int server = take_connection(r);

		expect(server, "GET", 3);
		put(server, "OK", 2);
		(void)close(server);
	}
	for (int i = 0; i < CLIENTS; i++) {
		expect(clients[i], "OK", 2);
		expect_end(clients[i]);
		(void)close(clients[i]);
	}
}

/* It refuses for a while, as one that restarts; and then another one takes its place. */
static void
target_refuses_and_comes_back(struct rig *r, const char *kind)
{
	int before, client, server, elsewhere;

	serve(r, kind);
	before = dial(r);
	server = take_connection(r);
	dm_closep(&r->listener);
	client = dial(r);
	put(client, "GET", 3);
	wait_for_count(r, COUNT_MISSED, 3, UINT64_MAX);
	assert_false(is_ready(client, POLLIN, 0));
	/* the old connection goes on */
	put(before, "more", 4);
	expect(server, "more", 4);
	(void)close(before);
	(void)close(server);
	bind_server(r, strcmp(kind, "unix") == 0 ? "tcp4" : "unix");
	assert_int_equal(listen(r->listener, 16), 0);
	(void)tell(r, SET_TARGET, &r->target);
	elsewhere = take_connection(r);
	expect(elsewhere, "GET", 3);
	put(elsewhere, "OK", 2);
	expect(client, "OK", 2);
	(void)close(elsewhere);
	(void)close(client);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
}

static void
port_refuses_and_moves_to_a_socket(void **state)
{
	target_refuses_and_comes_back(*state, "tcp4");
}

static void
socket_refuses_and_moves_to_a_port(void **state)
{
	target_refuses_and_comes_back(*state, "unix");
}

/* On the same port, without a word to the bridge. */
static void
target_comes_back_by_itself(void **state)
{
	struct rig *r = *state;
	int client, server;

	bind_server(r, "tcp4");
	start_bridge(r, HOLD_MS, 0);
	(void)tell(r, SET_TARGET, &r->target);
	client = dial(r);
	put(client, "GET", 3);
	wait_for_count(r, COUNT_MISSED, 2, UINT64_MAX);
	assert_int_equal(listen(r->listener, 16), 0);
	server = take_connection(r);
	expect(server, "GET", 3);
	(void)close(server);
	expect_end(client);
	(void)close(client);
}

static void
waiting_has_a_limit(struct rig *r, bool refusing)
{
	int64_t began;
	int first, second;

	bind_server(r, "tcp4");
	start_bridge(r, 400, 0);
	if (refusing)
		(void)tell(r, SET_TARGET, &r->target);
	began = dm_now_ms();
	first = dial(r);
	second = dial(r);
	put(second, "GET", 3);
	expect_end(first);
	assert_true(dm_now_ms() - began >= 390);
	expect_end(second);
	assert_true(dm_now_ms() - began < PATIENCE_MS);
	wait_for_count(r, COUNT_CONNECTIONS, 0, 0);
	(void)close(first);
	(void)close(second);
	/* and the next one may wait as long again, and be served */
	first = dial(r);
	put(first, "GET", 3);
	assert_int_equal(listen(r->listener, 16), 0);
	(void)tell(r, SET_TARGET, &r->target);
	second = take_connection(r);
	expect(second, "GET", 3);
	(void)close(first);
	(void)close(second);
}

static void
waiting_for_a_target_has_a_limit(void **state)
{
	waiting_has_a_limit(*state, false);
}

static void
waiting_for_one_that_refuses_has_a_limit(void **state)
{
	waiting_has_a_limit(*state, true);
}

/* The limit is of waiting: a connection that has been made may be silent as long as it likes. */
static void
connection_may_be_silent(void **state)
{
	struct rig *r = *state;
	int client, server;

	bind_server(r, "tcp4");
	assert_int_equal(listen(r->listener, 16), 0);
	start_bridge(r, 200, 0);
	(void)tell(r, SET_TARGET, &r->target);
	client = dial(r);
	server = take_connection(r);
	assert_false(is_ready(client, POLLIN, 500));
	put(client, "x", 1);
	expect(server, "x", 1);
	(void)close(client);
	(void)close(server);
}

/* Server gone for now: new connections wait, those there are go on. */
static void
target_may_be_taken_away(void **state)
{
	static const struct bridge_target nowhere;
	struct rig *r = *state;
	int old, server, late;

	serve(r, "tcp4");
	old = dial(r);
	server = take_connection(r);
	(void)tell(r, SET_TARGET, &nowhere);
	late = dial(r);
	put(late, "GET", 3);
	put(old, "more", 4);
	expect(server, "more", 4);
	assert_false(is_ready(r->listener, POLLIN, 100));
	(void)tell(r, SET_TARGET, &r->target);
	(void)close(server);
	server = take_connection(r);
	expect(server, "GET", 3);
	(void)close(server);
	(void)close(old);
	(void)close(late);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_RIG(server_that_stops_reading_stops_the_client),
	    IN_RIG(client_that_stops_reading_stops_the_server),
	    IN_RIG(waiting_client_is_stopped),
	    IN_RIG(thousands_at_once),
	    IN_RIG(more_than_there_are_descriptors),
	    IN_RIG(connections_wait_for_a_target),
	    IN_RIG(port_refuses_and_moves_to_a_socket),
	    IN_RIG(socket_refuses_and_moves_to_a_port),
	    IN_RIG(target_comes_back_by_itself),
	    IN_RIG(waiting_for_a_target_has_a_limit),
	    IN_RIG(waiting_for_one_that_refuses_has_a_limit),
	    IN_RIG(connection_may_be_silent),
	    IN_RIG(target_may_be_taken_away),
	};

	cmocka_set_test_filter(getenv("DEVMESH_TEST"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
