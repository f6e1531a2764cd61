/* SPDX-License-Identifier: MIT */
/*
 * The configuration: every row of the table, every way a file can be wrong, which source wins;
 * and that the example and the manual say what the table says.
 */
#include "unit.h"

#include "conf/conf.h"

/* A private directory, in which HOME and XDG_CONFIG_HOME are, and no variable of ours. */
static int
setup(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *xdg = in_dir(dir, "xdg");
	DM_AUTO_FREE char *user = in_dir(dir, "xdg/devmesh");
	struct dm_err err;

	for (size_t i = 0; i < conf_key_count; i++) {
		DM_AUTO_FREE char *name = conf_env_name(&conf_keys[i]);

		assert_int_equal(unsetenv(name), 0);
	}
	assert_int_equal(setenv("HOME", dir, 1), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", xdg, 1), 0);
	assert_ok(dm_make_dirs(user, 0700, &err), &err);
	*state = dir;
	return 0;
}

static int
teardown(void **state)
{
	remove_tree(*state);
	return 0;
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* The value of "section.name" as written. */
static const struct conf_value *
value_of(const struct conf *conf, const char *section, const char *name)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		if (strcmp(conf_keys[i].section, section) == 0 &&
		    strcmp(conf_keys[i].name, name) == 0)
			return &conf->values[i];
	}
	fail_msg("no key %s.%s", section, name);
	return NULL;
}

static bool
parse(struct conf *conf, const char *text, struct dm_err *err)
{
	return conf_parse_text(conf, text, strlen(text), "f.ini", err);
}

static void
table_is_sound(void **state)
{
	(void)state;
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		DM_AUTO_FREE char *name = conf_env_name(key);

		assert_true(dm_starts_with(name, "DEVMESH_"));
		assert_int_equal(
		    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"), strlen(name));
		assert_true(key->offset < offsetof(struct conf, values));
		assert_true(strlen(key->help) > 10 && dm_ends_with(key->help, "."));
		assert_int_equal(key->type == CONF_CHOICE, key->choices != NULL);
		if (key->type == CONF_NUMBER)
			assert_true(key->min < key->max);
		if (key->type >= CONF_NUMBER)
			assert_non_null(key->fallback);
		for (size_t j = 0; j < i; j++) {
			assert_true(key->offset != conf_keys[j].offset);
			assert_true(strcmp(key->name, conf_keys[j].name) != 0 ||
				    strcmp(key->section, conf_keys[j].section) != 0);
		}
	}
}

/* The rows that other parts and the design rely on. */
static void
defaults(void **state)
{
	dm_auto(conf) conf = conf_new();

	(void)state;
	assert_null(conf->domain);
	assert_null(conf->app);
	assert_null(conf->admin);
	assert_null(conf->server);
	assert_null(conf->state_dir);
	assert_int_equal(conf->registration, CONF_REGISTRATION_AUTO);
	assert_int_equal(conf->timeout_ms, 5000);
	assert_false(conf->allow_https_change);
	assert_string_equal(conf->sockets_dir, "/tmp/caddy-dev");
	assert_int_equal(conf->http_port, 0);
	assert_int_equal(conf->https_port, 0);
	assert_string_equal(conf->caddy, "caddy");
	for (size_t i = 0; i < conf_key_count; i++) {
		const char *fallback = conf_keys[i].fallback, *text = conf->values[i].text;

		assert_string_equal(conf->values[i].origin, "default");
		assert_int_equal(fallback == NULL, text == NULL);
		if (fallback != NULL)
			assert_string_equal(text, fallback);
	}
}

static const char every_key[] =
    "; all of them\n"
    "[mesh]\n"
    "domain = dev.example.com\n"
    "app = My App\n"
    "[caddy]\n"
    "admin = unix:///run/caddy/admin.sock\n"
    "server = srv1\n"
    "registration = route\n"
    "timeout = 250   ; ms\n"
    "allow_https_change = YES\n"
    "[sockets]\n"
    "dir = ~/sockets//\n"
    "[local]\n"
    "http_port = 8081\n"
    "https_port: 8444\n"
    "state_dir = /var/lib/x\n"
    "caddy = /opt/caddy\n"
    "access_log = no\n"
    "[run]\n"
    "worktree_gone = keep\nlog_kb = 8\nrestore = yes\non_request = on\nidle_stop = 9\n"
    "[daemon]\nstart = no\ngrace = 1\nprobe_interval = 2\nscan_interval = 3\nport_from = 4\n"
    "port_to = 5\norphans = end\nhistory_days = 6\nhistory_mb = 7\n"
    "[lan]\nenabled = yes\ninterface = wlan0\naddress = 10.0.0.1\nranges = 10.8.0.0/24\n"
    "phone_port = 8\nmdns = yes\n[dns]\nenabled = no\nport = 9\ndepth = 2\n"
    "[record]\nprovider = cloudflare\nzone = b.example\ntoken_file = /t\nallow_public = yes\n";

static void
sets_every_key(void **state)
{
	dm_auto(conf) conf = conf_new();
	DM_AUTO_FREE char *sockets = in_dir(*state, "sockets");
	struct dm_err err;

	assert_ok(parse(conf, every_key, &err), &err);
	assert_string_equal(conf->domain, "dev.example.com");
	assert_string_equal(conf->app, "My App");
	assert_string_equal(conf->admin, "unix:///run/caddy/admin.sock");
	assert_string_equal(conf->server, "srv1");
	assert_int_equal(conf->registration, CONF_REGISTRATION_ROUTE);
	assert_int_equal(conf->timeout_ms, 250);
	assert_true(conf->allow_https_change);
	assert_string_equal(conf->sockets_dir, sockets);
	assert_int_equal(conf->http_port, 8081);
	assert_int_equal(conf->https_port, 8444);
	assert_string_equal(conf->state_dir, "/var/lib/x");
	assert_string_equal(conf->caddy, "/opt/caddy");
	assert_false(conf->access_log);
	assert_int_equal(conf->worktree_gone, CONF_WORKTREE_GONE_KEEP);
	assert_int_equal(conf->log_kb, 8);
	assert_true(conf->restore);
	assert_true(conf->on_request);
	assert_int_equal(conf->idle_stop, 9);
	assert_false(conf->daemon_start);
	assert_int_equal(conf->grace_s, 1);
	assert_int_equal(conf->probe_s, 2);
	assert_int_equal(conf->scan_s, 3);
	assert_int_equal(conf->port_from, 4);
	assert_int_equal(conf->port_to, 5);
	assert_int_equal(conf->orphans, CONF_ORPHANS_END);
	assert_int_equal(conf->history_days, 6);
	assert_int_equal(conf->history_mb, 7);
	assert_true(conf->lan_enabled && conf->mdns);
	assert_string_equal(conf->lan_interface, "wlan0");
	assert_string_equal(conf->lan_address, "10.0.0.1");
	assert_string_equal(conf->lan_ranges, "10.8.0.0/24");
	assert_int_equal(conf->phone_port, 8);
	assert_false(conf->dns_enabled);
	assert_int_equal(conf->dns_port, 9);
	assert_int_equal(conf->dns_depth, 2);
	assert_int_equal(conf->record_provider, CONF_RECORD_CLOUDFLARE);
	assert_string_equal(conf->record_zone, "b.example");
	assert_string_equal(conf->record_token_file, "/t");
	assert_true(conf->record_allow_public);
	for (size_t i = 0; i < conf_key_count; i++)
		assert_true(dm_starts_with(conf->values[i].origin, "f.ini:"));
	assert_string_equal(value_of(conf, "mesh", "domain")->origin, "f.ini:3");
	assert_string_equal(value_of(conf, "sockets", "dir")->text, "~/sockets//");
}

/* An empty value is the default again; a later file wins. */
static void
unsets(void **state)
{
	dm_auto(conf) conf = conf_new();
	struct dm_err err;

	(void)state;
	assert_ok(parse(conf, every_key, &err), &err);
	assert_ok(parse(conf, "[mesh]\ndomain =\n[caddy]\ntimeout =\n", &err), &err);
	assert_null(conf->domain);
	assert_int_equal(conf->timeout_ms, 5000);
	assert_string_equal(value_of(conf, "mesh", "domain")->origin, "f.ini:2");
	assert_ok(parse(conf, "[mesh]\ndomain = b.c\n", &err), &err);
	assert_string_equal(conf->domain, "b.c");
	assert_string_equal(conf->app, "My App");
}

static void
accepted(void **state)
{
	static const char *const texts[] = {
	    "",
	    "\n\n",
	    "# comment\n; comment\n",
	    "\xef\xbb\xbf[mesh]\ndomain = a.b\n",
	    "[mesh]\r\ndomain = a.b\r\n",
	    "[mesh]\ndomain = a.b",
	    "[mesh]\ndomain = a.b\n[caddy]\n[mesh]\napp = x\n",
	    "[caddy]\nregistration = mesh\n",
	    "[caddy]\nadmin = http://localhost:2019\n",
	    "[caddy]\ntimeout = 100\n",
	    "[caddy]\ntimeout = 600000\n",
	    "[caddy]\nallow_https_change = off\n",
	    "[local]\nhttp_port = 65535\n",
	    "[sockets]\ndir = /\n",
	    "[lan]\nranges = fd00::/8 , 100.64.0.0/10 ; a VPN's\n",
	    "[lan]\naddress =\nranges =\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		dm_auto(conf) conf = conf_new();
		struct dm_err err;

		assert_ok(parse(conf, texts[i], &err), &err);
	}
}

/* Everything it does not know is an error that says where. */
static void
refused(void **state)
{
	static const struct {
		const char *text, *where, *why, *hint; /* hint: NULL: any */
	} rows[] = {
	    {"[mesh]\n\ndomian = x\n", "f.ini:3: ", "domian", "domain in [mesh]"},
	    {"[caddy]\ndomain = x.y\n", "f.ini:2: ", "[caddy]", "domain in [mesh]"},
	    {"[cady]\nadmin = http://x\n", "f.ini:2: ", "[cady]", "admin in [caddy]"},
	    {"[mesh]\nzzzzzz = 1\n", "f.ini:2: ", "zzzzzz", "devmesh config"},
	    {"domain = a.b\n", "f.ini:1: ", "no key", "domain in [mesh]"},
	    {"[mesh]\nDomain = a.b\n", "f.ini:2: ", "Domain", "domain in [mesh]"},
	    {"[mesh]\ndomain = a.b\ndomain = c.d\n", "f.ini:3: ", "second time", NULL},
	    {"[mesh]\ndomain = a.b\n[caddy]\n[mesh]\ndomain = c.d\n", "f.ini:5: ", "second time",
		NULL},
	    {"[mesh]\ndomain = Dev.X\n", "f.ini:2: ", "mesh.domain", "dev.example.com"},
	    {"[mesh]\ndomain = *.a.b\n", "f.ini:2: ", "not a domain", NULL},
	    {"[mesh]\napp = a\033b\n", "f.ini:2: ", "control", NULL},
	    {"[caddy]\nadmin = localhost:2019\n", "f.ini:2: ", "caddy.admin", "http://localhost"},
	    {"[caddy]\nadmin = https://x\n", "f.ini:2: ", "admin API", NULL},
	    {"[caddy]\nadmin = unix://relative\n", "f.ini:2: ", "admin API", NULL},
	    {"[caddy]\nregistration = Auto\n", "f.ini:2: ", "auto, route, mesh", NULL},
	    {"[caddy]\ntimeout = 99\n", "f.ini:2: ", "from 100 to 600000", NULL},
	    {"[caddy]\ntimeout = 5s\n", "f.ini:2: ", "number", NULL},
	    {"[caddy]\ntimeout = -1\n", "f.ini:2: ", "number", NULL},
	    {"[caddy]\ntimeout = 4294967396\n", "f.ini:2: ", "number", NULL},
	    {"[caddy]\nallow_https_change = maybe\n", "f.ini:2: ", "neither yes nor no", NULL},
	    {"[sockets]\ndir = relative\n", "f.ini:2: ", "absolute", NULL},
	    {"[local]\nhttps_port = 65536\n", "f.ini:2: ", "from 0 to 65535", NULL},
	    {"[lan]\naddress = wlan0\n", "f.ini:2: ", "lan.address: \"wlan0\" is no IPv4 address",
		"192.168.1.10"},
	    {"[lan]\naddress = 10.0.0.1/24\n", "f.ini:2: ", "no IPv4 address", NULL},
	    {"[lan]\naddress = fd00::1\n", "f.ini:2: ", "no IPv4 address", NULL},
	    {"[lan]\nranges = 10.8.0.0\n",
		"f.ini:2: ", "lan.ranges: \"10.8.0.0\" is no range of addresses", "10.8.0.0/24"},
	    {"[lan]\nranges = 10.8.0.0/24, vpn\n", "f.ini:2: ", "\"vpn\" is no range", NULL},
	    {"[mesh]\n\nnonsense\n", "f.ini:3: ", "understood", "key = value"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		dm_auto(conf) conf = conf_new();
		struct dm_err err;

		assert_fails(parse(conf, rows[i].text, &err), &err, DM_USAGE, rows[i].why);
		if (!dm_starts_with(err.msg, rows[i].where))
			fail_msg("not at %s but: %s", rows[i].where, err.msg);
		if (rows[i].hint != NULL)
			assert_holds(err.hint, rows[i].hint);
	}
}

/* The first mistake is the one that is reported, not what follows from it. */
static void
first_mistake(void **state)
{
	dm_auto(conf) conf = conf_new();
	struct dm_err err;

	(void)state;
	assert_fails(parse(conf, "[mesh\ndomain = a.b\n", &err), &err, DM_USAGE,
	    "f.ini:1: the line cannot be understood");
}

/* Keys may be indented below their section, as in git's files. */
static void
indented_keys(void **state)
{
	dm_auto(conf) conf = conf_new();
	struct dm_err err;

	(void)state;
	assert_ok(parse(conf, "[mesh]\n\tdomain = a.b\n\tapp = shop\n", &err), &err);
	assert_string_equal(conf->domain, "a.b");
	assert_string_equal(conf->app, "shop");
}

static void
odd_bytes(void **state)
{
	static const char nul[] = "[mesh]\ndomain = a.b\napp = x\0y\n";
	dm_auto(conf) conf = conf_new();
	DM_AUTO_FREE char *line = dm_asprintf("[mesh]\napp = %0300d\n", 1);
	struct dm_err err;

	(void)state;
	assert_fails(conf_parse_text(conf, nul, sizeof(nul) - 1, "f.ini", &err), &err, DM_USAGE,
	    "f.ini:3: the line holds a NUL");
	assert_fails(parse(conf, line, &err), &err, DM_USAGE, "f.ini:2: the line is too long");
}

static void
environment_wins(void **state)
{
	DM_AUTO_FREE char *user = in_dir(*state, "xdg/devmesh/config.ini");
	DM_AUTO_FREE char *file = in_dir(*state, "given.ini");
	dm_auto(conf) conf = NULL;
	struct dm_err err;

	put_file(user, "[mesh]\ndomain = user.dev\napp = user\n[caddy]\nserver = user\n");
	put_file(file, "[mesh]\napp = given\n[caddy]\nserver = given\n");
	assert_int_equal(setenv("DEVMESH_CADDY_SERVER", "environment", 1), 0);
	assert_int_equal(setenv("DEVMESH_CADDY_TIMEOUT", "", 1), 0);
	conf = conf_load(file, &err);
	assert_ok(conf != NULL, &err);
	assert_string_equal(conf->domain, "user.dev");
	assert_string_equal(conf->app, "given");
	assert_string_equal(conf->server, "environment");
	assert_int_equal(conf->timeout_ms, 5000);
	assert_holds(value_of(conf, "mesh", "domain")->origin, "xdg/devmesh/config.ini:2");
	assert_holds(value_of(conf, "mesh", "app")->origin, "given.ini:2");
	assert_string_equal(
	    value_of(conf, "caddy", "server")->origin, "environment DEVMESH_CADDY_SERVER");
}

/* Each key can be set by its mechanical name, and an error names the variable. */
static void
environment_names(void **state)
{
	static const char *const good[] = {[CONF_DOMAIN] = "x.dev",
	    [CONF_ADMIN] = "http://x",
	    [CONF_PATH] = "/x",
	    [CONF_ADDRESS] = "10.0.0.1",
	    [CONF_RANGES] = "10.8.0.0/24, fd00::/8",
	    [CONF_WORD] = "x",
	    [CONF_BOOL] = "1"};
	static const char *const bad[] = {[CONF_DOMAIN] = "x..dev",
	    [CONF_ADMIN] = "x",
	    [CONF_PATH] = "x",
	    [CONF_ADDRESS] = "x",
	    [CONF_RANGES] = "x",
	    [CONF_WORD] = "x\ny",
	    [CONF_NUMBER] = "x",
	    [CONF_BOOL] = "x",
	    [CONF_CHOICE] = "x"};
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < conf_key_count; i++) {
		DM_AUTO_FREE char *name = conf_env_name(&conf_keys[i]);
		DM_AUTO_FREE char *most = dm_asprintf("%u", (unsigned)conf_keys[i].max);
		const char *value = conf_keys[i].choices != NULL       ? conf_keys[i].choices[1]
				    : conf_keys[i].type == CONF_NUMBER ? most
								       : good[conf_keys[i].type];
		dm_auto(conf) conf = NULL;

		assert_int_equal(setenv(name, value, 1), 0);
		conf = conf_load(NULL, &err);
		assert_ok(conf != NULL, &err);
		assert_string_equal(conf->values[i].text, value);
		assert_int_equal(setenv(name, bad[conf_keys[i].type], 1), 0);
		assert_fails(conf_load(NULL, &err) != NULL, &err, DM_USAGE, name);
		assert_int_equal(unsetenv(name), 0);
	}
}

static void
unusable_files(void **state)
{
	DM_AUTO_FREE char *file = in_dir(*state, "given.ini");
	DM_AUTO_FREE char *big = dm_calloc(70001, 1);
	dm_auto(conf) conf = NULL;
	struct dm_err err;

	assert_fails(conf_load(file, &err) != NULL, &err, DM_USAGE, file);
	assert_fails(conf_load(*state, &err) != NULL, &err, DM_USAGE, *state);
	memset(big, '\n', 70000);
	put_file(file, big);
	assert_fails(conf_load(file, &err) != NULL, &err, DM_USAGE, "larger than");
	put_file(file, "[mesh]\nbogus = 1\n");
	assert_fails(conf_load(file, &err) != NULL, &err, DM_USAGE, "given.ini:2");
	put_file(file, "[daemon]\nport_from = 3000\nport_to = 2000\n");
	assert_fails(conf_load(file, &err) != NULL, &err, DM_USAGE, "port_from is 3000");
	conf = conf_load("/dev/null", &err);
	assert_ok(conf != NULL, &err);
}

/* `text` has a line that is "<name> = ...", perhaps behind a comment sign. */
static bool
has_setting(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = text; (at = strstr(at, name)) != NULL; at += n) {
		const char *end = at + n, *start = at;

		while (start > text && strchr("#; \t", start[-1]) != NULL)
			start--;
		end += strspn(end, " \t");
		if ((start == text || start[-1] == '\n') && *end == '=')
			return true;
	}
	return false;
}

static void
example_file(void **state)
{
	DM_AUTO_FREE char *text = source_text("config.example.ini");
	dm_auto(conf) conf = conf_new();
	struct dm_err err;

	(void)state;
	assert_ok(conf_parse_text(conf, text, strlen(text), "config.example.ini", &err), &err);
	for (size_t i = 0; i < conf_key_count; i++) {
		DM_AUTO_FREE char *section = dm_asprintf("[%s]", conf_keys[i].section);

		assert_holds(text, section);
		if (!has_setting(text, conf_keys[i].name))
			fail_msg("config.example.ini does not show %s.%s", conf_keys[i].section,
			    conf_keys[i].name);
	}
}

/* In its section the manual has an item for every key, with its variable and its default. */
static void
manual(void **state)
{
	DM_AUTO_FREE char *text = source_text("registrar/devmesh.ini.5");

	(void)state;
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];
		DM_AUTO_FREE char *section = dm_asprintf("\n.Sh [%s]\n", key->section);
		DM_AUTO_FREE char *item = dm_asprintf("\n.It Ic %s ", key->name);
		DM_AUTO_FREE char *name = conf_env_name(key);
		DM_AUTO_FREE char *variable = dm_asprintf("\n.Ev %s\n", name);
		DM_AUTO_FREE char *standard =
		    dm_asprintf("default: %s", key->fallback != NULL ? key->fallback : "");
		const char *at = strstr(text, section), *next, *found, *line;

		if (at == NULL || (found = strstr(at, item)) == NULL ||
		    ((next = strstr(at + 1, "\n.Sh ")) != NULL && found > next)) {
			fail_msg("devmesh.ini(5) has no item for %s.%s", key->section, key->name);
			return;
		}
		next = strstr(found + 1, "\n.It ");
		line = strstr(found, variable);
		if (line == NULL || (next != NULL && line > next))
			fail_msg("devmesh.ini(5) does not say %s with %s.%s", name, key->section,
			    key->name);
		line = strstr(found, standard);
		if (key->fallback != NULL && (line == NULL || line > strchr(found + 1, '\n')))
			fail_msg("devmesh.ini(5) does not say that %s.%s is %s", key->section,
			    key->name, key->fallback);
	}
}

/* Uncommented, the example says what holds anyway: its defaults are the table's. */
static void
example_defaults(void **state)
{
	DM_AUTO_FREE char *text = source_text("config.example.ini");

	(void)state;
	for (size_t i = 0; i < conf_key_count; i++) {
		DM_AUTO_FREE char *setting = dm_asprintf("\n;%s = %s\n", conf_keys[i].name,
		    conf_keys[i].fallback != NULL ? conf_keys[i].fallback : "");

		if (conf_keys[i].fallback != NULL)
			assert_holds(text, setting);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table_is_sound),
	    cmocka_unit_test(defaults),
	    IN_DIR(sets_every_key),
	    cmocka_unit_test(unsets),
	    cmocka_unit_test(accepted),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(first_mistake),
	    cmocka_unit_test(indented_keys),
	    cmocka_unit_test(odd_bytes),
	    IN_DIR(environment_wins),
	    IN_DIR(environment_names),
	    IN_DIR(unusable_files),
	    cmocka_unit_test(example_file),
	    cmocka_unit_test(example_defaults),
	    cmocka_unit_test(manual),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
