/* SPDX-License-Identifier: MIT */
/*
 * What setup writes: Caddy's configuration, units, property lists and lines of config.ini. They
 * are judged by who will read them: cJSON, caddy validate, systemd-analyze, systemd-tmpfiles,
 * Python's plistlib and sh. The modules for Cloudflare are in no Caddy here: of that configuration
 * only the structure is checked.
 */
#include "units.h"

#include <cjson/cJSON.h>

#include "setup_ini.h"

static const cJSON *
at(const cJSON *o, const char *path)
{
	while (*path != '\0' && o != NULL) {
		size_t n = strcspn(path, "/");
		DM_AUTO_FREE char *key = dm_strndup(path, n);

		o = cJSON_IsArray(o) ? cJSON_GetArrayItem(o, key[0] - '0')
				     : cJSON_GetObjectItemCaseSensitive(o, key);
		path += n + (path[n] == '/' ? 1 : 0);
	}
	return o;
}

static void
assert_text(const cJSON *o, const char *path, const char *want)
{
	const cJSON *item = at(o, path);

	if (!cJSON_IsString(item))
		fail_msg("no text at %s", path);
	assert_string_equal(item->valuestring, want);
}

static cJSON *
config_of(const struct setup_facts *f)
{
	struct setup_plan plan = plan_of(f);
	cJSON *o = cJSON_Parse(file_of(&plan, "/caddy.json")->text);

	assert_non_null(o);
	setup_plan_release(&plan);
	return o;
}

static void
certificate_by_dns(void **state)
{
	struct setup_facts f = facts_with_dns();
	cJSON *o = config_of(&f);

	(void)state;
	assert_text(o, "admin/listen", "localhost:2019");
	assert_null(at(o, "admin/config")); /* it persists: for --resume */
	assert_text(o, "apps/tls/certificates/automate/0", "*.dev.example.com");
	assert_text(o, "apps/tls/automation/policies/0/subjects/0", "*.dev.example.com");
	assert_int_equal(cJSON_GetArraySize(at(o, "apps/tls/automation/policies")), 1);
	assert_int_equal(cJSON_GetArraySize(at(o, "apps/tls/automation/policies/0/issuers")), 1);
	assert_text(o, "apps/tls/automation/policies/0/issuers/0/module", "acme");
	assert_text(o, "apps/tls/automation/policies/0/issuers/0/email", "me@example.com");
	assert_text(o, "apps/tls/automation/policies/0/issuers/0/challenges/dns/provider/name",
	    "cloudflare");
	assert_text(o, "apps/tls/automation/policies/0/issuers/0/challenges/dns/provider/api_token",
	    "{env.CLOUDFLARE_API_TOKEN}");
	/* the machine's own resolver may ask devmeshd about the domain */
	assert_text(
	    o, "apps/tls/automation/policies/0/issuers/0/challenges/dns/resolvers/0", "1.1.1.1:53");
	assert_text(
	    o, "apps/tls/automation/policies/0/issuers/0/challenges/dns/resolvers/1", "9.9.9.9:53");
	/* else two jobs would race for one certificate */
	assert_true(
	    cJSON_IsTrue(at(o, "apps/http/servers/srv0/automatic_https/disable_certificates")));
	assert_text(o, "apps/http/servers/srv0/routes/0/@id", "devmesh.mesh");
	assert_null(at(o, "apps/pki"));
	/* as a service of the machine it is another user: there is no log that we could read */
	assert_null(at(o, "apps/http/servers/srv0/logs"));
	assert_null(at(o, "logging/logs/requests"));
	cJSON_Delete(o);
	f.access_log = "/home/me/state/caddy/access.log";
	o = config_of(&f);
	assert_text(o, "logging/logs/requests/writer/filename", f.access_log);
	assert_text(o, "logging/logs/default/level", "INFO");
	assert_text(o, "apps/http/servers/srv0/logs/default_logger_name", "requests");
	cJSON_Delete(o);
}

static void
record_in_dns(void **state)
{
	struct setup_facts f = facts_with_dns();
	cJSON *o = config_of(&f);

	(void)state;
	assert_text(o, "apps/dynamic_dns/dns_provider/api_token", "{env.CLOUDFLARE_API_TOKEN}");
	assert_text(o, "apps/dynamic_dns/domains/example.com/0", "*.dev");
	assert_text(o, "apps/dynamic_dns/ip_sources/0/source", "interface");
	assert_text(o, "apps/dynamic_dns/ip_sources/0/name", "lo");
	assert_true(cJSON_IsTrue(at(o, "apps/dynamic_dns/versions/ipv4")));
	assert_true(cJSON_IsFalse(at(o, "apps/dynamic_dns/versions/ipv6")));
	/* what is published is what is listened on */
	assert_text(o, "apps/dynamic_dns/includes/0", "127.0.0.0/8");
	assert_text(o, "apps/http/servers/srv0/listen/0", "127.0.0.1:443");
	cJSON_Delete(o);

	f.lan = true;
	f.interface = "eth0";
	f.domain = f.zone;
	o = config_of(&f);
	assert_text(o, "apps/dynamic_dns/domains/example.com/0", "*");
	assert_text(o, "apps/dynamic_dns/includes/0", "10.0.0.0/8");
	assert_int_equal(cJSON_GetArraySize(at(o, "apps/dynamic_dns/includes")), 4);
	assert_text(o, "apps/http/servers/srv0/listen/0", ":443");
	assert_int_equal(cJSON_GetArraySize(at(o, "apps/http/servers/srv0/listen")), 1);
	cJSON_Delete(o);
}

/* Two who keep one record would undo each other's. */
static void
record_of_somebody_else(void **state)
{
	struct setup_facts f = facts_with_dns();
	cJSON *o;

	(void)state;
	f.other_record = true;
	o = config_of(&f);
	assert_null(at(o, "apps/dynamic_dns"));
	assert_text(o, "apps/tls/automation/policies/0/issuers/0/challenges/dns/provider/name",
	    "cloudflare");
	cJSON_Delete(o);
}

/* A real Caddy accepts the configuration that needs no modules. */
static void
caddy_accepts_its_own_ca(void **state)
{
	char *dir = temp_dir();
	struct setup_facts f = linux_facts;

	(void)state;
	assert_int_equal(setenv("XDG_DATA_HOME", dir, 1), 0);
	assert_int_equal(setenv("XDG_CONFIG_HOME", dir, 1), 0);
	assert_int_equal(setenv("HOME", dir, 1), 0);
	for (int lan = 0; lan < 2; lan++) {
		struct setup_plan plan;
		DM_AUTO_FREE char *path = NULL;
		cJSON *o;

		f.lan = lan != 0;
		f.admin = lan != 0 ? "unix:///tmp/a b.sock" : "http://localhost:2019";
		plan = plan_of(&f);
		path = place(dir, &plan, "/caddy.json");
		ACCEPTS("caddy", "validate", "--config", path);
		setup_plan_release(&plan);
		o = config_of(&f);
		assert_text(o, "apps/tls/automation/policies/0/issuers/0/module", "internal");
		assert_true(
		    cJSON_IsFalse(at(o, "apps/pki/certificate_authorities/local/install_trust")));
		assert_null(at(o, "apps/dynamic_dns"));
		cJSON_Delete(o);
	}
	remove_tree(dir);
}

static void
the_token_is_in_one_file(void **state)
{
	struct setup_facts all[] = {facts_with_dns(), facts_with_dns(), mac_facts()};
	struct dm_err err;

	(void)state;
	all[1].debian_caddy = true;
	for (size_t i = 0; i < COUNT(all); i++) {
		struct setup_plan plan = plan_of(&all[i]);
		const struct setup_file *env = file_of(&plan, "/caddy.env");
		DM_AUTO_FREE char *token = NULL;

		for (size_t k = 0; k < plan.count; k++) {
			if (&plan.files[k] != env)
				assert_null(strstr(plan.files[k].text, TOKEN));
		}
		assert_non_null(env);
		assert_int_equal(env->mode, 0600);
		assert_null(strstr(env->shown, TOKEN));
		token = setup_env_token(env->text);
		assert_string_equal(token, TOKEN);
		setup_plan_release(&plan);
	}
	assert_ok(setup_token_valid(TOKEN, &err), &err);
	assert_fails(setup_token_valid("'" TOKEN "'", &err), &err, DM_USAGE, "first 0");
	assert_null(strstr(err.msg, TOKEN));
	assert_fails(setup_token_valid("short", &err), &err, DM_USAGE, "5 bytes");
	assert_fails(setup_token_valid(TOKEN "$(id)", &err), &err, DM_USAGE, "not one");
	assert_null(strstr(err.msg, "id"));
}

static void
systemd_accepts_its_units(void **state)
{
	char *dir = temp_dir();

	(void)state;
	for (int user = 0; user < 2; user++) {
		struct setup_facts f = user != 0 ? linux_facts : facts_with_dns();
		struct setup_plan plan;
		DM_AUTO_FREE char *unit = NULL;
		const char *text;

		f.user_scope = user != 0;
		plan = plan_of(&f);
		unit = place(dir, &plan, "/devmesh-caddy.service");
		ACCEPTS("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit);
		text = file_of(&plan, "/devmesh-caddy.service")->text;
		assert_holds(text, "--resume");
		assert_null(strstr(text, "@"));
		assert_null(strstr(text, "\nExecStart=caddy"));
		assert_int_equal(strstr(text, "--environ ") != NULL, 0);
		assert_int_equal(strstr(text, "EnvironmentFile=") != NULL, user == 0);
		assert_int_equal(strstr(text, "User=") != NULL, user == 0);
		assert_null(strstr(text, "RuntimeDirectory")); /* its admin API is on TCP */
		assert_null(strstr(text, "UMask"));
		setup_plan_release(&plan);
	}
	remove_tree(dir);
}

/* The drop-in is judged together with a unit like Debian's. */
static void
systemd_accepts_the_drop_in(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *unit = in_dir(dir, "caddy.service");
	DM_AUTO_FREE char *sub = in_dir(dir, "caddy.service.d");
	struct setup_facts f = facts_with_dns();
	struct setup_plan plan;
	DM_AUTO_FREE char *path = NULL;
	const char *text;

	(void)state;
	f.debian_caddy = true;
	plan = plan_of(&f);
	assert_null(file_of(&plan, "/devmesh-caddy.service"));
	put_file(unit, "[Service]\nType=notify\nUser=daemon\nPrivateTmp=true\n"
		       "ExecStart=/usr/bin/caddy run --environ --config /etc/caddy/Caddyfile\n"
		       "ExecReload=/usr/bin/caddy reload --config /etc/caddy/Caddyfile\n");
	assert_int_equal(mkdir(sub, 0755), 0);
	path = place(sub, &plan, "/caddy.service.d/devmesh.conf");
	ACCEPTS("systemd-analyze", "verify", "--man=no", unit);
	text = file_of(&plan, "/caddy.service.d/devmesh.conf")->text;
	assert_holds(text, "\nPrivateTmp=false\n");
	assert_null(strstr(text, "RuntimeDirectory"));
	assert_holds(text, "\nExecStart=\n"); /* a second one would be an error */
	assert_holds(text, "\nEnvironmentFile=/etc/devmesh/caddy.env\n");
	setup_plan_release(&plan);
	remove_tree(dir);
}

/* The admin API of a Caddy that has the token: in a directory of one person's. */
static void
one_person_reaches_the_token(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *unit = in_dir(dir, "caddy.service");
	DM_AUTO_FREE char *sub = in_dir(dir, "caddy.service.d");

	(void)state;
	assert_int_equal(mkdir(sub, 0755), 0);
	put_file(unit, "[Service]\nType=notify\nUser=daemon\nGroup=daemon\n"
		       "ExecStart=/usr/bin/caddy run --config /etc/caddy/Caddyfile\n");
	for (unsigned i = 0; i < 8; i++) {
		struct setup_facts f = facts_with_dns();
		const bool group = (i & 1) != 0;
		struct setup_plan plan;
		DM_AUTO_FREE char *path = NULL;
		const char *text;
		cJSON *o;

		f.admin_dir = "/run/devmesh";
		f.admin = "unix:///run/devmesh/admin.sock";
		f.admin_group = group ? "root" : NULL;
		f.debian_caddy = (i & 2) != 0;
		f.stream_close_delay = (i & 4) != 0;
		plan = plan_of(&f);
		path = f.debian_caddy ? place(sub, &plan, "/caddy.service.d/devmesh.conf")
				      : place(dir, &plan, "/devmesh-caddy.service");
		ACCEPTS("systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
		    f.debian_caddy ? unit : path);
		text = file_of(&plan, f.debian_caddy ? "service.d/devmesh.conf" : ".service")->text;
		assert_holds(text, "\nRuntimeDirectory=devmesh\n");
		assert_holds(text,
		    group ? "\nRuntimeDirectoryMode=0750\n" : "\nRuntimeDirectoryMode=0700\n");
		assert_holds(text, group ? "\nUMask=0007\n" : "\nUMask=0077\n");
		assert_int_equal(strstr(text, "\nGroup=root\n") != NULL, group);
		o = config_of(&f);
		/* only a Caddy that knows modes is told one: for others it would be in the name */
		assert_text(o, "admin/listen",
		    group && f.stream_close_delay ? "unix//run/devmesh/admin.sock|0220"
						  : "unix//run/devmesh/admin.sock");
		cJSON_Delete(o);
		setup_plan_release(&plan);
	}
	remove_tree(dir);
}

/* systemd-tmpfiles understands its file, and makes the directory. */
static void
tmpfiles_make_the_directory(void **state)
{
	char *dir = temp_dir();
	struct setup_facts f = linux_facts;
	struct setup_plan plan;
	DM_AUTO_FREE char *conf = NULL, *made = NULL;
	struct stat st;

	(void)state;
	made = in_dir(dir, "sockets");
	f.sockets_dir = made;
	f.user_scope = geteuid() != 0; /* who may not make directories of root's */
	plan = plan_of(&f);
	conf = place(dir, &plan, "/tmpfiles.d/devmesh.conf");
	ACCEPTS("systemd-tmpfiles", "--create", conf);
	assert_int_equal(stat(made, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	setup_plan_release(&plan);
	remove_tree(dir);
}

/* What launchd starts: it makes the directories, hands over the token, becomes Caddy. */
static void
launchd_script_runs(void **state)
{
	char *dir = temp_dir();
	DM_AUTO_FREE char *caddy = in_dir(dir, "caddy"), *sockets = in_dir(dir, "sockets");
	DM_AUTO_FREE char *home = in_dir(dir, "state"), *said = in_dir(dir, "said");
	DM_AUTO_FREE char *script = NULL, *env = NULL, *body = NULL;
	DM_AUTO_STR struct dm_str text = dm_str_make(4096);
	struct setup_facts f = mac_facts();
	struct setup_plan plan;
	struct stat st;
	struct dm_err err;

	(void)state;
	body = dm_asprintf("#!/bin/sh\n{ echo \"$CLOUDFLARE_API_TOKEN $*\"; umask; } >%s\n", said);
	put_file(caddy, body);
	assert_int_equal(chmod(caddy, 0755), 0);
	f.caddy = caddy;
	f.conf_dir = dir;
	f.state_dir = home;
	f.sockets_dir = sockets;
	plan = plan_of(&f);
	script = place(dir, &plan, "/caddy.sh");
	env = place(dir, &plan, "/caddy.env");
	assert_int_equal(file_of(&plan, "/caddy.sh")->mode, 0755);
	ACCEPTS("sh", script);
	ACCEPTS("sh", script); /* and again, with everything there */
	assert_int_equal(stat(sockets, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	assert_int_equal(stat(home, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_ok(dm_read_file(said, &text, &err), &err);
	assert_true(dm_starts_with(text.data, TOKEN " run --resume --config "));
	assert_true(dm_ends_with(text.data, "022\n"));
	setup_plan_release(&plan);
	/* root's socket, in the user's directory */
	f.admin_dir = "/var/lib/devmesh/admin";
	f.admin = "unix:///var/lib/devmesh/admin/admin.sock";
	plan = plan_of(&f);
	free(script);
	script = place(dir, &plan, "/caddy.sh");
	ACCEPTS("sh", script);
	text.len = 0;
	assert_ok(dm_read_file(said, &text, &err), &err);
	assert_true(dm_ends_with(text.data, "\n0000\n") || dm_ends_with(text.data, "\n0\n"));
	setup_plan_release(&plan);
	remove_tree(dir);
}

static void
own_files_are_known(void **state)
{
	struct setup_facts all[] = {facts_with_dns(), mac_facts()};

	(void)state;
	for (size_t i = 0; i < COUNT(all); i++) {
		struct setup_plan plan = plan_of(&all[i]);

		for (size_t k = 0; k < plan.count; k++) {
			char *text = plan.files[k].text;
			size_t n = strlen(text);

			assert_int_equal(setup_owner_of(text, n), SETUP_OURS);
			text[n - 2] = (char)(text[n - 2] ^ 1);
			assert_int_equal(setup_owner_of(text, n), SETUP_CHANGED);
		}
		setup_plan_release(&plan);
	}
	assert_int_equal(setup_owner_of("", 0), SETUP_FOREIGN);
	assert_int_equal(setup_owner_of("{}", 2), SETUP_FOREIGN);
	assert_int_equal(setup_owner_of("# written by devmesh setup, 12", 30), SETUP_FOREIGN);
}

static void
paths_that_would_need_escaping(void **state)
{
	static const char *const bad[] = {"/opt/a\"b", "/opt/a$b", "/opt/%h/caddy", "/opt/a&b",
	    "/opt/a\nb", "caddy", "/opt/@CONF@", "/opt/a\\b", "/opt/<b>", "/opt/a'b"};
	struct setup_facts f = linux_facts;
	struct setup_plan plan;
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		f.caddy = bad[i];
		assert_fails(setup_plan_make(&f, &plan, &err), &err, DM_USAGE, "character");
		setup_plan_release(&plan);
	}
}

static void
zones(void **state)
{
	(void)state;
	assert_string_equal(setup_zone_of("dev.example.com"), "example.com");
	assert_string_equal(setup_zone_of("a.b.example.dev"), "example.dev");
	assert_string_equal(setup_zone_of("example.dev"), "example.dev");
	assert_null(setup_zone_of("dev.example.co.uk"));
	assert_null(setup_zone_of("localhost"));
}

static void
ini(void **state)
{
	static const struct {
		const char *before, *after; /* NULL: a conflict */
	} rows[] = {
	    {"", "[mesh]\n; written by devmesh setup\ndomain = d.e\n"},
	    {"[mesh]\napp = x\n", "[mesh]\n; written by devmesh setup\ndomain = d.e\napp = x\n"},
	    {"[mesh]\ndomain=d.e\n", "[mesh]\ndomain=d.e\n"},
	    {"[mesh]\ndomain = other\n", NULL},
	    {"[mesh]\n;domain = other\n",
		"[mesh]\n; written by devmesh setup\ndomain = d.e\n;domain = other\n"},
	    {"[mesh]\n; written by devmesh setup\ndomain = old.e\napp = y\n",
		"[mesh]\n; written by devmesh setup\ndomain = d.e\napp = y\n"},
	    {"[caddy]\ndomain = x", "[caddy]\ndomain = x\n\n[mesh]\n; written by devmesh setup\n"
				    "domain = d.e\n"},
	    {"[mesh]", "[mesh]\n; written by devmesh setup\ndomain = d.e\n"},
	};
	struct dm_err err;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		DM_AUTO_FREE char *text =
		    setup_ini_set(rows[i].before, "mesh", "domain", "d.e", &err);
		DM_AUTO_FREE char *cleared = NULL;

		if (rows[i].after == NULL) {
			assert_null(text);
			assert_int_equal(err.code, DM_CONFLICT);
			continue;
		}
		assert_non_null(text);
		assert_string_equal(text, rows[i].after);
		cleared = setup_ini_clear(text);
		assert_null(strstr(cleared, "written by"));
	}
	assert_true(setup_ini_is_empty("[mesh]\n\n"));
	assert_false(setup_ini_is_empty("[mesh]\n; mine\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(certificate_by_dns),
	    cmocka_unit_test(record_in_dns),
	    cmocka_unit_test(record_of_somebody_else),
	    cmocka_unit_test(caddy_accepts_its_own_ca),
	    cmocka_unit_test(the_token_is_in_one_file),
	    cmocka_unit_test(systemd_accepts_its_units),
	    cmocka_unit_test(systemd_accepts_the_drop_in),
	    cmocka_unit_test(one_person_reaches_the_token),
	    cmocka_unit_test(tmpfiles_make_the_directory),
	    cmocka_unit_test(launchd_script_runs),
	    cmocka_unit_test(own_files_are_known),
	    cmocka_unit_test(paths_that_would_need_escaping),
	    cmocka_unit_test(zones),
	    cmocka_unit_test(ini),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
