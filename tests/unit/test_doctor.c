/* SPDX-License-Identifier: MIT */
/*
 * What the doctor reads out of foreign files and answers: versions, dates, hosts files, framework
 * settings, and what several name servers say. Where the real thing can be provoked,
 * tests/integration/test_doctor.c does so.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "doctor.h"
#include "doctor_dns.h"
#include "doctor_lan.h"
#include "doctor_text.h"
#include "run/traps.h"

static void
versions(void **state)
{
	(void)state;
	assert_int_equal(text_version("v2.6.2 h1:wKoFIxpmOJLGl3QXoo6PNbYvGW4xLEgo32GPBEjWL8o="),
	    VERSION(2, 6, 2));
	assert_int_equal(text_version("2.6.2"), VERSION(2, 6, 2));
	assert_int_equal(text_version("worktrunk 0.61"), VERSION(0, 61, 0));
	assert_int_equal(text_version("wt2 v0.74.1-3-gabc"), VERSION(0, 74, 1));
	assert_int_equal(text_version(""), 0);
	assert_int_equal(text_version("unknown 7"), 0);
	assert_true(text_version("99999999999999.99999999999") > 0);
}

static void
ranges(void **state)
{
	static const struct {
		const char *range;
		unsigned version;
		bool fits;
	} cases[] = {
	    {">=18", VERSION(18, 0, 0), true},
	    {">=18", VERSION(17, 9, 9), false},
	    {">= 18.12.0", VERSION(18, 11, 0), false},
	    {">= 18.12.0", VERSION(18, 12, 0), true},
	    {"^20.19.0 || >=22.12.0", VERSION(20, 18, 0), false},
	    {"^20.19.0 || >=22.12.0", VERSION(20, 19, 1), true},
	    {"^20.19.0 || >=22.12.0", VERSION(21, 0, 0), false},
	    {"^20.19.0 || >=22.12.0", VERSION(24, 0, 0), true},
	    {"20.x", VERSION(20, 4, 0), true},
	    {"20.x", VERSION(21, 0, 0), false},
	    {"20", VERSION(20, 4, 0), true},
	    {"~18.2", VERSION(18, 3, 0), false},
	    {">=16 <19", VERSION(19, 0, 0), false},
	    {">=16 <19", VERSION(18, 9, 0), true},
	    {"<=18", VERSION(18, 9, 0), true},
	    {">18", VERSION(18, 9, 0), false},
	    {"^0.3", VERSION(0, 4, 0), false},
	    {"*", VERSION(1, 0, 0), true},
	    {"", VERSION(1, 0, 0), true},
	    /* not understood: no reason to complain */
	    {"16 - 18", VERSION(20, 0, 0), true},
	    {"lts/*", VERSION(1, 0, 0), true},
	    {">=18.0.0-rc.1", VERSION(1, 0, 0), true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (text_version_fits(cases[i].version, cases[i].range) != cases[i].fits)
			fail_msg("%u and \"%s\"", cases[i].version, cases[i].range);
	}
}

static void
certificate_fields(void **state)
{
	static const char lines[] = "Subject:\nIssuer:CN = Caddy Local Authority\n"
				    "Start date:Nov 20 15:00:00 2026 GMT\n";
	char value[64];

	(void)state;
	assert_true(text_field(lines, "Issuer", value, sizeof(value)));
	assert_string_equal(value, "CN = Caddy Local Authority");
	assert_true(text_field(lines, "Subject", value, sizeof(value)));
	assert_string_equal(value, "");
	assert_false(text_field(lines, "Start", value, sizeof(value)));
	assert_false(text_field(lines, "Issuer", value, 5));
	assert_int_equal(text_time("Jan  1 00:00:00 1970 GMT"), 0);
	assert_int_equal(text_time("Nov 21 03:15:30 2026 GMT"), 1795230930);
	assert_int_equal(text_time("2026-11-21 03:15:30 GMT"), 1795230930);
	assert_int_equal(text_time("Feb 29 12:00:00 2028 GMT"), 1835438400);
	assert_int_equal(text_time("Foo 21 03:15:30 2026 GMT"), -1);
	assert_int_equal(text_time("an 21 03:15:30 2026 GMT"), -1);
	assert_int_equal(text_time("2026-13-21 03:15:30"), -1);
	assert_int_equal(text_time(""), -1);
}

static void
hosts_files(void **state)
{
	char address[64], name[256];

	(void)state;
	assert_int_equal(text_hosts_line("127.0.0.1 localhost a.dev.test\n# 10.0.0.1 b.dev.test\n"
					 "10.0.0.9\tother c.dev.test # c\n",
			     "dev.test", address, name),
	    3);
	assert_string_equal(address, "10.0.0.9");
	assert_string_equal(name, "c.dev.test");
	assert_int_equal(text_hosts_line("10.0.0.9 xdev.test\n::1 a.dev.test\n10.0.0.9\n",
			     "dev.test", address, name),
	    0);
	assert_int_equal(text_hosts_line("10.0.0.9 dev.test", "dev.test", address, name), 1);
}

static void
cleaners(void **state)
{
	char age[32];

	(void)state;
	assert_true(
	    text_tmpfiles_age("# c\nq /tmp 1777 root root 10d\n", "/tmp/caddy-dev", age, 32));
	assert_string_equal(age, "10d");
	assert_false(text_tmpfiles_age("D /tmp 1777 root root -\n", "/tmp/caddy-dev", age, 32));
	assert_false(text_tmpfiles_age("q /tmp 1777 root root 10d\n", "/run/caddy-dev", age, 32));
	assert_false(text_tmpfiles_age("q /tmp 1777 root root 10d\n", "/tmpx/caddy-dev", age, 32));
	assert_false(text_tmpfiles_age(
	    "q /tmp 1777 root root 10d\nx /tmp/caddy-dev\n", "/tmp/caddy-dev", age, 32));
}

static void
caddy_files(void **state)
{
	static const char args[] = "caddy\0run\0--config\0/etc/x\0--resume";
	gid_t groups[4];

	(void)state;
	assert_true(
	    text_names_module("*.x {\n tls {\n  dns cloudflare {env.T}\n }\n}", "cloudflare"));
	assert_true(
	    text_names_module("{\n dynamic_dns {\n  provider cloudflare x\n", "dynamic_dns"));
	assert_true(text_names_module("{\"provider\": {\"name\": \"cloudflare\"}}", "cloudflare"));
	assert_false(text_names_module("# dns cloudflare\nrespond cloudflare", "cloudflare"));
	assert_true(text_has_line("a\ndns.providers.x\n", "dns.providers.x"));
	assert_false(text_has_line("a\ndns.providers.xy\n", "dns.providers.x"));
	assert_string_equal(text_argument(args, sizeof(args), "--config"), "/etc/x");
	assert_string_equal(text_argument(args, sizeof(args), "--resume"), "");
	assert_null(text_argument(args, sizeof(args), "--watch"));
	assert_int_equal(
	    text_groups("Name:\tx\nUid:\t1\t1\nGid:\t7\t8\t9\t9\nGroups:\t20 30 \n", groups, 4), 3);
	assert_int_equal(groups[0], 8);
	assert_int_equal(groups[1], 20);
	assert_int_equal(groups[2], 30);
	assert_true(text_listens_widely("0.0.0.0:2019") && text_listens_widely(":2019") &&
		    text_listens_widely("tcp/192.168.1.2:2019") &&
		    text_listens_widely("[::]:2019"));
	assert_false(text_listens_widely("localhost:2019") ||
		     text_listens_widely("127.0.0.1:2019") || text_listens_widely("[::1]:2019") ||
		     text_listens_widely("unix//run/x.sock"));
}

static const struct trap_rule *
rule(const char *id)
{
	for (size_t i = 0; i < trap_rule_count; i++) {
		if (strcmp(trap_rules[i].id, id) == 0)
			return &trap_rules[i];
	}
	fail_msg("there is no rule %s", id);
	return NULL;
}

static bool
seems(const char *id, const char *file, const char *text, const char *domain)
{
	DM_AUTO_FREE char *code = trap_code(text, file);

	return rule(id)->seems(code, domain);
}

#define LOCAL "dev.localhost"
#define OWN   "dev.example.com"

static void
javascript_traps(void **state)
{
	static const char *const next = "next.config.mjs", *const vite = "vite.config.ts",
				 *const pack = "webpack.config.js";

	(void)state;
	assert_true(seems("next", next, "", LOCAL));
	assert_true(seems("next", next, "export default {}\n// allowedDevOrigins: ['*']", LOCAL));
	assert_true(seems("next", next, "x = {allowedDevOrigins: ['localhost']}", LOCAL));
	assert_false(seems("next", next, "x = {allowedDevOrigins: ['*.dev.localhost']}", LOCAL));
	assert_true(seems("next", next, "x = {allowedDevOrigins: ['*.localhost', '*']}", LOCAL));
	assert_true(seems("next", next, "x = {allowedDevOrigins: ['.dev.localhost']}", LOCAL));
	assert_true(seems("next", next, "x = {allowedDevOrigins: ['dev.localhost']}", LOCAL));
	assert_false(seems("next", next, "x = {allowedDevOrigins: ['**.localhost']}", LOCAL));
	assert_false(seems("next", next, "x = {allowedDevOrigins: [env.DEVMESH_HOST]}", LOCAL));
	assert_false(seems("next", next, "x = {u: 'http://x', allowedDevOrigins: hosts()}", LOCAL));
	assert_true(seems("webpack", pack, "module.exports={devServer: {port: 3}}", OWN));
	assert_true(seems("webpack", pack, "devServer: {/* allowedHosts: 'all' */}", OWN));
	assert_false(seems("webpack", pack, "devServer: {allowedHosts: 'all'}", OWN));
	assert_false(seems("webpack", pack, "devServer: {allowedHosts: ['.example.com']}", OWN));
	assert_false(seems("webpack", pack, "module.exports = {}", OWN));
	assert_true(seems("vite", vite, "export default {server: {hmr: {clientPort: 443}}}", OWN));
	assert_true(seems("vite", vite, "server: { origin: 'http://localhost:5173' }", OWN));
	assert_false(seems("vite", vite, "server: {hmr: true, cors: {origin: '*'}}", OWN));
	assert_false(seems("vite", vite, "export default {plugins: [react()]}", OWN));
	assert_false(seems("vite", vite, "server: { // hmr: {port: 3}\n}", OWN));
}

static void
other_traps(void **state)
{
	static const char *const py = "settings.py", *const rb = "development.rb",
				 *const exs = "dev.exs";

	(void)state;
	assert_false(seems("django-hosts", py, "ALLOWED_HOSTS = []", LOCAL));
	assert_true(seems("django-hosts", py, "ALLOWED_HOSTS = []", OWN));
	assert_true(seems("django-hosts", py, "ALLOWED_HOSTS = ['localhost']", LOCAL));
	assert_true(seems("django-hosts", py, "# ALLOWED_HOSTS = ['*']\nALLOWED_HOSTS=['a']", OWN));
	assert_false(seems("django-hosts", py, "ALLOWED_HOSTS = [\n  '.example.com',\n]", OWN));
	assert_false(seems("django-hosts", py, "ALLOWED_HOSTS = env.list('HOSTS')", OWN));
	assert_true(seems("django-https", py, "DEBUG = True", OWN));
	assert_false(seems("django-https", py,
	    "SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')", OWN));
	assert_false(
	    seems("django-https", py, "CSRF_TRUSTED_ORIGINS = ['https://*.dev.example.com']", OWN));
	assert_true(seems("rails", rb, "config.hosts << 'a.test'", OWN));
	assert_false(seems("rails", rb, "# config.hosts << 'a.test'", OWN));
	assert_false(seems("rails", rb, "config.hosts.clear", OWN));
	assert_false(seems("rails", rb, "config.hosts << '.dev.example.com'", OWN));
	assert_true(seems("phoenix", exs, "config :a, AWeb.Endpoint, http: [port: 4000]", OWN));
	assert_false(seems("phoenix", exs, "config :a, AWeb.Endpoint, check_origin: false", OWN));
	assert_true(seems("phoenix", exs, "Endpoint, check_origin: [\"//localhost\"]", OWN));
	assert_false(seems("phoenix", exs, "import Config", OWN));
}

static void
small_readers(void **state)
{
	char name[64], path[64];
	DM_AUTO_FREE char *code = trap_code("a = 'it''s # x' # y\nb = \"//\" // z", "x.py");
	DM_AUTO_FREE char *filled = trap_text("a @DOMAIN@ b.@DOMAIN@", "dev.test");

	(void)state;
	assert_holds(code, "# x");
	assert_null(strstr(code, "# y"));
	assert_string_equal(filled, "a dev.test b.dev.test");
	assert_int_equal(
	    trap_env_line("A=1\nexport VITE_API_URL=\"http://localhost:3000/x\"\n", 0, name), 2);
	assert_string_equal(name, "VITE_API_URL");
	assert_int_equal(trap_env_line("A=http://localhost:1\nB=ws://127.0.0.1:2\n", 1, name), 2);
	assert_int_equal(trap_env_line("DB=postgres://localhost:5432/x\n# A=http://localhost:3000\n"
				       "B=https://example.com:443\nC=http://localhost\nD\n=\n",
			     0, name),
	    0);
	assert_true(trap_django_settings(
	    "os.environ.setdefault(\"DJANGO_SETTINGS_MODULE\", \"my.site.settings\")", path, 64));
	assert_string_equal(path, "my/site/settings.py");
	assert_false(trap_django_settings("DJANGO_SETTINGS_MODULE", path, 64));
	assert_false(trap_django_settings("DJANGO_SETTINGS_MODULE', '..etc.passwd", path, 64));
	assert_true(trap_toml_key("x=1\n[post-create]\n", "post-create"));
	assert_true(trap_toml_key("post-create = \"x\"\n", "post-create"));
	assert_false(trap_toml_key("# post-create = 1\npost-created = 2", "post-create"));
}

/* Any text: nothing is read behind its end, and nothing hangs (run with sanitizers as well). */
static void
any_text(void **state)
{
	struct prng p = prng_new();
	const struct dns_address from = {.bytes = {10, 77, 0, 5}};
	char text[400], name[256], address[64];
	gid_t groups[3];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		DM_AUTO_FREE char *code = NULL, *rule = NULL;

		prng_text(
		    &p, "{}[]()'\"`\\/*#=:.,|<>^~ \n\t-x019hostsorigin", sizeof(text) - 1, text);
		code = trap_code(text, i % 2 ? "a.py" : "a.js");
		assert_int_equal(strlen(code), strlen(text));
		for (size_t r = 0; r < trap_rule_count; r++)
			(void)trap_rules[r].seems(code, OWN);
		(void)trap_env_line(text, 0, name);
		(void)trap_django_settings(text, name, 64);
		(void)trap_toml_key(text, "post-create");
		(void)text_version(text);
		(void)text_version_fits(VERSION(1, 2, 3), text);
		(void)text_time(text);
		(void)text_hosts_line(text, "x.h", address, name);
		(void)text_groups(text, groups, 3);
		(void)text_listens_widely(text);
		(void)text_names_module(text, "host");
		(void)text_tmpfiles_age(text, "/x", address, 64);
		rule = dm_asprintf("### tuple ### %s", text);
		(void)doctor_firewalld_has(text, "tcp", 443);
		(void)doctor_ufw_allows(rule, "tcp", 443, &from, "eth0");
	}
}

/* The doctor's table, and what name servers say. */
static void
table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < doctor_check_count; i++) {
		const struct doctor_check *c = &doctor_checks[i];

		assert_true(c->id[0] != '\0' && c->title[0] != '\0' && c->run != NULL);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(c->id, doctor_checks[k].id);
	}
	for (size_t i = 0; i < trap_rule_count; i++) {
		size_t k = 0;

		while (k < doctor_check_count && strcmp(doctor_checks[k].id, trap_rules[i].id) != 0)
			k++;
		if (k == doctor_check_count)
			fail_msg("no check has the rule %s", trap_rules[i].id);
	}
}

/* A and AAAA answers of one server. */
static void
answers(struct dns_question pair[2], const char *server, enum dns_outcome outcome, const char *a)
{
	memset(pair, 0, 2 * sizeof(*pair));
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(
		    pair[i].server.address, sizeof(pair[i].server.address), "%s", server);
		pair[i].type = i == 0 ? DNS_TYPE_A : DNS_TYPE_AAAA;
		pair[i].reply.outcome = outcome;
	}
	if (a != NULL) {
		pair[1].reply.outcome = DNS_EMPTY;
		pair[0].reply.count = 1;
		assert_int_equal(inet_pton(AF_INET, a, pair[0].reply.addresses[0].bytes), 1);
	}
}

struct judged {
	struct doctor d;
	const char *text; /* of the only finding; "" if there is none */
	enum doctor_level level;
};

static void
judge(struct judged *j, const struct dns_question *questions, size_t servers)
{
	memset(&j->d, 0, sizeof(j->d));
	j->d.current = &doctor_checks[0];
	j->d.resolv_conf = "/etc/resolv.conf";
	(void)snprintf(j->d.domain, sizeof(j->d.domain), OWN);
	doctor_judge_servers(&j->d, "x." OWN, questions, servers);
	assert_true(j->d.count <= 1);
	j->text = j->d.count == 0 ? "" : j->d.findings[0].what;
	j->level = j->d.count == 0 ? DOCTOR_OK : j->d.findings[0].level;
}

static void
name_servers(void **state)
{
	struct dns_question q[4];
	struct judged j;

	(void)state;
	answers(q, "10.0.0.1", DNS_ANSWERED, "192.168.1.5");
	answers(q + 2, "10.0.0.2", DNS_ANSWERED, "192.168.1.5");
	judge(&j, q, 2);
	assert_string_equal(j.text, "");
	doctor_release(&j.d);
	/* the router drops the private address that another server has */
	answers(q + 2, "10.0.0.2", DNS_EMPTY, NULL);
	judge(&j, q, 2);
	assert_holds(j.text, "10.0.0.2");
	assert_holds(j.d.findings[0].why, "rebinding");
	assert_holds(j.d.findings[0].fix, "rebind-domain-ok=/" OWN "/");
	assert_int_equal(j.level, DOCTOR_WARNING);
	doctor_release(&j.d);
	/* it is the only one, and knows the name */
	judge(&j, q + 2, 1);
	assert_holds(j.d.findings[0].why, "rebinding");
	doctor_release(&j.d);
	/* a public address is not what such filters drop */
	answers(q, "10.0.0.1", DNS_ANSWERED, "203.0.113.5");
	answers(q + 2, "10.0.0.2", DNS_NO_NAME, NULL);
	judge(&j, q, 2);
	assert_holds(j.text, "no such name");
	doctor_release(&j.d);
	/* it does not exist anywhere: that is said of the name, not of a server */
	judge(&j, q + 2, 1);
	assert_string_equal(j.text, "");
	doctor_release(&j.d);
	answers(q + 2, "10.0.0.2", DNS_SILENT, NULL);
	judge(&j, q, 2);
	assert_holds(j.text, "10.0.0.2 does not answer");
	doctor_release(&j.d);
}

/* A name server of the test's own, on port 53 of an address of the loopback network. */
static pid_t
serve_empty(const char *address)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(53)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	pid_t pid;

	assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		(void)close(fd);
		print_message("port 53 may not be bound\n");
		skip();
	}
	if ((pid = fork()) == 0) {
		for (;;) {
			uint8_t b[512];
			socklen_t len = sizeof(a);
			ssize_t n = recvfrom(fd, b, sizeof(b), 0, (struct sockaddr *)&a, &len);

			b[2] |=
			    0x80; /* the question as the answer: the name is there, without any */
			if (n > 12)
				(void)!sendto(fd, b, (size_t)n, 0, (struct sockaddr *)&a, len);
		}
	}
	(void)close(fd);
	return pid;
}

/* The whole check, with a resolv.conf and a hosts file of the test's own. */
static void
names_as_the_machine_has_them(void **state)
{
	char *dir = temp_dir(), *resolv = in_dir(dir, "resolv.conf"), *hosts = in_dir(dir, "hosts");
	pid_t server = serve_empty("127.0.0.153");
	bool filter = false;
	struct doctor d;

	(void)state;
	put_file(resolv, "nameserver 127.0.0.153\n");
	put_file(hosts, "127.0.0.1 localhost\n10.1.2.3 shop." OWN "\n");
	doctor_init(&d, NULL, "/");
	d.resolv_conf = resolv;
	d.hosts_file = hosts;
	(void)snprintf(d.domain, sizeof(d.domain), OWN);
	d.current = &doctor_checks[0];
	doctor_check_domain(&d);
	for (size_t i = 0; i < d.count; i++)
		filter |= strstr(d.findings[i].what, "127.0.0.153") != NULL &&
			  strstr(d.findings[i].why, "rebinding") != NULL;
	assert_true(filter);
	doctor_check_hosts(&d);
	assert_holds(d.findings[d.count - 1].what, "hosts:2 leads shop." OWN " to 10.1.2.3");
	assert_holds(d.findings[d.count - 1].fix, "sed -i '2s/");
	doctor_release(&d);
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	free(resolv);
	free(hosts);
	remove_tree(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(versions),
	    cmocka_unit_test(ranges),
	    cmocka_unit_test(certificate_fields),
	    cmocka_unit_test(hosts_files),
	    cmocka_unit_test(cleaners),
	    cmocka_unit_test(caddy_files),
	    cmocka_unit_test(javascript_traps),
	    cmocka_unit_test(other_traps),
	    cmocka_unit_test(small_readers),
	    cmocka_unit_test(any_text),
	    cmocka_unit_test(table_is_sound),
	    cmocka_unit_test(name_servers),
	    cmocka_unit_test(names_as_the_machine_has_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
