/* SPDX-License-Identifier: MIT */
/* The doctor on who answers for the domain, and how differently. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/gateway.h"
#include "base/netif.h"
#include "base/os.h"
#include "base/str.h"
#include "doctor_dns.h"
#include "doctor_lan.h"
#include "network.h"
#include "responder.h"

enum {
	FILE_MAX = 1 << 20,
	SERVERS_MS = 800,
	ASKED_MAX = DNS_SERVERS_MAX + 4,
};

#define RESOLVED_UPSTREAM "/run/systemd/resolve/resolv.conf"
#define PUBLIC_SERVER	  "1.1.1.1"

/* ---- who answers how ------------------------------------------------------------------------- */

static const char *
role_name(enum doctor_role role)
{
	static const char *const names[] = {
	    [ROLE_SYSTEM] = "which this machine asks",
	    [ROLE_UPSTREAM] = "which this network names",
	    [ROLE_ROUTER] = "the router",
	    [ROLE_OURS] = "devmeshd",
	    [ROLE_OURS_LAN] = "devmeshd",
	    [ROLE_PUBLIC] = "a public one",
	};

	return names[role];
}

static void
list_answers(struct doctor *d, const struct doctor_answers *a)
{
	DM_AUTO_STR struct dm_str text = dm_str_make(1024);
	char answer[DNS_ADDRESS_TEXT];

	for (size_t i = 0; i < a->count; i++) {
		const struct dns_question *q = &a->list[i].question;

		(void)dm_str_addf(&text, "%s%s", i > 0 ? "; " : "", q->server.address);
		if (q->server.port != 53)
			(void)dm_str_addf(&text, ":%u", (unsigned)q->server.port);
		(void)dm_str_addf(&text, " (%s): %s", role_name(a->list[i].role),
		    doctor_dns_words(&q->reply, answer));
	}
	doctor_say(d, DOCTOR_OK, "asked for %s: %s", a->name, text.data);
}

/* A server that phones may have: the network's, the router, a public one. */
static bool
is_for_devices(enum doctor_role role)
{
	return role == ROLE_UPSTREAM || role == ROLE_ROUTER || role == ROLE_PUBLIC;
}

static void
say_other_address(struct doctor *d, const struct doctor_answers *a, const struct doctor_asked *one,
    const char *ours)
{
	const struct dns_address *address = &one->question.reply.addresses[0];
	char text[DNS_ADDRESS_TEXT];

	dns_address_text(address, text);
	doctor_say(d, DOCTOR_WARNING, "%s (%s) gives %s for %s, and this machine has %s",
	    one->question.server.address, role_name(one->role), text, a->name, ours);
	if (dns_address_is_loopback(address))
		doctor_why(d, "that is the loopback address: each device that asks there is led to "
			      "itself");
	else
		doctor_why(d, "devices that ask there are led to another machine, or to an address "
			      "that this one had before");
	doctor_fix(d, "set what it has for *.%s to %s, or remove it there", d->domain, ours);
}

static void
judge_one(struct doctor *d, const struct doctor_answers *a, const struct doctor_asked *one,
    const char *ours)
{
	const struct dns_reply *reply = &one->question.reply;
	const char *server = one->question.server.address;
	char text[DNS_ADDRESS_TEXT];

	switch (reply->outcome) {
	case DNS_ANSWERED:
		if (!dns_address_is_ours(&reply->addresses[0]) ||
		    dns_address_is_loopback(&reply->addresses[0]))
			say_other_address(d, a, one, ours);
		return;
	case DNS_EMPTY:
		doctor_say_filter(d, server, role_name(one->role), a->name);
		return;
	case DNS_NO_NAME:
	case DNS_REFUSED:
		if (one->role == ROLE_PUBLIC)
			return; /* that is no fault: the hint says what follows */
		doctor_say(d, DOCTOR_NOTE, "%s (%s) answers %s for %s", server,
		    role_name(one->role), doctor_dns_words(reply, text), a->name);
		doctor_why(d, "devices that ask there cannot open the URLs");
		doctor_fix(d,
		    "give them %s as their DNS server (in the router: DHCP, DNS server; on the "
		    "phone: in the Wi-Fi's settings), or, in a router with dnsmasq: "
		    "server=/%s/%s",
		    ours, d->domain, ours);
		return;
	case DNS_SILENT:
		return; /* many routers are no name servers */
	}
}

/* Phones and browsers that ask a server of their own choice, out there. */
static void
hint_private_dns(struct doctor *d, const struct doctor_answers *a)
{
	bool asked = false;

	for (size_t i = 0; i < a->count; i++) {
		const struct dns_reply *reply = &a->list[i].question.reply;

		if (a->list[i].role != ROLE_PUBLIC || reply->outcome == DNS_SILENT)
			continue;
		asked = true;
		if (reply->outcome == DNS_ANSWERED)
			return; /* it is known out there; what address, is judged already */
	}
	if (!asked && a->has_record)
		return;
	doctor_say(d, DOCTOR_NOTE,
	    "a phone with Private DNS, or a browser with DNS over HTTPS, "
	    "does not ask this network's name servers");
	doctor_why(d,
	    asked ? "it asks a public one, and the public DNS does not know %s"
		  : "it asks a public one; whether that knows %s was not looked up (devmesh doctor "
		    "--public does)",
	    a->name);
	doctor_fix(d,
	    "Android: Network, Private DNS, \"Automatic\" or \"Off\"; iOS: remove the DNS profile; "
	    "Firefox, Chrome: turn secure DNS off; or keep a public record: [record] provider");
}

/* That devmeshd does not answer for the domain, though somebody relies on it. */
static void
judge_ours(struct doctor *d, const struct dns_question *q)
{
	const char *address = q->server.address;
	unsigned port = q->server.port;

	if (responder_is_reply(&q->reply))
		return;
	if (responder_is_other_zone(&q->reply)) {
		doctor_say(d, DOCTOR_WARNING,
		    "what answers DNS at %s:%u answers for another "
		    "domain than %s",
		    address, port, d->domain);
		doctor_why(d, "devices that are to ask it find no name");
		doctor_fix(d, "devmesh daemon restart");
		return;
	}
	doctor_say(d, DOCTOR_WARNING, "devmeshd does not answer DNS for %s at %s:%u", d->domain,
	    address, port);
	doctor_why(d, "devices that are to ask it find no name");
	doctor_fix(d, "devmesh daemon start    (its log says what is in the way)");
}

/* One filter is told of once: this machine's stub only passes on what the router says. */
static void
judge_filters_of_system(struct doctor *d, const struct doctor_answers *a)
{
	const struct doctor_asked *found = NULL;

	for (size_t i = 0; i < a->count; i++) {
		const struct doctor_asked *one = &a->list[i];

		if (!doctor_dns_filters(&one->question.reply, NULL))
			continue;
		if (a->lan != NULL && is_for_devices(one->role))
			return;
		if (found == NULL && one->role == ROLE_SYSTEM)
			found = one;
	}
	if (found != NULL)
		doctor_say_filter(
		    d, found->question.server.address, role_name(ROLE_SYSTEM), a->name);
}

void
doctor_judge_answers(struct doctor *d, const struct doctor_answers *a)
{
	char ours[DNS_ADDRESS_TEXT] = "";

	list_answers(d, a);
	for (size_t i = 0; i < a->count; i++) {
		if (a->list[i].role == ROLE_OURS && a->ours_expected)
			judge_ours(d, &a->list[i].question);
	}
	if (doctor_answers_judge_filters(d))
		judge_filters_of_system(d, a);
	if (a->lan == NULL)
		return;
	dns_address_text(&a->lan->address.address, ours);
	for (size_t i = 0; i < a->count; i++) {
		if (is_for_devices(a->list[i].role))
			judge_one(d, a, &a->list[i], ours);
	}
	hint_private_dns(d, a);
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct asking {
	struct doctor_asked list[ASKED_MAX];
	size_t count;
};

static void
add(struct asking *asking, enum doctor_role role, const char *address, uint16_t port)
{
	struct doctor_asked *one = &asking->list[asking->count];

	for (size_t i = 0; i < asking->count; i++) {
		struct doctor_asked *known = &asking->list[i];

		if (strcmp(known->question.server.address, address) != 0 ||
		    known->question.server.port != port)
			continue;
		/* the router that this machine asks as well is what other devices have */
		if (is_for_devices(role))
			known->role = role;
		return;
	}
	if (asking->count == ASKED_MAX)
		return;
	memset(one, 0, sizeof(*one));
	one->role = role;
	one->question.type = DNS_TYPE_A;
	one->question.server.port = port;
	if (dm_snprintf(
		one->question.server.address, sizeof(one->question.server.address), "%s", address))
		asking->count++;
}

/* The servers of a resolv.conf(5); of other devices' only those that are not this machine. */
static void
add_file(struct asking *asking, enum doctor_role role, const char *path)
{
	DM_AUTO_FREE char *text = doctor_read(path, FILE_MAX);
	struct dns_servers servers;

	if (text == NULL)
		return;
	dns_servers_parse(text, &servers);
	for (size_t i = 0; i < servers.count && asking->count < DNS_SERVERS_MAX; i++) {
		if (role == ROLE_SYSTEM || !dm_starts_with(servers.list[i].address, "127."))
			add(asking, role, servers.list[i].address, servers.list[i].port);
	}
}

static void
ask_all(struct doctor *d, const char *name, struct asking *asking)
{
	struct dns_question questions[ASKED_MAX];

	for (size_t i = 0; i < asking->count; i++)
		questions[i] = asking->list[i].question;
	dns_ask(name, questions, asking->count, doctor_time(d, SERVERS_MS));
	for (size_t i = 0; i < asking->count; i++)
		asking->list[i].question = questions[i];
}

void
doctor_check_dns_answers(struct doctor *d)
{
	const struct conf *conf = d->session->conf;
	DM_AUTO_FREE char *name = NULL, *path = NULL, *installed = NULL;
	struct asking asking = {.count = 0};
	struct doctor_answers answers;
	char text[DNS_ADDRESS_TEXT];
	struct dns_address router;
	struct lan_state lan = {.lack = NULL};
	struct responder r;
	struct dm_err ignored;
	bool reached = false;

	if (dm_ends_with(d->domain, ".localhost")) {
		doctor_skip(d, "the domain is below .localhost: see dns-localhost");
		return;
	}
	if (conf->lan_enabled)
		reached = network_look(conf, &lan, &ignored) && lan.has_address;
	name = responder_fresh_name(d->domain);
	responder_look(conf, d->domain, doctor_time(d, RESPONDER_MS), &r);
	add_file(&asking, ROLE_SYSTEM, d->resolv_conf);
	add(&asking, ROLE_OURS, RESPONDER_ADDRESS, r.port);
	if (reached) {
		/* what other devices are told to ask is nobody's business as long as none may come
		 */
		add_file(&asking, ROLE_UPSTREAM, RESOLVED_UPSTREAM);
		if (dm_gateway(&router)) {
			dns_address_text(&router, text);
			add(&asking, ROLE_ROUTER, text, 53);
		}
		dns_address_text(&lan.address.address, text);
		add(&asking, ROLE_OURS_LAN, text, 53);
	}
	if (d->ask_public)
		add(&asking, ROLE_PUBLIC, PUBLIC_SERVER, 53);
	ask_all(d, name, &asking);
	installed = doctor_dns_installed(d, &path);
	answers = (struct doctor_answers){.name = name,
	    .list = asking.list,
	    .count = asking.count,
	    .lan = reached ? &lan : NULL,
	    /* of an installed resolver dns-installed tells */
	    .ours_expected = conf->dns_enabled && conf->lan_enabled && installed == NULL,
	    .has_record = conf->record_provider != CONF_RECORD_NONE};
	doctor_judge_answers(d, &answers);
}
