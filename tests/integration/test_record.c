/* SPDX-License-Identifier: MIT */
/*
 * The public DNS record against a stand-in of the provider's API (record_stand_in.py), which checks
 * how it is asked: by the verb, and by devmeshd while the address of this machine changes.
 */
#include "harness_netns.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKEN "tEst-tokEn_0123456789abcdefghijklmnopqrs"
#define ZONE  "023e105f4ecef8ad9ca31a8372d0c353"
#define NAME  "*.me.dev.example.com"

struct provider {
	struct netns *ns;
	char *dir, *config, *token_file;
};

static bool
listens(struct world *w, const void *arg)
{
	const struct provider *p = arg;

	return exists(fmt(w, "%s/port", p->dir));
}

static void
put(struct world *w, const struct provider *p, const char *name, const char *text)
{
	char *path = fmt(w, "%s/%s", p->dir, name);

	write_text(fmt(w, "%s.new", path), text);
	assert_int_equal(rename(fmt(w, "%s.new", path), path), 0);
}

/* The records, of which each is "id content proxied" so far as a test cares. */
static void
put_record(struct world *w, const struct provider *p, const char *content, const char *more)
{
	put(w, p, "records",
	    fmt(w,
		"[{\"id\":\"r1\",\"zone\":\"" ZONE "\",\"name\":\"" NAME
		"\",\"type\":\"A\",\"content\":\"%s\",\"ttl\":300,\"proxied\":false}%s]",
		content, more));
}

static void
configure(struct world *w, const struct provider *p, const char *more)
{
	write_text(
	    p->config, fmt(w,
			   "[mesh]\ndomain = me.dev.example.com\n[lan]\nenabled = yes\n[record]\n"
			   "provider = cloudflare\ntoken_file = %s\n%s",
			   p->token_file, more));
}

/* A laptop at 192.168.1.10, a zone that the domain is below, and no record yet. */
static struct provider *
begin(struct world *w)
{
	struct provider *p = world_keep(w, calloc(1, sizeof *p), free);

	p->ns = netns_new(w);
	netns_interface(w, p->ns, "wlan0", "192.168.1.10/24");
	netns_ip(w, p->ns, "route add default via 192.168.1.1");
	p->dir = make_dir(w, "provider");
	p->config = fmt(w, "%s/devmesh.ini", w->home);
	p->token_file = fmt(w, "%s/record-token", w->home);
	write_text(p->token_file, TOKEN "\n");
	assert_int_equal(chmod(p->token_file, 0600), 0);
	put(w, p, "zones",
	    "[{\"id\":\"" ZONE "\",\"name\":\"example.com\",\"status\":\"active\"}]");
	(void)netns_start(w, p->ns,
	    ARGV("python3", fmt(w, "%s/tests/integration/record_stand_in.py", source_dir()),
		p->dir));
	assert_true(wait_until(w, listens, p, DEADLINE_MS));
	world_env(w, "DEVMESH_TEST_RECORD_API",
	    fmt(w, "http://127.0.0.1:%s/client/v4", read_text(w, fmt(w, "%s/port", p->dir))));
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	configure(w, p, "");
	return p;
}

/* The laptop has another address. */
static void
move(struct world *w, const struct provider *p, const char *from, const char *to)
{
	netns_ip(w, p->ns, fmt(w, "addr add %s dev wlan0", to));
	netns_ip(w, p->ns, fmt(w, "addr del %s dev wlan0", from));
}

/* How many requests of this method there were; all of them as documented. */
static int
asked(struct world *w, const struct provider *p, const char *method)
{
	char *text = read_text(w, fmt(w, "%s/log", p->dir)), *line, *end;
	int n = 0;

	for (line = text; line != NULL && *line != '\0'; line = end + 1) {
		cJSON *o;

		end = strchr(line, '\n');
		assert_non_null(end);
		o = json_of(w, fmt(w, "%.*s", (int)(end - line), line));
		if (!json_null(o, "wrong"))
			fail_msg("not as documented: %s", cJSON_Print(o));
		n += strcmp(json_str(o, "method"), method) == 0;
	}
	return n;
}

static int
writes(struct world *w, const struct provider *p)
{
	return asked(w, p, "POST") + asked(w, p, "PATCH") + asked(w, p, "PUT") +
	       asked(w, p, "DELETE");
}

/* The only record that there is. */
static const cJSON *
record_of(struct world *w, const struct provider *p)
{
	cJSON *list = json_any(w, read_text(w, fmt(w, "%s/records", p->dir)));

	assert_int_equal(cJSON_GetArraySize(list), 1);
	return cJSON_GetArrayItem(list, 0);
}

static struct result
record(struct world *w, const struct provider *p, const char *word, const char *flag)
{
	return netns_run(w, p->ns, ARGV(w->devmesh, "record", word, flag));
}

/* It fails so, and tells nobody the token. */
static void
assert_fails_with(struct world *w, const struct provider *p, int code, const char *word)
{
	struct result r = record(w, p, "update", NULL), json = record(w, p, "update", "--json");

	if (strstr(r.err, TOKEN) != NULL || strstr(json.out, TOKEN) != NULL)
		fail_msg("the token is told: %s%s", r.err, json.out);
	assert_error(w, r, code, word);
	assert_int_equal(json.code, code);
}

/* ---- the verb ----------------------------------------------------------------------------- */

TEST(it_is_created_and_then_right)
{
	struct provider *p = begin(w);
	struct result r = record(w, p, NULL, NULL);
	const cJSON *o;

	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "a new record would be written in the zone example.com"));
	r = record(w, p, "update", "--dry-run");
	assert_non_null(strstr(r.out, "192.168.1.10"));
	assert_int_equal(writes(w, p), 0);
	o = cJSON_GetObjectItem(json_of(w, record(w, p, "update", "--json").out), "record");
	assert_string_equal(json_str(o, "action"), "create");
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(o, "written")));
	assert_string_equal(json_str(o, "zone"), "example.com");
	assert_true(json_null(o, "found"));
	o = record_of(w, p);
	assert_string_equal(json_str(o, "name"), NAME);
	assert_string_equal(json_str(o, "type"), "A");
	assert_string_equal(json_str(o, "content"), "192.168.1.10");
	assert_int_equal(json_number(o, "ttl"), 60);
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(o, "proxied")));
	/* right already */
	r = record(w, p, "update", NULL);
	assert_non_null(strstr(r.out, "as it has to"));
	assert_int_equal(asked(w, p, "POST"), 1);
	assert_int_equal(writes(w, p), 1);
}

TEST(it_is_changed_and_nothing_else)
{
	struct provider *p = begin(w);
	struct result r;

	put_record(w, p, "10.0.0.99", "");
	r = record(w, p, "update", NULL);
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "it was 10.0.0.99"));
	assert_string_equal(json_str(record_of(w, p), "id"), "r1");
	assert_string_equal(json_str(record_of(w, p), "content"), "192.168.1.10");
	assert_int_equal(asked(w, p, "PATCH"), 1);
	assert_int_equal(writes(w, p), 1);
	/* a ttl of one's own is left alone; what leads to the provider's own proxy is not */
	put_record(w, p, "192.168.1.10", "");
	assert_exit(w, record(w, p, "update", NULL), 0);
	assert_int_equal(writes(w, p), 1);
	put(w, p, "records",
	    "[{\"id\":\"r1\",\"zone\":\"" ZONE "\",\"name\":\"" NAME "\",\"type\":\"A\","
	    "\"content\":\"192.168.1.10\",\"ttl\":1,\"proxied\":true}]");
	assert_exit(w, record(w, p, "update", NULL), 0);
	assert_true(cJSON_IsFalse(cJSON_GetObjectItem(record_of(w, p), "proxied")));
	assert_int_equal(writes(w, p), 2);
}

TEST(what_is_not_its_own_stays)
{
	struct provider *p = begin(w);

	put_record(w, p, "203.0.113.80", "");
	assert_fails_with(w, p, 4, "a public address, which devmesh does not replace");
	put_record(w, p, "10.0.0.1",
	    ",{\"id\":\"r2\",\"zone\":\"" ZONE "\",\"name\":\"" NAME
	    "\",\"type\":\"A\",\"content\":\"192.168.1.10\",\"ttl\":60,\"proxied\":false}");
	assert_fails_with(w, p, 4, "has 2 A records");
	/* others of the zone are nobody's business, however many pages they are on */
	put(w, p, "pages", "1");
	put(w, p, "zones",
	    "[{\"id\":\"z0\",\"name\":\"example.com\",\"status\":\"pending\"},"
	    "{\"id\":\"" ZONE "\",\"name\":\"example.com\",\"status\":\"active\"}]");
	assert_fails_with(w, p, 4, "has 2 A records");
	put(w, p, "records",
	    "[{\"id\":\"r1\",\"zone\":\"" ZONE "\",\"name\":\"" NAME
	    "\",\"type\":\"AAAA\",\"content\":\"fd00::1\",\"ttl\":60,\"proxied\":false},"
	    "{\"id\":\"r2\",\"zone\":\"" ZONE "\",\"name\":\"*.example.com\",\"type\":\"A\","
	    "\"content\":\"203.0.113.1\",\"ttl\":60,\"proxied\":false}]");
	assert_int_equal(writes(w, p), 0);
	assert_exit(w, record(w, p, "update", NULL), 0);
	assert_int_equal(asked(w, p, "POST"), 1);
	/* a name that leads elsewhere already */
	put(w, p, "records",
	    "[{\"id\":\"r1\",\"zone\":\"" ZONE "\",\"name\":\"" NAME
	    "\",\"type\":\"CNAME\",\"content\":\"example.net\",\"ttl\":60,\"proxied\":false}]");
	assert_fails_with(w, p, 1, "A CNAME record with that host already exists. (81054)");
}

TEST(the_zone_is_the_longest_one_or_as_configured)
{
	struct provider *p = begin(w);
	const cJSON *o;

	put(w, p, "zones",
	    "[{\"id\":\"z1\",\"name\":\"dev.example.com\",\"status\":\"active\"},"
	    "{\"id\":\"" ZONE "\",\"name\":\"example.com\",\"status\":\"active\"}]");
	o = cJSON_GetObjectItem(json_of(w, record(w, p, "status", "--json").out), "record");
	assert_string_equal(json_str(o, "zone"), "dev.example.com");
	configure(w, p, "zone = example.com\n");
	o = cJSON_GetObjectItem(json_of(w, record(w, p, "status", "--json").out), "record");
	assert_string_equal(json_str(o, "zone"), "example.com");
	configure(w, p, "zone = other.org\n");
	assert_fails_with(w, p, 2, "me.dev.example.com is not below other.org");
	put(w, p, "zones", "[]");
	configure(w, p, "zone = example.com\n");
	assert_fails_with(w, p, 3, "shows the token no zone example.com");
	configure(w, p, "");
	assert_fails_with(w, p, 3, "shows the token no zone");
}

TEST(only_private_addresses_are_published)
{
	struct provider *p = begin(w);

	move(w, p, "192.168.1.10/24", "203.0.113.5/24");
	assert_fails_with(w, p, 6, "203.0.113.5 is no private address");
	configure(w, p, "allow_public = yes\n");
	assert_exit(w, record(w, p, "update", NULL), 0);
	assert_string_equal(json_str(record_of(w, p), "content"), "203.0.113.5");
	/* others may not reach it: the names are for this machine alone */
	put(w, p, "records", "[]");
	world_env(w, "DEVMESH_LAN_ENABLED", "no");
	assert_exit(w, record(w, p, "update", NULL), 0);
	assert_string_equal(json_str(record_of(w, p), "content"), "127.0.0.1");
	world_env(w, "DEVMESH_LAN_ENABLED", NULL);
	netns_ip(w, p->ns, "link set wlan0 down");
	assert_fails_with(w, p, 3, "no network");
}

TEST(the_token_is_private_or_not_used)
{
	struct provider *p = begin(w);

	assert_int_equal(chmod(p->token_file, 0640), 0);
	assert_fails_with(w, p, 6, "can be read by others");
	assert_int_equal(unlink(p->token_file), 0);
	assert_fails_with(w, p, 1, "record.token_file");
	assert_int_equal(mkfifo(p->token_file, 0600), 0);
	assert_fails_with(w, p, 6, "is no regular file");
	assert_int_equal(unlink(p->token_file), 0);
	write_text(p->token_file, TOKEN "\r\nX-Other: header\n");
	assert_int_equal(chmod(p->token_file, 0600), 0);
	assert_fails_with(w, p, 2, "holds no token");
	write_text(p->token_file, TOKEN);
	assert_int_equal(chown(p->token_file, NOBODY, NOBODY), 0);
	assert_fails_with(w, p, 6, "belongs to another user");
	/* nobody has been asked for anything so far */
	assert_int_equal(asked(w, p, "GET"), 0);
	/* a variable sends it nowhere else */
	assert_int_equal(chown(p->token_file, 0, 0), 0);
	world_env(w, "DEVMESH_TEST_RECORD_API", "http://127.0.0.1:1@192.0.2.1/");
	assert_fails_with(w, p, 2, "is for tests");
	world_env(w, "DEVMESH_TEST_RECORD_API", "https://example.com/client/v4");
	assert_fails_with(w, p, 2, "is for tests");
}

TEST(refusals_and_nonsense_are_told)
{
	static const struct {
		const char *fail;
		int code;
		const char *word;
	} rows[] = {
	    {"{\"status\":403,\"code\":10000,\"message\":\"Authentication error\"", 6,
		"Authentication error (10000)"},
	    {"{\"status\":401,\"code\":10000,\"message\":\"" TOKEN " is bad\"", 6, "answers 401"},
	    {"{\"status\":400,\"code\":6003,\"message\":\"Invalid request headers\"", 6, "6003"},
	    {"{\"status\":400,\"code\":9109,\"message\":\"Invalid access token\"", 6, "9109"},
	    {"{\"status\":429,\"code\":10013,\"message\":\"Rate limited\"", 5, "answers 429"},
	    {"{\"status\":500,\"raw\":\"<html>\"", 5, "answers 500 to GET /zones"},
	    {"{\"status\":503,\"raw\":\"\"", 5, "answers 503"},
	    {"{\"status\":200,\"raw\":\"not JSON\"", 1, "no JSON object"},
	    {"{\"status\":200,\"raw\":\"[]\"", 1, "no JSON object"},
	    {"{\"status\":200,\"raw\":\"{}\"", 1, "answers 200"},
	    {"{\"status\":200,\"raw\":\"{\\\"success\\\":true}\"", 1, "not as documented"},
	    {"{\"status\":200,\"raw\":\"{\\\"success\\\":true,\\\"result\\\":{}}\"", 1,
		"not as documented"},
	    {"{\"status\":200,\"raw\":\"{\\\"success\\\":true,\\\"result\\\":[1]}\"", 1,
		"not as documented"},
	    {"{\"status\":200,\"raw\":\"{\\\"success\\\":true,\\\"result\\\":[{\\\"name\\\":"
	     "\\\"me.dev.example.com\\\",\\\"id\\\":\\\"../../x\\\"}]}\"",
		1, "not as documented"},
	    /* what is not read to its end may hold what would decide otherwise */
	    {"{\"status\":200,\"raw\":\"{\\\"success\\\":true,\\\"result\\\":[],"
	     "\\\"result_info\\\":{\\\"total_pages\\\":21}}\"",
		1, "has more than 20 pages"},
	    {"{\"status\":302,\"raw\":\"{}\"", 1, "answers 302"},
	};
	struct provider *p = begin(w);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		put(w, p, "fail", fmt(w, "%s,\"times\":2}", rows[i].fail));
		assert_fails_with(w, p, rows[i].code, rows[i].word);
		assert_false(exists(fmt(w, "%s/fail", p->dir)));
	}
	/* a token that the provider does not know */
	write_text(p->token_file, "another-token");
	assert_fails_with(w, p, 6, "Authentication error (10000)");
	/* and nobody at all */
	world_env(
	    w, "DEVMESH_TEST_RECORD_API", fmt(w, "http://127.0.0.1:%d/client/v4", free_port(w)));
	assert_fails_with(w, p, 5, "connect");
	assert_int_equal(writes(w, p), 0);
}

TEST(without_a_provider_there_is_nothing_to_keep)
{
	write_text(fmt(w, "%s/devmesh.ini", w->home), "");
	assert_error(w, DM(w, w->dir, "record"), 2, "record.provider is none");
	assert_error(w, DM(w, w->dir, "record", "delete"), 2, "not known");
	assert_error(w, DM(w, w->dir, "record", "--dry-run"), 2, "--dry-run");
}

/* ---- devmeshd ------------------------------------------------------------------------------ */

static const cJSON *
told(struct world *w, struct devmeshd *d)
{
	return wait_event(w, d, "record", NULL, NULL)->data;
}

static bool
has_looked(struct world *w, const void *arg)
{
	const struct devmeshd *d = arg;
	cJSON *o = cJSON_GetObjectItem(daemon_ask(w, d, "GET", "/api/v1/system", NULL), "record");

	return !json_null(o, "action");
}

/* The first look may be over before anybody listens to the events. */
static const cJSON *
kept(struct world *w, const struct devmeshd *d)
{
	assert_true(wait_until(w, has_looked, d, ANSWER_MS));
	return cJSON_GetObjectItem(daemon_ask(w, d, "GET", "/api/v1/system", NULL), "record");
}

static const cJSON *
told_of(struct world *w, struct devmeshd *d, const char *address)
{
	const cJSON *o;

	do
		o = told(w, d);
	while (strcmp(json_str(o, "address"), address) != 0 || !json_null(o, "problem"));
	return o;
}

TEST(it_follows_the_address_with_one_write_each)
{
	struct provider *p = begin(w);
	struct devmeshd *d = daemon_start(w);
	const cJSON *o = kept(w, d);

	assert_true(json_null(o, "problem"));
	assert_string_equal(json_str(o, "address"), "192.168.1.10");
	assert_string_equal(json_str(record_of(w, p), "content"), "192.168.1.10");
	move(w, p, "192.168.1.10/24", "10.20.30.40/8");
	o = told_of(w, d, "10.20.30.40");
	assert_string_equal(json_str(o, "found"), "192.168.1.10");
	assert_string_equal(json_str(record_of(w, p), "content"), "10.20.30.40");
	assert_int_equal(asked(w, p, "POST"), 1);
	assert_int_equal(asked(w, p, "PATCH"), 1);
	/* without a network it stays; the same address again is no reason to write */
	netns_ip(w, p->ns, "link set wlan0 down");
	(void)wait_event(w, d, "network", NULL, NULL);
	netns_ip(w, p->ns, "link set wlan0 up");
	move(w, p, "10.20.30.40/8", "172.16.0.9/12");
	(void)told_of(w, d, "172.16.0.9");
	assert_int_equal(writes(w, p), 3);
	/* nor is a reload, nor a restart */
	signal_proc(d->p, SIGHUP);
	(void)told_of(w, d, "172.16.0.9");
	daemon_end(w, d);
	d = daemon_start(w);
	assert_string_equal(json_str(kept(w, d), "action"), "none");
	assert_int_equal(writes(w, p), 3);
	assert_null(strstr(daemon_log(w, d), TOKEN));
}

static bool
is_held(struct world *w, const void *arg)
{
	const struct provider *p = arg;

	return exists(fmt(w, "%s/held", p->dir));
}

static void
await_network(struct world *w, struct devmeshd *d, const char *address)
{
	const cJSON *o;

	do
		o = wait_event(w, d, "network", NULL, NULL)->data;
	while (address == NULL
		   ? !json_null(o, "address")
		   : json_null(o, "address") || strcmp(json_str(o, "address"), address) != 0);
}

static void
move_while_held(struct world *w, const struct provider *p, const char *from, const char *to)
{
	put(w, p, "hold", "");
	(void)unlink(fmt(w, "%s/held", p->dir));
	move(w, p, from, to);
	assert_true(wait_until(w, is_held, p, ANSWER_MS));
}

/* A provider that takes its time holds nobody up, and what has changed meanwhile is not lost. */
TEST(it_follows_while_the_provider_is_slow)
{
	struct provider *p = begin(w);
	struct devmeshd *d = daemon_start(w);

	(void)kept(w, d);
	move_while_held(w, p, "192.168.1.10/24", "10.20.30.40/8");
	move(w, p, "10.20.30.40/8", "172.16.0.2/12");
	await_network(w, d, "172.16.0.2");
	assert_int_equal(unlink(fmt(w, "%s/hold", p->dir)), 0);
	(void)told_of(w, d, "172.16.0.2");
	assert_string_equal(json_str(record_of(w, p), "content"), "172.16.0.2");
	assert_true(writes(w, p) <= 3);
}

static void
reconfigure(struct world *w, const struct provider *p, struct devmeshd *d, const char *text)
{
	write_text(p->config, text);
	signal_proc(d->p, SIGHUP);
	(void)wait_event(w, d, "daemon", NULL, NULL);
}

/* What is under way when the configuration changes is not finished, nor is its end told. */
TEST(what_is_not_wanted_any_more_is_not_published)
{
	struct provider *p = begin(w);
	struct devmeshd *d = daemon_start(w);
	char *wanted = read_text(w, p->config);
	int before;

	(void)kept(w, d);
	before = writes(w, p);
	move_while_held(w, p, "192.168.1.10/24", "10.20.30.40/8");
	reconfigure(w, p, d, "");
	assert_int_equal(unlink(fmt(w, "%s/hold", p->dir)), 0);
	/* and when it is wanted again, it is made right */
	reconfigure(w, p, d, wanted);
	(void)told_of(w, d, "10.20.30.40");
	assert_int_equal(writes(w, p), before + 1);
	/* the same where it has to be another address now */
	move_while_held(w, p, "10.20.30.40/8", "172.16.0.2/12");
	*strstr(wanted, "yes") = '\0';
	reconfigure(w, p, d, fmt(w, "%sno%s", wanted, wanted + strlen(wanted) + 3));
	assert_int_equal(unlink(fmt(w, "%s/hold", p->dir)), 0);
	assert_string_equal(json_str(told(w, d), "address"), "127.0.0.1");
	assert_string_equal(json_str(record_of(w, p), "content"), "127.0.0.1");
	assert_int_equal(writes(w, p), before + 2);
}

static void
go_and_come_back(struct world *w, const struct provider *p, struct devmeshd *d)
{
	for (int i = 0; i < 3; i++) {
		netns_ip(w, p->ns, "link set wlan0 down");
		await_network(w, d, NULL);
		netns_ip(w, p->ns, "link set wlan0 up");
		netns_ip(w, p->ns, "route add default via 192.168.1.1");
		await_network(w, d, "192.168.1.10");
	}
}

/* A network that goes and comes back as it was has changed nothing that the provider knows. */
TEST(other_changes_of_the_network_ask_nobody)
{
	struct provider *p = begin(w);
	struct devmeshd *d = daemon_start(w);
	int before;

	(void)kept(w, d);
	before = asked(w, p, "GET");
	go_and_come_back(w, p, d);
	/* nor when the provider refuses, which lasts: only another address is a reason */
	put(w, p, "fail",
	    "{\"status\":403,\"code\":10000,\"message\":\"Authentication error\",\"times\":1}");
	signal_proc(d->p, SIGHUP);
	while (json_null(told(w, d), "problem"))
		;
	assert_int_equal(asked(w, p, "GET"), before + 1);
	go_and_come_back(w, p, d);
	move(w, p, "192.168.1.10/24", "10.20.30.40/8");
	(void)told_of(w, d, "10.20.30.40");
	/* one look has as many questions as the first one had */
	assert_int_equal(asked(w, p, "GET"), before + 1 + before);
}

TEST(it_is_patient_and_does_not_give_up)
{
	struct provider *p = begin(w);
	struct devmeshd *d;
	const struct happened *failed, *written;

	put(w, p, "fail",
	    "{\"status\":429,\"code\":10013,\"message\":\"Slow down\",\"retry_after\":\"7\"}");
	/* others hold it up long enough to be listened to */
	write_text(p->config, "");
	d = daemon_start(w);
	configure(w, p, "");
	signal_proc(d->p, SIGHUP);
	failed = wait_event(w, d, "record", NULL, NULL);
	assert_non_null(strstr(json_str(failed->data, "problem"), "Slow down (10013)"));
	/* neither another address nor a reload makes it come earlier */
	move(w, p, "192.168.1.10/24", "10.20.30.40/8");
	signal_proc(d->p, SIGHUP);
	written = wait_event(w, d, "record", NULL, NULL);
	assert_true(cJSON_IsTrue(cJSON_GetObjectItem(written->data, "written")));
	assert_true(written->at_ms - failed->at_ms >= 7000 - INEXACT_MS);
	assert_string_equal(json_str(record_of(w, p), "content"), "10.20.30.40");
	assert_int_equal(writes(w, p), 1);
	/* a worker's failure is no end either */
	put(w, p, "fail", "{\"status\":503,\"raw\":\"\"}");
	move(w, p, "10.20.30.40/8", "172.16.0.2/12");
	failed = wait_event(w, d, "record", NULL, NULL);
	while (json_null(failed->data, "problem"))
		failed = wait_event(w, d, "record", NULL, NULL);
	(void)told_of(w, d, "172.16.0.2");
	assert_string_equal(json_str(record_of(w, p), "content"), "172.16.0.2");
	assert_null(strstr(daemon_log(w, d), TOKEN));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(it_is_created_and_then_right),
	    WORLD_TEST(it_is_changed_and_nothing_else),
	    WORLD_TEST(what_is_not_its_own_stays),
	    WORLD_TEST(the_zone_is_the_longest_one_or_as_configured),
	    WORLD_TEST(only_private_addresses_are_published),
	    WORLD_TEST(the_token_is_private_or_not_used),
	    WORLD_TEST(refusals_and_nonsense_are_told),
	    WORLD_TEST(without_a_provider_there_is_nothing_to_keep),
	    DAEMON_TEST(it_follows_the_address_with_one_write_each),
	    DAEMON_TEST(it_follows_while_the_provider_is_slow),
	    DAEMON_TEST(what_is_not_wanted_any_more_is_not_published),
	    DAEMON_TEST(other_changes_of_the_network_ask_nobody),
	    DAEMON_TEST(it_is_patient_and_does_not_give_up),
	};

	return RUN_TESTS(tests);
}
