/* SPDX-License-Identifier: MIT */
/*
 * What stands around an answer: whose domain it may be, how often one may ask, at which addresses,
 * and the replies that are kept.
 */
#include "dns_messages.h"

#include <arpa/inet.h>

#include "dns_domain.h"
#include "dns_limit.h"
#include "dns_memo.h"
#include "dns_places.h"

/* ---- domains ------------------------------------------------------------------------------- */

static void
a_domain_has_to_be_the_users(void **state)
{
	static const char *const refused[] = {"localhost", "test", "com", "local", "mesh.local",
	    "a.mesh.local", "co.uk", "github.io", "e164.arpa", "duckdns.org", NULL};
	static const char *const all[] = {"dev.example.com", "example.com", "dev.test",
	    "example.co.uk", "me.github.io", "mesh.home.arpa", "localhost.example.com", NULL};
	struct dm_err err;

	(void)state;
	for (size_t i = 0; refused[i] != NULL; i++) {
		memset(&err, 0, sizeof(err));
		if (dns_domain_scope(refused[i], &err) != DNS_SCOPE_NONE)
			fail_msg("%s is answered for", refused[i]);
		assert_int_equal(err.code, DM_DENIED);
		assert_holds(err.msg, refused[i]);
		assert_true(err.hint[0] != '\0');
	}
	for (size_t i = 0; all[i] != NULL; i++) {
		if (dns_domain_scope(all[i], &err) != DNS_SCOPE_ALL)
			fail_msg("%s is not answered for: %s", all[i], err.msg);
	}
	assert_int_equal(dns_domain_scope("dev.localhost", &err), DNS_SCOPE_LOOPBACK);
	assert_int_equal(dns_domain_scope("a.dev.localhost", &err), DNS_SCOPE_LOOPBACK);
}

/* ---- limits -------------------------------------------------------------------------------- */

static struct dns_address
address(const char *text)
{
	struct dns_address a = {.ipv6 = strchr(text, ':') != NULL};

	assert_int_equal(inet_pton(a.ipv6 ? AF_INET6 : AF_INET, text, a.bytes), 1);
	return a;
}

static int
take_all(struct dns_limit *limit, const char *from, int tries, int64_t now)
{
	const struct dns_address a = address(from);
	int n = 0;

	for (int i = 0; i < tries; i++)
		n += dns_limit_take(limit, &a, now) ? 1 : 0;
	return n;
}

static void
fifty_a_second_are_let_through(void **state)
{
	struct dns_limit *limit = dns_limit_new(7);
	int n = 0;

	(void)state;
	assert_int_equal(take_all(limit, "192.168.1.2", 100, 1000), 50);
	/* others are not affected */
	assert_int_equal(take_all(limit, "192.168.1.3", 100, 1000), 50);
	assert_int_equal(take_all(limit, "192.168.1.2", 1, 1019), 0);
	assert_int_equal(take_all(limit, "192.168.1.2", 2, 1020), 1);
	/* a flood of ten seconds, also one that asks so often that no whole token comes in between
	 */
	for (int64_t now = 2000; now < 12000; now++)
		n += take_all(limit, "192.168.1.2", 3, now);
	assert_in_range(n, 500, 550);
	/* a clock that goes back gives nothing, and breaks nothing */
	assert_int_equal(take_all(limit, "192.168.1.2", 5, 5000), 0);
	/* a pause is not saved up */
	assert_int_equal(take_all(limit, "192.168.1.2", 500, 3600000), 50);
	dns_limit_free(limit);
}

static void
a_network_of_ipv6_is_one_source(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} pairs[] = {{"fd00::1", "fd00::2:3:4", true}, {"fd00::1", "fd00:0:0:1::1", false},
	    {"10.0.0.1", "10.0.0.1", true}, {"10.0.0.1", "10.0.0.2", false},
	    {"0.0.0.0", "::1", false}};
	struct dns_limit *limit = dns_limit_new(7);

	(void)state;
	assert_int_equal(take_all(limit, "fd00::1", 100, 0), 50);
	assert_int_equal(take_all(limit, "fd00::2:3:4", 100, 0), 0);
	assert_int_equal(take_all(limit, "fd00:0:0:1::1", 100, 0), 50);
	/* the same bytes as an IPv4 address are another source */
	assert_int_equal(take_all(limit, "0.0.0.1", 100, 0), 50);
	assert_int_equal(take_all(limit, "0:1::", 100, 0), 50);
	dns_limit_free(limit);
	for (size_t i = 0; i < COUNT(pairs); i++) {
		const struct dns_address a = address(pairs[i].a), b = address(pairs[i].b);

		assert_int_equal(dns_limit_same(&a, &b), pairs[i].same);
	}
}

static void
many_sources_take_no_more_room(void **state)
{
	struct dns_limit *limit = dns_limit_new(7);
	char text[32];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(text, sizeof(text), "10.%d.%d.9", i / 256, i % 256);
		assert_int_equal(take_all(limit, text, 1, i), 1);
	}
	dns_limit_free(limit);
}

/* ---- places -------------------------------------------------------------------------------- */

struct scene {
	struct lan_state lan;
	struct lan_wish wish;
	struct netif_list list;
	struct dns_places_input in;
	struct dns_place places[DNS_PLACES_MAX];
	size_t count;
};

static void
interface(struct scene *s, const char *name, const char *text, bool tunnel)
{
	struct netif_address *a = &s->list.list[s->list.count++];

	(void)snprintf(a->name, sizeof(a->name), "%s", name);
	a->address = address(text);
	a->prefix = 24;
	a->point_to_point = tunnel;
	a->loopback = strcmp(name, "lo") == 0;
}

static void
set_scene(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	interface(s, "lo", "127.0.0.1", false);
	interface(s, "eth0", "192.168.1.10", false);
	interface(s, "wlan0", "192.168.2.20", false);
	interface(s, "docker0", "172.17.0.1", false);
	interface(s, "tun0", "10.8.0.5", true);
	(void)snprintf(s->list.routes[0], NETIF_NAME_MAX, "eth0");
	(void)snprintf(s->list.routes[1], NETIF_NAME_MAX, "wlan0");
	s->list.route_count = 2;
	s->lan.enabled = s->lan.has_address = true;
	s->lan.address = s->list.list[1];
	s->in = (struct dns_places_input){.scope = DNS_SCOPE_ALL,
	    .loopback6 = true,
	    .lan = &s->lan,
	    .wish = &s->wish,
	    .list = &s->list};
}

/* "127.0.0.1=127.0.0.1 ::1=127.0.0.1 ...": each place, and where it leads. */
static void
assert_places(struct scene *s, const char *want)
{
	char got[512] = "", at[DNS_ADDRESS_TEXT], to[DNS_ADDRESS_TEXT];
	size_t n = 0;

	s->count = dns_places(&s->in, s->places);
	for (size_t i = 0; i < s->count; i++) {
		const struct dns_place *p = &s->places[i];
		struct dns_address ipv4 = {.ipv6 = false};

		memcpy(ipv4.bytes, p->asked.ipv4, 4);
		dns_address_text(&p->address, at);
		dns_address_text(&ipv4, to);
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s=%s%s", i > 0 ? " " : "", at,
		    to, p->asked.has_ipv6 ? "+6" : "");
	}
	assert_string_equal(got, want);
}

static void
without_the_lan_only_this_machine_is_answered(void **state)
{
	struct scene s;

	(void)state;
	set_scene(&s);
	s.lan.enabled = false;
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1");
	s.in.loopback6 = false;
	assert_places(&s, "127.0.0.1=127.0.0.1");
	set_scene(&s);
	s.in.scope = DNS_SCOPE_LOOPBACK;
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1");
	s.in.scope = DNS_SCOPE_NONE;
	assert_places(&s, "");
	set_scene(&s);
	s.lan.has_address = false;
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1");
}

static void
each_address_says_itself(void **state)
{
	struct scene s;

	(void)state;
	set_scene(&s);
	/* no containers', no tunnel's */
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1 192.168.1.10=192.168.1.10 "
			  "192.168.2.20=192.168.2.20");
	s.wish.ranges = "10.8.0.0/24, bad";
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1 192.168.1.10=192.168.1.10 "
			  "192.168.2.20=192.168.2.20");
	s.wish.ranges = "10.8.0.0/24";
	s.wish.interface = "eth0";
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1 192.168.1.10=192.168.1.10 "
			  "10.8.0.5=10.8.0.5");
	s.wish.ranges = NULL;
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1 192.168.1.10=192.168.1.10");
}

static void
at_link_local_addresses_nothing_is_answered(void **state)
{
	struct scene s;

	(void)state;
	set_scene(&s);
	s.list.list[2].address = address("169.254.3.4");
	s.wish.ranges = "169.254.0.0/16";
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1 192.168.1.10=192.168.1.10");
}

static void
ipv6_is_told_where_caddy_listens_on_it(void **state)
{
	struct scene s;

	(void)state;
	set_scene(&s);
	s.wish.interface = "eth0";
	s.lan.has_ipv6 = true;
	s.lan.ipv6.address = address("fd00::7");
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1 192.168.1.10=192.168.1.10 "
			  "fd00::7=192.168.1.10");
	s.in.caddy6 = true;
	assert_places(&s, "127.0.0.1=127.0.0.1 ::1=127.0.0.1 192.168.1.10=192.168.1.10+6 "
			  "fd00::7=192.168.1.10+6");
	assert_memory_equal(s.places[2].asked.ipv6, s.lan.ipv6.address.bytes, 16);
}

static void
there_may_be_many_addresses(void **state)
{
	struct scene s;
	char text[32];

	(void)state;
	set_scene(&s);
	while (s.list.count < NETIF_MAX) {
		(void)snprintf(text, sizeof(text), "192.168.1.%d", (int)s.list.count + 50);
		interface(&s, "eth0", text, false);
	}
	assert_int_equal(dns_places(&s.in, s.places), DNS_PLACES_MAX);
}

/* ---- replies that are kept ------------------------------------------------------------------ */

static void
a_kept_reply_is_for_the_same_question_only(void **state)
{
	struct dns_memo *memo = dns_memo_new();
	struct message a = ask("app.dev.test", T_A), other = ask("apq.dev.test", T_A);
	uint8_t reply[DNS_MEMO_REPLY_MAX + 1], out[DNS_REPLY_MAX];
	enum dns_verdict verdict = DNS_VERDICT_DROPPED;

	(void)state;
	memset(reply, 0x77, sizeof(reply));
	assert_int_equal(dns_memo_find(memo, a.b, a.n, out, &verdict), 0);
	dns_memo_keep(memo, a.b, a.n, reply, 100, DNS_VERDICT_REFUSED);
	/* under any id */
	a.b[0] = 9;
	a.b[1] = 8;
	assert_int_equal(dns_memo_find(memo, a.b, a.n, out, &verdict), 100);
	assert_int_equal(verdict, DNS_VERDICT_REFUSED);
	assert_int_equal(out[0], 9);
	assert_int_equal(out[1], 8);
	assert_memory_equal(out + 2, reply + 2, 98);
	assert_int_equal(dns_memo_find(memo, other.b, other.n, out, &verdict), 0);
	assert_int_equal(dns_memo_find(memo, a.b, a.n - 1, out, &verdict), 0);
	/* every byte counts: flags, and letters' case */
	for (size_t i = 2; i < a.n; i++) {
		a.b[i] ^= 0x20;
		assert_int_equal(dns_memo_find(memo, a.b, a.n, out, &verdict), 0);
		a.b[i] ^= 0x20;
	}
	dns_memo_clear(memo);
	assert_int_equal(dns_memo_find(memo, a.b, a.n, out, &verdict), 0);
	/* what is too large, or no reply, is not kept */
	dns_memo_keep(memo, a.b, a.n, reply, sizeof(reply), DNS_VERDICT_ANSWERED);
	dns_memo_keep(memo, a.b, a.n, reply, 0, DNS_VERDICT_DROPPED);
	dns_memo_keep(memo, a.b, 1, reply, 1, DNS_VERDICT_DROPPED);
	dns_memo_keep(memo, a.b, DNS_MEMO_QUESTION_MAX + 1, reply, 100, DNS_VERDICT_ANSWERED);
	assert_int_equal(dns_memo_find(memo, a.b, a.n, out, &verdict), 0);
	assert_int_equal(dns_memo_find(memo, a.b, 1, out, &verdict), 0);
	assert_int_equal(dns_memo_find(memo, a.b, DNS_MEMO_QUESTION_MAX + 1, out, &verdict), 0);
	dns_memo_free(memo);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_domain_has_to_be_the_users),
	    cmocka_unit_test(fifty_a_second_are_let_through),
	    cmocka_unit_test(a_network_of_ipv6_is_one_source),
	    cmocka_unit_test(many_sources_take_no_more_room),
	    cmocka_unit_test(without_the_lan_only_this_machine_is_answered),
	    cmocka_unit_test(each_address_says_itself),
	    cmocka_unit_test(at_link_local_addresses_nothing_is_answered),
	    cmocka_unit_test(ipv6_is_told_where_caddy_listens_on_it),
	    cmocka_unit_test(there_may_be_many_addresses),
	    cmocka_unit_test(a_kept_reply_is_for_the_same_question_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
