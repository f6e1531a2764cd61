/* SPDX-License-Identifier: MIT */
/*
 * devmesh setup, from outside: what it shows, what it writes and what it never does. Caddy runs
 * from the configuration that was written, with its own CA. There is no service manager in a test,
 * and no Caddy with the modules for Cloudflare: where these are needed, a script stands in that
 * claims to have them and notes what it was given.
 */
#include "harness_setup.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETUP(w, p, ...) \
	DM((w), NULL, "setup", "--user", "--https-port", (p).https, "--http-port", (p).http, \
	    __VA_ARGS__)

static char *
conf(struct world *w, const char *name)
{
	return fmt(w, "%s/.config/devmesh/%s", w->home, name);
}

/* Every file of the world with mode, size and time of change. */
static const char *
tree(struct world *w)
{
	return run_ok(
	    w, NULL, ARGV("find", w->home, w->state, w->sockets, "-printf", "%p %m %s %T@\n"))
	    .out;
}

static int
mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

/* Caddy from the written configuration, on the admin socket that setup chose or was given. */
static struct proc *
start_caddy(struct world *w)
{
	struct proc *caddy =
	    start(w, NULL, ARGV("caddy", "run", "--resume", "--config", conf(w, "caddy.json")));
	int64_t end = now_ms() + ANSWER_MS;

	while (admin(w, "GET", "/config/", NULL).status != 200) {
		assert_true(now_ms() < end);
		reap(w);
		if (caddy->ended)
			fail_msg("Caddy ended: %s", read_text(w, caddy->err));
		nap_us(20000);
	}
	return caddy;
}

TEST(dry_run_touches_nothing)
{
	struct ports p = choose_ports(w);
	const char *before;
	struct result r;

	assert_int_equal(mkdir(w->state, 0700), 0);
	before = tree(w);
	r = SETUP(w, p, DOMAIN, "--dry-run");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "create: "));
	assert_non_null(strstr(r.out, "/caddy.json (mode 0644)"));
	assert_non_null(strstr(r.out, "\"*.dev.example.test\""));
	assert_non_null(strstr(r.out, "devmesh-caddy.service"));
	assert_non_null(strstr(r.out, "--resume"));
	assert_non_null(strstr(r.out, "domain = dev.example.test"));
	assert_string_equal(tree(w), before);
	/* With what this Caddy lacks it still shows everything, and says what would be needed. */
	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--dry-run");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "{env.CLOUDFLARE_API_TOKEN}"));
	assert_non_null(strstr(r.out, "/caddy.env (mode 0600)"));
	assert_non_null(strstr(r.err, "dns.providers.cloudflare"));
	assert_non_null(strstr(r.err, "xcaddy build --with github.com/caddy-dns/cloudflare"));
	assert_null(strstr(r.out, TOKEN));
	assert_null(strstr(r.err, TOKEN));
	assert_string_equal(tree(w), before);
}

TEST(dry_run_as_json)
{
	struct ports p = choose_ports(w);
	struct result r;
	cJSON *o;
	const cJSON *file;
	int n = 0;

	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--dry-run", "--json");
	assert_exit(w, r, 0);
	assert_null(strstr(r.out, TOKEN));
	o = json_of(w, r.out);
	assert_string_equal(json_str(o, "state"), "planned");
	assert_string_equal(
	    json_str(o, "missing_modules"), "dns.providers.cloudflare, dynamic_dns");
	cJSON_ArrayForEach (file, cJSON_GetObjectItemCaseSensitive(o, "files")) {
		assert_string_equal(json_str(file, "action"), "create");
		if (strstr(json_str(file, "path"), "/identity") == NULL)
			assert_string_not_equal(json_str(file, "text"), "");
		n++;
	}
	assert_int_equal(n, 6);
}

/* Where devmeshd keeps the public record, Caddy does not, and needs no module for it. */
TEST(the_record_is_devmeshds)
{
	struct ports p = choose_ports(w);
	char *ini = conf(w, "config.ini"), *json = conf(w, "caddy.json");
	struct result r;
	cJSON *o;

	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	o = json_of(w, SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--dry-run", "--json").out);
	assert_string_equal(json_str(o, "record"), "caddy");
	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/.config/devmesh", w->home)));
	write_text(ini, "[record]\nprovider = cloudflare\ntoken_file = /nowhere\n");
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--dry-run");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "leave: the record *.dev.example.test to devmeshd"));
	assert_null(strstr(r.out, "\"dynamic_dns\""));
	assert_non_null(strstr(r.out, "{env.CLOUDFLARE_API_TOKEN}")); /* for the challenge */
	assert_non_null(strstr(r.err, "needs: dns.providers.cloudflare\n"));
	assert_null(strstr(r.err, "dynamicdns"));
	o = json_of(w, SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--dry-run", "--json").out);
	assert_string_equal(json_str(o, "record"), "devmeshd");
	assert_string_equal(json_str(o, "missing_modules"), "dns.providers.cloudflare");
	/* that of another domain is no concern of this one */
	world_env(w, "DEVMESH_MESH_DOMAIN", "else.example.test");
	o = json_of(w, SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--dry-run", "--json").out);
	assert_string_equal(json_str(o, "record"), "caddy");
	world_env(w, "DEVMESH_MESH_DOMAIN", NULL);
	/* what an earlier run has written changes with the configuration, and back */
	caddy_with_modules(w, "exit 0");
	for (int i = 0; i < 3; i++) {
		world_env(w, "DEVMESH_RECORD_PROVIDER", i % 2 == 0 ? "none" : "cloudflare");
		assert_exit(w, SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--yes"), 0);
		assert_int_equal(strstr(read_text(w, json), "\"dynamic_dns\"") != NULL, i % 2 == 0);
	}
	o = json_of(w, SETUP(w, p, DOMAIN, "--dry-run", "--json").out);
	assert_true(json_null(o, "record"));
}

TEST(no_yes_no_change)
{
	struct ports p = choose_ports(w);
	const char *before;

	assert_int_equal(mkdir(w->state, 0700), 0);
	before = tree(w);
	assert_exit(w, SETUP(w, p, DOMAIN), 2);
	assert_string_equal(tree(w), before);
}

TEST(files_for_a_package)
{
	struct ports p = choose_ports(w);
	char *out = fmt(w, "%s/pkg", w->dir), *json = fmt(w, "%s/etc/devmesh/caddy.json", out);
	const char *before;
	struct result r;

	assert_int_equal(mkdir(w->state, 0700), 0);
	before = tree(w);
	r = DM(w, NULL, "setup", DOMAIN, "--out", out, "--yes");
	assert_exit(w, r, 0);
	assert_int_equal(mode_of(json), 0644);
	assert_true(exists(fmt(w, "%s/etc/tmpfiles.d/devmesh.conf", out)));
	assert_non_null(strstr(
	    read_text(w, fmt(w, "%s/etc/devmesh/config.ini", out)), "domain = dev.example.test"));
	run_ok(w, NULL,
	    ARGV("env", fmt(w, "HOME=%s", out), fmt(w, "XDG_DATA_HOME=%s/data", out), "caddy",
		"validate", "--config", json));
	r = DM(w, NULL, "setup", DOMAIN, "--out", out, "--yes", "--json");
	assert_exit(w, r, 0);
	assert_string_equal(json_str(json_of(w, r.out), "state"), "unchanged");
	/* Another domain is an update of files that setup wrote. */
	assert_exit(
	    w, DM(w, NULL, "setup", "--domain", "b.example.test", "--out", out, "--yes"), 0);
	assert_non_null(strstr(read_text(w, json), "*.b.example.test"));
	assert_exit(w, DM(w, NULL, "setup", "--remove", "--out", out, "--yes"), 0);
	assert_false(exists(fmt(w, "%s/etc/devmesh", out)));
	assert_string_equal(tree(w), before);
	(void)p;
}

/* From nothing to a service that answers, through a Caddy started from what was written. */
TEST(a_caddy_from_these_files_serves)
{
	struct ports p = choose_ports(w);
	char *repo = repo_new(w, "shop"), *url;
	struct result r;

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	world_env(w, "DEVMESH_CONFIG", NULL);
	snprintf(w->admin, sizeof w->admin, "unix://%.60s/caddy/admin.sock", w->state);
	r = SETUP(w, p, DOMAIN, "--yes", "--json");
	assert_exit(w, r, 0);
	/* Nothing was started, so nothing is said to run. */
	assert_string_equal(json_str(json_of(w, r.out), "state"), "written");
	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/caddy", w->state)));
	start_caddy(w);
	snprintf(w->ca, sizeof w->ca, "%.60s/.local/share/caddy/pki/authorities/local/root.crt",
	    w->home);
	r = SETUP(w, p, DOMAIN, "--yes");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.out, "unchanged: services at https://<app>-<branch>.dev.example"));
	r = DM(w, repo, "up");
	assert_exit(w, r, 0);
	url = line_of(w, r);
	assert_string_equal(url, fmt(w, "https://shop-main.dev.example.test:%s", p.https));
	serve_id(w, "shop-main");
	assert_url_answers(w, url, "shop-main"); /* with the certificate checked */
	assert_int_equal(count_routes(w, "shop-main"), 0);
	/* where devmeshd looks for it */
	assert_non_null(strstr(read_text(w, fmt(w, "%s/caddy/access.log", w->state)), "shop-main"));
	assert_string_equal(
	    json_str(
		json_of(w, fetch(w, fmt(w, "%s/.well-known/devmesh", url), NULL).body), "worktree"),
	    repo);
}

/* Caddy keeps what the admin API changes; and its memory does not outlive a new configuration. */
TEST(restarts_resume)
{
	struct ports p = choose_ports(w);
	char *saved = fmt(w, "%s/caddy/config/caddy/autosave.json", w->state);
	struct proc *caddy;
	struct result r;

	world_env(w, "DEVMESH_CADDY_ADMIN", NULL);
	snprintf(w->admin, sizeof w->admin, "unix://%.60s/caddy/admin.sock", w->state);
	assert_exit(w, SETUP(w, p, DOMAIN, "--yes"), 0);
	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/caddy", w->state)));
	/* as the unit says it */
	world_env(w, "XDG_CONFIG_HOME", fmt(w, "%s/caddy/config", w->state));
	caddy = start_caddy(w);
	assert_int_equal(admin(w, "POST", "/config/apps/http/servers/srv0/routes",
			     "{\"@id\":\"mine\",\"match\":[{\"host\":[\"x.test\"]}]}")
			     .status,
	    200);
	signal_proc(caddy, SIGTERM);
	finish(w, caddy);
	caddy = start_caddy(w);
	assert_int_equal(admin(w, "GET", "/id/mine", NULL).status, 200);
	world_env(w, "XDG_CONFIG_HOME", fmt(w, "%s/.config", w->home));
	/* The same again, while it is stopped, forgets nothing ... */
	end_proc(w, caddy);
	assert_exit(w, SETUP(w, p, DOMAIN, "--yes"), 0);
	assert_true(exists(saved));
	/* ... but with another domain the old memory is put aside. */
	r = SETUP(w, p, "--domain", "b.example.test", "--yes");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.err, "rename: "));
	assert_false(exists(saved));
	assert_true(exists(fmt(w, "%s.before-setup", saved)));
	world_env(w, "XDG_CONFIG_HOME", fmt(w, "%s/caddy/config", w->state));
	start_caddy(w);
	assert_non_null(strstr(admin(w, "GET", "/config/", NULL).body, "*.b.example.test"));
}

/* What a running Caddy serves is shown and kept before it is replaced. */
TEST(a_running_caddy_takes_it)
{
	struct ports p = choose_ports(w);
	char *backup;
	struct result r;

	caddy_plain(w, bystanders(w, 2));
	r = SETUP(w, p, DOMAIN);
	assert_exit(w, r, 2);
	assert_non_null(strstr(r.err, "replace: "));
	assert_non_null(strstr(r.err, "srv0"));
	assert_bystanders(w, 2); /* nobody agreed: nothing happened */
	r = SETUP(w, p, DOMAIN, "--yes", "--json");
	assert_exit(w, r, 0);
	assert_string_equal(json_str(json_of(w, r.out), "state"), "ready");
	backup = fmt(w, "%s", json_str(json_of(w, r.out), "backup"));
	assert_int_equal(mode_of(backup), 0600);
	assert_non_null(strstr(read_text(w, backup), "\"srv0\""));
	r = SETUP(w, p, DOMAIN, "--yes", "--json");
	assert_exit(w, r, 0);
	assert_string_equal(json_str(json_of(w, r.out), "state"), "unchanged");
	/* A route that came by the API later does not make it another configuration. */
	assert_int_equal(admin(w, "POST", "/config/apps/http/servers/srv0/routes",
			     "{\"match\":[{\"host\":[\"x.test\"]}]}")
			     .status,
	    200);
	r = SETUP(w, p, DOMAIN, "--yes", "--json");
	assert_string_equal(json_str(json_of(w, r.out), "state"), "unchanged");
	assert_non_null(strstr(admin(w, "GET", "/config/", NULL).body, "x.test"));
	/* The old one can be had back. */
	assert_int_equal(admin(w, "POST", "/load", read_text(w, backup)).status, 200);
	assert_bystanders(w, 2);
}

TEST(remove_takes_back_its_own)
{
	struct ports p = choose_ports(w);
	char *ini = conf(w, "config.ini");
	char *unit = fmt(w, "%s/.config/systemd/user/devmesh-caddy.service", w->home);
	struct result r;

	assert_exit(w, SETUP(w, p, "--remove", "--yes"), 0); /* of nothing: no error */
	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/.config/devmesh", w->home)));
	write_text(ini, "; mine\n[mesh]\napp = shop\n");
	assert_exit(w, SETUP(w, p, DOMAIN, "--yes"), 0);
	assert_non_null(strstr(read_text(w, ini), "domain = dev.example.test"));
	assert_non_null(strstr(read_text(w, ini), "app = shop"));
	write_text(unit, fmt(w, "%s# by me\n", read_text(w, unit)));
	/* A file that somebody has changed is in the way of a second run ... */
	r = SETUP(w, p, "--domain", "other.example.test", "--yes");
	assert_exit(w, r, 4);
	assert_non_null(strstr(r.err, "changed since setup wrote it"));
	/* ... and stays. */
	r = SETUP(w, p, "--remove", "--yes");
	assert_exit(w, r, 0);
	assert_non_null(strstr(r.err, "kept: "));
	assert_true(exists(unit));
	assert_false(exists(conf(w, "caddy.json")));
	assert_string_equal(read_text(w, ini), "; mine\n[mesh]\napp = shop\n");
}

TEST(files_of_others_stay)
{
	struct ports p = choose_ports(w);
	struct result r;

	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/.config/devmesh", w->home)));
	write_text(conf(w, "caddy.json"), "{}\n");
	r = SETUP(w, p, DOMAIN, "--yes");
	assert_exit(w, r, 4);
	assert_string_equal(read_text(w, conf(w, "caddy.json")), "{}\n");
	assert_exit(w, SETUP(w, p, "--remove", "--yes"), 0);
	assert_string_equal(read_text(w, conf(w, "caddy.json")), "{}\n");
	unlink(conf(w, "caddy.json"));
	/* A domain that the user has set is the user's to change. */
	write_text(conf(w, "config.ini"), "[mesh]\ndomain = mine.example.test\n");
	r = SETUP(w, p, DOMAIN, "--yes");
	assert_exit(w, r, 4);
	assert_non_null(strstr(r.err, "mine.example.test"));
	assert_false(exists(conf(w, "caddy.json")));
}

/* sudo may keep HOME: what root writes there is of no use to the user. */
TEST(the_home_of_somebody_else)
{
	struct ports p = choose_ports(w);
	struct result r;

	if (geteuid() != 0)
		world_skip(w, "only root can give a home away");
	assert_int_equal(chown(w->home, 12345, (gid_t)-1), 0);
	r = SETUP(w, p, DOMAIN, "--yes");
	assert_exit(w, r, 6);
	assert_non_null(strstr(r.err, "belongs to uid 12345"));
	assert_int_equal(chown(w->home, 0, (gid_t)-1), 0);
}

/* Between what is shown and what is written there may be a question, and an editor. */
TEST(a_file_that_changes_meanwhile_stays)
{
	struct ports p = choose_ports(w);
	char *ini = conf(w, "config.ini");

	run_ok(w, NULL, ARGV("mkdir", "-p", fmt(w, "%s/.config/devmesh", w->home)));
	write_text(ini, "; mine\n");
	caddy_with_modules(w, fmt(w, "echo '; later' >>%s", ini));
	assert_error(w, SETUP(w, p, DOMAIN, "--yes"), 4, "has changed since it was shown");
	assert_string_equal(read_text(w, ini), "; mine\n; later\n");
}

TEST(the_token_goes_into_one_file)
{
	struct ports p = choose_ports(w);
	char *file = fmt(w, "%s/token", w->dir);
	struct result r;

	caddy_with_modules(w, "exit 0");
	write_text(file, TOKEN "\n");
	assert_int_equal(chmod(file, 0644), 0);
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--token-file", file, "--yes");
	assert_exit(w, r, 6); /* others have read it by now */
	assert_no_token(r);
	assert_int_equal(chmod(file, 0600), 0);
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--token-file", file, "--yes", "-v");
	assert_exit(w, r, 0);
	assert_no_token(r);
	assert_int_equal(mode_of(conf(w, "caddy.env")), 0600);
	r = run_ok(w, NULL, ARGV("grep", "-rl", TOKEN, w->home, w->sockets));
	assert_string_equal(r.out, fmt(w, "%s\n", conf(w, "caddy.env")));
	/* The next run has it from there; Caddy had it in its environment, never in an argument. */
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--yes", "--json");
	assert_exit(w, r, 0);
	assert_no_token(r);
	assert_null(strstr(read_text(w, fmt(w, "%s/calls", w->dir)), TOKEN));
	assert_non_null(strstr(read_text(w, fmt(w, "%s/calls", w->dir)), "validate"));
	assert_non_null(strstr(read_text(w, fmt(w, "%s/tokens", w->dir)), TOKEN));
	/* One that others can read is refused, not quietly made private. */
	assert_int_equal(chmod(conf(w, "caddy.env"), 0644), 0);
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--yes");
	assert_exit(w, r, 6);
	assert_no_token(r);
	assert_exit(w, SETUP(w, p, "--remove", "--yes"), 0);
	assert_false(exists(conf(w, "caddy.env")));
}

/* A Caddy that runs cannot be given an environment: it is not given what would not work in it. */
TEST(a_running_caddy_without_the_token)
{
	struct ports p = choose_ports(w);
	struct result r;

	caddy_plain(w, bystanders(w, 2));
	caddy_with_modules(w, "exit 0");
	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--yes");
	assert_exit(w, r, 4);
	assert_non_null(strstr(r.err, "without the token in its environment"));
	assert_no_token(r);
	assert_bystanders(w, 2);
	assert_false(exists(conf(w, "caddy.env")));
}

/* Newer modules repeat a token that they do not like: setup does not pass that on. */
TEST(what_caddy_says_is_shown_without_the_token)
{
	struct ports p = choose_ports(w);
	struct result r;

	caddy_with_modules(w, "echo \"Error: API token '$CLOUDFLARE_API_TOKEN' is invalid\" >&2; "
			      "exit 1");
	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--yes");
	assert_exit(w, r, 1);
	assert_non_null(strstr(r.err, "API token '***"));
	assert_no_token(r);
	assert_false(exists(conf(w, "caddy.json"))); /* what Caddy cannot load is not written */
}

TEST(modules_that_are_missing)
{
	struct ports p = choose_ports(w);
	struct result r;

	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	r = SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--yes");
	assert_exit(w, r, 3);
	assert_non_null(strstr(r.err, "xcaddy build"));
	assert_false(exists(conf(w, "caddy.env")));
}

TEST(input_that_is_wrong)
{
	struct ports p = choose_ports(w);
	size_t i;
	static const char *const bad[] = {"com", "localhost", "Dev.example.com", "dev..example.com",
	    "-a.example.com", "dev.example.com.", "dev example.com", "dev.example.com\"", "",
	    "*.a.b"};

	for (i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_exit(w, SETUP(w, p, "--domain", bad[i], "--yes"), 2);
	assert_exit(w, SETUP(w, p, "--yes"), 2);
	assert_exit(w, SETUP(w, p, DOMAIN, "--dns", "route53", "--yes"), 2);
	assert_exit(w, SETUP(w, p, DOMAIN, "--zone", "example.test", "--yes"), 2);
	assert_exit(w, SETUP(w, p, DOMAIN, "--system", "--yes"), 2);
	assert_exit(w, SETUP(w, p, DOMAIN, "--out", "relative", "--yes"), 2);
	assert_exit(w, SETUP(w, p, DOMAIN, "--https-port", "0", "--yes"), 2);
	/* no token anywhere, and nobody to ask */
	assert_exit(w, SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--yes"), 2);
	world_env(w, "CLOUDFLARE_API_TOKEN", "not a token");
	assert_exit(w, SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--yes"), 2);
	world_env(w, "CLOUDFLARE_API_TOKEN", TOKEN);
	assert_exit(
	    w, SETUP(w, p, DOMAIN, "--dns", "cloudflare", "--zone", "elsewhere.test", "--yes"), 2);
	assert_exit(
	    w, SETUP(w, p, "--domain", "dev.example.co.uk", "--dns", "cloudflare", "--dry-run"), 2);
	world_env(w, "DEVMESH_LOCAL_CADDY", "/nonexistent/caddy");
	assert_error(w, SETUP(w, p, DOMAIN, "--yes"), 3, "no Caddy");
	world_env(w, "DEVMESH_LOCAL_CADDY", NULL);
	world_env(w, "DEVMESH_CADDY_ADMIN", "http://example.org:2019");
	assert_exit(w, SETUP(w, p, DOMAIN, "--yes"), 2);
	assert_false(exists(conf(w, "caddy.json")));
}

TEST(a_port_that_is_taken)
{
	struct ports p = choose_ports(w);
	struct result r;
	int port;

	serve_tcp(w, 200, "mine", &port);
	r = DM(w, NULL, "setup", "--user", DOMAIN, "--https-port", fmt(w, "%d", port),
	    "--http-port", p.http, "--yes");
	assert_exit(w, r, 4);
	assert_non_null(strstr(r.err, "(pid ")); /* who has it */
	assert_false(exists(conf(w, "caddy.json")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WORLD_TEST(dry_run_touches_nothing),
	    WORLD_TEST(dry_run_as_json),
	    WORLD_TEST(the_record_is_devmeshds),
	    WORLD_TEST(no_yes_no_change),
	    WORLD_TEST(files_for_a_package),
	    WORLD_TEST(a_caddy_from_these_files_serves),
	    WORLD_TEST(restarts_resume),
	    WORLD_TEST(a_running_caddy_takes_it),
	    WORLD_TEST(remove_takes_back_its_own),
	    WORLD_TEST(files_of_others_stay),
	    WORLD_TEST(the_home_of_somebody_else),
	    WORLD_TEST(a_file_that_changes_meanwhile_stays),
	    WORLD_TEST(the_token_goes_into_one_file),
	    WORLD_TEST(a_running_caddy_without_the_token),
	    WORLD_TEST(what_caddy_says_is_shown_without_the_token),
	    WORLD_TEST(modules_that_are_missing),
	    WORLD_TEST(input_that_is_wrong),
	    WORLD_TEST(a_port_that_is_taken),
	};

	return RUN_TESTS(tests);
}
