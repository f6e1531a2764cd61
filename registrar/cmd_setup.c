/* SPDX-License-Identifier: MIT */
/* setup: the Caddy of a real domain. Options, what is shown, and the question. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd.h"
#include "out.h"
#include "setup.h"

static bool
port_option(const struct cmd_ctx *ctx, const char *name, uint16_t fallback, uint16_t *out,
    struct dm_err *err)
{
	const char *text = cmd_value(ctx, name);
	uint64_t port = fallback;

	if (text != NULL && !dm_parse_uint(text, 1, UINT16_MAX, &port))
		return dm_fail(err, DM_USAGE, "--%s: \"%.40s\" is not a port", name, text);
	*out = (uint16_t)port;
	return true;
}

static bool
read_options(const struct cmd_ctx *ctx, struct setup_options *o, struct dm_err *err)
{
	*o = (struct setup_options){.domain = cmd_value(ctx, "domain"),
	    .dns = cmd_value(ctx, "dns"),
	    .zone = cmd_value(ctx, "zone"),
	    .email = cmd_value(ctx, "email"),
	    .interface = cmd_value(ctx, "interface"),
	    .token_file = cmd_value(ctx, "token-file"),
	    .out = cmd_value(ctx, "out"),
	    .user = cmd_value(ctx, "user") != NULL,
	    .lan = cmd_value(ctx, "lan") != NULL,
	    .dry_run = cmd_value(ctx, "dry-run") != NULL,
	    .remove = cmd_value(ctx, "remove") != NULL};
	if (o->user && cmd_value(ctx, "system") != NULL)
		return dm_fail(err, DM_USAGE, "--user and --system exclude each other");
	if (o->dns == NULL &&
	    (o->zone != NULL || o->email != NULL || o->token_file != NULL || o->interface != NULL))
		return dm_fail(
		    err, DM_USAGE, "--zone, --email, --interface and --token-file are for --dns");
	if (o->email != NULL && (strchr(o->email, '@') == NULL || dm_has_control(o->email)))
		return dm_fail(err, DM_USAGE, "\"%.80s\" is not an address", o->email);
	if (o->out != NULL && (o->out[0] != '/' || strcmp(o->out, "/") == 0))
		return dm_fail(err, DM_USAGE, "--out: \"%.80s\" is not an absolute path", o->out);
	return port_option(ctx, "https-port", 443, &o->https_port, err) &&
	       port_option(ctx, "http-port", 80, &o->http_port, err);
}

/* `state` is what was observed: "planned", "unchanged", "written", "pending", "ready", "removed" */
static void
answer_json(const struct setup *u, const char *state)
{
	cJSON *o = out_object();

	out_add_text(o, "state", state);
	out_add_text(o, "scope", u->facts.user_scope ? "user" : "system");
	out_add_text(o, "domain", u->want.remove ? NULL : u->facts.domain);
	out_add_text(o, "certificates", u->facts.dns_provider != NULL ? "acme" : "internal");
	out_add_text(o, "record",
	    u->want.remove || u->facts.dns_provider == NULL ? NULL
	    : u->facts.other_record			    ? "devmeshd"
							    : "caddy");
	out_add_text(o, "admin", u->facts.admin);
	out_add_text(o, "backup", u->backup);
	out_add_text(o, "missing_modules", u->missing_modules);
	setup_add_json(o, u);
	out_json(o);
}

static bool
answer_dry_run(const struct cmd_ctx *ctx, const struct setup *u)
{
	if (ctx->line->json) {
		answer_json(u, "planned");
		return true;
	}
	setup_show(stdout, u);
	for (size_t i = 0; i < u->problem_count; i++) {
		dm_warn("it would fail: %s", u->problems[i].msg);
		if (u->problems[i].hint[0] != '\0')
			dm_note("  try: %s", u->problems[i].hint);
	}
	dm_note("this was a dry run: nothing was changed");
	return true;
}

/* How to start the Caddy that nobody started. */
static void
explain_start(const struct setup *u)
{
	DM_AUTO_FREE char *env = setup_conf_path(&u->facts, "caddy.env");
	DM_AUTO_FREE char *json = setup_conf_path(&u->facts, "caddy.json");

	dm_note("no service manager runs here, and no Caddy at %s; to start one:", u->facts.admin);
	if (u->facts.user_scope)
		dm_note("  mkdir -p -m 0700 '%s'", u->facts.state_dir);
	else if (u->facts.admin_group != NULL) /* the socket gets the directory's group */
		dm_note("  install -d -m 2750 -g %s %s; umask 0007", u->facts.admin_group,
		    u->facts.admin_dir);
	else if (u->facts.admin_dir != NULL)
		dm_note("  install -d -m 0700 -o %lu %s; umask 0", (unsigned long)u->person,
		    u->facts.admin_dir);
	dm_note("  %s%s%s%s run --config '%s'", u->facts.dns_provider != NULL ? "set -a; . '" : "",
	    u->facts.dns_provider != NULL ? env : "", u->facts.dns_provider != NULL ? "'; " : "",
	    u->facts.caddy, json);
}

static void
answer_person(const struct setup *u, const char *state)
{
	char url[URL_MAX + 1], host[HOST_MAX + 1];
	struct front front = {.https = true, .port = u->facts.https_port};

	if (u->want.out != NULL) {
		(void)printf("written below %s\n", u->want.out);
		return;
	}
	if (strcmp(state, "written") == 0) {
		(void)puts("written; Caddy does not run yet");
		explain_start(u);
		return;
	}
	if (!dm_snprintf(host, sizeof(host), "<app>-<branch>.%.200s", u->facts.domain))
		host[0] = '\0';
	url_make(&front, host, url);
	(void)printf("%s: services at %s\n", state, url);
	if (strcmp(state, "pending") != 0)
		return;
	dm_note("Caddy runs, but has no certificate for *.%s yet: that takes a minute or two",
	    u->facts.domain);
	if (u->facts.manager == SETUP_LAUNCHD)
		dm_note("  see: tail -f %s/devmesh-caddy.log", u->facts.log_dir);
	else
		dm_note("  see: journalctl %s-f -u %s", u->facts.user_scope ? "--user " : "",
		    setup_unit_name(&u->facts));
	dm_note("  if it does not come: does the token have Zone.DNS:Edit for %s?", u->facts.zone);
}

static void
warn_of_private_mesh(struct setup *u)
{
	struct session *s = u->session;
	struct dm_err ignored;

	if (!u->facts.own_admin || u->facts.admin_dir != NULL || u->want.out != NULL)
		return;
	/* what every other verb will ask from now on */
	session_drop_view(s);
	if (session_need_admin(s, &ignored) && !u->facts.user_scope &&
	    strcmp(caddy_admin_address(s->admin), u->facts.admin) != 0)
		dm_warn("the private mesh runs, and is used while it does: devmesh stop");
}

static bool
install(struct cmd_ctx *ctx, struct setup *u, struct dm_err *err)
{
	enum setup_answer answer;
	bool idle = u->want.out != NULL || u->running == SETUP_LOADED ||
		    (!u->managed && u->running == SETUP_NOT_RUNNING && u->autosave == NULL);
	bool same = !setup_changes(u) && idle;
	const char *state = "ready";

	if (!same) {
		if (!ctx->line->quiet && !ctx->line->json)
			setup_show(stderr, u);
		if (!setup_confirm(cmd_value(ctx, "yes") != NULL, ctx->line->json, err) ||
		    !setup_backup(u, err) || !setup_run_commands(u, true, err) ||
		    !setup_write(u, err) || !setup_activate(u, err))
			return false;
	}
	if (!setup_verify(u, &answer, err) || !setup_check_socket(u, err))
		return false;
	if (answer == SETUP_PENDING)
		state = "pending";
	else if (same && (answer == SETUP_ANSWERS || u->want.out != NULL))
		state = "unchanged";
	else if (answer == SETUP_NO_CADDY)
		state = "written";
	if (ctx->line->json)
		answer_json(u, state);
	else
		answer_person(u, state);
	warn_of_private_mesh(u);
	return true;
}

static bool
uninstall(struct cmd_ctx *ctx, struct setup *u, struct dm_err *err)
{
	bool same = !setup_changes(u);

	if (!same) {
		if (!ctx->line->quiet && !ctx->line->json)
			setup_show(stderr, u);
		if (!setup_confirm(cmd_value(ctx, "yes") != NULL, ctx->line->json, err) ||
		    !setup_run_commands(u, true, err) || !setup_write(u, err) ||
		    !setup_run_commands(u, false, err))
			return false;
	}
	if (ctx->line->json) {
		answer_json(u, same ? "unchanged" : "removed");
		return true;
	}
	for (size_t i = 0; i < u->step_count; i++) {
		if (u->steps[i].action == SETUP_KEEP)
			dm_note("kept: %s: %s", u->steps[i].path, u->steps[i].why_kept);
	}
	(void)puts(same ? "there is nothing that setup wrote" : "removed");
	if (!same && !u->managed && u->running != SETUP_NOT_RUNNING)
		dm_note("the Caddy at %s (pid %ld) still runs as it was", u->running_admin,
		    (long)u->caddy_pid);
	if (!same && !u->facts.debian_caddy)
		dm_note("certificates and keys stay in %s", u->facts.state_dir);
	return true;
}

static bool
run_setup(struct cmd_ctx *ctx, struct dm_err *err)
{
	struct setup_options want;
	dm_auto(setup) u = NULL;

	if (!read_options(ctx, &want, err) || (u = setup_open(ctx->session, &want, err)) == NULL)
		return false;
	if (want.lan && !want.remove)
		dm_note("other devices of your network will reach Caddy, and get what you share: "
			"devmesh "
			"share");
	if (!want.remove)
		setup_probe(u);
	if (!setup_look(u, err))
		return false;
	setup_look_at_caddy(u);
	setup_plan_commands(u);
	setup_check(u);
	if (want.dry_run)
		return answer_dry_run(ctx, u);
	if (u->problem_count > 0) {
		for (size_t i = 1; i < u->problem_count; i++)
			dm_warn("also: %s", u->problems[i].msg);
		*err = u->problems[0];
		return false;
	}
	return want.remove ? uninstall(ctx, u, err) : install(ctx, u, err);
}

static const struct cmd_opt opts[] = {
    {"domain", 0, "DOMAIN", false, "services are at <app>-<branch>.DOMAIN"},
    {"dns", 0, "PROVIDER", false, "certificates by ACME, records at cloudflare"},
    {"zone", 0, "ZONE", false, "the provider's zone, if not the last two labels"},
    {"email", 0, "ADDRESS", false, "address of the ACME account"},
    {"token-file", 0, "FILE", false, "read the API token from FILE; \"-\": standard input"},
    {"interface", 0, "NAME", false, "publish the address of this interface"},
    {"lan", 0, NULL, false, "listen on all addresses, not only on the loopback ones"},
    {"https-port", 0, "PORT", false, "instead of 443"},
    {"http-port", 0, "PORT", false, "instead of 80"},
    {"system", 0, NULL, false, "for the machine, as root (the default)"},
    {"user", 0, NULL, false, "for yourself, without root"},
    {"dry-run", 0, NULL, false, "show everything, change nothing"},
    {"yes", 0, NULL, false, "do not ask"},
    {"out", 0, "DIR", false, "write the files below DIR, and start nothing"},
    {"remove", 0, NULL, false, "remove what setup has written"},
    {NULL, 0, NULL, false, NULL},
};

extern const struct cmd cmd_setup;

const struct cmd cmd_setup = {
    .name = "setup",
    .args = "",
    .summary = "set up a Caddy with the mesh for a domain of your own",
    .help =
	"Writes Caddy's configuration and the service that runs it, starts it, and asks it. All\n"
	"is shown first, and done after a yes. With --dns the certificate comes from a public\n"
	"CA; without, from Caddy's own. Running it again changes what has to be changed. The\n"
	"token is kept in a file of mode 0600 and never shown.",
    .opts = opts,
    .run = run_setup,
};
