/* SPDX-License-Identifier: MIT */
/* Messages that are no questions, and how replies are shaped: EDNS, and what does not fit. */
#include "dns_answers.h"

/* ---- what is no question ------------------------------------------------------------------- */

static void
what_is_no_question_gets_no_reply(void **state)
{
	struct message m = ask("app." ZONE, T_A);

	(void)state;
	for (m.n = 1; m.n < 12; m.n++) {
		(void)answer_deep(&m, &lan, 1);
		assert_int_equal(reply_len, 0);
		assert_int_equal(verdict, DNS_VERDICT_DROPPED);
	}
	/* a reply: two servers would go on for ever */
	m = ask("app." ZONE, T_A);
	m.b[2] |= 0x80;
	(void)answer_deep(&m, &lan, 1);
	assert_int_equal(reply_len, 0);
	assert_int_equal(verdict, DNS_VERDICT_DROPPED);
}

static void
cut_questions_are_form_errors(void **state)
{
	struct message m = ask("app." ZONE, T_A);
	size_t whole = m.n;
	struct parsed p;

	(void)state;
	for (m.n = 12; m.n < whole; m.n++) {
		p = answer(&m, &lan);
		assert_malformed(&p, R_FORMERR);
		assert_int_equal(p.questions, 0);
	}
	/* the record that was promised is not there */
	m.n = whole;
	m.b[11] = 1;
	p = answer(&m, &lan);
	assert_malformed(&p, R_FORMERR);
	assert_string_equal(p.name, "app." ZONE);
}

static void
counts_have_to_be_those_of_a_question(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{5, 0}, {5, 2}, {4, 1}, {7, 1}, {6, 1}, {9, 2}, {8, 255}, {11, 3}, {10, 255}};
	struct parsed p;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct message m = ask("app." ZONE, T_A);

		m.b[bad[i].at] = bad[i].value;
		p = answer(&m, &lan);
		assert_malformed(&p, R_FORMERR);
	}
}

static void
odd_names_are_form_errors(void **state)
{
	struct message m = ask("app." ZONE, T_A);
	char label[64];
	struct parsed p;

	(void)state;
	/* a pointer to itself, one into the header, a label of a kind that there is not */
	for (size_t i = 0; i < 3; i++) {
		static const uint8_t odd[][2] = {{0xc0, 12}, {0xc0, 0}, {0x41, 1}};

		m = ask("app." ZONE, T_A);
		memcpy(m.b + 12, odd[i], 2);
		p = answer(&m, &lan);
		assert_malformed(&p, R_FORMERR);
		assert_int_equal(p.questions, 0);
	}
	/* 255 bytes are a name, 256 are none (RFC 1035 §2.3.4) */
	memset(label, 'x', 63);
	label[63] = '\0';
	for (int extra = 0; extra < 2; extra++) {
		char name[300];

		(void)snprintf(name, sizeof(name), "%s.%s.%s.%.*s." ZONE, label, label, label,
		    45 + extra, label);
		m = ask(name, T_A);
		p = answer(&m, &lan);
		if (extra == 0)
			assert_nothing(&p, R_NXDOMAIN);
		else
			assert_malformed(&p, R_FORMERR);
	}
}

static void
junk_is_survived(void **state)
{
	static struct message m;
	struct parsed p;

	(void)state;
	/* larger than any question: not even looked through */
	m = ask("app." ZONE, T_A);
	m.n = 5000;
	p = answer(&m, &lan);
	assert_malformed(&p, R_FORMERR);
	/* what follows a question is nobody's affair */
	m = ask("app." ZONE, T_A);
	m.n += 100;
	p = answer(&m, &lan);
	assert_int_equal(p.answers, 1);
}

/* ---- EDNS ---------------------------------------------------------------------------------- */

static void
edns_is_answered_with_edns(void **state)
{
	/* a cookie, and an option that nobody knows */
	static const uint8_t options[] = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xee, 0, 1, 9};
	struct message m = ask("app." ZONE, T_A);
	struct parsed p;

	(void)state;
	p = answer(&m, &lan);
	assert_false(p.opt);
	put_opt(&m, 4096, 0, 0x8000, options, sizeof(options));
	p = answer(&m, &lan);
	assert_address(&p, "app." ZONE);
	assert_true(p.opt);
	assert_int_equal(p.opt_size, 1232);
	assert_int_equal(p.opt_version, 0);
	assert_int_equal(p.opt_flags, 0); /* nothing is signed */
	m = ask("app.example.org", T_A);
	put_opt(&m, 4096, 0, 0, NULL, 0);
	p = answer(&m, &lan);
	assert_refused(&p);
	assert_true(p.opt);
	m = ask("app." ZONE, T_AAAA);
	put_opt(&m, 0, 0, 0, NULL, 0);
	p = answer(&m, &lan);
	assert_nothing(&p, 0);
	assert_true(p.opt);
}

static void
other_versions_of_edns_are_bad(void **state)
{
	struct message m = ask("app." ZONE, T_A);
	struct parsed p;

	(void)state;
	put_opt(&m, 1232, 1, 0, NULL, 0);
	p = answer(&m, &lan);
	assert_malformed(&p, R_BADVERS);
	assert_true(p.opt);
	assert_int_equal(p.opt_version, 0);
	assert_string_equal(p.name, "app." ZONE);
	m = ask("app.example.org", T_A);
	put_opt(&m, 1232, 255, 0, NULL, 0);
	p = answer(&m, &lan);
	assert_malformed(&p, R_BADVERS);
}

static void
two_opt_are_a_form_error(void **state)
{
	struct message m = ask("app." ZONE, T_A);
	struct parsed p;

	(void)state;
	put_opt(&m, 1232, 0, 0, NULL, 0);
	put_opt(&m, 1232, 0, 0, NULL, 0);
	p = answer(&m, &lan);
	assert_malformed(&p, R_FORMERR);
	assert_true(p.opt);
	/* what the options hold is not looked at */
	m = ask("app." ZONE, T_A);
	put_opt(&m, 1232, 0, 0, "\0\12\0\10\1\2", 6);
	p = answer(&m, &lan);
	assert_address(&p, "app." ZONE);
}

/* It is no OPT, and nobody here has a key for it. */
static void
a_signature_is_passed_over(void **state)
{
	static const uint8_t tsig[] = {1, 'k', 0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 19, 1, 'a', 0, 0,
	    0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0};
	struct parsed p;

	(void)state;
	for (int opts = 0; opts < 2; opts++) {
		struct message m = ask("app." ZONE, T_A);

		if (opts == 1)
			put_opt(&m, 1232, 0, 0, NULL, 0);
		memcpy(m.b + m.n, tsig, sizeof(tsig));
		m.n += sizeof(tsig);
		m.b[11]++;
		p = answer(&m, &lan);
		assert_address(&p, "app." ZONE);
		assert_int_equal(p.opt, opts);
	}
}

static void
what_does_not_fit_is_cut(void **state)
{
	struct dns_asked small = lan6;
	struct message m = ask("app." ZONE, T_AAAA);
	struct parsed p;

	(void)state;
	p = answer(&m, &lan6);
	assert_int_equal(p.flags & TC, 0);
	small.max = reply_len - 1;
	p = answer(&m, &small);
	assert_int_equal(p.flags, QR | AA | TC | RD);
	assert_int_equal(p.rcode, 0);
	assert_int_equal(p.questions, 1);
	assert_int_equal(p.answers + p.authorities + p.additionals, 0);
	/* with OPT, which says how large it may be */
	put_opt(&m, 512, 0, 0, NULL, 0);
	p = answer(&m, &small);
	assert_int_equal(p.flags & TC, TC);
	assert_int_equal(p.count, 0);
	assert_true(p.opt);
	small.tcp = true;
	small.max = DNS_REPLY_MAX;
	p = answer(&m, &small);
	assert_int_equal(p.flags & TC, 0);
	assert_int_equal(p.answers, 1);
}

static void
the_largest_reply_fits_the_smallest_packet(void **state)
{
	char domain[200], name[300];
	dm_auto(dns_zone) zone = NULL;
	struct message m;
	struct parsed p;

	(void)state;
	(void)snprintf(domain, sizeof(domain), "%.60s.%.60s.%.60s.%.8s",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
	    "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc", "dddddddd");
	(void)snprintf(name, sizeof(name), "%.61s.%s",
	    "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", domain);
	zone = dns_zone_new(domain, 1, SERIAL);
	m = ask(name, T_TXT);
	put_opt(&m, 0, 0, 0, NULL, 0);
	reply_len = dns_answer(zone, &lan6, m.b, m.n, reply, &verdict);
	p = parse(reply, reply_len);
	assert_int_equal(p.authorities, 1);
	assert_true(reply_len <= DNS_PLAIN_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_no_question_gets_no_reply),
	    cmocka_unit_test(cut_questions_are_form_errors),
	    cmocka_unit_test(counts_have_to_be_those_of_a_question),
	    cmocka_unit_test(odd_names_are_form_errors),
	    cmocka_unit_test(junk_is_survived),
	    cmocka_unit_test(edns_is_answered_with_edns),
	    cmocka_unit_test(other_versions_of_edns_are_bad),
	    cmocka_unit_test(two_opt_are_a_form_error),
	    cmocka_unit_test(a_signature_is_passed_over),
	    cmocka_unit_test(what_does_not_fit_is_cut),
	    cmocka_unit_test(the_largest_reply_fits_the_smallest_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
