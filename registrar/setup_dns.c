/* SPDX-License-Identifier: MIT */
#include "setup_dns.h"

#include <dirent.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/os.h"
#include "base/paths.h"
#include "base/str.h"
#include "lookup.h"
#include "service_unit.h"
#include "setup_daemon.h"

enum {
	FILE_MAX = 65536,
	TRY_MS = 1000, /* for one lookup */
	PAUSE_MS = 50,
};

/* ---- who resolves names -------------------------------------------------------------------- */

static const char *const resolver_names[] = {
    [RESOLVER_NONE] = "none",
    [RESOLVER_SYSTEMD] = "systemd-resolved",
    [RESOLVER_MACOS] = "macos",
    [RESOLVER_DNSMASQ] = "dnsmasq",
    [RESOLVER_NETWORKMANAGER] = "networkmanager",
};

const char *
setup_resolver_name(enum setup_resolver resolver)
{
	return resolver_names[resolver];
}

/* Whether a line of NetworkManager.conf(5) has it run dnsmasq. */
static bool
says_dnsmasq(const char *path)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(FILE_MAX);
	struct dm_err ignored;

	if (!dm_read_file(path, &text, &ignored))
		return false;
	for (const char *line = text.data; *line != '\0'; line += strspn(line, "\n")) {
		DM_AUTO_FREE char *plain = NULL;
		size_t n = strcspn(line, "\n"), k = 0;

		plain = dm_strndup(line, n);
		for (size_t i = 0; i < n; i++) {
			if (plain[i] != ' ' && plain[i] != '\t' && plain[i] != '\r')
				plain[k++] = plain[i];
		}
		plain[k] = '\0';
		if (strcmp(plain, "dns=dnsmasq") == 0)
			return true;
		line += n;
	}
	return false;
}

static bool
network_manager_runs_dnsmasq(void)
{
	static const char dir[] = "/etc/NetworkManager/conf.d";
	bool found = says_dnsmasq("/etc/NetworkManager/NetworkManager.conf");
	DIR *d = found ? NULL : opendir(dir);
	const struct dirent *e;

	while (d != NULL && !found && (e = readdir(d)) != NULL) {
		DM_AUTO_FREE char *path = dm_asprintf("%s/%s", dir, e->d_name);

		found = dm_ends_with(path, ".conf") && says_dnsmasq(path);
	}
	if (d != NULL)
		(void)closedir(d);
	return found;
}

enum setup_resolver
setup_resolver_find(void)
{
	DM_AUTO_FREE char *dnsmasq = NULL;

	if (dm_os_has_launchd())
		return RESOLVER_MACOS;
	if (access("/run/systemd/resolve/resolv.conf", F_OK) == 0)
		return RESOLVER_SYSTEMD;
	if (network_manager_runs_dnsmasq())
		return RESOLVER_NETWORKMANAGER;
	/* libvirt's and others' do not read this file */
	if (access("/etc/dnsmasq.conf", F_OK) == 0 &&
	    (dnsmasq = dm_find_program("dnsmasq")) != NULL)
		return RESOLVER_DNSMASQ;
	return RESOLVER_NONE;
}

static bool
choose_resolver(const char *word, enum setup_resolver *out, struct dm_err *err)
{
	if (word == NULL) {
		*out = setup_resolver_find();
		return true;
	}
	for (size_t i = 0; i < sizeof(resolver_names) / sizeof(resolver_names[0]); i++) {
		if (strcmp(word, resolver_names[i]) == 0) {
			*out = (enum setup_resolver)i;
			return true;
		}
	}
	(void)dm_fail(err, DM_USAGE, "--resolver: \"%.40s\" is not known", word);
	return dm_hint(err, "systemd-resolved, dnsmasq, networkmanager, macos, or none");
}

/* ---- which zone, and where it is answered --------------------------------------------------- */

static bool
is_below(const char *zone, const char *suffix)
{
	size_t n = strlen(zone), k = strlen(suffix);

	return n >= k && strcmp(zone + n - k, suffix) == 0 && (n == k || zone[n - k - 1] == '.');
}

static bool
choose_zone(struct session *s, const struct setup_dns_options *want, struct setup_dns *out,
    struct dm_err *err)
{
	const struct conf *conf = out->person_conf != NULL ? out->person_conf : s->conf;
	const char *text = want->zone != NULL ? want->zone : conf->domain;
	struct dm_err ignored;

	if (text == NULL) {
		/* else it is what Caddy has a mesh route or certificates for */
		(void)!session_need_view(s, &ignored);
		session_domain(s, out->zone);
	} else if (!domain_parse(text, out->zone, err)) {
		return false;
	}
	out->needless = is_below(out->zone, "localhost");
	/* what is to go was perhaps written before the domain became one of these */
	if (out->needless || want->remove)
		return true;
	if (strchr(out->zone, '.') == NULL) {
		(void)dm_fail(
		    err, DM_USAGE, "\"%s\" is a top-level domain, not one of yours", out->zone);
		return dm_hint(err, "set [mesh] domain to a domain below one that you own");
	}
	if (is_below(out->zone, "local")) {
		(void)dm_fail(
		    err, DM_USAGE, "%s is below .local, which is not asked of DNS", out->zone);
		return dm_hint(err, "RFC 6762 keeps .local for mDNS: choose another domain");
	}
	return true;
}

/* With sudo(8) the configuration that counts is that of who called it, as for devmeshd. */
static bool
load_person_conf(const char *config_file, struct setup_dns *out, struct dm_err *err)
{
	const char *sudo = getenv("SUDO_UID");
	const struct passwd *pw;
	uint64_t uid;

	if (geteuid() != 0 || sudo == NULL || !dm_parse_uint(sudo, 1, UINT32_MAX - 1, &uid) ||
	    (pw = getpwuid((uid_t)uid)) == NULL)
		return true;
	out->person_conf = setup_conf_of(pw->pw_dir, config_file, err);
	return out->person_conf != NULL || dm_wrap(err, "the configuration of %s", pw->pw_name);
}

bool
setup_dns_look(struct session *s, const char *config_file, const struct setup_dns_options *want,
    struct setup_dns *out, struct dm_err *err)
{
	const struct conf *conf;

	memset(out, 0, sizeof(*out));
	if (!choose_resolver(want->resolver, &out->resolver, err) ||
	    !load_person_conf(session_config_file(config_file), out, err) ||
	    !choose_zone(s, want, out, err))
		return false;
	conf = out->person_conf != NULL ? out->person_conf : s->conf;
	if (out->needless)
		return true;
	responder_look(conf, out->zone, RESPONDER_MS, &out->responder);
	if (want->port != 0 && want->port != out->responder.port)
		out->responder = (struct responder){.port = want->port};
	if (!conf->dns_enabled && !out->responder.answers)
		dm_warn("devmeshd is told not to answer DNS: [dns] enabled = no");
	return true;
}

void
setup_dns_release(struct setup_dns *dns)
{
	conf_free(dns->person_conf);
	dns->person_conf = NULL;
}

/* ---- what is written, or said --------------------------------------------------------------- */

bool
setup_dns_writes(const struct setup_dns *dns)
{
	return dns->resolver == RESOLVER_SYSTEMD || dns->resolver == RESOLVER_MACOS;
}

static char *
text_for_dnsmasq(const struct setup_dns *dns, const char *file, const char *command)
{
	return dm_asprintf("# into %s; then: %s\n"
			   "server=/%s/" RESPONDER_ADDRESS "#%u\n"
			   "rebind-domain-ok=/%s/\n",
	    file, command, dns->zone, (unsigned)dns->responder.port, dns->zone);
}

char *
setup_dns_text(const struct setup_dns *dns)
{
	/* unbound answers for all of these by itself (RFC 6761), below them as well */
	const char *own = dm_ends_with(dns->zone, ".test")	? "test."
			  : dm_ends_with(dns->zone, ".invalid") ? "invalid."
			  : dm_ends_with(dns->zone, ".onion")	? "onion."
								: NULL;
	DM_AUTO_FREE char *nodefault =
	    own == NULL ? dm_strdup("") : dm_asprintf("    local-zone: \"%s\" nodefault\n", own);
	DM_AUTO_FREE char *dnsmasq = NULL;

	if (dns->resolver == RESOLVER_NETWORKMANAGER)
		return text_for_dnsmasq(dns, "/etc/NetworkManager/dnsmasq.d/devmesh.conf",
		    "sudo systemctl reload NetworkManager");
	dnsmasq =
	    text_for_dnsmasq(dns, "/etc/dnsmasq.d/devmesh.conf", "sudo systemctl restart dnsmasq");
	if (dns->resolver == RESOLVER_DNSMASQ)
		return DM_STEAL(&dnsmasq);
	return dm_asprintf("# One of these has to be this machine's resolver, then it knows %s.\n"
			   "# systemd-resolved: sudo apt-get install systemd-resolved; "
			   "devmesh dns install\n"
			   "# dnsmasq: %s"
			   "# unbound: into /etc/unbound/unbound.conf.d/devmesh.conf\n"
			   "server:\n"
			   "    do-not-query-localhost: no\n"
			   "    domain-insecure: \"%s\"\n"
			   "    private-domain: \"%s\"\n"
			   "%s"
			   "stub-zone:\n"
			   "    name: \"%s\"\n"
			   "    stub-addr: " RESPONDER_ADDRESS "@%u\n",
	    dns->zone, dnsmasq + 2, dns->zone, dns->zone, nodefault, dns->zone,
	    (unsigned)dns->responder.port);
}

/* The port of the file that is there for this zone already; 0: there is none. */
static uint16_t
installed_port(const struct setup *u, const char *zone)
{
	DM_AUTO_FREE char *path = dm_asprintf("%s%s/%s", u->want.out != NULL ? u->want.out : "",
	    u->facts.manager == SETUP_LAUNCHD ? SETUP_RESOLVER_DIR : u->facts.units_dir,
	    u->facts.manager == SETUP_LAUNCHD ? zone : SETUP_DNS_UNIT);
	DM_AUTO_FREE char *begin = dm_asprintf("%s at " RESPONDER_ADDRESS ":", zone);
	DM_AUTO_FREE char *purpose = NULL;
	DM_AUTO_STR struct dm_str text = dm_str_make(FILE_MAX);
	struct dm_err ignored;
	uint64_t port;

	if (!dm_read_file(path, &text, &ignored) ||
	    setup_owner_of(text.data, text.len) != SETUP_OURS ||
	    (purpose = setup_dns_purpose(text.data)) == NULL || !dm_starts_with(purpose, begin) ||
	    !dm_parse_uint(purpose + strlen(begin), 1, UINT16_MAX, &port))
		return 0;
	return (uint16_t)port;
}

static void
plan_commands(struct setup *u, bool settled)
{
#define ADD(before, may_fail, ...) \
	setup_add_command(u, (before), (may_fail), (const char *const[]){__VA_ARGS__, NULL})

	/* the files of macOS are read by themselves, as soon as they are there */
	u->managed = u->want.out == NULL && service_manager_runs(true);
	if (!u->managed || u->facts.manager == SETUP_LAUNCHD)
		return;
	if (u->want.remove) {
		if (!setup_changes(u))
			return;
		ADD(true, true, "systemctl", "disable", "--now", SETUP_DNS_UNIT);
		ADD(false, false, "systemctl", "daemon-reload");
		return;
	}
	if (settled && !setup_changes(u))
		return;
	ADD(false, false, "systemctl", "daemon-reload");
	if (u->facts.networkd)
		ADD(false, true, "networkctl", "reload");
	ADD(false, false, "systemctl", "enable", SETUP_DNS_UNIT);
	ADD(false, false, "systemctl", "restart", SETUP_DNS_UNIT);
#undef ADD
}

static void
look_at_programs(struct setup *u)
{
	static const char *const programs[] = {"ip", "resolvectl"};
	struct dm_err err;

	for (size_t i = 0; u->facts.manager == SETUP_SYSTEMD && i < 2; i++) {
		DM_AUTO_FREE char *found = dm_find_program(programs[i]);
		DM_AUTO_FREE char *usual = dm_asprintf("/usr/sbin/%s", programs[i]);

		/* of root's programs not all are in everybody's PATH */
		if (found != NULL || access(usual, X_OK) == 0 || u->want.out != NULL)
			continue;
		(void)dm_fail(
		    &err, DM_NOT_FOUND, "there is no %s, which sets the link up", programs[i]);
		(void)dm_hint(&err, "install it (Debian: apt-get install %s)",
		    i == 0 ? "iproute2" : "systemd-resolved");
		setup_problem(u, &err);
	}
}

struct setup *
setup_dns_open(struct session *session, const struct setup_dns_options *want, struct setup_dns *dns,
    bool remove, struct dm_err *err)
{
	dm_auto(setup) u = dm_calloc(1, sizeof(*u));
	const struct conf *conf = dns->person_conf != NULL ? dns->person_conf : session->conf;
	struct lookup found;
	DM_AUTO_FREE char *name = NULL;
	bool settled;
	uint16_t port;

	u->session = session;
	u->want =
	    (struct setup_options){.out = want->out, .dry_run = want->dry_run, .remove = remove};
	u->part = SETUP_DNS;
	if (!setup_look_at_places(u, err))
		return NULL;
	u->facts.manager = dns->resolver == RESOLVER_MACOS ? SETUP_LAUNCHD : SETUP_SYSTEMD;
	u->facts.networkd = access("/run/systemd/netif/links", F_OK) == 0;
	if (want->port == 0 && conf->dns_port == 0 && !dns->responder.answers &&
	    (port = installed_port(u, dns->zone)) != 0)
		dns->responder.port = port;
	u->facts.dns_zone = setup_own(u, dm_strdup(dns->zone));
	u->facts.dns_port = setup_own(u, dm_asprintf("%u", (unsigned)dns->responder.port));
	if (!setup_look(u, err))
		return NULL;
	if (!remove)
		look_at_programs(u);
	/* as long as nobody answers it cannot be seen whether the resolver would ask */
	settled = remove || want->out != NULL || setup_changes(u) || !dns->responder.answers ||
		  setup_dns_resolves(dns, 0, &name, &found);
	plan_commands(u, settled);
	return DM_STEAL(&u);
}

/* ---- whether it works ----------------------------------------------------------------------- */

bool
setup_dns_resolves(
    const struct setup_dns *dns, int64_t timeout_ms, char **name, struct lookup *found)
{
	int64_t deadline = dm_now_ms() + timeout_ms;

	for (*name = NULL;; dm_pause_ms(PAUSE_MS)) {
		free(*name);
		*name = responder_fresh_name(dns->zone);
		if (!lookup_begin(*name, found))
			return false;
		lookup_end(found, TRY_MS);
		if (lookup_is_ours(found))
			return true;
		if (dm_now_ms() >= deadline)
			return false;
	}
}
