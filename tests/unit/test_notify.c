/* SPDX-License-Identifier: MIT */
/* What a service manager hears from devmeshd, on a datagram socket of the test's own. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "notify.h"

/* A service manager: a socket, and how NOTIFY_SOCKET names it. */
struct manager {
	char *dir;
	int fd;
	char address[108];
};

static void
listen_at(struct manager *m, const char *address)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const struct timeval deadline = {.tv_sec = 20};
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address));

	assert_true(dm_snprintf(m->address, sizeof(m->address), "%s", address));
	memcpy(sa.sun_path, address, strlen(address) + 1);
	if (address[0] == '@')
		sa.sun_path[0] = '\0';
	m->fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_true(m->fd >= 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(
	    setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)), 0);
}

/* The environment that it gives its services. */
static struct notify *
notify_of(const struct manager *m, const char *usec, const char *pid)
{
	(void)setenv("NOTIFY_SOCKET", m->address, 1);
	(void)(usec != NULL ? setenv("WATCHDOG_USEC", usec, 1) : unsetenv("WATCHDOG_USEC"));
	(void)(pid != NULL ? setenv("WATCHDOG_PID", pid, 1) : unsetenv("WATCHDOG_PID"));
	return notify_new();
}

static const char *
heard(const struct manager *m)
{
	static char text[8192];
	ssize_t n = recv(m->fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		fail_msg("nothing came: %s", strerror(errno));
	text[n] = '\0';
	return text;
}

static void
assert_silence(const struct manager *m)
{
	char byte;

	assert_int_equal(recv(m->fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_true(errno == EAGAIN || errno == EWOULDBLOCK);
}

static int
setup(void **state)
{
	struct manager *m = dm_calloc(1, sizeof(*m));
	DM_AUTO_FREE char *path = NULL;

	m->dir = temp_dir();
	path = in_dir(m->dir, "notify");
	listen_at(m, path);
	*state = m;
	return 0;
}

static int
teardown(void **state)
{
	struct manager *m = *state;

	(void)close(m->fd);
	remove_tree(m->dir);
	free(m);
	return 0;
}

static void
tells_each_state(void **state)
{
	const struct manager *m = *state;
	dm_auto(notify) n = notify_of(m, NULL, NULL);

	assert_true(notify_wanted(n));
	notify_ready(n, "watches 3 services");
	assert_string_equal(heard(m), "READY=1\nSTATUS=watches 3 services\n");
	notify_ready(n, NULL);
	assert_string_equal(heard(m), "READY=1\n");
	notify_status(n, "caddy is down");
	assert_string_equal(heard(m), "STATUS=caddy is down\n");
	notify_stopping(n);
	assert_string_equal(heard(m), "STOPPING=1\n");
	notify_alive(n);
	assert_string_equal(heard(m), "WATCHDOG=1\n");
	assert_silence(m);
}

/* systemd takes the answer to a reload only if its time is not before the request's. */
static void
a_reload_says_when(void **state)
{
	const struct manager *m = *state;
	dm_auto(notify) n = notify_of(m, NULL, NULL);
	struct timespec before, after;
	const char *text;
	uint64_t usec;
	char digits[32];

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	notify_reloading(n);
	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &after), 0);
	text = heard(m);
	assert_true(dm_starts_with(text, "RELOADING=1\nMONOTONIC_USEC="));
	text = strrchr(text, '=') + 1;
	assert_true(dm_snprintf(digits, sizeof(digits), "%.*s", (int)strcspn(text, "\n"), text));
	assert_true(dm_parse_uint(digits, 1, INT64_MAX, &usec));
	assert_true(usec >= (uint64_t)before.tv_sec * 1000000 + (uint64_t)before.tv_nsec / 1000);
	assert_true(usec <= (uint64_t)after.tv_sec * 1000000 + (uint64_t)after.tv_nsec / 1000);
}

/* A branch's name in the status is no assignment of its own. */
static void
a_status_is_one_line(void **state)
{
	const struct manager *m = *state;
	dm_auto(notify) n = notify_of(m, NULL, NULL);
	DM_AUTO_FREE char *longest = dm_calloc(1, 9000);
	const char *text;

	notify_status(n, "shop\nMAINPID=1\nREADY=1");
	text = heard(m);
	assert_true(dm_starts_with(text, "STATUS=shop"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	memset(longest, 'x', 8999);
	notify_ready(n, longest);
	text = heard(m);
	assert_true(dm_starts_with(text, "READY=1\nSTATUS=xxx"));
	assert_true(strlen(text) < 4096);
}

static void
abstract_names(void **state)
{
	struct manager m = {0};
	char name[64];

	(void)state;
#ifndef __linux__
	skip();
#endif
	assert_true(dm_snprintf(name, sizeof(name), "@devmesh-test-%ld", (long)getpid()));
	listen_at(&m, name);
	dm_auto(notify) n = notify_of(&m, NULL, NULL);
	notify_ready(n, NULL);
	assert_string_equal(heard(&m), "READY=1\n");
	(void)close(m.fd);
}

/* What devmeshd starts must not speak for it. */
static void
children_do_not_inherit_it(void **state)
{
	dm_auto(notify) n = notify_of(*state, "30000000", NULL);

	assert_true(notify_wanted(n));
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
}

static void
watchdog_is_for_this_process(void **state)
{
	char mine[16], others[16];
	const struct {
		const char *usec, *pid;
		int64_t want;
	} rows[] = {{"30000000", mine, 15000}, {"30000000", NULL, 15000}, {"30000000", others, 0},
	    {"1", mine, 1}, {"0", mine, 0}, {"", mine, 0}, {"-5", mine, 0}, {"30s", mine, 0},
	    {"99999999999999999999999", mine, 0}, {"30000000", "x", 0}, {NULL, mine, 0}};

	assert_true(dm_snprintf(mine, sizeof(mine), "%ld", (long)getpid()));
	assert_true(dm_snprintf(others, sizeof(others), "%ld", (long)getppid()));
	for (size_t i = 0; i < COUNT(rows); i++) {
		dm_auto(notify) n = notify_of(*state, rows[i].usec, rows[i].pid);

		assert_int_equal(notify_alive_interval_ms(n), rows[i].want);
	}
}

/* In a terminal, under launchd, or told nonsense: nobody is told, nothing fails. */
static void
nobody_to_tell(void **state)
{
	struct manager m = *(const struct manager *)*state;
	char too_long[200];
	const char *const addresses[] = {"", "relative", "@", "/", "vsock:2:1234", too_long};

	memset(too_long, 'a', sizeof(too_long) - 1);
	too_long[0] = '/';
	too_long[sizeof(too_long) - 1] = '\0';
	for (size_t i = 0; i < COUNT(addresses); i++) {
		(void)setenv("NOTIFY_SOCKET", addresses[i], 1);
		(void)setenv("WATCHDOG_USEC", "1000000", 1);
		dm_auto(notify) n = notify_new();

		assert_false(notify_wanted(n));
		assert_int_equal(notify_alive_interval_ms(n), 0);
		notify_ready(n, "x");
		notify_stopping(n);
	}
	assert_silence(&m);
	/* a service manager that has gone is no reason to end either */
	dm_auto(notify) n = notify_of(&m, NULL, NULL);
	(void)close(m.fd);
	notify_alive(n);
	((struct manager *)*state)->fd = -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define WITH_MANAGER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	    WITH_MANAGER(tells_each_state),
	    WITH_MANAGER(a_reload_says_when),
	    WITH_MANAGER(a_status_is_one_line),
	    cmocka_unit_test(abstract_names),
	    WITH_MANAGER(children_do_not_inherit_it),
	    WITH_MANAGER(watchdog_is_for_this_process),
	    WITH_MANAGER(nobody_to_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
