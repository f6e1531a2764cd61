/* SPDX-License-Identifier: MIT */
/*
 * The name server of devmeshd on the loopback addresses: what dig and kdig see, the same questions
 * answered by Knot DNS from an equal zone file, and clients that misbehave.
 */
#include "harness_dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void
assert_lacks(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("\"%s\" is in:\n%s", part, text);
}

/* ---- dig ------------------------------------------------------------------------------------ */

TEST(dig_gets_what_the_rules_say)
{
	static const struct {
		const char *words, *has[4], *lacks;
	} cases[] = {
	    {"app-main.dev.test A",
		{"status: NOERROR", ";; flags: qr aa rd;",
		    "app-main.dev.test.\t30\tIN\tA\t127.0.0.1",
		    "; EDNS: version: 0, flags:; udp: 1232"},
		" ra"},
	    {"+norec APP.dEv.TeSt A",
		{";APP.dEv.TeSt.", "APP.dEv.TeSt.\t\t30\tIN\tA\t127.0.0.1", ";; flags: qr aa;"},
		" rd"},
	    {"app.dev.test AAAA",
		{"status: NOERROR", "ANSWER: 0, AUTHORITY: 1",
		    "dev.test.\t\t5\tIN\tSOA\tns.dev.test. hostmaster.dev.test. ", " 60 60 3600 5"},
		"ANSWER SECTION"},
	    {"app.dev.test TYPE65", {"status: NOERROR", "ANSWER: 0, AUTHORITY: 1"},
		"ANSWER SECTION"},
	    {"+tcp app.dev.test A", {"app.dev.test.\t\t30\tIN\tA\t127.0.0.1"}, " tc"},
	    {"+edns=1 +noednsneg app.dev.test A", {"status: BADVERS", "version: 0"}, " aa"},
	    {"+cookie=0123456789abcdef app.dev.test A", {"status: NOERROR", "127.0.0.1"}, "COOKIE"},
	    {"+noedns app.dev.test A", {"status: NOERROR", "127.0.0.1"}, "EDNS"},
	    {"+dnssec app.dev.test A", {"status: NOERROR", "flags:; udp: 1232"}, " ad"},
	    {"www.example.org A", {"status: REFUSED"}, " aa"},
	    {"test SOA", {"status: REFUSED"}, " aa"},
	    {"_x.dev.test A", {"status: NXDOMAIN", ";; flags: qr aa", "\tSOA\t"}, "ANSWER SECTION"},
	    {"a.app.dev.test A", {"status: NXDOMAIN", "\tSOA\t"}, "ANSWER SECTION"},
	    {"dev.test SOA", {"status: NOERROR", "ANSWER: 1, AUTHORITY: 0"}, " tc"},
	    {"dev.test NS",
		{"dev.test.\t\t30\tIN\tNS\tns.dev.test.", "ns.dev.test.\t\t30\tIN\tA\t"}, " tc"},
	    {"ns.dev.test A", {"127.0.0.1"}, " tc"},
	    {"+notcp app.dev.test ANY", {"HINFO\t\"RFC8482\" \"\""}, "127.0.0.1"},
	    {"+tcp dev.test ANY", {"HINFO\t\"RFC8482\" \"\""}, "127.0.0.1"},
	    {"+opcode=notify dev.test SOA", {"status: NOTIMP"}, " aa"},
	    {"+opcode=update dev.test SOA", {"status: NOTIMP"}, " aa"},
	    {"version.bind CH TXT", {"status: REFUSED"}, " aa"},
	};
	int port = free_port(w);
	struct devmeshd *d = dns_daemon(w, port);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *got = dig(w, port, cases[i].words);

		for (size_t k = 0; k < 4 && cases[i].has[k] != NULL; k++)
			assert_has(got, cases[i].has[k]);
		assert_lacks(got, cases[i].lacks);
	}
	/* dig says no more of a transfer */
	assert_has(dig(w, port, "dev.test AXFR"), "Transfer failed");
	assert_has(dig_by(w, "dig", "::1", port, "app.dev.test A"), "127.0.0.1");
	assert_true(dns_count(w, d, "answered") >= 15);
	assert_true(dns_count(w, d, "refused") >= 4);
	assert_true(dns_count(w, d, "malformed") >= 3);
	assert_int_equal(dns_count(w, d, "foreign") + dns_count(w, d, "limited"), 0);
}

TEST(kdig_sees_the_same)
{
	int port = free_port(w);
	char *got;

	(void)dns_daemon(w, port);
	got = dig_by(w, "kdig", "127.0.0.1", port, "+edns +norec app.dev.test A");
	assert_has(got, "status: NOERROR");
	assert_has(got, "Flags: qr aa;");
	assert_has(got, "app.dev.test.       \t30\tIN\tA\t127.0.0.1");
	got = dig_by(w, "kdig", "127.0.0.1", port, "+tcp +keepopen app.dev.test A x.dev.test AAAA");
	assert_has(got, "127.0.0.1");
	assert_has(got, "SOA");
	got =
	    dig_by(w, "kdig", "127.0.0.1", port, "+notcp +bufsize=512 +padding=64 app.dev.test A");
	assert_has(got, "127.0.0.1");
}

/* BIND's resolver, which takes a server for one to validate with, unless told not to (-i). */
TEST(delv_takes_the_answers)
{
	int port = free_port(w);
	char *at = fmt(w, "%d", port);
	struct result r;

	(void)dns_daemon(w, port);
	r = run(
	    w, w->dir, ARGV("delv", "@127.0.0.1", "-p", at, "-i", "+noroot", "app.dev.test", "A"));
	assert_int_equal(r.code, 0);
	assert_has(r.out, "app.dev.test.");
	assert_has(r.out, "127.0.0.1");
	r = run(w, w->dir,
	    ARGV("delv", "@127.0.0.1", "-p", at, "-i", "+noroot", "app.dev.test", "AAAA"));
	assert_has(r.out, ";-$NXRRSET");
	r = run(
	    w, w->dir, ARGV("delv", "@127.0.0.1", "-p", at, "-i", "+noroot", "_x.dev.test", "A"));
	assert_has(r.out, ";-$NXDOMAIN");
}

/* ---- beside another server ------------------------------------------------------------------ */

static const char *const zone_text = "$ORIGIN dev.test.\n"
				     "@ 5 IN SOA ns hostmaster %.0f 60 60 3600 5\n"
				     "@ 30 IN NS ns\n"
				     "@ 30 IN A 127.0.0.1\n"
				     "ns 30 IN A 127.0.0.1\n"
				     "app 30 IN A 127.0.0.1\n"
				     "shop-main 30 IN A 127.0.0.1\n";

static bool
answers(struct world *w, const void *arg)
{
	const int *port = arg;
	struct result r = run(w, w->dir,
	    ARGV("dig", "-r", "@127.0.0.1", "-p", fmt(w, "%d", *port), "+tries=1", "+time=1",
		"+short", "dev.test", "SOA"));

	return r.code == 0 && strstr(r.out, "ns.dev.test.") != NULL;
}

static void
knot(struct world *w, int port, double serial)
{
	char *dir = make_dir(w, "knot"), *conf = fmt(w, "%s/knot.conf", dir);
	struct proc *p;

	write_text(fmt(w, "%s/dev.test.zone", dir), fmt(w, zone_text, serial));
	write_text(
	    conf, fmt(w,
		      "server:\n    listen: 127.0.0.1@%d\n    rundir: %s\n"
		      "database:\n    storage: %s\n"
		      "log:\n  - target: stderr\n    any: info\n"
		      "zone:\n  - domain: dev.test\n    storage: %s\n    file: dev.test.zone\n",
		      port, dir, dir, dir));
	/* where no user's PATH leads, on Debian */
	p = start(w, dir,
	    ARGV(access("/usr/sbin/knotd", X_OK) == 0 ? "/usr/sbin/knotd" : "knotd", "-c", conf));
	if (!wait_until(w, answers, &port, DEADLINE_MS))
		fail_msg("knotd does not answer: %s%s", read_text(w, p->out), read_text(w, p->err));
}

/* Every pair of a name and a type, a line each. */
static void
write_questions(const char *path)
{
	static const char *const names[] = {"dev.test", "app.dev.test", "aPP.DEV.test",
	    "shop-main.dev.test", "ns.dev.test", "_x.dev.test", "a.app.dev.test", "a._tcp.dev.test",
	    "example.org", "test", "xdev.test", "."};
	static const char *const types[] = {"A", "AAAA", "TYPE65", "TYPE64", "SOA", "NS", "TXT",
	    "MX", "CAA", "CNAME", "PTR", "SRV", "DNSKEY", "TYPE65280"};
	char text[16384];
	size_t n = 0;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
			n += (size_t)snprintf(
			    text + n, sizeof text - n, "%s %s\n", names[i], types[k]);
	write_text(path, text);
}

TEST(every_answer_is_the_one_of_knot)
{
	static const char *const modes[] = {"+norec +noedns", "+norec +tcp +noedns",
	    "+norec +bufsize=1232 +nocookie", "+rec +bufsize=4096 +nocookie +noadflag",
	    "+norec +tcp +bufsize=1232 +nocookie", "+norec +ednsopt=65001:00 +nocookie",
	    "+norec +edns=1 +noednsneg +nocookie"};
	char *questions = fmt(w, "%s/questions", w->dir);
	int ours = free_port(w), theirs = free_port(w);
	struct devmeshd *d = dns_daemon(w, ours);

	knot(w, theirs, dns_count(w, d, "serial"));
	write_questions(questions);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		char *words = fmt(w, "%s -f %s", modes[i], questions);
		char *a = dig(w, ours, words), *b = dig(w, theirs, words);

		/* of 168 questions, so that nothing was compared to nothing */
		assert_true(strlen(a) > 168 * 60);
		if (strcmp(a, b) != 0) {
			size_t at = 0;

			while (a[at] == b[at])
				at++;
			at = at > 300 ? at - 300 : 0;
			fail_msg(
			    "%s:\n--- ours\n%.600s\n--- Knot's\n%.600s", modes[i], a + at, b + at);
		}
	}
}

/* ---- by hand -------------------------------------------------------------------------------- */

TEST(junk_gets_no_reply_or_a_plain_no)
{
	static uint8_t junk[60000], reply[2048];
	uint8_t query[512];
	int port = free_port(w), fd;
	struct devmeshd *d = dns_daemon(w, port);
	size_t n = dns_make(query, 7, "app.dev.test", 1);

	fd = dns_connect(SOCK_DGRAM, 1, port);
	for (size_t i = 0; i < sizeof junk; i++)
		junk[i] = (uint8_t)(i * 31 + i / 7);
	/* a byte, an empty packet, a reply: nothing comes back */
	assert_int_equal(send(fd, junk, 1, 0), 1);
	assert_int_equal(send(fd, junk, 0, 0), 0);
	query[2] |= 0x80;
	assert_int_equal(send(fd, query, n, 0), n);
	query[2] = 0;
	dns_wait_count(w, d, "dropped", 3);
	/* 60 KB that begin as a question: a form error */
	memcpy(junk, query, n);
	junk[0] = 99;
	assert_int_equal(send(fd, junk, sizeof junk, 0), sizeof junk);
	assert_int_equal(recv(fd, reply, sizeof reply, 0), 12 + 14 + 4);
	assert_int_equal(reply[0], 99);
	assert_int_equal(reply[3], 1);
	/* and it goes on */
	assert_int_equal(send(fd, query, n, 0), n);
	assert_true(recv(fd, reply, sizeof reply, 0) > 12);
	assert_int_equal(reply[3], 0);
	close(fd);
	/* the same over TCP, in pieces as the network likes them */
	fd = dns_connect(SOCK_STREAM, 1, port);
	dns_send_tcp(fd, junk, sizeof junk);
	dns_send_tcp(fd, query, n);
	assert_int_equal(dns_read_tcp(fd, reply, sizeof reply), 12 + 14 + 4);
	assert_true(dns_read_tcp(fd, reply, sizeof reply) > 12);
	assert_int_equal(reply[7], 1);
	/* what is no question ends the connection */
	dns_send_tcp(fd, junk, 1);
	assert_int_equal(dns_read_tcp(fd, reply, sizeof reply), 0);
	close(fd);
}

TEST(questions_are_pipelined_over_tcp)
{
	static uint8_t all[2000 * 64];
	uint8_t reply[2048];
	int port = free_port(w), fd;
	size_t n = 0, one;
	struct proc *sender;

	(void)dns_daemon(w, port);
	fd = dns_connect(SOCK_STREAM, 1, port);
	/* two thousand at once, byte by byte at first, without reading any answer meanwhile */
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t query[512];

		one = dns_make(query, i, "app.dev.test", i % 2 ? 1 : 28);
		all[n++] = 0;
		all[n++] = (uint8_t)one;
		memcpy(all + n, query, one);
		n += one;
	}
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(send(fd, all + i, 1, MSG_NOSIGNAL), 1);
	if ((sender = start_child(w)) == NULL) {
		for (size_t i = 100; i < n;) {
			ssize_t put = send(fd, all + i, n - i, MSG_NOSIGNAL);

			if (put <= 0)
				_exit(1);
			i += (size_t)put;
		}
		_exit(shutdown(fd, SHUT_WR) == 0 ? 0 : 1);
	}
	for (unsigned i = 0; i < 2000; i++) {
		assert_true(dns_read_tcp(fd, reply, sizeof reply) > 12);
		assert_int_equal((unsigned)reply[0] << 8 | reply[1], i);
		assert_int_equal(reply[7], i % 2);
	}
	/* who has no more to say gets all answers, and then the end */
	assert_int_equal(dns_read_tcp(fd, reply, sizeof reply), 0);
	assert_int_equal(finish(w, sender).code, 0);
	close(fd);
}

TEST(idle_connections_are_ended)
{
	uint8_t query[512], reply[2048];
	int port = free_port(w), idle, drip, busy;
	size_t n = dns_make(query, 1, "app.dev.test", 1);
	int64_t began, took;
	struct timeval beat = {.tv_usec = 400000};
	struct devmeshd *d = dns_daemon(w, port);

	idle = dns_connect(SOCK_STREAM, 1, port);
	drip = dns_connect(SOCK_STREAM, 2, port);
	busy = dns_connect(SOCK_STREAM, 3, port);
	assert_int_equal(setsockopt(drip, SOL_SOCKET, SO_RCVTIMEO, &beat, sizeof beat), 0);
	dns_wait_count(w, d, "connections", 3);
	began = now_ms();
	/* a byte now and then is no question; the waiting is the one of recv */
	for (int i = 0; i < 200 && send(drip, "\x7f", 1, MSG_NOSIGNAL) == 1 &&
			recv(drip, reply, 1, 0) < 0 && errno == EAGAIN;
	     i++) {
		dns_send_tcp(busy, query, n);
		assert_true(dns_read_tcp(busy, reply, sizeof reply) > 12);
	}
	took = now_ms() - began;
	assert_int_equal(dns_read_tcp(idle, reply, sizeof reply), 0);
	/* the timer is the server's, which may have begun a little earlier */
	assert_in_range(took, 10000 - 1500, DEADLINE_MS);
	dns_send_tcp(busy, query, n);
	assert_true(dns_read_tcp(busy, reply, sizeof reply) > 12);
	assert_int_equal(dns_count(w, d, "connections"), 1);
	close(idle);
	close(drip);
	close(busy);
}

TEST(connections_are_limited)
{
	uint8_t query[512], reply[2048];
	int port = free_port(w), fds[32], fd;
	size_t n = dns_make(query, 1, "app.dev.test", 1);
	int64_t end;
	bool in;
	struct devmeshd *d = dns_daemon(w, port);

	/* four from each of eight addresses */
	for (int i = 0; i < 32; i++) {
		fds[i] = dns_connect(SOCK_STREAM, 1 + i / 4, port);
		dns_send_tcp(fds[i], query, n);
		assert_true(dns_read_tcp(fds[i], reply, sizeof reply) > 12);
		if (i != 3)
			continue;
		fd = dns_connect(SOCK_STREAM, 1, port);
		assert_int_equal(dns_read_tcp(fd, reply, sizeof reply), 0);
		close(fd);
		assert_int_equal(dns_count(w, d, "turned_away"), 1);
	}
	fd = dns_connect(SOCK_STREAM, 77, port);
	assert_int_equal(dns_read_tcp(fd, reply, sizeof reply), 0);
	close(fd);
	assert_int_equal(dns_count(w, d, "turned_away"), 2);
	/* those that are there are none the worse, and one that goes makes room */
	dns_send_tcp(fds[31], query, n);
	assert_true(dns_read_tcp(fds[31], reply, sizeof reply) > 12);
	close(fds[0]);
	for (end = now_ms() + DEADLINE_MS, in = false; !in;) {
		assert_true(now_ms() < end);
		fd = dns_connect(SOCK_STREAM, 77, port);
		in = dns_count(w, d, "connections") == 32;
		close(fd);
	}
	for (int i = 1; i < 32; i++)
		close(fds[i]);
}

TEST(this_machine_is_not_limited)
{
	uint8_t query[512], reply[2048];
	int port = free_port(w), fd;
	size_t n = dns_make(query, 1, "app.dev.test", 1);
	struct devmeshd *d = dns_daemon(w, port);

	fd = dns_connect(SOCK_DGRAM, 1, port);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(send(fd, query, n, 0), n);
		assert_true(recv(fd, reply, sizeof reply, 0) > 12);
	}
	close(fd);
	assert_int_equal(dns_count(w, d, "limited"), 0);
}

/* ---- the daemon ----------------------------------------------------------------------------- */

TEST(a_taken_port_is_told_and_tried_again)
{
	int port = free_port(w), other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct devmeshd *d;
	const cJSON *o, *problem;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(other, (struct sockaddr *)&a, sizeof a), 0);
	d = dns_daemon(w, port);
	o = dns_document(w, d);
	problem = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "problems"), 0);
	assert_non_null(problem);
	assert_has(problem->valuestring, fmt(w, "127.0.0.1 port %d", port));
	assert_has(daemon_log(w, d), problem->valuestring);
	close(other);
	if (!wait_until(w, answers, &port, DEADLINE_MS))
		fail_msg("it is not tried again: %s", daemon_log(w, d));
	assert_int_equal(
	    cJSON_GetArraySize(cJSON_GetObjectItem(dns_document(w, d), "problems")), 0);
}

/* As a service manager does: the sockets are at 3 and 4, and two variables say so. */
static const char pass_on[] =
    "import os, socket, sys\n"
    "at = ('127.0.0.1', int(sys.argv[1]))\n"
    "u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(at)\n"
    "t = socket.socket(socket.AF_INET, socket.SOCK_STREAM)\n"
    "t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); t.bind(at); t.listen(9)\n"
    "a, b = os.dup(u.fileno()), os.dup(t.fileno())\n"
    "u.close(); t.close()\n"
    "os.dup2(a, 3); os.dup2(b, 4)\n"
    "os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='dns:dns')\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n";

/* Also when the test fails. */
static void
wrap_again(void *before)
{
	if (*(char *)before == '\0')
		unsetenv("DEVMESHD_WRAP");
	else
		setenv("DEVMESHD_WRAP", before, 1);
	free(before);
}

TEST(sockets_that_were_passed_on_are_used)
{
	int passed = free_port(w), own = free_port(w);
	const char *given = getenv("DEVMESHD_WRAP");
	char *script = fmt(w, "%s/pass.py", w->dir);
	char *before = world_keep(w, strdup(given == NULL ? "" : given), wrap_again);
	struct devmeshd *d;
	const cJSON *one, *list;
	int seen = 0;

	write_text(script, pass_on);
	setenv("DEVMESHD_WRAP", fmt(w, "python3 %s %d %s", script, passed, before), 1);
	d = dns_daemon(w, own);
	list = cJSON_GetObjectItem(dns_document(w, d), "listening");
	cJSON_ArrayForEach (one, list) {
		bool ipv4 = strcmp(json_str(one, "address"), "127.0.0.1") == 0;

		assert_int_equal(json_number(one, "port"), ipv4 ? passed : own);
		assert_int_equal(cJSON_IsTrue(cJSON_GetObjectItem(one, "passed")), ipv4);
		seen += ipv4 ? 1 : 0;
	}
	assert_int_equal(seen, 1);
	assert_has(dig(w, passed, "app.dev.test A"), "127.0.0.1");
	assert_has(dig(w, passed, "+tcp app.dev.test A"), "127.0.0.1");
}

static void
reload(struct world *w, struct devmeshd *d)
{
	signal_proc(d->p, SIGHUP);
	(void)wait_event(w, d, "daemon", NULL, "");
}

/* Another port, another depth, another domain: what is in the file holds after a reload. */
TEST(a_reload_settles_it_anew)
{
	int port = free_port(w), next = free_port(w);
	char *file = fmt(w, "%s/devmesh.ini", w->home);
	struct devmeshd *d;

	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	world_env(w, "DEVMESH_DNS_ENABLED", NULL);
	write_text(file, fmt(w, "[mesh]\ndomain = dev.test\n[dns]\nport = %d\n", port));
	d = daemon_start(w);
	assert_has(dig(w, port, "a.b.dev.test A"), "NXDOMAIN");
	write_text(
	    file, fmt(w, "[mesh]\ndomain = dev.example.com\n[dns]\nport = %d\ndepth = 2\n", next));
	reload(w, d);
	assert_has(dig(w, next, "a.b.dev.example.com A"), "127.0.0.1");
	assert_has(dig(w, next, "a.b.dev.test A"), "REFUSED");
	assert_int_not_equal(run(w, w->dir,
				 ARGV("dig", "-r", "@127.0.0.1", "-p", fmt(w, "%d", port),
				     "+tries=1", "+time=1", "x.dev.test"))
				 .code,
	    0);
	/* what is not the user's is not answered for, and it is said why */
	write_text(file, fmt(w, "[mesh]\ndomain = co.uk\n[dns]\nport = %d\n", next));
	reload(w, d);
	assert_true(json_null(dns_document(w, d), "domain"));
	assert_has(json_text(w, cJSON_GetObjectItem(dns_document(w, d), "problems")),
	    "co.uk is a public suffix");
	write_text(file, fmt(w, "[mesh]\ndomain = dev.test\n[dns]\nenabled = no\n"));
	reload(w, d);
	assert_int_equal(
	    cJSON_GetArraySize(cJSON_GetObjectItem(dns_document(w, d), "listening")), 0);
	assert_int_equal(
	    cJSON_GetArraySize(cJSON_GetObjectItem(dns_document(w, d), "problems")), 0);
}

TEST(it_is_in_the_system_document_and_the_metrics)
{
	int port = free_port(w);
	struct devmeshd *d = dns_daemon(w, port);
	const cJSON *o, *first;

	(void)dig(w, port, "app.dev.test A");
	o = cJSON_GetObjectItem(daemon_ask(w, d, "GET", "/api/v1/system", NULL), "dns_server");
	assert_string_equal(json_str(o, "domain"), "dev.test");
	first = cJSON_GetArrayItem(cJSON_GetObjectItem(o, "listening"), 0);
	assert_string_equal(json_str(first, "address"), "127.0.0.1");
	assert_int_equal(json_number(first, "port"), port);
	assert_int_equal(json_number(o, "answered"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    DAEMON_TEST(dig_gets_what_the_rules_say),
	    DAEMON_TEST(kdig_sees_the_same),
	    DAEMON_TEST(delv_takes_the_answers),
	    DAEMON_TEST(every_answer_is_the_one_of_knot),
	    DAEMON_TEST(junk_gets_no_reply_or_a_plain_no),
	    DAEMON_TEST(questions_are_pipelined_over_tcp),
	    DAEMON_TEST(idle_connections_are_ended),
	    DAEMON_TEST(connections_are_limited),
	    DAEMON_TEST(this_machine_is_not_limited),
	    DAEMON_TEST(a_taken_port_is_told_and_tried_again),
	    DAEMON_TEST(sockets_that_were_passed_on_are_used),
	    DAEMON_TEST(a_reload_settles_it_anew),
	    DAEMON_TEST(it_is_in_the_system_document_and_the_metrics),
	};

	return RUN_TESTS(tests);
}
