/* SPDX-License-Identifier: MIT */
/* Which of several listeners is the service, how to reach it, and what is offered. */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/proc.h"
#include "run/ports.h"

static struct dm_listener
on(const char *address, uint16_t port)
{
	struct dm_listener l = {.pid = getpid(), .port = port};

	l.ipv6 = strchr(address, ':') != NULL;
	assert_int_equal(inet_pton(l.ipv6 ? AF_INET6 : AF_INET, address, l.address), 1);
	return l;
}

/* "127.0.0.1 5173, ::1 24678" as a list; released by the caller. */
static struct dm_listeners
listeners(const char *text)
{
	struct dm_listeners all = {.count = 0};
	char address[64];
	unsigned port;
	int n;

	while (sscanf(text, " %63s %u%n", address, &port, &n) == 2) {
		struct dm_listener l = on(address, (uint16_t)port);

		dm_listeners_add(&all, &l);
		text += n;
		text += strspn(text, ", ");
	}
	return all;
}

struct choice {
	const char *list;
	struct ports_wish wish;
	uint16_t port; /* 0: none */
	bool ipv6;
};

static const struct choice choices[] = {
    {"", {.offered = 3000}, 0, false},
    {"127.0.0.1 5173", {.offered = 3000}, 5173, false},
    /* the offered one, wherever it stands and whatever else there is */
    {"127.0.0.1 80, 127.0.0.1 3000, 127.0.0.1 90", {.offered = 3000}, 3000, false},
    {"127.0.0.1 4000, ::1 3000", {.offered = 3000, .current = 4000}, 3000, true},
    /* what was chosen before, rather than a lower one that came later */
    {"127.0.0.1 4000, 127.0.0.1 5000", {.offered = 3000, .current = 5000}, 5000, false},
    /* the lowest, in whatever order the kernel lists them */
    {"127.0.0.1 5000, 127.0.0.1 4000", {.offered = 3000}, 4000, false},
    {"127.0.0.1 4000, 127.0.0.1 5000", {.offered = 3000}, 4000, false},
    /* not a tool's own, unless there is nothing else, or it is what was asked for */
    {"127.0.0.1 9229, 127.0.0.1 24678, 127.0.0.1 35729", {.offered = 3000}, 9229, false},
    {"127.0.0.1 9229, ::1 24678, ::1 35729, :: 40000", {.offered = 3000}, 40000, true},
    {"127.0.0.1 5678, 127.0.0.1 8000", {.offered = 3000}, 8000, false},
    {"127.0.0.1 4000, 127.0.0.1 9229", {.offered = 9229}, 9229, false},
    /* IPv4 before IPv6 on the same port, and the only one there is */
    {"::1 3000, 127.0.0.1 3000", {.offered = 3000}, 3000, false},
    {"127.0.0.1 3000, ::1 3000", {.offered = 3000}, 3000, false},
    {"::1 3000", {.offered = 3000}, 3000, true},
    {":: 3000", {.offered = 3000}, 3000, true},
    /* a forced one, and no other */
    {"127.0.0.1 3000, 127.0.0.1 4000", {.offered = 3000, .forced = 4000}, 4000, false},
    {"127.0.0.1 3000, 127.0.0.1 4000", {.offered = 3000, .forced = 5000}, 0, false},
    {"127.0.0.1 3000", {.forced = 5000, .current = 3000}, 0, false},
    {"::1 5000, 0.0.0.0 5000", {.forced = 5000}, 5000, false},
};

static void
choice_is_the_service(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(choices); i++) {
		const struct choice *c = &choices[i];
		struct dm_listeners all = listeners(c->list);
		const struct dm_listener *found = ports_choose(&all, &c->wish);

		if (c->port == 0 && found != NULL)
			fail_msg("\"%s\": chose %u", c->list, (unsigned)found->port);
		if (c->port != 0 &&
		    (found == NULL || found->port != c->port || found->ipv6 != c->ipv6))
			fail_msg("\"%s\": chose %s%u, wanted %u", c->list,
			    found != NULL && found->ipv6 ? "IPv6 " : "",
			    found == NULL ? 0 : (unsigned)found->port, (unsigned)c->port);
		dm_listeners_release(&all);
	}
}

/* The choice does not depend on the order of the kernel's table. */
static void
choice_is_stable(void **state)
{
	struct prng prng = prng_new();

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct dm_listeners all = {.count = 0};
		struct ports_wish wish = {.offered = (uint16_t)(1 + prng_below(&prng, 12)),
		    .current = (uint16_t)prng_below(&prng, 12),
		    .forced = (uint16_t)(prng_below(&prng, 3) == 0 ? prng_below(&prng, 12) : 0)};
		const struct dm_listener *a;
		struct dm_listener first;
		size_t n = prng_below(&prng, 6);

		for (size_t i = 0; i < n; i++) {
			struct dm_listener l = on(prng_below(&prng, 2) == 0 ? "127.0.0.1" : "::1",
			    (uint16_t)(1 + prng_below(&prng, 12)));

			dm_listeners_add(&all, &l);
		}
		a = ports_choose(&all, &wish);
		if (a != NULL)
			first = *a;
		for (size_t i = n; i > 1; i--) {
			size_t k = prng_below(&prng, i);
			struct dm_listener swap = all.list[i - 1];

			all.list[i - 1] = all.list[k];
			all.list[k] = swap;
		}
		if (a != NULL) {
			a = ports_choose(&all, &wish);
			assert_int_equal(a->port, first.port);
			assert_int_equal(a->ipv6, first.ipv6);
		} else {
			assert_null(ports_choose(&all, &wish));
		}
		dm_listeners_release(&all);
	}
}

struct target {
	const char *listens, *connect;
	bool open;
};

static const struct target targets[] = {
    {"127.0.0.1", "127.0.0.1", false},
    {"0.0.0.0", "127.0.0.1", true},
    {"127.0.0.53", "127.0.0.53", false},
    {"192.0.2.7", "192.0.2.7", false},
    {"::1", "::1", false},
    {"::", "::1", true},
    {"::ffff:127.0.0.1", "::ffff:127.0.0.1", false},
    {"2001:db8::7", "2001:db8::7", false},
};

static void
address_leads_to_the_listener(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++) {
		struct dm_listener l = on(targets[i].listens, 5173);
		struct sockaddr_storage sa;
		char text[INET6_ADDRSTRLEN];
		size_t length;

		memset(&sa, 0xff, sizeof(sa));
		length = ports_address(&l, &sa);
		if (l.ipv6) {
			const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&sa;

			assert_int_equal(length, sizeof(*a));
			assert_int_equal(a->sin6_family, AF_INET6);
			assert_int_equal(ntohs(a->sin6_port), 5173);
			assert_int_equal(a->sin6_scope_id, 0);
			assert_non_null(inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof(text)));
		} else {
			const struct sockaddr_in *a = (const struct sockaddr_in *)&sa;

			assert_int_equal(length, sizeof(*a));
			assert_int_equal(a->sin_family, AF_INET);
			assert_int_equal(ntohs(a->sin_port), 5173);
			assert_non_null(inet_ntop(AF_INET, &a->sin_addr, text, sizeof(text)));
		}
		assert_string_equal(text, targets[i].connect);
		assert_int_equal(ports_is_open(&l), targets[i].open);
	}
}

static void
assert_described(const char *list, const char *want)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(1024);
	struct dm_listeners all = listeners(list);

	ports_describe(&all, &text);
	assert_string_equal(text.data, want);
	dm_listeners_release(&all);
}

static void
description_names_each(void **state)
{
	DM_AUTO_FREE char *name = dm_proc_name(getpid());
	DM_AUTO_FREE char *two =
	    dm_asprintf("127.0.0.1:5173 (pid %ld, %s), [::1]:24678 (pid %ld, %s)", (long)getpid(),
		name, (long)getpid(), name);

	(void)state;
	assert_described("", "nothing");
	assert_described("127.0.0.1 5173, ::1 24678", two);
}

/* A process that has ended since, or is another user's, has no name. */
static void
description_without_a_name(void **state)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(256);
	struct dm_listener l = on("0.0.0.0", 80);
	struct dm_listeners one = {.list = &l, .count = 1};

	(void)state;
	l.pid = 0;
	ports_describe(&one, &text);
	assert_string_equal(text.data, "0.0.0.0:80 (pid 0)");
}

/* More than fits is cut, not overrun. */
static void
description_is_bounded(void **state)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(100);
	struct dm_listeners all = {.count = 0};

	(void)state;
	for (uint16_t port = 1; port < 500; port++) {
		struct dm_listener l = on("127.0.0.1", port);

		dm_listeners_add(&all, &l);
	}
	ports_describe(&all, &text);
	assert_true(text.len <= 100);
	assert_int_equal(strncmp(text.data, "127.0.0.1:1 (pid ", 17), 0);
	dm_listeners_release(&all);
}

static int
listen_on(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Mostly the same again; another one while it is taken. */
static void
offer_is_free_and_stays(void **state)
{
	uint16_t port = ports_offer("/home/ann/code/shop"), next;
	int fd;

	(void)state;
	assert_true(port >= 20000 && port < 32000);
	assert_int_equal(ports_offer("/home/ann/code/shop"), port);
	fd = listen_on(port);
	next = ports_offer("/home/ann/code/shop");
	assert_true(next != port && next >= 20000 && next < 32000);
	(void)close(fd);
	assert_int_equal(ports_offer("/home/ann/code/shop"), port);
}

static void
offers_of_worktrees_differ(void **state)
{
	uint16_t seen[50];
	size_t same = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(seen); i++) {
		DM_AUTO_FREE char *worktree = dm_asprintf("/home/ann/code/shop-%zu", i);

		seen[i] = ports_offer(worktree);
		for (size_t k = 0; k < i; k++)
			same += seen[k] == seen[i];
	}
	/* 50 out of 12,000: a pair now and then is chance */
	assert_true(same <= 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(choice_is_the_service),
	    cmocka_unit_test(choice_is_stable),
	    cmocka_unit_test(address_leads_to_the_listener),
	    cmocka_unit_test(description_names_each),
	    cmocka_unit_test(description_without_a_name),
	    cmocka_unit_test(description_is_bounded),
	    cmocka_unit_test(offer_is_free_and_stays),
	    cmocka_unit_test(offers_of_worktrees_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
