/* SPDX-License-Identifier: MIT */
/* The doctor on certificates and on what names resolve to. */
#include <cjson/cJSON.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "caddy/http.h"
#include "doctor.h"
#include "doctor_dns.h"
#include "doctor_text.h"
#include "local.h"
#include "lookup.h"

enum {
	TLS_MS = 1500,
	LOOKUP_MS = 1500,
	SERVERS_MS = 1000,
	FILE_MAX = 1 << 20,
};

/* One HTTPS request for our domain to Caddy on this machine. */
static enum http_outcome
request_page(struct doctor *d, struct http *http, const char *ca, bool any,
    struct http_reply *reply, struct dm_err *err)
{
	return certificate_ask(http, d->certificate_host, d->server.front.port, ca, any,
	    doctor_time(d, TLS_MS), reply, err);
}

/* For whom it is, and until when; false if it is of no use. */
static bool
check_fields(struct doctor *d)
{
	DM_AUTO_FREE char *wildcard = dm_asprintf("DNS:*.%s", d->domain);
	const struct certificate *c = &d->certificate;
	int64_t now = dm_wall_seconds();

	if (c->begin > now) {
		doctor_say(d, DOCTOR_FAILURE, "the certificate is valid from %s only", c->from);
		doctor_why(d, "the clock of this machine is behind, or was ahead when it was made");
		doctor_fix(d, "sudo timedatectl set-ntp true");
		return false;
	}
	if (c->end >= 0 && c->end < now) {
		doctor_say(d, DOCTOR_FAILURE, "the certificate has expired: %s", c->until);
		doctor_why(d, "browsers refuse it; Caddy could not renew it");
		doctor_fix(d,
		    "see Caddy's log: journalctl -u caddy    (private mesh: devmesh stop; "
		    "devmesh start)");
		return false;
	}
	if (c->end >= 0 && c->begin >= 0 && (c->end - now) < (c->end - c->begin) / 10) {
		doctor_say(d, DOCTOR_WARNING, "the certificate expires soon: %s", c->until);
		doctor_why(d, "Caddy renews it when a third of its time is left, and did not");
		doctor_fix(d, "see Caddy's log: journalctl -u caddy");
	}
	if (c->names[0] != '\0' && strstr(c->names, wildcard) == NULL) {
		doctor_say(
		    d, DOCTOR_NOTE, "the certificate is for %s, not for *.%s", c->names, d->domain);
		doctor_why(d,
		    "each new name needs a certificate of its own: its first request waits, and "
		    "a public CA publishes the name and limits how many there are");
		doctor_fix(d,
		    "let Caddy manage *.%s (tls.certificates.automate, or a site of that name)",
		    d->domain);
	}
	doctor_say(d, DOCTOR_OK, "a certificate for %s, from %s, until %s", c->names,
	    c->issuer[0] == '\0' ? "?" : c->issuer, c->until);
	return true;
}

/* Node.js has a trust store of its own. */
static void
hint_node(struct doctor *d, const char *root)
{
	const char *set = getenv("NODE_EXTRA_CA_CERTS");
	DM_AUTO_FREE char *word = NULL;

	if (root == NULL || (set != NULL && access(set, R_OK) == 0))
		return;
	doctor_say(d, DOCTOR_NOTE, "Node.js does not trust the local CA");
	doctor_why(
	    d, "it does not look into the system's trust store: fetch() of a service's URL fails");
	word = dm_shell_word(root);
	doctor_fix(d, "export NODE_EXTRA_CA_CERTS=%s", word);
}

static void
check_trust(struct doctor *d, struct http *http, const char *root)
{
	HTTP_AUTO_REPLY struct http_reply reply;
	struct dm_err err = {.code = DM_OK}, ignored;
	enum http_outcome outcome;

	http_reply_init(&reply);
	outcome = request_page(d, http, NULL, false, &reply, &err);
	if (outcome == HTTP_ANSWERED)
		d->trusted_by = "system";
	if (outcome != HTTP_ANSWERED && err.code == DM_DENIED) {
		bool ours = root != NULL &&
			    request_page(d, http, root, false, &reply, &ignored) == HTTP_ANSWERED;

		d->trusted_by = ours ? "private-mesh" : NULL;
		doctor_say(d, DOCTOR_WARNING, "the system does not trust the certificate%s",
		    ours ? " of the private mesh" : "");
		doctor_why(d, "browsers warn, and programs refuse to connect");
		doctor_fix(
		    d, ours ? "devmesh trust --install    (devmesh trust says what else there is)"
			    : "caddy trust");
	}
	hint_node(d, root);
}

static bool
is_on_demand(const struct doctor *d)
{
	const cJSON *apps = cJSON_GetObjectItemCaseSensitive(d->config, "apps"), *policy;
	const cJSON *automation = cJSON_GetObjectItemCaseSensitive(
	    cJSON_GetObjectItemCaseSensitive(apps, "tls"), "automation");

	cJSON_ArrayForEach (policy, cJSON_GetObjectItemCaseSensitive(automation, "policies")) {
		if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(policy, "on_demand")))
			return true;
	}
	return false;
}

void
doctor_check_certificate(struct doctor *d)
{
	dm_auto(http) http = NULL;
	HTTP_AUTO_REPLY struct http_reply reply;
	DM_AUTO_FREE char *root = NULL;
	struct dm_err err;

	http_reply_init(&reply);
	if (d->certificate_host[0] == '\0' &&
	    !dm_snprintf(
		d->certificate_host, sizeof(d->certificate_host), "devmesh-doctor.%s", d->domain)) {
		doctor_skip(d, "the domain is too long");
		return;
	}
	if (!d->has_server) {
		doctor_skip(d, "Caddy has no HTTP server");
		return;
	}
	if (!d->server.front.https) {
		doctor_say(d, DOCTOR_OK, "services are served by plain HTTP, on port %u",
		    (unsigned)d->server.front.port);
		return;
	}
	if (!caddy_view_settled(d->session->view, &d->server, d->certificate_host, &err)) {
		doctor_say(d, DOCTOR_WARNING, "%s", err.msg);
		doctor_why(d, "devmesh up refuses to register services with this server");
		doctor_fix(d, "%s", err.hint);
		return;
	}
	/* a handshake with a new name would make Caddy ask for a certificate */
	if (is_on_demand(d)) {
		doctor_skip(d, "certificates are made on demand");
		return;
	}
	if ((http = http_new(&err)) == NULL) {
		doctor_skip(d, "libcurl cannot be loaded");
		return;
	}
	if (request_page(d, http, NULL, true, &reply, &err) != HTTP_ANSWERED && reply.status == 0 &&
	    reply.certificate.len == 0) {
		doctor_say(d, DOCTOR_FAILURE,
		    "Caddy does not complete a TLS handshake for *.%s: %s", d->domain, err.msg);
		doctor_why(d, "it has no certificate for the domain");
		doctor_fix(
		    d, "let Caddy manage *.%s: a site of that name in the Caddyfile", d->domain);
		return;
	}
	d->has_certificate = reply.certificate.len > 0;
	if (d->has_certificate) {
		certificate_parse(reply.certificate.data, &d->certificate);
		if (!check_fields(d))
			return;
	}
	if (session_need_state_dir(d->session, &err)) {
		root = local_root_certificate(d->session);
		if (access(root, R_OK) != 0) {
			free(root);
			root = NULL;
		}
	}
	check_trust(d, http, root);
}

/* What came of it, for whoever wants to know more than what is wrong. */
static void
keep_lookup(struct doctor *d, const char *name, const struct lookup *l)
{
	free(d->resolved.name);
	d->resolved.name = dm_strdup(name);
	d->resolved.count = l->count;
	memcpy(d->resolved.addresses, l->addresses, sizeof(l->addresses));
}

void
doctor_check_localhost(struct doctor *d)
{
	bool ours = dm_ends_with(d->domain, ".localhost");
	DM_AUTO_FREE char *name = dm_asprintf("devmesh-doctor.%s", ours ? d->domain : "localhost");
	struct lookup l;

	if (!lookup_begin(name, &l)) {
		doctor_skip(d, "no process can be started");
		return;
	}
	lookup_end(&l, doctor_time(d, LOOKUP_MS));
	keep_lookup(d, name, &l);
	for (size_t i = 0; i < l.count; i++) {
		char text[DNS_ADDRESS_TEXT];

		if (dns_address_is_loopback(&l.addresses[i]))
			continue;
		dns_address_text(&l.addresses[i], text);
		doctor_say(
		    d, DOCTOR_FAILURE, "%s resolves to %s, which is not this machine", name, text);
		doctor_why(
		    d, "RFC 6761 keeps .localhost for the loopback; requests leave the machine");
		doctor_fix(d, "sudo apt-get install libnss-myhostname");
		return;
	}
	if (l.count > 0)
		return;
	doctor_say(d, ours ? DOCTOR_WARNING : DOCTOR_OK, "%s does not resolve for programs (%s)",
	    name, l.silent ? "no answer in time" : gai_strerror(l.error));
	doctor_why(d,
	    "browsers and curl know .localhost by themselves; Node.js, Python and others ask "
	    "the system");
	doctor_fix(
	    d, "sudo apt-get install libnss-myhostname    (or a line for each name in /etc/hosts)");
}

/* Which of the addresses, if any, is this machine. */
static void
judge_addresses(struct doctor *d, const char *name, const struct lookup *l)
{
	bool ours = false, only_ipv6 = true;
	char text[DNS_ADDRESS_TEXT] = "";

	for (size_t i = 0; i < l->count; i++) {
		ours |= dns_address_is_ours(&l->addresses[i]);
		only_ipv6 &= l->addresses[i].ipv6;
		if (i == 0)
			dns_address_text(&l->addresses[i], text);
	}
	if (l->count == 0) {
		bool unknown = l->silent || l->error == EAI_AGAIN;

		doctor_say(d, unknown ? DOCTOR_WARNING : DOCTOR_FAILURE, "%s does not resolve: %s",
		    name, l->silent ? "no answer in time" : gai_strerror(l->error));
		doctor_why(d, "no program or browser can open the URLs");
		doctor_fix(d,
		    "for this machine: sudo devmesh dns install; for every one, where the domain "
		    "is "
		    "yours: a DNS record *.%s with this machine's address (127.0.0.1, or that in "
		    "the local network)",
		    d->domain);
	} else if (!ours) {
		doctor_say(
		    d, DOCTOR_WARNING, "%s resolves to %s, which is not this machine", name, text);
		doctor_why(
		    d, "requests go elsewhere; after a change of networks a record may be old");
		doctor_fix(d, "set the DNS record *.%s to this machine's address", d->domain);
	} else if (only_ipv6) {
		doctor_say(
		    d, DOCTOR_WARNING, "%s resolves to IPv6 addresses only (%s)", name, text);
		doctor_why(d, "a Caddy or client without IPv6 does not get there");
		doctor_fix(d, "add an A record for *.%s", d->domain);
	}
}

void
doctor_check_domain(struct doctor *d)
{
	DM_AUTO_FREE char *name = NULL, *text = NULL;
	struct dns_question questions[2 * DNS_SERVERS_MAX];
	struct dns_servers servers = {.count = 0};
	struct lookup l;

	if (dm_ends_with(d->domain, ".localhost")) {
		doctor_skip(d, "the domain is below .localhost: see dns-localhost");
		return;
	}
	/* a new name each time: no cache knows it */
	name = dm_asprintf("devmesh-%06x.%s", (unsigned)(dm_random() & 0xffffff), d->domain);
	if (!lookup_begin(name, &l)) {
		doctor_skip(d, "no process can be started");
		return;
	}
	if ((text = doctor_read(d->resolv_conf, FILE_MAX)) != NULL)
		dns_servers_parse(text, &servers);
	for (size_t i = 0; i < servers.count; i++) {
		questions[2 * i] = (struct dns_question){servers.list[i], DNS_TYPE_A, {0}};
		questions[2 * i + 1] = (struct dns_question){servers.list[i], DNS_TYPE_AAAA, {0}};
	}
	dns_ask(name, questions, 2 * servers.count, doctor_time(d, SERVERS_MS));
	lookup_end(&l, doctor_time(d, LOOKUP_MS - SERVERS_MS));
	keep_lookup(d, name, &l);
	judge_addresses(d, name, &l);
	doctor_judge_servers(d, name, questions, servers.count);
}

void
doctor_check_hosts(struct doctor *d)
{
	DM_AUTO_FREE char *text = doctor_read(d->hosts_file, FILE_MAX);
	char address[64], name[256];
	unsigned line;

	if (text == NULL)
		return;
	line = text_hosts_line(text, d->domain, address, name);
	if (line == 0)
		return;
	doctor_say(d, DOCTOR_WARNING, "%s:%u leads %s to %s", d->hosts_file, line, name, address);
	doctor_why(d, "the file goes before DNS: this name does not reach this machine's Caddy");
	doctor_fix(d, "sudo sed -i '%us/^/# /' %s", line, d->hosts_file);
}
