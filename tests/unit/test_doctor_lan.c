/* SPDX-License-Identifier: MIT */
/* What the doctor reads out of firewalls' rules, and out of Caddy's on how it gets certificates. */
#include "unit.h"

#include <cjson/cJSON.h>

#include "doctor_lan.h"

#define OWN "dev.example.com"

/* The lines that ufw 0.36 writes into user.rules. */
static void
rules_of_ufw(void **state)
{
	static const char rules[] =
	    "*filter\n### RULES ###\n\n"
	    "### tuple ### deny tcp 443 0.0.0.0/0 any 10.0.0.9 in\n"
	    "-A ufw-user-input -p tcp --dport 443 -s 10.0.0.9 -j DROP\n"
	    "### tuple ### allow tcp 443 0.0.0.0/0 any 0.0.0.0/0 in\n"
	    "### tuple ### allow any 53 0.0.0.0/0 any 0.0.0.0/0 in\n"
	    "### tuple ### limit tcp 22,8000:8100 0.0.0.0/0 any 0.0.0.0/0 in\n"
	    "### tuple ### route:allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in_eth0\n"
	    "### tuple ### allow tcp 5380 0.0.0.0/0 any 10.77.0.0/24 in\n"
	    "### tuple ### allow tcp 9000 0.0.0.0/0 any 0.0.0.0/0 My%20App - in comment=6f7574\n"
	    "### END RULES ###\n";
	static const char *const broken[] = {"", "### tuple ### ", "### tuple ### allow",
	    "### tuple ### allow tcp", "### tuple ### allow tcp \n",
	    "### tuple ### allow tcp ,:, x", "### tuple ### allow tcp 70000:80000 x",
	    "### tuple ### allow tcp 500:400 x"};

	const struct dns_address from = {.bytes = {10, 77, 0, 5}}, other = {.bytes = {10, 0, 0, 9}};

	(void)state;
	assert_true(doctor_ufw_allows(rules, "tcp", 443, &from, "eth0"));
	assert_false(doctor_ufw_allows(rules, "udp", 443, &from, "eth0"));
	assert_true(doctor_ufw_allows(rules, "udp", 53, &from, "eth0"));
	assert_true(doctor_ufw_allows(rules, "tcp", 22, &from, "eth0"));
	assert_true(doctor_ufw_allows(rules, "tcp", 8050, &from, "eth0"));
	assert_false(doctor_ufw_allows(rules, "tcp", 8101, &from, "eth0"));
	assert_false(doctor_ufw_allows(rules, "tcp", 80, &from, "eth0"));
	assert_true(doctor_ufw_allows(rules, "tcp", 5380, &from, "eth0"));
	assert_false(doctor_ufw_allows(rules, "tcp", 5380, &other, "eth0"));
	assert_false(doctor_ufw_allows(rules, "tcp", 443, &other, "eth0"));
	assert_true(doctor_ufw_allows(rules, "tcp", 9000, &from, "eth0"));
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		assert_false(doctor_ufw_allows(broken[i], "tcp", 443, &from, "eth0"));
}

/* Whether one of ufw's lines, or two, let it in to 10.77.0.5 of eth0. */
static void
directions_of_ufw(void **state)
{
#define TUPLE "### tuple ### "
#define ANY   " 0.0.0.0/0 any 0.0.0.0/0 "
	static const struct {
		const char *rules, *protocol;
		uint16_t port;
		bool allowed;
	} cases[] = {
	    {TUPLE "allow tcp 443" ANY "out\n", "tcp", 443, false},
	    {TUPLE "allow tcp 443" ANY "out_eth0\n", "tcp", 443, false},
	    {TUPLE "allow tcp 443" ANY "WWW - out\n", "tcp", 443, false},
	    {TUPLE "allow tcp 443" ANY "WWW - in\n", "tcp", 443, true},
	    {TUPLE "allow any any" ANY "in_docker0\n", "tcp", 443, false},
	    {TUPLE "allow any any" ANY "in_eth0\n", "tcp", 443, true},
	    {TUPLE "allow any any" ANY "in_eth\n", "tcp", 443, false},
	    {TUPLE "deny udp 53" ANY "out\n" TUPLE "allow udp 53" ANY "in\n", "udp", 53, true},
	    {TUPLE "deny udp 53" ANY "in_docker0\n" TUPLE "allow udp 53" ANY "in\n", "udp", 53,
		true},
	    {TUPLE "allow tcp any 0.0.0.0/0 443 0.0.0.0/0 in\n", "tcp", 443, false},
	    {TUPLE "allow tcp 443 192.168.7.7 any 0.0.0.0/0 in\n", "tcp", 443, false},
	    {TUPLE "allow tcp 443 10.77.0.5 any 0.0.0.0/0 in\n", "tcp", 443, true},
	    {TUPLE "allow tcp 443 10.77.0.0/16 any 10.0.0.0/8 in", "tcp", 443, true},
	    {TUPLE "allow tcp 443" ANY, "tcp", 443, false},
	};
	const struct dns_address ours = {.bytes = {10, 77, 0, 5}};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (doctor_ufw_allows(cases[i].rules, cases[i].protocol, cases[i].port, &ours,
			"eth0") != cases[i].allowed)
			fail_msg("%s", cases[i].rules);
	}
}

static void
ports_of_firewalld(void **state)
{
	static const char list[] = "1025-65535/tcp 53/udp 80/tcp 100-90/tcp x/tcp 443 -/tcp";

	(void)state;
	assert_true(doctor_firewalld_has(list, "tcp", 5380));
	assert_true(doctor_firewalld_has(list, "tcp", 1025));
	assert_true(doctor_firewalld_has(list, "tcp", 65535));
	assert_true(doctor_firewalld_has(list, "udp", 53));
	assert_true(doctor_firewalld_has(list, "tcp", 80));
	assert_false(doctor_firewalld_has(list, "tcp", 1024));
	assert_false(doctor_firewalld_has(list, "udp", 5380));
	assert_false(doctor_firewalld_has(list, "tcp", 53));
	assert_false(doctor_firewalld_has(list, "tcp", 443));
	assert_false(doctor_firewalld_has(list, "tcp", 95));
	assert_false(doctor_firewalld_has("", "tcp", 443));
}

/* Whether a DNS challenge of Caddy's for names below dev.example.com asks the system. */
static void
challenges(void **state)
{
#define POLICY(subjects, dns) \
	"{\"apps\":{\"tls\":{\"automation\":{\"policies\":[{" subjects "\"issuers\":[{\"module\":" \
	"\"zerossl\"},{\"module\":\"acme\"," \
	"\"challenges\":{\"dns\":" dns "}}]}]}}}}"
#define BARE "{\"provider\":{\"name\":\"cloudflare\"}}"
	static const struct {
		const char *config;
		bool lacks;
	} cases[] = {
	    {POLICY("", BARE), true},
	    {POLICY("\"subjects\":[\"a.test\",\"*." OWN "\"],", BARE), true},
	    {POLICY("\"subjects\":[\"" OWN "\"],", BARE), true},
	    {POLICY("\"subjects\":[\"*.example.com\",\"x" OWN "\"],", BARE), false},
	    {POLICY("", "{\"provider\":{},\"resolvers\":[\"1.1.1.1:53\"]}"), false},
	    {POLICY("", "{\"provider\":{},\"resolvers\":[]}"), true},
	    {"{\"apps\":{\"tls\":{\"automation\":{\"policies\":[{\"issuers\":[{\"module\":"
	     "\"internal\"}]}, 3]}}}}",
		false},
	    {"{}", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		cJSON *config = cJSON_Parse(cases[i].config);

		assert_non_null(config);
		if (doctor_challenge_lacks_resolvers(config, OWN) != cases[i].lacks)
			fail_msg("%s", cases[i].config);
		cJSON_Delete(config);
	}
	assert_false(doctor_challenge_lacks_resolvers(NULL, OWN));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_of_ufw),
	    cmocka_unit_test(directions_of_ufw),
	    cmocka_unit_test(ports_of_firewalld),
	    cmocka_unit_test(challenges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
