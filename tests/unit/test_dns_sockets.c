/* SPDX-License-Identifier: MIT */
/* The name server's sockets: made, and passed on by a service manager, in a process of its own. */
#include "unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/log.h"
#include "dns_sockets.h"

static const struct dns_address loopback = {.bytes = {127, 0, 0, 1}};

static int
bound(int type, uint32_t address, uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(*port)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, type, 0);

	in.sin_addr.s_addr = htonl(address);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &len) != 0) {
		dm_closep(&fd);
		return -1;
	}
	*port = ntohs(in.sin_port);
	return fd;
}

/* A port that is free for both. */
static uint16_t
free_port(void)
{
	for (int i = 0; i < 100; i++) {
		uint16_t port = 0;
		DM_AUTO_CLOSE int udp = bound(SOCK_DGRAM, INADDR_LOOPBACK, &port);
		DM_AUTO_CLOSE int tcp = udp < 0 ? -1 : bound(SOCK_STREAM, INADDR_LOOPBACK, &port);

		if (tcp >= 0)
			return port;
	}
	fail_msg("no free port");
	return 0;
}

static void
a_pair_is_of_one_address(void **state)
{
	uint16_t port = free_port();
	struct dns_pair pair, second;
	struct sockaddr_storage at = {0};
	socklen_t len = sizeof(at);
	struct dns_address address;
	struct dm_err err;

	(void)state;
	assert_ok(dns_pair_open(&loopback, port, &pair, &err), &err);
	assert_int_equal(getsockname(pair.udp, (struct sockaddr *)&at, &len), 0);
	assert_true(dns_from_socket(&at, &address, &port));
	assert_true(dns_address_same(&address, &loopback));
	assert_int_equal(port, pair.port);
	assert_int_equal(fcntl(pair.udp, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(pair.tcp, F_GETFD), FD_CLOEXEC);
	assert_true((fcntl(pair.udp, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(pair.tcp, F_GETFL) & O_NONBLOCK) != 0);
	/* nobody gets it a second time, and nothing is left of the attempt */
	assert_fails(
	    dns_pair_open(&loopback, pair.port, &second, &err), &err, DM_FAILED, "127.0.0.1 port");
	assert_int_equal(second.udp, -1);
	assert_int_equal(second.tcp, -1);
	dns_pair_close(&pair);
	assert_ok(dns_pair_open(&loopback, port, &pair, &err), &err);
	dns_pair_close(&pair);
}

static void
addresses_go_there_and_back(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "::1", "fd00::7", NULL};
	struct dns_socket_address to;
	struct sockaddr_storage odd = {.ss_family = AF_UNIX};
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	struct dns_address a, b;
	uint16_t port;

	(void)state;
	for (size_t i = 0; texts[i] != NULL; i++) {
		memset(&a, 0, sizeof(a));
		a.ipv6 = strchr(texts[i], ':') != NULL;
		assert_int_equal(inet_pton(a.ipv6 ? AF_INET6 : AF_INET, texts[i], a.bytes), 1);
		dns_to_socket(&a, 5453, &to);
		assert_true(dns_from_socket(&to.address, &b, &port));
		assert_true(dns_address_same(&a, &b));
		assert_int_equal(port, 5453);
	}
	assert_false(dns_from_socket(&odd, &b, &port));
	assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr), 1);
	memcpy(&odd, &mapped, sizeof(mapped));
	assert_true(dns_from_socket(&odd, &b, &port));
	assert_true(dns_address_same(&b, &loopback));
}

/* ---- sockets that were passed on ------------------------------------------------------------ */

/* Puts the descriptors at 3, 4, ..., as a service manager does. */
static void
pass(const int *fds, int count, const char *pid)
{
	char text[16];

	for (int i = 0; i < count; i++) {
		int high = fcntl(fds[i], F_DUPFD, 60);

		if (high < 0 || dup2(high, 3 + i) < 0)
			_exit(90);
	}
	(void)snprintf(text, sizeof(text), "%d", count);
	(void)setenv("LISTEN_FDS", text, 1);
	(void)setenv("LISTEN_FDNAMES", "dns:dns", 1);
	(void)snprintf(text, sizeof(text), "%ld", (long)getpid());
	(void)setenv("LISTEN_PID", pid == NULL ? text : pid, 1);
}

#define CHECK(n, condition) \
	do { \
		if (!(condition)) \
			_exit(n); \
	} while (0)

static void
in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		dm_log_level(DM_LOG_QUIET);
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
take_a_pair(void)
{
	const struct dns_address other = {.bytes = {127, 0, 0, 2}};
	struct dns_passed passed;
	struct dns_pair pair;
	struct dm_err err;
	uint16_t port = 0, all = 0;
	int fds[4];

	fds[0] = bound(SOCK_DGRAM, INADDR_LOOPBACK, &port);
	fds[1] = bound(SOCK_STREAM, INADDR_LOOPBACK, &port);
	fds[2] = bound(SOCK_DGRAM, INADDR_ANY, &all); /* of no use */
	fds[3] = open("/dev/null", O_RDONLY);
	if (fds[1] < 0)
		return; /* the port was taken meanwhile: nothing to see */
	CHECK(1, listen(fds[1], 1) == 0);
	pass(fds, 4, NULL);
	dns_passed_take(&passed);
	CHECK(2, getenv("LISTEN_FDS") == NULL && getenv("LISTEN_PID") == NULL &&
		     getenv("LISTEN_FDNAMES") == NULL);
	CHECK(3, passed.count == 1 && passed.list[0].port == port);
	CHECK(4, fcntl(3, F_GETFD) == FD_CLOEXEC && fcntl(4, F_GETFD) == FD_CLOEXEC);
	CHECK(5, fcntl(5, F_GETFD) < 0 && fcntl(6, F_GETFD) < 0);
	CHECK(6, dns_passed_find(&passed, &loopback, &pair, &err));
	CHECK(7, pair.passed && pair.udp > 4 && pair.tcp > 4 && pair.port == port);
	CHECK(8, !dns_passed_find(&passed, &other, &pair, &err) && err.code == DM_NOT_FOUND);
	dns_pair_close(&pair);
	/* what is let go can be had again */
	CHECK(9, dns_passed_find(&passed, &loopback, &pair, &err));
	dns_passed_close(&passed);
	CHECK(10, fcntl(3, F_GETFD) < 0);
}

static void
take_nothing_of_others(void)
{
	struct dns_passed passed;
	uint16_t port = 0;
	int fd = bound(SOCK_DGRAM, INADDR_LOOPBACK, &port);

	pass(&fd, 1, "1");
	dns_passed_take(&passed);
	CHECK(1, passed.count == 0 && getenv("LISTEN_FDS") == NULL);
	CHECK(2, fcntl(3, F_GETFD) >= 0); /* left alone */
	pass(&fd, 1, NULL);
	(void)setenv("LISTEN_FDS", "many", 1);
	dns_passed_take(&passed);
	CHECK(3, passed.count == 0);
}

/* The first is taken, and none stays open that is not. */
static void
take_one_of_many(void)
{
	enum {
		MANY = DNS_PASSED_FDS_MAX + 2
	};
	struct dns_passed passed;
	uint16_t port = 0;
	int fds[MANY];

	fds[0] = bound(SOCK_DGRAM, INADDR_LOOPBACK, &port);
	fds[1] = bound(SOCK_STREAM, INADDR_LOOPBACK, &port);
	if (fds[1] < 0)
		return; /* the port was taken meanwhile: nothing to see */
	CHECK(1, listen(fds[1], 1) == 0);
	for (int i = 2; i < MANY; i++)
		fds[i] = fds[0];
	pass(fds, MANY, NULL);
	dns_passed_take(&passed);
	CHECK(2, passed.count == 1 && passed.list[0].port == port);
	CHECK(3, passed.list[0].udp == 3 && passed.list[0].tcp == 4);
	for (int i = 2; i < MANY; i++)
		CHECK(4, fcntl(3 + i, F_GETFD) < 0);
}

static void
half_a_pair_is_none(void)
{
	struct dns_passed passed;
	struct dns_pair pair;
	struct dm_err err;
	uint16_t port = 0;
	int fds[2];

	fds[0] = bound(SOCK_DGRAM, INADDR_LOOPBACK, &port);
	fds[1] = bound(SOCK_STREAM, INADDR_LOOPBACK, &port); /* does not listen */
	pass(fds, 2, NULL);
	dns_passed_take(&passed);
	CHECK(1, passed.count == 1 && passed.list[0].tcp < 0);
	CHECK(2, !dns_passed_find(&passed, &loopback, &pair, &err));
}

static void
a_passed_pair_is_taken(void **state)
{
	(void)state;
	in_child(take_a_pair);
}

static void
what_was_passed_to_others_is_not(void **state)
{
	(void)state;
	in_child(take_nothing_of_others);
}

static void
a_passed_half_is_not(void **state)
{
	(void)state;
	in_child(half_a_pair_is_none);
}

static void
of_too_many_the_first_are_taken(void **state)
{
	(void)state;
	in_child(take_one_of_many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_pair_is_of_one_address),
	    cmocka_unit_test(addresses_go_there_and_back),
	    cmocka_unit_test(a_passed_pair_is_taken),
	    cmocka_unit_test(what_was_passed_to_others_is_not),
	    cmocka_unit_test(a_passed_half_is_not),
	    cmocka_unit_test(of_too_many_the_first_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
