/* SPDX-License-Identifier: MIT */
/* What is answered to which question, rule by rule; the bytes are made and read by the test. */
#include "dns_answers.h"

/* ---- names -------------------------------------------------------------------------------- */

static void
every_name_of_one_label_has_the_address(void **state)
{
	static const char *const names[] = {"app-main." ZONE, "typo." ZONE, "ns." ZONE, ZONE,
	    "*." ZONE, "xn--gre-6ka." ZONE, "-." ZONE, "dev." ZONE, NULL};
	struct parsed p;

	(void)state;
	for (size_t i = 0; names[i] != NULL; i++) {
		p = answer_to(names[i], T_A);
		assert_address(&p, names[i]);
	}
}

static void
the_question_comes_back_as_it_was_sent(void **state)
{
	struct message m = ask("aPp-MaIn.DEV.exAmple.COM", T_A);
	struct parsed p;

	(void)state;
	p = answer(&m, &lan);
	assert_address(&p, "aPp-MaIn.DEV.exAmple.COM");
	assert_memory_equal(reply + 12, m.b + 12, m.n - 12);
	m = ask("_X.DEV.exAmple.COM", T_A);
	p = answer(&m, &lan);
	assert_int_equal(p.rcode, R_NXDOMAIN);
	assert_memory_equal(reply + 12, m.b + 12, m.n - 12);
	m = ask("Www.Example.ORG", T_A);
	p = answer(&m, &lan);
	assert_refused(&p);
	assert_memory_equal(reply + 12, m.b + 12, m.n - 12);
}

static void
protocols_names_and_deeper_ones_are_not_there(void **state)
{
	static const char *const names[] = {"_acme-challenge." ZONE, "_dns." ZONE, "a.b." ZONE,
	    "a.b.c.d." ZONE, "a._tcp." ZONE, "_." ZONE, NULL};
	struct parsed p;

	(void)state;
	for (size_t i = 0; names[i] != NULL; i++) {
		p = answer_to(names[i], T_A);
		assert_nothing(&p, R_NXDOMAIN);
		p = answer_to(names[i], T_ANY);
		assert_nothing(&p, R_NXDOMAIN);
		p = answer_to(names[i], T_HTTPS);
		assert_nothing(&p, R_NXDOMAIN);
	}
}

static void
the_depth_is_as_configured(void **state)
{
	struct message m = ask("a.b." ZONE, T_A), deeper = ask("x.a.b." ZONE, T_A),
		       protocol = ask("a._tcp." ZONE, T_A), between = ask("b." ZONE, T_TXT);
	struct parsed p;

	(void)state;
	p = answer_deep(&m, &lan, 2);
	assert_address(&p, "a.b." ZONE);
	p = answer_deep(&deeper, &lan, 2);
	assert_nothing(&p, R_NXDOMAIN);
	p = answer_deep(&protocol, &lan, 2);
	assert_nothing(&p, R_NXDOMAIN);
	/* a name with others below it is there */
	p = answer_deep(&between, &lan, 2);
	assert_nothing(&p, 0);
}

static void
the_apex_has_soa_and_ns(void **state)
{
	struct parsed p = answer_to(ZONE, T_SOA);
	char name[260];

	(void)state;
	assert_int_equal(p.flags, QR | AA | RD);
	assert_int_equal(p.answers, 1);
	assert_int_equal(p.authorities, 0);
	assert_int_equal(p.list[0].type, T_SOA);
	assert_int_equal(p.list[0].ttl, 5);
	p = answer_to(ZONE, T_NS);
	assert_int_equal(p.answers, 1);
	assert_int_equal(p.list[0].type, T_NS);
	(void)name_at(reply, reply_len, p.list[0].at, name);
	assert_string_equal(name, "ns." ZONE);
	/* with its address beside it */
	assert_int_equal(p.additionals, 1);
	assert_int_equal(p.list[1].type, T_A);
	assert_string_equal(p.list[1].name, "ns." ZONE);
	/* nowhere else */
	p = answer_to("app." ZONE, T_SOA);
	assert_nothing(&p, 0);
	p = answer_to("app." ZONE, T_NS);
	assert_nothing(&p, 0);
}

/* ---- types -------------------------------------------------------------------------------- */

static void
what_there_is_not_is_nodata(void **state)
{
	static const unsigned types[] = {
	    T_AAAA, T_HTTPS, T_SVCB, T_TXT, T_MX, T_CAA, T_HINFO, 5, 12, 33, 43, 46, 48, 65280, 0};
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		p = answer_to("app." ZONE, types[i]);
		assert_nothing(&p, 0);
		p = answer_to(ZONE, types[i]);
		assert_nothing(&p, 0);
	}
}

static void
aaaa_is_there_when_it_leads_somewhere(void **state)
{
	struct message m = ask("app." ZONE, T_AAAA), ns = ask(ZONE, T_NS);
	struct parsed p;

	(void)state;
	p = answer(&m, &lan6);
	assert_int_equal(p.answers, 1);
	assert_int_equal(p.authorities, 0);
	assert_int_equal(p.list[0].type, T_AAAA);
	assert_int_equal(p.list[0].ttl, 30);
	assert_int_equal(p.list[0].size, 16);
	assert_memory_equal(reply + p.list[0].at, lan6.ipv6, 16);
	p = answer(&ns, &lan6);
	assert_int_equal(p.additionals, 2);
	p = answer(&m, &lan);
	assert_nothing(&p, 0);
}

static void
any_is_answered_as_rfc_8482_has_it(void **state)
{
	static const uint8_t data[] = "\7RFC8482";
	struct parsed p = answer_to("app." ZONE, T_ANY);

	(void)state;
	assert_int_equal(p.flags, QR | AA | RD);
	assert_int_equal(p.answers, 1);
	assert_int_equal(p.authorities, 0);
	assert_int_equal(p.list[0].type, T_HINFO);
	assert_int_equal(p.list[0].size, 9);
	assert_memory_equal(reply + p.list[0].at, data, sizeof(data));
	p = answer_to(ZONE, T_ANY);
	assert_int_equal(p.list[0].type, T_HINFO);
}

/* ---- what is not ours ---------------------------------------------------------------------- */

static void
other_domains_and_classes_are_refused(void **state)
{
	static const char *const names[] = {"example.com", "com", "", "www.example.org",
	    "xdev.example.com", "dev.example.com.org", "dev.example.co", "dev-example.com",
	    "v.example.com", "resolver.arpa", NULL};
	static const unsigned classes[] = {3, 4, 254, 255, 0};
	struct message m;
	struct parsed p;

	(void)state;
	for (size_t i = 0; names[i] != NULL; i++) {
		p = answer_to(names[i], T_A);
		assert_refused(&p);
	}
	for (size_t i = 0; i < COUNT(classes); i++) {
		m = ask_class("app." ZONE, T_A, classes[i]);
		p = answer(&m, &lan);
		assert_refused(&p);
	}
	/* a label that has the bytes of two is another name */
	m = ask("x", T_A);
	m.n = 12;
	m.b[m.n++] = 15;
	memcpy(m.b + m.n, "dev\7example\3com", 15);
	m.n += 15;
	m.b[m.n++] = 0;
	put(&m, T_A);
	put(&m, 1);
	p = answer(&m, &lan);
	assert_refused(&p);
}

static void
nobody_gets_the_whole_zone(void **state)
{
	struct message ixfr = ask(ZONE, T_IXFR);
	struct parsed p = answer_to(ZONE, T_AXFR);

	(void)state;
	assert_refused(&p);
	p = answer_to("app." ZONE, T_AXFR);
	assert_refused(&p);
	/* RFC 1995: the one who asks sends the SOA that he has */
	ixfr.b[9] = 1;
	put(&ixfr, 0xc00c);
	put(&ixfr, T_SOA);
	put(&ixfr, 1);
	put(&ixfr, 0);
	put(&ixfr, 0);
	put(&ixfr, 24);
	put(&ixfr, 0xc00c);
	put(&ixfr, 0xc00c);
	for (int i = 0; i < 10; i++)
		put(&ixfr, 0);
	p = answer(&ixfr, &lan);
	assert_refused(&p);
	for (unsigned type = 249; type <= 254; type++) {
		p = answer_to(ZONE, type);
		assert_refused(&p);
	}
}

static void
other_operations_are_not_implemented(void **state)
{
	struct message m = ask(ZONE, T_SOA);
	struct parsed p;

	(void)state;
	for (unsigned opcode = 1; opcode < 16; opcode++) {
		m.b[2] = (uint8_t)(opcode << 3);
		p = answer(&m, &lan);
		assert_malformed(&p, R_NOTIMP);
		assert_int_equal(p.flags, QR | opcode << 11);
		assert_int_equal(p.questions, 0);
	}
	/* also without anything behind the header */
	m.n = 12;
	p = answer(&m, &lan);
	assert_malformed(&p, R_NOTIMP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_name_of_one_label_has_the_address),
	    cmocka_unit_test(the_question_comes_back_as_it_was_sent),
	    cmocka_unit_test(protocols_names_and_deeper_ones_are_not_there),
	    cmocka_unit_test(the_depth_is_as_configured),
	    cmocka_unit_test(the_apex_has_soa_and_ns),
	    cmocka_unit_test(what_there_is_not_is_nodata),
	    cmocka_unit_test(aaaa_is_there_when_it_leads_somewhere),
	    cmocka_unit_test(any_is_answered_as_rfc_8482_has_it),
	    cmocka_unit_test(other_domains_and_classes_are_refused),
	    cmocka_unit_test(nobody_gets_the_whole_zone),
	    cmocka_unit_test(other_operations_are_not_implemented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
