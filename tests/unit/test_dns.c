/* SPDX-License-Identifier: MIT */
/*
 * DNS as the doctor speaks it: resolv.conf, queries, answers (honest, odd and hostile), and real
 * packets to a small server of the test's own on the loopback address.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/dns.h"

static void
servers_are_read_in_order(void **state)
{
	struct dns_servers s;

	(void)state;
	dns_servers_parse("# a comment\nsearch lan\nnameserver 192.168.1.1\n"
			  "nameserver\t2001:db8::1 # second\r\nnameserver fe80::1%eth0\n"
			  "nameserverx 10.0.0.1\nnameserver\nnameserver dns.example\n"
			  " nameserver 10.0.0.2\nnameserver 10.0.0.3",
	    &s);
	assert_int_equal(s.count, 4);
	assert_string_equal(s.list[0].address, "192.168.1.1");
	assert_string_equal(s.list[1].address, "2001:db8::1");
	assert_string_equal(s.list[2].address, "fe80::1%eth0");
	assert_string_equal(s.list[3].address, "10.0.0.3");
	assert_int_equal(s.list[0].port, 53);
	dns_servers_parse("", &s);
	assert_int_equal(s.count, 0);
	dns_servers_parse("nameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 1.1.1.1\n"
			  "nameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 1.1.1.1\n"
			  "nameserver 1.1.1.1\nnameserver 1.1.1.1\nnameserver 1.1.1.1\n",
	    &s);
	assert_int_equal(s.count, DNS_SERVERS_MAX);
}

static void
queries_are_as_rfc_1035_has_them(void **state)
{
	uint8_t q[DNS_QUERY_MAX];
	static const uint8_t want[] = {
	    0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 3, 'd', 'e', 'v', 0, 0, 1, 0, 1};
	char label[80], name[400];

	(void)state;
	assert_int_equal(dns_query("a.dev", DNS_TYPE_A, 0x1234, q), sizeof(want));
	assert_memory_equal(q, want, sizeof(want));
	assert_int_equal(dns_query("a.dev.", DNS_TYPE_A, 0x1234, q), sizeof(want));
	assert_int_equal(dns_query("", DNS_TYPE_A, 1, q), 0);
	assert_int_equal(dns_query(".", DNS_TYPE_A, 1, q), 0);
	assert_int_equal(dns_query("a..b", DNS_TYPE_A, 1, q), 0);
	memset(label, 'x', 64);
	label[64] = '\0';
	assert_int_equal(dns_query(label, DNS_TYPE_A, 1, q), 0);
	label[63] = '\0';
	assert_int_equal(dns_query(label, DNS_TYPE_A, 1, q), 12 + 64 + 1 + 4);
	(void)snprintf(name, sizeof(name), "%s.%s.%s.%.61s", label, label, label, label);
	assert_int_equal(dns_query(name, DNS_TYPE_A, 1, q), 12 + 255 + 4);
	(void)snprintf(name, sizeof(name), "%s.%s.%s.%.62s", label, label, label, label);
	assert_int_equal(dns_query(name, DNS_TYPE_A, 1, q), 0);
}

/* A message being made: the query with the response bit, then records. */
struct message {
	uint8_t q[DNS_QUERY_MAX], b[1024];
	size_t qn, n;
};

static void
begin(struct message *m, unsigned type, unsigned rcode)
{
	memset(m, 0, sizeof(*m));
	m->qn = m->n = dns_query("x.dev.example", type, 77, m->q);
	memcpy(m->b, m->q, m->qn);
	m->b[2] |= 0x80;
	m->b[3] = (uint8_t)rcode;
}

static void
record(struct message *m, unsigned type, const void *data, unsigned size)
{
	uint8_t head[] = {0xc0, 12, 0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)size};

	memcpy(m->b + m->n, head, sizeof(head));
	memcpy(m->b + m->n + sizeof(head), data, size);
	m->n += sizeof(head) + size;
	m->b[7]++;
}

static enum dns_outcome
outcome(const struct message *m, struct dns_reply *r)
{
	assert_true(dns_reply_parse(m->q, m->qn, m->b, m->n, r));
	return r->outcome;
}

static void
answers_are_understood(void **state)
{
	static const uint8_t name[] = {1, 'y', 3, 'd', 'e', 'v', 0};
	static const uint8_t six[16] = {[0] = 0xfd, [15] = 7};
	struct message m;
	struct dns_reply r;
	char text[DNS_ADDRESS_TEXT];

	(void)state;
	begin(&m, DNS_TYPE_A, 0);
	record(&m, 5, name, sizeof(name)); /* CNAME in front */
	record(&m, DNS_TYPE_A, "\xc0\xa8\x01\x0a", 4);
	assert_int_equal(outcome(&m, &r), DNS_ANSWERED);
	assert_int_equal(r.count, 1);
	dns_address_text(&r.addresses[0], text);
	assert_string_equal(text, "192.168.1.10");
	begin(&m, DNS_TYPE_AAAA, 0);
	record(&m, DNS_TYPE_AAAA, six, 16);
	assert_int_equal(outcome(&m, &r), DNS_ANSWERED);
	dns_address_text(&r.addresses[0], text);
	assert_string_equal(text, "fd00::7");
	begin(&m, DNS_TYPE_A, 0);
	assert_int_equal(outcome(&m, &r), DNS_EMPTY);
	begin(&m, DNS_TYPE_A, 3);
	assert_int_equal(outcome(&m, &r), DNS_NO_NAME);
	begin(&m, DNS_TYPE_A, 5);
	assert_int_equal(outcome(&m, &r), DNS_REFUSED);
	assert_int_equal(r.rcode, 5);
	/* who says it: the zone's own server, or one that asks others */
	assert_false(r.authoritative);
	assert_false(r.recursive);
	m.b[2] |= 0x04;
	assert_int_equal(outcome(&m, &r), DNS_REFUSED);
	assert_true(r.authoritative);
	m.b[2] &= (uint8_t)~0x04;
	m.b[3] |= 0x80;
	assert_int_equal(outcome(&m, &r), DNS_REFUSED);
	assert_true(r.recursive && !r.authoritative);
	/* an address of the wrong size is none */
	begin(&m, DNS_TYPE_A, 0);
	record(&m, DNS_TYPE_A, "\1\2\3\4\5", 5);
	assert_int_equal(outcome(&m, &r), DNS_EMPTY);
	/* more than are kept */
	begin(&m, DNS_TYPE_A, 0);
	for (int i = 0; i < 20; i++)
		record(&m, DNS_TYPE_A, "\1\2\3\4", 4);
	assert_int_equal(outcome(&m, &r), DNS_ANSWERED);
	assert_int_equal(r.count, DNS_ADDRESSES_MAX);
}

static void
hostile_answers_are_no_answers(void **state)
{
	struct message m;
	struct dns_reply r;

	(void)state;
	begin(&m, DNS_TYPE_A, 0);
	record(&m, DNS_TYPE_A, "\1\2\3\4", 4);
	for (size_t n = 0; n < m.n; n++)
		assert_false(dns_reply_parse(m.q, m.qn, m.b, n, &r));
	m.b[1] ^= 1; /* another id */
	assert_false(dns_reply_parse(m.q, m.qn, m.b, m.n, &r));
	m.b[1] ^= 1;
	m.b[2] &= 0x7f; /* a query */
	assert_false(dns_reply_parse(m.q, m.qn, m.b, m.n, &r));
	m.b[2] |= 0x80;
	m.b[13] = 'y'; /* another name */
	assert_false(dns_reply_parse(m.q, m.qn, m.b, m.n, &r));
	m.b[13] = 'X'; /* the same in capitals */
	assert_true(dns_reply_parse(m.q, m.qn, m.b, m.n, &r));
	m.b[7] = 2; /* says more records than there are */
	assert_false(dns_reply_parse(m.q, m.qn, m.b, m.n, &r));
	m.b[6] = 0xff;
	assert_false(dns_reply_parse(m.q, m.qn, m.b, m.n, &r));
	begin(&m, DNS_TYPE_A, 0);
	record(&m, DNS_TYPE_A, "\1\2\3\4", 4);
	m.b[m.n - 5] = 200; /* its data would end behind the message */
	assert_false(dns_reply_parse(m.q, m.qn, m.b, m.n, &r));
	m.b[m.qn] = 0x80; /* neither a label nor a pointer */
	assert_false(dns_reply_parse(m.q, m.qn, m.b, m.n, &r));
}

static struct dns_address
v4(const char *text)
{
	struct dns_address a = {.ipv6 = strchr(text, ':') != NULL};

	assert_int_equal(inet_pton(a.ipv6 ? AF_INET6 : AF_INET, text, a.bytes), 1);
	return a;
}

static void
kinds_of_addresses(void **state)
{
	static const char *const private[] = {"10.1.2.3", "172.16.0.1", "172.31.255.255",
	    "192.168.0.1", "169.254.1.1", "100.64.0.1", "fd00::1", "fe80::1", "::ffff:192.168.0.1"};
	static const char *const public[] = {
	    "8.8.8.8", "172.32.0.1", "192.169.0.1", "100.128.0.1", "2001:db8::1"};
	struct dns_address a;

	(void)state;
	for (size_t i = 0; i < COUNT(private); i++) {
		a = v4(private[i]);
		assert_true(dns_address_is_private(&a));
		assert_false(dns_address_is_loopback(&a));
	}
	for (size_t i = 0; i < COUNT(public); i++) {
		a = v4(public[i]);
		assert_false(dns_address_is_private(&a) || dns_address_is_loopback(&a));
		assert_false(dns_address_is_ours(&a));
	}
	a = v4("127.0.0.5");
	assert_true(dns_address_is_loopback(&a) && dns_address_is_ours(&a));
	a = v4("::1");
	assert_true(dns_address_is_loopback(&a));
	a = v4("::ffff:127.0.0.1");
	assert_true(dns_address_is_loopback(&a));
}

/* A DNS server of the test's own: a child that answers as told, on a loopback port. */
struct server {
	pid_t pid;
	struct dns_server at;
};

static void
answer_for_ever(int fd, unsigned rcode, const char *address, bool rubbish_first)
{
	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		struct message m = {.n = 0};
		ssize_t n = recvfrom(fd, m.b, 512, 0, (struct sockaddr *)&from, &len);

		if (n < 12)
			continue;
		m.n = (size_t)n;
		m.b[2] |= 0x80;
		m.b[3] = (uint8_t)rcode;
		if (address != NULL && m.b[m.n - 3] == DNS_TYPE_A) {
			struct dns_address a = v4(address);

			record(&m, DNS_TYPE_A, a.bytes, 4);
		}
		if (rubbish_first)
			(void)!sendto(fd, "rubbish", 7, 0, (struct sockaddr *)&from, len);
		(void)!sendto(fd, m.b, m.n, 0, (struct sockaddr *)&from, len);
	}
}

static struct server
serve(unsigned rcode, const char *address, bool rubbish_first)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct server s = {.at = {.address = "127.0.0.1"}};

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	s.at.port = ntohs(a.sin_port);
	if ((s.pid = fork()) == 0)
		answer_for_ever(fd, rcode, address, rubbish_first);
	assert_true(s.pid > 0);
	(void)close(fd);
	return s;
}

static void
end(struct server *s)
{
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
}

static void
several_servers_at_once(void **state)
{
	struct server good = serve(0, "192.168.7.8", true), bad = serve(3, NULL, false),
		      silent = serve(0, NULL, false);
	struct dns_question q[] = {{.server = good.at, .type = DNS_TYPE_A},
	    {.server = bad.at, .type = DNS_TYPE_A}, {.server = silent.at, .type = DNS_TYPE_A},
	    {.server = good.at, .type = DNS_TYPE_AAAA},
	    {.server = {.address = "not an address", .port = 53}, .type = DNS_TYPE_A}};
	int64_t began;

	(void)state;
	(void)kill(silent.pid, SIGSTOP); /* it hangs */
	began = dm_now_ms();
	dns_ask("x.dev.example", q, COUNT(q), 600);
	assert_true(dm_now_ms() - began < 5000);
	assert_int_equal(q[0].reply.outcome, DNS_ANSWERED);
	assert_true(dns_address_is_private(&q[0].reply.addresses[0]));
	assert_int_equal(q[1].reply.outcome, DNS_NO_NAME);
	assert_int_equal(q[2].reply.outcome, DNS_SILENT);
	assert_int_equal(q[3].reply.outcome, DNS_EMPTY);
	assert_int_equal(q[4].reply.outcome, DNS_SILENT);
	end(&good);
	end(&bad);
	end(&silent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(servers_are_read_in_order),
	    cmocka_unit_test(queries_are_as_rfc_1035_has_them),
	    cmocka_unit_test(answers_are_understood),
	    cmocka_unit_test(hostile_answers_are_no_answers),
	    cmocka_unit_test(kinds_of_addresses),
	    cmocka_unit_test(several_servers_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
