/* SPDX-License-Identifier: MIT */
/* dns: has this machine's resolver ask devmeshd about the domain. */
#include <cjson/cJSON.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "cmd.h"
#include "lookup.h"
#include "out.h"
#include "setup_dns.h"

enum {
	VERIFY_MS = 8000,
};

/* All of one run; whatever is not there is NULL. */
struct dns_run {
	struct setup_dns_options want;
	struct setup_dns dns;
	struct setup *files;
	struct lookup found;
	char *name; /* that was looked up */
	bool resolves;
};

static void
release(struct dns_run *r)
{
	setup_free(r->files);
	setup_dns_release(&r->dns);
	free(r->name);
}
#define AUTO_RUN __attribute__((cleanup(release)))

static bool
read_options(const struct cmd_ctx *ctx, struct dns_run *r, bool remove, struct dm_err *err)
{
	const char *port = cmd_value(ctx, "port");
	uint64_t number = 0;

	memset(r, 0, sizeof(*r));
	r->want = (struct setup_dns_options){.zone = cmd_value(ctx, "zone"),
	    .resolver = cmd_value(ctx, "resolver"),
	    .out = cmd_value(ctx, "out"),
	    .remove = remove,
	    .dry_run = cmd_value(ctx, "dry-run") != NULL};
	if (port != NULL && !dm_parse_uint(port, 1, UINT16_MAX, &number))
		return dm_fail(err, DM_USAGE, "--port: \"%.40s\" is not a port", port);
	r->want.port = (uint16_t)number;
	if (r->want.out != NULL && (r->want.out[0] != '/' || strcmp(r->want.out, "/") == 0))
		return dm_fail(
		    err, DM_USAGE, "--out: \"%.80s\" is not an absolute path", r->want.out);
	return setup_dns_look(ctx->session, ctx->line->config, &r->want, &r->dns, err);
}

/* ---- what is said --------------------------------------------------------------------------- */

static const char *
responder_word(const struct setup_dns *dns)
{
	if (dns->needless)
		return NULL;
	return dns->responder.answers	   ? "answers"
	       : dns->responder.other_zone ? "other-zone"
					   : "silent";
}

/*
 * `state` is what was observed: "not-needed", "by-hand", "planned", "unchanged", "written",
 * "installed", "ready", "removed"; of status also "absent", "outdated", "changed", "not-answering"
 */
static void
answer_json(const struct dns_run *r, const char *state)
{
	DM_AUTO_FREE char *text = NULL;
	cJSON *o = out_object(), *list;

	out_add_text(o, "state", state);
	out_add_text(o, "zone", r->dns.zone);
	out_add_text(o, "resolver", setup_resolver_name(r->dns.resolver));
	(void)cJSON_AddItemToObject(o, "port",
	    r->dns.needless ? cJSON_CreateNull() : cJSON_CreateNumber(r->dns.responder.port));
	out_add_text(o, "responder", responder_word(&r->dns));
	out_add_text(o, "name", r->name);
	list = cJSON_AddArrayToObject(o, "addresses");
	for (size_t i = 0; r->name != NULL && i < r->found.count; i++) {
		char address[DNS_ADDRESS_TEXT];

		dns_address_text(&r->found.addresses[i], address);
		(void)cJSON_AddItemToArray(list, cJSON_CreateString(address));
	}
	if (!r->dns.needless && !setup_dns_writes(&r->dns))
		text = setup_dns_text(&r->dns);
	/* with its newlines, which out_add_text would take out */
	(void)cJSON_AddItemToObject(
	    o, "text", text == NULL ? cJSON_CreateNull() : cJSON_CreateString(text));
	if (r->files != NULL)
		setup_add_json(o, r->files);
	out_json(o);
}

static void
warn_of_responder(const struct setup_dns *dns)
{
	if (dns->responder.answers)
		return;
	if (dns->responder.other_zone)
		dm_warn("what answers at " RESPONDER_ADDRESS ":%u answers for another domain than "
			"%s: devmesh daemon restart",
		    (unsigned)dns->responder.port, dns->zone);
	else
		dm_warn("nobody answers DNS at " RESPONDER_ADDRESS ":%u: devmesh daemon start",
		    (unsigned)dns->responder.port);
}

static bool
answer_needless(const struct cmd_ctx *ctx, struct dns_run *r)
{
	(void)setup_dns_resolves(&r->dns, 0, &r->name, &r->found);
	if (ctx->line->json) {
		answer_json(r, "not-needed");
		return true;
	}
	(void)printf("not needed: names below %s lead to this machine by themselves (RFC 6761)\n",
	    r->dns.zone);
	if (r->found.count == 0)
		dm_note("browsers and curl know that; for other programs: sudo apt-get install "
			"libnss-myhostname");
	return true;
}

static bool
answer_by_hand(struct cmd_ctx *ctx, const struct dns_run *r)
{
	DM_AUTO_FREE char *text = setup_dns_text(&r->dns);

	/* a script must not take it for done */
	ctx->exit_status = r->want.dry_run ? 0 : (int)DM_NOT_FOUND;
	if (ctx->line->json) {
		answer_json(r, "by-hand");
		return true;
	}
	(void)fputs(text, stdout);
	dm_note("%s: devmesh does not write its files; nothing was changed",
	    r->dns.resolver == RESOLVER_NONE ? "no resolver that can be told of one zone"
					     : setup_resolver_name(r->dns.resolver));
	return true;
}

static bool
answer_dry_run(const struct cmd_ctx *ctx, const struct dns_run *r)
{
	const struct setup *u = r->files;

	if (ctx->line->json) {
		answer_json(r, "planned");
		return true;
	}
	setup_show(stdout, u);
	for (size_t i = 0; i < u->problem_count; i++)
		dm_warn("it would fail: %s", u->problems[i].msg);
	dm_note("this was a dry run: nothing was changed");
	return true;
}

/* ---- install and uninstall ------------------------------------------------------------------ */

/* Shows what is to be done; then who may do it, and whether it is to be done. */
static bool
agree(const struct cmd_ctx *ctx, const struct dns_run *r, const char *verb, struct dm_err *err)
{
	const struct setup *u = r->files;

	if (!ctx->line->quiet && !ctx->line->json)
		setup_show(stderr, u);
	if (geteuid() != 0 && u->want.out == NULL) {
		(void)dm_fail(err, DM_DENIED, "the machine's resolver is root's to set up");
		/* root's configuration may be another one */
		if (u->want.remove)
			return dm_hint(err, "sudo devmesh dns %s", verb);
		return dm_hint(err, "sudo devmesh dns %s --zone %s --port %u", verb, r->dns.zone,
		    (unsigned)r->dns.responder.port);
	}
	return setup_confirm(cmd_value(ctx, "yes") != NULL, ctx->line->json, err);
}

/* Whether programs get the names now; *state what can be said. */
static bool
verify(struct dns_run *r, const char **state, struct dm_err *err)
{
	const struct setup *u = r->files;

	if (u->want.out != NULL || (!u->managed && r->dns.resolver != RESOLVER_MACOS)) {
		*state = "written";
		return true;
	}
	free(r->name);
	r->name = NULL;
	r->resolves = setup_dns_resolves(
	    &r->dns, r->dns.responder.answers ? VERIFY_MS : 0, &r->name, &r->found);
	*state = r->resolves ? "ready" : "installed";
	if (r->resolves || !r->dns.responder.answers)
		return true;
	(void)dm_fail(err, DM_TIMEOUT,
	    "it is installed, and devmeshd answers, but %s does not lead here for programs: %s",
	    r->name, r->found.error != 0 ? gai_strerror(r->found.error) : "another address");
	return dm_hint(err, r->dns.resolver == RESOLVER_MACOS
				? "scutil --dns; devmesh doctor"
				: "resolvectl status devmesh0; journalctl -u " SETUP_DNS_UNIT
				  "; devmesh doctor");
}

static void
tell_installed(const struct dns_run *r, const char *state)
{
	const struct setup *u = r->files;

	if (u->want.out != NULL) {
		(void)printf("%s below %s\n", state, u->want.out);
		return;
	}
	(void)printf("%s: %s is to ask " RESPONDER_ADDRESS ":%u about %s\n", state,
	    setup_resolver_name(r->dns.resolver), (unsigned)r->dns.responder.port, r->dns.zone);
	if (strcmp(state, "written") == 0)
		dm_note("no service manager runs here: " SETUP_DNS_UNIT " was not started");
	warn_of_responder(&r->dns);
}

static bool
run_install(struct cmd_ctx *ctx, struct dm_err *err)
{
	AUTO_RUN struct dns_run r;
	const char *state = "unchanged", *now;

	if (!read_options(ctx, &r, false, err))
		return false;
	if (r.dns.needless)
		return answer_needless(ctx, &r);
	if (!setup_dns_writes(&r.dns))
		return answer_by_hand(ctx, &r);
	r.files = setup_dns_open(ctx->session, &r.want, &r.dns, false, err);
	if (r.files == NULL)
		return false;
	if (r.want.dry_run)
		return answer_dry_run(ctx, &r);
	if (r.files->problem_count > 0) {
		*err = r.files->problems[0];
		return false;
	}
	if (setup_changes(r.files) || r.files->command_count > 0) {
		if (!agree(ctx, &r, "install", err) || !setup_run_commands(r.files, true, err) ||
		    !setup_write(r.files, err) || !setup_run_commands(r.files, false, err) ||
		    !verify(&r, &state, err))
			return false;
	} else if (!verify(&r, &now, err)) {
		return false;
	}
	if (ctx->line->json)
		answer_json(&r, state);
	else
		tell_installed(&r, state);
	return true;
}

static bool
run_uninstall(struct cmd_ctx *ctx, struct dm_err *err)
{
	AUTO_RUN struct dns_run r;
	struct setup *u;
	bool same;

	if (!read_options(ctx, &r, true, err))
		return false;
	/* what may have been written once, whoever resolves names by now */
	if (!setup_dns_writes(&r.dns))
		r.dns.resolver = RESOLVER_SYSTEMD;
	u = r.files = setup_dns_open(ctx->session, &r.want, &r.dns, true, err);
	if (u == NULL)
		return false;
	if (r.want.dry_run)
		return answer_dry_run(ctx, &r);
	same = !setup_changes(u);
	if (!same && (!agree(ctx, &r, "uninstall", err) || !setup_run_commands(u, true, err) ||
			 !setup_write(u, err) || !setup_run_commands(u, false, err)))
		return false;
	if (ctx->line->json) {
		answer_json(&r, same ? "unchanged" : "removed");
		return true;
	}
	for (size_t i = 0; i < u->step_count; i++) {
		if (u->steps[i].action == SETUP_KEEP)
			dm_note("kept: %s: %s", u->steps[i].path, u->steps[i].why_kept);
	}
	(void)puts(same ? "unchanged: there is nothing that devmesh dns has written" : "removed");
	return true;
}

/* ---- status --------------------------------------------------------------------------------- */

/* The files, in a word; *shown is the step that says so, NULL if there is none. */
static const char *
state_of_files(const struct setup *u, const struct setup_step **shown)
{
	const char *state = "absent";

	*shown = NULL;
	for (size_t i = 0; i < u->step_count; i++) {
		const struct setup_step *step = &u->steps[i];
		/* the unit, or the zone's file: the other one alone does nothing */
		bool main_file = dm_ends_with(step->path, "/" SETUP_DNS_UNIT) ||
				 u->facts.manager == SETUP_LAUNCHD;

		if (!main_file || step->action == SETUP_CREATE)
			continue;
		*shown = step;
		state = step->action == SETUP_UNCHANGED ? "installed"
			: step->action == SETUP_KEEP	? "changed"
							: "outdated";
		if (step->action == SETUP_UNCHANGED)
			break;
	}
	return state;
}

static void
tell_status(const struct dns_run *r, const char *state, const struct setup_step *file)
{
	DM_AUTO_FREE char *purpose =
	    file == NULL || file->before == NULL ? NULL : setup_dns_purpose(file->before);
	DM_AUTO_FREE char *shown = purpose == NULL ? NULL : dm_printable(purpose);
	char address[DNS_ADDRESS_TEXT] = "nothing";

	if (r->found.count > 0)
		dns_address_text(&r->found.addresses[0], address);
	(void)printf("%s: %s at " RESPONDER_ADDRESS ":%u, by %s\n", state, r->dns.zone,
	    (unsigned)r->dns.responder.port, setup_resolver_name(r->dns.resolver));
	if (file != NULL)
		(void)printf("  %s%s%s\n", file->path, shown != NULL ? " is for " : "",
		    shown != NULL ? shown : "");
	(void)printf("  devmeshd %s\n", r->dns.responder.answers      ? "answers there"
					: r->dns.responder.other_zone ? "answers for another domain"
								      : "does not answer there");
	(void)printf("  %s leads programs to %s%s\n", r->name, address,
	    r->resolves || r->found.count == 0 ? "" : ", which is not this machine");
	if (strcmp(state, "outdated") == 0)
		dm_note("to bring it up to date: devmesh dns install");
	else if (strcmp(state, "changed") == 0)
		dm_note("%s; move it away, then: devmesh dns install", file->why_kept);
	else if (strcmp(state, "absent") == 0 && !r->resolves)
		dm_note("to set it up: devmesh dns install");
	else if (strcmp(state, "not-answering") == 0)
		dm_note(r->dns.responder.answers ? "see why not: devmesh doctor"
						 : "to start it: devmesh daemon start");
}

static bool
run_status(struct cmd_ctx *ctx, struct dm_err *err)
{
	AUTO_RUN struct dns_run r;
	const struct setup_step *file = NULL;
	const char *state = "absent";

	if (!read_options(ctx, &r, false, err))
		return false;
	if (r.dns.needless)
		return answer_needless(ctx, &r);
	if (setup_dns_writes(&r.dns)) {
		r.files = setup_dns_open(ctx->session, &r.want, &r.dns, false, err);
		if (r.files == NULL)
			return false;
		state = state_of_files(r.files, &file);
	}
	r.resolves = setup_dns_resolves(&r.dns, 0, &r.name, &r.found);
	if (strcmp(state, "installed") == 0)
		state = r.resolves && r.dns.responder.answers ? "ready" : "not-answering";
	else if (r.files == NULL && r.resolves && r.dns.responder.answers)
		state = "ready"; /* somebody has put the text in, or devmeshd has port 53 */
	ctx->exit_status = strcmp(state, "ready") == 0		 ? 0
			   : strcmp(state, "absent") == 0	 ? (int)DM_NOT_FOUND
			   : strcmp(state, "not-answering") == 0 ? (int)DM_UNREACHABLE
								 : (int)DM_CONFLICT;
	if (ctx->line->json)
		answer_json(&r, state);
	else
		tell_status(&r, state, file);
	return true;
}

static const struct cmd_opt opts[] = {
    {"zone", 0, "DOMAIN", false, "instead of the domain as configured"},
    {"port", 0, "PORT", false, "instead of the one that devmeshd answers on"},
    {"resolver", 0, "NAME", false, "systemd-resolved, macos, dnsmasq, networkmanager or none"},
    {"dry-run", 0, NULL, false, "show everything, change nothing"},
    {"yes", 0, NULL, false, "do not ask"},
    {"out", 0, "DIR", false, "write the files below DIR, and start nothing"},
    {NULL, 0, NULL, false, NULL},
};

static bool
run_dns(struct cmd_ctx *ctx, struct dm_err *err)
{
	static const struct cmd_word words[] = {
	    {"install", run_install}, {"uninstall", run_uninstall}, {"status", run_status}};
	const struct cmd_word *word = cmd_find_word(ctx, words, sizeof(words) / sizeof(words[0]),
	    "devmesh dns install | uninstall | status [--dry-run] [--yes]", err);

	return word != NULL && word->run(ctx, err);
}

extern const struct cmd cmd_dns;

const struct cmd cmd_dns = {
    .name = "dns",
    .args = "install|uninstall|status",
    .max_args = 1,
    .summary = "have this machine's resolver ask devmeshd about the domain",
    .help =
	"install has systemd-resolved, or macOS, ask devmeshd about the names below the domain,\n"
	"and about nothing else; for dnsmasq and others it prints what to write where (exit\n"
	"status 3: nothing was installed). All is shown first, and done after a yes. It is root's\n"
	"to do. uninstall removes only what install has written. status asks the resolver: it is\n"
	"3 when nothing is installed, 4 when it is for another domain or port, and 5 when names\n"
	"do not lead here. Names below .localhost need none of this.",
    .opts = opts,
    .run = run_dns,
};
