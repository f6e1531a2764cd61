/* SPDX-License-Identifier: MIT */
#include "doctor.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/str.h"
#include "doctor_lan.h"

#define FILES	 "Configuration and files"
#define CADDY	 "Caddy"
#define ROUTE	 "Routes"
#define NAMES	 "Names and certificates"
#define LAN	 "The local network"
#define WORKTREE "This worktree"

/* In this order: the first ones find out what later ones need. */
const struct doctor_check doctor_checks[] = {
    {"config", FILES, "the configuration can be read, and only its owner may change it", 0,
	doctor_check_config},
    {"environment", FILES, "every DEVMESH_ variable is known", 0, doctor_check_environment},
    {"secrets", FILES, "files with tokens are private", 0, doctor_check_secrets},
    {"sockets-dir", FILES, "the directory of sockets is safe and usable", NEEDS_CONF,
	doctor_check_sockets_dir},
    {"clock", FILES, "the clock is right", 0, doctor_check_clock},
    {"caddy-program", CADDY, "Caddy is installed", NEEDS_CONF | NEEDS_TIME, doctor_check_program},
    {"caddy-admin", CADDY, "Caddy's admin API answers", NEEDS_CONF, doctor_check_admin},
    {"admin-open", CADDY, "only this machine reaches the admin API", NEEDS_CADDY,
	doctor_check_admin_open},
    {"admin-token", CADDY, "nobody else can read a token from Caddy", NEEDS_CADDY,
	doctor_check_token},
    {"listeners", CADDY, "no two programs share a port of Caddy's", NEEDS_CONF, doctor_check_twice},
    {"ports", CADDY, "no other program has Caddy's ports", NEEDS_CONF, doctor_check_ports},
    {"private-tmp", CADDY, "Caddy sees the same /tmp", NEEDS_CADDY | NEEDS_SOCKETS | NEEDS_TIME,
	doctor_check_private_tmp},
    {"socket-access", CADDY, "Caddy's user may connect to the sockets", NEEDS_CADDY | NEEDS_SOCKETS,
	doctor_check_access},
    {"caddy-modules", CADDY, "Caddy has the modules that its configuration names",
	NEEDS_CONF | NEEDS_TIME, doctor_check_modules},
    {"mesh-route", ROUTE, "a mesh route serves every name", NEEDS_CADDY, doctor_check_mesh},
    {"route-ids", ROUTE, "every @id is a text, and there once", NEEDS_CADDY | NEEDS_SOCKETS,
	doctor_check_ids},
    {"own-routes", ROUTE, "no service has a route that it does not need",
	NEEDS_CADDY | NEEDS_SOCKETS, doctor_check_own_routes},
    {"reload", ROUTE, "a change of Caddy leaves WebSockets open", NEEDS_CADDY | NEEDS_SOCKETS,
	doctor_check_reload},
    {"stale", FILES, "nothing is left over", NEEDS_SOCKETS, doctor_check_stale},
    {"certificate", NAMES, "the certificate covers the domain and is trusted",
	NEEDS_CADDY | NEEDS_TIME, doctor_check_certificate},
    {"dns-localhost", NAMES, "names below .localhost lead to this machine", NEEDS_TIME,
	doctor_check_localhost},
    {"dns-domain", NAMES, "names below the domain lead to this machine", NEEDS_CONF | NEEDS_TIME,
	doctor_check_domain},
    {"hosts-file", NAMES, "the hosts file does not lead names elsewhere", NEEDS_CONF,
	doctor_check_hosts},
    {"dns-installed", NAMES, "what devmesh dns has installed is up to date",
	NEEDS_CONF | NEEDS_TIME, doctor_check_dns_installed},
    {"dns-challenge", NAMES, "Caddy does not ask devmeshd to prove whose the domain is",
	NEEDS_CADDY, doctor_check_dns_challenge},
    {"dns-answers", NAMES, "whoever is asked for the domain gives the same answer",
	NEEDS_CONF | NEEDS_TIME, doctor_check_dns_answers},
    {"lan", LAN, "other devices get to Caddy", NEEDS_CADDY, doctor_check_lan},
    {"daemon", LAN, "devmeshd runs, which tells other devices the names", NEEDS_CONF,
	doctor_check_daemon},
    {"record", LAN, "the public record of the domain can be kept", NEEDS_CONF, doctor_check_record},
    {"gate", LAN, "other devices get what is shared, and nothing else", NEEDS_CADDY,
	doctor_check_gate},
    {"servers", LAN, "no server can be reached past Caddy", NEEDS_SOCKETS | NEEDS_TIME,
	doctor_check_servers},
    {"dns-port", LAN, "devmeshd answers on port 53, where phones ask", NEEDS_CONF | NEEDS_TIME,
	doctor_check_dns_port},
    {"phone-port", LAN, "devmeshd serves the page that sets up a phone", NEEDS_CONF | NEEDS_TIME,
	doctor_check_phone_port},
    {"mdns", LAN, "names below .local are announced and served", NEEDS_CONF | NEEDS_TIME,
	doctor_check_mdns},
    {"firewall", LAN, "no firewall keeps other devices away", NEEDS_CONF | NEEDS_TIME,
	doctor_check_firewall},
    {"phone-certificate", LAN, "phones accept the certificate", NEEDS_CADDY | NEEDS_TIME,
	doctor_check_phone_certificate},
    {"next", WORKTREE, "Next.js serves its files to this domain", 0, doctor_check_trap},
    {"webpack", WORKTREE, "webpack-dev-server answers for this domain", 0, doctor_check_trap},
    {"vite", WORKTREE, "Vite's hot reload follows the page's address", 0, doctor_check_trap},
    {"django-hosts", WORKTREE, "Django answers for this domain", 0, doctor_check_trap},
    {"django-https", WORKTREE, "Django knows that it is behind HTTPS", 0, doctor_check_trap},
    {"rails", WORKTREE, "Rails answers for this domain", 0, doctor_check_trap},
    {"phoenix", WORKTREE, "Phoenix accepts sockets from this domain", 0, doctor_check_trap},
    {"env-files", WORKTREE, "no .env file leads to a fixed port", 0, doctor_check_env_files},
    {"node", WORKTREE, "Node.js is new enough for the tools", NEEDS_TIME, doctor_check_node},
    {"worktrunk", WORKTREE, "worktrunk's hooks run when they should", NEEDS_TIME,
	doctor_check_worktrunk},
    {"git-hooks", WORKTREE, "git runs the hook that was installed", NEEDS_TIME,
	doctor_check_git_hooks},
};
const size_t doctor_check_count = sizeof(doctor_checks) / sizeof(doctor_checks[0]);

const char *
doctor_level_name(enum doctor_level level)
{
	static const char *const names[] = {"ok", "note", "warning", "failure"};

	return names[level];
}

void
doctor_init(struct doctor *d, const char *config_file, const char *dir)
{
	memset(d, 0, sizeof(*d));
	d->config_file = config_file;
	d->dir = dir;
	d->hosts_file = "/etc/hosts";
	d->resolv_conf = "/etc/resolv.conf";
	d->deadline = dm_now_ms() + DOCTOR_BUDGET_MS;
	d->skipped = dm_calloc(doctor_check_count, sizeof(*d->skipped));
	d->session = session_open(config_file, &d->config_err);
	if (d->session != NULL)
		session_domain(d->session, d->domain);
	else
		(void)snprintf(d->domain, sizeof(d->domain), "%s", DEFAULT_DOMAIN);
}

static const char *
reason_to_skip(const struct doctor *d, unsigned needs)
{
	if ((needs & (NEEDS_CONF | NEEDS_SOCKETS | NEEDS_CADDY)) != 0 && d->session == NULL)
		return "the configuration cannot be read";
	if ((needs & NEEDS_CADDY) != 0 && !d->caddy_answers)
		return "Caddy does not answer";
	if ((needs & NEEDS_SOCKETS) != 0 && !d->sockets_usable)
		return "the directory of sockets is not usable";
	if ((needs & NEEDS_TIME) != 0 && dm_now_ms() >= d->deadline)
		return "no time was left";
	return NULL;
}

static void
run_check(struct doctor *d, size_t i)
{
	d->current = &doctor_checks[i];
	d->skipped[i] = reason_to_skip(d, d->current->needs);
	if (d->skipped[i] == NULL)
		d->current->run(d);
}

void
doctor_run(struct doctor *d)
{
	for (size_t i = 0; i < doctor_check_count; i++)
		run_check(d, i);
}

void
doctor_run_one(struct doctor *d, const char *id)
{
	for (size_t i = 0; i < doctor_check_count; i++) {
		if (strcmp(doctor_checks[i].id, id) == 0)
			run_check(d, i);
	}
}

const struct doctor_finding *
doctor_trouble(const struct doctor *d, const char *id)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->findings[i].level >= DOCTOR_WARNING &&
		    strcmp(d->findings[i].check->id, id) == 0)
			return &d->findings[i];
	}
	return NULL;
}

void
doctor_release(struct doctor *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->findings[i].what);
		free(d->findings[i].why);
		free(d->findings[i].fix);
	}
	free(d->findings);
	free(d->skipped);
	free(d->resolved.name);
	cJSON_Delete(d->config);
	dm_listeners_release(&d->listeners);
	session_free(d->session);
	memset(d, 0, sizeof(*d));
}

bool
doctor_healthy(const struct doctor *d)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->findings[i].level == DOCTOR_FAILURE)
			return false;
	}
	return true;
}

/* The text, printable: names of files, processes and routes are other people's. */
static char *text_of(const char *fmt, va_list ap) DM_PRINTF(1, 0);

static char *
text_of(const char *fmt, va_list ap)
{
	char buf[1024];

	(void)vsnprintf(buf, sizeof(buf), fmt, ap);
	return dm_printable(buf);
}

void
doctor_say(struct doctor *d, enum doctor_level level, const char *fmt, ...)
{
	struct doctor_finding *f;
	va_list ap;

	d->findings = dm_reallocarray(d->findings, d->count + 1, sizeof(*d->findings));
	f = &d->findings[d->count++];
	*f = (struct doctor_finding){.check = d->current, .level = level};
	va_start(ap, fmt);
	f->what = text_of(fmt, ap);
	va_end(ap);
}

/* Sets one text of the last finding. */
static void set_text(char **text, const char *fmt, va_list ap) DM_PRINTF(2, 0);

static void
set_text(char **text, const char *fmt, va_list ap)
{
	free(*text);
	*text = text_of(fmt, ap);
}

void
doctor_why(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	if (d->count == 0)
		return;
	va_start(ap, fmt);
	set_text(&d->findings[d->count - 1].why, fmt, ap);
	va_end(ap);
}

void
doctor_fix(struct doctor *d, const char *fmt, ...)
{
	va_list ap;

	if (d->count == 0)
		return;
	va_start(ap, fmt);
	set_text(&d->findings[d->count - 1].fix, fmt, ap);
	va_end(ap);
}

void
doctor_skip(struct doctor *d, const char *why)
{
	d->skipped[d->current - doctor_checks] = why;
}

int64_t
doctor_time(const struct doctor *d, int64_t wanted)
{
	int64_t left = d->deadline - dm_now_ms();

	return left < 1 ? 1 : left < wanted ? left : wanted;
}

char *
doctor_read(const char *path, size_t max)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(max);
	struct dm_err ignored;

	if (!dm_read_file(path, &text, &ignored) || text.overflow)
		return NULL;
	return dm_str_take(&text);
}

char *
doctor_output(struct doctor *d, const char *const argv[])
{
	DM_AUTO_STR struct dm_str out = dm_str_make(262144);
	DM_AUTO_STR struct dm_str errout = dm_str_make(4096);
	struct dm_err ignored;
	int status;

	if (!dm_run(
		argv, NULL, doctor_time(d, DOCTOR_PROGRAM_MS), &out, &errout, &status, &ignored) ||
	    status != 0)
		return NULL;
	while (out.len > 0 && out.data[out.len - 1] == '\n')
		out.data[--out.len] = '\0';
	return dm_str_take(&out);
}
